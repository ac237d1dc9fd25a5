"""The page of the API names everything that is public, and nothing else."""

import re
from importlib import import_module
from pathlib import Path

from tests.test_rooms import IMPORTS

PAGE = Path(__file__).parents[1] / "docs" / "api.rst"

FAMILIES = {"architectures", "initializers", "layers", "layers.definition", "losses"}
FAMILIES |= {"optimizers", "schedules"}

LEAVES = IMPORTS.keys() - {"", *(name for rooms in IMPORTS.values() for name in rooms)}
"""Rooms that no other one imports are there for users."""

OF_OTHER_ROOMS = {  # one name of a room is public, or what a public function returns
    "skcnn.network.Network", "skcnn._summary.Summary", "skcnn._summary.LayerSummary",
}  # fmt: skip


def names_on_the_page():
    """Every name that the page documents, in full."""
    module = None
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if found := re.fullmatch(r"\.\. currentmodule:: (\S+)", line):
            module = found[1]
        elif found := re.fullmatch(r"\.\. py:data:: (\S+)", line):
            yield found[1]
        elif found := re.fullmatch(r"   ([\w.]+)", line):
            yield f"{module}.{found[1]}"


def test_every_public_name_is_on_the_page_once():
    public = ["skcnn", *(f"skcnn.{name}" for name in FAMILIES | LEAVES)]
    expected = {f"{name}.{each}" for name in public for each in import_module(name).__all__}
    found = list(names_on_the_page())
    assert len(found) == len(set(found))
    assert set(found) == expected | OF_OTHER_ROOMS

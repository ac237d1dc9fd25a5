"""The page of the API names everything that is public, and nothing else."""

import ast
import re
from pathlib import Path

from tests.unit.test_import_arrows import IMPORTS, PACKAGE

PAGE = Path(__file__).parents[2] / "docs" / "api.rst"

FAMILIES = {"architectures", "initializers", "layers", "layers.definition", "losses"}
FAMILIES |= {"optimizers", "schedules"}

LEAVES = IMPORTS.keys() - {"", *(name for rooms in IMPORTS.values() for name in rooms)}
"""Rooms that no other one imports are there for users."""

OF_OTHER_ROOMS = {  # one name of a room is public, or what a public function returns
    "skcnn.network.Network", "skcnn._summary.Summary", "skcnn._summary.LayerSummary",
}  # fmt: skip


def public_names(module):
    """Read ``__all__`` from the source: some modules import packages that may be absent."""
    path = PACKAGE.parent.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return ast.literal_eval(node.value)
    raise AssertionError(f"{path} does not say what is public")


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
    expected = {f"{name}.{each}" for name in public for each in public_names(name)}
    found = list(names_on_the_page())
    assert len(found) == len(set(found))
    assert set(found) == expected | OF_OTHER_ROOMS

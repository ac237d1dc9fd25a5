"""The scripts in ``examples``: their form, and that they run from beginning to end."""

import ast
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.waiting import PATIENCE

FOLDER = Path(__file__).parents[2] / "examples"
SCRIPTS = sorted(FOLDER.glob("*.py"))
LONG = {"cluster", "fashion_mnist", "reference_networks"}
"""Shown in the gallery, but not run: minutes, or several machines."""
WITHOUT_DATA = {"fashion_small"}
"""Run only where their data are."""

named = {"argvalues": SCRIPTS, "ids": [script.stem for script in SCRIPTS]}


def packages(script):
    """Top-level names of all that a script imports."""
    found = set()
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("script", **named)
def test_has_the_form_of_a_page(script):
    text = script.read_text(encoding="utf-8")
    title, line, blank, *rest = ast.get_docstring(ast.parse(text)).split("\n")
    assert set(line) == {"="}
    assert len(line) == len(title)
    assert blank == ""
    assert re.match(r"[A-Z0-9]", rest[0])
    assert text.count("\n# %%\n") >= 2


@pytest.mark.parametrize("stem", sorted(LONG | WITHOUT_DATA))
def test_a_page_that_may_not_run_has_a_picture(stem):
    text = (FOLDER / f"{stem}.py").read_text(encoding="utf-8")
    (picture,) = re.findall(r'^# sphinx_gallery_thumbnail_path = "(.*)"$', text, re.MULTILINE)
    assert (FOLDER.parent / "docs" / picture).is_file()


def names(tree, context):
    """Those that some statements bind (`ast.Store`) or use (`ast.Load`)."""
    nodes = (node for node in ast.walk(tree) if isinstance(node, ast.Name))
    return {node.id for node in nodes if isinstance(node.ctx, context)}


@pytest.mark.parametrize("script", **named)
def test_a_figure_is_finished_in_its_cell(script):
    """At the end of a cell the gallery takes the figures, and closes them."""
    figures = set()  # and axes, of the cells before
    for cell in script.read_text(encoding="utf-8").split("\n# %%\n"):
        tree = ast.parse(cell)
        figures -= names(tree, ast.Store)
        assert not figures & names(tree, ast.Load)
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and "subplots" in ast.unparse(node.value):
                figures |= names(node, ast.Store)


@pytest.mark.slow
@pytest.mark.parametrize("script", **named)
def test_runs(script, tmp_path):
    """In a process of its own, without a display, warning of nothing and leaving nothing behind."""
    if script.stem in LONG:
        pytest.skip("takes minutes, or more than one machine")
    absent = [name for name in sorted(packages(script)) if find_spec(name) is None]
    if absent:
        pytest.skip(f"needs {', '.join(absent)}")
    environment = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
    done = subprocess.run(
        [sys.executable, "-W", "error", script],
        cwd=tmp_path, env=environment | {"MPLBACKEND": "agg"},
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert list(tmp_path.iterdir()) == []

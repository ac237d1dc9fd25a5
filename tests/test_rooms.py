"""Imports inside the package point one way, and the engine needs NumPy only."""

import ast
import sys
from pathlib import Path

import pytest

import skcnn

PACKAGE = Path(skcnn.__file__).parent

MAY_IMPORT = {  # a room, and the rooms it may import
    "_hyperparameters": set(),
    "initializers": {"_hyperparameters"},
    "losses": set(),
    "optimizers": {"_hyperparameters"},
    "schedules": {"_hyperparameters"},
    "layers": {"_hyperparameters", "initializers"},
    "architectures": {"_hyperparameters", "initializers", "layers"},
    "workspace": {"layers"},
    "network": {"layers", "workspace"},
    "_summary": {"_hyperparameters", "architectures", "layers", "network", "workspace"},
    "parallel": set(),
    "batches": {"layers"},
    "inference": {"batches", "network", "parallel", "workspace"},
    "training": {
        "batches", "inference", "losses", "network", "optimizers", "parallel", "schedules",
        "workspace",
    },
    "_nested_parameters": set(),
    "_validation": {"_hyperparameters", "batches", "layers"},
    "_binding": {
        "_hyperparameters", "architectures", "initializers", "layers", "network", "optimizers",
        "schedules", "training",
    },
    "_fitting": {"_validation", "batches", "layers", "losses", "training"},
    "_progress": {"training"},
    "classifier": {
        "_binding", "_fitting", "_hyperparameters", "_nested_parameters", "_progress",
        "_validation", "architectures", "batches", "inference", "initializers", "layers", "losses",
        "network", "optimizers", "parallel", "_summary", "training",
    },
    "": {"classifier", "_summary"},
    "datasets": {"_hyperparameters"},  # a leaf: nothing imports it
}  # fmt: skip
NEEDS_SCIKIT_LEARN = {
    "_binding", "_fitting", "_nested_parameters", "_progress", "_validation", "classifier",
}  # fmt: skip


def room(path):
    """The first name below the package; "" is the package's own ``__init__``."""
    name = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return "" if name == "__init__" else name


def imports(path):
    """Every module that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module == "skcnn":
                yield from (f"skcnn.{alias.name}" for alias in node.names)
            else:
                yield node.module


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    here = room(path)
    for module in imports(path):
        package, _, rest = module.partition(".")
        if package == "skcnn":
            there = rest.split(".")[0]
            assert there == here or there in MAY_IMPORT[here], f"{here or 'skcnn'} -> {module}"
        elif here not in NEEDS_SCIKIT_LEARN:
            assert package in sys.stdlib_module_names | {"numpy"}, f"{here} imports {module}"


def test_no_room_imports_in_a_circle():
    done = set()
    for here, there in MAY_IMPORT.items():
        assert there <= done, f"{here} imports {there - done}, which come after it"
        done.add(here)

"""Imports inside the package point one way, and the engine needs NumPy only."""

import ast
import sys
from pathlib import Path

import pytest

import skcnn
from skcnn import layers
from skcnn.layers.composite import Composite

PACKAGE = Path(skcnn.__file__).parent

IMPORTS = {  # a room, and the rooms it imports, which stand above it
    "_migration": set(),
    "_hyperparameters": {"_migration"},
    "denormals": set(),
    "files": set(),
    "parallel": set(),
    "initializers": {"_hyperparameters"},
    "losses": set(),
    "ridge": set(),
    "optimizers": {"_hyperparameters", "denormals"},
    "schedules": {"_hyperparameters"},
    "layers": {"_hyperparameters", "initializers"},
    "architectures": {"_hyperparameters", "initializers", "layers"},
    "micro_batches": set(),
    "network": {"_hyperparameters", "_migration", "layers", "micro_batches", "parallel"},
    "_summary": {"_hyperparameters", "architectures", "layers", "network"},
    "data": {"layers", "losses"},
    "inference": {"architectures", "data", "layers", "micro_batches", "network", "parallel"},
    "state": {"_migration", "layers", "network", "optimizers"},
    "training": {
        "data", "denormals", "inference", "layers", "losses", "network", "optimizers",
        "parallel", "schedules", "state",
    },
    "_estimator": {
        "_hyperparameters", "_migration", "_summary", "architectures", "data", "denormals",
        "files", "inference", "initializers", "layers", "losses", "network", "optimizers",
        "parallel", "ridge", "schedules", "state", "training",
    },
    "classifier": {"_estimator", "_hyperparameters", "inference", "losses", "parallel"},
    "fixed_kernel_features": {
        "_estimator", "_hyperparameters", "architectures", "inference", "network", "parallel",
        "state",
    },
    "regressor": {"_estimator", "data", "inference", "losses", "parallel"},
    "": {"_summary", "classifier", "fixed_kernel_features", "regressor"},
    # leaves: nothing imports them
    "callbacks": {"_estimator", "_hyperparameters", "files"},
    "datasets": {"_estimator", "_hyperparameters", "files"},
    "inspection": {
        "_estimator", "_hyperparameters", "data", "layers", "micro_batches", "network", "parallel",
    },
    "onnx": {
        "_estimator", "_hyperparameters", "classifier", "data", "inference", "layers", "network",
        "parallel", "regressor",
    },
    "persistence": {
        "_estimator", "initializers", "layers", "network", "optimizers", "schedules",
    },
}  # fmt: skip
KNOW_SCIKIT_LEARN = {"_estimator", "classifier", "fixed_kernel_features", "regressor"}
LEAVES = {  # what a leaf may import besides
    "datasets": {"joblib", "sklearn", "PIL"},
    "inspection": {"matplotlib"},
    "onnx": {"onnx", "skl2onnx", "sklearn"},
}


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


@pytest.mark.parametrize("here", IMPORTS)
def test_a_room_imports_the_rooms_it_says_and_all_of_them(here):
    names = [name for path in FILES if room(path) == here for name in imports(path)]
    found = {name.split(".")[1] for name in names if name.startswith("skcnn.")}
    assert found - {here} == IMPORTS[here]


def test_every_room_is_known():
    assert {room(path) for path in FILES} == IMPORTS.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_estimators_and_what_they_share_know_scikit_learn(path):
    allowed = sys.stdlib_module_names | {"numpy", "skcnn"}
    if room(path) not in KNOW_SCIKIT_LEARN:
        allowed |= LEAVES.get(room(path), set())
        assert {name.split(".")[0] for name in imports(path)} <= allowed


def test_no_room_imports_in_a_circle():
    done = set()
    for here, there in IMPORTS.items():
        assert there <= done, f"{here} imports {there - done}, which come after it"
        done.add(here)


def test_composite_layers_are_known_by_their_interface():
    """Only what has a function for every layer names them, and what builds networks of them."""
    composite = {
        name
        for name, kind in vars(layers).items()
        if isinstance(kind, type) and issubclass(kind, Composite)
    }
    assert composite
    for path in FILES:
        names = {
            alias.name
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        if names & composite:
            assert room(path) in {"layers", "architectures"} or path.parts[-2:] == (
                "onnx", "layers.py"
            )  # fmt: skip


def test_leaves_import_what_they_say_and_the_rest_of_the_package_none_of_it():
    for leaf, others in LEAVES.items():
        names = {name for path in FILES if room(path) == leaf for name in imports(path)}
        assert others <= {name.split(".")[0] for name in names}
        assert not any(leaf in there for there in IMPORTS.values())

"""Functions inside the package take few parameters; related ones travel as a named value."""

import ast

import pytest

from tests.unit.test_import_arrows import FILES, PACKAGE

MOST = 8

PUBLIC = {  # users pass these by name
    "architectures.blocks.cnn",
    "classifier.ScratchCNNClassifier.__init__",
    "datasets.image_folder.load_image_folder",
    "inspection._mistakes_display.MistakesDisplay.from_predictions",
    "inspection._saliency_display.SaliencyDisplay.from_estimator",
    "layers.signals.Conv1d",
    "layers.signals.ConvTranspose1d",
    "regressor.ScratchCNNRegressor.__init__",
}
"""Functions of more parameters."""


def functions(node, prefix):
    """Yield all functions below a node with their qualified names, nested ones included."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            name = f"{prefix}.{child.name}"
            if not isinstance(child, ast.ClassDef):
                yield name, child
            yield from functions(child, name)
        elif isinstance(child, ast.Lambda):
            yield f"{prefix}.<lambda>", child
            yield from functions(child, prefix)
        else:
            yield from functions(child, prefix)


def parameters(function):
    """Names of a function's parameters without `self` and `cls`."""
    given = function.args
    nodes = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    names = [node.arg for node in nodes if node is not None]
    return names[1:] if names[:1] in (["self"], ["cls"]) else names


def long_signatures(tree, module):
    return {name for name, each in functions(tree, module) if len(parameters(each)) > MOST}


def test_only_public_functions_take_more_than_eight_parameters():
    found = set()
    for path in FILES:
        module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        found |= long_signatures(ast.parse(path.read_text(encoding="utf-8")), module)
    assert found == PUBLIC


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f(a, b, c, d, e, f, g, h): pass", set()),
        ("def f(a, b, c, d, e, f, g, h, i): pass", {"m.f"}),
        ("def f(a, b, /, c, d, e, *, f, g, **h): pass", set()),
        ("def f(a, b, /, c, d, e, *args, f, g, **h): pass", {"m.f"}),
        ("class C:\n  def f(self, a, b, c, d, e, f, g, h): pass", set()),
        ("class C:\n  def f(self, a, b, c, d, e, f, g, h, i): pass", {"m.C.f"}),
        ("def f():\n  if 1:\n    async def g(a, b, c, d, e, f, g, h, i): pass", {"m.f.g"}),
        ("x = [lambda a, b, c, d, e, f, g, h, i: 0]", {"m.<lambda>"}),
    ],
)
def test_parameters_of_all_kinds_are_counted(source, expected):
    assert long_signatures(ast.parse(source), "m") == expected

"""`py.typed` is shipped: what users call has types."""

import inspect

import pytest

from skcnn import ScratchCNNClassifier, ScratchCNNRegressor


def methods(estimator):
    """Public methods that are written in this package, also those that exist at times only."""
    for kind in estimator.__mro__:
        for name, value in vars(kind).items():
            function = getattr(value, "fn", value)  # of `available_if`
            public = name[0] != "_" and inspect.isfunction(function)
            if public and function.__module__.startswith("skcnn."):
                yield function


@pytest.mark.parametrize("estimator", [ScratchCNNClassifier, ScratchCNNRegressor])
def test_public_methods_are_annotated(estimator):
    found = {function.__name__: function for function in methods(estimator)}
    assert {"fit", "partial_fit", "predict", "transform", "get_params"} <= found.keys()
    for name, function in found.items():
        signature = inspect.signature(function)
        parameters = list(signature.parameters.values())[1:]
        assert all(p.annotation is not p.empty for p in parameters), name
        assert signature.return_annotation is not signature.empty, name

"""``np.seterr`` of a program changes nothing: results are those under NumPy's defaults."""

import numpy as np
import pytest

from skcnn import ScratchCNNClassifier, ScratchCNNRegressor
from skcnn.inspection import activations, saliency
from skcnn.losses import LOSSES
from tests.shared import X, y

X, y = X[:100], y[:100]
ERRORS = dict.fromkeys(("divide", "over", "under", "invalid"), "raise")
METHODS = ("predict", "predict_proba", "predict_log_proba", "transform")


def classifier(**parameters):
    defaults = {"filters": 4, "max_iter": 1, "activation": "gelu", "random_state": 0}
    return ScratchCNNClassifier(**defaults | parameters)


def scaled(model, factor):
    """The model with weights of another size."""
    model.weights_ = (model.weights_ * factor).astype(model.weights_.dtype)
    return model


def fits(dtype, size):
    yield classifier(dtype=dtype).fit(size * X, y).weights_
    yield classifier(dtype=dtype, early_stopping=True, scoring="neg_log_loss").fit(X, y).weights_
    yield classifier(dtype=dtype).fit(size * X, np.c_[y > 4, y % 2]).weights_
    yield classifier(dtype=dtype).initialize(size * X, y, np.full(len(y), 1e-300)).weights_
    yield classifier(dtype=dtype).partial_fit(size * X, y, range(10), np.full(100, 1e-30)).weights_
    for loss in ("squared_error", "absolute_error", "huber", "poisson", "quantile"):
        reg = ScratchCNNRegressor(filters=4, max_iter=1, random_state=0, dtype=dtype, loss=loss)
        yield reg.fit(X, size * y).weights_


def answers(dtype, size):
    for targets in (y, np.c_[y > 4, y % 2]):
        model = scaled(classifier(dtype=dtype).fit(X, targets), size)
        for method in METHODS:
            yield getattr(model, method)(X)
            yield getattr(model, method)(X[:1])
        yield model.score(X, targets)
    for loss in ("squared_error", "poisson"):
        reg = ScratchCNNRegressor(filters=4, max_iter=1, random_state=0, dtype=dtype, loss=loss)
        yield scaled(reg.fit(X, y), size).predict(X)


def explanations(dtype, size):
    model = scaled(classifier(dtype=dtype).fit(X, y), size)
    for method in ("gradient", "smoothgrad", "integrated_gradients", "grad_cam", "occlusion"):
        yield saliency(model, X[:4], method=method, random_state=0)
    yield activations(model, X[:4], 0)


def passes(dtype, size):
    model = scaled(classifier(dtype=dtype).fit(X, y), size)
    images, vector = X[:4].reshape(-1, 1, 8, 8), model.weights_
    yield model.network_.forward(images, vector)
    yield from model.network_.vjp(images, vector, np.full((4, 10), 1e-310))
    tiny = {name: np.full(array.shape, 1e-300) for name, array in model.to_state_dict().items()}
    yield model.set_weights(tiny).weights_


def probabilities(dtype, size):
    z = (size * np.linspace(-2000, 2000, 60).reshape(3, 20)).astype(dtype)
    for loss in LOSSES.values():
        yield loss.probabilities(z)
        yield loss.log_probabilities(z)


@pytest.mark.parametrize("results", [fits, answers, explanations, passes, probabilities])
@pytest.mark.parametrize("size", [1, 1e-18, 1e8])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_results_do_not_depend_on_the_programs_error_settings(results, size, dtype):
    expected = list(results(dtype, size))
    with np.errstate(**ERRORS):
        found = list(results(dtype, size))
        assert np.geterr() == ERRORS
    for left, right in zip(found, expected, strict=True):
        assert np.array_equal(left, right)

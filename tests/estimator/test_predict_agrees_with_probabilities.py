"""`predict` is the argmax of `predict_proba` and of `predict_log_proba`, however close the race."""

from functools import partial

import numpy as np
import pytest
from sklearn.datasets import load_digits

from skcnn.losses import SigmoidCrossEntropy, SoftmaxCrossEntropy
from tests.shared import quick

DIGITS, NUMBERS = load_digits(return_X_y=True)
softmax, sigmoid = SoftmaxCrossEntropy(), SigmoidCrossEntropy()


def near_ties(rng, classes, n, dtype):
    """Outputs of which several are the largest, but for a few units in the last place."""
    scale = 10.0 ** rng.integers(-45, 4, n)
    z = (rng.normal(size=(classes, n)) * scale).astype(dtype)
    many = rng.random((classes, n)) < 0.5
    z = np.where(many, z.max(axis=0), z)
    steps = rng.integers(-3, 4, (classes, n)).astype(dtype)
    return z + steps * np.spacing(np.abs(z)) * many


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("classes", [2, 3, 10, 1000])
def test_classes_that_all_but_tie(classes, dtype):
    rng = np.random.default_rng(classes)
    z = near_ties(rng, classes, 20_000_000 // 1000 // classes + 1000, dtype)
    p, logs = softmax.rounded_probabilities(z), softmax.rounded_log_probabilities(z)
    assert p.dtype == logs.dtype == dtype
    assert np.array_equal(p.argmax(axis=0), z.argmax(axis=0))
    assert np.array_equal(logs.argmax(axis=0), z.argmax(axis=0))
    exact, exact_logs = (
        of(z.astype(np.longdouble)) for of in (softmax.probabilities, softmax.log_probabilities)
    )
    limits = np.finfo(dtype)  # two units for rounding up, and what float64 loses before that
    error = 2 * limits.eps + np.finfo(float).eps * (classes + np.abs(exact_logs))
    assert (np.abs(p - exact) <= error * exact + limits.tiny).all()
    assert (np.abs(logs - exact_logs) <= error * (1 + np.abs(exact_logs))).all()
    tied = np.array([[0, 1, 1], [1, 1, 1]], dtype)
    assert np.array_equal(softmax.rounded_probabilities(tied)[:, 1:], np.full((2, 2), 0.5))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_labels_that_are_all_but_even(dtype):
    rng = np.random.default_rng(0)
    z = (rng.normal(size=(3, 20_000)) * 10.0 ** rng.integers(-45, 4, 20_000)).astype(dtype)
    z[:, :5] = [[0.0, -0.0, 1e-45, np.finfo(dtype).tiny, -np.finfo(dtype).tiny]]
    p, logs = sigmoid.rounded_probabilities(z), sigmoid.rounded_log_probabilities(z)
    assert p.dtype == logs.dtype == dtype
    assert np.array_equal((p > 0.5).T, sigmoid.predictions(z))
    assert np.array_equal((logs > np.log(z.dtype.type(0.5))).T, sigmoid.predictions(z))
    exact = sigmoid.probabilities(z.astype(np.longdouble)).astype(np.float64)
    np.testing.assert_allclose(p, exact, rtol=2 * np.finfo(dtype).eps, atol=np.finfo(dtype).tiny)


MODELS = {
    "2 classes": (lambda clf, X: clf.fit(X, NUMBERS[: len(X)] % 2), np.argmax),
    "10 classes": (lambda clf, X: clf.fit(X, NUMBERS[: len(X)]), np.argmax),
    "labels": (
        lambda clf, X: clf.fit(X, np.eye(10)[NUMBERS[: len(X)]][:, :3]),
        lambda p, axis: (p > 0.5).astype(int),
    ),
}


@pytest.mark.parametrize("dtype", [None, "float64"])
@pytest.mark.parametrize("what", MODELS)
def test_models_that_are_hardly_trained(what, dtype):
    """Their outputs are nearly alike: the output layer's weights are divided by up to 1e45."""
    fit, decide = MODELS[what]
    clf = fit(quick(max_iter=1, filters=1, hidden_layer_sizes=2, dtype=dtype), DIGITS[:60])
    last = partial(np.multiply, clf.network_.unpack(clf.weights_)[-1]["weight"])
    for power in range(0, 46, 3):
        arrays = clf.network_.unpack(clf.weights_.copy())
        arrays[-1]["weight"][...] = last(10.0**-power)
        arrays[-1]["bias"][...] = 0
        near = quick().set_params(**clf.get_params())
        near.__dict__.update(vars(clf))
        near.set_weights(arrays)
        classes = decide(near.predict_proba(DIGITS), axis=1)
        assert np.array_equal(near.predict(DIGITS), classes)
        if what != "labels":
            assert np.array_equal(near.predict_log_proba(DIGITS).argmax(axis=1), classes)

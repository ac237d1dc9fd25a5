"""Numerical extremes, a row each: what is finite, what is silent, and what is right."""

import warnings
from typing import NamedTuple

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from skcnn import ScratchCNNClassifier, ScratchCNNRegressor
from skcnn.layers import BatchNorm, Conv2d, Flatten, ReLU
from tests.shared import FIXED, X, X_test, y, y_test

SMALL = {
    **FIXED, "filters": 8, "hidden_layer_sizes": 32, "max_iter": 12, "lr": 5e-3,
    "n_iter_no_change": None, "random_state": 0,
}  # fmt: skip
NORMALIZED = {"layers": [Conv2d(4, 3), BatchNorm(), ReLU(), Flatten()]}

rng = np.random.default_rng(0)
BITS = (X > 8).astype(int), (X_test > 8).astype(int)


def limits(dtype):
    """Digits in black and white, the smallest and the largest number of a dtype."""
    ends = np.array([np.iinfo(dtype).min, np.iinfo(dtype).max], dtype)
    return tuple(ends[bits] for bits in BITS)


class Row(NamedTuple):
    """Images to fit and to judge, labels, and what must hold."""

    images: tuple = (X, X_test)
    parameters: dict | None = None
    weights: np.ndarray | None = None
    labels: tuple = (y, y_test)
    accuracy: float = 0.0  # at least
    idle: bool = False  # a warning that nothing was learned


TABLE = {
    "constant images": Row((0 * X + 3, 0 * X_test + 3), idle=True),
    "black images": Row((0 * X, 0 * X_test), idle=True),
    "black images, batch norm": Row((0 * X, 0 * X_test), NORMALIZED, idle=True),
    "denormal images": Row((X * 1e-310, X_test * 1e-310), accuracy=0.6),
    "denormal images in float32": Row(
        ((X * 1e-41).astype("f4"), (X_test * 1e-41).astype("f4")), accuracy=0.8
    ),
    "1e-30": Row((X * 1e-30, X_test * 1e-30), accuracy=0.9),
    "1e30": Row((X * 1e30, X_test * 1e30), accuracy=0.9),
    "1e30 in float32": Row(((X * 1e30).astype("f4"), (X_test * 1e30).astype("f4")), accuracy=0.9),
    "1e300": Row((X * 1e300, X_test * 1e300), accuracy=0.9),
    "batch norm, 1e30": Row((X * 1e30, X_test * 1e30), NORMALIZED, accuracy=0.8),
    "far from 0": Row((X + 1e12, X_test + 1e12), accuracy=0.9),
    "float16 at its limit": Row(
        ((X * 4094).astype("f2"), (X_test * 4094).astype("f2")), accuracy=0.9
    ),
    "float16, denormal": Row(((X * 6e-8).astype("f2"), (X_test * 6e-8).astype("f2")), accuracy=0.9),
    **{dtype: Row(limits(dtype), accuracy=0.8) for dtype in ("i1", "u2", "i4", "i8", "u8")},
    "bool": Row(tuple(bits.astype(bool) for bits in BITS), accuracy=0.8),
    "weights of 1e30": Row(weights=np.full(600, 1e30), accuracy=0.9),
    "weights of 1e-30": Row(weights=np.full(600, 1e-30), accuracy=0.9),
    "weights of 1e30 and 1e-30": Row(weights=np.where(y < 5, 1e30, 1e-30), accuracy=0.4),
    "a weight among zeros": Row(weights=np.where(np.arange(600) < 40, 1.0, 0.0), accuracy=0.2),
    "1,000 classes": Row(labels=(np.arange(600) % 300 * 7, y_test), parameters={"max_iter": 2}),
    "one column": Row((X[:, 20:21], X_test[:, 20:21])),
    "two rows": Row((X[:2], X_test), labels=(np.array([0, 1]), y_test)),
}


@pytest.mark.parametrize("what", TABLE)
def test_classifier(what):
    row = TABLE[what]
    clf = ScratchCNNClassifier(**SMALL | (row.parameters or {}))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        clf.fit(row.images[0], row.labels[0], sample_weight=row.weights)
        p, logs = clf.predict_proba(row.images[1]), clf.predict_log_proba(row.images[1])
        accuracy = clf.score(row.images[1], row.labels[1])
    assert [warning.category for warning in caught] == [ConvergenceWarning] * row.idle
    assert np.isfinite(p).all()
    assert np.isfinite(logs).all()
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    assert accuracy >= row.accuracy


def test_images_whose_differences_leave_float64_diverge_and_say_so():
    images = np.where(BITS[0], 1.7e308, -1.7e308)
    with pytest.warns(ConvergenceWarning, match="diverged in epoch 1") as caught:
        clf = ScratchCNNClassifier(**SMALL).fit(images, y)
    assert len(caught) == 1
    with pytest.raises(ValueError, match="X holds numbers in row 0 that are too large"):
        clf.predict_proba(images)


@pytest.mark.slow
def test_a_thousand_classes():
    labels = np.repeat(np.arange(1000), 3)
    images = (labels[:, None] >> np.arange(10) & 1).astype(float)
    clf = ScratchCNNClassifier(
        layers=[], lr=0.1, lr_schedule="cosine", max_iter=30, image_shape=(1, 10), random_state=0
    ).fit(images, labels)
    p = clf.predict_proba(images)
    assert p.shape == (3000, 1000)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    assert clf.score(images, labels) > 0.5


def test_a_single_row_is_a_quantity_but_no_class():
    reg = ScratchCNNRegressor(**SMALL).fit(X[:1], [7.0])
    assert reg.predict(X[:1]) == pytest.approx([7.0], rel=1e-5)
    with pytest.raises(ValueError, match="at least 2 classes"):
        ScratchCNNClassifier(**SMALL).fit(X[:1], y[:1])


INK, INK_TEST = X.sum(axis=1) / 300, X_test.sum(axis=1) / 300
LOSSES = ("squared_error", "absolute_error", "huber", "poisson", "quantile")


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("unit", [1e-310, 1e-300, 1e-30, 1.0, 1e30, 1e300, 1e307])
def test_quantities_in_any_unit(loss, unit):
    """Those of both signs, too, where the loss takes them."""
    shift = 0.0 if loss == "poisson" else 1.0
    reg = ScratchCNNRegressor(**SMALL, loss=loss).fit(X, (INK - shift) * unit)
    found = reg.predict(X_test) / unit + shift
    assert np.isfinite(found).all()
    error = np.mean((found - INK_TEST) ** 2) / INK_TEST.var()  # without squares of the unit
    assert error < 0.5


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("value", [0.0, 1e-310, 1e300])
def test_constant_quantities(loss, value):
    reg = ScratchCNNRegressor(**SMALL, loss=loss).fit(X, np.full(600, value))
    found = reg.predict(X_test)
    if loss == "poisson" and value == 0:  # the rate falls towards 0 and never is
        assert (found >= 0).all()
        assert found.max() < 0.2
    else:
        np.testing.assert_allclose(found, value, rtol=1e-3)


def test_quantities_whose_differences_leave_float64_are_refused():
    huge = np.where(y < 5, -1.7e308, 1.7e308)
    reg = ScratchCNNRegressor(**SMALL)
    with pytest.raises(ValueError, match=r"y spans -1.7e\+308 to 1.7e\+308, whose difference"):
        reg.fit(X, huge)
    assert not hasattr(reg, "weights_")


def test_a_score_that_overflows_is_a_clear_error_and_no_foreign_warning():
    reg = ScratchCNNRegressor(**SMALL, early_stopping=True)
    with pytest.raises(ValueError, match=r"scoring=None failed on .* R² is beyond the range"):
        reg.fit(X, (INK - 1) * 1e300)
    assert np.isfinite(reg.set_params(scoring="loss").fit(X, (INK - 1) * 1e300).predict(X)).all()

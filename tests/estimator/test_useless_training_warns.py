"""A training that ends no better than a constant prediction says so, and no other does."""

import warnings

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning

from skcnn import ScratchCNNRegressor
from skcnn.layers import Flatten
from skcnn.losses import REGRESSION_LOSSES, SigmoidCrossEntropy, SoftmaxCrossEntropy
from tests.shared import FIXED, InterruptedThreads, X, quick, since, y

STEPS = {"batch_size": 60, "max_iter": 10, "tol": 0.0, "n_iter_no_change": None}
"""Ten batches in each of ten epochs."""

LABELS = np.column_stack([y % 2, y > 4, y == 0])
rng = np.random.default_rng(0)


def classifier(**parameters):
    return quick(**STEPS | parameters)


def regressor(**parameters):
    few = {"filters": 4, "hidden_layer_sizes": 8, "random_state": 0}
    return ScratchCNNRegressor(**FIXED | few | STEPS | parameters)


def lone_layer(**parameters):
    return classifier(layers=[Flatten()], **parameters)


def smoothed():
    """All that can be learned lowers the loss by less than a thousandth."""
    return lone_layer(label_smoothing=0.99, lr=3e-2, lr_schedule="cosine", max_iter=60)


IDLE = {
    "huge images": lambda: classifier(scale_input=False).fit(X * 1e30, y),
    "huge images, 20 epochs": lambda: classifier(scale_input=False, max_iter=20).fit(X * 1e30, y),
    "tiny images": lambda: classifier(scale_input=False).fit(X * 1e-30, y),
    "denormal images": lambda: classifier(scale_input=False).fit(X * 1e-310, y),
    "denormal images, several labels": (
        lambda: classifier(scale_input=False).fit(X * 1e-310, LABELS)
    ),
    "black images": lambda: classifier().fit(0 * X, y),
    "weight decay": lambda: classifier(weight_decay=1e300).fit(X, y),
    "a rate that moves no weight": lambda: classifier(lr=1e-300).fit(X, y),
    "a small rate": lambda: classifier(lr=1e-6).fit(X, y),
    "labels of other images": lambda: lone_layer(lr=1e-4).fit(X, rng.permutation(y)),
    "dead units": lambda: classifier(lr=5.0, optimizer="sgd", max_grad_norm=1.0).fit(X, y),
    "early stopping": lambda: classifier(lr=1e-6, early_stopping=True, max_iter=12).fit(X, y),
    "no change": (
        lambda: classifier(lr=1e-300, batch_size=10, n_iter_no_change=2, tol=1e-4).fit(X, y)
    ),
    "in steps": lambda: classifier(lr=1e-6, warm_start=True).fit(X, y),
    "quantities, denormal images": lambda: regressor(scale_input=False).fit(X * 1e-310, y),
    "quantities, a rate that moves no weight": lambda: regressor(lr=1e-300).fit(X, y),
    "counts, denormal images": (
        lambda: regressor(loss="poisson", scale_input=False).fit(X * 1e-310, y)
    ),
    "medians, black images": lambda: regressor(loss="absolute_error").fit(0 * X, y),
    "several quantities": lambda: regressor(lr=1e-300, loss="huber").fit(X, LABELS),
}


@pytest.mark.parametrize("what", IDLE)
def test_who_learned_nothing_says_so(what):
    with pytest.warns(
        ConvergenceWarning, match="no better than a constant .* Try another lr"
    ) as caught:
        model = IDLE[what]()
    assert [warning.filename for warning in caught] == [__file__]
    assert np.isfinite(model.predict(X)).all()


class Stop:
    """A callback that stops the training after so many epochs."""

    max_propagation_depth = 0

    def __init__(self, epochs):
        self.epochs = epochs

    def setup(self, estimator, context):
        self.left = self.epochs

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context, **arguments):
        pass

    def on_fit_task_end(self, estimator, context, **arguments):
        self.left -= 1
        return self.left <= 0


def in_parts():
    clf = classifier(lr=1e-300, batch_size=5)
    for _ in range(3):
        clf.partial_fit(X, y, classes=range(10))
    return clf


BUSY = {
    "learned": lambda: classifier().fit(X, y),
    "99 steps": lambda: classifier(lr=1e-300, batch_size=70, max_iter=11).fit(X, y),
    "in parts": in_parts,
    "one step at a time": lambda: (
        classifier(lr=1e-300, warm_start=True, max_iter=6).fit(X, y).fit(X, y).fit(X, y)
    ),
    "one class in fifty": lambda: classifier(lr=1e-2).fit(X, (y == 1) & (np.arange(600) % 5 == 0)),
    "hardly more than a constant": lambda: lone_layer(max_iter=30).fit(
        X, np.where(rng.random(600) < 0.8, y[::-1], y)
    ),
    "smoothed to the last": lambda: smoothed().fit(X, y),
    "smoothed labels": lambda: smoothed().set_params(max_iter=120).fit(X, LABELS),
    "much dropout": lambda: classifier(dropout=0.9, max_iter=40, filters=16).fit(X, y > 4),
    "weights of classes": lambda: classifier(class_weight="balanced").fit(X, y == 0),
    "weights of samples": lambda: classifier(lr=5e-3).fit(X, y, sample_weight=(y < 2) + 0.0),
    "constant quantities": lambda: regressor().fit(X, np.full(600, 3.3)),
    "constant quantities, Huber": lambda: regressor(loss="huber").fit(X, np.full(600, 1e300)),
    "one constant quantity": lambda: regressor().fit(X, np.column_stack([y, 0 * y])),
    "no counts": lambda: regressor(loss="poisson").fit(X, 0 * y),
    "constant counts": lambda: regressor(loss="poisson").fit(X, 0 * y + 7),
    "quantities": lambda: regressor().fit(X, y),
}


@pytest.mark.parametrize("what", BUSY)
def test_who_learned_or_had_no_time_to_says_nothing(what):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        BUSY[what]()


@pytest.mark.skipif(not since(1, 9), reason="callbacks came with scikit-learn 1.9")
def test_who_was_stopped_says_nothing():
    clf = classifier(lr=1e-300, max_iter=20).set_callbacks(Stop(11)).fit(X, y)
    assert clf.n_iter_ == 11


@pytest.mark.parametrize("batch", [105, 201])  # in the eleventh epoch, and when all is over
def test_who_was_interrupted_says_that(monkeypatch, batch):
    monkeypatch.setattr(
        "skcnn._estimator.resources.Threads", lambda *args: InterruptedThreads(batch)
    )
    with pytest.warns(UserWarning, match="interrupted; the model of epoch") as caught:
        clf = classifier(lr=1e-300, max_iter=20).fit(X, y)
    assert len(caught) == 1
    assert clf.n_iter_ == min(batch // 10, 20)


def mean_loss(loss, z, targets, weights):
    z = np.repeat(np.asarray(z, float)[:, np.newaxis], len(targets), axis=1)
    return loss.loss_and_gradient(z, np.empty_like(z), targets, weights).loss / weights.sum()


LOSSES = {
    "classes": (SoftmaxCrossEntropy(), rng.integers(0, 3, 40)),
    "smoothed classes": (SoftmaxCrossEntropy(0.2), rng.integers(0, 3, 40)),
    "labels": (SigmoidCrossEntropy(), rng.random((40, 3)) < 0.3),
    "smoothed labels": (SigmoidCrossEntropy(0.2), rng.random((40, 3)) < 0.3),
    **{
        name: (loss, np.abs(rng.standard_cauchy((40, 3))))
        for name, loss in REGRESSION_LOSSES.items()
    },
}


@pytest.mark.parametrize("what", LOSSES)
def test_the_constant_is_the_least_that_a_minimizer_finds(what):
    loss, targets = LOSSES[what]
    weights = rng.random(40)
    found = minimize(
        lambda z: mean_loss(loss, z, targets, weights), np.full(3, 0.5), method="Nelder-Mead",
        options={"xatol": 1e-10, "fatol": 1e-13, "maxiter": 10_000, "maxfev": 10_000},
    )  # fmt: skip
    assert loss.constant(targets, weights, 3) == pytest.approx(found.fun, rel=1e-6)
    assert loss.constant(targets, weights, 3) <= found.fun + 1e-12


def test_a_class_that_does_not_occur_has_no_entropy():
    targets, weights = np.array([0, 0, 2]), np.array([1.0, 0.0, 1.0])
    assert SoftmaxCrossEntropy().constant(targets, weights, 4) == pytest.approx(np.log(2))
    assert SoftmaxCrossEntropy().constant(targets[:1], weights[:1], 4) == 0
    none = np.zeros((5, 2))
    assert REGRESSION_LOSSES["poisson"].constant(none, np.ones(5), 2) == pytest.approx(0, abs=1e-99)

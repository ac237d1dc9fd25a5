"""Values that "auto" is resolved to; passing them means the same."""

from math import ceil

import numpy as np
import pytest
from sklearn.base import clone

from skcnn import ScratchCNNClassifier, ScratchCNNRegressor, summary
from skcnn.architectures import cnn, recipe
from skcnn.layers import BatchNorm, Conv2d, GlobalAvgPool2d
from skcnn.schedules import Cosine
from tests.shared import DIGITS, LABELS

TRAINING = {
    "lr", "lr_schedule", "weight_decay", "batch_size", "max_iter", "tol", "n_iter_no_change",
    "fixed_features",
}  # fmt: skip
NETWORK = {
    "filters", "kernel_size", "pool_size", "hidden_layer_sizes", "normalization", "global_pool",
    "random_shift",
}  # fmt: skip
X, y = DIGITS[:80], LABELS[:80]
SIGNALS = X.reshape(80, 1, 64)
SMALL = X[:, 26:30]


def untouched(**parameters):
    return ScratchCNNClassifier(random_state=0, **parameters)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [ScratchCNNClassifier, ScratchCNNRegressor])
@pytest.mark.parametrize("data", [X, SIGNALS])
def test_the_untouched_estimator_is_the_one_with_the_values_it_settled_on(kind, data):
    default = kind(random_state=0).fit(data, y)
    assert set(default.auto_params_) == TRAINING | NETWORK
    explicit = kind(random_state=0, **default.auto_params_).fit(data, y)
    assert np.array_equal(explicit.weights_, default.weights_)
    assert explicit.auto_params_ == {}
    assert default.get_params() == kind(random_state=0).get_params()
    assert not hasattr(clone(default), "auto_params_")


def test_the_network_depends_on_the_shape_of_the_images_alone():
    for rows in (2, 80):
        clf = untouched(max_iter=1).fit(X[:rows], np.arange(rows) % 2)
        assert clf.layers_[:-1] == cnn(**recipe((1, 8, 8)))
        clf = untouched(max_iter=1, fixed_features=0).fit(SIGNALS[:rows], np.arange(rows) % 2)
        assert clf.layers_[:-1] == cnn(**recipe((1, 1, 64)))
    kinds = [type(layer) for layer in clf.layers_]
    assert GlobalAvgPool2d in kinds
    assert BatchNorm in kinds
    assert clf.summary() == summary(cnn(**recipe((1, 1, 64))), (1, 64), 2, dtype=np.float64)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 2), (1, 5, 1), (2, 2, 2), (4, 1, 250)])
def test_the_network_takes_the_smallest_images(shape):
    images = np.random.default_rng(0).random((10, *shape))
    clf = untouched(max_iter=1, data_format="channels_first").fit(images, np.arange(10) % 2)
    assert np.isfinite(clf.predict_proba(images)).all()


@pytest.mark.parametrize("rows", [1, 5, 33, 80])
def test_epochs_are_those_of_enough_steps(rows):
    clf = ScratchCNNRegressor(filters=2, random_state=0).fit(X[:rows], y[:rows])
    batch_size, epochs = clf.auto_params_["batch_size"], clf.auto_params_["max_iter"]
    steps = ceil(rows / batch_size)
    assert clf.n_iter_ == epochs
    assert epochs >= 14
    assert (epochs - 1) * steps < 150 <= epochs * steps or epochs == 14


@pytest.mark.parametrize(("repeats", "epochs"), [(12, 14), (13, 12)])
def test_the_more_rows_the_fewer_epochs(repeats, epochs):
    clf = untouched(filters=2, hidden_layer_sizes=()).fit(
        np.repeat(X, repeats, axis=0), np.repeat(y, repeats)
    )
    assert clf.auto_params_["max_iter"] == clf.n_iter_ == epochs


@pytest.mark.parametrize(
    ("kind", "data", "rows", "expected"),
    [
        (ScratchCNNClassifier, X, 9_999, 6e-3),
        (ScratchCNNClassifier, X, 10_000, 3e-3),
        (ScratchCNNClassifier, X, 30_000, 5e-4),
        (ScratchCNNClassifier, SIGNALS, 80, 3e-3),
        (ScratchCNNRegressor, X, 80, 3e-3),
    ],
)
def test_few_images_decay_more(kind, data, rows, expected):
    images, labels = np.resize(data, (rows, *data.shape[1:])), np.resize(y, rows)
    fast = {"layers": [], "max_iter": 1, "random_state": 0}
    decayed = kind(**fast).fit(images, labels)
    assert decayed.auto_params_["weight_decay"] == expected
    explicit = kind(**fast, weight_decay=expected).fit(images, labels)
    assert np.array_equal(decayed.weights_, explicit.weights_)


@pytest.mark.parametrize(
    ("data", "rows", "batch_size", "epochs"),
    [
        (SMALL, 4_999, 32, 12), (SMALL, 5_000, 64, 12), (SMALL, 9_999, 64, 12),
        (SMALL, 10_000, 128, 11), (SMALL, 29_999, 128, 11), (SMALL, 30_000, 256, 10),
        (SIGNALS[..., 26:31], 30_000, 128, 10),
    ],
)  # fmt: skip
def test_the_more_rows_the_larger_the_batches(data, rows, batch_size, epochs):
    clf = untouched(layers=[]).fit(np.resize(data, (rows, *data.shape[1:])), np.resize(y, rows))
    assert clf.auto_params_["batch_size"] == batch_size
    assert clf.auto_params_["max_iter"] == clf.n_iter_ == epochs


def test_decay_is_kept_when_more_rows_come():
    many, labels = np.resize(X, (10_000, 64)), np.resize(y, 10_000)
    fast = {"layers": [], "max_iter": 1}
    warm = untouched(**fast, warm_start=True).fit(X, y).fit(many, labels)
    parts = untouched(**fast).partial_fit(X, y, classes=range(10)).partial_fit(many, labels)
    anew = untouched(**fast).fit(X, y).fit(many, labels)
    decays = [clf.auto_params_["weight_decay"] for clf in (warm, parts, anew)]
    assert decays == [6e-3, 6e-3, 3e-3]


def test_held_out_rows_do_not_count():
    clf = untouched(filters=2, early_stopping=True, n_iter_no_change=1000).fit(X, y)
    steps = ceil((80 - 10) / clf.auto_params_["batch_size"])
    assert clf.auto_params_["max_iter"] == ceil(150 / steps)


def test_values_that_are_given_stay():
    clf = untouched(
        filters=4, kernel_size=5, pool_size=1, hidden_layer_sizes=(), normalization=None,
        global_pool=False, random_shift=0, lr=1e-3, lr_schedule="cosine", weight_decay=0,
        batch_size=50, max_iter=3, tol=0.1, n_iter_no_change=2, fixed_features=0,
    )  # fmt: skip
    assert clf.fit(X, y).auto_params_ == {}
    assert clf.layers_[0] == Conv2d(4, 5, padding="same", clip=True)
    with_layers = untouched(layers=[Conv2d(2, 3)], max_iter=1).fit(X, y)
    assert set(with_layers.auto_params_) == TRAINING - {"max_iter"}


def test_the_rate_is_constant_where_the_end_is_not_known():
    def rates(clf):
        return clf.history_["lr"]

    assert len(set(rates(untouched(filters=2).fit(X, y)))) > 10
    warm = untouched(filters=2, warm_start=True, max_iter=3).fit(X, y)
    assert rates(warm) == [warm.auto_params_["lr"]] * 3
    part = untouched(filters=2).partial_fit(X, y, classes=range(10)).partial_fit(X, y)
    assert rates(part) == [part.auto_params_["lr"]] * 2
    assert warm.auto_params_["lr_schedule"] == part.auto_params_["lr_schedule"] == "constant"
    going_on = untouched(filters=2).fit(X, y).partial_fit(X, y)
    assert rates(going_on)[-1] == going_on.auto_params_["lr"] == warm.auto_params_["lr"]


def test_halves_equal_the_whole_to_the_bit():
    shared = {"filters": 4, "warm_start": True, "n_iter_no_change": 100}
    whole = untouched(**shared, max_iter=6).fit(X, y)
    halves = untouched(**shared, max_iter=3).fit(X, y).fit(X, y)
    assert np.array_equal(whole.weights_, halves.weights_)


@pytest.mark.parametrize("schedule", [Cosine(horizon=12), "one_cycle", "step"])
def test_no_schedule_is_cut_short_by_earlier_calls(schedule):
    rng = np.random.default_rng(0)
    noise = rng.random((60, 6, 6)), rng.integers(0, 2, 60)  # nothing to learn, nothing improves
    shared = {"filters": 2, "lr": 0.3, "optimizer": "sgd", "lr_schedule": schedule}
    parts = untouched(**shared, warm_start=True, max_iter=3)
    for _ in range(4):
        parts.fit(*noise)
    assert parts.n_iter_ == 12
    if isinstance(schedule, Cosine):
        whole = untouched(**shared, warm_start=True, max_iter=12).fit(*noise)
        assert np.array_equal(whole.weights_, parts.weights_)


def test_resolved_values_are_kept_when_training_goes_on():
    few = untouched(filters=2, warm_start=True).fit(X[:40], y[:40])
    resolved = {name: few.auto_params_[name] for name in ("batch_size", "max_iter")}
    assert (
        few.fit(np.repeat(X, 40, axis=0), np.repeat(y, 40)).auto_params_ | resolved
        == few.auto_params_
    )
    part = untouched(filters=2).partial_fit(X[:1], y[:1], classes=range(10))
    resolved = part.auto_params_
    assert part.partial_fit(np.repeat(X, 40, axis=0), np.repeat(y, 40)).auto_params_ == resolved


def test_one_cycle_runs_to_its_end_unless_something_else_is_said():
    constant_labels_are_learned_at_once = np.arange(80) % 2
    images = np.repeat(constant_labels_are_learned_at_once, 16).reshape(80, 16).astype(float)

    def epochs(**parameters):
        clf = untouched(filters=2, max_iter=40, **parameters)
        return clf.fit(images, constant_labels_are_learned_at_once).n_iter_

    assert epochs() == 40
    assert epochs(tol=0.01) < 40
    assert epochs(n_iter_no_change=2, tol=0.01) < 40
    assert epochs(early_stopping=True) < 40
    assert epochs(lr_schedule="constant", tol=0.01) < 40


def test_a_shape_is_needed_before_anything_is_built():
    clf = untouched(filters="automatic")
    with pytest.raises(ValueError, match="filters must be an int"):
        clf.fit(X, y)
    for name in TRAINING - {"n_iter_no_change"}:
        with pytest.raises(ValueError, match=rf"{name} must be .* or 'auto', got None"):
            untouched(**{name: None}).fit(X, y)
    for name in NETWORK:
        with pytest.raises(ValueError, match=rf"{name} must .* or 'auto', got 'x'"):
            untouched(**{name: "x"}).fit(X, y)
    with pytest.raises(
        ValueError, match=r"n_iter_no_change must be None or an int .*'auto', got 0"
    ):
        untouched(n_iter_no_change=0).fit(X, y)
    with pytest.raises(ValueError, match=r"filters\[0\] must be an int of at least 1, got 'auto'"):
        untouched(filters=("auto",)).fit(X, y)

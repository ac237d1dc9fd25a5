"""Constants: arrays of layers that training leaves as they are, some set from the training rows."""

from dataclasses import dataclass

import numpy as np
import pytest

from skcnn import ScratchCNNClassifier
from skcnn.data import Images
from skcnn.layers import BatchNorm, Conv2d, Dense, Dropout, Flatten, Layer, ReLU, Residual
from skcnn.network import Network
from skcnn.optimizers import Adam
from skcnn.state import new_state
from skcnn.training.minibatch import Buffers

FRACTIONS = np.array([0.1, 0.5, 0.9])


@dataclass(frozen=True, repr=False, eq=False)
class Center(Layer):
    """Subtracts a number per channel: the mean of rows in the middle of the order."""

    writes = "over_x"
    reads_rows = True

    def output_shape(self, input_shape):
        return input_shape

    def constant_shapes(self, input_shape):
        return {"center": input_shape[:1]}

    def init_from_rows(self, params, rows):
        chosen = rows.at(FRACTIONS)
        total = np.zeros_like(params["center"])
        for _, x in rows.batches(chosen):
            total += x.mean(axis=tuple(range(1, x.ndim - 1))).sum(axis=-1)
        params["center"][...] = total / len(chosen)

    def forward(self, x, y, params, scratch, training, rng):
        np.subtract(x, np.expand_dims(params["center"], tuple(range(1, x.ndim))), out=y)

    def backward(self, dx, dy, x, y, params, grads, scratch):
        assert "center" not in grads
        if dx is not None:
            np.copyto(dx, dy)


LAYERS = [
    Conv2d(3, 3), BatchNorm(4), Center(), ReLU(), Residual([Center(), Conv2d(3, 3, padding=1)]),
    Dropout(0.1), Flatten(),
]  # fmt: skip


def rows_of(X, sample_weight=None):
    weight = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight, float)
    return Images(X, X.shape[1:]).training_rows(weight, np.dtype(np.float64))


def test_constants_are_the_fourth_part_and_gradients_have_none():
    network = Network([*LAYERS, Dense(2)], (1, 6, 6), np.float64)
    vector = network.init(np.random.default_rng(0))
    assert len(vector) == network.vector_size == network.gradient_size + 6
    assert network.gradient_size == network.n_parameters + 6  # BatchNorm's moments
    params, grads = network.unpack(vector), network.unpack(vector[: network.gradient_size])
    constants = {(2, "center"), (4, "0.center")}
    names, left = ({(i, n) for i, own in enumerate(them) for n in own} for them in (params, grads))
    assert names - left == constants
    ends = vector[network.gradient_size :]
    assert all(np.shares_memory(ends, params[i][name]) for i, name in constants)
    X, dY = np.ones((2, 1, 6, 6)), np.ones((2, 2))
    gradient = network.vjp(X, vector, dY, training=False)[2]
    assert gradient.shape == (network.gradient_size,)
    with pytest.raises(ValueError, match=f"has {network.vector_size} numbers"):
        network.forward(X, gradient)


def test_moments_and_slots_have_none():
    network = Network([*LAYERS, Dense(2)], (1, 6, 6), np.float64)
    state = new_state(network, Adam(), 0)
    assert {len(moment) for moment in state.moments.values()} == {network.n_parameters}
    buffers = Buffers.private(network, state, n_samples=8, n_slots=2)
    assert buffers.slots.shape == (2, network.gradient_size)


def test_constants_are_set_from_the_input_of_their_layer():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 1, 6, 6))
    network = Network(LAYERS, (1, 6, 6), np.float64)
    vector, rows = network.init(rng), rows_of(X)
    assert network.reads_rows
    network.init_from_rows(vector, rows)
    chosen, params = rows.at(FRACTIONS), network.unpack(vector)
    front = Network(LAYERS[:2], (1, 6, 6), np.float64)
    before = front.forward(X[chosen], front.init(np.random.default_rng(0)))
    own = front.unpack(front.init(np.random.default_rng(0)))
    for mine, theirs in zip(own, params, strict=False):
        assert mine.keys() == theirs.keys()
    flat = np.concatenate(
        [params[0]["weight"].ravel(), params[0]["bias"], params[1]["weight"], params[1]["bias"],
         params[1]["running_mean"], params[1]["running_variance"]]
    )  # fmt: skip
    before = front.forward(X[chosen], flat)
    center = before.mean(axis=(0, 2, 3))
    np.testing.assert_allclose(params[2]["center"], center, atol=1e-12)
    inside = np.maximum(before - center[:, None, None], 0).mean(axis=(0, 2, 3))
    np.testing.assert_allclose(params[4]["0.center"], inside, atol=1e-12)


def test_repetition_equals_weights_and_order_does_not_matter():
    rng = np.random.default_rng(1)
    # many rows agree in mean and deviation
    X = np.array([rng.permutation(np.repeat([0.0, 1.0, 2.0], 12)) for _ in range(30)])
    X = X.reshape(30, 1, 6, 6)
    w = rng.integers(0, 4, 30)
    shuffled = rng.permutation(np.repeat(np.arange(30), w))
    fractions = rng.random(200)
    weighted, repeated = rows_of(X, w), rows_of(X[shuffled])
    assert np.array_equal(X[weighted.at(fractions)], X[shuffled][repeated.at(fractions)])
    scaled = rows_of(X, w * 1e-3)
    assert np.array_equal(weighted.at(fractions), scaled.at(fractions))
    counts = np.bincount(weighted.at((np.arange(w.sum()) + 0.5) / w.sum()), minlength=30)
    assert np.array_equal(counts, w)


def test_rows_come_in_batches(monkeypatch):
    X = np.random.default_rng(0).normal(size=(9, 1, 6, 6))
    rows = rows_of(X).after(ReLU(), {})
    monkeypatch.setattr("skcnn.layers.training_rows.BLOCK_BYTES", 2000)
    chosen = np.array([3, 3, 8, 0, 1])
    parts = [(part, np.moveaxis(x, -1, 0)) for part, x in rows.batches(chosen)]
    assert len(parts) > 1
    assert np.array_equal(np.concatenate([np.arange(5)[part] for part, _ in parts]), np.arange(5))
    for part, x in parts:
        assert np.array_equal(x, np.maximum(X[chosen[part]], 0))


class TestTraining:
    X = np.random.default_rng(3).normal(2, 1, size=(40, 6, 6))
    y = np.repeat([0, 1], 20)

    def fitted(self, **params):
        settings = {"max_iter": 3, "random_state": 0, "weight_decay": 0.1, "lr": 0.01}
        return ScratchCNNClassifier(LAYERS, **settings | params)

    def constants(self, clf):
        return clf.weights_[clf.network_.gradient_size :]

    def test_training_leaves_them(self):
        begun = self.fitted().initialize(self.X, self.y)
        constants = self.constants(begun)
        assert constants.any()
        clf = self.fitted().fit(self.X, self.y)
        assert np.array_equal(self.constants(clf), constants)
        assert not np.array_equal(clf.weights_, begun.weights_)

    def test_going_on_leaves_them(self):
        clf = self.fitted(warm_start=True).fit(self.X, self.y)
        constants = self.constants(clf)
        clf.fit(self.X + 100, self.y)
        assert np.array_equal(self.constants(clf), constants)

    def test_parts_are_measured_once(self):
        clf = self.fitted().partial_fit(self.X, self.y, classes=[0, 1])
        constants = self.constants(clf)
        assert constants.any()
        clf.partial_fit(self.X + 100, self.y)
        assert np.array_equal(self.constants(clf), constants)

    def test_held_out_rows_are_not_seen(self):
        other = np.where(np.arange(40)[:, None, None] < 30, self.X, 1e3)
        kept = [self.fitted(early_stopping=True, scale_input=False) for _ in range(2)]
        for clf, X in zip(kept, (self.X, other), strict=True):
            clf.fit(X[:30], self.y[5:35], X_val=X[30:], y_val=self.y[:10])
        assert np.array_equal(*map(self.constants, kept))

    def test_weights_equal_repetition(self):
        w = np.random.default_rng(0).integers(0, 3, 40)
        again = np.repeat(np.arange(40), w)[::-1]
        weighted = self.fitted(dtype="float64").initialize(self.X, self.y, w)
        repeated = self.fitted(dtype="float64").initialize(self.X[again], self.y[again])
        np.testing.assert_allclose(
            self.constants(weighted), self.constants(repeated), rtol=1e-10, atol=1e-12
        )

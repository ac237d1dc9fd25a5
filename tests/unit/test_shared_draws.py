"""Layers that draw once for a whole mini-batch."""

from dataclasses import dataclass

import numpy as np
import pytest

from skcnn import ScratchCNNClassifier
from skcnn.layers import (
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    Layer,
    MaxPool2d,
    RandomShift,
    ReLU,
    Residual,
)
from skcnn.network import Network
from skcnn.state import layer_stream


def shifted(image, down, right):
    """The naive loop."""
    _, H, W = image.shape
    out = np.zeros_like(image)
    for i in range(H):
        for j in range(W):
            if 0 <= i - down < H and 0 <= j - right < W:
                out[:, i, j] = image[:, i - down, j - right]
    return out


def forward(layers, X, seed=0):
    network = Network(layers, X.shape[1:], X.dtype)
    vector = np.zeros(network.vector_size, X.dtype)
    return network.forward(X, vector, True, np.random.default_rng(seed))


@pytest.mark.parametrize("pixels", [1, 2, (0, 3), (3, 1)])
def test_distances_are_triangular_and_the_shift_is_the_naive_loop(pixels):
    down, right = np.broadcast_to(pixels, 2).tolist()
    image = np.random.default_rng(0).standard_normal((2, 4, 5))
    layer, counts = RandomShift(pixels), {}
    for seed in range(3000):
        Y = forward([layer], image[np.newaxis], seed)
        counts[Y.tobytes()] = counts.get(Y.tobytes(), 0) + 1
    expected = {
        shifted(image, i, j).tobytes(): (down + 1 - abs(i)) * (right + 1 - abs(j))
        for i in range(-down, down + 1)
        for j in range(-right, right + 1)
    }
    assert counts.keys() == expected.keys()
    total = ((down + 1) * (right + 1)) ** 2
    for found, weight in expected.items():
        assert counts[found] / 3000 == pytest.approx(weight / total, abs=0.03)


@pytest.mark.parametrize("inside", [False, True])
def test_all_micro_batches_of_a_call_draw_the_same(inside):
    n = 300  # of which up to 128 go through the layers together
    shift = RandomShift(3)
    layers = [Residual([ReLU()], shift)] if inside else [shift, RandomShift(1)]
    X = np.repeat(np.random.default_rng(0).random((1, 1, 9, 9)), n, axis=0)
    Y = forward(layers, X)
    assert len(np.unique(Y.reshape(n, -1), axis=0)) == 1
    assert not np.array_equal(Y, forward(layers, X, seed=1))
    network = Network(layers, (1, 9, 9), np.float64)
    assert network.cost.micro_batch_size(n) < n
    again, dX, _ = network.vjp(X, np.zeros(0), X, rng=np.random.default_rng(0))
    assert np.array_equal(again, Y)
    assert len(np.unique(dX.reshape(n, -1), axis=0)) == 1


def test_two_layers_draw_different_numbers():
    X = np.random.default_rng(0).random((1, 1, 9, 9))
    twice = [forward([RandomShift(2), RandomShift(2)], X, seed) for seed in range(20)]
    ways = {shifted(X[0], 2 * i, 2 * j).tobytes() for i in (-1, 0, 1) for j in (-1, 0, 1)}
    assert any(Y[0].tobytes() not in ways for Y in twice)


def test_other_layers_still_draw_anew_in_every_micro_batch():
    Y = forward([RandomShift(1), Dropout(0.5)], np.ones((300, 1, 6, 6)))
    assert len(np.unique(Y.reshape(300, -1), axis=0)) == 300


def test_streams_differ_by_epoch_and_batch_only():
    def drawn(*where):
        return tuple(layer_stream(7, *where).shared.integers(2**40, size=3).tolist())

    assert drawn(1, 2, 0) == drawn(1, 2, 5)
    assert len({drawn(1, 2, 0), drawn(2, 1, 0), drawn(1, 3, 0), drawn(0, 2, 0)}) == 4
    one = layer_stream(7, 1, 2, 3)
    assert tuple(one.integers(2**40, size=3).tolist()) != drawn(1, 2, 3)


@pytest.mark.parametrize("layer", [RandomShift(2), Residual([RandomShift(2)])], ids=repr)
def test_integer_weights_equal_repetition(layer):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((24, 18, 18)), np.arange(24) % 3
    X[:, 4:8] += y[:, np.newaxis, np.newaxis]
    weights = rng.integers(1, 4, 24)
    layers = [layer, Conv2d(4, 3), MaxPool2d(2), BatchNorm(100), ReLU(), Flatten()]
    settings = {
        "max_iter": 5, "batch_size": 1000, "shuffle": False, "lr_schedule": "constant",
        "optimizer": "sgd", "lr": 0.05, "random_state": 0,
    }  # fmt: skip
    weighted = ScratchCNNClassifier(layers, **settings).fit(X, y, sample_weight=weights)
    repeated = ScratchCNNClassifier(layers, **settings)
    repeated.fit(np.repeat(X, weights, axis=0), np.repeat(y, weights))
    assert weighted.weights_ == pytest.approx(repeated.weights_, abs=1e-12)


def test_a_layer_of_ones_own_may_draw_per_batch():
    """The depth of Huang et al. (2016), which is drawn for a mini-batch as a whole."""

    @dataclass(frozen=True, repr=False, eq=False)
    class RandomDepth(Layer):
        draws = draws_per_batch = True

        def output_shape(self, input_shape):
            return input_shape

        def forward(self, x, y, params, scratch, training, rng):
            np.multiply(x, 1.0 if not training or rng.random() < 0.5 else 0.0, out=y)

        def backward(self, dx, dy, x, y, params, grads, scratch):
            raise NotImplementedError

    X = np.random.default_rng(0).random((300, 1, 4, 4)) + 1
    kinds = set()
    for seed in range(20):
        factors = forward([Residual([RandomDepth()])], X, seed) / X
        assert np.ptp(factors) == 0
        kinds.add(float(factors.flat[0]))
    assert kinds == {1.0, 2.0}

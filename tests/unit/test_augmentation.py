"""Layers that change images at random."""

from contextlib import contextmanager
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skcnn import ScratchCNNClassifier
from skcnn.layers import (
    Conv2d,
    Flatten,
    GaussianNoise,
    RandomCrop,
    RandomFlip,
    RandomRotation,
    RandomScale,
    RandomShift,
    Tanh,
)
from skcnn.layers.generators import LayerGenerator
from skcnn.network import Network
from tests.oracles import warped

BY_SAMPLE = [RandomCrop(2), RandomCrop((0, 3)), RandomFlip(), RandomFlip(True, True)]
BY_SAMPLE += [RandomScale(0.3), RandomRotation(30), GaussianNoise(0.5)]
LAYERS = [*BY_SAMPLE, RandomShift(2), RandomShift((1, 3))]

every_layer = pytest.mark.parametrize("layer", LAYERS, ids=repr)


def forward(layer, X, seed=0, training=True):
    network = Network([layer], X.shape[1:], X.dtype)
    return network.forward(X, np.zeros(0, X.dtype), training, np.random.default_rng(seed))


@every_layer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nothing_happens_at_prediction(layer, dtype):
    rng = np.random.default_rng(0)
    X, dY = (rng.standard_normal((7, 2, 5, 6)).astype(dtype) for _ in range(2))
    network = Network([layer], (2, 5, 6), dtype)
    assert np.array_equal(network.forward(X, np.zeros(0)), X)
    Y, dX, _ = network.vjp(X, np.zeros(0, dtype), dY, training=False)
    assert np.array_equal(Y, X)
    assert np.array_equal(dX, dY)


@pytest.mark.parametrize("layer", BY_SAMPLE, ids=repr)
def test_each_sample_is_drawn_on_its_own(layer):
    X = np.repeat(np.random.default_rng(0).standard_normal((1, 1, 6, 6)), 32, axis=0)
    Y = forward(layer, X)
    different = np.unique(Y.reshape(32, -1), axis=0)
    assert len(different) >= (2 if layer == RandomFlip() else 4)
    assert not np.array_equal(Y, forward(layer, X, seed=1))


@every_layer
def test_the_layer_before_keeps_what_it_reads_again(layer):
    """`Tanh` reads its own output: what follows must not be written over it."""
    X = np.random.default_rng(0).standard_normal((3, 2, 5, 5))
    layers = [Conv2d(2, 1), Tanh(), layer, Conv2d(2, 2), Flatten()]
    network = Network(layers, (2, 5, 5), np.float64)
    vector = network.init(np.random.default_rng(0))
    dY = np.random.default_rng(1).standard_normal((3, *network.output_shape))

    def loss(vector):
        return np.sum(dY * network.forward(X, vector, True, np.random.default_rng(2)))

    _, _, gradient = network.vjp(X, vector, dY, rng=np.random.default_rng(2))
    direction = np.random.default_rng(3).standard_normal(vector.shape)
    change = (loss(vector + 1e-6 * direction) - loss(vector - 1e-6 * direction)) / 2e-6
    assert gradient @ direction == pytest.approx(change, rel=1e-6)


def test_all_crops_are_equally_likely():
    image = np.random.default_rng(0).standard_normal((2, 4, 5))
    Y = forward(RandomCrop((1, 2)), np.repeat(image[np.newaxis], 6000, axis=0))
    padded = np.pad(image, ((0, 0), (1, 1), (2, 2)))
    found = 0
    for r in range(3):
        for c in range(5):
            count = np.sum((padded[:, r : r + 4, c : c + 5] == Y).all(axis=(1, 2, 3)))
            assert count / 6000 == pytest.approx(1 / 15, abs=0.015)
            found += count
    assert found == 6000


@pytest.mark.parametrize("ways", [(True, False), (False, True), (True, True)])
def test_all_flips_are_equally_likely(ways):
    image = np.random.default_rng(0).standard_normal((2, 3, 4))
    Y = forward(RandomFlip(*ways), np.repeat(image[np.newaxis], 4000, axis=0))
    flips = [image]
    if ways[0]:
        flips.append(image[:, :, ::-1])
    if ways[1]:
        flips += [flipped[:, ::-1] for flipped in flips]
    counts = [np.sum((flipped == Y).all(axis=(1, 2, 3))) for flipped in flips]
    assert sum(counts) == 4000
    np.testing.assert_allclose(counts, 4000 / len(flips), atol=120)


def test_the_same_flips_twice_give_the_image_back():
    X = np.random.default_rng(0).standard_normal((50, 3, 4, 5))
    Y = forward(RandomFlip(True, True), X, seed=5)
    assert not np.array_equal(Y, X)
    assert np.array_equal(forward(RandomFlip(True, True), Y, seed=5), X)


@pytest.mark.parametrize(
    "layer", [RandomRotation(0), RandomScale(0), RandomCrop(0), RandomShift(0)]
)
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 4, 5), (1, 1, 9)])
def test_without_range_nothing_changes(layer, shape):
    X = np.random.default_rng(0).standard_normal((6, *shape)).astype(np.float32)
    assert np.array_equal(forward(layer, X), X)


@contextmanager
def drawing(number):
    """Layers draw this number only; yields the intervals that they draw from."""
    intervals = []

    def uniform(self, low, high, size):
        intervals.append((low, high))
        return np.full(size, number)

    with patch.object(LayerGenerator, "uniform", uniform):
        yield intervals


def with_drawn(number, layer, X):
    network = Network([layer], X.shape[1:], np.float64)
    with drawing(number) as intervals:
        Y = network.forward(X, np.zeros(0), True, np.random.default_rng(0))
    return Y, intervals


few = settings(max_examples=25)
shapes = st.tuples(st.integers(1, 2), st.integers(1, 6), st.integers(1, 6))


@few
@given(degrees=st.floats(-180, 180), shape=shapes)
def test_rotation_is_the_naive_loop(degrees, shape):
    X = np.random.default_rng(0).standard_normal((2, *shape))
    Y, intervals = with_drawn(degrees, RandomRotation(180), X)
    angle = np.deg2rad(degrees)
    back = [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
    np.testing.assert_allclose(Y, [warped(x, back) for x in X], atol=1e-10)
    assert intervals == [(-180, 180)]


@few
@given(size=st.floats(0.1, 1.9), shape=shapes)
def test_scaling_is_the_naive_loop(size, shape):
    X = np.random.default_rng(0).standard_normal((2, *shape))
    Y, intervals = with_drawn(size, RandomScale(0.9), X)
    np.testing.assert_allclose(
        Y, [warped(x, [[1 / size, 0], [0, 1 / size]]) for x in X], atol=1e-10
    )
    assert intervals == [(1 - 0.9, 1 + 0.9)]


@pytest.mark.parametrize("turns", [-2, -1, 1, 2])
def test_right_angles_are_exact(turns):
    X = np.random.default_rng(0).standard_normal((1, 2, 5, 5))
    Y, _ = with_drawn(90.0 * turns, RandomRotation(180), X)
    np.testing.assert_allclose(Y, np.rot90(X, turns, axes=(2, 3)), atol=1e-12)


def test_double_size_shows_the_middle_and_half_size_has_a_border():
    X = np.ones((1, 1, 8, 8))
    assert np.array_equal(with_drawn(1.5, RandomScale(0.9), X)[0], X)
    half = with_drawn(0.5, RandomScale(0.9), X)[0][0, 0]
    assert half[2:6, 2:6].min() == 1
    assert half.sum() == 16


def test_a_classifier_learns_from_augmented_images():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 1, 8, 8)).astype(np.float32) * 0.1
    y = np.arange(60) % 2
    X[y == 1, :, 2:6, 2:6] += 1
    layers = [RandomCrop(1), RandomFlip(), RandomRotation(10), RandomScale(0.1), Conv2d(4, 3)]
    fits = [ScratchCNNClassifier(layers, max_iter=10, random_state=0).fit(X, y) for _ in range(2)]
    assert fits[0].score(X, y) == 1
    assert np.array_equal(fits[0].weights_, fits[1].weights_)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_noise_has_its_deviation_and_leaves_gradients_as_they_are(dtype):
    X = np.full((500, 1, 8, 9), 3, dtype)
    noise = forward(GaussianNoise(0.25), X) - X
    assert noise.dtype == dtype
    assert abs(noise.mean()) < 0.01
    assert np.std(noise) == pytest.approx(0.25, rel=0.02)
    within = np.mean(np.abs(noise) < 0.25)
    assert within == pytest.approx(0.683, abs=0.01)
    network = Network([GaussianNoise(0.25)], (1, 8, 9), dtype)
    _, dX, _ = network.vjp(X, np.zeros(0, dtype), X, rng=np.random.default_rng(0))
    assert np.array_equal(dX, X)

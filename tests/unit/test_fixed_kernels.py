"""Kernels that follow from a rule, and proportions above thresholds of the training rows."""

from itertools import combinations

import numpy as np
import pytest

from skcnn import ScratchCNNClassifier
from skcnn.data import Images
from skcnn.layers import Conv2d, FixedConv, PPVPool, ReLU
from skcnn.network import Network


def weight_of(layer, shape, seed=0):
    network = Network([layer], shape, np.float64)
    return network.unpack(network.init(np.random.default_rng(seed)))[0]["weight"]


def rows_of(X, sample_weight=None):
    weight = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight, float)
    return Images(X, X.shape[1:]).training_rows(weight, np.dtype(X.dtype))


def pooled(layers, X, sample_weight=None):
    """The network with what it has seen of these rows, and its last layer's arrays."""
    network = Network(layers, X.shape[1:], X.dtype)
    vector = network.init(np.random.default_rng(0))
    network.init_from_rows(vector, rows_of(X, sample_weight))
    return network, vector, network.unpack(vector)[-1]


def test_minirocket_has_all_84_kernels_of_three_twos():
    weight = weight_of(FixedConv(), (1, 1, 40))
    assert weight.shape == (84, 1, 1, 9)
    kernels = {tuple(kernel) for kernel in weight[:, 0, 0]}
    expected = {
        tuple(2.0 if i in places else -1.0 for i in range(9))
        for places in combinations(range(9), 3)
    }
    assert kernels == expected


def test_several_channels_are_drawn():
    weight = weight_of(FixedConv(), (12, 1, 40))
    seen = weight.any(axis=(2, 3))
    assert (weight == np.where(seen[:, :, None, None], weight_of(FixedConv(), (1, 1, 9)), 0)).all()
    counts = seen.sum(axis=1)
    assert set(counts) == set(range(1, 10))
    assert not np.array_equal(weight, weight_of(FixedConv(), (12, 1, 40), seed=1))
    assert weight_of(FixedConv(), (2, 1, 40)).any(axis=(2, 3)).any(axis=1).all()


@pytest.mark.parametrize(
    ("kernels", "size", "expected"),
    [
        ("increasing", 2, [-1, 1]),
        ("increasing", 4, [-1, 1, -1, 1]),
        ("decreasing", 4, [1, -1, 1, -1]),
        ("peak", 4, [-1, -1, 2, 2, -1, -1]),
        ("peak", 8, [-0.25, -1, -1, -0.25, 0.5, 2, 2, 0.5, -0.25, -1, -1, -0.25]),
    ],
)
def test_detectors_sum_all_channels(kernels, size, expected):
    weight = weight_of(FixedConv(kernels, size), (3, 1, 20))
    assert weight.tolist() == [[[expected]] * 3]


def test_given_kernels():
    summed = np.array([[1.0, 2.0], [0.0, 1.0]])
    assert weight_of(FixedConv(summed), (2, 1, 8)).tolist() == [
        [[[1, 2]], [[1, 2]]], [[[0, 1]], [[0, 1]]]
    ]  # fmt: skip
    own = np.arange(6.0).reshape(1, 3, 2)
    assert np.array_equal(weight_of(FixedConv(own), (3, 1, 8)), own[:, :, None])
    image = np.arange(8.0).reshape(2, 1, 2, 2)
    assert np.array_equal(weight_of(FixedConv(image), (1, 5, 5)), image)
    layer = FixedConv(own)
    assert layer == FixedConv(own.tolist()) != FixedConv(own + 1)
    assert hash(layer) == hash(FixedConv(own))


def test_it_is_the_convolution_of_these_weights():
    X = np.random.default_rng(0).normal(size=(3, 2, 1, 30))
    fixed = Network([FixedConv(dilation=(1, 3))], (2, 1, 30), np.float64)
    vector = fixed.init(np.random.default_rng(0))
    trained = Network(
        [Conv2d(84, (1, 9), padding="same", dilation=(1, 3), bias=False)], (2, 1, 30), np.float64
    )
    assert (fixed.n_parameters, fixed.gradient_size) == (0, 0)
    np.testing.assert_allclose(fixed.forward(X, vector), trained.forward(X, vector), atol=1e-12)
    dY = np.random.default_rng(1).normal(size=(3, 84, 1, 30))
    dX = [network.vjp(X, vector, dY)[1] for network in (fixed, trained)]
    np.testing.assert_allclose(*dX, atol=1e-12)


def test_thresholds_are_quantiles_of_training_rows():
    """By the definition, one channel and one threshold after another."""
    X = np.random.default_rng(0).normal(size=(17, 3, 1, 25)).cumsum(axis=3)
    layer = PPVPool(4, ramp=0.3, offset=5)
    _, _, params = pooled([ReLU(), layer], X)
    ordered = sorted(X, key=lambda x: (x.std(), x.mean()))
    sample = np.array([ordered[int((i + 0.5) / 16 * 17)] for i in range(16)]).clip(0)
    for c in range(3):
        u = (5 + c + 1) * 0.7548776662466927 % 1
        values = ordered[int(u * 17)][c, 0].clip(0)
        low, high = np.sort(values)[[int(0.16 * 25), int(0.84 * 25)]]
        spread = max((high - low) / 2, 0.02 * values.std())
        width = max(0.3 * spread, 1e-3 * sample[:, c].std())
        assert params["scale"][c] == pytest.approx(1 / width)
        for t in range(4):
            q = ((5 + c) * 4 + t + 1) * (5**0.5 - 1) / 2 % 1
            begin = np.quantile(values, q) - width / 2
            assert params["threshold"][c, t] == pytest.approx(begin / width)


def test_a_narrow_ramp_is_the_proportion_above_the_threshold():
    X = np.random.default_rng(0).normal(size=(9, 2, 1, 50))
    network, vector, params = pooled([PPVPool(3, ramp=1e-9)], X)
    params["scale"][...], params["threshold"][...] = 1e9, [[1e9, 0, -5e8]] * 2
    above = [(limit < X).mean(axis=(2, 3)) for limit in (1, 0, -0.5)]
    np.testing.assert_allclose(network.forward(X, vector), np.stack(above, -1).reshape(9, 6))


def test_every_other_channel_leaves_the_margin_out():
    X = np.zeros((2, 4, 1, 10))
    X[..., :2] = 9
    network, vector, params = pooled([PPVPool(1, margin=2, offset=1)], X)
    params["scale"][...], params["threshold"][...] = 1, 1
    assert network.forward(X, vector).tolist() == [[0, 0.2, 0, 0.2]] * 2


def test_repetition_equals_weights():
    rng = np.random.default_rng(0)
    X, w = rng.normal(size=(40, 1, 1, 60)).cumsum(axis=3), rng.integers(0, 4, 40)
    layers = [FixedConv(), PPVPool(3, ramp=0.2, margin=4)]
    again = rng.permutation(np.repeat(np.arange(40), w))
    found = [pooled(layers, X, w)[1], pooled(layers, X[again])[1], pooled(layers, X, w / 9)[1]]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-9)
    assert np.array_equal(found[0], found[2])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("length", [1, 2, 8, 300])
def test_any_rows_give_finite_proportions(length, dtype):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(6, 2, 1, length)).astype(dtype)
    X[1] = 0
    X[2] *= 1e15
    X[3] = 1e-15
    for rows in (X, X[1:2], X[3:4]):
        network, vector, _ = pooled([FixedConv(dilation=(1, 2)), PPVPool(5, ramp=0.05)], rows)
        Y = network.forward(X, vector)
        assert np.isfinite(vector).all()
        assert ((Y >= 0) & (Y <= 1 + 1e-6)).all()


@pytest.mark.parametrize("length", [10, 300, 5000])
def test_the_size_of_buffers_stays(length):
    X = np.random.default_rng(0).normal(size=(2, 3, 1, length))
    usual = np.getbufsize()
    network, vector, arrays = pooled([PPVPool(2)], X)
    height = arrays["scale"][:, None] * X[:, :, 0] - arrays["threshold"][0, :1]
    expected = np.clip(height, 0, 1).mean(axis=2)[:, 0]
    np.testing.assert_allclose(network.forward(X, vector)[:, 0], expected, atol=1e-12)
    assert np.getbufsize() == usual


def test_a_wide_backward_ramp_sees_more():
    X = np.linspace(-1, 1, 201)[None, None, None]
    network, vector, params = pooled([PPVPool(1, ramp=0.1, backward_ramp=0.4)], X)
    params["scale"][...], params["threshold"][...] = 10, -0.5  # a ramp from -0.05 to 0.05
    dX = network.vjp(X, vector, np.ones((1, 1)))[1][0, 0, 0]
    assert np.array_equal(dX != 0, np.abs(X[0, 0, 0]) < 0.2)
    assert dX.sum() == pytest.approx(dX.max() * (dX != 0).sum()) == pytest.approx(0.5, rel=0.05)


def test_layers_of_a_classifier():
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    X = rng.normal(size=(60, 130)).cumsum(axis=1) + 3 * y[:, None] * np.sin(np.arange(130))
    layers = [FixedConv(dilation=(1, 2)), PPVPool(3)]
    clf = ScratchCNNClassifier(layers, max_iter=20, random_state=0).fit(X[:40], y[:40])
    begun = ScratchCNNClassifier(layers, max_iter=20, random_state=0).initialize(X[:40], y[:40])
    assert clf.score(X[40:], y[40:]) > 0.9
    for fitted, first in zip(clf.get_weights()[:2], begun.get_weights()[:2], strict=True):
        for name, array in fitted.items():
            assert np.array_equal(array, first[name])

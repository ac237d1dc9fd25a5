"""Batch normalization in training, and the running moments."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from skcnn import ScratchCNNClassifier, ScratchCNNRegressor
from skcnn.data import Images, Samples
from skcnn.layers import BatchNorm, Conv2d, Dense, Flatten, ReLU
from skcnn.network import Network
from skcnn.optimizers import SGD
from skcnn.parallel.threads import Threads
from skcnn.state import new_state
from skcnn.training.config import TrainingConfig
from skcnn.training.trainer import train
from tests.oracles import numerical_gradient

GHOSTS = {  # samples -> ghost batches of 4
    1: [1], 2: [2], 4: [4], 5: [5], 6: [4, 2], 8: [4, 4], 9: [4, 5], 11: [4, 4, 3], 13: [4, 4, 5],
}  # fmt: skip


def naive(x, ghosts, gamma, beta, epsilon):
    """Normalize (n, channels, ...) ghost batch by ghost batch, number by number."""
    y, moments, start = np.zeros_like(x), [], 0
    for size in ghosts:
        part = x[start : start + size]
        for c in range(x.shape[1]):
            numbers = [float(v) for v in part[:, c].flat]
            mean = sum(numbers) / len(numbers)
            variance = sum((v - mean) ** 2 for v in numbers) / len(numbers)
            y[start : start + size, c] = (
                gamma[c] * (part[:, c] - mean) / (variance + epsilon) ** 0.5 + beta[c]
            )
            moments.append((size, c, mean, variance))
        start += size
    return y, moments


@pytest.mark.parametrize("n", GHOSTS)
@pytest.mark.parametrize("shape", [(3,), (3, 2, 5)])
def test_training_uses_the_moments_of_each_ghost_batch(n, shape):
    layer = BatchNorm(4, momentum=0.7, epsilon=1e-3)
    network = Network([layer], shape, np.float64)
    rng = np.random.default_rng(n)
    vector = network.init(rng)
    vector += 0.2 * rng.random(vector.shape)
    params = network.unpack(vector)[0]
    X = rng.normal(2, 3, (n, *shape))
    expected, moments = naive(X, GHOSTS[n], params["weight"], params["bias"], 1e-3)
    Y = network.forward(X, vector, training=True)
    np.testing.assert_allclose(Y, expected, rtol=1e-10, atol=1e-10)

    Y, _, gradient = network.vjp(X, vector, np.ones_like(Y))
    np.testing.assert_allclose(Y, expected, rtol=1e-10, atol=1e-10)
    moves = network.unpack(gradient)[0]
    for c in range(3):
        mean = sum(size * m for size, channel, m, _ in moments if channel == c) / n
        variance = sum(size * v for size, channel, _, v in moments if channel == c) / n
        for name, average in (("running_mean", mean), ("running_variance", variance)):
            assert moves[name][c] == pytest.approx(n * (params[name][c] - average))
    assert network.state_rates == pytest.approx(np.full(6, 0.3))


def test_without_training_the_gradient_is_that_of_a_fixed_scale():
    network = Network([BatchNorm()], (2,), np.float64)
    vector = network.init(np.random.default_rng(0))
    network.unpack(vector)[0]["running_variance"][...] = 4
    X = np.array([[1.0, 2.0], [3.0, 5.0]])
    Y, dX, gradient = network.vjp(X, vector, np.ones((2, 2)), training=False)
    np.testing.assert_allclose(Y, X / np.sqrt(4 + 1e-5))
    np.testing.assert_allclose(dX, np.full((2, 2), 1 / np.sqrt(4 + 1e-5)))
    grads = network.unpack(gradient)[0]
    np.testing.assert_allclose(grads["weight"], Y.sum(axis=0))
    assert not grads["running_mean"].any()
    assert not grads["running_variance"].any()


def test_the_flat_vector_ends_with_what_is_not_trained():
    network = Network([Conv2d(2, 3), BatchNorm(), ReLU(), Flatten(), Dense(3)], (1, 5, 5))
    decayed, trained = 2 * 9 + 3 * 18, 2 * 9 + 3 * 18 + 2 + 4 + 3
    assert (network.n_decayed, network.n_parameters) == (decayed, trained)
    assert network.vector_size == trained + 4
    vector = network.init(np.random.default_rng(0))
    assert np.array_equal(vector[trained:], [0, 0, 1, 1])
    assert len(SGD().moments(vector[: network.n_parameters])["velocity"]) == trained


def test_micro_batches_hold_whole_ghost_batches():
    network = Network([BatchNorm(24), BatchNorm(16)], (4,))
    assert network.cost.micro_batch_size() % 48 == 0
    assert network.cost.micro_batch_size(max_bytes=1) == 48
    assert network.cost.split(97, 48) == [slice(0, 48), slice(48, 97)]
    assert network.cost.split(98, 48) == [slice(0, 48), slice(48, 96), slice(96, 98)]
    assert network.cost.split(1, 48) == [slice(0, 1)]


@pytest.mark.parametrize("n_threads", [1, 2])
def test_running_moments_do_not_depend_on_micro_batches_or_threads(n_threads):
    rng = np.random.default_rng(0)
    X, y = rng.random((65, 1, 4, 4)), rng.integers(0, 2, 65)
    network = Network([BatchNorm(8), Flatten(), Dense(2)], (1, 4, 4), np.float64)
    samples = Samples(Images(X, X.shape[1:]), y, np.ones(65))
    weights = []
    for max_bytes in (np.inf, 1.0):  # all at once, and one ghost batch at a time
        settings = TrainingConfig(
            optimizer=SGD(), lr=0.1, weight_decay=0.0, batch_size=65, max_iter=3, shuffle=True,
            tol=0.0, n_iter_no_change=9, max_bytes=max_bytes,
        )  # fmt: skip
        with Threads(n_threads) as threads:
            state, _ = train(network, samples, settings, new_state(network, SGD(), 0), threads)
        weights.append(state.weights)
    np.testing.assert_allclose(weights[0], weights[1], rtol=1e-10)
    running = network.unpack(weights[0])[0]
    assert running["running_mean"] == pytest.approx(0.5, abs=0.02)
    assert running["running_variance"] == pytest.approx(1 / 12, abs=0.01)


def test_running_moments_are_averages_first_and_forget_later():
    X = np.random.default_rng(0).normal(3, 2, (40, 1))
    layers = [Flatten(), BatchNorm(momentum=0.75)]
    clf = ScratchCNNRegressor(layers, scale_input=False, random_state=0)
    expected = 0.0
    for k in range(1, 9):
        rows = slice(5 * k - 5, 5 * k)
        clf.partial_fit(X[rows], X[rows, 0])
        rate = max(0.25, 1 / k)
        expected += rate * (X[rows].mean() - expected)
        found = clf.network_.unpack(clf.weights_)[1]["running_mean"]
        assert found == pytest.approx([expected])
    # the model of a fit goes on from well-known moments
    fitted = ScratchCNNRegressor(layers, scale_input=False, max_iter=50, random_state=0)
    before = fitted.fit(X, X[:, 0]).network_.unpack(fitted.weights_)[1]["running_mean"].copy()
    after = fitted.partial_fit(X[:5], X[:5, 0]).network_.unpack(fitted.weights_)[1]["running_mean"]
    assert after == pytest.approx(0.75 * before + 0.25 * X[:5].mean())


def test_a_classifier_with_batch_norm_learns_and_resumes_exactly():
    X, y = load_digits(return_X_y=True)
    layers = [
        Conv2d(8, 3, padding=1),
        BatchNorm(),
        ReLU(),
        Flatten(),
        Dense(32),
        BatchNorm(),
        ReLU(),
    ]
    shared = {"lr_schedule": "constant", "n_iter_no_change": 9, "random_state": 0}
    clf = ScratchCNNClassifier(layers, max_iter=6, **shared)
    clf.fit(X[:1000], y[:1000])
    assert clf.score(X[1000:], y[1000:]) > 0.9
    halves = ScratchCNNClassifier(layers, max_iter=3, warm_start=True, **shared)
    halves.fit(X[:1000], y[:1000]).fit(X[:1000], y[:1000])
    assert np.array_equal(halves.weights_, clf.weights_)


def test_a_single_last_sample_joins_the_mini_batch_before():
    rng = np.random.default_rng(0)
    X, y = rng.random((17, 6, 6)), np.arange(17) % 2
    layers = [BatchNorm(8), Conv2d(2, 3), ReLU()]
    shared = {"max_iter": 2, "shuffle": False, "random_state": 0, "optimizer": "sgd"}
    joined = ScratchCNNClassifier(layers, batch_size=16, **shared).fit(X, y)
    whole = ScratchCNNClassifier(layers, batch_size=17, **shared).fit(X, y)
    assert np.array_equal(joined.weights_, whole.weights_)


def weighted_case(seed=0, n=11):
    """A network, its vector, samples, and integer weights of which some are 0."""
    rng = np.random.default_rng(seed)
    layers = [Conv2d(3, 3), BatchNorm(64), ReLU(), Flatten(), Dense(5), BatchNorm(64), ReLU()]
    network = Network([*layers, Dense(2)], (2, 5, 4), np.float64)
    vector = network.init(rng) + 0.2 * rng.random(network.vector_size)
    weights = rng.integers(0, 4, n)
    assert 0 in weights
    return network, vector, rng.normal(1, 2, (n, 2, 5, 4)), rng.normal(size=(n, 2)), weights


def test_a_weight_of_two_is_a_sample_that_occurs_twice():
    network, vector, X, dY, w = weighted_case()
    Y, dX, gradient = network.vjp(X, vector, dY * w[:, None], weights=w.astype(float))
    repeated = np.repeat(np.arange(len(X)), w)
    Y2, dX2, gradient2 = network.vjp(X[repeated], vector, dY[repeated])
    np.testing.assert_allclose(Y[repeated], Y2, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(gradient, gradient2, rtol=1e-10, atol=1e-10)
    each = dX / np.maximum(w, 1)[:, None, None, None]
    np.testing.assert_allclose(each[repeated], dX2, rtol=1e-10, atol=1e-10)


def test_a_sample_without_weight_is_as_if_it_were_not_there():
    network, vector, X, dY, _ = weighted_case()
    w = np.ones(len(X))
    w[[0, 4, 10]] = 0
    there = w > 0
    Y, dX, gradient = network.vjp(X, vector, dY * w[:, None], weights=w)
    Y2, dX2, gradient2 = network.vjp(X[there], vector, dY[there])
    np.testing.assert_allclose(Y[there], Y2, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(gradient, gradient2, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(dX[there], dX2, rtol=1e-10, atol=1e-10)
    assert not dX[~there].any()


@pytest.mark.parametrize("ghost_size", [1, 4, 32])
def test_gradients_with_weights_are_the_finite_differences(ghost_size):
    rng = np.random.default_rng(ghost_size)
    network = Network([BatchNorm(ghost_size, epsilon=0.1)], (2, 2, 3), np.float64)
    vector = network.init(rng) + 0.3 * rng.random(network.vector_size)
    X, dY, w = rng.normal(size=(9, 2, 2, 3)), rng.normal(size=(9, 2, 2, 3)), rng.random(9) * 3
    w[[2, 4, 5, 6, 7]] = 0  # one ghost batch of 4 has no weight at all
    dY[w == 0] = 0  # as every loss sees to it
    _, dX, gradient = network.vjp(X, vector, dY, weights=w)

    def loss(X, vector):
        return (network.forward(X, vector, training=True, weights=w) * dY).sum()

    expected = numerical_gradient(lambda X: loss(X, vector), X)
    np.testing.assert_allclose(dX, expected, rtol=1e-6, atol=1e-7)
    expected = numerical_gradient(lambda vector: loss(X, vector), vector)
    trained = slice(network.n_parameters)
    np.testing.assert_allclose(gradient[trained], expected[trained], rtol=1e-6, atol=1e-7)


def test_a_ghost_batch_without_weight_moves_nothing():
    rng = np.random.default_rng(0)
    network = Network([BatchNorm(4)], (3,), np.float64)
    vector = network.init(rng)
    X, w = rng.normal(5, 3, (8, 3)), np.repeat([1.0, 0.0], 4)
    Y, dX, gradient = network.vjp(X, vector, rng.normal(size=(8, 3)) * w[:, None], weights=w)
    assert np.isfinite(Y).all()
    assert not dX[4:].any()
    alone = network.vjp(X[:4], vector, np.zeros((4, 3)))[2]
    moved, expected = gradient[network.n_parameters :], alone[network.n_parameters :]
    # a ghost batch that is alone is summed in one product, in an order of the processor's own
    np.testing.assert_allclose(moved, expected, rtol=1e-14)


def test_weighted_training_is_training_on_repeated_rows():
    X, y = load_digits(return_X_y=True)
    X, y = X[:20], y[:20] % 3
    w = np.random.default_rng(0).integers(0, 3, 20)
    layers = [Conv2d(4, 3), BatchNorm(), ReLU(), Flatten(), Dense(6), BatchNorm(), ReLU()]
    clf = ScratchCNNClassifier(layers, max_iter=5, shuffle=False, optimizer="sgd", random_state=0)
    weighted = clf.fit(X, y, sample_weight=w).weights_
    repeated = np.repeat(np.arange(20), w)
    assert len(repeated) <= 32  # one ghost batch
    expected = clf.fit(X[repeated], y[repeated]).weights_
    np.testing.assert_allclose(weighted, expected, rtol=1e-10, atol=1e-10)


def test_a_heavy_mini_batch_moves_the_running_moments_as_far_as_a_light_one():
    X, y = np.random.default_rng(0).normal(3, 1, (64, 4)), np.arange(64) % 2
    w = np.where(np.arange(64) < 32, 1e-3, 1.0)
    clf = ScratchCNNClassifier(
        [Flatten(), BatchNorm()], image_shape=(1, 4), scale_input=False, batch_size=32,
        max_iter=1, shuffle=False, random_state=0,
    )  # fmt: skip
    running = clf.fit(X, y, sample_weight=w).network_.unpack(clf.weights_)[1]["running_mean"]
    expected = (X[:32].mean(axis=0) + X[32:].mean(axis=0)) / 2  # the first ones are averages
    np.testing.assert_allclose(running, expected, rtol=1e-6)


def test_mini_batches_of_one_sample_are_allowed():
    X, y = np.random.default_rng(0).random((6, 4, 4)), np.arange(6) % 2
    layers = [Conv2d(2, 3), BatchNorm(), ReLU(), Flatten(), Dense(3), BatchNorm()]
    clf = ScratchCNNClassifier(layers, batch_size=1, max_iter=3, random_state=0).fit(X, y)
    assert np.isfinite(clf.predict_proba(X)).all()
    clf.partial_fit(X[:1], y[:1]).partial_fit(X[1:2], y[1:2], sample_weight=[0.0])
    assert np.isfinite(clf.predict_proba(X)).all()

import math

import numpy as np
import pytest
from sklearn.metrics import mean_pinball_loss, mean_poisson_deviance

from skcnn.losses import (
    LOSSES,
    REGRESSION_LOSSES,
    PinballLoss,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
)
from tests.oracles import numerical_gradient

loss = SoftmaxCrossEntropy()
sigmoid = SigmoidCrossEntropy()


def test_loss_and_gradient_are_the_definitions():
    rng = np.random.default_rng(0)
    z, targets, weights = rng.standard_normal((4, 7)), rng.integers(0, 4, 7), rng.random(7)

    def naive(z):
        total = 0.0
        for i, (t, w) in enumerate(zip(targets, weights, strict=True)):
            total -= w * math.log(math.exp(z[t, i]) / sum(math.exp(v) for v in z[:, i]))
        return total

    dz = np.empty_like(z)
    result = loss.loss_and_gradient(z.copy(), dz, targets, weights)
    assert result.loss == pytest.approx(naive(z), rel=1e-12)
    assert result.correct == pytest.approx(weights[z.argmax(axis=0) == targets].sum())
    np.testing.assert_allclose(dz, numerical_gradient(naive, z), atol=1e-8)


@pytest.mark.parametrize("scale", [1e3, 1e30])
def test_huge_outputs_do_not_overflow(scale):
    z = np.array([[1.0, -1.0], [0.0, 0.5]], np.float32) * np.float32(scale)
    p = loss.probabilities(z)
    assert np.array_equal(p, [[1, 0], [0, 1]])
    logs = loss.log_probabilities(z)
    assert np.isfinite(logs).all()
    assert np.array_equal(logs.argmax(axis=0), [0, 1])
    result = loss.loss_and_gradient(z.copy(), np.empty_like(z), np.array([0, 1]), np.ones(2))
    assert result.loss == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("either", [loss, sigmoid])
def test_the_largest_numbers_there_are_have_probabilities(either, dtype):
    z = np.array([[1, -1, 0], [-1, 1, 1]], dtype) * np.finfo(dtype).max
    assert np.array_equal(either.probabilities(z)[:, :2], [[1, 0], [0, 1]])
    assert np.array_equal(either.log_probabilities(z).argmax(axis=0), [0, 1, 1])


def test_probabilities_sum_to_one_and_match_their_logarithms():
    z = np.random.default_rng(0).normal(0, 5, (10, 50))
    p = loss.probabilities(z)
    np.testing.assert_allclose(p.sum(axis=0), 1, rtol=1e-14)
    np.testing.assert_allclose(np.log(p), loss.log_probabilities(z), atol=1e-12)


def naive_sigmoid_loss(z, targets, weights):
    total = 0.0
    for i, w in enumerate(weights):
        for k in range(len(z)):
            p = 1 / (1 + math.exp(-z[k, i]))
            total -= w * math.log(p if targets[i, k] else 1 - p)
    return total


@pytest.mark.parametrize(("labels", "n"), [(2, 1), (4, 7), (1, 5)])
def test_sigmoid_loss_and_gradient_are_the_definitions(labels, n):
    rng = np.random.default_rng(0)
    z, weights = rng.normal(0, 2, (labels, n)), rng.random(n)
    targets = rng.random((n, labels)) < 0.5
    targets[0] = z[:, 0] > 0  # one sample is right
    dz = np.full_like(z, np.nan)
    result = sigmoid.loss_and_gradient(z.copy(), dz, targets, weights)
    assert result.loss == pytest.approx(naive_sigmoid_loss(z, targets, weights), rel=1e-12)
    right = [all((z[k, i] > 0) == targets[i, k] for k in range(labels)) for i in range(n)]
    assert result.correct == pytest.approx(weights[right].sum())
    assert result.correct > 0
    expected = numerical_gradient(lambda z: naive_sigmoid_loss(z, targets, weights), z)
    np.testing.assert_allclose(dz, expected, atol=1e-8)


def test_a_sigmoid_at_one_half_is_no():
    z = np.zeros((2, 2))
    assert not sigmoid.predictions(z).any()
    targets = np.array([[False, False], [False, True]])
    dz = np.empty_like(z)
    result = sigmoid.loss_and_gradient(z, dz, targets, np.array([1.0, 2.0]))
    assert result.correct == 1
    assert result.loss == pytest.approx(6 * math.log(2))
    np.testing.assert_array_equal(dz, [[0.5, 1], [0.5, -1]])


@pytest.mark.parametrize("scale", [1e3, 1e30, 1e38])
def test_huge_outputs_of_sigmoids_do_not_overflow(scale):
    z = np.array([[1.0, -1.0], [-0.5, 0.5]], np.float32) * np.float32(scale)
    right = np.array([[True, False], [False, True]])
    assert np.array_equal(sigmoid.probabilities(z), [[1, 0], [0, 1]])
    np.testing.assert_allclose(sigmoid.log_probabilities(z), np.minimum(z, 0))
    assert np.array_equal(sigmoid.predictions(z), right)
    dz = np.empty_like(z)
    result = sigmoid.loss_and_gradient(z.copy(), dz, right, np.ones(2, np.float32))
    assert result == (0, 2)
    assert not dz.any()
    result = sigmoid.loss_and_gradient(z.copy(), dz, ~right, np.ones(2, np.float32))
    assert result.loss == pytest.approx(3 * scale)
    assert result.correct == 0
    assert np.array_equal(dz, [[1, -1], [-1, 1]])


def test_sigmoids_are_sums_of_two_classes():
    z = np.random.default_rng(0).normal(0, 5, (4, 50))
    p, logs = sigmoid.probabilities(z), sigmoid.log_probabilities(z)
    for k in range(4):
        pair = np.stack([np.zeros(50), z[k]])
        np.testing.assert_allclose(p[k], loss.probabilities(pair)[1], rtol=1e-14)
        np.testing.assert_allclose(logs[k], loss.log_probabilities(pair)[1], atol=1e-13)
        assert np.array_equal(sigmoid.predictions(z)[:, k], loss.predictions(pair))


def test_small_probabilities_keep_their_precision():
    z = np.array([[-700.0, -40.0, 40.0]])
    assert sigmoid.probabilities(z)[0, 0] == pytest.approx(math.exp(-700), rel=1e-14)
    assert sigmoid.log_probabilities(z)[0, 2] == pytest.approx(-math.exp(-40), rel=1e-14)


def test_losses_are_known_by_their_activation():
    known = {name: type(loss) for name, loss in LOSSES.items()}
    assert known == {"softmax": SoftmaxCrossEntropy, "logistic": SigmoidCrossEntropy}


def naive_poisson(z, t):
    """Half the deviance from its definition, of a mean ``exp(z)``."""
    return (t * math.log(t / math.exp(z)) if t else 0.0) - t + math.exp(z)


NAIVE = {
    "squared_error": lambda z, t: (z - t) ** 2 / 2,
    "absolute_error": lambda z, t: abs(z - t),
    "huber": lambda z, t: (z - t) ** 2 / 2 if abs(z - t) <= 1 else abs(z - t) - 0.5,
    "poisson": naive_poisson,
    "quantile": lambda z, t: max(0.5 * (t - z), 0.5 * (z - t)),
}


@pytest.mark.parametrize(("outputs", "n"), [(1, 7), (3, 5)])
@pytest.mark.parametrize("name", REGRESSION_LOSSES)
def test_losses_of_quantities_and_their_gradients_are_the_definitions(name, outputs, n):
    rng = np.random.default_rng(0)
    z, weights = rng.normal(0, 2, (outputs, n)), rng.random(n)
    targets = np.abs(rng.normal(0, 2, (n, outputs)))
    targets[0] = 0

    def naive(z):
        each = [
            w * NAIVE[name](z[k, i], targets[i, k]) / outputs
            for i, w in enumerate(weights)
            for k in range(outputs)
        ]
        return sum(each)

    dz = np.full_like(z, np.nan)
    result = REGRESSION_LOSSES[name].loss_and_gradient(z.copy(), dz, targets, weights)
    assert result == (pytest.approx(naive(z), rel=1e-12), 0)
    np.testing.assert_allclose(dz, numerical_gradient(naive, z), atol=1e-7)


def test_scikit_learn_has_the_same_poisson_deviance():
    rng = np.random.default_rng(0)
    z, t, w = rng.normal(0, 1, 20), rng.poisson(2, 20).astype(float), rng.random(20)
    poisson = REGRESSION_LOSSES["poisson"]
    expected = mean_poisson_deviance(t, poisson.predictions(z[np.newaxis])[:, 0], sample_weight=w)
    result = poisson.loss_and_gradient(z[np.newaxis], np.empty((1, 20)), t[:, np.newaxis], w)
    assert 2 * result.loss / w.sum() == pytest.approx(expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("q", [0.05, 0.5, 0.9])
def test_scikit_learn_has_the_same_pinball_loss(q, dtype):
    rng = np.random.default_rng(0)
    z, t, w = (values.astype(dtype) for values in (*rng.normal(size=(2, 20)), rng.random(20)))
    z[3] = t[3]
    pinball = PinballLoss(q)
    dz = np.full((1, 20), np.nan, dtype)
    result = pinball.loss_and_gradient(z[np.newaxis].copy(), dz, t[:, np.newaxis], w)
    expected = mean_pinball_loss(t, z, alpha=q, sample_weight=w) * w.sum()
    assert result.loss == pytest.approx(expected, rel=1e-6 if dtype == np.float32 else 1e-12)
    slopes = np.where(z > t, 1 - q, np.where(z < t, -q, 0))
    np.testing.assert_allclose(dz[0], w * slopes, rtol=1e-6)
    assert dz.dtype == dtype


@pytest.mark.parametrize("q", [0.05, 0.3, 0.5, 0.9])
def test_the_best_constant_of_the_pinball_loss_is_the_quantile(q):
    rng = np.random.default_rng(0)
    t, w = rng.normal(size=31), rng.integers(1, 5, 31).astype(float)
    best = PinballLoss(q).best_output(t, w)
    assert best == np.quantile(np.repeat(t, w.astype(int)), q, method="inverted_cdf")
    losses = [mean_pinball_loss(t, np.full(31, z), alpha=q, sample_weight=w) for z in t]
    constant = PinballLoss(q).constant(t[:, np.newaxis], w, 1)
    assert constant == pytest.approx(min(losses))


@pytest.mark.parametrize("smoothing", [0.1, 0.5])
def test_label_smoothing_is_cross_entropy_with_spread_out_targets(smoothing):
    rng = np.random.default_rng(0)
    z, targets, weights = rng.normal(size=(4, 7)), rng.integers(0, 4, 7), rng.random(7)
    q = np.full((4, 7), smoothing / 4)
    q[targets, np.arange(7)] += 1 - smoothing

    def softmax_loss(z):
        p = np.exp(z) / np.exp(z).sum(axis=0)
        return -(weights * (q * np.log(p)).sum(axis=0)).sum()

    dz = np.empty_like(z)
    smoothed = SoftmaxCrossEntropy(smoothing)
    result = smoothed.loss_and_gradient(z.copy(), dz, targets, weights)
    assert result.loss == pytest.approx(softmax_loss(z), rel=1e-12)
    np.testing.assert_allclose(dz, numerical_gradient(softmax_loss, z), atol=1e-8)

    labels = rng.random((7, 4)) < 0.5
    t = labels.T * (1 - smoothing) + smoothing / 2

    def sigmoid_loss(z):
        p = 1 / (1 + np.exp(-z))
        return -(weights * (t * np.log(p) + (1 - t) * np.log(1 - p)).sum(axis=0)).sum()

    result = SigmoidCrossEntropy(smoothing).loss_and_gradient(z.copy(), dz, labels, weights)
    assert result.loss == pytest.approx(sigmoid_loss(z), rel=1e-12)
    np.testing.assert_allclose(dz, numerical_gradient(sigmoid_loss, z), atol=1e-8)
    assert dz.astype(np.float32).dtype == np.float32


@pytest.mark.parametrize("kind", [SoftmaxCrossEntropy, SigmoidCrossEntropy])
def test_smoothed_losses_stay_in_float32(kind):
    z, dz = np.ones((3, 2), np.float32), np.empty((3, 2), np.float32)
    targets = np.array([0, 2]) if kind is SoftmaxCrossEntropy else np.ones((2, 3), bool)
    kind(0.1).loss_and_gradient(z, dz, targets, np.ones(2, np.float32))
    assert np.isfinite(dz).all()

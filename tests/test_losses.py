import math

import numpy as np
import pytest

from skcnn.losses import SoftmaxCrossEntropy
from tests.oracles import numerical_gradient

loss = SoftmaxCrossEntropy()


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


def test_probabilities_sum_to_one_and_match_their_logarithms():
    z = np.random.default_rng(0).normal(0, 5, (10, 50))
    p = loss.probabilities(z)
    np.testing.assert_allclose(p.sum(axis=0), 1, rtol=1e-14)
    np.testing.assert_allclose(np.log(p), loss.log_probabilities(z), atol=1e-12)

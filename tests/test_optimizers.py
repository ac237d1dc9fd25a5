"""Each optimizer against its published update, written for single numbers."""

import math

import numpy as np
import pytest

from skcnn.optimizers import SGD, Adam


def naive_sgd(momentum, nesterov, w, gradients, lr):
    v = 0.0
    for g in gradients:
        v = momentum * v - lr * g
        w += momentum * v - lr * g if nesterov else v
    return w


def naive_adam(beta_1, beta_2, epsilon, w, gradients, lr):
    m = v = 0.0
    for t, g in enumerate(gradients, start=1):
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        m_hat, v_hat = m / (1 - beta_1**t), v / (1 - beta_2**t)
        w -= lr * m_hat / (math.sqrt(v_hat) + epsilon)
    return w


CASES = [
    (SGD(momentum=0), lambda *args: naive_sgd(0.0, False, *args)),
    (SGD(momentum=0.8, nesterov=False), lambda *args: naive_sgd(0.8, False, *args)),
    (SGD(), lambda *args: naive_sgd(0.9, True, *args)),
    (Adam(), lambda *args: naive_adam(0.9, 0.999, 1e-8, *args)),
    (Adam(0.5, 0.9, 0.1), lambda *args: naive_adam(0.5, 0.9, 0.1, *args)),
]


@pytest.mark.parametrize(("optimizer", "naive"), CASES, ids=lambda case: str(case)[:40])
def test_twenty_steps_are_the_published_ones(optimizer, naive):
    rng = np.random.default_rng(0)
    start, gradients = rng.standard_normal(10), rng.standard_normal((20, 10))
    weights, moments = start.copy(), optimizer.moments(start)
    for t, gradient in enumerate(gradients, start=1):
        optimizer.step(weights, gradient, moments, 0.03, t)
    expected = [naive(w, g, 0.03) for w, g in zip(start, gradients.T, strict=True)]
    np.testing.assert_allclose(weights, expected, rtol=1e-12)


@pytest.mark.parametrize("optimizer", [SGD(), SGD(0), Adam()])
def test_float32_stays_float32(optimizer):
    weights = np.ones(5, np.float32)
    moments = optimizer.moments(weights)
    optimizer.step(weights, np.ones(5, np.float32), moments, 0.1, 1)
    assert {weights.dtype, *(moment.dtype for moment in moments.values())} == {np.dtype("f4")}


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (SGD(momentum=1), r"SGD: momentum must be a number in \[0, 1\), got 1"),
        (SGD(momentum="a"), "momentum"),
        (SGD(nesterov=1), "nesterov must be True or False"),
        (Adam(beta_1=-0.1), "beta_1"),
        (Adam(beta_2=1.0), "beta_2"),
        (Adam(epsilon=0), r"epsilon must be a number in \(0, inf\)"),
    ],
)
def test_bad_hyperparameters_are_named(optimizer, message):
    with pytest.raises(ValueError, match=message):
        optimizer.check()

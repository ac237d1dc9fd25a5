"""Each optimizer against its published update, written for single numbers."""

import math

import numpy as np
import pytest

from skcnn.optimizers import SGD, AdaGrad, Adam, AdamW, RMSprop


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


def naive_rmsprop(rho, epsilon, momentum, w, gradients, lr):
    mean_square = v = 0.0
    for g in gradients:
        mean_square = rho * mean_square + (1 - rho) * g**2
        v = momentum * v - lr * g / (math.sqrt(mean_square) + epsilon)
        w += v
    return w


def naive_adagrad(epsilon, w, gradients, lr):
    for t in range(1, len(gradients) + 1):
        root = math.sqrt(sum(g**2 for g in gradients[:t]))
        w -= lr * gradients[t - 1] / (epsilon + root)
    return w


CASES = [
    (SGD(momentum=0), lambda *args: naive_sgd(0.0, False, *args)),
    (SGD(momentum=0.8, nesterov=False), lambda *args: naive_sgd(0.8, False, *args)),
    (SGD(), lambda *args: naive_sgd(0.9, True, *args)),
    (Adam(), lambda *args: naive_adam(0.9, 0.999, 1e-8, *args)),
    (Adam(0.5, 0.9, 0.1), lambda *args: naive_adam(0.5, 0.9, 0.1, *args)),
    (AdamW(), lambda *args: naive_adam(0.9, 0.999, 1e-8, *args)),  # the decay is the caller's
    (RMSprop(), lambda *args: naive_rmsprop(0.9, 1e-8, 0.0, *args)),
    (RMSprop(0.0, 0.1), lambda *args: naive_rmsprop(0.0, 0.1, 0.0, *args)),
    (RMSprop(0.99, 0.01, 0.8), lambda *args: naive_rmsprop(0.99, 0.01, 0.8, *args)),
    (AdaGrad(), lambda *args: naive_adagrad(1e-8, *args)),
    (AdaGrad(0.3), lambda *args: naive_adagrad(0.3, *args)),
]


@pytest.mark.parametrize(
    ("optimizer", "naive"), CASES, ids=lambda case: "-" if callable(case) else str(case)
)
def test_twenty_steps_are_the_published_ones(optimizer, naive):
    rng = np.random.default_rng(0)
    start, gradients = rng.standard_normal(10), rng.standard_normal((20, 10))
    weights, moments = start.copy(), optimizer.moments(start)
    for t, gradient in enumerate(gradients, start=1):
        optimizer.step(weights, gradient, moments, 0.03, t)
    expected = [naive(w, g, 0.03) for w, g in zip(start, gradients.T, strict=True)]
    np.testing.assert_allclose(weights, expected, rtol=1e-12)


EACH = [SGD(), SGD(0), Adam(), AdamW(), RMSprop(), RMSprop(momentum=0.5), AdaGrad()]


@pytest.mark.parametrize("optimizer", EACH)
def test_parts_of_the_vectors_move_on_their_own(optimizer):
    rng = np.random.default_rng(1)
    gradients = rng.standard_normal((3, 10))
    whole, parts = np.ones(10), np.ones(10)
    moments, part_moments = optimizer.moments(whole), optimizer.moments(parts)
    for t, gradient in enumerate(gradients, start=1):
        optimizer.step(whole, gradient.copy(), moments, 0.1, t)
        for part in (slice(0, 3), slice(3, 10)):
            views = {name: moment[part] for name, moment in part_moments.items()}
            optimizer.step(parts[part], gradient[part], views, 0.1, t)
    assert np.array_equal(whole, parts)


@pytest.mark.parametrize("optimizer", EACH)
def test_where_there_is_no_gradient_nothing_moves(optimizer):
    weights = np.ones(3)
    optimizer.step(weights, np.zeros(3), optimizer.moments(weights), 0.1, 1)
    assert weights.tolist() == [1, 1, 1]


@pytest.mark.parametrize("optimizer", EACH)
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
        (Adam(epsilon=0), r"Adam: epsilon must be a number in \(0, inf\)"),
        (AdamW(beta_1=1), r"AdamW: beta_1 must be a number in \[0, 1\), got 1"),
        (AdamW(beta_2=None), "AdamW: beta_2"),
        (AdamW(epsilon=-1), "AdamW: epsilon"),
        (RMSprop(rho=1.0), r"RMSprop: rho must be a number in \[0, 1\), got 1.0"),
        (RMSprop(epsilon=0), "RMSprop: epsilon"),
        (RMSprop(momentum=True), "RMSprop: momentum"),
        (AdaGrad(epsilon=float("nan")), "AdaGrad: epsilon"),
    ],
)
def test_bad_hyperparameters_are_named(optimizer, message):
    with pytest.raises(ValueError, match=message):
        optimizer.check()

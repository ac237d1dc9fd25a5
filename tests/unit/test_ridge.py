"""Ridge regression in closed form, against fits that are made one by one."""

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from skcnn.ridge import (
    ALPHAS,
    LEAST_VARIANCE,
    calibrate,
    calibrate_labels,
    fit_ridge,
    merge_rows,
)


def problem(n, d, n_outputs=3, seed=0):
    rng = np.random.default_rng(seed)
    F = rng.random((n, d)) * rng.uniform(0.01, 1, d)
    y = np.tanh(3 * F[:, :n_outputs]) + 0.1 * rng.normal(size=(n, n_outputs))
    w = rng.uniform(0.2, 3, n)
    return F, y, w / w.mean()


def standardised(F, w):
    mean = w @ F / w.sum()
    variance = w @ (F - mean) ** 2 / w.sum()
    return (F - mean) / np.sqrt((variance + LEAST_VARIANCE) * F.shape[1])


def normal_equations(Z, y, w, alpha):
    """Weights and intercept, the latter as one more feature without a penalty."""
    A = np.column_stack([Z, np.ones(len(Z))])
    penalty = alpha * np.diag([*np.ones(Z.shape[1]), 0.0])
    return np.linalg.solve(A.T @ (w[:, None] * A) + penalty, A.T @ (w[:, None] * y))


def naive(F, y, w):
    """The largest penalty within a per mille of the best error, by leaving out each row."""
    Z, found = standardised(F, w), []
    for alpha in ALPHAS:
        predicted = np.empty_like(y)
        for i in range(len(Z)):
            rest = np.arange(len(Z)) != i
            solution = normal_equations(Z[rest], y[rest], w[rest], alpha)
            predicted[i] = np.append(Z[i], 1) @ solution
        found.append((w @ ((y - predicted) ** 2).sum(axis=1), alpha, predicted))
    best = min(error for error, _, _ in found)
    return [(alpha, predicted) for error, alpha, predicted in found if error <= 1.001 * best][-1]


@pytest.mark.parametrize(("n", "d"), [(12, 30), (20, 20), (3, 5)])
def test_all_leave_one_out_predictions_follow_from_one_decomposition(n, d):
    F, y, w = problem(n, d, min(3, d))
    fit = fit_ridge(lambda part: F[part], y, w)
    alpha, predicted = naive(F, y, w)
    assert fit.alpha == alpha
    np.testing.assert_allclose(fit.left_out, predicted, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(("n", "d"), [(12, 30), (60, 7), (3000, 9)])
def test_it_solves_the_normal_equations(n, d):
    F, y, w = problem(n, d)
    asked = []

    def features(part):
        asked.append(part)
        return F[part].astype(np.float32)

    F = F.astype(np.float32).astype(float)
    fit = fit_ridge(features, y, w)
    solution = normal_equations(standardised(F, w), y, w, fit.alpha)
    expected = np.column_stack([standardised(F, w), np.ones(n)]) @ solution
    np.testing.assert_allclose(F @ fit.weight.T + fit.bias, expected, rtol=1e-6, atol=1e-8)
    rows = [i for part in asked for i in range(part.start, part.stop)]
    assert rows == list(range(n))  # once each


def test_with_more_rows_than_features_the_mean_of_all_hats_counts():
    F, y, w = problem(60, 7)
    Z, errors = standardised(F, w), []
    A = np.column_stack([Z, np.ones(60)])
    for alpha in ALPHAS:
        predicted = A @ normal_equations(Z, y, w, alpha)
        hat = np.linalg.solve(
            A.T @ (w[:, None] * A) + alpha * np.diag([*np.ones(7), 0.0]), (w[:, None] * A).T
        )
        left = 1 - np.trace(A @ hat) / 60
        errors.append((w @ ((y - predicted) ** 2).sum(axis=1) / left**2, alpha))
    best = min(errors)[0]
    fit = fit_ridge(lambda part: F[part], y, w)
    assert fit.alpha == [alpha for error, alpha in errors if error <= 1.001 * best][-1]


def test_noise_is_not_learned():
    rng = np.random.default_rng(0)
    y = np.eye(2)[rng.integers(0, 2, 60)]
    F = rng.random((60, 500))
    fit = fit_ridge(lambda part: F[part], y, np.full(60, 1.0))
    assert np.mean(fit.left_out.argmax(1) == y.argmax(1)) < 0.65
    assert calibrate(fit.left_out, y.argmax(1), np.ones(60)) < 2


def test_merged_rows_are_those_of_the_repetition():
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 9, 40).astype(np.uint64)
    y, w = rng.integers(0, 2, (40, 2)).astype(float), rng.integers(0, 4, 40).astype(float)
    rows, weight = merge_rows(hashes, y, w)
    kinds = {(hashes[i], *y[i]): 0.0 for i in np.flatnonzero(w)}
    for i in range(40):
        if w[i]:
            kinds[hashes[i], *y[i]] += w[i]
    total = sum(kinds.values()) / len(kinds)
    found = {(hashes[i], *y[i]): v for i, v in zip(rows, weight, strict=True)}
    assert found == pytest.approx({kind: v / total for kind, v in kinds.items()})
    again = rng.permutation(np.repeat(np.arange(40), w.astype(int)))
    other, same_weight = merge_rows(hashes[again], y[again], np.ones(len(again)))
    assert np.array_equal(hashes[rows], hashes[again][other])
    assert np.array_equal(y[rows], y[again][other])
    np.testing.assert_allclose(weight, same_weight, rtol=1e-15)


@pytest.mark.parametrize("n", [1, 5])
def test_one_row_and_one_class(n):
    fit = fit_ridge(lambda part: np.ones((n, 4))[part], np.ones((n, 1)), np.ones(n))
    assert np.array_equal(fit.weight, np.zeros((1, 4)))
    assert fit.bias.tolist() == [1]
    assert np.isfinite(fit.left_out).all()


def test_calibration_minimizes_the_cross_entropy():
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 3, 5000)
    logits = rng.normal(size=(5000, 3)) + 2 * np.eye(3)[classes]  # whose best factor is 2
    assert calibrate(logits / 4, classes, np.ones(5000)) == pytest.approx(8, rel=0.1)
    right = np.eye(3)[classes[:20]]
    assert calibrate(right, classes[:20], np.ones(20)) == pytest.approx(np.log(20 * 3), rel=0.2)


def test_labels_are_calibrated_as_by_logistic_regression():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(300, 3)) * [1, 1e-3, 1e3] + [0, 5, 100]
    labels = rng.random((300, 3)) < expit(3 * (z - z.mean(0)) / z.std(0) - 1)
    w = rng.integers(1, 4, 300).astype(float)
    slope, offset = calibrate_labels(z, labels, w)
    smooth = (labels * w.sum() + 0.5) / (w.sum() + 1)
    for k in range(3):
        Z = ((z[:, k] - z[:, k].mean()) / z[:, k].std())[:, None]
        model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10)
        model.fit(
            np.tile(Z, (2, 1)),
            np.repeat([0, 1], 300),
            np.concatenate([w * (1 - smooth[:, k]), w * smooth[:, k]]),
        )
        expected = model.decision_function(Z)
        np.testing.assert_allclose(slope[k] * z[:, k] + offset[k], expected, atol=1e-4)
    again = np.repeat(np.arange(300), w.astype(int))
    repeated = calibrate_labels(z[again], labels[again], np.ones(len(again)))
    np.testing.assert_allclose(repeated, (slope, offset), rtol=1e-6)


def test_labels_that_cannot_be_calibrated_have_their_frequency():
    labels = np.arange(10)[:, None] < [10, 0, 3, 3, 3]
    z = np.column_stack([np.ones(10), np.ones(10), np.zeros(10), -1.0 * labels[:, 2], labels[:, 2]])
    slope, offset = calibrate_labels(z, labels, np.ones(10))
    assert slope[:4].tolist() == [0] * 4
    np.testing.assert_allclose(offset[:4], logit((np.array([10, 0, 3, 3]) * 10 + 5) / 110))
    right = logit(0.5 / 11)  # separable: one row of eleven is half wrong
    np.testing.assert_allclose([offset[4], slope[4]], [right, -2 * right])

"""Ridge regression in closed form, with the penalty chosen by leave-one-out errors.

Minimizes ``Σ w_i ‖y_i - z_i B - b‖² + α ‖B‖²`` (Hoerl & Kennard 1970). ``z`` are the
standardized features, divided by the root of their number; the intercept ``b``
is not penalized, so that features and targets are centred instead. With
``Z = diag(√w) z`` and ``R = diag(√w) (y - ȳ)``:

- With at most as many rows as features, ``Z Zᵀ = Q diag(e) Qᵀ`` and
  ``B = Zᵀ Q diag(1 / (e + α)) Qᵀ R``. The residuals are ``Q diag(g) Qᵀ R`` with
  ``g = α / (e + α)``. Leaving row i out divides its residual by
  ``1 - h_i = Σ_j Q_ij² g_j - w_i / Σ w`` (Allen 1974; Rifkin & Lippert 2007), so
  one decomposition has all errors for all penalties.
- With more rows, ``Zᵀ Z = V diag(e) Vᵀ`` and ``B = V diag(1 / (e + α)) Vᵀ Zᵀ R``. All
  residuals are divided by the mean of ``1 - h``, which is generalized
  cross-validation (Golub, Heath & Wahba 1979).

Decisions are made in float64. Equal rows are merged beforehand by `merge_rows`, which
adds their weights: then leaving one out leaves out all of its kind, and repetition
equals weights.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

__all__ = ["RidgeFit", "calibrate", "calibrate_labels", "fit_ridge", "merge_rows"]

ALPHAS = 10.0 ** np.arange(-4, 4.01, 0.5)
"""Penalties, in increasing order."""

TIED = 1.001
"""Ratio of two errors up to which they count as equal, and the larger penalty is chosen."""

LEAST_VARIANCE = 1e-5
"""Added to the variance of a feature, which is a proportion."""

LEAST_LEFT = 1e-9
"""Least value of ``1 - h``."""

BLOCK = 1024
"""Rows whose features are computed at a time."""

KEPT = 4096
"""Rows whose leave-one-out predictions are computed where there are more rows than features."""

SLOPES = np.exp(np.linspace(np.log(0.05), np.log(100), 77))
"""Factors of predictions that `calibrate` chooses from."""

STEPS = 50
"""Most steps of Newton's method in `calibrate_labels`."""


class RidgeFit(NamedTuple):
    """A solution, for features as they are.

    Parameters
    ----------
    weight : ndarray of shape (n_outputs, n_features)
    bias : ndarray of shape (n_outputs,)
    alpha : float
        The penalty that was chosen.
    left_out : ndarray of shape (m, n_outputs)
        Predictions for the first rows by fits without them.
    """

    weight: np.ndarray
    bias: np.ndarray
    alpha: float
    left_out: np.ndarray


def merge_rows(
    hashes: np.ndarray, targets: np.ndarray, sample_weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Find the rows of positive weight that differ, in an order that depends on them only.

    Parameters
    ----------
    hashes : ndarray of uint64 of shape (n,)
        A hash of each row's inputs.
    targets : ndarray of shape (n, ...)
    sample_weight : ndarray of float64 of shape (n,)

    Returns
    -------
    rows : ndarray of int of shape (m,)
        One of each kind.
    weight : ndarray of float64 of shape (m,)
        Sum of the weights of its kind, 1 on average.
    """
    positive = np.flatnonzero(sample_weight > 0)
    values = targets[positive].reshape(len(positive), -1).T
    order = np.lexsort((*values, hashes[positive]))
    sorted_hashes, values = hashes[positive][order], values[:, order]
    differs = (values[:, 1:] != values[:, :-1]).any(axis=0)
    differs |= sorted_hashes[1:] != sorted_hashes[:-1]
    starts = np.flatnonzero(np.append(True, differs))
    weight = np.add.reduceat(sample_weight[positive][order], starts)
    return positive[order][starts], weight / weight.mean()


def fit_ridge(
    features: Callable[[slice], np.ndarray], targets: np.ndarray, sample_weight: np.ndarray
) -> RidgeFit:
    """Solve the regression with the largest penalty whose error is within a per mille of the best.

    Parameters
    ----------
    features : callable
        ``features(part)`` returns those of some rows, (rows, n_features). Called
        once for each row, so that not all need to be in memory.
    targets : ndarray of shape (n, n_outputs)
    sample_weight : ndarray of shape (n,)
        All positive.

    Returns
    -------
    RidgeFit
    """
    y = targets.astype(np.float64)
    w = sample_weight.astype(np.float64)
    y_mean = w @ y / w.sum()
    n = len(y)
    first = features(slice(0, min(n, BLOCK))).astype(np.float64)
    parts = [slice(start, min(start + BLOCK, n)) for start in range(BLOCK, n, BLOCK)]
    with np.errstate(all="ignore"):
        if n <= first.shape[1]:
            F = np.concatenate([first, *(features(part) for part in parts)])
            return _fit_dual(F, y - y_mean, y_mean, w)
        return _fit_primal(first, parts, features, y - y_mean, y_mean, w)


def _fit_dual(F: np.ndarray, y: np.ndarray, y_mean: np.ndarray, w: np.ndarray) -> RidgeFit:
    """Solve with at most as many rows as features; `y` is centred."""
    total, root = w.sum(), np.sqrt(w)[:, np.newaxis]
    mean = w @ F / total
    F -= mean
    scale = np.sqrt((w @ (F * F) / total + LEAST_VARIANCE) * F.shape[1])
    Z = F
    Z *= root
    Z /= scale
    e, Q = np.linalg.eigh(Z @ Z.T)
    e, QR = np.maximum(e, 0), Q.T @ (root * y)
    candidates = []
    for alpha in ALPHAS:
        g = alpha / (e + alpha)
        left = np.maximum(Q**2 @ g - w / total, LEAST_LEFT)[:, np.newaxis]
        error = Q @ (g[:, np.newaxis] * QR) / root / left
        candidates.append((float(w @ (error**2).sum(axis=1)), alpha, y - error))
    alpha, predicted = _choose(candidates)
    B = Z.T @ (Q @ (QR / (e + alpha)[:, np.newaxis]))
    return _fit(B, scale, mean, y_mean, alpha, predicted)


def _fit_primal(
    first: np.ndarray,
    parts: list[slice],
    features: Callable[[slice], np.ndarray],
    y: np.ndarray,
    y_mean: np.ndarray,
    w: np.ndarray,
) -> RidgeFit:
    """Solve with more rows than features; `first` are those of the first block."""
    d, total = first.shape[1], w.sum()
    kept: list[np.ndarray] = []
    sums, gram, product = np.zeros(d), np.zeros((d, d)), np.zeros((d, y.shape[1]))
    center = first.mean(axis=0)  # close to the mean, so that no digits are lost below
    for part in [slice(0, len(first)), *parts]:
        F = first if part.start == 0 else features(part).astype(np.float64)
        F = F - center
        if part.start < KEPT:
            kept.append(F)
        root = np.sqrt(w[part, np.newaxis])
        weighted = F * root
        sums += root[:, 0] @ weighted
        gram += weighted.T @ weighted  # BLAS computes half of a symmetric product
        product += weighted.T @ (root * y[part])
    shift = sums / total
    gram -= np.outer(shift, sums)  # products need no shift: the targets are centred
    scale = np.sqrt((gram.diagonal().clip(0) / total + LEAST_VARIANCE) * d)
    gram /= scale
    gram /= scale[:, np.newaxis]
    e, V = np.linalg.eigh(gram)
    e, VP = np.maximum(e, 0), V.T @ (product / scale[:, np.newaxis])
    squares = w @ (y**2).sum(axis=1)
    candidates = []
    for alpha in ALPHAS:
        G = VP / (e + alpha)[:, np.newaxis]
        rss = squares - 2 * (VP * G).sum() + (e[:, np.newaxis] * G * G).sum()
        left = max(1 - ((e / (e + alpha)).sum() + 1) / len(y), LEAST_LEFT)
        candidates.append((float(rss) / left**2, alpha, (G, left)))
    alpha, (G, left) = _choose(candidates)
    B = V @ G
    Z = np.concatenate(kept)
    Z -= shift
    Z /= scale
    seen = y[: len(Z)]
    return _fit(B, scale, center + shift, y_mean, alpha, seen - (seen - Z @ B) / left)


def _choose(candidates: list) -> tuple:
    """Return the largest penalty with about the smallest error, and what belongs to it."""
    limit = TIED * min(error for error, _, _ in candidates)
    return next(tuple(rest) for error, *rest in reversed(candidates) if error <= limit)


def _fit(
    B: np.ndarray,
    scale: np.ndarray,
    mean: np.ndarray,
    y_mean: np.ndarray,
    alpha: float,
    predicted: np.ndarray,
) -> RidgeFit:
    """Return the solution for features that are not standardized."""
    weight = (B / scale[:, np.newaxis]).T
    return RidgeFit(weight, y_mean - weight @ mean, float(alpha), predicted + y_mean)


def calibrate(left_out: np.ndarray, classes: np.ndarray, sample_weight: np.ndarray) -> float:
    """Return the factor with which predictions are the best logits.

    It minimizes the mean cross-entropy of predictions for rows that were left
    out, with one more row spread evenly over the classes, so that it stays
    finite where all are right.

    Parameters
    ----------
    left_out : ndarray of shape (n, n_classes)
    classes : ndarray of int of shape (n,)
    sample_weight : ndarray of shape (n,)
    """
    total = sample_weight.sum()
    spread = 1 / (total + 1)
    losses = []
    for slope in SLOPES:
        z = left_out * slope
        z -= z.max(axis=1, keepdims=True)
        z -= np.log(np.exp(z).sum(axis=1, keepdims=True))
        own = z[np.arange(len(z)), classes]
        losses.append(-(sample_weight @ ((1 - spread) * own + spread * z.mean(axis=1))) / total)
    return float(SLOPES[np.argmin(losses)])


def calibrate_labels(
    left_out: np.ndarray, labels: np.ndarray, sample_weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return a factor and an offset for each label, with which predictions are the best logits.

    They minimize the mean binary cross-entropy of predictions for rows that were
    left out (Platt 2000), with one more row that is half true and half false, as
    in `calibrate`. A factor is at least 0: predictions that are worse than none
    are left out, and the offset is the label's frequency.

    Parameters
    ----------
    left_out : ndarray of shape (n, n_labels)
    labels : ndarray of bool of shape (n, n_labels)
    sample_weight : ndarray of shape (n,)

    Returns
    -------
    slope, offset : ndarray of shape (n_labels,)
    """
    share = sample_weight / sample_weight.sum()
    spread = 1 / (sample_weight.sum() + 1)
    targets = (1 - spread) * labels + spread / 2
    fits = [_fit_logistic(z, t, share) for z, t in zip(left_out.T, targets.T, strict=True)]
    slope, offset = np.array(fits).T
    return slope, offset


def _fit_logistic(z: np.ndarray, targets: np.ndarray, share: np.ndarray) -> tuple[float, float]:
    """Return slope and offset of a logistic regression on one variable, by Newton's method.

    Steps are halved until the loss falls (Lin, Lin & Weng 2007, *A note on Platt's
    probabilistic outputs for support vector machines*).
    """
    frequency = share @ targets
    constant = 0.0, float(np.log(frequency / (1 - frequency)))
    center = share @ z
    scale = np.sqrt(share @ (z - center) ** 2)
    if scale < LEAST_LEFT:
        return constant
    A = np.stack([(z - center) / scale, np.ones_like(z)])
    params = np.array(constant)

    def loss(params: np.ndarray) -> float:
        logits = params @ A
        return share @ (np.logaddexp(0, logits) - targets * logits)

    for _ in range(STEPS):
        p = (1 + np.tanh(params @ A / 2)) / 2
        gradient = A @ (share * (p - targets))
        step = np.linalg.solve((A * (share * p * (1 - p))) @ A.T + LEAST_LEFT * np.eye(2), gradient)
        before = loss(params)
        while (moves := np.abs(step).max() > LEAST_LEFT) and loss(params - step) > before:
            step /= 2
        params = params - step
        if not moves:
            break
    if params[0] <= 0:
        return constant
    slope = params[0] / scale
    return float(slope), float(params[1] - slope * center)

"""Losses: what the network's outputs mean, and how wrong they are."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

__all__ = [
    "LOSSES",
    "REGRESSION_LOSSES",
    "AbsoluteError",
    "Huber",
    "Loss",
    "PoissonDeviance",
    "RegressionLoss",
    "SigmoidCrossEntropy",
    "SoftmaxCrossEntropy",
    "SquaredError",
]


class BatchLoss(NamedTuple):
    """Weighted sums over a batch; `correct` is 0 where nothing is right or wrong."""

    loss: float
    correct: float


def _entropy(q: np.ndarray) -> float:
    """``-Σ q log q``, to which a 0 adds nothing."""
    return -float(np.dot(q, np.log(np.where(q > 0, q, 1))))


def _rounded_logs(p: np.ndarray, logs: np.ndarray) -> np.ndarray:
    """Logarithms of `p`, and `logs` in its dtype where `p` is too small to have digits."""
    limits = np.finfo(p.dtype)
    rounded = np.maximum(logs, limits.min).astype(p.dtype)
    return np.log(p, out=rounded, where=p >= limits.tiny)


@dataclass(frozen=True)
class SoftmaxCrossEntropy:
    """Cross-entropy of the softmax of the network's outputs.

    The outputs ``z`` (logits) are ``(classes, n)``, one column a sample.

    Parameters
    ----------
    label_smoothing : float, default=0.0
        Part ``ε`` of a target that is spread evenly over all classes (Szegedy
        et al. 2016, section 7), in [0, 1).

    Examples
    --------
    >>> import numpy as np
    >>> z = np.log(np.array([[1.0, 2.0], [3.0, 2.0]]))
    >>> SoftmaxCrossEntropy().probabilities(z)
    array([[0.25, 0.5 ],
           [0.75, 0.5 ]])
    """

    label_smoothing: float = 0.0

    activation: ClassVar[str] = "softmax"
    counts: ClassVar[bool] = True  # what is right

    def predictions(self, z: np.ndarray) -> np.ndarray:
        """Class of the largest output, the first of several.

        Parameters
        ----------
        z : ndarray of shape (classes, n)

        Returns
        -------
        ndarray of int of shape (n,)
        """
        return z.argmax(axis=0)

    def probabilities(self, z: np.ndarray) -> np.ndarray:
        """Softmax of every column, ``p = exp(z) / Σ exp(z)``.

        Parameters
        ----------
        z : ndarray of shape (classes, n)

        Returns
        -------
        ndarray of shape (classes, n)
            Each column sums to 1.
        """
        # differences from 0 may overflow; their exponential is 0
        with np.errstate(over="ignore", under="ignore"):
            p = np.exp(z - z.max(axis=0))
            p /= p.sum(axis=0)
        return p

    def log_probabilities(self, z: np.ndarray) -> np.ndarray:
        """Logarithm of the softmax, ``z - log Σ exp(z)``, without underflow.

        Parameters
        ----------
        z : ndarray of shape (classes, n)

        Returns
        -------
        ndarray of shape (classes, n)
        """
        with np.errstate(over="ignore", under="ignore"):
            z = z - z.max(axis=0)
            z -= np.log(np.exp(z).sum(axis=0))
        return z

    def constant(self, targets: np.ndarray, weights: np.ndarray, n_outputs: int) -> float:
        """Least mean loss of outputs that are the same for all samples.

        It is the entropy ``-Σ q log q`` of the classes' weighted frequencies,
        smoothed as the targets are.

        Parameters
        ----------
        targets : ndarray of int of shape (n,)
        weights : ndarray of shape (n,)
            Weight of every sample, not all 0.
        n_outputs : int

        Returns
        -------
        float
        """
        q = np.bincount(targets, weights, n_outputs) / weights.sum(dtype=np.float64)
        q = (1 - self.label_smoothing) * q + self.label_smoothing / n_outputs
        return _entropy(q)

    def rounded_probabilities(self, z: np.ndarray) -> np.ndarray:
        """Probabilities in the dtype of `z`, computed in float64, whose order agrees with `z`.

        Outputs that differ by less than their probabilities can show would be a
        tie; the largest of them is then rounded up, so that the first of the
        largest probabilities is always that of `predictions`.

        Parameters
        ----------
        z : ndarray of shape (classes, n)

        Returns
        -------
        ndarray of shape (classes, n)
        """
        p = self.probabilities(z.astype(np.float64)).astype(z.dtype)
        return self._decided(p, z)

    def rounded_log_probabilities(self, z: np.ndarray) -> np.ndarray:
        """Their logarithms, of which the same is true, finite and in order where they are 0.

        Parameters
        ----------
        z : ndarray of shape (classes, n)

        Returns
        -------
        ndarray of shape (classes, n)
        """
        exact = self.log_probabilities(z.astype(np.float64))
        return self._decided(_rounded_logs(self.rounded_probabilities(z), exact), z)

    def _decided(self, values: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Raise the entry of each prediction to the next number above any that is found first."""
        predicted, first = self.predictions(z), values.argmax(axis=0)
        (tied,) = np.nonzero(predicted != first)
        if len(tied):
            values[predicted[tied], tied] = np.nextafter(
                values[first[tied], tied], values.dtype.type(np.inf)
            )
        return values

    def loss_and_gradient(
        self, z: np.ndarray, dz: np.ndarray, targets: np.ndarray, weights: np.ndarray
    ) -> BatchLoss:
        """``L = -Σ w Σ q log p``, and ``dz = w (p - q)``, with ``q = (1 - ε) onehot(t) + ε/K``.

        Without smoothing that is ``-Σ w log p[t]``. The largest output is
        subtracted first (the log-sum-exp trick), which changes nothing but
        overflow. `z` is overwritten.

        Parameters
        ----------
        z : ndarray of shape (classes, n)
            Outputs of the network.
        dz : ndarray of shape (classes, n)
            Takes the gradient.
        targets : ndarray of int of shape (n,)
            Class of every sample.
        weights : ndarray of shape (n,)
            Weight of every sample.

        Returns
        -------
        BatchLoss
            Loss, and weight of the samples whose largest output is their class.
        """
        columns = np.arange(z.shape[1])
        correct = np.dot(weights, z.argmax(axis=0) == targets)
        z -= np.maximum.reduce(z)
        p = np.exp(z, out=dz)
        total = np.add.reduce(p)
        loss = np.dot(weights, np.log(total) - z[targets, columns])
        dz *= weights / total
        if self.label_smoothing:
            excess = z[targets, columns] - z.mean(axis=0)
            loss += self.label_smoothing * np.dot(weights, excess)
            dz -= weights * (self.label_smoothing / len(z))
            weights = weights * (1 - self.label_smoothing)
        dz[targets, columns] -= weights
        return BatchLoss(float(loss), float(correct))


@dataclass(frozen=True)
class SigmoidCrossEntropy:
    """Cross-entropy of the sigmoids of the network's outputs, summed over the labels.

    The outputs ``z`` (logits) are ``(labels, n)``, one column a sample, and any
    number of labels may be true of it.

    Parameters
    ----------
    label_smoothing : float, default=0.0
        Part ``ε`` of a target that is spread evenly over true and false, in
        [0, 1).

    Examples
    --------
    >>> import numpy as np
    >>> z = np.log(np.array([[1.0, 3.0], [1 / 3, 1.0]]))
    >>> SigmoidCrossEntropy().probabilities(z)
    array([[0.5 , 0.75],
           [0.25, 0.5 ]])
    >>> SigmoidCrossEntropy().predictions(z)
    array([[False, False],
           [ True, False]])
    """

    label_smoothing: float = 0.0

    activation: ClassVar[str] = "logistic"
    counts: ClassVar[bool] = True

    def predictions(self, z: np.ndarray) -> np.ndarray:
        """Which labels have a probability above 1/2, that is ``z > 0``.

        Parameters
        ----------
        z : ndarray of shape (labels, n)

        Returns
        -------
        ndarray of bool of shape (n, labels)
        """
        return (z > 0).T

    def probabilities(self, z: np.ndarray) -> np.ndarray:
        """Sigmoid of every output, ``p = 1 / (1 + exp(-z))``, without overflow.

        Parameters
        ----------
        z : ndarray of shape (labels, n)

        Returns
        -------
        ndarray of shape (labels, n)
        """
        with np.errstate(under="ignore"):
            e = np.exp(-np.abs(z))
            return np.maximum(e, z > 0) / (1 + e)

    def log_probabilities(self, z: np.ndarray) -> np.ndarray:
        """Logarithm of the sigmoid, ``min(z, 0) - log(1 + exp(-|z|))``, without underflow.

        Parameters
        ----------
        z : ndarray of shape (labels, n)

        Returns
        -------
        ndarray of shape (labels, n)
        """
        with np.errstate(under="ignore"):
            return np.minimum(z, 0) - np.log1p(np.exp(-np.abs(z)))

    def constant(self, targets: np.ndarray, weights: np.ndarray, n_outputs: int) -> float:
        """Least mean loss of outputs that are the same for all samples.

        It is the sum of the entropies ``-q log q - (1 - q) log (1 - q)`` of the
        labels' weighted frequencies, smoothed as the targets are.

        Parameters
        ----------
        targets : ndarray of bool of shape (n, labels)
        weights : ndarray of shape (n,)
            Weight of every sample, not all 0.
        n_outputs : int

        Returns
        -------
        float
        """
        q = np.average(targets, axis=0, weights=weights.astype(np.float64))
        q = (1 - self.label_smoothing) * q + self.label_smoothing / 2
        return _entropy(q) + _entropy(1 - q)

    def rounded_probabilities(self, z: np.ndarray) -> np.ndarray:
        """Probabilities in the dtype of `z`, computed in float64, whose order agrees with `z`.

        They are above 1/2 for the labels of `predictions` and for no other: the
        smallest positive output is as good as 0, and is rounded up.

        Parameters
        ----------
        z : ndarray of shape (labels, n)

        Returns
        -------
        ndarray of shape (labels, n)
        """
        p = self.probabilities(z.astype(np.float64)).astype(z.dtype)
        above = np.nextafter(z.dtype.type(0.5), z.dtype.type(1))
        return np.maximum(p, above, out=p, where=z > 0)

    def rounded_log_probabilities(self, z: np.ndarray) -> np.ndarray:
        """Their logarithms, of which the same is true, finite and in order where they are 0.

        Parameters
        ----------
        z : ndarray of shape (labels, n)

        Returns
        -------
        ndarray of shape (labels, n)
        """
        exact = self.log_probabilities(z.astype(np.float64))
        return _rounded_logs(self.rounded_probabilities(z), exact)

    def loss_and_gradient(
        self, z: np.ndarray, dz: np.ndarray, targets: np.ndarray, weights: np.ndarray
    ) -> BatchLoss:
        """``L = Σ w (max(z, 0) - z t + log(1 + exp(-|z|)))``, and ``dz = w (p - t)``.

        This is ``-Σ w (t log p + (1 - t) log(1 - p))``, written so that only
        numbers up to 1 are exponentiated; ``max(z, 0) - z t`` is ``|z|`` where
        the sign of ``z`` is wrong and 0 elsewhere. With smoothing ``t`` is
        ``(1 - ε) t + ε/2``. `z` is overwritten.

        Parameters
        ----------
        z : ndarray of shape (labels, n)
            Outputs of the network.
        dz : ndarray of shape (labels, n)
            Takes the gradient.
        targets : ndarray of bool of shape (n, labels)
            The labels of every sample.
        weights : ndarray of shape (n,)
            Weight of every sample.

        Returns
        -------
        BatchLoss
            Loss, and weight of the samples all of whose labels are predicted.
        """
        t = targets.T
        positive = z > 0
        wrong = positive != t
        correct = np.dot(weights, ~wrong.any(axis=0))
        np.abs(z, out=z)
        e = np.exp(-z, out=dz)
        total = 1 + e
        p = np.maximum(e, positive, out=dz)  # the numerator: 1, or exp(z) where z ≤ 0
        p /= total
        dz -= t
        if self.label_smoothing:
            dz += np.where(t, self.label_smoothing / 2, -self.label_smoothing / 2).astype(z.dtype)
            wrong = wrong * (1 - self.label_smoothing) + self.label_smoothing / 2
            wrong = wrong.astype(z.dtype)
        dz *= weights
        z *= wrong
        z += np.log(total, out=total)
        loss = np.dot(weights, z.sum(axis=0))
        return BatchLoss(float(loss), float(correct))


class RegressionLoss:
    """Mean over the outputs of a loss that every number has by itself.

    The outputs ``z`` are ``(outputs, n)``, one column a sample. Targets come in
    a unit in which numbers around 1 are ordinary: standardised, or divided by
    their mean.
    """

    activation: ClassVar[str] = "identity"
    counts: ClassVar[bool] = False  # nothing is right or wrong

    def predictions(self, z: np.ndarray) -> np.ndarray:
        """What is expected of the targets: `z`, one row a sample.

        Parameters
        ----------
        z : ndarray of shape (outputs, n)

        Returns
        -------
        ndarray of shape (n, outputs)
        """
        return z.T

    def of_each(self, z: np.ndarray, dz: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Loss ``l(z, t)`` of each number, and in `dz` its derivative by ``z``.

        Parameters
        ----------
        z : ndarray of shape (outputs, n)
            Outputs of the network; overwritten.
        dz : ndarray of shape (outputs, n)
            Takes the derivatives.
        t : ndarray of shape (outputs, n)
            Targets.

        Returns
        -------
        ndarray of shape (outputs, n)
        """
        raise NotImplementedError

    def loss_and_gradient(
        self, z: np.ndarray, dz: np.ndarray, targets: np.ndarray, weights: np.ndarray
    ) -> BatchLoss:
        """``L = Σ w Σ l(z, t) / K`` over K outputs, and ``dz = w l'(z, t) / K``.

        `z` is overwritten.

        Parameters
        ----------
        z : ndarray of shape (outputs, n)
            Outputs of the network.
        dz : ndarray of shape (outputs, n)
            Takes the gradient.
        targets : ndarray of shape (n, outputs)
        weights : ndarray of shape (n,)
            Weight of every sample.

        Returns
        -------
        BatchLoss
        """
        losses = self.of_each(z, dz, targets.T)
        dz *= weights / len(z)
        return BatchLoss(float(np.dot(weights, losses.sum(axis=0)) / len(z)), 0.0)

    def best_output(self, t: np.ndarray, weights: np.ndarray) -> float:
        """The ``z`` of least weighted loss for all targets of one output.

        Parameters
        ----------
        t : ndarray of float64 of shape (n,)
        weights : ndarray of float64 of shape (n,)
            Weight of every sample, not all 0.

        Returns
        -------
        float
        """
        raise NotImplementedError

    def constant(self, targets: np.ndarray, weights: np.ndarray, n_outputs: int) -> float:
        """Least mean loss of outputs that are the same for all samples.

        Parameters
        ----------
        targets : ndarray of shape (n, outputs)
        weights : ndarray of shape (n,)
            Weight of every sample, not all 0.
        n_outputs : int

        Returns
        -------
        float
        """
        targets, weights = targets.astype(np.float64), weights.astype(np.float64)
        best = np.array([self.best_output(t, weights) for t in targets.T])
        z = np.repeat(best[:, np.newaxis], len(targets), axis=1)
        return self.loss_and_gradient(z, np.empty_like(z), targets, weights).loss / weights.sum()


class SquaredError(RegressionLoss):
    """``l = (z - t)² / 2``, least where ``z`` is the mean."""

    def of_each(self, z: np.ndarray, dz: np.ndarray, t: np.ndarray) -> np.ndarray:
        """``l' = z - t``."""
        np.subtract(z, t, out=dz)
        return dz * dz / 2

    def best_output(self, t: np.ndarray, weights: np.ndarray) -> float:
        """The mean."""
        return float(np.average(t, weights=weights))


class AbsoluteError(RegressionLoss):
    """``l = |z - t|``, least where ``z`` is the median."""

    def of_each(self, z: np.ndarray, dz: np.ndarray, t: np.ndarray) -> np.ndarray:
        """``l' = sign(z - t)``."""
        z -= t
        np.sign(z, out=dz)
        return np.abs(z, out=z)

    def best_output(self, t: np.ndarray, weights: np.ndarray) -> float:
        """The median."""
        order = np.argsort(t)
        below = np.cumsum(weights[order])
        return float(t[order[np.searchsorted(below, below[-1] / 2)]])


class Huber(RegressionLoss):
    """``l = r² / 2`` for errors ``r = z - t`` up to 1, and ``|r| - 1/2`` beyond (Huber 1964).

    With standardised targets an error of 1 is their standard deviation.
    """

    def of_each(self, z: np.ndarray, dz: np.ndarray, t: np.ndarray) -> np.ndarray:
        """``l' = c``, the error clipped to [-1, 1], with which ``l = c (r - c/2)``."""
        z -= t
        np.clip(z, -1, 1, out=dz)
        return dz * (z - dz / 2)

    def best_output(self, t: np.ndarray, weights: np.ndarray) -> float:
        """Where the derivative, which grows with ``z``, is 0; by bisection."""
        low, high = float(t.min()), float(t.max())
        for _ in range(50):
            middle = (low + high) / 2
            if np.dot(weights, np.clip(middle - t, -1, 1)) < 0:
                low = middle
            else:
                high = middle
        return high


class PoissonDeviance(RegressionLoss):
    """Half the Poisson deviance, with a log link: ``l = exp(z) - t z + t log t - t``.

    This is ``-log p(t)`` of a Poisson distribution with the mean ``exp(z)``,
    less its least value, which it takes where ``exp(z) = t``.
    """

    activation: ClassVar[str] = "exp"

    def predictions(self, z: np.ndarray) -> np.ndarray:
        """What is expected of the targets: ``exp(z)``, one row a sample.

        Parameters
        ----------
        z : ndarray of shape (outputs, n)

        Returns
        -------
        ndarray of shape (n, outputs)
        """
        return np.exp(z).T

    def of_each(self, z: np.ndarray, dz: np.ndarray, t: np.ndarray) -> np.ndarray:
        """``l' = exp(z) - t``."""
        np.exp(z, out=dz)
        constant = t * np.log(np.where(t > 0, t, 1)) - t
        losses = dz - t * z + constant
        dz -= t
        return losses

    def best_output(self, t: np.ndarray, weights: np.ndarray) -> float:
        """The logarithm of the mean."""
        return float(np.log(max(np.average(t, weights=weights), np.finfo(np.float64).tiny)))


Loss = SoftmaxCrossEntropy | SigmoidCrossEntropy | RegressionLoss

LOSSES: dict[str, SoftmaxCrossEntropy | SigmoidCrossEntropy] = {
    loss.activation: loss for loss in (SoftmaxCrossEntropy(), SigmoidCrossEntropy())
}
"""Losses of classifiers by the function that makes probabilities of outputs."""

REGRESSION_LOSSES: dict[str, RegressionLoss] = {
    "squared_error": SquaredError(),
    "absolute_error": AbsoluteError(),
    "huber": Huber(),
    "poisson": PoissonDeviance(),
}
"""Losses of regressors by the name that the parameter `loss` has for them."""

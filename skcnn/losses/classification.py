"""Losses of classifiers: cross-entropies for classes and for several labels."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from skcnn.losses._loss import BatchLoss, Loss

__all__ = ["LOSSES", "ClassificationLoss", "SigmoidCrossEntropy", "SoftmaxCrossEntropy"]


class ClassificationLoss(Loss):
    """A cross-entropy, which also turns outputs into probabilities.

    The outputs ``z`` (logits) are ``(classes, n)``, one column per sample.
    """

    counts: ClassVar[bool] = True

    @abstractmethod
    def probabilities(self, z: np.ndarray) -> np.ndarray:
        """Compute the probabilities of every column, without overflow.

        Parameters
        ----------
        z : ndarray of shape (classes, n)

        Returns
        -------
        ndarray of shape (classes, n)
        """

    @abstractmethod
    def log_probabilities(self, z: np.ndarray) -> np.ndarray:
        """Compute the logarithms of the probabilities, without underflow.

        Parameters
        ----------
        z : ndarray of shape (classes, n)

        Returns
        -------
        ndarray of shape (classes, n)
        """

    @abstractmethod
    def decided(self, values: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Adjust rounded probabilities, or their logarithms, to agree with `predictions`.

        Parameters
        ----------
        values : ndarray of shape (classes, n)
            Adjusted in place.
        z : ndarray of shape (classes, n)

        Returns
        -------
        ndarray of shape (classes, n)
            `values`, which give the predictions of `z`.
        """

    def rounded_probabilities(self, z: np.ndarray) -> np.ndarray:
        """Compute probabilities, rounded to the dtype of `z`, that agree with `predictions`.

        Parameters
        ----------
        z : ndarray of shape (classes, n)

        Returns
        -------
        ndarray of shape (classes, n)
        """
        return self.decided(self.probabilities(z.astype(np.float64)).astype(z.dtype), z)

    def rounded_log_probabilities(self, z: np.ndarray) -> np.ndarray:
        """Compute logarithms of `rounded_probabilities`, finite and ordered where these are 0.

        Parameters
        ----------
        z : ndarray of shape (classes, n)

        Returns
        -------
        ndarray of shape (classes, n)
        """
        p, logs = self.rounded_probabilities(z), self.log_probabilities(z.astype(np.float64))
        limits = np.finfo(p.dtype)
        rounded = np.maximum(logs, limits.min).astype(p.dtype)
        np.log(p, out=rounded, where=p >= limits.tiny)  # smaller ones have few digits
        return self.decided_logs(rounded, z)

    def decided_logs(self, logs: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Adjust logarithms to agree with `predictions`; by default, nothing is needed."""
        return logs


@dataclass(frozen=True)
class SoftmaxCrossEntropy(ClassificationLoss):
    """Cross-entropy of the softmax of the network's outputs.

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

    def predictions(self, z: np.ndarray) -> np.ndarray:
        """Class of the largest output, the first of several."""
        return z.argmax(axis=0)

    def probabilities(self, z: np.ndarray) -> np.ndarray:
        """Softmax of every column, ``p = exp(z) / Σ exp(z)``."""
        # differences from 0 may overflow; their exponential is 0
        with np.errstate(over="ignore", under="ignore"):
            p = np.exp(z - z.max(axis=0))
            p /= p.sum(axis=0)
        return p

    def log_probabilities(self, z: np.ndarray) -> np.ndarray:
        """Logarithm of the softmax, ``z - log Σ exp(z)``."""
        with np.errstate(over="ignore", under="ignore"):
            z = z - z.max(axis=0)
            z -= np.log(np.exp(z).sum(axis=0))
        return z

    def constant(self, targets: np.ndarray, weights: np.ndarray, n_outputs: int) -> float:
        """Entropy ``-Σ q log q`` of the classes' weighted frequencies, smoothed as targets are."""
        q = np.bincount(targets, weights, n_outputs) / weights.sum(dtype=np.float64)
        q = (1 - self.label_smoothing) * q + self.label_smoothing / n_outputs
        return _entropy(q)

    def decided(self, values: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Raise each predicted class's entry above any equal one that would be found first.

        Outputs may differ by less than the precision of their probabilities.
        """
        predicted, first = self.predictions(z), values.argmax(axis=0)
        (tied,) = np.nonzero(predicted != first)
        if len(tied):
            values[predicted[tied], tied] = np.nextafter(
                values[first[tied], tied], values.dtype.type(np.inf)
            )
        return values

    def decided_logs(self, logs: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Raise logarithms as `decided` raises probabilities."""
        return self.decided(logs, z)

    def loss_and_gradient(
        self, z: np.ndarray, dz: np.ndarray, targets: np.ndarray, weights: np.ndarray
    ) -> BatchLoss:
        """``L = -Σ w Σ q log p``, and ``dz = w (p - q)``, with ``q = (1 - ε) onehot(t) + ε/K``.

        Without smoothing that is ``-Σ w log p[t]``. The largest output is
        subtracted first (the log-sum-exp trick), which changes nothing but
        overflow.
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
class SigmoidCrossEntropy(ClassificationLoss):
    """Cross-entropy of the sigmoids of the network's outputs, summed over the labels.

    Any number of labels may be true of a sample.

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

    def predictions(self, z: np.ndarray) -> np.ndarray:
        """Whether each label has a probability above 1/2, that is ``z > 0``."""
        return (z > 0).T

    def probabilities(self, z: np.ndarray) -> np.ndarray:
        """Sigmoid of every output, ``p = 1 / (1 + exp(-z))``."""
        with np.errstate(under="ignore"):
            e = np.exp(-np.abs(z))
            return np.maximum(e, z > 0) / (1 + e)

    def log_probabilities(self, z: np.ndarray) -> np.ndarray:
        """Logarithm of the sigmoid, ``min(z, 0) - log(1 + exp(-|z|))``."""
        with np.errstate(under="ignore"):
            return np.minimum(z, 0) - np.log1p(np.exp(-np.abs(z)))

    def constant(self, targets: np.ndarray, weights: np.ndarray, n_outputs: int) -> float:
        """Sum of the entropies ``-q log q - (1 - q) log (1 - q)`` of the labels' frequencies.

        They are weighted, and smoothed as the targets are.
        """
        q = np.average(targets, axis=0, weights=weights.astype(np.float64))
        q = (1 - self.label_smoothing) * q + self.label_smoothing / 2
        return _entropy(q) + _entropy(1 - q)

    def decided(self, values: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Raise probabilities of positive outputs above 1/2 where they were rounded to it."""
        above = np.nextafter(z.dtype.type(0.5), z.dtype.type(1))
        return np.maximum(values, above, out=values, where=z > 0)

    def loss_and_gradient(
        self, z: np.ndarray, dz: np.ndarray, targets: np.ndarray, weights: np.ndarray
    ) -> BatchLoss:
        """``L = Σ w (max(z, 0) - z t + log(1 + exp(-|z|)))``, and ``dz = w (p - t)``.

        This is ``-Σ w (t log p + (1 - t) log(1 - p))``, written so that only
        numbers up to 1 are exponentiated; ``max(z, 0) - z t`` is ``|z|`` where
        the sign of ``z`` is wrong and 0 elsewhere. With smoothing ``t`` is
        ``(1 - ε) t + ε/2``. A sample is right if all of its labels are.
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


def _entropy(q: np.ndarray) -> float:
    """Compute ``-Σ q log q``, to which a 0 adds nothing."""
    return -float(np.dot(q, np.log(np.where(q > 0, q, 1))))


LOSSES: dict[str, SoftmaxCrossEntropy | SigmoidCrossEntropy] = {
    loss.activation: loss for loss in (SoftmaxCrossEntropy(), SigmoidCrossEntropy())
}
"""Losses of classifiers by the function that turns outputs into probabilities."""

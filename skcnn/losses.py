"""Losses: what the network's outputs mean, and how wrong they are."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

__all__ = ["SoftmaxCrossEntropy"]


class BatchLoss(NamedTuple):
    """Weighted sums over a batch."""

    loss: float
    correct: float


@dataclass(frozen=True)
class SoftmaxCrossEntropy:
    """Cross-entropy of the softmax of the network's outputs.

    The outputs ``z`` (logits) are ``(classes, n)``, one column a sample.

    Examples
    --------
    >>> import numpy as np
    >>> z = np.log(np.array([[1.0, 2.0], [3.0, 2.0]]))
    >>> SoftmaxCrossEntropy().probabilities(z)
    array([[0.25, 0.5 ],
           [0.75, 0.5 ]])
    """

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
        z = z - z.max(axis=0)
        z -= np.log(np.exp(z).sum(axis=0))
        return z

    def loss_and_gradient(
        self, z: np.ndarray, dz: np.ndarray, targets: np.ndarray, weights: np.ndarray
    ) -> BatchLoss:
        """``L = -Σ w log p[t]``, and ``dz = w (p - onehot(t))``.

        The largest output is subtracted first (the log-sum-exp trick), which
        changes nothing but overflow. `z` is overwritten.

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
        z -= z.max(axis=0)
        p = np.exp(z, out=dz)
        total = p.sum(axis=0)
        loss = np.dot(weights, np.log(total) - z[targets, columns])
        dz *= weights / total
        dz[targets, columns] -= weights
        return BatchLoss(float(loss), float(correct))

"""The interface of all losses."""

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import numpy as np

__all__ = ["BatchLoss", "Loss"]


class BatchLoss(NamedTuple):
    """Weighted sums over a batch; `correct` is 0 for losses without right and wrong."""

    loss: float
    correct: float


class Loss(ABC):
    """A loss of the network's outputs ``z`` of shape ``(outputs, n)``, one column per sample.

    Attributes
    ----------
    activation : {"softmax", "logistic", "identity", "exp"}
        Function that turns outputs into predictions.
    counts : bool
        Whether predictions are right or wrong, and `loss_and_gradient` counts the
        right ones.
    """

    activation: ClassVar[str]
    counts: ClassVar[bool]

    @abstractmethod
    def predictions(self, z: np.ndarray) -> np.ndarray:
        """Compute predictions from outputs, one row per sample.

        Parameters
        ----------
        z : ndarray of shape (outputs, n)

        Returns
        -------
        ndarray of shape (n,) or (n, outputs)
        """

    @abstractmethod
    def loss_and_gradient(
        self, z: np.ndarray, dz: np.ndarray, targets: np.ndarray, weights: np.ndarray
    ) -> BatchLoss:
        """Return the weighted loss summed over the samples, and write its gradient to `dz`.

        Parameters
        ----------
        z : ndarray of shape (outputs, n)
            Outputs of the network; overwritten.
        dz : ndarray of shape (outputs, n)
            Receives the gradient.
        targets : ndarray of shape (n,) or (n, outputs)
            Target of every sample.
        weights : ndarray of shape (n,)
            Weight of every sample.

        Returns
        -------
        BatchLoss
            Loss, and total weight of the samples with right predictions.
        """

    @abstractmethod
    def constant(self, targets: np.ndarray, weights: np.ndarray, n_outputs: int) -> float:
        """Return the least mean loss of outputs that are equal for all samples.

        Parameters
        ----------
        targets : ndarray of shape (n,) or (n, outputs)
        weights : ndarray of shape (n,)
            Weight of every sample, not all 0.
        n_outputs : int

        Returns
        -------
        float
        """

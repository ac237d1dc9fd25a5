"""Losses of regressors, which treat every output separately."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from skcnn.losses._loss import BatchLoss, Loss

__all__ = [
    "REGRESSION_LOSSES",
    "AbsoluteError",
    "Huber",
    "PinballLoss",
    "PoissonDeviance",
    "RegressionLoss",
    "SquaredError",
]


class RegressionLoss(Loss):
    """Mean over the outputs of an elementwise loss.

    The outputs ``z`` are ``(outputs, n)``, one column per sample. Targets are scaled
    to numbers of order 1: standardized, or divided by their mean.
    """

    activation: ClassVar[str] = "identity"
    counts: ClassVar[bool] = False  # nothing is right or wrong

    def predictions(self, z: np.ndarray) -> np.ndarray:
        """Return the outputs, which are the expected targets, one row per sample."""
        return z.T

    @abstractmethod
    def of_each(self, z: np.ndarray, dz: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Compute the loss ``l(z, t)`` of each number, and write its derivative to `dz`.

        Parameters
        ----------
        z : ndarray of shape (outputs, n)
            Outputs of the network; overwritten.
        dz : ndarray of shape (outputs, n)
            Receives the derivatives with respect to ``z``.
        t : ndarray of shape (outputs, n)
            Targets.

        Returns
        -------
        ndarray of shape (outputs, n)
        """

    def loss_and_gradient(
        self, z: np.ndarray, dz: np.ndarray, targets: np.ndarray, weights: np.ndarray
    ) -> BatchLoss:
        """``L = Σ w Σ l(z, t) / K`` over K outputs, and ``dz = w l'(z, t) / K``."""
        losses = self.of_each(z, dz, targets.T)
        dz *= weights / len(z)
        return BatchLoss(float(np.dot(weights, losses.sum(axis=0)) / len(z)), 0.0)

    @abstractmethod
    def best_output(self, t: np.ndarray, weights: np.ndarray) -> float:
        """Return the constant ``z`` of least weighted loss for the targets of one output.

        Parameters
        ----------
        t : ndarray of float64 of shape (n,)
        weights : ndarray of float64 of shape (n,)
            Weight of every sample, not all 0.

        Returns
        -------
        float
        """

    def constant(self, targets: np.ndarray, weights: np.ndarray, n_outputs: int) -> float:
        """Return the mean loss of each output's `best_output`."""
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
        """Return the mean."""
        return float(np.average(t, weights=weights))


class AbsoluteError(RegressionLoss):
    """``l = |z - t|``, least where ``z`` is the median."""

    def of_each(self, z: np.ndarray, dz: np.ndarray, t: np.ndarray) -> np.ndarray:
        """``l' = sign(z - t)``."""
        z -= t
        np.sign(z, out=dz)
        return np.abs(z, out=z)

    def best_output(self, t: np.ndarray, weights: np.ndarray) -> float:
        """Return the median."""
        return _quantile(t, weights, 0.5)


@dataclass(frozen=True)
class PinballLoss(RegressionLoss):
    """``l = q (t - z)`` below the target and ``(1 - q) (z - t)`` above it.

    It is least where ``z`` is the quantile ``q`` (Koenker & Bassett 1978,
    *Regression quantiles*).

    Parameters
    ----------
    quantile : float, default=0.5
        Fraction ``q`` of the targets that should be at most the prediction, in (0, 1).
    """

    quantile: float = 0.5

    def of_each(self, z: np.ndarray, dz: np.ndarray, t: np.ndarray) -> np.ndarray:
        """``l' = 1 - q`` where ``z > t``, and ``-q`` where ``z < t``; ``l = l' (z - t)``."""
        z -= t
        np.multiply(z > 0, 1 - self.quantile, out=dz)
        dz -= (z < 0) * z.dtype.type(self.quantile)
        return np.multiply(dz, z, out=z)

    def best_output(self, t: np.ndarray, weights: np.ndarray) -> float:
        """Return the quantile."""
        return _quantile(t, weights, self.quantile)


class Huber(RegressionLoss):
    """``l = r² / 2`` for errors ``r = z - t`` up to 1, and ``|r| - 1/2`` beyond (Huber 1964).

    With standardized targets an error of 1 is their standard deviation.
    """

    def of_each(self, z: np.ndarray, dz: np.ndarray, t: np.ndarray) -> np.ndarray:
        """``l' = c``, the error clipped to [-1, 1], with which ``l = c (r - c/2)``."""
        z -= t
        np.clip(z, -1, 1, out=dz)
        return dz * (z - dz / 2)

    def best_output(self, t: np.ndarray, weights: np.ndarray) -> float:
        """Find the zero of the derivative, which grows with ``z``, by bisection."""
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
    minus its minimum, at ``exp(z) = t``.
    """

    activation: ClassVar[str] = "exp"

    def predictions(self, z: np.ndarray) -> np.ndarray:
        """Return the expected targets ``exp(z)``, one row per sample."""
        return np.exp(z).T

    def of_each(self, z: np.ndarray, dz: np.ndarray, t: np.ndarray) -> np.ndarray:
        """``l' = exp(z) - t``."""
        np.exp(z, out=dz)
        constant = t * np.log(np.where(t > 0, t, 1)) - t
        losses = dz - t * z + constant
        dz -= t
        return losses

    def best_output(self, t: np.ndarray, weights: np.ndarray) -> float:
        """Return the logarithm of the mean."""
        return float(np.log(max(np.average(t, weights=weights), np.finfo(np.float64).tiny)))


def _quantile(t: np.ndarray, weights: np.ndarray, q: float) -> float:
    """Return the smallest number with at least a fraction `q` of the weight up to it."""
    order = np.argsort(t)
    below = np.cumsum(weights[order])
    return float(t[order[np.searchsorted(below, q * below[-1])]])


REGRESSION_LOSSES: dict[str, RegressionLoss] = {
    "squared_error": SquaredError(),
    "absolute_error": AbsoluteError(),
    "huber": Huber(),
    "poisson": PoissonDeviance(),
    "quantile": PinballLoss(),
}
"""Losses of regressors by their names in the parameter `loss`."""

"""Optimizers: arithmetic on one flat vector of parameters.

Each holds hyperparameters only. Its moments are a dict of vectors that the
caller keeps, and the learning rate comes with every step.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from skcnn._hyperparameters import check_bool, check_real

__all__ = ["SGD", "Adam", "Optimizer"]

CHUNK = 8192
"""Elements handled at a time, so that temporary arrays stay in the first-level cache."""


class Optimizer(ABC):
    """What all optimizers have in common."""

    def check(self) -> None:
        """Raise ``ValueError`` where a hyperparameter is out of range."""

    @abstractmethod
    def moments(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Return the vectors that the optimizer remembers, as they start."""

    @abstractmethod
    def step(
        self,
        weights: np.ndarray,
        gradient: np.ndarray,
        moments: dict[str, np.ndarray],
        lr: float,
        t: int,
    ) -> None:
        """Move `weights` in place by one step.

        Parameters
        ----------
        weights, gradient : ndarray of shape (n_parameters,)
        moments : dict of ndarray
            As `moments` made them; changed in place.
        lr : float
            Learning rate.
        t : int
            Number of this step, from 1.
        """


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent with momentum.

    Parameters
    ----------
    momentum : float, default=0.9
        Share of the last step that is taken again, in [0, 1).
    nesterov : bool, default=True
        Look ahead along the momentum (Sutskever et al. 2013, equation 7).
    """

    momentum: float = 0.9
    nesterov: bool = True

    def check(self) -> None:
        check_real("SGD", "momentum", self.momentum, 0, 1)
        check_bool("SGD", "nesterov", self.nesterov)

    def moments(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        return {"velocity": np.zeros_like(weights)} if self.momentum else {}

    def step(
        self,
        weights: np.ndarray,
        gradient: np.ndarray,
        moments: dict[str, np.ndarray],
        lr: float,
        t: int,
    ) -> None:
        """``v = μ v - lr g``; ``w += v``, or with Nesterov ``w += μ v - lr g``."""
        if not self.momentum:
            weights -= lr * gradient
            return
        velocity = moments["velocity"]
        for part in chunks(len(weights)):
            descent = gradient[part] * -lr
            v = velocity[part]
            v *= self.momentum
            v += descent
            if self.nesterov:
                descent += self.momentum * v
                weights[part] += descent
            else:
                weights[part] += v


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adaptive moments (Kingma & Ba 2015, algorithm 1).

    Parameters
    ----------
    beta_1 : float, default=0.9
        Decay of the mean of the gradients, in [0, 1).
    beta_2 : float, default=0.999
        Decay of the mean of their squares, in [0, 1).
    epsilon : float, default=1e-8
        Added to the root of the second moment, positive.
    """

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    def check(self) -> None:
        check_real("Adam", "beta_1", self.beta_1, 0, 1)
        check_real("Adam", "beta_2", self.beta_2, 0, 1)
        check_real("Adam", "epsilon", self.epsilon, 0, bounds="()")

    def moments(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        return {"first": np.zeros_like(weights), "second": np.zeros_like(weights)}

    def step(
        self,
        weights: np.ndarray,
        gradient: np.ndarray,
        moments: dict[str, np.ndarray],
        lr: float,
        t: int,
    ) -> None:
        """``m = β₁m + (1-β₁)g``, ``v = β₂v + (1-β₂)g²``, ``w -= lr m̂ / (√v̂ + ε)``.

        ``m̂ = m / (1 - β₁ᵗ)`` and ``v̂ = v / (1 - β₂ᵗ)``; both corrections are
        moved into the rate and ε.
        """
        correction = float(np.sqrt(1 - self.beta_2**t))
        rate = lr * correction / (1 - self.beta_1**t)
        for part in chunks(len(weights)):
            g, m, v = gradient[part], moments["first"][part], moments["second"][part]
            m *= self.beta_1
            m += (1 - self.beta_1) * g
            v *= self.beta_2
            squared = g * g
            squared *= 1 - self.beta_2
            v += squared
            denominator = np.sqrt(v)
            denominator += self.epsilon * correction
            step = np.divide(m, denominator, out=denominator)
            step *= rate
            weights[part] -= step


def chunks(length: int) -> Iterator[slice]:
    """Slices of `CHUNK` elements that cover ``range(length)``."""
    return (slice(start, start + CHUNK) for start in range(0, length, CHUNK))

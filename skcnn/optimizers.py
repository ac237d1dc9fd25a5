"""Optimizers: arithmetic on one flat vector of parameters.

An optimizer holds hyperparameters only. The caller keeps its moments, a dict of
vectors, and passes the learning rate to every step.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from skcnn._hyperparameters import Hyperparameters, check_bool, check_real
from skcnn.denormals import flush, flush_vanishing, normal_squares

__all__ = ["SGD", "AdaGrad", "Adam", "AdamW", "Optimizer", "RMSprop"]


class Optimizer(Hyperparameters, ABC):
    """Base class of all optimizers.

    Attributes
    ----------
    decoupled : bool
        Whether weight decay multiplies the weights by ``1 - lr weight_decay``
        before the step; otherwise ``weight_decay`` times the weights is added
        to the gradient. Either is done by the caller, which knows the decayed
        weights.
    squares : tuple of str
        Names of the moments that accumulate squared gradients.
    """

    decoupled: ClassVar[bool] = False
    squares: ClassVar[tuple[str, ...]] = ()

    def check(self) -> None:
        """Raise ``ValueError`` if a hyperparameter is out of range."""

    @abstractmethod
    def moments(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Return the initial values of the vectors that the optimizer keeps."""

    @abstractmethod
    def step(
        self,
        weights: np.ndarray,
        gradient: np.ndarray,
        moments: dict[str, np.ndarray],
        lr: float,
        t: int,
    ) -> None:
        """Update `weights` in place by one step.

        Elements are updated independently, so slices of the vectors are allowed.

        Parameters
        ----------
        weights, gradient : ndarray of shape (n_parameters,)
        moments : dict of ndarray
            As returned by `moments`; updated in place.
        lr : float
            Learning rate.
        t : int
            Number of this step, counted from 1.
        """

    def flush(self, weights: np.ndarray, moments: dict[str, np.ndarray]) -> None:
        """Set weights and moments to 0, in place, where they have decayed to almost nothing.

        Elements are flushed independently, as in `step`. Squares are set to 0 only
        if they are denormal: a gradient of 1e-16, whose square is 1e-32, may still
        be divided by their root.
        """
        flush_vanishing(weights)
        for name, moment in moments.items():
            (flush if name in self.squares else flush_vanishing)(moment)


@dataclass(frozen=True, repr=False, eq=False)
class SGD(Optimizer):
    """Stochastic gradient descent with momentum.

    Parameters
    ----------
    momentum : float, default=0.9
        Fraction of the previous step that is added to the next, in [0, 1).
    nesterov : bool, default=True
        Whether to look ahead along the momentum, in the form of Bengio,
        Boulanger-Lewandowski & Pascanu (2013), equation 7.
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
        descent = gradient * -lr
        velocity *= self.momentum
        velocity += descent
        if self.nesterov:
            descent += self.momentum * velocity
            weights += descent
        else:
            weights += velocity


@dataclass(frozen=True, repr=False, eq=False)
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

    squares: ClassVar[tuple[str, ...]] = ("second",)

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    def check(self) -> None:
        check_real(type(self).__name__, "beta_1", self.beta_1, 0, 1)
        check_real(type(self).__name__, "beta_2", self.beta_2, 0, 1)
        check_real(type(self).__name__, "epsilon", self.epsilon, 0, bounds="()")

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

        ``m̂ = m / (1 - β₁ᵗ)`` and ``v̂ = v / (1 - β₂ᵗ)``. The moments are kept
        as ``m / (1-β₁)`` and ``v / (1-β₂)``, which saves two products, and all
        constant factors are absorbed into the learning rate and ε.
        """
        m, v = moments["first"], moments["second"]
        m *= self.beta_1
        m += gradient
        v *= self.beta_2
        step = normal_squares(gradient)
        v += step
        first = (1 - self.beta_1) / (1 - self.beta_1**t)  # m̂ / m
        second = float(np.sqrt((1 - self.beta_2) / (1 - self.beta_2**t)))  # √v̂ / √v
        np.sqrt(v, out=step)
        step += self.epsilon / second
        np.divide(m, step, out=step)
        step *= lr * first / second
        weights -= step


@dataclass(frozen=True, repr=False, eq=False)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, algorithm 2).

    The weights are multiplied by ``1 - lr weight_decay`` before each step of
    Adam, instead of ``weight_decay w`` being scaled by the moments with the
    rest of the gradient. (The paper multiplies the decay by the schedule alone;
    multiplying it by the whole learning rate has become common since.) A useful
    decay is therefore larger than for the other optimizers, such as 1e-2.

    Parameters
    ----------
    beta_1 : float, default=0.9
        Decay of the mean of the gradients, in [0, 1).
    beta_2 : float, default=0.999
        Decay of the mean of their squares, in [0, 1).
    epsilon : float, default=1e-8
        Added to the root of the second moment, positive.
    """

    decoupled: ClassVar[bool] = True


@dataclass(frozen=True, repr=False, eq=False)
class RMSprop(Optimizer):
    """Gradients divided by the root of their recent mean square (Tieleman & Hinton 2012).

    Parameters
    ----------
    rho : float, default=0.9
        Decay of the mean of the squares, in [0, 1).
    epsilon : float, default=1e-8
        Added to the root, positive.
    momentum : float, default=0.0
        Fraction of the previous step that is added to the next, in [0, 1).
    """

    squares: ClassVar[tuple[str, ...]] = ("mean_square",)

    rho: float = 0.9
    epsilon: float = 1e-8
    momentum: float = 0.0

    def check(self) -> None:
        check_real("RMSprop", "rho", self.rho, 0, 1)
        check_real("RMSprop", "epsilon", self.epsilon, 0, bounds="()")
        check_real("RMSprop", "momentum", self.momentum, 0, 1)

    def moments(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        names = ("mean_square", "velocity") if self.momentum else ("mean_square",)
        return {name: np.zeros_like(weights) for name in names}

    def step(
        self,
        weights: np.ndarray,
        gradient: np.ndarray,
        moments: dict[str, np.ndarray],
        lr: float,
        t: int,
    ) -> None:
        """``s = ρs + (1-ρ)g²``, ``v = μv + lr g / (√s + ε)``, ``w -= v``.

        The mean square is kept as ``s / (1-ρ)``, and the factor is absorbed
        into the learning rate and ε.
        """
        s = moments["mean_square"]
        s *= self.rho
        step = normal_squares(gradient)
        s += step
        root = float(np.sqrt(1 - self.rho))
        np.sqrt(s, out=step)
        step += self.epsilon / root
        np.divide(gradient, step, out=step)
        step *= lr / root
        if self.momentum:
            velocity = moments["velocity"]
            velocity *= self.momentum
            velocity += step
            step = velocity
        weights -= step


@dataclass(frozen=True, repr=False, eq=False)
class AdaGrad(Optimizer):
    """Gradients divided by the root of the sum of all their squares.

    Duchi, Hazan & Singer (2011), figure 1 with the diagonal matrix and the
    composite mirror descent update without a regularizer.

    Parameters
    ----------
    epsilon : float, default=1e-8
        Added to the root, positive.
    """

    squares: ClassVar[tuple[str, ...]] = ("sum_of_squares",)

    epsilon: float = 1e-8

    def check(self) -> None:
        check_real("AdaGrad", "epsilon", self.epsilon, 0, bounds="()")

    def moments(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        return {"sum_of_squares": np.zeros_like(weights)}

    def step(
        self,
        weights: np.ndarray,
        gradient: np.ndarray,
        moments: dict[str, np.ndarray],
        lr: float,
        t: int,
    ) -> None:
        """``s += g²``, ``w -= lr g / (√s + ε)``."""
        s = moments["sum_of_squares"]
        step = normal_squares(gradient)
        s += step
        np.sqrt(s, out=step)
        step += self.epsilon
        np.divide(gradient, step, out=step)
        step *= lr
        weights -= step

"""Initializers of weights: frozen dataclasses that fill an array from an `rng`.

Each is called as ``initializer(weight, rng)`` and writes into `weight`, whose
shape is ``(units, inputs)`` or
``(filters, channels, kernel height, kernel width)``. The fan-in is the number
of inputs that one output sums over, the fan-out the number of outputs that one
input contributes to.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from skcnn._hyperparameters import Hyperparameters, check_real

__all__ = ["FanInUniform", "Gaussian", "Glorot", "He", "Initializer", "LeCunUniform", "Zeros"]


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the fan-in and fan-out of a weight array of the given shape.

    >>> fans((84, 120)), fans((16, 6, 5, 5))
    ((120, 84), (150, 400))
    """
    receptive_field = int(np.prod(shape[2:]))
    return shape[1] * receptive_field, shape[0] * receptive_field


class Initializer(Hyperparameters, ABC):
    """Base class of all initializers: callables that fill an array."""

    def check(self) -> None:
        """Raise ``ValueError`` if a hyperparameter is out of range."""

    @abstractmethod
    def __call__(self, weight: np.ndarray, rng: np.random.Generator) -> None:
        """Fill `weight` in place with numbers drawn from `rng`."""


@dataclass(frozen=True, repr=False, eq=False)
class FanInUniform(Initializer):
    """Uniform numbers up to ``±1 / sqrt(fan_in)``, with a third of LeCun's variance.

    The default of layers in PyTorch, and before it in Torch (LeCun et al. 1998
    with another constant).
    """

    def __call__(self, weight: np.ndarray, rng: np.random.Generator) -> None:
        """``W ~ U(-a, a)`` with ``a = sqrt(1 / fan_in)``."""
        limit = np.sqrt(1 / fans(weight.shape)[0])
        weight[...] = rng.uniform(-limit, limit, weight.shape)


@dataclass(frozen=True, repr=False, eq=False)
class Gaussian(Initializer):
    """Normal numbers of mean 0 and standard deviation `sigma`.

    Parameters
    ----------
    sigma : float, default=0.01
        Standard deviation, positive.
    """

    sigma: float = 0.01

    def check(self) -> None:
        check_real("Gaussian", "sigma", self.sigma, 0, bounds="()")

    def __call__(self, weight: np.ndarray, rng: np.random.Generator) -> None:
        """``W ~ N(0, sigma²)``."""
        weight[...] = rng.normal(0.0, self.sigma, weight.shape)


@dataclass(frozen=True, repr=False, eq=False)
class Glorot(Initializer):
    """Glorot's (Xavier's) normalized initialization, for tanh and for logits.

    Glorot & Bengio (2010), *Understanding the difficulty of training deep
    feedforward neural networks*, equation 16.
    """

    def __call__(self, weight: np.ndarray, rng: np.random.Generator) -> None:
        """``W ~ U(-a, a)`` with ``a = sqrt(6 / (fan_in + fan_out))``."""
        limit = np.sqrt(6 / sum(fans(weight.shape)))
        weight[...] = rng.uniform(-limit, limit, weight.shape)


@dataclass(frozen=True, repr=False, eq=False)
class He(Initializer):
    """He's initialization, which preserves the variance through rectifiers.

    He et al. (2015), *Delving deep into rectifiers*, equation 10.
    """

    def __call__(self, weight: np.ndarray, rng: np.random.Generator) -> None:
        """``W ~ N(0, 2 / fan_in)``."""
        weight[...] = rng.normal(0.0, np.sqrt(2 / fans(weight.shape)[0]), weight.shape)


@dataclass(frozen=True, repr=False, eq=False)
class LeCunUniform(Initializer):
    """LeCun's initialization: uniform numbers of variance ``1 / fan_in``.

    LeCun et al. (1998), *Efficient BackProp*, equation 16.
    """

    def __call__(self, weight: np.ndarray, rng: np.random.Generator) -> None:
        """``W ~ U(-a, a)`` with ``a = sqrt(3 / fan_in)``."""
        limit = np.sqrt(3 / fans(weight.shape)[0])
        weight[...] = rng.uniform(-limit, limit, weight.shape)


@dataclass(frozen=True, repr=False, eq=False)
class Zeros(Initializer):
    """Zeros, for an output layer that starts with its bias alone.

    In a hidden layer, all units would stay equal.
    """

    def __call__(self, weight: np.ndarray, rng: np.random.Generator) -> None:
        """``W = 0``."""
        weight[...] = 0

"""Arithmetic from the summed gradient to the next parameters: divide, clip, decay, step.

All operations run chunk by chunk over the flat vectors, so that a chunk stays
in the cache, and so that several processes can share the chunks.
"""

from math import inf, sqrt
from typing import NamedTuple

import numpy as np

from skcnn.network import Network
from skcnn.training.config import TrainingConfig

__all__ = ["Step", "Update", "chunks", "norm", "squares"]

CHUNK = 2**16
"""Number of parameters in a chunk."""

FLUSH_EVERY = 64
"""Steps from one flush of vanishing parameters and moments to the next."""

LARGE_UNIT = 2.0**600
"""Unit of gradients whose squares overflow float64."""


class Step(NamedTuple):
    """One step of the optimizer.

    Parameters
    ----------
    t : int
        Its number, from 1.
    lr : float
        Learning rate.
    scale : float
        Factor of the summed gradient.
    weight : float
        Total weight of the mini-batch's samples.
    averaged : int
        Number of mini-batches, including this one, in the running averages of
        the running statistics.
    """

    t: int
    lr: float
    scale: float
    weight: float
    averaged: int


def chunks(start: int, stop: int) -> list[slice]:
    """Split a range of the flat vector into chunks."""
    return [slice(i, min(i + CHUNK, stop)) for i in range(start, stop, CHUNK)]


def squares(gradient: np.ndarray) -> float:
    """Sum of squares, in float64 and without BLAS, so that threads change nothing."""
    return float(np.add.reduce(np.square(gradient, dtype=np.float64)))


def norm(gradient: np.ndarray, sums: list[float]) -> float:
    """Norm of the whole gradient, from the `squares` of its chunks.

    They are added in order. If they overflow float64, the gradient is measured
    in a larger unit.
    """
    unit, total = 1.0, 0.0
    for one in sums:
        total += one
    if not total < inf:
        unit, total = LARGE_UNIT, 0.0
        for part in chunks(0, len(gradient)):
            total += squares(gradient[part] / unit)
    return unit * sqrt(total)


class Update:
    """Arithmetic of a step on a part of the flat vectors.

    Parameters
    ----------
    network : Network
    config : TrainingConfig
    """

    def __init__(self, network: Network, config: TrainingConfig) -> None:
        self.state_rates = network.state_rates
        self.n_decayed, self.optimizer = network.n_decayed, config.optimizer
        self.weight_decay, self.max_grad_norm = config.weight_decay, config.max_grad_norm

    @property
    def clips(self) -> bool:
        """Whether a step needs the norm of the gradient."""
        return self.max_grad_norm is not None

    def scale(self, n_rows: int, norm: float | None) -> float:
        """``1 / n``, times ``min(1, limit / ‖g‖)`` (Pascanu et al. 2013, algorithm 1).

        `norm` is that of the summed gradient, not yet divided; None if the
        gradient is not clipped.
        """
        scale = 1 / n_rows
        if norm is not None and self.max_grad_norm is not None:
            limit = self.max_grad_norm * n_rows
            scale *= limit / norm if norm > limit else 1.0
        return scale

    def apply(
        self,
        part: slice,
        params: np.ndarray,
        moments: dict[str, np.ndarray],
        gradient: np.ndarray,
        step: Step,
    ) -> None:
        """Update a part of the parameters.

        Parameters
        ----------
        part : slice
            Its position in the flat vector.
        params, gradient : ndarray
            That part of the vectors; both are changed.
        moments : dict of ndarray
            That part of the moments; changed.
        step : Step
        """
        gradient *= step.scale
        if self.weight_decay and part.start < self.n_decayed:
            decayed = slice(self.n_decayed - part.start)
            if self.optimizer.decoupled:
                params[decayed] *= 1 - step.lr * self.weight_decay
            else:
                gradient[decayed] += self.weight_decay * params[decayed]
        self.optimizer.step(params, gradient, moments, step.lr, step.t)
        if step.t % FLUSH_EVERY == 0:
            self.optimizer.flush(params, moments)

    def update_statistics(self, state: np.ndarray, gradient: np.ndarray, step: Step) -> None:
        """Move the running statistics towards the values that the layers measured.

        `gradient` is the sum over samples whose total weight is that of the step.
        """
        rates = np.maximum(self.state_rates, 1 / step.averaged)
        state -= gradient * (rates / step.weight)

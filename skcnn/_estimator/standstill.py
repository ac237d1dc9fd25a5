"""Whether a training has learned more than a constant knows."""

from typing import NamedTuple

import numpy as np

from skcnn.data import Samples
from skcnn.network import Network
from skcnn.parallel.threads import Threads
from skcnn.state import TrainingState
from skcnn.training.trainer import mean_loss

__all__ = ["Standstill", "Start", "standstill"]

STEPS = 100
"""Steps of the optimizer from which a training is expected to have learned something."""

SHARE = 1e-3
"""Fraction of a constant's excess loss that training must remove."""

LITTLE = 1e-2
"""Excess loss of a constant below which there is nothing to learn: targets are nearly equal."""


class Start(NamedTuple):
    """Start of a training: completed epochs and optimizer steps."""

    epoch: int
    step: int


class Standstill(NamedTuple):
    """Loss on the training rows, and that of the best constant outputs."""

    loss: float
    constant: float


def standstill(
    network: Network,
    samples: Samples,
    state: TrainingState,
    start: Start,
    workers: Threads,
    max_bytes: float,
) -> Standstill | None:
    """Return the losses of a training of some length that is no better than constant outputs.

    The losses of its epochs tell most trainings apart at no cost. They are
    those of changing weights, with what is only drawn in training, so that the
    kept weights have the last word.

    Parameters
    ----------
    network : Network
    samples : Samples
        What it has learned from.
    state : TrainingState
        Where it ended.
    start : Start
    workers : Threads
    max_bytes : float
        Memory that each worker's arrays may take.

    Returns
    -------
    Standstill or None
    """
    if state.step - start.step < STEPS:
        return None
    loss, targets, weights = samples.loss, samples.targets, samples.sample_weight
    (n_outputs,) = network.output_shape
    constant = loss.constant(targets, weights, n_outputs)
    least = loss.constant(targets[:1], np.ones(1), n_outputs)  # of who knows every target
    limit = constant - SHARE * (constant - least)
    if constant - least <= LITTLE:
        return None
    if min(state.history["loss"][start.epoch :]) < limit:
        return None
    kept = state.weights if state.best_weights is None else state.best_weights
    found = mean_loss(network, kept, samples, workers, max_bytes).loss
    return None if found < limit else Standstill(found, constant)

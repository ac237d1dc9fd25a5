"""Detection of trainings that end no better than a constant prediction."""

from typing import NamedTuple

import numpy as np

from skcnn.data import Samples
from skcnn.network import Network
from skcnn.parallel.threads import Threads
from skcnn.state import TrainingState
from skcnn.training.trainer import mean_loss

__all__ = ["UselessTraining", "find_useless_training"]

LEAST_STEPS = 100
"""Steps of the optimizer from which a training is expected to have learned something."""

SHARE = 1e-3
"""Fraction of a constant's excess loss that training must remove."""

LITTLE = 1e-2
"""Excess loss of a constant below which there is nothing to learn: targets are nearly equal."""


class UselessTraining(NamedTuple):
    """Loss on the training rows, and the loss of the best constant outputs."""

    loss: float
    constant: float


def find_useless_training(
    network: Network,
    samples: Samples,
    state: TrainingState,
    threads: Threads,
    max_bytes: float,
) -> UselessTraining | None:
    """Compare the final loss with that of constant outputs.

    The losses recorded during training clear most trainings at no cost. Since they belong to
    changing weights, and include dropout and the like, the kept weights decide about the rest.

    Parameters
    ----------
    network : Network
    samples : Samples
        Samples that were trained on.
    state : TrainingState
        State at the end of the training.
    threads : Threads
    max_bytes : float
        Memory that each thread's arrays may take.

    Returns
    -------
    UselessTraining or None
        None if the training was too short to tell, or has learned something.
    """
    if state.step - state.begun_step < LEAST_STEPS:
        return None
    loss, targets, weights = samples.loss, samples.targets, samples.sample_weight
    (n_outputs,) = network.output_shape
    constant = loss.constant(targets, weights, n_outputs)
    least = loss.constant(targets[:1], np.ones(1), n_outputs)  # if each target were predicted
    limit = constant - SHARE * (constant - least)
    if constant - least <= LITTLE:
        return None
    if min(state.history["loss"][state.begun :]) < limit:
        return None
    kept = state.weights if state.best_weights is None else state.best_weights
    found = mean_loss(network, kept, samples, threads, max_bytes).loss
    return None if found < limit else UselessTraining(found, constant)

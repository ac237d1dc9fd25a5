"""State of a training, and its streams of random numbers."""

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from skcnn._migration import migrate
from skcnn.layers.generators import LayerGenerator
from skcnn.network import Network
from skcnn.optimizers import Optimizer

__all__ = ["VALIDATION_HISTORY", "TrainingState", "layer_stream", "new_state", "stream"]

VALIDATION_HISTORY = ("validation_loss", "validation_score")
"""Names of the numbers of an epoch that only a validation part gives."""

_STREAMS = {"init": 0, "shuffle": 1, "layers": 2, "split": 3, "batch": 4}


def stream(seed: int, purpose: str, *where: int) -> np.random.Generator:
    """Return the random numbers for one purpose at one position in training.

    Streams differ in the key and counter of Philox (Salmon et al. 2011), so none
    depends on earlier draws or on the thread.

    Parameters
    ----------
    seed : int
    purpose : {"init", "shuffle", "layers", "split", "batch"}
        "layers" and "batch" are the numbers that layers draw for a micro-batch
        and for a whole mini-batch.
    *where : int
        Up to three numbers, such as epoch, batch and micro-batch.
    """
    return np.random.Generator(_philox(seed, purpose, *where))


def _philox(seed: int, purpose: str, *where: int) -> np.random.Philox:
    counter = [0, *where, *[0] * (3 - len(where))]
    key = np.array([seed, _STREAMS[purpose]], np.uint64)
    return np.random.Philox(key=key, counter=np.array(counter, np.uint64))


def layer_stream(seed: int, epoch: int, batch: int, micro_batch: int) -> LayerGenerator:
    """Random numbers of the layers for one micro-batch, and those its mini-batch shares."""
    return LayerGenerator(
        _philox(seed, "layers", micro_batch, batch, epoch),
        partial(stream, seed, "batch", batch, epoch),
    )


@dataclass(repr=False, eq=False)
class TrainingState:
    """State of a training: everything that it changes and that continuing it needs.

    Attributes
    ----------
    seed : int
        Seed of all random numbers.
    weights : ndarray of shape (vector_size,)
        The last weights, the running statistics and the constants.
    moments : dict of ndarray
        Moments of the optimizer.
    epoch, step : int
        Epochs and optimizer steps that are complete.
    begun, begun_step : int
        Epochs and steps that were complete when this training began: it ends
        `max_iter` epochs later, and a schedule that starts anew counts from there.
    averaged : int
        Number of mini-batches averaged in the running statistics.
    first_loss : float or None
        Loss of the first mini-batch, the reference for divergence.
    best : float
        Best score on the validation part, or best negative loss.
    best_weights : ndarray or None
        The weights of the best score; kept with a validation part only.
    no_improvement : int
        Consecutive epochs without an improvement of at least ``tol``.
    history : dict of list
        One number per epoch: "loss", "accuracy", "lr" (of the last mini-batch),
        and with a validation part "validation_loss" and "validation_score".
    criterion : object or None
        Criterion that epochs are compared by: None is the loss, anything else a
        score on a validation part; see `judge_by`.
    finely : bool or None
        Whether mini-batches are split for several processes, see `SampleCost.finer`;
        None until the first epoch. Continued training keeps it, with any number of
        samples.
    """

    seed: int
    weights: np.ndarray
    moments: dict[str, np.ndarray]
    epoch: int = 0
    step: int = 0
    averaged: int = 0
    first_loss: float | None = None
    best: float = -np.inf
    best_weights: np.ndarray | None = None
    no_improvement: int = 0
    history: dict[str, list[float]] = field(default_factory=dict)
    criterion: object = None
    finely: bool | None = None
    begun: int = 0
    begun_step: int = 0

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(migrate(type(self), state))

    def copy(self) -> "TrainingState":
        """Return an independent copy."""
        best = self.best_weights
        return replace(
            self,
            weights=np.array(self.weights),  # unlike `weights.copy()`, never a memory map
            moments={name: np.array(moment) for name, moment in self.moments.items()},
            best_weights=None if best is None else np.array(best),
            history={name: list(values) for name, values in self.history.items()},
        )

    def restore(self, copy: "TrainingState") -> None:
        """Return to a copy, reusing the arrays of this state."""
        copy, weights, moments = copy.copy(), self.weights, self.moments
        np.copyto(weights, copy.weights)
        for name, moment in moments.items():
            np.copyto(moment, copy.moments[name])
        self.__dict__.update(vars(copy), weights=weights, moments=moments)

    def judge_by(self, criterion: object) -> None:
        """Continue with a criterion; the best epoch by another one is forgotten.

        The validation history is as long as the others, with NaN for epochs that had
        no validation part, or another one.
        """
        if self.epoch and criterion == self.criterion:
            return
        self.criterion = criterion
        self.forget_best()
        for name in VALIDATION_HISTORY:
            self.history.pop(name, None)
            if criterion is not None and self.epoch:
                self.history[name] = [float("nan")] * self.epoch

    def forget_best(self) -> None:
        """Forget the best epoch so far."""
        self.best, self.best_weights, self.no_improvement = -np.inf, None, 0

    def record(self, **values: float) -> None:
        """Add the numbers of one epoch to the history."""
        for name, value in values.items():
            self.history.setdefault(name, []).append(value)


def new_state(network: Network, optimizer: Optimizer, seed: int) -> TrainingState:
    """Return the state in which training starts."""
    weights = network.init(stream(seed, "init"))
    return TrainingState(seed, weights, optimizer.moments(weights[: network.n_parameters]))

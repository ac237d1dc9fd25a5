"""The training loop: epochs, stopping, and the history."""

import time
from collections.abc import Callable
from contextlib import nullcontext
from math import inf
from typing import NamedTuple

import numpy as np

from skcnn.data import Samples
from skcnn.inference import outputs
from skcnn.losses import BatchLoss
from skcnn.network import Network
from skcnn.parallel.contexts import holding
from skcnn.parallel.threads import Threads
from skcnn.state import TrainingState
from skcnn.training.config import TrainingConfig
from skcnn.training.epoch import EpochRunner

__all__ = ["Progress", "Validation", "begin", "mean_loss", "train"]

DIVERGED = 1000.0
"""Ratio of an epoch's loss to the first batch's above which training has diverged."""


class Validation(NamedTuple):
    """Samples that every epoch is scored on.

    Parameters
    ----------
    samples : Samples
    score : callable or None, default=None
        Takes the `TrainingState` after an epoch, whose history ends with the
        loss on these samples, and returns a finite number; greater is better.
        None is the accuracy, for losses that count right predictions.
    """

    samples: Samples
    score: Callable[[TrainingState], float] | None = None


class Progress:
    """Hooks of a training; those of the base class do nothing."""

    def on_epoch_begin(self, state: TrainingState) -> None:
        """Run before an epoch."""

    def on_epoch_end(
        self, state: TrainingState, seconds: float, n_samples: int, n_processes: int
    ) -> bool:
        """Run after a complete epoch, and return whether training should stop."""
        return False

    def on_mismatch(self) -> None:
        """Run once if worker processes are dismissed because their results differ."""


def begin(state: TrainingState, config: TrainingConfig) -> None:
    """Mark a state as the start of a training; not called to finish an interrupted one."""
    state.begun, state.begun_step = state.epoch, state.step
    if _out_of_patience(state, config):
        state.no_improvement = 0  # otherwise it would stop after one epoch


def train(
    network: Network,
    samples: Samples,
    config: TrainingConfig,
    state: TrainingState,
    threads: Threads,
    validation: Validation | None = None,
    progress: Progress | None = None,
    epochs: int | None = None,
) -> tuple[TrainingState, str]:
    """Train until `epochs` epochs after `begin` are complete.

    Parameters
    ----------
    network : Network
    samples : Samples
        Training samples.
    config : TrainingConfig
    state : TrainingState
        Changed; not to be used afterwards.
    threads : Threads
    validation : Validation or None, default=None
        Scored after each epoch, to stop when the score no longer improves.
    progress : Progress or None, default=None
        Hooks to run; they may stop the training.
    epochs : int or None, default=None
        None is ``config.max_iter``. Schedules use `max_iter` in either case.

    Returns
    -------
    state : TrainingState
        Of the last good epoch.
    reason : {"max_iter", "no_change", "stopped", "diverged", "interrupted"}
        Why training ended; "stopped" if `progress` asked for it.

    Raises
    ------
    KeyboardInterrupt
        If interrupted before the first epoch was complete.
    """
    progress = progress or Progress()
    if _out_of_patience(state, config):  # interrupted after its last epoch
        return state, "no_change"
    epochs = config.max_iter if epochs is None else epochs
    epochs -= state.epoch - state.begun
    if state.finely is None:
        state.finely = network.cost.worth_sharing(len(samples))
    runner = EpochRunner(network, samples, config, state, threads, epochs)
    return holding(
        runner.coordinator or nullcontext(),
        lambda _: _epochs(runner, validation, progress, epochs),
    )


def _epochs(
    runner: EpochRunner,
    validation: Validation | None,
    progress: Progress,
    epochs: int,
) -> tuple[TrainingState, str]:
    """Train for at most `epochs` epochs."""
    network, config, threads = runner.network, runner.config, runner.threads
    state = runner.state
    good, warned = state.copy(), False
    for complete in range(epochs):
        start = time.perf_counter()
        progress.on_epoch_begin(good)
        try:
            loss, accuracy, lr = runner.run(good)
            if _diverged(loss, state):
                return good, "diverged"
            changed = state.weights[: network.gradient_size]
            config.optimizer.flush(changed, state.moments)  # nothing denormal is kept
            state.epoch += 1
            state.record(loss=loss)
            if runner.samples.loss.counts:
                state.record(accuracy=accuracy)
            state.record(lr=lr)
            if validation is not None:
                score_validation(network, validation, state, threads, config)
            _judge(state, config.tol, validation is not None)
            snapshot = state.copy()
        except KeyboardInterrupt:
            if complete == 0:
                raise
            return good, "interrupted"
        good = snapshot
        if runner.mismatch and not warned:
            warned = True
            progress.on_mismatch()
        seconds = time.perf_counter() - start
        stop = progress.on_epoch_end(good, seconds, len(runner.samples), runner.n_processes)
        if _out_of_patience(good, config):
            return good, "no_change"
        if stop:
            return good, "stopped"
    return good, "max_iter"


def _out_of_patience(state: TrainingState, config: TrainingConfig) -> bool:
    """Whether `n_iter_no_change` epochs have brought no improvement."""
    return state.no_improvement >= (config.n_iter_no_change or inf)


def _diverged(loss: float, state: TrainingState) -> bool:
    if state.first_loss is None:  # no batch had any weight
        return False
    # a continued training may start with a loss near 0, which is no yardstick
    limit = DIVERGED * max(state.first_loss, 1e-3)
    return not (loss <= limit and np.isfinite(state.weights).all())


def _judge(state: TrainingState, tol: float, validated: bool) -> None:
    """Compare the last epoch with the best, as `MLPClassifier` does."""
    if validated:
        score = state.history["validation_score"][-1]
    else:
        score = -state.history["loss"][-1]
    state.no_improvement = 0 if score >= state.best + tol else state.no_improvement + 1
    if score > state.best:
        state.best = score
        if validated:
            state.best_weights = state.weights.copy()


def score_validation(
    network: Network,
    validation: Validation,
    state: TrainingState,
    threads: Threads,
    config: TrainingConfig,
) -> None:
    """Record loss and score on the validation part; loss and accuracy are weighted."""
    samples = validation.samples
    result = mean_loss(network, state.weights, samples, threads, config.max_bytes)
    state.record(validation_loss=result.loss)
    if validation.score is None:
        state.record(validation_score=result.correct)
    else:
        state.record(validation_score=validation.score(state))


def mean_loss(
    network: Network, params: np.ndarray, samples: Samples, threads: Threads, max_bytes: float
) -> BatchLoss:
    """Weighted mean loss and accuracy of predictions for the samples."""
    z = outputs(network, params, samples.images, threads, max_bytes).astype(np.float64)
    with np.errstate(all="ignore"):
        result = samples.loss.loss_and_gradient(
            z, np.empty_like(z), samples.targets, samples.sample_weight
        )
    total = float(samples.sample_weight.sum())
    return BatchLoss(result.loss / total, result.correct / total)

"""Fitting: prepare a training, run it, and commit its result to the estimator.

A fit that fails at any point leaves the estimator as it was, because `commit` alone changes it.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np

from skcnn._estimator.checkpoint import (
    TrainingCheckpoint,
    describe_scorer,
    read,
    training_inputs,
)
from skcnn._estimator.data import (
    Data,
    FitArguments,
    held_out_size,
    read_data,
    read_part,
    read_validation,
    split,
)
from skcnn._estimator.fixed_branch import FixedBranch, solve_fixed_branch
from skcnn._estimator.model import Model, TargetEncoder
from skcnn._estimator.parameters import built_from, check_switches
from skcnn._estimator.progress import FitProgress, progress_lines, with_callbacks
from skcnn._estimator.resources import run_in_threads, with_threads
from skcnn._estimator.scoring import bind_scoring, validation_part
from skcnn._estimator.start import Start, start_training
from skcnn._estimator.useless_training import UselessTraining, find_useless_training
from skcnn._estimator.user_warnings import (
    warn_of_divergence,
    warn_of_interruption,
    warn_of_useless_training,
)
from skcnn.data import Scaling
from skcnn.parallel.interrupts import Interrupts, at_safe_places
from skcnn.parallel.threads import Threads
from skcnn.state import TrainingState
from skcnn.training.config import TrainingConfig
from skcnn.training.trainer import Progress, Validation, begin, train

__all__ = ["fit", "fit_part", "initialize"]


class PreparedFit(NamedTuple):
    """Training that is checked and ready for its first step or, if it is resumed, its next.

    Parameters
    ----------
    model : Model
    data : Data
        Samples to train on.
    validation : Validation or None
    config : TrainingConfig
    state : TrainingState
    describe_inputs : callable or None
        Describes everything that the result depends on, for checkpoints.
    n_fixed_features : int
        About how many features the branch of fixed kernels will have; 0 for none.
    """

    model: Model
    data: Data
    validation: Validation | None
    config: TrainingConfig
    state: TrainingState
    describe_inputs: Callable[[], dict[str, str]] | None = None
    n_fixed_features: int = 0


class Outcome(NamedTuple):
    """Result of a training: its last good state, the reason it ended, and two findings.

    They are None unless it learned nothing, and unless a branch of fixed kernels is
    added to its network.
    """

    state: TrainingState
    reason: str | None
    useless: UselessTraining | None = None
    branch: FixedBranch | None = None


def fit(estimator: Any, arguments: FitArguments, checkpoint: Any = None) -> None:
    """Fit an estimator, or finish the training that a checkpoint was written in."""
    prepared = _prepare(estimator, arguments, checkpoint)

    def work(interrupts: Interrupts) -> Outcome:
        outcome = _train_whole(estimator, prepared, interrupts)
        _commit(estimator, prepared.model, outcome, estimator.warm_start)
        return outcome

    outcome = at_safe_places(work)
    warn_of_interruption(outcome.reason, outcome.state.epoch)


def fit_part(estimator: Any, arguments: FitArguments, encoder: TargetEncoder) -> None:
    """Train for one pass over a part of the data; all-zero weights change nothing."""
    prepared = _prepare_part(estimator, arguments, encoder)
    if prepared is None:
        return

    def work(interrupts: Interrupts) -> None:
        _commit(estimator, prepared.model, _train_part(estimator, prepared, interrupts), True)

    at_safe_places(work)


def initialize(estimator: Any, arguments: FitArguments) -> None:
    """Prepare a new fit and commit its initial state."""
    prepared = _prepare(estimator, arguments, anew=True)
    # the state is kept, since it records that running moments contain no batches yet
    _commit(estimator, prepared.model, Outcome(prepared.state, None), keep_state=True)


# Prepare


def _prepare(
    estimator: Any, arguments: FitArguments, checkpoint: Any = None, anew: bool = False
) -> PreparedFit:
    """Check, resolve, split and measure; start anew, or continue a model or a checkpoint."""
    caller = type(estimator).__name__
    saved = None if checkpoint is None else read(checkpoint)
    check_switches(estimator)
    scorer = bind_scoring(estimator)
    data = read_data(estimator, arguments)
    held_out = read_validation(estimator, data, arguments)
    criterion, described, size = None, None, 0
    if estimator.early_stopping:
        scoring, given = estimator.scoring, held_out is not None
        criterion = ("given" if given else "split", scoring)
        described = describe_scorer(scoring)  # before calls may change it
        size = 0 if given else held_out_size(data, estimator.validation_fraction, caller)
    continues = estimator.warm_start and hasattr(estimator, "weights_") and not anew
    images = data.input.images
    start = start_training(
        estimator,
        images.shape,
        images.X.dtype,
        data.encoder,
        len(data) - size,
        "warm_start" if continues else None,
        recipe=None if saved is None else saved.recipe,
    )
    config, state = start.config, start.state
    if saved is None:
        state.judge_by(criterion)
        begin(state, config)
    else:
        state = saved.state
        state.criterion = criterion
    if size:
        data, held_out = split(data, size, state.seed, caller)
    model = _fit_encodings(estimator, start, data)
    validation = None
    if held_out is not None:
        validation = validation_part(estimator, model, held_out, scorer, given=not size)
    describe_inputs = cache(
        partial(training_inputs, model, data, held_out, config, criterion, described)
    )
    if saved is not None:
        saved.check(checkpoint, describe_inputs(), start.state, set(model.history(state)))
    return PreparedFit(
        model, data, validation, config, state, describe_inputs, start.n_fixed_features
    )


def _prepare_part(
    estimator: Any, arguments: FitArguments, encoder: TargetEncoder
) -> PreparedFit | None:
    """Check a call to ``partial_fit``; None if no sample has a positive weight."""
    check_switches(estimator)
    bind_scoring(estimator)
    data = read_part(estimator, arguments, encoder)
    continued_by = "partial_fit" if hasattr(estimator, "weights_") else None
    images = data.input.images
    start = start_training(
        estimator,
        images.shape,
        images.X.dtype,
        data.encoder,
        len(data),
        continued_by,
        in_parts=True,
    )
    if not data.weights.total.any():
        return None
    start.state.judge_by(None)
    begin(start.state, start.config)
    model = _fit_encodings(estimator, start, data)
    return PreparedFit(model, data, None, start.config, start.state)


def _fit_encodings(estimator: Any, start: Start, data: Data) -> Model:
    """Estimate what depends on the values of the training rows; a continued model keeps its own.

    That is the scaling of images and targets, and parameters of layers that ask for the rows.
    """
    images, weights, network = data.input.images, data.weights.total, start.network
    if start.continued:
        scaling = Scaling(estimator.input_mean_, estimator.input_scale_)
        encoder = data.encoder.continuing(estimator._fitted_encoder())
    else:
        encoder = data.encoder.fit(data.targets, weights)
        if estimator.scale_input:
            scaling = images.measure(weights)
        else:
            channels = images.shape[0]
            scaling = Scaling(np.zeros(channels), np.ones(channels))
        if network.reads_rows:
            rows = images.with_scaling(scaling).training_rows(weights, network.dtype)
            run_in_threads(lambda _: network.init_from_rows(start.state.weights, rows))
    return Model(
        network=network,
        scaling=scaling,
        encoder=encoder,
        names=data.input.names,
        data_format=images.data_format,
        loss=estimator._training_loss(encoder),
        resolved=start.resolved,
        recipe=start.recipe,
        built_from=built_from(start.resolved, vars(estimator)),
    )


# Train


@with_callbacks
def _train_whole(estimator: Any, prepared: PreparedFit, interrupts: Interrupts) -> Outcome:
    """Train to the end, and inform the estimator's callbacks."""
    model, data, _, config, state, describe_inputs, _ = prepared
    assert describe_inputs is not None
    last_epoch = state.begun + config.max_iter
    visible: dict[str, Callable] = {
        "X": data.input.as_X,
        "y": lambda: data.y,
        "metadata": lambda: data.metadata,
    }

    def attributes(state: TrainingState, reason: str | None) -> dict[str, Any]:
        return {
            **model.attributes(state),
            "stop_reason_": reason,
            "_training_state": state,
            "_checkpoint": lambda: TrainingCheckpoint(state, describe_inputs(), model.recipe),
        }

    lines = progress_lines(estimator.verbose, last_epoch)
    progress = FitProgress(estimator, last_epoch - state.epoch, lines, visible, attributes)
    outcome = _train(prepared, progress, interrupts)
    progress.close(outcome.state, outcome.reason)
    return outcome


def _train_part(estimator: Any, prepared: PreparedFit, interrupts: Interrupts) -> Outcome:
    """Train for one epoch, whose loss is not compared with that of other parts."""
    state = prepared.state
    first_loss, state.first_loss = state.first_loss, None  # divergence is relative to this part
    trained, reason, *_ = _train(prepared, progress_lines(estimator.verbose), interrupts, epochs=1)
    trained.forget_best()
    trained.first_loss = max(first_loss or 0.0, trained.first_loss or 0.0) or None
    return Outcome(trained, reason if reason == "diverged" else None)


def _train(
    prepared: PreparedFit, progress: Progress, interrupts: Interrupts, epochs: int | None = None
) -> Outcome:
    """Train and, unless `epochs` limits it, compare the result with a constant prediction."""
    model, data, validation, config, state, _, n_fixed = prepared
    samples = data.samples(model, model.loss)

    def work(threads: Threads) -> Outcome:
        branch = None
        if n_fixed:
            branch = solve_fixed_branch(model, data, n_fixed, state.seed, threads, config.max_bytes)
        trained, reason = train(
            model.network, samples, config, state, threads, validation, progress, epochs
        )
        if epochs is not None or reason not in ("max_iter", "no_change"):
            return Outcome(trained, reason, branch=branch)
        try:
            useless = find_useless_training(
                model.network, samples, trained, threads, config.max_bytes
            )
        except KeyboardInterrupt:
            return Outcome(trained, "interrupted", branch=branch)
        return Outcome(trained, reason, useless, branch)

    return with_threads(interrupts, work)


# Commit


def _commit(estimator: Any, model: Model, outcome: Outcome, keep_state: bool) -> None:
    """Write all fitted attributes at once, and on request the state to continue from.

    Nothing is written if a warning of the outcome is turned into an error.
    """
    state = outcome.state
    warn_of_divergence(outcome.reason, state.epoch)
    if outcome.useless is not None:
        warn_of_useless_training(*outcome.useless)
    if outcome.branch is not None:
        model, state = outcome.branch.join(model, state)
    attributes = {**model.attributes(state), "stop_reason_": outcome.reason}
    if keep_state:
        attributes["_training_state"] = state
    others = {
        name: value
        for name, value in vars(estimator).items()
        if name not in ("feature_names_in_", "_training_state", "_checkpoint")
    }
    estimator.__dict__ = others | attributes

"""The classifier's parameters, checked and turned into what the engine takes."""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn import get_config

from skcnn._hyperparameters import check_bool, check_choice, check_int, check_real
from skcnn.architectures import cnn, with_output
from skcnn.layers import Layer
from skcnn.layers._layer import Shape
from skcnn.network import Network
from skcnn.optimizers import SGD, AdaGrad, Adam, AdamW, Optimizer, RMSprop
from skcnn.schedules import (
    Constant,
    Cosine,
    Exponential,
    OneCycle,
    ReduceOnPlateau,
    Schedule,
    StepDecay,
    WarmUp,
)
from skcnn.settings import Settings

__all__ = [
    "OPTIMIZERS",
    "SCHEDULES",
    "bind_dtype",
    "bind_layers",
    "bind_scoring",
    "bind_settings",
]

OWNER = "ScratchCNNClassifier"

OPTIMIZERS: dict[str, Optimizer] = {
    "adam": Adam(),
    "adamw": AdamW(),
    "sgd": SGD(),
    "rmsprop": RMSprop(),
    "adagrad": AdaGrad(),
}
"""Optimizers that have a name."""

SCHEDULES: dict[str, Schedule] = {
    "constant": Constant(),
    "step": StepDecay(),
    "exponential": Exponential(),
    "cosine": Cosine(),
    "one_cycle": OneCycle(),
    "warm_up": WarmUp(),
    "reduce_on_plateau": ReduceOnPlateau(),
}
"""Learning-rate schedules that have a name."""


def bind_settings(estimator: Any) -> Settings:
    """Check all parameters that need no data to be checked."""
    check_bool(OWNER, "scale_input", estimator.scale_input)
    check_bool(OWNER, "early_stopping", estimator.early_stopping)
    check_bool(OWNER, "warm_start", estimator.warm_start)
    check_real(OWNER, "validation_fraction", estimator.validation_fraction, 0, 1, bounds="()")
    bind_scoring(estimator)
    if not isinstance(estimator.verbose, (bool, np.bool_)):
        check_int(OWNER, "verbose", estimator.verbose, 0)
    optimizer = estimator.optimizer
    if not isinstance(optimizer, Optimizer):
        if not isinstance(optimizer, str):
            raise ValueError(
                f"{OWNER}: optimizer must be one of {list(OPTIMIZERS)} or an instance from "
                f"skcnn.optimizers, got {optimizer!r}."
            )
        optimizer = OPTIMIZERS[check_choice(OWNER, "optimizer", optimizer, OPTIMIZERS)]
    optimizer.check()
    schedule = estimator.lr_schedule
    named = isinstance(schedule, str)
    if not isinstance(schedule, Schedule):
        if not named:
            raise ValueError(
                f"{OWNER}: lr_schedule must be one of {list(SCHEDULES)} or an instance from "
                f"skcnn.schedules, got {schedule!r}."
            )
        schedule = SCHEDULES[check_choice(OWNER, "lr_schedule", schedule, SCHEDULES)]
    schedule.check()
    norm = estimator.max_grad_norm
    return Settings(
        optimizer=optimizer,
        lr=check_real(OWNER, "lr", estimator.lr, 0, bounds="()"),
        lr_schedule=schedule,
        restart_schedule=named or schedule.open,
        weight_decay=check_real(OWNER, "weight_decay", estimator.weight_decay, 0),
        max_grad_norm=(
            None if norm is None else check_real(OWNER, "max_grad_norm", norm, 0, bounds="()")
        ),
        batch_size=check_int(OWNER, "batch_size", estimator.batch_size, 1),
        max_iter=check_int(OWNER, "max_iter", estimator.max_iter, 1),
        shuffle=check_bool(OWNER, "shuffle", estimator.shuffle),
        tol=check_real(OWNER, "tol", estimator.tol, 0),
        n_iter_no_change=check_int(OWNER, "n_iter_no_change", estimator.n_iter_no_change, 1),
        max_bytes=get_config()["working_memory"] * 2**20,
    )


def bind_scoring(estimator: Any) -> Callable | str | None:
    """The scorer ``(estimator, X, y) -> number`` that `scoring` means; None and "loss" stay."""
    scoring = estimator.scoring
    if scoring is None or (isinstance(scoring, str) and scoring == "loss"):
        return scoring
    reason = ""
    if isinstance(scoring, str) or callable(scoring):
        from sklearn.metrics import check_scoring  # takes longer than all of skcnn's own imports

        try:
            return check_scoring(estimator, scoring)
        except (TypeError, ValueError) as error:
            reason = "" if isinstance(scoring, str) else f" ({error})"
    raise ValueError(
        f"{OWNER}: scoring must be None, 'loss', a name that sklearn.metrics.get_scorer_names() "
        f"lists, or a callable(estimator, X, y), got {scoring!r}{reason}."
    )


def bind_layers(estimator: Any, shape: Shape, n_classes: int) -> list[Layer]:
    """The layers with the output layer, which takes vectors."""
    if estimator.layers is None:
        try:
            layers = cnn(
                estimator.filters,
                estimator.kernel_size,
                estimator.pool_size,
                estimator.hidden_layer_sizes,
                estimator.activation,
                estimator.dropout,
            )
        except ValueError as error:
            raise ValueError(str(error).replace("cnn:", f"{OWNER}:", 1)) from None
    elif isinstance(estimator.layers, (list, tuple)):
        layers = list(estimator.layers)
    else:
        raise ValueError(
            f"{OWNER}: layers must be None or a list of instances from skcnn.layers, "
            f"got {estimator.layers!r}."
        )
    return with_output(layers, Network(layers, shape).output_shape, n_classes)


def bind_dtype(estimator: Any, array: np.ndarray) -> np.dtype:
    """What the network computes in."""
    if estimator.dtype is None:
        double = array.dtype.kind == "f" and array.dtype.itemsize >= 8
        return np.dtype(np.float64 if double else np.float32)
    try:
        dtype = np.dtype(estimator.dtype)
    except (SyntaxError, TypeError, ValueError):
        dtype = None
    if dtype not in (np.float32, np.float64):
        raise ValueError(
            f"{OWNER}: dtype must be None, float32 or float64, got {estimator.dtype!r}."
        )
    return dtype

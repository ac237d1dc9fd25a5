"""Checks of parameters, and their conversion to the objects that training takes."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

import numpy as np

from skcnn._estimator.auto import NETWORK, allowing_auto, or_auto
from skcnn._estimator.model import TargetEncoder
from skcnn._estimator.resources import working_memory
from skcnn._hyperparameters import (
    as_tuples,
    check_bool,
    check_choice,
    check_int,
    check_part,
    check_real,
)
from skcnn.architectures import cnn, with_output
from skcnn.layers import Dense, Layer
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
from skcnn.training.config import TrainingConfig

__all__ = [
    "OPTIMIZERS",
    "OF_CNN",
    "SCHEDULES",
    "bind_dtype",
    "bind_layers",
    "bind_config",
    "built_from",
    "check_switches",
]

OPTIMIZERS: dict[str, Optimizer] = {
    "adam": Adam(),
    "adamw": AdamW(),
    "sgd": SGD(),
    "rmsprop": RMSprop(),
    "adagrad": AdaGrad(),
}
"""Optimizers by name."""

OF_CNN = (*NETWORK, "activation", "dropout")
"""Parameters that the network is built from if `layers` is None."""

SCHEDULES: dict[str, Schedule] = {
    "constant": Constant(),
    "step": StepDecay(),
    "exponential": Exponential(),
    "cosine": Cosine(),
    "one_cycle": OneCycle(),
    "warm_up": WarmUp(),
    "reduce_on_plateau": ReduceOnPlateau(),
}
"""Learning-rate schedules by name."""


def check_switches(estimator: Any) -> None:
    """Check the parameters that are not part of the training configuration."""
    caller = type(estimator).__name__
    check_bool(caller, "scale_input", estimator.scale_input)
    check_bool(caller, "early_stopping", estimator.early_stopping)
    check_bool(caller, "warm_start", estimator.warm_start)
    check_real(caller, "validation_fraction", estimator.validation_fraction, 0, 1, bounds="()")
    if not isinstance(estimator.verbose, (bool, np.bool_)):
        check_int(caller, "verbose", estimator.verbose, 0)


def bind_config(
    estimator: Any, resolved: Mapping[str, Any], in_parts: bool = False
) -> TrainingConfig:
    """Check the parameters that configure a training.

    Parameters
    ----------
    estimator : estimator
    resolved : mapping
        Values of those that are "auto".
    in_parts : bool, default=False
        Whether the training consists of calls to ``partial_fit``, so that
        schedules continue from one call to the next.
    """
    caller = type(estimator).__name__

    def value(name: str, check: Callable, *limits: Any, **how: Any) -> Any:
        """Check a parameter that may be "auto"."""
        given = resolved.get(name, getattr(estimator, name))
        return or_auto(check, caller, name, given, *limits, **how)

    given = resolved.get("lr_schedule", estimator.lr_schedule)
    schedule = value("lr_schedule", bind_schedule)
    check_part(caller, "lr_schedule", schedule)
    starts_anew = isinstance(given, str) or schedule.open
    norm = estimator.max_grad_norm
    return TrainingConfig(
        optimizer=bind_optimizer(caller, estimator.optimizer),
        lr=value("lr", check_real, 0, bounds="()"),
        lr_schedule=schedule,
        restart_schedule=starts_anew and not in_parts,
        weight_decay=value("weight_decay", check_real, 0),
        max_grad_norm=(
            None if norm is None else check_real(caller, "max_grad_norm", norm, 0, bounds="()")
        ),
        batch_size=value("batch_size", check_int, 1),
        max_iter=value("max_iter", check_int, 1),
        shuffle=check_bool(caller, "shuffle", estimator.shuffle),
        tol=value("tol", check_real, 0),
        n_iter_no_change=value("n_iter_no_change", _check_patience),
        max_bytes=working_memory(),
    )


def _check_patience(caller: str, name: str, value: Any) -> int | None:
    """Check a number of epochs without improvement; None is unlimited."""
    try:
        return None if value is None else check_int(caller, name, value, 1)
    except ValueError:
        raise ValueError(
            f"{caller}: {name} must be None or an int of at least 1, got {value!r}."
        ) from None


def bind_optimizer(caller: str, optimizer: Any) -> Optimizer:
    """Return the optimizer for a name or an instance."""
    if isinstance(optimizer, str):
        optimizer = OPTIMIZERS[check_choice(caller, "optimizer", optimizer, OPTIMIZERS)]
    if not isinstance(optimizer, Optimizer):
        raise ValueError(
            f"{caller}: optimizer must be one of {list(OPTIMIZERS)} or an instance from "
            f"skcnn.optimizers, got {optimizer!r}."
        )
    check_part(caller, "optimizer", optimizer)
    return optimizer


def bind_schedule(caller: str, name: str, schedule: Any) -> Schedule:
    """Return the learning-rate schedule for a name or an instance."""
    if isinstance(schedule, str):
        schedule = SCHEDULES[check_choice(caller, name, schedule, SCHEDULES)]
    if not isinstance(schedule, Schedule):
        raise ValueError(
            f"{caller}: {name} must be one of {list(SCHEDULES)} or an instance from "
            f"skcnn.schedules, got {schedule!r}."
        )
    return schedule


def bind_layers(
    estimator: Any,
    resolved: Mapping[str, Any],
    pool_first: bool,
    shape: Shape,
    encoder: TargetEncoder,
) -> list[Layer]:
    """Return all layers of the network, including the output layer.

    `pool_first` is an argument of `cnn` that is no parameter of the estimator.
    """
    caller, chosen = type(estimator).__name__, ""
    if estimator.layers is None:
        chosen = " and ".join(
            f"{name}={value!r}"
            for name in ("activation", "normalization")
            if isinstance(value := getattr(estimator, name), Layer)
        )
        try:
            given = {name: resolved.get(name, getattr(estimator, name)) for name in OF_CNN}
            layers = cnn(**given, pool_first=pool_first)
        except ValueError as error:
            told = str(error).replace("cnn:", f"{caller}:", 1)
            is_whole = told.split()[1] in NETWORK  # rather than one of its entries
            raise ValueError(allowing_auto(told) if is_whole else told) from None
    elif isinstance(estimator.layers, (list, tuple)):
        layers = list(estimator.layers)
    else:
        raise ValueError(
            f"{caller}: layers must be None or a list of instances from skcnn.layers, "
            f"got {estimator.layers!r}."
        )
    try:
        output_shape = Network(layers, shape).output_shape
    except ValueError as error:
        raise ValueError(f"{caller}: with {chosen}: {error}" if chosen else str(error)) from None
    *hidden, output = with_output(layers, output_shape, encoder.n_outputs)
    return [*hidden, replace(cast(Dense, output), initializer=encoder.initializer)]


def built_from(resolved: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that the network is built from, with "auto" resolved.

    Lists and arrays become tuples, which can be compared and are not changed later.
    """
    if parameters["layers"] is not None:
        return {"layers": as_tuples(parameters["layers"])}
    return {name: as_tuples(resolved.get(name, parameters[name])) for name in OF_CNN}


def bind_dtype(estimator: Any, given: np.dtype) -> np.dtype:
    """Return the dtype that the network computes in for images in an array of another."""
    caller = type(estimator).__name__
    if estimator.dtype is None:
        double = given.kind == "f" and given.itemsize >= 8
        return np.dtype(np.float64 if double else np.float32)
    try:
        dtype = np.dtype(estimator.dtype)
    except (SyntaxError, TypeError, ValueError):
        dtype = None
    if dtype not in (np.float32, np.float64):
        raise ValueError(
            f"{caller}: dtype must be None, float32 or float64, got {estimator.dtype!r}."
        )
    return dtype

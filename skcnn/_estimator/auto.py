"""Values of "auto": a recipe that the first call resolves from the data."""

from collections.abc import Callable, Mapping
from math import ceil
from typing import Any

from skcnn._hyperparameters import check_int
from skcnn.architectures import recipe
from skcnn.architectures.blocks import is_signal
from skcnn.layers._layer import Shape

__all__ = ["NETWORK", "allowing_auto", "is_auto", "or_auto", "recipe_for", "resolve"]

NETWORK = (
    "filters", "kernel_size", "pool_size", "hidden_layer_sizes", "normalization", "global_pool",
    "random_shift",
)  # fmt: skip
"""Parameters of the architecture that may be "auto"."""

EPOCHS = {30_000: 10, 10_000: 11, 1_000: 12, 0: 14}
"""Minimum number of epochs by the least number of rows."""

STEPS = 150
"""Minimum number of optimizer steps."""

ANNEALED, CONSTANT = 8e-3, 2e-3
"""Learning rates: peak of a schedule that falls to 0, and constant rate."""

BATCH_SIZES = {10_000: 128, 5_000: 64, 0: 32}
"""Batch size by the least number of rows."""

BATCH_SIZES_OF_IMAGES = {30_000: 256} | BATCH_SIZES
"""Batch size for images, which gain from larger batches than signals do."""

WEIGHT_DECAY = 3e-3
"""Weight decay for signals; each estimator has its own for images."""

PATIENCE = 5
"""Minimum value of `n_iter_no_change` where it is used."""


def is_auto(value: Any) -> bool:
    """Whether a value is the string "auto"."""
    return isinstance(value, str) and value == "auto"


def or_auto(check: Callable, caller: str, name: str, value: Any, *limits: Any, **how: Any) -> Any:
    """Run a check whose error adds that the parameter may be "auto"."""
    try:
        return check(caller, name, value, *limits, **how)
    except ValueError as error:
        raise ValueError(allowing_auto(str(error))) from None


def allowing_auto(message: str) -> str:
    """Return the message of a check with "auto" among the values that are allowed."""
    return message.replace(", got ", " or 'auto', got ", 1)


def recipe_for(
    estimator: Any, image_shape: Shape, n_rows: int, stored: Mapping[str, Any]
) -> dict[str, Any]:
    """Return all values that "auto" can take in a training.

    They are stored with the model, so that continued training depends neither on later rows nor on
    the recipe of a later version.

    Parameters
    ----------
    estimator : estimator
    image_shape : tuple of int
        (Channels, height, width).
    n_rows : int
        Number of rows to train on.
    stored : mapping
        Values in a model or a checkpoint, which take precedence.
    """
    signals = is_signal(image_shape)
    values = {
        **recipe(image_shape, keep_position=estimator._auto_keeps_position),
        "lr_schedule": "one_cycle",
        "lr": ANNEALED,
        "constant_lr": CONSTANT,
        "weight_decay": (
            WEIGHT_DECAY if signals else _by_rows(estimator._auto_weight_decay, n_rows)
        ),
        "batch_size": _by_rows(BATCH_SIZES if signals else BATCH_SIZES_OF_IMAGES, n_rows),
        "patience": PATIENCE,
        "tol": estimator._auto_tol,
    }
    values |= {name: stored[name] for name in values if name in stored}
    given = values["batch_size"] if is_auto(estimator.batch_size) else estimator.batch_size
    batch_size = or_auto(check_int, type(estimator).__name__, "batch_size", given, 1)
    values["max_iter"] = stored.get("max_iter", _epochs(n_rows, ceil(n_rows / batch_size)))
    return values


def resolve(estimator: Any, values: Mapping[str, Any], *, completes: bool) -> dict[str, Any]:
    """Resolve the parameters that are "auto".

    Parameters
    ----------
    estimator : estimator
    values : mapping
        Values as `recipe_for` returns them.
    completes : bool
        Whether this call completes the training, which is not the case under
        ``warm_start`` and in ``partial_fit``.

    Returns
    -------
    dict
        Value of each parameter that is "auto", by name.
    """
    resolved: dict[str, Any] = {}

    def value(name: str, meaning: Any) -> Any:
        """Return the parameter, or `meaning` if it is "auto"."""
        given = getattr(estimator, name)
        if not is_auto(given):
            return given
        resolved[name] = meaning
        return meaning

    if estimator.layers is None:
        for name in NETWORK:
            value(name, values[name])
    schedule = value("lr_schedule", values["lr_schedule"] if completes else "constant")
    constant = isinstance(schedule, str) and schedule == "constant"
    value("lr", values["constant_lr"] if constant else values["lr"])
    value("weight_decay", values["weight_decay"])
    value("batch_size", values["batch_size"])
    caller = type(estimator).__name__
    max_iter = or_auto(check_int, caller, "max_iter", value("max_iter", values["max_iter"]), 1)
    stops = constant or estimator.early_stopping or not is_auto(estimator.tol)
    patience = values["patience"]
    if not constant:
        patience = max(patience, max_iter // 10)
    value("n_iter_no_change", patience if stops else None)
    value("tol", values["tol"])
    return resolved


def _epochs(n_rows: int, steps: int) -> int:
    """Return enough epochs for `STEPS` steps, and for every row to be seen often enough."""
    return max(_by_rows(EPOCHS, n_rows), ceil(STEPS / steps))


def _by_rows(values: dict[int, int], n_rows: int) -> int:
    """Return the value for the number of rows."""
    return next(value for least, value in values.items() if n_rows >= least)

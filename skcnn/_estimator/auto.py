"""What "auto" means: a recipe that the first call settles from what the data are."""

from collections.abc import Callable, Mapping
from math import ceil
from typing import Any

from skcnn._hyperparameters import check_int
from skcnn.architectures import recipe
from skcnn.architectures.blocks import is_signal
from skcnn.layers._layer import Shape

__all__ = ["is_auto", "or_auto", "settle"]

EPOCHS = {10_000: 10, 1_000: 12, 0: 14}
"""Epochs that a training takes at least, from so many rows on."""

STEPS = 150
"""Steps of the optimizer that it takes at least."""

ANNEALED, CONSTANT = 8e-3, 2e-3
"""Learning rates: the peak of one that falls to nothing, and one that stays."""

BATCH_SIZES = {10_000: 128, 3_000: 64, 0: 32}
"""Samples in a mini-batch from so many rows on."""

WEIGHT_DECAY = 3e-3
"""Of signals; that of images differs between the estimators."""

PATIENCE = 5
"""Epochs without improvement that a training is given at least."""

KEPT = ("batch_size", "max_iter", "weight_decay")
"""What stays as the first call of a training has settled it, whatever the later rows are."""


def is_auto(value: Any) -> bool:
    """Only the string means it."""
    return isinstance(value, str) and value == "auto"


def or_auto(check: Callable, owner: str, name: str, value: Any, *limits: Any, **how: Any) -> Any:
    """What a check returns for a value; its error says that the parameter may be "auto", too."""
    try:
        return check(owner, name, value, *limits, **how)
    except ValueError as error:
        raise ValueError(f"{error} (Or 'auto'.)") from None


def settle(
    estimator: Any,
    image_shape: Shape,
    n_rows: int,
    *,
    to_its_end: bool,
    earlier: Mapping[str, Any],
) -> dict[str, Any]:
    """What the parameters that are "auto" mean.

    Parameters
    ----------
    estimator : estimator
    image_shape : tuple of int
        (Channels, height, width).
    n_rows : int
        Number of rows to train on.
    to_its_end : bool
        Whether this call trains to the end: not under ``warm_start``, and not
        in ``partial_fit``.
    earlier : mapping
        What earlier calls of the same training have settled.

    Returns
    -------
    dict
        By the names of the parameters that are "auto".
    """
    settled: dict[str, Any] = {}

    def value(name: str, automatic: Any) -> Any:
        """The parameter, or what it means."""
        given = getattr(estimator, name)
        if not is_auto(given):
            return given
        settled[name] = earlier[name] if name in KEPT and name in earlier else automatic
        return settled[name]

    if estimator.layers is None:
        for name, automatic in recipe(image_shape).items():
            value(name, automatic)
    schedule = value("lr_schedule", "one_cycle" if to_its_end else "constant")
    constant = isinstance(schedule, str) and schedule == "constant"
    value("lr", CONSTANT if constant else ANNEALED)
    decay_of_images = _by_rows(estimator._auto_weight_decay, n_rows)
    value("weight_decay", WEIGHT_DECAY if is_signal(image_shape) else decay_of_images)
    owner = type(estimator).__name__
    given = value("batch_size", _by_rows(BATCH_SIZES, n_rows))
    batch_size = or_auto(check_int, owner, "batch_size", given, 1)
    steps = ceil(n_rows / batch_size)  # an epoch
    max_iter = or_auto(check_int, owner, "max_iter", value("max_iter", _epochs(n_rows, steps)), 1)
    stops = constant or estimator.early_stopping or not is_auto(estimator.tol)
    patience = PATIENCE if constant else max(PATIENCE, max_iter // 10)
    value("n_iter_no_change", patience if stops else None)
    value("tol", estimator._auto_tol)
    return settled


def _epochs(n_rows: int, steps: int) -> int:
    """Enough for the steps there have to be, and for the rows to be seen often enough."""
    return max(_by_rows(EPOCHS, n_rows), ceil(STEPS / steps))


def _by_rows(values: dict[int, int], n_rows: int) -> int:
    """The value for so many rows."""
    return next(value for least, value in values.items() if n_rows >= least)

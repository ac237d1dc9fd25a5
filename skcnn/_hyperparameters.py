"""Checks of single hyperparameters, with one wording for all errors.

Layers, initializers, optimizers and the classifier accept anything when they
are constructed; these functions are called when they are bound to data.
"""

import numbers
from collections.abc import Iterable
from typing import Any

import numpy as np


def check_int(owner: str, name: str, value: Any, minimum: int) -> int:
    """Return `value` as an int of at least `minimum`, or raise ``ValueError``."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or int(value) < minimum:
        raise ValueError(f"{owner}: {name} must be an int of at least {minimum}, got {value!r}.")
    return int(value)


def check_pair(owner: str, name: str, value: Any, minimum: int) -> tuple[int, int]:
    """Return an int or a pair of ints (height, width) as a pair."""
    if isinstance(value, (tuple, list)) or (isinstance(value, np.ndarray) and value.ndim == 1):
        if len(value) == 2:
            height, width = value
            return check_int(owner, name, height, minimum), check_int(owner, name, width, minimum)
    elif (
        isinstance(value, numbers.Integral)
        and not isinstance(value, bool)
        and int(value) >= minimum
    ):
        return int(value), int(value)
    raise ValueError(
        f"{owner}: {name} must be an int of at least {minimum} or a pair of them "
        f"(height, width), got {value!r}."
    )


def check_real(
    owner: str, name: str, value: Any, low: float, high: float = np.inf, *, bounds: str = "[)"
) -> float:
    """Return `value` as a float inside an interval, or raise ``ValueError``.

    `bounds` says which ends belong to the interval, as in ``"[)"`` or ``"()"``.
    """
    if isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_)):
        number = float(value)
        above = number > low or (number == low and bounds[0] == "[")
        below = number < high or (number == high and bounds[1] == "]")
        if above and below:
            return number
    raise ValueError(
        f"{owner}: {name} must be a number in {bounds[0]}{low:g}, {high:g}{bounds[1]}, "
        f"got {value!r}."
    )


def check_bool(owner: str, name: str, value: Any) -> bool:
    """Return `value` as a bool, or raise ``ValueError``."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise ValueError(f"{owner}: {name} must be True or False, got {value!r}.")


def check_choice(owner: str, name: str, value: Any, allowed: Iterable[str]) -> str:
    """Return `value` if it is one of the `allowed` names, or raise ``ValueError``."""
    names = list(allowed)
    if isinstance(value, str) and value in names:
        return value
    raise ValueError(f"{owner}: {name} must be one of {names}, got {value!r}.")

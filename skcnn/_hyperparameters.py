"""Base class of objects with hyperparameters, and checks of single values.

Layers, initializers, optimizers, schedules and the estimators accept anything at
construction; the checks run when they are bound to data.
"""

import numbers
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from typing import Any, cast

import numpy as np

from skcnn._migration import migrate

MOST = 2**63 - 1
"""Largest int of NumPy."""

MOST_PIXELS = 2**31 - 1
"""Largest length of an axis, and of strides and windows along it."""


class Hyperparameters:
    """Base class of frozen dataclasses that contain only hyperparameters.

    They are equal if their types and hyperparameters are, and print as the call that
    constructs them. (`dataclass` would generate these methods for each class
    separately, at import time.)
    NumPy scalars become Python's numbers: int8 arithmetic overflows, float16
    arithmetic rounds, and a float64 scalar turns float32 arrays into float64.
    """

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, np.floating):
                object.__setattr__(self, name, float(value))
            elif isinstance(value, np.integer) and _is_int(value):
                object.__setattr__(self, name, int(value))

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(migrate(type(self), state))

    def hyperparameters(self) -> dict[str, Any]:
        """Hyperparameters that are not at their default, by name."""
        return {
            field.name: value
            for field in fields(cast(Any, self))
            if (value := getattr(self, field.name)) is not field.default
            and not (type(value) is type(field.default) and value == field.default)
        }

    def __repr__(self) -> str:
        if not is_dataclass(self):
            return object.__repr__(self)
        told = [f"{name}={value!r}" for name, value in self.hyperparameters().items()]
        return f"{type(self).__name__}({', '.join(told)})"

    def _values(self) -> tuple[Any, ...]:
        """Pairs may be given as tuples, lists or arrays, and branches as lists of either."""
        return tuple(as_tuples(getattr(self, field.name)) for field in fields(cast(Any, self)))

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        return hash((type(self), self._values()))


def as_tuples(value: Any) -> Any:
    """Return lists, arrays and data frames as tuples, at any depth; leave the rest unchanged.

    Only dates and durations, which are never valid parameters, become text, since NumPy
    warns if they are compared with ints.
    """
    if isinstance(value, (np.datetime64, np.timedelta64)):
        return repr(value)
    if hasattr(value, "to_numpy") and not isinstance(value, type):
        value = value.to_numpy()  # data frames have their own comparison with tuples
    if isinstance(value, np.ndarray):
        value = value.tolist()
    return tuple(map(as_tuples, value)) if isinstance(value, (list, tuple)) else value


def _is_int(value: Any) -> bool:
    """Whether a value is an int; NumPy treats durations as integers, too."""
    return isinstance(value, numbers.Integral) and not isinstance(value, (bool, np.timedelta64))


def check_countable(caller: str, name: str, value: Any) -> None:
    """Raise ``ValueError`` for ints beyond NumPy's largest."""
    if _is_int(value) and int(value) > MOST:
        raise ValueError(f"{caller}: {name} must be at most 2**63 - 1, got {value!r}.")


def check_int(caller: str, name: str, value: Any, minimum: int) -> int:
    """Return `value` as an int of at least `minimum`, or raise ``ValueError``."""
    if not _is_int(value) or int(value) < minimum:
        raise ValueError(f"{caller}: {name} must be an int of at least {minimum}, got {value!r}.")
    check_countable(caller, name, value)
    return int(value)


def check_pair(caller: str, name: str, value: Any, minimum: int) -> tuple[int, int]:
    """Return an int or a pair of ints (height, width) as a pair.

    They are numbers of pixels, from which NumPy computes strides in bytes.
    """
    pair: tuple[int, int] | None = None
    if isinstance(value, (tuple, list)) or (isinstance(value, np.ndarray) and value.ndim == 1):
        if len(value) == 2:
            height, width = value
            pair = (
                check_int(caller, name, height, minimum),
                check_int(caller, name, width, minimum),
            )
    elif _is_int(value) and int(value) >= minimum:
        pair = int(value), int(value)
    if pair is None:
        raise ValueError(
            f"{caller}: {name} must be an int of at least {minimum} or a pair of them "
            f"(height, width), got {value!r}."
        )
    if max(pair) > MOST_PIXELS:
        raise ValueError(f"{caller}: {name} must be at most {MOST_PIXELS}, got {value!r}.")
    return pair


def check_real(
    caller: str, name: str, value: Any, low: float, high: float = np.inf, *, bounds: str = "[)"
) -> float:
    """Return `value` as a float inside an interval, or raise ``ValueError``.

    `bounds` gives the closed ends of the interval, as in ``"[)"`` or ``"()"``.
    """
    if isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(
        value, (bool, np.timedelta64)
    ):  # fractions are numbers, too, but arrays cannot be multiplied by them
        try:
            number = float(value)
        except OverflowError:  # an int with more than 308 digits
            number = np.inf
        above = number > low or (number == low and bounds[0] == "[")
        below = number < high or (number == high and bounds[1] == "]")
        if above and below:
            return number
    raise ValueError(
        f"{caller}: {name} must be a number in {bounds[0]}{low:g}, {high:g}{bounds[1]}, "
        f"got {value!r}."
    )


def check_part(caller: str, name: str, part: Any) -> None:
    """Check an optimizer or a schedule; errors name the parameter that contains it."""
    try:
        part.check()
    except ValueError as error:
        raise ValueError(f"{caller}: {name} = {part!r}: {error}") from None


def check_bool(caller: str, name: str, value: Any) -> bool:
    """Return `value` as a bool, or raise ``ValueError``."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise ValueError(f"{caller}: {name} must be True or False, got {value!r}.")


def check_choice(caller: str, name: str, value: Any, allowed: Iterable[str]) -> str:
    """Return `value` if it is one of the `allowed` names, or raise ``ValueError``."""
    names = list(allowed)
    if isinstance(value, str) and value in names:
        return value
    raise ValueError(f"{caller}: {name} must be one of {names}, got {value!r}.")

"""Numbers so small that processors are slow on them are set to 0.

A denormal number is smaller than the smallest that has all its digits, about
1e-38 in float32. Arithmetic on denormal numbers takes up to a hundred times as
long. Everything that decays forever becomes denormal: the weights of dead units,
and the moments of parameters without a gradient. Rounding then keeps them from
ever reaching 0. Confident predictions have denormal gradients as well: those of
their loss are probabilities close to 0.
"""

from functools import cache

import numpy as np

__all__ = ["flush", "flush_vanishing", "normal_squares", "without_denormals"]

CHUNK = 2**16
"""Numbers that are processed at a time, since a large vector may be a memory map."""


@cache
def _limits(dtype: np.dtype) -> tuple[float, float]:
    """Return the smallest normal number, and the smallest whose last digit is one."""
    info = np.finfo(dtype)
    return float(info.smallest_normal), float(info.smallest_normal / info.eps)


def flush(array: np.ndarray) -> None:
    """Set denormal numbers to 0, in place."""
    array[np.abs(array) < _limits(array.dtype)[0]] = 0


def flush_vanishing(array: np.ndarray) -> None:
    """Set numbers whose last digits would be denormal to 0, in place.

    These are the numbers below 1e-31 in float32. From there, decaying numbers take
    a while to become denormal, so this is not needed in every step.
    """
    array[np.abs(array) < _limits(array.dtype)[1]] = 0


def normal_squares(array: np.ndarray) -> np.ndarray:
    """Return the squares, and the smallest normal number in place of smaller ones."""
    sizes = np.abs(array)
    root = _roots(array.dtype)
    # `maximum` takes twice as long with a number as with an array
    np.maximum(sizes, root[: len(sizes)] if len(sizes) <= CHUNK else root[0], out=sizes)
    return np.multiply(sizes, sizes, out=sizes)


@cache
def _roots(dtype: np.dtype) -> np.ndarray:
    """Return many times the root of the smallest normal number, which is a power of 2."""
    return np.full(CHUNK, np.sqrt(_limits(dtype)[0]), dtype)


def without_denormals(vector: np.ndarray) -> np.ndarray:
    """Return a copy with 0 for denormal numbers, or the vector itself if it holds none."""
    if not any(_any_denormal(vector[i : i + CHUNK]) for i in range(0, len(vector), CHUNK)):
        return vector
    vector = np.array(vector)
    flush(vector)
    return vector


def _any_denormal(array: np.ndarray) -> bool:
    return bool(((np.abs(array) < _limits(array.dtype)[0]) & (array != 0)).any())

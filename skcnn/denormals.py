"""Numbers so small that processors are slow on them are set to 0.

A denormal number is smaller than the smallest that has all its digits, about
1e-38 in float32. Arithmetic on denormal numbers takes up to a hundred times as
long. Everything that decays forever becomes denormal: the weights of dead units,
and the moments of parameters without a gradient. Rounding then keeps them from
ever reaching 0.
"""

import numpy as np

__all__ = ["flush", "flush_vanishing", "without_denormals"]

CHUNK = 2**16
"""Numbers that are processed at a time, since a large vector may be a memory map."""


def flush(array: np.ndarray) -> None:
    """Set denormal numbers to 0, in place."""
    _flush(array, np.finfo(array.dtype).smallest_normal)


def flush_vanishing(array: np.ndarray) -> None:
    """Set numbers whose last digits would be denormal to 0, in place.

    These are the numbers below 1e-31 in float32. From there, decaying numbers take
    a while to become denormal, so this is not needed in every step.
    """
    info = np.finfo(array.dtype)
    _flush(array, info.smallest_normal / info.eps)


def _flush(array: np.ndarray, limit: float) -> None:
    array[np.abs(array) < limit] = 0


def without_denormals(vector: np.ndarray) -> np.ndarray:
    """Return a copy with 0 for denormal numbers, or the vector itself if it holds none."""
    if not any(_any_denormal(vector[i : i + CHUNK]) for i in range(0, len(vector), CHUNK)):
        return vector
    vector = np.array(vector)
    flush(vector)
    return vector


def _any_denormal(array: np.ndarray) -> bool:
    return bool(((np.abs(array) < np.finfo(array.dtype).smallest_normal) & (array != 0)).any())

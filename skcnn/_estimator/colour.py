"""Channels in flat rows, found by comparing values."""

from math import isqrt

import numpy as np

__all__ = ["count_channels", "likely_sides"]

ROWS = 64
"""Rows that are looked at."""

VALUES = 3072
"""Values of a row that are looked at, from its middle."""

FEWEST = 100
"""Features below which rows are too short to tell."""

ALIKE = 0.9
"""Ratio of differences below which a row speaks for channels.

Rows of grey images, of signals and of noise have ratios of 1 and more.
"""


def count_channels(rows: np.ndarray) -> int | None:
    """Count the channels of flat rows that look like pixels of three or four of them.

    Values that are so many places apart belong to one channel of neighbouring
    pixels. They are more alike than closer ones, which belong to different
    channels. In a grey image or a signal, closer values are more alike.

    Only some rows and values are read. Every distinct row has one vote, so that
    a row counts once however often it is repeated.

    Parameters
    ----------
    rows : ndarray of shape (n, features)

    Returns
    -------
    int or None
        3, 4, or None for anything else, also for channels plane by plane and for
        images that are nearly grey.
    """
    n, features = rows.shape
    if features < FEWEST:
        return None
    start = max(0, (features - VALUES) // 2)
    numbers = np.unique(np.linspace(0, n - 1, ROWS, dtype=np.intp))
    seen = rows[:, start : start + VALUES][numbers].astype(np.float64)
    seen = np.unique(seen, axis=0)
    with np.errstate(all="ignore"):  # constant rows, and differences beyond float64
        ratios = {
            channels: _ratio(seen, channels) for channels in (3, 4) if features % channels == 0
        }
    best = min(ratios, key=lambda channels: ratios[channels], default=None)
    return best if best is not None and ratios[best] < ALIKE else None


def likely_sides(pixels: int) -> tuple[int, int] | None:
    """Height and width of a square image, or of one of 3:4, with so many pixels."""
    for height, width in ((1, 1), (3, 4)):
        unit = isqrt(pixels // (height * width))
        if unit * unit * height * width == pixels:
            return unit * height, unit * width
    return None


def _ratio(rows: np.ndarray, channels: int) -> float:
    """Difference of values `channels` places apart, in units of the least of closer ones.

    It is the median over the rows; infinity where none has a ratio.
    """
    apart = [np.abs(rows[:, k:] - rows[:, :-k]).mean(axis=1) for k in range(1, channels + 1)]
    ratios = apart[-1] / np.minimum.reduce(apart[:-1])
    ratios = ratios[np.isfinite(ratios)]
    return float(np.median(ratios)) if len(ratios) else float("inf")

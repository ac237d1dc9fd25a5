"""Detection of colour channels in flat rows."""

from math import isqrt

import numpy as np

__all__ = ["count_channels", "likely_sides"]

ROWS = 64
"""Most rows that are examined."""

VALUES = 3072
"""Most values of a row that are examined, from its middle."""

FEWEST = 100
"""Fewest features for a decision."""

ALIKE = 0.9
"""Ratio of differences below which a row indicates channels.

Grey images, signals and noise have ratios of at least 1.
"""


def count_channels(rows: np.ndarray) -> int | None:
    """Count the channels of flat rows that look like pixels of three or four of them.

    Values that many positions apart belong to one channel of neighbouring pixels,
    and are more alike than closer ones, which belong to different channels. In a
    grey image or a signal, closer values are more alike.

    Only some rows and values are read. Every distinct row has one vote, however
    often it is repeated.

    Parameters
    ----------
    rows : ndarray of shape (n, features)

    Returns
    -------
    int or None
        3, 4, or None for anything else, including channels plane by plane and
        nearly grey images.
    """
    n, features = rows.shape
    if features < FEWEST:
        return None
    start = max(0, (features - VALUES) // 2)
    numbers = np.unique(np.linspace(0, n - 1, ROWS, dtype=np.intp))
    seen = rows[:, start : start + VALUES][numbers].astype(np.float64)
    seen = np.unique(seen, axis=0)
    with np.errstate(all="ignore"):  # constant rows, and differences that overflow
        ratios = {
            channels: _ratio(seen, channels) for channels in (3, 4) if features % channels == 0
        }
    best = min(ratios, key=lambda channels: ratios[channels], default=None)
    return best if best is not None and ratios[best] < ALIKE else None


def likely_sides(pixels: int) -> tuple[int, int] | None:
    """Return height and width of a square or 4:3 image with this number of pixels."""
    for height, width in ((1, 1), (3, 4)):
        unit = isqrt(pixels // (height * width))
        if unit * unit * height * width == pixels:
            return unit * height, unit * width
    return None


def _ratio(rows: np.ndarray, channels: int) -> float:
    """Return the difference of values `channels` apart, relative to the least of closer ones.

    It is the median over the rows, or infinity if none has a ratio.
    """
    apart = [np.abs(rows[:, k:] - rows[:, :-k]).mean(axis=1) for k in range(1, channels + 1)]
    ratios = apart[-1] / np.minimum.reduce(apart[:-1])
    ratios = ratios[np.isfinite(ratios)]
    return float(np.median(ratios)) if len(ratios) else float("inf")

"""Detection of colour channels in flat rows."""

from math import isqrt

import numpy as np

__all__ = ["count_channels", "likely_sides"]

ROWS = 64
"""Number of rows to compare."""

VALUES = 3072
"""Number of values to compare in the middle of a row."""

FEWEST = 100
"""Number of features below which rows are too short to tell."""

ALIKE = 0.9
"""Ratio of differences below which a row indicates channels.

Grey images, signals and noise have ratios of 1 and more.
"""


def count_channels(rows: np.ndarray) -> int | None:
    """Count the channels of flat rows that look like colour images.

    With three channels, values three places apart belong to the same channel of
    neighbouring pixels, and are more alike than closer values, which belong to
    different channels. In a grey image or a signal, closer values are more alike.

    Only some rows and values are read. Repetitions of a row do not count.

    Parameters
    ----------
    rows : ndarray of shape (n, features)

    Returns
    -------
    int or None
        3 or 4; None for anything else, including separate planes of channels and
        images that are nearly grey.
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
    """Return height and width of a square or 3:4 image with the number of pixels, or None."""
    for height, width in ((1, 1), (3, 4)):
        unit = isqrt(pixels // (height * width))
        if unit * unit * height * width == pixels:
            return unit * height, unit * width
    return None


def _ratio(rows: np.ndarray, channels: int) -> float:
    """Return the difference of values `channels` places apart, relative to closer values.

    It is the median over the rows, or infinity if all rows are constant.
    """
    apart = [np.abs(rows[:, k:] - rows[:, :-k]).mean(axis=1) for k in range(1, channels + 1)]
    ratios = apart[-1] / np.minimum.reduce(apart[:-1])
    ratios = ratios[np.isfinite(ratios)]
    return float(np.median(ratios)) if len(ratios) else float("inf")

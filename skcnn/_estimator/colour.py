"""Detection of colour channels in flat rows, and a warning about them."""

from math import isqrt

import numpy as np

from skcnn._estimator.user_warnings import warn_user
from skcnn.layers._layer import Shape

__all__ = ["count_channels", "warn_of_colour"]

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


def warn_of_colour(rows: np.ndarray, shape: Shape, order: str) -> None:
    """Warn of flat rows that are read as `shape` but may be colour images."""
    features, channels, is_signal = rows.shape[1], count_channels(rows), shape[1] == 1
    if is_signal:
        taken, kept = "signals of that length", f"image_shape=(1, {features}) if they are signals"
    else:
        taken = f"grey images of {shape[1]} x {shape[2]} pixels"
        kept = f"image_shape={shape[1:]} if they are grey images"
    if channels is not None:
        sides = _likely_sides(features // channels)
        height, width = ("height", "width") if sides is None else sides
        warn_user(
            f"X has {features} features, which are taken as {taken}, but values {channels} apart "
            f"are more alike than neighbours, as in pixels of {channels} channels. Pass "
            f"image_shape=({height}, {width}, {channels}) and data_format='channels_last' if they "
            f"are colour images{'' if sides is None else ' of that size'}, image_shape=(1, "
            f"{features // channels}, {channels}) and data_format='channels_last' if they are "
            f"signals of {channels} channels, or {kept}."
        )
    elif is_signal and (side := isqrt(features // 3)) >= 8 and features == 3 * side * side:
        colour = (side, side, 3) if order == "channels_last" else (3, side, side)
        warn_user(
            f"X has {features} features, which looks like flattened colour images, but is taken as "
            f"{taken}. Pass image_shape={colour} if they are images, or {kept}."
        )


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


def _likely_sides(pixels: int) -> tuple[int, int] | None:
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

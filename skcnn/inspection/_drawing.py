"""Drawing shared by the displays: matplotlib, grids of axes, colours, images as pictures."""

from math import ceil, sqrt
from typing import Any

import numpy as np

__all__ = [
    "GAIN_AND_LOSS", "PALETTE", "curve_map", "figure_of", "grid", "mosaic", "picture", "pyplot",
    "sample", "side_by_side",
]  # fmt: skip

PALETTE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999"]
"""Colours that the colour-blind can tell apart (Okabe & Ito 2008), without black and yellow."""

GAIN_AND_LOSS = "RdBu_r"
"""Colour map from blue over white to red."""


def pyplot(caller: str) -> Any:
    """Return ``matplotlib.pyplot``, or raise an ``ImportError`` that tells how to install it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f'{caller} needs matplotlib, which pip install "skcnn[plot]" installs.'
        ) from error
    return plt


def curve_map() -> Any:
    """Return `GAIN_AND_LOSS` with a grey middle, so that curves are visible on any background."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("gain_and_loss", [PALETTE[0], "#BBBBBB", PALETTE[1]])


def figure_of(caller: str, ax: Any, size: tuple[float, float]) -> tuple[Any, Any]:
    """Return the figure of `ax`, and `ax`; new ones of a size in inches if it is None."""
    plt = pyplot(caller)
    if ax is None:
        _, ax = plt.subplots(figsize=size, layout="constrained")
    return ax.figure, ax


def grid(
    caller: str, ax: Any, n_rows: int, n_columns: int, tile: tuple[float, float]
) -> tuple[Any, Any, np.ndarray]:
    """Create axes in rows and columns, as `sklearn.inspection.PartialDependenceDisplay` does.

    Parameters
    ----------
    caller : str
    ax : Axes, array-like of Axes or None
        A single one is divided; several must be exactly as many as needed.
    n_rows, n_columns : int
    tile : (float, float)
        Width and height of each in a new figure, in inches.

    Returns
    -------
    figure : Figure
    ax : Axes or None
        The divided axes, if any.
    axes : ndarray of Axes of shape (n_rows, n_columns)
    """
    plt = pyplot(caller)
    if ax is None:
        size = (tile[0] * n_columns, tile[1] * n_rows)
        figure = plt.figure(figsize=size, layout="constrained")
        ax = figure.add_subplot()
    if isinstance(ax, plt.Axes):
        place = ax.get_subplotspec()
        if place is None:
            raise ValueError(f"{caller}: ax must be a subplot, got axes placed by hand.")
        ax.set_axis_off()
        inner = place.subgridspec(n_rows, n_columns)
        axes = np.empty((n_rows, n_columns), object)
        for i, j in np.ndindex(axes.shape):
            axes[i, j] = ax.figure.add_subplot(inner[i, j])
        return ax.figure, ax, axes
    axes = np.asarray(ax, object)
    if axes.size != n_rows * n_columns:
        raise ValueError(
            f"{caller}: ax must be one subplot, or {n_rows * n_columns} of them, got {axes.size}."
        )
    return axes.flat[0].figure, None, axes.reshape(n_rows, n_columns)


def mosaic(maps: np.ndarray, n_columns: int | None = None) -> np.ndarray:
    """Arrange maps of one size in rows, with NaN between them.

    Parameters
    ----------
    maps : ndarray of shape (n, height, width)
    n_columns : int or None, default=None
        Maps per row; None makes the mosaic about square.
    """
    n, H, W = maps.shape
    if n_columns is None:
        n_columns = min(n, max(1, round(sqrt(n * (H + 1) / (W + 1)))))
    n_rows = ceil(n / n_columns)
    found = np.full((n_rows * (H + 1) - 1, n_columns * (W + 1) - 1), np.nan)
    for k, map_ in enumerate(maps):
        i, j = divmod(k, n_columns)
        found[i * (H + 1) : i * (H + 1) + H, j * (W + 1) : j * (W + 1) + W] = map_
    return found


def side_by_side(x: np.ndarray) -> np.ndarray:
    """Arrange the channels of an image, (channels, height, width), side by side."""
    return mosaic(x, len(x))


def picture(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """Convert an image for ``imshow``, in colour if it has three channels.

    Parameters
    ----------
    x : ndarray of shape (channels, height, width)
    low, high : float
        Values drawn black and white.
    """
    unit = (x - low) / ((high - low) or 1)
    return np.moveaxis(unit, 0, -1) if len(x) == 3 else side_by_side(unit)


def is_signal(x: np.ndarray) -> bool:
    """Whether an image, (…, height, width), is one pixel high or wide."""
    return min(x.shape[-2:]) == 1


def levels(x: np.ndarray) -> np.ndarray:
    """Return vertical offsets that keep the curves of a signal, (channels, length), apart."""
    reach = float(np.ptp(x)) or 1.0
    return -1.1 * reach * np.arange(len(x))


def sample(ax: Any, x: np.ndarray, low: float, high: float) -> Any:
    """Draw one sample: an image as a picture, a signal as a curve for each channel.

    Returns
    -------
    AxesImage or list of Line2D
    """
    if not is_signal(x):
        ax.set(xticks=[], yticks=[])
        return ax.imshow(picture(x, low, high), cmap="gray", vmin=0, vmax=1)
    curves = x.reshape(len(x), -1)
    offsets = levels(curves)
    lines = [
        ax.plot(curve + offset, color=PALETTE[0], linewidth=1)[0]
        for curve, offset in zip(curves, offsets, strict=True)
    ]
    name_channels(ax, curves, offsets)
    return lines


def name_channels(ax: Any, curves: np.ndarray, offsets: np.ndarray) -> None:
    """Number the channels of a signal at their curves; a single one keeps its scale."""
    ax.margins(x=0.01)
    ax.tick_params(labelsize="small")
    if len(curves) > 1:
        ax.set_yticks(offsets + curves.mean(axis=1), [f"channel {c}" for c in range(len(curves))])

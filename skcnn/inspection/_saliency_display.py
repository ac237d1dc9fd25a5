"""Display of saliency maps."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skcnn._hyperparameters import check_choice
from skcnn.inspection._drawing import (
    GAIN_AND_LOSS,
    curve_map,
    grid,
    is_signal,
    levels,
    name_channels,
    pyplot,
    sample,
    side_by_side,
)
from skcnn.inspection._estimators import arranged, check_fitted, output_labels, pixels
from skcnn.inspection._methods import Method
from skcnn.inspection._saliency import saliency
from skcnn.parallel.contexts import in_own_context

__all__ = ["SaliencyDisplay"]

PER_LINE = 6
"""Images per row."""


class SaliencyDisplay:
    """Samples, and the influence of each of their numbers on an output.

    Images have a heat map below or over them, signals are coloured curves. Red (in
    signals, orange) supports the output, blue opposes it; the strongest colour is
    the largest number of each sample. The heat map of a colour image is the sum over
    its channels; other numbers of channels are drawn side by side.

    It is recommended to use `from_estimator`; all parameters are stored as
    attributes.

    Parameters
    ----------
    samples : ndarray of shape (n, channels, height, width)
    saliency : ndarray of shape (n, channels, height, width)
    names : sequence of str or float, or None, default=None
        Titles of the samples; floats are rounded to three digits.

    Attributes
    ----------
    samples_ : list of AxesImage
        The images; empty for signals.
    maps_ : list of AxesImage, or list of list of LineCollection
        The heat maps; for signals, a curve for each channel.
    axes_ : ndarray of Axes
    ax_ : Axes or None
        The axes that they replace.
    figure_ : Figure

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from skcnn import ScratchCNNClassifier
    >>> from skcnn.inspection import SaliencyDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = ScratchCNNClassifier(filters=8, max_iter=5, random_state=0).fit(X, y)
    >>> display = SaliencyDisplay.from_estimator(clf, X[:4], method="integrated_gradients")
    >>> plt.show()
    """

    def __init__(
        self, samples: np.ndarray, saliency: np.ndarray, *, names: Sequence[Any] | None = None
    ) -> None:
        self.samples = samples
        self.saliency = saliency
        self.names = names

    @classmethod
    @in_own_context
    def from_estimator(
        cls, estimator: Any, X: ArrayLike, target: Any = None, *,
        method: str | Method = "gradient", random_state: Any = None,
        names: Sequence[Any] | None = None, kind: str = "beside", cmap: Any = None,
        colorbar: bool = True, ax: Any = None,
    ) -> Self:  # fmt: skip
        """Explain and draw some samples.

        Parameters
        ----------
        estimator : ScratchCNNClassifier or ScratchCNNRegressor
            A fitted estimator.
        X : array-like
            Images in any of the forms that its ``fit`` takes.
        target, method, random_state
            As in `skcnn.inspection.saliency`.
        names : sequence of str or float, or None, default=None
            Titles of the samples; floats are rounded to three digits, and None is
            the explained output.
        kind, cmap, colorbar, ax
            As in `plot`.

        Returns
        -------
        SaliencyDisplay
        """
        pyplot(f"{cls.__name__}.from_estimator")
        estimator = check_fitted(estimator, cls.__name__)
        check_choice(cls.__name__, "kind", kind, ["beside", "over"])
        found = saliency(estimator, X, target, method=method, random_state=random_state)
        if names is None:
            names = output_labels(estimator, X, target, cls.__name__)
        display = cls(pixels(estimator, X), arranged(estimator, found), names=names)
        return display.plot(kind=kind, cmap=cmap, colorbar=colorbar, ax=ax)

    @in_own_context
    def plot(
        self, *, kind: str = "beside", cmap: Any = None, colorbar: bool = True, ax: Any = None
    ) -> Self:
        """Draw samples and saliencies.

        Parameters
        ----------
        kind : {"beside", "over"}, default="beside"
            Whether heat maps are drawn below the images or over them. Signals are
            not affected.
        cmap : str, Colormap or None, default=None
            Colour map, centred on 0. None is "RdBu_r", or for signals one from blue
            over grey to orange.
        colorbar : bool, default=True
            Whether to draw the colour scale.
        ax : Axes, array-like of Axes or None, default=None
            Where to draw: a subplot whose place the panels take, or one for
            each panel. None is a new figure.

        Returns
        -------
        self
        """
        caller = type(self).__name__
        check_choice(caller, "kind", kind, ["beside", "over"])
        n = len(self.samples)
        if self.names is not None and len(self.names) != n:
            raise ValueError(
                f"{caller}: names must have one for each of {n} samples, got {len(self.names)}."
            )
        self.samples_: list[Any] = []
        self.maps_: list[Any] = []
        if is_signal(self.samples):
            self._draw_signals(n, cmap or curve_map(), ax)
        else:
            self._draw_images(n, kind, cmap or GAIN_AND_LOSS, ax)
        if colorbar:
            self._draw_colorbar(cmap or (curve_map() if not self.samples_ else GAIN_AND_LOSS))
        return self

    def _draw_images(self, n: int, kind: str, cmap: Any, ax: Any) -> None:
        lines = 2 if kind == "beside" else 1
        n_columns = min(n, PER_LINE)
        n_rows = -(-n // n_columns)
        channels = 1 if self.samples.shape[1] == 3 else self.samples.shape[1]
        H, W = self.samples.shape[2:]
        width = 1.5 * np.clip(channels * W / H, 0.6, 4)
        height = 1.5 * np.clip(H / (channels * W), 0.6, 2) + 0.15
        self.figure_, self.ax_, axes = grid(
            f"{type(self).__name__}.plot", ax, lines * n_rows, n_columns, (width, height)
        )
        low, high = float(self.samples.min()), float(self.samples.max())
        for axis in axes.flat:
            axis.set_axis_off()
        for k, (x, values) in enumerate(zip(self.samples, self.saliency, strict=True)):
            i, j = divmod(k, n_columns)
            above, below = axes[lines * i, j], axes[lines * i + lines - 1, j]
            for axis in (above, below):
                axis.set_axis_on()
                axis.set(xticks=[], yticks=[])
            self.samples_.append(sample(above, x, low, high))
            map_ = values.sum(axis=0) if len(x) == 3 else side_by_side(values)
            limit = float(np.nanmax(np.abs(map_))) or 1.0
            over = {"alpha": np.nan_to_num(np.abs(map_) / limit)} if kind == "over" else {}
            self.maps_.append(below.imshow(map_, cmap=cmap, vmin=-limit, vmax=limit, **over))
            if self.names is not None:
                above.set_title(_title(self.names[k]), fontsize="medium")
        self.axes_ = axes.ravel()

    def _draw_signals(self, n: int, cmap: Any, ax: Any) -> None:
        from matplotlib.collections import LineCollection

        height = 1.3 + 0.35 * (self.samples.shape[1] - 1)
        self.figure_, self.ax_, axes = grid(f"{type(self).__name__}.plot", ax, n, 1, (6.4, height))
        self.axes_ = axes.ravel()
        for k, (x, values, axis) in enumerate(
            zip(self.samples, self.saliency, self.axes_, strict=True)
        ):
            curves, shares = x.reshape(len(x), -1), values.reshape(len(x), -1)
            offsets, limit = levels(curves), float(np.abs(values).max()) or 1.0
            drawn = []
            for curve, share, offset in zip(curves, shares, offsets, strict=True):
                line = LineCollection(list(_pieces(curve + offset)), cmap=cmap, linewidth=2)
                line.set_array(share)
                line.set_clim(-limit, limit)
                line.set_capstyle("round")
                drawn.append(axis.add_collection(line))
            axis.autoscale_view()
            name_channels(axis, curves, offsets)
            self.maps_.append(drawn)
            if self.names is not None:
                axis.set_title(_title(self.names[k]), fontsize="medium", loc="left")
        for axis in self.axes_[:-1]:
            axis.tick_params(labelbottom=False)
        self.axes_[-1].set_xlabel("position")

    def _draw_colorbar(self, cmap: Any) -> None:
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        bar = self.figure_.colorbar(
            ScalarMappable(Normalize(-1, 1), cmap), ax=list(self.axes_), ticks=[-1, 0, 1]
        )
        bar.ax.set_yticklabels(["against", "0", "for"])
        bar.ax.tick_params(labelsize="small")


def _title(name: Any) -> Any:
    """Return the title for a name, or for a number such as a target."""
    return f"{name:.3g}" if isinstance(name, (float, np.floating)) else name


def _pieces(curve: np.ndarray) -> np.ndarray:
    """Return the part of a curve around each of its points, as (n, 3, 2)."""
    places = np.arange(len(curve), dtype=float)
    points = np.stack([places, curve], axis=1)
    middles = (points[1:] + points[:-1]) / 2
    before = np.concatenate([points[:1], middles])
    behind = np.concatenate([middles, points[-1:]])
    return np.stack([before, points, behind], axis=1)

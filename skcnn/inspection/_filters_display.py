"""Display of the filters of a convolution."""

from typing import Any, Self

import numpy as np

from skcnn.inspection._drawing import GAIN_AND_LOSS, figure_of, mosaic, pyplot
from skcnn.inspection._estimators import check_fitted
from skcnn.inspection._parts import Link, every_link, path_to
from skcnn.layers import Conv2d, ConvTranspose2d

__all__ = ["FiltersDisplay"]

NUMBERED = 16
"""Most filters or channels that are numbered."""


class FiltersDisplay:
    """The kernels of a convolution.

    Kernels over one channel are laid out in rows; those over several have a row
    for each filter and a column for each channel; and those over the three
    channels of a colour image are drawn in colour, with grey for 0.

    It is recommended to use `from_estimator`; all parameters are stored as
    attributes.

    Parameters
    ----------
    filters : ndarray of shape (n_filters, channels, height, width)
        The weights.
    in_color : bool, default=False
        Whether the channels are red, green and blue.
    name : str or None, default=None
        Name of the layer, for the title.

    Attributes
    ----------
    im_ : AxesImage
    ax_ : Axes
    figure_ : Figure

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from skcnn import ScratchCNNClassifier
    >>> from skcnn.inspection import FiltersDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = ScratchCNNClassifier(filters=8, max_iter=5, random_state=0).fit(X, y)
    >>> display = FiltersDisplay.from_estimator(clf)
    >>> plt.show()
    """

    def __init__(
        self, filters: np.ndarray, *, in_color: bool = False, name: str | None = None
    ) -> None:
        self.filters = filters
        self.in_color = in_color
        self.name = name

    @classmethod
    def from_estimator(
        cls, estimator: Any, layer: int | str | None = None, *, cmap: Any = GAIN_AND_LOSS,
        colorbar: bool = True, im_kw: dict[str, Any] | None = None, ax: Any = None,
    ) -> Self:  # fmt: skip
        """Draw the kernels of a fitted network.

        Parameters
        ----------
        estimator : ScratchCNNClassifier or ScratchCNNRegressor
        layer : int, str or None, default=None
            Index of a convolution in ``layers_``, or its name in ``summary()``. None
            is the first.
        cmap, colorbar, im_kw, ax
            As in `plot`.

        Returns
        -------
        FiltersDisplay
        """
        pyplot(f"{cls.__name__}.from_estimator")
        estimator = check_fitted(estimator, cls.__name__)
        link = _convolution(estimator, layer, cls.__name__)
        filters = np.array(link.params["weight"])
        if isinstance(link.layer, ConvTranspose2d):  # its rows are the channels of its input
            filters = filters.swapaxes(0, 1)
        in_color = filters.shape[1] == 3 and _sees_a_colour_image(estimator, link.name)
        name = f"layer {link.name}, {type(link.layer).__name__}"
        return cls(filters, in_color=in_color, name=name).plot(
            cmap=cmap, colorbar=colorbar, im_kw=im_kw, ax=ax
        )

    def plot(
        self, *, cmap: Any = GAIN_AND_LOSS, colorbar: bool = True,
        im_kw: dict[str, Any] | None = None, ax: Any = None,
    ) -> Self:  # fmt: skip
        """Draw the kernels.

        Parameters
        ----------
        cmap : str or Colormap, default="RdBu_r"
            Colour map of weights that are not drawn in colour, centred on 0.
        colorbar : bool, default=True
            Whether to draw the colour scale.
        im_kw : dict or None, default=None
            Passed to ``Axes.imshow``.
        ax : Axes or None, default=None
            Where to draw; None is a new figure.

        Returns
        -------
        self
        """
        F, C, KH, KW = self.filters.shape
        limit = float(np.abs(self.filters).max()) or 1.0
        if self.in_color:
            channels = [mosaic(self.filters[:, c]) for c in range(C)]
            data = 0.5 + np.stack(channels, axis=-1) / (2 * limit)
            data = np.concatenate([data, np.isfinite(data[..., :1])], axis=-1)
            data, style = np.nan_to_num(data), {}
        else:
            n_columns = C if C > 1 else (1 if KH == 1 else None)
            data = mosaic(self.filters.reshape(F * C, KH, KW), n_columns)
            style = {"cmap": cmap, "vmin": -limit, "vmax": limit}
        height, width = data.shape[:2]
        scale = min(0.3, 7 / max(height, width))
        size = (max(3.2, scale * width) + 1.7, max(2.0, scale * height) + 0.6)
        self.figure_, self.ax_ = figure_of(f"{type(self).__name__}.plot", ax, size)
        self.im_ = self.ax_.imshow(data, **{"interpolation": "nearest"} | style | (im_kw or {}))
        if colorbar and not self.in_color:
            self.figure_.colorbar(self.im_, ax=self.ax_, label="weight")
        self.ax_.set_frame_on(False)
        self.ax_.set(xticks=[], yticks=[], title=self.name)
        if C > 1 and not self.in_color:
            self.ax_.set(xlabel="channel", ylabel="filter")
            if C <= NUMBERED:
                self.ax_.set_xticks(np.arange(C) * (KW + 1) + (KW - 1) / 2, range(C))
            if F <= NUMBERED:
                self.ax_.set_yticks(np.arange(F) * (KH + 1) + (KH - 1) / 2, range(F))
            self.ax_.tick_params(length=0)
        return self


def _convolution(estimator: Any, layer: Any, caller: str) -> Link:
    """Return the layer with its arrays, or raise an error that names all convolutions."""
    network, weights = estimator.network_, estimator.weights_
    every = [
        link
        for link in every_link(network, weights)
        if isinstance(link.layer, (Conv2d, ConvTranspose2d))
    ]
    if not every:
        raise ValueError(f"{caller}: the network has no convolution.")
    if layer is None:
        return every[0]
    link = path_to(network, weights, layer, caller)[-1]
    if not isinstance(link.layer, (Conv2d, ConvTranspose2d)):
        raise ValueError(
            f"{caller}: layer must be a convolution, one of {[link.name for link in every]}, got "
            f"{layer!r}, which is {link.layer!r}."
        )
    return link


def _sees_a_colour_image(estimator: Any, name: str) -> bool:
    """Whether images are in colour, and only layers without arrays come before this one."""
    if estimator.image_shape_[0] != 3 or min(estimator.image_shape_[1:]) == 1:
        return False
    path = path_to(estimator.network_, estimator.weights_, name, "FiltersDisplay")
    return not any(link.params for link in path[:-1])

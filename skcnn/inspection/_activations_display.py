"""Display of the outputs of one layer."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skcnn.inspection._activations import activations
from skcnn.inspection._drawing import GAIN_AND_LOSS, grid, is_signal, mosaic, pyplot
from skcnn.inspection._estimators import check_fitted
from skcnn.inspection._parts import path_to
from skcnn.parallel.contexts import in_own_context

__all__ = ["ActivationsDisplay"]


class ActivationsDisplay:
    """The output of a layer for some samples.

    Every sample has a panel with the channels of an image in rows, or those of a
    signal one above the other. Outputs without pixels share one panel, with a row
    for each sample. All panels have the same colour scale.

    It is recommended to use `from_estimator`; all parameters are stored as
    attributes.

    Parameters
    ----------
    activations : ndarray of shape (n, channels, height, width) or (n, features)
    names : sequence of str or None, default=None
        Titles of the samples; None is their numbers.
    layer_name : str or None, default=None
        Title of the colour scale.

    Attributes
    ----------
    images_ : list of AxesImage
    axes_ : ndarray of Axes
        One for each panel.
    ax_ : Axes or None
        The axes that they replace.
    figure_ : Figure

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from skcnn import ScratchCNNClassifier
    >>> from skcnn.inspection import ActivationsDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = ScratchCNNClassifier(filters=8, max_iter=5, random_state=0).fit(X, y)
    >>> display = ActivationsDisplay.from_estimator(clf, X[:3], layer=2)
    >>> plt.show()
    """

    def __init__(
        self,
        activations: np.ndarray,
        *,
        names: Sequence[str] | None = None,
        layer_name: str | None = None,
    ) -> None:
        self.activations = activations
        self.names = names
        self.layer_name = layer_name

    @classmethod
    @in_own_context
    def from_estimator(
        cls, estimator: Any, X: ArrayLike, layer: int | str = 0, *,
        names: Sequence[str] | None = None, cmap: Any = None, colorbar: bool = True,
        im_kw: dict[str, Any] | None = None, ax: Any = None,
    ) -> Self:  # fmt: skip
        """Draw the output of a layer of a fitted network.

        Parameters
        ----------
        estimator : ScratchCNNClassifier or ScratchCNNRegressor
        X : array-like
            Images in any of the forms that its ``fit`` takes.
        layer : int or str, default=0
            As in `activations`.
        names : sequence of str or None, default=None
            Titles of the samples; None is their numbers.
        cmap, colorbar, im_kw, ax
            As in `plot`.

        Returns
        -------
        ActivationsDisplay
        """
        pyplot(f"{cls.__name__}.from_estimator")
        estimator = check_fitted(estimator, cls.__name__)
        link = path_to(estimator.network_, estimator.weights_, layer, cls.__name__)[-1]
        display = cls(
            activations(estimator, X, layer),
            names=names,
            layer_name=f"layer {link.name}, {type(link.layer).__name__}",
        )
        return display.plot(cmap=cmap, colorbar=colorbar, im_kw=im_kw, ax=ax)

    @in_own_context
    def plot(
        self, *, cmap: Any = None, colorbar: bool = True, im_kw: dict[str, Any] | None = None,
        ax: Any = None,
    ) -> Self:  # fmt: skip
        """Draw the outputs.

        Parameters
        ----------
        cmap : str, Colormap or None, default=None
            None is "viridis" where no output is negative, and otherwise
            "RdBu_r" with 0 in the middle.
        colorbar : bool, default=True
            Whether to draw its scale.
        im_kw : dict or None, default=None
            Passed to ``Axes.imshow``.
        ax : Axes, array-like of Axes or None, default=None
            Where to draw: a subplot whose place the panels take, or one for
            each panel. None is a new figure.

        Returns
        -------
        self
        """
        A, caller = self.activations, f"{type(self).__name__}.plot"
        names = self.names
        if names is None:
            names = [f"sample {i}" for i in range(len(A))]
        elif len(names) != len(A):
            raise ValueError(
                f"{type(self).__name__}: names must have one for each of {len(A)} samples, got "
                f"{len(names)}."
            )
        high = float(np.abs(A).max()) or 1.0
        signed = bool((A < 0).any())
        style = {
            "cmap": cmap or (GAIN_AND_LOSS if signed else "viridis"),
            "vmin": -high if signed else 0.0,
            "vmax": high,
            "interpolation": "nearest",
        }
        pixels = A.ndim == 4 and not is_signal(A)
        titles: list[str | None] = [*names] if A.ndim == 4 else [None]
        if pixels:
            panels, tile = [mosaic(maps) for maps in A], (2.4, 2.6)
        elif A.ndim == 4:
            panels, tile = [maps.reshape(len(maps), -1) for maps in A], (6.4, 1.8)
        else:
            panels, tile = [A], (6.4, max(1.8, 0.22 * len(A) + 1))
        n_columns = min(len(panels), 4) if pixels else 1
        n_rows = -(-len(panels) // n_columns)
        size = (tile[0] + (1.0 if n_rows * n_columns == 1 else 0), tile[1])
        self.figure_, self.ax_, axes = grid(caller, ax, n_rows, n_columns, size)
        self.axes_ = axes.ravel()
        self.images_ = []
        for panel, title, axis in zip(panels, titles, self.axes_, strict=False):
            aspect = {} if pixels else {"aspect": "auto"}
            self.images_.append(axis.imshow(panel, **style | aspect | (im_kw or {})))
            axis.set_title(title, fontsize="medium")
            if pixels:
                axis.set(xticks=[], yticks=[])
                axis.set_frame_on(False)
        for axis in self.axes_[len(panels) :]:
            axis.set_axis_off()
        if A.ndim == 2:
            self.axes_[0].set(xlabel="unit")
            self.axes_[0].set_yticks(range(len(A)), names)
        elif not pixels:
            for axis in self.axes_:
                axis.set_ylabel("channel")
            self.axes_[-1].set_xlabel("position")
        if colorbar:
            self.figure_.colorbar(self.images_[0], ax=list(self.axes_), label=self.layer_name)
        return self

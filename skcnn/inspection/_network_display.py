"""Display of the network as a diagram."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Self

from skcnn.inspection._drawing import figure_of, pyplot
from skcnn.inspection._estimators import check_fitted
from skcnn.layers import BatchNorm, Conv2d, ConvTranspose2d, Dense, Layer
from skcnn.layers._layer import Shape
from skcnn.layers.chain import Chain

__all__ = ["NetworkDisplay"]

LETTER = 0.075
"""Width of a letter of `FONT` points, in inches."""

LINE = 0.17
"""Height of a line."""

FONT = 9
GAP = 0.34
"""Length of an arrow, with room for a shape beside it."""

COLOURS = {"convolution": "#CFE3F2", "dense": "#FBE3B5", "other": "#E6E6E6", "frame": "#F7F7F7"}
EDGES = {"convolution": "#0072B2", "dense": "#B87700", "other": "#666666", "frame": "#AAAAAA"}
INK = "#222222"


@dataclass(frozen=True)
class _Block:
    """A layer and the small ones after it, up to the next one with weights.

    Parameters
    ----------
    lines : tuple of str
    kind : {"convolution", "dense", "other"}
    output_shape : tuple of int
    """

    lines: tuple[str, ...]
    kind: str
    output_shape: Shape

    @property
    def width(self) -> float:
        return LETTER * max(map(len, self.lines)) + 0.3

    @property
    def height(self) -> float:
        return LINE * len(self.lines) + 0.14

    @property
    def right(self) -> float:
        """Distance from its middle to its right edge."""
        return max(self.width / 2, LETTER * len(_times(self.output_shape)) + 0.2)


@dataclass(frozen=True)
class _Fork:
    """A composite layer: branches side by side that come together again.

    Parameters
    ----------
    branches : tuple of tuple of _Block or _Fork
        No blocks are the input itself.
    sign : str
        How they are joined.
    output_shape : tuple of int
    """

    branches: tuple[tuple[Any, ...], ...]
    sign: str
    output_shape: Shape

    @property
    def widths(self) -> list[float]:
        return [max(_width(branch), 0.3) for branch in self.branches]

    @property
    def width(self) -> float:
        """Width including the frame and the gaps between branches."""
        return sum(self.widths) + 0.15 * (len(self.branches) - 1) + 0.2

    @property
    def middles(self) -> list[float]:
        """Distance of the middle of each branch from the left edge."""
        ends = accumulate(width + 0.15 for width in self.widths)
        return [end - 0.05 - width / 2 for end, width in zip(ends, self.widths, strict=True)]

    @property
    def height(self) -> float:
        return max(map(_height, self.branches)) + 0.47

    @property
    def right(self) -> float:
        return self.width / 2


class NetworkDisplay:
    """The layers of a network from top to bottom, with the shapes between them.

    A layer that has weights stands in a box with the small layers behind it; a
    composite layer such as `Residual` is a frame with its branches, which meet
    in a sum, or in what is concatenated of them. It is recommended to use
    `from_estimator`; all parameters are stored as attributes.

    Parameters
    ----------
    layers : sequence of Layer
        Layers, including the output layer.
    input_shape : tuple of int
        (Channels, height, width).

    Attributes
    ----------
    boxes_ : list of FancyBboxPatch
        From input to output; in a composite layer one branch after another.
    frames_ : list of FancyBboxPatch
        Around each composite layer.
    texts_ : list of Text
        The texts of `boxes_`.
    shapes_ : list of Text
        The shapes beside the arrows, from input to output.
    arrows_ : list of FancyArrowPatch
    ax_ : Axes
    figure_ : Figure

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from skcnn import ScratchCNNClassifier
    >>> from skcnn.inspection import NetworkDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = ScratchCNNClassifier(filters=8, max_iter=5, random_state=0).fit(X, y)
    >>> display = NetworkDisplay.from_estimator(clf)
    >>> plt.show()
    """

    def __init__(self, layers: Sequence[Layer], input_shape: Shape) -> None:
        self.layers = layers
        self.input_shape = input_shape

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> Self:
        """Draw the network of a fitted estimator.

        Parameters
        ----------
        estimator : ScratchCNNClassifier or ScratchCNNRegressor
        ax : Axes or None, default=None
            As in `plot`.

        Returns
        -------
        NetworkDisplay
        """
        pyplot(f"{cls.__name__}.from_estimator")
        estimator = check_fitted(estimator, cls.__name__)
        return cls(estimator.layers_, estimator.image_shape_).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Draw the network.

        Parameters
        ----------
        ax : Axes or None, default=None
            Where to draw; letters shrink to fit. None is a new figure of the right
            size.

        Returns
        -------
        self
        """
        elements = _elements(Chain(self.layers, self.input_shape))
        side = max(element.right for element in elements)
        width = 2 * side + 0.2
        height = LINE + 0.05 + _height(elements) + GAP + 0.05
        caller = f"{type(self).__name__}.plot"
        self.figure_, self.ax_ = figure_of(caller, ax, (width, height))
        self.ax_.set_axis_off()
        self.ax_.set(xlim=(-width / 2, width / 2), ylim=(-height, 0), aspect="equal")
        layout = self.figure_.get_layout_engine()
        if layout is not None:  # it knows the available space
            layout.execute(self.figure_)
        box = self.ax_.get_window_extent()
        dots = self.figure_.dpi
        room = min(box.width / dots / width, box.height / dots / height)
        self._scale = min(1.0, room) if ax is not None else 1.0
        self.boxes_: list[Any] = []
        self.frames_: list[Any] = []
        self.texts_: list[Any] = []
        self.shapes_: list[Any] = []
        self.arrows_: list[Any] = []
        self.ax_.text(
            0, -LINE / 2 - 0.02, f"input {_times(self.input_shape)}", ha="center", va="center",
            fontsize=FONT * self._scale, color="gray",
        )  # fmt: skip
        bottom = self._draw(elements, 0, -LINE - 0.05)
        self._arrow((0, bottom), (0, bottom - GAP), elements[-1].output_shape)
        return self

    def _draw(self, elements: Sequence[Any], x: float, y: float) -> float:
        """Draw elements from `y` downwards, centred on `x`; return where they end."""
        shape = None
        for element in elements:
            self._arrow((x, y), (x, y - GAP), shape)
            y -= GAP
            if isinstance(element, _Block):
                self._draw_block(element, x, y)
            else:
                self._draw_fork(element, x, y)
            y -= element.height
            shape = element.output_shape
        return y

    def _draw_block(self, block: _Block, x: float, y: float) -> None:
        self.boxes_.append(
            self._patch(
                x - block.width / 2, y - block.height, block.width, block.height, block.kind
            )
        )
        self.texts_.append(
            self.ax_.text(
                x,
                y - block.height / 2,
                "\n".join(block.lines),
                ha="center",
                va="center_baseline",
                fontsize=FONT * self._scale,
                color=INK,
                linespacing=1.25,
                zorder=4,
            )
        )

    def _draw_fork(self, fork: _Fork, x: float, y: float) -> None:
        frame = self._patch(x - fork.width / 2, y - fork.height, fork.width, fork.height, "frame")
        frame.set_zorder(0.5)
        self.frames_.append(frame)
        split, join = y - 0.1, y - fork.height + 0.17
        reach = 0.1 if len(fork.sign) == 1 else LETTER * len(fork.sign) / 2 + 0.05
        for middle, branch in zip(fork.middles, fork.branches, strict=True):
            place = x - fork.width / 2 + middle
            self._line([(x, y), (x, split), (place, split)])
            end = self._draw(branch, place, split) if branch else split
            if abs(place - x) < reach:  # from above
                self._arrow((place, end), (place, join + 0.1))
                continue
            self._line([(place, end), (place, join)])
            self._arrow((place, join), (x + (reach if place > x else -reach), join))
        circle = f"{'circle' if len(fork.sign) == 1 else 'round'},pad=0.15"
        self.ax_.text(
            x, join, fork.sign, ha="center", va="center_baseline", color=INK,
            fontsize=FONT * self._scale, zorder=4,
            bbox={"boxstyle": circle, "facecolor": "white", "edgecolor": INK, "linewidth": 0.8},
        )  # fmt: skip
        self._line([(x, join - 0.1), (x, y - fork.height)])

    def _patch(self, x: float, y: float, width: float, height: float, kind: str) -> Any:
        from matplotlib.patches import FancyBboxPatch

        return self.ax_.add_patch(
            FancyBboxPatch(
                (x, y),
                width,
                height,
                boxstyle="round,pad=0,rounding_size=0.06",
                facecolor=COLOURS[kind],
                edgecolor=EDGES[kind],
                linewidth=0.8,
                zorder=3,
            )
        )

    def _line(self, points: Sequence[tuple[float, float]]) -> None:
        self.ax_.plot(*zip(*points, strict=True), color="gray", linewidth=1, zorder=2)

    def _arrow(
        self, begin: tuple[float, float], end: tuple[float, float], shape: Shape | None = None
    ) -> None:
        from matplotlib.patches import FancyArrowPatch

        self.arrows_.append(
            self.ax_.add_patch(
                FancyArrowPatch(
                    begin,
                    end,
                    arrowstyle="-|>",
                    mutation_scale=8 * self._scale,
                    color="gray",
                    linewidth=1,
                    shrinkA=0,
                    shrinkB=0,
                    zorder=2,
                )
            )
        )
        if shape is not None:
            self.shapes_.append(
                self.ax_.text(
                    begin[0] + 0.08,
                    (begin[1] + end[1]) / 2,
                    _times(shape),
                    ha="left",
                    va="center_baseline",
                    fontsize=0.9 * FONT * self._scale,
                    color="gray",
                )
            )


def _elements(chain: Chain) -> tuple[Any, ...]:
    """Blocks and forks of a chain of layers."""
    found: list[Any] = []
    open_ = False  # whether the last block takes more layers
    for bound in chain.bound:
        layer, shape = bound.layer, bound.output_shape
        if bound.branches:
            found.append(_Fork(tuple(map(_elements, bound.branches)), layer.joins, shape))
            open_ = False
            continue
        line, weighty = _call(layer), isinstance(layer, (Conv2d, ConvTranspose2d, Dense))
        if weighty or not open_:
            kind = "dense" if isinstance(layer, Dense) else "convolution" if weighty else "other"
            found.append(_Block((line,), kind, shape))
        else:
            found[-1] = _Block((*found[-1].lines, line), found[-1].kind, shape)
        open_ = True
    return tuple(found)


def _call(layer: Layer) -> str:
    """Format a layer's type and its characteristic hyperparameters."""
    shown = layer.hyperparameters()
    for name in ("initializer", "clip", *(("ghost_size",) if isinstance(layer, BatchNorm) else ())):
        shown.pop(name, None)
    values = [
        str(value)
        if name in ("filters", "kernel_size", "units", "pool_size")
        else f"{name}={value!r}"
        for name, value in shown.items()
    ]
    return f"{type(layer).__name__}({', '.join(values)})" if values else type(layer).__name__


def _width(elements: Sequence[Any]) -> float:
    return max((2 * element.right for element in elements), default=0.0)


def _height(elements: Sequence[Any]) -> float:
    return sum(element.height + GAP for element in elements)


def _times(shape: Shape) -> str:
    return "×".join(map(str, shape))

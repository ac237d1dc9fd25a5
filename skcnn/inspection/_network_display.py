"""Display of the network as a diagram."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from skcnn.inspection._drawing import figure_of, pyplot
from skcnn.inspection._estimators import check_fitted
from skcnn.layers import BatchNorm, Conv2d, ConvTranspose2d, Dense, Layer, Residual
from skcnn.layers._layer import Shape

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
    """A residual block: two branches that are added.

    Parameters
    ----------
    f, s : tuple of _Block or _Fork
        No blocks in ``s`` are the input itself.
    output_shape : tuple of int
    """

    f: tuple[Any, ...]
    s: tuple[Any, ...]
    output_shape: Shape

    @property
    def left(self) -> float:
        return _width(self.f)

    @property
    def width(self) -> float:
        """With the frame."""
        return self.left + max(_width(self.s), 0.3) + 0.35

    @property
    def height(self) -> float:
        return max(_height(self.f), _height(self.s)) + 0.47

    @property
    def right(self) -> float:
        return self.width / 2


class NetworkDisplay:
    """The layers of a network from top to bottom, with the shapes between them.

    A layer that has weights stands in a box with the small layers behind it; a
    `Residual` is a frame with both branches and the sum. It is recommended to
    use `from_estimator`; all parameters are stored as
    attributes.

    Parameters
    ----------
    layers : sequence of Layer
        Layers, including the output layer.
    input_shape : tuple of int
        (Channels, height, width).

    Attributes
    ----------
    boxes_ : list of FancyBboxPatch
        From input to output; in a `Residual` those of its layers first.
    frames_ : list of FancyBboxPatch
        Around each `Residual`.
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
        elements = _elements(self.layers, self.input_shape)
        side = max(element.right for element in elements)
        width = 2 * side + 0.2
        height = LINE + 0.05 + _height(elements) + GAP + 0.05
        caller = f"{type(self).__name__}.plot"
        self.figure_, self.ax_ = figure_of(caller, ax, (width, height))
        self.ax_.set_axis_off()
        self.ax_.set(xlim=(-width / 2, width / 2), ylim=(-height, 0), aspect="equal")
        layout = self.figure_.get_layout_engine()
        if layout is not None:  # how much room there is, it knows
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
        left = x - fork.width / 2 + fork.left / 2 + 0.1
        right = x + fork.width / 2 - max(_width(fork.s), 0.3) / 2 - 0.1
        split, join = y - 0.1, y - fork.height + 0.17
        for place, branch in ((left, fork.f), (right, fork.s)):
            self._line([(x, y), (x, split), (place, split)])
            end = self._draw(branch, place, split) if branch else split
            self._line([(place, end), (place, join)])
            towards = 0.1 if place > x else -0.1
            self._arrow((place, join), (x + towards, join))
        self.ax_.text(
            x, join, "+", ha="center", va="center_baseline", color=INK, fontsize=FONT * self._scale,
            bbox={"boxstyle": "circle,pad=0.15", "facecolor": "white", "edgecolor": INK,
                  "linewidth": 0.8}, zorder=4,
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


def _elements(layers: Sequence[Layer], shape: Shape) -> tuple[Any, ...]:
    """Blocks and forks of a chain of layers."""
    found: list[Any] = []
    open_ = False  # whether the last block accepts more layers
    for layer in layers:
        before, shape = shape, layer.output_shape(shape)
        if isinstance(layer, Residual):
            branches = layer.branches(before)
            f, s = branches["layers"], branches.get("shortcut")
            found.append(
                _Fork(
                    _elements(f.layers, before),
                    () if s is None else _elements(s.layers, before),
                    shape,
                )
            )
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

"""What every layer can say of itself and do."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias

import numpy as np

from skcnn._hyperparameters import Hyperparameters

Shape: TypeAlias = tuple[int, ...]
Params: TypeAlias = dict[str, np.ndarray]


class Scratch(NamedTuple):
    """An array that a layer wants beside its input and output.

    Parameters
    ----------
    shape : tuple of int
        Shape for one sample; the batch is one more axis at the end.
    dtype : type or None, default=None
        None is the network's own dtype.
    kept : bool, default=True
        True for an array that ``backward`` reads after ``forward`` wrote it;
        False for one that is free again when the call ends, so that all layers
        can share its memory.
    optional : bool, default=False
        True for an array that ``forward`` fills for ``backward`` alone: it is
        missing where no backward pass will follow.
    """

    shape: Shape
    dtype: Any = None
    kept: bool = True
    optional: bool = False


class Reach(NamedTuple):
    """How a layer's windows lie along one axis of its input.

    Window ``p`` holds the pixels ``p·stride + i·dilation - before``, ``i`` from
    0 to ``kernel - 1``, as far as the input has them.

    Parameters
    ----------
    positions : int
        Number of different windows.
    kernel : int
        Pixels in a window.
    stride, dilation : int, default=1
        Step from window to window, and from pixel to pixel in a window.
    before : int, default=0
        Padding before the first pixel.

    Examples
    --------
    >>> strided = Reach(positions=9, kernel=3, stride=2)
    >>> list(strided.pixels(8, 20)), strided.unused(20)
    ([16, 17, 18], 1)
    """

    positions: int
    kernel: int
    stride: int = 1
    dilation: int = 1
    before: int = 0

    def pixels(self, p: int, size: int) -> range:
        """The pixels of window `p` in an input of `size` pixels."""
        start, step = p * self.stride - self.before, self.dilation
        stop = min(start + (self.kernel - 1) * step + 1, size)
        return range(max(start, start % step), stop, step)

    def unused(self, size: int) -> int:
        """How many of `size` pixels lie in no window."""
        used = {pixel for p in range(self.positions) for pixel in self.pixels(p, size)}
        return size - len(used)


class Layer(Hyperparameters, ABC):
    """A layer: hyperparameters, shapes, and the mathematics of both directions.

    Layers are frozen dataclasses that hold hyperparameters only. All arrays
    come from outside, batch last: an image batch is ``(channels, height,
    width, n)``, a batch of vectors ``(features, n)``. No array's former
    content may be relied on. Anything is accepted at construction;
    hyperparameters are checked by `output_shape`, when a network is built.

    Attributes
    ----------
    reads_x, reads_y : bool
        Whether `backward` reads the input or the output of `forward`. (In
        `Conv2d` and `Dense` it is the input.)
    writes : {"new", "over_x", "view"}
        Where the output is written: into an array of its own; wherever it is
        told, over ``x`` too (elementwise layers, whose `backward` may get
        ``dx`` and ``dy`` as one array); or nowhere, since it is ``x`` seen in
        another shape.
    draws : bool
        Whether `forward` draws from `rng` in training.
    rectifies, takes_maximum : bool
        Whether the layer is ``max(x, 0)``; whether each of its outputs is the
        largest of some inputs. The two may change places.
    decayed : tuple of str
        Names of the parameters that weight decay applies to.
    """

    reads_x: ClassVar[bool] = False
    reads_y: ClassVar[bool] = False
    writes: ClassVar[Literal["new", "over_x", "view"]] = "new"
    draws: ClassVar[bool] = False
    rectifies: ClassVar[bool] = False
    takes_maximum: ClassVar[bool] = False
    decayed: ClassVar[tuple[str, ...]] = ("weight",)

    @abstractmethod
    def output_shape(self, input_shape: Shape) -> Shape:
        """Shape that comes out for one sample of `input_shape`.

        Parameters
        ----------
        input_shape : tuple of int
            ``(channels, height, width)`` or ``(features,)``.

        Returns
        -------
        tuple of int

        Raises
        ------
        ValueError
            Where a hyperparameter is not allowed or does not fit the shape.
        """

    def param_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        """Name and shape of every trained array."""
        return {}

    def state_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        """Name and shape of every array that is learned without a gradient.

        They stand among the parameters, and `backward` writes into `grads` what
        they have to move by, against its sign and summed over the samples.
        """
        return {}

    @property
    def samples_together(self) -> int:
        """Number of samples whose outputs in training depend on each other."""
        return 1

    def init(self, params: Params, rng: np.random.Generator) -> None:
        """Fill the arrays in place with where training starts."""

    def multiply_adds(self, input_shape: Shape) -> int:
        """Multiply-adds of the matrix products, forward for one sample."""
        return 0

    def reach(self, input_shape: Shape) -> tuple[Reach, ...] | None:
        """Which pixels each number of the output depends on, along every axis but the channels.

        None for a layer whose numbers depend on the pixel at the same place only.
        """
        return None

    def scratch(self, input_shape: Shape) -> dict[str, Scratch]:
        """Arrays wanted between or during `forward` and `backward`."""
        return {}

    def views(
        self,
        x: np.ndarray,
        y: np.ndarray,
        dx: np.ndarray | None,
        dy: np.ndarray | None,
        scratch: dict,
    ) -> dict:
        """What the layer looks at, made once and added to `scratch`.

        Called when the arrays of a batch size are laid out, so that the passes
        need not slice and reshape. `dx` is None where nobody asks for it, and
        `dy` too where no backward pass follows.
        """
        return {}

    @abstractmethod
    def forward(
        self,
        x: np.ndarray,
        y: np.ndarray,
        params: Params,
        scratch: dict,
        training: bool,
        rng: np.random.Generator | None,
    ) -> None:
        """Write the output for `x` into `y`."""

    @abstractmethod
    def backward(
        self,
        dx: np.ndarray | None,
        dy: np.ndarray,
        x: np.ndarray,
        y: np.ndarray,
        params: Params,
        grads: Params,
        scratch: dict,
    ) -> None:
        """Write the gradient by `x` into `dx` and by the parameters into `grads`.

        `dy` may be overwritten. `dx` is None where nobody asks for it.
        """


def image_shape(layer: Layer, input_shape: Shape) -> Shape:
    """Return `input_shape` if it is an image's, or raise ``ValueError``."""
    if len(input_shape) != 3:
        raise ValueError(
            f"{type(layer).__name__} takes images (channels, height, width), "
            f"but its input has shape {input_shape}."
        )
    return input_shape

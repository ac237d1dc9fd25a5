"""The interface of all layers."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias

import numpy as np

from skcnn._hyperparameters import Hyperparameters
from skcnn.layers.windows import TransposedWindows, Windows

Shape: TypeAlias = tuple[int, ...]
Params: TypeAlias = dict[str, np.ndarray]


class Scratch(NamedTuple):
    """An array that a layer needs besides its input and output.

    Parameters
    ----------
    shape : tuple of int
        Shape for one sample; the batch is one more axis at the end.
    dtype : dtype or type
    kept : bool, default=True
        True for an array that ``backward`` reads after ``forward`` wrote it;
        False for one that is free again when the call ends, so that all layers
        can share its memory.
    """

    shape: Shape
    dtype: Any
    kept: bool = True


Wanted: TypeAlias = dict[str, Scratch | None]
"""Arrays by name; None for one that is not needed this time."""


class Layer(Hyperparameters, ABC):
    """A layer: hyperparameters, shapes, and the mathematics of the forward and backward passes.

    Layers are frozen dataclasses that hold hyperparameters only. All arrays
    come from outside, batch last: an image batch is
    ``(channels, height, width, n)``, a batch of vectors ``(features, n)``. The
    previous content of an array must not be relied on. Anything is accepted at
    construction; hyperparameters are checked by `output_shape`, when a network
    is built.

    Attributes
    ----------
    reads_x, reads_y : bool
        Whether `backward` reads the input or the output of `forward`. (In
        `Conv2d` and `Dense` it is the input.)
    writes : {"new", "over_x", "view"}
        Where the output is written: into an array of its own; into any array,
        even over ``x`` (elementwise layers, whose `backward` may get ``dx`` and
        ``dy`` as one array); or nowhere, since it is a view of ``x`` in another
        shape.
    rectifies, takes_maximum : bool
        Whether the layer is ``max(x, 0)``; whether each of its outputs is the
        largest of some inputs. The two may be swapped.
    """

    reads_x: ClassVar[bool] = False
    reads_y: ClassVar[bool] = False
    writes: ClassVar[Literal["new", "over_x", "view"]] = "new"
    rectifies: ClassVar[bool] = False
    takes_maximum: ClassVar[bool] = False

    @property
    def draws(self) -> bool:
        """Whether `forward` draws from `rng` in training."""
        return False

    @property
    def draws_per_batch(self) -> bool:
        """Whether it draws once for a whole mini-batch.

        All micro-batches of the mini-batch, whichever thread or process they go
        through, then get a generator in the same state. `forward` must draw as
        many numbers for any number of samples.
        """
        return False

    @property
    def decayed(self) -> tuple[str, ...]:
        """Names of the parameters that weight decay applies to."""
        return ("weight",)

    @abstractmethod
    def output_shape(self, input_shape: Shape) -> Shape:
        """Shape of the output for one sample of `input_shape`.

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
            If a hyperparameter is not allowed or does not fit the shape.
        """

    def param_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        """Name and shape of every trained array."""
        return {}

    def state_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        """Name and shape of every array that is learned without a gradient.

        They are running averages and stand among the parameters. `backward`
        writes into `grads` how far they are from what the samples say, ``state
        - new``, times the weight of each sample and summed over the samples.
        """
        return {}

    @property
    def state_rates(self) -> dict[str, float]:
        """Fraction of that distance by which a mini-batch moves each of these arrays.

        The first mini-batches move them further: the k-th at least by ``1 / k``,
        so that they are averages from the start.
        """
        return {}

    @property
    def samples_together(self) -> int:
        """Number of samples whose outputs in training depend on each other."""
        return 1

    def init(self, params: Params, rng: np.random.Generator) -> None:
        """Fill the arrays in place with their initial values."""

    def multiply_adds(self, input_shape: Shape) -> int:
        """Multiply-adds of the matrix products in the forward pass of one sample."""
        return 0

    def reach(self, input_shape: Shape) -> tuple[Windows | TransposedWindows, ...] | None:
        """Windows of pixels that an output depends on, for every axis but the channels.

        None for a layer whose numbers depend on the pixel at the same place only.
        """
        return None

    def scratch(self, input_shape: Shape, dtype: np.dtype, backward: bool) -> Wanted:
        """Arrays needed between or during `forward` and `backward`, by name.

        Parameters
        ----------
        input_shape : tuple of int
        dtype : dtype
            Dtype that the network computes in.
        backward : bool
            Whether a backward pass will follow.

        Returns
        -------
        dict from str to Scratch or None
        """
        return {}

    def bind(
        self,
        x: np.ndarray,
        y: np.ndarray,
        dx: np.ndarray | None,
        dy: np.ndarray | None,
        weights: np.ndarray,
        scratch: Any,
    ) -> Any:
        """Prepare for the passes over these arrays, which get the return value as `scratch`.

        Called once when the arrays of a batch size are laid out, so that the
        passes need not slice and reshape.

        Parameters
        ----------
        x, y, dx, dy : ndarray or None
            What the passes will be called with. `dx` is None if it is not
            needed, and so is `dy` if no backward pass follows.
        weights : ndarray of shape (n,)
            Holds the weights of the samples whenever a pass in training begins.
        scratch : object
            The arrays requested by `scratch`, as attributes.
        """
        return scratch

    @abstractmethod
    def forward(
        self,
        x: np.ndarray,
        y: np.ndarray,
        params: Params,
        scratch: Any,
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
        scratch: Any,
    ) -> None:
        """Write the gradient with respect to `x` into `dx`, that of the parameters into `grads`.

        `dy` may be overwritten. `dx` is None if it is not needed.
        """


def image_shape(layer: Layer, input_shape: Shape) -> Shape:
    """Return `input_shape` if it is an image's, or raise ``ValueError``."""
    if len(input_shape) != 3:
        raise ValueError(
            f"{type(layer).__name__} takes images (channels, height, width), "
            f"but its input has shape {input_shape}."
        )
    return input_shape

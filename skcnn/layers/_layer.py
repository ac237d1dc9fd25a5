"""The interface of all layers."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, TypeAlias

import numpy as np

from skcnn._hyperparameters import Hyperparameters
from skcnn.layers.windows import TransposedWindows, Windows

if TYPE_CHECKING:
    from skcnn.layers.training_rows import TrainingRows

Shape: TypeAlias = tuple[int, ...]
Params: TypeAlias = dict[str, np.ndarray]


class Scratch(NamedTuple):
    """An array that a layer needs in addition to its input and output.

    Parameters
    ----------
    shape : tuple of int
        Shape for one sample; the batch is an additional last axis.
    dtype : dtype or type
    kept : bool, default=True
        Whether ``backward`` reads what ``forward`` wrote. Otherwise the array is
        free when the call ends, and all layers share its memory.
    """

    shape: Shape
    dtype: Any
    kept: bool = True


Wanted: TypeAlias = dict[str, Scratch | None]
"""Arrays by name; None for one that is not needed."""


class Branch(NamedTuple):
    """A sequence of layers inside a composite layer, which starts from the input of that layer.

    Parameters
    ----------
    name : str
        Name of the sequence in error messages.
    layers : tuple of Layer
        From the input to the output; none of them for the input itself.
    names : tuple of str
        For each of these layers its name in the composite layer, which, with a
        dot, is the prefix of its arrays' names. Names do not begin with one
        another and a dot.
    """

    name: str
    layers: "tuple[Layer, ...]"
    names: tuple[str, ...]


class Layer(Hyperparameters, ABC):
    """A layer: hyperparameters, shapes, and the mathematics of the forward and backward passes.

    Layers are frozen dataclasses that hold hyperparameters only. All arrays
    come from outside, batch last: an image batch is
    ``(channels, height, width, n)``, a batch of vectors ``(features, n)``. The
    previous content of an array is undefined. Anything is accepted at
    construction; `output_shape` checks the hyperparameters when a network is
    built.

    Attributes
    ----------
    reads_x, reads_y : bool
        Whether `backward` reads the input or the output of `forward`. (In
        `Conv2d` and `Dense` it is the input.)
    writes : {"new", "over_x", "view"}
        Destination of the output: a new array; any array, even ``x`` itself
        (elementwise layers, whose `backward` may receive one array as ``dx`` and
        ``dy``); or none, if the output is a view of ``x`` in another shape.
    rectifies, takes_maximum : bool
        Whether the layer is ``max(x, 0)``; whether each of its outputs is the
        largest of some inputs. The two may be swapped.
    joins : str
        Sign in drawings for the way in which a composite layer joins its
        branches.
    trains : bool
        False for a composite layer that makes constants of all arrays of the
        layers inside it.
    """

    reads_x: ClassVar[bool] = False
    reads_y: ClassVar[bool] = False
    writes: ClassVar[Literal["new", "over_x", "view"]] = "new"
    rectifies: ClassVar[bool] = False
    takes_maximum: ClassVar[bool] = False
    joins: ClassVar[str] = "+"
    trains: ClassVar[bool] = True

    @property
    def inner(self) -> tuple[Branch, ...]:
        """The layers inside a composite layer, branch by branch; () for any other layer.

        Raises
        ------
        ValueError
            If the layer was given something else than layers.
        """
        return ()

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

    def join_shapes(self, input_shape: Shape, shapes: Sequence[Shape]) -> Shape:
        """Shape of a composite layer's output, given those of the outputs of its branches.

        Raises
        ------
        ValueError
            If they do not fit together.
        """
        raise NotImplementedError(f"{type(self).__name__} has no layers inside.")

    def param_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        """Name and shape of every trained array."""
        return {}

    def state_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        """Name and shape of every array that is learned without a gradient.

        They are running averages, stored with the parameters. `backward` writes
        their distance from the samples' values into `grads`: ``state - new``, times
        the weight of each sample and summed over the samples.
        """
        return {}

    def constant_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        """Name and shape of every array that training leaves as it is.

        They stand among the parameters, but not among the gradients.
        """
        return {}

    @property
    def state_rates(self) -> dict[str, float]:
        """Fraction of its distance by which a mini-batch moves each array of `state_shapes`.

        The first mini-batches move them further, the k-th by at least ``1 / k``, so
        that they are averages from the start.
        """
        return {}

    @property
    def samples_together(self) -> int:
        """Number of samples whose outputs in training depend on each other."""
        return 1

    def init(self, params: Params, rng: np.random.Generator) -> None:
        """Fill the arrays in place with their initial values."""

    @property
    def reads_rows(self) -> bool:
        """Whether initial values depend on the training rows, see `init_from_rows`."""
        return False

    def init_from_rows(self, params: Params, rows: "TrainingRows") -> None:
        """Set the arrays that depend on the training rows, once, before the first step.

        Called after `init` and only if `reads_rows`. Repeating a row must be
        the same as a weight, and the order of the rows must not matter.
        """

    def multiply_adds(self, input_shape: Shape) -> int:
        """Multiply-adds of the matrix products in the forward pass of one sample."""
        return 0

    def reach(self, input_shape: Shape) -> tuple[Windows | TransposedWindows, ...] | None:
        """Windows of pixels that an output depends on, for every axis but the channels.

        None if each output depends only on the pixel at the same position.
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
        sample_weight: np.ndarray,
        scratch: Any,
    ) -> Any:
        """Prepare the passes over these arrays, which get the return value as `scratch`.

        Called once, when the arrays of a batch size are laid out, so that the passes
        need not slice and reshape.

        Parameters
        ----------
        x, y, dx, dy : ndarray or None
            Arguments of the passes. `dx` is None if it is not needed, and so is
            `dy` if no backward pass follows.
        sample_weight : ndarray of shape (n,)
            Contains the weights of the samples at the start of each training pass.
        scratch : object
            The arrays requested by `scratch`, as attributes; for a composite
            layer, a list of the `Arrays` of its branches.
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

        `dy` may be overwritten. `dx` is None if it is not needed. `grads` has no
        arrays for constants, and keeps nothing of a layer inside `Frozen`: there,
        `grads` is empty, and gradients of parameters need not be computed.
        """


class NoGradients(Params):
    """In place of the gradients of parameters that are not trained: empty.

    A layer that writes them nevertheless gets an array to write into.

    Parameters
    ----------
    params : dict
        The parameters.
    """

    def __init__(self, params: Params) -> None:
        super().__init__()
        self.params = params

    def __missing__(self, name: str) -> np.ndarray:
        return np.empty_like(self.params[name])


def split_params(branches: Sequence[Branch], params: Params) -> list[list[Params]]:
    """Return the arrays of each layer of each branch, under the layer's own names."""
    if not branches:
        return []
    if isinstance(params, NoGradients):
        inside = split_params(branches, params.params)
        return [[NoGradients(own) for own in branch] for branch in inside]
    own: dict[str, Params] = {name: {} for branch in branches for name in branch.names}
    for full_name, array in params.items():
        end = full_name.index(".")
        while full_name[:end] not in own:
            end = full_name.index(".", end + 1)
        own[full_name[:end]][full_name[end + 1 :]] = array
    return [[own[name] for name in branch.names] for branch in branches]


def image_shape(layer: Layer, input_shape: Shape) -> Shape:
    """Return `input_shape` if it is an image's, or raise ``ValueError``."""
    if len(input_shape) != 3:
        raise ValueError(
            f"{type(layer).__name__} takes images (channels, height, width), "
            f"but its input has shape {input_shape}."
        )
    return input_shape

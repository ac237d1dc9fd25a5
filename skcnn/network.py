"""A network: layers bound to an input shape."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from skcnn._hyperparameters import check_int
from skcnn._migration import FORMAT, refuse_newer
from skcnn.layers import Layer
from skcnn.layers._layer import Params, Shape
from skcnn.layers.chain import LARGEST, Chain
from skcnn.layers.generators import LayerGenerator, sharing
from skcnn.layers.memory import Arrays, Plan
from skcnn.layers.training_rows import TrainingRows, init_from_rows
from skcnn.layers.workspace import Workspace
from skcnn.micro_batches import SampleCost, longest
from skcnn.parallel.contexts import in_own_context

__all__ = ["Network", "difference"]


class Network:
    """Layers bound to an input shape.

    All parameters lie in one flat vector, ``[decayed parameters | undecayed
    parameters | running statistics | constants]``, in the order of the layers within each
    part. Gradients are flat vectors without the constants.

    Parameters
    ----------
    layers : sequence of Layer
        The layers from input to output.
    input_shape : tuple of int
        Shape of one sample, ``(channels, height, width)`` or ``(features,)``.
    dtype : dtype, default=numpy.float32
        ``float32`` or ``float64``; all arrays have it.

    Attributes
    ----------
    shapes : tuple of tuple of int
        Shape of one sample before each layer, and after the last.
    output_shape : tuple of int
        Shape of one sample after the last layer.
    steps : tuple of Layer
        The layers in the order in which they run: a rectifier before a
        max-pooling runs after it, on fewer numbers. Outputs and gradients are
        the same.
    step_shapes : tuple of tuple of int
        Shape of one sample before each step, and after the last.
    n_parameters : int
        Number of trained parameters, the first two parts of the flat vector.
    n_decayed : int
        Number of those in the first part, which weight decay applies to.
    multiply_adds : int
        Multiply-adds of the matrix products in the forward pass of one sample.
    samples_together : int
        Micro-batches hold a multiple of this many samples.
    vector_size : int
        Length of the flat vector, including the running statistics and the constants.
    gradient_size : int
        Length of its first three parts, that of a gradient.
    state_rates : ndarray
        For each number of the running statistics, the fraction of its distance from
        the samples' value by which a mini-batch moves it.

    Raises
    ------
    ValueError
        If a hyperparameter of a layer is not allowed, or does not fit the
        output of the layer before it.

    Examples
    --------
    >>> import numpy as np
    >>> from skcnn.layers import Conv2d, Dense, Flatten, MaxPool2d, ReLU
    >>> network = Network(
    ...     [Conv2d(6, 5), ReLU(), MaxPool2d(2), Flatten(), Dense(10)], (1, 28, 28)
    ... )
    >>> vector = network.init(np.random.default_rng(0))
    >>> vector.shape, network.unpack(vector)[0]["weight"].shape
    ((8806,), (6, 1, 5, 5))
    >>> network.forward(np.zeros((3, 1, 28, 28)), vector).shape
    (3, 10)
    """

    def __init__(
        self, layers: Sequence[Layer], input_shape: Shape, dtype: Any = np.float32
    ) -> None:
        if not isinstance(layers, (list, tuple)):
            raise ValueError(
                f"Network: layers must be a list of instances from skcnn.layers, got {layers!r}."
            )
        self.input_shape = _checked_shape(input_shape)
        self.dtype = _checked_dtype(dtype)
        self.chain = Chain(layers, self.input_shape)
        self.layers, self.shapes = self.chain.layers, self.chain.shapes
        self.steps = tuple(step.layer for step in self.chain.steps)
        self.step_shapes = (self.input_shape, *(step.output_shape for step in self.chain.steps))
        self.output_shape = self.shapes[-1]
        self.multiply_adds = self.chain.multiply_adds
        self.samples_together = self.chain.samples_together
        self._slots = self._lay_out()
        self._plans: dict[tuple[bool, bool], Plan] = {}  # created on demand

    def __getstate__(self) -> dict[str, Any]:
        """Return the arguments of the constructor, which determine everything else."""
        return {
            "layers": self.layers,
            "input_shape": self.input_shape,
            "dtype": self.dtype,
            "_pickle_format": FORMAT,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Rebuild the network; states of earlier versions contain more, which is ignored."""
        refuse_newer(state.get("_pickle_format", FORMAT), "network")
        Network.__init__(self, state["layers"], state["input_shape"], state["dtype"])

    def __repr__(self) -> str:
        return f"Network({list(self.layers)!r}, {self.input_shape!r}, {self.dtype.name!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Network):
            return NotImplemented
        return (self.layers, self.input_shape, self.dtype) == (
            other.layers, other.input_shape, other.dtype
        )  # fmt: skip

    def __hash__(self) -> int:
        return hash((self.input_shape, self.dtype, len(self.layers)))

    def plan(self, backward: bool = True, input_gradient: bool = False) -> Plan:
        """Return the memory plan of its arrays; cached for small predictions."""
        key = (backward, input_gradient)
        if key not in self._plans:
            self._plans[key] = self.chain.plan(self.dtype, backward, input_gradient)
        return self._plans[key]

    @cached_property
    def cost(self) -> SampleCost:
        """Costs of one sample, which decide how mini-batches are split."""
        return SampleCost(
            nbytes=Workspace.nbytes_per_sample(self),
            multiply_adds=self.multiply_adds * self.dtype.itemsize / 4,
            together=self.samples_together,
        )

    def _lay_out(self) -> list[dict[str, tuple[slice, Shape]]]:
        """Assign a slice of the flat vector to each array."""
        slots: list[dict[str, tuple[slice, Shape]]] = [{} for _ in self.layers]
        decayed = [set(layer.decayed) for layer in self.layers]
        ends, end = [], 0
        for part in ("decayed", "undecayed", "state", "constants"):
            for i, bound in enumerate(self.chain.bound):
                trained = part in ("decayed", "undecayed")
                if trained:
                    arrays = bound.param_shapes
                else:
                    arrays = bound.state_shapes if part == "state" else bound.constant_shapes
                for name, size in arrays.items():
                    if prod(size) > LARGEST:
                        raise ValueError(
                            f"{bound.layer!r}: NumPy has no arrays as large as its {name}, {size}."
                        )
                    if not trained or (name in decayed[i]) == (part == "decayed"):
                        slots[i][name] = (slice(end, end + prod(size)), size)
                        end += prod(size)
            ends.append(end)
        self.n_decayed, self.n_parameters, self.gradient_size, self.vector_size = ends
        rates = [
            np.full(prod(size), rates_of_layer[name])
            for bound in self.chain.bound
            if (rates_of_layer := bound.layer.state_rates)
            for name, size in bound.state_shapes.items()
        ]
        self.state_rates = np.concatenate([np.empty(0), *rates]).astype(self.dtype)
        return slots

    @property
    def head(self) -> int:
        """Number of the output layer, the head; the layers before it are the front."""
        return len(self.layers) - 1

    @in_own_context
    def init(self, rng: np.random.Generator) -> np.ndarray:
        """Return a new flat vector with the layers' initial parameters.

        Parameters
        ----------
        rng : numpy.random.Generator
            Source of the random numbers.

        Returns
        -------
        ndarray of shape (vector_size,)
        """
        vector = np.zeros(self.vector_size, self.dtype)
        for layer, params in zip(self.layers, self.unpack(vector), strict=True):
            layer.init(params, rng)
        return vector

    @property
    def reads_rows(self) -> bool:
        """Whether initial parameters depend on the training rows."""
        return any(layer.reads_rows for layer in self.layers)

    @in_own_context
    def init_from_rows(self, vector: np.ndarray, rows: TrainingRows) -> None:
        """Set, in place, the parameters that depend on the training rows.

        Parameters
        ----------
        vector : ndarray of shape (vector_size,)
            As `init` returns it.
        rows : TrainingRows
            The rows that the network will be trained on.
        """
        init_from_rows(self.layers, self.unpack(vector), rows)

    def unpack(self, vector: np.ndarray) -> list[Params]:
        """Return the layers' arrays as views of the flat vector.

        Parameters
        ----------
        vector : ndarray of shape (vector_size,) or (gradient_size,)

        Returns
        -------
        list of dict
            One per layer, from names ("weight", "bias") to arrays; those of a
            gradient have no constants.
        """
        sizes = (self.vector_size,), (self.gradient_size,)
        if np.shape(vector) not in sizes or not isinstance(vector, np.ndarray):
            raise self._wrong_size(vector)
        return [
            {
                name: vector[part].reshape(shape)
                for name, (part, shape) in slot.items()
                if part.stop <= len(vector)
            }
            for slot in self._slots
        ]

    @in_own_context
    def forward(
        self,
        X: np.ndarray,
        vector: np.ndarray,
        training: bool = False,
        rng: np.random.Generator | None = None,
        weights: np.ndarray | None = None,
    ) -> np.ndarray:
        """Compute the output of the network.

        Parameters
        ----------
        X : ndarray of shape ``(n, *input_shape)``
        vector : ndarray of shape (vector_size,)
        training : bool, default=False
            Whether layers draw random numbers, and BatchNorm uses the moments
            of the batch.
        rng : numpy.random.Generator or None, default=None
            Needed in training by layers that draw.
        weights : ndarray of shape (n,) or None, default=None
            Weights of the samples in BatchNorm's moments; None is 1 for each.

        Returns
        -------
        Y : ndarray of shape ``(n, *output_shape)``
        """
        X = self._checked("X", X, self.input_shape)
        generator = self._checked_rng(training, rng)
        weights = self._checked_weights(weights, len(X))
        params = self.unpack(self._checked_vector(vector))
        Y = np.empty((len(X), *self.output_shape), self.dtype)
        for part, arrays in self._micro_batches(X, weights, backward=False):
            arrays.forward(params, training, generator())
            Y[part] = np.moveaxis(arrays.x[-1], -1, 0)
        return Y

    @in_own_context
    def vjp(
        self,
        X: np.ndarray,
        vector: np.ndarray,
        dY: np.ndarray,
        training: bool = True,
        rng: np.random.Generator | None = None,
        weights: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Compute the output, and the gradients of ``sum(Y * dY)`` (vector-Jacobian product).

        Parameters
        ----------
        X : ndarray of shape ``(n, *input_shape)``
        vector : ndarray of shape (vector_size,)
        dY : ndarray of shape ``(n, *output_shape)``
            Gradient of a loss with respect to the output.
        training : bool, default=True
            Whether layers draw random numbers, and BatchNorm uses the moments
            of the batch.
        rng : numpy.random.Generator or None, default=None
            Needed in training by layers that draw.
        weights : ndarray of shape (n,) or None, default=None
            Weights of the samples in BatchNorm's moments (`dY` is not
            weighted); None is 1 for each.

        Returns
        -------
        Y : ndarray of shape ``(n, *output_shape)``
            Output of the network.
        dX : ndarray of shape ``(n, *input_shape)``
            Gradient with respect to the input.
        gradient : ndarray of shape (gradient_size,)
            Gradient with respect to the parameters, summed over the samples; in
            the third part, the distance of the running statistics from each sample's
            value.
        """
        X = self._checked("X", X, self.input_shape)
        dY = self._checked("dY", dY, self.output_shape)
        if len(X) != len(dY):
            raise ValueError(f"X holds {len(X)} samples, but dY holds {len(dY)}.")
        generator = self._checked_rng(training, rng)
        weights = self._checked_weights(weights, len(X))
        params = self.unpack(self._checked_vector(vector))
        Y, dX = np.empty_like(dY), np.empty_like(X)
        gradient, part_gradient = (np.zeros(self.gradient_size, self.dtype) for _ in range(2))
        grads = self.unpack(part_gradient)
        for part, arrays in self._micro_batches(X, weights, backward=True):
            arrays.forward(params, training, generator())
            Y[part] = np.moveaxis(arrays.x[-1], -1, 0)
            np.copyto(arrays.dx[-1], np.moveaxis(dY[part], 0, -1))
            arrays.backward(params, grads)
            dX[part] = np.moveaxis(arrays.dx[0], -1, 0)
            gradient += part_gradient
        return Y, dX, gradient

    def _micro_batches(
        self, X: np.ndarray, weights: np.ndarray, backward: bool
    ) -> Iterator[tuple[slice, Arrays]]:
        """Yield the rows of each micro-batch, and arrays that contain them."""
        parts = self.cost.split(len(X), self.cost.micro_batch_size(len(X)))
        workspace = Workspace(self, longest(parts), backward, input_gradient=backward)
        for part in parts:
            arrays = workspace.arrays(part.stop - part.start)
            np.copyto(arrays.x[0], np.moveaxis(X[part], 0, -1))
            arrays.sample_weight[...] = weights[part]
            yield part, arrays

    def _checked(self, name: str, array: Any, shape: Shape) -> np.ndarray:
        found = _numbers(name, array, self.dtype)
        if found.shape[1:] != shape or found.ndim != len(shape) + 1:
            expected = ", ".join(map(str, ("n", *shape)))
            raise ValueError(f"{name} must have shape ({expected}), got {found.shape}.")
        return found

    def _checked_vector(self, vector: Any) -> np.ndarray:
        found = _numbers("vector", vector, self.dtype)
        if found.shape != (self.vector_size,):
            raise self._wrong_size(found)
        return found

    def _wrong_size(self, vector: Any) -> ValueError:
        return ValueError(
            f"Network: vector must be a flat array, which in this network has {self.vector_size} "
            f"numbers, got {type(vector).__name__} of shape {np.shape(vector)}."
        )

    def _checked_weights(self, weights: Any, n_samples: int) -> np.ndarray:
        if weights is None:
            return np.ones(n_samples)
        found = _numbers("weights", weights, self.dtype)
        if found.shape != (n_samples,):
            raise ValueError(f"weights must have shape ({n_samples},), got {found.shape}.")
        return found

    def _checked_rng(self, training: bool, rng: Any) -> Callable[[], LayerGenerator | None]:
        """Return what makes the generator of each micro-batch."""
        if rng is not None and not isinstance(rng, np.random.Generator):
            raise ValueError(f"rng must be None or a numpy.random.Generator, got {rng!r}.")
        if training and rng is None and self.chain.draws:
            raise ValueError("This network draws random numbers in training: pass rng.")
        return (lambda: None) if rng is None else sharing(rng)


def _numbers(name: str, value: Any, dtype: np.dtype) -> np.ndarray:
    """Return an array of real numbers of this dtype, without a copy if possible."""
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError):  # uneven rows, tensors
        array = None
    if array is None or array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must be an array of real numbers, got {type(value).__name__}.")
    return array.astype(dtype, copy=False)


def _checked_shape(input_shape: Any) -> Shape:
    if not isinstance(input_shape, (list, tuple)) or len(input_shape) not in (1, 3):
        raise ValueError(
            "Network: input_shape must be a tuple (channels, height, width) or (features,), got "
            f"{input_shape!r}."
        )
    return tuple(
        check_int("Network", f"input_shape[{i}]", size, 1) for i, size in enumerate(input_shape)
    )


def _checked_dtype(dtype: Any) -> np.dtype:
    found = None
    if isinstance(dtype, (str, type, np.dtype)):  # NumPy reads `dtype` of anything else
        with suppress(SyntaxError, TypeError, ValueError):
            found = np.dtype(dtype)
    if found not in (np.float32, np.float64):
        raise ValueError(f"Network: dtype must be float32 or float64, got {dtype!r}.")
    return found


def difference(before: Network, now: Network) -> str:
    """Describe the first difference between two networks that are not equal."""
    if before.input_shape != now.input_shape:
        return (
            f"images of shape {before.input_shape} (channels, height, width) have become "
            f"{now.input_shape}"
        )
    if before.dtype != now.dtype:
        return f"dtype {before.dtype} has become {now.dtype}"
    for i, (was, is_now) in enumerate(zip(before.layers, now.layers, strict=False)):
        if was != is_now:
            return f"layers_[{i}] was {was!r} and has become {is_now!r}"
    return f"{len(before.layers)} layers have become {len(now.layers)}"

"""A network: layers bound to an input shape."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from math import ceil, prod
from typing import Any

import numpy as np

from skcnn._hyperparameters import check_int
from skcnn._migration import FORMAT, refuse_newer
from skcnn.layers import Layer
from skcnn.layers._layer import Params, Shape
from skcnn.layers.chain import LARGEST, Chain
from skcnn.layers.generators import LayerGenerator, sharing
from skcnn.layers.memory import Plan
from skcnn.parallel.contexts import in_own_context
from skcnn.workspace import Workspace

__all__ = ["Network", "difference", "even_parts", "longest", "micro_batches"]

CACHE_BYTES = 32 * 2**20
"""Bytes that the arrays of one micro-batch may take, roughly a last-level cache."""

SMALL_BYTES = 4 * 2**20
"""Bytes up to which a network is so small that calls take longer than the arithmetic."""

WORTH_A_THREAD = 12 * 10**6
"""Multiply-adds in float32, or half as many in float64: about a millisecond forward and back."""

WORTH_SHARING = 3 * 10**9
"""Multiply-adds in float32, forward: training on them takes about half a second."""

SHARED_BY = {32: 2, 64: 4, 256: 8}
"""Into how many micro-batches mini-batches from a size on are cut where processes may help."""


class Network:
    """Layers bound to an input shape.

    All parameters lie in one flat vector, ``[decayed parameters | undecayed
    parameters | untrained state]``, in the order of the layers within each part.

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
        Length of the flat vector, including the untrained state.
    state_rates : ndarray
        For each number of the untrained state, the part of its distance from
        what the samples say by which a mini-batch moves it.

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
        self.steps, self.step_shapes = self.chain.steps, self.chain.step_shapes
        self.output_shape = self.shapes[-1]
        self.multiply_adds = self.chain.multiply_adds
        self.samples_together = self.chain.samples_together
        self._slots = self._lay_out()
        self._plans: dict[tuple[bool, bool], Plan] = {}  # made on demand
        # what small predictions leave for the next one: workspaces; a vector, and the layers'
        # arrays in it
        self.spare_workspaces: list[Workspace] = []
        self.spare_params: tuple[np.ndarray, list[Params]] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Return the arguments of the constructor, from which all the rest follows."""
        return {
            "layers": self.layers,
            "input_shape": self.input_shape,
            "dtype": self.dtype,
            "_pickle_format": FORMAT,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Build the network anew, also from what earlier versions have stored besides."""
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
        """Memory plan of its arrays; cached, so that small predictions need not plan."""
        key = (backward, input_gradient)
        if key not in self._plans:
            self._plans[key] = self.chain.plan(self.dtype, backward, input_gradient)
        return self._plans[key]

    def _lay_out(self) -> list[dict[str, tuple[slice, Shape]]]:
        """Assign a slice of the flat vector to each array."""
        slots: list[dict[str, tuple[slice, Shape]]] = [{} for _ in self.layers]
        decayed = [set(layer.decayed) for layer in self.layers]
        ends, end = [], 0
        for part in ("decayed", "undecayed", "state"):
            for i, (layer, shape) in enumerate(zip(self.layers, self.shapes, strict=False)):
                arrays = (layer.state_shapes if part == "state" else layer.param_shapes)(shape)
                for name, size in arrays.items():
                    if prod(size) > LARGEST:
                        raise ValueError(
                            f"{layer!r}: NumPy has no arrays as large as its {name}, {size}."
                        )
                    if part == "state" or (name in decayed[i]) == (part == "decayed"):
                        slots[i][name] = (slice(end, end + prod(size)), size)
                        end += prod(size)
            ends.append(end)
        self.n_decayed, self.n_parameters, self.vector_size = ends
        rates = [
            np.full(prod(size), layer.state_rates[name])
            for layer, shape in zip(self.layers, self.shapes, strict=False)
            for name, size in layer.state_shapes(shape).items()
        ]
        self.state_rates = np.concatenate([np.empty(0), *rates]).astype(self.dtype)
        return slots

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

    def unpack(self, vector: np.ndarray) -> list[Params]:
        """Return the layers' arrays as views of the flat vector.

        Parameters
        ----------
        vector : ndarray of shape (vector_size,)

        Returns
        -------
        list of dict
            One per layer, from names ("weight", "bias") to arrays.
        """
        if np.shape(vector) != (self.vector_size,) or not isinstance(vector, np.ndarray):
            raise ValueError(
                f"Network: vector must be a flat array, which in this network has "
                f"{self.vector_size} numbers, got {type(vector).__name__} of shape "
                f"{np.shape(vector)}."
            )
        return [
            {name: vector[part].reshape(shape) for name, (part, shape) in slot.items()}
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
        """Output of the network.

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
        vector = self._checked_vector(vector)
        Y = np.empty((len(X), *self.output_shape), self.dtype)
        params = self.unpack(vector)
        parts = self.micro_batches(len(X), self.micro_batch_size(len(X)))
        workspace = Workspace(self, longest(parts), backward=False)
        for part in parts:
            arrays = workspace.arrays(len(X[part]))
            np.copyto(arrays.x[0], np.moveaxis(X[part], 0, -1))
            arrays.weights[...] = weights[part]
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
        """Output, and the gradients of ``sum(Y * dY)`` (vector-Jacobian product).

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
        gradient : ndarray of shape (vector_size,)
            Gradient with respect to the parameters, summed over the samples; in
            the third part, the distance of the untrained state from what each
            sample says.
        """
        X = self._checked("X", X, self.input_shape)
        dY = self._checked("dY", dY, self.output_shape)
        if len(X) != len(dY):
            raise ValueError(f"X holds {len(X)} samples, but dY holds {len(dY)}.")
        generator = self._checked_rng(training, rng)
        weights = self._checked_weights(weights, len(X))
        vector = self._checked_vector(vector)
        Y, dX = np.empty_like(dY), np.empty_like(X)
        gradient, part_gradient = np.zeros_like(vector), np.zeros_like(vector)
        params, grads = self.unpack(vector), self.unpack(part_gradient)
        parts = self.micro_batches(len(X), self.micro_batch_size(len(X)))
        workspace = Workspace(self, longest(parts), input_gradient=True)
        for part in parts:
            arrays = workspace.arrays(len(X[part]))
            np.copyto(arrays.x[0], np.moveaxis(X[part], 0, -1))
            arrays.weights[...] = weights[part]
            arrays.forward(params, training, generator())
            Y[part] = np.moveaxis(arrays.x[-1], -1, 0)
            np.copyto(arrays.dx[-1], np.moveaxis(dY[part], 0, -1))
            arrays.backward(params, grads)
            dX[part] = np.moveaxis(arrays.dx[0], -1, 0)
            gradient += part_gradient
        return Y, dX, gradient

    def _checked(self, name: str, array: Any, shape: Shape) -> np.ndarray:
        found = _numbers(name, array, self.dtype)
        if found.shape[1:] != shape or found.ndim != len(shape) + 1:
            expected = ", ".join(map(str, ("n", *shape)))
            raise ValueError(f"{name} must have shape ({expected}), got {found.shape}.")
        return found

    def _checked_vector(self, vector: Any) -> np.ndarray:
        return _numbers("vector", vector, self.dtype)  # its shape is checked by `unpack`

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

    def micro_batch_size(self, n_samples: int | None = None, max_bytes: float = np.inf) -> int:
        """Number of samples that go through the layers together.

        A power of two, 64 by default: more if that is little work per call, and
        fewer if the arrays would not fit into the cache; but a multiple of the
        number of samples that are normalised together. If the number of samples
        is known, they are divided as evenly as whole samples, or whole ghost
        batches, allow, and preferably into an even number of micro-batches if
        these are worth a thread of their own. The size depends only on the
        network, its dtype and the number of samples, so that results do too;
        only `max_bytes` can lower it.

        Parameters
        ----------
        n_samples : int or None, default=None
            Number of samples, if known.
        max_bytes : float, default=inf
            Bytes that a workspace may take.

        Returns
        -------
        int
            At least 1.
        """
        one = Workspace.nbytes_per_sample(self)
        size = 128 if 128 * one <= SMALL_BYTES else 64
        while size > 1 and size * one > CACHE_BYTES:
            size //= 2
        size = max(1, int(min(size, max_bytes / one)))
        size = max(size // self.samples_together, 1) * self.samples_together
        if n_samples is None:
            return size
        n, together = max(1, n_samples), self.samples_together
        parts = ceil(n / size)
        if parts % 2 and self.worth_a_thread(n / (parts + 1)):
            parts += 1
        return min(ceil(n / parts / together) * together, n)

    def worth_a_thread(self, n_samples: float) -> bool:
        """Whether so many samples are enough for a thread of their own."""
        return self.multiply_adds * self.dtype.itemsize / 4 * n_samples >= WORTH_A_THREAD

    def worth_sharing(self, n_samples: int) -> bool:
        """Whether an epoch over so many samples takes about half a second, on one core.

        Mini-batches are cut more finely then, which takes a single thread up to
        a tenth longer, so that several processes have work. Like the size of
        micro-batches, it depends on the network, its dtype and the samples' number alone.
        """
        return self.multiply_adds * self.dtype.itemsize / 4 * n_samples >= WORTH_SHARING

    def finer(self, n_samples: int, size: int) -> int:
        """Cut a mini-batch into 2, 4 or 8 micro-batches, or a multiple of that.

        Two from 32 samples on, four from 64 and eight from 256; and whole ghost
        batches where samples are normalised together.

        Parameters
        ----------
        n_samples : int
            In the mini-batch.
        size : int
            What is enough for one process.

        Returns
        -------
        int
            Samples in a micro-batch, at most `size`.
        """
        share = max((parts for least, parts in SHARED_BY.items() if n_samples >= least), default=1)
        parts, together = ceil(ceil(n_samples / size) / share) * share, self.samples_together
        return min(ceil(n_samples / parts / together) * together, size)

    def micro_batches(self, n_samples: int, size: int) -> list[slice]:
        """Cut ``range(n_samples)`` into micro-batches of `size`, the last one smaller.

        If samples are normalised together, a last one of a single sample is
        merged into the one before.
        """
        parts = micro_batches(n_samples, size)
        if self.samples_together > 1 and len(parts) > 1 and n_samples % size == 1:
            parts[-2:] = [slice(parts[-2].start, n_samples)]
        return parts


def _numbers(name: str, value: Any, dtype: np.dtype) -> np.ndarray:
    """An array of real numbers of this dtype, not copied if it is one."""
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError):  # of rows of several lengths, of tensors
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
    if isinstance(dtype, (str, type, np.dtype)):  # NumPy asks anything else for its `dtype`
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


def micro_batches(n_samples: int, size: int) -> list[slice]:
    """Cut ``range(n_samples)`` into slices of at most `size`."""
    return [slice(i, min(i + size, n_samples)) for i in range(0, n_samples, size)]


def even_parts(n_samples: int, size: int, multiple: int) -> tuple[list[slice], int]:
    """Micro-batches of about the same size, and how many samples each has room for."""
    capacity = -(-n_samples // -(-n_samples // size))
    capacity = -(-capacity // multiple) * multiple
    return micro_batches(n_samples, capacity), capacity


def longest(parts: list[slice]) -> int:
    """Number of samples in the largest of some micro-batches."""
    return max((part.stop - part.start for part in parts), default=1)

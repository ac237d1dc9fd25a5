"""A network: layers bound to an input shape, and the arrays they work in."""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from skcnn.layers import Layer, Scratch
from skcnn.layers._layer import Params, Shape

__all__ = ["Network", "Workspace"]

CACHE_BYTES = 8 * 2**20
"""What the arrays of one micro-batch should fit into, roughly a core's share of cache."""


class Network:
    """Layers bound to an input shape.

    All parameters lie in one flat vector, ``[decayed parameters | undecayed
    parameters]``, in the order of the layers within each part.

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
    n_parameters : int
        Length of the flat vector.
    n_decayed : int
        Number of its leading elements that weight decay applies to.

    Raises
    ------
    ValueError
        Where a layer has a hyperparameter that is not allowed or does not fit
        what the layer before it gives.

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
        self.layers = tuple(layers)
        self.input_shape = tuple(int(size) for size in input_shape)
        self.dtype = np.dtype(dtype)
        if self.dtype not in (np.float32, np.float64):
            raise ValueError(f"Network: dtype must be float32 or float64, got {dtype!r}.")
        shapes = [self.input_shape]
        for i, layer in enumerate(self.layers):
            if not isinstance(layer, Layer):
                raise ValueError(
                    f"layers[{i}] must be an instance from skcnn.layers, got {layer!r}."
                )
            try:
                shapes.append(layer.output_shape(shapes[i]))
            except ValueError as error:
                raise ValueError(f"layers[{i}] = {layer!r}: {error}") from None
        self.shapes = tuple(shapes)
        self.output_shape = shapes[-1]
        self._slots = self._lay_out()

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

    def _lay_out(self) -> list[dict[str, tuple[slice, Shape]]]:
        """Where each parameter lies in the flat vector."""
        slots: list[dict[str, tuple[slice, Shape]]] = [{} for _ in self.layers]
        end = 0
        for decayed in (True, False):
            for layer, shape, slot in zip(self.layers, self.shapes, slots, strict=False):
                for name, size in layer.param_shapes(shape).items():
                    if (name in layer.decayed) == decayed:
                        slot[name] = (slice(end, end + prod(size)), size)
                        end += prod(size)
            if decayed:
                self.n_decayed = end
        self.n_parameters = end
        return slots

    def init(self, rng: np.random.Generator) -> np.ndarray:
        """Return a new flat vector with the layers' initial parameters.

        Parameters
        ----------
        rng : numpy.random.Generator
            Where the random numbers come from.

        Returns
        -------
        ndarray of shape (n_parameters,)
        """
        vector = np.zeros(self.n_parameters, self.dtype)
        for layer, params in zip(self.layers, self.unpack(vector), strict=True):
            layer.init(params, rng)
        return vector

    def unpack(self, vector: np.ndarray) -> list[Params]:
        """Return the layers' arrays as views of the flat vector.

        Parameters
        ----------
        vector : ndarray of shape (n_parameters,)

        Returns
        -------
        list of dict
            One a layer, from names ("weight", "bias") to arrays.
        """
        if vector.shape != (self.n_parameters,):
            raise ValueError(
                f"The network has {self.n_parameters} parameters in a flat vector, "
                f"got an array of shape {vector.shape}."
            )
        return [
            {name: vector[part].reshape(shape) for name, (part, shape) in slot.items()}
            for slot in self._slots
        ]

    def forward(
        self,
        X: np.ndarray,
        vector: np.ndarray,
        training: bool = False,
        rng: np.random.Generator | None = None,
    ) -> np.ndarray:
        """Output of the network.

        Parameters
        ----------
        X : ndarray of shape (n, *input_shape)
        vector : ndarray of shape (n_parameters,)
        training : bool, default=False
            Whether dropout drops.
        rng : numpy.random.Generator or None, default=None
            Needed in training by layers that draw.

        Returns
        -------
        Y : ndarray of shape (n, *output_shape)
        """
        X = self._checked("X", X, self.input_shape)
        rng = self._checked_rng(training, rng)
        Y = np.empty((len(X), *self.output_shape), self.dtype)
        params = self.unpack(vector)
        workspace = Workspace(self, self.micro_batch_size(len(X)), backward=False)
        for part in micro_batches(len(X), workspace.capacity):
            arrays = workspace.arrays(len(X[part]))
            np.copyto(arrays.x[0], np.moveaxis(X[part], 0, -1))
            self.run_forward(arrays, params, training, rng)
            Y[part] = np.moveaxis(arrays.x[-1], -1, 0)
        return Y

    def vjp(
        self,
        X: np.ndarray,
        vector: np.ndarray,
        dY: np.ndarray,
        training: bool = True,
        rng: np.random.Generator | None = None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Output, and the gradients of ``sum(Y * dY)`` (vector-Jacobian product).

        Parameters
        ----------
        X : ndarray of shape (n, *input_shape)
        vector : ndarray of shape (n_parameters,)
        dY : ndarray of shape (n, *output_shape)
            Gradient of a loss by the output.
        training : bool, default=True
            Whether dropout drops.
        rng : numpy.random.Generator or None, default=None
            Needed in training by layers that draw.

        Returns
        -------
        Y : ndarray of shape (n, *output_shape)
            Output of the network.
        dX : ndarray of shape (n, *input_shape)
            Gradient by the input.
        gradient : ndarray of shape (n_parameters,)
            Gradient by the parameters, summed over the samples.
        """
        X = self._checked("X", X, self.input_shape)
        dY = self._checked("dY", dY, self.output_shape)
        if len(X) != len(dY):
            raise ValueError(f"X holds {len(X)} samples, but dY {len(dY)}.")
        rng = self._checked_rng(training, rng)
        Y, dX = np.empty_like(dY), np.empty_like(X)
        gradient, part_gradient = np.zeros_like(vector), np.zeros_like(vector)
        params, grads = self.unpack(vector), self.unpack(part_gradient)
        workspace = Workspace(self, self.micro_batch_size(len(X)), input_gradient=True)
        for part in micro_batches(len(X), workspace.capacity):
            arrays = workspace.arrays(len(X[part]))
            np.copyto(arrays.x[0], np.moveaxis(X[part], 0, -1))
            self.run_forward(arrays, params, training, rng)
            Y[part] = np.moveaxis(arrays.x[-1], -1, 0)
            np.copyto(arrays.dx[-1], np.moveaxis(dY[part], 0, -1))
            self.run_backward(arrays, params, grads)
            dX[part] = np.moveaxis(arrays.dx[0], -1, 0)
            gradient += part_gradient
        return Y, dX, gradient

    def _checked(self, name: str, array: np.ndarray, shape: Shape) -> np.ndarray:
        array = np.asarray(array, dtype=self.dtype)
        if array.shape[1:] != shape or array.ndim != len(shape) + 1:
            expected = ", ".join(map(str, ("n", *shape)))
            raise ValueError(f"{name} must have shape ({expected}), got {array.shape}.")
        return array

    def _checked_rng(
        self, training: bool, rng: np.random.Generator | None
    ) -> np.random.Generator | None:
        if training and rng is None and any(layer.draws for layer in self.layers):
            raise ValueError("In training this network draws random numbers: pass rng.")
        return rng

    def run_forward(self, arrays: "Arrays", params: list[Params], training: bool, rng: Any) -> None:
        """Fill ``arrays.x[1:]`` from ``arrays.x[0]``, batch last."""
        for i, layer in enumerate(self.layers):
            layer.forward(arrays.x[i], arrays.x[i + 1], params[i], arrays.scratch[i], training, rng)

    def run_backward(self, arrays: "Arrays", params: list[Params], grads: list[Params]) -> None:
        """Fill `grads` and the ``arrays.dx`` that exist from ``arrays.dx[-1]``."""
        for i in range(len(self.layers) - 1, arrays.first_backward - 1, -1):
            self.layers[i].backward(
                arrays.dx[i], arrays.dx[i + 1], arrays.x[i], arrays.x[i + 1],
                params[i], grads[i], arrays.scratch[i],
            )  # fmt: skip

    def micro_batch_size(self, n_samples: int | None = None, max_bytes: float = np.inf) -> int:
        """How many samples go through the layers together.

        A power of two whose arrays stay in cache, so that it depends on the
        network and its dtype alone; only the memory that is allowed, or a
        smaller number of samples, can lower it.

        Parameters
        ----------
        n_samples : int or None, default=None
            Number of samples there are.
        max_bytes : float, default=inf
            Memory that a workspace may take.

        Returns
        -------
        int
            At least 1.
        """
        one = Workspace.nbytes_per_sample(self)
        size = int(2 ** np.clip(np.floor(np.log2(CACHE_BYTES / one)), 0, 6))
        size = max(1, int(min(size, max_bytes / one)))
        return size if n_samples is None else max(1, min(size, n_samples))


def micro_batches(n_samples: int, size: int) -> list[slice]:
    """Cut ``range(n_samples)`` into slices of at most `size`."""
    return [slice(i, min(i + size, n_samples)) for i in range(0, n_samples, size)]


class Arrays:
    """The arrays of one micro-batch, batch last.

    Attributes
    ----------
    x : list of ndarray
        Input of every layer, and at the end the output.
    dx : list of ndarray or None
        Gradient by each of `x`; None where nobody asks.
    scratch : list of dict
        Scratch arrays and views of every layer.
    first_backward : int
        The first layer that the backward pass reaches.
    """

    def __init__(
        self, x: list[np.ndarray], dx: list[Any], scratch: list[dict], first_backward: int
    ) -> None:
        self.x, self.dx, self.scratch, self.first_backward = x, dx, scratch, first_backward


class Workspace:
    """The memory of one micro-batch, laid out once and carved per batch size.

    What a backward pass will read has a place of its own. Everything else is
    short-lived: activations that nobody reads again and the gradients
    alternate between two places, and scratch arrays that live during one call
    share a third.

    Parameters
    ----------
    network : Network
    capacity : int
        The largest number of samples.
    backward : bool, default=True
        Whether a backward pass follows.
    input_gradient : bool, default=False
        Whether the gradient by the input is asked for.
    """

    def __init__(
        self,
        network: Network,
        capacity: int,
        backward: bool = True,
        input_gradient: bool = False,
    ) -> None:
        self.network, self.capacity = network, capacity
        self._plan = _Plan(network, backward, input_gradient)
        self._offsets, total = [], 0
        for size in self._plan.sizes:
            self._offsets.append(total)
            total += -(-size * capacity // ALIGNMENT) * ALIGNMENT
        memory = np.empty(total + ALIGNMENT, np.uint8)
        start = -memory.ctypes.data % ALIGNMENT
        self.memory = memory[start : start + total]
        self._carved: dict[int, Arrays] = {}

    @staticmethod
    def nbytes_per_sample(network: Network, backward: bool = True) -> int:
        """Bytes that one sample takes."""
        return sum(_Plan(network, backward).sizes)

    def arrays(self, n_samples: int) -> Arrays:
        """The arrays for a micro-batch of `n_samples`, at most `capacity`."""
        if n_samples not in self._carved:
            self._carved[n_samples] = self._carve(n_samples)
        return self._carved[n_samples]

    def _carve(self, n: int) -> Arrays:
        plan, network = self._plan, self.network

        def array(place: int, shape: Shape, dtype: Any = None, skip: int = 0) -> np.ndarray:
            dtype = np.dtype(dtype or network.dtype)
            start = self._offsets[place] + skip * n
            memory = self.memory[start : start + prod(shape) * n * dtype.itemsize]
            return memory.view(dtype).reshape((*shape, n))

        x = [array(place, shape) for place, shape in zip(plan.x, network.shapes, strict=True)]
        dx = [
            None if place is None else array(place, shape)
            for place, shape in zip(plan.dx, network.shapes, strict=True)
        ]
        scratch: list[dict] = []
        for i, layer in enumerate(network.layers):
            own: dict = {}
            for name, (spec, place, skip) in plan.scratch[i].items():
                own[name] = array(place, spec.shape, spec.dtype, skip)
            own.update(layer.views(x[i], x[i + 1], dx[i], dx[i + 1], own))
            scratch.append(own)
        return Arrays(x, dx, scratch, plan.first_backward)


ALIGNMENT = 64
"""Bytes of a cache line, and of the widest vector register."""


class _Plan:
    """Which arrays of a workspace share a place, and how large each place is.

    Places are numbered; `sizes` holds their bytes for one sample. The first
    three are the two that short-lived activations and gradients alternate
    between, and the one that calls share for their scratch arrays.
    """

    TURNS = (0, 1)
    CALLS = 2

    def __init__(
        self, network: Network, backward: bool = True, input_gradient: bool = False
    ) -> None:
        self.network = network
        self.sizes = [0, 0, 0]
        layers = network.layers
        with_params = [i for i, layer in enumerate(layers) if layer.param_shapes(network.shapes[i])]
        if input_gradient:
            self.first_backward = 0
        else:
            self.first_backward = with_params[0] if with_params else len(layers)
        self.x = self._place_activations(backward)
        self.dx = self._place_gradients(backward, input_gradient)
        self.scratch = [self._place_scratch(i, backward) for i in range(len(layers))]

    def _nbytes(self, shape: Shape, dtype: Any = None) -> int:
        return prod(shape) * np.dtype(dtype or self.network.dtype).itemsize

    def _own(self, nbytes: int) -> int:
        self.sizes.append(nbytes)
        return len(self.sizes) - 1

    def _turn(self, other_than: int | None, nbytes: int) -> int:
        place = self.TURNS[1] if other_than == self.TURNS[0] else self.TURNS[0]
        self.sizes[place] = max(self.sizes[place], nbytes)
        return place

    def _groups(self) -> list[int]:
        """Number activations, with one number for those that share memory.

        A view shares its input's. So does a layer that may write over its
        input, unless the layer that made the input, or itself, reads it again.
        """
        groups, read_again = [0], False
        for layer in self.network.layers:
            over = layer.writes == "over_x" and not layer.reads_x and not read_again
            if over or layer.writes == "view":
                groups.append(groups[-1])
                read_again = read_again or layer.reads_y
            else:
                groups.append(groups[-1] + 1)
                read_again = layer.reads_y
        return groups

    def _place_activations(self, backward: bool) -> list[int]:
        network, groups = self.network, self._groups()
        kept = set()
        for i, layer in enumerate(network.layers):
            if backward and layer.reads_x:
                kept.add(groups[i])
            if backward and layer.reads_y:
                kept.add(groups[i + 1])
        places: list[int] = []
        for i, shape in enumerate(network.shapes):
            nbytes = self._nbytes(shape)
            if i and groups[i] == groups[i - 1]:
                places.append(places[-1])
            elif groups[i] in kept:
                places.append(self._own(nbytes))
            else:
                places.append(self._turn(places[-1] if places else None, nbytes))
        return places

    def _place_gradients(self, backward: bool, input_gradient: bool) -> list[int | None]:
        network = self.network
        places: list[int | None] = [None] * len(network.shapes)
        if not backward:
            return places
        lowest = self.first_backward + (not input_gradient)
        place = self.x[-1]  # the gradient by the output must not lie over it
        for i in range(len(network.layers), lowest - 1, -1):
            new = i == len(network.layers) or network.layers[i].writes == "new"
            if new:
                place = self._turn(place, self._nbytes(network.shapes[i]))
            places[i] = place
        return places

    def _place_scratch(self, i: int, backward: bool) -> dict[str, tuple[Scratch, int, int]]:
        """(What, place, bytes per sample before it in that place) by name."""
        places, skip = {}, 0
        for name, spec in self.network.layers[i].scratch(self.network.shapes[i]).items():
            nbytes = self._nbytes(spec.shape, spec.dtype)
            if spec.optional and not backward:
                continue
            if spec.kept and backward:
                places[name] = (spec, self._own(nbytes), 0)
            else:
                places[name] = (spec, self.CALLS, skip)
                skip += -(-nbytes // ALIGNMENT) * ALIGNMENT
        self.sizes[self.CALLS] = max(self.sizes[self.CALLS], skip)
        return places

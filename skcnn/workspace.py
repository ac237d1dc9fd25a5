"""The arrays that a network works in: carved from one block of memory, shared where possible."""

from math import prod
from types import SimpleNamespace
from typing import Any, Protocol

import numpy as np

from skcnn.layers import Layer, Scratch
from skcnn.layers._layer import Shape

__all__ = ["Arrays", "Workspace"]

ALIGNMENT = 64
"""Bytes of a cache line, and of the widest vector register."""


class Bound(Protocol):
    """What a workspace has to know of a network."""

    steps: tuple[Layer, ...]
    step_shapes: tuple[Shape, ...]
    dtype: np.dtype
    plans: dict[tuple[bool, bool], Any]


class Arrays:
    """The arrays of one micro-batch, batch last.

    Attributes
    ----------
    x : list of ndarray
        Input of every layer, and at the end the output.
    dx : list of ndarray or None
        Gradient by each of `x`; None where nobody asks.
    scratch : list of object
        What every layer has bound to its arrays.
    first_backward : int
        The first layer that the backward pass reaches.
    """

    def __init__(
        self, x: list[np.ndarray], dx: list[Any], scratch: list[Any], first_backward: int
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
        network: Bound,
        capacity: int,
        backward: bool = True,
        input_gradient: bool = False,
    ) -> None:
        self.network, self.capacity = network, capacity
        self._plan = _plan(network, backward, input_gradient)
        self._offsets, total = [], 0
        for size in self._plan.sizes:
            self._offsets.append(total)
            total += -(-size * capacity // ALIGNMENT) * ALIGNMENT
        memory = np.empty(total + ALIGNMENT, np.uint8)
        start = -memory.ctypes.data % ALIGNMENT
        self.memory = memory[start : start + total]
        self._carved: dict[int, Arrays] = {}

    @staticmethod
    def nbytes_per_sample(network: Bound, backward: bool = True) -> int:
        """Bytes that one sample takes."""
        return sum(_plan(network, backward, False).sizes)

    @staticmethod
    def nbytes_of_steps(network: Bound) -> list[int]:
        """Bytes that the output and the scratch arrays of each step take for one sample.

        As in training. Together they take something else: steps share memory,
        and there are the input and the gradients.
        """
        return _plan(network, True, False).nbytes_of_steps()

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

        x = [array(place, shape) for place, shape in zip(plan.x, network.step_shapes, strict=True)]
        dx = [
            None if place is None else array(place, shape)
            for place, shape in zip(plan.dx, network.step_shapes, strict=True)
        ]
        scratch: list[Any] = []
        for i, layer in enumerate(network.steps):
            own = SimpleNamespace()
            for name, placed in plan.scratch[i].items():
                found = None
                if placed is not None:
                    spec, place, skip = placed
                    found = array(place, spec.shape, spec.dtype, skip)
                setattr(own, name, found)
            scratch.append(layer.bind(x[i], x[i + 1], dx[i], dx[i + 1], own))
        return Arrays(x, dx, scratch, plan.first_backward)


def _plan(network: Bound, backward: bool, input_gradient: bool) -> "_Plan":
    """The plan of a network, made once: small predictions would spend their time on it."""
    key = (backward, input_gradient)
    if key not in network.plans:
        network.plans[key] = _Plan(network, backward, input_gradient)
    return network.plans[key]


class _Plan:
    """Which arrays of a workspace share a place, and how large each place is.

    Places are numbered; `sizes` holds their bytes for one sample. The first
    three are the two that short-lived activations and gradients alternate
    between, and the one that calls share for their scratch arrays.
    """

    TURNS = (0, 1)
    CALLS = 2

    def __init__(self, network: Bound, backward: bool = True, input_gradient: bool = False) -> None:
        self.network = network
        self.sizes = [0, 0, 0]
        layers = network.steps
        with_params = [
            i
            for i, (layer, shape) in enumerate(zip(layers, network.step_shapes, strict=False))
            if layer.param_shapes(shape) or layer.state_shapes(shape)
        ]
        if input_gradient:
            self.first_backward = 0
        else:
            self.first_backward = with_params[0] if with_params else len(layers)
        self.x = self._place_activations(backward)
        self.dx = self._place_gradients(backward, input_gradient)
        self.scratch = [self._place_scratch(i, backward) for i in range(len(layers))]

    def _nbytes(self, shape: Shape, dtype: Any = None) -> int:
        return prod(shape) * np.dtype(dtype or self.network.dtype).itemsize

    def nbytes_of_steps(self) -> list[int]:
        totals = []
        for i, shape in enumerate(self.network.step_shapes[1:]):
            new = self.x[i + 1] != self.x[i]
            arrays = [placed[0] for placed in self.scratch[i].values() if placed is not None]
            totals.append(
                sum(self._nbytes(array.shape, array.dtype) for array in arrays)
                + new * self._nbytes(shape)
            )
        return totals

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
        for layer in self.network.steps:
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
        for i, layer in enumerate(network.steps):
            if backward and layer.reads_x:
                kept.add(groups[i])
            if backward and layer.reads_y:
                kept.add(groups[i + 1])
        places: list[int] = []
        for i, shape in enumerate(network.step_shapes):
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
        places: list[int | None] = [None] * len(network.step_shapes)
        if not backward:
            return places
        lowest = self.first_backward + (not input_gradient)
        place = self.x[-1]  # the gradient by the output must not lie over it
        for i in range(len(network.steps), lowest - 1, -1):
            new = i == len(network.steps) or network.steps[i].writes == "new"
            if new:
                place = self._turn(place, self._nbytes(network.step_shapes[i]))
            places[i] = place
        return places

    def _place_scratch(self, i: int, backward: bool) -> dict[str, tuple[Scratch, int, int] | None]:
        """(What, place, bytes per sample before it in that place) by name."""
        network, skip = self.network, 0
        places: dict[str, tuple[Scratch, int, int] | None] = {}
        wanted = network.steps[i].scratch(network.step_shapes[i], network.dtype, backward)
        for name, spec in wanted.items():
            if spec is None:
                places[name] = None
                continue
            nbytes = self._nbytes(spec.shape, spec.dtype)
            if spec.kept and backward:
                places[name] = (spec, self._own(nbytes), 0)
            else:
                places[name] = (spec, self.CALLS, skip)
                skip += -(-nbytes // ALIGNMENT) * ALIGNMENT
        self.sizes[self.CALLS] = max(self.sizes[self.CALLS], skip)
        return places

"""Memory plan of a chain of layers, and the arrays laid out by it."""

from collections.abc import Sequence
from math import prod
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from skcnn.layers._layer import Layer, Params, Scratch, Shape, Wanted
from skcnn.layers.generators import LayerGenerator

if TYPE_CHECKING:  # chains plan their memory here
    from skcnn.layers.chain import BoundLayer

ALIGNMENT = 64
"""Bytes of a cache line, and of the widest vector register."""

PING_PONG = (0, 1)
"""Places of the two buffers between which short-lived activations and gradients alternate."""

SCRATCH = 2
"""Place of the buffer for scratch arrays, shared by all calls."""


class Placed(NamedTuple):
    """Position of an array in memory.

    Parameters
    ----------
    place : int or None
        Number of the place; None for an array outside this memory.
    shape : tuple of int
        Shape for one sample.
    dtype : dtype
    skip : int, default=0
        Bytes per sample before it in that place.
    """

    place: int | None
    shape: Shape
    dtype: np.dtype
    skip: int = 0

    @property
    def nbytes(self) -> int:
        """Bytes for one sample."""
        return prod(self.shape) * self.dtype.itemsize

    def array(self, memory: Sequence[np.ndarray], n: int) -> np.ndarray:
        """The array for `n` samples, carved from the memory of all places."""
        assert self.place is not None
        start = self.skip * n
        part = memory[self.place][start : start + self.nbytes * n]
        return part.view(self.dtype).reshape((*self.shape, n))


class Plan:
    """Assignment of a chain's arrays to shared places, and the size of each place.

    Arrays that the backward pass reads have places of their own. Everything else
    is short-lived: gradients and activations that are not read again alternate
    between two places, and scratch arrays that live during one call share a third.

    Parameters
    ----------
    steps : sequence of BoundLayer
        The layers in the order in which they run.
    input_shape : tuple of int
        Shape of one sample.
    dtype : dtype
    backward : bool
        Whether a backward pass follows.
    input_gradient : bool
        Whether the gradient with respect to the input is needed.
    borrowed : bool, default=False
        Whether the input is outside this memory and must not be overwritten.

    Attributes
    ----------
    sizes : list of int
        Bytes of each place for one sample; first those of `PING_PONG` and `SCRATCH`.
    x, dx : list of Placed
        The input of each step and the last output, and the gradients with
        respect to them.
    branches : list of list of Plan
        For each step the plans of its branches, whose places are scratch arrays
        of this plan.
    scratch : list of dict
        The scratch arrays of each step; None for those that it does not need.
    first_trained : int
        The first step with parameters, or the number of steps.
    """

    def __init__(
        self,
        steps: "Sequence[BoundLayer]",
        input_shape: Shape,
        dtype: np.dtype,
        backward: bool,
        input_gradient: bool,
        borrowed: bool = False,
    ) -> None:
        self.steps = [step.layer for step in steps]
        self.shapes = [input_shape, *(step.output_shape for step in steps)]
        self.dtype = dtype
        self.backward, self.input_gradient, self.borrowed = backward, input_gradient, borrowed
        self.sizes = [0, 0, 0]
        self.first_trained = next(
            (i for i, step in enumerate(steps) if step.param_shapes or step.state_shapes),
            len(steps),
        )
        self.x = self._place_activations()
        self.dx = self._place_gradients()
        self.branches = [
            self._plan_branches(step, self.dx[i] is not None) for i, step in enumerate(steps)
        ]
        self.scratch = [self._place_scratch(i) for i in range(len(steps))]

    def _plan_branches(self, step: "BoundLayer", returns: bool) -> "list[Plan]":
        """Plan a composite layer's branches; `returns` is whether its input has a gradient."""
        # nothing that is not trained needs memory for a backward pass, unless one goes through it
        backward = self.backward and (returns or step.layer.trains)
        return [
            chain.plan(self.dtype, backward, backward, borrowed=True) for chain in step.branches
        ]

    def lay_out(
        self,
        memory: Sequence[np.ndarray],
        sample_weight: np.ndarray,
        x: np.ndarray | None = None,
        input_gradient: bool | None = None,
    ) -> "Arrays":
        """The arrays for a number of samples.

        Parameters
        ----------
        memory : sequence of ndarray of uint8
            For each place at least as many bytes as its size for ``n`` samples.
        sample_weight : ndarray of shape (n,)
            Weights of the samples, which the layers read.
        x : ndarray or None, default=None
            The input, if it is borrowed.
        input_gradient : bool or None, default=None
            False if the gradient with respect to the input is not needed after
            all; None is as planned.

        Returns
        -------
        Arrays
        """
        if input_gradient is None:
            input_gradient = self.input_gradient
        n, first = len(sample_weight), 0 if input_gradient else self.first_trained
        xs: list[np.ndarray] = []
        for placed in self.x:
            if placed.place is not None:
                xs.append(placed.array(memory, n))
            elif not xs:
                assert x is not None
                xs.append(x)
            else:  # a view of the borrowed input
                xs.append(xs[-1].reshape((*placed.shape, n)))
        dxs = [
            None
            if placed is None or (i <= first and not input_gradient)
            else placed.array(memory, n)
            for i, placed in enumerate(self.dx)
        ]
        bound = []
        for i, (step, wanted) in enumerate(zip(self.steps, self.scratch, strict=True)):
            own: dict[str, Any] = {
                name: None if placed is None else placed.array(memory, n)
                for name, placed in wanted.items()
            }
            arrays = xs[i], xs[i + 1], dxs[i], dxs[i + 1]
            scratch: Any = SimpleNamespace(**own)
            if self.branches[i]:
                scratch = [
                    plan.lay_out(
                        [own[f"{b}.{place}"].reshape(-1) for place in range(len(plan.sizes))],
                        sample_weight,
                        xs[i],
                        input_gradient=dxs[i] is not None,
                    )
                    for b, plan in enumerate(self.branches[i])
                ]
            bound.append(step.bind(*arrays, sample_weight, scratch))
        return Arrays(self.steps, xs, dxs, sample_weight, bound, first)

    def nbytes_of_steps(self) -> list[int]:
        """Bytes that the output and the scratch arrays of each step take for one sample."""
        totals = []
        for i, wanted in enumerate(self.scratch):
            new = self.x[i + 1].place != self.x[i].place
            total = sum(placed.nbytes for placed in wanted.values() if placed is not None)
            totals.append(total + new * self.x[i + 1].nbytes)
        return totals

    def _own(self, nbytes: int) -> int:
        self.sizes.append(nbytes)
        return len(self.sizes) - 1

    def _alternate(self, other_than: int | None, nbytes: int) -> int:
        place = PING_PONG[1] if other_than == PING_PONG[0] else PING_PONG[0]
        self.sizes[place] = max(self.sizes[place], nbytes)
        return place

    def _groups(self) -> list[int]:
        """Number the activations, with one number for those that share memory.

        A view has its input's number. So has the output of a layer that may
        overwrite its input, unless this layer, or the one that computed the input,
        reads it again.
        """
        groups, read_again = [0], self.borrowed
        for step in self.steps:
            over = step.writes == "over_x" and not step.reads_x and not read_again
            if over or step.writes == "view":
                groups.append(groups[-1])
                read_again = read_again or step.reads_y
            else:
                groups.append(groups[-1] + 1)
                read_again = step.reads_y
        return groups

    def _place_activations(self) -> list[Placed]:
        groups, kept = self._groups(), set()
        for i, step in enumerate(self.steps):
            if self.backward and step.reads_x:
                kept.add(groups[i])
            if self.backward and step.reads_y:
                kept.add(groups[i + 1])
        places: list[Placed] = []
        place: int | None = None
        for i, shape in enumerate(self.shapes):
            nbytes = prod(shape) * self.dtype.itemsize
            if self.borrowed and groups[i] == 0:
                place = None
            elif i and groups[i] == groups[i - 1]:
                pass
            elif groups[i] in kept:
                place = self._own(nbytes)
            else:
                place = self._alternate(place, nbytes)
            places.append(Placed(place, shape, self.dtype))
        return places

    def _place_gradients(self) -> list[Placed | None]:
        places: list[Placed | None] = [None] * len(self.shapes)
        if not self.backward or (self.borrowed and not self.steps):
            return places  # the gradient of a branch that is the input itself lies elsewhere, too
        lowest = 0 if self.input_gradient else self.first_trained + 1
        place = self.x[-1].place  # must not be shared with the gradient of the output
        for i in range(len(self.steps), lowest - 1, -1):
            nbytes = prod(self.shapes[i]) * self.dtype.itemsize
            if i == len(self.steps) or self.steps[i].writes == "new":
                place = self._alternate(place, nbytes)
            places[i] = Placed(place, self.shapes[i], self.dtype)
        return places

    def _place_scratch(self, i: int) -> dict[str, Placed | None]:
        places: dict[str, Placed | None] = {}
        skip = 0
        wanted: Wanted
        if self.branches[i]:
            wanted = {
                f"{b}.{place}": Scratch((size,), np.uint8, kept=place > SCRATCH)
                for b, plan in enumerate(self.branches[i])
                for place, size in enumerate(plan.sizes)
            }
        else:
            wanted = self.steps[i].scratch(self.shapes[i], self.dtype, self.backward)
        for name, spec in wanted.items():
            if spec is None:
                places[name] = None
                continue
            placed = Placed(SCRATCH, spec.shape, np.dtype(spec.dtype), skip)
            if spec.kept and self.backward:
                placed = placed._replace(place=self._own(placed.nbytes), skip=0)
            else:
                skip += -(-placed.nbytes // ALIGNMENT) * ALIGNMENT
            places[name] = placed
        self.sizes[SCRATCH] = max(self.sizes[SCRATCH], skip)
        return places


class Arrays:
    """The arrays of one micro-batch, batch last, and the passes over them.

    Attributes
    ----------
    x : list of ndarray
        Input of every step, and at the end the output.
    dx : list of ndarray or None
        Gradient with respect to each of `x`; None if it is not needed.
    sample_weight : ndarray of shape (n,)
        Weight of every sample, initially ones.
    """

    def __init__(
        self,
        steps: Sequence[Layer],
        x: list[np.ndarray],
        dx: list[Any],
        sample_weight: np.ndarray,
        bound: list[Any],
        first_backward: int,
    ) -> None:
        self.x, self.dx, self.sample_weight = x, dx, sample_weight
        self._steps, self._bound, self._first_backward = steps, bound, first_backward

    def forward(
        self,
        params: Sequence[Params],
        training: bool,
        rng: LayerGenerator | None,
        stop: int | None = None,
    ) -> None:
        """Fill ``x[1:]`` from ``x[0]``.

        With `stop`, only the steps before it run. Arrays share memory, so of all
        ``x`` after the input only ``x[stop]`` is valid then.
        """
        x, bound = self.x, self._bound
        for i, step in enumerate(self._steps[:stop]):
            numbers = rng.shared if rng is not None and step.draws_per_batch else rng
            step.forward(x[i], x[i + 1], params[i], bound[i], training, numbers)

    def backward(self, params: Sequence[Params], grads: Sequence[Params]) -> None:
        """Fill `grads`, and the arrays of ``dx`` that exist, from ``dx[-1]``."""
        x, dx, bound = self.x, self.dx, self._bound
        for i in range(len(self._steps) - 1, self._first_backward - 1, -1):
            self._steps[i].backward(dx[i], dx[i + 1], x[i], x[i + 1], params[i], grads[i], bound[i])

"""Residual blocks: layers whose output is added to their input."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import lcm
from typing import Any, ClassVar

import numpy as np

from skcnn._hyperparameters import check_int, check_pair
from skcnn.layers._layer import Layer, Params, Scratch, Shape, Wanted, image_shape
from skcnn.layers.chain import Chain
from skcnn.layers.memory import CALLS, Arrays, Plan
from skcnn.layers.training_rows import TrainingRows, init_from_rows
from skcnn.layers.windows import Windows

SHORTCUT = "shortcut"

CACHED = 512
"""Blocks, bound to shapes, that are kept."""


@dataclass(frozen=True, repr=False, eq=False)
class Residual(Layer):
    """Adds the output of its layers to their input, ``y = f(x) + s(x)``.

    He, Zhang, Ren & Sun (2016), "Deep residual learning for image recognition",
    equations 1 and 2. The rectifier that follows in the paper is a layer of its
    own.

    Its parameters are those of its layers, in their order, under names such as
    ``0.weight`` and ``shortcut.weight``.

    Parameters
    ----------
    layers : Layer or list of Layer
        The branch ``f``, at least one layer.
    shortcut : Layer, list of Layer or None, default=None
        The other branch ``s``, whose output must have the same shape; None is
        the input itself.

    Examples
    --------
    >>> from skcnn.layers import BatchNorm, Conv2d, ReLU
    >>> block = Residual(
    ...     [Conv2d(16, 3, stride=2, padding=1), ReLU(), Conv2d(16, 3, padding=1)],
    ...     shortcut=Conv2d(16, 1, stride=2, bias=False),
    ... )
    >>> block.output_shape((8, 28, 28))
    (16, 14, 14)
    >>> list(block.param_shapes((8, 28, 28)))
    ['0.weight', '0.bias', '2.weight', '2.bias', 'shortcut.weight']
    """

    layers: Layer | Sequence[Layer]
    shortcut: Layer | Sequence[Layer] | None = None

    reads_x: ClassVar[bool] = True  # the first layer of a branch may

    def branches(self, input_shape: Shape) -> dict[str, Chain]:
        """The branches bound to a shape: "layers", and "shortcut" unless that is the input."""
        return _branches(_Same(self), input_shape)

    @property
    def _layers(self) -> tuple[Layer, ...]:
        """The layers of ``f``."""
        return (self.layers,) if isinstance(self.layers, Layer) else tuple(self.layers)

    @property
    def _shortcut(self) -> tuple[Layer, ...]:
        """The layers of ``s``."""
        if self.shortcut is None:
            return ()
        return (self.shortcut,) if isinstance(self.shortcut, Layer) else tuple(self.shortcut)

    @property
    def named(self) -> list[tuple[str, Layer]]:
        """All layers, under the prefixes of their parameters' names."""
        if isinstance(self.shortcut, Layer):
            shortcut = [(SHORTCUT, self.shortcut)]
        else:
            shortcut = [(f"{SHORTCUT}.{i}", layer) for i, layer in enumerate(self._shortcut)]
        return [*((str(i), layer) for i, layer in enumerate(self._layers)), *shortcut]

    def _bound(self, input_shape: Shape) -> list[tuple[str, Layer, Shape]]:
        """All layers with their names and the shapes of their inputs."""
        chains = self.branches(input_shape).values()
        shapes = [shape for chain in chains for shape in chain.shapes[:-1]]
        return [(*named, shape) for named, shape in zip(self.named, shapes, strict=True)]

    def output_shape(self, input_shape: Shape) -> Shape:
        if not _is_branch(self.layers):
            raise ValueError(
                "Residual: layers must be a layer or a list of at least one instance from "
                f"skcnn.layers, got {self.layers!r}."
            )
        if self.shortcut is not None and not _is_branch(self.shortcut):
            raise ValueError(
                "Residual: shortcut must be None, a layer or a list of layers, got "
                f"{self.shortcut!r}."
            )
        branches = self.branches(input_shape)
        made = branches["layers"].shapes[-1]
        added = branches[SHORTCUT].shapes[-1] if SHORTCUT in branches else input_shape
        if made != added:
            raise ValueError(
                f"Residual: the layers turn the input {input_shape} into {made}, but the shortcut "
                f"{'is the input itself' if self.shortcut is None else f'turns it into {added}'}; "
                "both must have the same shape to be added."
            )
        return made

    @property
    def draws(self) -> bool:
        return any(layer.draws for _, layer in self.named)

    @property
    def decayed(self) -> tuple[str, ...]:
        return tuple(f"{inner}.{name}" for inner, layer in self.named for name in layer.decayed)

    @property
    def state_rates(self) -> dict[str, float]:
        return {
            f"{inner}.{name}": rate
            for inner, layer in self.named
            for name, rate in layer.state_rates.items()
        }

    @property
    def samples_together(self) -> int:
        return lcm(*(layer.samples_together for _, layer in self.named))

    def param_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        return {
            f"{inner}.{name}": size
            for inner, layer, shape in self._bound(input_shape)
            for name, size in layer.param_shapes(shape).items()
        }

    def state_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        return {
            f"{inner}.{name}": size
            for inner, layer, shape in self._bound(input_shape)
            for name, size in layer.state_shapes(shape).items()
        }

    def constant_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        return {
            f"{inner}.{name}": size
            for inner, layer, shape in self._bound(input_shape)
            for name, size in layer.constant_shapes(shape).items()
        }

    def init(self, params: Params, rng: np.random.Generator) -> None:
        for inner, layer in self.named:
            layer.init(_own(params, inner), rng)

    @property
    def reads_rows(self) -> bool:
        return any(layer.reads_rows for _, layer in self.named)

    def init_from_rows(self, params: Params, rows: TrainingRows) -> None:
        each = iter(_own(params, inner) for inner, _ in self.named)
        for chain in self.branches(rows.shape).values():
            init_from_rows(chain.layers, [next(each) for _ in chain.layers], rows)

    def multiply_adds(self, input_shape: Shape) -> int:
        return sum(chain.multiply_adds for chain in self.branches(input_shape).values())

    def scratch(self, input_shape: Shape, dtype: np.dtype, backward: bool) -> Wanted:
        # no bytes, but a sign: nothing goes back through layers before the first with parameters,
        # and yet their memory is that of a network that is trained
        wanted: Wanted = {"trained": Scratch((0,), dtype, kept=False) if backward else None}
        for name, plan in self.plans(input_shape, dtype, backward).items():
            for place, size in enumerate(plan.sizes):
                wanted[f"{name}{place}"] = Scratch((size,), np.uint8, kept=place > CALLS)
        return wanted

    def plans(self, input_shape: Shape, dtype: np.dtype, backward: bool) -> dict[str, Plan]:
        """Memory plans of the branches, without the ``x`` they start from."""
        return _plans(_Same(self), input_shape, np.dtype(dtype), backward)

    def bind(self, x, y, dx, dy, weights, scratch):
        branches = {}
        backward = scratch.trained is not None
        for name, plan in self.plans(x.shape[:-1], x.dtype, backward).items():
            memory = [getattr(scratch, f"{name}{i}").reshape(-1) for i in range(len(plan.sizes))]
            branches[name] = plan.lay_out(memory, weights, x, input_gradient=dx is not None)
        layers = self._bound(x.shape[:-1])
        slots = [
            (f"{inner}.{name}", i, name)
            for i, (inner, layer, shape) in enumerate(layers)
            for name in (
                *layer.param_shapes(shape),
                *layer.state_shapes(shape),
                *layer.constant_shapes(shape),
            )
        ]
        f, s = branches["layers"], branches.get(SHORTCUT)
        return _Branches(f, s, slots, len(self._layers), len(layers))

    def forward(self, x, y, params, branches, training, rng):
        """``y = f(x) + s(x)``."""
        f, s = branches.f, branches.s
        f_params, s_params = branches.split(params)
        f.forward(f_params, training, rng)
        if s is not None:
            s.forward(s_params, training, rng)
        np.add(f.x[-1], x if s is None else s.x[-1], out=y)

    def backward(self, dx, dy, x, y, params, grads, branches):
        """``dx = fᵀ(dy) + sᵀ(dy)``: the derivative of a sum goes into both branches."""
        f, s = branches.f, branches.s
        (f_params, s_params), (f_grads, s_grads) = branches.split(params), branches.split(grads)
        _back(f, dy, f_params, f_grads)
        if s is not None:
            _back(s, dy, s_params, s_grads)
        if dx is not None:
            np.add(f.dx[0], dy if s is None else s.dx[0], out=dx)


class _Same:
    """A layer as a key of the caches below, which is equal to the very same object only."""

    def __init__(self, layer: Residual) -> None:
        self.layer = layer

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.layer is other.layer

    def __hash__(self) -> int:
        return id(self.layer)


# Shapes, parameters and memory of a block are asked for several times. Without the caches every
# level of nesting would multiply the time of those inside.


@lru_cache(CACHED)
def _branches(key: _Same, input_shape: Shape) -> dict[str, Chain]:
    block = key.layer
    branches = {"layers": Chain(block._layers, input_shape)}
    if block.shortcut is not None:
        branches[SHORTCUT] = Chain(block._shortcut, input_shape, SHORTCUT)
    return branches


@lru_cache(CACHED)
def _plans(key: _Same, input_shape: Shape, dtype: np.dtype, backward: bool) -> dict[str, Plan]:
    return {
        name: chain.plan(dtype, backward, input_gradient=backward, borrowed=True)
        for name, chain in key.layer.branches(input_shape).items()
    }


def _back(branch: Arrays, dy: np.ndarray, params: list[Params], grads: list[Params]) -> None:
    """The backward pass through one branch, which may overwrite what it starts from."""
    if branch.dx[-1] is not None:  # there is a parameter, or the gradient of the input is needed
        np.copyto(branch.dx[-1], dy)
        branch.backward(params, grads)


def _own(params: Params, inner: str) -> Params:
    """The arrays of an inner layer, under its own names for them."""
    begin = f"{inner}."
    return {
        name.removeprefix(begin): array for name, array in params.items() if name.startswith(begin)
    }


class _Branches:
    """The arrays of both branches for one batch size.

    Attributes
    ----------
    f : Arrays
    s : Arrays or None
        None for the input itself.
    """

    def __init__(
        self,
        f: Arrays,
        s: Arrays | None,
        slots: list[tuple[str, int, str]],
        n_layers_of_f: int,
        n_layers: int,
    ) -> None:
        self.f, self.s = f, s
        self._slots = slots  # of each array: its name, the number of its layer, the name there
        self._n_layers_of_f, self._n_layers = n_layers_of_f, n_layers

    def split(self, params: Params) -> tuple[list[Params], list[Params]]:
        """The parameters of each layer of both branches, under its own names for them."""
        each: list[Params] = [{} for _ in range(self._n_layers)]
        for name, layer, own in self._slots:
            if name in params:  # gradients have no constants
                each[layer][own] = params[name]
        return each[: self._n_layers_of_f], each[self._n_layers_of_f :]


def _is_branch(value: Any) -> bool:
    return isinstance(value, Layer) or (isinstance(value, (list, tuple)) and len(value) > 0)


@dataclass(frozen=True, repr=False, eq=False)
class PadChannels(Layer):
    """Keeps every `stride`-th pixel, and adds channels of zeros up to `filters`.

    The parameter-free shortcut for a block that changes the shape: option A of
    He et al. (2016), section 4.2.

    Parameters
    ----------
    filters : int
        Channels of the output, at least those of the input.
    stride : int or (int, int), default=1
        Step between two pixels that are kept.

    Examples
    --------
    >>> PadChannels(32, stride=2).output_shape((16, 32, 32))
    (32, 16, 16)
    """

    filters: int
    stride: int | tuple[int, int] = 1

    def reach(self, input_shape: Shape) -> tuple[Windows, ...]:
        sizes = image_shape(self, input_shape)[1:]
        strides = check_pair("PadChannels", "stride", self.stride, 1)
        return tuple(Windows(n, 1, stride) for n, stride in zip(sizes, strides, strict=True))

    def output_shape(self, input_shape: Shape) -> Shape:
        height, width = self.reach(input_shape)
        filters = check_int("PadChannels", "filters", self.filters, 1)
        if filters < input_shape[0]:
            raise ValueError(
                f"PadChannels: filters must be at least the {input_shape[0]} channels of the "
                f"input, got {filters}."
            )
        return filters, height.positions, width.positions

    def forward(self, x, y, params, scratch, training, rng):
        """``y[c, p] = x[c, p·stride]``, and 0 for the channels that are added."""
        C, (SH, SW) = len(x), check_pair("PadChannels", "stride", self.stride, 1)
        np.copyto(y[:C], x[:, ::SH, ::SW])
        y[C:] = 0

    def backward(self, dx, dy, x, y, params, grads, scratch):
        """``dx[c, p·stride] = dy[c, p]``, and 0 for the pixels that are left out."""
        C, (SH, SW) = len(x), check_pair("PadChannels", "stride", self.stride, 1)
        dx[...] = 0
        dx[:, ::SH, ::SW] = dy[:C]

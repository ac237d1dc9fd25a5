"""Composite layers: branches of layers, whose outputs are added or joined."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from math import lcm
from typing import Any, ClassVar

import numpy as np

from skcnn.layers._layer import Branch, Layer, NoGradients, Params, Shape, split_params
from skcnn.layers.chain import BoundLayer
from skcnn.layers.memory import Arrays
from skcnn.layers.training_rows import TrainingRows, init_from_rows


class Composite(Layer):
    """A layer that sends its input through branches of layers, and joins their outputs.

    Its parameters are those of its layers, in their order. Their memory is
    planned with that of the layers around it.
    """

    reads_x: ClassVar[bool] = True  # the first layer of a branch may

    @property
    @abstractmethod
    def inner(self) -> tuple[Branch, ...]:
        """The branches, at least one."""

    @abstractmethod
    def join_shapes(self, input_shape: Shape, shapes: Sequence[Shape]) -> Shape:
        """Shape of the output, given those of the outputs of the branches."""

    @property
    def _layers(self) -> list[tuple[str, Layer]]:
        """All layers, with their names."""
        return [
            pair for branch in self.inner for pair in zip(branch.names, branch.layers, strict=True)
        ]

    def output_shape(self, input_shape: Shape) -> Shape:
        return BoundLayer(self, input_shape).output_shape

    def param_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        return BoundLayer(self, input_shape).param_shapes

    def state_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        return BoundLayer(self, input_shape).state_shapes

    def constant_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        return BoundLayer(self, input_shape).constant_shapes

    def multiply_adds(self, input_shape: Shape) -> int:
        return BoundLayer(self, input_shape).multiply_adds

    @property
    def draws(self) -> bool:
        return any(layer.draws for _, layer in self._layers)

    @property
    def decayed(self) -> tuple[str, ...]:
        return tuple(f"{inner}.{name}" for inner, layer in self._layers for name in layer.decayed)

    @property
    def state_rates(self) -> dict[str, float]:
        return {
            f"{inner}.{name}": rate
            for inner, layer in self._layers
            for name, rate in layer.state_rates.items()
        }

    @property
    def samples_together(self) -> int:
        return lcm(*(layer.samples_together for _, layer in self._layers))

    def init(self, params: Params, rng: np.random.Generator) -> None:
        each = chain.from_iterable(split_params(self.inner, params))
        for (_, layer), own in zip(self._layers, each, strict=True):
            layer.init(own, rng)

    @property
    def reads_rows(self) -> bool:
        return any(layer.reads_rows for _, layer in self._layers)

    def init_from_rows(self, params: Params, rows: TrainingRows) -> None:
        for branch, each in zip(self.inner, split_params(self.inner, params), strict=True):
            init_from_rows(branch.layers, each, rows)

    def bind(self, x, y, dx, dy, sample_weight, scratch):
        return BoundBranches(self.inner, scratch)


class BoundBranches:
    """The branches of a composite layer, with their arrays for one batch size.

    Attributes
    ----------
    ends : list of int
        End positions of all branches' outputs but the last, if they are concatenated.
    """

    def __init__(self, branches: Sequence[Branch], arrays: Sequence[Arrays]) -> None:
        self._branches, self._arrays = branches, arrays
        self.ends = list(accumulate(len(each.x[-1]) for each in arrays[:-1]))

    def forward(self, params: Params, training: bool, rng: Any) -> list[np.ndarray]:
        """Return the outputs of all branches."""
        for arrays, own in zip(self._arrays, split_params(self._branches, params), strict=True):
            arrays.forward(own, training, rng)
        return [arrays.x[-1] for arrays in self._arrays]

    def backward(
        self, dx: np.ndarray | None, dys: Sequence[np.ndarray], params: Params, grads: Params
    ) -> None:
        """Write the sum of the branches' input gradients into `dx`.

        Parameters
        ----------
        dx : ndarray or None
        dys : sequence of ndarray
            The gradients with respect to the branches' outputs.
        params, grads : dict
        """
        own = split_params(self._branches, params), split_params(self._branches, grads)
        back = []
        for arrays, dy, *both in zip(self._arrays, dys, *own, strict=True):
            if arrays.dx[-1] is not None:  # it has a parameter, or dx is needed
                np.copyto(arrays.dx[-1], dy)  # the layers may overwrite it
                arrays.backward(*both)
            back.append(dy if len(arrays.x) == 1 else arrays.dx[0])
        if dx is not None:
            add_up(back, dx)


def numbered(caller: str, layers: Any) -> Branch:
    """Return the branch of a parameter `layers`, whose layers are named by their numbers."""
    if not isinstance(layers, (Layer, list, tuple)) or layers in ([], ()):
        raise ValueError(
            f"{caller}: layers must be a layer or a list of at least one instance from "
            f"skcnn.layers, got {layers!r}."
        )
    inside = (layers,) if isinstance(layers, Layer) else tuple(layers)
    return Branch("layers", inside, tuple(map(str, range(len(inside)))))


def add_up(arrays: Sequence[np.ndarray], out: np.ndarray) -> None:
    """Write the sum of some arrays, added from the first to the last, into `out`."""
    if len(arrays) == 1:
        np.copyto(out, arrays[0])
        return
    np.add(arrays[0], arrays[1], out=out)
    for more in arrays[2:]:
        out += more


def branch_of(name: str, prefix: str, layers: Layer | Sequence[Layer]) -> Branch:
    """Return a branch of one layer, named by the prefix, or of a list of layers."""
    if isinstance(layers, Layer):
        return Branch(name, (layers,), (prefix,))
    return Branch(name, tuple(layers), tuple(f"{prefix}.{i}" for i in range(len(layers))))


class _ListOfBranches(Composite):
    """Base class of composite layers with a list of branches."""

    branches: Sequence[Layer | Sequence[Layer]]

    @property
    def inner(self) -> tuple[Branch, ...]:
        caller, branches = type(self).__name__, self.branches
        if not isinstance(branches, (list, tuple)) or not branches:
            raise ValueError(
                f"{caller}: branches must be a list of at least one branch, got {branches!r}."
            )
        for i, branch in enumerate(branches):
            if not isinstance(branch, (Layer, list, tuple)):
                raise ValueError(
                    f"{caller}: branches[{i}] must be a layer or a list of layers, [] for the "
                    f"input itself, got {branch!r}."
                )
        return tuple(
            branch_of(f"branches[{i}]", str(i), branch) for i, branch in enumerate(branches)
        )

    def _refuse(self, input_shape: Shape, shapes: Sequence[Shape], i: int, rule: str) -> None:
        """Raise ``ValueError`` for the i-th branch, whose output does not match the first's."""
        raise ValueError(
            f"{type(self).__name__}: branches[0] turns the input {input_shape} into {shapes[0]}, "
            f"but branches[{i}] turns it into {shapes[i]}; {rule}."
        )


@dataclass(frozen=True, repr=False, eq=False)
class Add(_ListOfBranches):
    """Adds the outputs of its branches, ``y = Σ f_i(x)``.

    The general form of `Residual`. Its parameters are those of its layers, under
    names such as ``0.1.weight``, that of the second layer in the first branch.

    Parameters
    ----------
    branches : list of Layer or of lists of Layer
        Each branch gets the input of this layer, and their outputs have the same
        shape. An empty list is the input itself.

    Examples
    --------
    >>> from skcnn.layers import BatchNorm, Conv2d
    >>> block = Add([[Conv2d(16, 3, padding=1), BatchNorm()], Conv2d(16, 1, bias=False)])
    >>> block.output_shape((8, 28, 28))
    (16, 28, 28)
    >>> list(block.param_shapes((8, 28, 28)))
    ['0.0.weight', '0.0.bias', '0.1.weight', '0.1.bias', '1.weight']
    """

    branches: Sequence[Layer | Sequence[Layer]]

    def join_shapes(self, input_shape: Shape, shapes: Sequence[Shape]) -> Shape:
        for i, shape in enumerate(shapes):
            if shape != shapes[0]:
                self._refuse(input_shape, shapes, i, "all must have one shape to be added")
        return shapes[0]

    def forward(self, x, y, params, branches, training, rng):
        """``y = Σ f_i(x)``."""
        add_up(branches.forward(params, training, rng), y)

    def backward(self, dx, dy, x, y, params, grads, branches):
        """``dx = Σ f_iᵀ(dy)``: the derivative of a sum goes into every branch."""
        branches.backward(dx, [dy] * len(self.branches), params, grads)


@dataclass(frozen=True, repr=False, eq=False)
class Concatenate(_ListOfBranches):
    """Joins the outputs of its branches along the channels, or along the features.

    Szegedy et al. (2015), "Going deeper with convolutions": kernels of several
    sizes side by side. An empty list among the branches keeps the input, as in
    Huang et al. (2017), "Densely connected convolutional networks".

    Its parameters are those of its layers, under names such as ``0.1.weight``,
    that of the second layer in the first branch.

    Parameters
    ----------
    branches : list of Layer or of lists of Layer
        Each branch gets the input of this layer; their outputs are images of one
        height and width, or vectors. An empty list is the input itself.

    Examples
    --------
    >>> from skcnn.layers import Conv2d
    >>> block = Concatenate([[], Conv2d(16, 1), [Conv2d(4, 1), Conv2d(8, 5, padding=2)]])
    >>> block.output_shape((8, 28, 28))
    (32, 28, 28)
    >>> list(block.param_shapes((8, 28, 28)))
    ['1.weight', '1.bias', '2.0.weight', '2.0.bias', '2.1.weight', '2.1.bias']
    """

    branches: Sequence[Layer | Sequence[Layer]]

    joins: ClassVar[str] = "concat"

    def join_shapes(self, input_shape: Shape, shapes: Sequence[Shape]) -> Shape:
        for i, shape in enumerate(shapes):
            if len(shape) != len(shapes[0]) or shape[1:] != shapes[0][1:]:
                self._refuse(
                    input_shape, shapes, i, "only the numbers of channels or features may differ"
                )
        return (sum(shape[0] for shape in shapes), *shapes[0][1:])

    def forward(self, x, y, params, branches, training, rng):
        """``y = [f_1(x); f_2(x); …]``."""
        np.concatenate(branches.forward(params, training, rng), out=y)

    def backward(self, dx, dy, x, y, params, grads, branches):
        """``dx = Σ f_iᵀ(dy_i)``, where ``dy_i`` are the rows of ``dy`` for ``f_i``."""
        branches.backward(dx, np.split(dy, branches.ends), params, grads)


@dataclass(frozen=True, repr=False, eq=False)
class Frozen(Composite):
    """Runs its layers as in a prediction, and trains none of their parameters.

    Moments of inner `BatchNorm` stay as they are, and nothing is drawn. The
    arrays of its layers are constants: they have no gradients, and there is no
    backward pass through layers before the first that is trained. Otherwise the
    gradient with respect to the input passes through.

    Its arrays are those of its layers, under names such as ``0.weight``.

    Parameters
    ----------
    layers : Layer or list of Layer
        At least one layer.

    Examples
    --------
    >>> from skcnn.layers import BatchNorm, Conv2d
    >>> front = Frozen([Conv2d(16, 3, bias=False), BatchNorm()])
    >>> front.param_shapes((3, 32, 32))
    {}
    >>> list(front.constant_shapes((3, 32, 32)))
    ['0.weight', '1.weight', '1.bias', '1.running_mean', '1.running_variance']
    """

    layers: Layer | Sequence[Layer]

    joins: ClassVar[str] = "frozen"
    trains: ClassVar[bool] = False
    draws: ClassVar[bool] = False
    samples_together: ClassVar[int] = 1

    @property
    def inner(self) -> tuple[Branch, ...]:
        return (numbered("Frozen", self.layers),)

    def join_shapes(self, input_shape: Shape, shapes: Sequence[Shape]) -> Shape:
        return shapes[0]

    def forward(self, x, y, params, branches, training, rng):
        """``y = f(x)``, with `f` as in a prediction."""
        add_up(branches.forward(params, False, None), y)

    def backward(self, dx, dy, x, y, params, grads, branches):
        """``dx = fᵀ(dy)``."""
        if dx is not None:
            branches.backward(dx, [dy], params, NoGradients(params))

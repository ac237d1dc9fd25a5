"""The base class of composite layers, whose layers lie in branches."""

from abc import abstractmethod
from collections.abc import Sequence
from math import lcm
from typing import Any, ClassVar

import numpy as np

from skcnn.layers._layer import Branch, Layer, Params, Shape, split_params
from skcnn.layers.chain import BoundLayer
from skcnn.layers.memory import Arrays


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
        for branch, each in zip(self.inner, split_params(self.inner, params), strict=True):
            for layer, own in zip(branch.layers, each, strict=True):
                layer.init(own, rng)

    def bind(self, x, y, dx, dy, sample_weight, scratch):
        return BoundBranches(self.inner, scratch)


class BoundBranches:
    """The branches of a composite layer, with their arrays for one batch size."""

    def __init__(self, branches: Sequence[Branch], arrays: Sequence[Arrays]) -> None:
        self._branches, self._arrays = branches, arrays

    def forward(self, params: Params, training: bool, rng: Any) -> list[np.ndarray]:
        """The outputs of all branches."""
        for arrays, own in zip(self._arrays, split_params(self._branches, params), strict=True):
            arrays.forward(own, training, rng)
        return [arrays.x[-1] for arrays in self._arrays]

    def backward(
        self,
        dx: np.ndarray | None,
        dys: Sequence[np.ndarray],
        params: Params,
        grads: Params,
    ) -> None:
        """Write the sum of what comes back through the branches into `dx`.

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
            if arrays.dx[-1] is not None:  # it has a parameter, or its input needs a gradient
                np.copyto(arrays.dx[-1], dy)  # which the layers may overwrite
                arrays.backward(*both)
            back.append(dy if len(arrays.x) == 1 else arrays.dx[0])
        if dx is None:
            return
        if len(back) == 1:
            np.copyto(dx, back[0])
            return
        np.add(back[0], back[1], out=dx)
        for more in back[2:]:
            dx += more


def branch_of(name: str, prefix: str, layers: Layer | Sequence[Layer]) -> Branch:
    """A branch of one layer, which has the prefix for its name, or of a list of layers."""
    if isinstance(layers, Layer):
        return Branch(name, (layers,), (prefix,))
    return Branch(name, tuple(layers), tuple(f"{prefix}.{i}" for i in range(len(layers))))

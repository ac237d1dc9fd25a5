"""Layers, and sequences of layers, bound to an input shape."""

from collections.abc import Iterable, Sequence
from dataclasses import is_dataclass
from math import lcm, prod

import numpy as np

from skcnn.layers._layer import Layer, Shape
from skcnn.layers.memory import Plan

LARGEST = np.iinfo(np.intp).max // np.dtype(np.float64).itemsize
"""Largest size of an array."""


class BoundLayer:
    """A layer, bound to an input shape.

    The layers inside a composite layer are bound with it. Whoever needs their
    shapes goes from one bound layer to the next, so that no layer is asked twice,
    however deep it is nested.

    Parameters
    ----------
    layer : Layer
    input_shape : tuple of int
        Shape of one sample.

    Attributes
    ----------
    branches : tuple of Chain
        The branches of a composite layer.
    output_shape : tuple of int
    param_shapes, state_shapes, constant_shapes : dict
        Name and shape of the arrays that are trained, of those that are learned
        without a gradient, and of those that training leaves as they are.
    multiply_adds : int
        Multiply-adds of the matrix products in the forward pass of one sample.
    """

    def __init__(self, layer: Layer, input_shape: Shape) -> None:
        self.layer, self.input_shape = layer, input_shape
        inner = layer.inner
        self.branches = tuple(Chain(branch.layers, input_shape, branch.name) for branch in inner)
        if not inner:
            self.output_shape = layer.output_shape(input_shape)
            self.param_shapes = layer.param_shapes(input_shape)
            self.state_shapes = layer.state_shapes(input_shape)
            self.constant_shapes = layer.constant_shapes(input_shape)
            self.multiply_adds = layer.multiply_adds(input_shape)
            return
        outputs = [chain.shapes[-1] for chain in self.branches]
        self.output_shape = layer.join_shapes(input_shape, outputs)
        named = [
            pair
            for branch, chain in zip(inner, self.branches, strict=True)
            for pair in zip(branch.names, chain.bound, strict=True)
        ]
        self.param_shapes = _prefixed((name, bound.param_shapes) for name, bound in named)
        self.state_shapes = _prefixed((name, bound.state_shapes) for name, bound in named)
        self.constant_shapes = _prefixed((name, bound.constant_shapes) for name, bound in named)
        if not layer.trains:
            self.constant_shapes = self.param_shapes | self.state_shapes | self.constant_shapes
            self.param_shapes, self.state_shapes = {}, {}
        self.multiply_adds = sum(chain.multiply_adds for chain in self.branches)


def _prefixed(named: Iterable[tuple[str, dict[str, Shape]]]) -> dict[str, Shape]:
    """Return the shapes of the arrays of several layers, with the layers' names as prefixes."""
    return {f"{name}.{own}": shape for name, shapes in named for own, shape in shapes.items()}


class Chain:
    """A sequence of layers, bound to an input shape.

    Parameters
    ----------
    layers : sequence of Layer
        From input to output.
    input_shape : tuple of int
        Shape of one sample.
    name : str, default="layers"
        Name of the layers in error messages.

    Attributes
    ----------
    shapes : tuple of tuple of int
        Shape of one sample before each layer, and after the last.
    bound : tuple of BoundLayer
        The layers with their shapes.
    steps : tuple of BoundLayer
        The layers in the order in which they run: a rectifier before a
        max-pooling runs after it, on fewer numbers. Outputs and gradients are
        the same.
    multiply_adds : int
        Multiply-adds of the matrix products in the forward pass of one sample.
    samples_together : int
        Micro-batches hold a multiple of this many samples.
    draws : bool
        Whether any layer draws random numbers in training.

    Raises
    ------
    ValueError
        If something is not a layer, or a hyperparameter of a layer is not
        allowed or does not fit the output of the layer before it.
    """

    def __init__(self, layers: Sequence[Layer], input_shape: Shape, name: str = "layers") -> None:
        self.layers = tuple(layers)
        _check_size(input_shape)
        self.input_shape, shape = input_shape, input_shape
        bound: list[BoundLayer] = []
        for i, layer in enumerate(self.layers):
            if not isinstance(layer, Layer):
                raise ValueError(
                    f"{name}[{i}] must be an instance from skcnn.layers, got {layer!r}."
                )
            if not is_dataclass(layer):
                raise ValueError(
                    f"{name}[{i}]: a layer of your own must be a dataclass, but "
                    f"{type(layer).__name__} is not decorated with @dataclass(frozen=True)."
                )
            try:
                bound.append(BoundLayer(layer, shape))
                shape = bound[-1].output_shape
                _check_size(shape)
            except ValueError as error:
                raise ValueError(f"{name}[{i}] = {layer!r}: {error}") from None
        self.bound = tuple(bound)
        self.shapes = (input_shape, *(layer.output_shape for layer in bound))
        self.steps = _pools_first(self.bound)
        self.multiply_adds = sum(layer.multiply_adds for layer in bound)
        self.samples_together = lcm(*(layer.samples_together for layer in self.layers))
        self.draws = any(layer.draws for layer in self.layers)

    def plan(
        self, dtype: np.dtype, backward: bool, input_gradient: bool, borrowed: bool = False
    ) -> Plan:
        """Plan the memory of its arrays; the parameters are those of `Plan`."""
        return Plan(self.steps, self.input_shape, dtype, backward, input_gradient, borrowed)

    def nbytes_of_layers(self, plan: Plan) -> list[int]:
        """Bytes that the output and the scratch arrays of each layer take for one sample.

        Their sum is not the total: layers share memory, and the input and the
        gradients are not included.
        """
        left = list(zip(self.steps, plan.nbytes_of_steps(), strict=True))
        found = []
        for layer in self.layers:
            i = next(i for i, (step, _) in enumerate(left) if step.layer is layer)
            found.append(left.pop(i)[1])
        return found


def _pools_first(bound: tuple[BoundLayer, ...]) -> tuple[BoundLayer, ...]:
    """Swap each rectifier with a max-pooling that follows it: max(relu(x)) = relu(max(x)).

    Where a window has a positive pixel, both orders pick the same one; where it
    has none, both outputs and all gradients are 0. Neither layer has
    parameters, so that the numbering of the parameters stays the same.
    """
    steps = list(bound)
    for i in range(len(steps) - 1):
        first, second = steps[i].layer, steps[i + 1].layer
        if first.rectifies and second.takes_maximum:
            steps[i] = BoundLayer(second, steps[i].input_shape)
            steps[i + 1] = BoundLayer(first, steps[i].output_shape)
    return tuple(steps)


def _check_size(shape: Shape) -> None:
    """Raise ``ValueError`` if no array can have this shape."""
    if prod(shape) > LARGEST:
        raise ValueError(f"NumPy has no arrays as large as {shape}.")

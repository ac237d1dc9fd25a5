"""A sequence of layers, bound to an input shape."""

from collections.abc import Sequence
from dataclasses import is_dataclass
from math import lcm, prod

import numpy as np

from skcnn.layers._layer import Layer, Shape
from skcnn.layers.memory import Plan

LARGEST = np.iinfo(np.intp).max // np.dtype(np.float64).itemsize
"""Largest size of an array."""


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
    steps : tuple of Layer
        The layers in the order in which they run: a rectifier before a
        max-pooling runs after it, on fewer numbers. Outputs and gradients are
        the same.
    step_shapes : tuple of tuple of int
        Shape of one sample before each step, and after the last.
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
        shapes = [input_shape]
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
                shapes.append(layer.output_shape(shapes[i]))
                _check_size(shapes[-1])
            except ValueError as error:
                raise ValueError(f"{name}[{i}] = {layer!r}: {error}") from None
        self.shapes = tuple(shapes)
        self.steps = _pools_first(self.layers)
        self.step_shapes = self.shapes
        if self.steps != self.layers:
            self.step_shapes = _shapes(self.steps, input_shape)
        self.multiply_adds = sum(
            layer.multiply_adds(shape) for layer, shape in zip(self.layers, shapes, strict=False)
        )
        self.samples_together = lcm(*(layer.samples_together for layer in self.layers))
        self.draws = any(layer.draws for layer in self.layers)

    def plan(
        self, dtype: np.dtype, backward: bool, input_gradient: bool, borrowed: bool = False
    ) -> Plan:
        """Plan the memory of the arrays; the parameters are those of `Plan`."""
        return Plan(self.steps, self.step_shapes, dtype, backward, input_gradient, borrowed)

    def nbytes_of_layers(self, plan: Plan) -> list[int]:
        """Bytes that the output and the scratch arrays of each layer take for one sample.

        Their sum is not the total: layers share memory, and the input and the
        gradients are not included.
        """
        left = list(zip(self.steps, plan.nbytes_of_steps(), strict=True))
        found = []
        for layer in self.layers:
            i = next(i for i, (step, _) in enumerate(left) if step is layer)
            found.append(left.pop(i)[1])
        return found


def _pools_first(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """Swap each rectifier with a max-pooling that follows it: max(relu(x)) = relu(max(x)).

    Where a window has a positive pixel, both orders pick the same one; where it
    has none, both outputs and all gradients are 0. Neither layer has
    parameters, so that the numbering of the parameters stays the same.
    """
    steps = list(layers)
    for i in range(len(steps) - 1):
        if steps[i].rectifies and steps[i + 1].takes_maximum:
            steps[i], steps[i + 1] = steps[i + 1], steps[i]
    return tuple(steps)


def _shapes(layers: Sequence[Layer], input_shape: Shape) -> tuple[Shape, ...]:
    shapes = [input_shape]
    for layer in layers:
        shapes.append(layer.output_shape(shapes[-1]))
    return tuple(shapes)


def _check_size(shape: Shape) -> None:
    """Raise ``ValueError`` if no array can have this shape."""
    if prod(shape) > LARGEST:
        raise ValueError(f"NumPy has no arrays as large as {shape}.")

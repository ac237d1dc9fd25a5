"""Activations: one number in, one number out."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from skcnn.layers._layer import Layer, Scratch, Shape


class _Activation(Layer):
    """The shape stays, and the output may be written over the input."""

    reads_y: ClassVar[bool] = True
    writes: ClassVar[Literal["new", "over_x", "view"]] = "over_x"

    def output_shape(self, input_shape: Shape) -> Shape:
        return input_shape


@dataclass(frozen=True, repr=False)
class ReLU(_Activation):
    """Rectifier, ``y = max(x, 0)``."""

    rectifies: ClassVar[bool] = True

    def scratch(self, input_shape: Shape) -> dict[str, Scratch]:
        return {"positive": Scratch(input_shape, bool, kept=False)}

    def forward(self, x, y, params, scratch, training, rng):
        """``y = max(x, 0)``."""
        np.maximum(x, 0, out=y)

    def backward(self, dx, dy, x, y, params, grads, scratch):
        """``dx = dy`` where ``y > 0``, else 0."""
        positive = np.greater(y, 0, out=scratch["positive"])
        np.multiply(dy, positive, out=dx)


@dataclass(frozen=True, repr=False)
class Tanh(_Activation):
    """Hyperbolic tangent, ``y = tanh(x)``."""

    def scratch(self, input_shape: Shape) -> dict[str, Scratch]:
        return {"slope": Scratch(input_shape, kept=False)}

    def forward(self, x, y, params, scratch, training, rng):
        """``y = tanh(x)``."""
        np.tanh(x, out=y)

    def backward(self, dx, dy, x, y, params, grads, scratch):
        """``dx = dy (1 - y²)``."""
        slope = np.multiply(y, y, out=scratch["slope"])
        np.subtract(1, slope, out=slope)
        np.multiply(dy, slope, out=dx)


@dataclass(frozen=True, repr=False)
class Sigmoid(_Activation):
    """Logistic function, ``y = 1 / (1 + exp(-x))``."""

    def scratch(self, input_shape: Shape) -> dict[str, Scratch]:
        return {"slope": Scratch(input_shape, kept=False)}

    def forward(self, x, y, params, scratch, training, rng):
        """``y = (1 + tanh(x / 2)) / 2``, the same function without overflow."""
        np.multiply(x, 0.5, out=y)
        np.tanh(y, out=y)
        y += 1
        y *= 0.5

    def backward(self, dx, dy, x, y, params, grads, scratch):
        """``dx = dy y (1 - y)``."""
        slope = np.subtract(1, y, out=scratch["slope"])
        slope *= y
        np.multiply(dy, slope, out=dx)

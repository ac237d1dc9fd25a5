"""The fully connected layer, and the flattening before it."""

from dataclasses import dataclass
from math import prod
from typing import ClassVar, Literal

import numpy as np

from skcnn._hyperparameters import check_bool, check_int
from skcnn.initializers import He, Initializer
from skcnn.layers._layer import Layer, Params, Shape
from skcnn.layers.windows import Windows


@dataclass(frozen=True, repr=False, eq=False)
class Flatten(Layer):
    """Turns an image into one vector, ``(C, H, W)`` into ``(C·H·W,)``.

    Examples
    --------
    >>> Flatten().output_shape((16, 5, 5))
    (400,)
    """

    writes: ClassVar[Literal["new", "over_x", "view"]] = "view"

    def output_shape(self, input_shape: Shape) -> Shape:
        return (prod(input_shape),)

    def forward(self, x, y, params, scratch, training, rng):
        """``y`` is ``x`` in another shape: the same memory, nothing to compute."""

    def backward(self, dx, dy, x, y, params, grads, scratch):
        """``dx`` is ``dy`` in the shape of ``x``: nothing to compute."""


@dataclass(frozen=True, repr=False, eq=False)
class Dense(Layer):
    """Fully connected layer, ``y = W x + b``.

    Parameters
    ----------
    units : int
        Number of outputs.
    bias : bool, default=True
        Whether a learned number is added to each output.
    initializer : Initializer, default=He()
        Initializer of the weights; biases start at 0.

    Examples
    --------
    >>> Dense(120).output_shape((400,))
    (120,)
    >>> Dense(120).param_shapes((400,))
    {'weight': (120, 400), 'bias': (120,)}
    """

    units: int
    bias: bool = True
    initializer: Initializer = He()

    reads_x: ClassVar[bool] = True

    def output_shape(self, input_shape: Shape) -> Shape:
        units = check_int("Dense", "units", self.units, 1)
        check_bool("Dense", "bias", self.bias)
        check_initializer("Dense", self.initializer)
        if len(input_shape) != 1:
            raise ValueError(
                f"Dense takes vectors (features,), but its input has shape {input_shape}; "
                "put Flatten() before it."
            )
        return (units,)

    def param_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        weight = (self.units, *input_shape)
        return {"weight": weight, "bias": (self.units,)} if self.bias else {"weight": weight}

    def init(self, params: Params, rng: np.random.Generator) -> None:
        self.initializer(params["weight"], rng)
        if self.bias:
            params["bias"][...] = 0

    def multiply_adds(self, input_shape: Shape) -> int:
        return self.units * prod(input_shape)

    def reach(self, input_shape: Shape) -> tuple[Windows, ...]:
        return (Windows(prod(input_shape), prod(input_shape)),)  # the same for all units

    def forward(self, x, y, params, scratch, training, rng):
        """``y = W x + b`` for every column."""
        np.matmul(params["weight"], x, out=y)  # (units, inputs) @ (inputs, n)
        if self.bias:
            y += params["bias"][:, np.newaxis]

    def backward(self, dx, dy, x, y, params, grads, scratch):
        """``dW = dy xᵀ``, ``db = Σ dy``, ``dx = Wᵀ dy``."""
        if "weight" in grads:
            np.matmul(dy, x.T, out=grads["weight"])  # (units, n) @ (n, inputs)
        if "bias" in grads:
            np.add.reduce(dy, axis=1, out=grads["bias"])
        if dx is not None:
            np.matmul(params["weight"].T, dy, out=dx)  # (inputs, units) @ (units, n)


def check_initializer(caller: str, initializer: Initializer) -> None:
    """Raise ``ValueError`` unless `initializer` is one, with valid hyperparameters."""
    if not isinstance(initializer, Initializer):
        raise ValueError(
            f"{caller}: initializer must be an instance from skcnn.initializers, "
            f"got {initializer!r}."
        )
    initializer.check()

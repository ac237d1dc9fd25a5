"""Dropout."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from skcnn._hyperparameters import check_real
from skcnn.layers._layer import Layer, Scratch, Shape, Wanted


@dataclass(frozen=True, repr=False, eq=False)
class Dropout(Layer):
    """Sets each number to zero with probability `rate`, in training only.

    The others are scaled by ``1 / (1 - rate)``, so that nothing has to change
    at prediction ("inverted" dropout; Srivastava et al. 2014, section 10).

    Parameters
    ----------
    rate : float
        Probability of zero, in [0, 1).
    """

    rate: float

    writes: ClassVar[Literal["new", "over_x", "view"]] = "over_x"

    @property
    def draws(self) -> bool:
        return True

    def output_shape(self, input_shape: Shape) -> Shape:
        check_real("Dropout", "rate", self.rate, 0, 1)
        return input_shape

    def scratch(self, input_shape: Shape, dtype: np.dtype, backward: bool) -> Wanted:
        return {"factor": Scratch(input_shape, dtype) if backward else None}

    def forward(self, x, y, params, scratch, training, rng):
        """``y = r x``, with each ``r`` either 0 or ``1 / (1 - rate)``."""
        factor = scratch.factor
        if training and self.rate > 0:
            if factor is None:
                factor = np.empty_like(y)
            rng.random(out=factor, dtype=factor.dtype)
            np.multiply(factor >= self.rate, 1 / (1 - self.rate), out=factor)
            np.multiply(x, factor, out=y)
        else:
            if factor is not None:
                factor[...] = 1
            if y is not x:
                np.copyto(y, x)

    def backward(self, dx, dy, x, y, params, grads, scratch):
        """``dx = r dy``."""
        np.multiply(dy, scratch.factor, out=dx)

"""Noise: in training, something random is added to every number."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from skcnn._hyperparameters import check_real
from skcnn.layers._layer import Layer, Scratch, Shape, Wanted


@dataclass(frozen=True, repr=False, eq=False)
class GaussianNoise(Layer):
    """Adds Gaussian noise to each number, in training only.

    Parameters
    ----------
    std : float
        Standard deviation of the noise, at least 0. After the estimators'
        scaling of the input, 1 is that of the channel.

    Examples
    --------
    >>> GaussianNoise(0.1).output_shape((6, 1, 130))
    (6, 1, 130)
    """

    std: float

    writes: ClassVar[Literal["new", "over_x", "view"]] = "over_x"

    @property
    def draws(self) -> bool:
        return True

    def output_shape(self, input_shape: Shape) -> Shape:
        check_real("GaussianNoise", "std", self.std, 0)
        return input_shape

    def scratch(self, input_shape: Shape, dtype: np.dtype, backward: bool) -> Wanted:
        return {"noise": Scratch(input_shape, dtype, kept=False)}

    def forward(self, x, y, params, scratch, training, rng):
        """``y = x + r``, with each ``r`` drawn from a normal distribution of mean 0."""
        if training:
            noise = rng.standard_normal(out=scratch.noise, dtype=x.dtype)
            noise *= self.std
            np.add(x, noise, out=y)
        elif y is not x:
            np.copyto(y, x)

    def backward(self, dx, dy, x, y, params, grads, scratch):
        """``dx = dy``, as the noise does not depend on ``x``."""
        if dx is not dy:
            np.copyto(dx, dy)

"""Normalization by the neighbouring channels at the same place."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from skcnn._hyperparameters import check_int, check_real
from skcnn.layers._layer import Layer, Scratch, Shape, Wanted, image_shape


@dataclass(frozen=True, repr=False, eq=False)
class LocalResponseNorm(Layer):
    """Divides each pixel by the strength of its own and the neighbouring channels.

    ``y[c] = x[c] / (k + α Σ x[c']²)^β`` over all ``c'`` with
    ``|c' - c| ≤ size / 2`` that exist. This is the formula of Krizhevsky,
    Sutskever & Hinton (2012), "ImageNet classification with deep convolutional
    neural networks", section 3.3, with the defaults given there; ``α`` is not
    divided by `size`, unlike in some libraries.

    Parameters
    ----------
    size : int, default=5
        Number of channels in the sum: as in the paper, ``floor(size / 2)`` on
        either side and the channel itself, so that an even `size` includes one
        more.
    alpha : float, default=1e-4
        Weight of the sum, at least 0.
    beta : float, default=0.75
        Exponent, at least 0.
    k : float, default=2.0
        Constant that is added to the sum, above 0.

    Examples
    --------
    >>> LocalResponseNorm().output_shape((96, 55, 55))
    (96, 55, 55)
    """

    size: int = 5
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 2.0

    reads_x: ClassVar[bool] = True

    def output_shape(self, input_shape: Shape) -> Shape:
        check_int("LocalResponseNorm", "size", self.size, 1)
        check_real("LocalResponseNorm", "alpha", self.alpha, 0)
        check_real("LocalResponseNorm", "beta", self.beta, 0)
        check_real("LocalResponseNorm", "k", self.k, 0, bounds="()")
        return image_shape(self, input_shape)

    def scratch(self, input_shape: Shape, dtype: np.dtype, backward: bool) -> Wanted:
        return {
            "base": Scratch(input_shape, dtype),
            "power": Scratch(input_shape, dtype) if backward else None,
            "term": Scratch(input_shape, dtype, kept=False),
            "total": Scratch(input_shape, dtype, kept=False) if backward else None,
        }

    def forward(self, x, y, params, scratch, training, rng):
        """``y[c] = x[c] b[c]^-β``, with the base ``b[c] = k + α Σ x[c']²``."""
        squares = np.multiply(x, x, out=scratch.term)
        base = _sum_neighbours(squares, self.size // 2, scratch.base)
        base *= float(self.alpha)
        base += float(self.k)
        power = y if scratch.power is None else scratch.power
        _negative_power(base, float(self.beta), power, scratch.term)
        np.multiply(x, power, out=y)

    def backward(self, dx, dy, x, y, params, grads, scratch):
        """``dx[c] = dy[c] b[c]^-β - 2 α β x[c] Σ dy[c'] x[c'] b[c']^-(β + 1)``.

        ``c`` is among the neighbours of ``c'`` just as ``c'`` is among those of
        ``c``, so that this is the same sum.
        """
        dy *= scratch.power
        term = np.multiply(dy, x, out=scratch.term)
        term /= scratch.base
        total = _sum_neighbours(term, self.size // 2, scratch.total)
        total *= x
        total *= -2 * float(self.alpha) * float(self.beta)
        np.add(dy, total, out=dx)


def _negative_power(base: np.ndarray, beta: float, out: np.ndarray, term: np.ndarray) -> None:
    """``out = base^-β``; the paper's ``β = 3/4`` by two roots, which are faster."""
    if beta != 0.75:
        np.power(base, -beta, out=out)
        return
    np.sqrt(base, out=out)
    np.sqrt(out, out=term)
    out *= term
    np.divide(1, out, out=out)


def _sum_neighbours(terms: np.ndarray, reach: int, total: np.ndarray) -> np.ndarray:
    """``total[c] = Σ terms[c']`` over the channels with ``|c' - c| ≤ reach``."""
    np.copyto(total, terms)
    for d in range(1, min(reach, len(terms) - 1) + 1):
        total[d:] += terms[:-d]
        total[:-d] += terms[d:]
    return total

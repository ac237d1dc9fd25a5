"""Activations: a nonlinear function of every number, or of all channels of a pixel."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from skcnn._hyperparameters import check_real
from skcnn.layers._layer import Layer, Scratch, Shape, Wanted


class _Activation(Layer):
    """Base class of activations, which keep the shape and may overwrite their input."""

    reads_y: ClassVar[bool] = True
    writes: ClassVar[Literal["new", "over_x", "view"]] = "over_x"

    def output_shape(self, input_shape: Shape) -> Shape:
        return input_shape


@dataclass(frozen=True, repr=False, eq=False)
class ReLU(_Activation):
    """Rectifier, ``y = max(x, 0)``."""

    rectifies: ClassVar[bool] = True

    def scratch(self, input_shape: Shape, dtype: np.dtype, backward: bool) -> Wanted:
        return {
            "zeros": Scratch(input_shape, dtype, kept=False),
            "positive": Scratch(input_shape, bool, kept=False) if backward else None,
        }

    def forward(self, x, y, params, scratch, training, rng):
        """``y = max(x, 0)``."""
        scratch.zeros[...] = 0  # `maximum` with a number takes three times as long
        np.maximum(x, scratch.zeros, out=y)

    def backward(self, dx, dy, x, y, params, grads, scratch):
        """``dx = dy`` where ``y > 0``, else 0."""
        positive = np.greater(y, 0, out=scratch.positive)
        np.multiply(dy, positive, out=dx)


@dataclass(frozen=True, repr=False, eq=False)
class LeakyReLU(_Activation):
    """Rectifier that lets a part of negative inputs through, ``y = max(x, a x)``.

    Maas, Hannun & Ng (2013), "Rectifier nonlinearities improve neural network
    acoustic models", section 2.

    Parameters
    ----------
    negative_slope : float, default=0.01
        The slope ``a`` below 0, in [0, 1).

    Examples
    --------
    >>> LeakyReLU(0.1).output_shape((6, 28, 28))
    (6, 28, 28)
    """

    negative_slope: float = 0.01

    def output_shape(self, input_shape: Shape) -> Shape:
        check_real("LeakyReLU", "negative_slope", self.negative_slope, 0, 1)
        return input_shape

    def scratch(self, input_shape: Shape, dtype: np.dtype, backward: bool) -> Wanted:
        return {"slope": Scratch(input_shape, dtype, kept=False)}

    def forward(self, x, y, params, scratch, training, rng):
        """``y = max(x, a x)``, with ``a`` below 1."""
        leak = np.multiply(x, float(self.negative_slope), out=scratch.slope)
        np.maximum(x, leak, out=y)

    def backward(self, dx, dy, x, y, params, grads, scratch):
        """``dx = dy`` where ``y > 0``, else ``a dy``."""
        slope = np.greater(y, 0, out=scratch.slope)  # as numbers, 1 or 0
        np.maximum(slope, float(self.negative_slope), out=slope)
        np.multiply(dy, slope, out=dx)


@dataclass(frozen=True, repr=False, eq=False)
class ELU(_Activation):
    """Exponential linear unit, ``y = x`` above 0 and ``α (exp(x) - 1)`` below.

    Clevert, Unterthiner & Hochreiter (2016), "Fast and accurate deep network
    learning by exponential linear units (ELUs)", equation 15.

    Parameters
    ----------
    alpha : float, default=1.0
        Very negative inputs become ``-alpha``; above 0.

    Examples
    --------
    >>> ELU().output_shape((6, 28, 28))
    (6, 28, 28)
    """

    alpha: float = 1.0

    def output_shape(self, input_shape: Shape) -> Shape:
        check_real("ELU", "alpha", self.alpha, 0, bounds="()")
        return input_shape

    def scratch(self, input_shape: Shape, dtype: np.dtype, backward: bool) -> Wanted:
        room = Scratch(input_shape, dtype, kept=False)
        return {"below": room, "above": room if self.alpha != 1 else None}

    def forward(self, x, y, params, scratch, training, rng):
        """``y = max(x, 0) + α (exp(min(x, 0)) - 1)``; one of the two is 0."""
        below = np.minimum(x, 0, out=scratch.below)
        np.expm1(below, out=below)
        below *= float(self.alpha)
        np.maximum(x, 0, out=y)
        y += below

    def backward(self, dx, dy, x, y, params, grads, scratch):
        """``dx = dy`` where ``y > 0``, else ``(y + α) dy``."""
        alpha = float(self.alpha)
        slope = np.minimum(y, 0, out=scratch.below)
        slope += alpha  # α where y > 0
        if alpha != 1:
            above = np.greater(y, 0, out=scratch.above)  # as numbers, 1 or 0
            above *= 1 - alpha
            slope += above
        np.multiply(dy, slope, out=dx)


@dataclass(frozen=True, repr=False, eq=False)
class Tanh(_Activation):
    """Hyperbolic tangent, ``y = tanh(x)``."""

    def scratch(self, input_shape: Shape, dtype: np.dtype, backward: bool) -> Wanted:
        return {"slope": Scratch(input_shape, dtype, kept=False)}

    def forward(self, x, y, params, scratch, training, rng):
        """``y = tanh(x)``."""
        np.tanh(x, out=y)

    def backward(self, dx, dy, x, y, params, grads, scratch):
        """``dx = dy (1 - y²)``."""
        slope = np.multiply(y, y, out=scratch.slope)
        np.subtract(1, slope, out=slope)
        np.multiply(dy, slope, out=dx)


@dataclass(frozen=True, repr=False, eq=False)
class Sigmoid(_Activation):
    """Logistic function, ``y = 1 / (1 + exp(-x))``."""

    def scratch(self, input_shape: Shape, dtype: np.dtype, backward: bool) -> Wanted:
        return {"slope": Scratch(input_shape, dtype, kept=False)}

    def forward(self, x, y, params, scratch, training, rng):
        """``y = (1 + tanh(x / 2)) / 2``, the same function without overflow."""
        np.multiply(x, 0.5, out=y)
        np.tanh(y, out=y)
        y += 1
        y *= 0.5

    def backward(self, dx, dy, x, y, params, grads, scratch):
        """``dx = dy y (1 - y)``."""
        slope = np.subtract(1, y, out=scratch.slope)
        slope *= y
        np.multiply(dy, slope, out=dx)


@dataclass(frozen=True, repr=False, eq=False)
class GELU(_Activation):
    """Gaussian error linear unit, ``y = x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2``.

    This is the approximation of ``x Φ(x)`` by Hendrycks & Gimpel (2016),
    "Gaussian error linear units (GELUs)", section 2, with ``Φ`` the normal
    distribution function (NumPy has no ``erf``). It differs from ``x Φ(x)`` by
    less than 0.0005.

    Examples
    --------
    >>> GELU().output_shape((6, 28, 28))
    (6, 28, 28)
    """

    reads_y: ClassVar[bool] = False

    def scratch(self, input_shape: Shape, dtype: np.dtype, backward: bool) -> Wanted:
        return {
            "slope": Scratch(input_shape, dtype) if backward else None,
            "clipped": Scratch(input_shape, dtype, kept=False),
            "gate": Scratch(input_shape, dtype, kept=False),
        }

    def forward(self, x, y, params, scratch, training, rng):
        """``y = x g``, with the gate ``g = (1 + tanh(u)) / 2``, ``u = a x + b x³``.

        The slope is ``g + x g'``, with ``g' = 2 g (1 - g) (a + 3 b x²)``. From
        ``|x| = 10`` on, ``g`` is 0 or 1 in any precision, so that larger ``x``
        can be clipped before they are cubed.
        """
        a = (2 / np.pi) ** 0.5
        b = 0.044715 * a
        z, slope = np.clip(x, -10, 10, out=scratch.clipped), scratch.slope
        gate = np.multiply(z, z, out=scratch.gate)
        if slope is not None:
            np.multiply(gate, 6 * b, out=slope)
            slope += 2 * a
            slope *= z  # 2 x (a + 3 b x²)
        gate *= b
        gate += a
        gate *= z
        np.tanh(gate, out=gate)
        gate += 1
        gate *= 0.5
        if slope is not None:
            np.subtract(1, gate, out=z)
            slope *= z
            slope += 1
            slope *= gate  # g (1 + 2 x (1 - g) (a + 3 b x²))
        np.multiply(x, gate, out=y)

    def backward(self, dx, dy, x, y, params, grads, scratch):
        """``dx = s dy``, with the slope ``s`` that `forward` kept: one ``tanh`` serves both."""
        np.multiply(dy, scratch.slope, out=dx)


@dataclass(frozen=True, repr=False, eq=False)
class SiLU(_Activation):
    """Sigmoid linear unit, ``y = x σ(x)`` with ``σ(x) = 1 / (1 + exp(-x))``.

    Elfwing, Uchibe & Doya (2018), "Sigmoid-weighted linear units for neural
    network function approximation in reinforcement learning", equations 6 and
    8; Ramachandran et al. (2017) call it Swish.

    Examples
    --------
    >>> SiLU().output_shape((6, 28, 28))
    (6, 28, 28)
    """

    reads_y: ClassVar[bool] = False

    def scratch(self, input_shape: Shape, dtype: np.dtype, backward: bool) -> Wanted:
        return {
            "slope": Scratch(input_shape, dtype) if backward else None,
            "gate": Scratch(input_shape, dtype, kept=False),
        }

    def forward(self, x, y, params, scratch, training, rng):
        """``y = x σ(x)``, with the slope ``σ (1 + x (1 - σ))``."""
        gate, slope = np.multiply(x, 0.5, out=scratch.gate), scratch.slope
        np.tanh(gate, out=gate)
        gate += 1
        gate *= 0.5  # σ(x) = (1 + tanh(x / 2)) / 2
        if slope is not None:
            np.subtract(1, gate, out=slope)
            slope *= x
            slope += 1
            slope *= gate
        np.multiply(x, gate, out=y)

    def backward(self, dx, dy, x, y, params, grads, scratch):
        """``dx = s dy``, with the slope ``s`` that `forward` kept: one ``tanh`` serves both."""
        np.multiply(dy, scratch.slope, out=dx)


@dataclass(frozen=True, repr=False, eq=False)
class Softmax(_Activation):
    """Positive numbers that sum to 1, ``y[i] = exp(x[i]) / Σ exp(x[j])``.

    The sum is over the features of a vector, or over the channels of an image
    at each pixel. (`ScratchCNNClassifier` needs none after its output layer:
    its loss and ``predict_proba`` contain one.)

    Examples
    --------
    >>> import numpy as np
    >>> from skcnn.network import Network
    >>> network = Network([Softmax()], (2,), np.float64)
    >>> network.forward(np.log([[3.0, 1.0]]), np.zeros(0)).round(6).tolist()
    [[0.75, 0.25]]
    """

    def scratch(self, input_shape: Shape, dtype: np.dtype, backward: bool) -> Wanted:
        return {
            "product": Scratch(input_shape, dtype, kept=False),
            "sum": Scratch(input_shape[1:], dtype, kept=False),
        }

    def forward(self, x, y, params, scratch, training, rng):
        """``y[i] = exp(x[i] - max x) / Σ exp(x[j] - max x)``: nothing overflows."""
        total = np.maximum.reduce(x, axis=0, out=scratch.sum)
        np.subtract(x, total, out=y)
        np.exp(y, out=y)
        np.add.reduce(y, axis=0, out=total)
        y /= total

    def backward(self, dx, dy, x, y, params, grads, scratch):
        """``dx[i] = y[i] (dy[i] - Σ y[j] dy[j])``, the product with the Jacobian."""
        product = np.multiply(y, dy, out=scratch.product)
        total = np.add.reduce(product, axis=0, out=scratch.sum)
        np.subtract(dy, total, out=dx)
        dx *= y

"""Normalization of every sample by itself: layer and group normalization."""

from abc import abstractmethod
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar, Literal

import numpy as np

from skcnn._hyperparameters import check_int, check_real
from skcnn.layers._layer import Layer, Params, Scratch, Shape, Wanted
from skcnn.layers.batch_norm import sum_pixels
from skcnn.layers.windows import Windows


class _SampleNorm(Layer):
    """Mean 0 and variance 1 for groups of channels of each sample, then a scale and shift."""

    epsilon: float

    writes: ClassVar[Literal["new", "over_x", "view"]] = "over_x"

    @property
    def decayed(self) -> tuple[str, ...]:
        return ()

    @abstractmethod
    def _groups(self, channels: int) -> int:
        """Return the number of groups of this many channels or features, checked."""

    def output_shape(self, input_shape: Shape) -> Shape:
        check_real(type(self).__name__, "epsilon", self.epsilon, 0, bounds="()")
        self._groups(input_shape[0])
        return input_shape

    def param_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        return {"weight": input_shape[:1], "bias": input_shape[:1]}

    def init(self, params: Params, rng: np.random.Generator) -> None:
        params["weight"][...] = 1
        params["bias"][...] = 0

    def reach(self, input_shape: Shape) -> tuple[Windows, ...]:
        # every number depends on the moments, and these on all pixels
        return tuple(Windows(size, size) for size in input_shape[1:] or input_shape)

    def scratch(self, input_shape: Shape, dtype: np.dtype, backward: bool) -> Wanted:
        return {
            "centered": Scratch(input_shape, dtype) if backward else None,
            "product": Scratch(input_shape, dtype, kept=False),
        }

    def bind(self, x, y, dx, dy, sample_weight, scratch):
        return _Groups(self._groups(len(x)), x, y, dx, dy, scratch)

    def forward(self, x, y, params, groups, training, rng):
        """``y = γ (x - μ) / sqrt(σ² + ε) + β``, with the moments of each sample's groups.

        ``μ = Σ x / N`` and ``σ² = Σ (x - μ)² / N`` over the channels of a group
        and all their pixels, ``N`` numbers; ``γ`` and ``β`` belong to a channel.
        """
        gamma, beta = params["weight"][:, None, None], params["bias"][:, None, None]
        centered = groups.y if groups.centered is None else groups.centered  # (C, H·W, n)
        np.subtract(groups.x, groups.mean(groups.over_pixels(groups.x)), out=centered)
        squares = np.multiply(centered, centered, out=groups.product)
        variance = groups.mean(groups.over_pixels(squares))  # (C, 1, n)
        groups.inverse = 1 / np.sqrt(variance + self.epsilon)
        np.multiply(centered, gamma * groups.inverse, out=groups.y)
        groups.y += beta

    def backward(self, dx, dy, x, y, params, grads, groups):
        """``dβ = Σ dy``, ``dγ = Σ dy x̂``, ``dx = (γ dy - (Σ γ dy + x̂ Σ γ dy x̂) / N) / σ``.

        ``x̂ = (x - μ)/σ`` is the normalized input; the sums in ``dx`` run over
        the channels and pixels of a group, the others over pixels and samples.
        """
        centered, inverse = groups.centered, groups.inverse
        product = np.multiply(groups.dy, centered, out=groups.product)
        db = groups.over_pixels(groups.dy)  # (C, n)
        dg = groups.over_pixels(product) * inverse[:, 0]
        np.add.reduce(db, axis=1, out=grads["bias"])
        np.add.reduce(dg, axis=1, out=grads["weight"])
        if dx is None:
            return
        gamma = params["weight"][:, None]  # (C, 1)
        centered *= inverse * groups.mean(gamma * dg)
        centered += groups.mean(gamma * db)
        np.multiply(groups.dy, gamma[:, None], out=groups.dx)
        groups.dx -= centered
        groups.dx *= inverse


class _Groups:
    """The groups of channels of each sample of one batch, with the pixels on one axis.

    Attributes
    ----------
    x, y, dx, dy, centered, product : ndarray of shape (C, H·W, n) or None
    inverse : ndarray of shape (C, 1, n)
        ``1 / σ`` of the last forward pass.
    """

    def __init__(self, n_groups: int, x: Any, y: Any, dx: Any, dy: Any, scratch: Any) -> None:
        C, n = x.shape[0], x.shape[-1]
        pixels = prod(x.shape[1:-1])
        self.x, self.y, self.dx, self.dy, self.centered, self.product = (
            None if array is None else array.reshape(C, -1, n)
            for array in (x, y, dx, dy, scratch.centered, scratch.product)
        )
        self.inverse: Any = None
        self._of_groups, self._channels = (n_groups, -1, n), C // n_groups
        self._numbers = C // n_groups * pixels
        self._ones = np.ones(pixels, x.dtype)

    def over_pixels(self, values: np.ndarray) -> np.ndarray:
        """Sum over the pixels, (C, H·W, n) to (C, n)."""
        return sum_pixels(values, self._ones)

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Turn sums over pixels into the mean of each channel's group, (C, n) to (C, 1, n)."""
        means = np.add.reduce(values.reshape(self._of_groups), axis=1) / self._numbers
        return np.repeat(means, self._channels, axis=0)[:, np.newaxis]


@dataclass(frozen=True, repr=False, eq=False)
class LayerNorm(_SampleNorm):
    """Mean 0 and variance 1 for all numbers of a sample, then a learned scale and shift.

    Scale and shift belong to a channel or feature. The moments are those of the
    sample itself, in training and at prediction, so that neither the size of a
    batch nor the weights of other samples matter (Ba, Kiros & Hinton 2016,
    *Layer normalization*). On vectors it is PyTorch's ``nn.LayerNorm(features)``,
    on images ``nn.GroupNorm(1, channels)``.

    Parameters
    ----------
    epsilon : float, default=1e-5
        Added to the variance, positive.

    Examples
    --------
    >>> LayerNorm().param_shapes((16, 14, 14))
    {'weight': (16,), 'bias': (16,)}
    """

    epsilon: float = 1e-5

    def _groups(self, channels: int) -> int:
        return 1


@dataclass(frozen=True, repr=False, eq=False)
class GroupNorm(_SampleNorm):
    """Mean 0 and variance 1 for groups of channels, then a learned scale and shift.

    The moments are those of a group of neighbouring channels or features in one
    sample (Wu & He 2018, *Group normalization*); scale and shift belong to a
    channel or feature. One group is `LayerNorm`, as many as channels are
    instance normalization.

    Parameters
    ----------
    n_groups : int
        Number of groups of equal size that the channels are divided into.
    epsilon : float, default=1e-5
        Added to the variance, positive.

    Examples
    --------
    >>> GroupNorm(4).param_shapes((16, 14, 14))
    {'weight': (16,), 'bias': (16,)}
    """

    n_groups: int
    epsilon: float = 1e-5

    def _groups(self, channels: int) -> int:
        groups = check_int("GroupNorm", "n_groups", self.n_groups, 1)
        if channels % groups:
            raise ValueError(
                f"GroupNorm: n_groups must divide the {channels} channels of the input, "
                f"got {groups}."
            )
        return groups

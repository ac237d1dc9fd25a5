"""Batch normalization."""

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar, Literal

import numpy as np

from skcnn._hyperparameters import check_int, check_real
from skcnn.layers._layer import Layer, Params, Scratch, Shape, Wanted

BLOCK_BYTES = 2**18
"""Bytes of the channels that are normalized together, so that they stay in the cache."""


@dataclass(frozen=True, repr=False, eq=False)
class BatchNorm(Layer):
    """Mean 0 and variance 1 for every channel or feature, then a learned scale and shift.

    In training the moments are those of a *ghost batch* of `ghost_size` samples
    (over all of their pixels), whatever the size of the mini-batch (Hoffer et
    al. 2017, *Train longer, generalize better*, algorithm 1), weighted by
    sample. The last ghost batch may be smaller; a single remaining sample joins
    the one before, even if it would be a mini-batch of its own.
    At prediction, the running moments are used (Ioffe & Szegedy 2015). Their
    variance is the biased one, so that within a ghost batch a weight of 2 is
    the same as a sample that occurs twice.

    Parameters
    ----------
    ghost_size : int, default=32
        Samples that are normalized together, at least 1.
    momentum : float, default=0.9
        Fraction of the running moments that each mini-batch keeps, in [0, 1).
        The k-th mini-batch keeps at most ``1 - 1/k`` of them, so that they start
        as averages of all mini-batches.
    epsilon : float, default=1e-5
        Added to the variance, positive.

    Examples
    --------
    >>> BatchNorm().param_shapes((16, 14, 14))
    {'weight': (16,), 'bias': (16,)}
    >>> BatchNorm().state_shapes((16, 14, 14))
    {'running_mean': (16,), 'running_variance': (16,)}
    """

    ghost_size: int = 32
    momentum: float = 0.9
    epsilon: float = 1e-5

    writes: ClassVar[Literal["new", "over_x", "view"]] = "over_x"

    @property
    def decayed(self) -> tuple[str, ...]:
        return ()

    @property
    def samples_together(self) -> int:
        return self.ghost_size

    def output_shape(self, input_shape: Shape) -> Shape:
        check_int("BatchNorm", "ghost_size", self.ghost_size, 1)
        check_real("BatchNorm", "momentum", self.momentum, 0, 1)
        check_real("BatchNorm", "epsilon", self.epsilon, 0, bounds="()")
        return input_shape

    def param_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        return {"weight": input_shape[:1], "bias": input_shape[:1]}

    def state_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        return {"running_mean": input_shape[:1], "running_variance": input_shape[:1]}

    @property
    def state_rates(self) -> dict[str, float]:
        return dict.fromkeys(("running_mean", "running_variance"), 1 - self.momentum)

    def init(self, params: Params, rng: np.random.Generator) -> None:
        params["weight"][...] = params["running_variance"][...] = 1
        params["bias"][...] = params["running_mean"][...] = 0

    def scratch(self, input_shape: Shape, dtype: np.dtype, backward: bool) -> Wanted:
        return {
            "centered": Scratch(input_shape, dtype) if backward else None,
            "product": Scratch(input_shape, dtype, kept=False) if backward else None,
        }

    def bind(self, x, y, dx, dy, sample_weight, scratch):
        ghosts = _GhostBatches(self.ghost_size, sample_weight, x)
        arrays = x, y, dx, dy, scratch.centered, scratch.product
        step = max(1, BLOCK_BYTES // x[0].nbytes)
        return ghosts, [_Block(slice(c, c + step), arrays) for c in range(0, len(x), step)]

    def forward(self, x, y, params, bound, training, rng):
        """``y = γ (x - μ) / sqrt(σ² + ε) + β``, with the moments of each ghost batch.

        ``μ = Σ w x / Σ w`` and ``σ² = Σ w (x - μ)² / Σ w``, where ``w`` is a
        sample's weight, the same for all its pixels. (If all weights of a ghost
        batch are 0, they are taken as 1 here; nothing is learned from it.)
        Without `training`, the running moments are used.
        """
        ghosts, blocks = bound
        ghosts.alike = False
        if training:
            ghosts.read()
        for block in blocks:
            c = block.channels
            gamma, beta = params["weight"][c, None, None], params["bias"][c, None, None]
            if training:
                centered = np.empty_like(block.x) if block.centered is None else block.centered
                mean = ghosts.mean(ghosts.over_pixels(block.x))  # (C, ghosts)
                np.subtract(block.x, ghosts.spread(mean), out=centered)
                squares = ghosts.products_over_pixels(centered, centered, block.y)
                variance = ghosts.mean(squares)
                block.moments = mean, variance
                inverse = ghosts.spread(1 / np.sqrt(variance + self.epsilon))
            else:
                centered = block.y if block.centered is None else block.centered
                np.subtract(block.x, params["running_mean"][c, None, None], out=centered)
                variance = np.maximum(params["running_variance"][c], 0)[:, None, None]
                block.moments, inverse = None, 1 / np.sqrt(variance + self.epsilon)
            block.inverse = inverse = inverse.astype(x.dtype, copy=False)
            np.multiply(centered, gamma * inverse, out=block.y)
            block.y += beta

    def backward(self, dx, dy, x, y, params, grads, bound):
        """``dβ = Σ dy``, ``dγ = Σ dy x̂``, ``dx = γ/σ (dy - w (Σ dy + x̂ Σ dy x̂) / Σ w)``.

        ``x̂ = (x - μ)/σ`` is the normalized input; the sums in ``dx`` run over
        a ghost batch and its pixels. The moments depend on ``x`` in training
        only; otherwise ``dx = γ/σ dy``. The running moments have no gradient:
        its place is taken by their distance from the moments of each ghost batch,
        times its weight.
        """
        ghosts, blocks = bound
        for block in blocks:
            c, centered, inverse = block.channels, block.centered, block.inverse
            gamma = params["weight"][c, None, None]
            if not grads:  # frozen, with the running moments
                if dx is not None:
                    np.multiply(block.dy, gamma * inverse, out=block.dx)
                continue
            db = ghosts.over_pixels(block.dy)  # (C, n), or (C, 1) if all are alike
            dg = ghosts.products_over_pixels(block.dy, centered, block.product) * inverse[:, 0]
            np.add.reduce(db, axis=1, out=grads["bias"][c])
            np.add.reduce(dg, axis=1, out=grads["weight"][c])
            grads["running_mean"][c] = grads["running_variance"][c] = 0
            if block.moments is not None:
                mean, variance = block.moments
                for name, moment in (("running_mean", mean), ("running_variance", variance)):
                    np.dot(params[name][c, None] - moment, ghosts.weight, out=grads[name][c])
            if dx is None:
                continue
            d_centered = block.dy
            if block.moments is not None:
                w, numbers = ghosts.w, ghosts.numbers
                centered *= inverse * (w * ghosts.spread(ghosts.sums(dg) / numbers))
                centered += w * ghosts.spread(ghosts.sums(db) / numbers)
                d_centered = np.subtract(block.dy, centered, out=block.dx)
            np.multiply(d_centered, gamma * inverse, out=block.dx)


def sum_pixels(values: np.ndarray, ones: np.ndarray) -> np.ndarray:
    """Sums over the pixels, (C, H·W, n) to (C, n), as a product with ones, which is fastest."""
    return values[:, 0] if len(ones) == 1 else np.matmul(ones, values)


class _Block:
    """Some of the channels of one batch, with the pixels on one axis.

    Attributes
    ----------
    channels : slice
    x, y, dx, dy, centered, product : ndarray of shape (C, H·W, n) or None
    inverse : ndarray of shape (C, 1, n), or (C, 1, 1) if all are normalized together
        ``1 / σ`` of the last forward pass.
    moments : tuple of ndarray or None
        Mean and variance of each ghost batch, ``(C, ghosts)``; None for a pass
        without training.
    """

    def __init__(self, channels: slice, arrays: tuple[Any, ...]) -> None:
        self.channels = channels
        self.x, self.y, self.dx, self.dy, self.centered, self.product = (
            None if part is None else part.reshape(len(part), -1, part.shape[-1])
            for part in (None if array is None else array[channels] for array in arrays)
        )
        self.inverse: Any = None
        self.moments: Any = None


class _GhostBatches:
    """The ghost batches of one batch, and the weights of their samples.

    Sums over the samples of a ghost batch are weighted by them. If there is only one
    ghost batch, and its samples weigh the same, its samples are summed with the pixels.

    Attributes
    ----------
    weight : ndarray of shape (ghosts,)
        Total weight of each ghost batch.
    w : ndarray of shape (n,) or (1,)
        The weights of the samples, but 1 in ghost batches of total weight 0;
        one number if all are the same.
    numbers : ndarray of shape (ghosts,)
        Sum of ``w`` over the samples and pixels of each ghost batch.
    alike : bool
        Whether all samples are summed together.
    """

    def __init__(self, ghost_size: int, sample_weight: np.ndarray, x: np.ndarray) -> None:
        n = x.shape[-1]
        starts = list(range(0, n, ghost_size))
        if ghost_size > 1 and len(starts) > 1 and n - starts[-1] == 1:
            starts.pop()
        self._starts, self._sample_weight, self._pixels = starts, sample_weight, prod(x.shape[1:-1])
        self._ones = np.ones(self._pixels * n, x.dtype)
        self._ghost_of = np.repeat(np.arange(len(starts)), np.diff([*starts, n]))  # of a sample
        self.weight = self.w = self.numbers = sample_weight  # until `read`
        self.alike = False

    def read(self) -> None:
        """Read the weights of the samples, which differ from batch to batch."""
        self.weight = np.add.reduceat(self._sample_weight, self._starts)
        self.w = self._sample_weight
        if not self.weight.all():
            self.w = np.where(self.weight[self._ghost_of] > 0, self._sample_weight, 1)
            self.w = self.w.astype(self._sample_weight.dtype, copy=False)
        self.numbers = np.add.reduceat(self.w, self._starts) * self._pixels
        same = bool((self.w == self.w[0]).all())
        if same:
            self.w = self.w[:1]
        self.alike = same and len(self._starts) == 1

    def over_pixels(self, values: np.ndarray) -> np.ndarray:
        """Sums over the pixels, (C, H·W, n) to (C, n), or to (C, 1) over all samples."""
        if self.alike:
            return np.dot(values.reshape(len(values), -1), self._ones)[:, np.newaxis]
        return sum_pixels(values, self._ones[: self._pixels])

    def products_over_pixels(self, a: np.ndarray, b: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Sums of ``a * b`` as by `over_pixels`; `out` may be overwritten."""
        if self.alike:
            C = len(a)
            return np.matmul(a.reshape(C, 1, -1), b.reshape(C, -1, 1))[:, :, 0]
        return self.over_pixels(np.multiply(a, b, out=out))

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Means over ghost batches, from sums over the pixels, (C, n) to (C, ghosts)."""
        return self.sums(values * self.w) / self.numbers

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sums over the samples of each ghost batch, (C, n) to (C, ghosts)."""
        return values if self.alike else np.add.reduceat(values, self._starts, axis=1)

    def spread(self, values: np.ndarray) -> np.ndarray:
        """The value of each ghost batch at each of its samples, (C, ghosts) to (C, 1, n or 1)."""
        return values[:, None] if values.shape[1] == 1 else values[:, None, self._ghost_of]

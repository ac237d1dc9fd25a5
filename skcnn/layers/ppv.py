"""Pooling by the proportion of positions above a threshold."""

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np

from skcnn._hyperparameters import check_int, check_real
from skcnn.layers._layer import Layer, Params, Shape, image_shape
from skcnn.layers.training_rows import TrainingRows
from skcnn.layers.windows import Windows

BLOCK_BYTES = 2**19
"""Bytes of the ramps that are computed together, so that they stay in the cache."""

BUFFER = 256
"""Size of NumPy's buffer while thresholds are subtracted, which does not change the results.

What is broadcast over runs of up to half of a buffer is copied into it, and with the usual
size of 8,192 that takes longer than the subtraction.
"""

GOLDEN = (5**0.5 - 1) / 2
"""Step of the sequence of quantiles, which fills the interval evenly (Roberts 2018)."""

PLASTIC = 0.7548776662466927
"""Step of the sequence of rows."""

MEASURED = 16
"""Rows that the deviation of a channel is measured on."""

FLAT = 0.02
"""Least spread of a row, relative to its deviation: that of rows that rarely move."""

CONSTANT = 1e-3
"""Least width of a ramp, relative to the deviation of several rows together."""

ROUNDING = 1e-6
"""Least width of a ramp, relative to the largest number, where float32 tells no more apart."""


@dataclass(frozen=True, repr=False, eq=False)
class PPVPool(Layer):
    """Proportion of positive values, softened: which part of a channel lies above a threshold.

    The proportion of Dempster, Petitjean & Webb (2020), *ROCKET*, with a ramp
    in the place of the step, so that it has a gradient and does not jump. Each
    channel has several thresholds, which are quantiles of the channel in one
    of the training rows (Dempster, Schmidt & Webb 2021, *MiniRocket*); the
    ramp is as wide as a part of its spread in that row. Which row and which
    quantile follows from two sequences. Both are set before the first step and
    not trained; until then, all thresholds are 0 and ramps as wide as `ramp`.

    Parameters
    ----------
    thresholds : int, default=1
        Number of thresholds of each channel.
    ramp : float, default=0.5
        Width of the ramp in units of the spread, half of the distance between
        the quantiles 0.16 and 0.84.
    margin : int, default=0
        Number of positions at either end of the width that every other channel
        leaves out; none where nothing would be left. Beside padding, a
        convolution sees less.
    offset : int, default=0
        Number of the first channel in both sequences, so that layers beside one
        another have different quantiles of different rows.
    backward_ramp : float or None, default=None
        Width of the ramp in the backward pass, in the same units. A wide one
        lets it see more than the few positions that are on a narrow ramp. None
        is that of the forward pass, which gives the gradient.

    Examples
    --------
    >>> PPVPool(5).output_shape((84, 1, 150))
    (420,)
    >>> PPVPool(5).constant_shapes((84, 1, 150))
    {'scale': (84,), 'threshold': (84, 5)}
    """

    thresholds: int = 1
    ramp: float = 0.5
    margin: int = 0
    offset: int = 0
    backward_ramp: float | None = None

    reads_x: ClassVar[bool] = True

    @property
    def reads_rows(self) -> bool:
        return True

    def output_shape(self, input_shape: Shape) -> Shape:
        channels = image_shape(self, input_shape)[0]
        check_real("PPVPool", "ramp", self.ramp, 0, bounds="()")
        check_int("PPVPool", "margin", self.margin, 0)
        check_int("PPVPool", "offset", self.offset, 0)
        if self.backward_ramp is not None:
            check_real("PPVPool", "backward_ramp", self.backward_ramp, 0, bounds="()")
        return (channels * check_int("PPVPool", "thresholds", self.thresholds, 1),)

    def constant_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        channels = input_shape[0]
        return {"scale": (channels,), "threshold": (channels, self.thresholds)}

    def init(self, params: Params, rng: np.random.Generator) -> None:
        params["scale"][...] = 1 / self.ramp
        params["threshold"][...] = -0.5

    def init_from_rows(self, params: Params, rows: TrainingRows) -> None:
        channels = self.offset + np.arange(len(params["scale"]))
        fractions = (channels + 1) * PLASTIC % 1
        numbers = channels[:, np.newaxis] * self.thresholds + np.arange(self.thresholds)
        quantiles = (numbers + 1) * GOLDEN % 1
        order = np.argsort(fractions)
        chosen = rows.at(fractions[order])
        first = np.append(True, chosen[1:] != chosen[:-1])
        row_of = np.empty(len(order), int)
        row_of[order] = np.cumsum(first) - 1  # in `chosen[first]`
        spread = np.empty(len(channels))
        largest, centers = np.empty_like(spread), np.empty(quantiles.shape)
        for part, x in rows.batches(chosen[first]):
            own = np.flatnonzero((row_of >= part.start) & (row_of < part.stop))
            values = x.reshape(len(x), -1, x.shape[-1])[own, :, row_of[own] - part.start]
            values = np.sort(values.astype(np.float64), axis=1)
            spread[own], largest[own] = _spread(values), np.abs(values).max(axis=1)
            centers[own] = _quantiles(values, quantiles[own])
        width = np.maximum(self.ramp * spread, CONSTANT * _deviations(rows))
        width = np.maximum(width, ROUNDING * largest)
        width[width == 0] = self.ramp
        params["scale"][...] = 1 / width
        params["threshold"][...] = centers / width[:, np.newaxis] - 0.5

    def multiply_adds(self, input_shape: Shape) -> int:
        return prod(input_shape) * self.thresholds

    def reach(self, input_shape: Shape) -> tuple[Windows, ...]:
        return tuple(Windows(size, size) for size in input_shape[1:])

    def means(self, input_shape: Shape, dtype: Any) -> np.ndarray:
        """Weights of the positions in the mean of each channel, (channels or 1, H·W)."""
        C, H, W = input_shape
        first = np.full((H, W), 1 / (H * W), dtype)
        if not 0 < 2 * self.margin < W:
            return first.reshape(1, -1)
        second = np.zeros((H, W), dtype)
        inside = slice(self.margin, W - self.margin)
        second[:, inside] = 1 / (H * (W - 2 * self.margin))
        odd = (self.offset + np.arange(C)) % 2 == 1
        return np.where(odd[:, np.newaxis], second.ravel(), first.ravel())

    def bind(self, x, y, dx, dy, sample_weight, scratch):
        return _Ramps(self, x, y, dx, dy)

    def forward(self, x, y, params, ramps, training, rng):
        """``y[c, t] = Σ m[c, p] min(max(s[c] x[c, p] - θ[c, t], 0), 1)``.

        ``m`` are the weights of a mean, ``s`` the scale and ``θ`` the thresholds.
        """
        buffer = np.setbufsize(ramps.buffer)
        try:
            for c in ramps.blocks:
                heights = ramps.heights(c, params)
                np.clip(heights, 0, 1, out=heights)
                mean = ramps.mean[c if len(ramps.mean) > 1 else slice(1)]
                np.matmul(mean, heights, out=ramps.y[c])
        finally:
            np.setbufsize(buffer)

    def backward(self, dx, dy, x, y, params, grads, ramps):
        """``dx[c, p] = s[c] m[c, p] Σ dy[c, t]`` over all thresholds whose ramp ``x`` is on.

        With a `backward_ramp`, the ramp is wider on both sides, and the sum is
        divided by how much.
        """
        if dx is None:
            return
        wider = 1.0 if self.backward_ramp is None else self.backward_ramp / self.ramp
        for c in ramps.blocks:
            heights = ramps.heights(c, params)
            heights -= 0.5
            np.abs(heights, out=heights)
            np.multiply(heights < wider / 2, ramps.dy[c], out=heights)
            total = np.add.reduce(heights, axis=1, out=ramps.dx[c])
            total *= params["scale"][c, np.newaxis, np.newaxis] / wider
            total *= ramps.mean[c if len(ramps.mean) > 1 else slice(1), 0, 0, :, np.newaxis]


class _Ramps:
    """The arrays of a `PPVPool` for one batch size, with the positions on one axis.

    Attributes
    ----------
    blocks : list of slice
        Channels that are computed together.
    y, dy : ndarray of shape (C, thresholds, 1, n)
    dx : ndarray of shape (C, positions, n)
    mean : ndarray of shape (C or 1, 1, 1, positions)
    buffer : int
        Size of NumPy's buffer in `PPVPool.forward`.
    """

    def __init__(self, layer: PPVPool, x: Any, y: Any, dx: Any, dy: Any) -> None:
        C, n, T = len(x), x.shape[-1], layer.thresholds
        self._x = x.reshape(C, 1, -1, n)
        self.y = y.reshape(C, T, 1, n)
        self.dx = None if dx is None else dx.reshape(C, -1, n)
        self.dy = None if dy is None else dy.reshape(C, T, 1, n)
        self.mean = layer.means(x.shape[:-1], x.dtype)[:, np.newaxis, np.newaxis]
        step = min(C, max(1, BLOCK_BYTES // ((T + 1) * self._x[0].nbytes)))
        self.blocks = [slice(c, min(c + step, C)) for c in range(0, C, step)]
        usual = np.getbufsize()
        self.buffer = BUFFER if BUFFER <= prod(self._x.shape[2:]) < usual / 2 else usual
        self._scaled = np.empty((step, *self._x.shape[1:]), x.dtype)
        self._heights = np.empty((step, T, *self._x.shape[2:]), x.dtype)

    def heights(self, c: slice, params: Params) -> np.ndarray:
        """Heights on the ramps of some channels, ``s x - θ``: (channels, thresholds, positions, n).

        Subtracting before the sum keeps the digits that a sum of numbers near a
        large threshold would lose.
        """
        size = c.stop - c.start
        scaled, heights = self._scaled[:size], self._heights[:size]
        np.multiply(self._x[c], params["scale"][c, np.newaxis, np.newaxis, np.newaxis], out=scaled)
        threshold = params["threshold"][c, :, np.newaxis, np.newaxis]
        return np.subtract(scaled, threshold, out=heights)


def _deviations(rows: TrainingRows) -> np.ndarray:
    """Standard deviation of each channel, over some rows at equal distances in their order."""
    chosen = rows.at((np.arange(MEASURED) + 0.5) / MEASURED)
    moments = np.zeros((2, rows.shape[0]))  # means of the values and of their squares
    with np.errstate(over="ignore", invalid="ignore"):  # infinite beyond 1e154
        for _, x in rows.batches(chosen):
            values = x.reshape(len(x), -1).astype(np.float64)
            share = x.shape[-1] / MEASURED
            moments += values.mean(axis=1) * share, np.square(values).mean(axis=1) * share
        variance = np.nan_to_num(moments[1] - moments[0] ** 2, nan=np.inf, posinf=np.inf)
    return np.sqrt(np.maximum(variance, 0))


def _spread(values: np.ndarray) -> np.ndarray:
    """Half of the distance between two quantiles of sorted rows, or a little of their deviation."""
    n = values.shape[1]
    middle = (values[:, int(0.84 * n)] - values[:, int(0.16 * n)]) / 2
    with np.errstate(over="ignore", invalid="ignore"):  # infinite beyond 1e154
        deviation = np.nan_to_num(values.std(axis=1), nan=np.inf, posinf=np.inf)
    return np.maximum(middle, FLAT * deviation)


def _quantiles(values: np.ndarray, fractions: np.ndarray) -> np.ndarray:
    """Quantiles of each of the sorted rows, interpolated: (rows, numbers) to (rows, fractions)."""
    places = fractions * (values.shape[1] - 1)
    below = places.astype(int)
    above = np.minimum(below + 1, values.shape[1] - 1)
    low, high = (np.take_along_axis(values, where, axis=1) for where in (below, above))
    return low + (high - low) * (places - below)

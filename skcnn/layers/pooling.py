"""Max-pooling, mean-pooling and global mean-pooling."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from skcnn._hyperparameters import check_bool, check_pair
from skcnn.layers._layer import Layer, Scratch, Shape, Wanted, image_shape
from skcnn.layers.taps import RunningMaximum, Taps, are_apart
from skcnn.layers.windows import Windows, sliding_windows

BLOCK_BYTES = 2**18
"""Bytes of the channels that a max-pooling works on together, so that they stay in the cache."""


@dataclass(frozen=True, repr=False, eq=False)
class _Pool2d(Layer):
    """Base class of max-pooling and mean-pooling."""

    pool_size: int | tuple[int, int]
    stride: int | tuple[int, int] | None = None
    padding: int | tuple[int, int] | str = 0
    clip: bool = False

    def _axes(self, input_shape: Shape) -> tuple[Windows, Windows]:
        """The checked windows along height and width."""
        name = type(self).__name__
        sizes = image_shape(self, input_shape)[1:]
        kernels = check_pair(name, "pool_size", self.pool_size, 1)
        strides = kernels if self.stride is None else check_pair(name, "stride", self.stride, 1)
        clip = check_bool(name, "clip", self.clip)
        windows = sliding_windows(name, sizes, kernels, strides, padding=self.padding, clip=clip)
        height, width = windows
        if height.before >= kernels[0] or width.before >= kernels[1]:
            raise ValueError(
                f"{name}: padding must be smaller than the window {kernels[0]} x {kernels[1]}, "
                f"so that no window holds only padding, got {self.padding!r}."
            )
        if self.stride is None:
            height, width = (axis._replace(stride=axis.kernel) for axis in windows)
        if min(height.positions, width.positions) < 1:
            padded = "padded " if height.before or width.before else ""
            raise ValueError(
                f"{name}: the window {height.kernel} x {width.kernel} does not fit into the "
                f"{padded}input {height.padded} x {width.padded} (input shape {input_shape})."
            )
        return height, width

    def output_shape(self, input_shape: Shape) -> Shape:
        height, width = self._axes(input_shape)
        return input_shape[0], height.positions, width.positions

    def reach(self, input_shape: Shape) -> tuple[Windows, ...]:
        return self._axes(input_shape)

    def scratch(self, input_shape: Shape, dtype: np.dtype, backward: bool) -> Wanted:
        C, H, _ = input_shape
        height, width = self._axes(input_shape)
        padded = Scratch((C, H, width.padded), dtype, kept=False)
        return {
            "rows": Scratch((C, height.padded, width.positions), dtype, kept=False),
            "padded": padded if width.padded > width.size else None,
        }

    def bind(self, x, y, dx, dy, sample_weight, scratch):
        return Taps(*self._axes(x.shape[:-1]), x, dx, scratch)


@dataclass(frozen=True, repr=False, eq=False)
class MaxPool2d(_Pool2d):
    """The maximum of each window.

    Parameters
    ----------
    pool_size : int or (int, int)
        Height and width of the window.
    stride : int or (int, int) or None, default=None
        Step between two windows; None is the size of the window.
    padding : int, (int, int) or "same", default=0
        Pixels added on each side of an axis, fewer than the window has. They
        are never the maximum.
        "same" pads so that there are ``ceil(size / stride)`` windows, with an
        odd pixel after the image, as in Keras.
    clip : bool, default=False
        Whether to shorten a window that is longer than an axis (padding
        included) to that axis, instead of raising an error; with "same", to
        the part that meets any pixel.

    Examples
    --------
    >>> MaxPool2d(2).output_shape((6, 28, 28))
    (6, 14, 14)
    >>> MaxPool2d(3, stride=2).output_shape((96, 55, 55))
    (96, 27, 27)
    >>> MaxPool2d(3, stride=2, padding=1).output_shape((64, 112, 112))
    (64, 56, 56)
    >>> MaxPool2d(2, padding="same").output_shape((6, 7, 7))
    (6, 4, 4)
    >>> MaxPool2d(2, clip=True).output_shape((6, 1, 100))
    (6, 1, 50)
    """

    takes_maximum: ClassVar[bool] = True

    def scratch(self, input_shape: Shape, dtype: np.dtype, backward: bool) -> Wanted:
        height, width = windows = self._axes(input_shape)
        won = self.output_shape(input_shape)
        wanted = super().scratch(input_shape, dtype, backward)
        maxima: Shape = (won[0], height.size, width.positions)
        gathers = height.gapless
        if are_apart(windows):
            gathers, maxima = True, (height.kernel, *won)
            wanted = {**wanted, "rows": Scratch(maxima, dtype, kept=False)}
        wanted = {**wanted, "beside": Scratch((width.kernel, *maxima), dtype, kept=False)}
        if not backward:
            return {**wanted, "column_wins": None, "row_wins": None, "shares": None}
        shares = None if gathers else Scratch((height.kernel, *won), dtype, kept=False)
        return {
            **wanted,
            "column_wins": Scratch((width.kernel - 1, *maxima), bool),
            "row_wins": Scratch((height.kernel - 1, *won), bool),
            "shares": shares,
        }

    def bind(self, x, y, dx, dy, sample_weight, scratch):
        windows, arrays = self._axes(x.shape[:-1]), (x, y, dx, dy)
        step = max(1, BLOCK_BYTES // x[0].nbytes)
        return [
            RunningMaximum(windows, slice(c, c + step), arrays, scratch)
            for c in range(0, len(x), step)
        ]

    def forward(self, x, y, params, blocks, training, rng):
        """``y[p] = max x[p·stride + (i, j)]`` over the window's ``(i, j)``.

        The running maximum is compared with one tap after another, and the winners
        are recorded. The earlier one wins a tie, so the winner is the first maximum
        of the window in row-major order. Padding is ``-∞``.
        """
        for taps in blocks:
            taps.read()
            _compare(taps.beside, taps.maxima, taps.scratch.column_wins)
            _compare(taps.y, taps.output, taps.scratch.row_wins)

    def backward(self, dx, dy, x, y, params, grads, blocks):
        """``dx[p·stride + (i, j)] += dy[p]`` where ``(i, j)`` won window ``p``."""
        for taps in blocks:
            _route_gradient(taps.shares, taps.d_output, taps.scratch.row_wins)
            taps.to_rows()
            _route_gradient(taps.beside, taps.maxima, taps.scratch.column_wins)
            taps.to_image()


def _compare(taps: list, out: np.ndarray, wins: np.ndarray | None) -> None:
    """``out = max(taps)``; ``wins[k - 1]`` is where tap `k` did not beat it."""
    best = taps[0]
    if len(taps) == 1:
        np.copyto(out, best)
    for k in range(1, len(taps)):
        if wins is not None:
            np.greater_equal(best, taps[k], out=wins[k - 1])
        best = np.maximum(best, taps[k], out=out)


def _route_gradient(dtaps: list, dy: np.ndarray, wins: np.ndarray) -> None:
    """Route each `dy` to the tap that was the maximum; the others get 0."""
    if len(dtaps) == 1:
        np.copyto(dtaps[0], dy)
    for k in range(len(dtaps) - 1, 0, -1):
        kept = np.multiply(dy, wins[k - 1], out=dtaps[k - 1])  # the share of the taps before k
        np.subtract(dy, kept, out=dtaps[k])
        dy = kept


class _Means(Taps):
    """The windows of a mean-pooling, and the factor that makes means of their sums."""

    def __init__(self, layer: "AvgPool2d", x: Any, dx: Any, scratch: Any) -> None:
        shape = x.shape[:-1]
        height, width = layer.reach(shape)
        super().__init__(height, width, x, dx, scratch)
        self.factor = (1 / layer.divisors(shape)).astype(x.dtype)[..., np.newaxis]


@dataclass(frozen=True, repr=False, eq=False)
class AvgPool2d(_Pool2d):
    """The mean of each window.

    Parameters
    ----------
    pool_size : int or (int, int)
        Height and width of the window.
    stride : int or (int, int) or None, default=None
        Step between two windows; None is the size of the window.
    padding : int, (int, int) or "same", default=0
        Zeros added on each side of an axis, fewer than the window has.
        "same" pads so that there are ``ceil(size / stride)`` windows, with an
        odd pixel after the image, as in Keras (which leaves padding out of the
        mean).
    clip : bool, default=False
        Whether to shorten a window that is longer than an axis (padding
        included) to that axis, instead of raising an error; with "same", to
        the part that meets any pixel.
    count_include_pad : bool, default=True
        Whether the zeros count, so that the sum over a window is divided by its
        full size, as in PyTorch by default. False divides by the number of
        pixels in it.

    Examples
    --------
    >>> AvgPool2d(2).output_shape((16, 10, 10))
    (16, 5, 5)
    >>> AvgPool2d(2, padding="same", count_include_pad=False).output_shape((16, 9, 9))
    (16, 5, 5)
    """

    count_include_pad: bool = True

    def _axes(self, input_shape: Shape) -> tuple[Windows, Windows]:
        check_bool("AvgPool2d", "count_include_pad", self.count_include_pad)
        return super()._axes(input_shape)

    def divisors(self, input_shape: Shape) -> np.ndarray:
        """Return the divisors of the sums over the windows, (OH, OW), or one for all."""
        height, width = self._axes(input_shape)
        if self.count_include_pad:
            return np.array(height.kernel * width.kernel)
        counts = ([len(axis.pixels(p)) for p in range(axis.positions)] for axis in (height, width))
        return np.multiply.outer(*counts)

    def bind(self, x, y, dx, dy, sample_weight, scratch):
        return _Means(self, x, dx, scratch)

    def forward(self, x, y, params, taps, training, rng):
        """``y[p] = Σ x[p·stride + (i, j)] / N[p]`` over the window's ``(i, j)``.

        ``N[p]`` is ``KH·KW``, or how many of them are pixels if padding does
        not count.
        """
        taps.pad(x, 0)
        for total, parts in ((taps.rows.inside, taps.x), (y, taps.y)):
            np.copyto(total, parts[0])
            for part in parts[1:]:
                total += part
        y *= taps.factor  # (OH, OW, 1) or one number

    def backward(self, dx, dy, x, y, params, grads, taps):
        """``dx[p·stride + (i, j)] += dy[p] / N[p]`` for every ``(i, j)``."""
        dy *= taps.factor
        taps.rows.array[...] = 0  # now for the gradient of the rows' sums
        for part in taps.y:
            part += dy
        taps.d_image[...] = 0
        for part in taps.dx:
            part += taps.rows.inside
        if taps.columns is not None:
            np.copyto(dx, taps.columns.inside)


@dataclass(frozen=True, repr=False, eq=False)
class GlobalAvgPool2d(Layer):
    """The mean of each channel, which turns an image of any size into a vector.

    Lin, Chen & Yan (2014), "Network in network", section 3.2.

    Examples
    --------
    >>> GlobalAvgPool2d().output_shape((64, 7, 7))
    (64,)
    """

    def output_shape(self, input_shape: Shape) -> Shape:
        return image_shape(self, input_shape)[:1]

    def reach(self, input_shape: Shape) -> tuple[Windows, ...]:
        return tuple(Windows(size, size) for size in input_shape[1:])

    def forward(self, x, y, params, scratch, training, rng):
        """``y[c] = Σ x[c, i, j] / (H·W)``."""
        C, H, W, n = x.shape
        np.add.reduce(x.reshape(C, H * W, n), axis=1, out=y)
        y *= 1 / (H * W)

    def backward(self, dx, dy, x, y, params, grads, scratch):
        """``dx[c, i, j] = dy[c] / (H·W)``."""
        _, H, W, _ = dx.shape
        dy *= 1 / (H * W)
        np.copyto(dx, dy[:, np.newaxis, np.newaxis])


@dataclass(frozen=True, repr=False, eq=False)
class GlobalMaxPool2d(Layer):
    """The maximum of each channel, which turns an image of any size into a vector.

    Examples
    --------
    >>> GlobalMaxPool2d().output_shape((64, 7, 7))
    (64,)
    """

    takes_maximum: ClassVar[bool] = True

    def output_shape(self, input_shape: Shape) -> Shape:
        return image_shape(self, input_shape)[:1]

    def reach(self, input_shape: Shape) -> tuple[Windows, ...]:
        return tuple(Windows(size, size) for size in input_shape[1:])

    def scratch(self, input_shape: Shape, dtype: np.dtype, backward: bool) -> Wanted:
        return {"winner": Scratch(input_shape[:1], np.intp) if backward else None}

    def forward(self, x, y, params, scratch, training, rng):
        """``y[c] = max x[c, i, j]``; the first maximum in row-major order is the winner."""
        C, H, W, n = x.shape
        pixels = x.reshape(C, H * W, n)
        np.maximum.reduce(pixels, axis=1, out=y)
        if scratch.winner is not None:
            np.argmax(pixels, axis=1, out=scratch.winner)  # (C, n)

    def backward(self, dx, dy, x, y, params, grads, scratch):
        """``dx[c, i, j] = dy[c]`` where ``(i, j)`` won channel ``c``, and 0 elsewhere."""
        C, H, W, n = dx.shape
        dx[...] = 0
        winner, shares = scratch.winner[:, np.newaxis], dy[:, np.newaxis]  # (C, 1, n)
        np.put_along_axis(dx.reshape(C, H * W, n), winner, shares, axis=1)

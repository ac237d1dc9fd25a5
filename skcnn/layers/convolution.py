"""The convolution (strictly: cross-correlation, as in every CNN)."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from skcnn._hyperparameters import check_bool, check_int, check_pair
from skcnn.initializers import He, Initializer
from skcnn.layers._layer import Layer, Params, Scratch, Shape, image_shape
from skcnn.layers.dense import check_initializer


class _Axis(NamedTuple):
    """How the kernel moves along one axis: sizes in pixels."""

    size: int
    kernel: int
    stride: int
    before: int  # padding
    after: int

    @property
    def padded(self) -> int:
        return self.before + self.size + self.after

    @property
    def positions(self) -> int:
        """``floor((size + 2 padding - kernel) / stride) + 1``."""
        return (self.padded - self.kernel) // self.stride + 1

    @property
    def inside(self) -> slice:
        """Where the unpadded pixels lie in the padded ones."""
        return slice(self.before, self.before + self.size)

    def tap(self, k: int) -> tuple[slice, slice]:
        """Pixels that element `k` of the kernel meets, and at which positions."""
        first = max(0, -((k - self.before) // self.stride))
        last = min(self.positions - 1, (self.size - 1 + self.before - k) // self.stride)
        start = first * self.stride + k - self.before
        stop = start + (last - first) * self.stride + 1 if last >= first else start
        return slice(start, stop, self.stride), slice(first, max(first, last + 1))


SMALL_PRODUCT = 2**20
"""Multiply-adds up to which OpenBLAS uses its kernels for small matrices."""


def _blocks(per_column: int, positions: int, n: int) -> int:
    """Into how many equal blocks the columns of a product are cut.

    A long and narrow product spends most of its time packing its operands.
    Cut into blocks of up to `SMALL_PRODUCT` it is two to five times as fast
    (`matmul` runs over the blocks). Only whole positions are cut, so that it
    works for every `n`; a product that is not narrow stays in one piece.
    """
    for blocks in range(1, positions + 1):
        if positions % blocks == 0:
            length = positions // blocks * n
            if length < MIN_BLOCK:
                break
            if per_column * length <= SMALL_PRODUCT:
                return blocks
    return 1


MIN_BLOCK = 256
"""Columns below which a block is not worth its call."""


@dataclass(frozen=True)
class Conv2d(Layer):
    """Convolution of an image with `filters` learned kernels.

    Parameters
    ----------
    filters : int
        Number of kernels, the channels of the output.
    kernel_size : int or (int, int)
        Height and width of the kernels.
    stride : int or (int, int), default=1
        Step between two positions of the kernel.
    padding : int, (int, int) or "same", default=0
        Zeros on each side of an axis. "same" pads so that ``ceil(size /
        stride)`` positions come out, with the odd pixel after, as in Keras.
    initializer : Initializer, default=He()
        How the weights start; biases start at 0.
    clip : bool, default=False
        Shorten the kernel along an axis where its ends could meet no pixel at
        all, instead of learning nothing there ("same" padding), or instead of
        raising an error (other paddings).

    Examples
    --------
    >>> Conv2d(6, 3).output_shape((3, 144, 144))
    (6, 142, 142)
    >>> Conv2d(6, 3).param_shapes((3, 144, 144))
    {'weight': (6, 3, 3, 3), 'bias': (6,)}
    """

    filters: int
    kernel_size: int | tuple[int, int]
    stride: int | tuple[int, int] = 1
    padding: int | tuple[int, int] | str = 0
    initializer: Initializer = He()
    clip: bool = False

    reads_x: ClassVar[bool] = True  # a 1 x 1 kernel does; a larger one reads its columns

    def _axes(self, input_shape: Shape) -> tuple[_Axis, _Axis]:
        """The checked geometry along height and width."""
        sizes = image_shape(self, input_shape)[1:]
        kernels = check_pair("Conv2d", "kernel_size", self.kernel_size, 1)
        strides = check_pair("Conv2d", "stride", self.stride, 1)
        same = self.padding == "same" if isinstance(self.padding, str) else False
        if isinstance(self.padding, str) and not same:
            raise ValueError(
                "Conv2d: padding must be an int of at least 0, a pair of them or "
                f"'same', got {self.padding!r}."
            )
        fixed = (0, 0) if same else check_pair("Conv2d", "padding", self.padding, 0)
        if check_bool("Conv2d", "clip", self.clip):
            reach = [2 * n - 1 if same else n + 2 * p for n, p in zip(sizes, fixed, strict=True)]
            kernels = (min(kernels[0], reach[0]), min(kernels[1], reach[1]))
        if same:  # what ceil(size / stride) positions need
            total = [
                max((-(-n // s) - 1) * s + k - n, 0)
                for n, k, s in zip(sizes, kernels, strides, strict=True)
            ]
            paddings = [(p // 2, p - p // 2) for p in total]
        else:
            paddings = [(p, p) for p in fixed]
        height, width = (
            _Axis(n, k, s, *p) for n, k, s, p in zip(sizes, kernels, strides, paddings, strict=True)
        )
        if min(height.positions, width.positions) < 1:
            raise ValueError(
                f"Conv2d: the kernel {height.kernel} x {width.kernel} does not fit into the "
                f"padded input {height.padded} x {width.padded} (input shape {input_shape})."
            )
        return height, width

    def output_shape(self, input_shape: Shape) -> Shape:
        filters = check_int("Conv2d", "filters", self.filters, 1)
        check_initializer("Conv2d", self.initializer)
        height, width = self._axes(input_shape)
        return filters, height.positions, width.positions

    def param_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        height, width = self._axes(input_shape)
        weight = (self.filters, input_shape[0], height.kernel, width.kernel)
        return {"weight": weight, "bias": (self.filters,)}

    def init(self, params: Params, rng: np.random.Generator) -> None:
        self.initializer(params["weight"], rng)
        params["bias"][...] = 0

    def scratch(self, input_shape: Shape) -> dict[str, Scratch]:
        C = input_shape[0]
        h, w = self._axes(input_shape)
        arrays = {}
        if h.before or h.after or w.before or w.after:
            arrays["padded"] = Scratch((C, h.padded, w.padded), kept=False)
        if h.kernel * w.kernel * h.stride * w.stride > 1 or arrays:
            arrays["cols"] = Scratch((C, h.kernel, w.kernel, h.positions, w.positions))
            arrays["stripes"] = Scratch(
                (C, w.kernel, h.size, w.positions), kept=False, optional=True
            )
        return arrays

    def views(self, x, y, dx, dy, scratch):
        C, n = x.shape[0], x.shape[-1]
        h, w = self._axes(x.shape[:-1])
        views: dict = {}
        source = x
        if "padded" in scratch:
            source = scratch["padded"]
            views["inside"] = source[:, h.inside, w.inside]
        if "cols" in scratch:
            cols = scratch["cols"]  # (C, KH, KW, OH, OW, n)
            windows = sliding_window_view(source, (h.kernel, w.kernel), axis=(1, 2))
            windows = windows[:, :: h.stride, :: w.stride]  # (C, OH, OW, n, KH, KW)
            views["windows"] = windows.transpose(0, 4, 5, 1, 2, 3)
        else:  # a 1 x 1 kernel: the columns are the pixels
            cols = x
        rows = C * h.kernel * w.kernel
        blocks = _blocks(self.filters * rows, h.positions * w.positions, n)

        def in_blocks(array: np.ndarray, height: int) -> np.ndarray:
            """(height, OH·OW·n) as (blocks, height, OH·OW·n / blocks)."""
            return array.reshape(height, blocks, -1).transpose(1, 0, 2)

        views["cols_blocks"] = in_blocks(cols, rows)
        views["y_blocks"] = in_blocks(y, self.filters)
        views["y2"] = y.reshape(self.filters, -1)
        if dy is not None:
            views["dy_blocks"] = in_blocks(dy, self.filters)
        if dx is not None:
            if "cols" in scratch:
                views["dcols_blocks"] = views["cols_blocks"]
                stripes = scratch["stripes"]  # (C, KW, H, OW, n)
                views["row_taps"] = [
                    (stripes[:, :, rows], cols[:, i, :, at_rows])
                    for i, (rows, at_rows) in enumerate(map(h.tap, range(h.kernel)))
                ]
                views["column_taps"] = [
                    (dx[:, :, columns], stripes[:, j, :, at_columns])
                    for j, (columns, at_columns) in enumerate(map(w.tap, range(w.kernel)))
                ]
            else:
                views["dcols_blocks"] = in_blocks(dx, C)
        return views

    def forward(self, x, y, params, scratch, training, rng):
        """``y[f, p] = Σ W[f, c, i, j] x[c, p·stride + (i, j)] + b[f]``.

        All windows are unfolded into columns (im2col: Chellapilla et al.
        2006), so that the sum is one matrix product ``W cols``.
        """
        W = params["weight"].reshape(self.filters, -1)  # (F, C·KH·KW)
        if "padded" in scratch:
            scratch["padded"][...] = 0
            np.copyto(scratch["inside"], x)
        if "cols" in scratch:
            np.copyto(scratch["cols"], scratch["windows"])
        # (F, C·KH·KW) @ (C·KH·KW, OH·OW·n), block by block
        np.matmul(W, scratch["cols_blocks"], out=scratch["y_blocks"])
        y2 = scratch["y2"]  # (F, OH·OW·n)
        y2 += params["bias"][:, np.newaxis]

    def backward(self, dx, dy, x, y, params, grads, scratch):
        """``dW = dy colsᵀ``, ``db = Σ dy``, ``dcols = Wᵀ dy``; ``dx`` sums its taps.

        A pixel stands in the columns once for every element of the kernel
        that meets it; its gradient is the sum over these (col2im), taken over
        the kernel's rows first and over its columns then. `dcols` takes the
        place of `cols`, which `dW` was the last to need.
        """
        W = params["weight"].reshape(self.filters, -1)  # (F, C·KH·KW)
        dW = grads["weight"].reshape(self.filters, -1)
        dy_blocks, cols_blocks = scratch["dy_blocks"], scratch["cols_blocks"]
        # dWᵀ = cols dyᵀ, the faster way round, summed over the blocks:
        # (C·KH·KW, OH·OW·n) @ (OH·OW·n, F)
        products = np.matmul(cols_blocks, dy_blocks.transpose(0, 2, 1))
        np.add.reduce(products, axis=0, out=dW.T)
        np.add.reduce(dy.reshape(self.filters, -1), axis=1, out=grads["bias"])
        if dx is None:
            return
        # (C·KH·KW, F) @ (F, OH·OW·n)
        np.matmul(W.T, dy_blocks, out=scratch["dcols_blocks"])
        if "cols" in scratch:
            scratch["stripes"][...] = 0
            for pixels, dcols in scratch["row_taps"]:
                pixels += dcols
            dx[...] = 0
            for pixels, stripes in scratch["column_taps"]:
                pixels += stripes

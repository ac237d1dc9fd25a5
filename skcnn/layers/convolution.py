"""The convolution (strictly: cross-correlation, as in every CNN)."""

from dataclasses import dataclass
from math import prod
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view

from skcnn._hyperparameters import check_bool, check_int, check_pair
from skcnn.initializers import He, Initializer
from skcnn.layers._layer import Layer, Params, Reach, Scratch, Shape, image_shape
from skcnn.layers.dense import check_initializer


class _Axis(NamedTuple):
    """How the kernel moves along one axis: sizes in pixels."""

    size: int
    kernel: int
    stride: int
    dilation: int
    before: int  # padding
    after: int

    @property
    def padded(self) -> int:
        return self.before + self.size + self.after

    @property
    def extent(self) -> int:
        """From the kernel's first element to its last, ``dilation (kernel - 1) + 1``."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def positions(self) -> int:
        """``floor((size + 2 padding - extent) / stride) + 1``."""
        return (self.padded - self.extent) // self.stride + 1

    @property
    def inside(self) -> slice:
        """Where the unpadded pixels lie in the padded ones."""
        return slice(self.before, self.before + self.size)

    def tap(self, k: int) -> tuple[slice, slice]:
        """Pixels that element `k` of the kernel meets, and at which positions."""
        k = k * self.dilation - self.before  # pixel that it meets at the first position
        first = max(0, -(k // self.stride))
        last = min(self.positions - 1, (self.size - 1 - k) // self.stride)
        start = first * self.stride + k
        stop = start + (last - first) * self.stride + 1 if last >= first else start
        return slice(start, stop, self.stride), slice(first, max(first, last + 1))


SMALL_PRODUCT = 2**20
"""Multiply-adds up to which OpenBLAS uses its kernels for small matrices."""

MIN_PIECE = 64
"""Columns below which a product is not worth its call."""

SUM_BYTES = 8 * 2**20
"""What the products that sum up to one gradient may take at a time."""


def _pieces(per_column: int, columns: int, n: int) -> int:
    """Into how many equal pieces the `columns` of a row, of `n` samples each, are cut.

    A long and narrow product spends much of its time packing its operands; in
    pieces of up to `SMALL_PRODUCT` it need not. Only whole columns are cut, so
    that it works for every `n`; a product that is not narrow stays in one piece.
    """
    for pieces in range(1, columns + 1):
        if columns % pieces == 0:
            length = columns // pieces * n
            if length < MIN_PIECE:
                break
            if per_column * length <= SMALL_PRODUCT:
                return pieces
    return 1


def _windows(rows: np.ndarray, starts: range, height: int, pieces: int) -> np.ndarray:
    """Every `height` rows on from `starts` as one matrix a piece, without a copy.

    `rows` is (G, H, A, L), L contiguous; the result is (G, len(starts), pieces,
    height·A, L / pieces). Windows that overlap share their memory. With more
    than one row in a window, each row has to follow the one before it.
    """
    G, _, A, L = rows.shape
    per_group, per_row, per_line, per_number = rows.strides
    return as_strided(
        rows[:, starts.start :],
        (G, len(starts), pieces, height * A, L // pieces),
        (per_group, starts.step * per_row, L // pieces * per_number, per_line, per_number),
    )


@dataclass(frozen=True, repr=False, eq=False)
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
    dilation : int or (int, int), default=1
        Step between two elements of the kernel (Yu & Koltun 2016).
    groups : int, default=1
        Into how many groups of equal size the channels are cut; each filter
        sees one of them (Krizhevsky et al. 2012). As many groups as channels
        make the convolution depthwise.
    bias : bool, default=True
        Whether a learned number is added to each filter's output.
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
    dilation: int | tuple[int, int] = 1
    groups: int = 1
    bias: bool = True
    initializer: Initializer = He()
    clip: bool = False

    reads_x: ClassVar[bool] = True  # a 1 x 1 kernel does; a larger one reads its columns

    def _axes(self, input_shape: Shape) -> tuple[_Axis, _Axis]:
        """The checked geometry along height and width."""
        sizes = image_shape(self, input_shape)[1:]
        kernels = check_pair("Conv2d", "kernel_size", self.kernel_size, 1)
        strides = check_pair("Conv2d", "stride", self.stride, 1)
        dilations = check_pair("Conv2d", "dilation", self.dilation, 1)
        same = self.padding == "same" if isinstance(self.padding, str) else False
        if isinstance(self.padding, str) and not same:
            raise ValueError(
                "Conv2d: padding must be an int of at least 0, a pair of them or "
                f"'same', got {self.padding!r}."
            )
        fixed = (0, 0) if same else check_pair("Conv2d", "padding", self.padding, 0)
        if check_bool("Conv2d", "clip", self.clip):
            reach = [n - 1 if same else n + 2 * p - 1 for n, p in zip(sizes, fixed, strict=True)]
            longest = [
                (2 if same else 1) * (r // d) + 1 for r, d in zip(reach, dilations, strict=True)
            ]
            kernels = (min(kernels[0], longest[0]), min(kernels[1], longest[1]))
        if same:  # what ceil(size / stride) positions need
            total = [
                max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
                for n, k, s, d in zip(sizes, kernels, strides, dilations, strict=True)
            ]
            paddings = [(p // 2, p - p // 2) for p in total]
        else:
            paddings = [(p, p) for p in fixed]
        height, width = (
            _Axis(n, k, s, d, *p)
            for n, k, s, d, p in zip(sizes, kernels, strides, dilations, paddings, strict=True)
        )
        if min(height.positions, width.positions) < 1:
            raise ValueError(
                f"Conv2d: the kernel {height.extent} x {width.extent} does not fit into the "
                f"padded input {height.padded} x {width.padded} (input shape {input_shape})."
            )
        return height, width

    def output_shape(self, input_shape: Shape) -> Shape:
        filters = check_int("Conv2d", "filters", self.filters, 1)
        check_initializer("Conv2d", self.initializer)
        check_bool("Conv2d", "bias", self.bias)
        height, width = self._axes(input_shape)
        groups = check_int("Conv2d", "groups", self.groups, 1)
        if input_shape[0] % groups or filters % groups:
            raise ValueError(
                f"Conv2d: groups must divide the {input_shape[0]} channels of the input and the "
                f"{filters} filters, got {groups}."
            )
        return filters, height.positions, width.positions

    def param_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        height, width = self._axes(input_shape)
        weight = (self.filters, input_shape[0] // self.groups, height.kernel, width.kernel)
        return {"weight": weight, "bias": (self.filters,)} if self.bias else {"weight": weight}

    def init(self, params: Params, rng: np.random.Generator) -> None:
        self.initializer(params["weight"], rng)
        if self.bias:
            params["bias"][...] = 0

    def multiply_adds(self, input_shape: Shape) -> int:
        height, width = self._axes(input_shape)
        weights = prod(self.param_shapes(input_shape)["weight"])
        return weights * height.positions * width.positions

    def reach(self, input_shape: Shape) -> tuple[Reach, ...]:
        return tuple(
            Reach(axis.positions, axis.kernel, axis.stride, axis.dilation, axis.before)
            for axis in self._axes(input_shape)
        )

    def scratch(self, input_shape: Shape) -> dict[str, Scratch]:
        G, C = self.groups, input_shape[0] // self.groups
        h, w = self._axes(input_shape)
        arrays = {}
        if h.before or h.after or w.before or w.after:
            arrays["padded"] = Scratch((G, C, h.padded, w.padded), kept=False)
        if h.kernel * w.kernel * w.stride > 1 or arrays:
            arrays["stripes"] = Scratch((G, h.padded, C, w.kernel, w.positions))
        before, after = _margins(h)
        if before or after:
            shape = (G, before + h.positions + after, self.filters // G, w.positions)
            arrays["dy_rows"] = Scratch(shape, kept=False, optional=True)
        return arrays

    def views(self, x, y, dx, dy, scratch):
        G, C, F = self.groups, x.shape[0] // self.groups, self.filters // self.groups
        h, w = self._axes(x.shape[:-1])
        n, L = x.shape[-1], w.positions * x.shape[-1]
        pieces = _pieces(F * C * h.extent * w.kernel, w.positions, n)
        starts = range(0, h.positions * h.stride, h.stride)

        def in_groups(image: np.ndarray) -> np.ndarray:
            """(channels, ...) as (groups, channels a group, ...)."""
            return image.reshape(G, -1, *image.shape[1:])

        def by_rows(image: np.ndarray) -> np.ndarray:
            """(channels, rows, columns, n) as (groups, rows, channels a group, columns·n)."""
            return in_groups(image.reshape(*image.shape[:2], -1)).swapaxes(1, 2)

        views: dict = {"y2": y.reshape(self.filters, -1)}
        if h.extent > h.kernel:  # rows of zeros stand where the kernel has none
            views["spaced"] = np.zeros((G, F, C, h.extent, w.kernel), x.dtype)
            views["filled"] = views["spaced"][:, :, :, :: h.dilation]
        if "stripes" in scratch:
            source = in_groups(x)
            if "padded" in scratch:
                views["unpadded"], source = source, scratch["padded"]
                views["inside"] = source[:, :, h.inside, w.inside]
            shifts = sliding_window_view(source, w.extent, axis=3)
            shifts = shifts[:, :, :, :: w.stride, :, :: w.dilation]  # (G, C, H, OW, n, KW)
            views["shifts"] = shifts.transpose(0, 2, 1, 5, 3, 4)
            rows = scratch["stripes"].reshape(G, h.padded, C * w.kernel, L)
        else:  # a 1 x 1 kernel sees the pixels themselves
            rows = by_rows(x)
        views["windows"] = _windows(rows, starts, h.extent, pieces)
        views["y_windows"] = _windows(by_rows(y), range(h.positions), 1, pieces)
        if dy is None:
            return views
        if self.bias:
            views["ones"] = np.ones(L, x.dtype)  # a product is the fastest sum
        dy_rows = by_rows(dy)
        views["dyT_rows"] = dy_rows.swapaxes(2, 3)  # (G, OH, OW·n, F)
        views["whole_windows"] = _windows(rows, starts, h.extent, 1)[:, :, 0]
        views["kernel_rows"] = slice(None, None, h.dilation)
        at_once = max(1, SUM_BYTES // (x.itemsize * self.filters * C * h.extent * w.kernel))
        views["parts"] = [slice(i, i + at_once) for i in range(0, h.positions, at_once)]
        if dx is None:
            return views

        before, _ = _margins(h)
        if "dy_rows" in scratch:
            views["dy_by_rows"], dy_rows = dy_rows, scratch["dy_rows"].reshape(G, -1, F, L)
            inside = slice(before, before + h.positions)
            views["dy_margins"] = [dy_rows[:, :before], dy_rows[:, inside.stop :]]
            views["dy_inside"] = dy_rows[:, inside]
        if "stripes" in scratch:
            drows = rows[:, h.inside]  # `stripes` again, without the padding
            dstripes = scratch["stripes"][:, h.inside]  # (G, H, C, KW, OW, n)
            taps = []
            for j, (columns, at_columns) in enumerate(map(w.tap, range(w.kernel))):
                pixels = in_groups(dx)[:, :, :, columns]  # (G, C, H, some columns, n)
                taps.append((pixels, dstripes[:, :, :, j, at_columns].swapaxes(1, 2)))
            taps.sort(key=lambda tap: -tap[0].size)
            views["taps"], views["first_covers"] = taps, taps[0][0].size == dx.size
        else:
            drows = by_rows(dx)
        views["phases"] = []
        for phase in range(h.stride):
            taken = drows[:, (phase - h.before) % h.stride :: h.stride]
            kernel_rows = slice(phase, h.extent, h.stride)
            height = len(range(phase, h.extent, h.stride))
            first = -((phase - h.before) // h.stride)  # window of the first of them
            start = before + first - (height - 1)
            from_dy = None
            if height and taken.size:
                from_dy = _windows(dy_rows, range(start, start + taken.shape[1]), height, pieces)
                taken = _windows(taken, range(taken.shape[1]), 1, pieces)
            views["phases"].append((kernel_rows, from_dy, taken))
        return views

    def _weight_rows(self, params: Params, scratch: dict) -> np.ndarray:
        """The kernels as (groups, filters a group, C, KH, KW), with dilation's gaps in KH."""
        W = params["weight"].reshape(self.groups, -1, *params["weight"].shape[1:])
        if "spaced" in scratch:
            scratch["filled"][...] = W
            W = scratch["spaced"]
        return W

    def forward(self, x, y, params, scratch, training, rng):
        """``y[f, p] = Σ W[f, c, i, j] x[c, p·stride + (i, j)·dilation] + b[f]``.

        Each row of the image is unfolded along its width, into one *stripe*
        for every column of the kernel; the stripes of KH rows, one below the
        other, are the columns that im2col (Chellapilla et al. 2006) would have
        written for a row of the output. Neighbouring rows share them, so that
        KH times less is written, and each row of ``y`` is one matrix product.
        """
        W = self._weight_rows(params, scratch)  # (G, F, C, KH, KW)
        W = W.transpose(0, 1, 3, 2, 4).reshape(self.groups, 1, 1, W.shape[1], -1)
        if "padded" in scratch:
            scratch["padded"][...] = 0
            np.copyto(scratch["inside"], scratch["unpadded"])
        if "stripes" in scratch:
            np.copyto(scratch["stripes"], scratch["shifts"])
        # for every group and row: (F, KH·C·KW) @ (KH·C·KW, OW·n)
        np.matmul(W, scratch["windows"], out=scratch["y_windows"])
        if self.bias:
            y2 = scratch["y2"]  # (filters, OH·OW·n)
            y2 += params["bias"][:, np.newaxis]

    def backward(self, dx, dy, x, y, params, grads, scratch):
        """``dW = Σ dy[p] x[p·stride + (i, j)·dilation]``, ``db = Σ dy``, and

        ``dx[c, q] = Σ W[f, c, i, j] dy[f, p]`` over all ``p·stride + (i, j)·
        dilation = q``. First the stripes get their gradients, the sum over the
        rows of the kernel as one product with the KH rows of ``dy`` that a row
        took part in (with stride ``s``, only every ``s``-th row of the kernel
        meets a given row). Then each pixel collects those of its KW stripes.
        """
        W = self._weight_rows(params, scratch)  # (G, F, C, KH, KW)
        G, F, C, KH, KW = W.shape
        dW = grads["weight"].reshape(G, F, C, -1, KW).transpose(0, 3, 2, 4, 1)  # (G, KH, C, KW, F)
        for i, part in enumerate(scratch["parts"]):
            # for every group and row: (KH·C·KW, OW·n) @ (OW·n, F)
            products = np.matmul(scratch["whole_windows"][:, part], scratch["dyT_rows"][:, part])
            products = products.reshape(G, -1, KH, C, KW, F)[:, :, scratch["kernel_rows"]]
            total = np.add.reduce(products, axis=1)  # `out=dW`, which is not in this order, is slow
            if i == 0:
                np.copyto(dW, total)
            else:
                dW += total
        if self.bias:
            rows = np.dot(dy.reshape(-1, len(scratch["ones"])), scratch["ones"])
            np.add.reduce(rows.reshape(self.filters, -1), axis=1, out=grads["bias"])
        if dx is None:
            return
        if "dy_rows" in scratch:
            for margin in scratch["dy_margins"]:
                margin[...] = 0
            np.copyto(scratch["dy_inside"], scratch["dy_by_rows"])
        for kernel_rows, dy_windows, drows in scratch["phases"]:
            if dy_windows is None:  # the kernel never meets these rows
                drows[...] = 0
                continue
            taken = W[:, :, :, kernel_rows][:, :, :, ::-1]  # rows last to first
            taken = taken.transpose(0, 2, 4, 3, 1).reshape(G, 1, 1, C * KW, -1)
            np.matmul(taken, dy_windows, out=drows)  # (C·KW, KH·F) @ (KH·F, OW·n)
        if "stripes" in scratch:
            taps = scratch["taps"]
            if scratch["first_covers"]:
                np.copyto(*taps[0])
                taps = taps[1:]
            else:
                dx[...] = 0
            for pixels, stripes in taps:
                pixels += stripes


def _margins(h: _Axis) -> tuple[int, int]:
    """Rows of zeros before and after `dy`, so that every row of `x` has a full window."""
    before = -(-h.extent // h.stride) - 1
    last = (h.before + h.size - 1) // h.stride  # the window that the last row is first in
    return before, max(0, last - h.positions + 1)

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

    `rows` is (H, A, L), L contiguous; the result is (len(starts), pieces,
    height·A, L / pieces). Windows that overlap share their memory. With more
    than one row in a window, `rows` has to be contiguous.
    """
    _, A, L = rows.shape
    per_row, per_line, per_number = rows.strides
    return np.lib.stride_tricks.as_strided(
        rows[starts.start :],
        (len(starts), pieces, height * A, L // pieces),
        (starts.step * per_row, L // pieces * per_number, per_line, per_number),
    )


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
        if h.kernel * w.kernel * w.stride > 1 or arrays:
            arrays["stripes"] = Scratch((h.padded, C, w.kernel, w.positions))
        before, after = _margins(h)
        if before or after:
            shape = (before + h.positions + after, self.filters, w.positions)
            arrays["dy_rows"] = Scratch(shape, kept=False, optional=True)
        return arrays

    def views(self, x, y, dx, dy, scratch):
        C, n = x.shape[0], x.shape[-1]
        h, w = self._axes(x.shape[:-1])
        F, L = self.filters, w.positions * n
        pieces = _pieces(F * C * h.kernel * w.kernel, w.positions, n)
        every = range(0, h.positions * h.stride, h.stride)

        def by_rows(image: np.ndarray) -> np.ndarray:
            """(channels, rows, columns, n) as (rows, channels, columns·n)."""
            return image.reshape(*image.shape[:2], -1).swapaxes(0, 1)

        views: dict = {"y2": y.reshape(F, -1)}
        if "stripes" in scratch:
            stripes = scratch["stripes"]  # (H, C, KW, OW, n), H with padding
            source = x
            if "padded" in scratch:
                source = scratch["padded"]
                views["inside"] = source[:, h.inside, w.inside]
            shifts = sliding_window_view(source, w.kernel, axis=2)[:, :, :: w.stride]
            views["shifts"] = shifts.transpose(1, 0, 4, 2, 3)  # (H, C, KW, OW, n)
            rows = stripes.reshape(h.padded, C * w.kernel, L)
        else:  # a 1 x 1 kernel sees the pixels themselves
            rows = by_rows(x)
        views["windows"] = _windows(rows, every, h.kernel, pieces)
        views["whole_windows"] = _windows(rows, every, h.kernel, 1)
        views["y_windows"] = _windows(by_rows(y), range(h.positions), 1, pieces)
        if dy is None:
            return views
        dy_rows = by_rows(dy)
        views["dyT_windows"] = _windows(dy_rows, range(h.positions), 1, 1).swapaxes(2, 3)
        at_once = max(1, SUM_BYTES // (rows.shape[1] * h.kernel * F * x.itemsize))
        views["parts"] = [slice(i, i + at_once) for i in range(0, h.positions, at_once)]
        if dx is None:
            return views

        before, _ = _margins(h)
        if "dy_rows" in scratch:
            inside = slice(before, before + h.positions)
            views["dy_margins"] = [scratch["dy_rows"][:before], scratch["dy_rows"][inside.stop :]]
            views["dy_inside"] = scratch["dy_rows"][inside]
            views["dy_by_rows"] = dy.swapaxes(0, 1)
            dy_rows = scratch["dy_rows"].reshape(-1, F, L)
        if "stripes" in scratch:
            drows = rows[h.inside]  # `stripes` again, without the padding
            dstripes = stripes[h.inside].transpose(2, 1, 0, 3, 4)  # (KW, C, H, OW, n)
            taps = [
                (dx[:, :, columns], dstripes[j][:, :, at_columns])
                for j, (columns, at_columns) in enumerate(map(w.tap, range(w.kernel)))
            ]
            taps.sort(key=lambda tap: -tap[0].size)
            views["taps"], views["first_covers"] = taps, taps[0][0].shape == dx.shape
        else:
            drows = by_rows(dx)
        views["phases"] = []
        for phase in range(h.stride):
            taken = drows[(phase - h.before) % h.stride :: h.stride]
            first = -((phase - h.before) // h.stride)  # window of the first of them
            height = len(range(phase, h.kernel, h.stride))
            start = before + first - (height - 1)
            views["phases"].append(
                (
                    slice(phase, h.kernel, h.stride),
                    _windows(dy_rows, range(start, start + len(taken)), height, pieces)
                    if height
                    else None,
                    _windows(taken, range(len(taken)), 1, pieces),
                )
            )
        return views

    def forward(self, x, y, params, scratch, training, rng):
        """``y[f, p] = Σ W[f, c, i, j] x[c, p·stride + (i, j)] + b[f]``.

        Each row of the image is unfolded along its width, into one *stripe*
        for every column of the kernel; the stripes of KH rows, one below the
        other, are the columns that im2col (Chellapilla et al. 2006) would have
        written for a row of the output. Neighbouring rows share them, so that
        KH times less is written, and each row of ``y`` is one matrix product.
        """
        W = params["weight"].transpose(0, 2, 1, 3).reshape(self.filters, -1)  # (F, KH·C·KW)
        if "padded" in scratch:
            scratch["padded"][...] = 0
            np.copyto(scratch["inside"], x)
        if "stripes" in scratch:
            np.copyto(scratch["stripes"], scratch["shifts"])
        # for every row: (F, KH·C·KW) @ (KH·C·KW, OW·n)
        np.matmul(W, scratch["windows"], out=scratch["y_windows"])
        y2 = scratch["y2"]  # (F, OH·OW·n)
        y2 += params["bias"][:, np.newaxis]

    def backward(self, dx, dy, x, y, params, grads, scratch):
        """``dW = Σ dy[p] x[p·stride + (i, j)]``, ``db = Σ dy``, and transposed to `forward`:

        ``dx[c, q] = Σ W[f, c, i, j] dy[f, p]`` over all ``p·stride + (i, j) =
        q``. First the stripes get their gradients, the sum over the rows of
        the kernel as one product with the KH rows of ``dy`` that a row took
        part in (with stride ``s``, only every ``s``-th row of the kernel meets
        a given row). Then each pixel collects those of its KW stripes.
        """
        C, (KH, KW) = x.shape[0], params["weight"].shape[2:]
        dW = grads["weight"].transpose(2, 1, 3, 0)  # (KH, C, KW, F)
        total = None
        for part in scratch["parts"]:
            # for every row: (KH·C·KW, OW·n) @ (OW·n, F)
            products = np.matmul(scratch["whole_windows"][part], scratch["dyT_windows"][part])
            products = products.reshape(-1, KH, C, KW, self.filters)
            if total is None:
                total = np.add.reduce(products, axis=0, out=dW)
            else:
                total += np.add.reduce(products, axis=0)
        np.add.reduce(dy.reshape(self.filters, -1), axis=1, out=grads["bias"])
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
            W = params["weight"][:, :, kernel_rows][:, :, ::-1]
            W = W.transpose(1, 3, 2, 0).reshape(C * KW, -1)  # (C·KW, KH·F), rows last to first
            np.matmul(W, dy_windows, out=drows)
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
    before = -(-h.kernel // h.stride) - 1
    last = (h.before + h.size - 1) // h.stride  # the window that the last row is first in
    return before, max(0, last - h.positions + 1)

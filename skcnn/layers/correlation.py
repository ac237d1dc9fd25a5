"""The arithmetic of the convolution: one linear map, its transpose, and its gradient.

A convolution is linear in the image and in the kernels. Written as a matrix
product for every row of the output (im2col, Chellapilla et al. 2006), it would
copy each pixel once for every element of the kernel. Here each row of the image
is unfolded along its width only, into one *stripe* for every column of the
kernel. The stripes of KH rows, one below the other, are then the columns that
im2col would have written for a row of the output: neighbouring rows of the
output share them, so that KH times less is written.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view

from skcnn.layers._layer import Scratch, Shape, Wanted
from skcnn.layers.windows import Frame, Windows

SMALL_PRODUCT = 2**20
"""Multiply-adds up to which OpenBLAS uses its kernels for small matrices."""

MIN_PIECE = 64
"""Columns below which a product is not worth its call."""

SUM_BYTES = 8 * 2**20
"""Bytes that the products that sum up to one gradient may take at a time."""


class Kernels(NamedTuple):
    """Kernels, and how they move over an image.

    Parameters
    ----------
    groups : int
        ``G``, number of groups of channels and filters.
    filters : int
        ``F``, number of filters in each group.
    channels : int
        ``C``, number of the image's channels in each group.
    height, width : Windows
        What the kernels see along both axes.
    """

    groups: int
    filters: int
    channels: int
    height: Windows
    width: Windows

    @property
    def weight_shape(self) -> Shape:
        """Shape of the weights, ``(G·F, C, KH, KW)``."""
        return (
            self.groups * self.filters, self.channels, self.height.kernel, self.width.kernel
        )  # fmt: skip

    @property
    def pads(self) -> bool:
        """Whether there is any padding."""
        h, w = self.height, self.width
        return bool(h.before or h.after or w.before or w.after)

    @property
    def unfolds(self) -> bool:
        """Whether there are stripes; a 1 x 1 kernel sees the pixels themselves."""
        h, w = self.height, self.width
        return self.pads or h.kernel * w.kernel * w.stride > 1 or w.left_out > 0

    @property
    def margins(self) -> tuple[int, int]:
        """Rows of zeros before and after ``dy``, so that every row of ``x`` has a full window."""
        h = self.height
        before = -(-h.extent // h.stride) - 1
        last = (h.before + h.size - 1) // h.stride  # the window that the last row is first in
        return before, max(0, last - h.positions + 1)

    def scratch(self, dtype: np.dtype, image: bool, kept: bool, transpose: bool) -> Wanted:
        """What a `Correlation` needs besides the images.

        Parameters
        ----------
        dtype : dtype
        image : bool
            Whether an image is unfolded.
        kept : bool
            Whether it is unfolded in one call, and read in another.
        transpose : bool
            Whether the transpose is applied.
        """
        G, F, C, h, w = self
        before, after = self.margins
        return {
            "padded": (
                Scratch((G, C, h.padded, w.padded), dtype, kept=False)
                if image and self.pads
                else None
            ),
            "stripes": (
                Scratch((G, h.padded, C, w.kernel, w.positions), dtype, kept)
                if self.unfolds
                else None
            ),
            "dy_rows": (
                Scratch((G, before + h.positions + after, F, w.positions), dtype, kept=False)
                if transpose and before + after
                else None
            ),
        }


class Phase(NamedTuple):
    """Every ``stride``-th row of the image, from one of the first on.

    Parameters
    ----------
    kernel_rows : slice
        The rows of the kernel that meet them.
    dy : ndarray of shape (G, rows, pieces, rows of the kernel · F, OW·n / pieces) or None
        For each row, the rows of ``dy`` that it took part in; None where no
        row of the kernel meets them.
    dx : ndarray of shape (G, rows, pieces, C·KW, OW·n / pieces)
        The gradient with respect to their stripes. (Without a ``dy``, any
        shape.)
    """

    kernel_rows: slice
    dy: np.ndarray | None
    dx: np.ndarray


class Correlation:
    """``y = W ⋆ x``, bound to the arrays that it runs on.

    All images are batch last; `x` and `dx` are ``(G·C, H, W, n)``, `y` and `dy`
    ``(G·F, OH, OW, n)``. Weights are ``(G·F, C, KH, KW)``. Each may be None if
    the operations that need it are not used.

    Parameters
    ----------
    kernels : Kernels
    x : ndarray or None
        The image, for `unfold`.
    y : ndarray or None
        Takes the output of `forward`.
    dx : ndarray or None
        Takes the output of `transpose`.
    dy : ndarray or None
        What `transpose` and `gradient` start from.
    scratch : object
        The arrays of `Kernels.scratch` as attributes.
    """

    def __init__(
        self,
        kernels: Kernels,
        x: np.ndarray | None,
        y: np.ndarray | None,
        dx: np.ndarray | None,
        dy: np.ndarray | None,
        scratch: Any,
    ) -> None:
        self.kernels = kernels
        G, F, C, h, w = kernels
        some = next(array for array in (x, y, dx, dy) if array is not None)
        n = some.shape[-1]
        self.pieces = _pieces(F * C * h.extent * w.kernel, w.positions, n)
        # kernels with rows of zeros where dilation leaves rows of the image out
        self.spaced = (
            np.zeros((G, F, C, h.extent, w.kernel), some.dtype) if h.extent > h.kernel else None
        )
        self.stripes = scratch.stripes  # (G, H padded, C, KW, OW, n) or None
        self.frame: Frame | None = None  # x within its padding
        if x is not None:
            self._bind_image(x, scratch.padded)
        if y is not None:
            # one matrix per row of y: (G, OH, pieces, F, OW·n / pieces)
            self.y = _windows(_by_rows(y, G), range(h.positions), 1, self.pieces)
        if dy is not None and x is not None:
            self._bind_gradient(dy)
        if dy is not None and dx is not None:
            self._bind_transpose(dx, dy, scratch.dy_rows)

    def _bind_image(self, x: np.ndarray, padded: np.ndarray | None) -> None:
        G, _, C, h, w = self.kernels
        L = w.positions * x.shape[-1]
        if self.stripes is not None:
            self.x = _in_groups(x, G)  # (G, C, H, W, n)
            source = self.x
            if padded is not None:
                self.frame = Frame(padded, h.inside, w.inside)
                source = padded
            # x once for every column of the kernel, shifted by it: shape of the stripes
            shifts = sliding_window_view(source, w.extent, axis=3)
            shifts = shifts[:, :, :, : w.positions * w.stride : w.stride, :, :: w.dilation]
            self.shifts = shifts.transpose(0, 2, 1, 5, 3, 4)
            rows = self.stripes.reshape(G, h.padded, C * w.kernel, L)
        else:
            rows = _by_rows(x, G)
        starts = range(0, h.positions * h.stride, h.stride)
        # what the kernels see for one row of y: (G, OH, pieces, KH·C·KW, OW·n / pieces)
        self.windows = _windows(rows, starts, h.extent, self.pieces)
        # the same in one piece: (G, OH, KH·C·KW, OW·n)
        self.whole_windows = _windows(rows, starts, h.extent, 1)[:, :, 0]

    def _bind_gradient(self, dy: np.ndarray) -> None:
        G, F, C, h, w = self.kernels
        self.dyT = _by_rows(dy, G).swapaxes(2, 3)  # one matrix per row: (G, OH, OW·n, F)
        at_once = max(1, SUM_BYTES // (dy.itemsize * G * F * C * h.extent * w.kernel))
        self.parts = [slice(i, i + at_once) for i in range(0, h.positions, at_once)]  # of OH

    def _bind_transpose(self, dx: np.ndarray, dy: np.ndarray, framed: np.ndarray | None) -> None:
        G, F, C, h, w = self.kernels
        L = w.positions * dy.shape[-1]
        before, _ = self.kernels.margins
        self.dy_frame: Frame | None = None  # dy between rows of zeros
        self.dy_rows = rows = _by_rows(dy, G)  # (G, OH, F, OW·n)
        if framed is not None:
            # as an array of rows, (G, rows, F, OW·n), seen as (1, rows, ...)
            rows = framed.reshape(G, -1, F, L)
            inside = slice(before, before + h.positions)
            self.dy_frame = Frame(rows, inside, slice(0, F))
        self.dx = dx
        if self.stripes is not None:
            drows = self.stripes.reshape(G, h.padded, C * w.kernel, L)[:, h.inside]
            self.taps, self.first_covers = self._taps()
        else:
            drows = _by_rows(dx, G)
        self.phases = [self._phase(i, drows, rows, before) for i in range(h.stride)]

    def _taps(self) -> tuple[list[tuple[np.ndarray, np.ndarray]], bool]:
        """Pixels that a column of the kernel meets, and their stripes, each (G, C, H, some, n).

        Sorted by the number of pixels, most first; also returned is whether the
        first are all pixels.
        """
        G, _, _, h, w = self.kernels
        pixels, stripes = _in_groups(self.dx, G), self.stripes[:, h.inside]
        taps = []
        for j, (columns, at_columns) in enumerate(map(w.tap, range(w.kernel))):
            taps.append((pixels[:, :, :, columns], stripes[:, :, :, j, at_columns].swapaxes(1, 2)))
        taps.sort(key=lambda tap: -tap[0].size)
        return taps, taps[0][0].size == self.dx.size

    def _phase(self, i: int, drows: np.ndarray, dy_rows: np.ndarray, before: int) -> Phase:
        """The `i`-th phase of the rows of ``dx``; `dy_rows` has `before` rows of zeros first."""
        h = self.kernels.height
        dx = drows[:, (i - h.before) % h.stride :: h.stride]
        kernel_rows = slice(i, h.extent, h.stride)
        height = len(range(i, h.extent, h.stride))
        if not height or not dx.size:
            return Phase(kernel_rows, None, dx)
        first = -((i - h.before) // h.stride)  # window of the first of them
        start = before + first - (height - 1)
        dy = _windows(dy_rows, range(start, start + dx.shape[1]), height, self.pieces)
        return Phase(kernel_rows, dy, _windows(dx, range(dx.shape[1]), 1, self.pieces))

    def unfold(self) -> None:
        """Write the stripes of ``x``, which `forward` and `gradient` read."""
        if self.stripes is not None:
            if self.frame is not None:
                self.frame.write(self.x)
            np.copyto(self.stripes, self.shifts)

    def forward(self, W: np.ndarray) -> None:
        """``y[f, p] = Σ W[f, c, i, j] x[c, p·stride + (i, j)·dilation]``, one product per row."""
        W = self._by_group(W).transpose(0, 1, 3, 2, 4)  # (G, F, KH, C, KW)
        W = W.reshape(self.kernels.groups, 1, 1, self.kernels.filters, -1)
        np.matmul(W, self.windows, out=self.y)  # (F, KH·C·KW) @ (KH·C·KW, OW·n)

    def gradient(self, dW: np.ndarray) -> None:
        """``dW[f, c, i, j] = Σ dy[f, p] x[c, p·stride + (i, j)·dilation]``, row by row."""
        G, F, C, h, w = self.kernels
        dW = dW.reshape(G, F, C, h.kernel, w.kernel).transpose(0, 3, 2, 4, 1)  # (G, KH, C, KW, F)
        for i, rows in enumerate(self.parts):
            # for every row: (KH·C·KW, OW·n) @ (OW·n, F)
            products = np.matmul(self.whole_windows[:, rows], self.dyT[:, rows])
            products = products.reshape(G, -1, h.extent, C, w.kernel, F)[:, :, :: h.dilation]
            total = np.add.reduce(products, axis=1)  # `out=dW`, which is not in this order, is slow
            if i == 0:
                np.copyto(dW, total)
            else:
                dW += total

    def transpose(self, W: np.ndarray) -> None:
        """``dx[c, q] = Σ W[f, c, i, j] dy[f, p]`` over all ``p·stride + (i, j)·dilation = q``.

        First the stripes get their gradients, the sum over the rows of the
        kernel as one product with the KH rows of ``dy`` that a row took part
        in. (With stride ``s``, only every ``s``-th row of the kernel meets a
        given row.) Then each pixel collects those of its KW stripes.
        """
        W = self._by_group(W)  # (G, F, C, KH, KW)
        G, _, C, _, KW = W.shape
        if self.dy_frame is not None:
            self.dy_frame.write(self.dy_rows)
        for kernel_rows, dy, dx in self.phases:
            if dy is None:
                dx[...] = 0
                continue
            taken = W[:, :, :, kernel_rows][:, :, :, ::-1]  # rows last to first
            taken = taken.transpose(0, 2, 4, 3, 1).reshape(G, 1, 1, C * KW, -1)
            np.matmul(taken, dy, out=dx)  # (C·KW, KH·F) @ (KH·F, OW·n)
        if self.stripes is not None:
            taps = self.taps
            if self.first_covers:
                np.copyto(*taps[0])
                taps = taps[1:]
            else:
                self.dx[...] = 0
            for pixels, stripes in taps:
                pixels += stripes

    def _by_group(self, W: np.ndarray) -> np.ndarray:
        """The kernels as (G, F, C, KH, KW), with dilation's gaps in KH."""
        W = W.reshape(self.kernels.groups, self.kernels.filters, *W.shape[1:])
        if self.spaced is None:
            return W
        self.spaced[:, :, :, :: self.kernels.height.dilation] = W
        return self.spaced


def _in_groups(image: np.ndarray, groups: int) -> np.ndarray:
    """(channels, ...) as (groups, channels per group, ...)."""
    return image.reshape(groups, -1, *image.shape[1:])


def _by_rows(image: np.ndarray, groups: int) -> np.ndarray:
    """(channels, rows, columns, n) as (groups, rows, channels per group, columns·n)."""
    return _in_groups(image.reshape(*image.shape[:2], -1), groups).swapaxes(1, 2)


def _windows(rows: np.ndarray, starts: range, height: int, pieces: int) -> np.ndarray:
    """The `height` rows from each of `starts` on, as one matrix per piece, without a copy.

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


def _pieces(per_column: int, columns: int, n: int) -> int:
    """Number of equal pieces that the `columns` of a row, of `n` samples each, are cut into.

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

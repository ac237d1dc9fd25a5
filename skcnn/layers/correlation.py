"""The arithmetic of the convolution: one linear map, its transpose, and its gradient.

A convolution is linear in the image and in the kernels. Written as a matrix
product for every row of the output (im2col, Chellapilla et al. 2006), it would
copy each pixel once for every element of the kernel. Here each row of the image
is unfolded along its width only, into one *stripe* for every column of the
kernel. The stripes of KH rows, one below the other, are then the columns that
im2col would have written for a row of the output: neighbouring rows of the
output share them, so that KH times less is written.
"""

from collections.abc import Iterator
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view

from skcnn.layers._layer import Scratch, Shape, Wanted
from skcnn.layers.windows import Frame, Windows, as_runs

SMALL_PRODUCT = 2**20
"""Multiply-adds up to which OpenBLAS uses its kernels for small matrices."""

MIN_PIECE = 64
"""Fewest columns of a product that is worth a call."""

MANY_FILTERS = 4
"""Filters per element of a kernel beyond which a product stays in one piece."""

FEW_FILTERS = range(2, 7)
"""Filter counts for which one product computes two rows of the output."""

SUM_BYTES = 8 * 2**20
"""Most bytes of the products that are summed to one gradient at a time."""


class Kernels(NamedTuple):
    """Shape of the kernels, and their windows on an image.

    Parameters
    ----------
    groups : int
        ``G``, number of groups of channels and filters.
    filters : int
        ``F``, number of filters in each group.
    channels : int
        ``C``, number of the image's channels in each group.
    height, width : Windows
        Windows of the kernels along both axes.
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
    def rows_at_once(self) -> int:
        """Rows of the output that one product makes.

        BLAS computes about eight rows of a product together. With fewer filters,
        two rows of the output fill these, although their windows are one row
        higher.
        """
        h = self.height
        pairs = self.unfolds and h.stride == h.dilation == 1 and h.positions % 2 == 0
        return 2 if pairs and self.filters in FEW_FILTERS else 1

    def scratch(self, dtype: np.dtype, image: bool, kept: bool, transpose: bool) -> Wanted:
        """Scratch arrays of a `Correlation`.

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
            "rows": (
                Scratch((G, h.positions, F, w.positions), dtype, kept=False)
                if self.rows_at_once > 1 or (transpose and h.extent > h.stride)
                else None
            ),
        }


class Phase(NamedTuple):
    """Rows of the image, every ``stride``-th, that meet the same rows of the kernel.

    Rows near the upper and lower edges meet fewer.

    Parameters
    ----------
    columns : slice
        These rows of the kernel, in the matrix that `Correlation.transpose` makes.
    dy : ndarray of shape (G, rows, pieces, rows of the kernel · F, OW·n / pieces) or None
        For each row, the rows of ``dy`` that it contributed to; None if no row of
        the kernel meets them.
    dx : ndarray of shape (G, rows, pieces, C·KW, OW·n / pieces)
        The gradient with respect to their stripes (of any shape if ``dy`` is
        None).
    """

    columns: slice
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
        Gradient of the output, read by `transpose` and `gradient`.
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
        _, F, C, h, w = kernels
        some = next(array for array in (x, y, dx, dy) if array is not None)
        self.at_once = kernels.rows_at_once  # R
        self.pieces = _pieces(F, C * h.extent * w.kernel, w.positions, some.shape[-1])
        self.stripes = scratch.stripes  # (G, H padded, C, KW, OW, n) or None
        self.rows = scratch.rows  # of y or dy, each in one piece: (G, OH, F, OW, n) or None
        self.frame: Frame | None = None  # x within its padding
        if x is not None:
            self._bind_image(x, scratch.padded)
        if y is not None:
            self._bind_output(y)
        if dy is not None and x is not None:
            self._bind_gradient(dy)
        if dy is not None and dx is not None:
            self._bind_transpose(dx, dy)

    def _bind_image(self, x: np.ndarray, padded: np.ndarray | None) -> None:
        G, _, C, h, w = self.kernels
        L = w.positions * x.shape[-1]
        if self.stripes is not None:
            self.x = _in_groups(x, G)  # (G, C, H, W, n)
            source = self.x
            if padded is not None:
                self.frame = Frame(padded, h.inside, w.inside)
                source = padded
            # x shifted by each column of the kernel, in the shape of the stripes
            shifts = sliding_window_view(source, w.extent, axis=3)
            shifts = shifts[:, :, :, : w.positions * w.stride : w.stride, :, :: w.dilation]
            self.shifts = shifts.transpose(0, 2, 1, 5, 3, 4)
            rows = self.stripes.reshape(G, h.padded, C * w.kernel, L)
        else:
            rows = _by_rows(x, G)
        R = self.at_once
        starts, height = range(0, h.positions * h.stride, R * h.stride), h.extent + R - 1
        # windows of the kernels for R rows of y: (G, OH/R, pieces, (KH+R-1)·C·KW, OW·n / pieces)
        self.windows = _row_windows(rows, starts, height, self.pieces)
        # the same in one piece: (G, OH/R, (KH+R-1)·C·KW, OW·n)
        self.whole_windows = _row_windows(rows, starts, height, 1)[:, :, 0]

    def _bind_output(self, y: np.ndarray) -> None:
        G, F, C, h, w = self.kernels
        R = self.at_once
        self.y = _in_groups(y, G)  # (G, F, OH, OW, n)
        self.made = self.y if R == 1 else self.rows.swapaxes(1, 2)
        # the same, one matrix for R rows: (G, OH/R, pieces, R·F, OW·n / pieces)
        rows = self._rows_together(y)
        self.products = _row_windows(rows, range(h.positions // R), 1, self.pieces)
        # the kernels for R rows, each one row lower than those before, and 0 elsewhere (also
        # where dilation leaves rows of the image out): (G, R, F, KH+R-1, C, KW)
        lowered = np.zeros((G, R, F, h.extent + R - 1, C, w.kernel), y.dtype)
        self.lowered = [as_runs(lowered[:, i, :, i : i + h.extent : h.dilation]) for i in range(R)]
        self.W = lowered.reshape(G, 1, 1, R * F, -1)

    def _bind_gradient(self, dy: np.ndarray) -> None:
        G, F, *_ = self.kernels
        self.dy = _in_groups(dy, G)  # (G, F, OH, OW, n)
        # one matrix for R rows: (G, OH/R, OW·n, R·F)
        self.dyT = self._rows_together(dy).swapaxes(2, 3)
        _, products, inputs, _ = self.whole_windows.shape
        at_a_time = max(1, SUM_BYTES // (dy.itemsize * G * inputs * self.at_once * F))
        self.parts = [slice(i, i + at_a_time) for i in range(0, products, at_a_time)]

    def _rows_together(self, y: np.ndarray) -> np.ndarray:
        """The rows of `y`, or of the array that its rows are copied to: (G, OH/R, R·F, OW·n)."""
        G, F, _, h, _ = self.kernels
        if self.at_once == 1:
            return _by_rows(y, G)
        return self.rows.reshape(G, h.positions // self.at_once, self.at_once * F, -1)

    def _bind_transpose(self, dx: np.ndarray, dy: np.ndarray) -> None:
        G, F, C, h, w = self.kernels
        L = w.positions * dy.shape[-1]
        self.dx, self.dy = dx, _in_groups(dy, G)
        dy_rows = _by_rows(dy, G) if self.rows is None else self.rows.reshape(G, -1, F, L)
        if self.stripes is not None:
            drows = self.stripes.reshape(G, h.padded, C * w.kernel, L)[:, h.inside]
            self.taps, self.first_covers = self._taps()
        else:
            drows = _by_rows(dx, G)
        # kernels with rows of zeros where dilation leaves rows of the image out
        self.spaced = (
            np.zeros((G, F, C, h.extent, w.kernel), dx.dtype) if h.extent > h.kernel else None
        )
        # rows of the kernel, grouped by the rows of the image that they meet, last first
        order = [i for first in range(h.stride) for i in range(first, h.extent, h.stride)[::-1]]
        self.kernel_rows = slice(None, None, -1) if h.stride == 1 else order
        self.phases = list(self._phases(drows, dy_rows, order))

    def _taps(self) -> tuple[list[tuple[np.ndarray, np.ndarray]], bool]:
        """Pixels that a column of the kernel meets, and their stripes, each (G, C, H, some, n).

        They are sorted by the number of pixels, largest first; the second result is
        whether the first tap contains all pixels.
        """
        G, _, _, h, w = self.kernels
        pixels, stripes = _in_groups(self.dx, G), self.stripes[:, h.inside]
        taps = []
        for j, (columns, at_columns) in enumerate(map(w.tap, range(w.kernel))):
            taps.append((pixels[:, :, :, columns], stripes[:, :, :, j, at_columns].swapaxes(1, 2)))
        taps.sort(key=lambda tap: -tap[0].size)
        return taps, taps[0][0].size == self.dx.size

    def _phases(self, drows: np.ndarray, dy_rows: np.ndarray, order: list[int]) -> Iterator[Phase]:
        """Group the rows of ``dx`` by the rows of the kernel that meet them, in their `order`."""
        F, h = self.kernels.filters, self.kernels.height

        def meeting(row: int) -> tuple[int, int]:
            """First and last row of the kernel that meet a row; last < first if none does."""
            row += h.before
            first_window = max(0, -((h.extent - 1 - row) // h.stride))
            last_window = min(row // h.stride, h.positions - 1)
            return row - last_window * h.stride, row - first_window * h.stride

        for start in range(min(h.stride, h.size)):
            for (first, last), group in groupby(range(start, h.size, h.stride), meeting):
                rows = list(group)
                dx = drows[:, rows[0] : rows[-1] + 1 : h.stride]
                if last < first:
                    yield Phase(slice(0), None, dx)
                    continue
                columns = slice(order.index(last) * F, (order.index(first) + 1) * F)
                window = (rows[0] + h.before - last) // h.stride
                height = (last - first) // h.stride + 1
                dy = _row_windows(dy_rows, range(window, window + len(rows)), height, self.pieces)
                yield Phase(columns, dy, _row_windows(dx, range(len(rows)), 1, self.pieces))

    def unfold(self) -> None:
        """Write the stripes of ``x``, which `forward` and `gradient` read."""
        if self.stripes is not None:
            if self.frame is not None:
                self.frame.write(self.x)
            np.copyto(self.stripes, self.shifts)

    def forward(self, W: np.ndarray, b: np.ndarray | None = None) -> None:
        """``y[f, p] = Σ W[f, c, i, j] x[c, p·stride + (i, j)·dilation] + b[f]``, row by row."""
        G, F, *_ = self.kernels
        W = as_runs(W.reshape(G, F, *W.shape[1:])).transpose(0, 1, 3, 2, 4)  # (G, F, KH, C, KW)
        for lowered in self.lowered:
            np.copyto(lowered, W)
        np.matmul(self.W, self.windows, out=self.products)  # (F, KH·C·KW) @ (KH·C·KW, OW·n)
        if b is not None:
            np.add(self.made, b.reshape(G, F, 1, 1, 1), out=self.y)
        elif self.made is not self.y:
            np.copyto(self.y, self.made)

    def gradient(self, dW: np.ndarray) -> None:
        """``dW[f, c, i, j] = Σ dy[f, p] x[c, p·stride + (i, j)·dilation]``, row by row."""
        G, F, C, h, w = self.kernels
        R = self.at_once
        if R > 1:
            np.copyto(self.rows, self.dy.swapaxes(1, 2))
        dW = dW.reshape(G, F, C, h.kernel, w.kernel).transpose(0, 3, 2, 4, 1)  # (G, KH, C, KW, F)
        for part in self.parts:
            # for R rows at once: ((KH+R-1)·C·KW, OW·n) @ (OW·n, R·F)
            products = np.matmul(self.whole_windows[:, part], self.dyT[:, part])
            total = np.add.reduce(products, axis=1).reshape(G, -1, C, w.kernel, R, F)
            for i in range(R):
                own = total[:, i : i + h.extent : h.dilation, :, :, i]
                if part.start == i == 0:
                    np.copyto(dW, own)
                else:
                    dW += own

    def transpose(self, W: np.ndarray) -> None:
        """``dx[c, q] = Σ W[f, c, i, j] dy[f, p]`` over all ``p·stride + (i, j)·dilation = q``.

        First the gradients of the stripes are computed: the sum over the rows of
        the kernel is one product with the KH rows of ``dy`` that a row contributed
        to. (With stride ``s``, only every ``s``-th row of the kernel meets a given
        row, and near the edges some would meet padding.) Then each pixel sums the
        gradients of its KW stripes.
        """
        G, F, C, h, w = self.kernels
        W = W.reshape(G, F, C, h.kernel, w.kernel)
        if self.spaced is not None:
            self.spaced[:, :, :, :: h.dilation] = W
            W = self.spaced
        W = W[:, :, :, self.kernel_rows].transpose(0, 2, 4, 3, 1).reshape(G, 1, 1, C * w.kernel, -1)
        if self.rows is not None:
            np.copyto(self.rows, self.dy.swapaxes(1, 2))
        for columns, dy, dx in self.phases:
            if dy is None:
                dx[...] = 0
            else:
                np.matmul(W[..., columns], dy, out=dx)  # (C·KW, KH·F) @ (KH·F, OW·n)
        if self.stripes is not None:
            taps = self.taps
            if self.first_covers:
                np.copyto(*taps[0])
                taps = taps[1:]
            else:
                self.dx[...] = 0
            for pixels, stripes in taps:
                pixels += stripes


def _in_groups(image: np.ndarray, groups: int) -> np.ndarray:
    """(channels, ...) as (groups, channels per group, ...)."""
    return image.reshape(groups, -1, *image.shape[1:])


def _by_rows(image: np.ndarray, groups: int) -> np.ndarray:
    """(channels, rows, columns, n) as (groups, rows, channels per group, columns·n)."""
    return _in_groups(image.reshape(*image.shape[:2], -1), groups).swapaxes(1, 2)


def _row_windows(rows: np.ndarray, starts: range, height: int, pieces: int) -> np.ndarray:
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


def _pieces(filters: int, inputs: int, columns: int, n: int) -> int:
    """Number of equal pieces that the `columns` of a row, of `n` samples each, are cut into.

    A long and narrow product spends much of its time packing its operands; pieces
    of up to `SMALL_PRODUCT` avoid that. Pieces consist of whole columns, so that
    any `n` works; a product that is not narrow stays in one piece. So does one of
    many filters of few `inputs` each: it mainly writes, which is faster in one go.
    """
    if filters > MANY_FILTERS * inputs:
        return 1
    for pieces in range(1, columns + 1):
        if columns % pieces == 0:
            length = columns // pieces * n
            if length < MIN_PIECE:
                break
            if filters * inputs * length <= SMALL_PRODUCT:
                return pieces
    return 1

"""Pooling: a window of pixels becomes its maximum or its mean."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from skcnn._hyperparameters import check_bool, check_pair
from skcnn.layers._layer import Layer, Scratch, Shape, image_shape


@dataclass(frozen=True, repr=False)
class _Pool2d(Layer):
    """What maximum and mean share: the windows.

    A window is pooled along its width first and along its height then. Each of
    the two steps sees its input as one strided slice, a *tap*, for every
    element of the window: tap ``j`` holds the ``j``-th pixel of all windows.
    """

    pool_size: int | tuple[int, int]
    stride: int | tuple[int, int] | None = None
    clip: bool = False

    def _windows(self, input_shape: Shape) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        """(Window, stride, positions) along height and width, checked."""
        name = type(self).__name__
        sizes = image_shape(self, input_shape)[1:]
        windows = check_pair(name, "pool_size", self.pool_size, 1)
        if check_bool(name, "clip", self.clip):
            windows = (min(windows[0], sizes[0]), min(windows[1], sizes[1]))
        strides = windows if self.stride is None else check_pair(name, "stride", self.stride, 1)
        if windows[0] > sizes[0] or windows[1] > sizes[1]:
            raise ValueError(
                f"{name}: the window {windows[0]} x {windows[1]} does not fit into the "
                f"input {sizes[0]} x {sizes[1]} (input shape {input_shape})."
            )
        height, width = (
            (k, s, (size - k) // s + 1) for k, s, size in zip(windows, strides, sizes, strict=True)
        )
        return height, width

    def output_shape(self, input_shape: Shape) -> Shape:
        (_, _, OH), (_, _, OW) = self._windows(input_shape)
        return input_shape[0], OH, OW

    def _row_shape(self, input_shape: Shape) -> Shape:
        """Shape after the first step, when the rows of the windows are pooled."""
        _, (_, _, OW) = self._windows(input_shape)
        return input_shape[0], input_shape[1], OW

    def views(self, x, y, dx, dy, scratch):
        (KH, SH, OH), (KW, SW, OW) = self._windows(x.shape[:-1])
        rows = scratch["rows"]

        def along_width(image):
            return [image[:, :, j : j + SW * (OW - 1) + 1 : SW] for j in range(KW)]

        def along_height(image):
            return [image[:, i : i + SH * (OH - 1) + 1 : SH] for i in range(KH)]

        views = {"x_taps": along_width(x), "row_taps": along_height(rows)}
        if dx is not None:
            views["dx_taps"] = along_width(dx)
            views["disjoint_rows"], views["disjoint_columns"] = SH >= KH, SW >= KW
            views["gapless_rows"] = SH == KH and x.shape[1] == SH * OH
            views["gapless_columns"] = SW == KW and x.shape[2] == SW * OW
        return views


@dataclass(frozen=True, repr=False)
class MaxPool2d(_Pool2d):
    """The maximum of each window.

    Parameters
    ----------
    pool_size : int or (int, int)
        Height and width of the window.
    stride : int or (int, int) or None, default=None
        Step between two windows; None is the size of the window.
    clip : bool, default=False
        Shorten the window to an axis that is shorter than it, instead of
        raising an error.

    Examples
    --------
    >>> MaxPool2d(2).output_shape((6, 28, 28))
    (6, 14, 14)
    >>> MaxPool2d(3, stride=2).output_shape((96, 55, 55))
    (96, 27, 27)
    >>> MaxPool2d(2, clip=True).output_shape((6, 1, 100))
    (6, 1, 50)
    """

    takes_maximum: ClassVar[bool] = True

    def scratch(self, input_shape: Shape) -> dict[str, Scratch]:
        (KH, _, _), (KW, _, _) = self._windows(input_shape)
        rows, pooled = self._row_shape(input_shape), self.output_shape(input_shape)
        return {
            "rows": Scratch(rows, kept=False),
            "column_wins": Scratch((KW - 1, *rows), bool, optional=True),
            "row_wins": Scratch((KH - 1, *pooled), bool, optional=True),
            "row_share": Scratch(rows, kept=False, optional=True),
            "share": Scratch(pooled, kept=False, optional=True),
        }

    def forward(self, x, y, params, scratch, training, rng):
        """``y[p] = max x[p·stride + (i, j)]`` over the window's ``(i, j)``.

        A tournament: the maximum so far meets one tap after the other, and
        who won is kept. The earlier one wins a tie, so that the winner is the
        first maximum of the window in row-major order.
        """
        rows = scratch["rows"]  # (C, H, OW, n)
        _tournament(scratch["x_taps"], rows, scratch.get("column_wins"))
        _tournament(scratch["row_taps"], y, scratch.get("row_wins"))

    def backward(self, dx, dy, x, y, params, grads, scratch):
        """``dx[p·stride + (i, j)] += dy[p]`` where ``(i, j)`` won window ``p``."""
        drows = scratch["rows"]  # now holds the gradient by the rows' maxima
        if not scratch["gapless_rows"]:
            drows[...] = 0
        _award(
            scratch["row_taps"], dy, scratch["row_wins"], scratch["share"],
            scratch["disjoint_rows"],
        )  # fmt: skip
        if not scratch["gapless_columns"]:
            dx[...] = 0
        _award(
            scratch["dx_taps"], drows, scratch["column_wins"], scratch["row_share"],
            scratch["disjoint_columns"],
        )  # fmt: skip


def _tournament(taps: list, champion: np.ndarray, wins: np.ndarray | None) -> None:
    """``champion = max(taps)``; ``wins[k - 1]`` is where tap `k` did not beat it."""
    best = taps[0]
    for k in range(1, len(taps)):
        if wins is not None:
            np.greater_equal(best, taps[k], out=wins[k - 1])
        best = np.maximum(best, taps[k], out=champion)
    if len(taps) == 1:
        np.copyto(champion, best)


def _award(
    dtaps: list, dy: np.ndarray, wins: np.ndarray, share: np.ndarray, disjoint: bool
) -> None:
    """The tournament backwards: each `dy` goes to the tap that won."""
    for k in range(len(dtaps) - 1, 0, -1):
        kept = np.multiply(dy, wins[k - 1], out=share)  # what the taps before k share
        if disjoint:
            np.subtract(dy, kept, out=dtaps[k])
        else:
            dy -= kept
            dtaps[k] += dy
        dy, share = kept, dy
    if disjoint:
        np.copyto(dtaps[0], dy)
    else:
        dtaps[0] += dy


@dataclass(frozen=True, repr=False)
class AvgPool2d(_Pool2d):
    """The mean of each window.

    Parameters
    ----------
    pool_size : int or (int, int)
        Height and width of the window.
    stride : int or (int, int) or None, default=None
        Step between two windows; None is the size of the window.
    clip : bool, default=False
        Shorten the window to an axis that is shorter than it, instead of
        raising an error.

    Examples
    --------
    >>> AvgPool2d(2).output_shape((16, 10, 10))
    (16, 5, 5)
    """

    def scratch(self, input_shape: Shape) -> dict[str, Scratch]:
        return {"rows": Scratch(self._row_shape(input_shape), kept=False)}

    def forward(self, x, y, params, scratch, training, rng):
        """``y[p] = Σ x[p·stride + (i, j)] / (KH·KW)`` over the window's ``(i, j)``."""
        for total, taps in ((scratch["rows"], scratch["x_taps"]), (y, scratch["row_taps"])):
            np.copyto(total, taps[0])
            for tap in taps[1:]:
                total += tap
        y *= 1 / (len(scratch["row_taps"]) * len(scratch["x_taps"]))

    def backward(self, dx, dy, x, y, params, grads, scratch):
        """``dx[p·stride + (i, j)] += dy[p] / (KH·KW)`` for every ``(i, j)``."""
        dy *= 1 / (len(scratch["row_taps"]) * len(scratch["x_taps"]))
        drows = scratch["rows"]
        drows[...] = 0
        for tap in scratch["row_taps"]:
            tap += dy
        dx[...] = 0
        for tap in scratch["dx_taps"]:
            tap += drows

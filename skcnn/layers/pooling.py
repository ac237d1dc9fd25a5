"""Pooling: a window of pixels becomes its maximum or its mean, or all pixels become one."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from skcnn._hyperparameters import check_bool, check_pair
from skcnn.layers._layer import Layer, Reach, Scratch, Shape, image_shape


@dataclass(frozen=True, repr=False, eq=False)
class _Pool2d(Layer):
    """What maximum and mean share: the windows.

    A window is pooled along its width first and along its height then. Each of
    the two steps sees its input as one strided slice, a *tap*, for every
    element of the window: tap ``j`` holds the ``j``-th pixel of all windows.
    Padding along the width needs a copy of the image; along the height the
    result of the first step is written between its margins.
    """

    pool_size: int | tuple[int, int]
    stride: int | tuple[int, int] | None = None
    padding: int | tuple[int, int] = 0
    clip: bool = False

    def _axes(self, input_shape: Shape) -> tuple["_Axis", "_Axis"]:
        """The checked geometry along height and width."""
        name = type(self).__name__
        sizes = image_shape(self, input_shape)[1:]
        windows = check_pair(name, "pool_size", self.pool_size, 1)
        paddings = check_pair(name, "padding", self.padding, 0)
        if paddings[0] >= windows[0] or paddings[1] >= windows[1]:
            raise ValueError(
                f"{name}: padding must be smaller than the window {windows[0]} x {windows[1]}, "
                f"lest a window hold nothing else, got {self.padding!r}."
            )
        padded = (sizes[0] + 2 * paddings[0], sizes[1] + 2 * paddings[1])
        if check_bool(name, "clip", self.clip):
            windows = (min(windows[0], padded[0]), min(windows[1], padded[1]))
        strides = windows if self.stride is None else check_pair(name, "stride", self.stride, 1)
        if windows[0] > padded[0] or windows[1] > padded[1]:
            raise ValueError(
                f"{name}: the window {windows[0]} x {windows[1]} does not fit into the "
                f"{'padded ' if any(paddings) else ''}input {padded[0]} x {padded[1]} "
                f"(input shape {input_shape})."
            )
        height, width = map(_Axis, sizes, windows, strides, paddings)
        return height, width

    def output_shape(self, input_shape: Shape) -> Shape:
        height, width = self._axes(input_shape)
        return input_shape[0], height.positions, width.positions

    def reach(self, input_shape: Shape) -> tuple[Reach, ...]:
        return tuple(
            Reach(axis.positions, axis.window, axis.stride, before=axis.padding)
            for axis in self._axes(input_shape)
        )

    def scratch(self, input_shape: Shape) -> dict[str, Scratch]:
        C, H, _ = input_shape
        height, width = self._axes(input_shape)
        # the image after the first step, when the rows of the windows are pooled
        arrays = {"rows": Scratch((C, height.padded, width.positions), kept=False)}
        if width.padding:
            arrays["padded"] = Scratch((C, H, width.padded), kept=False)
        return arrays

    def views(self, x, y, dx, dy, scratch):
        h, w = self._axes(x.shape[:-1])
        (KH, SH, OH), (KW, SW, OW) = ((a.window, a.stride, a.positions) for a in (h, w))
        rows = scratch["rows"]

        def along_width(image):
            return [image[:, :, j : j + SW * (OW - 1) + 1 : SW] for j in range(KW)]

        def along_height(image):
            return [image[:, i : i + SH * (OH - 1) + 1 : SH] for i in range(KH)]

        padded = scratch.get("padded")
        views = {
            "x_taps": along_width(x if padded is None else padded),
            "row_taps": along_height(rows),
            "inner_rows": rows[:, h.inside],
            "margins": [],
        }
        if h.padding:
            views["margins"] += [rows[:, : h.padding], rows[:, -h.padding :]]
        if padded is not None:
            views["inside"] = padded[:, :, w.inside]
            views["margins"] += [padded[:, :, : w.padding], padded[:, :, -w.padding :]]
        if dx is not None:
            views["dpadded"] = dx if padded is None else padded
            views["dx_taps"] = along_width(views["dpadded"])
            views["disjoint_rows"], views["disjoint_columns"] = SH >= KH, SW >= KW
            views["gapless_rows"] = SH == KH and h.padded == SH * OH
            views["gapless_columns"] = SW == KW and w.padded == SW * OW
        return views


class _Axis(NamedTuple):
    """How the window moves along one axis: sizes in pixels."""

    size: int
    window: int
    stride: int
    padding: int  # on each side

    @property
    def padded(self) -> int:
        return self.size + 2 * self.padding

    @property
    def positions(self) -> int:
        """``floor((size + 2 padding - window) / stride) + 1``."""
        return (self.padded - self.window) // self.stride + 1

    @property
    def inside(self) -> slice:
        """Where the unpadded pixels lie in the padded ones."""
        return slice(self.padding, self.padding + self.size)


def _pad(x: np.ndarray, scratch: dict, value: float) -> None:
    """Write `value` left and right of `x`, and above and below the rows, where there is padding."""
    for margin in scratch["margins"]:
        margin[...] = value
    if "inside" in scratch:
        np.copyto(scratch["inside"], x)


@dataclass(frozen=True, repr=False, eq=False)
class MaxPool2d(_Pool2d):
    """The maximum of each window.

    Parameters
    ----------
    pool_size : int or (int, int)
        Height and width of the window.
    stride : int or (int, int) or None, default=None
        Step between two windows; None is the size of the window.
    padding : int or (int, int), default=0
        Pixels added on each side of an axis, fewer than the window has. They
        never are the maximum.
    clip : bool, default=False
        Shorten the window to an axis that is shorter than it (padding
        included), instead of raising an error.

    Examples
    --------
    >>> MaxPool2d(2).output_shape((6, 28, 28))
    (6, 14, 14)
    >>> MaxPool2d(3, stride=2).output_shape((96, 55, 55))
    (96, 27, 27)
    >>> MaxPool2d(3, stride=2, padding=1).output_shape((64, 112, 112))
    (64, 56, 56)
    >>> MaxPool2d(2, clip=True).output_shape((6, 1, 100))
    (6, 1, 50)
    """

    takes_maximum: ClassVar[bool] = True

    def scratch(self, input_shape: Shape) -> dict[str, Scratch]:
        height, width = self._axes(input_shape)
        C, OH, OW = self.output_shape(input_shape)
        rows = C, height.size, OW
        return {
            **super().scratch(input_shape),
            "column_wins": Scratch((width.window - 1, *rows), bool, optional=True),
            "row_wins": Scratch((height.window - 1, C, OH, OW), bool, optional=True),
            "row_share": Scratch(rows, kept=False, optional=True),
            "share": Scratch((C, OH, OW), kept=False, optional=True),
        }

    def forward(self, x, y, params, scratch, training, rng):
        """``y[p] = max x[p·stride + (i, j)]`` over the window's ``(i, j)``.

        A tournament: the maximum so far meets one tap after the other, and
        who won is kept. The earlier one wins a tie, so that the winner is the
        first maximum of the window in row-major order. Padding is ``-∞``.
        """
        _pad(x, scratch, -np.inf)
        rows = scratch["inner_rows"]  # (C, H, OW, n)
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
            scratch["dpadded"][...] = 0
        _award(
            scratch["dx_taps"], scratch["inner_rows"], scratch["column_wins"],
            scratch["row_share"], scratch["disjoint_columns"],
        )  # fmt: skip
        if "inside" in scratch:
            np.copyto(dx, scratch["inside"])


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


@dataclass(frozen=True, repr=False, eq=False)
class AvgPool2d(_Pool2d):
    """The mean of each window.

    Parameters
    ----------
    pool_size : int or (int, int)
        Height and width of the window.
    stride : int or (int, int) or None, default=None
        Step between two windows; None is the size of the window.
    padding : int or (int, int), default=0
        Zeros added on each side of an axis, fewer than the window has. They
        count: every window is divided by its full size, as PyTorch does by
        default.
    clip : bool, default=False
        Shorten the window to an axis that is shorter than it (padding
        included), instead of raising an error.

    Examples
    --------
    >>> AvgPool2d(2).output_shape((16, 10, 10))
    (16, 5, 5)
    """

    def forward(self, x, y, params, scratch, training, rng):
        """``y[p] = Σ x[p·stride + (i, j)] / (KH·KW)`` over the window's ``(i, j)``."""
        _pad(x, scratch, 0)
        rows = scratch["inner_rows"]  # (C, H, OW, n)
        for total, taps in ((rows, scratch["x_taps"]), (y, scratch["row_taps"])):
            np.copyto(total, taps[0])
            for tap in taps[1:]:
                total += tap
        y *= 1 / (len(scratch["row_taps"]) * len(scratch["x_taps"]))

    def backward(self, dx, dy, x, y, params, grads, scratch):
        """``dx[p·stride + (i, j)] += dy[p] / (KH·KW)`` for every ``(i, j)``."""
        dy *= 1 / (len(scratch["row_taps"]) * len(scratch["x_taps"]))
        scratch["rows"][...] = 0  # now for the gradient by the rows' sums
        for tap in scratch["row_taps"]:
            tap += dy
        scratch["dpadded"][...] = 0
        for tap in scratch["dx_taps"]:
            tap += scratch["inner_rows"]
        if "inside" in scratch:
            np.copyto(dx, scratch["inside"])


@dataclass(frozen=True, repr=False, eq=False)
class GlobalAvgPool2d(Layer):
    """The mean of each channel, which makes a vector of an image of any size.

    Lin, Chen & Yan (2014), "Network in network", section 3.2.

    Examples
    --------
    >>> GlobalAvgPool2d().output_shape((64, 7, 7))
    (64,)
    """

    def output_shape(self, input_shape: Shape) -> Shape:
        return image_shape(self, input_shape)[:1]

    def reach(self, input_shape: Shape) -> tuple[Reach, ...]:
        return tuple(Reach(positions=1, kernel=size) for size in input_shape[1:])

    def views(self, x, y, dx, dy, scratch):
        C, H, W, n = x.shape
        return {"pixels": x.reshape(C, H * W, n)}

    def forward(self, x, y, params, scratch, training, rng):
        """``y[c] = Σ x[c, i, j] / (H·W)``."""
        np.add.reduce(scratch["pixels"], axis=1, out=y)
        y *= 1 / scratch["pixels"].shape[1]

    def backward(self, dx, dy, x, y, params, grads, scratch):
        """``dx[c, i, j] = dy[c] / (H·W)``."""
        dy *= 1 / scratch["pixels"].shape[1]
        np.copyto(dx, dy[:, np.newaxis, np.newaxis])

"""Windows of a pooling as slices of one batch's arrays, and the order in which they are read."""

from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from skcnn.layers.windows import Frame, Windows, as_runs


class Taps:
    """The windows of one batch, as slices of its arrays.

    A window is pooled along its width first, then along its height. Each of the
    two steps sees its input as one strided slice, a *tap*, for every element of
    the window: tap ``j`` holds the ``j``-th pixel of all windows. Padding along
    the width needs a copy of the image; along the height the result of the
    first step is written between its margins.

    Attributes
    ----------
    x, dx : ndarray of shape (KW, C, H, OW, n)
        Taps along the width. Where there is padding both lie in the same
        padded image.
    y : list of ndarray
        Taps along the height of the first step's result, each (C, OH, OW, n).
    rows : Frame
        Result of the first step, (C, H padded, OW, n).
    columns : Frame or None
        The image between its margins, (C, H, W padded, n); None without padding
        along the width.
    d_image : ndarray or None
        The image, padded or not, that receives the gradient.
    scratch : object
        The scratch arrays as attributes.
    """

    def __init__(self, height: Windows, width: Windows, x: Any, dx: Any, scratch: Any) -> None:
        self.scratch = scratch
        self.rows = Frame(scratch.rows, height.inside, slice(0, width.positions))
        reach = height.stride * (height.positions - 1) + 1
        self.y = [scratch.rows[:, k : k + reach : height.stride] for k in range(height.kernel)]
        self.columns: Frame | None = None
        if scratch.padded is not None:
            self.columns = Frame(scratch.padded, slice(0, height.size), width.inside)
        image, self.d_image = (x, dx) if self.columns is None else 2 * (scratch.padded,)
        self.x = _along_width(image, width)
        self.dx: Any = None if dx is None else _along_width(self.d_image, width)

    def pad(self, x: np.ndarray, value: float) -> None:
        """Fill the padding with `value`."""
        self.rows.surround(value)
        if self.columns is not None:
            self.columns.write(x, around=value)


def _along_width(image: np.ndarray, width: Windows) -> np.ndarray:
    """The taps along the width, (C, H, W, n) as (KW, C, H, OW, n), without a copy."""
    taps = sliding_window_view(image, width.kernel, axis=2, writeable=True)
    return taps[:, :, :: width.stride].transpose(4, 0, 1, 2, 3)


class RunningMaximum(Taps):
    """The windows of a max-pooling in some of the channels, and the running maximum of each.

    Taps are many runs as short as the batch. They are copied side by side, run by
    run, before they are compared; all taps of a window if windows are apart, which
    makes everything that follows one long run, else those along the width. Their
    gradients are likewise collected side by side if windows do not overlap.

    Attributes
    ----------
    image, output, d_input, d_output : ndarray
        These channels of the layer's arrays; gradients may be None.
    beside : list of ndarray
        The taps along the width, each (C, H, OW, n), or (KH, C, OH, OW, n) if apart.
    maxima : ndarray
        The largest of them.
    """

    def __init__(
        self,
        windows: tuple[Windows, Windows],
        channels: slice,
        arrays: tuple[Any, ...],
        scratch: Any,
    ) -> None:
        self.image: Any
        self.output: Any
        self.d_input: Any
        self.d_output: Any
        self.image, self.output, self.d_input, self.d_output = (
            _some(array, (channels,)) for array in arrays
        )
        # what is not kept lies in the same place for all channels, which stays in the cache
        height, width = windows
        self._apart = are_apart(windows)
        every, now = (slice(None),), slice(len(self.image))
        at = every if self._apart else ()
        own = SimpleNamespace(
            rows=scratch.rows[(*at, now)],
            padded=_some(scratch.padded, (now,)),
            column_wins=_some(scratch.column_wins, (*every, *at, channels)),
            row_wins=_some(scratch.row_wins, (*every, channels)),
        )
        if self._apart:
            self.scratch, self.columns = own, None
            self.maxima, self.y, self.d_image = own.rows, list(own.rows), self.d_input
            self.x, self.dx = _all_taps(self.image, windows), _all_taps(self.d_input, windows)
        else:
            super().__init__(height, width, self.image, self.d_input, own)
            self.maxima = self.rows.inside
        beside = scratch.beside[(*every, *at, now)]
        self.beside = list(beside)
        self._beside, self._x = as_runs(beside), as_runs(self.x)
        if self.d_input is not None:
            self._dx = as_runs(self.dx)
            # gradients of the taps along the height, kept in the taps if there is no other array
            shares = _some(scratch.shares, (*every, now))
            self.shares = self.y if shares is None else list(shares)
            self._gapless = width.gapless and (height.gapless or not self._apart)
            self._disjoint = width.disjoint

    def read(self) -> None:
        """Copy the taps along the width."""
        if not self._apart:
            self.pad(self.image, -np.inf)
        np.copyto(self._beside, self._x)

    def to_rows(self) -> None:
        """Add the gradients in `shares` to `rows`."""
        if self.shares is not self.y:
            self.rows.array[...] = 0
            for tap, share in zip(self.y, self.shares, strict=True):
                tap += share

    def to_image(self) -> None:
        """Add the gradients in `beside` to the image."""
        if not self._gapless:
            self.d_image[...] = 0
        if self._disjoint:
            np.copyto(self._dx, self._beside)
        else:
            for tap, share in zip(self.dx, self.beside, strict=True):
                tap += share
        if self.columns is not None:
            np.copyto(self.d_input, self.columns.inside)


def are_apart(windows: tuple[Windows, Windows]) -> bool:
    """Whether no window overlaps another or the padding."""
    return all(axis.disjoint and axis.padded == axis.size for axis in windows)


def _all_taps(image: Any, windows: tuple[Windows, Windows]) -> Any:
    """The taps of windows that are apart, (C, H, W, n) as (KW, KH, C, OH, OW, n), or None."""
    if image is None:
        return None
    height, width = windows
    kernel = height.kernel, width.kernel
    taps = sliding_window_view(image, kernel, axis=(1, 2), writeable=True)
    return taps[:, :: height.stride, :: width.stride].transpose(5, 4, 0, 1, 2, 3)


def _some(array: np.ndarray | None, part: tuple[slice, ...]) -> np.ndarray | None:
    return None if array is None else array[part]

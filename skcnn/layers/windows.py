"""Geometry of sliding windows along an axis, and arrays with a margin around an image.

Convolution and pooling, their memory, and the receptive fields of a summary are
based on these.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from skcnn._hyperparameters import check_pair


class Windows(NamedTuple):
    """Windows along one axis: sizes in pixels.

    Window ``p`` holds the pixels ``p·stride + i·dilation - before``, ``i`` from
    0 to ``kernel - 1``; those that do not exist are padding.

    Parameters
    ----------
    size : int
        Pixels along the axis.
    kernel : int
        Pixels in a window.
    stride, dilation : int, default=1
        Step from window to window, and from pixel to pixel in a window.
    before, after : int, default=0
        Padding on either side.
    left_out : int, default=0
        Windows that would fit at the end but are omitted.

    Examples
    --------
    >>> strided = Windows(size=20, kernel=3, stride=2)
    >>> strided.positions, list(strided.pixels(8)), strided.unused
    (9, [16, 17, 18], 1)
    """

    size: int
    kernel: int
    stride: int = 1
    dilation: int = 1
    before: int = 0
    after: int = 0
    left_out: int = 0

    @property
    def padded(self) -> int:
        """Size with the padding."""
        return self.before + self.size + self.after

    @property
    def extent(self) -> int:
        """Pixels that a window spans, ``dilation (kernel - 1) + 1``."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def positions(self) -> int:
        """Number of windows, ``floor((padded - extent) / stride) + 1``."""
        return (self.padded - self.extent) // self.stride + 1 - self.left_out

    @property
    def inside(self) -> slice:
        """Position of the unpadded pixels among the padded ones."""
        return slice(self.before, self.before + self.size)

    @property
    def unused(self) -> int:
        """Number of pixels that lie in no window."""
        used = {pixel for p in range(self.positions) for pixel in self.pixels(p)}
        return self.size - len(used)

    @property
    def disjoint(self) -> bool:
        """Whether every pixel lies in at most one window."""
        return self.stride >= self.extent

    @property
    def gapless(self) -> bool:
        """Whether every pixel, padding included, lies in exactly one window."""
        return self.stride == self.kernel and self.padded == self.stride * self.positions

    def pixels(self, p: int) -> range:
        """The pixels of window `p`, without padding."""
        start, step = p * self.stride - self.before, self.dilation
        stop = min(start + self.extent, self.size)
        return range(max(start, start % step), stop, step)

    def tap(self, k: int) -> tuple[slice, slice]:
        """The `k`-th pixels of all windows, without padding, and their windows."""
        k = k * self.dilation - self.before  # pixel of the first window
        first = max(0, -(k // self.stride))
        last = min(self.positions - 1, (self.size - 1 - k) // self.stride)
        start = first * self.stride + k
        stop = start + (last - first) * self.stride + 1 if last >= first else start
        return slice(start, stop, self.stride), slice(first, max(first, last + 1))


def sliding_windows(
    caller: str,
    sizes: tuple[int, ...],
    kernels: tuple[int, int],
    strides: tuple[int, int],
    dilations: tuple[int, int] = (1, 1),
    padding: Any = 0,
    clip: bool = False,
) -> tuple[Windows, Windows]:
    """Return the windows along height and width for checked sizes and any `padding`.

    Parameters
    ----------
    caller : str
        Name of the layer in errors.
    sizes, kernels, strides, dilations : (int, int)
    padding : int, (int, int) or "same"
        Pixels on each side of an axis; "same" makes ``ceil(size / stride)``
        windows, with an odd pixel of padding at the end.
    clip : bool
        Whether kernels are shortened to the padded axis; for "same" padding, to
        the part that meets any pixel.
    """
    same = isinstance(padding, str) and padding == "same"
    if isinstance(padding, str) and not same:
        raise ValueError(
            f"{caller}: padding must be an int of at least 0, a pair of them or 'same', "
            f"got {padding!r}."
        )
    fixed = (0, 0) if same else check_pair(caller, "padding", padding, 0)
    height, width = (
        _same(*axis[:4], clip) if same else _padded(*axis, clip)
        for axis in zip(sizes, kernels, strides, dilations, fixed, strict=True)
    )
    return height, width


def _same(size: int, kernel: int, stride: int, dilation: int, clip: bool) -> Windows:
    """Return ``ceil(size / stride)`` windows; an odd pixel of padding goes to the end."""
    if clip:  # to the part that meets any pixel
        kernel = min(kernel, 2 * ((size - 1) // dilation) + 1)
    needed = (-(-size // stride) - 1) * stride + dilation * (kernel - 1) + 1
    padding = max(needed - size, 0)
    return Windows(size, kernel, stride, dilation, padding // 2, padding - padding // 2)


def _padded(
    size: int, kernel: int, stride: int, dilation: int, padding: int, clip: bool
) -> Windows:
    """Windows over an axis with the same padding on both sides."""
    if clip:  # to the padded axis
        kernel = min(kernel, (size + 2 * padding - 1) // dilation + 1)
    return Windows(size, kernel, stride, dilation, padding, padding)


class TransposedWindows(NamedTuple):
    """Windows seen from their pixels, as in a transposed convolution.

    The input of a transposed convolution has a number for every window, and its
    output one for every pixel, which depends on the windows that hold it.

    Parameters
    ----------
    windows : Windows

    Examples
    --------
    >>> upsampled = TransposedWindows(Windows(size=7, kernel=3, stride=2))
    >>> upsampled.size, upsampled.positions, [list(upsampled.pixels(q)) for q in range(3)]
    (3, 7, [[0], [0], [0, 1]])
    """

    windows: Windows

    @property
    def size(self) -> int:
        """Number of windows, the size of the input."""
        return self.windows.positions

    @property
    def positions(self) -> int:
        """Number of pixels, the size of the output."""
        return self.windows.size

    @property
    def unused(self) -> int:
        """Number of windows that hold padding only."""
        return sum(not self.windows.pixels(p) for p in range(self.size))

    def pixels(self, q: int) -> list[int]:
        """The windows that hold pixel `q`."""
        return [p for p in range(self.size) if q in self.windows.pixels(p)]


class Frame:
    """An array that contains an image and a margin around it.

    Parameters
    ----------
    array : ndarray of shape (..., height, width, n)
        With the margin.
    rows, columns : slice
        Position of the image in it.

    Attributes
    ----------
    inside : ndarray
        The image, a view.
    margins : list of ndarray
        Views of the margin: above and below, then left and right.
    """

    def __init__(self, array: np.ndarray, rows: slice, columns: slice) -> None:
        self.array = array
        self.inside = array[..., rows, columns, :]
        band = array[..., rows, :, :]
        self.margins = [
            margin
            for margin in (
                array[..., : rows.start, :, :],
                array[..., rows.stop :, :, :],
                band[..., : columns.start, :],
                band[..., columns.stop :, :],
            )
            if margin.size
        ]

    def surround(self, value: float) -> None:
        """Fill the margin."""
        for margin in self.margins:
            margin[...] = value

    def write(self, image: np.ndarray, around: float = 0) -> None:
        """Write the image, and fill the margin with one number."""
        self.surround(around)
        np.copyto(self.inside, image)


def as_runs(array: np.ndarray) -> np.ndarray:
    """Each run along the last axis as one item, shape ``(..., 1)``, to be copied.

    If there are gaps between the runs, NumPy copies one item of many bytes up to
    twice as fast as the single numbers.
    """
    return array.view(_item(array.shape[-1] * array.itemsize))


@lru_cache(maxsize=256)
def _item(nbytes: int) -> np.dtype:
    return np.dtype((np.void, nbytes))

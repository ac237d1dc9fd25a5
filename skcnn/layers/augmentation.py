"""Data augmentation: random changes to each image in training.

At prediction these layers do nothing. They belong at the start of the network,
or wherever else the input is an image:

>>> from skcnn.layers import Conv2d
>>> layers = [RandomCrop(2), RandomFlip(), Conv2d(16, 3)]
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from skcnn._hyperparameters import check_bool, check_pair, check_real
from skcnn.layers._layer import Layer, Scratch, Shape, Wanted, image_shape
from skcnn.layers.windows import Frame


class _Augmentation(Layer):
    """Base class of augmentations, which draw random numbers for every sample."""

    writes: ClassVar[Literal["new", "over_x", "view"]] = "over_x"

    @property
    def draws(self) -> bool:
        return True

    def output_shape(self, input_shape: Shape) -> Shape:
        return image_shape(self, input_shape)


@dataclass(frozen=True, repr=False, eq=False)
class RandomCrop(_Augmentation):
    """Moves each image by up to `padding` pixels, in training only.

    The image is padded with zeros (after the estimator's scaling of the input,
    these are the channel's mean) and cropped to its original size, at any
    position with equal probability.

    Parameters
    ----------
    padding : int or (int, int)
        Zeros on each side of an axis, fewer than the axis has pixels.

    Examples
    --------
    >>> RandomCrop(4).output_shape((3, 32, 32))
    (3, 32, 32)
    """

    padding: int | tuple[int, int]

    def _paddings(self, input_shape: Shape) -> tuple[int, int]:
        _, H, W = image_shape(self, input_shape)
        paddings = check_pair("RandomCrop", "padding", self.padding, 0)
        if paddings[0] >= H or paddings[1] >= W:
            raise ValueError(
                f"RandomCrop: padding must be smaller than the image {H} x {W}, so that "
                f"part of it remains, got {self.padding!r}."
            )
        return paddings

    def output_shape(self, input_shape: Shape) -> Shape:
        self._paddings(input_shape)
        return input_shape

    def scratch(self, input_shape: Shape, dtype: np.dtype, backward: bool) -> Wanted:
        C, H, W = input_shape
        PH, PW = self._paddings(input_shape)
        return {
            "offset": Scratch((2,), np.intp) if backward else None,
            "padded": Scratch((C, H + 2 * PH, W + 2 * PW), dtype, kept=False),
            "source": Scratch((H, W), np.intp, kept=False),
        }

    def bind(self, x, y, dx, dy, sample_weight, scratch):
        return _Crops(*self._paddings(x.shape[:-1]), x, scratch)

    def forward(self, x, y, params, crops, training, rng):
        """``y[c, q] = x[c, q + r - padding]``, with ``r`` in 0 … 2 padding; 0 outside."""
        offset = crops.offset
        if not training:
            if offset is not None:
                offset[...] = crops.centre
            np.copyto(y, x)
            return
        drawn = rng.integers(0, 2 * crops.centre, (2, x.shape[-1]), endpoint=True)
        if offset is not None:
            offset[...] = drawn
        crops.cut(x, y, drawn)

    def backward(self, dx, dy, x, y, params, grads, crops):
        """``dx[c, q] = dy[c, q - r + padding]``: moved back."""
        crops.cut(dy, dx, 2 * crops.centre - crops.offset)


class _Crops:
    """The padded images of one batch, and the positions of pixels in them.

    Attributes
    ----------
    offset : ndarray of int of shape (2, n) or None
        Random offset of each sample, rows and columns.
    centre : ndarray of int of shape (2, 1)
        The offset that changes nothing.
    """

    def __init__(self, PH: int, PW: int, x: np.ndarray, scratch: Any) -> None:
        _, H, W, n = x.shape
        self.offset, self._source = scratch.offset, scratch.source
        self.centre = np.array([[PH], [PW]])
        self._frame = Frame(scratch.padded, slice(PH, PH + H), slice(PW, PW + W))
        # positions of a crop's pixels in a flat channel, relative to the first; with the batch
        # last, neighbours are n numbers apart
        pixels = np.arange(H).reshape(H, 1, 1) * (W + 2 * PW) + np.arange(W).reshape(1, W, 1)
        self._pixels = pixels * n  # (H, W, 1)
        self._samples = np.arange(n)

    def cut(self, image: np.ndarray, out: np.ndarray, offset: np.ndarray) -> None:
        """Crop the padded `image`, starting at each sample's `offset`."""
        padded, n = self._frame.array, image.shape[-1]
        self._frame.write(image)
        start = (offset[0] * padded.shape[2] + offset[1]) * n + self._samples
        source = np.add(self._pixels, start, out=self._source)  # (H, W, n)
        _take(padded, source, out)


def _take(padded: np.ndarray, source: np.ndarray, out: np.ndarray) -> None:
    """``out[c, q] = padded[c].flat[source[q]]``."""
    C = len(padded)
    # no index is out of bounds; "clip" avoids a copy of `out`
    np.take(padded.reshape(C, -1), source.reshape(-1), axis=1, out=out.reshape(C, -1), mode="clip")


@dataclass(frozen=True, repr=False, eq=False)
class RandomFlip(_Augmentation):
    """Mirrors each image with probability one half, in training only.

    Parameters
    ----------
    horizontal : bool, default=True
        Whether to swap left and right.
    vertical : bool, default=False
        Whether to swap top and bottom, independently of the former.

    Examples
    --------
    >>> RandomFlip().output_shape((3, 32, 32))
    (3, 32, 32)
    """

    horizontal: bool = True
    vertical: bool = False

    def _axes(self) -> list[int]:
        """The axes of (channels, height, width) that are mirrored, checked."""
        horizontal = check_bool("RandomFlip", "horizontal", self.horizontal)
        vertical = check_bool("RandomFlip", "vertical", self.vertical)
        if not (horizontal or vertical):
            raise ValueError("RandomFlip: horizontal or vertical must be True, got False for both.")
        return [1] * vertical + [2] * horizontal

    def output_shape(self, input_shape: Shape) -> Shape:
        self._axes()
        return image_shape(self, input_shape)

    def scratch(self, input_shape: Shape, dtype: np.dtype, backward: bool) -> Wanted:
        return {"flipped": Scratch((len(self._axes()),), bool) if backward else None}

    def forward(self, x, y, params, scratch, training, rng):
        """``y[c, i, j] = x[c, i, W - 1 - j]`` or ``x[c, i, j]``; likewise for the rows."""
        flipped, axes = scratch.flipped, self._axes()
        np.copyto(y, x)
        if training:
            drawn = rng.random((len(axes), x.shape[-1])) < 0.5
            _flip(y, drawn, axes)
        else:
            drawn = False
        if flipped is not None:
            flipped[...] = drawn

    def backward(self, dx, dy, x, y, params, grads, scratch):
        """``dx[c, i, j] = dy[c, i, W - 1 - j]`` or ``dy[c, i, j]``: mirrored again."""
        np.copyto(dx, dy)
        _flip(dx, scratch.flipped, self._axes())


def _flip(image: np.ndarray, flipped: np.ndarray, axes: list[int]) -> None:
    """Mirror, in place, the samples that are `flipped` along each of the `axes`."""
    for axis, mirrored in zip(axes, flipped, strict=True):
        samples = np.flatnonzero(mirrored)
        image[..., samples] = np.flip(image, axis)[..., samples]


class _Warp(_Augmentation):
    """A linear map of the plane around the image's centre.

    Each pixel of the output is looked up at the point that the inverse of the
    map gives, by bilinear interpolation between the four pixels around it, with
    zeros outside the image.
    """

    @abstractmethod
    def _draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """The inverse of each sample's map, (2, 2, n), for (row, column)."""

    def scratch(self, input_shape: Shape, dtype: np.dtype, backward: bool) -> Wanted:
        C, H, W = input_shape
        return {
            "inverse": Scratch((2, 2), dtype) if backward else None,
            "padded": Scratch((C, H + 2, W + 2), dtype, kept=False),
            "source": Scratch((H, W), np.intp, kept=False),
            "column_source": Scratch((H, W), np.intp, kept=False),
            "down": Scratch((H, W), dtype, kept=False),
            "right": Scratch((H, W), dtype, kept=False),
            "beside": Scratch((C, H, W), dtype, kept=False),
            "below": Scratch((C, H, W), dtype, kept=False),
        }

    def bind(self, x, y, dx, dy, sample_weight, scratch):
        return _Corners(x, scratch)

    def forward(self, x, y, params, corners, training, rng):
        """``y[c, q] = Σ (1 - |u - i|) (1 - |v - j|) x[c, i, j]``, ``(u, v) = A (q - m) + m``.

        The sum is over the four pixels ``(i, j)`` around ``(u, v)``; ``m`` is
        the centre and ``A`` the inverse of the sample's map.
        """
        inverse = corners.inverse
        if not training:
            if inverse is not None:
                inverse[...] = np.eye(2)[..., np.newaxis]
            np.copyto(y, x)
            return
        drawn = self._draw(rng, x.shape[-1]).astype(x.dtype)
        if inverse is not None:
            inverse[...] = drawn
        source, down, right = corners.look_up(drawn)
        corners.frame.write(x)
        padded, beside, below = corners.frame.array, corners.beside, corners.below
        for row, step in zip((y, below), corners.steps, strict=True):
            source += step
            _take(padded, source, row)
            source += corners.step_right
            _take(padded, source, beside)
            _move(row, beside, right)  # between two neighbours of one row
        _move(y, below, down)

    def backward(self, dx, dy, x, y, params, grads, corners):
        """``dx[c, i, j] = Σ (1 - |u - i|) (1 - |v - j|) dy[c, q]`` over the ``q`` nearby."""
        source, down, right = corners.look_up(corners.inverse)
        places, weights = [], []
        for row_weight, step in zip((1 - down, down), corners.steps, strict=True):
            source += step
            places += [source.flatten(), source.flatten() + corners.step_right]
            source += corners.step_right
            weights += [row_weight * (1 - right), row_weight * right]
        place, weight = np.concatenate(places), np.stack(weights)
        padded = corners.frame.array
        for c in range(len(dy)):
            shares = (weight * dy[c]).ravel()
            sums = np.bincount(place, shares, minlength=padded[c].size)
            padded[c] = sums.reshape(padded[c].shape)
        np.copyto(dx, corners.frame.inside)


class _Corners:
    """The images of one batch with a margin of one pixel, and the positions of points in them.

    Attributes
    ----------
    inverse : ndarray of shape (2, 2, n) or None
        Random map of each sample, inverted.
    frame : Frame
        The images and their margin.
    beside, below : ndarray of shape (C, H, W, n)
        Buffers for looked-up pixels.
    steps : (int, int)
        In a flat channel: the step to the upper row, and that from its right
        corner to the left corner of the lower row.
    step_right : int
        The step to the pixel on the right.
    """

    def __init__(self, x: np.ndarray, scratch: Any) -> None:
        _, H, W, n = x.shape
        self.inverse, self.beside, self.below = scratch.inverse, scratch.beside, scratch.below
        self.frame = Frame(scratch.padded, slice(1, H + 1), slice(1, W + 1))
        self.steps, self.step_right = (0, (W + 1) * n), n
        # rows (H, 1, 1) and columns (1, W, 1), seen from the centre
        self._rows = (np.arange(H) - (H - 1) / 2).astype(x.dtype).reshape(H, 1, 1)
        self._columns = (np.arange(W) - (W - 1) / 2).astype(x.dtype).reshape(1, W, 1)
        self._samples = np.arange(n)
        self._down, self._right = scratch.down, scratch.right
        self._source, self._column_source = scratch.source, scratch.column_source

    def look_up(self, inverse: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Compute the source position of every pixel for each sample; each result is (H, W, n).

        The first is the position, in a flat channel, of the upper left of the four
        pixels around the point; the others are the point's distances below and to
        the right of that pixel, from 0 to 1.
        """
        rows, columns, down, right = self._rows, self._columns, self._down, self._right
        H, W, n = len(rows), columns.shape[1], inverse.shape[-1]
        np.add(rows * inverse[0, 0] + (H + 1) / 2, columns * inverse[0, 1], out=down)
        np.add(rows * inverse[1, 0] + (W + 1) / 2, columns * inverse[1, 1], out=right)
        source = _split(down, H, self._source)
        source *= W + 2
        source += _split(right, W, self._column_source)
        source *= n
        source += self._samples
        return source, down, right


def _split(point: np.ndarray, size: int, whole: np.ndarray) -> np.ndarray:
    """Split positions into pixel indices, ``whole``, and fractions, which stay in `point`.

    Indices are counted from the margin; points outside it are clipped to it.
    """
    np.clip(point, 0, size + 1, out=point)
    np.copyto(whole, point, casting="unsafe")  # rounds down, as nothing is negative
    np.minimum(whole, size, out=whole)
    point -= whole
    return whole


def _move(start: np.ndarray, end: np.ndarray, part: np.ndarray) -> None:
    """``start += part (end - start)``; `end` is overwritten."""
    end -= start
    end *= part
    start += end


@dataclass(frozen=True, repr=False, eq=False)
class RandomScale(_Warp):
    """Enlarges or shrinks each image around its centre, in training only.

    The image keeps its number of pixels; when enlarged it loses its border, and
    when shrunk it gets one of zeros (after the estimator's scaling of the
    input, these are the channel's mean). Interpolation is bilinear.

    Parameters
    ----------
    factor : float
        Scales are drawn uniformly from ``[1 - factor, 1 + factor]``; in [0, 1).

    Examples
    --------
    >>> RandomScale(0.1).output_shape((3, 32, 32))
    (3, 32, 32)
    """

    factor: float

    def output_shape(self, input_shape: Shape) -> Shape:
        check_real("RandomScale", "factor", self.factor, 0, 1)
        return image_shape(self, input_shape)

    def _draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """``A = I / s``, with the size ``s``."""
        size = rng.uniform(1 - self.factor, 1 + self.factor, n)
        zero = np.zeros(n)
        return np.array([[1 / size, zero], [zero, 1 / size]])


@dataclass(frozen=True, repr=False, eq=False)
class RandomRotation(_Warp):
    """Rotates each image around its centre, in training only.

    Pixels from outside the image are zero (after the estimator's scaling of
    the input, that is the channel's mean). Interpolation is bilinear.

    Parameters
    ----------
    degrees : float
        Angles are drawn uniformly from ``[-degrees, degrees]``; in [0, 180].

    Examples
    --------
    >>> RandomRotation(10).output_shape((3, 32, 32))
    (3, 32, 32)
    """

    degrees: float

    def output_shape(self, input_shape: Shape) -> Shape:
        check_real("RandomRotation", "degrees", self.degrees, 0, 180, bounds="[]")
        return image_shape(self, input_shape)

    def _draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """``A = [[cos φ, sin φ], [-sin φ, cos φ]]``, which turns back by the angle ``φ``."""
        angle = np.deg2rad(rng.uniform(-self.degrees, self.degrees, n))
        cos, sin = np.cos(angle), np.sin(angle)
        return np.array([[cos, sin], [-sin, cos]])

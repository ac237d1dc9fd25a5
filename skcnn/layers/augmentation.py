"""Augmentation: in training every image is changed by chance, each in its own way.

At prediction these layers do nothing. They stand in front of the network, or
wherever else an image is:

>>> from skcnn.layers import Conv2d
>>> layers = [RandomCrop(2), RandomFlip(), Conv2d(16, 3)]
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from skcnn._hyperparameters import check_bool, check_pair, check_real
from skcnn.layers._layer import Layer, Scratch, Shape, image_shape


class _Augmentation(Layer):
    """Something is drawn for every sample, and kept where a backward pass follows."""

    writes: ClassVar[Literal["new", "over_x", "view"]] = "over_x"
    draws: ClassVar[bool] = True

    def output_shape(self, input_shape: Shape) -> Shape:
        return image_shape(self, input_shape)


@dataclass(frozen=True, repr=False, eq=False)
class RandomCrop(_Augmentation):
    """Moves each image by up to `padding` pixels, in training only.

    The image is padded with zeros (after the classifier's scaling of the input
    a channel's mean) and cut to its old size again, at any of the places with
    equal probability.

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
                f"RandomCrop: padding must be smaller than the image {H} x {W}, lest nothing "
                f"be left of it, got {self.padding!r}."
            )
        return paddings

    def output_shape(self, input_shape: Shape) -> Shape:
        self._paddings(input_shape)
        return input_shape

    def scratch(self, input_shape: Shape) -> dict[str, Scratch]:
        C, H, W = input_shape
        PH, PW = self._paddings(input_shape)
        return {
            "offset": Scratch((2,), np.intp, optional=True),
            "padded": Scratch((C, H + 2 * PH, W + 2 * PW), kept=False),
            "source": Scratch((H, W), np.intp, kept=False),
        }

    def views(self, x, y, dx, dy, scratch):
        _, H, W, n = x.shape
        PH, PW = self._paddings(x.shape[:-1])
        pixels = np.arange(H).reshape(H, 1, 1) * (W + 2 * PW) + np.arange(W).reshape(1, W, 1)
        return {
            **_margins(scratch["padded"], PH, PW),
            "centre": np.array([[PH], [PW]]),
            # where a crop's pixels lie, from its first one on, in a flat channel; with the
            # batch last, neighbours are n numbers apart
            "pixels": pixels * n,  # (H, W, 1)
            "samples": np.arange(n),
        }

    def forward(self, x, y, params, scratch, training, rng):
        """``y[c, q] = x[c, q + r - padding]``, with ``r`` in 0 … 2 padding; 0 outside."""
        offset, centre = scratch.get("offset"), scratch["centre"]
        if not training:
            if offset is not None:
                offset[...] = centre
            np.copyto(y, x)
            return
        drawn = rng.integers(0, 2 * centre, (2, x.shape[-1]), endpoint=True)
        if offset is not None:
            offset[...] = drawn
        _crop(x, y, drawn, scratch)

    def backward(self, dx, dy, x, y, params, grads, scratch):
        """``dx[c, q] = dy[c, q - r + padding]``: moved back."""
        _crop(dy, dx, 2 * scratch["centre"] - scratch["offset"], scratch)


def _crop(image: np.ndarray, out: np.ndarray, offset: np.ndarray, scratch: dict) -> None:
    """Cut out of the padded `image` what starts at each sample's `offset`."""
    padded, n = scratch["padded"], image.shape[-1]
    _pad(image, scratch)
    start = (offset[0] * padded.shape[2] + offset[1]) * n + scratch["samples"]
    source = np.add(scratch["pixels"], start, out=scratch["source"])  # (H, W, n)
    _take(padded, source, out)


def _margins(padded: np.ndarray, PH: int, PW: int) -> dict:
    """The image inside of `padded`, and what lies around it."""
    _, height, width, _ = padded.shape
    rows, columns = slice(PH, height - PH), slice(PW, width - PW)
    return {
        "inside": padded[:, rows, columns],
        "margins": [
            padded[:, :PH], padded[:, rows.stop :],
            padded[:, rows, :PW], padded[:, rows, columns.stop :],
        ],
    }  # fmt: skip


def _pad(image: np.ndarray, scratch: dict) -> None:
    """Write the `image` into the padded one, with zeros around it."""
    for margin in scratch["margins"]:
        margin[...] = 0
    np.copyto(scratch["inside"], image)


def _take(padded: np.ndarray, source: np.ndarray, out: np.ndarray) -> None:
    """``out[c, q] = padded[c].flat[source[q]]``."""
    C = len(padded)
    # no index is out of bounds; "clip" spares NumPy a copy of `out`
    np.take(padded.reshape(C, -1), source.reshape(-1), axis=1, out=out.reshape(C, -1), mode="clip")


@dataclass(frozen=True, repr=False, eq=False)
class RandomFlip(_Augmentation):
    """Mirrors each image with probability one half, in training only.

    Parameters
    ----------
    horizontal : bool, default=True
        Whether left and right change places.
    vertical : bool, default=False
        Whether top and bottom do, independently of that.

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
            raise ValueError(
                "RandomFlip: one of horizontal and vertical must be True, got False for both."
            )
        return [1] * vertical + [2] * horizontal

    def output_shape(self, input_shape: Shape) -> Shape:
        self._axes()
        return image_shape(self, input_shape)

    def scratch(self, input_shape: Shape) -> dict[str, Scratch]:
        return {"flipped": Scratch((len(self._axes()),), bool, optional=True)}

    def forward(self, x, y, params, scratch, training, rng):
        """``y[c, i, j] = x[c, i, W - 1 - j]`` or ``x[c, i, j]``; likewise for the rows."""
        flipped, axes = scratch.get("flipped"), self._axes()
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
        _flip(dx, scratch["flipped"], self._axes())


def _flip(image: np.ndarray, flipped: np.ndarray, axes: list[int]) -> None:
    """Mirror, in place, the samples that are `flipped` along each of the `axes`."""
    for axis, mirrored in zip(axes, flipped, strict=True):
        samples = np.flatnonzero(mirrored)
        image[..., samples] = np.flip(image, axis)[..., samples]


class _Warp(_Augmentation):
    """A linear map of the plane around the image's centre.

    Each pixel of the output is looked up where the inverse of the map says, by
    bilinear interpolation between the four pixels around, with zeros outside
    of the image.
    """

    @abstractmethod
    def _draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """The inverse of each sample's map, (2, 2, n), for (row, column)."""

    def scratch(self, input_shape: Shape) -> dict[str, Scratch]:
        C, H, W = input_shape
        return {
            "inverse": Scratch((2, 2), optional=True),
            "padded": Scratch((C, H + 2, W + 2), kept=False),
            "source": Scratch((H, W), np.intp, kept=False),
            "column_source": Scratch((H, W), np.intp, kept=False),
            "down": Scratch((H, W), kept=False),
            "right": Scratch((H, W), kept=False),
            "beside": Scratch((C, H, W), kept=False),
            "below": Scratch((C, H, W), kept=False),
        }

    def views(self, x, y, dx, dy, scratch):
        _, H, W, n = x.shape
        return {
            **_margins(scratch["padded"], 1, 1),
            # rows (H, 1, 1) and columns (1, W, 1), seen from the centre
            "rows": (np.arange(H) - (H - 1) / 2).astype(x.dtype).reshape(H, 1, 1),
            "columns": (np.arange(W) - (W - 1) / 2).astype(x.dtype).reshape(1, W, 1),
            "samples": np.arange(n),
            "steps": (0, (W + 1) * n),  # to the upper row, and on to the left of the lower one
            "step_right": n,
        }

    def forward(self, x, y, params, scratch, training, rng):
        """``y[c, q] = Σ (1 - |u - i|) (1 - |v - j|) x[c, i, j]``, ``(u, v) = A (q - m) + m``.

        The sum is over the four pixels ``(i, j)`` around ``(u, v)``; ``m`` is
        the centre and ``A`` the inverse of the sample's map.
        """
        inverse = scratch.get("inverse")
        if not training:
            if inverse is not None:
                inverse[...] = np.eye(2)[..., np.newaxis]
            np.copyto(y, x)
            return
        drawn = self._draw(rng, x.shape[-1]).astype(x.dtype)
        if inverse is not None:
            inverse[...] = drawn
        source, down, right = _look_up(drawn, scratch)
        _pad(x, scratch)
        padded, beside, below = scratch["padded"], scratch["beside"], scratch["below"]
        for row, step in zip((y, below), scratch["steps"], strict=True):
            source += step
            _take(padded, source, row)
            source += scratch["step_right"]
            _take(padded, source, beside)
            _move(row, beside, right)  # between two neighbours of one row
        _move(y, below, down)

    def backward(self, dx, dy, x, y, params, grads, scratch):
        """``dx[c, i, j] = Σ (1 - |u - i|) (1 - |v - j|) dy[c, q]`` over the ``q`` nearby."""
        source, down, right = _look_up(scratch["inverse"], scratch)
        corners, weights = [], []
        for row_weight, step in zip((1 - down, down), scratch["steps"], strict=True):
            source += step
            corners += [source.flatten(), source.flatten() + scratch["step_right"]]
            source += scratch["step_right"]
            weights += [row_weight * (1 - right), row_weight * right]
        place, weight = np.concatenate(corners), np.stack(weights)
        padded = scratch["padded"]
        for c in range(len(dy)):
            shares = (weight * dy[c]).ravel()
            sums = np.bincount(place, shares, minlength=padded[c].size)
            padded[c] = sums.reshape(padded[c].shape)
        np.copyto(dx, scratch["inside"])


def _look_up(inverse: np.ndarray, scratch: dict) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where every pixel comes from, for each sample; each result is (H, W, n).

    The first is the place of the upper left of the four pixels around, in a
    flat channel with a margin of one pixel; the others are how far below and
    how far to the right of it the point lies, from 0 to 1.
    """
    rows, columns = scratch["rows"], scratch["columns"]
    H, W, n = len(rows), columns.shape[1], inverse.shape[-1]
    down, right = scratch["down"], scratch["right"]
    np.add(rows * inverse[0, 0] + (H + 1) / 2, columns * inverse[0, 1], out=down)
    np.add(rows * inverse[1, 0] + (W + 1) / 2, columns * inverse[1, 1], out=right)
    source = _split(down, H, scratch["source"])
    source *= W + 2
    source += _split(right, W, scratch["column_source"])
    source *= n
    source += scratch["samples"]
    return source, down, right


def _split(point: np.ndarray, size: int, whole: np.ndarray) -> np.ndarray:
    """Split positions into pixels, ``whole``, and the rest, which stays in `point`.

    They are counted from the margin; what lies outside of it is drawn into it.
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

    The image keeps its number of pixels; what is enlarged loses its border,
    and what is shrunk gets one of zeros (after the classifier's scaling of the
    input a channel's mean). Interpolation is bilinear.

    Parameters
    ----------
    factor : float
        Sizes are drawn uniformly from ``[1 - factor, 1 + factor]``; in [0, 1).

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
    """Turns each image around its centre, in training only.

    What comes in from outside is zero (after the classifier's scaling of the
    input a channel's mean). Interpolation is bilinear.

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

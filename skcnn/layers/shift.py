"""Augmentation that treats all images of a mini-batch alike."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from skcnn._hyperparameters import check_bool, check_pair
from skcnn.layers._layer import Layer, Scratch, Shape, Wanted, image_shape


@dataclass(frozen=True, repr=False, eq=False)
class RandomShift(Layer):
    """Moves all images of a mini-batch alike by up to `pixels`, in training only.

    Along each axis the distance is the sum of two uniform integers less their
    mean, so that 0 is the likeliest and `pixels` the rarest. What moves in is
    zero (after the estimator's scaling of the input, that is the channel's
    mean).

    It is drawn once for a whole mini-batch. `RandomCrop`, which moves every image
    on its own, regularizes more; but only here is a sample of weight 2 the same
    as one that occurs twice.

    Parameters
    ----------
    pixels : int or (int, int)
        Largest distance along each axis, less than the axis has pixels.
    clip : bool, default=False
        Whether distances are shortened along axes that are too short for them,
        instead of being an error.

    Examples
    --------
    >>> RandomShift(2).output_shape((3, 32, 32))
    (3, 32, 32)
    """

    pixels: int | tuple[int, int]
    clip: bool = False

    writes: ClassVar[Literal["new", "over_x", "view"]] = "over_x"

    @property
    def draws(self) -> bool:
        return True

    @property
    def draws_per_batch(self) -> bool:
        return True

    def _largest(self, input_shape: Shape) -> tuple[int, int]:
        """The largest distance along each axis."""
        _, H, W = image_shape(self, input_shape)
        down, right = check_pair("RandomShift", "pixels", self.pixels, 0)
        if check_bool("RandomShift", "clip", self.clip):
            return min(down, H - 1), min(right, W - 1)
        if down >= H or right >= W:
            raise ValueError(
                f"RandomShift: pixels must be smaller than the image {H} x {W}, so that part of "
                f"it remains, got {self.pixels!r}."
            )
        return down, right

    def output_shape(self, input_shape: Shape) -> Shape:
        self._largest(input_shape)
        return input_shape

    def scratch(self, input_shape: Shape, dtype: np.dtype, backward: bool) -> Wanted:
        return {"offset": Scratch((2,), np.intp) if backward else None}

    def forward(self, x, y, params, scratch, training, rng):
        """``y[c, q] = x[c, q - s]``, with one ``s`` for all samples; 0 outside."""
        offset = np.zeros(2, np.intp)
        if training:
            largest = self._largest(x.shape[:-1])
            offset = rng.integers(0, largest, (2, 2), endpoint=True).sum(axis=0) - largest
        if scratch.offset is not None:
            scratch.offset[...] = offset[:, np.newaxis]
        _move(x, y, *offset.tolist())

    def backward(self, dx, dy, x, y, params, grads, scratch):
        """``dx[c, q] = dy[c, q + s]``: moved back."""
        _move(dy, dx, *(-scratch.offset[:, 0]).tolist())


def _move(image: np.ndarray, out: np.ndarray, down: int, right: int) -> None:
    """``out[c, i, j] = image[c, i - down, j - right]``, which may be the same array."""
    (to_rows, from_rows), (to_columns, from_columns) = map(_parts, (down, right), image.shape[1:])
    out[:, to_rows, to_columns] = image[:, from_rows, from_columns]
    _clear(out, 1, to_rows)
    _clear(out, 2, to_columns)


def _parts(distance: int, size: int) -> tuple[slice, slice]:
    """Return the parts of an axis that pixels move to, and that they come from."""
    return (
        slice(max(distance, 0), size + min(distance, 0)),
        slice(max(-distance, 0), size - max(distance, 0)),
    )


def _clear(out: np.ndarray, axis: int, kept: slice) -> None:
    """Write zeros before and behind the part of an axis that is kept."""
    pixels = np.moveaxis(out, axis, 0)
    pixels[: kept.start] = 0
    pixels[kept.stop :] = 0

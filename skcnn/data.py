"""Images and samples in the user's arrays, gathered into micro-batches."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple, TypeAlias

import numpy as np

from skcnn.layers._layer import Shape
from skcnn.layers.training_rows import TrainingRows
from skcnn.losses import Loss, SoftmaxCrossEntropy

__all__ = ["Images", "Samples", "Scaling", "exact_dtype"]

Rows: TypeAlias = np.ndarray | slice

BLOCK = 2**17
"""Numbers that are read at a time to compute the moments of images: a megabyte."""


class Scaling(NamedTuple):
    """Mean to subtract from every channel, and deviation to divide by.

    Parameters
    ----------
    mean, deviation : ndarray of float64 of shape (channels,)
    """

    mean: np.ndarray
    deviation: np.ndarray

    def constants(self, given: np.dtype, wanted: np.dtype) -> tuple[np.ndarray, np.ndarray]:
        """Return subtrahend and factor, in a dtype that loses no digits of the images."""
        return _constants(self.mean.tobytes(), self.deviation.tobytes(), given, wanted)


def exact_dtype(given: np.dtype, wanted: np.dtype, deviations: np.ndarray) -> np.dtype:
    """Return a dtype for scaling that represents numbers of both dtypes, and the deviations."""
    exact = np.result_type(given, wanted)
    if deviations.min() < np.finfo(exact).tiny:
        exact = np.result_type(exact, np.float64)
    return exact


@lru_cache(maxsize=64)
def _constants(
    mean: bytes, deviation: bytes, given: np.dtype, wanted: np.dtype
) -> tuple[np.ndarray, np.ndarray]:
    """Return the constants of a `Scaling`; cached for predictions of single rows."""
    means, deviations = np.frombuffer(mean), np.frombuffer(deviation)
    exact = exact_dtype(given, wanted, deviations)
    with np.errstate(over="ignore"):  # deviations below the normal numbers
        factors = np.minimum(1 / deviations, np.finfo(np.float64).max)
    return means.astype(exact).reshape(-1, 1, 1, 1), factors.astype(exact).reshape(-1, 1, 1, 1)


@dataclass(frozen=True, repr=False, eq=False)
class Images:
    """Images in the user's array, in any dtype and axis order, gathered on demand.

    Parameters
    ----------
    X : ndarray of shape (n, ...)
        One image per row, flat or with axes; any numeric dtype and strides. Never
        copied whole.
    shape : tuple of int
        (Channels, height, width) of an image.
    data_format : {"channels_first", "channels_last"}, default="channels_first"
        Order of the axes in `X`.
    scaling : Scaling or None, default=None
        Applied while gathering.
    rows : ndarray of int or None, default=None
        The rows of `X` to use, in order; None is all of them.
    name : str, default="X"
        Name of `X` in errors.
    """

    X: np.ndarray
    shape: Shape
    data_format: str = "channels_first"
    scaling: Scaling | None = None
    rows: np.ndarray | None = None
    name: str = "X"

    def __len__(self) -> int:
        return len(self.X) if self.rows is None else len(self.rows)

    def with_scaling(self, scaling: Scaling | None) -> "Images":
        """Return these images with another scaling."""
        return replace(self, scaling=scaling)

    def subset(self, rows: np.ndarray) -> "Images":
        """Return some of the images, without copying them."""
        return replace(self, rows=rows if self.rows is None else self.rows[rows])

    def _take(self, rows: Rows) -> np.ndarray:
        """Return some images with axes (n, channels, height, width), in memory as in `X`."""
        part = self.X[rows if self.rows is None else self.rows[rows]]
        C, H, W = self.shape
        if self.data_format == "channels_last":
            return part.reshape(len(part), H, W, C).transpose(0, 3, 1, 2)
        return part.reshape(len(part), C, H, W)

    def gather(self, rows: Rows, out: np.ndarray) -> None:
        """Copy some images, scaled, into a batch-last array.

        Parameters
        ----------
        rows : ndarray of int or slice
        out : ndarray of shape (channels, height, width, number of rows)
        """
        part = self._take(rows).transpose(1, 2, 3, 0)
        if self.scaling is None:
            np.copyto(out, part, casting="same_kind")
        else:
            mean, factor = self.scaling.constants(self.X.dtype, out.dtype)
            if mean.dtype == out.dtype:
                np.subtract(part, mean, out=out, dtype=out.dtype)
                out *= factor
            else:
                part = np.subtract(part, mean, dtype=mean.dtype)
                part *= factor
                np.copyto(out, part, casting="same_kind")

    def measure(self, sample_weight: np.ndarray) -> Scaling:
        """Compute the weighted mean and standard deviation of every channel.

        Blocks of rows are merged as in Chan, Golub & LeVeque (1983), equation
        2.1, in float64. Constant channels get a deviation of 1.

        Parameters
        ----------
        sample_weight : ndarray of shape (n,)
            Weight of every image, not all 0.

        Returns
        -------
        Scaling
        """
        unit = self._unit(sample_weight)
        channels = self.shape[0]
        total, mean, spread = 0.0, np.zeros(channels), np.zeros(channels)
        for block, w in self._blocks(sample_weight):
            if not w.any():
                continue
            block /= unit
            w = w.reshape(-1, 1, 1, 1)
            block_total = w.sum() * (block.size / channels / len(block))
            block_mean = (block * w).sum(axis=(0, 2, 3)) / block_total
            deviation = block - block_mean[:, None, None]
            block_spread = (deviation * deviation * w).sum(axis=(0, 2, 3))
            difference = block_mean - mean
            share = block_total / (total + block_total)
            mean += difference * share
            spread += block_spread + difference**2 * total * share
            total += block_total
        deviation = np.sqrt(spread / total)
        constant = deviation <= 10 * np.finfo(np.float64).eps * np.abs(mean)
        return Scaling(mean * unit, np.where(constant, 1.0, deviation * unit))

    def training_rows(self, sample_weight: np.ndarray, dtype: np.dtype) -> TrainingRows:
        """Images of positive weight in the order of their values, for layers that ask for them.

        They are sorted by mean and deviation of their own numbers, before any
        scaling; images that agree in both are told apart by a hash of all of them.

        Parameters
        ----------
        sample_weight : ndarray of shape (n,)
            Weight of every image, not all 0.
        dtype : dtype
            Dtype that the network computes in.

        Returns
        -------
        TrainingRows
        """
        means, deviations = np.empty((2, len(self)))
        start = 0
        with np.errstate(all="ignore"):
            for block, _ in self._blocks(sample_weight):
                part = slice(start, start := start + len(block))
                flat = block.reshape(len(block), -1)
                means[part] = flat.mean(axis=1)
                deviations[part] = flat.std(axis=1)
        order = np.lexsort((self.hashes(), means, deviations))
        order = order[sample_weight[order] > 0]
        cumulative = np.cumsum(sample_weight[order], dtype=np.float64)
        return TrainingRows(self.gather, self.shape, dtype, order, cumulative / cumulative[-1])

    def hashes(self) -> np.ndarray:
        """Hash of each image by its numbers, before any scaling: uint64, of shape (n,)."""
        found = bytearray()
        for block, _ in self._blocks(np.empty(len(self))):
            block += 0.0  # no negative zeros
            for image in block:
                found += blake2b(image, digest_size=8).digest()
        return np.frombuffer(found, np.uint64)

    def _unit(self, sample_weight: np.ndarray) -> float:
        """Return a divisor that keeps the squares of all numbers within float64."""
        if self.X.dtype.kind != "f" or self.X.dtype.itemsize < 8:
            return 1.0
        peak = max(float(np.abs(block).max()) for block, _ in self._blocks(sample_weight))
        return 1.0 if peak == 0 or 1e-100 < peak < 1e100 else peak

    def _blocks(self, sample_weight: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield blocks of images in float64, with their weights.

        They are always (channels, height, width), whatever the order in memory, so
        that sums over them are rounded in the same way.
        """
        length = max(1, BLOCK // int(np.prod(self.shape)))
        for start in range(0, len(self), length):
            part = slice(start, start + length)
            block = self._take(part).astype(np.float64, order="C")
            yield block, sample_weight[part].astype(np.float64)


@dataclass(frozen=True, repr=False, eq=False)
class Samples:
    """Images with their targets and weights.

    Parameters
    ----------
    images : Images
    targets : ndarray of int of shape (n,), or of bool or float of shape (n, outputs)
        Class of every image, its labels or its targets, as `loss` takes them.
    sample_weight : ndarray of shape (n,)
        Weight of every image.
    loss : Loss
        Loss of a network's outputs for them.
    """

    images: Images
    targets: np.ndarray
    sample_weight: np.ndarray
    loss: Loss = SoftmaxCrossEntropy()

    def __len__(self) -> int:
        return len(self.targets)

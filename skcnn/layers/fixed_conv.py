"""Convolution with kernels that are not trained."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from math import log2, prod
from typing import Any

import numpy as np

from skcnn._hyperparameters import as_tuples, check_choice, check_int, check_pair
from skcnn.layers._layer import Layer, Params, Shape, Wanted, image_shape
from skcnn.layers.convolution import Conv2d
from skcnn.layers.correlation import Correlation
from skcnn.layers.windows import Windows

LENGTH = 9
"""Length of MiniRocket's kernels."""

MOST_CHANNELS = 9
"""Most channels that one of MiniRocket's kernels sees."""


@dataclass(frozen=True, repr=False, eq=False)
class FixedConv(Layer):
    """Convolution with kernels that follow from a rule, or are given, and are not trained.

    It pads as ``Conv2d(..., padding="same")`` does. The kernels are constants of
    the network: they stand among its weights, but have no gradient.

    Parameters
    ----------
    kernels : str or array-like, default="minirocket"
        - "minirocket": the 84 kernels of length 9 that have three times 2 and
          six times -1 (Dempster, Schmidt & Webb 2021). With several channels,
          each sees the sum of one to nine of them, which are drawn.
        - "increasing", "decreasing", "peak": one kernel that answers to a signal
          that rises, falls, or has a peak (Ismail-Fawaz et al. 2022, *Deep
          learning for time series classification using new hand-crafted
          convolution filters*; the filters of LITE). Channels are summed.
        - An array of shape (filters, width), whose kernels see the sum of all
          channels, (filters, channels, width), or (filters, channels, height,
          width).
    kernel_size : int or None, default=None
        Length of the detectors: even, and for "peak", whose kernel is half as
        long again, a multiple of 4. Other kernels have a length of their own,
        which None stands for.
    dilation : int or (int, int), default=1
        Step between two elements of a kernel.

    Examples
    --------
    >>> FixedConv().constant_shapes((1, 1, 150))
    {'weight': (84, 1, 1, 9)}
    >>> FixedConv([[-1.0, 0.0, 1.0]], dilation=4).output_shape((3, 1, 150))
    (1, 1, 150)
    """

    kernels: Any = "minirocket"
    kernel_size: int | None = None
    dilation: int | tuple[int, int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "kernels", as_tuples(self.kernels))

    def _rule(self) -> np.ndarray:
        """The checked kernels, (filters, channels, height, width); 1 channel for the sum of all."""
        if not isinstance(self.kernels, str):
            if self.kernel_size is not None:
                raise ValueError(
                    "FixedConv: kernel_size must be None with kernels that are given, got "
                    f"{self.kernel_size!r}."
                )
            return _given(self.kernels)
        rule = RULES[check_choice("FixedConv", "kernels", self.kernels, RULES)]
        if self.kernels == "minirocket":
            size = LENGTH if self.kernel_size is None else self.kernel_size
            if check_int("FixedConv", "kernel_size", size, 1) != LENGTH:
                raise ValueError(
                    f"FixedConv: kernel_size must be None or {LENGTH} for MiniRocket's kernels, "
                    f"got {size!r}."
                )
        else:
            multiple = 4 if self.kernels == "peak" else 2
            size = check_int("FixedConv", "kernel_size", self.kernel_size, multiple)
            if size % multiple:
                raise ValueError(
                    f"FixedConv: kernel_size must be a multiple of {multiple} for "
                    f"kernels={self.kernels!r}, got {size}."
                )
        return rule(size)[:, np.newaxis, np.newaxis]

    def _weight_shape(self, channels: int) -> Shape:
        filters, seen, *window = self._rule().shape
        if self._sums_channels:
            seen = channels
        elif seen != channels:
            raise ValueError(
                f"FixedConv: the kernels see {seen} channels, but the input has {channels}."
            )
        return filters, seen, *window

    @property
    def _sums_channels(self) -> bool:
        return isinstance(self.kernels, str) or np.ndim(self.kernels) == 2

    def convolution(self, input_shape: Shape) -> Conv2d:
        """Return the convolution that this is, as a layer that would be trained."""
        channels = image_shape(self, input_shape)[0]
        filters, _, height, width = self._weight_shape(channels)
        dilation = check_pair("FixedConv", "dilation", self.dilation, 1)
        return Conv2d(filters, (height, width), padding="same", dilation=dilation, bias=False)

    def output_shape(self, input_shape: Shape) -> Shape:
        return self.convolution(input_shape).output_shape(input_shape)

    def constant_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        return {"weight": self._weight_shape(input_shape[0])}

    def init(self, params: Params, rng: np.random.Generator) -> None:
        weight, channels = params["weight"], params["weight"].shape[1]
        weight[...] = self._rule()
        if isinstance(self.kernels, str) and self.kernels == "minirocket" and channels > 1:
            most = log2(min(channels, MOST_CHANNELS) + 1)
            for kernel in weight:
                seen = rng.choice(channels, int(2 ** rng.uniform(0, most)), replace=False)
                kernel[np.setdiff1d(np.arange(channels), seen)] = 0

    def multiply_adds(self, input_shape: Shape) -> int:
        positions = prod(input_shape[1:])
        return prod(self._weight_shape(input_shape[0])) * positions

    def reach(self, input_shape: Shape) -> tuple[Windows, ...]:
        return self.convolution(input_shape).reach(input_shape)

    def scratch(self, input_shape: Shape, dtype: np.dtype, backward: bool) -> Wanted:
        kernels = self.convolution(input_shape).kernels(input_shape)
        return kernels.scratch(dtype, image=True, kept=False, transpose=backward)

    def bind(self, x, y, dx, dy, sample_weight, scratch):
        shape = x.shape[:-1]
        return Correlation(self.convolution(shape).kernels(shape), x, y, dx, dy, scratch)

    def forward(self, x, y, params, correlation, training, rng):
        """``y[f, p] = Σ W[f, c, i, j] x[c, p + (i, j)·dilation]``: ``y = W ⋆ x``."""
        correlation.unfold()
        correlation.forward(params["weight"])

    def backward(self, dx, dy, x, y, params, grads, correlation):
        """``dx = Wᵀ ⋆ dy``."""
        if dx is not None:
            correlation.transpose(params["weight"])


def _given(kernels: Sequence) -> np.ndarray:
    try:
        array = np.asarray(kernels, np.float64)
    except (TypeError, ValueError):
        array = np.empty(())
    if array.ndim not in (2, 3, 4) or not array.size or not np.isfinite(array).all():
        raise ValueError(
            f"FixedConv: kernels must be one of {list(RULES)} or an array of finite numbers of "
            "shape (filters, width), (filters, channels, width) or (filters, channels, height, "
            f"width), got {kernels!r}."
        )
    if array.ndim == 4:
        return array
    return array.reshape(len(array), -1, 1, array.shape[-1])


@lru_cache
def _minirocket(size: int) -> np.ndarray:
    """All kernels of -1 with three times 2, (84, 9)."""
    kernels = np.full((84, size), -1.0)
    for kernel, places in zip(kernels, combinations(range(size), 3), strict=True):
        kernel[list(places)] = 2
    return kernels


def _increasing(size: int) -> np.ndarray:
    """-1 and 1 in turns."""
    return np.where(np.arange(size) % 2, 1.0, -1.0)[np.newaxis]


def _decreasing(size: int) -> np.ndarray:
    return -_increasing(size)


def _peak(size: int) -> np.ndarray:
    """Negative, positive and negative parabolas, the second of twice the height."""
    left = np.linspace(0, 1, size // 4 + 1)[1:] ** 2
    hill = np.concatenate([left, left[::-1]])
    return np.concatenate([-hill, 2 * hill, -hill])[np.newaxis]


RULES: dict[str, Callable[[int], np.ndarray]] = {
    "minirocket": _minirocket,
    "increasing": _increasing,
    "decreasing": _decreasing,
    "peak": _peak,
}

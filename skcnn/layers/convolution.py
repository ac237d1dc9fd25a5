"""Convolution (strictly: cross-correlation, as in every CNN) and transposed convolution.

Both are the same linear map ``W ⋆ x`` and its transpose ``Wᵀ ⋆ y``, which
`skcnn.layers.correlation` computes; `skcnn.layers.definition` has it in twenty
lines.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import ClassVar

import numpy as np

from skcnn._hyperparameters import check_bool, check_int, check_pair
from skcnn.initializers import He, Initializer
from skcnn.layers._layer import Layer, Params, Shape, Wanted, image_shape
from skcnn.layers.correlation import Correlation, Kernels
from skcnn.layers.dense import check_initializer
from skcnn.layers.windows import TransposedWindows, Windows, sliding_windows


@dataclass(frozen=True, repr=False, eq=False)
class Conv2d(Layer):
    """Convolution of an image with `filters` learned kernels.

    Parameters
    ----------
    filters : int
        Number of kernels, the channels of the output.
    kernel_size : int or (int, int)
        Height and width of the kernels.
    stride : int or (int, int), default=1
        Step between two positions of the kernel.
    padding : int, (int, int) or "same", default=0
        Zeros on each side of an axis. "same" pads so that there are
        ``ceil(size / stride)`` positions, with an odd pixel after the image, as
        in Keras.
    dilation : int or (int, int), default=1
        Step between two elements of the kernel (Yu & Koltun 2016).
    groups : int, default=1
        Number of groups of equal size that the channels are divided into; each
        filter sees one of them (Krizhevsky et al. 2012). As many groups as
        channels make the convolution depthwise.
    bias : bool, default=True
        Whether a learned number is added to each filter's output.
    initializer : Initializer, default=He()
        Initializer of the weights; biases start at 0.
    clip : bool, default=False
        Whether to shorten the kernel along an axis if its ends would never meet a
        pixel, instead of leaving them unused ("same" padding) or raising an error
        (other padding).

    Examples
    --------
    >>> Conv2d(6, 3).output_shape((3, 144, 144))
    (6, 142, 142)
    >>> Conv2d(6, 3).param_shapes((3, 144, 144))
    {'weight': (6, 3, 3, 3), 'bias': (6,)}
    """

    filters: int
    kernel_size: int | tuple[int, int]
    stride: int | tuple[int, int] = 1
    padding: int | tuple[int, int] | str = 0
    dilation: int | tuple[int, int] = 1
    groups: int = 1
    bias: bool = True
    initializer: Initializer = He()
    clip: bool = False

    reads_x: ClassVar[bool] = True  # a 1 x 1 kernel does; a larger one reads its columns

    def _axes(self, input_shape: Shape) -> tuple[Windows, Windows]:
        """The checked windows along height and width."""
        sizes = image_shape(self, input_shape)[1:]
        kernels = check_pair("Conv2d", "kernel_size", self.kernel_size, 1)
        strides = check_pair("Conv2d", "stride", self.stride, 1)
        dilations = check_pair("Conv2d", "dilation", self.dilation, 1)
        clip = check_bool("Conv2d", "clip", self.clip)
        height, width = sliding_windows(
            "Conv2d", sizes, kernels, strides, dilations, self.padding, clip
        )
        if min(height.positions, width.positions) < 1:
            raise ValueError(
                f"Conv2d: the kernel {height.extent} x {width.extent} does not fit into the "
                f"padded input {height.padded} x {width.padded} (input shape {input_shape})."
            )
        return height, width

    def kernels(self, input_shape: Shape) -> Kernels:
        """Return the kernels, and how they move over an image of this shape."""
        G, (height, width) = self.groups, self._axes(input_shape)
        return Kernels(G, self.filters // G, input_shape[0] // G, height, width)

    def output_shape(self, input_shape: Shape) -> Shape:
        filters = check_int("Conv2d", "filters", self.filters, 1)
        check_bool("Conv2d", "bias", self.bias)
        check_initializer("Conv2d", self.initializer)
        height, width = self._axes(input_shape)
        _check_groups("Conv2d", self.groups, input_shape[0], filters)
        return filters, height.positions, width.positions

    def param_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        return _shapes(self.kernels(input_shape).weight_shape, self.filters, self.bias)

    def init(self, params: Params, rng: np.random.Generator) -> None:
        self.initializer(params["weight"], rng)
        if self.bias:
            params["bias"][...] = 0

    def multiply_adds(self, input_shape: Shape) -> int:
        kernels = self.kernels(input_shape)
        return prod(kernels.weight_shape) * kernels.height.positions * kernels.width.positions

    def reach(self, input_shape: Shape) -> tuple[Windows, ...]:
        return self._axes(input_shape)

    def scratch(self, input_shape: Shape, dtype: np.dtype, backward: bool) -> Wanted:
        return self.kernels(input_shape).scratch(dtype, image=True, kept=True, transpose=backward)

    def bind(self, x, y, dx, dy, sample_weight, scratch):
        return Correlation(self.kernels(x.shape[:-1]), x, y, dx, dy, scratch)

    def forward(self, x, y, params, correlation, training, rng):
        """``y[f, p] = Σ W[f, c, i, j] x[c, p·stride + (i, j)·dilation] + b[f]``: ``y = W ⋆ x + b``.

        The image is padded first.
        """
        correlation.unfold()
        correlation.forward(params["weight"], params.get("bias"))

    def backward(self, dx, dy, x, y, params, grads, correlation):
        """``dW = Σ dy[p] x[p·stride + (i, j)·dilation]``, ``db = Σ dy``, ``dx = Wᵀ ⋆ dy``."""
        if "weight" in grads:
            correlation.gradient(grads["weight"])
        if "bias" in grads:
            _sum_images(dy, grads["bias"])
        if dx is not None:
            correlation.transpose(params["weight"])


@dataclass(frozen=True, repr=False, eq=False)
class ConvTranspose2d(Layer):
    """Transpose of a convolution, which enlarges an image.

    It maps an image of the output shape of
    ``Conv2d(channels, kernel_size, stride, padding, dilation, groups)`` to one
    of its input shape (Zeiler et al. 2010, *Deconvolutional networks*; Dumoulin
    & Visin 2016, *A guide to convolution arithmetic for deep learning*, chapter
    4). Parameters, and the order of the weights, are those of PyTorch.

    Parameters
    ----------
    filters : int
        Channels of the output.
    kernel_size : int or (int, int)
        Height and width of the kernels.
    stride : int or (int, int), default=1
        Step between the windows of the output that two neighbouring pixels of
        the input are spread over.
    padding : int or (int, int), default=0
        Pixels to cut off each side of the output.
    output_padding : int or (int, int), default=0
        Rows and columns added after the last ones of the output; less than the
        larger of stride and dilation. With a stride above 1, a convolution maps
        several sizes to the same one; this selects one of them.
    dilation : int or (int, int), default=1
        Step between two elements of the kernel.
    groups : int, default=1
        Number of groups of equal size that channels and filters are divided
        into.
    bias : bool, default=True
        Whether a learned number is added to each channel of the output.
    initializer : Initializer, default=He()
        Initializer of the weights; biases start at 0.

    Examples
    --------
    >>> ConvTranspose2d(8, 3, stride=2, padding=1, output_padding=1).output_shape((16, 7, 7))
    (8, 14, 14)
    >>> ConvTranspose2d(8, 3).param_shapes((16, 7, 7))
    {'weight': (16, 8, 3, 3), 'bias': (8,)}
    """

    filters: int
    kernel_size: int | tuple[int, int]
    stride: int | tuple[int, int] = 1
    padding: int | tuple[int, int] = 0
    output_padding: int | tuple[int, int] = 0
    dilation: int | tuple[int, int] = 1
    groups: int = 1
    bias: bool = True
    initializer: Initializer = He()

    reads_x: ClassVar[bool] = True

    def _axes(self, input_shape: Shape) -> tuple[Windows, Windows]:
        """The checked windows over the output, of which the input has one number each."""
        name, sizes = "ConvTranspose2d", image_shape(self, input_shape)[1:]
        kernels = check_pair(name, "kernel_size", self.kernel_size, 1)
        strides = check_pair(name, "stride", self.stride, 1)
        paddings = check_pair(name, "padding", self.padding, 0)
        extras = check_pair(name, "output_padding", self.output_padding, 0)
        dilations = check_pair(name, "dilation", self.dilation, 1)
        axes = []
        for n, k, s, p, extra, d in zip(
            sizes, kernels, strides, paddings, extras, dilations, strict=True
        ):
            if extra >= max(s, d):
                raise ValueError(
                    f"{name}: output_padding must be smaller than the stride or the dilation, "
                    f"got {self.output_padding!r}."
                )
            size = (n - 1) * s + d * (k - 1) + 1 + extra - 2 * p
            axes.append(Windows(size, k, s, d, before=p, after=p, left_out=extra // s))
        height, width = axes
        if min(height.size, width.size) < 1:
            raise ValueError(
                f"{name}: nothing would be left of the output after cutting off "
                f"padding={self.padding!r} (input shape {input_shape})."
            )
        return height, width

    def kernels(self, input_shape: Shape) -> Kernels:
        """Kernels of the convolution that this is the transpose of."""
        G, (height, width) = self.groups, self._axes(input_shape)
        return Kernels(G, input_shape[0] // G, self.filters // G, height, width)

    def output_shape(self, input_shape: Shape) -> Shape:
        filters = check_int("ConvTranspose2d", "filters", self.filters, 1)
        check_bool("ConvTranspose2d", "bias", self.bias)
        check_initializer("ConvTranspose2d", self.initializer)
        height, width = self._axes(input_shape)
        _check_groups("ConvTranspose2d", self.groups, input_shape[0], filters)
        return filters, height.size, width.size

    def param_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        return _shapes(self.kernels(input_shape).weight_shape, self.filters, self.bias)

    def init(self, params: Params, rng: np.random.Generator) -> None:
        for group in np.split(params["weight"], self.groups):
            self.initializer(group.swapaxes(0, 1), rng)  # (filters, channels, KH, KW)
        if self.bias:
            params["bias"][...] = 0

    def multiply_adds(self, input_shape: Shape) -> int:
        return prod(self.kernels(input_shape).weight_shape) * prod(input_shape[1:])

    def reach(self, input_shape: Shape) -> tuple[TransposedWindows, ...]:
        return tuple(map(TransposedWindows, self._axes(input_shape)))

    def scratch(self, input_shape: Shape, dtype: np.dtype, backward: bool) -> Wanted:
        kernels = self.kernels(input_shape)
        return kernels.scratch(dtype, image=backward, kept=False, transpose=True)

    def bind(self, x, y, dx, dy, sample_weight, scratch):
        # the convolution's image is our output, and its output our input
        return Correlation(self.kernels(x.shape[:-1]), x=dy, y=dx, dx=y, dy=x, scratch=scratch)

    def forward(self, x, y, params, correlation, training, rng):
        """``y[f, q] = Σ W[c, f, i, j] x[c, p] + b[f]`` over all ``p·stride + (i, j)·dilation = q``.

        That is ``y = Wᵀ ⋆ x + b``; then the padding is cut off.
        """
        correlation.transpose(params["weight"])
        if self.bias:
            y += params["bias"][:, np.newaxis, np.newaxis, np.newaxis]

    def backward(self, dx, dy, x, y, params, grads, correlation):
        """``dW = Σ x[p] dy[p·stride + (i, j)·dilation]``, ``db = Σ dy``, ``dx = W ⋆ dy``."""
        correlation.unfold()  # dy
        if "weight" in grads:
            correlation.gradient(grads["weight"])
        if "bias" in grads:
            _sum_images(dy, grads["bias"])
        if dx is not None:
            correlation.forward(params["weight"])


def _check_groups(caller: str, groups: int, channels: int, filters: int) -> None:
    check_int(caller, "groups", groups, 1)
    if channels % groups or filters % groups:
        raise ValueError(
            f"{caller}: groups must divide the {channels} channels of the input and the "
            f"{filters} filters, got {groups}."
        )


def _shapes(weight: Shape, filters: int, bias: bool) -> dict[str, Shape]:
    return {"weight": weight, "bias": (filters,)} if bias else {"weight": weight}


def _sum_images(dy: np.ndarray, db: np.ndarray) -> None:
    """``db[f] = Σ dy[f, p]``; a product with ones is the fastest sum along a row."""
    ones = _ones(dy.shape[2] * dy.shape[3], dy.dtype)
    rows = np.dot(dy.reshape(-1, len(ones)), ones)
    np.add.reduce(rows.reshape(len(db), -1), axis=1, out=db)


@lru_cache(maxsize=64)
def _ones(length: int, dtype: np.dtype) -> np.ndarray:
    ones = np.ones(length, dtype)
    ones.flags.writeable = False
    return ones

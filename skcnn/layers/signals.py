"""Layers for signals: those for images, with a height of 1.

A signal of ``length`` points in ``channels`` channels is an image of
``(channels, 1, length)``. The functions return the two-dimensional layer whose
windows are one pixel high:

>>> Conv1d(16, 7, padding="same")
Conv2d(filters=16, kernel_size=(1, 7), padding='same')
"""

from typing import Any

from skcnn.initializers import He, Initializer
from skcnn.layers.convolution import Conv2d, ConvTranspose2d
from skcnn.layers.pooling import AvgPool2d, MaxPool2d

__all__ = ["AvgPool1d", "Conv1d", "ConvTranspose1d", "MaxPool1d"]


def Conv1d(
    filters: int,
    kernel_size: int,
    stride: int = 1,
    padding: int | str = 0,
    dilation: int = 1,
    groups: int = 1,
    bias: bool = True,
    initializer: Initializer = He(),  # noqa: B008 - a value, which never changes
    clip: bool = False,
) -> Conv2d:
    """Convolution of a signal, as a `Conv2d` with a height of 1.

    Parameters
    ----------
    filters : int
        Number of kernels, the channels of the output.
    kernel_size : int
        Length of the kernels.
    stride : int, default=1
        Step between two positions of the kernel.
    padding : int or "same", default=0
        Zeros at each end.
    dilation : int, default=1
        Step between two elements of the kernel.
    groups, bias, initializer, clip
        As in `Conv2d`.

    Returns
    -------
    Conv2d

    Examples
    --------
    >>> Conv1d(16, 7, stride=2, padding=3).output_shape((6, 1, 130))
    (16, 1, 65)
    """
    return Conv2d(
        filters,
        (1, kernel_size),
        _along(stride, 1),
        _along(padding, 0),
        _along(dilation, 1),
        groups,
        bias,
        initializer,
        clip,
    )


def ConvTranspose1d(
    filters: int,
    kernel_size: int,
    stride: int = 1,
    padding: int = 0,
    output_padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
    bias: bool = True,
    initializer: Initializer = He(),  # noqa: B008
) -> ConvTranspose2d:
    """Transpose of a convolution of a signal, as a `ConvTranspose2d` with a height of 1.

    Parameters
    ----------
    filters : int
        Channels of the output.
    kernel_size : int
        Length of the kernels.
    stride : int, default=1
        Step between the windows of the output that two neighbouring points are
        spread over.
    padding : int, default=0
        Points that are cut off each end of the output.
    output_padding : int, default=0
        Points added after the last ones of the output.
    dilation : int, default=1
        Step between two elements of the kernel.
    groups, bias, initializer
        As in `ConvTranspose2d`.

    Returns
    -------
    ConvTranspose2d

    Examples
    --------
    >>> ConvTranspose1d(8, 4, stride=2, padding=1).output_shape((16, 1, 65))
    (8, 1, 130)
    """
    return ConvTranspose2d(
        filters,
        (1, kernel_size),
        _along(stride, 1),
        _along(padding, 0),
        _along(output_padding, 0),
        _along(dilation, 1),
        groups,
        bias,
        initializer,
    )


def MaxPool1d(
    pool_size: int, stride: int | None = None, padding: int | str = 0, clip: bool = False
) -> MaxPool2d:
    """The maximum of each window of a signal, as a `MaxPool2d` with a height of 1.

    Parameters
    ----------
    pool_size : int
        Length of the window.
    stride : int or None, default=None
        Step between two windows; None is the length of the window.
    padding : int or "same", default=0
        Points added at each end, fewer than the window has. They are never the
        maximum.
    clip : bool, default=False
        As in `MaxPool2d`.

    Returns
    -------
    MaxPool2d

    Examples
    --------
    >>> MaxPool1d(2)
    MaxPool2d(pool_size=(1, 2))
    """
    return MaxPool2d((1, pool_size), _along(stride, None), _along(padding, 0), clip)


def AvgPool1d(
    pool_size: int,
    stride: int | None = None,
    padding: int | str = 0,
    clip: bool = False,
    count_include_pad: bool = True,
) -> AvgPool2d:
    """The mean of each window of a signal, as an `AvgPool2d` with a height of 1.

    Parameters
    ----------
    pool_size : int
        Length of the window.
    stride : int or None, default=None
        Step between two windows; None is the length of the window.
    padding : int or "same", default=0
        Zeros added at each end, fewer than the window has.
    clip, count_include_pad : bool
        As in `AvgPool2d`.

    Returns
    -------
    AvgPool2d

    Examples
    --------
    >>> AvgPool1d(3, stride=2, padding=1).output_shape((6, 1, 130))
    (6, 1, 65)
    """
    return AvgPool2d(
        (1, pool_size), _along(stride, None), _along(padding, 0), clip, count_include_pad
    )


def _along(value: Any, default: int | None) -> Any:
    """Return a number of points as (height, width); the default and "same" as they are."""
    if value is None or isinstance(value, str) or (type(value) is int and value == default):
        return value
    return (1 if default is None else default, value)

"""Residual networks."""

from collections.abc import Sequence

from skcnn._hyperparameters import check_bool, check_choice
from skcnn.architectures.names import sizes
from skcnn.layers import (
    BatchNorm,
    Conv2d,
    GlobalAvgPool2d,
    Layer,
    MaxPool2d,
    PadChannels,
    ReLU,
    Residual,
)

__all__ = ["resnet", "resnet18", "resnet20", "resnet34"]


def resnet20(shortcut: str = "projection") -> list[Layer]:
    """Residual network with 20 layers of weights, for images of 3 x 32 x 32.

    He et al. (2016), section 4.2, with n = 3; see `resnet`.

    Parameters
    ----------
    shortcut : {"projection", "padding"}, default="projection"
        As in `resnet`; the paper uses "padding" here.

    Returns
    -------
    list of Layer
        With an output layer of 10 classes they have 272,474 parameters with
        "projection", 269,722 with "padding".

    Raises
    ------
    ValueError
        If `shortcut` is not one of these.

    Examples
    --------
    >>> from skcnn import summary
    >>> [summary(resnet20(kind), (3, 32, 32), 10).parameters for kind in ("projection", "padding")]
    [272474, 269722]
    """
    return resnet((3, 3, 3), (16, 32, 64), shortcut=shortcut)


def resnet18() -> list[Layer]:
    """Residual network with 18 layers of weights, for images of 3 x 224 x 224.

    He et al. (2016), table 1, with projections; see `resnet`.

    Returns
    -------
    list of Layer
        With an output layer of 1000 classes they have 11,689,512 parameters.

    Examples
    --------
    >>> from skcnn import summary
    >>> f"{summary(resnet18(), (3, 224, 224), 1000).parameters:,}"
    '11,689,512'
    """
    return resnet((2, 2, 2, 2), (64, 128, 256, 512), large_images=True)


def resnet34() -> list[Layer]:
    """Residual network with 34 layers of weights, for images of 3 x 224 x 224.

    He et al. (2016), table 1, with projections; see `resnet`.

    Returns
    -------
    list of Layer
        With an output layer of 1000 classes they have 21,797,672 parameters.
    """
    return resnet((3, 4, 6, 3), (64, 128, 256, 512), large_images=True)


def resnet(
    blocks: Sequence[int] = (2, 2, 2),
    filters: Sequence[int] = (64, 128, 256),
    *,
    shortcut: str = "projection",
    large_images: bool = False,
) -> list[Layer]:
    """Residual network (He et al. 2016) for images of any size.

    A convolution, then stages of residual blocks, then global average pooling.
    A block has two 3 x 3 convolutions, each with batch normalization, and is
    followed by a rectifier. The first block of every stage but the first halves
    the image.

    Parameters
    ----------
    blocks : sequence of int, default=(2, 2, 2)
        Number of residual blocks in each stage.
    filters : sequence of int, default=(64, 128, 256)
        Filters of each stage.
    shortcut : {"projection", "padding"}, default="projection"
        What is added where a block changes the shape: a 1 x 1 convolution with
        batch normalization (option B of the paper), or the image itself with
        added channels of zeros (option A, without parameters).
    large_images : bool, default=False
        Whether the first convolution is 7 x 7 with stride 2 and followed by a
        max-pooling, as for ImageNet, instead of 3 x 3.

    Returns
    -------
    list of Layer

    Raises
    ------
    ValueError
        If a parameter is not allowed.

    References
    ----------
    He, Zhang, Ren & Sun (2016). Deep residual learning for image recognition.
    CVPR.

    Examples
    --------
    >>> from skcnn import summary
    >>> table = summary(resnet((1, 1), (8, 16)), (16, 16), 10)
    >>> [row.output_shape for row in table.rows if row.depth == 0][3:]
    [(8, 16, 16), (8, 16, 16), (16, 8, 8), (16, 8, 8), (16,), (10,)]
    """
    stages, widths = sizes("blocks", blocks, "resnet"), sizes("filters", filters, "resnet")
    if not stages or len(stages) != len(widths):
        raise ValueError(
            "resnet: blocks and filters must have the same number of entries, at least one, got "
            f"blocks={blocks!r} and filters={filters!r}."
        )
    check_choice("resnet", "shortcut", shortcut, ["projection", "padding"])
    layers: list[Layer] = [Conv2d(widths[0], 3, padding=1, bias=False), BatchNorm(), ReLU()]
    if check_bool("resnet", "large_images", large_images):
        layers[0] = Conv2d(widths[0], 7, stride=2, padding=3, bias=False)
        layers += [MaxPool2d(3, stride=2, padding=1)]
    before = widths[0]
    for stage, (number, width) in enumerate(zip(stages, widths, strict=True)):
        for block in range(number):
            stride = 2 if stage > 0 and block == 0 else 1
            added = _shortcut(shortcut, width, stride) if (before, 1) != (width, stride) else None
            layers += [_block(width, stride, added), ReLU()]
            before = width
    return [*layers, GlobalAvgPool2d()]


def _block(width: int, stride: int, shortcut: Layer | list[Layer] | None) -> Layer:
    """Figure 2 of the paper, without the last rectifier."""
    return Residual(
        [
            Conv2d(width, 3, stride=stride, padding=1, bias=False), BatchNorm(), ReLU(),
            Conv2d(width, 3, padding=1, bias=False), BatchNorm(),
        ],
        shortcut,
    )  # fmt: skip


def _shortcut(kind: str, width: int, stride: int) -> Layer | list[Layer]:
    if kind == "padding":
        return PadChannels(width, stride)
    return [Conv2d(width, 1, stride=stride, bias=False), BatchNorm()]

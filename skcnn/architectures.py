"""Networks as functions that return the list of their layers.

The output layer is never in the list: it is ``Dense(n_classes)``, and only
``fit`` knows the classes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from skcnn._hyperparameters import check_bool, check_choice, check_int, check_pair, check_real
from skcnn.initializers import Glorot, He, Initializer
from skcnn.layers import (
    ELU,
    GELU,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    Layer,
    LeakyReLU,
    LocalResponseNorm,
    MaxPool2d,
    PadChannels,
    ReLU,
    Residual,
    Sigmoid,
    SiLU,
    Tanh,
)
from skcnn.layers._layer import Shape

__all__ = [
    "ACTIVATIONS", "alexnet", "cnn", "lenet", "lenet5", "recipe", "resnet", "resnet18", "resnet20",
    "resnet34", "simple_cnn", "vgg11", "vgg13", "vgg16", "vgg19", "with_output",
]  # fmt: skip

ACTIVATIONS: dict[str, Layer] = {
    "relu": ReLU(),
    "leaky_relu": LeakyReLU(),
    "elu": ELU(),
    "gelu": GELU(),
    "silu": SiLU(),
    "sigmoid": Sigmoid(),
    "tanh": Tanh(),
}
"""Activations by name."""

NORMALIZATIONS: dict[str, Layer] = {"batch": BatchNorm()}
"""Normalizations by name."""

POOLS = {"max": MaxPool2d, "mean": AvgPool2d}
"""Kinds of pooling by name."""


def cnn(
    filters: int | Sequence[int] = (32, 64),
    kernel_size: Any = 3,
    pool_size: Any = 2,
    hidden_layer_sizes: int | Sequence[int] = (128,),
    activation: str | Layer = "relu",
    dropout: float = 0.0,
    normalization: str | Layer | None = None,
    global_pool: bool = False,
) -> list[Layer]:
    """The network that the estimators build by default.

    One block for each of `filters`: a convolution with "same" padding, the
    normalization, the activation, and max-pooling. Then one dense layer with
    normalization, activation and dropout for each of `hidden_layer_sizes`.
    Kernels and windows are shortened along axes that are too short for them, so
    that the network takes images of any size.

    Parameters
    ----------
    filters : int or sequence of int, default=(32, 64)
        Filters of the convolution in each block.
    kernel_size : int, (int, int) or sequence of these, default=3
        Height and width of the kernels. A sequence that contains pairs has one
        entry per block.
    pool_size : int, (int, int) or sequence of these, default=2
        Height and width of the pooling windows; 1 for none. A sequence that
        contains pairs has one entry per block.
    hidden_layer_sizes : int or sequence of int, default=(128,)
        Units of the dense layers; empty for none.
    activation : str or Layer, default="relu"
        Follows every convolution and hidden dense layer: "relu", "leaky_relu",
        "elu", "gelu", "silu", "sigmoid", "tanh", or a layer.
    dropout : float, default=0.0
        Rate of the dropout after every hidden dense layer, in [0, 1).
    normalization : {"batch"}, Layer or None, default=None
        Follows every convolution, before the activation: "batch" for
        `BatchNorm`, or a layer. A `BatchNorm` follows hidden dense layers, too,
        and the layers before it have no bias, since it has one itself.
    global_pool : bool, default=False
        Whether to reduce each channel to its mean before the dense layers,
        instead of making every pixel a feature. The last block then has no
        max-pooling.

    Returns
    -------
    list of Layer

    Raises
    ------
    ValueError
        If a parameter is not allowed.

    Examples
    --------
    >>> for layer in cnn(filters=8, hidden_layer_sizes=64):
    ...     print(layer)
    Conv2d(filters=8, kernel_size=3, padding='same', clip=True)
    ReLU()
    MaxPool2d(pool_size=2, clip=True)
    Flatten()
    Dense(units=64)
    ReLU()
    >>> for layer in cnn((8, 16), 7, 4, (), normalization="batch", global_pool=True):
    ...     print(layer)
    Conv2d(filters=8, kernel_size=7, padding='same', bias=False, clip=True)
    BatchNorm()
    ReLU()
    MaxPool2d(pool_size=4, clip=True)
    Conv2d(filters=16, kernel_size=7, padding='same', bias=False, clip=True)
    BatchNorm()
    ReLU()
    GlobalAvgPool2d()
    """
    widths = _sizes("filters", filters)
    if not widths:
        raise ValueError(
            "cnn: filters must hold at least one int (for a network without convolutions "
            f"pass layers), got {filters!r}."
        )
    units = _sizes("hidden_layer_sizes", hidden_layer_sizes)
    kernels = _per_block("kernel_size", kernel_size, len(widths))
    pools = _per_block("pool_size", pool_size, len(widths))
    check_real("cnn", "dropout", dropout, 0, 1)
    nonlinearity = _activation(activation)
    normalized = _normalization(normalization)
    start = _initializer(nonlinearity)
    batch_norm = [layer for layer in normalized if isinstance(layer, BatchNorm)]
    bias = not batch_norm
    if check_bool("cnn", "global_pool", global_pool):
        pools[-1] = 1

    layers: list[Layer] = []
    for width, kernel, pool in zip(widths, kernels, pools, strict=True):
        layers += [Conv2d(width, kernel, padding="same", bias=bias, initializer=start, clip=True)]
        layers += [*normalized, nonlinearity]
        if check_pair("cnn", "pool_size", pool, 1) != (1, 1):
            layers += [MaxPool2d(pool, clip=True)]
    layers += [GlobalAvgPool2d() if global_pool else Flatten()]
    for width in units:
        layers += [Dense(width, bias=bias, initializer=start), *batch_norm, nonlinearity]
        if dropout > 0:
            layers += [Dropout(dropout)]
    return layers


def recipe(image_shape: Shape) -> dict[str, Any]:
    """What the estimators give to `cnn` where a parameter is "auto".

    It depends on the shape of the images alone:

    - Images get two blocks of 3 x 3 convolutions with 32 and 64 filters and
      poolings of 2, and a hidden layer of 128 units.
    - Signals (height or width 1) get blocks of convolutions of length 7 with 16,
      32 and 64 filters, poolings of 2 between them, or of 4 from a length of
      200 on, and global average pooling instead of a hidden layer.
    - Both have batch normalisation.

    Parameters
    ----------
    image_shape : tuple of int
        (Channels, height, width).

    Returns
    -------
    dict
        Arguments of `cnn`.

    Examples
    --------
    >>> recipe((3, 32, 32))["filters"], recipe((1, 1, 300))["filters"]
    ((32, 64), (16, 32, 64))
    >>> layers = cnn(**recipe((1, 1, 300)))
    >>> layers[-1]
    GlobalAvgPool2d()
    """
    _, height, width = image_shape
    size = max(height, width)
    if min(height, width) == 1:
        return {
            "filters": (16, 32, 64),
            "kernel_size": 7,
            "pool_size": 4 if size >= 200 else 2,
            "hidden_layer_sizes": (),
            "normalization": "batch",
            "global_pool": True,
        }
    return {
        "filters": (32, 64),
        "kernel_size": 3,
        "pool_size": 2,
        "hidden_layer_sizes": (128,),
        "normalization": "batch",
        "global_pool": False,
    }


def simple_cnn() -> list[Layer]:
    """One convolution and one hidden dense layer, for images of 28 x 28.

    Returns
    -------
    list of Layer
        With an output layer of 10 classes they have 101,146 parameters on
        images of one channel.

    Examples
    --------
    >>> from skcnn import summary
    >>> summary(simple_cnn(), (28, 28), 10).parameters
    101146
    """
    return [
        Conv2d(8, 3, padding=1), ReLU(), MaxPool2d(2),
        Flatten(),
        Dense(64), ReLU(),
    ]  # fmt: skip


def lenet(
    padding: int | tuple[int, int] | str = 2,
    *,
    pool: str = "max",
    activation: str | Layer | None = "relu",
) -> list[Layer]:
    """LeNet as it is usually taught, for images of 28 x 28.

    Parameters
    ----------
    padding : int, (int, int) or "same", default=2
        Padding of the first convolution. 2 keeps 28 x 28 pixels; 0 leaves
        24 x 24 of them.
    pool : {"max", "mean"}, default="max"
        Kind of pooling.
    activation : str, Layer or None, default="relu"
        Follows both convolutions and both hidden dense layers, as in `cnn`;
        None for none.

    Returns
    -------
    list of Layer
        With an output layer of 10 classes they have 61,706 parameters on
        images of one channel, 44,426 without padding.

    Raises
    ------
    ValueError
        If `pool` or `activation` is not allowed.

    Examples
    --------
    >>> from skcnn import summary
    >>> summary(lenet(), (28, 28), 10).parameters
    61706
    >>> summary(lenet(padding=0), (28, 28), 10).parameters
    44426
    """
    pooling = POOLS[check_choice("lenet", "pool", pool, POOLS)](2)
    nonlinear = [] if activation is None else [_activation(activation, "lenet")]
    start = _initializer(nonlinear[0]) if nonlinear else Glorot()
    return [
        Conv2d(6, 5, padding=padding, initializer=start), *nonlinear, pooling,
        Conv2d(16, 5, initializer=start), *nonlinear, pooling,
        Flatten(),
        Dense(120, initializer=start), *nonlinear,
        Dense(84, initializer=start), *nonlinear,
    ]  # fmt: skip


def lenet5() -> list[Layer]:
    """LeNet-5 (LeCun et al. 1998, figure 2), for images of 32 x 32.

    Returns
    -------
    list of Layer
        With an output layer of 10 classes they have 61,706 parameters on
        images of one channel.

    Notes
    -----
    The paper's subsampling has a learned factor and bias for each map, its
    second convolution sees only some of the maps, its tanh is scaled, and its
    output layer measures distances. Here, as is usual today, these are means,
    all maps, the plain tanh, and a dense layer.

    References
    ----------
    LeCun, Bottou, Bengio & Haffner (1998). Gradient-based learning applied to
    document recognition. Proceedings of the IEEE 86 (11).

    Examples
    --------
    >>> from skcnn import summary
    >>> summary(lenet5(), (32, 32), 10).parameters
    61706
    """
    start = Glorot()
    return [
        Conv2d(6, 5, initializer=start), Tanh(), AvgPool2d(2), Tanh(),
        Conv2d(16, 5, initializer=start), Tanh(), AvgPool2d(2), Tanh(),
        Conv2d(120, 5, initializer=start), Tanh(),
        Flatten(),
        Dense(84, initializer=start), Tanh(),
    ]  # fmt: skip


def alexnet(dropout: float = 0.5) -> list[Layer]:
    """AlexNet (Krizhevsky et al. 2012, section 3.5), for images of 3 x 227 x 227.

    Parameters
    ----------
    dropout : float, default=0.5
        Rate of the dropout after both hidden dense layers, in [0, 1).

    Returns
    -------
    list of Layer
        With an output layer of 1000 classes they have 60,965,224 parameters.

    Raises
    ------
    ValueError
        If `dropout` is not allowed.

    Notes
    -----
    The two halves that the paper trains on one GPU each are the groups of the
    second, fourth and fifth convolutions. The paper says 224 x 224, but its
    maps of 55 x 55 pixels come from 227 x 227.

    References
    ----------
    Krizhevsky, Sutskever & Hinton (2012). ImageNet classification with deep
    convolutional neural networks. NIPS 25.

    Examples
    --------
    >>> from skcnn import summary
    >>> f"{summary(alexnet(), (3, 227, 227), 1000).parameters:,}"
    '60,965,224'
    """
    return [
        Conv2d(96, 11, stride=4), ReLU(), LocalResponseNorm(), MaxPool2d(3, stride=2),
        Conv2d(256, 5, padding=2, groups=2), ReLU(), LocalResponseNorm(), MaxPool2d(3, stride=2),
        Conv2d(384, 3, padding=1), ReLU(),
        Conv2d(384, 3, padding=1, groups=2), ReLU(),
        Conv2d(256, 3, padding=1, groups=2), ReLU(), MaxPool2d(3, stride=2),
        *_two_of_4096("alexnet", dropout),
    ]  # fmt: skip


def vgg11(dropout: float = 0.5) -> list[Layer]:
    """VGG with 11 layers of weights, for images of 3 x 224 x 224.

    Configuration A of table 1 in Simonyan & Zisserman (2015); see `vgg16`.

    Parameters
    ----------
    dropout : float, default=0.5
        Rate of the dropout after both hidden dense layers, in [0, 1).

    Returns
    -------
    list of Layer
        With an output layer of 1000 classes they have 132,863,336 parameters.

    Raises
    ------
    ValueError
        If `dropout` is not allowed.
    """
    return _vgg("vgg11", (1, 1, 2, 2, 2), dropout)


def vgg13(dropout: float = 0.5) -> list[Layer]:
    """VGG with 13 layers of weights, for images of 3 x 224 x 224.

    Configuration B of table 1 in Simonyan & Zisserman (2015); see `vgg16`.

    Parameters
    ----------
    dropout : float, default=0.5
        Rate of the dropout after both hidden dense layers, in [0, 1).

    Returns
    -------
    list of Layer
        With an output layer of 1000 classes they have 133,047,848 parameters.

    Raises
    ------
    ValueError
        If `dropout` is not allowed.
    """
    return _vgg("vgg13", (2, 2, 2, 2, 2), dropout)


def vgg16(dropout: float = 0.5) -> list[Layer]:
    """VGG with 16 layers of weights, for images of 3 x 224 x 224.

    Configuration D of table 1 in Simonyan & Zisserman (2015): 3 x 3
    convolutions only, two or three in a row before each max-pooling.

    Parameters
    ----------
    dropout : float, default=0.5
        Rate of the dropout after both hidden dense layers, in [0, 1).

    Returns
    -------
    list of Layer
        With an output layer of 1000 classes they have 138,357,544 parameters.

    Raises
    ------
    ValueError
        If `dropout` is not allowed.

    References
    ----------
    Simonyan & Zisserman (2015). Very deep convolutional networks for
    large-scale image recognition. ICLR (arXiv 1409.1556, 2014).

    Examples
    --------
    >>> from skcnn import summary
    >>> f"{summary(vgg16(), (3, 224, 224), 1000).parameters:,}"
    '138,357,544'
    """
    return _vgg("vgg16", (2, 2, 3, 3, 3), dropout)


def vgg19(dropout: float = 0.5) -> list[Layer]:
    """VGG with 19 layers of weights, for images of 3 x 224 x 224.

    Configuration E of table 1 in Simonyan & Zisserman (2015); see `vgg16`.

    Parameters
    ----------
    dropout : float, default=0.5
        Rate of the dropout after both hidden dense layers, in [0, 1).

    Returns
    -------
    list of Layer
        With an output layer of 1000 classes they have 143,667,240 parameters.

    Raises
    ------
    ValueError
        If `dropout` is not allowed.
    """
    return _vgg("vgg19", (2, 2, 4, 4, 4), dropout)


def _vgg(owner: str, convolutions: Sequence[int], dropout: float) -> list[Layer]:
    """Blocks of the given numbers of convolutions; filters double in every block up to 512."""
    layers: list[Layer] = []
    for number, filters in zip(convolutions, (64, 128, 256, 512, 512), strict=True):
        layers += [Conv2d(filters, 3, padding=1), ReLU()] * number
        layers += [MaxPool2d(2)]
    return layers + _two_of_4096(owner, dropout)


def _two_of_4096(owner: str, dropout: float) -> list[Layer]:
    """The hidden dense layers of AlexNet and VGG."""
    check_real(owner, "dropout", dropout, 0, 1)
    dropped: list[Layer] = [Dropout(dropout)] if dropout > 0 else []
    return [Flatten(), *[Dense(4096), ReLU(), *dropped] * 2]


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
        If `shortcut` is none of these.

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
    A block has two 3 x 3 convolutions, each with batch normalisation, and is
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
        batch normalisation (option B of the paper), or the image itself with
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
    stages, widths = _sizes("blocks", blocks, "resnet"), _sizes("filters", filters, "resnet")
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


def with_output(layers: Sequence[Layer], output_shape: Shape, n_classes: int) -> list[Layer]:
    """The layers with the output layer that `ScratchCNNClassifier` adds to them.

    Parameters
    ----------
    layers : sequence of Layer
    output_shape : tuple of int
        Shape of one sample after the layers; images are flattened first.
    n_classes : int

    Returns
    -------
    list of Layer

    Examples
    --------
    >>> with_output([], (3, 8, 8), 10)
    [Flatten(), Dense(units=10, initializer=Glorot())]
    """
    flatten = [Flatten()] if len(output_shape) == 3 else []
    return [*layers, *flatten, Dense(n_classes, initializer=Glorot())]


def _is_sequence(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.ndim > 0
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def _sizes(name: str, value: Any, owner: str = "cnn") -> list[int]:
    """An int or a sequence of ints as a list of ints of at least 1."""
    if _is_sequence(value):
        return [check_int(owner, f"{name}[{i}]", size, 1) for i, size in enumerate(value)]
    try:
        return [check_int(owner, name, value, 1)]
    except ValueError:
        raise ValueError(
            f"{owner}: {name} must be an int of at least 1 or a sequence of them, got {value!r}."
        ) from None


def _per_block(name: str, value: Any, n_blocks: int) -> list[Any]:
    """One int or pair for every block."""
    if not (_is_sequence(value) and any(_is_sequence(entry) for entry in value)):
        try:
            pair = check_pair("cnn", name, value, 1)
        except ValueError as error:
            raise ValueError(
                f"{error} (For one entry per block, pass pairs, as in [(3, 3), (5, 5)].)"
            ) from None
        return [pair if _is_sequence(value) else int(value)] * n_blocks
    if len(value) != n_blocks:
        raise ValueError(
            f"cnn: {name} has {len(value)} entries for {n_blocks} blocks, got {value!r}."
        )
    for i, entry in enumerate(value):
        check_pair("cnn", f"{name}[{i}]", entry, 1)
    return list(value)


def _activation(activation: Any, owner: str = "cnn") -> Layer:
    if isinstance(activation, Layer):
        return activation
    try:
        return ACTIVATIONS[check_choice(owner, "activation", activation, ACTIVATIONS)]
    except ValueError as error:
        raise ValueError(f"{error} (Or an instance from skcnn.layers.)") from None


def _normalization(normalization: Any) -> list[Layer]:
    """What follows a convolution: one layer, or none."""
    if normalization is None:
        return []
    if isinstance(normalization, Layer):
        return [normalization]
    try:
        return [NORMALIZATIONS[check_choice("cnn", "normalization", normalization, NORMALIZATIONS)]]
    except ValueError as error:
        raise ValueError(f"{error} (Or None, or an instance from skcnn.layers.)") from None


def _initializer(activation: Layer) -> Initializer:
    """Glorot's where the activation saturates on both sides, He's elsewhere."""
    return Glorot() if isinstance(activation, (Tanh, Sigmoid)) else He()

"""The network that the estimators build for themselves."""

from collections.abc import Sequence
from typing import Any

from skcnn._hyperparameters import check_bool, check_pair, check_real
from skcnn.architectures.names import (
    activation_layer,
    initializer_for,
    normalization_layers,
    per_block,
    sizes,
)
from skcnn.initializers import Glorot
from skcnn.layers import (
    BatchNorm,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    Layer,
    MaxPool2d,
    RandomShift,
)
from skcnn.layers._layer import Shape

__all__ = ["cnn", "is_signal", "recipe", "with_output"]


SMALL, MEDIUM, LARGE = 16, 32, 63
"""Pixels along the longer side up to which two, three and four blocks leave few enough."""

HUGE = 256
"""Pixels from which on every doubling takes another block."""

LONG = 200
"""Length of signals from which they are pooled by more."""


def cnn(
    filters: int | Sequence[int] = (32, 64),
    kernel_size: Any = 3,
    pool_size: Any = 2,
    hidden_layer_sizes: int | Sequence[int] = (128,),
    activation: str | Layer = "relu",
    dropout: float = 0.0,
    normalization: str | Layer | None = None,
    global_pool: bool = False,
    random_shift: int | tuple[int, int] = 0,
    pool_first: bool = True,
) -> list[Layer]:
    """The network that the estimators build by default.

    One block for each of `filters`: a convolution with "same" padding,
    max-pooling, the normalization and the activation. Then one dense layer with
    activation and dropout for each of `hidden_layer_sizes`.
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
        Rate of the dropout after every hidden dense layer or, where there is
        none, in front of the output layer; in [0, 1).
    normalization : {"batch", "layer"}, Layer or None, default=None
        Precedes the activation in every block: "batch" for `BatchNorm`, "layer"
        for `LayerNorm`, or a layer. Convolutions followed by a `BatchNorm`,
        which has a bias itself, have none.
    global_pool : bool, default=False
        Whether to reduce each channel to its mean before the dense layers,
        instead of making every pixel a feature. The last block then has no
        max-pooling.
    random_shift : int or (int, int), default=0
        Pixels by which a `RandomShift` in front moves the images of a mini-batch
        at most, in training; 0 for none.
    pool_first : bool, default=True
        Whether max-pooling precedes the normalization, which then has fewer
        pixels to work on, or follows the activation. Without a normalization it
        always follows the activation.

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
    MaxPool2d(pool_size=4, clip=True)
    BatchNorm()
    ReLU()
    Conv2d(filters=16, kernel_size=7, padding='same', bias=False, clip=True)
    BatchNorm()
    ReLU()
    GlobalAvgPool2d()
    """
    widths = sizes("filters", filters)
    if not widths:
        raise ValueError(
            "cnn: filters must hold at least one int (for a network without convolutions "
            f"pass layers), got {filters!r}."
        )
    units = sizes("hidden_layer_sizes", hidden_layer_sizes)
    kernels = per_block("kernel_size", kernel_size, len(widths))
    pools = per_block("pool_size", pool_size, len(widths))
    check_real("cnn", "dropout", dropout, 0, 1)
    nonlinearity = activation_layer(activation)
    normalized = normalization_layers(normalization)
    start = initializer_for(nonlinearity)
    bias = not any(isinstance(layer, BatchNorm) for layer in normalized)
    if check_bool("cnn", "global_pool", global_pool):
        pools[-1] = 1
    pools_first = check_bool("cnn", "pool_first", pool_first) and bool(normalized)

    layers: list[Layer] = []
    if check_pair("cnn", "random_shift", random_shift, 0) != (0, 0):
        layers += [RandomShift(random_shift, clip=True)]
    for width, kernel, pool in zip(widths, kernels, pools, strict=True):
        pools_here = check_pair("cnn", "pool_size", pool, 1) != (1, 1)
        pooling = [MaxPool2d(pool, clip=True)] if pools_here else []
        layers += [Conv2d(width, kernel, padding="same", bias=bias, initializer=start, clip=True)]
        if pools_first:
            layers += [*pooling, *normalized, nonlinearity]
        else:
            layers += [*normalized, nonlinearity, *pooling]
    layers += [GlobalAvgPool2d() if global_pool else Flatten()]
    drop: list[Layer] = [Dropout(dropout)] if dropout > 0 else []
    for width in units:
        layers += [Dense(width, initializer=start), nonlinearity, *drop]
    return layers if units else layers + drop


def is_signal(image_shape: Shape) -> bool:
    """Whether (channels, height, width) have a height or width of 1."""
    return min(image_shape[1:]) == 1


def recipe(image_shape: Shape, *, keep_position: bool = False) -> dict[str, Any]:
    """Return the arguments of `cnn` that "auto" stands for.

    It depends on the shape of the images alone:

    - Images get blocks of 3 x 3 convolutions with poolings of 2: 32 and 64
      filters where the longer side has at most 16 pixels, 24, 48 and 96 up to
      32, 12, 24, 48 and 96 up to 63, and 8, 16, 32, 64 and 96 from 64 on, with
      another 128 at 256 pixels and at every doubling of that.
    - A hidden layer of 128 units follows up to 32 pixels, and global average
      pooling takes its place above.
    - From 17 pixels on, pooling precedes the normalization; up to 32, training
      moves the images of a mini-batch by up to 2 pixels.
    - Signals (height or width 1) get blocks of convolutions of length 7 with 16,
      32 and 64 filters, poolings of 2 between them, or of 4 from a length of
      200 on, and global average pooling instead of a hidden layer.
    - All have batch normalization.

    Parameters
    ----------
    image_shape : tuple of int
        (Channels, height, width).
    keep_position : bool, default=False
        Whether the position of something in an image may be what matters, as it
        does where a coordinate or an angle is predicted: images are then not
        moved, and keep the hidden layer above 32 pixels.

    Returns
    -------
    dict
        Arguments of `cnn`.

    Examples
    --------
    >>> recipe((1, 8, 8))["filters"], recipe((3, 32, 32))["filters"]
    ((32, 64), (24, 48, 96))
    >>> layers = cnn(**recipe((1, 1, 300)))
    >>> layers[-1]
    GlobalAvgPool2d()
    """
    size = max(image_shape[1:])
    if is_signal(image_shape):
        return {
            "filters": (16, 32, 64),
            "kernel_size": 7,
            "pool_size": 4 if size >= LONG else 2,
            "hidden_layer_sizes": (),
            "normalization": "batch",
            "global_pool": True,
            "random_shift": 0,
            "pool_first": False,
        }
    global_pool = size > MEDIUM and not keep_position
    return {
        "filters": _filters(size),
        "kernel_size": 3,
        "pool_size": 2,
        "hidden_layer_sizes": () if global_pool else (128,),
        "normalization": "batch",
        "global_pool": global_pool,
        "random_shift": 2 if SMALL < size <= MEDIUM and not keep_position else 0,
        "pool_first": size > SMALL,
    }


def _filters(size: int) -> tuple[int, ...]:
    """Filters of the blocks for images of so many pixels along the longer side."""
    if size <= SMALL:
        return 32, 64
    if size <= MEDIUM:
        return 24, 48, 96
    if size <= LARGE:
        return 12, 24, 48, 96
    doublings = (size // HUGE).bit_length()
    return 8, 16, 32, 64, 96, *[128] * doublings


def with_output(layers: Sequence[Layer], output_shape: Shape, n_classes: int) -> list[Layer]:
    """Append the output layer that the estimators add.

    The regressor's starts from zeros instead of `Glorot`.

    Parameters
    ----------
    layers : sequence of Layer
    output_shape : tuple of int
        Shape of one sample after the layers; images are flattened first.
    n_classes : int
        Number of outputs: of classes, labels or targets.

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

"""LeNet, AlexNet and VGG."""

from collections.abc import Sequence

from skcnn._hyperparameters import check_choice, check_real
from skcnn.architectures.names import activation_layer, initializer_for
from skcnn.initializers import Glorot
from skcnn.layers import (
    AvgPool2d,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    Layer,
    LocalResponseNorm,
    MaxPool2d,
    ReLU,
    Tanh,
)

__all__ = ["alexnet", "lenet", "lenet5", "simple_cnn", "vgg11", "vgg13", "vgg16", "vgg19"]

POOLS = {"max": MaxPool2d, "mean": AvgPool2d}
"""Kinds of pooling by name."""


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
    nonlinear = [] if activation is None else [activation_layer(activation, "lenet")]
    start = initializer_for(nonlinear[0]) if nonlinear else Glorot()
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


def _vgg(caller: str, convolutions: Sequence[int], dropout: float) -> list[Layer]:
    """Blocks of the given numbers of convolutions; filters double in every block up to 512."""
    layers: list[Layer] = []
    for number, filters in zip(convolutions, (64, 128, 256, 512, 512), strict=True):
        layers += [Conv2d(filters, 3, padding=1), ReLU()] * number
        layers += [MaxPool2d(2)]
    return layers + _two_of_4096(caller, dropout)


def _two_of_4096(caller: str, dropout: float) -> list[Layer]:
    """The hidden dense layers of AlexNet and VGG."""
    check_real(caller, "dropout", dropout, 0, 1)
    dropped: list[Layer] = [Dropout(dropout)] if dropout > 0 else []
    return [Flatten(), *[Dense(4096), ReLU(), *dropped] * 2]

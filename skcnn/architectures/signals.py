"""Networks for signals: images of one row, (channels, 1, length)."""

from skcnn._hyperparameters import check_int
from skcnn.layers import (
    BatchNorm,
    Concatenate,
    Conv2d,
    FixedConv,
    GlobalAvgPool2d,
    Layer,
    MaxPool2d,
    ReLU,
    Residual,
)

__all__ = ["fcn", "inception_time", "lite"]


def fcn() -> list[Layer]:
    """Fully convolutional network for signals of any length (Wang et al. 2017).

    Three convolutions with 128, 256 and 128 kernels of length 8, 5 and 3, each
    followed by batch normalization and a rectifier, then global average pooling.

    Returns
    -------
    list of Layer
        Without an output layer they have 264,704 parameters for one channel.

    References
    ----------
    Wang, Yan & Oates (2017). Time series classification from scratch with deep
    neural networks: a strong baseline. IJCNN.

    Examples
    --------
    >>> from skcnn import summary
    >>> table = summary(fcn(), (150,), 2)  # 2 classes: 258 parameters of the output layer
    >>> f"{table.parameters - 258:,}"
    '264,704'
    """
    layers: list[Layer] = []
    for filters, length in ((128, 8), (256, 5), (128, 3)):
        layers += [Conv2d(filters, (1, length), padding="same"), BatchNorm(), ReLU()]
    return [*layers, GlobalAvgPool2d()]


def inception_time(depth: int = 6, filters: int = 32, *, n_channels: int = 1) -> list[Layer]:
    """Inception network for signals of any length (Ismail Fawaz et al. 2020).

    An inception module has convolutions of length 40, 20 and 10 beside each
    other, behind a 1 x 1 convolution that leaves 32 channels, and a max-pooling
    with a 1 x 1 convolution beside those. What they find is joined, normalized
    and rectified. Three modules at a time are a residual block. The paper
    averages the probabilities of five such networks, as does
    ``VotingClassifier(voting="soft")``.

    Parameters
    ----------
    depth : int, default=6
        Number of modules.
    filters : int, default=32
        Kernels of each length.
    n_channels : int, default=1
        Channels of the signals. With a single one, the first module needs no
        1 x 1 convolution before the others.

    Returns
    -------
    list of Layer
        Without an output layer they have 420,192 parameters for one channel.

    Raises
    ------
    ValueError
        If a parameter is not allowed.

    References
    ----------
    Ismail Fawaz et al. (2020). InceptionTime: finding AlexNet for time series
    classification. Data Mining and Knowledge Discovery 34.

    Examples
    --------
    >>> from skcnn import summary
    >>> table = summary(inception_time(), (150,), 2)
    >>> f"{table.parameters - 258:,}"
    '420,192'
    """
    check_int("inception_time", "depth", depth, 1)
    check_int("inception_time", "filters", filters, 1)
    check_int("inception_time", "n_channels", n_channels, 1)
    layers: list[Layer] = []
    modules: list[Layer] = []
    for i in range(depth):
        modules += _inception_module(filters, bottleneck=i > 0 or n_channels > 1)
        if i % 3 == 2:
            shortcut = [Conv2d(4 * filters, 1, bias=False), BatchNorm()]
            layers += [Residual(modules, shortcut), ReLU()]
            modules = []
    return [*layers, *modules, GlobalAvgPool2d()]


def lite(n_channels: int = 1) -> list[Layer]:
    """Light network with fixed detectors for signals of any length (Ismail-Fawaz et al. 2023).

    Beside 32 kernels each of length 40, 20 and 10, the first stage has 17 kernels
    that are not trained and detect rises, falls and peaks. Two separable
    convolutions with dilation follow: a kernel for each channel, then a
    convolution of 1 x 1. The paper averages the probabilities of five such
    networks, as does ``VotingClassifier(voting="soft")``.

    Parameters
    ----------
    n_channels : int, default=1
        Channels of the signals. Several channels are convolved separately first,
        as in the paper's variant for them.

    Returns
    -------
    list of Layer
        Without an output layer they have 9,814 parameters for one channel.

    Raises
    ------
    ValueError
        If `n_channels` is not allowed.

    References
    ----------
    Ismail-Fawaz, Devanne, Berretti, Weber & Forestier (2023). LITE: light
    inception with boosting techniques for time series classification. DSAA.

    Examples
    --------
    >>> from skcnn import summary
    >>> table = summary(lite(), (150,), 2)  # 2 classes: 66 parameters of the output layer
    >>> f"{table.parameters - 66:,}"
    '9,814'
    """
    check_int("lite", "n_channels", n_channels, 1)
    sizes = (2, 4, 8, 16, 32, 64)
    detectors: list[Layer] = [
        FixedConv(kind, size)
        for kind, own in (("increasing", sizes), ("decreasing", sizes), ("peak", sizes[1:]))
        for size in own
    ]
    branches: list[Layer | list[Layer]] = [*detectors]
    for length in (40, 20, 10):
        branches.append(_separable(n_channels, 32, length) if n_channels > 1 else _kernels(length))
    layers: list[Layer] = [Concatenate(branches), BatchNorm(), ReLU()]
    before = 32 * 3 + len(detectors)
    for length, dilation in ((20, 2), (10, 4)):
        layers += [*_separable(before, 32, length, dilation), BatchNorm(), ReLU()]
        before = 32
    return [*layers, GlobalAvgPool2d()]


def _kernels(length: int) -> Layer:
    return Conv2d(32, (1, length), padding="same", bias=False)


def _separable(channels: int, filters: int, length: int, dilation: int = 1) -> list[Layer]:
    """Return a convolution of each channel, and one of 1 x 1."""
    depthwise = Conv2d(
        channels, (1, length), padding="same", dilation=(1, dilation), groups=channels, bias=False
    )
    return [depthwise, Conv2d(filters, 1, bias=False)]


def _inception_module(filters: int, bottleneck: bool) -> list[Layer]:
    """Figure 2 of the paper, with the normalization that follows."""
    of_each_length: list[Layer] = [
        Conv2d(filters, (1, length), padding="same", bias=False) for length in (40, 20, 10)
    ]
    convolutions: list[Layer] = [Concatenate(of_each_length)]
    if bottleneck:
        convolutions.insert(0, Conv2d(32, 1, bias=False))
    pooling = [MaxPool2d((1, 3), stride=1, padding=(0, 1)), Conv2d(filters, 1, bias=False)]
    return [Concatenate([convolutions, pooling]), BatchNorm(), ReLU()]

"""Networks as functions that return the list of their layers.

The output layer is never in the list: it is ``Dense(n_classes)``, and only
``fit`` knows the classes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from skcnn._hyperparameters import check_choice, check_int, check_pair, check_real
from skcnn.initializers import Glorot, He, Initializer
from skcnn.layers import (
    ELU,
    GELU,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    Layer,
    LeakyReLU,
    MaxPool2d,
    ReLU,
    Sigmoid,
    SiLU,
    Tanh,
)
from skcnn.layers._layer import Shape

__all__ = ["ACTIVATIONS", "cnn", "with_output"]

ACTIVATIONS: dict[str, Layer] = {
    "relu": ReLU(),
    "leaky_relu": LeakyReLU(),
    "elu": ELU(),
    "gelu": GELU(),
    "silu": SiLU(),
    "sigmoid": Sigmoid(),
    "tanh": Tanh(),
}
"""Activations that have a name."""


def cnn(
    filters: int | Sequence[int] = (32, 64),
    kernel_size: Any = 3,
    pool_size: Any = 2,
    hidden_layer_sizes: int | Sequence[int] = (128,),
    activation: str | Layer = "relu",
    dropout: float = 0.0,
) -> list[Layer]:
    """The network that `ScratchCNNClassifier` builds for itself.

    One block for each of `filters`: a convolution with "same" padding, the
    activation, and max-pooling. Then one dense layer with activation and
    dropout for each of `hidden_layer_sizes`. Kernels and windows are shortened
    to axes that are shorter than they are, so that the network takes images of
    any size.

    Parameters
    ----------
    filters : int or sequence of int, default=(32, 64)
        Filters of the convolution in each block.
    kernel_size : int, (int, int) or sequence of these, default=3
        Height and width of the kernels. A sequence that holds pairs has one
        entry a block.
    pool_size : int, (int, int) or sequence of these, default=2
        Height and width of the pooling windows; 1 for none. A sequence that
        holds pairs has one entry a block.
    hidden_layer_sizes : int or sequence of int, default=(128,)
        Units of the dense layers; empty for none.
    activation : str or Layer, default="relu"
        Follows every convolution and hidden dense layer: "relu", "leaky_relu",
        "elu", "gelu", "silu", "sigmoid", "tanh", or a layer.
    dropout : float, default=0.0
        Rate of the dropout after every hidden dense layer, in [0, 1).

    Returns
    -------
    list of Layer

    Raises
    ------
    ValueError
        Where a parameter is not allowed.

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
    start = _initializer(nonlinearity)

    layers: list[Layer] = []
    for width, kernel, pool in zip(widths, kernels, pools, strict=True):
        layers += [Conv2d(width, kernel, padding="same", initializer=start, clip=True)]
        layers += [nonlinearity]
        if check_pair("cnn", "pool_size", pool, 1) != (1, 1):
            layers += [MaxPool2d(pool, clip=True)]
    layers += [Flatten()]
    for width in units:
        layers += [Dense(width, initializer=start), nonlinearity]
        if dropout > 0:
            layers += [Dropout(dropout)]
    return layers


def with_output(layers: Sequence[Layer], output_shape: Shape, n_classes: int) -> list[Layer]:
    """The layers with the output layer that `ScratchCNNClassifier` adds to them.

    Parameters
    ----------
    layers : sequence of Layer
    output_shape : tuple of int
        What the layers make of one sample; images are flattened first.
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


def _sizes(name: str, value: Any) -> list[int]:
    """An int or a sequence of ints as a list of ints of at least 1."""
    if _is_sequence(value):
        return [check_int("cnn", f"{name}[{i}]", size, 1) for i, size in enumerate(value)]
    try:
        return [check_int("cnn", name, value, 1)]
    except ValueError:
        raise ValueError(
            f"cnn: {name} must be an int of at least 1 or a sequence of them, got {value!r}."
        ) from None


def _per_block(name: str, value: Any, n_blocks: int) -> list[Any]:
    """One int or pair for every block."""
    if not (_is_sequence(value) and any(_is_sequence(entry) for entry in value)):
        try:
            pair = check_pair("cnn", name, value, 1)
        except ValueError as error:
            raise ValueError(
                f"{error} (One entry a block is told by pairs, as in [(3, 3), (5, 5)].)"
            ) from None
        return [pair if _is_sequence(value) else int(value)] * n_blocks
    if len(value) != n_blocks:
        raise ValueError(
            f"cnn: {name} has {len(value)} entries for {n_blocks} blocks, got {value!r}."
        )
    for i, entry in enumerate(value):
        check_pair("cnn", f"{name}[{i}]", entry, 1)
    return list(value)


def _activation(activation: Any) -> Layer:
    if isinstance(activation, Layer):
        return activation
    try:
        return ACTIVATIONS[check_choice("cnn", "activation", activation, ACTIVATIONS)]
    except ValueError as error:
        raise ValueError(f"{error} (Or an instance from skcnn.layers.)") from None


def _initializer(activation: Layer) -> Initializer:
    """Glorot's where the activation saturates on both sides, He's elsewhere."""
    return Glorot() if isinstance(activation, (Tanh, Sigmoid)) else He()

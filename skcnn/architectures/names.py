"""Names of activations and normalizations, and checks of the sizes given for blocks."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from skcnn._hyperparameters import check_choice, check_countable, check_int, check_pair
from skcnn.initializers import Glorot, He, Initializer
from skcnn.layers import (
    ELU,
    GELU,
    BatchNorm,
    Layer,
    LayerNorm,
    LeakyReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Tanh,
)

__all__ = [
    "ACTIVATIONS", "activation_layer", "initializer_for", "normalization_layers", "per_block",
    "sizes",
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

NORMALIZATIONS: dict[str, Layer] = {"batch": BatchNorm(), "layer": LayerNorm()}
"""Normalizations by name."""


def activation_layer(activation: Any, caller: str = "cnn") -> Layer:
    """The layer that the parameter `activation` means."""
    if isinstance(activation, Layer):
        return activation
    try:
        return ACTIVATIONS[check_choice(caller, "activation", activation, ACTIVATIONS)]
    except ValueError as error:
        raise ValueError(f"{error} (Or an instance from skcnn.layers.)") from None


def normalization_layers(normalization: Any) -> list[Layer]:
    """Return the normalization after a convolution: one layer or none."""
    if normalization is None:
        return []
    if isinstance(normalization, Layer):
        return [normalization]
    try:
        return [NORMALIZATIONS[check_choice("cnn", "normalization", normalization, NORMALIZATIONS)]]
    except ValueError as error:
        raise ValueError(f"{error} (Or None, or an instance from skcnn.layers.)") from None


def initializer_for(activation: Layer) -> Initializer:
    """Glorot's where the activation saturates on both sides, He's elsewhere."""
    return Glorot() if isinstance(activation, (Tanh, Sigmoid)) else He()


def is_sequence(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.ndim > 0
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def sizes(name: str, value: Any, caller: str = "cnn") -> list[int]:
    """An int or a sequence of ints as a list of ints of at least 1."""
    if is_sequence(value):
        return [check_int(caller, f"{name}[{i}]", size, 1) for i, size in enumerate(value)]
    check_countable(caller, name, value)
    try:
        return [check_int(caller, name, value, 1)]
    except ValueError:
        raise ValueError(
            f"{caller}: {name} must be an int of at least 1 or a sequence of them, got {value!r}."
        ) from None


def per_block(name: str, value: Any, n_blocks: int) -> list[Any]:
    """One int or pair for every block."""
    if not (is_sequence(value) and any(is_sequence(entry) for entry in value)):
        try:
            pair = check_pair("cnn", name, value, 1)
        except ValueError as error:
            raise ValueError(
                f"{error} (For one entry per block, pass pairs, as in [(3, 3), (5, 5)].)"
            ) from None
        return [pair if is_sequence(value) else int(value)] * n_blocks
    if len(value) != n_blocks:
        raise ValueError(
            f"cnn: {name} has {len(value)} entries for {n_blocks} blocks, got {value!r}."
        )
    for i, entry in enumerate(value):
        check_pair("cnn", f"{name}[{i}]", entry, 1)
    return list(value)

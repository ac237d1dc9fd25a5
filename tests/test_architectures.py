import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skcnn.architectures import cnn
from skcnn.initializers import Glorot, He
from skcnn.layers import (
    ELU,
    GELU,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    LeakyReLU,
    MaxPool2d,
    ReLU,
    Sigmoid,
    SiLU,
    Tanh,
)
from skcnn.network import Network


def test_blocks_then_dense_layers():
    he = {"initializer": He()}
    assert cnn((8, 16), 5, 3, (20, 10), "relu", 0.4) == [
        Conv2d(8, 5, padding="same", clip=True, **he), ReLU(), MaxPool2d(3, clip=True),
        Conv2d(16, 5, padding="same", clip=True, **he), ReLU(), MaxPool2d(3, clip=True),
        Flatten(),
        Dense(20, **he), ReLU(), Dropout(0.4),
        Dense(10, **he), ReLU(), Dropout(0.4),
    ]  # fmt: skip


def test_an_int_is_one_block_and_activations_bring_their_initializer():
    assert cnn(4, 3, 1, (), Tanh()) == [
        Conv2d(4, 3, padding="same", initializer=Glorot(), clip=True), Tanh(), Flatten()
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "layer", "start"),
    [
        ("relu", ReLU(), He()), ("leaky_relu", LeakyReLU(), He()), ("elu", ELU(), He()),
        ("gelu", GELU(), He()), ("silu", SiLU(), He()),
        ("sigmoid", Sigmoid(), Glorot()), ("tanh", Tanh(), Glorot()),
    ],
)  # fmt: skip
def test_activations_have_names(name, layer, start):
    assert cnn(4, 3, 1, 5, name) == [
        Conv2d(4, 3, padding="same", initializer=start, clip=True), layer, Flatten(),
        Dense(5, initializer=start), layer,
    ]  # fmt: skip


def test_kernels_and_pools_for_each_block():
    layers = cnn((4, 8), [(1, 3), 5], [(1, 1), (2, 4)], 7)
    convolutions = [layer.kernel_size for layer in layers if isinstance(layer, Conv2d)]
    pools = [layer.pool_size for layer in layers if isinstance(layer, MaxPool2d)]
    assert (convolutions, pools) == ([(1, 3), 5], [(2, 4)])
    pair = cnn((4, 8), (1, 3), (1, 2))
    assert [layer.kernel_size for layer in pair if isinstance(layer, Conv2d)] == [(1, 3)] * 2


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)),
    blocks=st.integers(1, 4),
    kernel=st.integers(1, 6),
    pool=st.integers(1, 4),
)
def test_every_image_fits(shape, blocks, kernel, pool):
    network = Network(cnn((2,) * blocks, kernel, pool, 3), shape)
    assert network.output_shape == (3,)


def test_a_signal_learns_no_weights_that_meet_only_padding():
    weight = Network(cnn(4, 3), (1, 1, 50)).unpack
    network = Network(cnn(4, 3), (1, 1, 50))
    assert weight(np.zeros(network.n_parameters, np.float32))[0]["weight"].shape == (4, 1, 1, 3)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"filters": 0}, "filters must be an int of at least 1 or a sequence of them, got 0"),
        ({"filters": -3}, "filters"),
        ({"filters": 2.0}, "filters"),
        ({"filters": True}, "filters"),
        ({"filters": ()}, "filters must hold at least one int"),
        ({"filters": "32"}, "filters must be an int of at least 1 or a sequence"),
        ({"filters": (8, "a")}, r"filters\[1\] must be an int"),
        ({"filters": None}, "filters"),
        ({"hidden_layer_sizes": (0,)}, r"hidden_layer_sizes\[0\]"),
        ({"hidden_layer_sizes": "a"}, "hidden_layer_sizes"),
        ({"kernel_size": 0}, "kernel_size"),
        ({"kernel_size": [(3, 3)]}, "kernel_size has 1 entries for 2 blocks"),
        ({"pool_size": [(2, 2), 0]}, r"pool_size\[1\]"),
        ({"activation": "swish"}, r"activation must be one of \['relu', 'leaky_relu', 'elu', "),
        ({"activation": 3}, "activation"),
        ({"dropout": 1.0}, r"dropout must be a number in \[0, 1\)"),
    ],
)
def test_bad_parameters_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        cnn(**parameters)

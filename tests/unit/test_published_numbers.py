"""Numbers from courses and papers that must come out of the public interface."""

import math

import numpy as np
import pytest

from skcnn.layers import (
    ELU,
    GELU,
    AvgPool2d,
    Conv2d,
    Dense,
    Flatten,
    LeakyReLU,
    MaxPool2d,
    ReLU,
    SiLU,
    Softmax,
)
from skcnn.network import Network

x = np.arange(1.0, 17.0).reshape(1, 1, 4, 4)
KERNELS = np.array(
    [[[[0, 0, 0], [0, 1, 0], [0, -1, 0]]], [[[0, 0, 0], [0, -1, 1], [0, 0, 0]]]], dtype=float
)


@pytest.fixture
def convolution():
    network = Network([Conv2d(2, 3)], (1, 4, 4), np.float64)
    vector = np.zeros(network.n_parameters)
    network.unpack(vector)[0]["weight"][...] = KERNELS
    return network, vector


def test_convolution_forward(convolution):
    network, vector = convolution
    assert network.forward(x, vector).tolist() == [[[[-4, -4], [-4, -4]], [[1, 1], [1, 1]]]]


def test_convolution_backward(convolution):
    network, vector = convolution
    dY = np.array([[[[-4, -4], [10, 11]], [[1, -7], [1, -11]]]], dtype=float)
    _, dX, gradient = network.vjp(x, vector, dY)
    grads = network.unpack(gradient)[0]
    assert dX.tolist() == [[[[0, 0, 0, 0], [0, -5, 4, -7], [0, 13, 27, -11], [0, -10, -11, 0]]]]
    assert grads["weight"].tolist() == [
        [[[104, 117, 130], [156, 169, 182], [208, 221, 234]]],
        [[[-74, -90, -106], [-138, -154, -170], [-202, -218, -234]]],
    ]
    assert grads["bias"].tolist() == [13, -16]


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (MaxPool2d(2), [[6, 8], [14, 16]]),
        (AvgPool2d(2), [[3.5, 5.5], [11.5, 13.5]]),
        (MaxPool2d(3, stride=2, padding=1), [[6, 8], [14, 16]]),
        (AvgPool2d(4, stride=2, padding=1), [[3.375, 3.9375], [5.625, 6.1875]]),
    ],
)
def test_pooling(layer, expected):
    network = Network([layer], (1, 4, 4), np.float64)
    assert network.forward(x, np.zeros(0)).tolist() == [[expected]]


@pytest.mark.parametrize(
    ("layer", "expected"),
    [  # at -2, -1, 0, 1, 2
        (LeakyReLU(), [-0.02, -0.01, 0, 1, 2]),
        (ELU(), [-0.86466472, -0.63212056, 0, 1, 2]),
        (GELU(), [-0.04540231, -0.15880801, 0, 0.84119199, 1.95459769]),
        (SiLU(), [-0.23840584, -0.26894142, 0, 0.73105858, 1.76159416]),
        (Softmax(), [0.01165623, 0.03168492, 0.08612854, 0.23412166, 0.63640865]),
    ],
)
def test_activations(layer, expected):
    network = Network([layer], (5,), np.float64)
    Y = network.forward(np.arange(-2.0, 3.0)[np.newaxis], np.zeros(0))
    np.testing.assert_allclose(Y[0], expected, atol=5e-9)


def test_gelu_is_near_the_exact_one():
    v = np.linspace(-8, 8, 4001)
    Y = Network([GELU()], (4001,), np.float64).forward(v[np.newaxis], np.zeros(0))
    exact = [0.5 * z * math.erfc(-z / math.sqrt(2)) for z in v]
    np.testing.assert_allclose(Y[0], exact, atol=5e-4)


@pytest.mark.parametrize(
    ("layer", "input_shape", "output_shape", "parameters"),
    [
        (Conv2d(6, 3), (3, 144, 144), (6, 142, 142), 168),
        (Conv2d(48, 3), (24, 60, 60), (48, 58, 58), 10_416),
        (Conv2d(20, 3, stride=2), (10, 20, 20), (20, 9, 9), 1_820),
    ],
)
def test_sizes_and_counts(layer, input_shape, output_shape, parameters):
    network = Network([layer], input_shape)
    assert network.output_shape == layer.output_shape(input_shape) == output_shape
    assert network.n_parameters == parameters


@pytest.mark.parametrize("size", range(1, 12))
@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_output_sizes_by_the_formula(size, kernel, stride):
    for padding in (0, 1, 2):
        if size + 2 * padding >= kernel:
            expected = (size + 2 * padding - kernel) // stride + 1
            layer = Conv2d(1, kernel, stride, padding)
            assert layer.output_shape((1, size, size)) == (1, expected, expected)
    same = -(-size // stride)
    assert Conv2d(1, kernel, stride, "same").output_shape((1, size, size)) == (1, same, same)


@pytest.mark.parametrize(("padding", "count"), [(2, 61_706), (0, 44_426)])
def test_lenet_has_its_published_number_of_parameters(padding, count):
    layers = [
        Conv2d(6, 5, padding=padding), ReLU(), MaxPool2d(2), Conv2d(16, 5), ReLU(), MaxPool2d(2),
        Flatten(), Dense(120), ReLU(), Dense(84), ReLU(), Dense(10),
    ]  # fmt: skip
    assert Network(layers, (1, 28, 28)).n_parameters == count

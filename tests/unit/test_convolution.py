"""The fast convolution against its definition, and the transpose against the convolution."""

import numpy as np
import pytest

from skcnn.layers import Conv2d, ConvTranspose2d, correlation
from skcnn.layers.definition import convolve, convolve_backward
from skcnn.layers.workspace import Workspace
from skcnn.network import Network
from tests.oracles import numerical_gradient

SETTINGS = [
    # channels, height, width, filters, kernel, stride, padding, dilation
    (1, 5, 5, 1, (3, 3), 1, 0, 1),
    (3, 8, 9, 4, (3, 3), 1, 1, 1),
    (2, 9, 7, 3, (5, 2), 2, 2, 1),
    (2, 11, 8, 3, (3, 2), 1, 2, 3),
    (4, 7, 7, 2, (1, 1), 2, 0, 1),
    (1, 1, 40, 5, (1, 7), 3, 0, 2),
]


def arrays(setting):
    C, H, W, F, kernel, stride, padding, dilation = setting
    rng = np.random.default_rng(0)
    X, weight, bias = (
        rng.normal(size=(3, C, H, W)),
        rng.normal(size=(F, C, *kernel)),
        rng.normal(size=F),
    )
    layer = Conv2d(F, kernel, stride, padding, dilation)
    return layer, X, weight, bias, {"stride": stride, "padding": padding, "dilation": dilation}


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_layer_is_the_definition(setting):
    layer, X, W, b, how = arrays(setting)
    network = Network([layer], X.shape[1:], np.float64)
    vector = np.concatenate([W.ravel(), b])
    dY = np.random.default_rng(1).normal(size=(3, *network.output_shape))
    Y, dX, gradient = network.vjp(X, vector, dY)
    np.testing.assert_allclose(Y, convolve(X, W, b, **how), rtol=1e-12, atol=1e-12)
    expected = convolve_backward(dY, X, W, **how)
    found = dX, *network.unpack(gradient)[0].values()
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_definition_has_the_right_gradients(setting):
    _, X, W, b, how = arrays(setting)
    dY = np.random.default_rng(1).normal(size=convolve(X, W, b, **how).shape)
    found = convolve_backward(dY, X, W, **how)
    for array, gradient in zip((X, W, b), found, strict=True):
        by_steps = numerical_gradient(lambda _: np.sum(convolve(X, W, b, **how) * dY), array)
        np.testing.assert_allclose(gradient, by_steps, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("layer", [
    Conv2d(2, 3), Conv2d(6, (5, 2), padding=2), Conv2d(12, (3, 2), (1, 2), "same", groups=2),
    Conv2d(6, 3, padding=1, dilation=(1, 2), bias=False), ConvTranspose2d(8, 3, groups=2),
    ConvTranspose2d(3, (3, 4), (1, 3), padding=1, bias=False),
], ids=repr)  # fmt: skip
def test_a_product_for_two_rows_gives_what_two_products_give(layer, monkeypatch):
    def results():
        network = Network([layer], (4, 10, 9), np.float64)
        rng = np.random.default_rng(0)
        vector, X = rng.normal(size=network.vector_size), rng.normal(size=(3, 4, 10, 9))
        return network.vjp(X, vector, rng.normal(size=(3, *network.output_shape)))

    assert layer.kernels((4, 10, 9)).rows_at_once == 2
    at_once = results()
    monkeypatch.setattr(correlation, "FEW_FILTERS", range(0))
    assert layer.kernels((4, 10, 9)).rows_at_once == 1
    for two, one in zip(at_once, results(), strict=True):
        np.testing.assert_allclose(two, one, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 2, 5])
def test_nothing_is_multiplied_by_rows_that_do_not_exist(kernel, stride, padding):
    """Every window meets KH rows, less those that are padding."""
    network = Network([Conv2d(7, kernel, stride, padding)], (2, 14, 9))
    workspace = Workspace(network, 1, input_gradient=True)
    phases = workspace.arrays(1)._bound[0].phases
    made = sum(dy.shape[1] * (columns.stop - columns.start) // 7 for columns, dy, _ in phases
               if dy is not None)  # fmt: skip
    starts = range(-padding, 14 + padding - kernel + 1, stride)
    assert made == sum(0 <= start + i < 14 for start in starts for i in range(kernel))


@pytest.mark.parametrize(("layer", "height"), [
    (Conv2d(4, 3), 11), (Conv2d(4, 3, stride=2), 10), (Conv2d(4, 3, dilation=2), 10),
    (Conv2d(4, 1), 10), (Conv2d(7, 3), 10), (Conv2d(2, 3, groups=2), 10),
], ids=["odd", "strided", "dilated", "1 x 1", "many", "one each"])  # fmt: skip
def test_other_rows_are_made_one_by_one(layer, height):
    assert layer.kernels((4, height, 9)).rows_at_once == 1


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(("kernel", "stride", "padding", "dilation", "extra"), [
    (3, 1, 0, 1, 0), (3, 2, 1, 1, 1), ((2, 5), (3, 1), (0, 2), 1, (1, 0)), (3, 2, 1, 3, 2),
    (1, 1, 0, 2, 1), (1, 3, 0, 1, 0),
])  # fmt: skip
def test_transposed_means_that_inner_products_agree(
    groups, kernel, stride, padding, dilation, extra
):
    """``<W ⋆ x, y> = <x, Wᵀ ⋆ y>``, with one and the same array of weights."""
    transposed = Network(
        [ConvTranspose2d(4, kernel, stride, padding, extra, dilation, groups, bias=False)],
        (6, 5, 4), np.float64,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    W, y = rng.normal(size=transposed.vector_size), rng.normal(size=(1, 6, 5, 4))
    x = rng.normal(size=(1, *transposed.output_shape))
    conv = Network(
        [Conv2d(6, kernel, stride, padding, dilation, groups, bias=False)], x.shape[1:], np.float64
    )
    shapes = [n.layers[0].param_shapes(n.input_shape)["weight"] for n in (conv, transposed)]
    assert shapes[0] == shapes[1]
    forward = conv.forward(x, W)[:, :, :5, :4]  # more windows fit where output_padding >= stride
    assert np.sum(forward * y) == pytest.approx(np.sum(x * transposed.forward(y, W)))


def test_numbers_of_a_transposed_convolution_by_hand():
    """Stride 2 spreads the pixels two apart, and padding cuts a row off on each side."""
    network = Network([ConvTranspose2d(1, 3, stride=2, padding=1)], (1, 2, 2), np.float64)
    Y = network.forward(np.array([[[[1.0, 2], [3, 4]]]]), np.r_[np.ones(9), 0.5])
    assert Y[0, 0].tolist() == [[1.5, 3.5, 2.5], [4.5, 10.5, 6.5], [3.5, 7.5, 4.5]]


def test_initial_weights_of_a_transposed_convolution_depend_on_what_an_output_sees():
    network = Network([ConvTranspose2d(32, 3, groups=2)], (16, 4, 4), np.float64)
    weight = network.unpack(network.init(np.random.default_rng(0)))[0]["weight"]
    assert weight.shape == (16, 16, 3, 3)
    assert weight.std() == pytest.approx(np.sqrt(2 / (8 * 9)), rel=0.05)  # He: 8 channels a group

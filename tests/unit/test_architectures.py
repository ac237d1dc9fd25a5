from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skcnn import ScratchCNNClassifier, summary
from skcnn.architectures import (
    alexnet,
    cnn,
    fcn,
    inception_time,
    lenet,
    lenet5,
    lite,
    recipe,
    simple_cnn,
    vgg11,
    vgg13,
    vgg16,
    vgg19,
    with_output,
)
from skcnn.initializers import Glorot, He
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
    LayerNorm,
    LeakyReLU,
    LocalResponseNorm,
    MaxPool2d,
    RandomShift,
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


def test_normalization_stands_between_convolution_and_activation():
    plain, normed = Conv2d(4, 3, padding="same", clip=True), LocalResponseNorm(3)
    without_bias, pool = replace(plain, bias=False), MaxPool2d(2, clip=True)
    for normalization, convolution, layer in (
        (normed, plain, normed),
        ("batch", without_bias, BatchNorm()),
        (BatchNorm(8), without_bias, BatchNorm(8)),
        ("layer", plain, LayerNorm()),
    ):
        ways = {
            (2, True): [convolution, pool, layer, ReLU()],
            (2, False): [convolution, layer, ReLU(), pool],
            (1, True): [convolution, layer, ReLU()],
            (1, False): [convolution, layer, ReLU()],
        }
        for (size, first), expected in ways.items():
            layers = cnn(4, pool_size=size, normalization=normalization, pool_first=first)
            assert layers == [*expected, Flatten(), Dense(128), ReLU()]
    assert cnn(4)[:3] == [plain, ReLU(), pool]  # there is nothing to pool before


@pytest.mark.parametrize("pixels", [2, (0, 1)])
def test_the_shift_stands_in_front(pixels):
    assert cnn(4, random_shift=pixels) == [RandomShift(pixels, clip=True), *cnn(4)]
    for none in (0, (0, 0), [0, 0]):
        assert cnn(4, random_shift=none) == cnn(4)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (8, (32, 64)),
        (16, (32, 64)),
        (17, (24, 48, 96)),
        (32, (24, 48, 96)),
        (33, (12, 24, 48, 96)),
        (63, (12, 24, 48, 96)),
        (64, (8, 16, 32, 64, 96)),
        (255, (8, 16, 32, 64, 96)),
        (256, (8, 16, 32, 64, 96, 128)),
        (511, (8, 16, 32, 64, 96, 128)),
        (512, (8, 16, 32, 64, 96, 128, 128)),
    ],
)
def test_the_recipe_goes_by_the_longer_side(size, expected):
    for shape in ((1, size, size), (3, 2, size), (1, size, size // 2)):
        found = recipe(shape)
        assert found["filters"] == expected
        assert found["random_shift"] == (2 if 16 < size <= 32 else 0)
        assert found["pool_first"] == (size > 16)
        assert found["global_pool"] == (size > 32)
        assert found["hidden_layer_sizes"] == (() if size > 32 else (128,))
        kept = {"random_shift": 0, "global_pool": False, "hidden_layer_sizes": (128,)}
        assert recipe(shape, keep_position=True) == found | kept


def test_the_recipe_of_signals_pools_positions_in_any_case():
    assert recipe((2, 1, 300)) == recipe((2, 1, 300), keep_position=True)
    assert recipe((2, 1, 300))["global_pool"]


@pytest.mark.parametrize("size", [33, 63, 64, 100, 128, 191, 255, 256, 511, 512, 1023, 1024, 4096])
@pytest.mark.parametrize("keep_position", [False, True])
def test_the_recipe_stays_small(size, keep_position):
    layers = cnn(**recipe((3, size, size), keep_position=keep_position))
    assert Network([*layers, Dense(1000)], (3, size, size)).n_parameters < 2e6


def test_dropout_without_a_hidden_layer_is_in_front_of_the_output_layer():
    for global_pool, last in ((True, GlobalAvgPool2d()), (False, Flatten())):
        layers = cnn(4, hidden_layer_sizes=(), dropout=0.5, global_pool=global_pool)
        assert layers[-2:] == [last, Dropout(0.5)]
    layers = cnn(4, hidden_layer_sizes=(5, 6), dropout=0.5)
    assert [layer == Dropout(0.5) for layer in layers[-6:]] == [False, False, True] * 2


def test_global_pooling_takes_the_place_of_the_last_pooling():
    kinds = [type(layer).__name__ for layer in cnn((4, 8), 3, 4, (), global_pool=True)]
    assert kinds == ["Conv2d", "ReLU", "MaxPool2d", "Conv2d", "ReLU", "GlobalAvgPool2d"]
    layers = cnn((4, 8), 3, [(1, 2), (3, 3)], 5, dropout=0.5, global_pool=True)
    assert [layer.pool_size for layer in layers if isinstance(layer, MaxPool2d)] == [(1, 2)]
    assert layers[-4:] == [GlobalAvgPool2d(), Dense(5), ReLU(), Dropout(0.5)]


@settings(max_examples=40)
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
        (
            {"normalization": "group"},
            r"normalization must be one of \['batch', 'layer'\], got 'group'",
        ),
        ({"normalization": True}, "normalization must be one of.*Or None, or an instance"),
        ({"global_pool": 1}, "global_pool must be True or False, got 1"),
        ({"random_shift": -1}, "random_shift must be an int of at least 0 or a pair"),
        ({"pool_first": None}, "pool_first must be True or False, got None"),
    ],
)
def test_bad_parameters_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        cnn(**parameters)


NUMBERS = [  # the layers, images, classes, and the number of parameters that is told of them
    (simple_cnn(), (1, 28, 28), 10, (8 * 9 + 8) + (64 * 8 * 14 * 14 + 64) + (10 * 64 + 10)),
    (lenet(), (1, 28, 28), 10, 61_706),
    (lenet(padding=0), (1, 28, 28), 10, 44_426),
    (lenet(pool="mean", activation=None), (1, 28, 28), 10, 61_706),
    (lenet5(), (1, 32, 32), 10, 61_706),
    (alexnet(), (3, 227, 227), 1000, 60_965_224),
    (vgg11(), (3, 224, 224), 1000, 132_863_336),
    (vgg13(), (3, 224, 224), 1000, 133_047_848),
    (vgg16(), (3, 224, 224), 1000, 138_357_544),
    (vgg19(), (3, 224, 224), 1000, 143_667_240),
]


@pytest.mark.parametrize(("layers", "shape", "n_classes", "count"), NUMBERS)
def test_published_numbers_of_parameters(layers, shape, n_classes, count):
    assert Network([*layers, Dense(n_classes)], shape).n_parameters == count
    assert summary(layers, shape, n_classes).parameters == count


@pytest.mark.parametrize(
    ("layers", "count"), [(fcn(), 264_704), (inception_time(), 420_192), (lite(), 9_814)]
)
def test_published_numbers_of_parameters_for_signals(layers, count):
    """Ismail-Fawaz et al. (2023), "LITE", table 1: one channel, without the output layer."""
    network = Network(layers, (1, 1, 200))
    assert network.n_parameters == count
    assert network.output_shape == (32 if count < 10_000 else 128,)


def test_inception_networks_of_other_sizes():
    assert Network(inception_time(4, 8), (1, 1, 30)).output_shape == (32,)
    kinds = [type(layer).__name__ for layer in inception_time(4)]
    assert kinds == ["Residual", "ReLU", "Concatenate", "BatchNorm", "ReLU", "GlobalAvgPool2d"]
    # behind several channels the first module has a convolution of 1 x 1, too
    narrow, wide = (
        Network(inception_time(1, n_channels=n), (3, 1, 30)).n_parameters for n in (1, 3)
    )
    assert wide - narrow == 3 * 32 + (32 - 3) * 70 * 32
    with pytest.raises(ValueError, match="inception_time: depth must be an int of at least 1"):
        inception_time(0)
    with pytest.raises(ValueError, match="inception_time: n_channels must be an int"):
        inception_time(n_channels=0)


def test_lite_has_seventeen_detectors_that_are_not_trained():
    network = Network(lite(), (1, 1, 200))
    constants = network.chain.bound[0].constant_shapes
    assert len(constants) == 17
    assert network.shapes[1] == (32 * 3 + 17, 1, 200)
    lengths = sorted(shape[-1] for shape in constants.values())
    assert lengths == sorted([2, 4, 8, 16, 32, 64] * 2 + [6, 12, 24, 48, 96])
    assert Network(lite(3), (3, 1, 50)).output_shape == (32,)
    with pytest.raises(ValueError, match="lite: n_channels must be an int of at least 1"):
        lite(0)


def test_a_signal_network_learns_where_a_bump_does_not_matter():
    rng = np.random.default_rng(0)
    X, y = 0.3 * rng.normal(size=(240, 40)), np.arange(240) % 2
    for row, kind in zip(X, y, strict=True):
        start = rng.integers(0, 28)
        row[start : start + 12] += np.sin(np.linspace(0, np.pi * (kind + 1), 12))
    clf = ScratchCNNClassifier(inception_time(2, 4), max_iter=12, lr=1e-2, random_state=0)
    assert clf.fit(X[:160], y[:160]).score(X[160:], y[160:]) > 0.9


def image_shapes(layers, shape, kind):
    network = Network(layers, shape)
    return [
        network.shapes[i + 1] for i, layer in enumerate(network.layers) if isinstance(layer, kind)
    ]


def test_alexnet_has_the_maps_of_the_paper():
    shape = (3, 227, 227)
    assert image_shapes(alexnet(), shape, Conv2d) == [
        (96, 55, 55), (256, 27, 27), (384, 13, 13), (384, 13, 13), (256, 13, 13)
    ]  # fmt: skip
    assert image_shapes(alexnet(), shape, LocalResponseNorm) == [(96, 55, 55), (256, 27, 27)]
    assert image_shapes(alexnet(), shape, MaxPool2d) == [
        (96, 27, 27), (256, 13, 13), (256, 6, 6)
    ]  # fmt: skip
    assert Network(alexnet(), shape).shapes[-6:] == ((4096,),) * 6
    kinds = [type(layer) for layer in alexnet()]
    assert kinds[:4] == [Conv2d, ReLU, LocalResponseNorm, MaxPool2d]
    assert kinds[-6:] == [Dense, ReLU, Dropout] * 2


@pytest.mark.parametrize(
    ("make", "n_convolutions"), [(vgg11, 8), (vgg13, 10), (vgg16, 13), (vgg19, 16)]
)
def test_vgg_has_its_layers_of_weights_and_five_poolings(make, n_convolutions):
    layers, shape = make(), (3, 224, 224)
    assert len(image_shapes(layers, shape, Conv2d)) == n_convolutions
    assert f"vgg{n_convolutions + 2 + 1}" == make.__name__
    assert image_shapes(layers, shape, MaxPool2d) == [
        (64, 112, 112), (128, 56, 56), (256, 28, 28), (512, 14, 14), (512, 7, 7)
    ]  # fmt: skip
    assert layers[-6:] == [Dense(4096), ReLU(), Dropout(0.5)] * 2


def test_published_receptive_fields():
    """Of the last pooling: Araujo et al. (2019), Computing receptive fields of CNNs."""
    for layers, size, field in ((alexnet(), 227, 195), (vgg16(), 224, 212)):
        rows = summary(layers, (3, size, size), 1000).rows
        last = [row for row in rows if isinstance(row.layer, MaxPool2d)][-1]
        assert last.receptive_field == (field, field)


def test_lenet_with_means_and_without_activations():
    glorot = {"initializer": Glorot()}
    assert lenet(0, pool="mean", activation=None) == [
        Conv2d(6, 5, **glorot), AvgPool2d(2), Conv2d(16, 5, **glorot), AvgPool2d(2),
        Flatten(), Dense(120, **glorot), Dense(84, **glorot),
    ]  # fmt: skip
    assert lenet() == [
        Conv2d(6, 5, padding=2), ReLU(), MaxPool2d(2), Conv2d(16, 5), ReLU(), MaxPool2d(2),
        Flatten(), Dense(120), ReLU(), Dense(84), ReLU(),
    ]  # fmt: skip
    assert lenet(activation="tanh") == lenet(activation=Tanh())
    assert Tanh() in lenet(activation="tanh")


def test_lenet5_pools_by_the_mean_and_then_squashes():
    kinds = [type(layer) for layer in lenet5()]
    assert kinds == [
        *[Conv2d, Tanh, AvgPool2d, Tanh] * 2, Conv2d, Tanh, Flatten, Dense, Tanh
    ]  # fmt: skip
    assert image_shapes(lenet5(), (1, 32, 32), Conv2d) == [(6, 28, 28), (16, 10, 10), (120, 1, 1)]


@pytest.mark.parametrize("make", [alexnet, vgg11, vgg13, vgg16, vgg19])
def test_dropout_of_large_networks(make):
    assert Dropout(0.2) in make(dropout=0.2)
    assert not any(isinstance(layer, Dropout) for layer in make(0.0))
    with pytest.raises(ValueError, match=rf"{make.__name__}: dropout must be a number in \[0, 1\)"):
        make(1.0)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"pool": "avg"}, r"lenet: pool must be one of \['max', 'mean'\], got 'avg'"),
        ({"activation": "swish"}, r"lenet: activation must be one of \['relu'"),
        ({"activation": 3}, "lenet: activation"),
    ],
)
def test_bad_parameters_of_lenet_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        lenet(**parameters)


def test_the_output_layer_is_the_one_that_fit_adds():
    X, y = np.random.default_rng(0).random((8, 28, 28), np.float32), np.arange(8) % 4
    for layers in (lenet(), [Conv2d(2, 3)]):
        clf = ScratchCNNClassifier(layers, max_iter=1, random_state=0).fit(X, y)
        shape = Network(layers, (1, 28, 28)).output_shape
        assert with_output(layers, shape, 4) == clf.layers_
        assert clf.layers_[-1] == Dense(4, initializer=Glorot())

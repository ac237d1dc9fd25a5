"""One table for all layers: a new layer is one new row here and one oracle."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skcnn import initializers
from skcnn import layers as all_layers
from skcnn.layers import (
    ELU,
    GELU,
    Add,
    AvgPool2d,
    BatchNorm,
    Concatenate,
    Conv2d,
    ConvTranspose2d,
    Dense,
    Dropout,
    FixedConv,
    Flatten,
    Frozen,
    GaussianNoise,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    GroupNorm,
    LayerNorm,
    LeakyReLU,
    LocalResponseNorm,
    MaxPool2d,
    PadChannels,
    PPVPool,
    RandomCrop,
    RandomFlip,
    RandomRotation,
    RandomScale,
    RandomShift,
    ReLU,
    Residual,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
)
from skcnn.layers.generators import sharing
from skcnn.layers.workspace import Workspace
from skcnn.network import Network
from tests.oracles import FORWARD, numerical_gradient, spread_out

sizes = st.integers(1, 6)
images = st.tuples(st.integers(1, 3), sizes, sizes)
vectors = st.tuples(st.integers(1, 9))


@st.composite
def convolutions(draw):
    groups = draw(st.integers(1, 3))
    channels, *sizes = draw(images)
    shape = (channels * groups, *sizes)
    padding = draw(
        st.one_of(st.just("same"), st.integers(0, 2), st.tuples(*[st.integers(0, 2)] * 2))
    )
    room = (10, 10)
    if padding != "same":
        p = (padding, padding) if isinstance(padding, int) else padding
        room = (shape[1] + 2 * p[0], shape[2] + 2 * p[1])
    dilation = draw(st.one_of(st.integers(1, 2), st.tuples(*[st.integers(1, 3)] * 2)))
    step = (dilation, dilation) if isinstance(dilation, int) else dilation
    kernel = tuple(
        draw(st.integers(1, min(5, (r - 1) // d + 1))) for r, d in zip(room, step, strict=True)
    )
    stride = draw(st.one_of(st.integers(1, 3), st.tuples(*[st.integers(1, 3)] * 2)))
    layer = Conv2d(
        groups * draw(st.integers(1, 3)), kernel, stride, padding, dilation=dilation,
        groups=groups, bias=draw(st.booleans()), clip=draw(st.booleans()),
    )  # fmt: skip
    return layer, shape


@st.composite
def transposed_convolutions(draw):
    groups = draw(st.integers(1, 3))
    channels, *sizes = draw(st.tuples(st.integers(1, 2), *[st.integers(1, 4)] * 2))
    pairs = st.tuples(*[st.integers(1, 3)] * 2)
    kernel, stride, dilation = draw(pairs), draw(pairs), draw(st.one_of(st.just((1, 1)), pairs))
    extra = tuple(
        draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True)
    )
    full = [
        (n - 1) * s + d * (k - 1) + 1 + e
        for n, s, d, k, e in zip(sizes, stride, dilation, kernel, extra, strict=True)
    ]
    padding = tuple(draw(st.integers(0, min(3, (size - 1) // 2))) for size in full)
    layer = ConvTranspose2d(
        groups * draw(st.integers(1, 2)), kernel, stride, padding, extra, dilation, groups,
        bias=draw(st.booleans()),
    )  # fmt: skip
    return layer, (channels * groups, *sizes)


@st.composite
def pools(draw, kind):
    shape = draw(images)
    clip = draw(st.booleans())
    padding = draw(st.one_of(st.just((0, 0)), st.tuples(*[st.integers(0, 2)] * 2)))
    window = tuple(
        draw(st.integers(p + 1, 4 if clip else min(4, s + 2 * p)))
        for s, p in zip(shape[1:], padding, strict=True)
    )
    stride = draw(st.one_of(st.none(), st.integers(1, 4), st.tuples(*[st.integers(1, 4)] * 2)))
    if draw(st.booleans()):
        padding, window = "same", draw(st.tuples(*[st.integers(1, 7)] * 2))
    more = (draw(st.booleans()),) if kind is AvgPool2d else ()
    return kind(window, stride, padding, clip, *more), shape


@st.composite
def crops(draw):
    shape = draw(images)
    return RandomCrop(tuple(draw(st.integers(0, min(3, s - 1))) for s in shape[1:])), shape


@st.composite
def channel_paddings(draw):
    shape = draw(images)
    stride = draw(st.one_of(st.integers(1, 3), st.tuples(*[st.integers(1, 3)] * 2)))
    return PadChannels(shape[0] + draw(st.integers(0, 3)), stride), shape


@st.composite
def residual_blocks(draw, depth=2):
    """Branches of one to three layers that keep the shape, or end in one that both make."""
    shape = draw(images)
    C, kernel = shape[0], draw(st.sampled_from([1, 3, (1, 3)]))
    keeping = st.sampled_from(
        [
            ReLU(), Tanh(), BatchNorm(2, epsilon=0.1), Dropout(0.3), RandomFlip(),
            LayerNorm(epsilon=0.1),
            Conv2d(C, kernel, padding="same"), Conv2d(C, 1, bias=False), GELU(),
            ConvTranspose2d(C, 1), MaxPool2d(3, stride=1, padding=1), RandomShift(1, clip=True),
        ]
    )  # fmt: skip
    layers = draw(st.lists(keeping, min_size=1, max_size=3))
    if depth and draw(st.booleans()):
        layers.append(Residual(draw(st.lists(keeping, min_size=1, max_size=2))))
    kind = draw(st.sampled_from(["identity", "layer", "list", "other shape", "vectors"]))
    if kind == "identity":
        return Residual(layers), shape
    if kind == "layer":
        return Residual(layers, draw(keeping)), shape
    if kind == "list":
        return Residual(layers, draw(st.lists(keeping, min_size=1, max_size=3))), shape
    if kind == "vectors":
        return Residual([Flatten(), Dense(3)], [GlobalAvgPool2d(), Dense(3, bias=False)]), shape
    ends = [Conv2d(C + 1, 1, stride=2), PadChannels(C + 1, stride=2)]
    return Residual([*layers, ends[0]], draw(st.sampled_from(ends))), shape


@st.composite
def group_norms(draw):
    groups = draw(st.integers(1, 3))
    channels, *sizes = draw(st.one_of(images, vectors))
    return GroupNorm(groups, epsilon=0.1), (groups * channels, *sizes)


@st.composite
def fixed_convolutions(draw):
    shape = draw(images)
    channels = shape[0]
    dilation = draw(st.one_of(st.integers(1, 2), st.tuples(*[st.integers(1, 3)] * 2)))
    size = draw(st.sampled_from([(2, 3), (2, channels, 3), (1, channels, 2, 3)]))
    given = np.round(np.random.default_rng(draw(st.integers(0, 9))).normal(size=size), 3).tolist()
    kernels, kernel_size = draw(
        st.sampled_from(
            [("minirocket", None), ("increasing", 4), ("decreasing", 2), ("peak", 4), (given, None)]
        )
    )
    return FixedConv(kernels, kernel_size, dilation), shape


@st.composite
def branch_lists(draw, kind):
    """One to four branches, some of them single layers or none at all, and blocks inside."""
    shape = draw(images)
    C = shape[0]
    if draw(st.integers(0, 4)) == 0:
        return kind([[Flatten(), Dense(3)], [GlobalAvgPool2d(), Dense(3, bias=False)]]), shape
    keeping = st.sampled_from(
        [
            ReLU(), Tanh(), BatchNorm(2, epsilon=0.1), Dropout(0.3), RandomFlip(),
            Conv2d(C, 3, padding="same"), Conv2d(C, 1, bias=False), Residual([Conv2d(C, 1)]),
            Add([[], [Tanh(), Conv2d(C, 1)]]), MaxPool2d(3, stride=1, padding=1),
        ]
    )  # fmt: skip
    chains = st.lists(st.one_of(keeping, st.lists(keeping, max_size=3)), min_size=1, max_size=4)
    branches = draw(chains)
    if kind is Concatenate and draw(st.booleans()):
        branches.append([Concatenate([[], Conv2d(2, 1)]), ReLU(), Conv2d(C + 1, 1)])
    return kind(branches), shape


@st.composite
def frozen_layers(draw):
    """One to three layers that act in training as they do in a prediction."""
    shape = draw(images)
    keeping = st.sampled_from(
        [
            ReLU(), Tanh(), BatchNorm(2, epsilon=0.1), Dropout(0.3), RandomCrop(1),
            Conv2d(shape[0], 3, padding="same"), ConvTranspose2d(shape[0], 1),
            Residual([Conv2d(shape[0], 1), BatchNorm(epsilon=0.1)]), Frozen([Tanh()]),
            Concatenate([[], [Conv2d(1, 1)]]),
        ]
    )  # fmt: skip
    layers = draw(st.lists(keeping, min_size=1, max_size=3))
    try:
        Network(layers, shape)
    except ValueError:  # a concatenation has changed the number of channels
        layers = [Flatten(), Dense(3)]
    return Frozen(layers), shape


def on_images(kind, *values):
    return st.tuples(st.builds(kind, *values), images)


def anywhere(layer):
    return st.tuples(st.just(layer), st.one_of(images, vectors))


TABLE = {
    "Conv2d": convolutions(),
    "ConvTranspose2d": transposed_convolutions(),
    "MaxPool2d": pools(MaxPool2d),
    "AvgPool2d": pools(AvgPool2d),
    "GlobalAvgPool2d": on_images(GlobalAvgPool2d),
    "GlobalMaxPool2d": on_images(GlobalMaxPool2d),
    "FixedConv": fixed_convolutions(),
    "PPVPool": on_images(
        PPVPool, st.integers(1, 3), st.floats(0.3, 2), st.integers(0, 2), st.integers(0, 3)
    ),
    "LocalResponseNorm": st.tuples(
        st.builds(
            LocalResponseNorm,
            st.integers(1, 8),
            st.floats(0, 1),
            st.floats(0, 2),
            st.floats(0.5, 3),
        ),
        st.tuples(st.integers(1, 6), st.integers(1, 3), st.integers(1, 3)),
    ),
    "Flatten": anywhere(Flatten()),
    "Dense": st.tuples(st.builds(Dense, st.integers(1, 5), st.booleans()), vectors),
    "ReLU": anywhere(ReLU()),
    "LeakyReLU": st.floats(0, 0.9).flatmap(lambda slope: anywhere(LeakyReLU(slope))),
    "ELU": st.one_of(st.just(1.0), st.floats(0.1, 3)).flatmap(lambda a: anywhere(ELU(a))),
    "GELU": anywhere(GELU()),
    "SiLU": anywhere(SiLU()),
    "Softmax": anywhere(Softmax()),
    "Tanh": anywhere(Tanh()),
    "Sigmoid": anywhere(Sigmoid()),
    "Dropout": anywhere(Dropout(0.3)),
    "BatchNorm": st.tuples(
        st.builds(BatchNorm, st.integers(1, 4), epsilon=st.just(0.1)), st.one_of(images, vectors)
    ),
    "LayerNorm": anywhere(LayerNorm(epsilon=0.1)),
    "GroupNorm": group_norms(),
    "PadChannels": channel_paddings(),
    "Residual": residual_blocks(),
    "GaussianNoise": st.floats(0, 2).flatmap(lambda std: anywhere(GaussianNoise(std))),
    "Add": branch_lists(Add),
    "Frozen": frozen_layers(),
    "Concatenate": branch_lists(Concatenate),
    "RandomCrop": crops(),
    "RandomFlip": st.sampled_from([(True, False), (False, True), (True, True)]).flatmap(
        lambda ways: on_images(lambda: RandomFlip(*ways))
    ),
    "RandomScale": on_images(RandomScale, st.floats(0, 0.9)),
    "RandomShift": on_images(RandomShift, st.integers(0, 9), st.just(True)),
    "RandomRotation": on_images(RandomRotation, st.floats(0, 180)),
}

SMALL = {  # one setting of each for the pairs, all taking (2, 4, 4) or its flattening
    "Conv2d": Conv2d(2, 3, padding=1),
    "Conv2d 1x1": Conv2d(2, 1),
    "Conv2d strided": Conv2d(2, 2, stride=2),
    "Conv2d depthwise": Conv2d(2, 3, padding=1, groups=2, bias=False),
    "Conv2d dilated": Conv2d(2, 2, padding=1, dilation=2),
    "ConvTranspose2d": ConvTranspose2d(2, 3, padding=1),
    "ConvTranspose2d strided": ConvTranspose2d(2, 2, stride=2, output_padding=1),
    "MaxPool2d": MaxPool2d(2, stride=1),
    "MaxPool2d padded": MaxPool2d(3, stride=2, padding=1),
    "AvgPool2d": AvgPool2d(2, clip=True),
    "AvgPool2d padded": AvgPool2d(3, stride=2, padding=1),
    "AvgPool2d same": AvgPool2d(3, stride=2, padding="same", count_include_pad=False),
    "MaxPool2d same": MaxPool2d(3, padding="same"),
    "GlobalAvgPool2d": GlobalAvgPool2d(),
    "GlobalMaxPool2d": GlobalMaxPool2d(),
    "FixedConv": FixedConv("increasing", 2),
    "PPVPool": PPVPool(2, ramp=4.0, margin=1),
    "LocalResponseNorm": LocalResponseNorm(3, alpha=0.1),
    "Flatten": Flatten(),
    "Dense": Dense(3),
    "ReLU": ReLU(),
    "LeakyReLU": LeakyReLU(0.2),
    "ELU": ELU(0.5),
    "GELU": GELU(),
    "SiLU": SiLU(),
    "Softmax": Softmax(),
    "Tanh": Tanh(),
    "Sigmoid": Sigmoid(),
    "Dropout": Dropout(0.3),
    "BatchNorm": BatchNorm(2, epsilon=0.1),
    "LayerNorm": LayerNorm(epsilon=0.1),
    "GroupNorm": GroupNorm(2, epsilon=0.1),
    "PadChannels": PadChannels(3, stride=(2, 1)),
    "Residual": Residual([Conv2d(2, 3, padding=1), BatchNorm(2, epsilon=0.1)]),
    "Residual of a rectifier": Residual([ReLU()]),
    "Residual with a shortcut": Residual(
        [Tanh(), Conv2d(3, 3, padding=1), ReLU(), MaxPool2d(2, stride=1, padding=1)],
        Conv2d(3, 2, padding=1),
    ),
    "GaussianNoise": GaussianNoise(0.3),
    "Add": Add([[], [BatchNorm(2, epsilon=0.1)], ReLU()]),
    "Add of one": Add([[ReLU(), Tanh()]]),
    "Frozen": Frozen([Conv2d(2, 3, padding=1), BatchNorm(2, epsilon=0.1), Tanh()]),
    "Frozen transposed": Frozen([ConvTranspose2d(2, 3, padding=1), ReLU()]),
    "Frozen dense": Frozen([Flatten(), Dense(4), Residual([Tanh(), Dense(4)])]),
    "Concatenate": Concatenate([[], [Conv2d(3, 3, padding=1), Tanh()], ReLU()]),
    "Concatenate dense": Concatenate([[Flatten(), Dense(3)], [Flatten()], [Flatten(), ReLU()]]),
    "RandomCrop": RandomCrop(1),
    "RandomFlip": RandomFlip(),
    "RandomScale": RandomScale(0.3),
    "RandomRotation": RandomRotation(30),
    "RandomShift": RandomShift(1),
}

every_layer = pytest.mark.parametrize("kind", TABLE)
few = settings(max_examples=25)


def network_of(layers, shape, seed=0, dtype=np.float64):
    """The network, and a vector in which biases too are not 0."""
    network = Network(layers, shape, dtype)
    vector = network.init(np.random.default_rng(seed))
    vector += 0.1 * np.random.default_rng(seed + 1).standard_normal(vector.shape)
    return network, vector.astype(dtype)


def assert_gradients(layers, shape, n, seed):
    """`vjp` against central differences, by the input and by every parameter."""
    network, vector = network_of(layers, shape, seed)
    rng = np.random.default_rng(seed)
    X = spread_out((n, *shape), rng)
    dY = rng.standard_normal((n, *network.output_shape))

    def loss(X, vector):
        Y = network.forward(X, vector, training=True, rng=np.random.default_rng(seed))
        return np.sum(Y * dY)

    Y, dX, gradient = network.vjp(X, vector, dY, rng=np.random.default_rng(seed))
    assert np.array_equal(
        Y, network.forward(X, vector, training=True, rng=np.random.default_rng(seed))
    )
    by_X = numerical_gradient(lambda X: loss(X, vector), X)
    trained = vector[: network.n_parameters]  # a view; the rest takes no part in the loss
    by_vector = numerical_gradient(lambda _: loss(X, vector), trained)
    np.testing.assert_allclose(dX, by_X, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(gradient[: network.n_parameters], by_vector, rtol=1e-6, atol=1e-6)


def assert_slopes(layers, shape, n, seed):
    """`vjp` against central differences along some directions, by input and parameters at once."""
    network, vector = network_of(layers, shape, seed)
    rng = np.random.default_rng(seed)
    X = spread_out((n, *shape), rng)
    dY = rng.standard_normal((n, *network.output_shape))

    def loss(step):
        Y = network.forward(
            X + step * by_X, vector + step * by_vector, training=True,
            rng=np.random.default_rng(seed),
        )  # fmt: skip
        return np.sum(Y * dY)

    _, dX, gradient = network.vjp(X, vector, dY, rng=np.random.default_rng(seed))
    for _ in range(3):
        by_X, by_vector = rng.standard_normal(X.shape), rng.standard_normal(vector.shape)
        by_vector[network.n_parameters :] = 0  # the rest takes no part in the loss
        slope = (loss(1e-6) - loss(-1e-6)) / 2e-6
        expected = np.sum(dX * by_X) + np.sum(gradient * by_vector[: len(gradient)])
        np.testing.assert_allclose(expected, slope, rtol=1e-6, atol=1e-6)


def test_every_layer_stands_in_the_table():
    kinds = {
        name
        for name in all_layers.__all__
        if name not in ("Layer", "Scratch") and isinstance(getattr(all_layers, name), type)
    }
    assert kinds == set(TABLE) == set(FORWARD)
    assert kinds == {type(layer).__name__ for layer in SMALL.values()}


@every_layer
@few
@given(data=st.data(), n=st.integers(1, 4), seed=st.integers(0, 99))
def test_forward_is_the_naive_loop(kind, data, n, seed):
    layer, shape = data.draw(TABLE[kind])
    network, vector = network_of([layer], shape, seed)
    X = spread_out((n, *shape), np.random.default_rng(seed))
    Y = network.forward(X, vector)
    params = network.unpack(vector)[0]
    expected = np.array([FORWARD[kind](layer, params, x) for x in X])
    np.testing.assert_allclose(Y, expected, rtol=1e-12, atol=1e-12)
    assert Y.shape[1:] == layer.output_shape(shape)


@every_layer
@few
@given(data=st.data(), n=st.integers(1, 3), seed=st.integers(0, 99))
def test_gradients_are_the_finite_differences(kind, data, n, seed):
    layer, shape = data.draw(TABLE[kind])
    assert_gradients([layer], shape, n, seed)


@pytest.mark.parametrize("first", SMALL)
def test_every_ordered_pair_has_the_right_gradients(first):
    """Arrays are shared between neighbours; each pair must allow what was shared."""
    for second, shape in product(SMALL, ((2, 4, 4), (8,))):
        layers = [SMALL[first], SMALL[second]]
        try:
            Network(layers, shape)
        except ValueError:
            continue  # an image layer on vectors, or Dense on images
        try:
            assert_slopes([*layers, Tanh()], shape, 2, seed=3)
        except AssertionError as error:
            error.add_note(f"{second} after {first}, for samples of shape {shape}")
            raise


@pytest.mark.parametrize(
    "trio", list(product(["Tanh", "ReLU", "Dropout"], ["Flatten"], ["ReLU", "Tanh"]))
)
def test_what_a_layer_reads_again_survives_behind_a_view(trio):
    assert_gradients([SMALL[name] for name in trio], (2, 2, 2), 2, seed=5)


@every_layer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@few
@given(data=st.data(), n=st.integers(1, 3))
def test_the_former_content_of_the_workspace_does_not_matter(kind, dtype, data, n):
    layer, shape = data.draw(TABLE[kind])
    network, vector = network_of([layer], shape, dtype=dtype)
    rng = np.random.default_rng(0)
    X, dY = rng.standard_normal((*shape, n)), rng.standard_normal((*network.output_shape, n))
    results = []
    for fill in (0x00, 0xFF):  # bytes of 0xFF are NaN
        workspace = Workspace(network, n, input_gradient=True)
        workspace.memory[...] = fill
        arrays = workspace.arrays(n)
        arrays.x[0][...] = X
        params = network.unpack(vector)
        grads = network.unpack(np.full(network.gradient_size, np.nan, dtype))
        arrays.forward(params, True, sharing(np.random.default_rng(1))())
        Y = arrays.x[-1].copy()
        arrays.dx[-1][...] = dY
        arrays.backward(params, grads)
        results.append([Y, arrays.dx[0].copy(), *grads[0].values()])
    for clean, dirty in zip(*results, strict=True):
        assert np.isfinite(clean).all()
        assert np.array_equal(clean, dirty)
        assert clean.dtype == dtype


@every_layer
@few
@given(data=st.data())
def test_declared_shapes_are_the_real_ones(kind, data):
    layer, shape = data.draw(TABLE[kind])
    network, vector = network_of([layer], shape)
    real = {name: array.shape for name, array in network.unpack(vector)[0].items()}
    declared = layer.param_shapes(shape) | layer.state_shapes(shape)
    assert real == declared | layer.constant_shapes(shape)
    assert network.forward(np.zeros((2, *shape)), vector).shape == (2, *layer.output_shape(shape))


@every_layer
@few
@given(data=st.data())
def test_layers_are_values(kind, data):
    layer, _ = data.draw(TABLE[kind])
    assert layer == replace(layer)
    assert eval(repr(layer), vars(all_layers) | vars(initializers)) == layer
    with pytest.raises(AttributeError):
        layer.new_attribute = 1


def test_the_first_maximum_in_row_major_order_gets_the_gradient():
    for K, S in ((2, 2), (3, 1), (3, 2)):
        network = Network([MaxPool2d(K, stride=S)], (1, K, K), np.float64)
        for ties in ([[0] * K] * K, np.eye(K), np.eye(K)[::-1]):
            x = np.array(ties, float)[np.newaxis, np.newaxis]
            _, dX, _ = network.vjp(x, np.zeros(0), np.ones((1, 1, 1, 1)))
            winner = np.zeros(K * K)
            winner[np.argmax(x)] = 1
            assert np.array_equal(dX.ravel(), winner)
            whole = Network([GlobalMaxPool2d()], (1, K, K), np.float64)
            _, dX, _ = whole.vjp(x, np.zeros(0), np.ones((1, 1)))
            assert np.array_equal(dX.ravel(), winner)


def test_padding_takes_part_in_no_maximum():
    for padding in ((1, 0), (0, 1), (2, 2)):
        network = Network([MaxPool2d(3, stride=1, padding=padding)], (2, 3, 4), np.float64)
        X = -10 - np.arange(24.0).reshape(1, 2, 3, 4)
        Y, dX, _ = network.vjp(X, np.zeros(0), np.ones((1, *network.output_shape)))
        assert Y.max() == -10
        assert dX.sum() == Y.size


@pytest.mark.parametrize("kind", ["LeakyReLU", "ELU", "GELU", "SiLU", "Softmax", "Sigmoid", "Tanh"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_activations_of_very_large_numbers_are_finite(kind, dtype):
    large = np.array([-1e38, -1e20, -1e4, -100, -30, 0, 30, 100, 1e4, 1e20, 1e38], dtype)
    network = Network([SMALL[kind]], large.shape, dtype)
    Y, dX, _ = network.vjp(large[np.newaxis], np.zeros(0, dtype), np.ones((1, 11), dtype))
    assert np.isfinite(Y).all()
    assert np.isfinite(dX).all()
    if kind in ("LeakyReLU", "ELU", "GELU", "SiLU"):
        np.testing.assert_allclose(Y[0, 6:], large[6:], rtol=1e-6)
        np.testing.assert_allclose(dX[0, 6:], 1, rtol=1e-6)


def test_dropout_keeps_the_mean_and_drops_at_its_rate():
    network = Network([Dropout(0.25)], (1000,), np.float64)
    Y = network.forward(
        np.ones((40, 1000)), np.zeros(0), training=True, rng=np.random.default_rng(0)
    )
    assert set(np.unique(Y)) == {0, 1 / 0.75}
    assert np.mean(Y == 0) == pytest.approx(0.25, abs=0.01)
    assert np.array_equal(network.forward(np.ones((2, 1000)), np.zeros(0)), np.ones((2, 1000)))


def test_training_with_dropout_wants_an_rng():
    network = Network([Dropout(0.25)], (10,))
    with pytest.raises(ValueError, match="pass rng"):
        network.forward(np.ones((1, 10)), np.zeros(0, np.float32), training=True)

"""Networks with branches: names, memory, training, and what the estimator makes of them."""

import pickle
from dataclasses import dataclass, field

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits

from skcnn import ScratchCNNClassifier, summary
from skcnn.architectures import resnet
from skcnn.layers import (
    BatchNorm,
    Conv2d,
    ConvTranspose2d,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    MaxPool2d,
    RandomCrop,
    ReLU,
    Residual,
    Sigmoid,
    Tanh,
)
from skcnn.layers.workspace import Workspace
from skcnn.network import Network

X, y = load_digits(return_X_y=True)
INNER = [Conv2d(6, 3, padding=1), BatchNorm(8), ReLU(), Conv2d(3, 3, padding=1)]
NESTED = [
    RandomCrop(1),
    Conv2d(8, 3, padding=1, bias=False),
    Residual(
        [
            BatchNorm(16),
            ReLU(),
            Residual([Conv2d(8, 3, padding=1), Dropout(0.1), Tanh()]),
            MaxPool2d(2),
            Conv2d(16, 3, padding=1),
        ],
        shortcut=[Conv2d(16, 1, stride=2, bias=False), BatchNorm(16)],
    ),
    Residual([ConvTranspose2d(16, 3, padding=1)]),
    GlobalAvgPool2d(),
]


def test_a_block_has_the_flat_vector_of_its_layers():
    block = Network([Residual(INNER)], (3, 6, 6), np.float64)
    chain = Network(INNER, (3, 6, 6), np.float64)
    vector = block.init(np.random.default_rng(0))
    assert np.array_equal(vector, chain.init(np.random.default_rng(0)))
    assert (block.n_decayed, block.n_parameters) == (chain.n_decayed, chain.n_parameters)
    arrays = block.unpack(vector)[0]
    for i, params in enumerate(chain.unpack(vector)):
        for name, array in params.items():
            assert np.array_equal(arrays[f"{i}.{name}"], array)
    rng = np.random.default_rng(1)
    X, dY = rng.normal(size=(2, 9, 3, 6, 6))
    with_input, without = block.vjp(X, vector, dY), chain.vjp(X, vector, dY)
    np.testing.assert_allclose(with_input[0], without[0] + X, rtol=1e-12)
    np.testing.assert_allclose(with_input[1], without[1] + dY, rtol=1e-12)
    assert np.array_equal(with_input[2], without[2])


def test_names_of_inner_arrays():
    network = Network(NESTED, (1, 8, 8))
    names = set(network.unpack(network.init(np.random.default_rng(0)))[2])
    assert names == {
        "0.weight", "0.bias", "0.running_mean", "0.running_variance",
        "2.0.weight", "2.0.bias", "4.weight", "4.bias",
        "shortcut.0.weight", "shortcut.1.weight", "shortcut.1.bias",
        "shortcut.1.running_mean", "shortcut.1.running_variance",
    }  # fmt: skip
    one = Residual([Conv2d(2, 1)], shortcut=Conv2d(2, 1, bias=False))
    assert set(one.param_shapes((2, 4, 4))) == {"0.weight", "0.bias", "shortcut.weight"}


def test_weight_decay_reaches_kernels_and_no_scales_or_biases():
    network = Network(NESTED, (1, 8, 8))
    vector = np.zeros(network.vector_size, np.float32)
    vector[: network.n_decayed] = 1
    for params in network.unpack(vector):
        for name, array in params.items():
            of_norm = name in ("0.weight", "shortcut.1.weight") and array.ndim == 1
            assert array.all() == (name.endswith("weight") and not of_norm)
            assert array.any() == array.all()


def test_inner_layers_share_memory():
    """Layers that keep nothing cost nothing more inside a block; those that do, what they keep."""

    def nbytes(layers, backward):
        network = Network([Residual(layers), GlobalAvgPool2d()], (4, 16, 16))
        return Workspace.nbytes_per_sample(network, backward)

    assert nbytes([ConvTranspose2d(4, 1)] * 8, False) == nbytes([ConvTranspose2d(4, 1)] * 4, False)
    convolutions = [Conv2d(4, 3, padding=1)]
    assert nbytes(convolutions * 8, False) == nbytes(convolutions * 4, False)
    few, many = (nbytes(convolutions * n, True) for n in (4, 8))
    chain = [Workspace.nbytes_per_sample(Network(convolutions * n, (4, 16, 16))) for n in (4, 8)]
    assert many - few == chain[1] - chain[0]
    images = 4 * 16 * 16 * 4
    assert few <= chain[0] + 5 * images


def test_the_summary_shows_what_a_block_is_made_of():
    table = summary(NESTED, (8, 8), 10)
    assert [(row.name, row.depth) for row in table.rows] == [
        ("0", 0), ("1", 0), ("2", 0), ("2.0", 1), ("2.1", 1), ("2.2", 1), ("2.2.0", 2),
        ("2.2.1", 2), ("2.2.2", 2), ("2.3", 1), ("2.4", 1), ("2.shortcut.0", 1),
        ("2.shortcut.1", 1), ("3", 0), ("3.0", 1), ("4", 0), ("5", 0),
    ]  # fmt: skip
    assert sum(row.parameters for row in table.rows) == table.parameters
    assert sum(row.multiply_adds for row in table.rows) == table.multiply_adds
    lines = str(table).splitlines()
    assert any(line.startswith("2.2.0             Conv2d(8, 3, padding=1)") for line in lines)
    assert [row.output_shape for row in table.rows if row.name in ("2", "2.shortcut.0")] == [
        (16, 4, 4)
    ] * 2
    network = Network(NESTED, (1, 8, 8))
    assert table.parameters == network.n_parameters + 170
    assert len(table.to_dict()["layer"]) == len(table.rows)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_receptive_fields_are_those_of_the_longest_branch(depth):
    """Three kernels 3 x 3 see 7 x 7, nested or not."""
    layers = [Conv2d(4, 3, padding=1)] * 3
    for _ in range(depth):
        layers = [Residual(layers)]
    table = summary([Conv2d(4, 1), *layers], (20, 20), 2)
    assert table.rows[1].receptive_field == (7, 7)
    fields = [row.receptive_field for row in table.rows if type(row.layer) is Conv2d]
    assert fields == [(1, 1), (3, 3), (5, 5), (7, 7)]
    shortcut = Residual([Conv2d(4, 1)], shortcut=[Conv2d(4, (1, 5), padding=(0, 2))])
    assert summary([shortcut], (20, 20), 2).rows[0].receptive_field == (1, 5)


def test_receptive_fields_of_branches_of_vectors_are_joined():
    """A unit of a dense layer sees the whole image, and so does what is added to it."""
    table = summary([Flatten(), Residual([Dense(64)])], (8, 8), 10)
    assert [row.receptive_field for row in table.rows] == [(1, 1), (8, 8), (8, 8), (8, 8)]


def test_a_pixel_reaches_what_the_receptive_field_says():
    network = Network([Residual([Conv2d(1, 3, padding=1)] * 3)], (1, 15, 15), np.float64)
    vector = network.init(np.random.default_rng(0))
    dY = np.zeros((1, 1, 15, 15))
    dY[0, 0, 7, 7] = 1
    _, dX, _ = network.vjp(np.ones((1, 1, 15, 15)), vector, dY)
    rows = np.flatnonzero(dX[0, 0].any(axis=1))
    assert (rows.min(), rows.max()) == (4, 10)


def test_a_transposed_convolution_sees_what_the_summary_says():
    layers = [Conv2d(2, 3, stride=2), ConvTranspose2d(2, 3, stride=2, padding=1)]
    table = summary(layers, (11, 11), 2)
    network = Network(layers, (1, 11, 11), np.float64)
    vector = network.init(np.random.default_rng(0))
    found = []
    for p in range(network.output_shape[1]):
        dY = np.zeros((1, *network.output_shape))
        dY[0, :, p, p] = 1
        _, dX, _ = network.vjp(np.ones((1, 1, 11, 11)), vector, dY)
        rows = np.flatnonzero(dX[0, 0].any(axis=1))
        found.append(rows.max() - rows.min() + 1)
    assert table.rows[1].receptive_field[0] == max(found) == 5


def test_nested_names_reach_inner_layers():
    clf = ScratchCNNClassifier(NESTED)
    names = clf.get_params()
    assert names["layers__2__layers__2__layers__0__filters"] == 8
    assert names["layers__2__shortcut__1__ghost_size"] == 16
    changed = clone(clf).set_params(
        layers__2__layers__2__layers__1__rate=0.4, layers__2__shortcut__1__momentum=0.5
    )
    assert changed.layers[2].layers[2].layers[1] == Dropout(0.4)
    assert changed.layers[2].shortcut[1].momentum == 0.5
    assert clf.layers[2].layers[2].layers[1] == Dropout(0.1)
    single = ScratchCNNClassifier([Residual([Conv2d(1, 1)], shortcut=Conv2d(1, 1))])
    single.set_params(layers__0__shortcut__kernel_size=3, layers__0__layers__0__filters=2)
    assert single.layers[0].shortcut == Conv2d(1, 3)
    assert single.layers[0].layers[0] == Conv2d(2, 1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_estimator_trains_resumes_pickles_and_transforms(dtype):
    shared = {
        "layers": NESTED,
        "random_state": 0,
        "dtype": dtype,
        "lr": 5e-3,
        "lr_schedule": "constant",
    }
    shared |= {"n_iter_no_change": 99, "batch_size": 64}
    whole = ScratchCNNClassifier(**shared, max_iter=4).fit(X[:400], y[:400])
    halves = ScratchCNNClassifier(**shared, max_iter=2, warm_start=True).fit(X[:400], y[:400])
    halves = pickle.loads(pickle.dumps(halves)).fit(X[:400], y[:400])
    assert np.array_equal(halves.weights_, whole.weights_)
    assert np.array_equal(
        whole.predict_proba(X), pickle.loads(pickle.dumps(whole)).predict_proba(X)
    )
    assert whole.transform(X).shape == (len(X), 16)
    assert whole.loss_curve_[-1] < whole.loss_curve_[0]
    arrays = whole.network_.unpack(whole.weights_)
    assert np.array_equal(
        clone(whole).fit(X[:400], y[:400]).set_weights(arrays).weights_, whole.weights_
    )
    assert whole.summary().parameters == whole.network_.n_parameters


@pytest.mark.slow
def test_a_small_residual_network_learns_the_digits():
    clf = ScratchCNNClassifier(
        resnet((1, 1), (8, 16)), random_state=0, max_iter=8, lr=1e-2, n_iter_no_change=99,
        lr_schedule="one_cycle", batch_size=64, tol=0,
    )  # fmt: skip
    assert clf.fit(X[:1200], y[:1200]).score(X[1200:], y[1200:]) > 0.93


def test_a_block_may_come_first_and_hold_no_parameters():
    for layers in (
        [Residual([Conv2d(1, 3, padding=1)])],
        [Residual([ReLU()], shortcut=Conv2d(1, 1))],
        [Residual([ReLU()])],
        [Flatten(), Residual([Dense(64), Tanh()])],
    ):
        clf = ScratchCNNClassifier(layers, random_state=0, max_iter=2).fit(X[:200], y[:200])
        whole = Network(clf.layers_, (1, 8, 8), np.float64)
        vector = clf.weights_.astype(np.float64)
        images = X[:3].reshape(3, 1, 8, 8)
        assert np.isfinite(whole.vjp(images, vector, np.ones((3, 10)))[1]).all()


@pytest.mark.parametrize(
    "layers",
    [
        [Residual([Sigmoid(), Tanh(), Sigmoid()])],
        [Residual([Residual([Sigmoid(), Tanh(), Sigmoid()]), Conv2d(1, 3, padding=1)])],
    ],
    ids=["at the beginning", "in a block"],
)
def test_a_block_without_parameters_before_the_first_layer_that_has_some(layers):
    X = np.random.default_rng(0).normal(size=(12, 5, 5))
    clf = ScratchCNNClassifier([*layers, Flatten()], max_iter=2, random_state=0)
    clf.fit(X, np.arange(12) % 2)
    alone = clf.network_.forward(
        (X[:, np.newaxis] - clf.input_mean_) / clf.input_scale_, clf.weights_
    )
    assert np.array_equal(clf.predict(X), alone.argmax(axis=1))


@dataclass(frozen=True, repr=False, eq=False)
class Counted(ReLU):
    """Counts how often a network asks for its shape, and for its scratch arrays."""

    calls: list = field(default_factory=list)

    def output_shape(self, input_shape):
        self.calls.append("shape")
        return super().output_shape(input_shape)

    def scratch(self, input_shape, dtype, backward):
        self.calls.append("scratch")
        return super().scratch(input_shape, dtype, backward)


@pytest.mark.parametrize("nested", [2, 30])
def test_nesting_asks_the_innermost_layer_no_more_often(nested):
    calls = []
    layers = [Counted(calls=calls), Conv2d(2, 1)]
    for _ in range(nested):
        layers = [Residual([Conv2d(2, 1), *layers])]
    network = Network([Conv2d(2, 1), *layers], (1, 3, 3), np.float64)
    rng = np.random.default_rng(0)
    vector = network.init(rng)
    X, dY = rng.random((2, 1, 3, 3)), rng.random((2, 2, 3, 3))
    network.vjp(X, vector, dY)
    summary([Conv2d(2, 1), *layers], (1, 3, 3), 2)
    assert len(calls) <= 12  # of one that is not nested, too


def test_blocks_to_a_depth_of_thirty_train_and_predict(tmp_path):
    block = [Conv2d(2, 3, padding="same"), ReLU()]
    for _ in range(30):
        block = [Residual([Conv2d(2, 3, padding="same"), *block])]
    X = np.random.default_rng(0).random((24, 6, 6), dtype=np.float32)
    clf = ScratchCNNClassifier([Conv2d(2, 3), *block], max_iter=1, random_state=0)
    clf.fit(X, np.arange(24) % 2)
    assert len(clf.get_weights()[1]) == 2 * 31  # a weight and a bias each
    assert np.isfinite(clf.predict_proba(X)).all()
    assert len(clf.summary().rows) == 1 + 30 * 2 + 2 + 2  # blocks, their layers, and the output
    again = pickle.loads(pickle.dumps(clone(clf).fit(X, np.arange(24) % 2)))
    assert np.array_equal(again.weights_, clf.weights_)
    assert repr(again.layers_) == repr(clf.layers_)
    assert set(clf.get_params()) == set(again.get_params())

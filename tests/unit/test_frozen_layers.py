"""Layers inside `Frozen`: run as in a prediction, never changed, and at no cost of training."""

import pickle
from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.datasets import load_digits

from skcnn import ScratchCNNClassifier, summary
from skcnn.inspection import NetworkDisplay, activations
from skcnn.layers import (
    Add,
    BatchNorm,
    Concatenate,
    Conv2d,
    ConvTranspose2d,
    Dense,
    Dropout,
    Flatten,
    Frozen,
    GlobalAvgPool2d,
    Layer,
    MaxPool2d,
    ReLU,
    Residual,
    Tanh,
)
from skcnn.layers.workspace import Workspace
from skcnn.network import Network

X, y = load_digits(return_X_y=True)
INNER = [Conv2d(4, 3, padding=1), BatchNorm(8), ReLU(), Dropout(0.3), Residual([Conv2d(4, 1)])]
LAYERS = [Frozen(INNER), MaxPool2d(2), Conv2d(6, 3), Frozen(BatchNorm(8)), Tanh(), Flatten()]


def test_their_arrays_are_constants():
    network = Network(LAYERS, (1, 8, 8), np.float64)
    assert network.n_parameters == 6 * 4 * 9 + 6
    assert network.gradient_size == network.n_parameters
    assert network.vector_size - network.gradient_size == (36 + 4) + 16 + (16 + 4) + 24
    vector = network.init(np.random.default_rng(0))
    chain = Network(INNER, (1, 8, 8), np.float64)
    first = chain.unpack(chain.init(np.random.default_rng(0)))
    for name, array in network.unpack(vector)[0].items():
        i, own = name.split(".", 1)
        assert np.array_equal(array, first[int(i)][own])
    assert network.samples_together == 1
    assert not network.chain.draws


def test_they_run_as_in_a_prediction():
    rng = np.random.default_rng(0)
    frozen, chain = (Network(own, (1, 8, 8), np.float64) for own in ([Frozen(INNER)], INNER))
    images, dY = rng.normal(size=(5, 1, 8, 8)), rng.normal(size=(5, 4, 8, 8))
    vector, flat = frozen.init(rng), np.empty(chain.vector_size)
    vector[...] = 1 + 0.1 * rng.normal(size=vector.size)
    params = frozen.unpack(vector)[0]
    for i, arrays in enumerate(chain.unpack(flat)):
        for name, array in arrays.items():
            array[...] = params[f"{i}.{name}"]
    Y, dX, gradient = frozen.vjp(images, vector, dY, training=True)
    expected = chain.vjp(images, flat, dY, training=False)
    assert np.array_equal(Y, expected[0])
    np.testing.assert_allclose(dX, expected[1], rtol=1e-12, atol=1e-12)
    assert gradient.size == 0


@pytest.mark.parametrize("place", ["first", "behind a layer that is trained", "in a branch"])
def test_training_changes_none_of_them(place):
    layers = {
        "first": LAYERS,
        "behind a layer that is trained": [Conv2d(2, 3), *LAYERS],
        "in a branch": [Concatenate([[Frozen(INNER)], Conv2d(2, 1)]), GlobalAvgPool2d()],
    }[place]
    settings = {"random_state": 0, "max_iter": 3, "weight_decay": 0.1, "batch_size": 64}
    before = ScratchCNNClassifier(layers, **settings).initialize(X[:200], y[:200])
    after = ScratchCNNClassifier(layers, **settings).fit(X[:200], y[:200])
    n = after.network_.gradient_size
    assert np.array_equal(after.weights_[n:], before.weights_[n:])
    trained = after.network_.n_parameters
    assert (after.weights_[:trained] != before.weights_[:trained]).mean() > 0.9
    again = pickle.loads(pickle.dumps(after))
    assert np.array_equal(again.predict_proba(X), after.predict_proba(X))


@dataclass(frozen=True, repr=False, eq=False)
class Watched(Layer):
    """The identity, which counts its backward passes."""

    calls: list
    writes = "over_x"

    def output_shape(self, input_shape):
        return input_shape

    def param_shapes(self, input_shape):
        return {"weight": (3,)}

    def forward(self, x, y, params, scratch, training, rng):
        assert not training
        assert rng is None
        np.copyto(y, x)

    def backward(self, dx, dy, x, y, params, grads, scratch):
        self.calls.append(dx is None)
        grads["weight"][...] = 1  # which nobody keeps
        np.copyto(dx, dy)


def test_nothing_goes_back_below_the_first_layer_that_is_trained():
    calls = []
    for layers, expected in (
        ([Frozen([Watched(calls)]), Dense(2)], []),
        ([Dense(3), Frozen([Residual([Watched(calls)])]), Dense(2)], [False]),
        ([Frozen(Watched(calls)), Add([[Frozen([Watched(calls)])], Dense(4)]), Dense(2)], []),
    ):
        calls.clear()
        network = Network(layers, (4,), np.float64)
        vector = network.init(np.random.default_rng(0))
        arrays = Workspace(network, 2).arrays(2)
        arrays.x[0][...] = 1
        params, grads = (
            network.unpack(vector[:size]) for size in (network.vector_size, network.gradient_size)
        )
        arrays.forward(params, True, np.random.default_rng(0))
        arrays.dx[-1][...] = 1
        arrays.backward(params, grads)
        assert calls == expected


def test_a_frozen_front_needs_the_memory_of_a_prediction():
    front = [Conv2d(8, 3, padding=1), BatchNorm(), ReLU()] * 4

    def nbytes(layers, backward=True):
        network = Network([*layers, GlobalAvgPool2d(), Dense(3)], (3, 16, 16))
        return Workspace.nbytes_per_sample(network, backward)

    assert nbytes([Frozen(front)]) < 0.5 * nbytes(front)
    assert nbytes([Frozen(front)]) <= nbytes([Frozen(front[:6])])
    behind = nbytes([Conv2d(3, 1), Frozen(front)])
    assert behind > 2 * nbytes([Frozen(front)])


def test_the_summary_counts_them_as_not_trained():
    table = summary(LAYERS, (8, 8), 10)
    assert table.parameters == 222 + (24 * 10 + 10)
    assert table.constants == 40 + 16 + 20 + 24
    rows = {row.name: row for row in table.rows}
    assert [rows[name].parameters for name in ("0", "0.0", "0.4.0", "3.0", "2")] == [
        0,
        0,
        0,
        0,
        222,
    ]
    assert [rows[name].constants for name in ("0", "0.0", "0.1", "0.4.0", "3.0", "2")] == [
        0, 40, 16, 20, 24, 0
    ]  # fmt: skip
    assert sum(row.constants for row in table.rows) == table.constants
    header = str(table).splitlines()[2]
    assert header.split()[:4] == ["layer", "output", "parameters", "constants"]
    assert "constants" not in str(summary(INNER, (8, 8), 10))
    assert "<th>constants</th>" in table._repr_html_()


def test_names_and_inspection_reach_into_them():
    clf = ScratchCNNClassifier(LAYERS, random_state=0, max_iter=1).fit(X[:100], y[:100])
    assert clf.get_params()["layers__0__layers__0__filters"] == 4
    assert list(clf.to_state_dict())[:3] == ["0.0.weight", "0.0.bias", "0.1.weight"]
    assert activations(clf, X[:3], "0.2").min() >= 0
    assert np.array_equal(activations(clf, X[:3], "0.4"), activations(clf, X[:3], 0))
    display = NetworkDisplay.from_estimator(clf)
    assert len(display.frames_) == 3
    assert sum(text.get_text() == "frozen" for text in display.ax_.texts) == 2


def test_a_network_of_frozen_layers_still_trains_its_output_layer():
    clf = ScratchCNNClassifier(
        [Frozen([Conv2d(8, 3), ReLU(), Flatten()])], random_state=0, max_iter=5
    ).fit(X[:600], y[:600])
    assert clf.score(X[600:], y[600:]) > 0.8


def test_frozen_transposed_convolutions_pass_gradients_on():
    layers = [Conv2d(2, 1), Frozen([ConvTranspose2d(3, 2, stride=2), BatchNorm()]), Flatten()]
    thawed = [*layers[:1], *layers[1].layers, Flatten()]
    rng = np.random.default_rng(0)
    left, right = (Network(own, (1, 4, 4), np.float64) for own in (layers, thawed))
    flat = right.init(rng)
    vector = left.init(rng)
    for name, array in left.unpack(vector)[1].items():
        i, own = name.split(".")
        array[...] = right.unpack(flat)[1 + int(i)][own]
    for name, array in left.unpack(vector)[0].items():
        array[...] = right.unpack(flat)[0][name]
    images, dY = rng.normal(size=(3, 1, 4, 4)), rng.normal(size=(3, *left.output_shape))
    found = left.vjp(images, vector, dY, training=True)
    expected = right.vjp(images, flat, dY, training=False)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-12)
    np.testing.assert_allclose(
        left.unpack(found[2])[0]["weight"], right.unpack(expected[2])[0]["weight"], rtol=1e-12
    )

"""Activations of a layer, compared with the output of a network that ends there."""

import numpy as np
import pytest
import sklearn

from skcnn import ScratchCNNClassifier
from skcnn.inspection import activations
from skcnn.layers import BatchNorm, Conv2d, Dense, Flatten, MaxPool2d, ReLU, Residual
from skcnn.network import Network

LAYERS = [
    Conv2d(3, 3, padding=1), BatchNorm(), ReLU(), MaxPool2d(2),
    Residual([Conv2d(4, 3, padding=1), ReLU(), Conv2d(4, 1)], [Conv2d(4, 1), BatchNorm()]),
    Residual([Residual([Conv2d(4, 3, padding=1)])]), Flatten(), Dense(5), ReLU(),
]  # fmt: skip


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(0)
    X, y = 5 + 3 * rng.normal(size=(20, 2, 6, 8)), np.arange(20) % 3
    clf = ScratchCNNClassifier(LAYERS, max_iter=2, random_state=0, data_format="channels_first")
    return clf.fit(X, y), X


def scaled(clf, X):
    return (X - clf.input_mean_.reshape(-1, 1, 1)) / clf.input_scale_.reshape(-1, 1, 1)


def cut(clf, n):
    """The first layers as a network, with the vector's numbers by hand."""
    network = Network(clf.layers_[:n], clf.image_shape_, np.float64)
    vector = np.empty(network.vector_size)
    for own, theirs in zip(network.unpack(vector), clf.network_.unpack(clf.weights_), strict=False):
        for name in own:
            own[name][...] = theirs[name]
    return network, vector


@pytest.mark.parametrize("layer", range(-10, 10))
def test_layers_by_number(model, layer):
    clf, X = model
    network, vector = cut(clf, layer % 10 + 1)
    found = activations(clf, X, layer)
    np.testing.assert_allclose(
        found, network.forward(scaled(clf, X), vector), rtol=1e-12, atol=1e-14
    )
    assert np.array_equal(found, activations(clf, X, str(layer % 10)))


def test_the_last_makes_the_probabilities_and_the_one_before_the_features(model):
    clf, X = model
    z = activations(clf, X, -1)
    p = np.exp(z - z.max(axis=1, keepdims=True))
    np.testing.assert_allclose(
        clf.predict_proba(X), p / p.sum(axis=1, keepdims=True), rtol=1e-12, atol=1e-14
    )
    np.testing.assert_allclose(activations(clf, X, -2), clf.transform(X), rtol=1e-12, atol=1e-14)


def test_layers_inside_residual_blocks(model):
    clf, X = model
    before, after = activations(clf, X, 3), activations(clf, X, 4)
    both = activations(clf, X, "4.2") + activations(clf, X, "4.shortcut.1")
    np.testing.assert_allclose(both, after, rtol=1e-12, atol=1e-14)
    weight = clf.network_.unpack(clf.weights_)[4]["shortcut.0.weight"][:, :, 0, 0]
    bias = clf.network_.unpack(clf.weights_)[4]["shortcut.0.bias"]
    by_hand = np.einsum("fc,nchw->nfhw", weight, before) + bias[:, None, None]
    np.testing.assert_allclose(activations(clf, X, "4.shortcut.0"), by_hand, rtol=1e-12, atol=1e-14)
    inner = activations(clf, X, "5.0.0")
    np.testing.assert_allclose(after + inner, activations(clf, X, "5.0"), rtol=1e-12, atol=1e-14)
    names = {row.name for row in clf.summary().rows}
    assert all(len(activations(clf, X[:1], name)) == 1 for name in names)


def test_little_memory_changes_nothing_but_rounding(model):
    clf, X = model
    many = np.concatenate([X] * 20)
    whole = activations(clf, many, 4)
    with sklearn.config_context(working_memory=0.1):
        np.testing.assert_allclose(activations(clf, many, 4), whole, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("layer", [10, -11])
def test_errors_name_the_numbers(model, layer):
    with pytest.raises(ValueError, match=rf"layer must be in \[-10, 9\].*got {layer}"):
        activations(*model, layer)


@pytest.mark.parametrize("layer", ["conv", "4.7", 1.0, None, True])
def test_errors_name_the_names(model, layer):
    with pytest.raises(ValueError, match=r"'4\.shortcut\.1', .*got "):
        activations(*model, layer)

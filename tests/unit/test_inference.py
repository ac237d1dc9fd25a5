"""Outputs, and the features before the last layer."""

import pickle
import threading

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.datasets import load_digits
from threadpoolctl import threadpool_limits

from skcnn import ScratchCNNClassifier
from skcnn.data import Images
from skcnn.inference import features, outputs, workspace_cache
from skcnn.layers import (
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    MaxPool2d,
    ReLU,
    Sigmoid,
    Tanh,
)
from skcnn.network import Network
from skcnn.parallel.threads import Threads

DIGITS, LABELS = load_digits(return_X_y=True)
X, y = DIGITS[:300], LABELS[:300]
ENDS = {  # every way in which the last layer's input may share memory with others
    "nothing": [],
    "image": [Conv2d(3, 3)],
    "relu, pool": [Conv2d(3, 3), ReLU(), MaxPool2d(2)],
    "average": [Conv2d(3, 3), Sigmoid(), AvgPool2d(2)],
    "flat": [Conv2d(3, 3), Tanh(), Flatten()],
    "dense": [Flatten(), Dense(12)],
    "relu": [Conv2d(3, 3), ReLU(), Flatten(), Dense(12), ReLU()],
    "dropout": [Conv2d(3, 3), ReLU(), Flatten(), Dense(12), ReLU(), Dropout(0.5)],
    "norm": [Conv2d(3, 3), BatchNorm(), ReLU(), Flatten(), Dense(12), BatchNorm()],
}


def fitted(layers=None, **parameters):
    return ScratchCNNClassifier(
        layers, **{"filters": 4, "hidden_layer_sizes": 16, "max_iter": 2, "random_state": 0}
        | parameters,
    ).fit(X, y)  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("end", ENDS)
def test_features_are_what_the_layers_before_the_last_make(end, dtype):
    clf = fitted(ENDS[end], dtype=dtype)
    front = Network(clf.layers_[:-1], (1, 8, 8), dtype)
    *params, last = clf.network_.unpack(clf.weights_)
    vector = front.init(np.random.default_rng(0))
    for mine, theirs in zip(front.unpack(vector), params, strict=True):
        for name, array in mine.items():
            array[...] = theirs[name]
    images = ((X - clf.input_mean_) / clf.input_scale_).reshape(-1, 1, 8, 8).astype(dtype)
    found = clf.transform(X)
    assert found.dtype == dtype
    assert found.flags.c_contiguous
    assert len(found) == len(X)
    assert found.shape[1:] == front.output_shape == (len(clf.get_feature_names_out()),)
    tolerance = 1e-4 if dtype == "float32" else 1e-10
    np.testing.assert_allclose(found, front.forward(images, vector), tolerance, tolerance)
    scores = found @ last["weight"].T + last["bias"]
    expected = np.exp(scores - scores.max(axis=1, keepdims=True))
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(clf.predict_proba(X), expected, tolerance, tolerance)


def test_features_are_the_same_bits_whoever_computes_them():
    clf = fitted()
    network = clf.network_
    images = Images(DIGITS, (1, 8, 8))
    assert network.cost.micro_batch_size() < len(images) / 4
    with Threads(1) as alone:
        H = features(network, clf.weights_, images, alone)
        Z = outputs(network, clf.weights_, images, alone)
    for n in (2, 3):
        with Threads(n) as threads:
            for _ in range(3):  # later turns find memory that earlier ones left
                assert np.array_equal(features(network, clf.weights_, images, threads), H)
                assert np.array_equal(outputs(network, clf.weights_, images, threads), Z)


def test_features_with_any_threads_working_memory_and_order_of_rows():
    clf = fitted()
    expected = clf.transform(X)
    for limit in (1, 2, 3):
        with threadpool_limits(limit, "blas"):
            assert np.array_equal(clf.transform(X), expected)
    order = np.random.default_rng(0).permutation(len(X))
    assert np.array_equal(clf.transform(X[order]), expected[order])
    with sklearn.config_context(working_memory=0.05):
        np.testing.assert_allclose(clf.transform(X), expected, rtol=1e-9, atol=1e-9)


def test_features_and_predictions_at_once():
    clf = fitted()
    expected, results = (clf.transform(X), clf.predict_proba(X)), []

    def work():
        for _ in range(5):
            results.append((clf.transform(X), clf.predict_proba(X)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 20
    for result in results:
        assert all(np.array_equal(a, b) for a, b in zip(result, expected, strict=True))


def test_features_of_all_forms_of_the_same_images():
    clf = fitted()
    expected = clf.transform(X)
    for form in (X.reshape(-1, 8, 8), X.reshape(-1, 1, 8, 8), X.tolist()):
        assert np.array_equal(clf.transform(form), expected)
    images = np.random.default_rng(0).random((40, 5, 7, 3))
    last = clone(clf).set_params(data_format="channels_last").fit(images, np.arange(40) % 3)
    assert last.transform(images).shape == (40, 16)
    assert len(last.get_feature_names_out()) == 16
    with pytest.raises(ValueError, match="fitted on images of shape"):
        last.transform(images[..., :2])


def test_features_that_overflow_stay_finite():
    clf = fitted(dtype="float32")
    assert np.isfinite(clf.transform(np.where(X > 8, 1e38, -1e38))).all()


@pytest.mark.parametrize(
    ("units", "n", "cache", "capacity"),
    [
        (8, 5, 2**20, 16),  # little work: filled up
        (400, 5, 2**20, 5),
        (400, 20, 2**20, 32),
        (8, 20, 1, 1),  # no memory for more
    ],
)
def test_micro_batches_are_filled_up_where_it_costs_little(units, n, cache, capacity, monkeypatch):
    monkeypatch.setattr("skcnn.micro_batches.CACHE_BYTES", cache)
    network = Network([Flatten(), Dense(units)], (1, 8, 8))
    images = Images(np.ones((n, 64), np.float32), (1, 8, 8))
    with Threads(1) as alone:
        Z = outputs(network, network.init(np.random.default_rng(0)), images, alone)
    assert Z.shape == (units, n)
    assert {workspace.capacity for workspace in workspace_cache(network).workspaces} == {capacity}


def test_the_weights_may_change_between_predictions():
    """In their place or by others: nothing that an earlier prediction has left may be used then."""
    network = Network([Flatten(), Dense(3)], (1, 8, 8))
    rng = np.random.default_rng(0)
    images = rng.random((5, 1, 8, 8), dtype=np.float32)
    vector = network.init(rng)
    with Threads(1) as alone:
        for change in (None, "in place", "another", "a view"):
            if change == "in place":
                vector *= 2
            elif change == "another":
                vector = network.init(rng)
            elif change == "a view":
                vector = np.tile(vector, 2)[: len(vector)]
            Z = outputs(network, vector, Images(images, images.shape[1:]), alone)
            np.testing.assert_allclose(Z.T, network.forward(images, vector), rtol=1e-5)
    kept, _ = workspace_cache(network).unpacked
    assert kept is not vector  # nor what it is a view of
    assert workspace_cache(pickle.loads(pickle.dumps(network))).unpacked is None


def test_large_weights_are_not_kept_after_a_prediction(monkeypatch):
    monkeypatch.setattr("skcnn.inference.CACHED_BYTES", 100)
    network = Network([Flatten(), Dense(3)], (1, 8, 8))
    images = Images(np.ones((5, 64), np.float32), (1, 8, 8))
    with Threads(1) as alone:
        outputs(network, network.init(np.random.default_rng(0)), images, alone)
    assert workspace_cache(network).unpacked is None


def test_outputs_that_overflow_come_out_finite():
    network = Network([Flatten(), Dense(3)], (1, 2, 2))
    vector = np.full(network.vector_size, 1e38, np.float32)
    X = np.array([[0.1] * 4, [9] * 4, [-9] * 4], np.float32).reshape(3, 1, 2, 2)
    with Threads(1) as alone:
        Z = outputs(network, vector, Images(X, X.shape[1:]), alone)
    largest = np.finfo(np.float32).max
    assert np.isfinite(Z).all()
    assert (Z[:, 1] == largest).all()
    assert (Z[:, 2] == -largest).all()

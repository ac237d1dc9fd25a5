"""Nested names, networks of one's own, persistence and company."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skcnn import ScratchCNNClassifier
from skcnn.initializers import Gaussian
from skcnn.layers import BatchNorm, Conv2d, Dense, Dropout, Flatten, MaxPool2d, ReLU
from skcnn.network import Network
from skcnn.optimizers import SGD, Adam
from skcnn.schedules import WarmUp
from tests.shared import DIGITS, LABELS, assert_same_model, quick

X, y = DIGITS[:200], LABELS[:200]

# Parameters


def test_nested_names_reach_layers_and_optimizers():
    layers = [Conv2d(4, 3, initializer=Gaussian(0.1)), MaxPool2d(2)]
    clf = ScratchCNNClassifier(layers=layers, optimizer=SGD())
    params = clf.get_params()
    assert params["layers__0__filters"] == 4
    assert params["layers__0__initializer__sigma"] == 0.1
    assert params["layers__1"] == MaxPool2d(2)
    assert params["optimizer__momentum"] == 0.9
    clf.set_params(
        layers__0__filters=8, layers__0__initializer__sigma=0.2, optimizer__nesterov=False
    )
    assert clf.layers == [Conv2d(8, 3, initializer=Gaussian(0.2)), MaxPool2d(2)]
    assert clf.optimizer == SGD(nesterov=False)
    assert layers == [Conv2d(4, 3, initializer=Gaussian(0.1)), MaxPool2d(2)]
    clf.set_params(layers=[Dense(3)], layers__0__units=4)
    assert clf.layers == [Dense(4)]


@pytest.mark.parametrize(
    "name",
    [
        "layers__5__filters",
        "layers__0__nothing",
        "layers__0__",
        "optimizer__momentum",
        "nothing",
        "a__b",
    ],
)
def test_unknown_names_list_the_known_ones(name):
    clf = ScratchCNNClassifier(layers=[Conv2d(4, 3)])
    with pytest.raises(ValueError, match=rf"(?s)Invalid parameter '{name.split('__')[0]}.*lr"):
        clf.set_params(**{name: 1})


def test_a_search_reaches_inside_the_layers():
    clf = ScratchCNNClassifier(layers=[Conv2d(2, 3), ReLU(), Flatten()], max_iter=1, random_state=0)
    grid = {"layers__0__filters": [2, 4], "optimizer": [SGD(), Adam()]}
    search = GridSearchCV(clf, grid, cv=2).fit(X, y)
    assert len(search.cv_results_["params"]) == 4
    assert search.best_estimator_.layers_[0].filters in (2, 4)
    assert clf.layers[0].filters == 2


def test_clones_are_unfitted_and_equal():
    clf = quick(layers=[Conv2d(4, 3), Dropout(0.1)], optimizer=Adam(0.8)).fit(X, y)
    twin = clone(clf)
    assert not any(name.endswith("_") for name in vars(twin))
    assert repr(twin) == repr(clf)
    assert_same_model(clf, twin.fit(X, y))
    with pytest.raises(NotFittedError):
        clone(clf).predict(X)


# Networks


def test_layers_replace_the_architecture():
    layers = [Conv2d(3, 3, stride=2), ReLU()]
    clf = quick(layers=layers).fit(X, y)
    assert clf.layers_[:3] == [*layers, Flatten()]
    assert clf.layers == layers
    nothing = quick(layers=[]).fit(X, y)
    assert [type(layer) for layer in nothing.layers_] == [Flatten, Dense]


def test_weights_can_be_carried_over():
    clf = quick(layers=[Conv2d(3, 3), ReLU(), Flatten(), Dense(5), ReLU()]).fit(X, y)
    arrays = copy.deepcopy(clf.network_.unpack(clf.weights_))
    other = quick(layers=clf.layers, random_state=9).fit(X, y)
    assert not np.array_equal(other.predict_proba(X), clf.predict_proba(X))
    assert np.array_equal(other.set_weights(arrays).predict_proba(X), clf.predict_proba(X))
    weights = other.weights_
    for spoil, message in (
        (lambda a: a.pop(), "must be a list of 6 dicts"),
        (lambda a: a[0].pop("bias"), r"arrays\[0\] must have the shapes"),
        (lambda a: a[0].update(bias=np.zeros(7)), r"arrays\[0\] must have the shapes"),
        (lambda a: a[0].update(bias=np.full(3, np.nan)), r"arrays\[0\]\['bias'\] contains NaN"),
    ):
        bad = copy.deepcopy(arrays)
        spoil(bad)
        with pytest.raises(ValueError, match=message):
            other.set_weights(bad)
        assert other.weights_ is weights


def test_predictions_are_those_of_the_public_network():
    clf = quick(filters=(4, 8), hidden_layer_sizes=16).fit(X, y)
    network = Network(clf.layers_, (1, 8, 8), np.float64)
    images = ((X - clf.input_mean_) / clf.input_scale_).reshape(-1, 1, 8, 8)
    z = network.forward(images, clf.weights_)
    assert np.array_equal(clf.classes_[z.argmax(axis=1)], clf.predict(X))


# Persistence


def test_state_for_resumption_is_kept_only_when_asked_for():
    size = {warm: len(pickle.dumps(quick(warm_start=warm).fit(X, y))) for warm in (False, True)}
    assert size[True] > size[False] + 3 * quick().fit(X, y).weights_.nbytes


# Company


@pytest.mark.slow
def test_behind_a_scaler_in_a_pipeline_in_a_search():
    train, test, labels, truth = train_test_split(DIGITS, LABELS, random_state=0)
    pipeline = make_pipeline(
        MinMaxScaler(), ScratchCNNClassifier(filters=(8, 16), max_iter=15, random_state=0)
    )
    grid = {"scratchcnnclassifier__lr": [1e-3, 3e-3]}
    search = GridSearchCV(pipeline, grid, cv=3).fit(train, labels)
    assert search.score(test, truth) > 0.95


def test_calibration_accepts_float32_probabilities():
    calibrated = CalibratedClassifierCV(
        ScratchCNNClassifier(filters=16, max_iter=10, dtype="float32", random_state=0), cv=2
    )
    calibrated.fit(DIGITS[:600], LABELS[:600])
    assert calibrated.score(DIGITS[600:], LABELS[600:]) > 0.8


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"optimizer": SGD("a")},
            r"optimizer = SGD\(momentum='a'\): SGD: momentum must be .*, got 'a'\.$",
        ),
        (
            {"lr_schedule": WarmUp("a")},
            r"lr_schedule = WarmUp\(epochs='a'\): WarmUp: epochs must be .*, got 'a'\.$",
        ),
        ({"activation": Flatten()}, r"with activation=Flatten\(\): layers\[2\] = MaxPool2d"),
        ({"normalization": Flatten()}, r"with normalization=Flatten\(\): layers\[3\] = MaxPool2d"),
        (
            {"activation": Dropout("a"), "normalization": BatchNorm()},
            r"with activation=Dropout\(rate='a'\) and normalization=BatchNorm\(\): layers\[2\]",
        ),
    ],
)
def test_errors_of_what_a_parameter_holds_name_the_parameter(parameters, message):
    with pytest.raises(ValueError, match=f"^ScratchCNNClassifier: {message}"):
        quick(**parameters).fit(X, y)

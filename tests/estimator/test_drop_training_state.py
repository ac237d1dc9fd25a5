"""Dropping the state that only a continued training needs."""

import pickle

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from skcnn import ScratchCNNClassifier, ScratchCNNRegressor
from tests.shared import FIXED, X, assert_same_model, quick, y

SMALL = {**FIXED, "filters": 4, "hidden_layer_sizes": 64, "max_iter": 2, "random_state": 0}

TRAININGS = {
    "partial_fit": lambda: (
        ScratchCNNClassifier(**SMALL).partial_fit(X, y, classes=range(10)).partial_fit(X, y)
    ),
    "partial_fit of quantities": lambda: ScratchCNNRegressor(**SMALL).partial_fit(X, y),
    "warm start": lambda: ScratchCNNClassifier(**SMALL, warm_start=True).fit(X, y),
    "early stopping": lambda: ScratchCNNRegressor(
        **SMALL, warm_start=True, early_stopping=True
    ).fit(X, y),
}


@pytest.mark.parametrize("what", TRAININGS)
def test_the_model_is_the_same_and_smaller(what):
    model = TRAININGS[what]()
    before, predictions = pickle.dumps(model), model.predict(X)
    attributes = {name: value for name, value in vars(model).items() if name[-1] == "_"}
    assert model.drop_training_state() is model
    after = pickle.dumps(model)
    assert len(after) < len(before) / 2
    assert len(after) < 1.5 * model.weights_.nbytes + 10_000
    assert np.array_equal(pickle.loads(after).predict(X), predictions)
    kept = {name: value for name, value in vars(model).items() if name[-1] == "_"}
    assert kept.keys() == attributes.keys()
    assert all(kept[name] is attributes[name] for name in kept)


def test_training_goes_on_as_if_there_had_never_been_a_state():
    plain = quick().fit(X, y)
    dropped = quick(warm_start=True).fit(X, y).drop_training_state()
    assert_same_model(plain, dropped)
    for model in (plain, dropped):
        model.set_params(warm_start=True).fit(X, y)
    assert_same_model(plain, dropped)
    assert dropped.n_iter_ == 4
    for model in (plain, dropped):
        model.drop_training_state().partial_fit(X, y)
    assert_same_model(plain, dropped)
    assert dropped.n_iter_ == 5


def test_dropping_twice_is_nothing_and_before_a_fit_an_error():
    model = quick()
    with pytest.raises(NotFittedError):
        model.drop_training_state()
    model.fit(X, y).drop_training_state().drop_training_state().predict(X)

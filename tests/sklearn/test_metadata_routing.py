"""Sample weights through pipelines and searches, with metadata routing and without."""

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.metrics import get_scorer
from sklearn.model_selection import (
    GridSearchCV,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import SVC

from tests.shared import X, X_test, assert_same_model, small, y, y_test


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield get_scorer("accuracy").set_score_request(sample_weight=True)


rng = np.random.default_rng(0)
WRONG = rng.random(len(y)) < 0.5
SPOILED = np.where(WRONG, rng.permutation(y), y)
WEIGHTS = np.where(WRONG, 0.0, 1.0)


def test_weights_go_through_pipeline_and_search_with_routing(routing):
    weighted = small().set_fit_request(sample_weight=True)
    pipeline = make_pipeline(MinMaxScaler(), weighted)
    search = GridSearchCV(
        pipeline, {"scratchcnnclassifier__max_iter": [1, 10]}, cv=2, scoring=routing
    )
    search.fit(X, SPOILED, sample_weight=WEIGHTS)
    assert search.best_params_ == {"scratchcnnclassifier__max_iter": 10}
    assert search.best_score_ > 0.8  # only where the labels are right
    assert search.score(X_test, y_test) > 0.85
    ignored = small().set_fit_request(sample_weight=False)
    search = GridSearchCV(make_pipeline(MinMaxScaler(), ignored), {}, cv=2, scoring=routing)
    search.fit(X, SPOILED, sample_weight=WEIGHTS)
    assert_same_model(
        search.best_estimator_[-1], small().fit(MinMaxScaler().fit_transform(X), SPOILED)
    )


def test_routing_asks_who_wants_the_weights(routing):
    with pytest.raises(UnsetMetadataPassedError, match="ScratchCNNClassifier"):
        make_pipeline(MinMaxScaler(), small()).fit(X, y, sample_weight=WEIGHTS)


def test_weights_reach_a_network_amid_a_pipeline_with_routing(routing):
    network = small().set_fit_request(sample_weight=True)
    pipeline = make_pipeline(network, SVC().set_fit_request(sample_weight=True))
    pipeline.fit(X, SPOILED, sample_weight=WEIGHTS)
    assert_same_model(pipeline[0], small().fit(X, SPOILED, sample_weight=WEIGHTS))
    assert pipeline.score(X_test, y_test) > 0.85


def test_weights_go_through_pipeline_and_search_without_routing():
    pipeline = make_pipeline(MinMaxScaler(), small())
    search = GridSearchCV(pipeline, {"scratchcnnclassifier__batch_size": [32, 64]}, cv=2)
    search.fit(X, SPOILED, scratchcnnclassifier__sample_weight=WEIGHTS)
    assert search.score(X_test, y_test) > 0.85
    assert clone(pipeline).fit(X, SPOILED).score(X_test, y_test) < search.score(X_test, y_test)

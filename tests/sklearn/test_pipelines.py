"""In pipelines and beside other transformers."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import (
    cross_val_score,
)
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler
from sklearn.svm import SVC

from tests.shared import NAMES, X, X_test, assert_same_model, since, small, y, y_test


@pytest.mark.parametrize(
    "step",
    [MinMaxScaler(), StandardScaler(), FunctionTransformer(np.sqrt)],
    ids=lambda step: type(step).__name__,
)
def test_pipeline(step):
    pipeline = make_pipeline(step, small()).fit(X, y)
    assert pipeline.score(X_test, y_test) > 0.9
    assert is_classifier(pipeline)
    assert pipeline[-1].image_shape_ == (1, 8, 8)


def test_column_transformer_on_a_dataframe_of_pixels():
    frame = pd.DataFrame(X, columns=NAMES)
    scaled = ColumnTransformer([("top", MinMaxScaler(), NAMES[:32])], remainder=MinMaxScaler())
    pipeline = make_pipeline(scaled, small()).fit(frame, y)
    assert pipeline.score(pd.DataFrame(X_test, columns=NAMES), y_test) > 0.85
    assert pipeline[-1].image_shape_ == (1, 8, 8)


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_dataframes_from_upstream(container):
    frame = pd.DataFrame if container == "pandas" else pl.DataFrame
    pipeline = make_pipeline(StandardScaler(), small())
    with sklearn.config_context(transform_output=container):
        pipeline.fit(X, y)
        scaled = pipeline[0].transform(X_test)
        assert isinstance(scaled, frame)
        predictions = pipeline.predict(X_test)
        assert isinstance(pipeline[-1].transform(scaled), frame)
    assert isinstance(predictions, np.ndarray)
    assert pipeline[-1].feature_names_in_.tolist() == list(scaled.columns)
    plain = clone(pipeline).fit(X, y)
    assert_same_model(pipeline[-1], plain[-1])
    assert np.array_equal(predictions, plain.predict(X_test))


def test_frozen_network_as_a_feature_extractor(fitted):
    svc = make_pipeline(FrozenEstimator(fitted), SVC())
    before = fitted.weights_.copy()
    svc.fit(X[:100], y[:100])  # the support vectors alone are new
    assert np.array_equal(fitted.weights_, before)
    assert svc[0].estimator is fitted
    assert svc.score(X_test, y_test) > 0.9
    assert svc[:-1].get_feature_names_out()[[0, -1]].tolist() == [
        "scratchcnnclassifier0", "scratchcnnclassifier31",
    ]  # fmt: skip
    assert cross_val_score(svc, X_test, y_test, cv=2).min() > 0.9


def test_frozen_network_is_calibrated_on_other_rows(fitted):
    method = "temperature" if since(1, 8) else "sigmoid"  # 1.6 has no temperature
    calibrated = CalibratedClassifierCV(FrozenEstimator(fitted), method=method)
    calibrated.fit(X_test[:300], y_test[:300])
    assert calibrated.score(X_test[300:], y_test[300:]) > 0.9


def test_unfrozen_network_in_a_pipeline_is_trained_first():
    pipeline = make_pipeline(small(), SVC()).fit(X, y)
    assert_same_model(pipeline[0], small().fit(X, y))
    assert pipeline.score(X_test, y_test) > 0.9


def test_fit_transform_fits_with_y_and_weights():
    weights = np.random.default_rng(0).random(len(X))
    clf = small()
    features = clf.fit_transform(X, y, sample_weight=weights)
    assert_same_model(clf, small().fit(X, y, sample_weight=weights))
    assert np.array_equal(features, clf.transform(X))
    with pytest.raises(TypeError, match="y"):
        small().fit_transform(X)


def test_features_stand_beside_others(fitted):
    union = FeatureUnion([("network", FrozenEstimator(fitted)), ("pixels", MinMaxScaler())])
    union.set_output(transform="pandas")
    table = union.fit_transform(pd.DataFrame(X), y)
    assert table.shape == (600, 32 + 64)
    assert table.columns[0] == "network__scratchcnnclassifier0"


def test_networks_on_parts_of_the_image():
    """Column transformers train every network with `y`, each on its columns."""
    halves = ColumnTransformer([
        ("top", small(image_shape=(4, 8)), slice(0, 32)),
        ("bottom", small(image_shape=(4, 8)), slice(32, 64)),
    ])  # fmt: skip
    pipeline = make_pipeline(halves, SVC()).fit(X, y)
    assert pipeline.score(X_test, y_test) > 0.85
    assert halves.get_feature_names_out()[-1] == "bottom__scratchcnnclassifier31"

"""Data frames, kinds of labels, and what a scaler hands over."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from tests.shared import NAMES, X, X_test, since, small, y, y_test


def pyarrow():
    return pytest.importorskip(
        "pyarrow", reason="in the extra [test], but without it all else runs"
    )


TABLES = {
    "pandas": lambda X: pd.DataFrame(X, columns=NAMES),
    "pandas, nullable": lambda X: pd.DataFrame(X, columns=NAMES).astype("Float64"),
    "pandas, pyarrow": lambda X: (
        pyarrow() and pd.DataFrame(X, columns=NAMES).astype("double[pyarrow]")
    ),
    "polars": lambda X: pl.DataFrame(X, schema=NAMES),
    "pyarrow": lambda X: pyarrow().table(dict(zip(NAMES, X.T, strict=True))),
}


@pytest.mark.parametrize("kind", TABLES)
def test_tables(fitted, kind):
    make = TABLES[kind]
    clf = small().fit(make(X), y)
    np.testing.assert_allclose(clf.weights_, fitted.weights_, atol=1e-6)
    assert clf.score(make(X_test), y_test) > 0.9
    assert clf.feature_names_in_.tolist() == NAMES
    if kind != "pyarrow" or since(1, 9):  # 1.6 cannot take rows of these
        assert cross_val_score(small(), make(X), y, cv=2).min() > 0.85


def test_feature_names_are_checked_with_scikit_learns_messages():
    frame = pd.DataFrame(X, columns=NAMES)
    clf = small(max_iter=1).fit(frame, y)
    for method in (clf.predict, clf.transform):
        with pytest.raises(ValueError, match="in the same order as they were in fit"):
            method(frame[NAMES[::-1]])
        with pytest.raises(ValueError, match="Feature names unseen at fit time:\n- other"):
            method(frame.rename(columns={"pixel0": "other"}))
        with pytest.raises(ValueError, match="seen at fit time, yet now missing"):
            method(frame[NAMES[1:]])
        with pytest.warns(UserWarning, match="does not have valid feature names"):
            method(X)
    with pytest.raises(ValueError, match="input_features is not equal to feature_names_in_"):
        clf.get_feature_names_out(NAMES[::-1])
    assert len(clf.get_feature_names_out(NAMES)) == 32
    with pytest.raises(TypeError, match="Feature names are only supported if all input features"):
        small().fit(frame.rename(columns={"pixel0": 0}), y)


LABEL_KINDS = {
    "int32": lambda y: y.astype("int32"),
    "uint8": lambda y: y.astype("uint8"),
    "float": lambda y: y.astype(float),
    "str": lambda y: np.array([f"digit {i}" for i in y]),
    "object": lambda y: np.array([f"digit {i}" for i in y], dtype=object),
    "Int64": lambda y: pd.Series(y, dtype="Int64"),
    "string": lambda y: pd.Series(y).astype(str).astype("string"),
    "category": lambda y: pd.Series(y).astype(str).astype("category"),
    "categorical": lambda y: pd.Categorical(y.astype(str)),
    "pandas, pyarrow": lambda y: pyarrow() and pd.Series(y).astype("int64[pyarrow]"),
    "polars": lambda y: pl.Series(y),
    "polars text": lambda y: pl.Series(y).cast(pl.String),
    "pyarrow": lambda y: pyarrow().array(y),
}


@pytest.mark.parametrize("kind", LABEL_KINDS)
def test_labels(fitted, kind):
    make = LABEL_KINDS[kind]
    clf = small().fit(X, make(y))
    assert np.array_equal(clf.weights_, fitted.weights_)  # of ten classes in the same order
    assert np.array_equal(clf.classes_, np.unique(np.asarray(make(y))))
    assert clf.classes_.dtype == clf.predict(X_test).dtype
    assert (clf.predict(X_test) == np.asarray(make(y_test))).mean() > 0.9
    assert clf.score(X_test, make(y_test)) > 0.9


def test_nullable_booleans():
    labels = pd.Series(y > 4, dtype="boolean")
    clf = small().fit(X, labels)
    assert clf.classes_.tolist() == [False, True]
    assert clf.score(X_test, pd.Series(y_test > 4, dtype="boolean")) > 0.9


@pytest.mark.parametrize("dtype", ["Int64", "string", "boolean", "category"])
def test_missing_labels_are_named(dtype):
    labels = pd.Series(y % 2 == 0 if dtype == "boolean" else y, dtype=object)
    labels[3] = None
    if dtype == "string":
        labels = labels.astype(str).where(labels.notna())
    with pytest.raises(ValueError, match=r"are missing, the first in row 3|y contains NaN"):
        small().fit(X, labels.astype(dtype))


def test_float64_from_a_scaler_is_computed_in_float64_unless_told_otherwise():
    pixels = X.astype("uint8")
    pipeline = make_pipeline(MinMaxScaler(), small()).fit(pixels, y)
    assert pipeline[-1].weights_.dtype == np.float64
    pipeline = make_pipeline(MinMaxScaler(), small(dtype="float32")).fit(pixels, y)
    assert pipeline[-1].weights_.dtype == pipeline.predict_proba(pixels).dtype == np.float32
    assert pipeline.score(X_test.astype("uint8"), y_test) > 0.9


def test_early_stopping_in_a_pipeline_keeps_the_best_weights_not_the_last():
    stopping = {"early_stopping": True, "n_iter_no_change": 3, "tol": 0.0, "lr": 2e-2}
    pipeline = make_pipeline(StandardScaler(), small(**stopping, max_iter=100)).fit(X, y)
    clf = pipeline[-1]
    best = int(np.argmax(clf.validation_scores_)) + 1
    assert best < clf.n_iter_ < 100
    until = small(**stopping | {"n_iter_no_change": 100}, max_iter=best)
    assert np.array_equal(until.fit(pipeline[0].transform(X), y).weights_, clf.weights_)
    last = small(**stopping | {"n_iter_no_change": 100}, max_iter=clf.n_iter_, warm_start=True)
    last.fit(pipeline[0].transform(X), y)
    assert not np.array_equal(last._training_state.weights, clf.weights_)
    assert pipeline.score(X_test, y_test) > 0.85

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

from skcnn import ScratchCNNRegressor
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
    with pytest.raises(ValueError, match=r"(is|are) missing, the first in row 3|y contains NaN"):
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


ROWS = {
    "one axis": lambda X: pl.Series("rows", X),
    "two axes": lambda X: pl.Series("rows", X.reshape(-1, 8, 8)),
    "three axes": lambda X: pl.Series("rows", X.reshape(-1, 1, 8, 8)),
}


@pytest.mark.parametrize("axes", ROWS)
def test_a_polars_series_of_arrays(fitted, axes):
    make = ROWS[axes]
    clf = small().fit(make(X), y)
    assert np.array_equal(clf.weights_, fitted.weights_)
    expected = fitted.predict_proba(X_test)
    assert np.array_equal(clf.predict_proba(make(X_test)), expected)
    assert np.array_equal(clf.predict_proba(X_test), expected)
    assert np.array_equal(fitted.predict_proba(make(X_test)), expected)
    part = small().partial_fit(make(X), y, classes=np.unique(y)).partial_fit(make(X), y)
    part.transform(make(X_test))
    with pytest.raises(ValueError, match="X has 63 features"):
        clf.predict(pl.Series("rows", X_test[:, 1:]))
    judged = small(early_stopping=True).fit(make(X), y, X_val=make(X_test), y_val=y_test)
    assert judged.score(make(X_test), y_test) > 0.8
    assert cross_val_score(small(), make(X), y, cv=2).min() > 0.85


MISSING = {
    "None": None,
    "NaN": float("nan"),
    "NumPy's NaN": np.float32("nan"),
    "NA": pd.NA,
    "NaT": pd.NaT,
    "NumPy's NaT": np.datetime64("NaT", "D"),
}
HOLDERS = {
    "list": list,
    "column": lambda labels: [[label] for label in labels],
    "array": lambda labels: np.array(labels, dtype=object),
    "series": lambda labels: pd.Series(labels, dtype=object),
    "inferred": pd.Series,
    "string": lambda labels: pd.Series(labels, dtype="string"),
    "category": lambda labels: pd.Series(labels, dtype="category"),
    "frame": lambda labels: pd.DataFrame({"y": labels}),
}
TEXTS = ["no", "yes"] * 10
FEW = X[:20]


def type_of_first(labels):
    return type(labels[0]).__name__


@pytest.mark.filterwarnings("ignore:A column-vector")
@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("missing", MISSING)
@pytest.mark.parametrize("labels", [TEXTS, [True, False] * 10, [3, 5] * 10], ids=type_of_first)
def test_missing_labels_are_refused_wherever_they_are(labels, missing, holder):
    if holder == "string" and labels is not TEXTS:
        return
    labels = [MISSING[missing] if i in (3, 7) else label for i, label in enumerate(labels)]
    present = [label for i, label in enumerate(labels) if i not in (3, 7)]
    given = HOLDERS[holder](labels)
    told = "must hold (a label for every sample|only labels), but 2 are missing, the first in row 3"
    told = rf"\b{{}}\b ({told}|contains NaN)"  # the latter of what NumPy takes for numbers
    clf = small(early_stopping=True)
    before = dict(vars(clf))
    with pytest.raises(ValueError, match=told.format("y")):
        clf.fit(FEW, given)
    with pytest.raises(ValueError, match=told.format("y_val")):
        clf.fit(FEW[:18], present, X_val=FEW, y_val=given)
    with pytest.raises(ValueError, match=told.format("classes")):
        small().partial_fit(FEW[:18], present, classes=given)
    assert vars(clf) == before
    fitted = small(max_iter=1).fit(FEW[:18], present)
    with pytest.raises(ValueError, match=told.format("y")):
        fitted.partial_fit(FEW, given)


def test_texts_that_look_like_missing_ones_are_labels():
    for labels in (["nan", "None", "NaT", "<NA>"] * 5, np.array(["nan", "None"] * 10)):
        clf = small(max_iter=1).fit(FEW, labels)
        assert clf.classes_.tolist() == sorted(set(labels))


def test_missing_entries_of_an_indicator_matrix_are_named_by_row():
    matrix = np.array([[0, 1], [1, 0]] * 10, dtype=object)
    for missing in (None, pd.NA, float("nan")):
        matrix[4, 1] = missing
        with pytest.raises(ValueError, match=r"y must hold .*1 is missing, the first in row 4"):
            small().fit(FEW, matrix)
        with pytest.raises(ValueError, match=r"y must hold .*first in row 4|y contains NaN"):
            small().fit(FEW, matrix.tolist())


def of_objects(entries):
    array = np.empty(len(entries), dtype=object)
    array[:] = entries
    return array


NESTED = {
    "array": of_objects,
    "series": lambda entries: pd.Series(of_objects(entries)),
    "series of lists": lambda entries: pd.Series([entry.tolist() for entry in entries]),
    "polars": lambda entries: pl.Series([entry.ravel().tolist() for entry in entries]),
    "polars objects": lambda entries: pl.Series(list(entries), dtype=pl.Object),
    "frame": lambda entries: pd.DataFrame({"image": of_objects(entries)}),
    "polars frame": lambda entries: pl.DataFrame(
        {"image": pl.Series([e.ravel() for e in entries])}
    ),
}


@pytest.mark.filterwarnings("ignore:A column-vector")
@pytest.mark.parametrize("kind", NESTED)
def test_entries_that_are_arrays_are_to_be_stacked(fitted, kind):
    entries = list(FEW.reshape(-1, 8, 8))
    column = "frame" in kind
    cure = "np.stack of each column" if column else r"np.stack\({}\)"
    given = NESTED[kind](entries)
    told = r"{} is an array of shape \(20,( 1)?\) whose entries are arrays of shape \((8, 8|64,)\)"
    for call in (lambda: small().fit(given, y[:20]), lambda: fitted.predict(given)):
        with pytest.raises(ValueError, match=(told + ".*" + cure).format(*["X"] * 2)):
            call()
    stacked = np.stack(given["image"] if column else given)
    assert np.array_equal(fitted.predict(stacked), fitted.predict(FEW))
    for estimator in (small(), ScratchCNNRegressor()):
        with pytest.raises(ValueError, match=(told + ".*" + cure).format(*["y"] * 2)):
            estimator.fit(FEW, given)
    entries[3] = np.ones((8, 9))
    uneven = NESTED[kind](entries)
    found = r"that of entry 0 is \((8, 8|64,)\) and that of entry 3 is \((8, 9|72,)\).*np.stack"
    for call in (lambda: small().fit(uneven, y[:20]), lambda: fitted.predict(uneven)):
        with pytest.raises(ValueError, match=rf"\bX\b.*{found}"):
            call()


class WithGradient:
    """An array that refuses conversion as PyTorch's tensors do if they require a gradient."""

    def __init__(self, *shape):
        self.shape = shape

    def __len__(self):
        return self.shape[0]

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError(
            "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead."
        )


def test_tensors_with_a_gradient_are_named(fitted):
    images, numbers = WithGradient(20, 64), WithGradient(20)
    regressor = ScratchCNNRegressor(early_stopping=True)
    for name, call in {
        "X": lambda: small().fit(images, y[:20]),
        "X ": lambda: fitted.predict(images),
        "X  ": lambda: small().fit([WithGradient(64)] * 20, y[:20]),
        "y": lambda: small().fit(FEW, numbers),
        "y ": lambda: regressor.fit(FEW, numbers),
        "y  ": lambda: regressor.fit(FEW, [WithGradient()] * 20),
        "sample_weight": lambda: small().fit(FEW, y[:20], numbers),
        "X_val": lambda: regressor.fit(FEW, y[:20], X_val=images, y_val=y[:20]),
        "y_val": lambda: regressor.fit(FEW, y[:20], X_val=FEW, y_val=numbers),
        "classes": lambda: small().partial_fit(FEW, y[:20], classes=numbers),
    }.items():
        with pytest.raises(ValueError, match=rf": {name.strip()}: .*requires grad.*detach\(\)"):
            call()

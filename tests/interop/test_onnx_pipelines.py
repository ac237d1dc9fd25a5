"""skl2onnx converts what holds an estimator, and ONNX Runtime answers as scikit-learn does."""

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import VotingClassifier, VotingRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from skcnn import ScratchCNNClassifier, ScratchCNNRegressor
from skcnn.layers import Conv2d, Dense, Flatten, ReLU, Tanh
from skcnn.onnx import register

skl2onnx = pytest.importorskip(
    "skl2onnx", reason="skl2onnx is not installed (the extra [test-onnx] has it)"
)
pytest.importorskip("onnxruntime")

from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType  # noqa: E402

from tests.interop.test_onnx import NEAR, run, same  # noqa: E402

LAYERS = [Conv2d(3, 3), ReLU(), Flatten(), Dense(5), Tanh()]
register()

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(60, 36))
CODES = np.arange(60) % 3
IMAGES[np.arange(60), CODES] += 2
LABELS = {"integers": CODES, "strings": np.array(["a", "b", "c"])[CODES]}


def clf():
    return ScratchCNNClassifier(LAYERS, max_iter=2, batch_size=32, random_state=0)


def reg():
    return ScratchCNNRegressor(LAYERS, max_iter=2, batch_size=32, random_state=0)


def frozen(X, y):
    return FrozenEstimator(clf().fit(X, y))


CLASSIFIERS = {
    "alone": lambda X, y: clf(),
    "scaled to a range": lambda X, y: make_pipeline(MinMaxScaler(), clf()),
    "standardised": lambda X, y: make_pipeline(StandardScaler(), clf()),
    "calibrated": lambda X, y: CalibratedClassifierCV(clf(), cv=2),
    "calibrated, frozen": lambda X, y: CalibratedClassifierCV(frozen(X, y)),
    "searched": lambda X, y: GridSearchCV(clf(), {"lr": [1e-3]}, cv=2),
    "frozen": frozen,
    "features": lambda X, y: make_pipeline(clf(), LogisticRegression()),
    "frozen features": lambda X, y: make_pipeline(frozen(X, y), LogisticRegression()),
    "two networks": lambda X, y: make_pipeline(
        clf(), ScratchCNNClassifier([Flatten(), Dense(3)], max_iter=1, random_state=0)
    ),
    "features beside columns": lambda X, y: make_pipeline(
        FeatureUnion([("network", frozen(X, y)), ("columns", MinMaxScaler())]),
        LogisticRegression(),
    ),
    "features of columns": lambda X, y: make_pipeline(
        ColumnTransformer([("network", clf(), slice(0, 25)), ("columns", MinMaxScaler(), [3])]),
        LogisticRegression(),
    ),
    "vote": lambda X, y: VotingClassifier(
        [
            ("alone", clf()),
            ("scaled", make_pipeline(MinMaxScaler(), clf())),
            ("features", make_pipeline(frozen(X, y), LogisticRegression())),
            ("other", LogisticRegression()),
        ],
        voting="soft",
        flatten_transform=False,
    ),
}


@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_classifiers(kind, dtype, labels):
    X, y = IMAGES.astype(dtype), LABELS[labels]
    model = CLASSIFIERS[kind](X, y)
    if kind == "features of columns":
        # its single column of a scaler is taken out of float32 by skl2onnx
        dtype = np.float32
        X = X.astype(dtype)
    model.fit(X, y)
    label, probabilities = run(skl2onnx.to_onnx(model, X[:1], options={"zipmap": False}), X)
    assert probabilities.dtype == dtype
    same(probabilities, model.predict_proba(X), dtype)
    assert np.array_equal(label, model.predict(X))


REGRESSORS = {
    "alone": reg,
    "scaled": lambda: make_pipeline(MinMaxScaler(), reg()),
    "features": lambda: make_pipeline(reg(), LinearRegression()),
    "vote": lambda: VotingRegressor([("network", reg()), ("other", LinearRegression())]),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", REGRESSORS)
def test_regressors(kind, dtype):
    X, y = IMAGES.astype(dtype), IMAGES[:, :3].sum(axis=1)
    model = REGRESSORS[kind]().fit(X, y)
    (found,) = run(skl2onnx.to_onnx(model, X[:1]), X)
    assert (found.dtype, found.shape) == (dtype, (60, 1))
    same(found[:, 0], model.predict(X), dtype)


def test_several_quantities():
    X = IMAGES.astype(np.float32)
    model = make_pipeline(MinMaxScaler(), reg()).fit(X, IMAGES[:, :2])
    (found,) = run(skl2onnx.to_onnx(model, X[:1]), X)
    same(found, model.predict(X), np.float32)


@pytest.mark.parametrize("zipmap", [True, False, "columns"])
@pytest.mark.parametrize("labels", [*LABELS, "several"])
def test_zipmap_is_that_of_skl2onnx(labels, zipmap):
    X = IMAGES.astype(np.float32)
    y = IMAGES[:, :3] > 0 if labels == "several" else LABELS[labels]
    model = make_pipeline(MinMaxScaler(), clf()).fit(X, y)
    label, *rest = run(skl2onnx.to_onnx(model, X[:1], options={"zipmap": zipmap}), X)
    expected, classes = model.predict_proba(X), model.classes_.tolist()
    if zipmap == "columns":
        found = np.column_stack(rest)
    elif zipmap:
        found = np.array([[row[name] for name in classes] for row in rest[0]])
    else:
        (found,) = rest
    same(found, expected, np.float32)
    assert np.array_equal(label, model.predict(X))


def test_numbers_of_the_classes_instead_of_their_names():
    X, y = IMAGES.astype(np.float32), LABELS["strings"]
    model = clf().fit(X, y)
    options = {"zipmap": False, "nocl": True}
    label, _ = run(skl2onnx.to_onnx(model, X[:1], options=options), X)
    assert np.array_equal(model.classes_[label], model.predict(X))


def test_class_labels_as_an_output():
    X, y = IMAGES.astype(np.float32), LABELS["strings"]
    options = {"zipmap": False, "output_class_labels": True}
    *_, classes = run(skl2onnx.to_onnx(clf().fit(X, y), X[:1], options=options), X)
    assert classes.tolist() == ["a", "b", "c"]


def test_images_of_four_axes():
    X = IMAGES.reshape(-1, 6, 3, 2).transpose(0, 3, 1, 2).astype(np.float32)
    model = ScratchCNNClassifier(
        [Conv2d(2, 2), Flatten()], data_format="channels_first", max_iter=1, random_state=0
    ).fit(X, CODES)
    made = skl2onnx.to_onnx(model, X[:1], options={"zipmap": False})
    same(run(made, X)[1], model.predict_proba(X), np.float32)


@pytest.mark.parametrize("kind", ["float64 in float32", "float32 in float64"])
def test_the_input_decides_on_the_dtype_of_results(kind):
    trained, asked = (np.float64, np.float32)[:: 1 if kind.startswith("float64") else -1]
    model = clf().fit(IMAGES.astype(trained), CODES)
    kinds = {np.float32: FloatTensorType, np.float64: DoubleTensorType}
    made = skl2onnx.convert_sklearn(
        model, initial_types=[("X", kinds[asked]([None, 36]))], options={"zipmap": False}
    )
    X = IMAGES.astype(asked)
    _, probabilities = run(made, X)
    assert probabilities.dtype == asked
    np.testing.assert_allclose(
        probabilities, model.predict_proba(X), atol=NEAR[np.dtype(np.float32)]
    )


@pytest.mark.parametrize("opset", [13, 15, 18, 21])
def test_versions_of_the_operators(opset):
    X = IMAGES.astype(np.float32)
    model = clf().fit(X, CODES)
    made = skl2onnx.to_onnx(model, X[:1], options={"zipmap": False}, target_opset=opset)
    same(run(made, X)[1], model.predict_proba(X), np.float32)


def test_a_version_that_is_too_old():
    X = IMAGES.astype(np.float32)
    with pytest.raises(RuntimeError, match="target_opset must be at least 13, got 12"):
        skl2onnx.to_onnx(clf().fit(X, CODES), X[:1], target_opset=12)


def test_an_input_of_another_size():
    X = IMAGES.astype(np.float32)
    with pytest.raises(ValueError, match=r"samples of shape \(35,\), images \(1, 6, 6\)"):
        skl2onnx.to_onnx(clf().fit(X, CODES), X[:1, :35])

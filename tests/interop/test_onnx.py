"""ONNX models of estimators, run by ONNX Runtime, answer as the estimators do."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

from skcnn import ScratchCNNClassifier, ScratchCNNRegressor
from skcnn.layers import Conv2d, Dense, Flatten, GlobalAvgPool2d, GlobalMaxPool2d, Layer, ReLU, Tanh
from skcnn.onnx import to_onnx
from tests.random_networks import pair, random_layers
from tests.unit.test_layers import TABLE

onnx = pytest.importorskip("onnx", reason="onnx is not installed (the extra [test-onnx] has it)")
ort = pytest.importorskip(
    "onnxruntime", reason="onnxruntime is not installed (the extra [test-onnx] has it)"
)

NEAR = {np.dtype(np.float32): 1e-5, np.dtype(np.float64): 1e-12}


def run(model, X):
    """All outputs of a model that has been checked."""
    onnx.checker.check_model(model, full_check=True)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    (source,) = session.get_inputs()
    return session.run(None, {source.name: X})


def same(found, expected, dtype):
    """Whether numbers agree, up to rounding of the largest that came in between."""
    near = NEAR[np.dtype(dtype)]
    np.testing.assert_allclose(found, expected, rtol=near, atol=near)


def check(estimator, X, given=None):
    """Compare both models of an estimator, made for `given`, on `X`."""
    dtype = estimator.network_.dtype
    given = X[:1] if given is None else given
    found, features = run(to_onnx(estimator, given), X), estimator.transform(X)
    if isinstance(estimator, ScratchCNNClassifier):
        label, probabilities = found
        expected = estimator.predict_proba(X)
        assert probabilities.dtype == expected.dtype
        same(probabilities, expected, dtype)
        if estimator.out_activation_ == "logistic":
            clear = np.abs(expected - 0.5) > NEAR[dtype]
            assert label.dtype == np.int64
        else:
            *_, second, first = np.sort(expected, axis=1).T
            clear = first - second > NEAR[dtype]
        assert label.shape == estimator.predict(X).shape
        assert np.array_equal(label[clear], estimator.predict(X)[clear])
    else:
        expected = estimator.predict(X)
        assert (found[0].dtype, found[0].shape) == (expected.dtype, expected.shape)
        numbers = found[0], expected
        if estimator.out_activation_ == "exp":  # the network's outputs are their logarithms
            with np.errstate(divide="ignore"):
                numbers = tuple(np.maximum(np.log(each), -700) for each in numbers)
        unit = np.abs(numbers[1]).max() + np.max(estimator.target_scale_)
        same(numbers[0] / unit, numbers[1] / unit, dtype)
    (columns,) = run(to_onnx(estimator, given, method="transform"), X)
    assert (columns.dtype, columns.shape) == (features.dtype, features.shape)
    unit = max(1, np.abs(features).max())
    same(columns / unit, features / unit, dtype)


def trained(rng, layers, X, kind="classes", **parameters):
    """An estimator whose weights are random."""
    layers = [*layers, Flatten()]
    parameters = {"max_iter": 1, "batch_size": 8, "random_state": 0, **parameters}
    codes = np.arange(len(X)) % 3
    if kind in ("quantity", "quantities", "poisson"):
        loss = "poisson" if kind == "poisson" else "huber"
        y = rng.uniform(1000, 1010, (len(X), 2)) if kind == "quantities" else rng.random(len(X))
        estimator = ScratchCNNRegressor(layers, loss=loss, **parameters).fit(X, y)
    else:
        y = {"classes": codes, "names": np.array(["a", "bc", "é"])[codes]}.get(kind)
        y = rng.random((len(X), 3)) < 0.5 if y is None else y
        estimator = ScratchCNNClassifier(layers, **parameters).fit(X, y)
    network = estimator.network_
    vector = network.init(rng) + 0.1 * rng.normal(size=network.vector_size)
    state = vector[network.n_parameters :]
    state[...] = np.abs(state)  # variances are
    return estimator.set_weights(network.unpack(vector.astype(network.dtype)))


def images(rng, shape, form, dtype):
    """Five images in one of the forms of `X`, and the parameters that tell it."""
    C, H, W = shape
    X = rng.normal(size=(5, C, H, W))
    if np.dtype(dtype).kind != "f":
        X = (40 * X) % 256 if np.dtype(dtype).kind != "b" else X > 0
    X = X.astype(dtype)
    if form == "flat":
        return X.reshape(5, -1), {"image_shape": shape, "data_format": "channels_first"}
    if form == "channels_last":
        return X.transpose(0, 2, 3, 1), {"data_format": "channels_last"}
    if form == "flat_channels_last":
        parameters = {"image_shape": (H, W, C), "data_format": "channels_last"}
        return X.transpose(0, 2, 3, 1).reshape(5, -1), parameters
    if form == "images" and C == 1:
        return X[:, 0], {}
    return X, {"data_format": "channels_first"}


FORMS = ["flat", "channels_first", "channels_last", "flat_channels_last", "images"]
KINDS = ["classes", "names", "labels", "quantity", "quantities", "poisson"]
DTYPES = [np.float32, np.float64, np.uint8, np.int32, bool, np.float16]


@pytest.mark.parametrize(
    "seed", [pytest.param(s, marks=[] if s < 40 else pytest.mark.slow) for s in range(500)]
)
def test_random_networks_answer_as_the_estimator_does(seed):
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 5)), *pair(rng, 5, 9))
    X, parameters = images(rng, shape, rng.choice(FORMS), DTYPES[rng.integers(len(DTYPES))])
    parameters["dtype"] = [None, np.float32, np.float64][rng.integers(3)]
    layers = random_layers(rng, shape)
    choice = rng.random()
    layers += [GlobalAvgPool2d()] if choice < 0.3 else [GlobalMaxPool2d()] if choice < 0.5 else []
    check(trained(rng, layers, X, rng.choice(KINDS), **parameters), X)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", TABLE)
@settings(max_examples=5)
@given(data=st.data())
def test_every_layer_with_all_its_options(kind, dtype, data):
    layer, shape = data.draw(TABLE[kind])
    rng = np.random.default_rng(0)
    if len(shape) == 3:
        X = rng.normal(size=(4, *shape)).astype(dtype)
        estimator = trained(rng, [layer], X, data_format="channels_first")
    else:
        X = rng.normal(size=(4, *shape)).astype(dtype)
        layers = [Flatten(), layer]
        estimator = trained(rng, layers, X, image_shape=shape, data_format="channels_first")
    check(estimator, X)


@pytest.fixture
def digits(rng):
    return rng.normal(size=(6, 16)).astype(np.float32)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


SMALL = [Conv2d(2, 3), ReLU()]


def test_without_x_the_input_is_rows_in_the_dtype_of_the_weights(rng, digits):
    clf = trained(rng, SMALL, digits.reshape(-1, 4, 4), dtype=np.float64)
    (source,) = to_onnx(clf).graph.input
    kind = source.type.tensor_type
    assert kind.elem_type == onnx.TensorProto.DOUBLE
    assert [d.dim_param or d.dim_value for d in kind.shape.dim] == ["n", 16]
    label, probabilities = run(to_onnx(clf), digits.astype(np.float64))
    assert np.array_equal(label, clf.predict(digits))
    same(probabilities, clf.predict_proba(digits), np.float32)


def test_any_number_of_rows(rng, digits):
    clf = trained(rng, SMALL, digits)
    for n in (1, 2, 6):
        check(clf, digits[:n], given=digits)


def test_a_dataframe_and_a_list_are_rows(rng, digits):
    clf = trained(rng, SMALL, digits)
    frame = pd.DataFrame(digits, columns=[f"p{i}" for i in range(16)])
    assert (
        to_onnx(trained(rng, SMALL, frame), frame).graph.input == to_onnx(clf, digits).graph.input
    )
    rows = to_onnx(clf, digits[:2].tolist())
    same(run(rows, digits.astype(np.float64))[1], clf.predict_proba(digits), np.float32)


def test_no_scaling(rng, digits):
    check(trained(rng, SMALL, digits, scale_input=False), digits)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_that_overflow_leave_finite_outputs(rng, digits, dtype):
    layers = [Flatten(), Dense(4, bias=False), ReLU(), Dense(4)]
    X = digits.astype(dtype)
    for kind in KINDS:
        estimator = trained(rng, layers, X, kind, scale_input=False)
        estimator.set_weights(estimator.network_.unpack(estimator.weights_ * 50))
        huge = X * dtype(np.finfo(dtype).max / 1e2)
        for found in run(to_onnx(estimator, X), huge):
            assert found.dtype.kind in "Oi" or np.isfinite(found).all()


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([False, True], [0, 1]),
        ([-1.0, 3.0], [-1, 3]),
        (np.array([2, 5], np.uint8), [2, 5]),
        (np.array(["no", "yes"], object), ["no", "yes"]),
    ],
    ids=["booleans", "whole numbers", "uint8", "objects"],
)
def test_labels(rng, digits, labels, expected):
    clf = ScratchCNNClassifier([*SMALL, Flatten()], max_iter=1, random_state=0)
    clf.fit(digits, np.asarray(labels)[np.arange(6) % 2])
    label, _ = run(to_onnx(clf, digits), digits)
    numbers = dict(zip(list(labels), expected, strict=True))
    assert label.tolist() == [numbers[found] for found in clf.predict(digits).tolist()]


def test_labels_that_onnx_has_no_type_for(digits):
    clf = ScratchCNNClassifier([*SMALL, Flatten()], max_iter=1, random_state=0)
    clf.fit(digits, np.array([1, 2**63], np.uint64)[np.arange(6) % 2])
    with pytest.raises(TypeError, match="whole numbers or strings, but the classes are"):
        to_onnx(clf)


@dataclass(frozen=True, repr=False, eq=False)
class Doubled(Layer):
    """A user's own."""

    writes: ClassVar[str] = "over_x"

    def output_shape(self, input_shape):
        return input_shape

    def forward(self, x, y, params, scratch, training, rng):
        y[...] = 2 * x

    def backward(self, dx, dy, x, y, params, grads, scratch):
        dx[...] = 2 * dy


class SteeperTanh(Tanh):
    """Another one, of which its parent's operator would be wrong."""


@pytest.mark.parametrize("layer", [Doubled(), SteeperTanh()])
def test_a_layer_without_a_translation_is_named(rng, digits, layer):
    clf = trained(rng, [layer], digits)
    with pytest.raises(NotImplementedError, match=rf"layer {type(layer).__name__}\(\)"):
        to_onnx(clf)


def test_other_estimators_are_refused(digits):
    other = LogisticRegression().fit(digits, np.arange(6) % 2)
    with pytest.raises(TypeError, match=r"got LogisticRegression.*register"):
        to_onnx(other, digits)


def test_an_estimator_that_is_not_fitted():
    with pytest.raises(NotFittedError):
        to_onnx(ScratchCNNClassifier())


def test_an_x_of_another_size(rng, digits):
    with pytest.raises(ValueError, match="15 features"):
        to_onnx(trained(rng, SMALL, digits), digits[:, :15])


def test_another_method(rng, digits):
    with pytest.raises(ValueError, match="method"):
        to_onnx(trained(rng, SMALL, digits), digits, method="score")


def test_a_dtype_that_onnx_has_not(rng, digits):
    with pytest.raises(ValueError, match="X has dtype"):
        to_onnx(trained(rng, SMALL, digits), digits.astype(np.longdouble))

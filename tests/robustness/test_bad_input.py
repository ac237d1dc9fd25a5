"""Bad input: an error that names the culprit and what is allowed, and no change."""

import warnings
from copy import deepcopy

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning

from skcnn import ScratchCNNClassifier
from skcnn._estimator.data import FitArguments, held_out_size, read_data, split
from skcnn.layers import Conv2d, Dense, Flatten
from skcnn.optimizers import SGD, Adam

rng = np.random.default_rng(0)
X = rng.random((20, 16))
y = np.arange(20) % 2
QUICK = {"filters": 2, "hidden_layer_sizes": (), "max_iter": 1, "random_state": 0}


def classifier(**parameters):
    return ScratchCNNClassifier(**QUICK | parameters)


BAD_PARAMETERS = [
    (
        {"optimizer": "adamw2"},
        r"optimizer must be one of \['adam', 'adamw', 'sgd', 'rmsprop', 'adagrad'\], got 'adamw2'",
    ),
    ({"optimizer": 3}, "optimizer must be one of .* or an instance from skcnn.optimizers, got 3"),
    ({"optimizer": Adam}, "optimizer must be"),
    ({"optimizer": SGD(momentum=2)}, r"momentum must be a number in \[0, 1\), got 2"),
    ({"activation": "swish"}, r"activation must be one of \['relu', 'leaky_relu', "),
    ({"data_format": "NHWC"}, r"data_format must be one of \['auto', 'channels_first', 'channels_"),
    ({"filters": 0}, "filters must be an int of at least 1 or a sequence of them or 'auto', got 0"),
    ({"filters": -1}, "filters must be"),
    ({"filters": 1.5}, "filters must be"),
    ({"filters": True}, "filters must be"),
    ({"filters": ()}, "filters must hold at least one int"),
    ({"filters": "16"}, "filters must be"),
    ({"filters": ("a", "b")}, r"filters\[0\] must be"),
    ({"kernel_size": 0}, "kernel_size must be"),
    ({"pool_size": -2}, "pool_size must be"),
    ({"hidden_layer_sizes": (3, 0)}, r"hidden_layer_sizes\[1\] must be"),
    ({"dropout": 1}, r"dropout must be a number in \[0, 1\)"),
    ({"layers": "cnn"}, "layers must be None or a list"),
    ({"layers": [3]}, r"layers\[0\] must be an instance from skcnn.layers, got 3"),
    ({"layers": [Conv2d]}, r"layers\[0\] must be an instance"),
    ({"layers": [Conv2d(2, 5)]}, r"layers\[0\] = Conv2d\(.*5 x 5.*4 x 4.*\(1, 4, 4\)"),
    ({"layers": [Flatten(), Conv2d(2, 3)]}, r"layers\[1\] = Conv2d\(.*takes images.*\(16,\)"),
    ({"layers": [Dense(3)]}, r"layers\[0\] = Dense\(.*\(1, 4, 4\); put Flatten"),
    ({"lr": 0}, r"lr must be a number in \(0, inf\) or 'auto', got 0"),
    ({"lr": "automatic"}, "lr must be a number"),
    ({"lr": float("nan")}, "lr must be a number"),
    ({"weight_decay": -1}, "weight_decay must be"),
    ({"batch_size": 0}, "batch_size must be an int of at least 1"),
    ({"batch_size": None}, "batch_size must be"),
    ({"max_iter": 0}, "max_iter must be"),
    ({"max_iter": 2.5}, "max_iter must be"),
    ({"tol": -1e-3}, "tol must be"),
    ({"n_iter_no_change": 0}, "n_iter_no_change must be"),
    ({"shuffle": "yes"}, "shuffle must be True or False"),
    ({"scale_input": None}, "scale_input must be True or False"),
    ({"early_stopping": 1}, "early_stopping must be True or False"),
    ({"warm_start": "no"}, "warm_start must be True or False"),
    ({"validation_fraction": 1.0}, r"validation_fraction must be a number in \(0, 1\)"),
    ({"early_stopping": True, "validation_fraction": 0.99}, "leaves none to train on"),
    ({"verbose": -1}, "verbose must be"),
    ({"dtype": "int8"}, "dtype must be None, float32 or float64, got 'int8'"),
    ({"dtype": "no dtype"}, "dtype must be"),
    ({"class_weight": "auto"}, "class_weight must be None, 'balanced' or a dict"),
    ({"class_weight": [1, 2]}, "class_weight must be"),
    (
        {"class_weight": {0: 1, 7: 2}},
        r"class_weight has weights for \[7\], which are no .*none for \[1\]",
    ),
    ({"class_weight": {0: -1}}, r"class_weight\[0\] must be a number in \[0, inf\), got -1"),
    ({"class_weight": {0: "a"}}, r"class_weight\[0\] must be a number"),
    ({"class_weight": {0: 1e308, 1: 1e308}}, "too large to be summed"),
    ({"class_weight": {0: np.nan}}, r"class_weight\[0\] must be"),
    ({"class_weight": {0: 0}}, "positive for one class only: 1"),
    ({"image_shape": (5, 5)}, r"image_shape=\(5, 5\).*does not match X, whose shape is \(20, 16\)"),
    ({"image_shape": 16}, r"image_shape must be None, \(length,\), \(height, width\) or"),
    ({"image_shape": (4, 2.0, 2)}, r"image_shape\[1\] must be an int of at least 1, got 2.0"),
    ({"image_shape": (4, 4, 1, 1)}, "image_shape must be"),
    ({"random_state": "seed"}, "random_state must be None, an int from 0 .*got 'seed'"),
]


@pytest.mark.parametrize(("parameters", "message"), BAD_PARAMETERS, ids=str)
def test_bad_parameters(parameters, message):
    clf = classifier(**parameters)
    before = dict(vars(clf))
    with pytest.raises(ValueError, match=f"(?s){message}"):
        clf.fit(X, y)
    assert vars(clf) == before


def changed(value, where=(3, 2)):
    array = X.copy()
    array[where] = value
    return array


BAD_X = [
    (changed(np.nan), ValueError, "Input X contains NaN"),
    (changed(np.inf), ValueError, "Input X contains infinity"),
    (changed(0).astype(str), ValueError, "X must hold real numbers, got text"),
    (
        np.array([["a", "b"]] * 20, dtype=object),
        ValueError,
        "X must hold real numbers, got text such as .a.",
    ),
    (np.array([[{"a": 1}, 2]] * 20, dtype=object), TypeError, "argument must be .*dict"),
    (X.astype(complex), ValueError, "Complex data not supported"),
    (np.array(["2020-01-01"] * 20, "M8[D]").reshape(-1, 1), ValueError, "real numbers|dtype"),
    (sparse.csr_array(X), TypeError, "Sparse data was passed for X, but dense data is required"),
    (X[:, 0], ValueError, r"X must have shape .*\(20,\)\. Reshape your data: a single image is"),
    (X.reshape(20, 2, 2, 2, 2), ValueError, r"X must have shape .*got 5 dimensions"),
    (np.empty((20, 0)), ValueError, "0 feature"),
    (np.empty((20, 1, 0, 4)), ValueError, "images without pixels"),
    (np.empty((0, 16)), ValueError, "0 sample"),
    (X[:7], ValueError, "inconsistent numbers of samples"),
    (None, ValueError, "None"),
]


@pytest.mark.parametrize(("bad", "error", "message"), BAD_X, ids=lambda value: str(value)[:30])
def test_bad_images(bad, error, message):
    clf = classifier().fit(X, y)
    state = deepcopy(vars(clf))
    with pytest.raises(error, match=message):
        clf.fit(bad, y)
    if "inconsistent" not in message:
        with pytest.raises(error):
            clf.predict(bad)
    assert_same(vars(clf), state)


def assert_same(left, right):
    assert left.keys() == right.keys()
    for name in left:
        assert np.array_equal(left[name], right[name]), name


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (X[:, :9], "X has 9 features, but ScratchCNNClassifier is expecting 16 features"),
        (X.reshape(20, 2, 8), r"shape \(1, 2, 8\) .*fitted on images of shape \(1, 4, 4\)"),
        (X.reshape(20, 4, 2, 2), r"shape \(4, 2, 2\) .*fitted on images of shape \(1, 4, 4\)"),
        (X.reshape(20, 4, 4, 1), r"shape \(4, 4, 1\) "),
    ],
)
def test_other_images_than_those_fitted_name_both_shapes(bad, message):
    clf = classifier().fit(X, y)
    for method in (clf.predict, clf.predict_proba, clf.predict_log_proba):
        with pytest.raises(ValueError, match=message):
            method(bad)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (None, "requires y to be passed, but the target y is None"),
        (np.zeros(20), "only one class: "),
        (np.linspace(0, 1, 20), "Unknown label type: continuous"),
        (np.where(y, np.nan, 1.0), "contains NaN"),
        (np.zeros((20, 3, 2)), "y should be a 1d array|Found array with dim 3"),
        (np.array(["a", np.nan] * 10, dtype=object), "contains NaN"),
        (y[:5], "inconsistent numbers of samples"),
    ],
)
def test_bad_targets(bad, message):
    with pytest.raises(ValueError, match=message):
        classifier().fit(X, bad)


def test_a_single_sample_gets_the_standard_message():
    with pytest.raises(ValueError, match="only one class"):
        classifier().fit(X[:1], y[:1])


def test_labels_of_several_types_are_named():
    with pytest.raises(TypeError, match=r"labels of one type, got \['int', 'str'\]"):
        classifier().fit(X, np.array(["a", 1] * 10, dtype=object))


def test_early_stopping_leaves_two_classes_to_train_on():
    clf = classifier(early_stopping=True)
    with pytest.raises(ValueError, match="fewer than 2 classes to train on"):
        clf.fit(rng.random((12, 9)), list("abcdefghijkk"))


def test_a_failed_fit_leaves_a_random_state_where_it_was():
    state = np.random.RandomState(0)
    with pytest.raises(ValueError, match="leaves none"):
        classifier(early_stopping=True, random_state=state).fit(X[:2], y[:2])
    assert state.randint(100) == np.random.RandomState(0).randint(100)


def test_a_column_of_targets_warns():
    with pytest.warns(DataConversionWarning, match="column-vector"):
        classifier().fit(X, y[:, None])


BAD_WEIGHTS = [
    (-np.ones(20), "sample_weight must not be negative, but its minimum is -1"),
    (np.full(20, np.nan), "sample_weight contains NaN"),
    (np.full(20, np.inf), "sample_weight contains infinity"),
    (np.full(20, 1e308), "too large to be summed"),
    (np.zeros(20), "all zero"),
    (y, "positive for one class only: 1"),
    (np.ones(7), "sample_weight holds 7 weights for 20 samples"),
    (np.ones((20, 1)), r"sample_weight must be 1D, got an array of shape \(20, 1\)"),
    (["a"] * 20, "sample_weight must hold real numbers, got text such as"),
]


@pytest.mark.parametrize(("weights", "message"), BAD_WEIGHTS, ids=lambda value: str(value)[:30])
def test_bad_sample_weights(weights, message):
    clf = classifier()
    before = dict(vars(clf))
    with pytest.raises(ValueError, match=message):
        clf.fit(X, y, sample_weight=weights)
    assert vars(clf) == before


junk = st.one_of(
    st.none(), st.integers(-2, 3), st.floats(), st.text(max_size=3), st.booleans(),
    st.lists(st.integers(-1, 2), max_size=3), st.tuples(st.text(max_size=2)),
    st.dictionaries(st.integers(0, 1), st.integers(-1, 2), max_size=2), st.just(object()),
    st.just(Conv2d), st.just([Conv2d(1, 1), Flatten()]), st.just(np.arange(3)),
)  # fmt: skip
NAMES = sorted(ScratchCNNClassifier().get_params(deep=False))


@settings(max_examples=300)
@given(name=st.sampled_from(NAMES), value=junk)
@example(name="lr", value=1e153)  # outputs as large as float64 has numbers
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_junk_is_stored_and_either_fits_or_is_named(name, value):
    clf = classifier().set_params(**{name: value})
    assert clf.get_params()[name] is value
    repr(clf)
    message = None
    try:
        clf.fit(X, y)
    except ValueError as error:
        message = str(error)
    if message is None:
        assert np.isfinite(clf.predict_proba(X)).all()
    else:
        assert name in message.lower()
        assert not hasattr(clf, "weights_")


@given(
    counts=st.lists(st.integers(1, 30), min_size=2, max_size=6),
    fraction=st.floats(0.01, 0.6),
)
@settings(max_examples=100)
def test_held_out_rows_are_as_many_as_promised_and_stratified(counts, fraction):
    targets = np.repeat(np.arange(len(counts)), counts)
    data = read_data(classifier(), FitArguments(np.zeros((len(targets), 4)), targets))
    n, size = len(targets), max(int(np.ceil(fraction * len(targets))), len(counts))
    if size >= n:
        with pytest.raises(ValueError, match="leaves none"):
            held_out_size(data, fraction, "")
        return
    stratified = min(counts) >= 2 and n - size >= len(counts)
    if not stratified and n - size <= max(counts):  # the rest may be of one class
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        training, part = split(data, held_out_size(data, fraction, ""), 0, "")
    training, held_out = training.input.images.rows, part.input.images.rows
    assert len(held_out) == size
    assert sorted([*training, *held_out]) == list(range(n))
    if stratified:
        share = np.bincount(targets[held_out], minlength=len(counts))
        assert (np.abs(share - size * np.array(counts) / n) < 1.0 + 1e-9).all()
    message = " ".join(str(warning.message) for warning in caught)
    lost = np.bincount(targets[held_out], minlength=len(counts))
    lone = [c for c, members in enumerate(counts) if members == 1]
    torn = [c for c, members in enumerate(counts) if 1 < members < 2 * lost[c]]
    assert len(caught) == bool(lone or torn)
    assert bool(lone) == (f"classes {lone}, of one member" in message)
    assert bool(torn) == (f"classes {torn}, most of whose members" in message)


def test_early_stopping_names_classes_that_the_split_tears_apart():
    clf, labels = classifier(early_stopping=True), np.array(["a", "b"] * 20 + ["c"])
    images = np.zeros((41, 4))
    with pytest.warns(UserWarning, match=r"holds out 5 of 41 .* \['c'\], of one member") as caught:
        clf.fit(images, labels)
    assert [warning.filename for warning in caught] == [__file__]
    with pytest.warns(UserWarning, match=r"12 of 20 .* \['a', 'b'\], most of whose members"):
        clone(clf).set_params(validation_fraction=0.6).fit(images[:20], labels[:20])
    clf.fit(images, labels, X_val=images, y_val=labels)

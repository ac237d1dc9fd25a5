"""Input that is wrong in ways that NumPy and scikit-learn describe without naming it."""

import pathlib
import pickle

import numpy as np
import pytest

from skcnn import ScratchCNNClassifier, ScratchCNNRegressor, summary
from skcnn.datasets import load_idx, load_mnist
from skcnn.layers import Conv2d, Dense, Flatten, ReLU, Residual
from skcnn.network import Network

rng = np.random.default_rng(0)
X = rng.random((20, 16))
y = np.arange(20) % 2
DAYS = np.datetime64("2020-01-01") + np.arange(20)
SECONDS = np.arange(20).astype("m8[s]")
QUICK = {"filters": 2, "hidden_layer_sizes": (), "max_iter": 1, "random_state": 0}


def classifier(**parameters):
    return ScratchCNNClassifier(**QUICK | parameters)


def regressor(**parameters):
    return ScratchCNNRegressor(**QUICK | parameters)


PARAMETERS = [
    ({"image_shape": np.array(16)}, "image_shape must be None"),
    ({"image_shape": np.ones((2, 2), int)}, "image_shape must be None"),
    ({"image_shape": np.array(["4", "4"])}, r"image_shape\[0\] must be an int"),
    ({"random_state": -1}, "random_state must be None, an int from 0 to .*got -1"),
    ({"random_state": {}}, "random_state must be"),
    ({"filters": 10**20}, "filters must be at most"),
    ({"filters": (10**9, 10**10)}, r"filters=10+.*no arrays as large as its weight"),
    ({"kernel_size": 10**20}, "kernel_size must be at most"),
    ({"hidden_layer_sizes": 10**20}, "hidden_layer_sizes must be at most"),
    ({"hidden_layer_sizes": 2**63 - 1}, r"Dense\(units=9.*no arrays as large"),
    ({"max_iter": 10**20}, "max_iter must be at most"),
    ({"batch_size": 10**400}, "batch_size must be at most"),
    ({"layers": [Conv2d(1, 1, stride=10**20)]}, "stride must be at most"),
    ({"layers": [Conv2d(1, 1, padding=2**31 - 1, stride=2**31 - 1)]}, "layers: the network needs"),
    ({"layers": [Flatten(), Dense(10**20)]}, r"layers\[1\] = Dense.*units must be at most"),
    ({"lr": 10**400}, r"lr must be a number in \(0, inf\)"),
    ({"class_weight": {5: 1}}, r"class_weight has weights for \[5\]"),
]


@pytest.mark.parametrize(("parameters", "message"), PARAMETERS, ids=lambda value: str(value)[:40])
def test_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        classifier(**parameters).fit(X, y)


ARRAYS = [
    (np.ndarray, "must be an array-like, got <class"),
    (5, "must be an array-like|Expected array-like"),
    ({1: 2}, "must be an array-like|Expected array-like"),
    (iter([1, 2]), "must be an array-like|Expected array-like"),
    ("text", "must be an array-like|Expected array-like"),
    ([[1, 2], [3]], "entries of the same shape, but that of entry 0 .*entry 1|legacy multi-label"),
    (np.ones((20, 2, 2)), "(should be a 1d|must have shape|must be 1D|must be).*got an array of"),
    (np.full(20, 1j), "Complex data not supported"),
    (np.ma.masked_array(y, y == 1), "masked array with masked entries"),
    (np.full(20, b"a"), "must hold real numbers, got text|must hold numbers or text, got"),
    (np.zeros(20, [("a", int)]), "must hold (real )?numbers"),
]
NUMBERS = [
    (["much"] * 20, "must hold real numbers, got text such as .*much"),
    (["1"] * 20, "must hold real numbers, got text such as .*1"),
    (DAYS, "must hold real numbers, got dtype datetime64"),
    (SECONDS, "must hold real numbers, got dtype timedelta64"),
    ([10**400] * 20, "must hold real numbers"),
]


@pytest.mark.parametrize(("bad", "message"), ARRAYS, ids=lambda value: str(value)[:20])
@pytest.mark.parametrize("name", ["y", "y_val", "classes", "sample_weight", "sample_weight_val"])
def test_arrays_are_named(name, bad, message):
    if name.startswith("sample_weight") and isinstance(bad, int):
        return  # a number is the weight of all
    clf = classifier(early_stopping=name.endswith("_val"))
    arguments = {"X": X, "y": y}
    if name == "classes":
        fit = clf.partial_fit
    else:
        fit = clf.fit
    if name.endswith("_val"):
        arguments |= {"X_val": X, "y_val": y}
    before = dict(vars(clf))
    with pytest.raises((TypeError, ValueError), match=rf"(?s)\b{name}\b.*({message})"):
        fit(**arguments | {name: bad})
    assert vars(clf) == before


@pytest.mark.parametrize(("bad", "message"), [*ARRAYS, *NUMBERS], ids=lambda value: str(value)[:20])
def test_quantities_are_named(bad, message):
    for fit in (regressor().fit, regressor().partial_fit):
        with pytest.raises((TypeError, ValueError), match=rf"(?s)\by\b.*({message})"):
            fit(X, bad)


@pytest.mark.parametrize(("bad", "message"), NUMBERS, ids=lambda value: str(value)[:20])
def test_weights_are_numbers(bad, message):
    with pytest.raises(ValueError, match=rf"sample_weight {message}"):
        classifier().fit(X, y, bad)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (
            [np.ones((4, 4)), np.ones((4, 5))],
            r"entry 0 is \(4, 4\) and that of entry 1 is \(4, 5\)",
        ),
        (["a.png"] * 20, "got text such as .*a.png.*names of files"),
        ([pathlib.Path("a.png")] * 20, "got text such as .*a.png.*names of files"),
        ("a.png", "must be an array-like"),
        (np.ma.masked_array(X, X > 0.5), "masked array with masked entries"),
        (X[0], r"must have shape .*a single image is X.reshape\(1, -1\)"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_images_are_named(bad, message):
    clf = classifier().fit(X, y)
    for call in (lambda: classifier().fit(bad, y), lambda: clf.predict(bad)):
        with pytest.raises(ValueError, match=rf"\bX\b.*{message}"):
            call()


def test_missing_entries_are_named():
    pandas = pytest.importorskip("pandas")
    with pytest.raises(ValueError, match=r"classes must hold only labels, but 1 is missing.*row 2"):
        classifier().partial_fit(X, y, classes=["lo", "mid", None])
    targets = pandas.Series([1.5, *[2] * 18, pandas.NA], dtype=object)
    with pytest.raises(
        ValueError, match=r"\by must hold real numbers, but contains <NA> in row 19"
    ):
        regressor().fit(X, targets)


def test_large_ints_are_numbers():
    integers = (X * 100).astype(int)
    plain = classifier().fit(integers * 1e20, y)
    assert np.array_equal(
        classifier().fit((integers.astype(object) * 10**20).tolist(), y).predict_proba(X * 1e21),
        plain.predict_proba(X * 1e21),
    )


def test_targets_at_the_end_of_the_range_leak_no_warning():
    reg = regressor().fit(X, np.where(y, 1e300, -1e300))
    assert np.isfinite(reg.predict(X)).all()
    with pytest.raises(ValueError, match=r"y spans .* whose difference is beyond float64"):
        regressor().fit(X, np.where(y, 1.7e308, -1.7e308))


@pytest.mark.parametrize("bad", ["1", None, 1.5])
def test_a_format_that_is_no_number(bad):
    state = {**classifier().__getstate__(), "_pickle_format": bad}
    with pytest.raises(ValueError, match="_pickle_format is"):
        classifier().__setstate__(state)
    assert pickle.loads(pickle.dumps(classifier())).filters == 2


def test_another_network_is_told_briefly():
    clf = classifier(warm_start=True).fit(X, y)
    for parameters, images, message in (
        ({"filters": 3}, X, r"layers_\[0\] was Conv2d\(filters=2,.*has become Conv2d\(filters=3,"),
        ({"hidden_layer_sizes": 4}, X, r"layers_\[5\] was Dense\(units=2.*Dense\(units=4"),
        ({"dtype": "float32"}, X, "dtype float64 has become float32"),
        ({}, X[:, :9], r"images of shape \(1, 4, 4\).* have become \(1, 3, 3\)"),
    ):
        clf.set_params(**QUICK | {"dtype": None} | parameters)
        with pytest.raises(ValueError, match=message) as caught:
            clf.fit(images, y)
        assert len(str(caught.value)) < 350


def test_channels_last_are_told_in_their_order():
    images = rng.random((20, 5, 6, 3))
    clf = classifier().fit(images, y)
    message = r"shape \(5, 4, 3\) \(height, width, channels\), but .* of shape \(5, 6, 3\)"
    with pytest.raises(ValueError, match=message):
        clf.predict(images[:, :, :4])


def test_set_weights():
    clf = classifier().fit(X, y)
    before = clf.weights_
    arrays = clf.network_.unpack(before.copy())
    for bad, message in (
        (5, "arrays must be a list of 6 dicts, one a layer, or a mapping .*, got 5"),
        ([dict] * 6, r"arrays\[0\] must be a dict, got <class 'dict'>"),
        ([{"weight": "a"}, *arrays[1:]], r"arrays\[0\]\['weight'\] must be an array-like"),
        ([{"weight": [[1], [1, 2]]}, *arrays[1:]], r"\['weight'\] must have entries of the same"),
        ([{"weight": arrays[0]["weight"] * 1j}, *arrays[1:]], r"\['weight'\].*Complex data"),
    ):
        with pytest.raises(ValueError, match=f"set_weights: .*{message}"):
            clf.set_weights(bad)
        assert clf.weights_ is before


@pytest.mark.parametrize("scale_input", [True, False])
def test_images_that_overflow_are_no_constant_predictions(scale_input):
    clf = classifier(dtype="float32", scale_input=scale_input).fit(X, y)
    with pytest.raises(ValueError, match="X holds numbers in row 3 that are too large"):
        clf.predict(np.where(np.arange(20)[:, None] == 3, X * 1e300, X))
    with pytest.raises(ValueError, match="X holds numbers in row 0 that are too large"):
        clf.transform(X * 1e300)
    if scale_input:  # what is scaled by as much is computed exactly
        large = classifier(dtype="float32").fit(X * 2.0**900, y)
        assert np.array_equal(large.predict_proba(X * 2.0**900), clf.predict_proba(X))


def test_a_network_of_junk():
    for arguments, message in (
        ((5, (1, 2, 3)), "layers must be a list"),
        (([], 5), "input_shape must be a tuple"),
        (([], ("a",)), r"input_shape\[0\] must be an int"),
        (([], (1, 2)), "input_shape must be a tuple"),
        (([], (1, 2, 3), "foo"), "dtype must be float32 or float64"),
        (([], (2**63 - 1,)), "no arrays as large"),
    ):
        with pytest.raises(ValueError, match=message):
            Network(*arguments)


def test_a_residual_of_one_layer():
    one, listed = Network([Residual(ReLU())], (1, 4, 4)), Network([Residual([ReLU()])], (1, 4, 4))
    images = rng.normal(size=(3, 1, 4, 4))
    vector = np.empty(0, np.float32)
    assert np.array_equal(one.forward(images, vector), listed.forward(images, vector))


def test_a_summary_of_a_signal():
    table = summary([Conv2d(2, (1, 7))], (300,), 3)
    assert table.input_shape == (1, 1, 300)
    assert summary([], np.array([30, 20]), 3).input_shape == (1, 30, 20)
    with pytest.raises(ValueError, match="dtype must be"):
        summary([], (300,), 3, dtype="x")


def test_paths_that_are_none():
    with pytest.raises(TypeError, match="load_idx: path must be a path, got 5"):
        load_idx(5)
    with pytest.raises(ValueError, match="load_mnist: folder must be a path"):
        load_mnist("a\0b")

"""Flat rows of colour images are told from grey ones and from signals by their values."""

import re
import warnings
from functools import partial

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_sample_images
from sklearn.exceptions import ConvergenceWarning

from benchmarks.quality.data import DATA_SETS, FASHION
from skcnn import ScratchCNNRegressor
from skcnn.datasets import load_mnist
from skcnn.layers import Flatten
from tests import shared

quick = partial(shared.quick, layers=[Flatten()], max_iter=1)


def patches(height, width, step=4, n=40):
    """Pieces of scikit-learn's two photographs, of every `step`-th pixel."""
    pytest.importorskip("PIL")
    rng, found = np.random.default_rng(0), []
    for i in range(n):
        photograph = load_sample_images().images[i % 2][::step, ::step]
        top = rng.integers(photograph.shape[0] - height + 1)
        left = rng.integers(photograph.shape[1] - width + 1)
        found.append(photograph[top : top + height, left : left + width])
    return np.array(found)


def with_alpha(images):
    return np.concatenate([images, np.full((*images.shape[:3], 1), 255, np.uint8)], axis=3)


def classes(X):
    return np.arange(len(X)) % 2


def warned_parameters(message):
    shape, order = re.search(
        r"Pass image_shape=\((.*?)\) and data_format='(\w+)' if they are colour", message
    ).groups()
    return {"image_shape": tuple(map(int, shape.split(", "))), "data_format": order}


@pytest.mark.parametrize(
    ("height", "width", "alpha"),
    [
        (24, 32, False), (12, 16, False), (16, 16, False),
        (24, 32, True), (16, 16, True), (9, 9, True),
    ],
)  # fmt: skip
def test_colour_is_seen(height, width, alpha):
    X = patches(height, width)
    X = with_alpha(X) if alpha else X
    rows = X.reshape(len(X), -1)
    channels = X.shape[3]
    with pytest.warns(UserWarning, match=f"values {channels} apart are more alike") as caught:
        clf = quick().fit(rows, classes(X))
    assert len(caught) == 1
    assert caught[0].filename == __file__
    given = warned_parameters(str(caught[0].message))
    assert given == {"image_shape": (height, width, channels), "data_format": "channels_last"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf.predict(rows)
        colour = quick(**given).fit(rows, classes(X))
        assert colour.image_shape_ == (channels, height, width)
        expected = quick(data_format="channels_last").fit(X, classes(X))
        assert np.array_equal(colour.predict_proba(rows), expected.predict_proba(X))
        assert quick(image_shape=clf.image_shape_[1:]).fit(rows, classes(X)) is not None


def test_other_sides_are_left_to_the_user():
    X = patches(10, 13)
    with pytest.warns(UserWarning, match=r"taken as signals.*image_shape=\(height, width, 3\)"):
        clf = quick().fit(X.reshape(len(X), -1), classes(X))
    assert clf.image_shape_ == (1, 1, 390)


def test_signals_with_the_channels_side_by_side_are_seen():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 48, 3)).cumsum(axis=1) + np.array([0, 30, -20])
    with pytest.warns(UserWarning, match=r"image_shape=\(1, 48, 3\) and data_format='channels_la"):
        quick().fit(X.reshape(30, -1), classes(X))


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64, object])
def test_neither_dtype_nor_unit_matters(dtype):
    X = patches(12, 16)
    rows = X.reshape(len(X), -1).astype(dtype)
    with pytest.warns(UserWarning, match="values 3 apart"):
        quick().fit(rows if dtype is np.uint8 else rows * 1000, classes(X))


def test_neither_weights_nor_repetition_matter():
    X = patches(12, 16, n=150)
    rows, y = X.reshape(len(X), -1), classes(X)
    weights = np.random.default_rng(0).integers(0, 4, len(X))
    grey = np.repeat(X[:, ::2, ::2, 1].reshape(len(X), 48), 12, axis=1)
    for given, message in ((rows, "values 3 apart"), (grey, None)):
        for data, labels, weight in (
            (given, y, weights),
            (np.repeat(given, weights, axis=0), np.repeat(y, weights), None),
            (np.tile(given, (3, 1)), np.tile(y, 3), None),
        ):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                quick().fit(data, labels, sample_weight=weight)
            assert [message in str(warned.message) for warned in caught] == [True] * bool(message)


def test_one_row_that_is_repeated_has_one_vote():
    X = patches(12, 16)
    rows = X.reshape(len(X), -1)
    noise = np.random.default_rng(0).integers(0, 255, rows.shape[1])
    mixed = np.concatenate([rows, np.tile(noise, (100, 1))])
    with pytest.warns(UserWarning, match="values 3 apart"):
        quick().fit(mixed, classes(mixed))


def test_only_the_first_fit_warns():
    X = patches(12, 16)
    rows, y = X.reshape(len(X), -1), classes(X)
    for fit in (
        lambda: quick(early_stopping=True).fit(rows, y, X_val=rows, y_val=y),
        lambda: quick().partial_fit(rows, y, classes=[0, 1]).partial_fit(rows, y),
        lambda: ScratchCNNRegressor([Flatten()], max_iter=1, random_state=0).fit(rows, y),
    ):
        with pytest.warns(UserWarning, match="values 3 apart") as caught:
            fit()
        assert len(caught) == 1


def photographs_in_grey():
    return patches(24, 24).mean(axis=3)


def noise(features):
    rng = np.random.default_rng(0)
    return lambda: np.concatenate(
        [rng.normal(size=(40, features)), rng.poisson(0.3, (40, features))]
    )


def walks():
    return np.random.default_rng(0).normal(size=(40, 192)).cumsum(axis=1)[:, :144]


def of_the_quality_suite(name):
    def load():
        data = DATA_SETS[name]
        if data.needs.startswith("pip"):
            package = data.needs.split()[-1].replace("scikit-image", "skimage")
            pytest.importorskip(package, reason=data.needs)
        elif data.needs and not FASHION.is_dir():
            pytest.skip(data.needs)
        return data.load(0)[0].X_train

    return load


QUIET = {
    "digits": lambda: load_digits().data,
    "digits in a frame": lambda: np.pad(load_digits().images, ((0, 0), (2, 2), (2, 2))),
    "enlarged digits": lambda: np.kron(load_digits().images[:200], np.ones((3, 3))),
    "photographs in grey": photographs_in_grey,
    "a single colour": lambda: np.tile(np.arange(40)[:, np.newaxis], (1, 576)),
    "noise": noise(576),
    "little noise": noise(144),
    "walks": walks,
    "largest numbers": lambda: np.where(noise(144)() > 0, 1.7e308, -1.7e308),
} | {name: of_the_quality_suite(name) for name in DATA_SETS if "colour" not in name}  # fmt: skip


@pytest.mark.parametrize("kind", QUIET)
def test_grey_images_and_signals_are_quiet(kind):
    X = QUIET[kind]()[:500]
    rows = X.reshape(len(X), -1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        quick().fit(rows, classes(rows))


@pytest.mark.parametrize("cut", [28, 24, 14])
def test_clothes_are_quiet_whatever_the_class(cut):
    if not FASHION.is_dir():
        pytest.skip("apt install dataset-fashion-mnist")
    X, y = load_mnist(FASHION, subset="test")
    for label in range(10):
        rows = X[y == label][:, :cut, :cut].reshape((y == label).sum(), -1)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            quick().fit(rows, classes(rows))

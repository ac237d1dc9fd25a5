"""Features from fixed kernels, as scikit-learn's transformers go."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from skcnn import FixedKernelFeatures
from skcnn.persistence import trusted_types


@parametrize_with_checks([FixedKernelFeatures(random_state=0), FixedKernelFeatures(100)])
def test_estimator_checks(estimator, check):
    check(estimator)


@pytest.fixture
def signals():
    rng = np.random.default_rng(0)
    return rng.normal(size=(30, 3, 60)).cumsum(axis=2)


@pytest.mark.parametrize(
    ("length", "n_features", "expected"),
    [(60, "auto", 1008), (99, "auto", 1008), (100, "auto", 2352), (150, 1, 420), (5, 200, 168)],
)
def test_number_of_features(length, n_features, expected):
    X = np.random.default_rng(0).normal(size=(4, length))
    made = FixedKernelFeatures(n_features).fit_transform(X)
    assert made.shape == (4, expected)
    assert ((made >= 0) & (made <= 1 + 1e-9)).all()


def test_one_channel_is_not_random_and_several_are(signals):
    one, several = signals[:, 0], signals
    assert np.array_equal(*(FixedKernelFeatures(84, s).fit_transform(one) for s in (0, 1)))
    assert not np.array_equal(*(FixedKernelFeatures(84, s).fit_transform(several) for s in (0, 1)))
    first, again = (FixedKernelFeatures(84, 0).fit_transform(several) for _ in range(2))
    assert np.array_equal(first, again)


def test_forms_of_signals(signals):
    fitted = FixedKernelFeatures(84, 0).fit(signals)
    assert fitted.image_shape_ == (3, 1, 60)
    expected = fitted.transform(signals)
    for X in (signals[:, :, None], signals.reshape(30, -1), signals.tolist()):
        assert np.array_equal(fitted.transform(X), expected)
    square = FixedKernelFeatures(84).fit(signals[:, 0, :49])
    assert square.image_shape_ == (1, 1, 49)
    with pytest.raises(ValueError, match=r"shape \(n, length\) or \(n, channels, length\), got"):
        FixedKernelFeatures().fit(signals.reshape(30, 3, 6, 10))


@pytest.mark.parametrize("several", [False, True])
def test_errors_speak_of_signals(signals, several):
    X = signals if several else signals[:, 0]
    fitted, allowed = FixedKernelFeatures(84, 0).fit(X), r"\(n, length\) or \(n, channels, length\)"
    for call in (fitted.fit, fitted.transform):
        for bad, message in [
            (
                signals[0, 0],
                rf"shape {allowed}, got 1 dimension: \(60,\).*a single signal is X\.resh",
            ),
            (np.zeros((2, 3, 1, 1, 9)), rf"shape {allowed}, got 5 dimensions"),
            (np.zeros((2, 3, 0)), "signals without points"),
        ]:
            with pytest.raises(ValueError, match=message) as caught:
                call(bad)
            assert "image" not in str(caught.value)
    with pytest.raises(ValueError, match=r"of 3 channels and 40 points, .* fitted on signals of"):
        fitted.transform(signals[..., :40])
    if several:
        with pytest.raises(ValueError, match=r"\(3, 60\) of a single signal.*X\[np\.newaxis\]"):
            fitted.transform(signals[0])


@pytest.mark.parametrize("channels", [1, 2, 7])
def test_time_first_is_not_silently_misread(channels):
    X = np.random.default_rng(0).normal(size=(5, 60, channels))
    with pytest.warns(UserWarning, match=rf"60 channels of {channels} point.*X\.transpose") as told:
        misread = FixedKernelFeatures(84, 0).fit(X)
    assert len(told) == 1
    assert misread.image_shape_ == (60, 1, channels)
    # both readings can be had without a warning
    assert FixedKernelFeatures(84, 0).fit(X[:, :, np.newaxis]).image_shape_ == (60, 1, channels)
    right = FixedKernelFeatures(84, 0).fit(X.transpose(0, 2, 1))
    assert right.image_shape_ == (channels, 1, 60)


def test_units_do_not_matter(signals):
    made = [FixedKernelFeatures(84, 0).fit_transform(X) for X in (signals, 1e5 * signals)]
    np.testing.assert_allclose(*made, atol=1e-9)


def test_repetition_equals_weights(signals):
    w = np.random.default_rng(1).integers(0, 3, 30)
    again = np.random.default_rng(2).permutation(np.repeat(np.arange(30), w))
    weighted = FixedKernelFeatures(200, 0).fit(signals, sample_weight=w)
    repeated = FixedKernelFeatures(200, 0).fit(signals[again])
    np.testing.assert_allclose(
        weighted.transform(signals), repeated.transform(signals), rtol=1e-7, atol=1e-9
    )


@pytest.mark.parametrize(
    ("parameters", "weight", "message"),
    [
        ({"n_features": 0}, None, "n_features must be an int of at least 1"),
        ({"n_features": "many"}, None, "n_features must be an int of at least 1"),
        ({"random_state": "a"}, None, "random_state must be None"),
        ({}, np.zeros(30), "sample_weight holds zeros only"),
        ({}, -np.ones(30), "sample_weight must not be negative"),
    ],
)
def test_errors_name_the_parameter(signals, parameters, weight, message):
    transformer = FixedKernelFeatures(**parameters)
    with pytest.raises(ValueError, match=f"FixedKernelFeatures: {message}"):
        transformer.fit(signals, sample_weight=weight)
    assert not hasattr(transformer, "weights_")


def test_dtype_follows_x(signals):
    for dtype, expected in ((np.float32, np.float32), (np.int16, np.float32), (float, float)):
        X = signals.astype(dtype)
        assert FixedKernelFeatures(84, 0).fit(X).transform(X).dtype == expected


def test_dataframes_out(signals):
    frame = FixedKernelFeatures(84).set_output(transform="pandas").fit_transform(signals[:, 0])
    assert frame.shape == (30, 252)
    assert list(frame.columns[:2]) == ["fixedkernelfeatures0", "fixedkernelfeatures1"]


def test_files(signals):
    fitted = FixedKernelFeatures(84, 0).fit(signals)
    expected = fitted.transform(signals)
    assert np.array_equal(pickle.loads(pickle.dumps(fitted)).transform(signals), expected)
    assert not hasattr(clone(fitted), "weights_")
    skops = pytest.importorskip("skops.io", reason="skops writes the files")
    written = skops.dumps(fitted)
    assert set(skops.get_untrusted_types(data=written)) <= set(trusted_types())
    read = skops.loads(written, trusted=trusted_types())
    assert np.array_equal(read.transform(signals), expected)


def test_a_pipeline_with_ridge():
    rng = np.random.default_rng(0)
    y = np.arange(120) % 3
    X = rng.normal(size=(120, 128)) + np.sin(
        np.arange(128) * np.array([0.3, 0.6, 1.2])[y, None] + rng.uniform(0, 6, (120, 1))
    )
    model = make_pipeline(FixedKernelFeatures(), RidgeClassifierCV()).fit(X[:60], y[:60])
    assert model.score(X[60:], y[60:]) > 0.95


def test_imported_on_first_use():
    code = "import sys, skcnn; assert 'sklearn' not in sys.modules; skcnn.FixedKernelFeatures"
    subprocess.run([sys.executable, "-c", code], check=True)

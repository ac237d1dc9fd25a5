"""The estimator's contract, beyond scikit-learn's own checks."""

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone

from skcnn._estimator.data import FitArguments, read_data, split
from skcnn.layers import Conv2d, Dropout, Flatten, ReLU
from tests.shared import DIGITS, LABELS, assert_same_model, quick

X, y = DIGITS[:200], LABELS[:200]

# Forms of input


def test_all_forms_of_the_same_images_give_the_same_model():
    flat = quick().fit(X, y)
    for form in (X.reshape(-1, 8, 8), X.reshape(-1, 1, 8, 8), X.tolist(), np.asfortranarray(X)):
        other = quick().fit(form, y)
        assert_same_model(flat, other)
        assert other.image_shape_ == (1, 8, 8)
        assert other.n_features_in_ == 64
        for to_predict in (X, X.reshape(-1, 8, 8), X.reshape(-1, 1, 8, 8)):
            assert np.array_equal(flat.predict_proba(X), other.predict_proba(to_predict))


def test_channels_last_follows_through():
    images = np.random.default_rng(0).random((40, 5, 7, 3))
    labels = np.arange(40) % 3
    first = quick().fit(images.transpose(0, 3, 1, 2), labels)
    last = quick(data_format="channels_last").fit(images, labels)
    flat = quick(data_format="channels_last", image_shape=(5, 7, 3))
    flat.fit(images.reshape(40, -1), labels)
    assert first.image_shape_ == last.image_shape_ == flat.image_shape_ == (3, 5, 7)
    assert first.n_features_in_ == flat.n_features_in_ == 105
    assert_same_model(first, last)
    assert_same_model(first, flat)
    probabilities = first.predict_proba(images.transpose(0, 3, 1, 2))
    assert np.array_equal(probabilities, last.predict_proba(images))
    assert np.array_equal(probabilities, flat.predict_proba(images.reshape(40, -1)))


@pytest.mark.parametrize(
    ("features", "shape"), [(1, (1, 1, 1)), (2, (1, 1, 2)), (49, (1, 7, 7)), (50, (1, 1, 50))]
)
def test_flat_rows_are_squares_or_signals(features, shape):
    rows = np.random.default_rng(0).random((30, features))
    clf = quick().fit(rows, np.arange(30) % 2)
    assert clf.image_shape_ == shape


def test_flattened_colour_images_raise_a_hand():
    rows = np.random.default_rng(0).random((30, 3 * 8 * 8))
    with pytest.warns(
        UserWarning, match=r"Pass image_shape=\(3, 8, 8\) if .* image_shape=\(1, 192\) if"
    ):
        assert quick().fit(rows, np.arange(30) % 2).image_shape_ == (1, 1, 192)
    with pytest.warns(UserWarning, match=r"Pass image_shape=\(8, 8, 3\)"):
        quick(data_format="channels_last").fit(rows, np.arange(30) % 2)
    assert quick(image_shape=(3, 8, 8)).fit(rows, np.arange(30) % 2).image_shape_ == (3, 8, 8)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_dataframes_keep_their_names(frame):
    names = [f"p{i}" for i in range(64)]
    table = frame(X, columns=names) if frame is pd.DataFrame else frame(X, schema=names)
    clf = quick().fit(table, y)
    assert clf.feature_names_in_.tolist() == names
    assert_same_model(clf, quick().fit(X, y))
    assert np.array_equal(clf.predict(table), quick().fit(X, y).predict(X))
    with pytest.raises(ValueError, match="feature names should match"):
        clf.predict(table[names[::-1]])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        clf.predict(X)
    assert not hasattr(clf.fit(X, y), "feature_names_in_")


@pytest.mark.parametrize(
    ("given", "computed"),
    [
        ("u1", "f4"),
        ("i8", "f4"),
        ("f2", "f4"),
        ("f4", "f4"),
        ("f8", "f8"),
        ("?", "f4"),
        (">f4", "f4"),
    ],
)
def test_computation_follows_the_dtype_of_X(given, computed):
    clf = quick().fit(X.astype(given), y)
    assert clf.weights_.dtype == clf.predict_proba(X).dtype == computed
    assert clf.predict_log_proba(X.astype(given)).dtype == computed
    assert quick(dtype="float64").fit(X.astype(given), y).weights_.dtype == np.float64


def test_raw_bytes_and_scaled_pixels_train_alike():
    raw = quick().fit((X * 15.9).astype(np.uint8), y)
    scaled = quick().fit(((X * 15.9).astype(np.uint8) / 255).astype(np.float32), y)
    np.testing.assert_allclose(raw.weights_, scaled.weights_, atol=2e-4)


def test_read_only_and_memory_mapped_arrays(tmp_path):
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    clf = quick().fit(mapped, y)
    assert_same_model(clf, quick().fit(X, y))
    assert np.array_equal(clf.predict(mapped), clf.predict(X))


@pytest.mark.parametrize("labels", [y.astype(str), y.astype("i2"), pd.Series(y).astype("category")])
def test_labels_of_any_kind(labels):
    clf = quick().fit(X, labels)
    assert set(clf.predict(X)) <= set(labels)
    assert_same_model(clf, quick().fit(X, y))


# Scaling, weights, classes


def test_the_scaling_is_that_of_the_training_rows():
    clf = quick().fit(X, y)
    assert clf.input_mean_ == pytest.approx(X.mean())
    assert clf.input_scale_ == pytest.approx(X.std())
    unscaled = quick(scale_input=False).fit(X, y)
    assert (unscaled.input_mean_, unscaled.input_scale_) == ([0], [1])
    by_hand = quick(scale_input=False).fit((X - X.mean()) / X.std(), y)
    np.testing.assert_allclose(clf.weights_, by_hand.weights_, atol=1e-10)


def test_a_validation_part_is_excluded_from_the_scaling():
    clf = quick(early_stopping=True, warm_start=True).fit(X, y)
    data = read_data(clf, FitArguments(X, y))
    _, held_out = split(data, 20, clf._training_state.seed, "")
    spoiled = X.copy()
    spoiled[held_out.input.images.rows] += 1e6
    assert clone(clf).fit(spoiled, y).input_mean_ < 100


def test_weights_of_one_are_no_weights():
    assert_same_model(quick().fit(X, y), quick().fit(X, y, sample_weight=np.ones(200)))
    assert_same_model(quick().fit(X, y), quick().fit(X, y, sample_weight=7.0))


def test_integer_weights_are_repetitions():
    weights = np.random.default_rng(0).integers(0, 4, 200)
    settings = {"batch_size": 1000, "max_iter": 8}
    weighted = quick(**settings).fit(X, y, sample_weight=weights)
    repeated = quick(**settings).fit(X.repeat(weights, axis=0), y.repeat(weights))
    np.testing.assert_allclose(weighted.weights_, repeated.weights_, atol=1e-10)
    np.testing.assert_allclose(weighted.loss_curve_, repeated.loss_curve_, rtol=1e-10)


def test_class_weights_multiply_sample_weights():
    weights = np.random.default_rng(0).random(200) + 0.1
    by_class = {0: 3.0, 5: 0.5}
    left = quick(class_weight={c: by_class.get(c, 1.0) for c in range(10)})
    left.fit(X, y, sample_weight=weights)
    factor = np.array([by_class.get(label, 1.0) for label in y])
    assert_same_model(left, quick().fit(X, y, sample_weight=weights * factor))


def test_balanced_weighs_by_weighted_frequency():
    weights = np.random.default_rng(0).integers(1, 4, 200)
    balanced = quick(class_weight="balanced").fit(X, y, sample_weight=weights)
    totals = np.bincount(y, weights=weights)
    by_hand = quick(class_weight=dict(enumerate(weights.sum() / (10 * totals))))
    np.testing.assert_allclose(
        balanced.weights_, by_hand.fit(X, y, sample_weight=weights).weights_, atol=1e-12
    )
    rare = np.flatnonzero((y != 3) | (np.arange(200) < 20))
    plain, fair = quick(max_iter=15), quick(max_iter=15, class_weight="balanced")
    found = [np.mean(clf.fit(X[rare], y[rare]).predict(X) == 3) for clf in (plain, fair)]
    assert found[1] > found[0]


# Training


def test_fitted_attributes():
    clf = quick().fit(X, y)
    assert clf.n_iter_ == len(clf.loss_curve_) == 2
    assert clf.loss_ == clf.loss_curve_[-1] == clf.history_["loss"][-1]
    assert clf.best_loss_ == min(clf.loss_curve_)
    assert clf.validation_scores_ is None
    assert set(clf.history_) == {"loss", "accuracy", "lr"}
    assert clf.layers_[-1].units == 10
    assert clf.network_.n_parameters == len(clf.weights_)
    arrays = [value for value in vars(clf).values() if isinstance(value, np.ndarray)]
    assert not any(np.shares_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i])
    assert clf.loss_curve_ is not clf.history_["loss"]


def test_early_stopping_keeps_the_best_weights():
    clf = quick(early_stopping=True, max_iter=200, n_iter_no_change=3, lr=3e-3).fit(X, y)
    assert clf.n_iter_ == len(clf.validation_scores_) < 200
    assert clf.best_loss_ is None
    assert clf.validation_scores_ == clf.history_["validation_score"]
    best = int(np.argmax(clf.validation_scores_)) + 1
    shorter = quick(early_stopping=True, max_iter=best, n_iter_no_change=99, lr=3e-3).fit(X, y)
    assert np.array_equal(clf.weights_, shorter.weights_)


def test_nothing_is_held_out_unless_asked():
    assert_same_model(quick().fit(X, y), quick(validation_fraction=0.5).fit(X, y))


def test_warm_start_goes_on_exactly(tmp_path):
    settings = {"layers": [Conv2d(4, 3), ReLU(), Flatten(), Dropout(0.2)]}
    whole = quick(**settings, max_iter=5).fit(X, y)
    half = quick(**settings, warm_start=True, max_iter=2).fit(X, y)
    joblib.dump(half, tmp_path / "half.joblib")
    again = joblib.load(tmp_path / "half.joblib").set_params(max_iter=3).fit(X, y)
    assert_same_model(whole, again)
    assert again.n_iter_ == 5
    assert half.set_params(warm_start=False).fit(X, y).n_iter_ == 2


def test_warm_start_from_a_cold_model_starts_at_its_weights():
    cold = quick(max_iter=20).fit(X, y)
    warm = clone(cold).set_params(warm_start=True, max_iter=1)
    warm.__dict__.update({k: v for k, v in vars(cold).items() if k.endswith("_")})
    warm.fit(X, y)
    assert warm.n_iter_ == 21
    assert warm.loss_curve_[-1] < cold.loss_curve_[5]


def test_warm_start_wants_the_same_classes_and_network():
    clf = quick(warm_start=True).fit(X, y)
    before = dict(vars(clf))
    with pytest.raises(ValueError, match="same classes"):
        clf.fit(X, y % 3)
    with pytest.raises(ValueError, match="same network"):
        clf.fit(X[:, :49], y)
    with pytest.raises(ValueError, match="same network"):
        clf.set_params(filters=5).fit(X, y)
    clf.set_params(filters=4)
    assert vars(clf).keys() == before.keys()
    assert all(vars(clf)[name] is before[name] for name in before)


def test_warm_start_with_another_optimizer_begins_its_moments_anew():
    clf = quick(warm_start=True).fit(X, y).set_params(optimizer="sgd").fit(X, y)
    assert set(clf._training_state.moments) == {"velocity"}


def test_warm_start_with_another_criterion_judges_anew():
    settings = {"warm_start": True, "max_iter": 4, "n_iter_no_change": 3}
    clf = quick(early_stopping=True, **settings).fit(X, y)
    clf.set_params(early_stopping=False, max_iter=10).fit(X, y)
    assert clf.n_iter_ == 14  # the loss falls all the time
    assert {len(values) for values in clf.history_.values()} == {14}
    clf.set_params(early_stopping=True, max_iter=2).fit(X, y)
    assert {len(values) for values in clf.history_.values()} == {16}
    assert np.isnan(clf.validation_scores_[:14]).all()

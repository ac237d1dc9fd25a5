"""The estimator's contract, beyond scikit-learn's own checks."""

import copy
import pickle
import re

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skcnn import ScratchCNNClassifier
from skcnn._estimator import base, parameters
from skcnn._estimator.data import split
from skcnn._estimator.reading import read_data
from skcnn.initializers import Gaussian
from skcnn.layers import Conv2d, Dense, Dropout, Flatten, MaxPool2d, ReLU
from skcnn.network import Network
from skcnn.optimizers import SGD, Adam
from skcnn.schedules import (
    Constant,
    Cosine,
    Exponential,
    OneCycle,
    ReduceOnPlateau,
    StepDecay,
    WarmUp,
)
from tests.shared import DIGITS, LABELS, InterruptedWorkers, assert_same_model, quick

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
    data = read_data(clf, X, y, None)
    _, held_out = split(data, 20, clf._training_state.seed, "")
    spoiled = X.copy()
    spoiled[held_out.input.rows] += 1e6
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


# Rates, schedules, clipping

SCHEDULES_OF_THEIR_OWN = [
    StepDecay(every=3, gamma=0.5),
    Exponential(0.8),
    Cosine(horizon=9, final=0.1),
    OneCycle(horizon=10),
    WarmUp(2, then=Cosine(horizon=7)),
    WarmUp(1.5, then=ReduceOnPlateau(patience=1, tol=0.2)),
    ReduceOnPlateau(patience=1, tol=0.3),
]


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("schedule", SCHEDULES_OF_THEIR_OWN, ids=str)
def test_two_halves_are_one_training_under_a_schedule_of_its_own(schedule, early_stopping):
    settings = {
        "lr_schedule": schedule, "early_stopping": early_stopping, "n_iter_no_change": 99,
        "batch_size": 64, "max_grad_norm": 1.0, "optimizer": "adamw", "weight_decay": 0.01,
    }  # fmt: skip
    whole = quick(**settings, max_iter=10).fit(X, y)
    half = quick(**settings, max_iter=5, warm_start=True).fit(X, y)
    both = pickle.loads(pickle.dumps(half)).fit(X, y)
    assert_same_model(whole, both)
    assert len(set(whole.history_["lr"])) > 2  # the schedule was at work


@pytest.mark.parametrize(
    "schedule", ["step", "exponential", "cosine", "one_cycle", "warm_up", Cosine(), OneCycle()]
)
def test_other_schedules_start_anew_with_each_fit(schedule):
    clf = quick(lr_schedule=schedule, max_iter=3, warm_start=True).fit(X, y).fit(X, y)
    rates = clf.history_["lr"]
    assert rates[:3] == rates[3:]
    assert len(set(rates)) > 1


def test_a_plateau_by_name_counts_from_the_start_of_the_fit():
    settings = {"max_iter": 4, "tol": 0.0, "lr": 1e-9, "warm_start": True}  # no change at all
    by_name = quick(lr_schedule="reduce_on_plateau", **settings).fit(X, y).fit(X, y)
    assert np.divide(by_name.history_["lr"], 1e-9) == pytest.approx([1, 1, 1, 0.5] * 2)
    instance = quick(lr_schedule=ReduceOnPlateau(), **settings).fit(X, y).fit(X, y)
    assert np.divide(instance.history_["lr"], 1e-9) == pytest.approx(
        [1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.125]
    )


@pytest.mark.parametrize("name", list(parameters.SCHEDULES))
def test_names_stand_for_instances_of_the_length_of_a_fit(name):
    by_name = quick(lr_schedule=name, max_iter=4).fit(X, y)
    assert_same_model(by_name, quick(lr_schedule=parameters.SCHEDULES[name], max_iter=4).fit(X, y))
    if name == "cosine":
        assert_same_model(by_name, quick(lr_schedule=Cosine(4), max_iter=4).fit(X, y))
    assert len(by_name.history_["lr"]) == 4
    if name == "constant":
        assert by_name.history_["lr"] == [by_name.lr] * 4


def test_the_history_has_the_rate_of_the_last_mini_batch():
    clf = quick(lr_schedule="cosine", max_iter=4, batch_size=50).fit(X, y)  # 4 batches an epoch
    at = (np.arange(4) + 3 / 4) / 4
    np.testing.assert_allclose(clf.history_["lr"], 2e-3 * (1 + np.cos(np.pi * at)) / 2)


def test_warm_start_with_another_schedule():
    clf = quick(lr_schedule=Cosine(horizon=2), warm_start=True).fit(X, y)
    clf.set_params(lr_schedule=StepDecay(every=3), lr=1.0, optimizer=SGD(0), max_grad_norm=0.1)
    clf.fit(X, y)
    assert clf.history_["lr"][2:] == [1.0, pytest.approx(0.1)]  # its third and fourth epoch
    clf.set_params(lr_schedule="constant").fit(X, y)
    assert clf.history_["lr"][4:] == [1, 1]


def test_clipping_holds_back_a_rate_that_is_too_large():
    settings = {"optimizer": SGD(0), "lr": 30.0, "max_iter": 5, "weight_decay": 0.0}
    clf = quick(**settings, max_grad_norm=1e-3).fit(X, y)
    assert clf.n_iter_ == 5
    with pytest.warns(ConvergenceWarning, match="max_grad_norm"):
        quick(**settings).fit(X, y)


@pytest.mark.parametrize("optimizer", list(parameters.OPTIMIZERS))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_optimizer_learns(optimizer, dtype):
    lr = 0.05 if optimizer in ("sgd", "adagrad") else 5e-3
    clf = quick(optimizer=optimizer, lr=lr, max_iter=30, dtype=dtype, max_grad_norm=5.0)
    clf.set_params(lr_schedule=Cosine(horizon=np.float64(30), final=np.float64(0.1)))
    clf.set_params(filters=8, hidden_layer_sizes=32)
    assert clf.fit(X, y).score(X, y) > 0.9
    assert clf.weights_.dtype == dtype


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"lr_schedule": "linear"}, r"lr_schedule must be one of \['constant', .*got 'linear'"),
        ({"lr_schedule": 0.1}, "lr_schedule must be one of .* or an instance from skcnn.schedules"),
        ({"lr_schedule": Cosine}, "lr_schedule must be one of .* or an instance"),
        ({"lr_schedule": None}, "lr_schedule must be one of"),
        ({"lr_schedule": Cosine(horizon=0)}, "Cosine: horizon must be a number"),
        ({"lr_schedule": WarmUp(then=StepDecay(gamma=2))}, "StepDecay: gamma"),
        ({"max_grad_norm": 0}, r"max_grad_norm must be a number in \(0, inf\), got 0"),
        ({"max_grad_norm": -1.0}, "max_grad_norm"),
        ({"max_grad_norm": True}, "max_grad_norm"),
        ({"max_grad_norm": "1"}, "max_grad_norm"),
        ({"optimizer": "momentum"}, "optimizer must be one of .*'adamw', 'sgd', 'rmsprop'"),
    ],
)
def test_bad_rates_are_named(parameters, message):
    clf = quick(**parameters)
    before = vars(clf).copy()
    with pytest.raises(ValueError, match=message):
        clf.fit(X, y)
    assert vars(clf) == before


def test_nested_names_reach_schedules():
    clf = quick(lr_schedule=WarmUp(2, then=Cosine()))
    assert clf.get_params()["lr_schedule__then__horizon"] is None
    clf.set_params(lr_schedule__then__horizon=8, lr_schedule__epochs=1)
    assert clf.lr_schedule == WarmUp(1, then=Cosine(8))
    search = GridSearchCV(
        quick(lr_schedule=Exponential(), max_iter=1), {"lr_schedule__gamma": [0.5, 1.0]}, cv=2
    ).fit(X, y)
    assert search.best_estimator_.lr_schedule.gamma in (0.5, 1.0)
    assert clone(clf).lr_schedule == clf.lr_schedule
    with pytest.raises(ValueError, match="lr_schedule__final"):
        quick(lr_schedule=Constant()).set_params(lr_schedule__final=0)


def test_a_model_keeps_the_order_of_axes_it_was_fitted_with():
    images = np.random.default_rng(0).random((40, 5, 7, 2))
    clf = quick(data_format="channels_last").fit(images, np.arange(40) % 3)
    before = clf.predict_proba(images)
    assert np.array_equal(
        clf.set_params(data_format="channels_first").predict_proba(images), before
    )


def test_divergence_in_the_first_epoch_leaves_an_empty_history():
    clf = quick(optimizer="sgd", lr=1e30)
    with pytest.warns(ConvergenceWarning, match="weights of the start"):
        clf.fit(X, y)
    assert clf.history_ == {"loss": [], "accuracy": [], "lr": []}


def test_diverging_training_warns_and_stays_finite():
    clf = quick(optimizer="sgd", lr=1e4, max_iter=10)
    with pytest.warns(ConvergenceWarning, match=r"diverged in epoch \d+.*smaller lr"):
        clf.fit(X, y)
    assert np.isfinite(clf.weights_).all()
    assert np.isfinite(clf.predict_proba(X)).all()
    assert clf.n_iter_ == len(clf.loss_curve_) < 10


def test_probabilities_stay_finite_on_extreme_images():
    clf = quick(dtype="float32").fit(X, y)
    extreme = np.where(X > 8, 1e38, -1e38)
    for method in (clf.predict_proba, clf.predict_log_proba):
        assert np.isfinite(method(extreme)).all()
    np.testing.assert_allclose(clf.predict_proba(extreme).sum(axis=1), 1, rtol=1e-6)


def test_log_probabilities_keep_their_order_where_probabilities_underflow():
    clf = quick(max_iter=30, dtype="float32").fit(X, y)
    far = X * 100.0
    logs, probabilities = clf.predict_log_proba(far), clf.predict_proba(far)
    assert (probabilities == 0).any()
    assert np.isfinite(logs).all()
    assert all(len(np.unique(row)) == 10 for row in logs)
    assert np.array_equal(clf.classes_[logs.argmax(axis=1)], clf.predict(far))


def test_ctrl_c_after_an_epoch_warns_and_keeps_the_model(monkeypatch):
    original = base.train

    def train(*args):
        args = list(args)
        args[4] = InterruptedWorkers(when=2 * 7 + 3)  # 200 rows are 7 batches
        return original(*args)

    monkeypatch.setattr(base, "train", train)
    clf = quick(max_iter=10, batch_size=32)
    with pytest.warns(UserWarning, match="interrupted; the model of epoch 2"):
        clf.fit(X, y)
    monkeypatch.undo()
    assert_same_model(clf, quick(max_iter=2, batch_size=32).fit(X, y))


def test_verbose_prints_a_line_an_epoch(capsys):
    quick(verbose=1).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    number = r"[\d.]+"
    pattern = rf"Epoch \d: loss {number}, accuracy {number}, {number} s, \d+ images/s"
    assert all(re.fullmatch(pattern, line) for line in lines)
    quick(verbose=True, early_stopping=True).fit(X, y)
    assert "validation score" in capsys.readouterr().out
    quick().fit(X, y)
    assert capsys.readouterr().out == ""


# Parameters


def test_nested_names_reach_layers_and_optimizers():
    layers = [Conv2d(4, 3, initializer=Gaussian(0.1)), MaxPool2d(2)]
    clf = ScratchCNNClassifier(layers=layers, optimizer=SGD())
    params = clf.get_params()
    assert params["layers__0__filters"] == 4
    assert params["layers__0__initializer__sigma"] == 0.1
    assert params["layers__1"] == MaxPool2d(2)
    assert params["optimizer__momentum"] == 0.9
    clf.set_params(
        layers__0__filters=8, layers__0__initializer__sigma=0.2, optimizer__nesterov=False
    )
    assert clf.layers == [Conv2d(8, 3, initializer=Gaussian(0.2)), MaxPool2d(2)]
    assert clf.optimizer == SGD(nesterov=False)
    assert layers == [Conv2d(4, 3, initializer=Gaussian(0.1)), MaxPool2d(2)]
    clf.set_params(layers=[Dense(3)], layers__0__units=4)
    assert clf.layers == [Dense(4)]


@pytest.mark.parametrize(
    "name",
    [
        "layers__5__filters",
        "layers__0__nothing",
        "layers__0__",
        "optimizer__momentum",
        "nothing",
        "a__b",
    ],
)
def test_unknown_names_list_the_known_ones(name):
    clf = ScratchCNNClassifier(layers=[Conv2d(4, 3)])
    with pytest.raises(ValueError, match=rf"(?s)Invalid parameter '{name.split('__')[0]}.*lr"):
        clf.set_params(**{name: 1})


def test_a_search_reaches_inside_the_layers():
    clf = ScratchCNNClassifier(layers=[Conv2d(2, 3), ReLU(), Flatten()], max_iter=1, random_state=0)
    grid = {"layers__0__filters": [2, 4], "optimizer": [SGD(), Adam()]}
    search = GridSearchCV(clf, grid, cv=2).fit(X, y)
    assert len(search.cv_results_["params"]) == 4
    assert search.best_estimator_.layers_[0].filters in (2, 4)
    assert clf.layers[0].filters == 2


def test_clones_are_unfitted_and_equal():
    clf = quick(layers=[Conv2d(4, 3), Dropout(0.1)], optimizer=Adam(0.8)).fit(X, y)
    twin = clone(clf)
    assert not any(name.endswith("_") for name in vars(twin))
    assert repr(twin) == repr(clf)
    assert_same_model(clf, twin.fit(X, y))
    with pytest.raises(NotFittedError):
        clone(clf).predict(X)


# Networks


def test_layers_replace_the_architecture():
    layers = [Conv2d(3, 3, stride=2), ReLU()]
    clf = quick(layers=layers).fit(X, y)
    assert clf.layers_[:3] == [*layers, Flatten()]
    assert clf.layers == layers
    nothing = quick(layers=[]).fit(X, y)
    assert [type(layer) for layer in nothing.layers_] == [Flatten, Dense]


def test_weights_can_be_carried_over():
    clf = quick(layers=[Conv2d(3, 3), ReLU(), Flatten(), Dense(5), ReLU()]).fit(X, y)
    arrays = copy.deepcopy(clf.network_.unpack(clf.weights_))
    other = quick(layers=clf.layers, random_state=9).fit(X, y)
    assert not np.array_equal(other.predict_proba(X), clf.predict_proba(X))
    assert np.array_equal(other.set_weights(arrays).predict_proba(X), clf.predict_proba(X))
    weights = other.weights_
    for spoil, message in (
        (lambda a: a.pop(), "must be a list of 6 dicts"),
        (lambda a: a[0].pop("bias"), r"arrays\[0\] must have the shapes"),
        (lambda a: a[0].update(bias=np.zeros(7)), r"arrays\[0\] must have the shapes"),
        (lambda a: a[0].update(bias=np.full(3, np.nan)), "finite"),
    ):
        bad = copy.deepcopy(arrays)
        spoil(bad)
        with pytest.raises(ValueError, match=message):
            other.set_weights(bad)
        assert other.weights_ is weights


def test_predictions_are_those_of_the_public_network():
    clf = quick(filters=(4, 8), hidden_layer_sizes=16).fit(X, y)
    network = Network(clf.layers_, (1, 8, 8), np.float64)
    images = ((X - clf.input_mean_) / clf.input_scale_).reshape(-1, 1, 8, 8)
    z = network.forward(images, clf.weights_)
    assert np.array_equal(clf.classes_[z.argmax(axis=1)], clf.predict(X))


# Persistence


def test_a_newer_format_is_refused_clearly(monkeypatch):
    clf = quick().fit(X, y)
    monkeypatch.setattr(base, "PICKLE_FORMAT", 2)
    saved = pickle.dumps(clf)
    monkeypatch.setattr(base, "PICKLE_FORMAT", 1)
    with pytest.raises(ValueError, match="newer version of skcnn"):
        pickle.loads(saved)


def test_state_for_resumption_is_kept_only_when_asked_for():
    size = {warm: len(pickle.dumps(quick(warm_start=warm).fit(X, y))) for warm in (False, True)}
    assert size[True] > size[False] + 3 * quick().fit(X, y).weights_.nbytes


# Company


def test_behind_a_scaler_in_a_pipeline_in_a_search():
    train, test, labels, truth = train_test_split(DIGITS, LABELS, random_state=0)
    pipeline = make_pipeline(
        MinMaxScaler(), ScratchCNNClassifier(filters=(8, 16), max_iter=15, random_state=0)
    )
    grid = {"scratchcnnclassifier__lr": [1e-3, 3e-3]}
    search = GridSearchCV(pipeline, grid, cv=3).fit(train, labels)
    assert search.score(test, truth) > 0.95


def test_calibration_accepts_float32_probabilities():
    calibrated = CalibratedClassifierCV(
        ScratchCNNClassifier(filters=16, max_iter=10, dtype="float32", random_state=0), cv=2
    )
    calibrated.fit(DIGITS[:600], LABELS[:600])
    assert calibrated.score(DIGITS[600:], LABELS[600:]) > 0.8

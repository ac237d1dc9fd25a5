"""Training in parts: by calls of partial_fit, and by stopping and going on."""

import os
import pickle
import re
import subprocess
import sys
from functools import partial

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import balanced_accuracy_score, make_scorer

from skcnn import ScratchCNNClassifier
from skcnn.layers import BatchNorm, Conv2d, Dense, Dropout, Flatten, ReLU
from skcnn.schedules import Cosine, OneCycle, ReduceOnPlateau, WarmUp
from tests import shared
from tests.shared import DIGITS, LABELS, assert_same_model

X, y = DIGITS[:200], LABELS[:200]
ALL = np.arange(10)

quick = partial(shared.quick, max_iter=3)


def assert_unchanged(clf, before):
    assert vars(clf).keys() == before.keys()
    assert all(vars(clf)[name] is before[name] for name in before)


# partial_fit


def test_a_pass_is_an_epoch_of_fit():
    whole = quick(dropout=0.2).fit(X, y)
    parts = quick(dropout=0.2)
    for _ in range(3):
        assert parts.partial_fit(X, y, ALL) is parts
    assert_same_model(whole, parts)
    assert parts.n_iter_ == 3


@pytest.mark.parametrize("dtype", ["u1", "f4", "f8"])
def test_digits_in_chunks(dtype):
    clf = ScratchCNNClassifier(filters=16, lr=3e-3, random_state=0, batch_size=32)
    chunks = range(0, 1500, 150)
    for _ in range(4):
        for start in chunks:
            part = slice(start, start + 150)
            clf.partial_fit(DIGITS[part].astype(dtype), LABELS[part], classes=ALL)
    assert clf.score(DIGITS[1500:], LABELS[1500:]) > 0.88  # as much as four epochs at once
    assert clf.n_iter_ == len(clf.loss_curve_) == 40
    assert clf.input_mean_ == pytest.approx(DIGITS[:150].mean(), rel=1e-6)  # of the first call
    assert clf.input_scale_ == pytest.approx(DIGITS[:150].std(), rel=1e-6)


def test_mini_batches_are_those_of_batch_size():
    clf = quick(batch_size=30).partial_fit(X, y, ALL)
    assert clf._training_state.step == 7


def test_a_part_may_have_one_class_or_one_sample():
    clf = quick().partial_fit(X[y == 3], y[y == 3], classes=ALL[::-1])
    clf.partial_fit(X[:1], y[:1])
    assert clf.classes_.tolist() == list(range(10))
    assert clf.predict_proba(X).shape == (200, 10)


def test_forms_of_the_parts_may_differ():
    left = quick().partial_fit(X, y, ALL).partial_fit(X, y)
    right = quick().partial_fit(X, y, ALL).partial_fit(X.reshape(-1, 1, 8, 8).astype("f4"), y)
    assert_same_model(left, right)
    assert right.weights_.dtype == np.float64  # as it began


def test_channels_last_is_remembered():
    images = np.random.default_rng(0).random((40, 5, 7, 3))
    labels = np.arange(40) % 3
    left = quick(data_format="channels_last").partial_fit(images, labels, [0, 1, 2])
    right = pickle.loads(pickle.dumps(left)).set_params(data_format="channels_first")
    left.partial_fit(images.reshape(40, -1), labels)
    assert_same_model(left, right.partial_fit(images, labels))
    assert np.array_equal(left.predict(images), right.predict(images))


def test_weights_are_taken_as_they_are():
    settings = {"optimizer": "sgd", "lr": 0.1, "weight_decay": 0.0, "batch_size": 500}
    start = quick(**settings).partial_fit(X, y, ALL)
    plain = pickle.loads(pickle.dumps(start)).set_params(lr=0.05).partial_fit(X, y)
    half = pickle.loads(pickle.dumps(start)).partial_fit(X, y, sample_weight=np.full(200, 0.5))
    velocity = start._training_state.moments["velocity"]
    assert np.abs(velocity).max() > 0
    assert not np.array_equal(half.weights_, start.weights_)
    gradient = pickle.loads(pickle.dumps(start)).partial_fit(X, y)._training_state.moments
    step = gradient["velocity"] - 0.9 * velocity
    halved = half._training_state.moments["velocity"] - 0.9 * velocity
    assert not np.allclose(step, 0)
    np.testing.assert_allclose(halved, step / 2, rtol=1e-6, atol=1e-9)
    assert plain.n_iter_ == half.n_iter_ == 2


def test_class_weights_by_label():
    by_class = {c: 1.0 + c for c in range(10)}
    left = quick(class_weight=by_class).partial_fit(X, y, ALL)
    assert_same_model(left, quick().partial_fit(X, y, ALL, sample_weight=1.0 + y))


def test_a_part_without_weight_changes_nothing():
    clf = quick().partial_fit(X, y, ALL)
    before = dict(vars(clf))
    clf.partial_fit(X, y, sample_weight=np.zeros(200))
    assert_unchanged(clf, before)


QUALITIES = np.stack([LABELS % 2 == 0, LABELS > 4, LABELS % 3 == 0], axis=1).astype(int)


def test_several_labels_in_parts():
    Y = QUALITIES[:200]
    whole, parts = quick().fit(X, Y), quick()
    for classes in (None, range(3), None):
        parts.partial_fit(X, Y, classes)
    assert_same_model(whole, parts)
    assert np.array_equal(parts.predict(X), whole.predict(X))
    parts.partial_fit(X[:1], Y[:1])
    by_label = [{0: 1, 1: 2}, {0: 3, 1: 1}, {0: 1, 1: 0.5}]
    weights = np.where(Y[:, 0], 2, 1) * np.where(Y[:, 1], 1, 3) * np.where(Y[:, 2], 0.5, 1)
    left = quick(class_weight=by_label).partial_fit(X, Y).partial_fit(X[:9], Y[:9])
    right = quick().partial_fit(X, Y, sample_weight=weights)
    assert_same_model(left, right.partial_fit(X[:9], Y[:9], sample_weight=weights[:9]))
    for labels, message in (
        (Y[:, :2], "y has 2 labels, but the calls before 3"),
        (LABELS[:200], "y must be a matrix of 3 labels"),
        (Y * 2, "values other than 0 and 1"),
    ):
        with pytest.raises(ValueError, match=message):
            parts.partial_fit(X, labels)
    with pytest.raises(ValueError, match=r"classes=.* are not those of the matrix y"):
        quick().partial_fit(X, Y, classes=range(4))


BAD_FIRST = [
    ({}, {}, "classes must be passed on the first call to partial_fit"),
    ({}, {"classes": [3]}, r"classes must hold at least 2 labels, got \[3\]"),
    ({}, {"classes": [0, 1]}, r"y holds labels .* those of classes: \[2, 3, .*known are \[0, 1\]"),
    ({}, {"classes": ALL.astype(str)}, "y holds labels"),
    ({}, {"classes": [0.5, 1.7]}, "continuous"),
    ({}, {"classes": ALL, "sample_weight": np.zeros(200)}, "needs a sample of positive weight"),
    ({}, {"classes": ALL, "sample_weight": -np.ones(200)}, "must not be negative"),
    ({}, {"classes": ALL, "sample_weight": np.ones(3)}, "holds 3 weights for 200 samples"),
    ({"class_weight": "even"}, {"classes": ALL}, "class_weight must be None, 'balanced' or a dict"),
    ({"class_weight": {0: -1}}, {"classes": ALL}, "class_weight"),
    ({"filters": 0}, {"classes": ALL}, "filters must be"),
    ({"lr": "fast"}, {"classes": ALL}, "lr must be"),
]


@pytest.mark.parametrize(("parameters", "arguments", "message"), BAD_FIRST)
def test_a_bad_first_call(parameters, arguments, message):
    clf = quick(**parameters)
    before = dict(vars(clf))
    with pytest.raises(ValueError, match=f"(?s){message}"):
        clf.partial_fit(X, y, **arguments)
    assert_unchanged(clf, before)


BAD_LATER = [
    ((X, y, ALL[:9]), r"classes=.* are not those of the call before: \[0 1 2"),
    ((X, y + 1), r"y holds labels .*\[10\]"),
    ((X, np.eye(10)[y]), r"y must be 1D class labels.* got an array of shape \(200, 10\)"),
    ((X, None), "requires y to be passed"),
    ((X[:, :49], y), "X has 49 features, but ScratchCNNClassifier is expecting 64 features"),
    ((X.reshape(-1, 4, 16), y), r"images of shape \(1, 4, 16\) .* fitted on .* \(1, 8, 8\)"),
    ((X * np.nan, y), "contains NaN"),
    ((X[:7], y), "inconsistent numbers of samples"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD_LATER)
def test_a_bad_later_call(arguments, message):
    clf = quick().partial_fit(X, y, ALL)
    before = dict(vars(clf))
    with pytest.raises(ValueError, match=message):
        clf.partial_fit(*arguments)
    assert_unchanged(clf, before)


def test_another_network_is_an_error():
    clf = quick().partial_fit(X, y, ALL)
    with pytest.raises(ValueError, match="partial_fit can only continue the same network"):
        clf.set_params(filters=5).partial_fit(X, y)
    with pytest.raises(ValueError, match="partial_fit can only continue the same network"):
        clf.set_params(filters=4, dtype="float32").partial_fit(X, y)


def test_names_of_columns_are_remembered():
    table = pd.DataFrame(X, columns=[f"p{i}" for i in range(64)])
    clf = quick().partial_fit(table, y, ALL).partial_fit(table, y)
    assert clf.feature_names_in_.tolist() == list(table.columns)
    with pytest.raises(ValueError, match="feature names should match"):
        clf.partial_fit(table[table.columns[::-1]], y)


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"early_stopping": True}, "early_stopping=True"),
        ({"class_weight": "balanced"}, "class_weight='balanced'.*compute_class_weight"),
    ],
)
def test_what_needs_all_data_has_no_partial_fit(parameters, reason):
    clf = quick(**parameters)
    assert not hasattr(clf, "partial_fit")
    with pytest.raises(AttributeError, match="partial_fit") as raised:
        clf.partial_fit(X, y, ALL)
    assert re.search(reason, str(raised.value.__cause__))
    assert hasattr(clf.set_params(early_stopping=False, class_weight=None), "partial_fit")


def test_partial_fit_after_fit_goes_on():
    cold, warm = quick().fit(X, y), quick(warm_start=True).fit(X, y)
    assert_same_model(quick(max_iter=4).fit(X, y), warm.partial_fit(X, y))
    assert cold.partial_fit(X, y).n_iter_ == 4  # from its weights, with new moments
    assert cold.loss_ < cold.loss_curve_[1]
    stopped = quick(early_stopping=True).fit(X, y).set_params(early_stopping=False)
    assert set(stopped.partial_fit(X, y).history_) == {"loss", "accuracy", "lr"}


def test_fit_after_partial_fit_starts_anew_unless_warm():
    clf = quick().partial_fit(X[:100], y[:100], ALL)
    assert_same_model(pickle.loads(pickle.dumps(clf)).fit(X, y), quick().fit(X, y))
    warm = pickle.loads(pickle.dumps(clf)).set_params(warm_start=True).fit(X, y)
    assert warm.n_iter_ == 4
    assert_same_model(warm, clf.partial_fit(X, y).partial_fit(X, y).partial_fit(X, y))


@pytest.mark.filterwarnings("ignore:Training ended no better")  # it takes longer to recover
def test_an_easy_part_does_not_stop_a_later_fit():
    clf = quick(warm_start=True, max_iter=30).partial_fit(X, y, ALL)
    for _ in range(40):
        clf.set_params(lr=1e-2).partial_fit(X[:1], y[:1])
    assert clf.loss_ < 0.01
    n_iter = clf.set_params(lr=1e-3).n_iter_
    assert clf.fit(X, y).n_iter_ == n_iter + 30


@pytest.mark.parametrize("schedule", ["cosine", Cosine(), "one_cycle", OneCycle(4)], ids=str)
def test_schedules_count_calls(schedule):
    clf = quick(lr_schedule=schedule, max_iter=4)
    whole = quick(lr_schedule=schedule, max_iter=4).fit(X, y)
    for _ in range(5):
        clf.partial_fit(X, y, ALL)
    assert clf.history_["lr"][:4] == whole.history_["lr"]
    assert clf.history_["lr"][4] < clf.history_["lr"][3]  # no restart


def test_parts_are_kept_in_pickles(tmp_path):
    clf = quick(dropout=0.2).partial_fit(X, y, ALL)
    joblib.dump(clf, tmp_path / "clf.joblib")
    mapped = joblib.load(tmp_path / "clf.joblib", mmap_mode="r")
    assert isinstance(mapped.weights_, np.memmap)
    assert np.array_equal(mapped.predict_proba(X), clf.predict_proba(X))
    assert_same_model(clf.partial_fit(X, y), mapped.partial_fit(X, y))
    for array in (mapped.weights_, mapped.input_mean_, mapped._training_state.weights):
        assert type(array) is np.ndarray
    assert_same_model(clf.partial_fit(X, y), mapped.partial_fit(X, y))


def test_a_diverging_part_leaves_the_model_as_it_was():
    clf = quick(optimizer="sgd", lr=0.01).partial_fit(X, y, ALL)
    weights = clf.weights_.copy()
    with pytest.warns(ConvergenceWarning, match="diverged in epoch 2"):
        clf.set_params(lr=1e30).partial_fit(X, y)
    assert np.array_equal(clf.weights_, weights)
    assert clf.n_iter_ == 1


def test_verbose_prints_a_line_a_call(capsys):
    clf = quick(verbose=1).partial_fit(X, y, ALL).partial_fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["Epoch 1", "Epoch 2"]
    clf.set_params(verbose=0).partial_fit(X, y)
    assert capsys.readouterr().out == ""


def test_clones_are_unfitted():
    clf = quick().partial_fit(X, y, ALL)
    assert not any("training" in name or name.endswith("_") for name in vars(clone(clf)))


# Stop and go on


LAYERS = [
    Conv2d(4, 3), BatchNorm(), ReLU(), Flatten(), Dropout(0.2), Dense(8), ReLU(), Dropout(0.1),
]  # fmt: skip
HALVES = [
    {"layers": LAYERS},
    {"layers": LAYERS, "early_stopping": True},
    {"layers": LAYERS, "early_stopping": True, "scoring": "neg_log_loss", "optimizer": "adamw"},
    {"early_stopping": True, "scoring": "loss", "lr_schedule": WarmUp(2, then=Cosine(8))},
    {
        "layers": LAYERS, "early_stopping": True, "scoring": make_scorer(balanced_accuracy_score),
        "lr_schedule": ReduceOnPlateau(patience=1), "class_weight": "balanced",
    },
    {"dropout": 0.3, "lr_schedule": OneCycle(10), "optimizer": "rmsprop", "max_grad_norm": 1.0},
    {"early_stopping": True, "n_iter_no_change": 2, "tol": 0.05, "lr": 2e-2},
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("given", [False, True])
def test_two_halves_in_two_processes_are_one_training(tmp_path, given):
    """All settings in one process, which costs a second to start."""
    arguments = {"sample_weight": np.linspace(0.5, 2, 200)}
    for_validation = {
        "X_val": DIGITS[200:300], "y_val": LABELS[200:300], "sample_weight_val": np.ones(100) * 3,
    }  # fmt: skip
    jobs, wholes = [], []
    for settings in HALVES:
        settings = {"n_iter_no_change": 99} | settings
        more = for_validation if given and settings.get("early_stopping") else {}
        wholes.append(quick(**settings, max_iter=10).fit(X, y, **arguments, **more))
        half = quick(**settings, max_iter=5, warm_start=True).fit(X, y, **arguments, **more)
        jobs.append((half, arguments | more))
    joblib.dump((jobs, X, y), tmp_path / "jobs.joblib")
    code = (
        "import sys, joblib\n"
        "jobs, X, y = joblib.load(sys.argv[1], mmap_mode='r')\n"
        "fitted = [clf.fit(X, y, **arguments) for clf, arguments in jobs]\n"
        "joblib.dump(fitted, sys.argv[1] + '.out')\n"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "jobs.joblib")], env=os.environ, check=True
    )
    for whole, both in zip(wholes, joblib.load(tmp_path / "jobs.joblib.out"), strict=True):
        assert_same_model(whole, both)
        assert whole.n_iter_ > 5
    assert given or wholes[-1].n_iter_ < 10  # the second half stops where the whole did


def test_what_it_takes_to_go_on_travels_only_when_asked_for():
    cold, warm = quick().fit(X, y), quick(warm_start=True).fit(X, y)
    part = quick().partial_fit(X, y, ALL)
    assert not hasattr(cold, "_training_state")
    assert hasattr(warm, "_training_state")
    assert hasattr(part, "_training_state")
    assert not hasattr(part.fit(X, y), "_training_state")
    assert not hasattr(warm.set_params(warm_start=False).fit(X, y), "_training_state")

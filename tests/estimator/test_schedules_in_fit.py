"""Rates, schedules and clipping, as parameters of an estimator."""

import pickle
import re

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from skcnn._estimator import fitting, parameters
from skcnn.optimizers import SGD
from skcnn.schedules import (
    Constant,
    Cosine,
    Exponential,
    OneCycle,
    ReduceOnPlateau,
    StepDecay,
    WarmUp,
)
from tests.shared import DIGITS, LABELS, InterruptedThreads, assert_same_model, quick

X, y = DIGITS[:200], LABELS[:200]

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
    original = fitting.train

    def train(*args, **options):
        args = list(args)
        args[4] = InterruptedThreads(when=2 * 7 + 3)  # 200 rows are 7 batches
        return original(*args, **options)

    monkeypatch.setattr(fitting, "train", train)
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
    told = rf"loss {number}, accuracy {number}, {number} s, \d+ images/s"
    pattern = rf"Epoch \d of 2: {told}, \d+ s left"
    assert all(re.fullmatch(pattern, line) for line in lines)
    quick(verbose=True, early_stopping=True).fit(X, y)
    assert "validation score" in capsys.readouterr().out
    quick().fit(X, y)
    assert capsys.readouterr().out == ""

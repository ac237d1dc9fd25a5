"""Early stopping by the user's own validation sets and scores."""

from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    log_loss,
    make_scorer,
)
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight

from tests import shared
from tests.shared import DIGITS, LABELS, assert_same_model

X, y = DIGITS[:200], LABELS[:200]
X_val, y_val = DIGITS[200:300], LABELS[200:300]

quick = partial(shared.quick, max_iter=3, early_stopping=True)


def fit(clf, **arguments):
    return clf.fit(X, y, **{"X_val": X_val, "y_val": y_val} | arguments)


# Validation sets


def test_a_validation_set_is_scored_after_each_epoch_and_nothing_is_held_out():
    clf = fit(quick(n_iter_no_change=99))
    plain = quick(early_stopping=False, n_iter_no_change=99).fit(X, y)
    assert clf.loss_curve_ == plain.loss_curve_  # the same rows are trained on
    assert set(clf.history_) == {"loss", "accuracy", "lr", "validation_loss", "validation_score"}
    for n in (1, 2, 3):
        shorter = quick(early_stopping=False, max_iter=n).fit(X, y)
        proba = shorter.predict_proba(X_val)
        assert clf.validation_scores_[n - 1] == pytest.approx(shorter.score(X_val, y_val))
        loss = log_loss(y_val, proba, labels=clf.classes_)
        assert clf.history_["validation_loss"][n - 1] == pytest.approx(loss)


def test_the_best_weights_on_the_validation_set_are_kept():
    clf = fit(quick(max_iter=200, n_iter_no_change=3, lr=3e-3))
    assert clf.n_iter_ < 200
    best = int(np.argmax(clf.validation_scores_)) + 1
    assert best < clf.n_iter_
    shorter = quick(early_stopping=False, max_iter=best, n_iter_no_change=99, lr=3e-3)
    assert np.array_equal(clf.weights_, shorter.fit(X, y).weights_)
    assert clf.score(X_val, y_val) == pytest.approx(max(clf.validation_scores_))


@pytest.mark.parametrize("form", [(-1, 8, 8), (-1, 1, 8, 8)])
def test_a_validation_set_may_have_another_form_than_x(form):
    assert_same_model(fit(quick()), fit(quick(), X_val=X_val.reshape(form).astype("f4")))


def test_a_validation_set_may_lack_classes():
    few = y_val < 3
    clf = fit(quick(), X_val=X_val[few], y_val=y_val[few])
    assert len(clf.classes_) == 10
    assert clf.score(X_val[few], y_val[few]) == pytest.approx(max(clf.validation_scores_))


def test_weights_of_a_validation_set_times_those_of_the_classes():
    weights = np.random.default_rng(0).random(100)
    by_class = {c: 1.0 + c for c in range(10)}
    clf = fit(quick(class_weight=by_class), sample_weight_val=weights)
    both = weights * (1.0 + y_val)
    best = accuracy_score(y_val, clf.predict(X_val), sample_weight=both)
    assert max(clf.validation_scores_) == pytest.approx(best)
    assert clf.validation_scores_ != fit(quick(class_weight=by_class)).validation_scores_


def test_balanced_weights_on_a_validation_set_are_those_of_the_training_rows():
    rows = np.flatnonzero((y != 3) | (np.arange(200) < 20))
    clf = quick(class_weight="balanced").fit(X[rows], y[rows], X_val=X_val, y_val=y_val)
    by_class = dict(zip(y[rows], compute_sample_weight("balanced", y[rows]), strict=True))
    weights = np.array([by_class[label] for label in y_val])
    best = accuracy_score(y_val, clf.predict(X_val), sample_weight=weights)
    assert max(clf.validation_scores_) == pytest.approx(best)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"y_val": None}, "X_val is provided, but y_val was not provided"),
        ({"X_val": None}, "y_val is provided, but X_val was not provided"),
        (
            {"X_val": None, "y_val": None, "sample_weight_val": np.ones(3)},
            "sample_weight_val is provided, but X_val and y_val were not",
        ),
        ({"X_val": X_val[:, :49]}, r"X_val holds rows of 49 features, .* \(1, 8, 8\).* 64 feat"),
        ({"X_val": X_val.reshape(-1, 4, 16)}, r"X_val holds images of shape \(1, 4, 16\)"),
        ({"X_val": X_val.reshape(-1, 4, 4, 4)}, r"images of shape \(4, 4, 4\) .* \(1, 8, 8\)"),
        ({"X_val": X_val * np.nan}, "Input X_val contains NaN"),
        ({"X_val": X_val[:7]}, "inconsistent numbers of samples"),
        ({"y_val": y_val + 3}, r"y_val holds labels .* those of y: \[10, 11, 12\]; known are \[0,"),
        ({"y_val": y_val.astype(str)}, r"y_val holds labels .*'0'"),
        ({"y_val": y_val + 0.5}, "continuous"),
        ({"sample_weight_val": -np.ones(100)}, "sample_weight_val must not be negative"),
        ({"sample_weight_val": np.ones(7)}, "sample_weight_val holds 7 weights for 100 samples"),
        ({"sample_weight_val": np.zeros(100)}, "all weights of X_val .* are zero"),
        ({"sample_weight_val": np.full(100, np.nan)}, "sample_weight_val contains NaN"),
    ],
)
def test_bad_validation_sets(arguments, message):
    clf = quick()
    before = dict(vars(clf))
    with pytest.raises(ValueError, match=message):
        fit(clf, **arguments)
    assert vars(clf) == before


def test_a_validation_set_without_early_stopping_is_an_error():
    with pytest.raises(ValueError, match=r"early_stopping=False.*Set early_stopping=True"):
        fit(quick(early_stopping=False))


def test_columns_of_a_validation_set():
    names = [f"p{i}" for i in range(64)]
    table, table_val = pd.DataFrame(X, columns=names), pd.DataFrame(X_val, columns=names)
    clf = quick().fit(table, y, X_val=table_val, y_val=pd.Series(y_val))
    assert_same_model(clf, fit(quick()))
    with pytest.raises(ValueError, match="X_val must have the columns of X"):
        quick().fit(table, y, X_val=table_val[names[::-1]], y_val=y_val)


def test_pipelines_route_and_transform_a_validation_set():
    with sklearn.config_context(enable_metadata_routing=True):
        clf = quick().set_fit_request(X_val=True, y_val=True, sample_weight_val=True)
        pipeline = make_pipeline(StandardScaler(), clf, transform_input=["X_val"])
        weights = np.linspace(0.5, 2, 100)
        pipeline.fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=weights)
    scaler = StandardScaler().fit(X)
    by_hand = quick().fit(
        scaler.transform(X),
        y,
        X_val=scaler.transform(X_val),
        y_val=y_val,
        sample_weight_val=weights,
    )
    assert_same_model(pipeline[-1], by_hand)


def test_searches_pass_a_validation_set_on():
    with sklearn.config_context(enable_metadata_routing=True):
        clf = quick(max_iter=2).set_fit_request(X_val=True, y_val=True)
        search = GridSearchCV(clf, {"lr": [1e-3, 3e-3]}, cv=2).fit(X, y, X_val=X_val, y_val=y_val)
    alone = quick(max_iter=2, lr=search.best_params_["lr"])
    assert_same_model(search.best_estimator_, fit(alone))


# Scores


def test_the_loss_as_a_score():
    clf = fit(quick(scoring="loss", max_iter=40, n_iter_no_change=2, lr=2e-2))
    assert clf.validation_scores_ == [-loss for loss in clf.history_["validation_loss"]]
    best = int(np.argmin(clf.history_["validation_loss"])) + 1
    assert best < clf.n_iter_ < 40
    shorter = quick(early_stopping=False, max_iter=best, n_iter_no_change=99, lr=2e-2)
    assert np.array_equal(clf.weights_, shorter.fit(X, y).weights_)


def count_of_fours(estimator, X, y):
    """Takes no weights, and looks at more than predictions."""
    assert estimator.n_iter_ == len(estimator.loss_curve_)
    assert X.shape == (len(y), 8, 8)
    return np.float32(np.sum(estimator.predict(X) == 4))


SCORERS = [
    ("balanced_accuracy", balanced_accuracy_score),
    ("neg_log_loss", None),
    (make_scorer(balanced_accuracy_score, adjusted=True), None),
    (count_of_fours, None),
]


@pytest.mark.parametrize(("scoring", "metric"), SCORERS, ids=["name", "loss", "made", "function"])
@pytest.mark.parametrize("given", [False, True])
def test_any_scorer(scoring, metric, given):
    images, validation = X.reshape(-1, 8, 8), X_val.reshape(-1, 8, 8)
    clf = quick(scoring=scoring, n_iter_no_change=99)
    arguments = {"X_val": validation, "y_val": y_val} if given else {}
    clf.fit(images, y, **arguments)
    plain = quick(n_iter_no_change=99).fit(images, y, **arguments)
    assert clf.loss_curve_ == plain.loss_curve_
    assert clf.history_["validation_loss"] == plain.history_["validation_loss"]
    assert len(clf.validation_scores_) == 3
    assert all(type(score) is float for score in clf.validation_scores_)
    if given and metric is not None:
        best = metric(y_val, clf.predict(validation))
        assert max(clf.validation_scores_) == pytest.approx(best)


def test_accuracy_by_name_is_the_default():
    assert_same_model(fit(quick(scoring="accuracy")), fit(quick()))
    assert_same_model(quick(scoring="accuracy").fit(X, y), quick().fit(X, y))


def test_scorers_get_weights_where_they_take_them():
    weights = np.random.default_rng(0).random(100)
    seen = []

    def scorer(estimator, X, y, sample_weight=None):
        seen.append(sample_weight)
        return accuracy_score(y, estimator.predict(X), sample_weight=sample_weight)

    left = fit(quick(scoring=scorer), sample_weight_val=weights)
    right = fit(quick(), sample_weight_val=weights)
    assert left.validation_scores_ == pytest.approx(right.validation_scores_)
    assert np.array_equal(seen[0], weights)
    by_class = {c: 1 + c for c in range(10)}
    fit(quick(scoring=scorer, class_weight=by_class), sample_weight_val=weights)
    assert np.array_equal(seen[-1], weights * (1 + y_val))
    fit(quick(scoring=scorer))
    assert seen[-1] is None
    held_out = quick(scoring=scorer).fit(X, y, sample_weight=np.arange(1, 201))
    assert len(seen[-1]) == 20
    assert set(seen[-1]) <= set(range(1, 201))
    assert held_out.validation_scores_ == pytest.approx(
        quick().fit(X, y, sample_weight=np.arange(1, 201)).validation_scores_
    )


@pytest.mark.parametrize("frame", ["pandas", "polars", "pyarrow"])
@pytest.mark.parametrize("given", [False, True])
def test_scorers_get_rows_in_the_users_form(frame, given):
    names = [f"p{i}" for i in range(64)]

    def table(rows):
        if frame == "pandas":
            return pd.DataFrame(rows, columns=names)
        if frame == "polars":
            return pl.DataFrame(rows, schema=names)
        return pytest.importorskip("pyarrow").table(list(rows.T), names=names)

    kinds = set()

    def scorer(estimator, X, y):
        kinds.add(type(X))
        return estimator.score(X, y)

    arguments = {"X_val": table(X_val), "y_val": y_val} if given else {}
    clf = quick(scoring=scorer).fit(table(X), y, **arguments)
    assert kinds == {type(table(X))}
    arguments = {"X_val": X_val, "y_val": y_val} if given else {}
    assert clf.validation_scores_ == quick().fit(X, y, **arguments).validation_scores_


def test_names_on_one_side_only_need_no_warning():
    table = pd.DataFrame(X, columns=[f"p{i}" for i in range(64)])
    quick(scoring="accuracy").fit(table, y, X_val=X_val, y_val=y_val)
    table_val = pd.DataFrame(X_val, columns=table.columns)
    quick(scoring="accuracy").fit(X, y, X_val=table_val, y_val=y_val)


def test_what_a_scorer_keeps_does_not_change():
    kept = []

    def scorer(estimator, X, y):
        kept.append((estimator, estimator.predict_proba(X)))
        return 0.0

    clf = fit(quick(scoring=scorer))
    assert len(kept) == 3
    for n, (estimator, probabilities) in enumerate(kept, 1):
        assert estimator is not clf
        assert estimator.n_iter_ == n
        assert np.array_equal(estimator.predict_proba(X_val), probabilities)


def raising(estimator, X, y):
    raise KeyError("no such thing")


BAD_SCORES = [
    (
        raising,
        r"raising.* failed on the validation part \(X_val, y_val\): KeyError: 'no such thing'",
    ),
    (lambda estimator, X, y: np.nan, "must return a finite number, but returned nan"),
    (lambda estimator, X, y: np.inf, "must return a finite number, but returned inf"),
    (lambda estimator, X, y: "good", "must return a finite number, but returned 'good'"),
    (lambda estimator, X, y: None, "must return a finite number, but returned None"),
    (lambda estimator, X, y: np.ones(3), "must return a finite number, but returned array"),
    (lambda estimator, X, y: {"a": 1.0}, "must return a finite number"),
    (lambda estimator: 1.0, r"failed on the validation part \(X_val, y_val\): TypeError"),
    ("accurate", "scoring must be None, 'loss', a name .*, got 'accurate'"),
    (3, "scoring must be None, 'loss', a name .*, got 3"),
    (["accuracy"], r"scoring must be None, .*, got \['accuracy'\]"),
    (accuracy_score, "scoring must be None, .*accuracy_score.*scorer"),
]


@pytest.mark.parametrize(("scoring", "message"), BAD_SCORES)
def test_bad_scores(scoring, message):
    clf = quick(scoring=scoring)
    before = dict(vars(clf))
    with pytest.raises(ValueError, match=f"(?s){message}"):
        fit(clf)
    assert vars(clf) == before
    warm = fit(quick(warm_start=True)).set_params(scoring=scoring)
    before = dict(vars(warm))
    with pytest.raises(ValueError, match=f"(?s){message}"):
        fit(warm)
    assert vars(warm).keys() == before.keys()
    assert all(vars(warm)[name] is before[name] for name in before)


def test_bad_scores_name_what_they_are_of():
    given = {"X_val": X_val, "y_val": y_val, "sample_weight_val": np.ones(len(y_val))}
    with pytest.raises(ValueError, match=r"part \(X_val, y_val, sample_weight_val\): KeyError"):
        quick(scoring=raising).fit(X, y, **given)
    with pytest.raises(ValueError, match="failed on the validation part: KeyError"):
        quick(scoring=raising).fit(X, y)


def test_a_bad_scoring_is_named_without_early_stopping_too():
    with pytest.raises(ValueError, match="scoring must be"):
        quick(early_stopping=False, scoring="accurate").fit(X, y)


def test_another_score_or_part_judges_anew():
    clf = fit(quick(warm_start=True, n_iter_no_change=99))
    assert clf._training_state.best == max(clf.validation_scores_)
    fit(clf.set_params(scoring="loss"))
    assert np.isnan(clf.validation_scores_[:3]).all()
    assert clf._training_state.best == max(clf.validation_scores_[3:]) < 0
    clf.fit(X, y)
    assert np.isnan(clf.history_["validation_loss"][:6]).all()
    assert not np.isnan(clf.history_["validation_loss"][6:]).any()
    assert clf.n_iter_ == 9


# Several labels

QUALITIES = np.stack([LABELS % 2 == 0, LABELS > 4, LABELS % 3 == 0], axis=1).astype(int)
Y, Y_val = QUALITIES[:200], QUALITIES[200:300]


@pytest.mark.parametrize("scoring", [None, "loss", "f1_macro"])
def test_a_validation_set_with_several_labels(scoring):
    clf = quick(scoring=scoring, max_iter=6).fit(X, Y, X_val=X_val, y_val=Y_val)
    expected = {
        None: lambda: accuracy_score(Y_val, clf.predict(X_val)),
        "loss": lambda: -min(clf.history_["validation_loss"]),
        "f1_macro": lambda: f1_score(Y_val, clf.predict(X_val), average="macro"),
    }[scoring]()
    assert max(clf.validation_scores_) == pytest.approx(expected)
    log_p = np.log(np.where(Y_val, clf.predict_proba(X_val), 1 - clf.predict_proba(X_val)))
    best = int(np.argmax(clf.validation_scores_))
    assert clf.history_["validation_loss"][best] == pytest.approx(-log_p.sum(axis=1).mean())


def test_weights_of_several_labels_apply_to_a_validation_set():
    by_label = [{0: 1, 1: 2}, {0: 3, 1: 1}, {0: 1, 1: 1}]
    clf = quick(class_weight=by_label).fit(X, Y, X_val=X_val, y_val=Y_val)
    weights = np.where(Y_val[:, 0], 2, 1) * np.where(Y_val[:, 1], 1, 3)
    best = accuracy_score(Y_val, clf.predict(X_val), sample_weight=weights)
    assert max(clf.validation_scores_) == pytest.approx(best)
    balanced = quick(class_weight="balanced").fit(X, Y, X_val=X_val, y_val=Y_val)
    weights = np.ones(100)
    for label in range(3):
        share = np.bincount(Y[:, label]) / 200
        weights /= 2 * share[Y_val[:, label]]
    best = accuracy_score(Y_val, balanced.predict(X_val), sample_weight=weights)
    assert max(balanced.validation_scores_) == pytest.approx(best)


def test_the_internal_split_of_several_labels_has_any_score():
    clf = quick(scoring="f1_micro").fit(X, Y)
    assert clf.loss_curve_ == quick().fit(X, Y).loss_curve_
    assert all(0 <= score <= 1 for score in clf.validation_scores_)


@pytest.mark.parametrize(
    ("targets", "labels", "message"),
    [
        (Y, y_val, r"y_val must be a matrix of 3 labels.*got an array of shape \(100,\)"),
        (Y, Y_val[:, :2], "y_val has 2 labels, but y 3"),
        (Y, Y_val + 1, "y_val of shape .* values other than 0 and 1"),
        (y, Y_val, r"y_val must be 1D class labels.*got an array of shape \(100, 3\)"),
    ],
)
def test_other_labels_than_those_of_y(targets, labels, message):
    with pytest.raises(ValueError, match=message):
        quick().fit(X, targets, X_val=X_val, y_val=labels)

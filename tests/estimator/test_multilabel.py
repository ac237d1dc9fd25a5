"""Several labels a sample: `y` as an indicator matrix."""

import copy
import pickle
import re
from math import ceil

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_validate, train_test_split
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.utils.class_weight import compute_sample_weight
from threadpoolctl import threadpool_limits

from skcnn import ScratchCNNClassifier
from skcnn._estimator.data import FitArguments, held_out_size, read_data, split
from skcnn.layers import Dense, Flatten, ReLU
from tests.shared import assert_same_model, quick

DIGITS, NUMBERS = load_digits(return_X_y=True)
QUALITIES = np.column_stack(
    [NUMBERS % 2 == 0, NUMBERS >= 5, np.isin(NUMBERS, [0, 6, 8, 9])]  # even, large, with a loop
).astype(int)
X, Y = DIGITS[:200], QUALITIES[:200]


@pytest.mark.slow
def test_qualities_of_digits_are_learned():
    train, test, labels, true = train_test_split(DIGITS, QUALITIES, random_state=0)
    clf = ScratchCNNClassifier(filters=(8, 16), max_iter=30, random_state=0)
    clf.fit(train, labels)
    right = clf.predict(test) == true
    assert (right.mean(axis=0) > 0.95).all()
    assert clf.score(test, true) == right.all(axis=1).mean() > 0.91


def test_what_comes_out_is_as_in_mlp_classifier():
    clf, mlp = quick().fit(X, Y), MLPClassifier(8, max_iter=2, random_state=0)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        mlp.fit(X, Y)
    assert clf.out_activation_ == mlp.out_activation_ == "logistic"
    assert np.array_equal(clf.classes_, mlp.classes_)
    for method in ("predict", "predict_proba", "predict_log_proba"):
        ours, theirs = getattr(clf, method)(X[:7]), getattr(mlp, method)(X[:7])
        assert type(ours) is type(theirs)
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
        assert ours.flags.c_contiguous
    probabilities = clf.predict_proba(X)
    assert np.array_equal(clf.predict(X), probabilities > 0.5)
    np.testing.assert_allclose(np.exp(clf.predict_log_proba(X)), probabilities, rtol=1e-12)
    assert clf.score(X, Y) == (clf.predict(X) == Y).all(axis=1).mean()


def test_classes_are_not_labels():
    one_hot = np.eye(10, dtype=int)[NUMBERS[:200]]
    labels, classes = quick().fit(X, one_hot), quick().fit(X, one_hot.argmax(axis=1))
    assert (labels.out_activation_, classes.out_activation_) == ("logistic", "softmax")
    assert labels.predict(X).shape == (200, 10)
    assert classes.predict(X).shape == (200,)
    np.testing.assert_allclose(classes.predict_proba(X).sum(axis=1), 1)
    assert (np.abs(labels.predict_proba(X).sum(axis=1) - 1) > 1e-3).any()
    assert quick().fit(X, Y[:, 0]).out_activation_ == "softmax"


def test_a_network_without_layers_is_a_logistic_regression_for_each_label():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((60, 4))
    labels = rows @ rng.standard_normal((4, 3)) + rng.logistic(size=(60, 3)) > 0
    clf = ScratchCNNClassifier(
        [], optimizer="sgd", lr=0.2, weight_decay=0.05, batch_size=60, max_iter=1500, tol=0,
        n_iter_no_change=1500, scale_input=False, random_state=0,
    ).fit(rows, labels)  # fmt: skip
    for k in range(3):
        # not the default solver: SciPy deprecates what scikit-learn 1.6 passes to that
        reference = LogisticRegression(C=1 / (60 * 0.05), tol=1e-10, solver="newton-cholesky")
        reference.fit(rows, labels[:, k])
        expected = reference.predict_proba(rows)[:, 1]
        np.testing.assert_allclose(clf.predict_proba(rows)[:, k], expected, atol=1e-5)


FORMS = {
    "float": Y.astype(float),
    "bool": Y.astype(bool),
    "uint8": Y.astype(np.uint8),
    "object": Y.astype(object),
    "list": Y.tolist(),
    "list of arrays": list(Y),
    "Fortran": np.asfortranarray(Y),
    "csr_array": sparse.csr_array(Y),
    "csc_matrix": sparse.csc_matrix(Y.astype(float)),
    "pandas": pd.DataFrame(Y, columns=["even", "large", "loop"]),
    "pandas of bool and int": pd.DataFrame({"a": Y[:, 0] > 0, "b": Y[:, 1], "c": Y[:, 2] > 0}),
    "polars": pl.DataFrame(Y, schema=["even", "large", "loop"]),
}


@pytest.mark.parametrize("form", FORMS)
def test_all_forms_of_the_same_labels_give_the_same_model(form):
    clf = quick().fit(X, FORMS[form])
    assert_same_model(clf, quick().fit(X, Y))
    assert type(clf.predict(X)) is np.ndarray
    if "object" not in form and "bool and int" not in form:  # which the metrics do not take
        assert clf.score(X, FORMS[form]) == clf.score(X, Y)


BAD_LABELS = [
    (Y * 2, r"y of shape \(200, 3\) has values other than 0 and 1"),
    (Y * 2 - 1, "other than 0 and 1"),
    (sparse.csr_array(Y * 2), "other than 0 and 1"),
    (Y + np.arange(200)[:, None] % 2, "other than 0 and 1 .*'multiclass-multioutput'"),
    (np.where(Y, "yes", "no"), "other than 0 and 1 .*'multiclass-multioutput'"),
    (np.array([["a", 1]] * 200, dtype=object), "other than 0 and 1 .*'unknown'"),
    (Y * 0.5 + 0.1, "Unknown label type: continuous-multioutput"),
    (np.where(Y, np.nan, 1.0), "Input y contains NaN"),
    (np.where(Y, np.inf, 1.0), "Input y contains infinity"),
    (np.zeros((200, 3)), r"all samples have the same labels: \[0, 0, 0\]"),
    (np.tile([True, False], (200, 1)), r"all samples have the same labels: \[1, 0\]"),
    (Y[:100], "inconsistent numbers of samples"),
    (Y[:, :0], "0 feature"),
    (Y[:, :, None], "dim 3|1d array"),
    (sparse.csr_array(Y[:, :1]), r"a column for each of several labels, got the shape \(200, 1\)"),
    ([[0], [1, 2]] * 100, "legacy multi-label data representation.*MultiLabelBinarizer"),
]


@pytest.mark.parametrize(("bad", "message"), BAD_LABELS, ids=lambda value: str(value)[-30:])
def test_bad_labels(bad, message):
    clf = quick()
    before = dict(vars(clf))
    with pytest.raises(ValueError, match=f"(?s){message}"):
        clf.fit(X, bad)
    assert vars(clf) == before


@given(
    labels=st.tuples(st.integers(1, 9), st.integers(2, 4)).flatmap(lambda s: arrays(bool, s)),
    early_stopping=st.booleans(),
)
@settings(max_examples=60)
def test_any_labels_that_differ_somewhere_are_learned(labels, early_stopping):
    rows = np.random.default_rng(0).random((len(labels), 4))
    clf = quick(early_stopping=early_stopping)
    if (labels == labels[0]).all():
        with pytest.raises(ValueError, match="at least 2 classes"):
            clf.fit(rows, labels)
        return
    clf.fit(rows, labels)
    assert clf.predict(rows).shape == clf.predict_proba(rows).shape == labels.shape
    assert np.array_equal(clf.classes_, np.arange(labels.shape[1]))


def test_a_label_that_is_never_true_is_learned():
    clf = quick(max_iter=10).fit(X, np.column_stack([Y, np.zeros(200, int)]))
    assert not clf.predict(X)[:, 3].any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("targets", [Y, Y[:, 0]], ids=["labels", "classes"])
@pytest.mark.parametrize("lr", [1e30, 1e153])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_probabilities_and_their_logarithms_are_finite_at_any_rate(lr, targets, dtype):
    clf = quick(lr=lr, dtype=dtype, early_stopping=True, hidden_layer_sizes=())
    clf.fit(X[:20], targets[:20])  # one step an epoch, which may lead anywhere
    assert np.isfinite(clf.predict_proba(X)).all()
    assert np.isfinite(clf.predict_log_proba(X)).all()


# Weights


def test_integer_weights_are_repetitions():
    counts = np.random.default_rng(0).integers(0, 4, 200)
    for class_weight in (None, "balanced", [{0: 1, 1: 3}, {0: 2}, {}]):
        clf = quick(batch_size=600, shuffle=False, class_weight=class_weight)
        weighted = copy.copy(clf).fit(X, Y, sample_weight=counts)
        repeated = clf.fit(np.repeat(X, counts, axis=0), np.repeat(Y, counts, axis=0))
        np.testing.assert_allclose(
            weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-8, atol=1e-10
        )


@pytest.mark.parametrize(
    "class_weight", ["balanced", [{0: 1, 1: 3}, {0: 0.5, 1: 2}, {0: 1, 1: 0.1}]]
)
def test_class_weights_are_products_over_the_labels(class_weight):
    clf = quick(class_weight=class_weight)
    weights = read_data(clf, FitArguments(X, Y)).weights.total
    expected = compute_sample_weight(class_weight, Y)
    np.testing.assert_allclose(weights / weights.mean(), expected / expected.mean(), rtol=1e-12)
    times = np.random.default_rng(0).random(200)
    if class_weight != "balanced":
        both = read_data(clf, FitArguments(X, Y, times)).weights.total
        np.testing.assert_allclose(both / both.sum(), expected * times / (expected @ times))
    weighted = quick().fit(X, Y, sample_weight=expected)
    clf.fit(X, Y)
    np.testing.assert_allclose(clf.weights_, weighted.weights_, rtol=1e-6, atol=1e-9)


def test_the_weights_of_a_thousand_labels_stay_in_range():
    labels = np.random.default_rng(0).random((50, 3000)) < 0.02
    for class_weight in ("balanced", [{0: 1e-3, 1: 1}] * 3000, [{0: 1e3, 1: 1}] * 3000):
        weights = read_data(quick(class_weight=class_weight), FitArguments(X[:50], labels)).weights
        assert weights.total.max() == 1


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ({0: 1, 1: 2}, r"for a y of 3 labels, a list of 3 dicts .*, got \{0: 1, 1: 2\}"),
        ([{0: 1}, {1: 2}], "a list of 3 dicts"),
        ([{0: 1}, None, "balanced"], "a list of 3 dicts"),
        ("auto", "class_weight must be None, 'balanced' or a dict"),
        ([{0: -1}, {}, {}], r"class_weight\[0\] must be a number in"),
        ([{2: 1}, {}, {}], "class_weight"),
        (3, "a list of 3 dicts"),
    ],
)
def test_bad_class_weights(class_weight, message):
    with pytest.raises(ValueError, match=message):
        quick(class_weight=class_weight).fit(X, Y)


def test_a_list_of_class_weights_needs_labels():
    with pytest.raises(ValueError, match="class_weight must be None, 'balanced' or a dict"):
        quick(class_weight=[{0: 1}, {1: 2}]).fit(X, Y[:, 0])


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.zeros(200), "are all zero"),
        ((Y[0] == Y).all(axis=1), r"positive only for the labels \[1, 0, 1\]"),
        (-np.ones(200), "must not be negative"),
    ],
)
def test_weights_leave_something_to_learn(weights, message):
    with pytest.raises(ValueError, match=message):
        quick().fit(X, Y, sample_weight=weights)


# Early stopping and going on


@pytest.mark.parametrize("fraction", [0.1, 0.33])
def test_held_out_rows_are_drawn_without_regard_to_labels(fraction):
    many = np.eye(40, dtype=bool)  # no label is true twice
    data = read_data(quick(), FitArguments(DIGITS[:40], many))
    training, held_out = split(data, held_out_size(data, fraction, ""), 0, "")
    assert len(held_out) == ceil(fraction * 40)
    assert sorted([*training.input.images.rows, *held_out.input.images.rows]) == list(range(40))


def test_early_stopping_keeps_the_weights_of_the_best_subset_accuracy():
    clf = quick(early_stopping=True, max_iter=6, validation_fraction=0.2, tol=0).fit(X, Y)
    scores = clf.validation_scores_
    assert len(scores) == 6
    assert all(score * 40 == pytest.approx(round(score * 40)) for score in scores)
    shorter = quick(
        early_stopping=True, max_iter=int(np.argmax(scores)) + 1, validation_fraction=0.2, tol=0
    )
    assert np.array_equal(clf.weights_, shorter.fit(X, Y).weights_)


def test_early_stopping_wants_weights_in_both_parts():
    weights = np.zeros(200)
    weights[:2] = 1
    message = "leaves nothing of positive weight to validate on"
    with pytest.raises(ValueError, match=message):
        quick(early_stopping=True).fit(X, Y, sample_weight=weights)


def test_warm_start_goes_on_exactly():
    whole = quick(max_iter=4).fit(X, Y)
    parts = quick(warm_start=True).fit(X, Y)
    parts = pickle.loads(pickle.dumps(parts)).fit(X, Y)
    assert_same_model(whole, parts)


def test_warm_start_wants_the_same_labels():
    clf = quick(warm_start=True).fit(X, Y)
    before = clf.weights_.copy()
    for other, message in (
        (Y[:, :2], "fitted on 3 labels in a matrix, y has 2 labels in a matrix"),
        (NUMBERS[:200] % 3, "fitted on 3 labels in a matrix, y has [0 1 2]"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            clf.fit(X, other)
    assert np.array_equal(clf.weights_, before)
    clf = quick(warm_start=True).fit(X, NUMBERS[:200] % 3)
    with pytest.raises(ValueError, match=r"fitted on \[0 1 2\], y has 3 labels in a matrix"):
        clf.fit(X, Y)
    assert clf.set_params(warm_start=False).fit(X, Y).out_activation_ == "logistic"


# Company


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_do_not_depend_on_the_number_of_threads(dtype):
    models = []
    for n_threads in (1, 2):
        with threadpool_limits(n_threads, "blas"):
            clf = quick(filters=(8, 16), batch_size=200, dropout=0.2, dtype=dtype)
            models.append(clf.fit(X, Y))
    assert models[0].network_.cost.micro_batch_size() < 200
    assert_same_model(*models)
    assert models[0].predict_proba(X).dtype == dtype


def test_pickles_and_carried_weights_predict_the_same():
    clf = quick().fit(X, Y)
    expected = clf.predict_proba(X)
    again = pickle.loads(pickle.dumps(clf))
    assert np.array_equal(again.predict_proba(X), expected)
    other = quick(random_state=1).fit(X, Y)
    other.set_weights(clf.network_.unpack(clf.weights_))
    assert np.array_equal(other.predict_proba(X), expected)


def test_scores_of_labels_in_a_cross_validation():
    scoring = ["accuracy", "f1_micro", "roc_auc"]
    result = cross_validate(quick(), X, Y, cv=2, scoring=scoring, error_score="raise")
    assert all(np.isfinite(result[f"test_{name}"]).all() for name in scoring)


def test_wrappers_for_several_outputs():
    several = MultiOutputClassifier(quick()).fit(X, Y)
    alone = [quick().fit(X, Y[:, k]).predict(X) for k in range(3)]
    assert np.array_equal(several.predict(X), np.column_stack(alone))
    chain = ClassifierChain(quick(layers=[Flatten(), Dense(8), ReLU()])).fit(X, Y)
    assert chain.predict(X).shape == (200, 3)
    mixed = np.column_stack([NUMBERS[:200], Y[:, 0]])  # what a matrix of labels cannot say
    assert MultiOutputClassifier(quick()).fit(X, mixed).predict(X).shape == (200, 2)

"""Inside scikit-learn's meta-estimators."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import (
    FixedThresholdClassifier,
    TunedThresholdClassifierCV,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.svm import SVC

from tests.shared import X, X_test, small, y, y_test


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        lambda clf: CalibratedClassifierCV(clf, cv=2),
        lambda clf: CalibratedClassifierCV(clf, cv=2, method="isotonic", ensemble=False),
        lambda clf: BaggingClassifier(clf, n_estimators=3, max_samples=0.8, random_state=0),
        lambda clf: AdaBoostClassifier(clf, n_estimators=3, random_state=0),
        lambda clf: VotingClassifier(
            [("cnn", clf), ("neighbours", KNeighborsClassifier())],
            voting="soft",
        ),
        lambda clf: StackingClassifier(
            [("cnn", clf), ("svc", SVC())], KNeighborsClassifier(),
            cv=2,
        ),
        lambda clf: OneVsRestClassifier(clf),
        lambda clf: OneVsOneClassifier(clf.set_params(max_iter=20)),
        lambda clf: OutputCodeClassifier(clf, code_size=2, random_state=0),
    ],
    ids=[
        "calibrated", "isotonic", "bagging", "boosting", "voting", "stacking", "one-vs-rest",
        "one-vs-one", "output codes",
    ],
)  # fmt: skip
def test_meta_estimator(make):
    assert make(small()).fit(X, y).score(X_test, y_test) > 0.85


def test_bagging_of_features_is_bagging_of_signals():
    """A part of the pixels is no image any more: 40 of them are a signal."""
    bagging = BaggingClassifier(small(), n_estimators=3, max_features=40, random_state=0)
    assert bagging.fit(X, y).score(X_test, y_test) > 0.85
    assert bagging.estimators_[0].image_shape_ == (1, 1, 40)


PARITY_AND_SIZE = np.column_stack([y % 2, y > 4]).astype(int)
PARITY_AND_SIZE_TEST = np.column_stack([y_test % 2, y_test > 4]).astype(int)


def test_multi_output():
    multi = MultiOutputClassifier(small()).fit(X, PARITY_AND_SIZE)
    found = multi.predict(X_test)
    assert (found == PARITY_AND_SIZE_TEST).mean(axis=0).min() > 0.9
    assert [p.shape for p in multi.predict_proba(X_test)] == [(600, 2)] * 2


def test_classifier_chain():
    """Later links get the earlier ones' outputs beside the 64 pixels: a signal of 65 values."""
    chain = ClassifierChain(small(max_iter=20), order=[0, 1]).fit(X, PARITY_AND_SIZE)
    assert (chain.predict(X_test) == PARITY_AND_SIZE_TEST).mean(axis=0).min() > 0.85
    assert [link.image_shape_ for link in chain.estimators_] == [(1, 8, 8), (1, 1, 65)]


def test_thresholds():
    rare, rare_test = (y == 8).astype(int), (y_test == 8).astype(int)
    plain = small(max_iter=6, lr=2e-3).fit(X, rare)
    tuned = TunedThresholdClassifierCV(clone(plain), scoring="balanced_accuracy", cv=3)
    tuned.fit(X, rare)
    score = balanced_accuracy_score(rare_test, tuned.predict(X_test))
    assert score > max(0.85, balanced_accuracy_score(rare_test, plain.predict(X_test)))
    expected = plain.predict_proba(X_test)[:, 1] >= 0.2
    fixed = FixedThresholdClassifier(
        FrozenEstimator(plain), threshold=0.2, response_method="predict_proba"
    )
    assert np.array_equal(fixed.fit(X, rare).predict(X_test), expected)


@pytest.mark.slow
def test_self_training():
    partly = np.where(np.arange(len(y)) < 100, y, -1)
    training = SelfTrainingClassifier(small(max_iter=20), threshold=0.9).fit(X, partly)
    assert training.classes_.tolist() == list(range(10))
    guessed = training.labeled_iter_ > 0
    assert guessed.sum() > 300
    assert (training.transduction_ == y)[guessed].mean() > 0.85
    few = small(max_iter=20).fit(X[:100], y[:100])
    assert training.score(X_test, y_test) > max(0.85, few.score(X_test, y_test))

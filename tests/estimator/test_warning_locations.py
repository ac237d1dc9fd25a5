"""Warnings point at the line of the user's code, however deep in the package they arise."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from tests.shared import DIGITS, LABELS, quick

X, y = DIGITS[:60], LABELS[:60]
COLOUR = np.random.default_rng(0).random((60, 3 * 8 * 8))

WARNED = {
    "flattened colour": (UserWarning, lambda: quick().fit(COLOUR, y)),
    "flattened colour, in parts": (
        UserWarning, lambda: quick().partial_fit(COLOUR, y, range(10)),
    ),
    "a column": (DataConversionWarning, lambda: quick().fit(X, y[:, np.newaxis])),
    "diverged": (
        ConvergenceWarning, lambda: quick(optimizer="sgd", lr=1e30).fit(X, y),
    ),
    "diverged, in parts": (
        ConvergenceWarning,
        lambda: quick(optimizer="sgd", lr=1e30, batch_size=8).partial_fit(X, y, range(10)),
    ),
    "through fit_transform": (UserWarning, lambda: quick().fit_transform(COLOUR, y)),
    "in a pipeline": (
        UserWarning, lambda: make_pipeline(FunctionTransformer(), quick()).fit(COLOUR, y),
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", WARNED)
def test_warnings_point_at_the_users_line(what):
    category, call = WARNED[what]
    with pytest.warns(category) as caught:
        call()
    assert [warning.filename for warning in caught] == [__file__]
    assert caught[0].lineno == call.__code__.co_firstlineno


def learns_nothing(**parameters):
    """A training of some length that learns nothing."""
    return quick(lr=1e-9, batch_size=10, max_iter=20, n_iter_no_change=None, **parameters)


FAILS = {
    "fit diverged": (quick(optimizer="sgd"), lambda clf: clf.set_params(lr=1e30).fit(X, y)),
    "warm start diverged": (
        quick(optimizer="sgd", warm_start=True), lambda clf: clf.set_params(lr=1e30).fit(X, y),
    ),
    "part diverged": (
        quick(optimizer="sgd", batch_size=8),
        lambda clf: clf.set_params(lr=1e30).partial_fit(X, y, range(10)),
    ),
    "fit learned nothing": (learns_nothing(), lambda clf: clf.fit(X, y)),
    "warm start learned nothing": (learns_nothing(warm_start=True), lambda clf: clf.fit(X, y)),
}  # fmt: skip


@pytest.mark.parametrize("what", FAILS)
@pytest.mark.parametrize("fitted", [True, False])
def test_a_warning_that_is_an_error_leaves_the_estimator_as_it_was(what, fitted):
    clf, fail = FAILS[what]
    clf = clone(clf)
    if fitted:
        clf.partial_fit(X, y, range(10))
    before = dict(vars(clf))
    with pytest.raises(ConvergenceWarning):  # warnings are errors in these tests
        fail(clf)
    after = dict(vars(clf)) | {"lr": before["lr"]}
    assert after.keys() == before.keys()
    assert all(after[name] is before[name] for name in before)

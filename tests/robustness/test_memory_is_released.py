"""Nothing is left for the garbage collector: what a call used is free when it returns or fails."""

import gc
import types

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from skcnn import ScratchCNNRegressor
from skcnn.training import minibatch
from tests.shared import InterruptedThreads, X, quick, y

ROWS = np.tile(X, (3, 1, 1)).reshape(-1, 8, 8)
LABELS = np.tile(y, 3)


def fails_in_the_first_micro_batch(*args):
    raise MemoryError("no more")


def broken_scorer(estimator, X, y):
    raise RuntimeError("no score")


def interrupted(clf, monkeypatch):
    monkeypatch.setattr("skcnn._estimator.resources.Threads", lambda *args: InterruptedThreads(2))
    with pytest.raises(KeyboardInterrupt):
        clf.fit(ROWS, LABELS)


def out_of_memory(clf, monkeypatch):
    monkeypatch.setattr(minibatch, "gradient", fails_in_the_first_micro_batch)
    with pytest.raises(MemoryError):
        clf.fit(ROWS, LABELS)


def without_score(clf, monkeypatch):
    clf.set_params(early_stopping=True, scoring=broken_scorer)
    with pytest.raises(ValueError, match="no score"):
        clf.fit(ROWS, LABELS)


def wrong_labels(clf, monkeypatch):
    with pytest.raises(ValueError, match="inconsistent"):
        clf.fit(ROWS, LABELS[1:])


def searched(clf, monkeypatch):
    GridSearchCV(clf, {"lr": [1e-3, 3e-3]}, cv=2).fit(ROWS, LABELS).predict(ROWS)


def stopped_early(clf, monkeypatch):
    clf.set_params(early_stopping=True, scoring="accuracy").fit(ROWS, LABELS).score(ROWS, LABELS)


def in_parts(clf, monkeypatch):
    clf.partial_fit(ROWS, LABELS, classes=range(10)).partial_fit(ROWS, LABELS)


def of_quantities(clf, monkeypatch):
    ScratchCNNRegressor(filters=4, max_iter=2, random_state=0).fit(ROWS, LABELS).predict(ROWS)


CALLS = [
    searched, stopped_early, in_parts, of_quantities, interrupted, out_of_memory, without_score,
    wrong_labels,
]  # fmt: skip


def ours_in(garbage):
    """Arrays, frames and our own objects among what only the collector can free."""
    held = [inner for outer in garbage for inner in gc.get_referents(outer)]
    return [
        thing
        for thing in garbage + held
        if isinstance(thing, np.ndarray | types.FrameType)
        or type(thing).__module__.startswith("skcnn")
    ]


@pytest.mark.slow
@pytest.mark.parametrize("call", CALLS)
def test_no_circle_of_references_holds_an_array(call):
    clf = quick(batch_size=600)
    with pytest.MonkeyPatch.context() as monkeypatch:
        call(quick(batch_size=600), monkeypatch)  # whatever is imported or kept for good
        gc.collect()
        gc.disable()
        try:
            call(clf, monkeypatch)
            del clf
            gc.set_debug(gc.DEBUG_SAVEALL)
            gc.collect()
        finally:
            gc.set_debug(0)
            gc.enable()
            found, gc.garbage[:] = list(gc.garbage), []
    assert [type(thing) for thing in ours_in(found)] == []

"""scikit-learn's callbacks: they hear of every epoch, see the model, and may stop it."""

import subprocess
import sys
from functools import partial

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcnn._estimator.data import FitArguments, read_data, split
from skcnn._estimator.model import Model
from tests import shared
from tests.shared import assert_same_model

X, y = (part[:200] for part in load_digits(return_X_y=True))

WITHOUT = """
import sys
sys.modules["sklearn.callback"] = None  # as before scikit-learn 1.9
import numpy as np
from sklearn.base import clone
from skcnn import ScratchCNNClassifier
clf = ScratchCNNClassifier(filters=2, hidden_layer_sizes=4, max_iter=2)
X = np.random.default_rng(0).random((20, 16))
assert not hasattr(clf, "set_callbacks")
assert clone(clf.fit(X, np.arange(20) % 2)).fit(X, np.arange(20) % 2).n_iter_ == 2
"""


def test_without_sklearn_callback_nothing_is_missed():
    subprocess.run([sys.executable, "-c", WITHOUT], check=True)


callback = pytest.importorskip("sklearn.callback", reason="callbacks came with scikit-learn 1.9")

quick = partial(shared.quick, max_iter=3)


class Recorder:
    """Writes down what it hears, and asks to stop after some epoch."""

    def __init__(self, stop_after=None, fail_at=None):
        self.heard, self.stop_after, self.fail_at = [], stop_after, fail_at

    def note(self, hook, context=None, **seen):
        self.heard.append((hook, context, seen))
        if hook == self.fail_at:
            raise RuntimeError(f"failed at {hook}")

    def setup(self, estimator, context):
        self.note("setup", context)

    def on_fit_task_begin(self, estimator, context):
        self.note("begin", context)

    def on_fit_task_end(self, estimator, context, *, X, y, metadata, fitted_estimator):
        self.note("end", context, X=X, y=y, metadata=metadata, fitted=fitted_estimator)
        return context.task_name == f"epoch {self.stop_after}"

    def teardown(self, estimator, context):
        self.note("teardown", context)

    def hooks(self):
        return [(hook, context.task_name) for hook, context, _ in self.heard]

    def epochs(self):
        return [
            seen
            for hook, context, seen in self.heard
            if hook == "end" and context.parent is not None
        ]


class Listener(Recorder):
    """Asks for nothing but the fact."""

    def on_fit_task_end(self, estimator, context):
        self.note("end", context)


def test_every_epoch_is_a_task_of_the_fit():
    recorder = Recorder()
    clf = quick().set_callbacks(recorder)
    names = set(vars(quick().fit(X, y))) | {"_skl_callbacks"}
    assert_same_model(clf.fit(X, y), quick().fit(X, y))
    epochs = [(hook, f"epoch {n}") for n in (1, 2, 3) for hook in ("begin", "end")]
    fit = [("setup", "fit"), ("begin", "fit"), *epochs, ("end", "fit"), ("teardown", "fit")]
    assert recorder.hooks() == fit
    root = recorder.heard[0][1]
    assert (root.max_subtasks, root.estimator_name) == (3, "ScratchCNNClassifier")
    assert [context.task_id for context in root][1:] == [0, 1, 2]
    assert set(vars(clf)) == names


def test_the_estimator_they_see_is_as_if_fit_had_stopped():
    recorder = Recorder()
    clf = quick(n_iter_no_change=99).set_callbacks(recorder).fit(X, y)
    *epochs, last = [seen for hook, _, seen in recorder.heard if hook == "end"]
    for n, seen in enumerate(epochs, 1):
        shorter = quick(max_iter=n, n_iter_no_change=99).fit(X, y)
        assert_same_model(seen["fitted"], shorter)
        assert np.array_equal(seen["fitted"].predict_proba(X), shorter.predict_proba(X))
        assert np.array_equal(seen["X"], X)
        assert np.array_equal(seen["y"], y)
        assert seen["metadata"] == {}
    assert_same_model(last["fitted"], clf)


def test_they_see_the_training_rows_only():
    recorder = Recorder()
    table = pd.DataFrame(X, columns=[f"p{i}" for i in range(64)])
    weights = np.linspace(0.5, 2, 200)
    clf = quick(early_stopping=True).set_callbacks(recorder).fit(table, y, sample_weight=weights)
    state = quick(early_stopping=True, warm_start=True).fit(X, y, weights)._training_state
    data = read_data(clf, FitArguments(X, y, weights))
    rows = split(data, 20, state.seed, "")[0].input.images.rows
    for seen in recorder.epochs():
        pd.testing.assert_frame_equal(seen["X"], table.iloc[rows])
        assert np.array_equal(seen["y"], y[rows])
        assert np.array_equal(seen["metadata"]["sample_weight"], weights[rows])
        assert seen["fitted"].predict(table).shape == (200,)


def test_under_early_stopping_the_best_so_far_is_what_they_see():
    recorder = Recorder()
    settings = {"early_stopping": True, "max_iter": 25, "lr": 2e-2, "n_iter_no_change": 99}
    clf = quick(**settings).set_callbacks(recorder).fit(X, y)
    seen = [epoch["fitted"].weights_ for epoch in recorder.epochs()]
    best = int(np.argmax(clf.validation_scores_))
    assert best < 24
    assert all(np.array_equal(weights, clf.weights_) for weights in seen[best:])
    assert not any(np.array_equal(weights, clf.weights_) for weights in seen[:best])


def test_a_model_is_built_only_when_asked_for(monkeypatch):
    calls = []
    original = Model.attributes
    monkeypatch.setattr(Model, "attributes", lambda *args: calls.append(1) or original(*args))
    quick().set_callbacks(Listener()).fit(X, y)
    assert len(calls) == 1  # the one that is written
    quick().set_callbacks(Recorder()).fit(X, y)
    assert len(calls) == 1 + 5


@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_request_to_stop_stops_after_that_epoch(early_stopping):
    settings = {"early_stopping": early_stopping, "max_iter": 50, "warm_start": True}
    clf = quick(**settings).set_callbacks(Recorder(stop_after=2)).fit(X, y)
    assert clf.n_iter_ == 2
    assert_same_model(clf, quick(**settings | {"max_iter": 2}).fit(X, y))
    clf.set_callbacks().set_params(max_iter=2).fit(X, y)  # and go on as if nothing had been
    assert_same_model(clf, quick(**settings | {"max_iter": 4}).fit(X, y))


def test_epochs_are_counted_on_under_warm_start():
    recorder = Recorder()
    clf = quick(warm_start=True, max_iter=2).fit(X, y).set_callbacks(recorder).fit(X, y)
    names = [name for hook, name in recorder.hooks() if hook == "begin"]
    assert names == ["fit", "epoch 3", "epoch 4"]
    assert clf.n_iter_ == 4


@pytest.mark.parametrize("hook", ["setup", "begin", "end", "teardown"])
def test_a_callback_that_fails(hook):
    clf = quick().set_callbacks(Recorder(fail_at=hook))
    before = dict(vars(clf))
    with pytest.raises(RuntimeError, match=f"failed at {hook}"):
        clf.fit(X, y)
    assert vars(clf) == before


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_divergence_ends_its_epoch():
    recorder = Recorder()
    quick(optimizer="sgd", lr=1e30).set_callbacks(recorder).fit(X, y)
    hooks = recorder.hooks()
    assert hooks[2:-2] == [("begin", "epoch 1"), ("end", "epoch 1")]
    assert recorder.heard[3][2]["fitted"] is None


def test_bad_input_reaches_no_callback():
    recorder = Recorder()
    with pytest.raises(ValueError, match="lr must be"):
        quick(lr=0).set_callbacks(recorder).fit(X, y)
    assert recorder.heard == []


def test_clones_keep_callbacks_and_pickles_predict():
    recorder = Recorder()
    clf = clone(quick().set_callbacks(recorder)).fit(X, y)
    assert len(recorder.epochs()) == 3
    assert clf.score(X, y) == quick().fit(X, y).score(X, y)


# Those of scikit-learn


def test_scoring_monitor():
    monitor = callback.ScoringMonitor(scoring=["accuracy", "neg_log_loss"])
    clf = quick(max_iter=5).set_callbacks(monitor).fit(X, y)
    log = monitor.get_logs().data
    epochs = [row for row in log if row["task_name"].startswith("epoch")]
    assert len(epochs) == 5
    assert epochs[-1]["accuracy"] == clf.score(X, y)
    assert epochs[-1]["neg_log_loss"] > epochs[0]["neg_log_loss"]
    assert epochs[0]["accuracy"] == quick(max_iter=1).fit(X, y).score(X, y)


@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_scoring_monitor_in_a_pipeline_in_a_search(n_jobs):
    monitor = callback.ScoringMonitor(scoring="accuracy")
    pipeline = make_pipeline(StandardScaler(), quick(max_iter=2).set_callbacks(monitor))
    grid = {"scratchcnnclassifier__lr": [1e-3, 3e-3]}
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=n_jobs).fit(X, y)
    assert hasattr(search, "best_estimator_")
    logs = monitor.get_logs(select="all")
    rows = [row for log in logs for row in log.data if row["task_name"].startswith("epoch")]
    assert len(rows) == (2 * 2 + 1) * 2  # settings times folds and the refit, epochs
    assert all(0 <= row["accuracy"] <= 1 for row in rows)


class Propagated(Recorder):
    """Set on the outermost estimator, heard in all."""

    max_propagation_depth = None


def test_callbacks_of_a_search_hear_the_epochs_inside():
    recorder = Propagated()
    pipeline = make_pipeline(StandardScaler(), quick(max_iter=2))
    search = GridSearchCV(pipeline, {"scratchcnnclassifier__lr": [1e-3, 3e-3]}, cv=2)
    if not hasattr(search, "set_callbacks") or not hasattr(pipeline, "set_callbacks"):
        pytest.skip("this scikit-learn has no callbacks in searches or pipelines")
    search.set_callbacks(recorder).fit(X, y)
    names = [name for hook, name in recorder.hooks() if hook == "end"]
    assert names.count("epoch 1") == names.count("epoch 2") == 5


@pytest.mark.parametrize("outer", ["classifier", "pipeline", "search"])
def test_progress_bars_show_epochs(capsys, outer):
    pytest.importorskip(
        "rich", reason="scikit-learn draws its bars with rich (in the extra [test])"
    )
    estimator = quick()
    if outer != "classifier":
        estimator = make_pipeline(StandardScaler(), estimator)
    if outer == "search":
        estimator = GridSearchCV(estimator, {"scratchcnnclassifier__lr": [1e-3, 3e-3]}, cv=2)
    if not hasattr(estimator, "set_callbacks"):
        pytest.skip(f"this scikit-learn has no callbacks in a {outer}")
    bar = callback.ProgressBar(max_propagation_depth=None)
    estimator.set_callbacks(bar).fit(X, y)
    shown = capsys.readouterr().out
    assert "ScratchCNNClassifier" in shown
    assert "100%" in shown
    assert shown.count("ScratchCNNClassifier") >= (5 if outer == "search" else 1)


def test_scikit_learn_has_not_changed_what_it_documents_for_third_parties():
    assert hasattr(callback.CallbackSupportMixin, "_init_callback_context"), sklearn.__version__

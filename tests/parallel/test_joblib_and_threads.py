"""In other processes and threads."""

import os
import threading
from collections import Counter
from dataclasses import dataclass

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import (
    BaggingClassifier,
)
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    cross_val_predict,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from threadpoolctl import threadpool_info, threadpool_limits

from skcnn.layers import Conv2d, ReLU
from skcnn.training import epoch
from skcnn.training.distributed.policy import WorkerPolicy
from tests.shared import X, X_test, assert_same_model, small, y
from tests.waiting import wait_until


def fit_and_return(clf):
    return clf.fit(X, y)


def test_a_round_trip_through_loky_then_clone(fitted):
    with joblib.parallel_config("loky"):
        twins = joblib.Parallel(n_jobs=2)(joblib.delayed(fit_and_return)(small()) for _ in range(2))
    for twin in twins:
        assert_same_model(twin, fitted)
        assert clone(twin).get_params() == small().get_params()
        assert_same_model(clone(twin).fit(X, y), fitted)


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_one_job_and_two_give_the_same(backend):
    pipeline = make_pipeline(MinMaxScaler(), small())
    alone = cross_val_predict(pipeline, X, y, cv=3, method="predict_proba", n_jobs=1)
    with joblib.parallel_config(backend):
        both = cross_val_predict(pipeline, X, y, cv=3, method="predict_proba", n_jobs=2)
        assert np.array_equal(both, alone)
    with joblib.parallel_config(backend):
        bagging = [
            BaggingClassifier(small(), n_estimators=2, random_state=0, n_jobs=n).fit(X, y)
            for n in (1, 2)
        ]
    assert np.array_equal(bagging[0].predict_proba(X_test), bagging[1].predict_proba(X_test))


@dataclass(frozen=True)
class Census(ReLU):
    """Notes, in every forward pass, which thread computes, and with how many of BLAS."""

    folder: str = ""
    least: int = 1

    def forward(self, x, y, params, scratch, training, rng):
        super().forward(x, y, params, scratch, training, rng)
        blas = max(
            (lib["num_threads"] for lib in threadpool_info() if "numpy" in lib["filepath"]),
            default=1,
        )
        name = f"{os.getpid()}-{threading.get_native_id()}-{blas}"
        with open(os.path.join(self.folder, name), "w"):
            pass
        wait_until(lambda: len(os.listdir(self.folder)) >= self.least)


def census(folder, run, least=1):
    """Count the threads that computed in each process while `run` was running.

    Nobody goes on before there are `least` of them, lest one is done before another has begun.
    """
    folder.mkdir()
    run(small(layers=[Conv2d(8, 3), Census(str(folder), least)], batch_size=300, max_iter=2))
    counts = Counter()
    for name in os.listdir(folder):
        pid, _, blas = map(int, name.split("-"))
        counts[pid] += blas
    return counts


def test_jobs_do_not_oversubscribe_the_cores(tmp_path, monkeypatch):
    # no processes, however slow the machine is
    monkeypatch.setattr(epoch, "POLICY", WorkerPolicy(np.inf, np.inf))
    with threadpool_limits(2, "blas"):
        here = census(tmp_path / "here", lambda clf: clf.fit(X, y), 2)
    assert here == {os.getpid(): 2}  # a census sees more than one thread where there are more
    with joblib.parallel_config("loky"):
        there = census(tmp_path / "there", lambda clf: cross_val_score(clf, X, y, cv=2, n_jobs=2))
    assert os.getpid() not in there
    assert sum(there.values()) <= max(2, joblib.cpu_count())

"""Two threads: one fits or predicts, another does something that limits BLAS, at random moments.

A case is a dict of plain values: "ours", "other", how many "milliseconds" each waits and holds
limits for, and how often they "repeat".
"""

import threading
import time
import warnings
from functools import cache

import numpy as np
from sklearn.cluster import KMeans
from sklearn.neighbors import KNeighborsClassifier
from threadpoolctl import threadpool_info, threadpool_limits

from skcnn import ScratchCNNClassifier
from skcnn.layers import Dense, Flatten, ReLU
from tests.shared import X, X_test, y

OURS = ("fit", "predict")
OTHERS = ("KMeans", "KNN", "limit 1", "limit 3", *OURS)


def draw(seed):
    """A random case."""
    rng = np.random.default_rng(seed)
    return {
        "ours": str(rng.choice(OURS)),
        "other": str(rng.choice(OTHERS)),
        "milliseconds": rng.integers(0, 40, 3).tolist(),
        "repeat": rng.integers(1, 4, 2).tolist(),
    }


def model():
    """Products that one thread and two round differently."""
    return ScratchCNNClassifier(
        layers=[Flatten(), Dense(700), ReLU(), Dense(300), ReLU()],
        max_iter=2, batch_size=64, lr=1e-3, random_state=0,
    )  # fmt: skip


@cache
def fitted():
    """The model without anybody else, and what it predicts."""
    with threadpool_limits(1, "blas"):
        alone = model().fit(X[:200], y[:200])
        return alone, alone.predict_proba(X_test)


def ours(name):
    """Compute; a text if the bits are not the ones without anybody else."""
    alone, expected = fitted()
    if name == "fit":
        found, expected = model().fit(X[:200], y[:200]).weights_, alone.weights_
    else:
        found = alone.predict_proba(X_test)
    return None if np.array_equal(found, expected) else f"other bits of {name}"


def other(name, seconds):
    """Whatever limits BLAS."""
    if name in OURS:
        return ours(name)
    if name == "KMeans":
        KMeans(4, n_init=2, random_state=0).fit(X)
    elif name == "KNN":
        KNeighborsClassifier().fit(X, y).predict(X_test)
    else:
        with threadpool_limits(int(name.split()[1]), "blas"):
            time.sleep(seconds)
    return None


def limits():
    """Number of threads of every BLAS, as everybody sees it."""
    return {lib["filepath"]: lib["num_threads"] for lib in threadpool_info()}


def run(case):
    """Try it; a text that says what went wrong, or None."""
    fitted()
    problems, together = [], threading.Barrier(2)
    wait, wait_other, hold = (ms / 1000 for ms in case["milliseconds"])

    def repeat(times, seconds, function, *args):
        try:
            together.wait()
            for _ in range(times):
                time.sleep(seconds)
                problems.append(function(*args))
        except Exception as error:
            problems.append(f"{type(error).__name__}: {str(error)[:300]}")

    one, two = case["repeat"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        threads = [
            threading.Thread(target=repeat, args=(one, wait, ours, case["ours"])),
            threading.Thread(target=repeat, args=(two, wait_other, other, case["other"], hold)),
        ]
        before = limits()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        after = limits()
    if after != before:
        problems.append(f"limits of {sorted(after.values())} are left")
    return next(filter(None, problems), None)

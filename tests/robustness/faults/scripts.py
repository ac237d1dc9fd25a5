"""Interpreters of their own, for what concerns a whole process."""

import subprocess
import sys
from collections import Counter

from tests.waiting import PATIENCE

BEGIN = """
import os, signal, sys, threading, time
import numpy as np
from threadpoolctl import threadpool_limits
from skcnn import ScratchCNNClassifier

if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which nohup would have them ignore

rng = np.random.default_rng(0)
X = rng.random((512, 1, 16, 16), dtype=np.float32)
y = rng.integers(0, 3, 512)
X[np.arange(512), 0, y, y] += 2


def fit(n, epochs=2, **parameters):
    settings = {"filters": (8, 16), "hidden_layer_sizes": 16, "batch_size": 128}
    clf = ScratchCNNClassifier(**settings | parameters, max_iter=epochs, random_state=0)
    with threadpool_limits(n, "blas"):
        return clf.fit(X, y)
"""


def run(code):
    """Output, errors and exit code; None in the place of the last is that it hangs."""
    process = begin(code)
    try:
        out, err = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        return out, err, None
    return out, err, process.returncode


def begin(code):
    """Start one."""
    return subprocess.Popen(
        [sys.executable, "-c", BEGIN + code], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip


def tell(what, outcomes: Counter):
    """Figures, which ``pytest -rP`` shows."""
    print(f"{what}: {sum(outcomes.values())} trials, {dict(outcomes)}")

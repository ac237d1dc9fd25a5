"""Digits, small networks and comparisons that several test files use."""

import numpy as np
import sklearn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skcnn import ScratchCNNClassifier
from skcnn.parallel.threads import Threads
from skcnn.training.distributed.policy import WorkerPolicy

DIGITS, LABELS = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(
    DIGITS, LABELS, train_size=600, test_size=600, stratify=LABELS, random_state=0
)
NAMES = [f"pixel{i}" for i in range(64)]


def since(*version):
    """Whether scikit-learn is at least that new."""
    return tuple(map(int, sklearn.__version__.split(".")[:2])) >= version


AT_ONCE = WorkerPolicy(-np.inf, -np.inf, measured=0.0, idle_share=-np.inf)
"""Every training asks for workers at once, whatever else the machine does."""


FIXED = {
    "kernel_size": 3, "pool_size": 2, "normalization": None, "global_pool": False,
    "random_shift": 0, "lr": 2e-3, "lr_schedule": "constant", "weight_decay": 1e-4,
    "batch_size": 64, "tol": 5e-4, "n_iter_no_change": 5,
}  # fmt: skip
"""Parameters whose "auto" depends on the data, for tests of something else."""


def quick(kind=ScratchCNNClassifier, /, **parameters):
    """An estimator that is trained for two epochs, for tests that only need a fitted model."""
    defaults = {**FIXED, "filters": 4, "hidden_layer_sizes": 8, "max_iter": 2, "random_state": 0}
    return kind(**defaults | parameters)


def small(**parameters):
    """A classifier that gets about 95 % of the digits right after 0.1 s of training."""
    defaults = {
        **FIXED, "filters": 8, "hidden_layer_sizes": 32, "max_iter": 10, "lr": 5e-3,
        "random_state": 0,
    }  # fmt: skip
    return ScratchCNNClassifier(**defaults | parameters)


def assert_same_model(left, right):
    """Bit-identical weights, and the same history."""
    assert left.weights_.dtype == right.weights_.dtype
    assert np.array_equal(left.weights_, right.weights_)
    assert left.history_ == right.history_


class InterruptedThreads(Threads):
    """Raises Ctrl-C in a given mini-batch."""

    def __init__(self, when):
        super().__init__(1)
        self.left = when

    def run(self, n_tasks, task, n_threads=None):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        super().run(n_tasks, task, n_threads)

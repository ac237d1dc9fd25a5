"""Memory of a fit, and time of the import, each measured in a new process."""

import os
import subprocess
import sys

import numpy as np

MEMORY_MUST, MEMORY_AIM = 100, 50  # MB
IMPORT_MUST, IMPORT_AIM = 50, 20  # ms

_NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"

_FIT = """
import resource
import numpy as np
from skcnn import ScratchCNNClassifier
from skcnn.layers import Conv2d, Dense, Flatten, MaxPool2d, ReLU
LENET = [
    Conv2d(6, 5, padding=2), ReLU(), MaxPool2d(2), Conv2d(16, 5), ReLU(), MaxPool2d(2),
    Flatten(), Dense(120), ReLU(), Dense(84), ReLU(),
]
rng = np.random.default_rng(0)
X = rng.random((60_000, 1, 28, 28), dtype=np.float32)
y = rng.integers(0, 10, 60_000)
ScratchCNNClassifier(layers=LENET, max_iter=1, random_state=0).fit(X[:100], y[:100])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
ScratchCNNClassifier(layers=LENET, max_iter=1, batch_size=128, random_state=0).fit(X, y)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""

_IMPORT = """
import time
import numpy, sklearn.base
start = time.perf_counter()
{}
print((time.perf_counter() - start) * 1e3)
"""


def _print_of(code: str) -> float:
    environment = {name: value for name, value in os.environ.items() if name != _NO_BYTECODE}
    run = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment
    )
    return float(run.stdout)


def memory_of_fit() -> float:
    """Return the peak megabytes of fitting LeNet on 60,000 images, beyond the data."""
    return _print_of(_FIT)


def milliseconds_of_import(rounds: int) -> float:
    """Return the median time to import the classifier after NumPy and sklearn.base.

    The first run, which may have to compile the source, is not counted.
    """
    runs = [
        _print_of(_IMPORT.format("from skcnn import ScratchCNNClassifier"))
        for _ in range(rounds + 1)
    ]
    return float(np.median(runs[1:]))

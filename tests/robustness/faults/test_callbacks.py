"""Exceptions in users' code at random epochs, full files, and files that many read."""

import signal
import sys
from collections import Counter

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from skcnn import ScratchCNNClassifier
from skcnn.parallel import shared_memory
from tests.robustness.faults.scripts import begin, tell
from tests.robustness.faults.traces import assert_as_before, traces
from tests.shared import X, quick, y
from tests.waiting import PATIENCE

resource = pytest.importorskip("resource")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

ERRORS = [ValueError, MemoryError, RecursionError, OSError, KeyboardInterrupt, SystemExit]


class Scorer:
    """Raises in a given epoch."""

    def __init__(self, when, error):
        self.left, self.error = when, error

    def __call__(self, estimator, X, y):
        self.left -= 1
        if self.left == 0:
            raise self.error("here")
        return estimator.score(X, y)


@pytest.mark.parametrize("error", ERRORS)
def test_scorers_that_raise(error):
    """The model is as it was; Ctrl-C after an epoch keeps that epoch's."""
    draw, outcomes = np.random.default_rng(0), Counter()
    with threadpool_limits(2, "blas"):
        clf = quick(early_stopping=True, max_iter=3).fit(X, y)
        before = traces()
        for _ in range(25):
            weights, when = clf.weights_, int(draw.integers(1, 5))
            clf.set_params(scoring=Scorer(when, error))
            try:
                clf.fit(X, y)
            except (ValueError, KeyboardInterrupt, SystemExit) as raised:
                outcomes[type(raised).__name__] += 1
                assert clf.weights_ is weights
            except UserWarning:  # of a training that was interrupted; the model is there
                outcomes["interrupted"] += 1
                assert error is KeyboardInterrupt
                assert clf.n_iter_ == when - 1
            else:
                outcomes["finished"] += 1
                assert when > clf.n_iter_
            assert_as_before(before)
    tell(f"scorers that raise {error.__name__}, seed 0", outcomes)
    assert outcomes.total() == 25


def test_no_file_may_grow(tmp_path):
    """Shared memory is a file, too, for which the limit of a file's size holds."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, limits[1]))
        before = traces()
        with pytest.raises(OSError, match="cannot reserve"):
            shared_memory.SharedMemory.reserve(2**20)
        assert_as_before(before)
        with threadpool_limits(2, "blas"):
            quick().fit(X, y)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


def test_several_interpreters_read_one_file(tmp_path):
    """All at once, and each gets the model that one alone does from an array in memory."""
    images = np.tile(X, (2, 1)).astype(np.float32)
    np.save(tmp_path / "X.npy", images)
    labels = np.tile(y, 2)
    np.save(tmp_path / "y.npy", labels)
    code = (
        f"X = np.load({str(tmp_path / 'X.npy')!r}, mmap_mode='r')\n"
        f"y = np.load({str(tmp_path / 'y.npy')!r})\n"
        "print(fit(2).weights_.tobytes().hex())"
    )
    running = [begin(code) for _ in range(4)]
    outputs = {process.communicate(timeout=PATIENCE)[0].strip() for process in running}
    expected = ScratchCNNClassifier(
        filters=(8, 16), hidden_layer_sizes=16, batch_size=128, max_iter=2, random_state=0
    ).fit(images, labels)
    assert outputs == {expected.weights_.tobytes().hex()}

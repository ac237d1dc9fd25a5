"""An exception in NumPy's own steps is heard, and leaves NumPy's settings of errors alone.

A signal's handler raises there by chance; a trace function does it at the n-th line, for all n.
"""

import sys

import numpy as np
import pytest

from tests.shared import X, quick, y

PLACES = ("_ufunc_config.py", "numeric.py")
"""``np.errstate``, and ``np.array_equal``, which takes an exception for an answer."""


class TimedOut(Exception):
    """Exception of a handler, an exception like others."""


class Tracer:
    def __init__(self, n):
        self.left = n

    def __call__(self, frame, event, arg):
        if not frame.f_code.co_filename.endswith(PLACES) or "numpy" not in frame.f_code.co_filename:
            return None
        if event == "line":
            self.left -= 1
            if self.left == 0:
                raise TimedOut
        return self


@pytest.mark.slow
@pytest.mark.skipif(sys.gettrace() is not None, reason="something else traces")
@pytest.mark.parametrize("first", [True, False])
def test_partial_fit(first):
    rows, classes, before = X[:40], np.arange(10), np.geterr()
    done, n = False, 0
    while not done:
        n += 1
        clf = quick(filters=2)
        if not first:
            clf.partial_fit(rows, y[:40], classes=classes)
        tracer = Tracer(n)
        sys.settrace(tracer)
        try:
            clf.partial_fit(rows, y[:40], classes=classes)
            done = tracer.left > 0
            assert done, "an exception was swallowed"
        except TimedOut:
            pass
        finally:
            sys.settrace(None)
        if np.lib.NumpyVersion(np.__version__) >= "2.0.0":  # before, they are a thread's
            assert np.geterr() == before, n
        np.seterr(**before)
    assert n > 10

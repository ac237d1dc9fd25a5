"""An exception at every single step of what takes and gives back, one after the other.

Where timers hit by chance, a trace function raises at the n-th instruction, for all n.
"""

import sys
from collections import Counter

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from tests.faults.scripts import tell
from tests.faults.traces import assert_as_before, traces
from tests.shared import X, quick, y

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

ROOMS = ("blas.py", "holding.py", "interrupts.py", "presence.py", "workers.py", "resources.py")


class Raised(BaseException):
    """What nobody else raises."""


class Tracer:
    """Raises at the n-th instruction that this thread executes in the files that matter."""

    def __init__(self, n):
        self.left, self.where = n, None

    def __call__(self, frame, event, arg):
        if not (frame.f_code.co_filename.endswith(ROOMS) and "skcnn" in frame.f_code.co_filename):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            self.left -= 1
            if self.left == 0:
                self.where = f"{frame.f_code.co_qualname}:{frame.f_lineno}, {frame.f_lasti}"
                raise Raised
        return self


def raising_at(n, function):
    """What the function returns, the tracer, and whether it has raised."""
    tracer = Tracer(n)
    sys.settrace(tracer)
    try:
        return function(), tracer
    except Raised:
        return None, tracer
    finally:
        sys.settrace(None)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="names of functions in frames")
@pytest.mark.parametrize("kind", ["one row", "several threads", "fit"])
def test_an_exception_at_every_step(kind):
    model = quick(filters=(4,), max_iter=1, batch_size=600, warm_start=False).fit(X, y)
    rows = X[:1] if kind == "one row" else np.tile(X, (8, 1))
    failures, n, step = [], 0, 1 if kind == "one row" else 7
    with threadpool_limits(2, "blas"):
        expected, weights = model.predict(rows), model.weights_
        before = traces()
        call = (lambda: model.fit(X, y)) if kind == "fit" else (lambda: model.predict(rows))
        while True:
            n += step
            found, tracer = raising_at(n, call)
            if tracer.where is None:
                break
            try:
                assert_as_before(before, 2)
            except AssertionError as error:
                failures.append(f"{n}: {tracer.where}: {error}")
                break
            if kind != "fit":
                assert model.weights_ is weights
        assert found is model or np.array_equal(found, expected)
    tell(f"an exception at a step, {kind}", Counter(raised=n // step - 1))
    assert not failures, "\n".join(failures)

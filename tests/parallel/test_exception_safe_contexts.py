"""An exception at every single step of what takes and gives back leaves nothing behind.

Signals' handlers raise between two steps by chance; a trace function does it at the n-th
instruction, for all n.
"""

import os
import signal
import sys
import threading
from contextlib import suppress

import pytest
from threadpoolctl import ThreadpoolController, threadpool_limits

from skcnn._estimator.resources import Computation, _blas
from skcnn.parallel.blas import BlasGuard
from skcnn.parallel.contexts import holding
from skcnn.parallel.interrupts import at_safe_places
from tests.waiting import wait_until

CONTROLLER = ThreadpoolController()
ROOMS = ("blas.py", "contexts.py", "interrupts.py", "resources.py", "threads.py")


class Raised(BaseException):
    """Nobody else raises it."""


class Tracer:
    """Raises at the n-th instruction of this thread in the files that matter."""

    def __init__(self, n):
        self.left = n

    def __call__(self, frame, event, arg):
        name = frame.f_code.co_filename
        if not (name.endswith(ROOMS) and "skcnn" in name):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            self.left -= 1
            if self.left == 0:
                raise Raised
        return self


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="counts threads in /proc")
@pytest.mark.skipif(sys.gettrace() is not None, reason="something else traces")
def test_an_exception_at_every_step_leaves_nothing_behind():
    guard = BlasGuard(lambda: CONTROLLER)

    def compute():
        found = []

        def work(threads):
            threads.run(4, lambda thread, i: found.append(i))

        at_safe_places(lambda interrupts: holding(Computation(interrupts, guard), work))
        return found

    def state():
        return (
            [library.get_num_threads() for library in CONTROLLER.lib_controllers],
            len(guard._inside),
            dict(guard._outside),
            signal.getsignal(signal.SIGINT),
            threading.enumerate(),
            len(os.listdir("/proc/self/task")),
        )

    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with threadpool_limits(2, "blas"):
            before, n, found = state(), 0, None
            while found is None:
                n += 1
                tracer = Tracer(n)
                # Python 3.12 looks for this, in any frame, when the function is set, not later
                sys._getframe().f_trace_opcodes = True
                sys.settrace(tracer)
                try:
                    found = compute()
                except Raised:
                    pass
                finally:
                    sys.settrace(None)
                # up to Python 3.11 a trace function, unlike a signal, can raise between taking a
                # lock and the body of ``with``; other threads would wait for it for ever
                for lock in (guard._lock, _blas._lock):
                    with suppress(RuntimeError):
                        while True:
                            lock.release()
                wait_until(lambda: state() == before)  # for a thread that was told to end
    finally:
        signal.signal(signal.SIGINT, handler)
    assert sorted(found) == [0, 1, 2, 3]
    assert tracer.left > 0
    assert n > 300

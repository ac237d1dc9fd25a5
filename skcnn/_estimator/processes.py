"""Worker processes that wait for long trainings.

loky starts them, ends them when they have waited for too long, and notices
when one dies. Each has an executor of its own, so that those who are left can
go on when one was killed.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

__all__ = ["Processes", "may_start"]

IDLE_SECONDS = 60
"""How long a process waits for the next training, holding no data."""

POLL_SECONDS = 0.2
"""How often a process looks whether its parent is still there."""

LIMITS = (
    "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)  # fmt: skip


def may_start() -> bool:
    """Whether this process may have children: it is nobody's worker, and Python can be started."""
    if os.name != "posix" or sys.platform in ("emscripten", "wasi"):
        return False
    if not sys.executable or getattr(sys, "frozen", False):
        return False
    me = multiprocessing.current_process()
    return not me.daemon and multiprocessing.parent_process() is None and "Loky" not in me.name


class Hired:
    """A process at work, see `skcnn.crew.Hand`."""

    def __init__(self, future: Future) -> None:
        self._future, self._released = future, False

    def done(self) -> bool:
        """Whether it has returned, failed or died."""
        return self._future.done()

    def release(self) -> None:
        """Let others ask for it: it will be free as soon as it can."""
        self._released = True

    @property
    def free(self) -> bool:
        """Whether it can be asked."""
        return self._released or self.done()


class Processes:
    """The worker processes of this process; `hire` is a `skcnn.crew.Hire`."""

    def __init__(self) -> None:
        self._forget()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        """A forked child has none: they are its parent's."""
        self._lock = threading.Lock()
        self._staff: list[tuple[Any, Hired]] = []
        self._pid = os.getpid()

    def at_hand(self) -> bool:
        """Whether a process is there that has nothing to do."""
        return any(hired.free and _alive(executor) for executor, hired in self._staff)

    def hire(self, function: Callable, *args: Any) -> Hired:
        """Call a function in a process of its own, a new one where all are busy."""
        with self._lock, _no_interrupts():
            for i, (executor, hired) in enumerate(self._staff):
                if hired.free:
                    try:
                        return self._submit(i, executor, function, *args)
                    except RuntimeError:  # broken: its process was killed while it waited
                        del self._staff[i]
                        break
            self._staff.append((_executor(), Hired(Future())))
            return self._submit(-1, self._staff[-1][0], function, *args)

    def _submit(self, i: int, executor: Any, function: Callable, *args: Any) -> Hired:
        hired = Hired(executor.submit(function, *args))
        self._staff[i] = executor, hired
        return hired


def _executor() -> Any:
    """An executor of one process that has not been started yet."""
    from joblib.externals.loky.process_executor import ProcessPoolExecutor

    return ProcessPoolExecutor(
        1,
        timeout=IDLE_SECONDS,
        initializer=_begin,
        initargs=(os.getpid(),),
        env=dict.fromkeys(LIMITS, "1"),
    )


def _alive(executor: Any) -> bool:
    return bool(executor._processes)


class _no_interrupts:  # noqa: N801
    """Context in which new processes are started that do not hear Ctrl-C from the beginning."""

    def __enter__(self) -> None:
        self._before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})

    def __exit__(self, *exc_info: object) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._before)


def _begin(parent: int) -> None:
    """Begin a worker's life: deaf to Ctrl-C, and no longer than the parent's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with, args=(parent,), daemon=True).start()


def _die_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    os._exit(1)

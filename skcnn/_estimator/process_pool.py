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
"""Seconds that an idle worker waits for the next training, holding no data."""

POLL_SECONDS = 0.2
"""Seconds between two checks that the parent process is alive."""

LIMITS = (
    "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)  # fmt: skip


IMPORTED_BY = os.getpid()
"""The process that imported this module; a forked child has another number."""

PROC = "/proc/self/stat"
"""A file that Linux has wherever psutil works, which loky uses in workers if it is installed."""


def may_start() -> bool:
    """Whether this process may have children.

    It may if it is nobody's worker and no forked child, and if Python can be
    started.
    """
    if os.getpid() != IMPORTED_BY:
        return False
    if sys.platform == "linux" and not os.path.exists(PROC):
        return False
    if os.name != "posix" or sys.platform in ("emscripten", "wasi"):
        return False
    if not sys.executable or getattr(sys, "frozen", False):
        return False
    me = multiprocessing.current_process()
    return not me.daemon and multiprocessing.parent_process() is None and "Loky" not in me.name


class WorkerProcess:
    """A process at work, a `Worker` of coordinators."""

    def __init__(self, executor: Any, function: Callable, args: tuple) -> None:
        self.executor = executor
        self._released = self._done = False
        self._ended = time.monotonic()
        self._pid: int | None = None
        # a future takes locks when it is asked, which a signal in the midst would leave taken
        executor.submit(os.getpid).add_done_callback(self._note_pid)
        executor.submit(function, *args).add_done_callback(self._note_end)

    def _note_pid(self, future: Future) -> None:
        if not future.cancelled() and future.exception() is None:
            self._pid = future.result()

    def _note_end(self, future: Future) -> None:
        self._ended = time.monotonic()
        self._done = True

    def done(self) -> bool:
        """Whether it has returned, failed or died."""
        return self._done

    def release(self) -> None:
        """Let others ask for it: it will be free as soon as it can."""
        self._released = True

    def kill(self) -> None:
        """End its process, also one that was stopped; `done` says when it has ended."""
        if self._pid is not None and not self._done:
            os.kill(self._pid, signal.SIGKILL)

    @property
    def free(self) -> bool:
        """Whether it can be asked."""
        return self._released or self.done()

    @property
    def waits(self) -> bool:
        """Whether it is free, and has not gone home."""
        return self.free and time.monotonic() - self._ended < IDLE_SECONDS


class Processes:
    """The worker processes of this process; `spawn` is a `Spawn` of coordinators."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._workers: list[WorkerProcess] = []
        self._of_parent: list[WorkerProcess] = []
        self._kept: list[Any] = []
        self._ends_at_exit = self._over = False
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork)

    def _after_fork(self) -> None:
        """The processes are the parent's; forgetting them would wake its threads."""
        self._lock = threading.Lock()
        for worker in self._workers:
            # at its end, multiprocessing would wait for them, which only the parent can
            own = getattr(worker.executor, "_processes", None) or {}
            multiprocessing.process._children.difference_update(own.values())  # type: ignore[attr-defined]
        self._of_parent += self._workers
        self._workers = []

    def has_idle_worker(self) -> bool:
        """Whether a process is there that has nothing to do."""
        return any(worker.waits for worker in self._workers)

    def spawn(self, function: Callable, *args: Any) -> WorkerProcess:
        """Call a function in a process of its own, a new one where all are busy.

        Raises
        ------
        Exception
            Where none can be started.
        """
        with self._lock, _no_interrupts():
            if self._over:
                raise RuntimeError("The interpreter ends.")
            for worker in [worker for worker in self._workers if worker.free]:
                self._workers.remove(worker)
                try:
                    self._workers.append(WorkerProcess(worker.executor, function, args))
                except RuntimeError:  # its process was killed while it waited
                    continue
                return self._workers[-1]
            self._workers.append(WorkerProcess(_executor(), function, args))
            self._end_at_exit()
            return self._workers[-1]

    def _end_at_exit(self) -> None:
        """When the interpreter ends, end before loky waits for the work that goes on.

        Hooks run in the order in which they were registered last, and loky has
        registered its own with the first process; `concurrent.futures` does the same.
        """
        if not self._ends_at_exit:
            self._ends_at_exit = True
            threading._register_atexit(self._end)  # type: ignore[attr-defined]

    def _end(self) -> None:
        self._over = True
        for worker in self._workers:
            # the thread that feeds this queue is waited for by nobody: if it was the last to hold
            # the queue's semaphores, it could end between removing one and saying so, and loky
            # would warn of a leak; so they are kept for the main thread to remove
            self._kept.append(getattr(worker.executor, "_call_queue", None))
            worker.executor.shutdown(wait=False, kill_workers=True)


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

"""Pool of worker processes for long trainings.

loky starts them, ends them after an idle time, and detects when one dies. Each has
its own executor, so that the others survive if one is killed.
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
"""Seconds that an idle worker, which holds no data, waits for the next training."""

POLL_SECONDS = 0.2
"""Seconds between two checks that the parent process is alive."""

LIMITS = (
    "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)  # fmt: skip


IMPORTED_BY = os.getpid()
"""Id of the process that imported this module, which differs in a forked child."""

PROC = "/proc/self/stat"
"""File that psutil needs on Linux; loky uses psutil in workers if it is installed."""


def may_start() -> bool:
    """Whether this process may start worker processes.

    It may if it is neither a worker nor a forked child, and if Python can be started.
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
    """A worker process and its current function; implements `Worker`."""

    def __init__(self, executor: Any, function: Callable, args: tuple) -> None:
        self.executor = executor
        self._released = self._done = False
        self._ended = time.monotonic()
        self._pid: int | None = None
        # asking a future takes locks, which a signal in the middle would leave locked
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
        """Mark it as available, as soon as its function has returned."""
        self._released = True

    def kill(self) -> None:
        """Kill the process, even if suspended; `done` becomes true when it has ended."""
        if self._pid is not None and not self._done:
            os.kill(self._pid, signal.SIGKILL)

    @property
    def free(self) -> bool:
        """Whether it can take a new function."""
        return self._released or self.done()

    @property
    def waits(self) -> bool:
        """Whether it is free, and its process has not exited."""
        return self.free and time.monotonic() - self._ended < IDLE_SECONDS


class Processes:
    """The worker processes of this process; `spawn` implements `Spawn`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._workers: list[WorkerProcess] = []
        self._of_parent: list[WorkerProcess] = []
        self._kept: list[Any] = []
        self._ends_at_exit = self._over = False
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork)

    def _after_fork(self) -> None:
        """Keep the parent's executors alive in a forked child: deleting them would wake threads."""
        self._lock = threading.Lock()
        for worker in self._workers:
            # multiprocessing would wait for them at exit, which only the parent can
            own = getattr(worker.executor, "_processes", None) or {}
            multiprocessing.process._children.difference_update(own.values())  # type: ignore[attr-defined]
        self._of_parent += self._workers
        self._workers = []

    def has_idle_worker(self) -> bool:
        """Whether an idle worker process exists."""
        return any(worker.waits for worker in self._workers)

    def spawn(self, function: Callable, *args: Any) -> WorkerProcess:
        """Call a function in an idle worker process, or in a new one.

        Raises
        ------
        Exception
            If no process can be started.
        """
        with self._lock, _no_interrupts():
            if self._over:
                raise RuntimeError("The interpreter ends.")
            for worker in [worker for worker in self._workers if worker.free]:
                self._workers.remove(worker)
                try:
                    self._workers.append(WorkerProcess(worker.executor, function, args))
                except RuntimeError:  # its process was killed while idle
                    continue
                return self._workers[-1]
            self._workers.append(WorkerProcess(_executor(), function, args))
            self._end_at_exit()
            return self._workers[-1]

    def _end_at_exit(self) -> None:
        """Register the end of all workers at exit, before loky waits for running functions.

        Hooks run in reverse order of registration, and loky registers its own with
        the first process; `concurrent.futures` does the same.
        """
        if not self._ends_at_exit:
            self._ends_at_exit = True
            threading._register_atexit(self._end)  # type: ignore[attr-defined]

    def _end(self) -> None:
        self._over = True
        for worker in self._workers:
            # nothing joins the thread that feeds this queue: if it held the last reference to the
            # queue's semaphores, it could end between removing one and reporting that, and loky
            # would warn of a leak; so a reference is kept for the main thread to remove them
            self._kept.append(getattr(worker.executor, "_call_queue", None))
            worker.executor.shutdown(wait=False, kill_workers=True)


def _executor() -> Any:
    """Return an executor of one process, which is not started yet."""
    from joblib.externals.loky.process_executor import ProcessPoolExecutor

    return ProcessPoolExecutor(
        1,
        timeout=IDLE_SECONDS,
        initializer=_begin,
        initargs=(os.getpid(),),
        env=dict.fromkeys(LIMITS, "1"),
    )


class _no_interrupts:  # noqa: N801
    """Context in which new processes ignore Ctrl-C from the start."""

    def __enter__(self) -> None:
        self._before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})

    def __exit__(self, *exc_info: object) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._before)


def _begin(parent: int) -> None:
    """Initialize a worker: ignore Ctrl-C, and exit when the parent does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with, args=(parent,), daemon=True).start()


def _die_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    os._exit(1)

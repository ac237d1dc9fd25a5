"""Worker processes for long trainings, started on demand and kept for a while.

loky starts them, stops them when they have been idle for too long, and notices
when one dies. Each has its own executor, so that the others can continue when
one is killed.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from importlib.util import find_spec
from typing import Any

__all__ = ["Processes", "may_start"]

IDLE_SECONDS = 60
"""Seconds that an idle worker waits for the next training; it holds no data."""

POLL_SECONDS = 0.2
"""Seconds between two checks that the parent process is alive."""

LIMITS = (
    "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)  # fmt: skip


IMPORTED_BY = os.getpid()
"""Id of the process that imported this module, which differs in a forked child."""

CAN_START = hasattr(signal, "pthread_sigmask") and find_spec("_posixsubprocess") is not None
"""Whether Python can start a process that ignores Ctrl-C from the beginning.

It cannot on Windows or in a browser.
"""

PROC = "/proc/self/stat"
"""File without which psutil fails on Linux; loky uses psutil in workers if it is installed."""


def may_start() -> bool:
    """Whether this process may start worker processes.

    That is not the case in workers and forked children, and where Python cannot be started.
    """
    if os.getpid() != IMPORTED_BY or not CAN_START:
        return False
    if sys.platform == "linux" and not os.path.exists(PROC):
        return False
    if not sys.executable or getattr(sys, "frozen", False):
        return False
    me = multiprocessing.current_process()
    return not me.daemon and multiprocessing.parent_process() is None and "Loky" not in me.name


class WorkerProcess:
    """Process that runs a function; a `Worker` of the training's coordinator."""

    def __init__(self, executor: Any, function: Callable, args: tuple) -> None:
        self.executor = executor
        self._released = self._done = False
        self._ended = time.monotonic()
        self._pid: int | None = None
        # callbacks: asking a future takes locks, which a signal at that moment would leave taken
        executor.submit(os.getpid).add_done_callback(self._note_pid)
        executor.submit(function, *args).add_done_callback(self._note_end)

    def _note_pid(self, future: Future) -> None:
        if not future.cancelled() and future.exception() is None:
            self._pid = future.result()

    def _note_end(self, future: Future) -> None:
        self._ended = time.monotonic()
        self._done = True

    def done(self) -> bool:
        """Whether the function has returned or failed, or the process has died."""
        return self._done

    def release(self) -> None:
        """Make the process available to others, as soon as its function has returned."""
        self._released = True

    def kill(self) -> None:
        """Kill the process, even a stopped one; `done` is true once it has ended."""
        if self._pid is not None and not self._done:
            os.kill(self._pid, signal.SIGKILL)

    @property
    def is_free(self) -> bool:
        """Whether another function can be submitted."""
        return self._released or self.done()

    @property
    def is_idle(self) -> bool:
        """Whether it is free and its process has not been stopped for idleness yet."""
        return self.is_free and time.monotonic() - self._ended < IDLE_SECONDS


class Processes:
    """Pool of this process's workers; `spawn` is a `Spawn` for the training's coordinator."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._workers: list[WorkerProcess] = []
        self._of_parent: list[WorkerProcess] = []
        self._kept: list[Any] = []
        self._registered_at_exit = self._shutting_down = False
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork)

    def _after_fork(self) -> None:
        """Set the parent's workers aside; releasing them would wake the parent's threads."""
        self._lock = threading.Lock()
        for worker in self._workers:
            # on exit, multiprocessing would wait for them, which only the parent can do
            own = getattr(worker.executor, "_processes", None) or {}
            multiprocessing.process._children.difference_update(own.values())  # type: ignore[attr-defined]
        self._of_parent += self._workers
        self._workers = []

    def has_idle_worker(self) -> bool:
        """Whether there is an idle worker."""
        return any(worker.is_idle for worker in self._workers)

    def spawn(self, function: Callable, *args: Any) -> WorkerProcess:
        """Call a function in an idle worker, or in a new one if all are busy.

        Raises
        ------
        Exception
            If no process can be started.
        """
        with self._lock, _no_interrupts():
            if self._shutting_down:
                raise RuntimeError("The interpreter is shutting down.")
            for worker in [worker for worker in self._workers if worker.is_free]:
                self._workers.remove(worker)
                try:
                    self._workers.append(WorkerProcess(worker.executor, function, args))
                except RuntimeError:  # its process was killed while idle
                    continue
                return self._workers[-1]
            self._workers.append(WorkerProcess(_new_executor(), function, args))
            self._register_at_exit()
            return self._workers[-1]

    def _register_at_exit(self) -> None:
        """Register `_shut_down` to run at exit, before loky waits for running work.

        Hooks run in reverse order of registration, and loky registers its own with the first
        process, as `concurrent.futures` does.
        """
        if not self._registered_at_exit:
            self._registered_at_exit = True
            threading._register_atexit(self._shut_down)  # type: ignore[attr-defined]

    def _shut_down(self) -> None:
        self._shutting_down = True
        for worker in self._workers:
            # nobody waits for the thread that feeds this queue: if it held the last reference to
            # the queue's semaphores, it could end between removing one and reporting that, and
            # loky would warn of a leak; therefore they are kept for the main thread to remove
            self._kept.append(getattr(worker.executor, "_call_queue", None))
            worker.executor.shutdown(wait=False, kill_workers=True)


def _new_executor() -> Any:
    """Return an executor of one process, which is not started yet."""
    from joblib.externals.loky.process_executor import ProcessPoolExecutor

    return ProcessPoolExecutor(
        1,
        timeout=IDLE_SECONDS,
        initializer=_initialize,
        initargs=(os.getpid(),),
        env=dict.fromkeys(LIMITS, "1"),
    )


class _no_interrupts:  # noqa: N801
    """Context that blocks Ctrl-C, so that processes started in it ignore it from the beginning."""

    def __enter__(self) -> None:
        self._before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})

    def __exit__(self, *exc_info: object) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._before)


def _initialize(parent: int) -> None:
    """Initialize a worker process, which ignores Ctrl-C and ends when its parent does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_with_parent, args=(parent,), daemon=True).start()


def _exit_with_parent(parent: int) -> None:
    """End this process when its parent has ended."""
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    os._exit(1)

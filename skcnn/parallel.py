"""Worker threads over micro-batches, and the guard that keeps BLAS to one thread.

BLAS on several threads of its own gives other rounding errors than on one,
so that results would depend on how many there are; and it leaves all
elementwise work to a single core. Here every thread computes whole
micro-batches with a single-threaded BLAS, and sums are made in their order.
"""

import os
import threading
from collections import deque
from collections.abc import Callable
from pathlib import PurePath
from queue import SimpleQueue
from typing import Any

__all__ = ["BlasGuard", "Workers"]


class BlasGuard:
    """Context in which BLAS uses one thread, in the whole process.

    The first to enter sets the limit and the last to leave takes it back, so
    that overlapping uses from several threads leave nothing behind. Entering
    returns the number of threads that BLAS would use outside.

    Parameters
    ----------
    make_controller : callable
        Returns a ``threadpoolctl.ThreadpoolController``. Called once, when
        the guard is first entered.
    """

    def __init__(self, make_controller: Callable[[], Any]) -> None:
        self._make_controller = make_controller
        self._controller: Any = None
        self._reset()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._depth = 0
        self._limiter: Any = None
        self._n_threads = 1

    def _after_fork(self) -> None:
        """The threads that were inside do not exist in a forked child."""
        if self._limiter is not None:
            self._limiter.restore_original_limits()
        self._reset()

    def __enter__(self) -> int:
        with self._lock:
            if self._depth == 0:
                if self._controller is None:
                    self._controller = _numpy_blas(self._make_controller())
                info = self._controller.info()
                self._n_threads = max(
                    (library["num_threads"] for library in info), default=os.cpu_count() or 1
                )
                self._limiter = self._controller.limit(limits=1)
            self._depth += 1
            return self._n_threads

    def __exit__(self, *exc_info: object) -> None:
        with self._lock:
            self._depth -= 1
            if self._depth == 0:
                self._limiter.restore_original_limits()
                self._limiter = None


def _numpy_blas(controller: Any) -> Any:
    """The part of a threadpool controller that NumPy computes with.

    Other packages bring a BLAS of their own, whose limits say nothing here.
    NumPy's wheels carry theirs in ``numpy.libs`` or inside ``numpy``; where
    none is found there, as in conda environments, all count.
    """
    blas = controller.select(user_api="blas")
    numpys = [
        library["filepath"]
        for library in blas.info()
        if {"numpy.libs", "numpy"} & set(PurePath(library["filepath"]).parts)
    ]
    return blas.select(filepath=numpys) if numpys else blas


class Workers:
    """Threads that share out numbered tasks; the calling thread is one of them.

    Parameters
    ----------
    n_workers : int
        Number of threads. They are started on entering the context and ended
        on leaving it.
    """

    def __init__(self, n_workers: int) -> None:
        self.n_workers = n_workers
        self._inboxes: list[SimpleQueue] = []
        self._outbox: SimpleQueue = SimpleQueue()

    def __enter__(self) -> "Workers":
        for worker in range(1, self.n_workers):
            inbox: SimpleQueue = SimpleQueue()
            thread = threading.Thread(
                target=self._serve, args=(worker, inbox), name=f"skcnn-{worker}", daemon=True
            )
            thread.start()
            self._inboxes.append(inbox)
        return self

    def __exit__(self, *exc_info: object) -> None:
        for inbox in self._inboxes:
            inbox.put(None)
        self._inboxes = []

    def _serve(self, worker: int, inbox: SimpleQueue) -> None:
        while (job := inbox.get()) is not None:
            job.work(worker)
            self._outbox.put(worker)

    def run(
        self,
        n_tasks: int,
        task: Callable[[int, int], Any],
        in_order: Callable[[int, Any], None] | None = None,
    ) -> None:
        """Call ``task(worker, i)`` for all `i`, then ``in_order(i, result)`` one by one.

        Parameters
        ----------
        n_tasks : int
            Number of tasks, started in their order.
        task : callable
            Runs in any thread; `worker` is a number below `n_workers` that no
            two running tasks share, until ``in_order`` has returned too.
        in_order : callable or None, default=None
            Called in the order of the tasks, never twice at a time.

        Raises
        ------
        BaseException
            The first that a call raised, when no call is running any more.
        """
        job = _Job(n_tasks, task, in_order)
        helpers = self._inboxes[: n_tasks - 1]
        for inbox in helpers:
            inbox.put(job)
        job.work(0)
        waiting = len(helpers)
        while waiting:
            try:
                self._outbox.get()
                waiting -= 1
            except BaseException as error:  # Ctrl-C: let the others finish first
                job.fail(error)
        if job.error is not None:
            raise job.error


class _Job:
    """Numbered tasks that several threads take from."""

    def __init__(self, n_tasks: int, task: Callable, in_order: Callable | None) -> None:
        self.error: BaseException | None = None
        self._task, self._in_order = task, in_order
        self._todo = deque(range(n_tasks))
        self._next = 0
        self._turn = threading.Condition()

    def fail(self, error: BaseException) -> None:
        """Remember the first error and let nobody start or wait any more."""
        with self._turn:
            self.error = self.error or error
            self._todo.clear()
            self._turn.notify_all()

    def work(self, worker: int) -> None:
        """Take tasks until there are none."""
        try:
            while self._todo:
                try:
                    i = self._todo.popleft()
                except IndexError:  # another thread was faster
                    return
                result = self._task(worker, i)
                if self._in_order is not None:
                    self._finish(i, result)
        except BaseException as error:
            self.fail(error)

    def _finish(self, i: int, result: Any) -> None:
        assert self._in_order is not None
        with self._turn:
            while self._next != i and self.error is None:
                self._turn.wait()
            if self.error is None:
                self._in_order(i, result)
                self._next += 1
                self._turn.notify_all()

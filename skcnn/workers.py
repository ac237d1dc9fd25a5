"""Worker threads over micro-batches.

Every thread computes whole micro-batches with a single-threaded BLAS, and sums
are made in their order, so that they do not depend on who computes what.
"""

import threading
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

__all__ = ["Workers"]


class Workers:
    """Threads that share out numbered tasks; the calling thread is one of them.

    Parameters
    ----------
    n_workers : int
        Number of threads. They are started when there are tasks for them and
        ended on leaving the context.
    on_start : callable or None, default=None
        Called once in every thread but the calling one.
    check : callable or None, default=None
        Called in the calling thread before each of its tasks; what it raises
        ends the run.
    hire : callable or None, default=None
        Gets another process to work on a long training, see `skcnn.crew.Hire`;
        None where there are none. There may be as many as threads.
    at_hand : callable, default=None
        Says whether a process is there that has nothing to do.
    """

    def __init__(
        self,
        n_workers: int,
        on_start: Callable[[], None] | None = None,
        check: Callable[[], None] | None = None,
        hire: Any = None,
        at_hand: Callable[[], bool] = lambda: False,
    ) -> None:
        self.n_workers = n_workers
        self._on_start, self.check = on_start, check
        self.hire, self.at_hand = hire, at_hand
        self._inboxes: list[SimpleQueue] = []
        self._working: dict[int, _Job | None] = {}
        self._outbox: SimpleQueue = SimpleQueue()

    def __enter__(self) -> "Workers":
        return self

    def _start(self, n_helpers: int) -> None:
        """Start helper threads until there are so many."""
        for worker in range(len(self._inboxes) + 1, n_helpers + 1):
            inbox: SimpleQueue = SimpleQueue()
            thread = threading.Thread(
                target=self._serve, args=(worker, inbox), name=f"skcnn-{worker}", daemon=True
            )
            thread.start()
            self._inboxes.append(inbox)

    def __exit__(self, *exc_info: object) -> None:
        for inbox in self._inboxes:
            inbox.put(None)
        self._inboxes = []

    def _serve(self, worker: int, inbox: SimpleQueue) -> None:
        if self._on_start is not None:
            self._on_start()
        while (job := inbox.get()) is not None:
            job.work(worker)
            self._working[worker] = None
            self._outbox.put(worker)  # only to wake the caller

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
        helpers = range(1, min(n_tasks, self.n_workers))
        if not helpers:
            self._run_alone(n_tasks, task, in_order)
            return
        job = _Job(n_tasks, task, in_order)
        self._start(len(helpers))
        for worker in helpers:
            self._working[worker] = job
            self._inboxes[worker - 1].put(job)
        job.work(0, self.check)
        while any(self._working[worker] is job for worker in helpers):
            try:
                self._outbox.get(timeout=0.1)
            except Empty:
                pass
            except BaseException as error:  # let the others finish first
                job.fail(error)
        failure, job.error = job.error, None
        if failure is not None:
            try:
                raise failure
            finally:  # its traceback knows this frame: a circle around all arrays
                del failure

    def _run_alone(self, n_tasks: int, task: Callable, in_order: Callable | None) -> None:
        """The same in the calling thread, for tasks that are too short for a `_Job`."""
        for i in range(n_tasks):
            if self.check is not None:
                self.check()
            result = task(0, i)
            if in_order is not None:
                in_order(i, result)


class _Job:
    """Numbered tasks that several threads take from."""

    def __init__(self, n_tasks: int, task: Callable, in_order: Callable | None) -> None:
        self.error: BaseException | None = None
        self._task, self._in_order = task, in_order
        self._todo = deque(range(n_tasks))
        self._next = 0
        self._early: dict[int, Any] = {}  # results whose turn has not come
        self._turn = threading.Condition()

    def fail(self, error: BaseException) -> None:
        """Remember the first error and let nobody start or wait any more."""
        with self._turn:
            self.error = self.error or error
            self._todo.clear()
            self._turn.notify_all()

    def work(self, worker: int, check: Callable[[], None] | None = None) -> None:
        """Take tasks until there are none."""
        try:
            while self._todo:
                if check is not None:
                    check()
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
        """Hand over all results whose turn has come; before another task, wait for this one's.

        Whoever finds no more tasks need not wait: others will hand it over.
        """
        assert self._in_order is not None
        with self._turn:
            self._early[i] = result
            while self._next in self._early and self.error is None:
                self._in_order(self._next, self._early.pop(self._next))
                self._next += 1
                self._turn.notify_all()
            while self._next <= i and self._todo and self.error is None:
                self._turn.wait()

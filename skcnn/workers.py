"""Worker threads over micro-batches.

Every thread computes whole micro-batches with a single-threaded BLAS, and sums
are made in their order, so that they do not depend on who computes what.
"""

import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from skcnn.holding import holding
from skcnn.presence import Presence, start

__all__ = ["Workers"]


class Workers:
    """Threads that share out numbered tasks; the calling thread is one of them.

    Parameters
    ----------
    n_workers : int
        Number of threads. They are started when there are tasks for them and
        ended on leaving the context. Those that cannot be are done without.
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
        self._inboxes: list[SimpleQueue] = []  # of the threads that have been started
        self._startable = n_workers

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *exc_info: object) -> None:
        for inbox in self._inboxes:
            inbox.put(None)

    def _start(self, n_helpers: int) -> None:
        """Start helper threads until there are so many, or as many as can be."""
        while len(self._inboxes) < min(n_helpers, self._startable):
            inbox: SimpleQueue = SimpleQueue()
            self._inboxes.append(inbox)
            if not start(self._serve, len(self._inboxes), inbox):
                self._startable = len(self._inboxes) - 1

    def _serve(self, worker: int, inbox: SimpleQueue) -> None:
        try:
            if self._on_start is not None:
                self._on_start()
        except MemoryError:
            return
        while (job := inbox.get()) is not None:
            job.help(worker)
            del job  # nor what it works on

    def run(
        self,
        n_tasks: int,
        task: Callable[[int, int], Any],
        in_order: Callable[[int, Any], None] | None = None,
        n_threads: int | None = None,
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
        n_threads : int or None, default=None
            Take no more threads than these; None is all of them.

        Raises
        ------
        BaseException
            The first that a call raised, when no call is running any more.
        """
        n_threads = min(n_tasks, n_threads or self.n_workers, self.n_workers)
        if n_threads < 2:
            self._run_alone(n_tasks, task, in_order)
            return
        job = _Job(n_tasks, n_threads, task, in_order)
        holding(job, self._share)
        if job.error is not None:
            error, job.error = job.error, None
            try:
                raise error
            finally:
                del error, job, task, in_order  # the traceback must not hold them in a circle

    def _share(self, job: "_Job") -> None:
        self._start(job.n_threads - 1)
        for inbox in self._inboxes[: job.n_threads - 1]:
            inbox.put(job)
        job.work(0, self.check)

    def _run_alone(self, n_tasks: int, task: Callable, in_order: Callable | None) -> None:
        """The same in the calling thread, for tasks that are too short for a `_Job`."""
        for i in range(n_tasks):
            if self.check is not None:
                self.check()
            result = task(0, i)
            if in_order is not None:
                in_order(i, result)


class _Job:
    """Numbered tasks that several threads take from; a context that is left by all of them.

    Only the calling thread can be interrupted at any step, so it never holds
    what others wait for: they are called by bells that ring once for every put.
    """

    def __init__(
        self, n_tasks: int, n_threads: int, task: Callable, in_order: Callable | None
    ) -> None:
        self.n_threads = n_threads
        self.error: BaseException | None = None
        self._task, self._in_order = task, in_order
        self._todo = deque(range(n_tasks))
        self._next = 0
        self._early: dict[int, Any] = {}  # results whose turn has not come
        self._turn = threading.RLock()  # whose `with` is a single step
        self._bells: list[SimpleQueue] = [SimpleQueue() for _ in range(n_threads)]
        self._helpers = Presence()

    def __enter__(self) -> "_Job":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stop()
        self._helpers.wait()

    def _stop(self) -> None:
        """Let nobody start or wait any more."""
        self._todo.clear()
        self._ring()

    def _ring(self) -> None:
        for bell in self._bells:
            bell.put(None)

    def help(self, worker: int) -> None:
        """Take tasks, in another thread than the calling one."""
        try:
            self._helpers.enter()
            self.work(worker)
        finally:
            self._helpers.leave()

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
                    self._finish(worker, i, result)
        except BaseException as error:
            if self.error is None:
                self.error = error
            self._stop()

    def _finish(self, worker: int, i: int, result: Any) -> None:
        """Hand over all results whose turn has come; before another task, wait for this one's.

        Whoever finds no more tasks need not wait: others will hand it over.
        """
        assert self._in_order is not None
        with self._turn:
            self._early[i] = result
            while self._next in self._early and self.error is None:
                self._in_order(self._next, self._early.pop(self._next))
                self._next += 1
        self._ring()
        while self._next <= i and self._todo and self.error is None:
            self._bells[worker].get()

"""Worker threads over micro-batches, and the guard that keeps BLAS to one thread.

BLAS on several threads of its own gives other rounding errors than on one,
so that results would depend on how many there are; and it leaves all
elementwise work to a single core. Here every thread computes whole
micro-batches with a single-threaded BLAS, and sums are made in their order.
"""

import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable
from pathlib import PurePath
from queue import Empty, SimpleQueue
from typing import Any

__all__ = ["BlasGuard", "Interrupts", "Workers"]


class Interrupts:
    """Context in which Ctrl-C waits for a safe place.

    Ctrl-C raises ``KeyboardInterrupt`` between any two steps of the main
    thread, also where a lock has just been taken or a limit half restored. In
    this context it is only remembered; `check` raises it, and so does leaving.
    A handler that the user has set is left alone.
    """

    def __init__(self) -> None:
        self.pending = False
        self._mine = False

    def __enter__(self) -> "Interrupts":
        in_main = threading.current_thread() is threading.main_thread()
        if in_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._remember)
            self._mine = True
        return self

    def __exit__(self, exc_type: object, *rest: object) -> None:
        if self._mine:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if exc_type is None:
            self.check()

    def _remember(self, signum: int, frame: object) -> None:
        self.pending = True

    def check(self) -> None:
        """Raise ``KeyboardInterrupt`` if Ctrl-C was pressed since the last check."""
        if self.pending:
            self.pending = False
            raise KeyboardInterrupt


class BlasGuard:
    """Context in which BLAS uses one thread, in the whole process.

    The first to enter notes the limits and the last to leave sets them again,
    so that overlapping uses from several threads leave nothing behind.
    Entering returns the number of threads that BLAS would use outside, divided
    by the number of threads that are inside, lest they start more together.

    Parameters
    ----------
    make_controller : callable
        Returns a ``threadpoolctl.ThreadpoolController``. Called once, when
        the guard is first entered.
    """

    def __init__(self, make_controller: Callable[[], Any]) -> None:
        self._make_controller = make_controller
        self._libraries: list[Any] | None = None
        self._reset()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._depth = 0
        self._inside: Counter[int] = Counter()  # how often each thread is
        self._outside: list[int] = []  # threads of each library

    def _after_fork(self) -> None:
        """The threads that were inside do not exist in a forked child."""
        if self._depth and self._libraries is not None:
            for library, n_threads in zip(self._libraries, self._outside, strict=True):
                _set_threads(library, n_threads)
        self._reset()

    def __enter__(self) -> int:
        with self._lock:
            if self._libraries is None:
                self._libraries = _numpys_blas(self._make_controller())
            if self._depth == 0:
                self._outside = [library.get_num_threads() for library in self._libraries]
            self._depth += 1
            self._inside[threading.get_ident()] += 1
            for library in self._libraries:
                _set_threads(library, 1)
            n_threads = max(self._outside) if self._outside else os.cpu_count() or 1
            return max(1, n_threads // len(self._inside))

    def __exit__(self, *exc_info: object) -> None:
        assert self._libraries is not None
        with self._lock:
            self._depth -= 1
            self._inside[threading.get_ident()] -= 1
            self._inside = +self._inside  # without those that have left
            for library, n_threads in zip(self._libraries, self._outside, strict=True):
                if self._depth == 0 or _limited_per_thread(library):
                    _set_threads(library, n_threads)

    def limit_this_thread(self) -> None:
        """For helper threads: some libraries count the threads of each caller."""
        for library in self._libraries or []:
            if _limited_per_thread(library):
                _set_threads(library, 1)


def _limited_per_thread(library: Any) -> bool:
    """OpenBLAS with OpenMP keeps a limit for every thread that calls it."""
    return library.internal_api == "openblas" and library.threading_layer == "openmp"


def _set_threads(library: Any, n_threads: int) -> None:
    """Set a limit from whatever thread this is.

    In threadpoolctl 3.8, the first thread that limits OpenBLAS is the only
    one that can, until it gives that right up; another is ignored silently.
    """
    let_all = getattr(library, "clear_controlling_thread", None)
    if let_all is not None:
        let_all(force=True)
    library.set_num_threads(n_threads)
    if let_all is not None:
        let_all(force=True)


def _numpys_blas(controller: Any) -> list[Any]:
    """The libraries that NumPy computes with.

    Other packages bring a BLAS of their own, whose limits say nothing here.
    NumPy's wheels carry theirs in ``numpy.libs`` or inside ``numpy``; where
    none is found there, as in conda environments, all count.
    """
    every = [library for library in controller.lib_controllers if library.user_api == "blas"]
    numpys = [
        library
        for library in every
        if {"numpy.libs", "numpy"} & set(PurePath(library.filepath).parts)
    ]
    return numpys or every


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
    """

    def __init__(
        self,
        n_workers: int,
        on_start: Callable[[], None] | None = None,
        check: Callable[[], None] | None = None,
    ) -> None:
        self.n_workers = n_workers
        self._on_start, self._check = on_start, check
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
        job.work(0, self._check)
        while any(self._working[worker] is job for worker in helpers):
            try:
                self._outbox.get(timeout=0.1)
            except Empty:
                pass
            except BaseException as error:  # let the others finish first
                job.fail(error)
        if job.error is not None:
            raise job.error

    def _run_alone(self, n_tasks: int, task: Callable, in_order: Callable | None) -> None:
        """The same in the calling thread, for tasks that are too short for a `_Job`."""
        for i in range(n_tasks):
            if self._check is not None:
                self._check()
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

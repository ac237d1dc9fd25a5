"""Threads that share numbered tasks, such as micro-batches, and background threads.

A thread is started in a single step, without waiting for it to begin. So one that
never begins, for lack of memory, is not missed, and a signal's handler that raises
cannot leave one half started, as it can with ``threading.Thread``.
"""

import threading
from _thread import start_new_thread
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from skcnn.parallel.contexts import holding

__all__ = ["Background", "Threads"]


class Threads:
    """Threads that share numbered tasks, the calling thread among them.

    Parameters
    ----------
    n_threads : int
        Number of threads. They are started when there are tasks for them and
        end with the context. If some cannot be started, fewer are used.
    on_start : callable or None, default=None
        Called once in every helper thread.
    check : callable or None, default=None
        Called in the calling thread before each of its tasks; an exception
        ends the run.
    spawn : callable or None, default=None
        Runs a function in a worker process, as a `Coordinator` requires; None if
        there are no worker processes. There may be as many as threads.
    has_idle_worker : callable, optional
        Returns whether an idle worker process exists.
    """

    def __init__(
        self,
        n_threads: int,
        on_start: Callable[[], None] | None = None,
        check: Callable[[], None] | None = None,
        spawn: Any = None,
        has_idle_worker: Callable[[], bool] = lambda: False,
    ) -> None:
        self.n_threads = n_threads
        self._on_start, self.check = on_start, check
        self.spawn, self.has_idle_worker = spawn, has_idle_worker
        self._inboxes: list[SimpleQueue] = []  # of the started threads
        self._startable = n_threads

    def __enter__(self) -> "Threads":
        return self

    def __exit__(self, *exc_info: object) -> None:
        for inbox in self._inboxes:
            inbox.put(None)

    def _start(self, n_helpers: int) -> None:
        """Start helper threads until there are `n_helpers`, or no more can be started."""
        while len(self._inboxes) < min(n_helpers, self._startable):
            inbox: SimpleQueue = SimpleQueue()
            self._inboxes.append(inbox)
            if not start(self._serve, len(self._inboxes), inbox):
                self._startable = len(self._inboxes) - 1

    def _serve(self, thread: int, inbox: SimpleQueue) -> None:
        try:
            if self._on_start is not None:
                self._on_start()
        except MemoryError:
            return
        while (run := inbox.get()) is not None:
            run.help(thread)
            del run  # frees its arrays

    def run(
        self, n_tasks: int, task: Callable[[int, int], object], n_threads: int | None = None
    ) -> None:
        """Call ``task(thread, i)`` for all `i`.

        Parameters
        ----------
        n_tasks : int
            Number of tasks, started in order.
        task : callable
            Runs in any thread; `thread` is a number below `n_threads`, unique
            among running tasks.
        n_threads : int or None, default=None
            Most threads to use; None is all of them.

        Raises
        ------
        BaseException
            The first exception of a task, once no task is running.
        """
        n_threads = min(n_tasks, n_threads or self.n_threads, self.n_threads)
        if n_threads < 2:
            for i in range(n_tasks):
                if self.check is not None:
                    self.check()
                task(0, i)
            return
        run = _Run(n_tasks, n_threads, task)
        holding(run, self._share)
        if run.error is not None:
            error, run.error = run.error, None
            try:
                raise error
            finally:
                del error, run, task  # the traceback must not keep them in a reference cycle

    def _share(self, run: "_Run") -> None:
        self._start(run.n_threads - 1)
        for inbox in self._inboxes[: run.n_threads - 1]:
            inbox.put(run)
        run.work(0, self.check)


class _Run:
    """Numbered tasks that several threads take; leaving the context waits for all of them.

    The calling thread can be interrupted at any step, so it never holds a lock
    that others wait for.
    """

    def __init__(self, n_tasks: int, n_threads: int, task: Callable[[int, int], object]) -> None:
        self.n_threads = n_threads
        self.error: BaseException | None = None
        self._task = task
        self._todo = deque(range(n_tasks))
        self._helpers = ActiveThreads()

    def __enter__(self) -> "_Run":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._todo.clear()
        self._helpers.wait()

    def help(self, thread: int) -> None:
        """Take tasks in a helper thread."""
        try:
            self._helpers.enter()
            self.work(thread)
        finally:
            self._helpers.leave()

    def work(self, thread: int, check: Callable[[], None] | None = None) -> None:
        """Take tasks until none is left."""
        try:
            while self._todo:
                if check is not None:
                    check()
                try:
                    i = self._todo.popleft()
                except IndexError:  # another thread took it
                    return
                self._task(thread, i)
        except BaseException as error:
            if self.error is None:
                self.error = error
            self._todo.clear()


def start(function: Callable, *args: object) -> bool:
    """Call a function in a new thread, and return whether one was started."""
    try:
        start_new_thread(function, args)
    except (RuntimeError, MemoryError) as error:
        if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
            raise  # from a signal's handler, not from starting the thread
        return False
    return True


class ActiveThreads:
    """Set of the threads that are working on something.

    A thread enters before it checks whether there is still work. So once there is
    none and `wait` has returned, no thread starts any more.
    """

    def __init__(self) -> None:
        self._active: set[int] = set()
        self._left: SimpleQueue = SimpleQueue()

    def enter(self) -> None:
        """Add this thread."""
        self._active.add(threading.get_ident())

    def leave(self) -> None:
        """Remove this thread."""
        self._active.discard(threading.get_ident())
        self._left.put(None)

    def wait(self) -> None:
        """Wait until the set is empty."""
        while self._active:
            with suppress(Empty):
                self._left.get(timeout=0.1)


class Background:
    """Functions that run in threads of their own until `close` is called."""

    def __init__(self) -> None:
        self.wanted = True
        self._threads = ActiveThreads()
        self._started = self._ended = 0

    @property
    def busy(self) -> bool:
        """Whether any started function has not returned."""
        return self._ended < self._started

    def start(self, function: Callable, *args: object) -> None:
        """Call a function in a thread of its own, if one can be started."""
        self._started += 1
        if not start(self._run, function, args):
            self._started -= 1

    def _run(self, function: Callable, args: tuple) -> None:
        try:
            self._threads.enter()
            if self.wanted:
                function(*args)
        finally:
            self._ended += 1
            self._threads.leave()

    def close(self) -> None:
        """Start nothing more, and wait for running functions, which may check `wanted`."""
        self.wanted = False
        self._threads.wait()

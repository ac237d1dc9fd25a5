"""Threads that share out tasks, such as micro-batches, and threads in the background.

They are started in a single step and are not waited for to begin: one that
never begins, for want of memory, is never missed, and a signal's handler that
raises cannot leave one half started, as it can with ``threading.Thread``.
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
    """Threads that share out numbered tasks; the calling thread is one of them.

    Parameters
    ----------
    n_threads : int
        Number of threads. They are started when there are tasks for them and
        ended on leaving the context. Those that cannot be are done without.
    on_start : callable or None, default=None
        Called once in every thread but the calling one.
    check : callable or None, default=None
        Called in the calling thread before each of its tasks; what it raises
        ends the run.
    spawn : callable or None, default=None
        Has another process call a function, as coordinators of a training want it;
        None where there are none. There may be as many as threads.
    has_idle_worker : callable, default=None
        Says whether a process is there that has nothing to do.
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
        self._inboxes: list[SimpleQueue] = []  # of the threads that have been started
        self._startable = n_threads

    def __enter__(self) -> "Threads":
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

    def _serve(self, thread: int, inbox: SimpleQueue) -> None:
        try:
            if self._on_start is not None:
                self._on_start()
        except MemoryError:
            return
        while (run := inbox.get()) is not None:
            run.help(thread)
            del run  # and all that it works on

    def run(
        self, n_tasks: int, task: Callable[[int, int], object], n_threads: int | None = None
    ) -> None:
        """Call ``task(thread, i)`` for all `i`.

        Parameters
        ----------
        n_tasks : int
            Number of tasks, started in their order.
        task : callable
            Runs in any thread; `thread` is a number below `n_threads` that no
            two running tasks share.
        n_threads : int or None, default=None
            The largest number of threads to use; None is all of them.

        Raises
        ------
        BaseException
            The first that a call raised, when no call is running any more.
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
                del error, run, task  # the traceback must not hold them in a circle

    def _share(self, run: "_Run") -> None:
        self._start(run.n_threads - 1)
        for inbox in self._inboxes[: run.n_threads - 1]:
            inbox.put(run)
        run.work(0, self.check)


class _Run:
    """Numbered tasks that several threads take from; leaving the context waits for all of them.

    Only the calling thread can be interrupted at any step, so it never holds
    a lock that others wait for.
    """

    def __init__(self, n_tasks: int, n_threads: int, task: Callable[[int, int], object]) -> None:
        self.n_threads = n_threads
        self.error: BaseException | None = None
        self._task = task
        self._todo = deque(range(n_tasks))
        self._helpers = Presence()

    def __enter__(self) -> "_Run":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._todo.clear()
        self._helpers.wait()

    def help(self, thread: int) -> None:
        """Take tasks, in another thread than the calling one."""
        try:
            self._helpers.enter()
            self.work(thread)
        finally:
            self._helpers.leave()

    def work(self, thread: int, check: Callable[[], None] | None = None) -> None:
        """Take tasks until there are none."""
        try:
            while self._todo:
                if check is not None:
                    check()
                try:
                    i = self._todo.popleft()
                except IndexError:  # another thread was faster
                    return
                self._task(thread, i)
        except BaseException as error:
            if self.error is None:
                self.error = error
            self._todo.clear()


def start(function: Callable, *args: object) -> bool:
    """Call a function in a new thread, and say whether there is one."""
    try:
        start_new_thread(function, args)
    except (RuntimeError, MemoryError) as error:
        if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
            raise  # not by that function: by the handler of a signal that came meanwhile
        return False
    return True


class Presence:
    """Set of the threads that are at work on something.

    A thread that enters looks only then whether it is still wanted; so nobody
    begins any more once that was made impossible, and `wait` has returned.
    """

    def __init__(self) -> None:
        self._present: set[int] = set()
        self._bell: SimpleQueue = SimpleQueue()

    def enter(self) -> None:
        """Be at work, in this thread."""
        self._present.add(threading.get_ident())

    def leave(self) -> None:
        """Be at work no more."""
        self._present.discard(threading.get_ident())
        self._bell.put(None)

    def wait(self) -> None:
        """Wait until nobody is present."""
        while self._present:
            with suppress(Empty):
                self._bell.get(timeout=0.1)


class Background:
    """Functions that run in threads of their own, until nobody wants them any more."""

    def __init__(self) -> None:
        self.wanted = True
        self._presence = Presence()
        self._started = self._ended = 0

    @property
    def busy(self) -> bool:
        """Whether a function that was started has not returned."""
        return self._ended < self._started

    def start(self, function: Callable, *args: object) -> None:
        """Call a function in a thread of its own, if there can be one."""
        self._started += 1
        if not start(self._run, function, args):
            self._started -= 1

    def _run(self, function: Callable, args: tuple) -> None:
        try:
            self._presence.enter()
            if self.wanted:
                function(*args)
        finally:
            self._ended += 1
            self._presence.leave()

    def close(self) -> None:
        """Start nothing more, and wait for what runs, which may look whether it is `wanted`."""
        self.wanted = False
        self._presence.wait()

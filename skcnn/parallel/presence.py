"""Threads that come and go, and one who waits until all have gone.

They are started in a single step and are not waited for to begin: one that
never begins, for want of memory, is never missed, and a signal's handler that
raises cannot leave one half started, as it can with ``threading.Thread``.
"""

import threading
from _thread import start_new_thread
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue

__all__ = ["Background", "Presence", "start"]


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
    """Which threads are at work on something.

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

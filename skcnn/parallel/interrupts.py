"""Deferral of Ctrl-C to safe places."""

import signal
import threading
from collections.abc import Callable
from typing import TypeVar

from skcnn.parallel.contexts import holding

__all__ = ["Interrupts", "at_safe_places"]

Result = TypeVar("Result")


class Interrupts:
    """Context in which Ctrl-C waits for a safe place.

    Ctrl-C raises ``KeyboardInterrupt`` between any two steps of the main
    thread, even where a limit is half restored. In this context it is only
    recorded, and `check` raises it. A handler set by the user is left alone.
    """

    def __init__(self) -> None:
        self.pending = False

    def __enter__(self) -> "Interrupts":
        self._replace(signal.default_int_handler, self._remember)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._replace(self._remember, signal.default_int_handler)

    def _replace(self, old: Callable, new: Callable) -> None:
        """Replace the handler of SIGINT if it is `old`."""
        in_main = threading.current_thread() is threading.main_thread()
        if in_main and signal.getsignal(signal.SIGINT) == old:
            signal.signal(signal.SIGINT, new)

    def _remember(self, signum: int, frame: object) -> None:
        self.pending = True

    def check(self) -> None:
        """Raise ``KeyboardInterrupt`` if Ctrl-C was pressed since the last check."""
        if self.pending:
            self.pending = False
            raise KeyboardInterrupt


def at_safe_places(work: Callable[[Interrupts], Result]) -> Result:
    """Call ``work(interrupts)`` and check for Ctrl-C once more when it has returned."""
    interrupts = Interrupts()
    result = holding(interrupts, work)
    interrupts.check()
    return result

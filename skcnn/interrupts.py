"""Ctrl-C at safe places only."""

import signal
import threading

__all__ = ["Interrupts"]


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

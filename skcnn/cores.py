"""Whether the machine has cores that have nothing to do; no bit depends on it."""

import os
import time
from math import inf

__all__ = ["Cores"]

_IDLE = slice(4, 6)
"""Words of the first line of ``/proc/stat``: idle, and waiting for a disk."""


class Cores:
    """How many cores there are for this process, by what it and the machine have done."""

    def __init__(self) -> None:
        self._look()

    def _look(self) -> None:
        self._then, self._used, self._idle = time.perf_counter(), time.process_time(), _idle()

    @property
    def seconds(self) -> float:
        """How long it has looked on. (The system counts hundredths of a second.)"""
        return time.perf_counter() - self._then

    def available(self) -> float:
        """Cores that this process has used or that were idle, on average; then look on anew.

        Infinite where the system does not tell. It does on Linux.
        """
        seconds, used, idle = self.seconds, self._used, self._idle
        self._look()
        if idle is None or self._idle is None:
            return inf
        return (self._used - used + self._idle - idle) / seconds


def _idle() -> float | None:
    """Seconds for which cores have been idle, all together, if the system tells."""
    try:
        with open("/proc/stat", encoding="ascii") as file:
            words = file.readline().split()[_IDLE]
        return sum(map(int, words)) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, AttributeError):
        return None

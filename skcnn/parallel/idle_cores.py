"""Whether the machine has cores that have nothing to do; no bit depends on it."""

import os
import time
from math import inf

__all__ = ["IdleCores"]

_ALL, _IDLE = slice(1, 9), slice(4, 6)
"""Words of the first line of ``/proc/stat``; idle, and waiting for a disk."""


class IdleCores:
    """How many cores there are for this process, by what it and the machine have done."""

    def __init__(self) -> None:
        self._look()

    def _look(self) -> None:
        self._then, self._used, self._times = time.perf_counter(), time.process_time(), _times()

    @property
    def seconds(self) -> float:
        """How long it has looked on. (The system counts hundredths of a second.)"""
        return time.perf_counter() - self._then

    def available(self) -> float:
        """Return the mean number of cores used by this process or idle, and begin anew.

        Infinite where the system does not tell, or its clocks stand still, as in
        some containers. Linux tells.
        """
        seconds, used, times = self.seconds, self._used, self._times
        self._look()
        if times is None or self._times is None:
            return inf
        idle, every = (now - then for now, then in zip(self._times, times, strict=True))
        return inf if every < seconds / 2 else (self._used - used + idle) / seconds


def _times() -> tuple[float, float] | None:
    """Seconds for which all cores together have been idle, and have been, if the system tells."""
    try:
        with open("/proc/stat", encoding="ascii") as file:
            words = file.readline().split()
        idle, every = (sum(map(int, words[part])) for part in (_IDLE, _ALL))
        return idle / os.sysconf("SC_CLK_TCK"), every / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, AttributeError):
        return None

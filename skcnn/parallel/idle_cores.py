"""Estimate of the machine's idle cores; no result depends on it."""

import os
import time
from collections.abc import Callable
from math import inf

__all__ = ["IdleCores"]

STAT = "/proc/stat"
"""File in which Linux reports the time of all cores."""

_ALL, _IDLE = slice(1, 9), slice(4, 6)
"""Words of its first line: all times; those idle or waiting for a disk."""


def machine_times(path: str = STAT) -> tuple[float, float] | None:
    """Return idle seconds and all seconds of all cores together; None if unknown."""
    try:
        with open(path, encoding="ascii") as file:
            words = file.readline().split()
        idle, every = (sum(map(int, words[part])) for part in (_IDLE, _ALL))
        return idle / os.sysconf("SC_CLK_TCK"), every / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, AttributeError):
        return None


class IdleCores:
    """Estimates the cores that this process can use, from its load and the machine's.

    Parameters
    ----------
    clock : callable, default=time.perf_counter
        Seconds since an arbitrary moment.
    used : callable, default=time.process_time
        Seconds for which this process has used a core.
    times : callable, default=machine_times
        Idle seconds and all seconds of all cores together, or None.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.perf_counter,
        used: Callable[[], float] = time.process_time,
        times: Callable[[], tuple[float, float] | None] = machine_times,
    ) -> None:
        self._clock, self._read_used, self._read_times = clock, used, times
        self._look()

    def _look(self) -> None:
        self._then, self._used, self._times = self._clock(), self._read_used(), self._read_times()

    @property
    def seconds(self) -> float:
        """Seconds of observation (the system counts in hundredths)."""
        return self._clock() - self._then

    def available(self) -> float:
        """Return the mean number of cores idle or used by this process, and start over.

        Infinite if the system does not report it (Linux does), or if its counters
        stand still, as in some containers.
        """
        then, used, times = self._then, self._used, self._times
        self._look()
        if times is None or self._times is None:
            return inf
        seconds = self._then - then
        idle, every = (now - before for now, before in zip(self._times, times, strict=True))
        return inf if every < seconds / 2 else (self._used - used + idle) / seconds

"""Waiting for another process."""

import os
import time
from collections.abc import Callable
from functools import partial

__all__ = ["SpinWait"]

yield_core: Callable[[], None] = getattr(os, "sched_yield", None) or partial(time.sleep, 0)
"""Yield the core. From Python 3.11 on, ``time.sleep(0)`` really sleeps: 0.07 ms on Linux."""

WAKING = 2e-4
"""Approximate seconds to sleep and wake; spinning for less is always worth it."""

LONGEST_SPIN = 5e-4
"""Longest spin in seconds; average waits above half of it mean that cores are shared."""

SHORTEST_SPIN, LONGEST_SLEEP = 2e-5, 5e-3


class SpinWait:
    """Waits by spinning for as long as a wait usually takes, then by sleeping.

    Sleeping and waking takes a tenth of a millisecond or two; spinning occupies a
    core that others may need. So a wait spins for that long, or for twice the mean
    of recent waits, yielding the core all the time, and then sleeps for longer and
    longer. If waits are so long that the awaited process must be sharing its core,
    it sleeps almost at once: the scheduler prefers a process that has slept, while
    one that yields (``sched_yield``) waits for all others.
    """

    def __init__(self) -> None:
        self._usual = 1e-4

    def until(self, ready: Callable[[], bool], is_over: Callable[[], bool] | None = None) -> bool:
        """Wait until `ready` or `is_over` is true, and return whether it is ready."""
        if ready():
            return True
        start = time.perf_counter()
        spin = max(2 * self._usual, WAKING)
        if spin > LONGEST_SPIN:
            spin = SHORTEST_SPIN
        pause, answer = 5e-5, True
        while not ready():
            if time.perf_counter() - start < spin:
                yield_core()
            elif is_over is not None and is_over():
                answer = ready()
                break
            else:
                time.sleep(pause)
                pause = min(1.5 * pause, LONGEST_SLEEP)
        waited = min(time.perf_counter() - start, 4 * LONGEST_SPIN)
        self._usual += (waited - self._usual) / 16
        return answer

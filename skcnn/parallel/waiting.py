"""Waiting for another process."""

import os
import time
from collections.abc import Callable
from functools import partial

__all__ = ["SpinWait"]

give_turn: Callable[[], None] = getattr(os, "sched_yield", None) or partial(time.sleep, 0)
"""Let others go on. From Python 3.11 on, ``time.sleep(0)`` really sleeps, for 0.07 ms on Linux."""

WAKING = 2e-4
"""Seconds that it takes to sleep and to wake, about; the least that is worth spinning for."""

LONGEST_SPIN = 5e-4
"""Longest spin in seconds; waits of half of that on average mean that the core is shared."""

SHORTEST_SPIN, LONGEST_SLEEP = 2e-5, 5e-3


class SpinWait:
    """Waits: at first as one who expects it any moment, for as long as it usually takes.

    Sleeping and waking takes a tenth of a millisecond or two, spinning takes a
    core that others may have use for. So it spins for as long as that, or twice
    the mean of the last waits, letting others go on, and then sleeps, longer
    and longer. Where waits are so long that somebody else must have the core of whom it
    waits for, it sleeps at once: who has slept is let in again first, while
    who gives a turn away (``sched_yield``) waits for all the others' turns.
    """

    def __init__(self) -> None:
        self._usual = 1e-4

    def until(self, ready: Callable[[], bool], hopeless: Callable[[], bool] | None = None) -> bool:
        """Wait, and say whether it is ready; False is that it will never be."""
        if ready():
            return True
        start = time.perf_counter()
        patience = max(2 * self._usual, WAKING)
        if patience > LONGEST_SPIN:
            patience = SHORTEST_SPIN
        pause, answer = 5e-5, True
        while not ready():
            if time.perf_counter() - start < patience:
                give_turn()
            elif hopeless is not None and hopeless():
                answer = ready()
                break
            else:
                time.sleep(pause)
                pause = min(1.5 * pause, LONGEST_SLEEP)
        waited = min(time.perf_counter() - start, 4 * LONGEST_SPIN)
        self._usual += (waited - self._usual) / 16
        return answer

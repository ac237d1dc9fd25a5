"""Monitor of whether worker processes make training faster; no result depends on it."""

from math import inf

__all__ = ["SpeedupMonitor"]

WINDOW = 0.1
"""Seconds over which the time of mini-batches is averaged."""

GLANCE, HOPELESS = 0.02, 1.25
"""Seconds after which a trial ends early, and the ratio to the time alone that ends it."""

SHORTEST, LONGEST = 0.4, 6.4
"""Seconds for which workers pause when they do not pay off, doubled each time."""

GAIN = 0.97
"""Largest ratio of the time together to the time alone at which workers pay off."""


class SpeedupMonitor:
    """Compares the time of mini-batches with and without workers.

    On a busy machine, processes that wait for each other can be slower than one.
    If they were slower for a while, the next mini-batches run without workers, in
    case the machine itself has become slower. If these are no slower, twice in a
    row, the workers pause and are tried again later. Their first mini-batches are
    not counted.

    Parameters
    ----------
    alone : float
        Seconds per mini-batch before workers were spawned.
    """

    def __init__(self, alone: float) -> None:
        self._alone = alone
        self._slow = 0.0  # with workers, if that seemed slow; otherwise 0
        self._rest = self._next_rest = 0.0  # inf until the time alone is measured again
        self._tried = False
        self._seconds, self._count, self._together = 0.0, 0, False

    @property
    def together(self) -> bool:
        """Whether workers should take part in the next mini-batch."""
        return self._rest <= 0

    def note(self, together: bool, seconds: float) -> None:
        """Record the time of a mini-batch."""
        if together != self._together:
            self._seconds, self._count, self._together = 0.0, 0, together
        self._seconds += seconds
        self._count += 1
        if not together:
            self._rest -= seconds
        mean = self._seconds / self._count
        glance = together and (not self._tried or mean > HOPELESS * self._alone)
        if self._seconds < (GLANCE if glance else WINDOW):
            return
        self._seconds, self._count = 0.0, 0
        if together:
            self._judge_together(mean)
        else:
            self._judge_alone(mean)

    def _judge_together(self, mean: float) -> None:
        if not self._tried:
            self._tried = True
        elif mean > GAIN * self._alone:
            self._slow, self._rest = mean, inf
        else:
            self._next_rest = 0.0

    def _judge_alone(self, mean: float) -> None:
        self._alone = mean
        if self._rest < inf:  # already decided
            return
        if self._slow > GAIN * mean:
            self._rest = self._next_rest
            self._next_rest = min(max(2 * self._next_rest, SHORTEST), LONGEST)
        else:
            self._rest = 0.0
        self._slow = 0.0

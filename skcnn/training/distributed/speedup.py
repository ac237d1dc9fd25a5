"""Whether help is worth it, by the clock; no bit depends on it."""

from math import inf

__all__ = ["SpeedupMonitor"]

WINDOW = 0.1
"""Seconds over which paces are compared."""

GLANCE, HOPELESS = 0.02, 1.25
"""Seconds in which it shows that mini-batches take more than so many times as long as alone."""

SHORTEST, LONGEST = 0.4, 6.4
"""Seconds for which workers rest after they were of no help again, doubled each time."""

GAIN = 0.97
"""A mini-batch must take at most this share of the time that it takes alone."""


class SpeedupMonitor:
    """Compares the time of mini-batches alone and together.

    On a machine that has other things to do, processes that wait for each other
    can be slower than one. Where they were for a while, the next mini-batches
    are done alone, since the machine may have become slower for whoever works on
    it. If these are no slower than those together, and that twice in a row, the
    others rest, and are tried again later. Their first mini-batches do not count.

    Parameters
    ----------
    alone : float
        Seconds of a mini-batch before others were asked for.
    """

    def __init__(self, alone: float) -> None:
        self._alone = alone
        self._slow = 0.0  # the same together, when that seemed slow; 0 is not
        self._rest = self._next_rest = 0.0  # inf is until the time alone is known again
        self._tried = False
        self._seconds, self._count, self._together = 0.0, 0, False

    @property
    def together(self) -> bool:
        """Whether to take the help that there is."""
        return self._rest <= 0

    def note(self, together: bool, seconds: float) -> None:
        """Hear how long a mini-batch has taken."""
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
        if self._rest < inf:  # they rest, and it is known why
            return
        if self._slow > GAIN * mean:
            self._rest = self._next_rest
            self._next_rest = min(max(2 * self._next_rest, SHORTEST), LONGEST)
        else:
            self._rest = 0.0
        self._slow = 0.0

"""Whether help is worth it, by the clock; no bit depends on it."""

__all__ = ["Pace"]

WINDOW = 0.1
"""Seconds over which paces are compared."""

SHORTEST, LONGEST = 0.4, 6.4
"""Seconds for which a crew rests after it was of no help, doubled each time."""

GAIN = 0.97
"""A mini-batch must take at most this share of the time that it takes alone."""


class Pace:
    """Compares the time of mini-batches alone and together.

    On a machine that has other things to do, processes that wait for each other
    can be slower than one. Where they were for a while, they rest, and are
    tried again later. They begin with a rest, to know the time alone (that while
    they were started says little).
    """

    def __init__(self) -> None:
        self._alone = 0.0  # seconds of a mini-batch; 0 is unknown
        self._rest, self._next_rest = WINDOW, SHORTEST
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
        if self._seconds < WINDOW:
            return
        mean = self._seconds / self._count
        self._seconds, self._count = 0.0, 0
        if not together:
            self._alone = mean
        elif self._alone:
            if mean > GAIN * self._alone:
                self._rest = self._next_rest
                self._next_rest = min(2 * self._next_rest, LONGEST)
            else:
                self._next_rest = SHORTEST

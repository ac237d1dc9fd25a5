"""What the processes of a training tell each other, and how they wait.

All words lie in shared memory. Each is written by one side only, and whoever
waits for a word reads what was written before it: x86 processors keep the
order of stores and of loads; elsewhere a lock, taken twice, makes them.
"""

import os
import platform
import struct
import threading
import time
from collections.abc import Callable
from functools import partial
from mmap import mmap
from typing import NamedTuple

__all__ = ["Board", "Patience", "Task"]

GRADIENTS, SUMS, STEP = range(3)
"""What a task asks for."""

_LEAVE = -1
_STARTING = -2
"""In place of a task's number."""

_HEADER, _LINE = 256, 128
"""Bytes for the task, and for each side of each hand: two cache lines, fetched together."""

_MAIL, _RANK, _DONE, _PROGRESS = 0, 1, _LINE // 8, _LINE // 8 + 1
"""Words of a hand: the first two are the leader's, the others its own."""

_FORMAT = "9q3dq"

_IN_ORDER = platform.machine().lower() in ("x86_64", "amd64", "i386", "i686")


class Task(NamedTuple):
    """What every process shall do its share of.

    Parameters
    ----------
    kind : {GRADIENTS, SUMS, STEP}
    epoch, batch : int
        Numbers of the epoch and of the mini-batch in it.
    start, stop : int
        Where its rows lie in the order of the epoch.
    first : int
        The micro-batch whose gradient is the first that is kept at this time.
    members : int
        Number of processes that share the task.
    summed : int
        For a step: whether the gradients have been summed already.
    t, lr, scale, weight, averaged
        As in `skcnn.updates.Step`.
    """

    kind: int
    epoch: int
    batch: int
    start: int
    stop: int
    first: int
    members: int
    summed: int
    t: int
    lr: float
    scale: float
    weight: float
    averaged: int


class Board:
    """The words of one training.

    Parameters
    ----------
    memory : mmap
        Shared, zeros at first; the words are at its beginning.
    """

    def __init__(self, memory: mmap) -> None:
        self._memory = memory
        self._words = memoryview(memory).cast("q")
        self._fence = threading.Lock()

    @staticmethod
    def nbytes(n_hands: int) -> int:
        """What the words of so many hands take."""
        return _HEADER + 2 * _LINE * n_hands

    def _get(self, hand: int, word: int) -> int:
        return self._words[(_HEADER + 2 * _LINE * hand) // 8 + word]

    def _set(self, hand: int, word: int, value: int) -> None:
        self._words[(_HEADER + 2 * _LINE * hand) // 8 + word] = value

    # The leader's side

    def expect(self, hand: int) -> None:
        """Begin with a hand that is not ready yet."""
        self._set(hand, _MAIL, 0)
        self._set(hand, _DONE, _STARTING)

    def is_ready(self, hand: int) -> bool:
        """Whether a hand waits for its first task, or has had some."""
        return self._get(hand, _DONE) != _STARTING

    def post(self, task: Task, number: int, hands: list[int]) -> None:
        """Give some hands the task of this number; their ranks are 1, 2, ... in this order."""
        struct.pack_into(_FORMAT, self._memory, 0, *task)
        for rank, hand in enumerate(hands, 1):
            self._set(hand, _RANK, rank)
            self._set(hand, _PROGRESS, 0)
        self.fence()
        for hand in hands:
            self._set(hand, _MAIL, number)

    def has_done(self, hand: int, number: int) -> bool:
        """Whether a hand has done its share of the task of this number."""
        return self._get(hand, _DONE) == number

    def progress(self, hand: int) -> int:
        """What a hand has noted last since it got its task, or 0."""
        return self._get(hand, _PROGRESS)

    def let_go(self, hand: int) -> None:
        """Tell a hand that there will be no tasks any more."""
        self._set(hand, _MAIL, _LEAVE)

    # The side of a hand

    def is_new(self, hand: int, number: int) -> bool:
        """Whether there is mail since the task of this number."""
        return self._get(hand, _MAIL) != number

    def take(self, hand: int) -> tuple[int, int, Task] | None:
        """Number of the task, this hand's rank, and the task; None is to leave."""
        number = self._get(hand, _MAIL)
        self.fence()
        if number == _LEAVE:
            return None
        return number, self._get(hand, _RANK), Task(*struct.unpack_from(_FORMAT, self._memory))

    def hand_in(self, hand: int, number: int) -> None:
        """Say that the task of this number is done; 0 is to be ready for the first."""
        self.fence()
        self._set(hand, _DONE, number)

    def note(self, hand: int, progress: int) -> None:
        """Note how far a hand has come, for the case that it is lost."""
        self._set(hand, _PROGRESS, progress)

    def fence(self) -> None:
        """Order what was read and written before, and what will be."""
        if not _IN_ORDER:
            for _ in range(2):
                with self._fence:
                    pass


give_turn: Callable[[], None] = getattr(os, "sched_yield", None) or partial(time.sleep, 0)
"""Let others go on. From Python 3.11 on, ``time.sleep(0)`` really sleeps, for 0.07 ms on Linux."""

WAKING = 2e-4
"""Seconds that it takes to sleep and to wake, about; the least that is worth spinning for."""

LONGEST_SPIN = 5e-4
"""Where waits take half of that on average, somebody else must have the core."""

SHORTEST_SPIN, LONGEST_SLEEP = 2e-5, 5e-3


class Patience:
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

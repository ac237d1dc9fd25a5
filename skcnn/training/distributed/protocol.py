"""Messages between the processes of a training.

All words lie in shared memory, and each is written by one side only. A process
that has seen a word change also sees everything written before it: x86
processors keep stores and loads in order; elsewhere, taking a lock twice acts
as a memory fence.
"""

import platform
import struct
import threading
from mmap import mmap

from skcnn.training.minibatch import Task
from skcnn.training.update import Step

__all__ = ["Mailboxes"]

_STOP = -1
"""Stands in place of a task's number."""

_READY = -1
"""Stands in place of the number of the last finished task before the first; 0 is not ready."""

_HEADER, _LINE = 256, 128
"""Bytes for the task, and for each side of a mailbox: two cache lines, fetched together."""

_MAIL, _RANK, _DONE = 0, 1, _LINE // 8
"""Words of a mailbox: the coordinator writes the first two, the worker the last."""

_FORMAT = "10q3dq"

_IN_ORDER = platform.machine().lower() in ("x86_64", "amd64", "i386", "i686")


class Mailboxes:
    """One task for all workers, and a mailbox for each.

    Parameters
    ----------
    memory : mmap
        Shared memory, initially zero; the words are at its beginning.
    """

    def __init__(self, memory: mmap) -> None:
        self._memory = memory
        self._words = memoryview(memory).cast("q")
        self._fence = threading.Lock()

    @staticmethod
    def nbytes(n_workers: int) -> int:
        """Return the number of bytes for `n_workers` workers."""
        return _HEADER + 2 * _LINE * n_workers

    def _get(self, worker: int, word: int) -> int:
        return self._words[(_HEADER + 2 * _LINE * worker) // 8 + word]

    def _set(self, worker: int, word: int, value: int) -> None:
        self._words[(_HEADER + 2 * _LINE * worker) // 8 + word] = value

    def _order_accesses(self) -> None:
        """Order all reads and writes before this call before those after it."""
        if not _IN_ORDER:
            for _ in range(2):
                with self._fence:
                    pass

    # The coordinator's side

    def is_ready(self, worker: int) -> bool:
        """Whether a worker is waiting for its first task, or has had one."""
        return self._get(worker, _DONE) != 0

    def post(self, task: Task, number: int, workers: list[int], first_rank: int = 1) -> None:
        """Post a task, numbered from 1, to workers that get consecutive ranks."""
        struct.pack_into(_FORMAT, self._memory, 0, *task[:-1], *task.step)
        for rank, worker in enumerate(workers, first_rank):
            self._set(worker, _RANK, rank)
        self._order_accesses()
        for worker in workers:
            self._set(worker, _MAIL, number)

    def has_done(self, worker: int, number: int) -> bool:
        """Whether a worker has finished its part of a task, so that its results can be read."""
        if self._get(worker, _DONE) != number:
            return False
        self._order_accesses()
        return True

    def stop(self, worker: int) -> None:
        """Tell a worker that there will be no more tasks."""
        self._set(worker, _MAIL, _STOP)

    # The worker's side

    def has_mail(self, worker: int, number: int) -> bool:
        """Whether a message has arrived since the task with this number."""
        return self._get(worker, _MAIL) != number

    def take(self, worker: int) -> tuple[int, int, Task] | None:
        """Return the task's number, the worker's rank, and the task; None means stop."""
        number = self._get(worker, _MAIL)
        self._order_accesses()
        if number == _STOP:
            return None
        words = struct.unpack_from(_FORMAT, self._memory)
        task = Task._make((*words[:9], Step._make(words[9:])))
        return number, self._get(worker, _RANK), task

    def mark_ready(self, worker: int) -> None:
        """Report that the worker is waiting for its first task."""
        self.mark_done(worker, _READY)

    def mark_done(self, worker: int, number: int) -> None:
        """Report that the worker has finished its part of a task."""
        self._order_accesses()
        self._set(worker, _DONE, number)

"""Worker processes that join a training while it runs.

The calling process, the coordinator, posts every task, does its own part, and
waits for the workers. Workers may join at any mini-batch and may be killed at
any time; `EpochRunner.run` then returns to the start of the epoch and repeats it.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Protocol

import numpy as np

from skcnn.data import Images
from skcnn.parallel.shared_memory import (
    SharedMemory,
    available_memory,
    lay_out,
    mapped,
)
from skcnn.parallel.threads import Background
from skcnn.parallel.waiting import SpinWait
from skcnn.state import TrainingState
from skcnn.training.distributed.protocol import Mailboxes
from skcnn.training.distributed.worker import Assignment, shared_buffers, work
from skcnn.training.minibatch import GRADIENTS, STEP, Buffers, Replica, Task

__all__ = ["Coordinator", "Spawn", "WorkerLostError"]

WORKER_BYTES = 80 * 2**20
"""Memory that a worker takes in addition to the shared memory."""

COMFORTABLE = 1 / 3
"""Share of the available memory that the processes of a training may take."""

OVERDUE = 30.0
"""Seconds after which a worker that does not respond is killed."""

OVERDUE_PARTS = 100
"""Least such limit, as a multiple of the time the coordinator took for its own part."""

LONGEST_LOOK = 0.1
"""Most seconds counted between two checks, since this process may have been stopped too."""

COPIED_BYTES = 8 * 2**20
"""Bytes of images that are copied at a time."""


class Worker(Protocol):
    """A running worker process."""

    def done(self) -> bool:
        """Whether the function has returned or failed, or the process has died."""

    def release(self) -> None:
        """Record that the function has been told to return."""

    def kill(self) -> None:
        """Kill the process; `done` becomes true when it has ended."""


class Spawn(Protocol):
    """Interface of a function that runs another one in a worker process."""

    def __call__(
        self, function: Callable[[Assignment, int], None], assignment: Assignment, number: int
    ) -> Worker:
        """Call ``function(assignment, number)`` in a process that does nothing else."""


class WorkerLostError(Exception):
    """A worker has died, and the parameters may be in the middle of a step."""


class Coordinator:
    """Runs training steps together with worker processes.

    Parameters
    ----------
    replica : Replica
        The replica of rank 0.
    spawn : Spawn
    n_workers : int
        Number of processes to spawn.
    n_slots : int
        Number of slots for gradients in the shared memory.

    Attributes
    ----------
    mismatch : bool
        Whether a worker computed a different gradient than this process; the
        training then continues without workers.
    """

    def __init__(self, replica: Replica, spawn: Spawn, n_workers: int, n_slots: int) -> None:
        self._replica, self._spawn = replica, spawn
        self._n_workers, self._n_slots = n_workers, n_slots
        self.started = self.mismatch = False
        self._starter = Background()
        self._memory: SharedMemory | None = None
        self._mailboxes: Mailboxes | None = None
        self._buffers: Buffers | None = None  # the shared ones, until the first worker joins
        self._workers: dict[int, Worker] = {}
        self._members: list[int] = []
        self._task_number, self._posted = 0, 0.0
        self._pending = False  # whether workers may still be busy with the last task
        self._waiter = SpinWait()
        self._pid = os.getpid()

    @property
    def n_processes(self) -> int:
        """Number of processes that take part, including the coordinator."""
        return 1 + len(self._members)

    def start(self) -> None:
        """Start spawning workers, without waiting for them."""
        self.started = True
        self._starter.start(self._spawn_workers)

    def _spawn_workers(self) -> None:
        """Share the data and spawn workers; after any error, training continues on threads."""
        with suppress(Exception):
            assignment = self._share_data()
            for number in range(self._n_workers):
                if self._starter.wanted:
                    self._workers[number] = self._spawn(work, assignment, number)

    def _share_data(self) -> Assignment:
        plan, samples = self._replica.plan, self._replica.samples
        network, images = plan.network, samples.images
        file, n = mapped(images.X), len(samples)
        wanted: dict = {
            "mailboxes": ((Mailboxes.nbytes(self._n_workers),), np.uint8),
            "params": ((network.vector_size,), network.dtype),
            **{
                f"moments {name}": (moment.shape, moment.dtype)
                for name, moment in self._replica.buffers.moments.items()
            },
            **Buffers.specs(network, n, self._n_slots),
            "targets": (samples.targets.shape, samples.targets.dtype),
            "sample_weight": (samples.sample_weight.shape, samples.sample_weight.dtype),
        }
        if file is None:
            wanted["X"] = (n, *images.X.shape[1:]), images.X.dtype
        elif images.rows is not None:
            wanted["rows"] = images.rows.shape, images.rows.dtype
        specs, total = lay_out(wanted)
        if total + self._n_workers * WORKER_BYTES > COMFORTABLE * available_memory():
            raise MemoryError
        memory = self._memory = SharedMemory.reserve(total)
        arrays = {name: memory.array(spec) for name, spec in specs.items()}
        np.copyto(arrays["targets"], samples.targets)
        np.copyto(arrays["sample_weight"], samples.sample_weight)
        if file is None:
            self._copy(images, arrays["X"])
        elif images.rows is not None:
            np.copyto(arrays["rows"], images.rows)
        self._mailboxes, self._buffers = Mailboxes(memory.memory), shared_buffers(arrays)
        nothing = np.empty((0, *images.X.shape[1:]), images.X.dtype)
        return Assignment(
            plan=plan, loss=samples.loss, key=memory.key, places=specs, file=file,
            images=replace(images, X=nothing, rows=None),
        )  # fmt: skip

    def _copy(self, images: Images, out: np.ndarray) -> None:
        """Copy the images in blocks, until the training ends."""
        step = max(1, COPIED_BYTES // max(1, out[:1].nbytes))
        for start in range(0, len(out), step):
            if not self._starter.wanted:
                raise InterruptedError
            rows = slice(start, start + step)
            out[rows] = images.X[rows] if images.rows is None else images.X[images.rows[rows]]

    def join(self, state: TrainingState, task: Task) -> bool:
        """Admit the workers that are ready, and return whether there are any.

        When the first joins, the parameters and moments move to the shared memory.

        Parameters
        ----------
        state : TrainingState
        task : Task
            The next one. A worker is admitted only if it computes the same gradient
            for its first micro-batch as this process.
        """
        self.wait()
        if self._starter.busy or self._mailboxes is None or self._memory is None:
            return bool(self._members)
        if len(self._members) < len(self._workers):
            for number, worker in list(self._workers.items()):
                if number in self._members:
                    continue
                if worker.done():
                    del self._workers[number]
                elif self._mailboxes.is_ready(number):
                    self._move(state)
                    self._take_on(number, task)
                    if self.mismatch:
                        break  # all workers have been stopped
        if len(self._members) == len(self._workers) and self._memory.has_name:
            self._memory.close()  # no other process will map it
        return bool(self._members)

    def _move(self, state: TrainingState) -> None:
        """Move parameters and moments to the shared memory, unless they are there."""
        if self._buffers is not None:
            self._replica.move_to(self._buffers)
            state.weights, state.moments = self._buffers.params, self._buffers.moments
            self._buffers = None

    def _take_on(self, number: int, task: Task) -> None:
        """Admit a worker if it computes the same gradient as this process; else stop all.

        They differ if a custom layer depends on a setting that this program changed
        in a module.
        """
        assert self._mailboxes is not None
        replica, worker = self._replica, self._workers[number]
        stop = min(task.stop, task.start + replica.plan.size)
        probe = task._replace(kind=GRADIENTS, n_ranks=1, first=0, n_parts=1, stop=stop)
        self._task_number += 1
        self._mailboxes.post(probe, self._task_number, [number], first_rank=0)
        done = partial(self._mailboxes.has_done, number, self._task_number)
        if not self._waiter.until(done, _Watchdog(worker, OVERDUE).check):
            del self._workers[number]
            return
        theirs = self._first_gradient()
        replica.run(probe, 0)
        if theirs == self._first_gradient():
            self._members.append(number)
        else:
            self.mismatch = True
            self._stop_workers()

    def _first_gradient(self) -> bytes:
        """Return the contents of the first slot, with the sums of the loss."""
        buffers = self._replica.buffers
        return buffers.slots[0].tobytes() + buffers.sums[0].tobytes()

    def _stop_workers(self) -> None:
        """Tell all workers to stop, and wait for those that have joined."""
        if self._mailboxes is not None:
            for number in self._workers:
                self._mailboxes.stop(number)
        for number, worker in self._workers.items():
            worker.release()
            if number in self._members:
                self._waiter.until(worker.done, _Watchdog(worker, OVERDUE).check)
        self._workers, self._members = {}, []

    def run(self, task: Task) -> None:
        """Have all processes do their parts of a task; a step may still run in the workers.

        Raises
        ------
        WorkerLostError
            If a worker has died; the others have finished.
        """
        self._post(task)
        self._replica.run(task, 0)
        if task.kind != STEP:
            self.wait()

    def _post(self, task: Task) -> None:
        if os.getpid() != self._pid:
            raise RuntimeError("Training cannot continue in a forked process.")
        assert self._mailboxes is not None
        self._task_number += 1
        self._pending = True
        self._posted = time.perf_counter()
        self._mailboxes.post(task, self._task_number, self._members)

    def wait(self) -> None:
        """Wait until all workers have done their parts of the last task.

        Until then the parameters must not be read or changed. Anything else that is
        due between two mini-batches can be done first.

        Raises
        ------
        WorkerLostError
            If a worker has died; the others have finished.
        """
        if not self._pending:
            return
        self._pending, lost = False, []
        assert self._mailboxes is not None
        seconds = max(OVERDUE, OVERDUE_PARTS * (time.perf_counter() - self._posted))
        for number in self._members:
            if self._mailboxes.has_done(number, self._task_number):
                continue
            done = partial(self._mailboxes.has_done, number, self._task_number)
            watchdog = _Watchdog(self._workers[number], seconds)
            if not self._waiter.until(done, watchdog.check):
                lost.append(number)
        for number in lost:
            self._members.remove(number)
            del self._workers[number]
        if lost:
            raise WorkerLostError

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc_info: object) -> None:
        """Stop all workers."""
        if not self.started or os.getpid() != self._pid:
            return
        self._starter.close()
        self._stop_workers()
        if self._memory is not None:
            self._memory.close()


class _Watchdog:
    """Limit of the time to wait for a worker.

    A worker that exceeds it may only be suspended and could write on waking, so it
    is killed; the wait is over once it has ended.
    """

    def __init__(self, worker: Worker, seconds: float) -> None:
        self._worker, self._seconds = worker, seconds
        self._left, self._last = seconds, time.perf_counter()

    def check(self) -> bool:
        """Kill an overdue worker; return whether it has ended. To be called continually."""
        if self._worker.done():
            return True
        now = time.perf_counter()
        self._left -= min(now - self._last, LONGEST_LOOK)
        self._last = now
        if self._left < 0:
            self._left = self._seconds
            self._worker.kill()
        return False

"""Worker processes that join a training while it runs.

The calling process leads: it posts every task, does a share of it, and waits
for the others. They may come, leave or be killed at any time. Until the step of
a mini-batch nothing but scratch arrays is written, so that the mini-batch can
be done again without those who were lost; and a hand that steps has written
down how the parameters were before, so that the leader can finish its share.
"""

import gc
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Protocol

import numpy as np

from skcnn.batches import Images, Samples
from skcnn.board import GRADIENTS, STEP, SUMS, Board, Patience, Task
from skcnn.network import Network
from skcnn.presence import Background
from skcnn.schedules import Constant
from skcnn.segments import Segment, available_bytes, lay_out, mapped
from skcnn.settings import Settings
from skcnn.shares import Job, Share, wanted_arrays
from skcnn.state import TrainingState
from skcnn.updates import norm

__all__ = ["Crew", "Hire", "serve"]

SLOT_BYTES = 32 * 2**20
"""What the gradients of micro-batches may take before they are summed in several rounds."""

HAND_BYTES = 80 * 2**20
"""What a hand takes besides the shared memory."""

COMFORTABLE = 1 / 3
"""Share of the memory that is available that a crew may take."""

REPLACEMENTS = 3
"""How often those who were lost are replaced, on average."""

OVERDUE = 30.0
"""Seconds after which somebody who does not answer is taken for stopped."""

OVERDUE_SHARES = 100
"""The same in what the leader has taken for its own share, if that is longer."""

LONGEST_LOOK = 0.1
"""Seconds that count between two looks at somebody: this process may have been stopped, too."""

COPIED_BYTES = 8 * 2**20
"""Bytes of images that are copied at a time."""


class Hand(Protocol):
    """Somebody who works for a crew."""

    def done(self) -> bool:
        """Whether the function has returned or failed, or its process has died."""

    def release(self) -> None:
        """Know that the function will return as soon as it can."""

    def kill(self) -> None:
        """End the process whatever it does; `done` says when it has ended."""


class Hire(Protocol):
    """How to get another process to call a function."""

    def __call__(self, function: Callable[[Job, int], None], job: Job, number: int) -> Hand:
        """Have ``function(job, number)`` called in a process that does nothing else meanwhile."""


class Crew:
    """The processes of one training, seen from the one that leads.

    Parameters
    ----------
    network : Network
    samples : Samples
    settings : Settings
    size, capacity : int
        Samples in a micro-batch, and the most there can be.
    hire : Hire
    n_hands : int
        How many processes to get besides the calling one.
    check : callable or None, default=None
        Called before each micro-batch in the calling process; what it raises
        ends the training.
    """

    def __init__(
        self,
        network: Network,
        samples: Samples,
        settings: Settings,
        size: int,
        capacity: int,
        hire: Hire,
        n_hands: int,
        check: Callable[[], None] | None = None,
    ) -> None:
        self._network, self._samples, self._hire = network, samples, hire
        self._settings = replace(settings, lr_schedule=Constant())
        self._size, self._capacity, self._n_hands, self._check = size, capacity, n_hands, check
        self.started = False
        self._starter = Background()
        self._segment: Segment | None = None
        self._job: Job | None = None
        self._board: Board | None = None
        self._arrays: dict[str, np.ndarray] = {}
        self._share: Share | None = None
        self._hands: dict[int, Hand] = {}
        self._members: list[int] = []
        self._vacant: list[int] = []
        self._replacements = REPLACEMENTS * n_hands
        self._task_number = 0
        self._step: tuple[Task, list[int]] | None = None  # that others may still be busy with
        self._patience = Patience()
        self._posted = 0.0
        self._pid = os.getpid()

    @property
    def n_processes(self) -> int:
        """How many there are, with the one that leads."""
        return 1 + len(self._members)

    def start(self, state: TrainingState) -> None:
        """Ask for hands, without waiting for them."""
        self.started = True
        self._starter.start(self._get_hands, state.seed, state.moments)

    def _get_hands(self, seed: int, moments: dict[str, np.ndarray]) -> None:
        """Share the data and hire; whatever is in the way, training goes on with threads."""
        with suppress(Exception):
            self._job, self._arrays = self._share_data(seed, moments)
            self._hire_for(range(self._n_hands))

    def _hire_for(self, numbers: Iterable[int]) -> None:
        """Get somebody for each of these places."""
        assert self._job is not None
        assert self._board is not None
        with suppress(Exception):
            for number in numbers:
                if self._starter.wanted:
                    self._board.expect(number)
                    self._hands[number] = self._hire(serve, self._job, number)

    def _share_data(
        self, seed: int, moments: dict[str, np.ndarray]
    ) -> tuple[Job, dict[str, np.ndarray]]:
        network, samples, images = self._network, self._samples, self._samples.images
        file, n = mapped(images.X), len(samples)
        nbytes = network.vector_size * network.dtype.itemsize
        n_slots = -(-min(self._settings.batch_size, n) // self._size)
        n_slots = min(n_slots, max(self._n_hands + 1, SLOT_BYTES // nbytes))
        wanted = wanted_arrays(network, moments, n_slots, self._n_hands)
        wanted["order"] = (n,), np.intp
        wanted["targets"] = samples.targets.shape, samples.targets.dtype
        wanted["sample_weights"] = samples.weights.shape, samples.weights.dtype
        if file is None:
            wanted["X"] = (n, *images.X.shape[1:]), images.X.dtype
        elif images.rows is not None:
            wanted["rows"] = images.rows.shape, images.rows.dtype
        places, total = lay_out(wanted)
        if total + self._n_hands * HAND_BYTES > COMFORTABLE * available_bytes():
            raise MemoryError
        segment = self._segment = Segment.reserve(total)
        arrays = {name: segment.array(place) for name, place in places.items()}
        self._board = Board(segment.memory)
        np.copyto(arrays["targets"], samples.targets)
        np.copyto(arrays["sample_weights"], samples.weights)
        if file is None:
            self._copy(images, arrays["X"])
        elif images.rows is not None:
            np.copyto(arrays["rows"], images.rows)
        nothing = np.empty((0, *images.X.shape[1:]), images.X.dtype)
        job = Job(
            network=network, settings=self._settings, loss=samples.loss, seed=seed,
            size=self._size, capacity=self._capacity, key=segment.key, places=places, file=file,
            images=Images(nothing, images.channels_last, images.scaling),
        )  # fmt: skip
        return job, arrays

    def _copy(self, images: Images, out: np.ndarray) -> None:
        """Copy the images, in blocks, as long as they are wanted."""
        step = max(1, COPIED_BYTES // max(1, out[:1].nbytes))
        for start in range(0, len(out), step):
            if not self._starter.wanted:
                raise InterruptedError
            rows = slice(start, start + step)
            out[rows] = images.X[rows] if images.rows is None else images.X[images.rows[rows]]

    def join(self, state: TrainingState, order: np.ndarray) -> bool:
        """Take on those who are ready, let those go who are gone, and say whether there are any.

        With the first, weights and moments of the training move to where all
        see them.
        """
        self.settle()
        if self._starter.busy or self._board is None or self._segment is None:
            return bool(self._members)
        if len(self._members) < len(self._hands) or self._vacant:
            gone = []
            for number, hand in self._hands.items():
                if number in self._members:
                    continue
                if hand.done():
                    gone.append(number)
                elif self._board.is_ready(number):
                    self._members.append(number)
            for number in gone:
                del self._hands[number]
            self._fill(self._vacant + gone)
            if len(self._members) == len(self._hands) and self._segment.has_name:
                self._segment.close()  # nobody can come in another's place then
        if self._members and self._share is None:
            self._move_in(state, order)
        return bool(self._members)

    def _fill(self, vacant: list[int]) -> None:
        """Ask for others in the place of those who were lost, but not for ever."""
        self._vacant = []
        if vacant and self._replacements >= len(vacant):
            self._replacements -= len(vacant)
            self._starter.start(self._hire_for, vacant)

    def _move_in(self, state: TrainingState, order: np.ndarray) -> None:
        assert self._job is not None
        assert self._board is not None
        arrays = self._arrays
        np.copyto(arrays["weights"], state.weights)
        state.weights = arrays["weights"]
        for name, moment in state.moments.items():
            np.copyto(arrays[f"moments {name}"], moment)
            state.moments[name] = arrays[f"moments {name}"]
        self._share = Share(self._job, self._samples, arrays, self._board)
        self.new_order(order)

    def new_order(self, order: np.ndarray) -> None:
        """Go on with an epoch in another order."""
        if self._share is not None:
            np.copyto(self._share.order, order)

    def learn(self, task: Task, n_rows: int) -> tuple[float, float] | None:
        """Gradient and step of a mini-batch, together; others may still be busy with the step.

        Parameters
        ----------
        task : Task
            With what does not depend on the crew.
        n_rows : int

        Returns
        -------
        tuple of float or None
            Sums of the loss and of what was correct; None where everybody else
            is gone, and nothing has been done.
        """
        if os.getpid() != self._pid:
            raise RuntimeError("A training cannot go on in a forked process.")
        while self._members:
            sums = self._attempt(task._replace(members=1 + len(self._members)), n_rows)
            if sums is not None:
                return sums
        return None

    def _attempt(self, task: Task, n_rows: int) -> tuple[float, float] | None:
        """One attempt at a mini-batch; None where somebody was lost before the step."""
        share = self._share
        assert share is not None
        loss = correct = 0.0
        n_parts, n_slots = len(share.parts(task)), len(share.slots)
        summed = share.update.clips or n_parts > n_slots
        for first in range(0, n_parts, n_slots):
            if first:
                task = task._replace(kind=GRADIENTS, first=first)
            self._post(task)
            share.gradients(task, 0, self._check)
            if self._lost():
                return None
            for one, right in self._arrays["sums"][: share.filled(task)].tolist():
                loss, correct = loss + one, correct + right
            if summed:
                task = task._replace(kind=SUMS)
                self._post(task)
                share.sum(task, 0)
                if self._lost():
                    return None
        size = None
        if share.update.clips:
            n = self._network.n_parameters
            size = norm(share.total[:n], self._arrays["squares"].tolist())
        scale = share.update.scale(n_rows, size)
        task = task._replace(kind=STEP, summed=int(summed), scale=scale)
        self._step = task, list(self._members)
        self._post(task)
        share.step(task, 0)
        return loss, correct

    def settle(self) -> None:
        """Wait until the last step is complete: before that, nobody may read or move the weights.

        What is to be done between two mini-batches can be done before.
        """
        if self._step is None:
            return
        (task, members), self._step = self._step, None
        for hand in self._lost():
            assert self._share is not None
            self._share.finish(task, 1 + members.index(hand), hand)

    def _post(self, task: Task) -> None:
        """Give everybody a task."""
        assert self._board is not None
        self._task_number += 1
        self._posted = time.perf_counter()
        self._board.post(task, self._task_number, self._members)

    def _lost(self) -> list[int]:
        """Wait until all have done their share, and say who never will."""
        board, lost = self._board, []
        assert board is not None
        seconds = max(OVERDUE, OVERDUE_SHARES * (time.perf_counter() - self._posted))
        for hand in self._members:
            if board.has_done(hand, self._task_number):
                continue
            done = partial(board.has_done, hand, self._task_number)
            if not self._patience.until(done, _Deadline(self._hands[hand], seconds).is_gone):
                lost.append(hand)
        board.fence()
        for hand in lost:
            self._members.remove(hand)
            del self._hands[hand]
            self._vacant.append(hand)
        return lost

    def close(self) -> None:
        """Let everybody go."""
        if not self.started or os.getpid() != self._pid:
            return
        self._starter.close()
        if self._board is not None:
            for number in self._hands:
                self._board.let_go(number)
        for number, hand in self._hands.items():
            hand.release()
            if number in self._members:
                self._patience.until(hand.done, _Deadline(hand, OVERDUE).is_gone)
        if self._segment is not None:
            self._segment.close()


class _Deadline:
    """How long somebody is waited for who may have been stopped, and who could write when it wakes.

    It is killed then, and gone when it is dead.
    """

    def __init__(self, hand: Hand, seconds: float) -> None:
        self._hand, self._seconds = hand, seconds
        self._left, self._last = seconds, time.perf_counter()

    def is_gone(self) -> bool:
        """Whether it is; to be asked all the time."""
        if self._hand.done():
            return True
        now = time.perf_counter()
        self._left -= min(now - self._last, LONGEST_LOOK)
        self._last = now
        if self._left < 0:
            self._left = self._seconds
            self._hand.kill()
        return False


def serve(job: Job, number: int) -> None:
    """Do a share of every task, until there are none any more; for other processes."""
    gc.freeze()  # so that there is little to look through at the end
    try:
        _serve(job, number)
    finally:
        gc.collect()  # nothing of the data stays


def _serve(job: Job, number: int) -> None:
    segment, arrays = job.open()
    board = Board(segment.memory)
    share = Share(job, job.samples(arrays), arrays, board)
    patience, last = Patience(), 0
    board.hand_in(number, last)
    while True:
        patience.until(partial(board.is_new, number, last))
        mail = board.take(number)
        if mail is None:
            return
        last, rank, task = mail
        if task.kind == GRADIENTS:
            share.gradients(task, rank)
        elif task.kind == SUMS:
            share.sum(task, rank)
        else:
            share.step(task, rank, number)
        board.hand_in(number, last)

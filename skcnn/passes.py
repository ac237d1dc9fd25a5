"""One pass over the samples: mini-batches, micro-batches, and the steps of the weights."""

import time
from math import ceil
from typing import Any

import numpy as np

from skcnn.batches import Samples
from skcnn.board import GRADIENTS, Task
from skcnn.cores import Cores
from skcnn.crew import Crew
from skcnn.gradients import Gradient
from skcnn.network import Network
from skcnn.pace import Pace
from skcnn.settings import Settings
from skcnn.state import TrainingState, stream
from skcnn.updates import Step, Update, cut, norm, squares
from skcnn.workers import Workers

__all__ = ["Passes"]

WORTH_STARTING = 1.2
"""Seconds that a training must still take for processes to be started."""

WORTH_ASKING = 0.25
"""The same where processes are there already."""

MEASURED = 0.05
"""Seconds of training from which that is estimated, and what the machine has left."""

LOOK_AGAIN = 1.0
"""Seconds after which that is looked at again where it was not enough."""

IDLE = 0.5
"""How much of a core must have been idle, or used by this process, for each that is started."""


class Passes:
    """Passes over the samples, with all memory they need.

    Every thread has a workspace and a gradient of its own; the first
    micro-batch of a mini-batch writes its gradient straight into the total.
    Where others are there to help, a `Crew` does the work of a mini-batch.
    Micro-batches that are as small as they are for the sake of processes, which do
    not wait for the interpreter's lock, are not worth a thread.

    Parameters
    ----------
    network : Network
    samples : Samples
    settings : Settings
    workers : Workers
    schedule_start : int
        The epoch that schedules count from.
    finely : bool, default=False
        Whether mini-batches are cut so that several processes have work.
    epochs : int, default=0
        How many passes there will be, to judge whether processes are worth it.
    """

    def __init__(
        self,
        network: Network,
        samples: Samples,
        settings: Settings,
        workers: Workers,
        schedule_start: int,
        finely: bool = False,
        epochs: int = 0,
    ) -> None:
        self.network, self.samples = network, samples
        self.settings, self.workers = settings, workers
        self.schedule_start = schedule_start
        self.draws = network.chain.draws
        batch_size = min(settings.batch_size, len(samples))
        self.size = coarse = network.micro_batch_size(batch_size, settings.max_bytes)
        if finely:
            self.size = network.finer(batch_size, coarse)
        few = self.size < coarse and not network.worth_a_thread(self.size)
        self.n_threads = ceil(batch_size / coarse) if few else workers.n_workers
        joined = network.samples_together > 1  # a single sample may join a batch
        self.capacity = self.size + joined
        self.cuts = network.micro_batches(len(samples), batch_size)
        self.update = Update(network, settings)
        self.gradients: dict[int, Gradient] = {}
        self.total = np.empty(network.vector_size, network.dtype)
        self.total_grads = network.unpack(self.total)
        self.parts: dict[int, np.ndarray] = {}
        self.part_grads: dict[int, list[Any]] = {}
        self.crew: Crew | None = None
        self.pace, self.cores, self.look_after = Pace(0.0), Cores(), MEASURED
        self.n_batches, self.n_done = epochs * len(self.cuts), 0
        self.seconds = self.began = 0.0
        if workers.hire is not None and workers.n_workers > 1 and self.size < batch_size:
            self.crew = Crew(
                network, samples, settings, self.size, self.capacity, workers.hire,
                workers.n_workers - 1, workers.check,
            )  # fmt: skip

    def __enter__(self) -> "Passes":
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self.crew is not None:
            self.crew.close()

    @property
    def n_processes(self) -> int:
        """How many processes take part."""
        return 1 if self.crew is None else self.crew.n_processes

    def epoch(self, state: TrainingState) -> tuple[float, float, float]:
        """One pass over all samples; returns mean loss, accuracy and the last rate."""
        loss = correct = weight = 0.0
        order = self._order(state)
        if self.crew is not None:
            self.crew.new_order(order)
        rates, totals = self._rates(state), self._totals(order)
        self.began = time.perf_counter() - self.seconds
        for batch, (part, lr, total) in enumerate(zip(self.cuts, rates, totals, strict=True)):
            if total != 0:  # otherwise nothing to learn here, not even to forget
                state.step += 1
                state.averaged += 1
                step = Step(state.step, lr, 1 / (part.stop - part.start), total, state.averaged)
                batch_loss, batch_correct = self._learn(state, batch, part, order, step)
                if state.first_loss is None:
                    state.first_loss = batch_loss / total
                loss, correct, weight = loss + batch_loss, correct + batch_correct, weight + total
            self.n_done += 1
        if self.crew is not None:
            self.crew.settle()
        self.seconds = time.perf_counter() - self.began
        return (loss / weight, correct / weight, lr) if weight else (0.0, 0.0, lr)

    def _rates(self, state: TrainingState) -> list[float]:
        """Learning rate of each mini-batch of this epoch."""
        settings, start = self.settings, self.schedule_start
        epoch, n = state.epoch - start, len(self.cuts)
        history = {name: values[start:] for name, values in state.history.items()}
        multiplier, max_iter = settings.lr_schedule.multiplier, settings.max_iter
        return [settings.lr * float(multiplier(epoch + i / n, max_iter, history)) for i in range(n)]

    def _totals(self, order: np.ndarray) -> list[float]:
        """Weight of the samples of each mini-batch."""
        starts = [part.start for part in self.cuts]
        return np.add.reduceat(self.samples.weights[order], starts, dtype=np.float64).tolist()

    def _order(self, state: TrainingState) -> np.ndarray:
        """The rows in the order of this epoch."""
        n = len(self.samples)
        if self.settings.shuffle:
            return stream(state.seed, "shuffle", state.epoch).permutation(n)
        return np.arange(n)

    def _learn(
        self, state: TrainingState, batch: int, part: slice, order: np.ndarray, step: Step
    ) -> tuple[float, float]:
        """Move the weights by one mini-batch; returns sums of the loss and of what was correct."""
        if self.crew is None:
            return self._alone(state, batch, order[part], step)
        start, sums = time.perf_counter(), None
        joined = self._joined(self.crew, state, order)
        if joined and self.pace.together:
            task = Task(
                GRADIENTS, state.epoch, batch, part.start, part.stop, 0, 0, 0, step.t, step.lr,
                step.scale, step.weight, step.averaged,
            )  # fmt: skip
            sums = self.crew.learn(task, part.stop - part.start)
        together = sums is not None
        if sums is None:
            sums = self._alone(state, batch, order[part], step)
        if joined:
            self.pace.note(together, time.perf_counter() - start)
        return sums

    def _alone(
        self, state: TrainingState, batch: int, rows: np.ndarray, step: Step
    ) -> tuple[float, float]:
        """The same in this process."""
        sums = self._gradient(state, batch, rows)
        self._step(state, step, len(rows))
        return sums

    def _joined(self, crew: Crew, state: TrainingState, order: np.ndarray) -> bool:
        """Whether others help; they are asked for once it is known that they are worth it."""
        if crew.started:
            return crew.join(state, order)
        seconds = time.perf_counter() - self.began
        if self.n_done and seconds >= MEASURED:
            left = seconds / self.n_done * (self.n_batches - self.n_done)
            worth = WORTH_ASKING if self.workers.at_hand() else WORTH_STARTING
            if left > worth and self._has_room():
                self.pace = Pace(seconds / self.n_done)
                crew.start(state)
        return False

    def _has_room(self) -> bool:
        """Whether the machine has cores for others; looked at from time to time."""
        if self.cores.seconds < self.look_after:
            return False
        self.look_after = LOOK_AGAIN
        return self.cores.available() - 1 >= IDLE * (self.workers.n_workers - 1)

    def _gradient(self, state: TrainingState, batch: int, rows: np.ndarray) -> tuple[float, float]:
        """Sum the gradient over a mini-batch into `total`, in micro-batch order."""
        parts = self.network.micro_batches(len(rows), self.size)
        params = self.network.unpack(state.weights)
        sums = [0.0, 0.0]

        def task(worker: int, i: int) -> Any:
            gradient, grads = self._memory(worker, i)
            rng = stream(state.seed, "layers", i, batch, state.epoch) if self.draws else None
            return worker, gradient(rows[parts[i]], params, grads, rng)

        def in_order(i: int, result: Any) -> None:
            worker, batch_sums = result
            sums[0] += batch_sums.loss
            sums[1] += batch_sums.correct
            if i > 0:
                with np.errstate(all="ignore"):
                    self.total += self.parts[worker]

        self.workers.run(len(parts), task, in_order, self.n_threads)
        return sums[0], sums[1]

    def _memory(self, worker: int, i: int) -> tuple[Gradient, list[Any]]:
        if worker not in self.gradients:
            self.gradients[worker] = Gradient(self.network, self.samples, self.capacity)
        if i == 0:
            return self.gradients[worker], self.total_grads
        if worker not in self.parts:
            self.parts[worker] = np.empty_like(self.total)
            self.part_grads[worker] = self.network.unpack(self.parts[worker])
        return self.gradients[worker], self.part_grads[worker]

    def _step(self, state: TrainingState, step: Step, n_rows: int) -> None:
        """Move the weights by the summed gradient, chunk by chunk."""
        n = self.network.n_parameters
        chunks = cut(0, n)
        with np.errstate(all="ignore"):
            if self.update.clips:
                size = norm(self.total[:n], [squares(self.total[part]) for part in chunks])
                step = step._replace(scale=self.update.scale(n_rows, size))
            for part in chunks:
                moments = {name: moment[part] for name, moment in state.moments.items()}
                self.update.move(part, state.weights[part], moments, self.total[part], step)
            if self.network.vector_size > n:
                self.update.move_untrained(state.weights[n:], self.total[n:], step)

"""One epoch: the order of the rows, learning rates, and the loop over mini-batches."""

import time
from functools import partial
from math import ceil

import numpy as np

from skcnn.data import Samples
from skcnn.losses import BatchLoss
from skcnn.network import Network
from skcnn.parallel.idle_cores import IdleCores
from skcnn.parallel.threads import Threads
from skcnn.state import TrainingState, stream
from skcnn.training.config import TrainingConfig
from skcnn.training.distributed.coordinator import Coordinator
from skcnn.training.distributed.policy import WorkerPolicy
from skcnn.training.distributed.speedup import SpeedupMonitor
from skcnn.training.minibatch import (
    GRADIENTS,
    Buffers,
    Replica,
    StepPlan,
    Task,
    count_slots,
    train_step,
)  # fmt: skip
from skcnn.training.update import Step, Update

__all__ = ["EpochRunner"]

POLICY = WorkerPolicy()


class EpochRunner:
    """Epochs of a training, with all memory they need.

    Worker processes may join, and a `Coordinator` then runs the steps. Micro-batches
    that are small for the sake of processes, which do not wait for the interpreter's
    lock, are not worth a thread.

    Parameters
    ----------
    network : Network
    samples : Samples
    config : TrainingConfig
    state : TrainingState
        Changed by each epoch.
    threads : Threads
    epochs : int, default=0
        Number of epochs to come, to judge whether processes are worth it.
    """

    def __init__(
        self,
        network: Network,
        samples: Samples,
        config: TrainingConfig,
        state: TrainingState,
        threads: Threads,
        epochs: int = 0,
    ) -> None:
        self.network, self.samples, self.config = network, samples, config
        self.state, self.threads = state, threads
        self.schedule_start = state.begun if config.restart_schedule else 0
        batch_size = min(config.batch_size, len(samples))
        self.size = coarse = network.cost.micro_batch_size(batch_size, config.max_bytes)
        if state.finely:
            self.size = network.cost.finer(batch_size, coarse)
        few = self.size < coarse and not network.cost.worth_a_thread(self.size)
        self.n_threads = ceil(batch_size / coarse) if few else threads.n_threads
        self.cuts = network.cost.split(len(samples), batch_size)
        joined = network.samples_together > 1  # a single sample may join a batch
        update = Update(network, config)
        plan = StepPlan(network, update, state.seed, self.size, self.size + joined)
        n_parts = max(
            len(network.cost.split(cut.stop - cut.start, self.size))
            for cut in (self.cuts[0], self.cuts[-1])
        )
        nbytes = network.gradient_size * network.dtype.itemsize
        n_slots = count_slots(n_parts, self.n_threads, nbytes)
        buffers = Buffers.private(network, state, len(samples), n_slots)
        self.replica = Replica(plan, samples, buffers, threads, self.n_threads)
        self.coordinator: Coordinator | None = None
        self.policy, self.speedup, self.idle_cores = POLICY, SpeedupMonitor(0.0), IdleCores()
        self.look_after = self.policy.measured
        self.n_batches, self.n_done = epochs * len(self.cuts), 0
        self.seconds = self.began = 0.0
        if threads.spawn is not None and threads.n_threads > 1 and self.size < batch_size:
            self.coordinator = Coordinator(
                self.replica, threads.spawn, threads.n_threads - 1,
                count_slots(n_parts, threads.n_threads, nbytes),
            )  # fmt: skip

    def __enter__(self) -> "EpochRunner":
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self.coordinator is not None:
            self.coordinator.close()

    @property
    def n_processes(self) -> int:
        """Number of processes that take part."""
        return 1 if self.coordinator is None else self.coordinator.n_processes

    @property
    def mismatch(self) -> bool:
        """Whether worker processes have computed something else than this one."""
        return self.coordinator is not None and self.coordinator.mismatch

    def run(self) -> tuple[float, float, float]:
        """Train for one epoch, and return mean loss, accuracy and the last learning rate.

        Raises
        ------
        WorkerLostError
            When a worker has died; the state is then half-way through the epoch.
        """
        loss = correct = weight = 0.0
        state, order = self.state, self._order()
        np.copyto(self.replica.buffers.order, order)
        rates, totals = self._rates(), self._totals(order)
        self.began = time.perf_counter() - self.seconds
        for batch, (part, lr, total) in enumerate(zip(self.cuts, rates, totals, strict=True)):
            if total != 0:  # otherwise nothing to learn here, not even to forget
                state.step += 1
                state.averaged += 1
                step = Step(state.step, lr, 1 / (part.stop - part.start), total, state.averaged)
                sums = self._train_step(batch, part, step)
                if state.first_loss is None:
                    state.first_loss = sums.loss / total
                loss, correct, weight = loss + sums.loss, correct + sums.correct, weight + total
            self.n_done += 1
        if self.coordinator is not None:
            self.coordinator.wait()
        self.seconds = time.perf_counter() - self.began
        return (loss / weight, correct / weight, lr) if weight else (0.0, 0.0, lr)

    def _rates(self) -> list[float]:
        """Return the learning rate of each mini-batch of this epoch."""
        config, start = self.config, self.schedule_start
        epoch, n = self.state.epoch - start, len(self.cuts)
        history = {name: values[start:] for name, values in self.state.history.items()}
        multiplier, max_iter = config.lr_schedule.multiplier, config.max_iter
        return [config.lr * float(multiplier(epoch + i / n, max_iter, history)) for i in range(n)]

    def _totals(self, order: np.ndarray) -> list[float]:
        """Return the weight of all samples of each mini-batch together."""
        starts = [part.start for part in self.cuts]
        return np.add.reduceat(self.samples.sample_weight[order], starts, dtype=np.float64).tolist()

    def _order(self) -> np.ndarray:
        """Return the rows in the order of this epoch."""
        n = len(self.samples)
        if self.config.shuffle:
            return stream(self.state.seed, "shuffle", self.state.epoch).permutation(n)
        return np.arange(n)

    def _train_step(self, batch: int, part: slice, step: Step) -> BatchLoss:
        """Move the parameters by one mini-batch, together with workers where that is faster."""
        coordinator, start = self.coordinator, time.perf_counter()
        task = Task(GRADIENTS, 1, 0, 0, self.state.epoch, batch, part.start, part.stop, step)
        joined = coordinator is not None and self._joined(coordinator, task)
        together = joined and self.speedup.together
        if coordinator is not None and together:
            task = task._replace(n_ranks=self.n_processes)
            sums = train_step(self.replica, task, coordinator.run)
        else:
            sums = train_step(self.replica, task, partial(self.replica.run, rank=0))
        if joined:
            self.speedup.note(together, time.perf_counter() - start)
        return sums

    def _joined(self, coordinator: Coordinator, task: Task) -> bool:
        """Whether workers take part; they are spawned once it is known that they are worth it."""
        if coordinator.started:
            return coordinator.join(self.state, task)
        seconds = time.perf_counter() - self.began
        if self.n_done and seconds >= self.policy.measured:
            left = seconds / self.n_done * (self.n_batches - self.n_done)
            has_idle_worker = self.threads.has_idle_worker()
            if self.policy.is_worthwhile(left, has_idle_worker) and self._has_room():
                self.speedup = SpeedupMonitor(seconds / self.n_done)
                coordinator.start()
        return False

    def _has_room(self) -> bool:
        """Whether the machine has cores for others; looked at from time to time."""
        if self.idle_cores.seconds < self.look_after:
            return False
        self.look_after = self.policy.look_again
        return self.policy.has_room(self.idle_cores.available(), self.threads.n_threads - 1)

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
from skcnn.training.distributed.coordinator import Coordinator, WorkerLostError
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
    """Runs the epochs of a training, and holds all memory they need.

    Worker processes may join, and a `Coordinator` then runs the steps. If
    mini-batches are split finely so that processes can share them, the
    micro-batches may be too small to be worth a thread.

    Parameters
    ----------
    network : Network
    samples : Samples
    config : TrainingConfig
    state : TrainingState
        Changed by each epoch.
    threads : Threads
    epochs : int, default=0
        Number of epochs to come, from which the benefit of workers is estimated.
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
        batch_size = min(config.batch_size, len(samples))
        self.size = coarse = network.cost.micro_batch_size(batch_size, config.max_bytes)
        if state.finely:
            self.size = network.cost.finer(batch_size, coarse)
        finer = self.size < coarse
        too_small_for_threads = finer and not network.cost.worth_a_thread(self.size)
        self.n_threads = ceil(batch_size / coarse) if too_small_for_threads else threads.n_threads
        self.batches = network.cost.split(len(samples), batch_size)
        merged = network.samples_together > 1  # a single sample may be merged into a batch
        update = Update(network, config)
        plan = StepPlan(network, update, state.seed, self.size, self.size + merged)
        n_parts = max(
            len(network.cost.split(part.stop - part.start, self.size))
            for part in (self.batches[0], self.batches[-1])
        )
        nbytes = network.gradient_size * network.dtype.itemsize
        n_slots = count_slots(n_parts, self.n_threads, nbytes)
        buffers = Buffers.private(network, state, len(samples), n_slots)
        self.replica = Replica(plan, samples, buffers, threads, self.n_threads)
        self.coordinator: Coordinator | None = None
        self.policy, self.speedup, self.idle_cores = POLICY, SpeedupMonitor(0.0), IdleCores()
        self.look_after = self.policy.measured
        self.n_batches, self.n_done = epochs * len(self.batches), 0
        self.seconds = self.began = 0.0
        if threads.spawn is not None and threads.n_threads > 1 and self.size < batch_size:
            self.coordinator = Coordinator(
                self.replica, threads.spawn, threads.n_threads - 1,
                count_slots(n_parts, threads.n_threads, nbytes),
            )  # fmt: skip

    @property
    def n_processes(self) -> int:
        """Number of processes that take part."""
        return 1 if self.coordinator is None else self.coordinator.n_processes

    @property
    def mismatch(self) -> bool:
        """Whether a worker's results differed from those of this process."""
        return self.coordinator is not None and self.coordinator.mismatch

    def run(self, start: TrainingState) -> tuple[float, float, float]:
        """Train for one epoch; return the mean loss, the accuracy and the last learning rate.

        If a worker is lost, those that remain repeat the epoch from `start`, a copy of the
        state from before it.
        """
        loss = correct = weight = 0.0
        state, n = self.state, len(self.samples)
        order = row_order(state, n) if self.config.shuffle else np.arange(n)
        np.copyto(self.replica.buffers.order, order)
        starts = [part.start for part in self.batches]
        weights = self.samples.sample_weight[order]
        totals = np.add.reduceat(weights, starts, dtype=np.float64).tolist()
        rates = learning_rates(self.config, state, len(self.batches))
        self.began = time.perf_counter() - self.seconds
        try:
            for batch, part in enumerate(self.batches):
                lr, total = rates[batch], totals[batch]
                # a mini-batch without weight changes nothing, not even by weight decay
                if total != 0:
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
        except WorkerLostError:
            state.restore(start)
            return self.run(start)
        self.seconds = time.perf_counter() - self.began
        return (loss / weight, correct / weight, lr) if weight else (0.0, 0.0, lr)

    def _train_step(self, batch: int, part: slice, step: Step) -> BatchLoss:
        """Update the parameters from one mini-batch, with the workers if that is faster."""
        coordinator, start = self.coordinator, time.perf_counter()
        task = Task(GRADIENTS, 1, 0, 0, 0, self.state.epoch, batch, part.start, part.stop, step)
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
        """Whether workers take part; spawns them once they are expected to pay off."""
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
        """Whether the machine has idle cores for workers; checked from time to time."""
        if self.idle_cores.seconds < self.look_after:
            return False
        self.look_after = self.policy.look_again
        return self.policy.has_room(self.idle_cores.available(), self.threads.n_threads - 1)


def row_order(state: TrainingState, n: int) -> np.ndarray:
    """Return `n` rows in the random order of the next epoch."""
    return stream(state.seed, "shuffle", state.epoch).permutation(n)


def learning_rates(config: TrainingConfig, state: TrainingState, n_batches: int) -> list[float]:
    """Return the learning rate of each mini-batch of the next epoch."""
    start = state.begun if config.restart_schedule else 0
    epoch, n = state.epoch - start, n_batches
    history = {name: values[start:] for name, values in state.history.items()}
    multiplier, max_iter = config.lr_schedule.multiplier, config.max_iter
    return [config.lr * float(multiplier(epoch + i / n, max_iter, history)) for i in range(n)]

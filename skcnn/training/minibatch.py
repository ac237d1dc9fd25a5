"""One training step: gradient, reduction and step, for rank r of n.

Micro-batch i goes to rank i mod n. Every gradient has a slot; slots are added in
order, and each rank steps its shard of the flat vector, element by element. So no
bit depends on the number of ranks. A single process is rank 0 of 1.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from skcnn.data import Samples
from skcnn.denormals import flush_vanishing
from skcnn.layers._layer import Params
from skcnn.layers.generators import LayerGenerator
from skcnn.layers.memory import Arrays
from skcnn.layers.workspace import Workspace
from skcnn.losses import BatchLoss
from skcnn.network import Network
from skcnn.parallel.threads import Threads
from skcnn.state import TrainingState, layer_stream
from skcnn.training.update import Step, Update, chunks, norm, squares

__all__ = ["Buffers", "Replica", "StepPlan", "Task", "count_slots", "gradient", "train_step"]

GRADIENTS, SUM, STEP = range(3)
"""Kinds of tasks."""

ALIGNED = 32
"""Shards are multiples of this many parameters: whole cache lines."""

SLOT_BYTES = 32 * 2**20
"""Most memory for slots; gradients that need more are summed in rounds."""

CACHED_SLOT_BYTES = 2**20
"""The limit for a single thread, chosen so that slots are still in the cache when added."""


class Task(NamedTuple):
    """Work on a mini-batch, shared by all ranks.

    Parameters
    ----------
    kind : {GRADIENTS, SUM, STEP}
    n_ranks : int
    first, n_parts : int
        The first micro-batch of the current round, and the number of them.
    summed : int
        Whether the slots have been summed already, for a step.
    epoch, batch : int
        Numbers of the epoch and of the mini-batch in it.
    start, stop : int
        Positions of its rows in the order of the epoch.
    step : Step
    """

    kind: int
    n_ranks: int
    first: int
    n_parts: int
    summed: int
    epoch: int
    batch: int
    start: int
    stop: int
    step: Step


@dataclass(frozen=True, repr=False, eq=False)
class StepPlan:
    """Constants of all training steps, the same in every rank.

    Parameters
    ----------
    network : Network
    update : Update
    seed : int
        Seed of the training.
    size, capacity : int
        Number of samples in a micro-batch, and its upper limit.
    splits : dict
        Micro-batches of the mini-batches so far, by the number of rows.
    """

    network: Network
    update: Update
    seed: int
    size: int
    capacity: int
    splits: dict[int, list[slice]] = field(default_factory=dict, init=False)

    def micro_batches(self, task: Task) -> list[slice]:
        """Return the micro-batches of a mini-batch, relative to its start."""
        n = task.stop - task.start
        if n not in self.splits:
            self.splits[n] = self.network.cost.split(n, self.size)
        return self.splits[n]


def count_slots(n_parts: int, n_parallel: int, nbytes: int) -> int:
    """Return the number of slots for gradients of `nbytes`, of which `n_parallel` fill at a time.

    If there are fewer slots than micro-batches, the first slot holds the total, and
    later rounds fill the others.
    """
    limit = SLOT_BYTES if n_parallel > 1 else CACHED_SLOT_BYTES
    return min(n_parts, 1 + n_parallel * max(1, limit // (n_parallel * nbytes)))


class Buffers(NamedTuple):
    """Arrays of the training steps, either private or in shared memory.

    Parameters
    ----------
    params : ndarray of shape (vector_size,)
    moments : dict of ndarray
    order : ndarray of shape (n_samples,)
        Rows in the order of the epoch.
    slots : ndarray of shape (n_slots, gradient_size)
        Gradients; the total is summed into the first.
    sums : ndarray of shape (n_slots, 2)
        Loss and number of correct predictions of each micro-batch.
    squares : ndarray of shape (n_chunks,)
        Sums of squares of the total's chunks.
    """

    params: np.ndarray
    moments: dict[str, np.ndarray]
    order: np.ndarray
    slots: np.ndarray
    sums: np.ndarray
    squares: np.ndarray

    @staticmethod
    def specs(network: Network, n_samples: int, n_slots: int) -> dict[str, tuple[Any, Any]]:
        """Return shape and dtype of each array, except for those of the training's state."""
        return {
            "order": ((n_samples,), np.intp),
            "slots": ((n_slots, network.gradient_size), network.dtype),
            "sums": ((n_slots, 2), np.float64),
            "squares": ((len(chunks(0, network.n_parameters)),), np.float64),
        }

    @classmethod
    def private(
        cls, network: Network, state: TrainingState, n_samples: int, n_slots: int
    ) -> "Buffers":
        """Allocate buffers around the arrays of a state."""
        specs = cls.specs(network, n_samples, n_slots)
        arrays = {name: np.empty(shape, dtype) for name, (shape, dtype) in specs.items()}
        return cls(state.weights, state.moments, **arrays)


class Piece(NamedTuple):
    """Chunk of a shard: its position, and views of its part of every array.

    Parameters
    ----------
    part : slice
    params : ndarray
    moments : dict of ndarray
    slots : list of ndarray
    """

    part: slice
    params: np.ndarray
    moments: dict[str, np.ndarray]
    slots: list[np.ndarray]


def gradient(
    samples: Samples,
    rows: np.ndarray,
    arrays: Arrays,
    params: list[Params],
    grads: list[Params],
    rng: LayerGenerator | None,
) -> BatchLoss:
    """Fill `grads` with the gradient summed over some rows, and return the sums of the loss.

    Parameters
    ----------
    samples : Samples
    rows : ndarray of int
        The rows of a micro-batch.
    arrays : Arrays
        Arrays for as many samples.
    params, grads : list of dict of ndarray
        Parameters of each layer, and what to fill.
    rng : LayerGenerator or None
        None if no layer draws.
    """
    sample_weight = samples.sample_weight[rows]
    with np.errstate(all="ignore"):
        samples.images.gather(rows, arrays.x[0])
        arrays.sample_weight[...] = sample_weight
        arrays.forward(params, True, rng)
        result = samples.loss.loss_and_gradient(
            arrays.x[-1], arrays.dx[-1], samples.targets[rows], sample_weight
        )
        flush_vanishing(arrays.dx[-1])  # confident predictions would slow `backward` down
        arrays.backward(params, grads)
    return result


class Replica:
    """One process's part of every training step.

    Parameters
    ----------
    plan : StepPlan
    samples : Samples
    buffers : Buffers
    threads : Threads
    n_threads : int, default=1
        Number of threads that fill slots when there are no other ranks.
    """

    def __init__(
        self,
        plan: StepPlan,
        samples: Samples,
        buffers: Buffers,
        threads: Threads,
        n_threads: int = 1,
    ) -> None:
        self.plan, self.samples = plan, samples
        self.threads, self.n_threads = threads, n_threads
        self._workspaces: dict[int, Workspace] = {}  # one for each thread
        self._bind(buffers)

    def _bind(self, buffers: Buffers) -> None:
        network = self.plan.network
        self.buffers = buffers
        self._params = network.unpack(buffers.params)
        self._grads = [network.unpack(slot) for slot in buffers.slots]
        n = network.n_parameters
        self._chunks = [[slot[part] for slot in buffers.slots] for part in chunks(0, n)]
        statistics = slice(n, network.gradient_size)
        self._statistics = [vector[statistics] for vector in (buffers.params, *buffers.slots)]
        self._shards: dict[tuple[int, int], list[Piece]] = {}

    def move_to(self, buffers: Buffers) -> None:
        """Copy the buffers' contents to other buffers, and continue with those."""
        now = self.buffers
        np.copyto(buffers.params, now.params)
        for name, moment in now.moments.items():
            np.copyto(buffers.moments[name], moment)
        np.copyto(buffers.order, now.order)
        self._bind(buffers)

    def run(self, task: Task, rank: int) -> None:
        """Do the part of this rank."""
        if task.kind == GRADIENTS:
            slots = range(rank, task.n_parts, task.n_ranks)
            n_threads = self.n_threads if task.n_ranks == 1 else 1
            self.threads.run(len(slots), partial(self._fill_slot, task, slots), n_threads)
        else:
            with np.errstate(all="ignore"):
                (self._sum if task.kind == SUM else self._step)(task, rank)

    def _fill_slot(self, task: Task, slots: range, thread: int, number: int) -> None:
        """Compute the gradient of a micro-batch."""
        plan, slot = self.plan, slots[number]
        network, i = plan.network, task.first + slot
        part = plan.micro_batches(task)[i]
        rows = self.buffers.order[task.start + part.start : task.start + part.stop]
        if thread not in self._workspaces:
            self._workspaces[thread] = Workspace(network, plan.capacity)
        arrays = self._workspaces[thread].arrays(len(rows))
        grads = self._grads[slot + (task.first > 0)]
        rng = layer_stream(plan.seed, task.epoch, task.batch, i) if network.chain.draws else None
        self.buffers.sums[slot] = gradient(self.samples, rows, arrays, self._params, grads, rng)

    def _add(self, task: Task, slots: list[np.ndarray]) -> np.ndarray:
        """Add the slots of this round to the first of them, the total."""
        total = slots[0]
        for slot in slots[1 : task.n_parts + (task.first > 0)]:
            total += slot
        return total

    def _sum(self, task: Task, rank: int) -> None:
        """Sum this rank's chunks of the slots; after the last round, also the total's squares."""
        last = task.first + task.n_parts == len(self.plan.micro_batches(task))
        for i in range(rank, len(self._chunks), task.n_ranks):
            total = self._add(task, self._chunks[i])
            if last and self.plan.update.clips:
                self.buffers.squares[i] = squares(total)
        if rank == 0:
            self._add(task, self._statistics[1:])

    def scale(self, task: Task) -> float:
        """Return the factor by which the summed gradient is multiplied."""
        total = self.buffers.slots[0, : self.plan.network.n_parameters]
        size = norm(total, self.buffers.squares.tolist())
        return self.plan.update.scale(task.stop - task.start, size)

    def _step(self, task: Task, rank: int) -> None:
        """Step the shard of this rank; rank 0 also updates the running statistics."""
        update, step = self.plan.update, task.step
        for part, params, moments, slots in self._shard(task.n_ranks, rank):
            total = slots[0] if task.summed else self._add(task, slots)
            update.apply(part, params, moments, total, step)
        state, *slots = self._statistics
        if rank == 0 and state.size:
            total = slots[0] if task.summed else self._add(task, slots)
            update.update_statistics(state, total, step)

    def _shard(self, n_ranks: int, rank: int) -> list[Piece]:
        """Return the shard of a rank in pieces; cached, since it rarely changes."""
        if (n_ranks, rank) not in self._shards:
            n, buffers = self.plan.network.n_parameters, self.buffers
            start, stop = (
                n if r == n_ranks else n * r // n_ranks // ALIGNED * ALIGNED
                for r in (rank, rank + 1)
            )
            self._shards[n_ranks, rank] = [
                Piece(
                    part,
                    buffers.params[part],
                    {name: moment[part] for name, moment in buffers.moments.items()},
                    [slot[part] for slot in buffers.slots],
                )
                for part in chunks(start, stop)
            ]
        return self._shards[n_ranks, rank]


def train_step(replica: Replica, task: Task, run: Callable[[Task], None]) -> BatchLoss:
    """Update the parameters from one mini-batch.

    Parameters
    ----------
    replica : Replica
        The replica of rank 0.
    task : Task
        The mini-batch, the number of ranks and the step.
    run : callable
        Has all ranks do their parts of a task. It returns when gradients and
        sums are complete; a step may still be under way.

    Returns
    -------
    BatchLoss
        Sums over the mini-batch.
    """
    loss = correct = 0.0
    plan, n_slots = replica.plan, len(replica.buffers.slots)
    clips, n_parts = plan.update.clips, len(plan.micro_batches(task))
    round_size = n_parts if n_parts <= n_slots else n_slots - 1
    summed = clips or n_parts > round_size
    for first in range(0, n_parts, round_size):
        task = task._replace(kind=GRADIENTS, first=first, n_parts=min(round_size, n_parts - first))
        run(task)
        for one, right in replica.buffers.sums[: task.n_parts].tolist():
            loss, correct = loss + one, correct + right
        if summed:
            run(task._replace(kind=SUM))
    step = task.step._replace(scale=replica.scale(task)) if clips else task.step
    run(task._replace(kind=STEP, summed=int(summed), step=step))
    return BatchLoss(loss, correct)

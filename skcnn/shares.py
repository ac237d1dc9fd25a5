"""What one process computes of a mini-batch, whoever the others are.

Gradients are kept for each micro-batch and added in their order, and the flat
vectors are moved element by element, so that no bit depends on who has which
share.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from skcnn.batches import Images, Samples
from skcnn.board import Board, Task
from skcnn.gradients import Gradient
from skcnn.losses import Loss
from skcnn.network import Network
from skcnn.segments import Key, Mapped, Place, Segment
from skcnn.settings import Settings
from skcnn.state import stream
from skcnn.updates import CHUNK, Step, Update, cut, squares

__all__ = ["Job", "Share", "wanted_arrays"]

ALIGNED = 32
"""Parameters that the shares of the flat vector are multiples of: whole cache lines."""

LEADER, HAND = 5, 4
"""Sizes of their shares of the flat vector: a hand also writes down how everything was before."""


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class Job:
    """A training, as another process needs to know it.

    Parameters
    ----------
    network : Network
    settings : Settings
    loss : Loss
    seed : int
        Of the training.
    size, capacity : int
        Samples in a micro-batch, and the most there can be.
    key : Key
        Of the shared segment.
    places : dict of Place
        The arrays in it.
    file : Mapped or None
        The images, where they are in a file and not in the segment.
    images : Images
        How they are read, around an empty array in the place of the pixels.
    """

    network: Network
    settings: Settings
    loss: Loss
    seed: int
    size: int
    capacity: int
    key: Key
    places: dict[str, Place]
    file: Mapped | None
    images: Images

    def samples(self, arrays: dict[str, np.ndarray]) -> Samples:
        """The samples, in the arrays of the segment and the file."""
        X = arrays["X"] if self.file is None else self.file.open()
        images = Images(X, self.images.channels_last, self.images.scaling, arrays.get("rows"))
        return Samples(images, arrays["targets"], arrays["sample_weights"], self.loss)

    def open(self) -> tuple[Segment, dict[str, np.ndarray]]:
        """Map the segment: it, and the arrays in it."""
        segment = Segment.attach(self.key)
        return segment, {name: segment.array(place) for name, place in self.places.items()}


def wanted_arrays(
    network: Network, moments: dict[str, np.ndarray], n_slots: int, n_hands: int
) -> dict[str, tuple[tuple[int, ...], Any]]:
    """Shapes and dtypes of what is shared besides the samples."""
    size, n, dtype = network.vector_size, network.n_parameters, network.dtype
    return {
        "board": ((Board.nbytes(n_hands),), np.uint8),
        "sums": ((n_slots, 2), np.float64),
        "squares": ((len(cut(0, n)),), np.float64),
        "weights": ((size,), dtype),
        **{f"moments {name}": (moment.shape, moment.dtype) for name, moment in moments.items()},
        "slots": ((n_slots, size), dtype),
        "total": ((size,), dtype),
        "before": ((n_hands, 1 + len(moments), min(n, CHUNK)), dtype),
    }


class Piece(NamedTuple):
    """Parameters that are moved at a time: where they lie, and views of what belongs to them.

    Parameters
    ----------
    part : slice
    weights : ndarray
    moments : dict of ndarray
    slots : list of ndarray
    total, gradient : ndarray
        The sum of the slots, where it is kept, and where it is scratch.
    """

    part: slice
    weights: np.ndarray
    moments: dict[str, np.ndarray]
    slots: list[np.ndarray]
    total: np.ndarray
    gradient: np.ndarray

    @property
    def moved(self) -> list[np.ndarray]:
        """What a step changes."""
        return [self.weights, *self.moments.values()]


class Share:
    """One process's share of the tasks.

    Parameters
    ----------
    job : Job
    samples : Samples
    arrays : dict of ndarray
        Those of `wanted_arrays`, and "order": the rows of an epoch.
    board : Board
    """

    def __init__(
        self, job: Job, samples: Samples, arrays: dict[str, np.ndarray], board: Board
    ) -> None:
        network = job.network
        self.network, self.job, self.board = network, job, board
        self.gradient = Gradient(network, samples, job.capacity)
        self.update = Update(network, job.settings)
        self.arrays, self.order = arrays, arrays["order"]
        self.weights, self.slots, self.total = (
            arrays["weights"], arrays["slots"], arrays["total"]
        )  # fmt: skip
        self.moments = {
            name.removeprefix("moments "): array
            for name, array in arrays.items()
            if name.startswith("moments ")
        }
        self.params = network.unpack(self.weights)
        self.grads = [network.unpack(slot) for slot in self.slots]
        self.chunks = cut(0, network.n_parameters)
        self._cuts: dict[int, list[slice]] = {}
        self._shares: dict[tuple[int, int], list[Piece]] = {}
        self.scratch = np.empty(min(CHUNK, network.vector_size), network.dtype)

    def parts(self, task: Task) -> list[slice]:
        """The micro-batches of the mini-batch."""
        n = task.stop - task.start
        if n not in self._cuts:
            self._cuts[n] = self.network.micro_batches(n, self.job.size)
        return self._cuts[n]

    def filled(self, task: Task) -> int:
        """Number of gradients that are kept after this task."""
        return min(len(self.parts(task)) - task.first, len(self.slots))

    def gradients(self, task: Task, rank: int, check: Callable[[], None] | None = None) -> None:
        """Compute the gradients of every so manieth micro-batch."""
        parts, sums, draws = self.parts(task), self.arrays["sums"], self.network.chain.draws
        for slot in range(rank, self.filled(task), task.members):
            if check is not None:
                check()
            i = task.first + slot
            rows = self.order[task.start + parts[i].start : task.start + parts[i].stop]
            where = (i, task.batch, task.epoch)
            rng = stream(self.job.seed, "layers", *where) if draws else None
            sums[slot] = self.gradient(rows, self.params, self.grads[slot], rng)

    def sum(self, task: Task, rank: int) -> None:
        """Add the gradients that are kept to the total, and measure it."""
        with np.errstate(all="ignore"):
            for i in range(rank, len(self.chunks), task.members):
                self._sum(task, self.chunks[i])
                self.arrays["squares"][i] = squares(self.total[self.chunks[i]])
            if rank == 0:
                self._sum(task, slice(self.network.n_parameters, self.network.vector_size))

    def _sum(self, task: Task, part: slice) -> None:
        if task.first == 0:
            _add(self._kept(task, part), self.total[part])
        else:
            for slot in self._kept(task, part):
                self.total[part] += slot

    def _kept(self, task: Task, part: slice) -> list[np.ndarray]:
        """That part of the gradients that are kept."""
        return [slot[part] for slot in self.slots[: self.filled(task)]]

    def step(self, task: Task, rank: int, hand: int | None = None) -> None:
        """Move this share of the parameters; a `hand` writes down how they were before."""
        with np.errstate(all="ignore"):
            for i, piece in enumerate(self._pieces(task.members, rank)):
                self._move(task, piece, i, hand)
            if rank == 0:
                self._move_untrained(task)

    def finish(self, task: Task, rank: int, hand: int) -> None:
        """Move the rest of the share of a hand that was lost, as if it had done it."""
        progress = self.board.progress(hand)
        with np.errstate(all="ignore"):
            for i, piece in enumerate(self._pieces(task.members, rank)):
                if i == progress // 2 and progress % 2:
                    for old, new in zip(self.arrays["before"][hand], piece.moved, strict=True):
                        np.copyto(new, old[: len(new)])
                if i >= progress // 2:
                    self._move(task, piece, i, None)

    def _pieces(self, members: int, rank: int) -> list[Piece]:
        """The share of one of so many processes; kept, since it is the same for a long time."""
        if (members, rank) not in self._shares:
            n, total = self.network.n_parameters, LEADER + HAND * (members - 1)
            befores = [0, *(LEADER + HAND * i for i in range(members - 1))]
            ends = [n * before // total // ALIGNED * ALIGNED for before in befores] + [n]
            self._shares[members, rank] = [
                Piece(
                    part,
                    self.weights[part],
                    {name: moment[part] for name, moment in self.moments.items()},
                    [slot[part] for slot in self.slots],
                    self.total[part],
                    self.scratch[: part.stop - part.start],
                )
                for part in cut(ends[rank], ends[rank + 1])
            ]
        return self._shares[members, rank]

    def _move(self, task: Task, piece: Piece, i: int, hand: int | None) -> None:
        if task.summed:
            np.copyto(piece.gradient, piece.total)
        else:
            _add(piece.slots[: self.filled(task)], piece.gradient)
        if hand is not None:
            for old, new in zip(self.arrays["before"][hand], piece.moved, strict=True):
                np.copyto(old[: len(new)], new)
            self.board.note(hand, 2 * i + 1)
        self.update.move(piece.part, piece.weights, piece.moments, piece.gradient, self._step(task))
        if hand is not None:
            self.board.note(hand, 2 * i + 2)

    def _move_untrained(self, task: Task) -> None:
        part = slice(self.network.n_parameters, self.network.vector_size)
        if part.start == part.stop:
            return
        if not task.summed:
            _add(self._kept(task, part), self.total[part])
        self.update.move_untrained(self.weights[part], self.total[part], self._step(task))

    @staticmethod
    def _step(task: Task) -> Step:
        return Step(task.t, task.lr, task.scale, task.weight, task.averaged)


def _add(slots: Sequence[np.ndarray], out: np.ndarray) -> None:
    """Add gradients in their order."""
    if len(slots) == 1:
        np.copyto(out, slots[0])
    else:
        np.add(slots[0], slots[1], out=out)
        for slot in slots[2:]:
            out += slot

"""Worker processes of a training: ranks 1, 2, …"""

import gc
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from skcnn.data import Images, Samples
from skcnn.losses import Loss
from skcnn.parallel.shared_memory import ArraySpec, Key, Mapped, SharedMemory
from skcnn.parallel.threads import Threads
from skcnn.parallel.waiting import SpinWait
from skcnn.training.distributed.protocol import Mailboxes
from skcnn.training.minibatch import Buffers, Replica, StepPlan

__all__ = ["Assignment", "shared_buffers", "work"]


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class Assignment:
    """Everything that a worker process needs to know about a training.

    Parameters
    ----------
    plan : StepPlan
    loss : Loss
    key : Key
        Key of the shared memory.
    places : dict of ArraySpec
        The arrays in it.
    file : Mapped or None
        The images, if they are in a file and not in the shared memory.
    images : Images
        The images without their rows.
    """

    plan: StepPlan
    loss: Loss
    key: Key
    places: dict[str, ArraySpec]
    file: Mapped | None
    images: Images

    def samples(self, arrays: dict[str, np.ndarray]) -> Samples:
        """Return the samples in the shared memory and the file."""
        X = arrays["X"] if self.file is None else self.file.open()
        images = replace(self.images, X=X, rows=arrays.get("rows"))
        return Samples(images, arrays["targets"], arrays["sample_weight"], self.loss)

    def open(self) -> tuple[SharedMemory, dict[str, np.ndarray]]:
        """Map the shared memory, and return it and the arrays in it."""
        memory = SharedMemory.attach(self.key)
        return memory, {name: memory.array(spec) for name, spec in self.places.items()}


def shared_buffers(arrays: dict[str, np.ndarray]) -> Buffers:
    """Return the buffers of the training steps among the shared arrays."""
    moments = {
        name.removeprefix("moments "): array
        for name, array in arrays.items()
        if name.startswith("moments ")
    }
    names = ("params", "order", "slots", "sums", "squares")
    return Buffers(moments=moments, **{name: arrays[name] for name in names})


def work(assignment: Assignment, number: int) -> None:
    """Do this rank's part of every task until told to stop; the main function of a worker."""
    gc.freeze()  # leaves little to scan in the collection at the end
    try:
        _work(assignment, number)
    finally:
        gc.collect()  # frees the arrays of the training


def _work(assignment: Assignment, number: int) -> None:
    memory, arrays = assignment.open()
    mailboxes = Mailboxes(memory.memory)
    replica = Replica(
        assignment.plan, assignment.samples(arrays), shared_buffers(arrays), Threads(1)
    )
    waiter, last = SpinWait(), 0
    mailboxes.mark_ready(number)
    while True:
        waiter.until(partial(mailboxes.has_mail, number, last))
        mail = mailboxes.take(number)
        if mail is None:
            return
        last, rank, task = mail
        replica.run(task, rank)
        mailboxes.mark_done(number, last)

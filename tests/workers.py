"""Worker processes of a training in tests: waiting for them, and counting what they help with."""

from collections import Counter

import pytest

from skcnn.training.distributed.coordinator import Coordinator
from skcnn.training.distributed.protocol import Mailboxes
from skcnn.training.minibatch import STEP
from tests.waiting import wait_until

IS_READY = Mailboxes.is_ready
"""Kept here for tests that let workers seem to become ready later."""


def wait_for_workers(coordinator: Coordinator) -> None:
    """Return as soon as every worker that was spawned is ready or has ended."""
    wait_until(lambda: not coordinator._starter.busy)
    for number, worker in coordinator._workers.items():
        wait_until(lambda n=number, w=worker: IS_READY(coordinator._mailboxes, n) or w.done())


def count_steps(monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """Count the steps that several processes take together, by the number of processes."""
    counts, run = Counter(), Coordinator.run

    def count(self, task):
        run(self, task)
        if task.kind == STEP:
            counts[task.n_ranks] += 1

    monkeypatch.setattr(Coordinator, "run", count)
    return counts

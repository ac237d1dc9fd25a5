"""What a computation may use: threads, processes and memory."""

from collections.abc import Iterator
from contextlib import contextmanager

from sklearn import get_config
from threadpoolctl import ThreadpoolController

from skcnn._estimator.processes import Processes, may_start
from skcnn.blas import BlasGuard
from skcnn.interrupts import Interrupts
from skcnn.workers import Workers

__all__ = ["workers", "working_memory"]

_blas = BlasGuard(ThreadpoolController)
_processes = Processes()


@contextmanager
def workers(interrupts: Interrupts) -> Iterator[Workers]:
    """As many threads, or processes, as BLAS would use threads; it is kept to one in each."""
    hire = _processes.hire if may_start() else None
    with (
        _blas as n,
        Workers(n, _blas.limit_this_thread, interrupts.check, hire, _processes.at_hand) as threads,
    ):
        yield threads


def working_memory() -> float:
    """Bytes that the arrays of each thread may take, by scikit-learn's configuration."""
    return get_config()["working_memory"] * 2**20

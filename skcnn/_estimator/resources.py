"""What a computation may use: threads, processes and memory."""

from collections.abc import Callable
from typing import TypeVar

from sklearn import get_config
from threadpoolctl import ThreadpoolController

from skcnn._estimator.processes import Processes, may_start
from skcnn.blas import BlasGuard
from skcnn.holding import holding
from skcnn.interrupts import Interrupts
from skcnn.workers import Workers

__all__ = ["with_workers", "working_memory"]

Result = TypeVar("Result")

_blas = BlasGuard(ThreadpoolController)
_processes = Processes()


def with_workers(interrupts: Interrupts, work: Callable[[Workers], Result]) -> Result:
    """Call ``work(workers)``: as many threads, or processes, as BLAS would use threads.

    BLAS is kept to one in each of them meanwhile.
    """

    def limited(n_threads: int) -> Result:
        hire = _processes.hire if may_start() else None
        workers = Workers(
            n_threads, _blas.limit_this_thread, interrupts.check, hire, _processes.at_hand
        )
        return holding(workers, work)

    return holding(_blas.limited(), limited)


def working_memory() -> float:
    """Bytes that the arrays of each thread may take, by scikit-learn's configuration."""
    return get_config()["working_memory"] * 2**20

"""Resources of a computation: threads, processes and memory."""

from collections.abc import Callable
from math import inf
from typing import TypeVar

from sklearn import get_config
from threadpoolctl import ThreadpoolController

from skcnn._estimator.address_space import reserve_for_blas, room
from skcnn._estimator.process_pool import Processes, may_start
from skcnn._estimator.user_warnings import warn_user
from skcnn.parallel.blas import BlasGuard
from skcnn.parallel.contexts import holding
from skcnn.parallel.interrupts import Interrupts
from skcnn.parallel.threads import Threads

__all__ = ["with_workers", "working_memory"]

Result = TypeVar("Result")

AMPLE_BYTES = 4 * 2**30
"""Address space from which several threads are used."""

_blas = BlasGuard(ThreadpoolController)
_processes = Processes()


def with_workers(interrupts: Interrupts, work: Callable[[Threads], Result]) -> Result:
    """Call ``work(workers)``: as many threads, or processes, as BLAS would use threads.

    BLAS is kept to one in each of them meanwhile. Where address space is scarce
    there is only this one, since threads take much of it, and not at once.

    Warns
    -----
    RuntimeWarning
        Where BLAS was given more threads without threadpoolctl, so that the
        result may differ in its last digits.
    """
    before = _blas.n_violations

    def check() -> None:
        interrupts.check()
        _blas.enforce()

    def limited(n_threads: int) -> Result:
        left, spawn = room(), None
        if left < inf:
            reserve_for_blas()
        if left < AMPLE_BYTES:
            n_threads = 1
        elif may_start():
            spawn = _processes.spawn
        workers = Threads(
            n_threads, _blas.limit_this_thread, check, spawn, _processes.has_idle_worker
        )
        result = holding(workers, work)
        _blas.enforce()
        return result

    result = holding(_blas.limited(), limited)
    if _blas.n_violations != before:
        warn_user(
            "The number of BLAS threads was changed without threadpoolctl during a computation "
            "that needs one thread. It was set back, but the result may differ in its last digits. "
            "Use threadpoolctl.threadpool_limits, or change it before or afterwards.",
            RuntimeWarning,
        )
    return result


def working_memory() -> float:
    """Bytes that the arrays of each thread may take, by scikit-learn's configuration."""
    return get_config()["working_memory"] * 2**20

"""Resources of a computation: threads, processes and memory."""

from collections.abc import Callable
from functools import partial
from math import inf
from typing import TypeVar

from sklearn import get_config
from threadpoolctl import ThreadpoolController

from skcnn._estimator.address_space import available_bytes, reserve_for_blas
from skcnn._estimator.process_pool import Processes, may_start
from skcnn._estimator.user_warnings import warn_user
from skcnn.parallel.blas import BlasGuard
from skcnn.parallel.contexts import holding
from skcnn.parallel.interrupts import Interrupts, at_safe_places
from skcnn.parallel.threads import Threads

__all__ = ["run_in_threads", "with_threads", "working_memory"]

Result = TypeVar("Result")

AMPLE_BYTES = 4 * 2**30
"""Free address space below which only one thread is used."""

_blas = BlasGuard(ThreadpoolController)
_processes = Processes()


def run_in_threads(work: Callable[[Threads], Result]) -> Result:
    """Call ``work(threads)``, interrupted by Ctrl-C at safe places only."""
    return at_safe_places(partial(with_threads, work=work))


def with_threads(interrupts: Interrupts, work: Callable[[Threads], Result]) -> Result:
    """Call ``work(threads)`` with as many threads as BLAS would use.

    Meanwhile BLAS is limited to one thread in each of them. Worker processes may replace the
    threads. Where address space is scarce only the calling thread is used, since threads take
    much of it, and not all at once.

    Warns
    -----
    RuntimeWarning
        If other code raises the number of BLAS threads without threadpoolctl: the result may then
        differ in its last digits.
    """
    before = _blas.n_violations

    def check() -> None:
        interrupts.check()
        _blas.enforce()

    def limited(n_threads: int) -> Result:
        free, spawn = available_bytes(), None
        if free < inf:
            reserve_for_blas()
        if free < AMPLE_BYTES:
            n_threads = 1
        elif may_start():
            spawn = _processes.spawn
        threads = Threads(
            n_threads, _blas.limit_this_thread, check, spawn, _processes.has_idle_worker
        )
        result = holding(threads, work)
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
    """Return the bytes that each thread's arrays may take, by scikit-learn's configuration."""
    return get_config()["working_memory"] * 2**20

"""Resources of a computation: threads, processes and memory."""

from collections.abc import Callable
from functools import partial
from math import inf
from typing import TypeVar

from sklearn import get_config
from threadpoolctl import ThreadpoolController

from skcnn._estimator.address_space import available_address_space, reserve_for_blas
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
    """Call ``work(threads)`` in the context of a `Computation`.

    Warns
    -----
    RuntimeWarning
        If other code raises the number of BLAS threads without threadpoolctl: the result may then
        differ in its last digits.
    """
    before = _blas.n_violations
    result = holding(Computation(interrupts, _blas), work)
    if _blas.n_violations != before:
        warn_user(
            "The number of BLAS threads was changed without threadpoolctl during a computation "
            "that needs one thread. It was set back, but the result may differ in its last digits. "
            "Use threadpoolctl.threadpool_limits, or change it before or afterwards.",
            RuntimeWarning,
        )
    return result


class Computation:
    """Context with as many threads as BLAS would use, in each of which BLAS has one.

    Worker processes may replace the threads. Where address space is scarce only the calling
    thread is used, since threads take much of it, and not all at once.

    Parameters
    ----------
    interrupts : Interrupts
        Checked before each task of the calling thread.
    blas : BlasGuard
    """

    def __init__(self, interrupts: Interrupts, blas: BlasGuard) -> None:
        self._interrupts, self._blas, self._limited = interrupts, blas, blas.limited()
        self._threads: Threads | None = None

    def __enter__(self) -> Threads:
        n_threads, spawn = self._limited.__enter__(), None
        interrupts, blas = self._interrupts, self._blas

        def check() -> None:  # without `self`, which would be a cycle of references
            interrupts.check()
            blas.enforce()

        free = available_address_space()
        if free < inf:
            reserve_for_blas()
        if free < AMPLE_BYTES:
            n_threads = 1
        elif may_start():
            spawn = _processes.spawn
        self._threads = Threads(
            n_threads, self._blas.limit_this_thread, check, spawn, _processes.has_idle_worker
        )
        return self._threads

    def __exit__(self, *exc_info: object) -> None:
        try:
            if self._threads is not None:
                self._threads.__exit__()
            self._blas.enforce()
        finally:
            self._limited.__exit__()


def working_memory() -> float:
    """Return the bytes that each thread's arrays may take, by scikit-learn's configuration."""
    return get_config()["working_memory"] * 2**20

"""What a computation may use: threads and memory."""

from collections.abc import Iterator
from contextlib import contextmanager

from sklearn import get_config
from threadpoolctl import ThreadpoolController

from skcnn.blas import BlasGuard
from skcnn.interrupts import Interrupts
from skcnn.workers import Workers

__all__ = ["workers", "working_memory"]

_blas = BlasGuard(ThreadpoolController)


@contextmanager
def workers(interrupts: Interrupts) -> Iterator[Workers]:
    """As many threads as BLAS would use, which is kept to one in each of them."""
    with _blas as n, Workers(n, _blas.limit_this_thread, interrupts.check) as threads:
        yield threads


def working_memory() -> float:
    """Bytes that the arrays of each thread may take, by scikit-learn's configuration."""
    return get_config()["working_memory"] * 2**20

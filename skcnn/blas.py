"""The guard that keeps BLAS to one thread.

BLAS on several threads of its own gives other rounding errors than on one,
so that results would depend on how many there are; and it leaves all
elementwise work to a single core.
"""

import os
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import PurePath
from typing import Any

__all__ = ["BlasGuard"]


class BlasGuard:
    """Context in which BLAS uses one thread, in the whole process.

    The first to enter notes the limits and the last to leave sets them again,
    so that overlapping uses from several threads leave nothing behind.
    Entering returns the number of threads that BLAS would use outside, divided
    by the number of threads that are inside, lest they start more together.

    Parameters
    ----------
    make_controller : callable
        Returns a ``threadpoolctl.ThreadpoolController``. Called once, when
        the guard is first entered.
    """

    def __init__(self, make_controller: Callable[[], Any]) -> None:
        self._make_controller = make_controller
        self._libraries: list[Any] | None = None
        self._reset()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._depth = 0
        self._inside: Counter[int] = Counter()  # how often each thread is
        self._outside: list[int] = []  # threads of each library

    def _after_fork(self) -> None:
        """The threads that were inside do not exist in a forked child."""
        if self._depth and self._libraries is not None:
            for library, n_threads in zip(self._libraries, self._outside, strict=True):
                _set_threads(library, n_threads)
        self._reset()

    def __enter__(self) -> int:
        with self._lock:
            if self._libraries is None:
                self._libraries = _numpys_blas(self._make_controller())
            if self._depth == 0:
                self._outside = [library.get_num_threads() for library in self._libraries]
            self._depth += 1
            self._inside[threading.get_ident()] += 1
            for library in self._libraries:
                _set_threads(library, 1)
            n_threads = max(self._outside) if self._outside else os.cpu_count() or 1
            return max(1, n_threads // len(self._inside))

    def __exit__(self, *exc_info: object) -> None:
        assert self._libraries is not None
        with self._lock:
            self._depth -= 1
            self._inside[threading.get_ident()] -= 1
            self._inside = +self._inside  # without those that have left
            for library, n_threads in zip(self._libraries, self._outside, strict=True):
                if self._depth == 0 or _limited_per_thread(library):
                    _set_threads(library, n_threads)

    def limit_this_thread(self) -> None:
        """For helper threads: some libraries count the threads of each caller."""
        for library in self._libraries or []:
            if _limited_per_thread(library):
                _set_threads(library, 1)


def _limited_per_thread(library: Any) -> bool:
    """OpenBLAS with OpenMP keeps a limit for every thread that calls it."""
    return library.internal_api == "openblas" and library.threading_layer == "openmp"


def _set_threads(library: Any, n_threads: int) -> None:
    """Set a limit from whatever thread this is.

    In threadpoolctl 3.8, the first thread that limits OpenBLAS is the only
    one that can, until it gives that right up; another is ignored silently.
    """
    let_all = getattr(library, "clear_controlling_thread", None)
    if let_all is not None:
        let_all(force=True)
    library.set_num_threads(n_threads)
    if let_all is not None:
        let_all(force=True)


def _numpys_blas(controller: Any) -> list[Any]:
    """The libraries that NumPy computes with.

    Other packages bring a BLAS of their own, whose limits say nothing here.
    NumPy's wheels carry theirs in ``numpy.libs`` or inside ``numpy``; where
    none is found there, as in conda environments, all count.
    """
    every = [library for library in controller.lib_controllers if library.user_api == "blas"]
    numpys = [
        library
        for library in every
        if {"numpy.libs", "numpy"} & set(PurePath(library.filepath).parts)
    ]
    return numpys or every

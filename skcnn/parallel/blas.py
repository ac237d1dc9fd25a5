"""The guard that keeps BLAS to one thread.

BLAS on several threads of its own gives other rounding errors than on one,
so that results would depend on how many there are; and it leaves all
elementwise work to a single core.
"""

import os
import threading
from collections.abc import Callable
from pathlib import PurePath
from typing import Any

__all__ = ["BlasGuard"]


class BlasGuard:
    """Keeps BLAS to one thread, in the whole process, while somebody asks for that.

    The first to ask notes the limits and the last to leave sets them again, so
    that overlapping uses from several threads leave nothing behind.

    Parameters
    ----------
    make_controller : callable
        Returns a ``threadpoolctl.ThreadpoolController``. Called once, when
        the guard is first used.
    """

    def __init__(self, make_controller: Callable[[], Any]) -> None:
        self._make_controller = make_controller
        self._libraries: list[Any] | None = None
        self._reset()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork)

    def _reset(self) -> None:
        self._lock = threading.RLock()  # a signal's handler may use the guard, too
        self._inside: dict[_Limited, int] = {}  # the thread of each use
        self._outside: list[int] | None = None  # threads of each library, if they are to be set

    def _after_fork(self) -> None:
        """The threads that were inside do not exist in a forked child."""
        for library, n_threads in zip(self._libraries or [], self._outside or [], strict=False):
            _set_threads(library, n_threads)
        self._reset()

    def limited(self) -> "_Limited":
        """A context in which BLAS uses one thread.

        Entering it returns the number of threads that BLAS would use outside,
        divided by the number of threads that are inside, lest they start more
        together. It can be left at any time and repeatedly.
        """
        return _Limited(self)

    def _enter(self, use: "_Limited") -> int:
        with self._lock:
            if self._libraries is None:
                self._libraries = _numpys_blas(self._make_controller())
            self._inside[use] = threading.get_ident()
            if self._outside is None:
                outside = [library.get_num_threads() for library in self._libraries]
                if self._outside is None:  # a signal's handler has not been faster
                    self._outside = outside
            for library in self._libraries:
                _set_threads(library, 1)
            n_threads = max(self._outside) if self._outside else os.cpu_count() or 1
            return max(1, n_threads // len(set(self._inside.values())))

    def _leave(self, use: "_Limited") -> None:
        with self._lock:
            self._inside.pop(use, None)
            if self._outside is None or self._libraries is None:
                return
            here = threading.get_ident() in self._inside.values()
            for library, n_threads in zip(self._libraries, self._outside, strict=True):
                if not self._inside or (_limited_per_thread(library) and not here):
                    _set_threads(library, n_threads)
            if not self._inside:
                self._outside = None

    def limit_this_thread(self) -> None:
        """For helper threads: some libraries count the threads of each caller."""
        for library in self._libraries or []:
            if _limited_per_thread(library):
                _set_threads(library, 1)


class _Limited:
    """One use of the guard."""

    def __init__(self, guard: BlasGuard) -> None:
        self._guard = guard

    def __enter__(self) -> int:
        return self._guard._enter(self)

    def __exit__(self, *exc_info: object) -> None:
        self._guard._leave(self)


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

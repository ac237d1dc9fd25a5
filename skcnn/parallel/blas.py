"""The guard that keeps BLAS to one thread.

BLAS rounds differently on several threads than on one, so results would
depend on the number of threads; and all elementwise work would be left to a
single core.

Most BLAS libraries have one limit for the whole process, which threadpoolctl saves
and restores without coordination. If another thread restored its limit in
the middle of a computation, BLAS would get its threads back. If it saved the limit
in the middle and restored it afterwards, BLAS would keep one thread for good. So
the guard wraps the two methods by which threadpoolctl reads and sets the limit:
during a computation, other threads see and set the limit that applies outside.
"""

import os
import threading
from collections.abc import Callable
from copy import copy
from functools import wraps
from pathlib import PurePath
from typing import Any

__all__ = ["BlasGuard"]


class BlasGuard:
    """Keeps BLAS to one thread, in the whole process, while any thread is inside.

    The first to enter saves the outside limits, and the last to leave restores
    them. Limits that other threads set through threadpoolctl in between replace
    the saved ones, so that they apply from then on. Threads inside see a limit
    of one. If they set another, it has no effect until they leave.

    Parameters
    ----------
    make_controller : callable
        Returns a ``threadpoolctl.ThreadpoolController``. Called once, when
        the guard is first used.

    Attributes
    ----------
    n_violations : int
        Number of times that `enforce` found a process-wide limit other than one,
        which cannot have been set through threadpoolctl.
    """

    def __init__(self, make_controller: Callable[[], Any]) -> None:
        self._make_controller = make_controller
        self._libraries: list[_Library] | None = None
        self._methods: dict[type, tuple[Callable, Callable]] = {}  # of threadpoolctl's classes
        self.n_violations = 0
        self._reset()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork)

    def _reset(self) -> None:
        self._lock = threading.RLock()  # a signal's handler may use the guard, too
        self._inside: dict[_Limited, int] = {}  # the thread of each use
        self._outside: dict[tuple[str, int], int] = {}  # limits to restore
        self._mine = _OfThread()

    def _after_fork(self) -> None:
        """Reset the guard in a forked child, where the threads inside do not exist."""
        for library in self._libraries or []:
            if (n_threads := self._outside.get(library.key())) is not None:
                library.set_num_threads(n_threads)
        self._reset()

    def limited(self) -> "_Limited":
        """Return a context in which BLAS uses one thread.

        Entering it returns the number of threads that BLAS would use outside,
        divided by the number of threads inside, so that together they start no
        more than that. It can be left at any time and repeatedly.
        """
        return _Limited(self)

    def _enter(self, use: "_Limited") -> int:
        with self._lock:
            if self._libraries is None:
                self._libraries = self._find()
            self._inside[use] = threading.get_ident()
            for library in self._libraries:
                if library.key() not in self._outside:
                    n_threads = library.get_num_threads()
                    # a signal's handler may have done so meanwhile
                    self._outside.setdefault(library.key(), n_threads)
                library.set_num_threads(1)
            outside = [self._outside[library.key()] for library in self._libraries]
            n_threads = max(outside, default=os.cpu_count() or 1)
            return max(1, n_threads // len(set(self._inside.values())))

    def _leave(self, use: "_Limited") -> None:
        with self._lock:
            self._inside.pop(use, None)
            here = threading.get_ident() in self._inside.values()
            for library in self._libraries or []:
                key = library.key()
                if key not in self._outside or here:
                    continue
                if (mine := self._mine.limits.get(library.path, 1)) != 1:
                    self._outside[key] = mine
                if library.per_thread or not self._inside:
                    library.set_num_threads(self._outside[key])
                    del self._outside[key]
            if not here:
                self._mine.limits = {}

    def enforce(self) -> None:
        """Set the limit to one again if it was changed without threadpoolctl.

        Threads inside call it between two tasks. C code can change the limit at any
        time, and so can a vendored copy of threadpoolctl. The value found is taken
        as the new outside limit.
        """
        for library in self._libraries or []:
            if library.get_num_threads() != 1:
                self._restrict(library)

    def _restrict(self, library: "_Library") -> None:
        with self._lock:
            n_threads = library.get_num_threads()
            if n_threads != 1 and library.key() in self._outside:
                self._outside[library.key()] = n_threads
                self.n_violations += not library.per_thread  # no product has used that limit yet
                library.set_num_threads(1)

    def limit_this_thread(self) -> None:
        """Count this helper thread as inside until it ends; some libraries limit each thread."""
        self._mine.helps = True
        for library in self._libraries or []:
            if library.per_thread:
                library.set_num_threads(1)

    def _find(self) -> "list[_Library]":
        """Find NumPy's libraries, and wrap threadpoolctl's methods that read and set limits."""
        controllers = _numpys_blas(self._make_controller())
        for cls in {type(controller) for controller in controllers}:
            own = (cls.get_num_threads, cls.set_num_threads)
            # wrappers of an interrupted call may remain, but the original methods are known
            get, set_ = self._methods.setdefault(cls, own)
            cls.get_num_threads, cls.set_num_threads = self._getter(get), self._setter(set_)
        return [
            _Library(controller, *self._methods[type(controller)]) for controller in controllers
        ]

    def _getter(self, get: Callable[[Any], int]) -> Callable[[Any], int]:
        @wraps(get)
        def get_num_threads(controller: Any) -> int:
            with self._lock:
                outside = self._outside.get((controller.filepath, 0))
                if outside is None:
                    return get(controller)
                if self._is_inside():
                    return self._mine.limits.get(controller.filepath, 1)
                self._mine.read.add(controller.filepath)
                return outside

        return get_num_threads

    def _setter(self, set_: Callable[[Any, int], Any]) -> Callable[[Any, int], Any]:
        @wraps(set_)
        def set_num_threads(controller: Any, num_threads: int) -> Any:
            with self._lock:
                key = (controller.filepath, 0)
                if key not in self._outside:
                    return set_(controller, num_threads)
                if self._is_inside():
                    self._mine.limits[controller.filepath] = num_threads
                    return None
                # threadpoolctl reads a limit right before it sets a new one; a limit that is
                # restored may have been saved by a thread that waits for this computation
                restores = controller.filepath not in self._mine.read
                self._mine.read.discard(controller.filepath)
                if _has_control(controller, set_, num_threads) or restores:
                    self._outside[key] = num_threads
                return None

        return set_num_threads

    def _is_inside(self) -> bool:
        """Whether this thread is inside."""
        return self._mine.helps or threading.get_ident() in self._inside.values()


class _Limited:
    """One use of the guard."""

    def __init__(self, guard: BlasGuard) -> None:
        self._guard = guard

    def __enter__(self) -> int:
        return self._guard._enter(self)

    def __exit__(self, *exc_info: object) -> None:
        self._guard._leave(self)


class _OfThread(threading.local):
    """State of the guard that belongs to one thread."""

    def __init__(self) -> None:
        self.helps = False
        self.limits: dict[str, int] = {}  # set while inside
        self.read: set[str] = set()  # libraries whose outside limit was read and not set since


class _Library:
    """A BLAS library and its actual limit.

    From version 3.8 on, threadpoolctl lets one thread at a time control OpenBLAS
    and ignores the others. The guard must work in any thread and must not take
    that control away, so it calls OpenBLAS's functions directly.
    """

    def __init__(
        self, controller: Any, get: Callable[[Any], int], set_: Callable[[Any, int], Any]
    ) -> None:
        self.path: str = controller.filepath
        # OpenBLAS with OpenMP keeps a limit for every thread that calls it
        self.per_thread = (
            controller.internal_api == "openblas" and controller.threading_layer == "openmp"
        )
        self.get_num_threads: Callable[[], int] = get.__get__(controller)
        self.set_num_threads: Callable[[int], Any] = set_.__get__(controller)
        if controller.internal_api == "openblas" and not self.per_thread:
            self.get_num_threads = _of_openblas(controller, "get") or self.get_num_threads
            self.set_num_threads = _of_openblas(controller, "set") or self.set_num_threads

    def key(self) -> tuple[str, int]:
        """Identify the limit: the library, and the thread where each thread has its own."""
        return self.path, threading.get_ident() if self.per_thread else 0


def _of_openblas(controller: Any, verb: str) -> Any:
    """Find a function of OpenBLAS by any of its names; None if there is none."""
    # threadpoolctl has it since 3.5; older versions let every thread set the limit
    dynlib = getattr(controller, "dynlib", None)
    for prefix in ("", "scipy_"):
        for suffix in ("", "64_", "_64"):
            function = getattr(dynlib, f"{prefix}openblas_{verb}_num_threads{suffix}", None)
            if function is not None:
                return function
    return None


class _Recorder:
    """Stands in for a loaded library and notes whether one of its functions is called."""

    called = False

    def __getattr__(self, name: str) -> Callable[..., None]:
        return self._call

    def _call(self, *args: object) -> None:
        self.called = True


def _has_control(controller: Any, set_: Callable[[Any, int], Any], n_threads: int) -> bool:
    """Whether threadpoolctl would let this thread set a limit.

    Like the real call, this takes control if no thread has it.
    """
    if not hasattr(controller, "clear_controlling_thread"):
        return True
    rehearsal = copy(controller)
    rehearsal.dynlib = _Recorder()
    set_(rehearsal, n_threads)
    return rehearsal.dynlib.called


def _numpys_blas(controller: Any) -> list[Any]:
    """Return the libraries that NumPy computes with.

    Other packages bring a BLAS of their own, whose limits are irrelevant here.
    NumPy's wheels contain theirs in ``numpy.libs`` or inside ``numpy``; if none
    is found there, as in conda environments, all count.
    """
    every = [library for library in controller.lib_controllers if library.user_api == "blas"]
    numpys = [
        library
        for library in every
        if {"numpy.libs", "numpy"} & set(PurePath(library.filepath).parts)
    ]
    return numpys or every

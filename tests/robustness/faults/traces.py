"""Traces that a computation could leave behind in its process, and endless waiting."""

import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
from threadpoolctl import ThreadpoolController

from skcnn._estimator.resources import _blas
from tests.waiting import PATIENCE

CONTROLLER = ThreadpoolController()


def limits():
    """Threads of every BLAS."""
    return [library.get_num_threads() for library in CONTROLLER.lib_controllers]


def children(pid=None):
    """Process numbers of all children of a process, dead ones included until they are heard of."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            except OSError:  # gone meanwhile
                continue
            if int(parent) == (pid or os.getpid()):
                found.append(int(folder.name))
    return sorted(found)


def n_threads():
    """Threads of this process, without those that libraries have given a name of their own.

    jemalloc, which comes with pyarrow, starts one at any time.
    """
    names = []
    for thread in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # it has just ended
            names.append((thread / "comm").read_text())
    return names.count(Path("/proc/self/comm").read_text())


def traces():
    """All that must be as before."""
    return {
        "limits": limits(),
        "uses of the guard": len(_blas._inside),
        "limits to be set again": dict(_blas._outside),
        "threads of Python": sorted(thread.name for thread in threading.enumerate()),
        "threads": n_threads(),
        "files": len(os.listdir("/proc/self/fd")),
        "segments": Path("/proc/self/maps").read_text().count("memfd:skcnn"),
        "Ctrl-C": signal.getsignal(signal.SIGINT),
        "NumPy's errors": np.geterr(),
    }


def assert_as_before(before):
    """A thread that was told to end may need a moment for it, also one that was there before."""
    end = time.monotonic() + PATIENCE
    while different := {
        name: (before[name], found)
        for name, found in traces().items()
        if (found > before[name] if name == "threads" else found != before[name])
    }:
        assert time.monotonic() < end, different
        time.sleep(1e-4)

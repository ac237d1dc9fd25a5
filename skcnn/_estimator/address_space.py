"""Limited address space (``ulimit -v``): reservations made before work begins.

OpenBLAS takes a buffer when more calls run at once than ever before, and ends
the process if it cannot have it, where NumPy would raise `MemoryError`.
"""

import math
import os
from pathlib import Path

import numpy as np

try:
    import resource
except ImportError:  # not everywhere
    resource = None  # type: ignore[assignment]

__all__ = ["reserve_for_blas", "room"]

BUFFER_BYTES = 32 * 2**20
"""Bytes that OpenBLAS allocates for a call."""

MARGIN_BYTES = 8 * 2**20
"""Bytes that fragmentation may cost."""


def room() -> float:
    """Bytes of address space that this process may still take; infinity where nothing limits it."""
    if resource is None:
        return math.inf
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return math.inf
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except OSError:  # a system that does not tell does not limit it either
        return math.inf
    return limit - pages * os.sysconf("SC_PAGE_SIZE")


def reserve_for_blas() -> None:
    """Let BLAS have what it needs for calls of one thread, which it keeps for good.

    Raises
    ------
    MemoryError
        Where there is too little; BLAS has not been asked then.
    """
    probe = np.empty(BUFFER_BYTES + MARGIN_BYTES, np.uint8)
    del probe
    square = np.ones((4, 4), np.float32)
    square @ square

"""Limited address space (``ulimit -v``): reservations made before work begins.

OpenBLAS allocates a buffer when more calls run at once than ever before, and ends
the process if the allocation fails, where NumPy would raise `MemoryError`.
"""

import math
import os
from pathlib import Path

import numpy as np

try:
    import resource
except ImportError:  # on Windows
    resource = None  # type: ignore[assignment]

__all__ = ["available_address_space", "reserve_for_blas"]

BUFFER_BYTES = 32 * 2**20
"""Bytes that OpenBLAS allocates for a call."""

MARGIN_BYTES = 8 * 2**20
"""Allowance for fragmentation."""


def available_address_space() -> float:
    """Return the bytes of address space left to this process; infinity if it is not limited."""
    if resource is None:
        return math.inf
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return math.inf
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except OSError:  # a system without this file does not limit it either
        return math.inf
    return limit - pages * os.sysconf("SC_PAGE_SIZE")


def reserve_for_blas() -> None:
    """Have BLAS allocate its buffer for calls from one thread, which it then keeps.

    Raises
    ------
    MemoryError
        If too little is left, before BLAS is called.
    """
    probe = np.empty(BUFFER_BYTES + MARGIN_BYTES, np.uint8)
    del probe
    square = np.ones((4, 4), np.float32)
    square @ square

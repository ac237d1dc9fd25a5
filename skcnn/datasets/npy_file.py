"""Writer of files in NumPy's own format, row by row."""

from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy

from skcnn.files import replace_file


def write_npy(
    path: Path, rows: Iterable[np.ndarray], most: int, shape: tuple[int, ...]
) -> np.ndarray:
    """Write at most `most` rows of uint8 of one shape, and map them into memory.

    At any time, the name refers to a complete file, the older or the new one, or to
    none.
    """

    def write(file: BinaryIO) -> None:
        written = 0
        _header(file, (most, *shape))
        start = file.tell()
        for row in rows:
            file.write(np.ascontiguousarray(row).data)
            written += 1
        file.seek(0)
        _header(file, (written, *shape))
        if file.tell() != start:  # NumPy's header reserves space for the first axis to grow
            raise RuntimeError("NumPy's headers for fewer rows have another length.")

    replace_file(path, write)
    return np.load(path, mmap_mode="r")


def _header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    facts = {"descr": "|u1", "fortran_order": False, "shape": shape}
    npy.write_array_header_1_0(file, facts)

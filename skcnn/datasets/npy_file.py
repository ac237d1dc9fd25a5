"""A file of NumPy's own format, written row by row."""

import os
from collections.abc import Iterable
from pathlib import Path
from uuid import uuid4

import numpy as np
from numpy.lib import format as npy


def write_npy(
    path: Path, rows: Iterable[np.ndarray], most: int, shape: tuple[int, ...]
) -> np.ndarray:
    """Write at most `most` rows of uint8 of one shape, and map them into memory.

    They are written beside `path`, and take its name when all of them are on
    the disk: under that name there is a whole file, an older one, or none.
    """
    part = path.with_name(f".{path.name}.{uuid4().hex}.part")
    with part.open("xb") as file:
        try:
            written = 0
            _header(file, (most, *shape))
            start = file.tell()
            for row in rows:
                file.write(np.ascontiguousarray(row).data)
                written += 1
            file.seek(0)
            _header(file, (written, *shape))
            if file.tell() != start:  # NumPy leaves room for the first axis to grow
                raise RuntimeError("NumPy's headers for fewer rows have another length.")
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            file.close()
            part.unlink()
            raise
    part.replace(path)
    return np.load(path, mmap_mode="r")


def _header(file, shape: tuple[int, ...]) -> None:
    facts = {"descr": "|u1", "fortran_order": False, "shape": shape}
    npy.write_array_header_1_0(file, facts)

"""Memory that several processes share, and arrays in it.

The memory leaves no name behind. With `os.memfd_create` it lives as long as any
process maps it; elsewhere it is in a temporary file that is removed as soon as
all processes have mapped it.
"""

import mmap
import os
import sys
import tempfile
from collections.abc import Iterable
from io import FileIO
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Key", "Mapped", "ArraySpec", "SharedMemory", "available_memory", "lay_out", "mapped"]

LINE = 128
"""Alignment of arrays: two cache lines, which processors fetch together."""


class ArraySpec(NamedTuple):
    """Position, shape and dtype of an array in shared memory.

    Parameters
    ----------
    offset : int
        Bytes before the array.
    shape : tuple of int
    dtype : dtype
    """

    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype


def lay_out(wanted: dict[str, tuple[tuple[int, ...], Any]]) -> tuple[dict[str, ArraySpec], int]:
    """Lay out arrays, given by shape and dtype, one after another.

    Returns
    -------
    places : dict of ArraySpec
    nbytes : int
        Total size.
    """
    places, end = {}, 0
    for name, (shape, dtype) in wanted.items():
        places[name] = ArraySpec(end, shape, np.dtype(dtype))
        end += -(-prod(shape) * np.dtype(dtype).itemsize // LINE) * LINE
    return places, max(end, LINE)


class Key(NamedTuple):
    """Handle by which another process attaches the memory.

    Parameters
    ----------
    path : str
    device, inode : int
        Identify the file, in case another one has taken its place.
    """

    path: str
    device: int
    inode: int


class SharedMemory:
    """Memory shared between processes, freed with the last array in it.

    Parameters
    ----------
    memory : mmap
    key : Key
        Handle by which other processes attach the memory until it is closed.
    file : int or None, default=None
        Descriptor that `close` closes.
    """

    def __init__(self, memory: mmap.mmap, key: "Key", file: int | None = None) -> None:
        self.memory, self.key = memory, key
        self._file = None if file is None else FileIO(file, "r+")

    @classmethod
    def reserve(cls, nbytes: int) -> "SharedMemory":
        """Reserve shared memory, filled with zeros.

        It is reserved before it is mapped: if the file system has too little, that
        is an error here rather than a signal at the first write. (If the system has
        too little, it kills a process; see `available_memory`.)

        Raises
        ------
        OSError
            If there is too little memory, or none that can be shared.
        """
        if hasattr(os, "memfd_create"):
            file = os.memfd_create("skcnn")
            path = f"/proc/{os.getpid()}/fd/{file}"
        else:
            file, path = tempfile.mkstemp(prefix="skcnn-")
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file, 0, nbytes)
            else:
                os.truncate(file, nbytes)
            about = os.fstat(file)
            key = Key(path, about.st_dev, about.st_ino)
            return cls(mmap.mmap(file, nbytes), key, file)
        except (OSError, ValueError) as error:
            os.close(file)
            _remove(path)
            raise OSError(f"cannot reserve {nbytes} bytes: {error}") from error

    @classmethod
    def attach(cls, key: "Key") -> "SharedMemory":
        """Map the memory of another process.

        Raises
        ------
        OSError
            If it has been closed.
        """
        file = os.open(key.path, os.O_RDWR)
        try:
            about = os.fstat(file)
            if (about.st_dev, about.st_ino) != (key.device, key.inode):
                raise OSError("the shared memory was closed, and another file is in its place")
            return cls(mmap.mmap(file, about.st_size), key)
        finally:
            os.close(file)

    def close(self) -> None:
        """Prevent further processes from attaching the memory."""
        if self._file is not None:
            self._file.close()
            _remove(self.key.path)

    @property
    def has_name(self) -> bool:
        """Whether a file would remain if all processes were killed now."""
        return not (self._file is None or self._file.closed or self.key.path.startswith("/proc/"))

    def array(self, place: ArraySpec) -> np.ndarray:
        """Return an array in the memory."""
        return np.ndarray(place.shape, place.dtype, self.memory, place.offset)


def _remove(path: str) -> None:
    if not path.startswith("/proc/"):
        Path(path).unlink(missing_ok=True)


class Mapped(NamedTuple):
    """An array in a file, for another process to map.

    Parameters
    ----------
    filename : str
    inode : int
        Identifies the mapped file, in case another one has taken its name.
    offset : int
        Bytes before the first element.
    shape, strides : tuple of int
    dtype : dtype
    """

    filename: str
    inode: int
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype

    def open(self) -> np.ndarray:
        """Map the file, and return the array.

        Raises
        ------
        OSError
            If the file has been replaced or removed.
        """
        with open(self.filename, "rb") as file:
            if os.fstat(file.fileno()).st_ino != self.inode:
                raise OSError(f"{self.filename} has been replaced")
            memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return np.ndarray(self.shape, self.dtype, memory, self.offset, self.strides)


def mapped(array: np.ndarray) -> Mapped | None:
    """Describe an array that is a view of a memory-mapped file, for another process.

    None if it is no such view, or if another process would not see the same data:
    the map is a private copy, or the file has lost its name.
    """
    root: Any = array
    while isinstance(root.base, np.ndarray):
        root = root.base
    if not (isinstance(root, np.memmap) and isinstance(root.base, mmap.mmap)):
        return None
    if root.mode == "c" or root.filename is None or array.dtype.hasobject:
        return None
    inode = _inode(root.ctypes.data)
    if inode is None:
        return None
    offset = root.offset + array.ctypes.data - root.ctypes.data
    return Mapped(
        os.path.abspath(root.filename), inode, offset, array.shape, array.strides, array.dtype
    )


def _inode(address: int) -> int | None:
    """Return the inode of the file mapped at an address; None if unknown."""
    try:
        lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        range_, _, _, _, inode, *name = line.split(maxsplit=5)
        start, stop = (int(end, 16) for end in range_.split("-"))
        if start <= address < stop:
            return None if not name or name[0].endswith("(deleted)") else int(inode)
    return None


def available_memory() -> float:
    """Return the memory available without swapping, as far as the system reports it."""
    known = [_meminfo(), *_control_groups()]
    left = [amount for amount in known if amount is not None]
    if not left and sys.platform != "linux" and hasattr(os, "sysconf"):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 4
    return min(left, default=0)


def _meminfo() -> float | None:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return float(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def _control_groups() -> Iterable[float]:
    """Yield the bytes left under container limits, for both versions of control groups."""
    root = Path("/sys/fs/cgroup")
    for folder, limit, used in (
        (root, "memory.max", "memory.current"),
        (root / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        try:
            most = (folder / limit).read_text(encoding="ascii").strip()
            now = (folder / used).read_text(encoding="ascii").strip()
            if most.isdecimal():
                yield float(most) - float(now) + _file_cache(folder / "memory.stat")
        except OSError:
            continue


def _file_cache(path: Path) -> float:
    """Return the bytes of cached files that a control group could drop at once."""
    for line in path.read_text(encoding="ascii").splitlines():
        name, amount = line.split()
        if name in ("inactive_file", "total_inactive_file"):
            return float(amount)
    return 0.0

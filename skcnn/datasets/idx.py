"""Reader of IDX files, the format of MNIST and similar data sets.

The format is LeCun's: two zero bytes, one for the type of the elements, one
for the number of dimensions, the sizes as big-endian 32-bit integers, and the
elements row by row, big-endian too. Nothing is downloaded.
"""

import os
import zlib
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np

from skcnn._hyperparameters import check_choice
from skcnn.datasets.paths import PathLike, check_path

ELEMENTS = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
"""Element types by code."""

GZIP = b"\x1f\x8b"
"""The first bytes of a gzip file (RFC 1952, section 2.3.1)."""

MOST_INFLATION = 1032
"""Largest expansion by deflate: 258 bytes from two bits (zlib's technical details)."""

CHUNK = 2**14
"""Bytes that are read from a compressed file at a time."""

PIECE = 2**20
"""Bytes of elements that are read at a time."""

Read: TypeAlias = Callable[[int], bytes]
"""Function that returns between one and `n` bytes, or none at the end of the data."""

PREFIXES = {"train": "train", "test": "t10k"}
"""Prefixes of MNIST's file names by subset."""


def load_idx(path: PathLike) -> np.ndarray:
    """Load an IDX file, the format of MNIST, Fashion-MNIST, KMNIST and EMNIST.

    The file may be compressed with gzip, which is detected from its content,
    not its name. Its contents must be exactly as long as its header announces.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    ndarray
        Array of the shape and type given in the file, in native byte order.

    Raises
    ------
    ValueError
        If the file is not a complete and undamaged IDX file; the message names
        the file and what was found.
    OSError
        If it cannot be read.

    Notes
    -----
    No more memory is allocated than the file can fill, and no more is
    decompressed than its header announces.

    EMNIST stores its images transposed: ``load_idx(path).swapaxes(1, 2)``
    turns them upright.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "two-rows-idx2-short")
    ...     header = bytes([0, 0, 0x0B, 2]) + bytes([0, 0, 0, 2]) + bytes([0, 0, 0, 3])
    ...     _ = path.write_bytes(header + bytes([0, 1, 0, 2, 0, 3, 1, 0, 2, 0, 255, 255]))
    ...     load_idx(path)
    array([[  1,   2,   3],
           [256, 512,  -1]], dtype=int16)
    """
    path = check_path("load_idx", "path", path)
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        compressed = file.read(len(GZIP)) == GZIP
        file.seek(0)
        try:
            if compressed:
                return _parse(_Inflater(file).read, MOST_INFLATION * size)
            return _parse(file.read, size)
        except zlib.error as error:
            raise ValueError(f"{path}: damaged gzip file ({error}).") from None
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None


def _parse(read: Read, most: int) -> np.ndarray:
    """Read an array from a stream of at most `most` bytes."""
    magic = _exactly(read, 4, "the magic number")
    code, ndim = magic[2:]
    if magic[:2] != b"\0\0":
        raise ValueError(f"not an IDX file: its first bytes are {magic.hex(' ')}, not 00 00.")
    if code not in ELEMENTS:
        known = ", ".join(f"0x{known:02X}" for known in ELEMENTS)
        raise ValueError(f"unknown element type 0x{code:02X}, must be one of {known}.")
    if ndim == 0:
        raise ValueError("the header announces no dimensions, but there must be at least one.")
    sizes = np.frombuffer(_exactly(read, 4 * ndim, f"the {ndim} sizes"), ">u4")
    shape = tuple(int(size) for size in sizes)
    dtype = np.dtype(ELEMENTS[code])
    announced = f"shape {shape} of {dtype.newbyteorder('=').name}"
    nbytes = prod(shape) * dtype.itemsize
    most -= 4 + 4 * ndim
    if nbytes > most:
        raise ValueError(
            f"truncated: the header announces {announced}, {nbytes} bytes, but the file can "
            f"hold {most} at most."
        )
    try:
        array = np.empty(shape, dtype)
    except ValueError as error:  # more dimensions than NumPy has, or 0 of something huge
        raise ValueError(f"NumPy has no arrays of {announced}: {error}") from None
    memory = array.reshape(-1).view(np.uint8)
    filled = 0
    while filled < nbytes:
        piece = read(min(PIECE, nbytes - filled))
        if not piece:
            raise ValueError(
                f"truncated: the header announces {announced}, {nbytes} bytes, but {filled} follow."
            )
        memory[filled : filled + len(piece)] = np.frombuffer(piece, np.uint8)
        filled += len(piece)
    if read(1):
        raise ValueError(
            f"trailing bytes: the header announces {announced}, {nbytes} bytes, but more follow."
        )
    if not dtype.isnative:
        array.byteswap(inplace=True)
    return array.view(dtype.newbyteorder("="))


def _exactly(read: Read, n: int, what: str) -> bytes:
    """Read exactly `n` bytes."""
    found = b""
    while len(found) < n:
        piece = read(n - len(found))
        if not piece:
            raise ValueError(
                f"truncated header: expected {n} bytes for {what}, found {len(found)}."
            )
        found += piece
    return found


class _Inflater:
    """Decompresses a gzip file, never further than requested.

    (``gzip.GzipFile`` reads ahead by its buffer.) The checksums are compared at
    the end of each member, of which a file may have several.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.waiting = file, b""
        self.member = zlib.decompressobj(wbits=31)

    def read(self, n: int) -> bytes:
        while True:
            if self.member.eof:
                self.waiting = self.waiting or self.file.read(CHUNK)
                if not self.waiting:
                    return b""
                self.member = zlib.decompressobj(wbits=31)
            found = self.member.decompress(self.waiting, n)
            ended = self.member.eof
            self.waiting = self.member.unused_data if ended else self.member.unconsumed_tail
            if found:
                return found
            if not (self.waiting or ended):
                self.waiting = self.file.read(CHUNK)
                if not self.waiting:
                    raise ValueError("damaged gzip file (it ends before its checksum).")


def load_mnist(folder: PathLike, *, subset: str = "train") -> tuple[np.ndarray, np.ndarray]:
    """Load images and labels of MNIST, or of a data set with the same file names.

    Parameters
    ----------
    folder : str or path-like
        Folder that contains the files "train-images-idx3-ubyte" and
        "train-labels-idx1-ubyte", or those with "t10k" instead of "train" for
        the test set. Names with a dot, as in "train-images.idx3-ubyte", and
        either with ".gz" are accepted too; of several files, the first in this
        order is loaded.
    subset : {"train", "test"}, default="train"
        Which part to load.

    Returns
    -------
    X : ndarray of uint8 of shape (n, rows, columns)
        The images, 0 to 255.
    y : ndarray of uint8 of shape (n,)
        The labels.

    Raises
    ------
    FileNotFoundError
        If a file is missing; the message lists the names that were tried.
    ValueError
        If a file is damaged or holds something else, or if the numbers of
        images and labels differ.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     images = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3])
    ...     labels = bytes([0, 0, 8, 1, 0, 0, 0, 2])
    ...     _ = Path(folder, "train-images-idx3-ubyte").write_bytes(images + bytes(range(6)))
    ...     _ = Path(folder, "train-labels-idx1-ubyte").write_bytes(labels + bytes([7, 9]))
    ...     X, y = load_mnist(folder)
    >>> X.shape, y.tolist()
    ((2, 1, 3), [7, 9])
    """
    prefix = PREFIXES[check_choice("load_mnist", "subset", subset, PREFIXES)]
    folder = check_path("load_mnist", "folder", folder)
    images, X = _load_part(folder, f"{prefix}-images", 3, "(images, rows, columns)")
    labels, y = _load_part(folder, f"{prefix}-labels", 1, "(labels,)")
    if len(X) != len(y):
        raise ValueError(f"{images} holds {len(X)} images, but {labels} holds {len(y)} labels.")
    return X, y


def _load_part(folder: Path, stem: str, ndim: int, axes: str) -> tuple[Path, np.ndarray]:
    """Return the path of the first existing file, and its uint8 array of `ndim` dimensions."""
    names = [
        f"{stem}{separator}idx{ndim}-ubyte{ending}" for ending in ("", ".gz") for separator in "-."
    ]
    paths = [path for path in (folder / name for name in names) if path.is_file()]
    if not paths:
        raise FileNotFoundError(f"{folder} has none of the files {', '.join(names)}.")
    array = load_idx(paths[0])
    if array.ndim != ndim or array.dtype != np.uint8:
        raise ValueError(
            f"{paths[0]}: must hold uint8 of shape {axes}, found {array.dtype.name} of shape "
            f"{array.shape}."
        )
    return paths[0], array

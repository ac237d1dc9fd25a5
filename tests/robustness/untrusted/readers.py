"""Check of any file: it is read correctly, or refused by name, in little memory."""

import gzip
import tracemalloc

import numpy as np

from skcnn.datasets import load_idx, load_mnist

CODES = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}

MOST_INFLATION = 1032
"""Most bytes that deflate can make of one, by zlib's technical details."""

BUFFERS = 2**18
"""Bytes for what does not depend on the file: buffers, zlib's window, and messages."""


def as_idx(array):
    """The file of an array."""
    kind = array.dtype.newbyteorder("=").str[1:]
    sizes = np.array(array.shape, ">u4").tobytes()
    return bytes([0, 0, CODES[kind], array.ndim]) + sizes + array.astype(f">{kind}").tobytes()


def valid_files():
    """Files of every type, of several shapes, plain and compressed."""
    rng = np.random.default_rng(0)
    for kind in CODES:
        for shape in [(0,), (3,), (2, 3), (4, 5, 6), (1, 2, 1, 2)]:
            content = as_idx(rng.integers(0, 100, shape).astype(kind))
            yield content
            yield gzip.compress(content, mtime=0)
    yield gzip.compress(as_idx(np.zeros((40, 50, 30), "u1")), mtime=0)
    yield b"".join(gzip.compress(part, mtime=0) for part in (content[:3], b"", content[3:]))


def measured(read, path, size):
    """Return the result of `read`, or its refusal; anything else is a defect."""
    tracemalloc.start()
    try:
        found = read(path)
    except ValueError as error:
        found = error
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak <= 2 * size + BUFFERS, f"{peak} bytes for a file that can hold {size}"
    if isinstance(found, ValueError):
        assert str(found).startswith(str(path)), f"not named: {found}"
    return found


def examine_file(path, content):
    """Whether `load_idx` accepts this content."""
    path.write_bytes(content)
    compressed = content.startswith(b"\x1f\x8b")
    size = len(content) * (MOST_INFLATION if compressed else 1)
    found = measured(load_idx, path, size)
    if isinstance(found, ValueError):
        return False
    assert found.dtype.isnative
    assert as_idx(found) == (gzip.decompress(content) if compressed else content)
    return True


def examine_folder(folder, images, labels):
    """Whether `load_mnist` accepts these files."""
    (folder / "train-images-idx3-ubyte").write_bytes(images)
    (folder / "train-labels-idx1-ubyte").write_bytes(labels)
    size = MOST_INFLATION * (len(images) + len(labels))
    found = measured(load_mnist, folder, size)
    if isinstance(found, ValueError):
        return False
    X, y = found
    assert X.dtype == y.dtype == np.uint8
    assert (X.ndim, y.ndim, len(X)) == (3, 1, len(y))
    return True

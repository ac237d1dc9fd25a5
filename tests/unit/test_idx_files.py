import gzip
import struct
import tracemalloc
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from skcnn.datasets import load_idx, load_mnist

CODES = {  # of every type: what LeCun's description says, and struct's letter
    "uint8": (0x08, "B"),
    "int8": (0x09, "b"),
    "int16": (0x0B, "h"),
    "int32": (0x0C, "i"),
    "float32": (0x0D, "f"),
    "float64": (0x0E, "d"),
}

some_arrays = st.sampled_from(sorted(CODES)).flatmap(
    lambda dtype: arrays.arrays(
        dtype,
        arrays.array_shapes(min_dims=1, max_dims=5, min_side=0, max_side=5),
        elements=None if dtype[0] in "iu" else {"allow_nan": False},
    )
)


def as_idx(array):
    """The format written number by number."""
    code, letter = CODES[array.dtype.name]
    parts = [bytes([0, 0, code, array.ndim])]
    parts += [struct.pack(">I", size) for size in array.shape]
    parts += [struct.pack(f">{letter}", number) for number in array.ravel().tolist()]
    return b"".join(parts)


def idx_header(code, *sizes):
    return bytes([0, 0, code, len(sizes)]) + b"".join(struct.pack(">I", size) for size in sizes)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("idx") / "some-file"


def assert_refused(path, content, *patterns):
    path.write_bytes(content)
    with pytest.raises(ValueError, match="some-file: ") as caught:
        load_idx(path)
    for pattern in patterns:
        assert pattern in str(caught.value)


@settings(max_examples=150)
@given(array=some_arrays, compressed=st.booleans())
def test_what_was_written_is_read(path, array, compressed):
    content = as_idx(array)
    path.write_bytes(gzip.compress(content) if compressed else content)
    found = load_idx(path)
    assert found.dtype == array.dtype
    assert found.dtype.isnative
    assert found.shape == array.shape
    assert np.array_equal(found, array)
    assert found.flags.writeable
    assert found.flags.c_contiguous


@settings(max_examples=150)
@given(array=some_arrays, compressed=st.booleans(), data=st.data())
def test_every_truncation_is_refused(path, array, compressed, data):
    content = as_idx(array)
    if compressed:
        content = gzip.compress(content)
    shorter = content[: data.draw(st.integers(0, len(content) - 1))]
    assert_refused(path, shorter)


@settings(max_examples=50)
@given(array=some_arrays, compressed=st.booleans(), more=st.binary(min_size=1, max_size=40))
def test_trailing_bytes_are_refused(path, array, compressed, more):
    content = as_idx(array) + more
    assert_refused(path, gzip.compress(content) if compressed else content, "trailing bytes")


@settings(max_examples=50)
@given(array=some_arrays, more=st.binary(min_size=1, max_size=40))
def test_bytes_behind_the_compressed_ones_are_refused(path, array, more):
    assert_refused(path, gzip.compress(as_idx(array)) + more)


@settings(max_examples=150)
@given(
    content=st.builds(
        bytes.__add__, st.sampled_from([b"", b"\0\0\x08", b"\x1f\x8b"]), st.binary(max_size=60)
    )
)
def test_junk_is_an_array_of_the_same_bytes_or_a_value_error(path, content):
    path.write_bytes(content)
    found = None
    with suppress(ValueError):
        found = load_idx(path)
    assert found is None or as_idx(found) == content


@settings(max_examples=100)
@given(data=st.data())
def test_a_changed_byte_in_a_compressed_file_is_noticed_or_means_nothing(path, data):
    """Behind gzip's own header only the bits that fill up the last byte mean nothing."""
    array = np.arange(50, dtype=np.int16)
    content = bytearray(gzip.compress(as_idx(array), mtime=0))
    place = data.draw(st.integers(10, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    found = array
    with suppress(ValueError):
        found = load_idx(path)
    assert np.array_equal(found, array)


@pytest.mark.parametrize(
    ("content", "patterns"),
    [
        (b"", ["truncated header: expected 4 bytes for the magic number, found 0"]),
        (b"\0\0\x08", ["4 bytes for the magic number, found 3"]),
        (b"\0\0\x08\x02\0\0\0\x01", ["expected 8 bytes for the 2 sizes, found 4"]),
        (b"\x89PNG\r\n\x1a\n", ["not an IDX file", "89 50 4e 47"]),
        (b"\0\x01\x08\x01\0\0\0\0", ["not an IDX file"]),
        (idx_header(0x0A, 1) + b"a", ["unknown element type 0x0A", "0x08, 0x09, 0x0B"]),
        (b"\0\0\x08\0", ["no dimensions"]),
        (idx_header(0x08, 2, 3) + b"abcde", ["truncated", "shape (2, 3) of uint8", "5"]),
        (idx_header(0x0D, 2) + b"abcdefghi", ["trailing bytes", "shape (2,) of float32, 8 bytes"]),
        (gzip.compress(b""), ["truncated header"]),
        (gzip.compress(idx_header(0x08, 9) + b"abc"), ["announces shape (9,)", "but 3 follow"]),
        (gzip.compress(idx_header(0x08, 1) + b"a")[:-1], ["damaged gzip file"]),
        (gzip.compress(idx_header(0x08, 1) + b"a")[:2], ["damaged gzip file"]),
        (gzip.compress(idx_header(0x08, 1) + b"a") + b"x", ["damaged gzip file"]),
        (gzip.compress(gzip.compress(idx_header(0x08, 0))), ["not an IDX file", "1f 8b"]),
        (idx_header(0x08, *[1] * 70) + b"a", ["NumPy has no arrays of"]),
        (idx_header(0x0E, 0, *[2**32 - 1] * 3), ["NumPy has no arrays of"]),
    ],
)
def test_messages_say_what_was_found(path, content, patterns):
    assert_refused(path, content, *patterns)


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_absurd_sizes_take_no_memory(path, compress):
    for code, sizes in ((0x08, [2**28]), (0x0E, [2**32 - 1] * 5)):
        content = compress(idx_header(code, *sizes) + bytes(1000))
        path.write_bytes(content)
        tracemalloc.start()
        with pytest.raises(ValueError, match=r"truncated: .* at most"):
            load_idx(path)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 2**20


@pytest.mark.parametrize("announced", [0, 10, 3_000_000])
def test_a_bomb_is_not_inflated_further_than_announced(path, announced, monkeypatch):
    content = gzip.compress(idx_header(0x08, announced) + bytes(2**25))
    inflated = []

    class Counting:
        def __init__(self, wbits):
            self.real = real(wbits=wbits)

        def __getattr__(self, name):
            return getattr(self.real, name)

        def decompress(self, data, most):
            inflated.append(len(found := self.real.decompress(data, most)))
            return found

    real = zlib.decompressobj
    monkeypatch.setattr(zlib, "decompressobj", Counting)
    assert_refused(path, content, "trailing bytes")
    assert sum(inflated) == 8 + announced + 1


@pytest.mark.parametrize("cut", [0, 2, 9, 30])
def test_a_compressed_file_may_have_several_members(path, cut):
    content = as_idx(array := np.arange(30, dtype=np.int32))
    members = [content[:cut], b"", content[cut : cut + 20], content[cut + 20 :], b""]
    path.write_bytes(b"".join(map(gzip.compress, members)))
    assert np.array_equal(load_idx(path), array)


def test_large_files_are_read_in_pieces(path):
    array = np.random.default_rng(0).integers(-(2**31), 2**31, 700_001, dtype=np.int32)
    content = idx_header(0x0C, len(array)) + array.astype(">i4").tobytes()
    for packed in (content, gzip.compress(content, 1)):
        path.write_bytes(packed)
        assert np.array_equal(load_idx(path), array)


def test_paths_may_be_strings_and_must_exist(path):
    path.write_bytes(idx_header(0x08, 0))
    assert load_idx(str(path)).shape == (0,)
    with pytest.raises(FileNotFoundError):
        load_idx(path.with_name("nowhere"))


IMAGES = np.random.default_rng(0).integers(0, 256, (5, 4, 3), dtype=np.uint8)
LABELS = np.array([3, 1, 4, 1, 5], dtype=np.uint8)


def write(folder, name, array):
    content = as_idx(array)
    (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("separator", ["-", "."])
def test_mnist_by_all_its_names(tmp_path, separator, ending):
    for n, prefix in ((5, "train"), (2, "t10k")):
        write(tmp_path, f"{prefix}-images{separator}idx3-ubyte{ending}", IMAGES[:n])
        write(tmp_path, f"{prefix}-labels{separator}idx1-ubyte{ending}", LABELS[:n])
    for n, arguments in ((5, {}), (5, {"subset": "train"}), (2, {"subset": "test"})):
        X, y = load_mnist(str(tmp_path), **arguments)
        assert np.array_equal(X, IMAGES[:n])
        assert np.array_equal(y, LABELS[:n])
        assert X.dtype == y.dtype == np.uint8


def test_missing_files_are_named(tmp_path):
    write(tmp_path, "train-images-idx3-ubyte", IMAGES)
    with pytest.raises(FileNotFoundError) as caught:
        load_mnist(tmp_path)
    for part in (str(tmp_path), "train-labels-idx1-ubyte,", "train-labels.idx1-ubyte.gz"):
        assert part in str(caught.value)
    with pytest.raises(FileNotFoundError, match="t10k-images-idx3-ubyte"):
        load_mnist(tmp_path, subset="test")


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES, LABELS[:4], "holds 5 images, but .*labels-idx1-ubyte holds 4 labels"),
        (IMAGES[0], LABELS, r"images.*\(images, rows, columns\), found uint8 of shape \(4, 3\)"),
        (IMAGES, LABELS[None], r"labels.*\(labels,\), found uint8 of shape \(1, 5\)"),
        (IMAGES.astype(np.int32), LABELS, "images.* must hold uint8 .* found int32"),
        (IMAGES, LABELS.astype(np.int8), "labels.* must hold uint8 .* found int8"),
    ],
)
def test_files_that_do_not_belong_together(tmp_path, images, labels, message):
    write(tmp_path, "train-images-idx3-ubyte", images)
    write(tmp_path, "train-labels-idx1-ubyte", labels)
    with pytest.raises(ValueError, match=message):
        load_mnist(tmp_path)


@pytest.mark.parametrize("subset", ["t10k", None, 1])
def test_an_unknown_subset(tmp_path, subset):
    with pytest.raises(ValueError, match=r"subset must be one of \['train', 'test'\]"):
        load_mnist(tmp_path, subset=subset)

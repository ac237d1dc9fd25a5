"""Files that are damaged anyhow are refused by name, in no more memory than they can fill."""

import gzip

import numpy as np
import pytest

from tests.robustness.untrusted.readers import as_idx, examine_file, examine_folder, valid_files

FILES = list(valid_files())


def mutated(content, rng):
    """One to four changes: of bits, bytes, sizes, lengths."""
    content = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        at = int(rng.integers(0, len(content) + 1))
        some = rng.bytes(int(rng.integers(1, 9)))
        kind = rng.integers(0, 7)
        if kind == 0 and at < len(content):
            content[at] ^= 1 << int(rng.integers(0, 8))
        elif kind == 1:
            content[at : at + len(some)] = some
        elif kind == 2:
            content[at:at] = some
        elif kind == 3:
            del content[at:]
        elif kind == 4:
            del content[at : at + len(some)]
        elif kind == 5 and len(content) > 8:  # a number of dimensions, or a size
            at = int(rng.choice([3, 4, 5, 6, 7]))
            content[at] = int(rng.choice([0, 1, 2, 64, 65, 127, 128, 255]))
        elif kind == 6:
            content += content[at:]
    return bytes(content)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_mutations_of_valid_files(tmp_path, seed):
    rng = np.random.default_rng(seed)
    accepted = 0
    for i in range(1000):
        content = FILES[rng.integers(0, len(FILES))]
        if content.startswith(b"\x1f\x8b") and i % 2:  # damage what is inside
            content = gzip.compress(mutated(gzip.decompress(content), rng), 1)
        else:
            content = mutated(content, rng)
        accepted += examine_file(tmp_path / "file", content)
    assert 0 < accepted < 500  # most damage is seen; an element's value is not


@pytest.mark.slow
def test_mutations_of_two_files_that_belong_together(tmp_path):
    rng = np.random.default_rng(0)
    images, labels = as_idx(np.zeros((2, 3, 4), "u1")), as_idx(np.zeros(2, "u1"))
    assert examine_folder(tmp_path, images, labels)
    accepted = sum(
        examine_folder(tmp_path, mutated(images, rng), labels if i % 2 else mutated(labels, rng))
        for i in range(1000)
    )
    assert 0 < accepted < 500


@pytest.mark.parametrize("content", FILES[:4] + FILES[-2:])
def test_valid_files_are_accepted(tmp_path, content):
    assert examine_file(tmp_path / "file", content)

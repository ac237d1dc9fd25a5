"""Pillow's warnings about a file name the file, and leave the process as it was."""

import struct
import threading
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from skcnn.datasets import load_image_folder, load_images
from skcnn.datasets.image_file import ImageForm

SHAPE = (5, 7)


@pytest.fixture
def files(tmp_path):
    """Three images, two of them animations without frames."""
    folder = tmp_path / "cat"
    folder.mkdir()
    paths = [folder / name for name in ("a.png", "b.png", "c.png")]
    for path in paths:
        Image.new("RGB", (7, 5)).save(path)
    for path in paths[:2]:
        content, chunk = path.read_bytes(), b"acTL" + bytes(8)
        chunk = struct.pack(">I", 8) + chunk + struct.pack(">I", zlib.crc32(chunk))
        path.write_bytes(content[:33] + chunk + content[33:])  # behind the signature and IHDR
    return paths


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("action", ["default", "always", "once"])
def test_all_files_are_named(files, n_jobs, action):
    for load in (
        lambda: load_images(files, SHAPE, n_jobs=n_jobs),
        lambda: load_image_folder(files[0].parents[1], SHAPE, n_jobs=n_jobs),
    ):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter(action)
            load()
        (warning,) = caught
        text = str(warning.message)
        assert text.startswith(f"{files[0]}, {files[1]}: ")
        assert warning.filename == PngImagePlugin.__file__


def test_filters_hold(files):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", module=r"PIL\.PngImagePlugin")
        load_images(files, SHAPE)
    assert caught == []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match=r"a\.png"):
            load_images(files, SHAPE)


def state():
    return warnings.showwarning, list(warnings.filters)


def test_nothing_stays_behind(files, tmp_path, monkeypatch):
    before = state()
    with pytest.warns(UserWarning, match=r"a\.png"):
        load_images(files, SHAPE)
    assert state() == before
    files[2].write_bytes(b"broken")
    with pytest.raises(ValueError, match=r"c\.png"):
        load_images(files, SHAPE)
    assert state() == before
    with pytest.raises(ValueError, match=r"c\.png"):
        load_image_folder(tmp_path, SHAPE, memmap=tmp_path / "X.npy")
    assert state() == before

    def write(*args):
        next(iter(args[1]))
        raise OSError("no space left")

    monkeypatch.setattr("skcnn.datasets.image_folder.write_npy", write)
    with pytest.raises(OSError, match="no space left"):
        load_image_folder(tmp_path, SHAPE, memmap=tmp_path / "X.npy")
    assert state() == before


def test_calls_that_overlap(files, monkeypatch):
    """The second call begins within the first, and ends after it."""
    before, read = state(), ImageForm.read
    inside, ended = threading.Event(), threading.Event()
    found = {}

    def waiting(frame, path):
        if path == files[0] and threading.current_thread() is not threading.main_thread():
            inside.set()
            assert ended.wait(60)
        return read(frame, path)

    def load():
        found["images"] = load_images(files, SHAPE)

    monkeypatch.setattr(ImageForm, "read", waiting)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        other = threading.Thread(target=load)
        other.start()
        try:
            assert inside.wait(60)
            load_images(files, SHAPE)
            warnings.warn("of another kind", stacklevel=1)
        finally:
            ended.set()
            other.join()
    texts = [str(warning.message) for warning in caught]
    assert sum(text.startswith(f"{files[0]}, {files[1]}: ") for text in texts) == 2
    assert texts.count("of another kind") == 1
    assert len(texts) == 3
    assert np.array_equal(found["images"], np.zeros((3, 5, 7, 3)))
    assert state() == before

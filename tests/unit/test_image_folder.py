"""Folders of images: what is found, what is left out, and what is left behind."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import Bunch

from skcnn import ScratchCNNClassifier
from skcnn.datasets import load_image_folder, load_images

SHAPE = (5, 7)


def save(value, path):
    """An image of one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (7, 5), (value, value, value)).save(path, "PNG")


@pytest.fixture
def folder(tmp_path):
    """Two classes, one of them with folders inside, and what is not to be found."""
    folder = tmp_path / "photographs"
    save(1, folder / "cat" / "b.png")
    save(2, folder / "cat" / "a.png")
    save(3, folder / "cat" / "holidays" / "x.png")
    save(4, folder / "Dog" / "c")  # what it is, is in the file, not in its name
    save(0, folder / "cat" / ".hidden.png")
    save(0, folder / "cat" / ".thumbnails" / "a.png")
    save(0, folder / ".trash" / "a.png")
    save(0, folder / "cover.png")
    (folder / "readme.txt").write_text("Photographs")
    return folder


def test_every_folder_is_a_class(folder):
    bunch = load_image_folder(folder, SHAPE)
    assert isinstance(bunch, Bunch)
    assert bunch.target_names.tolist() == ["Dog", "cat"]
    assert bunch.target.tolist() == [0, 1, 1, 1]
    assert bunch.target.dtype == np.int64
    names = ["Dog/c", "cat/a.png", "cat/b.png", "cat/holidays/x.png"]
    assert bunch.filenames.tolist() == [os.path.join(folder, *name.split("/")) for name in names]
    assert bunch.images.shape == (4, 5, 7, 3)
    assert bunch.images.dtype == np.uint8
    assert bunch.images[:, 0, 0, 0].tolist() == [4, 2, 1, 3]
    assert bunch.skipped.tolist() == []
    assert "4 images of 2 classes" in bunch.DESCR
    assert "Dog (1), cat (3)" in bunch.DESCR
    assert load_image_folder(str(folder), SHAPE, "grey").images.shape == (4, 5, 7)


def test_folders_and_files_may_be_links(folder, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    save(9, elsewhere / "a.png")
    try:
        (folder / "linked").symlink_to(elsewhere, target_is_directory=True)
        (folder / "cat" / "linked").symlink_to(elsewhere, target_is_directory=True)
        (folder / "Dog" / "linked.png").symlink_to(elsewhere / "a.png")
    except OSError:
        pytest.skip("no links here")
    bunch = load_image_folder(folder, SHAPE)
    assert bunch.images[:, 0, 0, 0].tolist() == [4, 9, 2, 1, 3, 9, 9]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_broken_file_is_an_error_that_says_how_to_leave_it_out(folder, n_jobs):
    (folder / "cat" / "b.png").write_bytes(b"broken")
    with pytest.raises(ValueError, match=r'b\.png.*errors="skip"'):
        load_image_folder(folder, SHAPE, n_jobs=n_jobs)


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("mapped", [False, True])
def test_broken_files_are_left_out_on_request_and_named(folder, tmp_path, n_jobs, mapped):
    (folder / "cat" / "b.png").write_bytes(b"broken")
    (folder / "cat" / "notes.txt").write_text("no image")
    kw = {"errors": "skip", "n_jobs": n_jobs, "memmap": tmp_path / "X.npy" if mapped else None}
    with pytest.warns(UserWarning, match=r"2 of 5 files were left out") as caught:
        bunch = load_image_folder(folder, SHAPE, **kw)
    assert "b.png" in str(caught[0].message)
    assert "notes.txt" in str(caught[0].message)
    assert caught[0].filename == __file__
    assert bunch.target.tolist() == [0, 1, 1]
    assert bunch.images[:, 0, 0, 0].tolist() == [4, 2, 3]
    assert [os.path.basename(name) for name in bunch.filenames] == ["c", "a.png", "x.png"]
    assert [os.path.basename(name) for name in bunch.skipped] == ["b.png", "notes.txt"]
    assert "Dog (1), cat (2)" in bunch.DESCR
    for k in range(10):
        (folder / "cat" / f"{k}.txt").write_text("no image")
    with pytest.warns(UserWarning, match="and 7 more"):
        load_image_folder(folder, SHAPE, errors="skip")


def test_a_class_without_images_is_named(folder):
    (folder / "Dog" / "c").write_bytes(b"broken")
    with pytest.raises(ValueError, match=r"Dog: none of its files can be read"):
        load_image_folder(folder, SHAPE, errors="skip")
    (folder / "bird").mkdir()
    with pytest.raises(ValueError, match=r"bird holds no files"):
        load_image_folder(folder, SHAPE)
    with pytest.raises(ValueError, match=r"holidays holds no folders.*load_images"):
        load_image_folder(folder / "cat" / "holidays", SHAPE)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_image_folder(folder / "nowhere", SHAPE)
    with pytest.raises(NotADirectoryError, match=r"readme\.txt"):
        load_image_folder(folder / "readme.txt", SHAPE)


# larger than memory


def test_a_memory_map_holds_the_same(folder, tmp_path):
    path = tmp_path / "images.npy"
    path.write_text("older")
    bunch = load_image_folder(folder, SHAPE, memmap=path)
    expected = load_image_folder(folder, SHAPE).images
    assert isinstance(bunch.images, np.memmap)
    assert np.array_equal(bunch.images, expected)
    assert np.array_equal(np.load(path), expected)
    assert path.stat().st_size == 128 + expected.nbytes
    assert sorted(os.listdir(tmp_path)) == ["images.npy", "photographs"]


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt])
def test_a_failure_leaves_the_older_file_and_nothing_else(folder, tmp_path, monkeypatch, error):
    from skcnn.datasets.image_file import ImageForm

    read = ImageForm.read

    def failing(frame, path):
        assert len(os.listdir(tmp_path)) == 3  # the part that is being written
        if path.name == "b.png":
            raise error("enough")
        return read(frame, path)

    path = tmp_path / "images.npy"
    path.write_text("older")
    monkeypatch.setattr(ImageForm, "read", failing)
    with pytest.raises(error, match="enough"):
        load_image_folder(folder, SHAPE, memmap=path)
    assert path.read_text() == "older"
    assert sorted(os.listdir(tmp_path)) == ["images.npy", "photographs"]


@pytest.mark.skipif(sys.platform == "win32", reason="has other reasons")
def test_where_a_memory_map_cannot_be_is_told_before_anything_is_read(folder, tmp_path):
    (folder / "cat" / "b.png").write_bytes(b"broken")
    with pytest.raises(IsADirectoryError, match="memmap must be a file"):
        load_image_folder(folder, SHAPE, memmap=tmp_path)
    with pytest.raises(FileNotFoundError, match=r"memmap=.*nowhere"):
        load_image_folder(folder, SHAPE, memmap=tmp_path / "nowhere" / "X.npy")
    with pytest.raises(ValueError, match="memmap must be None or a path, got 3"):
        load_image_folder(folder, SHAPE, memmap=3)
    (tmp_path / "pipe").symlink_to(os.devnull)
    for name, why in (("pipe", "not a regular file"), ("a" * 256, "File name too long")):
        with pytest.raises(OSError, match=rf"memmap=.*cannot be written: .*{why}"):
            load_image_folder(folder, SHAPE, memmap=tmp_path / name)


def test_a_memory_map_is_written_where_a_symbolic_link_leads(folder, tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "images.npy").symlink_to(tmp_path / "disk" / "X.npy")
    images = load_image_folder(folder, SHAPE, memmap=tmp_path / "images.npy").images
    assert np.array_equal(np.load(tmp_path / "disk" / "X.npy"), images)
    assert (tmp_path / "images.npy").is_symlink()


# parameters

BAD = {
    "shape": [None, 0, -1, (5,), (5, 7, 3), (5, 0), 2.5, "5", (5, 7.5), True],
    "color": ["RGB", "gray", None, 3, ["rgb"]],
    "resize": ["stretch", None, 1],
    "background": [-1, 256, 2.5, None, "white", (1, 2), (1, 2, 300), (1, 2, "3"), True],
    "verbose": [-1, None, "high"],
    "n_jobs": [0, "all"],
    "errors": ["ignore", None, True],
}


@pytest.mark.parametrize("name", BAD)
def test_bad_parameters_are_named(folder, name):
    for value in BAD[name]:
        kw = {"shape": SHAPE, name: value}
        with pytest.raises(ValueError, match=name):
            load_image_folder(folder, **kw)
        if name != "errors":
            with pytest.raises(ValueError, match=name):
                load_images([], **kw)


def test_three_numbers_are_no_background_of_grey_images():
    with pytest.raises(ValueError, match=r"background must be an int from 0 to 255 with color"):
        load_images([], SHAPE, "grey", background=(1, 2, 3))


def test_files_are_paths(folder):
    for files in (None, 3, [folder / "cover.png", 3], [b"cover.png"], np.zeros((2, 5, 7))):
        with pytest.raises(ValueError, match="files must be"):
            load_images(files, SHAPE)
    path = folder / "cat" / "b.png"
    frame = pd.DataFrame({"file": [str(path)], "label": ["cat"]})
    for table in (frame, frame[["file"]], pl.DataFrame(frame), np.array([[str(path)]])):
        with pytest.raises(ValueError, match=r'files must be .* shape \(1, .*frame\["file"\]'):
            load_images(table, SHAPE)
    with pytest.raises(ValueError, match=r"files must be a path or several, got \{'file'"):
        load_images({"file": [path]}, SHAPE)
    with pytest.raises(ValueError, match=r"files\[1\] must be a path, got 'a\\x00b'"):
        load_images([path, "a\0b"], SHAPE)
    ways = [path, str(path), [path], (str(path),), np.array([str(path)]), iter([path])]
    ways += [frame["file"], pl.Series([str(path)])]
    for files in ways:
        assert load_images(files, SHAPE)[0, 0, 0, 0] == 1
    assert load_images([], SHAPE).shape == (0, 5, 7, 3)


def test_progress_is_told(folder, capfd):
    load_image_folder(folder, SHAPE)
    assert capfd.readouterr() == ("", "")
    load_image_folder(folder, SHAPE, verbose=11)
    assert "Done" in "".join(capfd.readouterr())


# without Pillow


def test_pillow_is_asked_for_by_name_and_not_before_it_is_needed(tmp_path):
    script = """
import sys
import skcnn
assert not any(name.startswith("skcnn.datasets") for name in sys.modules)
from skcnn.datasets import load_idx, load_images, load_image_folder
assert "PIL" not in sys.modules
sys.modules["PIL"] = None  # as if it were not installed
for load in (load_images, load_image_folder):
    try:
        load(".", (5, 7))
    except ImportError as error:
        assert 'pip install "skcnn[images]"' in str(error), error
    else:
        raise AssertionError(load)
"""
    subprocess.run([sys.executable, "-c", script], check=True)


# with the estimators


def test_from_files_to_predictions(tmp_path):
    rng = np.random.default_rng(0)
    for k in range(24):  # bars that lie and bars that stand
        image = np.full((12, 12, 3), 40, np.uint8)
        place = rng.integers(2, 9)
        if k % 2:
            image[place : place + 2] = 220
        else:
            image[:, place : place + 2] = 220
        folder = tmp_path / ("lying" if k % 2 else "standing")
        folder.mkdir(exist_ok=True)
        Image.fromarray(image).save(folder / f"{k:02}.png")
    bunch = load_image_folder(tmp_path, (12, 12))
    clf = ScratchCNNClassifier(filters=(8,), max_iter=30, random_state=0)
    clf.fit(bunch.images, bunch.target)
    assert clf.image_shape_ == (3, 12, 12)
    new = load_images(bunch.filenames[[0, -1]], (12, 12))
    assert bunch.target_names[clf.predict(new)].tolist() == ["lying", "standing"]

    reader = FunctionTransformer(load_images, kw_args={"shape": (12, 12)})
    model = make_pipeline(reader, clone(clf))
    model.fit(bunch.filenames, bunch.target)
    copied = pickle.loads(pickle.dumps(model))
    assert np.array_equal(copied.predict_proba(bunch.filenames), clf.predict_proba(bunch.images))


def test_older_pickles_find_the_reader():
    """By the path of its file, which is therefore part of the format."""
    assert pickle.loads(b"cskcnn.datasets.image_folder\nload_images\n.") is load_images

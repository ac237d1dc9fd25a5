"""Folders of classes: links, names, and what cannot be opened."""

import errno
import os
import unicodedata
import warnings

import numpy as np
import pytest
from PIL import Image

from skcnn.datasets import load_image_folder
from skcnn.datasets.image_file import ImageForm

SHAPE = (5, 7)


def save(value, path):
    """An image of one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (7, 5), value).save(path, "PNG")


def link(path, to):
    try:
        path.symlink_to(to, target_is_directory=to.is_dir())
    except OSError:
        pytest.skip("no links here")


def load(folder, **kw):
    return load_image_folder(folder, SHAPE, "grey", **kw)


def values(bunch):
    return bunch.images[:, 0, 0].tolist()


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "pictures"
    save(1, folder / "cat" / "a.png")
    save(2, folder / "cat" / "inner" / "b.png")
    save(3, folder / "dog" / "c.png")
    return folder


# links

LOOPS = {
    "to the class": [("cat/loop", "cat")],
    "two to the class": [("cat/loop", "cat"), ("cat/other", "cat")],
    "two that cross": [("cat/inner/up", "cat"), ("cat/down", "cat/inner")],
    "to the root": [("cat/loop", "."), ("dog/loop", ".")],
    "above the root": [("cat/loop", "..")],
}


@pytest.mark.parametrize("errors", ["raise", "skip"])
@pytest.mark.parametrize("kind", LOOPS)
def test_links_that_form_loops_are_followed_once(folder, kind, errors):
    for path, to in LOOPS[kind]:
        link(folder / path, (folder / to).resolve())
    bunch = load(folder, errors=errors)
    assert values(bunch) == [1, 2, 3]
    assert bunch.target.tolist() == [0, 0, 1]
    assert bunch.skipped.tolist() == []


def test_a_folder_that_two_links_lead_to_is_read_once_in_each_class(folder, tmp_path):
    pool = tmp_path / "pool"
    save(9, pool / "x.png")
    for name in ("cat/one", "cat/two", "dog/one", "pool"):
        link(folder / name, pool)
    bunch = load(folder)
    assert bunch.target_names.tolist() == ["cat", "dog", "pool"]
    assert values(bunch) == [1, 2, 9, 3, 9, 9]
    link(folder / "dog" / "d.png", pool / "x.png")
    link(folder / "dog" / "e.png", pool / "x.png")
    assert values(load(folder)) == [1, 2, 9, 3, 9, 9, 9, 9]  # a file counts by its names


def test_a_class_cannot_be_a_folder_that_holds_the_root(folder):
    link(folder / "all", folder)
    with pytest.raises(ValueError, match=r"all is a link to a folder that it lies in"):
        load(folder)
    with pytest.warns(UserWarning, match=r"1 folder was left out: .*all is a link") as caught:
        bunch = load(folder, errors="skip")
    assert caught[0].filename == __file__
    assert bunch.target_names.tolist() == ["cat", "dog"]
    assert bunch.skipped.tolist() == [str(folder / "all")]


# what cannot be opened


def test_links_that_lead_nowhere(folder):
    link(folder / "cat" / "gone.png", folder / "nowhere.png")
    link(folder / "dog" / "itself.png", folder / "dog" / "itself.png")
    with pytest.raises(OSError, match=r"gone\.png"):
        load(folder)
    with pytest.warns(UserWarning, match=r"2 of 5 files were left out: .*gone.*itself"):
        bunch = load(folder, errors="skip")
    assert values(bunch) == [1, 2, 3]
    assert [os.path.basename(name) for name in bunch.skipped] == ["gone.png", "itself.png"]


def test_a_class_whose_folder_is_gone_does_not_vanish_silently(folder):
    link(folder / "bird", folder / "nowhere")
    with pytest.raises(FileNotFoundError, match="bird"):
        load(folder)
    with pytest.warns(UserWarning, match=r"1 folder was left out: .*bird: No such file"):
        bunch = load(folder, errors="skip")
    assert bunch.target_names.tolist() == ["cat", "dog"]


@pytest.mark.parametrize("place", ["cat", "dog"])
def test_folders_that_may_not_be_listed(folder, monkeypatch, place):
    (folder / place / "secret").mkdir()
    scandir = os.scandir

    def denied(path):
        if os.path.basename(path) == "secret":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(PermissionError, match="secret"):
        load(folder)
    with pytest.warns(UserWarning, match=r"1 folder was left out: .*secret: Permission denied"):
        assert values(load(folder, errors="skip")) == [1, 2, 3]


ERRORS = {
    "denied": (PermissionError(errno.EACCES, "Permission denied"), True),
    "disk": (OSError(errno.EIO, "Input/output error"), True),
    "too many files": (OSError(errno.EMFILE, "Too many open files"), False),
    "memory": (MemoryError(), False),
    "a handler's": (TimeoutError("time is up"), False),
}


@pytest.mark.parametrize("kind", ERRORS)
def test_errors_that_are_not_about_the_file_are_not_skipped(folder, monkeypatch, kind):
    error, skipped = ERRORS[kind]
    read = ImageForm.read

    def failing(frame, path):
        if path.name == "a.png":
            raise error
        return read(frame, path)

    monkeypatch.setattr(ImageForm, "read", failing)
    with pytest.raises(type(error)):
        load(folder)
    if not skipped:
        with pytest.raises(type(error)):
            load(folder, errors="skip")
        return
    with pytest.warns(UserWarning, match=rf"1 of 3 files .*a\.png: {error.strerror}"):
        assert values(load(folder, errors="skip")) == [2, 3]


def test_empty_classes_are_left_out_on_request(folder, tmp_path):
    save(0, folder / "__MACOSX" / "cat" / "._a.png")
    (folder / "empty").mkdir()
    (folder / "dog" / "broken.png").write_bytes(b"broken")
    with pytest.raises(ValueError, match=r'__MACOSX holds no files.*errors="skip"'):
        load(folder)
    with pytest.warns(UserWarning, match=r"1 of 4 files and 2 folders were left out") as caught:
        bunch = load(folder, errors="skip", memmap=tmp_path / "X.npy")
    for name in ("__MACOSX", "empty", "broken.png"):
        assert name in str(caught[0].message)
    assert bunch.target_names.tolist() == ["cat", "dog"]
    assert bunch.target.tolist() == [0, 0, 1]
    names = ["broken.png", "__MACOSX", "empty"]
    assert [os.path.basename(name) for name in bunch.skipped] == names
    assert "1 files and 2 folders were left out" in bunch.DESCR


def test_a_root_of_empty_classes_is_an_error_that_names_them(tmp_path):
    (tmp_path / "cat").mkdir()
    with pytest.raises(ValueError, match=r"holds no folders that can be used .*cat holds no"):
        load(tmp_path, errors="skip")


def test_a_warning_that_is_an_error_leaves_the_older_file(folder, tmp_path):
    (folder / "dog" / "broken.png").write_bytes(b"broken")
    path = tmp_path / "X.npy"
    path.write_text("older")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="left out"):
            load(folder, errors="skip", memmap=path)
    assert path.read_text() == "older"
    assert sorted(os.listdir(tmp_path)) == ["X.npy", "pictures"]


# names and numbers of classes


def test_two_folders_get_the_same_numbers(folder, tmp_path):
    test = tmp_path / "new"
    save(3, test / "dog" / "c.png")
    assert load(test).target.tolist() == [0]
    names = load(folder).target_names
    for given in (names, list(names), tuple(names), iter(names)):
        bunch = load(test, target_names=given)
        assert bunch.target.tolist() == [1]
        assert bunch.target_names.tolist() == ["cat", "dog"]
        assert "cat (0), dog (1)" in bunch.DESCR
    backwards = load(folder, target_names=["dog", "bird", "cat"])
    assert backwards.target.tolist() == [0, 2, 2]
    assert values(backwards) == [3, 1, 2]
    with pytest.raises(ValueError, match=r"target_names must have all classes.*folders dog"):
        load(folder, target_names=["cat", "bird"])
    with pytest.raises(ValueError, match=r"target_names must have all classes.*folders dog"):
        load(folder, target_names=["cat"], errors="skip")
    (folder / "__MACOSX").mkdir()
    with pytest.warns(UserWarning, match="__MACOSX"):
        assert load(folder, target_names=names, errors="skip").target.tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    "names", ["cat", b"cat", 3, [], ["cat", "cat"], ["cat", 3], ["cat", None], [""], [["cat"]]]
)
def test_bad_target_names_are_named(folder, names):
    with pytest.raises(ValueError, match="target_names must be None or distinct names"):
        load(folder, target_names=names)


def test_names_that_look_alike_are_one_class(folder):
    composed, apart = (unicodedata.normalize(form, "Bär") for form in ("NFC", "NFD"))
    save(4, folder / apart / "d.png")
    bunch = load(folder)
    assert bunch.target_names.tolist() == [composed, "cat", "dog"]
    save(5, folder / composed / "e.png")
    if len(os.listdir(folder)) == 3:
        pytest.skip("the file system takes both names for one")
    bunch = load(folder)
    assert bunch.target_names.tolist() == [composed, "cat", "dog"]
    assert sorted(values(bunch)[:2]) == [4, 5]
    assert bunch.target.tolist() == [0, 0, 1, 1, 2]
    bunch = load(folder, target_names=["dog", "cat", apart])
    assert bunch.target_names.tolist() == ["dog", "cat", composed]
    assert bunch.target.tolist() == [0, 1, 1, 2, 2]
    with pytest.raises(ValueError, match="twice"):
        load(folder, target_names=["dog", "cat", apart, composed])


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("train", "test"), "test, train"),
        (("Training", "validation"), "Training, validation"),
        (("train", "test", "val", "notes"), "test, train, val"),
        (("train", "bus"), None),
        (("test", "control"), None),
    ],
)
def test_parts_of_a_data_set_are_no_classes(tmp_path, names, told):
    for name in names:
        save(1, tmp_path / name / "cat" / "a.png")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        bunch = load(tmp_path)
    assert len(bunch.target_names) == len(names)
    assert len(caught) == (told is not None)
    for warning in caught:
        assert f"holds the folders {told}, which are taken as classes" in str(warning.message)
        assert warning.filename == __file__
    assert load(tmp_path, target_names=names).target.tolist() == list(range(len(names)))


# the path


@pytest.mark.parametrize("path", [None, 3, ["pictures"], b"pictures", np.zeros(3)])
def test_a_path_that_is_none_is_named(path):
    with pytest.raises(TypeError, match="load_image_folder: path must be a path, got"):
        load(path)
    with pytest.raises(ValueError, match="load_image_folder: path must be a path, got"):
        load("a\0b")

"""Discovery of classes and files in a folder with one subfolder per class."""

import errno
import os
import stat
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from skcnn._estimator.user_warnings import warn_user
from skcnn.datasets.file_warnings import joined

Identity: TypeAlias = tuple[int, int] | str
Fail: TypeAlias = Callable[[Path, Exception], None]

TRAINING = {"train", "training"}
HELD_OUT = {"test", "testing", "val", "valid", "validation"}
"""Names of folders that are usually parts of a data set, not classes."""

EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}
"""Errors of the operating system that are not about a particular file."""


@dataclass(frozen=True)
class ClassFolders:
    """Names of the classes, their files, the class of each file, and skipped paths with reasons."""

    names: list[str]
    paths: list[Path]
    target: np.ndarray
    left_out: dict[Path, str]


def find_classes(path: Path, names: list[str] | None, skip: bool, caller: str) -> ClassFolders:
    """Find the classes in `path` and their files.

    Parameters
    ----------
    path : path
    names : list of str or None
        The classes in order, in NFC; None is all folders in sorted order.
    skip : bool
        Whether to leave out paths that cannot be opened, and classes without files.
    caller : str
        Name of the function in errors.

    Raises
    ------
    ValueError
        If there are no classes, a class is not among `names`, or (unless `skip`)
        one has no files.
    OSError
        If `path` or (unless `skip`) a folder in it cannot be opened.

    Warns
    -----
    UserWarning
        If the folders look like parts of a data set rather than classes.
    """
    left_out: dict[Path, str] = {}

    def fail(place: Path, error: Exception) -> None:
        if not (skip and concerns_file(error)):
            raise error
        left_out[place] = described(place, error)

    real = Path(os.path.realpath(path))
    outside = {_identity(folder) for folder in (real, *real.parents)}
    folders = _group(path, outside, fail)
    if names is None and TRAINING & {name.casefold() for name in folders}:
        parts = sorted(name for name in folders if name.casefold() in TRAINING | HELD_OUT)
        if not TRAINING.issuperset(name.casefold() for name in parts):
            warn_user(
                f"{path} holds the folders {', '.join(parts)}, which are taken as classes. Load "
                "them one by one if they are parts of a data set, or pass target_names if they "
                "are classes."
            )

    files: dict[str, list[Path]] = {}
    for name in sorted(folders):
        visited = set(outside)
        found = [file for folder in folders[name] for file in _files(folder, visited, fail)]
        if found:
            files[name] = found
            continue
        for folder in folders[name]:
            if folder not in left_out:
                hint = "" if skip else ' With errors="skip", such folders are left out.'
                fail(
                    folder,
                    ValueError(
                        f"{folder} holds no files, but every folder in {path} is a class.{hint}"
                    ),
                )
    if not files:
        what = f"no folders that can be used ({' '.join(left_out.values())})"
        raise ValueError(
            f"{path} holds {what if left_out else 'no folders'}, but must hold one for each "
            "class. load_images loads files without classes."
        )
    if names is None:
        names = list(files)
    elif unknown := [name for name in files if name not in names]:
        raise ValueError(
            f"{caller}: target_names must have all classes, but {path} also has the folders "
            f"{joined(unknown)}."
        )
    places = {name: place for place, name in enumerate(names)}
    paths = [file for name in names for file in files.get(name, [])]
    target = [places[name] for name in names for _ in files.get(name, [])]
    return ClassFolders(names, paths, np.array(target), left_out)


def check_names(caller: str, value: Any) -> list[str] | None:
    """Return `target_names` as a list in NFC, or raise ``ValueError``."""
    if value is None:
        return None
    allowed = f"{caller}: target_names must be None or distinct names of folders"
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise ValueError(f"{allowed}, got {value!r}.")
    names = list(value)
    if not names:
        raise ValueError(f"{allowed}, got none.")
    for place, name in enumerate(names):
        if not isinstance(name, str) or not name or name.startswith("."):
            raise ValueError(f"{allowed}, got target_names[{place}] = {name!r}.")
    names = [_composed(name) for name in names]
    for place, name in enumerate(names):
        if name in names[:place]:
            raise ValueError(f"{allowed}, got {name!r} twice.")
    return names


def concerns_file(error: Exception) -> bool:
    """Whether an error is about one file or folder, and not about the process.

    A ``TimeoutError`` raised by a signal's handler is an ``OSError`` without a number.
    """
    if isinstance(error, OSError):
        return error.errno is not None and error.errno not in EXHAUSTED
    return isinstance(error, ValueError)


def described(path: Path, error: Exception) -> str:
    """Format an error with its path."""
    return f"{path}: {error.strerror}." if isinstance(error, OSError) else str(error)


def _group(path: Path, outside: set[Identity], fail: Fail) -> dict[str, list[Path]]:
    """Group visible folders in `path` by class; names in different Unicode forms are one."""
    folders: dict[str, list[Path]] = {}
    for name in _visible(os.listdir(path)):
        folder = path / name
        try:
            if not stat.S_ISDIR(folder.stat().st_mode):
                continue
            inside_itself = _identity(folder) in outside
        except OSError as error:  # a broken link may have been a class
            fail(folder, error)
            continue
        if inside_itself:
            fail(folder, ValueError(f"{folder} is a link to a folder that it lies in."))
        else:
            folders.setdefault(_composed(name), []).append(folder)
    return folders


def _files(folder: Path, visited: set[Identity], fail: Fail) -> list[Path]:
    """List visible files in a folder and its subfolders, reading each folder only once.

    The folders are added to `visited`, since several links may lead to one.
    """

    def onerror(error: OSError) -> None:
        fail(Path(error.filename), error)

    def is_new(inner: Path) -> bool:
        try:
            identity = _identity(inner)
        except OSError as error:
            fail(inner, error)
            return False
        new = identity not in visited
        visited.add(identity)
        return new

    found: list[Path] = []
    if not is_new(folder):
        return found
    for here, folders, names in os.walk(folder, onerror=onerror, followlinks=True):
        folders[:] = [name for name in _visible(folders) if is_new(Path(here, name))]
        found += [Path(here, name) for name in _visible(names)]
    return found


def _identity(path: Path) -> Identity:
    """Return device and inode, which identify a folder behind any link."""
    found = path.stat()
    return (found.st_dev, found.st_ino) if found.st_ino else os.path.realpath(path)


def _visible(names: Iterable[str]) -> list[str]:
    return sorted(name for name in names if not name.startswith("."))


def _composed(name: str) -> str:
    """Return the name in NFC; macOS, and archives created there, use NFD, which looks the same."""
    return unicodedata.normalize("NFC", name)

"""Atomic replacement of files: a name always refers to the old or the new content."""

import errno
import hashlib
import os
import re
import secrets
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

__all__ = ["check_replaceable", "remove_leftovers", "replace_file"]

ABANDONED = 3600.0
"""Seconds after which a temporary file is considered abandoned."""

PAUSES = (0.01, 0.03, 0.1, 0.3, 1.0)
"""Seconds between attempts to replace a file that another program has open."""

LONGEST_NAME = 200
"""Most bytes of a name that a temporary file repeats; most file systems allow 255."""


def replace_file(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Write a temporary file beside `path`, flush it to disk, and rename it to `path`.

    Symbolic links are followed.

    Parameters
    ----------
    path : Path
    write : callable
        Writes the content into a seekable binary file.

    Raises
    ------
    OSError
        If the file cannot be written, or `path` is not a regular file; nothing
        has changed then.
    """
    path = _resolved(path)
    beside = _beside(path)
    try:
        with open(beside, "xb") as file:  # the user's umask decides who may read it
            write(file)
            file.flush()
            os.fsync(file.fileno())
        _rename(beside, path)
    except BaseException:
        with suppress(OSError):  # on Windows, another program may have it open
            beside.unlink()
        raise
    _flush_folder(path.parent)


def check_replaceable(path: Path, name: str) -> None:
    """Raise ``OSError`` if `replace_file` would; an existing file stays as it is.

    Parameters
    ----------
    path : Path
    name : str
        Name of the parameter in the error.
    """
    try:
        beside = _beside(_resolved(path))
        try:
            open(beside, "xb").close()
        finally:
            with suppress(OSError):  # the folder may not be writable
                beside.unlink()
    except OSError as error:
        raise OSError(
            error.errno, f"{name}={str(path)!r} cannot be written: {error.strerror}."
        ) from None


def remove_leftovers(path: Path) -> None:
    """Remove temporary files of killed processes beside `path`, if at least an hour old."""
    path = _resolved(path)
    # a suffix such as ".1" marks an older checkpoint
    name = re.escape(f".{_short(path.name)}") + r"(\.\d+)?\.[0-9a-f]{16}\.new"
    for each in path.parent.iterdir():
        if re.fullmatch(name, each.name):
            with suppress(OSError):  # another process has removed it, or has it open
                if time.time() - each.stat().st_mtime > ABANDONED:
                    each.unlink()


def _resolved(path: Path) -> Path:
    """Return the path behind symbolic links, if it is a regular file or does not exist."""
    found = Path(os.path.realpath(path))
    try:
        mode = os.lstat(found).st_mode  # still a link if links form a loop
    except FileNotFoundError:
        return found
    if not stat.S_ISREG(mode):
        raise OSError(errno.EEXIST, "not a regular file", str(path))
    return found


def _beside(path: Path) -> Path:
    """Return a new hidden name in the same folder."""
    return path.with_name(f".{_short(path.name)}.{secrets.token_hex(8)}.new")


def _short(name: str) -> str:
    """Return the name, shortened to its beginning and a digest if it is too long."""
    encoded = os.fsencode(name)
    if len(encoded) <= LONGEST_NAME:
        return name
    return f"{name[:40]}-{hashlib.sha256(encoded).hexdigest()[:16]}"


def _rename(source: Path, target: Path) -> None:
    """Rename a file, replacing another one.

    Windows refuses while any program has either of them open, as virus scanners and
    backups do for a moment after each change.
    """
    for pause in PAUSES if os.name == "nt" else ():
        try:
            os.replace(source, target)
            return
        except PermissionError:
            time.sleep(pause)
    os.replace(source, target)


def _flush_folder(folder: Path) -> None:
    """Flush the new name to disk, on systems where folders can be flushed."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

"""Warnings about single files, collected from all threads and shown with the files' names.

Pillow's warnings do not name the file, and Python shows equal ones only once. So
they are collected while files are read, and shown at the end, each once, with the
names of all files that caused them.
"""

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skcnn._estimator.user_warnings import warn_user

NAMED = 5
"""Most file names in a warning."""


@dataclass(frozen=True)
class FileWarning:
    """A warning about the file being read; without a `source`, one of this package."""

    text: str
    category: type[Warning] = UserWarning
    source: str = ""
    line: int = 0


_file = threading.local()  # `warnings` are those about the file that this thread reads
_lock = threading.Lock()
_capture: list[warnings.catch_warnings] = []
_captures = 0


def warn_of_file(text: str) -> None:
    """Warn about the file that this thread reads."""
    _file.warnings.append(FileWarning(text))


def call_with_warnings(
    read: Callable[[Path], Any], path: Path
) -> tuple[Any, tuple[FileWarning, ...]]:
    """Read a file; return the result and the warnings about it."""
    _file.warnings = []
    try:
        return read(path), tuple(dict.fromkeys(_file.warnings))
    finally:
        del _file.warnings


@contextmanager
def capture_pillow_warnings() -> Iterator[None]:
    """Collect Pillow's warnings in threads that are inside `call_with_warnings`.

    The filters and the hook for warnings are global. Overlapping calls share one
    change of them; warnings of other threads pass through.
    """
    global _captures
    with _lock:
        if not _captures:
            _capture.append(_install())
        _captures += 1
    try:
        yield
    finally:
        with _lock:
            _captures -= 1
            if not _captures:
                _capture.pop().__exit__(None, None, None)


def _install() -> warnings.catch_warnings:
    saved = warnings.catch_warnings()
    saved.__enter__()
    show = warnings.showwarning

    def collect(message, category, filename, lineno, file=None, line=None):
        if (found := getattr(_file, "warnings", None)) is None:
            show(message, category, filename, lineno, file, line)
        else:
            found.append(FileWarning(str(message), category, filename, lineno))

    warnings.filterwarnings("always", category=UserWarning, module=r"PIL\.")
    warnings.showwarning = collect
    return saved


def show_file_warnings(found: dict[FileWarning, list[Path]]) -> None:
    """Show each warning once, with the names of its files.

    Pillow's keep their category and source location, which users' filters may match.
    """
    for warning, paths in found.items():
        text = f"{joined([str(path) for path in paths])}: {warning.text}"
        if not warning.source:
            warn_user(text, warning.category)
            continue
        module = f"PIL.{Path(warning.source).stem}"
        warnings.warn_explicit(text, warning.category, warning.source, warning.line, module)


def joined(names: list[str]) -> str:
    """Join at most `NAMED` names, followed by the number of the others."""
    shown = ", ".join(names[:NAMED])
    return shown + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")

"""Validation of path arguments."""

import os
from pathlib import Path
from typing import Any, TypeAlias

PathLike: TypeAlias = str | os.PathLike[str]


def check_path(caller: str, name: str, value: Any) -> Path:
    """Return `value` as a path, or raise ``TypeError`` or ``ValueError`` that names it."""
    try:
        path = Path(value)
    except TypeError:
        raise TypeError(f"{caller}: {name} must be a path, got {value!r}.") from None
    if "\0" in str(path):
        raise ValueError(f"{caller}: {name} must be a path, got {value!r}.")
    return path

"""Reading of files with several threads, in order, into one array."""

from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed

from skcnn.datasets.file_warnings import (
    FileWarning,
    call_with_warnings,
    capture_pillow_warnings,
    show_file_warnings,
)


def check_jobs(caller: str, n_jobs: Any) -> None:
    """Raise ``ValueError`` for an invalid `n_jobs`; joblib's oldest versions accept 0 and text."""
    whole = isinstance(n_jobs, (int, np.integer)) and not isinstance(n_jobs, bool)
    if n_jobs is not None and not (whole and n_jobs):
        raise ValueError(f"{caller}: n_jobs must be None or an int other than 0, got {n_jobs!r}.")


def read_files(
    paths: list[Path], read: Callable[[Path], Any], n_jobs: int | None, verbose: int
) -> Generator[Any, None, None]:
    """Yield what `read` returns for each path, in order, and show the warnings at the end.

    Only results of files being read are held at a time. Threads suffice, since
    Pillow decodes and resizes without the interpreter's lock.
    """
    parallel = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator", verbose=verbose)
    by_warning: dict[FileWarning, list[Path]] = {}
    with capture_pillow_warnings():
        results = parallel(delayed(call_with_warnings)(read, path) for path in paths)
        for path, (result, found) in zip(paths, results, strict=True):
            for warning in () if isinstance(result, Exception) else found:
                by_warning.setdefault(warning, []).append(path)
            yield result
    show_file_warnings(by_warning)


def stack_rows(rows: Iterable[np.ndarray], most: int, shape: tuple[int, ...]) -> np.ndarray:
    """Stack at most `most` rows of one shape without a second copy of all of them."""
    images = np.empty((most, *shape), np.uint8)
    found = 0
    for found, row in enumerate(rows, 1):
        images[found - 1] = row
    return images[:found]

"""Callbacks for `set_callbacks`, which needs scikit-learn 1.9 or newer."""

import os
from pathlib import Path
from typing import Any

from skcnn._estimator.base import BaseScratchCNN
from skcnn._estimator.checkpoint import numbered, write
from skcnn._hyperparameters import check_int
from skcnn.files import check_replaceable, remove_leftovers

__all__ = ["Checkpoint"]


class Checkpoint:
    """Writes a file after every epoch, from which interrupted training can be resumed.

    ``clf.resume(path, X, y)`` continues from it, and ends with the bits of an
    uninterrupted training. Each file is written beside the old one, flushed, and
    renamed, so there is always a complete one, whenever the process ends. A checksum
    detects damage.

    Parameters
    ----------
    path : str or path-like
        The file. Symbolic links are followed, and a relative path refers to the
        current folder when the fit begins. Use one file per training; the fits of
        a search would overwrite each other's.
    every : int, default=1
        Epochs between two files. The last epoch is always written.
    keep : int, default=1
        Number of files to keep: earlier ones have the same name with ".1", ".2"
        and so on, up to the oldest.

    Examples
    --------
    >>> import os, tempfile
    >>> from sklearn.datasets import load_digits
    >>> from skcnn import ScratchCNNClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = ScratchCNNClassifier(filters=4, max_iter=2, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "digits.checkpoint")
    ...     clf = clf.set_callbacks(Checkpoint(path)).fit(X, y)
    ...     again = ScratchCNNClassifier(filters=4, max_iter=2, random_state=0).resume(path, X, y)
    >>> bool((again.weights_ == clf.weights_).all())
    True
    """

    def __init__(self, path: str | os.PathLike, every: int = 1, keep: int = 1) -> None:
        self.path, self.every, self.keep = path, every, keep

    def setup(self, estimator: Any, context: Any) -> None:
        """Check the parameters before any work starts, and remove files of killed processes."""
        if not isinstance(estimator, BaseScratchCNN):
            raise TypeError(
                "Checkpoint: it writes the trainings of ScratchCNNClassifier and "
                f"ScratchCNNRegressor, but was set on {type(estimator).__name__}. In a pipeline, "
                "set it on the step that is one of these."
            )
        check_int("Checkpoint", "every", self.every, 1)
        check_int("Checkpoint", "keep", self.keep, 1)
        if not isinstance(self.path, (str, os.PathLike)):
            raise TypeError(f"Checkpoint: path must be a path, got {self.path!r}.")
        # once for the whole training, since the current folder may change
        self._absolute = Path(self.path).absolute()
        if not os.path.isdir(self._absolute.parent):
            raise ValueError(f"Checkpoint: path {str(self.path)!r} lies in no folder that exists.")
        if os.path.isdir(self._absolute):
            raise ValueError(f"Checkpoint: path {str(self.path)!r} is a folder; name a file in it.")
        for age in range(self.keep):
            check_replaceable(numbered(self._absolute, age), "Checkpoint: path")
            remove_leftovers(numbered(self._absolute, age))

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Do nothing; files are written at the end of an epoch."""

    def on_fit_task_end(self, estimator: Any, context: Any, *, fitted_estimator: Any) -> bool:
        """Write the file, and let the training continue."""
        if fitted_estimator is None:  # Ctrl-C during an epoch: nothing new to write
            return False
        is_due = fitted_estimator.n_iter_ % self.every == 0
        if context.task_name.startswith("epoch "):
            writes = is_due
        else:
            writes = not is_due  # after the fit: its last epoch, unless that has been written
        if writes:
            write(self._absolute, fitted_estimator._checkpoint(), self.keep)
        return False

    def teardown(self, estimator: Any, context: Any) -> None:
        """Do nothing; no file is open."""

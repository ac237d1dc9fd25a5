"""Callbacks for `set_callbacks`, with scikit-learn 1.9 or newer."""

import os
from pathlib import Path
from typing import Any

from skcnn._estimator.base import BaseScratchCNN
from skcnn._estimator.checkpoint import numbered, write
from skcnn._hyperparameters import check_int
from skcnn.files import check_replaceable, remove_leftovers

__all__ = ["Checkpoint"]


class Checkpoint:
    """Writes a file after every epoch, from which an interrupted training can be finished.

    ``clf.resume(path, X, y)`` goes on from it, and ends at the bits of a training
    that was not interrupted. A file is written beside the old one, flushed, and
    renamed, so that one of them is always there, whenever the process ends; a
    checksum tells damage.

    Parameters
    ----------
    path : str or path-like
        The file; symbolic links are followed, and a relative path is that of
        the current folder when the fit begins. One training writes it; the fits
        of a search would overwrite each other's.
    every : int, default=1
        Epochs between two files. The last epoch of a training is always
        written.
    keep : int, default=1
        How many files are kept: the ones before the last under the same name
        with ".1", ".2" and so on, the oldest having the largest number.

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
        """Check the parameters before any work starts, and clear up after a killed training."""
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
        # once for the whole training, whatever becomes of the current folder meanwhile
        self._absolute = Path(self.path).absolute()
        if not os.path.isdir(self._absolute.parent):
            raise ValueError(f"Checkpoint: path {str(self.path)!r} lies in no folder that exists.")
        if os.path.isdir(self._absolute):
            raise ValueError(f"Checkpoint: path {str(self.path)!r} is a folder; name a file in it.")
        for age in range(self.keep):
            check_replaceable(numbered(self._absolute, age), "Checkpoint: path")
            remove_leftovers(numbered(self._absolute, age))

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Nothing is written before an epoch is complete."""

    def on_fit_task_end(self, estimator: Any, context: Any, *, fitted_estimator: Any) -> bool:
        """Write, and let the training go on."""
        if fitted_estimator is None:  # Ctrl-C within an epoch: there is nothing new to write
            return False
        is_epoch = context.task_name.startswith("epoch ")
        done = fitted_estimator.n_iter_ % self.every == 0
        if is_epoch == done:  # after the fit, what was not written after its last epoch
            write(self._absolute, fitted_estimator._checkpoint(), self.keep)
        return False

    def teardown(self, estimator: Any, context: Any) -> None:
        """Nothing is left open."""

"""Display of the samples with the largest loss."""

from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from skcnn._estimator.images import read_images
from skcnn._estimator.labels import ClassEncoder, check_classes, check_label_set
from skcnn._hyperparameters import check_int
from skcnn.inspection._drawing import PALETTE, grid, is_signal, pyplot, sample
from skcnn.inspection._estimators import check_fitted, gathered, pixels, shortened
from skcnn.parallel.contexts import in_own_context

__all__ = ["MistakesDisplay"]

PER_LINE = 6
"""Images per row."""


class MistakesDisplay:
    """The samples with the largest loss, each with its true and predicted target.

    A red title marks a wrong prediction; the others have a large loss because the
    right class was only just the most probable.

    It is recommended to use `from_estimator` or `from_predictions`; all
    parameters are stored as attributes.

    Parameters
    ----------
    samples : ndarray of shape (n, channels, height, width)
        Samples from the largest loss to the smallest.
    names : sequence of str
        Titles of the samples.
    wrong : array-like of bool of shape (n,)
        Whether each prediction is wrong.
    rows : array-like of int of shape (n,)
        Their row indices in `X`.
    losses : array-like of shape (n,)

    Attributes
    ----------
    axes_ : ndarray of Axes
    ax_ : Axes or None
        The axes that they replace.
    figure_ : Figure

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from skcnn import ScratchCNNClassifier
    >>> from skcnn.inspection import MistakesDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = ScratchCNNClassifier(filters=8, max_iter=5, random_state=0)
    >>> clf = clf.fit(X[:900], y[:900])
    >>> display = MistakesDisplay.from_estimator(clf, X[900:], y[900:])
    >>> plt.show()
    """

    def __init__(
        self, samples: np.ndarray, *, names: Any, wrong: ArrayLike, rows: ArrayLike,
        losses: ArrayLike,
    ) -> None:  # fmt: skip
        self.samples = samples
        self.names = names
        self.wrong = wrong
        self.rows = rows
        self.losses = losses

    @classmethod
    @in_own_context
    def from_estimator(
        cls, estimator: Any, X: ArrayLike, y: Any, *, display_labels: ArrayLike | None = None,
        n_mistakes: int = 12, ax: Any = None,
    ) -> Self:  # fmt: skip
        """Draw the worst mistakes of a fitted estimator.

        Parameters
        ----------
        estimator : ScratchCNNClassifier or ScratchCNNRegressor
        X : array-like
            Images in any of the forms that its ``fit`` takes.
        y : array-like of shape (n,), (n, n_labels) or (n, n_outputs)
            Their true targets, as for ``fit``.
        display_labels : array-like of str or None, default=None
            Names for the titles, one for each of ``classes_``, of several
            labels or of several outputs, in their order; None is the classes
            themselves, the numbers of the labels, and no names for outputs.
        n_mistakes : int, default=12
            Number of samples to draw, at most as many as there are.
        ax : Axes, array-like of Axes or None, default=None
            As in `plot`.

        Returns
        -------
        MistakesDisplay

        Notes
        -----
        The loss of a classifier is the cross-entropy, and that of a regressor
        the squared error in units of the targets' deviation, summed over the
        outputs.
        """
        pyplot(f"{cls.__name__}.from_estimator")
        estimator = check_fitted(estimator, cls.__name__)
        n_mistakes = check_int(cls.__name__, "n_mistakes", n_mistakes, 1)
        encoder, caller = estimator._fitted_encoder(), cls.__name__
        names = _names(caller, display_labels, encoder.n_outputs, getattr(encoder, "labels", None))
        if isinstance(encoder, ClassEncoder):
            probabilities, logs = estimator.predict_proba(X), estimator.predict_log_proba(X)
            truth = encoder.read(y, len(probabilities), "y", "fit", caller)
            found = _of_classes(truth, probabilities, logs, encoder, names)
        else:
            predicted = estimator.predict(X)
            truth = encoder.read(y, len(predicted), "y", "fit", caller)
            found = _of_targets(truth, predicted, estimator.target_scale_, names)
        rows = _largest(found, n_mistakes)
        return cls._of_rows(pixels(estimator, X, rows), rows, found).plot(ax=ax)

    @classmethod
    @in_own_context
    def from_predictions(
        cls, y_true: ArrayLike, y_proba: ArrayLike, X: ArrayLike, *,
        classes: ArrayLike | None = None, display_labels: ArrayLike | None = None,
        image_shape: Any = None, data_format: str = "auto", n_mistakes: int = 12, ax: Any = None,
    ) -> Self:  # fmt: skip
        """Draw the worst mistakes of given probabilities.

        Those of ``cross_val_predict(..., method="predict_proba")``, whose models have
        not seen the rows they predict, reveal wrong labels.

        Parameters
        ----------
        y_true : array-like of shape (n,)
            Classes.
        y_proba : array-like of shape (n, n_classes)
            Probabilities of the classes.
        X : array-like
            Images of shape (n, features), (n, height, width) or with channels.
        classes : array-like of shape (n_classes,) or None, default=None
            The classes of the columns, sorted as in ``classes_`` of an
            estimator; None is those in `y_true`.
        display_labels : array-like of str or None, default=None
            Names of the classes for the titles, in the order of `classes`; None
            is the classes themselves.
        image_shape, data_format
            How to read `X`, as in `ScratchCNNClassifier`.
        n_mistakes : int, default=12
            Number of samples to draw, at most as many as there are.
        ax : Axes, array-like of Axes or None, default=None
            As in `plot`.

        Returns
        -------
        MistakesDisplay
        """
        caller = cls.__name__
        pyplot(f"{caller}.from_predictions")
        n_mistakes = check_int(caller, "n_mistakes", n_mistakes, 1)
        given = read_images(X, image_shape, data_format, caller).images
        if classes is None:
            known, truth = check_classes(y_true, len(given), caller, "y_true")
        else:
            known = ClassEncoder(check_label_set(classes, caller), False)
            if not np.array_equal(known.labels, np.asarray(classes)):
                raise ValueError(
                    f"{caller}: classes must be sorted and have no repetitions, as classes_ of an "
                    f"estimator, got {classes!r}."
                )
            truth = known.read(y_true, len(given), "y_true", "classes", caller)
        probabilities = np.asarray(y_proba, dtype=float)
        if known.multilabel or probabilities.shape != (len(given), known.n_outputs):
            raise ValueError(
                f"{caller}: y_proba must have a probability for each of {len(given)} samples and "
                f"{known.n_outputs} classes, got an array of shape {probabilities.shape}."
            )
        with np.errstate(divide="ignore"):
            names = _names(caller, display_labels, known.n_outputs, known.labels)
            found = _of_classes(truth, probabilities, np.log(probabilities), known, names)
        rows = _largest(found, n_mistakes)
        return cls._of_rows(gathered(given, rows), rows, found).plot(ax=ax)

    @classmethod
    def _of_rows(cls, samples: np.ndarray, rows: np.ndarray, found: "Found") -> Self:
        losses, wrong, names = found
        return cls(
            samples,
            names=[names[row] for row in rows],
            wrong=wrong[rows],
            rows=rows,
            losses=losses[rows],
        )

    @in_own_context
    def plot(self, *, ax: Any = None) -> Self:
        """Draw the samples.

        Parameters
        ----------
        ax : Axes, array-like of Axes or None, default=None
            Where to draw: a subplot whose place the panels take, or one for
            each panel. None is a new figure.

        Returns
        -------
        self
        """
        caller, x = f"{type(self).__name__}.plot", self.samples
        longest = max(len(line) for name in self.names for line in name.split("\n"))
        if is_signal(x):
            n_columns, tile = 1, (6.4, 1.4 + 0.35 * (x.shape[1] - 1))
        else:
            n_columns, tile = min(len(x), PER_LINE), (max(1.3, 0.078 * longest + 0.1), 1.8)
        n_rows = -(-len(x) // n_columns)
        self.figure_, self.ax_, axes = grid(caller, ax, n_rows, n_columns, tile)
        self.axes_ = axes.ravel()
        low, high = float(x.min()), float(x.max())
        for axis in self.axes_[len(x) :]:
            axis.set_axis_off()
        wrong = np.asarray(self.wrong)
        for k, (image, name) in enumerate(zip(x, self.names, strict=True)):
            axis = self.axes_[k]
            sample(axis, image, low, high)
            title = name.replace("\n", ", ") if is_signal(x) else name
            color = {"color": PALETTE[1]} if wrong[k] else {}
            axis.set_title(title, fontsize="small", **color)
        return self


Found: TypeAlias = tuple[np.ndarray, np.ndarray, list[str]]
"""Loss of every sample, whether its prediction is wrong, and a title."""


def _largest(found: Found, n: int) -> np.ndarray:
    """Return the rows of the largest losses."""
    losses, *_ = found
    return np.argsort(-losses, kind="stable")[:n]


def _names(caller: str, given: Any, n_outputs: int, labels: np.ndarray | None) -> list[str]:
    """Return the names of classes, labels or outputs for titles; outputs may have none."""
    if given is None:
        return [""] * n_outputs if labels is None else [shortened(label) for label in labels]
    names = np.asarray(given, dtype=object)
    if names.shape != (n_outputs,):
        raise ValueError(
            f"{caller}: display_labels must be {n_outputs} names, one for each class, label or "
            f"output, got {given!r}."
        )
    return [shortened(name) for name in names]


def _of_classes(
    truth: np.ndarray,
    probabilities: np.ndarray,
    logs: np.ndarray,
    known: ClassEncoder,
    names: list[str],
) -> Found:
    """Compute cross-entropies, of classes or summed over labels."""
    if known.multilabel:
        return _of_labels(truth, probabilities, names)
    rows, predicted = np.arange(len(truth)), probabilities.argmax(axis=1)
    titles = [
        f"true {names[true]}\npredicted {names[found]}, {probability:.2f}"
        for true, found, probability in zip(
            truth, predicted, probabilities[rows, predicted], strict=True
        )
    ]
    return -logs[rows, truth].astype(float), predicted != truth, titles


def _of_labels(truth: np.ndarray, probabilities: np.ndarray, names: list[str]) -> Found:
    predicted = probabilities > 0.5
    right = np.where(truth, probabilities, 1 - probabilities).astype(float)
    losses = -np.log(np.maximum(right, np.finfo(float).tiny)).sum(axis=1)
    titles = [
        f"missed {_listed(true & ~found, names)}\nwrongly {_listed(found & ~true, names)}"
        for true, found in zip(truth, predicted, strict=True)
    ]
    return losses, (predicted != truth).any(axis=1), titles


def _of_targets(
    truth: np.ndarray, predicted: np.ndarray, unit: np.ndarray, names: list[str]
) -> Found:
    """Compute squared errors; no prediction counts as wrong."""
    predicted = predicted.reshape(truth.shape)
    losses = (((truth - predicted) / unit) ** 2).sum(axis=1)
    titles = [
        f"true {_numbers(true, names)}\npredicted {_numbers(found, names)}"
        for true, found in zip(truth, predicted, strict=True)
    ]
    return losses, np.zeros(len(truth), bool), titles


def _listed(labels: np.ndarray, names: list[str]) -> str:
    return ", ".join(names[i] for i in np.flatnonzero(labels)) or "none"


def _numbers(values: np.ndarray, names: list[str]) -> str:
    return ", ".join(
        f"{name} {value:.3g}".strip() for name, value in zip(names, values, strict=True)
    )

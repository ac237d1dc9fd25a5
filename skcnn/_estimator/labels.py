"""Targets of classifiers: class labels, or indicator matrices of several labels."""

import numbers
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from skcnn._estimator.arrays import (
    as_array,
    check_finite,
    check_length,
    check_scalars,
    naming,
    same,
    shape_of,
)
from skcnn._estimator.user_warnings import warn_column
from skcnn.initializers import Glorot, Initializer
from skcnn.losses import LOSSES, Loss

__all__ = ["ClassEncoder", "check_classes", "check_label_set", "is_matrix"]


@dataclass(frozen=True, repr=False, eq=False)
class ClassEncoder:
    """Encoder of class labels or of indicator matrices.

    Parameters
    ----------
    labels : ndarray of shape (n_classes,)
        Sorted class labels; for indicator matrices the numbers of the columns.
    multilabel : bool
        Whether `y` is an indicator matrix, so that a sample can have several labels.
    """

    labels: np.ndarray
    multilabel: bool

    @property
    def loss(self) -> Loss:
        """Loss for classes or for indicator matrices, without label smoothing."""
        return LOSSES["logistic" if self.multilabel else "softmax"]

    @property
    def history(self) -> list[str]:
        """Names of the numbers recorded in every epoch of training."""
        return ["loss", "accuracy", "lr"]

    @property
    def initializer(self) -> Initializer:
        """Initializer of the output layer."""
        return Glorot()

    @property
    def n_outputs(self) -> int:
        """Number of the network's outputs."""
        return len(self.labels)

    def __str__(self) -> str:
        return f"{len(self.labels)} labels in a matrix" if self.multilabel else str(self.labels)

    def check_same(self, other: "ClassEncoder", what: str) -> None:
        """Raise ``ValueError`` unless new data have the same classes."""
        if self.multilabel != other.multilabel or not same(self.labels, other.labels):
            raise ValueError(
                f"{what} can only continue with the same classes: the model was fitted on {self}, "
                f"y has {other}."
            )

    def read(self, y: Any, n_samples: int, name: str, known: str, caller: str) -> np.ndarray:
        """Encode a `y` that need not contain all classes.

        Parameters
        ----------
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
        n_samples : int
        name, known, caller : str
            Names for errors: of `y`, of the source of the known classes, and of the
            estimator.

        Raises
        ------
        ValueError
            As `check_classes`, and for labels that are not among the classes.
        """
        if y is None:
            raise ValueError(f"{caller} requires {name} to be passed, but it is None.")
        if is_matrix(y, name, caller) != self.multilabel:
            what = (
                f"a matrix of {len(self.labels)} labels" if self.multilabel else "1D class labels"
            )
            raise ValueError(
                f"{caller}: {name} must be {what}, as known from {known}, got an array of shape "
                f"{shape_of(y, name, caller)}."
            )
        if self.multilabel:
            matrix = _check_labels(y, n_samples, name, caller)
            if matrix.shape[1] != len(self.labels):
                raise ValueError(
                    f"{caller}: {name} has {matrix.shape[1]} labels, "
                    f"but {known} {len(self.labels)}."
                )
            return matrix
        labels, targets = _unique_labels(y, n_samples, name, caller)
        numbers = {label: i for i, label in enumerate(self.labels.tolist())}  # "0" is not 0
        unknown = [label for label in labels.tolist() if label not in numbers]
        if unknown:
            raise ValueError(
                f"{caller}: {name} holds labels that are not among those of {known}: {unknown}; "
                f"known are {self.labels.tolist()}."
            )
        return np.array([numbers[label] for label in labels.tolist()], dtype=np.intp)[targets]

    def as_y(self, targets: np.ndarray) -> np.ndarray:
        """Return targets in the form of `y`."""
        return targets.astype(int) if self.multilabel else self.labels[targets]

    def check_weighted(self, targets: np.ndarray, weights: np.ndarray, caller: str) -> None:
        """Raise ``ValueError`` unless samples of different classes have a positive weight."""
        if self._differ(targets[weights > 0]):
            return
        what = "samples with different labels and" if self.multilabel else (
            "samples of at least 2 classes with"
        )  # fmt: skip
        counted = targets[weights > 0]
        if not len(counted):
            found = "all zero"
        elif self.multilabel:
            found = f"positive only for the labels {counted[0].astype(int).tolist()}"
        else:
            found = f"positive for one class only: {self.labels[counted].tolist()[0]!r}"
        raise ValueError(
            f"{caller} needs {what} a positive weight, but the weights (sample_weight times "
            f"class_weight) are {found}."
        )

    def _differ(self, targets: np.ndarray) -> bool:
        """Whether the targets differ between samples."""
        return bool((targets != targets[:1]).any())

    def lacking(self, targets: np.ndarray) -> str:
        """Describe what these targets lack for training; empty if nothing."""
        if self.multilabel:
            return "" if len(targets) else "nothing of positive weight"
        return "" if self._differ(targets) else "fewer than 2 classes"

    def fit(self, targets: np.ndarray, weights: np.ndarray) -> "ClassEncoder":
        """Return self, since there is nothing to measure."""
        return self

    def transform(self, targets: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Return the targets, which the loss takes as they are."""
        return targets

    def continuing(self, fitted: "ClassEncoder") -> "ClassEncoder":
        """Return self, whose classes are those of the fitted model that is continued."""
        return self

    def attributes(self) -> dict[str, Any]:
        """Fitted attributes."""
        return {"classes_": self.labels, "out_activation_": self.loss.activation}

    def strata(self, targets: np.ndarray) -> np.ndarray | None:
        """Return the classes to stratify a split by; None for indicator matrices."""
        return None if self.multilabel else targets

    def fewest_held_out(self, targets: np.ndarray) -> int:
        """Return the smallest number of samples to validate on."""
        return 1 if self.multilabel else len(np.unique(targets))


def check_classes(
    y: Any, n_samples: int, caller: str, name: str = "y"
) -> tuple[ClassEncoder, np.ndarray]:
    """Check the `y` of a fit, which errors call `name`; return its encoder and targets.

    Returns
    -------
    encoder : ClassEncoder
    targets : ndarray of int of shape (n,) or of bool of shape (n, n_labels)
        Index of every sample's class, or its labels.

    Raises
    ------
    ValueError
        For a missing `y`, another length than that of `X`, values that are not
        classes, or a single class.
    """
    if y is None:
        raise ValueError(f"{caller} requires {name} to be passed, but the target {name} is None.")
    if is_matrix(y, name, caller):
        labels = _check_labels(y, n_samples, name, caller)
        if (labels == labels[0]).all():
            raise ValueError(
                f"{caller} needs samples of at least 2 classes in the data, but all samples have "
                f"the same labels: {labels[0].astype(int).tolist()}."
            )
        return ClassEncoder(np.arange(labels.shape[1]), True), labels
    classes, targets = _unique_labels(y, n_samples, name, caller)
    if len(classes) < 2:
        raise ValueError(
            f"{caller} needs samples of at least 2 classes in the data, but the data contains "
            f"only one class: {classes.tolist()[0]!r}."
        )
    return ClassEncoder(classes, False), targets


def check_label_set(classes: Any, caller: str) -> np.ndarray:
    """Return the argument `classes` of ``partial_fit``, sorted and without repetitions."""
    labels, _ = _unique_labels(classes, None, "classes", caller)
    if len(labels) < 2:
        raise ValueError(f"{caller}: classes must hold at least 2 labels, got {labels.tolist()}.")
    return labels


def is_matrix(y: Any, name: str, caller: str) -> bool:
    """Whether `y` has two axes and more than one column, or is a sparse matrix."""
    try:
        shape = shape_of(y, name, caller)
    except ValueError:  # perhaps uneven rows
        try:
            type_of_target(y, input_name=name)  # recognizes lists of each sample's labels
        except (TypeError, ValueError, RuntimeError) as error:
            raise naming(error, name, caller) from None
        raise
    return len(shape) == 2 and (shape[1] != 1 or hasattr(y, "toarray"))


def _unique_labels(
    y: Any, n_samples: int | None, name: str, caller: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return the sorted distinct labels, and the index of every sample's label.

    The length is not checked if `n_samples` is None.
    """
    given, y = y, as_array(y, name, caller)
    check_scalars(y, name, caller)
    if y.dtype.kind == "U" and not hasattr(given, "dtype"):
        _check_present(np.array(given, dtype=object), name, caller)  # NumPy turns them into text
    if y.ndim == 2 and y.shape[1] == 1:
        warn_column(name)
        y = y[:, 0]
    if y.ndim != 1:
        raise ValueError(
            f"{caller}: {name} should be a 1d array of labels, got an array of shape {y.shape}."
        )
    if n_samples is not None:
        check_length(y, n_samples, name, caller)
    _check_present(y, name, caller)
    kinds = sorted({type(label).__name__ for label in y}) if y.dtype.kind == "O" else []
    if y.dtype.kind in "SV" or "bytes" in kinds:
        raise TypeError(
            f"{caller}: {name} must hold numbers or text, got {'bytes' if kinds else y.dtype}. "
            "(For text, decode bytes, as in y.astype(str).)"
        )
    try:
        _check_discrete(y, name, caller)
        return np.unique(y, return_inverse=True)
    except TypeError:
        raise TypeError(f"{caller}: {name} must hold labels of one type, got {kinds}.") from None


def _check_discrete(y: np.ndarray, name: str, caller: str) -> None:
    """Raise ``ValueError`` for numbers that are not labels, such as fractions."""
    try:
        with np.errstate(invalid="ignore"):  # it casts large numbers to ints
            check_classification_targets(y)
    except ValueError as error:
        raise naming(error, name, caller) from None


def _check_present(y: np.ndarray, name: str, caller: str) -> None:
    """Raise ``ValueError`` for missing labels such as NaN and None."""
    if y.dtype.kind == "O":
        missing = np.fromiter(map(_is_missing, y.flat), bool, y.size).reshape(y.shape)
    elif y.dtype.kind in "mM":
        missing = np.isnat(y)
    else:
        missing = np.zeros(y.shape, dtype=bool)
    if missing.any():
        rows = np.argwhere(missing)[:, 0]
        first = y[missing][0]
        raise ValueError(
            f"{caller}: {name} must hold a label for every sample, but {len(rows)} are missing, "
            f"the first in row {rows[0]} ({name} contains "
            f"{'NaN' if isinstance(first, numbers.Number) else first})."
        )
    check_finite(y, name, caller)


def _is_missing(label: Any) -> bool:
    """Whether an object is a missing value: None, NaN, NaT or pandas.NA."""
    if label is None or type(label).__name__ in ("NAType", "NaTType"):  # without importing pandas
        return True
    may_be = isinstance(label, (numbers.Number, np.datetime64, np.timedelta64))
    return may_be and bool(label != label)


def _check_labels(y: Any, n_samples: int, name: str, caller: str) -> np.ndarray:
    """Check the indicator matrix `y` and convert it to booleans."""
    y = as_array(y, name, caller, accept_sparse="csr", ensure_min_features=1)
    check_length(y, n_samples, name, caller)
    if y.shape[1] == 1:
        raise ValueError(
            f"{caller}: a sparse {name} must have a column for each of several labels, got the "
            f"shape {y.shape}; use {name}.toarray().ravel() for two classes."
        )
    y = y.toarray() if hasattr(y, "toarray") else y
    check_scalars(y, name, caller)
    _check_present(y, name, caller)
    if y.dtype.kind == "O":  # such as a data frame with boolean and integer columns
        with suppress(TypeError, ValueError, OverflowError):
            y = y.astype(np.float64)
    with np.errstate(invalid="ignore"):  # it casts large numbers to ints
        kind = "unknown" if y.dtype.kind == "O" else type_of_target(y, input_name=name)
    if kind == "continuous-multioutput":
        _check_discrete(y, name, caller)  # raises
    if kind != "multilabel-indicator" or not np.isin(y, (0, 1)).all():
        raise ValueError(
            f"{caller}: {name} of shape {y.shape} has values other than 0 and 1 (type of target "
            f"{kind!r}), which is not supported. Pass a matrix of 0 and 1 for several labels a "
            "sample, 1D class labels, or wrap the classifier in "
            "sklearn.multioutput.MultiOutputClassifier."
        )
    return y.astype(bool)

"""Weights of samples and classes."""

import numbers
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skcnn._estimator.arrays import as_numbers
from skcnn._hyperparameters import check_real

__all__ = ["SampleWeights", "check_sample_weight", "class_weights", "weigh_by_class"]

LARGEST_SUM = 1e290
"""Largest allowed sum of weights, which is multiplied by the number of pixels."""


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class SampleWeights:
    """Weights of samples, before and after multiplication by class weights.

    Parameters
    ----------
    given : ndarray of float64 of shape (n,) or None
        The user's `sample_weight`.
    by_class : ndarray or None
        Weight of each class, as `class_weights` returns them.
    total : ndarray of float64 of shape (n,)
        Product of both for every sample.
    """

    given: np.ndarray | None
    by_class: np.ndarray | None
    total: np.ndarray

    @property
    def matter(self) -> bool:
        """Whether the user passed weights of samples or of classes."""
        return self.given is not None or self.by_class is not None

    def subset(self, rows: np.ndarray) -> "SampleWeights":
        """Select the weights of some of the samples."""
        given = None if self.given is None else self.given[rows]
        return replace(self, given=given, total=self.total[rows])


def check_sample_weight(
    sample_weight: Any, n: int, caller: str, name: str = "sample_weight"
) -> np.ndarray:
    """Return the weight of every sample in float64: 1 for None, and a number for all of them.

    Raises
    ------
    ValueError
        For negative or non-finite weights, and unless there are `n`.
    """
    if sample_weight is None:
        return np.ones(n)
    if isinstance(sample_weight, numbers.Real):
        sample_weight = [sample_weight] * n
    weights = as_numbers(sample_weight, name, caller).astype(np.float64, copy=False)
    if weights.ndim != 1:
        raise ValueError(f"{caller}: {name} must be 1D, got an array of shape {weights.shape}.")
    if len(weights) != n:
        raise ValueError(f"{caller}: {name} holds {len(weights)} weights for {n} samples.")
    if (weights < 0).any():
        raise ValueError(
            f"{caller}: {name} must not be negative, but its minimum is {weights.min():g}."
        )
    return weights


def weigh_by_class(
    weights: np.ndarray,
    table: np.ndarray | None,
    targets: np.ndarray,
    caller: str,
    name: str = "sample_weight",
    scaled: bool = True,
) -> np.ndarray:
    """Multiply sample weights by the weights of the samples' classes, if there are any.

    With several labels, their weights are multiplied. Where only ratios matter (`scaled`), each
    partial product is divided by its maximum, since many factors could overflow.

    Raises
    ------
    ValueError
        If the sum of the weights is too large.
    """
    with np.errstate(all="ignore"):
        if table is not None and targets.ndim == 1:
            weights = weights * table[targets]
        elif table is not None:
            product = np.ones(len(targets))
            for column, (no, yes) in zip(targets.T, table, strict=True):
                product *= np.where(column, yes, no)
                product /= (product.max() or 1) if scaled else 1
            weights = weights * product
        if not weights.sum() <= LARGEST_SUM:
            what = name if table is None else f"{name} times class_weight"
            raise ValueError(
                f"{caller}: the weights ({what}) are too large to be summed; only their ratios "
                "matter, so scale them down."
            )
    return weights


def class_weights(
    class_weight: Any, classes: np.ndarray, targets: np.ndarray, weights: np.ndarray, caller: str
) -> np.ndarray | None:
    """Resolve the parameter `class_weight`.

    Parameters
    ----------
    class_weight : dict, list of dict, "balanced" or None
        "balanced" is ``sum of weights / (n_classes * weight of the class)``. With
        an indicator matrix there is one dict per label.
    classes : ndarray
    targets : ndarray of int of shape (n,) or of bool of shape (n, n_labels)
    weights : ndarray of shape (n,)
    caller : str

    Returns
    -------
    ndarray of shape (n_classes,) or (n_labels, 2), or None
        Weight of each class; with an indicator matrix, of 0 and 1 for each label.
    """
    if class_weight is None:
        return None
    if targets.ndim == 1:
        return _class_weights(class_weight, classes, targets, weights, caller)
    return _label_weights(class_weight, targets, weights, caller)


def _class_weights(
    class_weight: Any, classes: np.ndarray, targets: np.ndarray, weights: np.ndarray, caller: str
) -> np.ndarray:
    if isinstance(class_weight, str) and class_weight == "balanced":
        totals = np.bincount(targets, weights=weights, minlength=len(classes))
        empty = totals == 0
        return np.where(empty, 0, weights.sum() / (len(classes) * np.where(empty, 1, totals)))
    if not isinstance(class_weight, dict):
        raise ValueError(
            f"{caller}: class_weight must be None, 'balanced' or a dict from class labels to "
            f"weights, got {class_weight!r}."
        )
    for label, value in class_weight.items():
        check_real(caller, f"class_weight[{label!r}]", value, 0)
    result = np.array([class_weight.get(label, 1.0) for label in classes], dtype=np.float64)
    known = set(classes)
    unknown = [label for label in class_weight if label not in known]
    missing = [label for label in classes.tolist() if label not in class_weight]
    if unknown and missing:
        raise ValueError(
            f"{caller}: class_weight has weights for {unknown}, which are no classes in y, "
            f"but none for {missing}, which are. (Classes that class_weight does not name weigh 1.)"
        )
    return result


def _label_weights(
    class_weight: Any, targets: np.ndarray, weights: np.ndarray, caller: str
) -> np.ndarray:
    """Return the weights of 0 and 1 for every label."""
    n_labels = targets.shape[1]
    if isinstance(class_weight, str):
        class_weight = [class_weight] * n_labels
    elif not (
        isinstance(class_weight, (list, tuple))
        and len(class_weight) == n_labels
        and all(isinstance(weights_of_label, dict) for weights_of_label in class_weight)
    ):
        raise ValueError(
            f"{caller}: class_weight must be None, 'balanced' or, for a y of {n_labels} labels, a "
            f"list of {n_labels} dicts from 0 and 1 to weights, got {class_weight!r}."
        )
    table = [
        _class_weights(weights_of_label, np.arange(2), column, weights, caller)
        for column, weights_of_label in zip(targets.T.astype(int), class_weight, strict=True)
    ]
    return np.array(table)

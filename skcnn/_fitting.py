"""The arguments of a fit, checked together, and what epochs are judged by."""

import inspect
import numbers
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from skcnn import _validation as validation
from skcnn.batches import Images, Samples, Scaling
from skcnn.layers._layer import Shape
from skcnn.losses import LOSSES, Loss

__all__ = ["Data", "EpochScore", "check_data", "check_part", "check_validation_data"]

OWNER = "ScratchCNNClassifier"


class Data(NamedTuple):
    """Samples, as the user holds them and as the engine takes them.

    Parameters
    ----------
    X : array-like
        As the user passed it.
    array : ndarray
        The same as an array, not copied.
    names : ndarray of str or None
        Names of the features.
    data_format : {"channels_first", "channels_last"}
        Order of the axes in `X`.
    shape : tuple of int
        (Channels, height, width) of the images.
    images : Images
        Not scaled yet.
    classes : ndarray
        All classes, sorted.
    targets : ndarray of int of shape (n,) or of bool of shape (n, n_labels)
        Number of every sample's class, or its labels.
    sample_weight : array-like or None
        As the user passed it.
    weights : ndarray of float64 of shape (n,)
        Sample weight times class weight.
    weighted : bool
        Whether there are weights at all.
    """

    X: Any
    array: np.ndarray
    names: np.ndarray | None
    data_format: str
    shape: Shape
    images: Images
    classes: np.ndarray
    targets: np.ndarray
    sample_weight: Any
    weights: np.ndarray
    weighted: bool

    @property
    def loss(self) -> Loss:
        """Of classes or of several labels."""
        return LOSSES["softmax" if self.targets.ndim == 1 else "logistic"]

    def samples(self, rows: np.ndarray | None, scaling: Scaling, dtype: np.dtype) -> Samples:
        """Some of the samples for the engine, None for all, weighing 1 on average."""
        everything = Samples(self.images.with_scaling(scaling), self.targets, self.weights)
        return everything.normalised(dtype) if rows is None else everything.subset(rows, dtype)

    def rows(self, rows: np.ndarray | None) -> Any:
        """Some of the samples in the form of `X`, None for all; dataframes keep their names."""
        X: Any = self.X
        if rows is None:
            return X
        if hasattr(X, "iloc"):
            return X.iloc[rows]
        if self.names is None:
            return self.array[rows]
        return X.take(rows) if hasattr(X, "take") else X[rows]  # of pyarrow, of polars

    def labels(self, rows: np.ndarray | None) -> np.ndarray:
        """The `y` of some samples, None for all."""
        targets = self.targets if rows is None else self.targets[rows]
        return self.classes[targets] if targets.ndim == 1 else targets.astype(int)

    def metadata(self, rows: np.ndarray | None) -> dict[str, Any]:
        """What was passed besides, of some samples."""
        if self.sample_weight is None:
            return {}
        weights = validation.check_sample_weight(self.sample_weight, len(self.targets))
        return {"sample_weight": weights if rows is None else weights[rows]}


def check_data(estimator: Any, X: Any, y: Any, sample_weight: Any) -> Data:
    """Check the arguments of ``fit``."""
    array = validation.check_X(X)
    classes, targets = validation.check_classes(y, len(array))
    weights = validation.check_weights(sample_weight, estimator.class_weight, classes, targets)
    names = validation.feature_names(X)
    shape = validation.check_image_shape(array, estimator.image_shape, estimator.data_format)
    images = validation.as_images(array, shape, estimator.data_format)
    weighted = sample_weight is not None or estimator.class_weight is not None
    return Data(
        X, array, names, estimator.data_format, shape, images, classes, targets, sample_weight,
        weights, weighted,
    )  # fmt: skip


def check_validation_data(
    estimator: Any, data: Data, X_val: Any, y_val: Any, sample_weight_val: Any
) -> Data | None:
    """Check a validation set against the `data` to train on; None where there is none."""
    if X_val is None and y_val is None:
        if sample_weight_val is not None:
            raise ValueError("sample_weight_val is provided, but X_val and y_val were not.")
        return None
    if y_val is None:
        raise ValueError("X_val is provided, but y_val was not provided.")
    if X_val is None:
        raise ValueError("y_val is provided, but X_val was not provided.")
    if not estimator.early_stopping:
        raise ValueError(
            f"{OWNER}: X_val and y_val are passed to fit while early_stopping=False, which "
            "would not use them. Set early_stopping=True."
        )
    array, data_format = validation.check_X(X_val, "X_val"), estimator.data_format
    if not validation.same_shape(array, data.shape, data_format):
        what = (
            f"rows of {array.shape[1]} features"
            if array.ndim == 2
            else f"images of shape {validation.image_shape_of(array, data_format)}"
        )
        raise ValueError(
            f"{OWNER}: X_val holds {what}, but X images of shape {data.shape} (channels, height, "
            f"width), which are {int(np.prod(data.shape))} features."
        )
    names = validation.feature_names(X_val)
    if names is not None and data.names is not None and not np.array_equal(names, data.names):
        raise ValueError(f"{OWNER}: X_val must have the columns of X, in the same order.")
    several = data.targets.ndim == 2
    targets = validation.check_known_classes(y_val, data.classes, several, len(array), "y_val", "y")
    weights = validation.check_sample_weight(sample_weight_val, len(targets), "sample_weight_val")
    table = validation.class_weights(
        estimator.class_weight,
        data.classes,
        data.targets,
        validation.check_sample_weight(data.sample_weight, len(data.targets)),
    )
    weights = validation.weigh_by_class(weights, table, targets)
    if not weights.any():
        raise ValueError(
            f"{OWNER}: all weights of X_val (sample_weight_val times class_weight) are zero."
        )
    images = validation.as_images(array, data.shape, data_format)
    weighted = sample_weight_val is not None or estimator.class_weight is not None
    return Data(
        X_val, array, names, data_format, data.shape, images, data.classes, targets,
        sample_weight_val, weights, weighted,
    )  # fmt: skip


def check_part(estimator: Any, X: Any, y: Any, classes: Any, sample_weight: Any) -> Data:
    """Check the arguments of ``partial_fit``, against the earlier ones if there were any."""
    first = not hasattr(estimator, "classes_")
    if first and y is not None and validation.is_matrix(y):
        several, known = True, np.arange(np.shape(y)[1])
    elif first and classes is None:
        raise ValueError("classes must be passed on the first call to partial_fit.")
    elif first:
        several, known = False, validation.check_label_set(classes)
    else:
        several, known = estimator.out_activation_ == "logistic", estimator.classes_
    if classes is not None and not np.array_equal(validation.check_label_set(classes), known):
        raise ValueError(
            f"{OWNER}: classes={classes!r} are not those of "
            f"{'the matrix y' if first else 'the call before'}: {known}."
        )
    array = validation.check_X(X)
    if first:
        names = validation.feature_names(X)
        data_format = estimator.data_format
        shape = validation.check_image_shape(array, estimator.image_shape, data_format)
    else:
        names = getattr(estimator, "feature_names_in_", None)
        data_format = estimator._data_format
        shape = estimator.image_shape_
        validation.check_same_input(estimator, X, array)
    n, origin = len(array), "classes" if first else "the calls before"
    targets = validation.check_known_classes(y, known, several, n, "y", origin)
    weights = validation.check_sample_weight(sample_weight, n)
    table = validation.class_weights(estimator.class_weight, known, targets, weights)
    weights = validation.weigh_by_class(weights, table, targets, scaled=False)
    if first and not weights.any():
        raise ValueError(
            f"{OWNER}: the first call to partial_fit needs a sample of positive weight, but the "
            "weights (sample_weight times class_weight) are all zero."
        )
    images = validation.as_images(array, shape, data_format)
    return Data(
        X, array, names, data_format, shape, images, known, targets, sample_weight, weights, True
    )


class EpochScore:
    """A scorer with the validation part that it is called on after every epoch.

    Parameters
    ----------
    scoring : str or callable
        The parameter, to name it in errors.
    scorer : callable
        Takes an estimator, `X` and `y`, and `sample_weight` where its signature
        has it.
    data : Data
    rows : ndarray of int or None
        Which of its samples are meant; None is all of them.
    """

    def __init__(self, scoring: Any, scorer: Callable, data: Data, rows: np.ndarray | None) -> None:
        self.scoring, self.scorer = scoring, scorer
        self.X, self.y, self.names = data.rows(rows), data.labels(rows), data.names
        self.weights = {}
        if data.weighted and _takes_weights(scorer):
            self.weights = {"sample_weight": data.weights if rows is None else data.weights[rows]}

    def __call__(self, estimator: Any) -> float:
        """Score a fitted estimator.

        Raises
        ------
        ValueError
            Where the scorer raises, or returns anything but a finite number.
        """
        try:
            score = self.scorer(estimator, self.X, self.y, **self.weights)
        except Exception as error:
            raise ValueError(
                f"{OWNER}: scoring={self.scoring!r} failed on the validation part: "
                f"{type(error).__name__}: {error}"
            ) from error
        if hasattr(score, "item"):
            with suppress(ValueError):  # an array of several numbers
                score = score.item()
        if not isinstance(score, numbers.Real) or not np.isfinite(float(score)):
            raise ValueError(
                f"{OWNER}: scoring={self.scoring!r} must return a finite number, but returned "
                f"{score!r} on the validation part."
            )
        return float(score)


def _takes_weights(scorer: Callable) -> bool:
    try:
        parameters = inspect.signature(scorer).parameters.values()
    except (TypeError, ValueError):  # a callable that does not say
        return False
    return any(p.name == "sample_weight" or p.kind == p.VAR_KEYWORD for p in parameters)

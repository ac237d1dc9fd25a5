"""From what users pass to what the engine takes, or an error that says why not."""

from contextlib import suppress
from math import ceil, isqrt
from typing import Any
from warnings import warn

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import assert_all_finite, check_array, check_consistent_length, column_or_1d
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import validate_data

from skcnn._hyperparameters import check_choice, check_int, check_real
from skcnn.batches import Images
from skcnn.layers._layer import Shape

__all__ = [
    "as_images",
    "check_X",
    "check_classes",
    "check_image_shape",
    "check_known_classes",
    "check_label_set",
    "check_same_input",
    "check_sample_weight",
    "check_weights",
    "class_weights",
    "feature_names",
    "held_out_rows",
    "held_out_size",
    "image_shape_of",
    "is_matrix",
    "same_shape",
    "weigh_by_class",
]

OWNER = "ScratchCNNClassifier"
FORMS = "(n, features), (n, height, width) or (n, channels, height, width)"
FORMS_LAST = "(n, features), (n, height, width) or (n, height, width, channels)"


def check_X(X: Any, name: str = "X") -> np.ndarray:
    """Return `X` as a finite numeric array of two to four dimensions, not copied.

    Errors call it `name`.

    Raises
    ------
    TypeError
        For sparse matrices, and for objects that are no numbers.
    ValueError
        For NaN, infinity, text, and other numbers of dimensions.
    """
    if type(X) is np.ndarray and X.dtype.kind in "biuf" and 2 <= X.ndim <= 4 and X.size:
        # all that is left to check, in a third of the time: a row is predicted in 0.2 ms
        assert_all_finite(X, estimator_name=OWNER, input_name=name)
        return X
    array = check_array(X, dtype="numeric", allow_nd=True, estimator=OWNER, input_name=name)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{OWNER}: {name} must hold real numbers, got dtype {array.dtype}.")
    if array.ndim > 4:
        raise ValueError(
            f"{OWNER}: {name} must have shape {FORMS} (or, with data_format='channels_last', "
            f"{FORMS_LAST}), got {array.ndim} dimensions: {array.shape}."
        )
    if 0 in array.shape:
        raise ValueError(
            f"{OWNER}: {name} holds images without pixels, its shape is {array.shape}."
        )
    return array


def check_image_shape(array: np.ndarray, image_shape: Any, data_format: str) -> Shape:
    """Find the (channels, height, width) of the images in `array`.

    Parameters
    ----------
    array : ndarray of 2, 3 or 4 dimensions
    image_shape : tuple of int or None
        As the user gave it, in the order of `data_format`.
    data_format : {"channels_first", "channels_last"}

    Returns
    -------
    tuple of int

    Raises
    ------
    ValueError
        Where `image_shape` is no shape, or not that of the images.
    """
    check_choice(OWNER, "data_format", data_format, ["channels_first", "channels_last"])
    if image_shape is not None:
        shape = _given_shape(image_shape, data_format)
        if not same_shape(array, shape, data_format):
            raise ValueError(
                f"{OWNER}: image_shape={image_shape!r} with data_format={data_format!r} does "
                f"not match X, whose shape is {array.shape}."
            )
        return shape
    if array.ndim == 4:
        if data_format == "channels_first" and array.shape[3] in (3, 4) and array.shape[1] > 4:
            warn(
                f"X has shape {array.shape}, which is taken as {array.shape[1]} channels of "
                f"{array.shape[2]} x {array.shape[3]} pixels. If the channels are last, pass "
                "data_format='channels_last'.",
                UserWarning,
                stacklevel=3,
            )
        return _channels_first(array.shape[1:], data_format)
    if array.ndim == 3:
        return (1, *array.shape[1:])
    features = array.shape[1]
    side = isqrt(features)
    if side * side == features:
        return 1, side, side
    side = isqrt(features // 3)
    if side >= 8 and features == 3 * side * side:
        shape = (side, side, 3) if data_format == "channels_last" else (3, side, side)
        warn(
            f"X has {features} features, which looks like flattened colour images, but is "
            f"taken as signals of that length. If they are images, pass image_shape={shape}.",
            UserWarning,
            stacklevel=3,
        )
    return 1, 1, features


def _given_shape(image_shape: Any, data_format: str) -> Shape:
    order = "(height, width, channels)" if data_format == "channels_last" else (
        "(channels, height, width)"
    )  # fmt: skip
    allowed = isinstance(image_shape, (tuple, list, np.ndarray)) and len(image_shape) in (2, 3)
    if not allowed:
        raise ValueError(
            f"{OWNER}: image_shape must be None, (height, width) or {order}, got {image_shape!r}."
        )
    sizes = tuple(
        check_int(OWNER, f"image_shape[{i}]", size, 1) for i, size in enumerate(image_shape)
    )
    return (1, *sizes) if len(sizes) == 2 else _channels_first(sizes, data_format)


def _channels_first(sizes: Shape, data_format: str) -> Shape:
    return (sizes[2], *sizes[:2]) if data_format == "channels_last" else sizes


def same_shape(array: np.ndarray, shape: Shape, data_format: str) -> bool:
    """Whether `array` holds images of this (channels, height, width), in any form."""
    if array.ndim == 2:
        return array.shape[1] == int(np.prod(shape))
    if array.ndim == 3:
        return shape == (1, *array.shape[1:])
    return shape == _channels_first(array.shape[1:], data_format)


def image_shape_of(array: np.ndarray, data_format: str) -> Shape:
    """The (channels, height, width) of images that are no flat rows."""
    if array.ndim == 3:
        return (1, *array.shape[1:])
    return _channels_first(array.shape[1:], data_format)


def check_same_input(estimator: Any, X: Any, array: np.ndarray) -> None:
    """Raise ``ValueError`` unless `X` has the images that `estimator` was fitted on.

    Flat rows get scikit-learn's own messages for names and numbers of features.
    """
    if array.ndim == 2:
        validate_data(estimator, X, reset=False, skip_check_array=True)
    elif not same_shape(array, estimator.image_shape_, estimator._data_format):
        shape = image_shape_of(array, estimator._data_format)
        raise ValueError(
            f"X holds images of shape {shape} (channels, height, width), but "
            f"{type(estimator).__name__} was fitted on images of shape {estimator.image_shape_}."
        )


def as_images(array: np.ndarray, shape: Shape, data_format: str) -> Images:
    """See the array as images; no copy is made."""
    C, H, W = shape
    if data_format == "channels_last":
        return Images(array.reshape(len(array), H, W, C), True)
    return Images(array.reshape(len(array), C, H, W), False)


def feature_names(X: Any) -> np.ndarray | None:
    """Names of the columns of a dataframe, or None.

    scikit-learn's check writes them into the estimator it is given; that it
    gets another one keeps a fit that fails later from leaving traces.
    """
    probe = BaseEstimator()
    validate_data(probe, X, skip_check_array=True)
    return getattr(probe, "feature_names_in_", None)


def check_classes(y: Any, n_samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the classes in `y`, and what the loss takes for targets.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
        Sorted; the numbers of the labels where `y` is an indicator matrix.
    targets : ndarray of int of shape (n,) or of bool of shape (n, n_labels)
        Every sample's number among the classes, or its labels.

    Raises
    ------
    ValueError
        For a missing `y`, another length than that of `X`, values that are no
        classes, or a single class.
    """
    if y is None:
        raise ValueError(f"{OWNER} requires y to be passed, but the target y is None.")
    if is_matrix(y):
        labels = _check_labels(y, n_samples, "y")
        if (labels == labels[0]).all():
            raise ValueError(
                f"{OWNER} needs samples of at least 2 classes in the data, but all samples have "
                f"the same labels: {labels[0].astype(int).tolist()}."
            )
        return np.arange(labels.shape[1]), labels
    classes, targets = _unique_labels(y, n_samples, "y")
    if len(classes) < 2:
        raise ValueError(
            f"{OWNER} needs samples of at least 2 classes in the data, but the data contains "
            f"only one class: {classes.tolist()[0]!r}."
        )
    return classes, targets


def _unique_labels(y: Any, n_samples: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The different labels, sorted, and every sample's number among them."""
    y = column_or_1d(y, warn=True)
    try:
        y = check_array(
            y, dtype=None, ensure_2d=False, ensure_min_samples=0, estimator=OWNER, input_name=name
        )
    except TypeError:  # pandas.NA is neither equal nor unequal to itself
        missing = [i for i, label in enumerate(y) if type(label).__name__ == "NAType"]
        if not missing:
            raise
        raise ValueError(
            f"{OWNER}: {name} must hold a label for every sample, but {len(missing)} are missing, "
            f"the first in row {missing[0]}."
        ) from None
    check_consistent_length(np.empty((n_samples, 0)), y)
    try:
        check_classification_targets(y)
        return np.unique(y, return_inverse=True)
    except TypeError:
        kinds = sorted({type(label).__name__ for label in y})
        raise TypeError(f"{OWNER}: {name} must hold labels of one type, got {kinds}.") from None


def check_known_classes(
    y: Any, classes: np.ndarray, several: bool, n_samples: int, name: str, known: str
) -> np.ndarray:
    """Return the targets of samples whose classes are known; not all need to be in `y`.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_labels)
    classes : ndarray
        As `check_classes` gives them.
    several : bool
        Whether a sample has several labels, and `y` is an indicator matrix.
    n_samples : int
    name, known : str
        What errors call `y`, and those whose classes are known.

    Raises
    ------
    ValueError
        As `check_classes`, and for labels that are none of the classes.
    """
    if y is None:
        raise ValueError(f"{OWNER} requires {name} to be passed, but it is None.")
    if is_matrix(y) != several:
        what = f"a matrix of {len(classes)} labels" if several else "1D class labels"
        raise ValueError(
            f"{OWNER}: {name} must be {what}, as known from {known}, got an array of shape "
            f"{np.shape(y)}."
        )
    if several:
        matrix = _check_labels(y, n_samples, name)
        if matrix.shape[1] != len(classes):
            raise ValueError(
                f"{OWNER}: {name} has {matrix.shape[1]} labels, but {known} {len(classes)}."
            )
        return matrix
    labels, targets = _unique_labels(y, n_samples, name)
    numbers = {label: i for i, label in enumerate(classes.tolist())}  # "0" is not 0
    unknown = [label for label in labels.tolist() if label not in numbers]
    if unknown:
        raise ValueError(
            f"{OWNER}: {name} holds labels that are not among those of {known}: {unknown}; "
            f"known are {classes.tolist()}."
        )
    return np.array([numbers[label] for label in labels.tolist()], dtype=np.intp)[targets]


def check_label_set(classes: Any) -> np.ndarray:
    """Return the argument `classes` of ``partial_fit``, sorted and without repetitions."""
    labels, _ = _unique_labels(classes, len(column_or_1d(classes)), "classes")
    if len(labels) < 2:
        raise ValueError(f"{OWNER}: classes must hold at least 2 labels, got {labels.tolist()}.")
    return labels


def check_sample_weight(sample_weight: Any, n: int, name: str = "sample_weight") -> np.ndarray:
    """Weight of every sample in float64, 1 for None.

    Raises
    ------
    ValueError
        For weights that are negative or not finite, and for other numbers than `n`.
    """
    if sample_weight is None:
        return np.ones(n)
    weights = np.asarray(sample_weight)
    if weights.ndim == 0:
        weights = np.full(n, weights)
    if weights.ndim != 1:
        raise ValueError(f"{name} must be 1D, got an array of shape {weights.shape}.")
    weights = check_array(weights, dtype=np.float64, ensure_2d=False, input_name=name)
    if len(weights) != n:
        raise ValueError(f"{name} holds {len(weights)} weights for {n} samples.")
    if (weights < 0).any():
        raise ValueError(f"{name} must not be negative, but its minimum is {weights.min():g}.")
    return weights


def is_matrix(y: Any) -> bool:
    """Whether `y` has two axes and more than one column, or is a sparse matrix."""
    try:
        shape = y.shape if hasattr(y, "shape") else np.asarray(y).shape
    except ValueError:  # rows of several lengths
        type_of_target(y, input_name="y")  # knows those that name the labels of each sample
        raise
    return len(shape) == 2 and (shape[1] != 1 or hasattr(y, "toarray"))


def _check_labels(y: Any, n_samples: int, name: str) -> np.ndarray:
    """Return the indicator matrix `y` as booleans."""
    y = check_array(
        y, accept_sparse="csr", dtype=None, ensure_min_samples=0, estimator=OWNER, input_name=name
    )
    check_consistent_length(np.empty((n_samples, 0)), y)
    if y.shape[1] == 1:
        raise ValueError(
            f"{OWNER}: a sparse {name} must have a column for each of several labels, got the "
            f"shape {y.shape}; use {name}.toarray().ravel() for two classes."
        )
    y = y.toarray() if hasattr(y, "toarray") else y
    if y.dtype.kind == "O":  # such as a dataframe with columns of booleans and of integers
        with suppress(TypeError, ValueError):
            y = y.astype(np.float64)
    kind = "unknown" if y.dtype.kind == "O" else type_of_target(y, input_name=name)
    if kind == "continuous-multioutput":
        check_classification_targets(y)  # raises
    if kind != "multilabel-indicator" or not np.isin(y, (0, 1)).all():
        raise ValueError(
            f"{OWNER}: {name} of shape {y.shape} has values other than 0 and 1 (type of target "
            f"{kind!r}), which is not supported. Pass a matrix of 0 and 1 for several labels a "
            "sample, 1D class labels, or wrap the classifier in "
            "sklearn.multioutput.MultiOutputClassifier."
        )
    return y.astype(bool)


def check_weights(
    sample_weight: Any, class_weight: Any, classes: np.ndarray, targets: np.ndarray
) -> np.ndarray:
    """Weight of every sample times that of its class, in float64, not yet normalised.

    Parameters
    ----------
    sample_weight : array-like of shape (n,), number or None
    class_weight : dict, list of dict, "balanced" or None
        "balanced" is ``sum of weights / (n_classes * weight of the class)``. With
        an indicator matrix it is a product over the labels, a dict for each.
    classes, targets : ndarray
        As `check_classes` gives them.

    Raises
    ------
    ValueError
        For weights that are negative, not finite, all zero or zero but for one
        class (or samples with the same labels), of another length than `y`, and
        for a `class_weight` that is none.
    """
    weights = check_sample_weight(sample_weight, len(targets))
    table = class_weights(class_weight, classes, targets, weights)
    weights = weigh_by_class(weights, table, targets)
    if targets.ndim == 2:
        counted = targets[weights > 0]
        if (counted == counted[:1]).all():
            what = "all zero" if not len(counted) else (
                f"positive only for the labels {counted[0].astype(int).tolist()}"
            )  # fmt: skip
            raise ValueError(
                f"{OWNER} needs samples with different labels and a positive weight, but the "
                f"weights (sample_weight times class_weight) are {what}."
            )
        return weights
    present = np.bincount(targets, weights=weights, minlength=len(classes)) > 0
    if present.sum() < 2:
        what = "all zero" if not present.any() else (
            f"positive for one class only: {classes[present].tolist()[0]!r}"
        )  # fmt: skip
        raise ValueError(
            f"{OWNER} needs samples of at least 2 classes with a positive weight, but the "
            f"weights (sample_weight times class_weight) are {what}."
        )
    return weights


def weigh_by_class(
    weights: np.ndarray, table: np.ndarray, targets: np.ndarray, scaled: bool = True
) -> np.ndarray:
    """Sample weights times those in a table of `class_weights`.

    Several labels multiply. Only ratios matter unless `scaled` is false; many
    factors would leave the range of numbers.

    Raises
    ------
    ValueError
        Where the sum is not finite.
    """
    with np.errstate(all="ignore"):
        if targets.ndim == 1:
            weights = weights * table[targets]
        else:
            product = np.ones(len(targets))
            for column, (no, yes) in zip(targets.T, table, strict=True):
                product *= np.where(column, yes, no)
                product /= (product.max() or 1) if scaled else 1
            weights = weights * product
        if not np.isfinite(weights.sum()):
            raise ValueError(
                f"{OWNER}: the weights (sample_weight times class_weight) are too large to be "
                "summed; only their ratios matter, so scale them down."
            )
    return weights


def class_weights(
    class_weight: Any, classes: np.ndarray, targets: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """What the parameter `class_weight` means, "balanced" by the weighted samples.

    Returns
    -------
    ndarray of shape (n_classes,) or (n_labels, 2)
        Weight of each class; for several labels, of 0 and of 1 in each.
    """
    if targets.ndim == 1:
        return _class_weights(class_weight, classes, targets, weights)
    return _label_weights(class_weight, targets, weights)


def _class_weights(
    class_weight: Any, classes: np.ndarray, targets: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    if isinstance(class_weight, str) and class_weight == "balanced":
        totals = np.bincount(targets, weights=weights, minlength=len(classes))
        empty = totals == 0
        return np.where(empty, 0, weights.sum() / (len(classes) * np.where(empty, 1, totals)))
    if class_weight is None:
        return np.ones(len(classes))
    if not isinstance(class_weight, dict):
        raise ValueError(
            f"{OWNER}: class_weight must be None, 'balanced' or a dict from class labels to "
            f"weights, got {class_weight!r}."
        )
    for label, value in class_weight.items():
        check_real(OWNER, f"class_weight[{label!r}]", value, 0)
    result = compute_class_weight(class_weight, classes=classes, y=classes[targets])
    return np.asarray(result, dtype=np.float64)


def _label_weights(class_weight: Any, targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """For every label the weights of 0 and of 1."""
    n_labels = targets.shape[1]
    if class_weight is None or isinstance(class_weight, str):
        class_weight = [class_weight] * n_labels
    elif not (
        isinstance(class_weight, (list, tuple))
        and len(class_weight) == n_labels
        and all(isinstance(weights_of_label, dict) for weights_of_label in class_weight)
    ):
        raise ValueError(
            f"{OWNER}: class_weight must be None, 'balanced' or, for a y of {n_labels} labels, a "
            f"list of {n_labels} dicts from 0 and 1 to weights, got {class_weight!r}."
        )
    table = [
        _class_weights(weights_of_label, np.arange(2), column, weights)
        for column, weights_of_label in zip(targets.T.astype(int), class_weight, strict=True)
    ]
    return np.array(table)


def held_out_size(targets: np.ndarray, fraction: float) -> int:
    """Return ``max(ceil(fraction · n), classes)``, or raise where that leaves nothing.

    Labels in an indicator matrix ask for no number of samples.
    """
    n = len(targets)
    size = max(ceil(fraction * n), len(np.unique(targets)) if targets.ndim == 1 else 1)
    if size >= n:
        raise ValueError(
            f"{OWNER}: early_stopping with validation_fraction={fraction:g} holds out {size} of "
            f"{n} samples, which leaves none to train on."
        )
    return size


def held_out_rows(
    targets: np.ndarray, fraction: float, random_state: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray]:
    """Split off ``max(ceil(fraction · n), classes)`` rows for validation.

    Stratified where every class has two members and both parts have room for
    every class, but not by labels in an indicator matrix.

    Returns
    -------
    training, validation : ndarray of int
        Row numbers, sorted.
    """
    from sklearn.model_selection import train_test_split  # takes half of the import's time

    n, size = len(targets), held_out_size(targets, fraction)
    stratified = False
    if targets.ndim == 1:
        counts = np.bincount(targets)
        counts = counts[counts > 0]
        stratified = counts.min() >= 2 and n - size >= len(counts)
    training, validation = train_test_split(
        np.arange(n),
        test_size=size,
        random_state=random_state,
        stratify=targets if stratified else None,
    )
    return np.sort(training), np.sort(validation)

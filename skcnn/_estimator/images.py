"""From `X`, as users pass it, to images."""

from dataclasses import dataclass, replace
from math import isqrt
from typing import Any
from warnings import warn

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import assert_all_finite, check_array
from sklearn.utils.validation import validate_data

from skcnn._hyperparameters import check_choice, check_int
from skcnn.batches import Images
from skcnn.layers._layer import Shape

__all__ = ["Input", "read_fitted", "read_images", "read_like"]

FORMS = "(n, features), (n, height, width) or (n, channels, height, width)"
FORMS_LAST = "(n, features), (n, height, width) or (n, height, width, channels)"


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class Input:
    """Images as the user holds them.

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
    rows : ndarray of int or None, default=None
        Which of them are meant; None is all of them.
    """

    X: Any
    array: np.ndarray
    names: np.ndarray | None
    data_format: str
    shape: Shape
    rows: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.array) if self.rows is None else len(self.rows)

    def subset(self, rows: np.ndarray) -> "Input":
        """Some of the images, without a copy of them."""
        return replace(self, rows=rows if self.rows is None else self.rows[rows])

    @property
    def images(self) -> Images:
        """For the engine, not scaled yet, and not copied."""
        C, H, W = self.shape
        if self.data_format == "channels_last":
            images = Images(self.array.reshape(len(self.array), H, W, C), True)
        else:
            images = Images(self.array.reshape(len(self.array), C, H, W), False)
        return images if self.rows is None else images.subset(self.rows)

    def given(self) -> Any:
        """In the form of `X`; dataframes keep their names."""
        X: Any = self.X
        if self.rows is None:
            return X
        if hasattr(X, "iloc"):
            return X.iloc[self.rows]
        if self.names is None:
            return self.array[self.rows]
        return X.take(self.rows) if hasattr(X, "take") else X[self.rows]  # of pyarrow, of polars


def read_images(X: Any, image_shape: Any, data_format: str, owner: str) -> Input:
    """Check the `X` of a first fit; `owner` is the estimator that errors name."""
    array = check_X(X, owner)
    return Input(
        X=X,
        array=array,
        names=feature_names(X),
        data_format=data_format,
        shape=check_image_shape(array, image_shape, data_format, owner),
    )


def read_like(X: Any, first: Input, name: str, owner: str) -> Input:
    """Check other images of the same shape and columns; errors call them `name`."""
    array, data_format = check_X(X, owner, name), first.data_format
    if not same_shape(array, first.shape, data_format):
        what = (
            f"rows of {array.shape[1]} features"
            if array.ndim == 2
            else f"images of shape {image_shape_of(array, data_format)}"
        )
        raise ValueError(
            f"{owner}: {name} holds {what}, but X images of shape {first.shape} (channels, height, "
            f"width), which are {int(np.prod(first.shape))} features."
        )
    names = feature_names(X)
    if names is not None and first.names is not None and not np.array_equal(names, first.names):
        raise ValueError(f"{owner}: {name} must have the columns of X, in the same order.")
    return Input(X=X, array=array, names=names, data_format=data_format, shape=first.shape)


def read_fitted(X: Any, estimator: Any) -> Input:
    """Check images of the kind that `estimator` was fitted on.

    Flat rows get scikit-learn's own messages for names and numbers of features.
    """
    owner, data_format = type(estimator).__name__, estimator._data_format
    array = check_X(X, owner)
    if array.ndim == 2:
        validate_data(estimator, X, reset=False, skip_check_array=True)
    elif not same_shape(array, estimator.image_shape_, data_format):
        raise ValueError(
            f"X holds images of shape {image_shape_of(array, data_format)} (channels, height, "
            f"width), but {owner} was fitted on images of shape {estimator.image_shape_}."
        )
    return Input(
        X=X,
        array=array,
        names=getattr(estimator, "feature_names_in_", None),
        data_format=data_format,
        shape=estimator.image_shape_,
    )


def check_X(X: Any, owner: str, name: str = "X") -> np.ndarray:
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
        assert_all_finite(X, estimator_name=owner, input_name=name)
        return X
    array = check_array(X, dtype="numeric", allow_nd=True, estimator=owner, input_name=name)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{owner}: {name} must hold real numbers, got dtype {array.dtype}.")
    if array.ndim > 4:
        raise ValueError(
            f"{owner}: {name} must have shape {FORMS} (or, with data_format='channels_last', "
            f"{FORMS_LAST}), got {array.ndim} dimensions: {array.shape}."
        )
    if 0 in array.shape:
        raise ValueError(
            f"{owner}: {name} holds images without pixels, its shape is {array.shape}."
        )
    return array


def check_image_shape(array: np.ndarray, image_shape: Any, data_format: str, owner: str) -> Shape:
    """Find the (channels, height, width) of the images in `array`.

    Parameters
    ----------
    array : ndarray of 2, 3 or 4 dimensions
    image_shape : tuple of int or None
        As the user gave it, in the order of `data_format`.
    data_format : {"channels_first", "channels_last"}
    owner : str

    Returns
    -------
    tuple of int

    Raises
    ------
    ValueError
        Where `image_shape` is no shape, or not that of the images.
    """
    check_choice(owner, "data_format", data_format, ["channels_first", "channels_last"])
    if image_shape is not None:
        shape = _given_shape(image_shape, data_format, owner)
        if not same_shape(array, shape, data_format):
            raise ValueError(
                f"{owner}: image_shape={image_shape!r} with data_format={data_format!r} does "
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


def _given_shape(image_shape: Any, data_format: str, owner: str) -> Shape:
    order = "(height, width, channels)" if data_format == "channels_last" else (
        "(channels, height, width)"
    )  # fmt: skip
    allowed = isinstance(image_shape, (tuple, list, np.ndarray)) and len(image_shape) in (2, 3)
    if not allowed:
        raise ValueError(
            f"{owner}: image_shape must be None, (height, width) or {order}, got {image_shape!r}."
        )
    sizes = tuple(
        check_int(owner, f"image_shape[{i}]", size, 1) for i, size in enumerate(image_shape)
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


def feature_names(X: Any) -> np.ndarray | None:
    """Names of the columns of a dataframe, or None.

    scikit-learn's check writes them into the estimator it is given; that it
    gets another one keeps a fit that fails later from leaving traces.
    """
    probe = BaseEstimator()
    validate_data(probe, X, skip_check_array=True)
    return getattr(probe, "feature_names_in_", None)

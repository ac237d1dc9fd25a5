"""From `X`, as users pass it, to images."""

from dataclasses import dataclass, replace
from math import isqrt, prod
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from skcnn._estimator.arrays import as_numbers, check_finite, named, same
from skcnn._estimator.notices import warn_user
from skcnn._hyperparameters import check_choice, check_int
from skcnn.batches import Images
from skcnn.layers._layer import Shape

__all__ = ["Input", "read_fitted", "read_images", "read_like"]

FORMS = "(n, features), (n, height, width) or, with the channels first or last, four axes"
AXES = {
    "channels_first": "channels, height, width",
    "channels_last": "height, width, channels",
}
ORDERS = list(AXES)
CHANNELS = (1, 3, 4)
"""How many channels an image usually has."""


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
    name : str, default="X"
        What errors call them.
    """

    X: Any
    array: np.ndarray
    names: np.ndarray | None
    data_format: str
    shape: Shape
    rows: np.ndarray | None = None
    name: str = "X"

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
            images = Images(self.array.reshape(len(self.array), H, W, C), True, name=self.name)
        else:
            images = Images(self.array.reshape(len(self.array), C, H, W), False, name=self.name)
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
    shape, order = settle_shape(array, image_shape, data_format, owner)
    names = feature_names(X, "X", owner)
    return Input(X=X, array=array, names=names, data_format=order, shape=shape)


def read_like(X: Any, first: Input, name: str, owner: str) -> Input:
    """Check other images of the same shape and columns; errors call them `name`."""
    array, data_format = check_X(X, owner, name), first.data_format
    if array.shape[1:] not in forms(first.shape, data_format):
        raise ValueError(
            f"{owner}: {name} holds {_described(array, data_format)}, but X images of shape "
            f"{_in_order(first.shape, data_format)} ({AXES[data_format]}), which are "
            f"{prod(first.shape)} features."
        )
    names = feature_names(X, name, owner)
    if names is not None and first.names is not None and not same(names, first.names):
        raise ValueError(f"{owner}: {name} must have the columns of X, in the same order.")
    return Input(
        X=X, array=array, names=names, data_format=data_format, shape=first.shape, name=name
    )


def read_fitted(X: Any, estimator: Any) -> Input:
    """Check images of the kind that `estimator` was fitted on.

    Flat rows get scikit-learn's own messages for names and numbers of features.
    """
    owner, data_format = type(estimator).__name__, estimator._data_format
    array, shape = check_X(X, owner), estimator.image_shape_
    if array.shape[1:] not in forms(shape, data_format):
        if array.shape in forms(shape, data_format)[1:]:
            raise ValueError(
                f"X has the shape {array.shape} of a single image, but {owner} takes an array of "
                "images: pass X[np.newaxis]."
            )
        if array.ndim > 2:
            raise ValueError(
                f"X holds {_described(array, data_format)}, but {owner} was fitted on images of "
                f"shape {_in_order(shape, data_format)}."
            )
    if array.ndim == 2:
        known = X if hasattr(X, "shape") else array  # what only NumPy can read has no names
        validate_data(estimator, known, reset=False, skip_check_array=True)
    return Input(
        X=X,
        array=array,
        names=getattr(estimator, "feature_names_in_", None),
        data_format=data_format,
        shape=shape,
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
        check_finite(X, name, owner)
        return X
    array = as_numbers(X, name, owner)
    if array.ndim == 1:
        raise ValueError(
            f"{owner}: {name} must have shape {FORMS}, got 1 dimension: {array.shape}. Reshape "
            f"your data: a single image is {name}.reshape(1, -1), signals of one number each are "
            f"{name}.reshape(-1, 1)."
        )
    if array.ndim > 4:
        raise ValueError(
            f"{owner}: {name} must have shape {FORMS}, got {array.ndim} dimensions: {array.shape}."
        )
    if array.shape[0] == 0 or array.shape[1:] == (0,):
        what = "sample" if array.shape[0] == 0 else "feature"
        raise ValueError(
            f"{owner}: {name} holds 0 {what}(s) (shape={array.shape}) while a minimum of 1 is "
            "required."
        )
    if 0 in array.shape:
        raise ValueError(
            f"{owner}: {name} holds images without pixels, its shape is {array.shape}."
        )
    return array


def settle_shape(
    array: np.ndarray, image_shape: Any, data_format: str, owner: str
) -> tuple[Shape, str]:
    """Find the (channels, height, width) of the images in `array`, and the order of their axes.

    Parameters
    ----------
    array : ndarray of 2, 3 or 4 dimensions
    image_shape : tuple of int or None
        As the user gave it.
    data_format : {"auto", "channels_first", "channels_last"}
        "auto" takes the last of four axes (of three in `image_shape`) for the
        channels where it has 1, 3 or 4 entries, the first one has not, and the
        last two differ.
    owner : str

    Returns
    -------
    shape : tuple of int
    order : {"channels_first", "channels_last"}

    Raises
    ------
    ValueError
        Where `image_shape` is no shape, or not that of the images.

    Warns
    -----
    UserWarning
        Where the axes could as well be in the other order, or rows look like
        flattened colour images.
    """
    check_choice(owner, "data_format", data_format, ["auto", *ORDERS])
    if image_shape is not None:
        return _given_shape(array, image_shape, data_format, owner)
    if array.ndim == 4:
        axes, order = array.shape[1:], data_format
        if order == "auto":
            order, doubtful = _order(axes)
            if doubtful:
                last = " x ".join(map(str, axes[:2]))
                warn_user(
                    f"X has shape {array.shape}, which is taken as {axes[0]} channels of {axes[1]} "
                    f"x {axes[2]} pixels. Pass data_format='channels_first' if that is right, or "
                    f"data_format='channels_last' if they are {axes[2]} channels of {last} pixels."
                )
        return _channels_first(axes, order), order
    order = "channels_first" if data_format == "auto" else data_format
    if array.ndim == 3:
        return (1, *array.shape[1:]), order
    features = array.shape[1]
    side = isqrt(features)
    if side * side == features:
        return (1, side, side), order
    side = isqrt(features // 3)
    if side >= 8 and features == 3 * side * side:
        shape = (side, side, 3) if order == "channels_last" else (3, side, side)
        warn_user(
            f"X has {features} features, which looks like flattened colour images, but is taken "
            f"as signals of that length. Pass image_shape={shape} if they are images, or "
            f"image_shape=(1, {features}) if they are signals."
        )
    return (1, 1, features), order


def _order(axes: Shape) -> tuple[str, bool]:
    """What "auto" takes three axes for, and whether they could as well be the other order."""
    first, last = axes[0] in CHANNELS, axes[2] in CHANNELS
    equal = axes[1] == axes[2]
    if last and not first and not equal:
        return "channels_last", False
    return "channels_first", last


def _given_shape(
    array: np.ndarray, image_shape: Any, data_format: str, owner: str
) -> tuple[Shape, str]:
    """The shape that the user gave, and the order of the axes, if `array` has such images."""
    if not (
        isinstance(image_shape, (tuple, list, np.ndarray))
        and getattr(image_shape, "ndim", 1) == 1
        and len(image_shape) in (1, 2, 3)
    ):
        raise ValueError(
            f"{owner}: image_shape must be None, (length,), (height, width) or (channels, height, "
            f"width), with the channels last where data_format says so, got {image_shape!r}."
        )
    sizes = tuple(
        check_int(owner, f"image_shape[{i}]", size, 1) for i, size in enumerate(image_shape)
    )
    readings = []
    for order in ORDERS if data_format == "auto" else [data_format]:
        shape = _channels_first(sizes, order) if len(sizes) == 3 else (1, 1, *sizes)[-3:]
        if array.shape[1:] in forms(shape, order):
            readings.append((shape, order))
    if not readings:
        raise ValueError(
            f"{owner}: image_shape={image_shape!r} with data_format={data_format!r} does not "
            f"match X, whose shape is {array.shape}."
        )
    if len(readings) == 1 or len(sizes) < 3:
        return readings[0]
    order, doubtful = _order(sizes)
    if doubtful:
        warn_user(
            f"image_shape={image_shape!r} is taken as {sizes[0]} channels of {sizes[1]} x "
            f"{sizes[2]} pixels. Pass data_format='channels_first' if that is right, or "
            "data_format='channels_last' if the channels are last."
        )
    return _channels_first(sizes, order), order


def _channels_first(sizes: Shape, data_format: str) -> Shape:
    return (sizes[2], *sizes[:2]) if data_format == "channels_last" else sizes


def forms(shape: Shape, data_format: str) -> list[Shape]:
    """The forms that one image may have: flat, all three axes, or without an axis of size 1."""
    C, H, W = shape
    axes = (H, W, C) if data_format == "channels_last" else shape
    shorter = [axes[:i] + axes[i + 1 :] for i in range(3) if axes[i] == 1]
    return [(C * H * W,), axes, *shorter]


def _described(array: np.ndarray, data_format: str) -> str:
    """What an array holds."""
    if array.ndim == 2:
        return f"rows of {array.shape[1]} features"
    axes = array.shape[1:]
    if array.ndim == 3:
        axes = _in_order((1, *axes), data_format)
    return f"images of shape {axes} ({AXES[data_format]})"


def _in_order(shape: Shape, data_format: str) -> Shape:
    """The shape of an image in the order of the axes that the user has."""
    return (*shape[1:], shape[0]) if data_format == "channels_last" else shape


def feature_names(X: Any, name: str, owner: str) -> np.ndarray | None:
    """Names of the columns of a dataframe, or None.

    scikit-learn's check writes them into the estimator it is given; that it
    gets another one keeps a fit that fails later from leaving traces.
    """
    probe = BaseEstimator()
    try:
        validate_data(probe, X, skip_check_array=True)
    except TypeError as error:  # such as for names of several types
        raise named(error, name, owner) from None
    return getattr(probe, "feature_names_in_", None)

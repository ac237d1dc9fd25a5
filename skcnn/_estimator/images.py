"""Images in the `X` that users pass: checks, and the meaning of its axes."""

from dataclasses import dataclass, replace
from math import isqrt, prod
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from skcnn._estimator.arrays import as_numbers, check_finite, naming, same
from skcnn._estimator.colour import warn_of_colour
from skcnn._estimator.user_warnings import warn_user
from skcnn._hyperparameters import check_choice, check_int
from skcnn.architectures.blocks import is_signal
from skcnn.data import Images, Scaling
from skcnn.layers._layer import Shape

__all__ = ["NARROW", "SIGNALS", "Input", "read_fitted", "read_images", "read_like"]

IMAGES = "(n, features), (n, height, width) or, with the channels first or last, four axes"
SIGNALS = {
    "channels_first": "(n, length) or (n, channels, length)",
    "channels_last": "(n, length) or (n, length, channels)",
}
AXES = {
    "channels_first": "channels, height, width",
    "channels_last": "height, width, channels",
}
ORDERS = list(AXES)
CHANNELS = (1, 3, 4)
"""Common numbers of channels."""

NARROW = 8
"""Least ratio of sides at which an image could be signals of several channels."""


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class Input:
    """Checked images in the user's array.

    Parameters
    ----------
    X : array-like
        Images as the user passed them.
    names : ndarray of str or None
        Names of the features.
    images : Images
        Those in use, neither scaled nor copied.
    """

    X: Any
    names: np.ndarray | None
    images: Images

    def subset(self, rows: np.ndarray) -> "Input":
        """Select some of the images without copying them."""
        return replace(self, images=self.images.subset(rows))

    def as_X(self) -> Any:
        """Return the images in the form of `X`; dataframes keep their column names."""
        X, rows = self.X, self.images.rows
        if rows is None:
            return X
        if hasattr(X, "iloc"):
            return X.iloc[rows]
        if self.names is None:
            return self.images.X[rows]
        return X.take(rows) if hasattr(X, "take") else X[rows]  # pyarrow, polars


def read_images(X: Any, image_shape: Any, data_format: str, caller: str) -> Input:
    """Check the `X` of a first fit."""
    array = check_X(X, caller)
    shape, order = resolve_shape(array.shape, image_shape, data_format, caller)
    if image_shape is None and array.ndim == 2:
        warn_of_colour(array, shape, order)
    return Input(X=X, names=feature_names(X, "X", caller), images=Images(array, shape, order))


def read_like(X: Any, first: Input, name: str, caller: str) -> Input:
    """Check further images, called `name` in errors, against the shape and columns of the first."""
    shape, data_format = first.images.shape, first.images.data_format
    signals = is_signal(shape)
    array = check_X(X, caller, name, SIGNALS[data_format] if signals else None)
    if not _fits(array.shape[1:], shape, data_format):
        known = _describe(_in_order(shape, data_format), data_format, signals)
        raise ValueError(
            f"{caller}: {name} holds {_describe(array.shape[1:], data_format, signals)}, but X "
            f"{known}, which are {prod(shape)} features."
        )
    names = feature_names(X, name, caller)
    if names is not None and first.names is not None and not same(names, first.names):
        raise ValueError(f"{caller}: {name} must have the columns of X, in the same order.")
    return Input(X=X, names=names, images=Images(array, shape, data_format, name=name))


def read_fitted(X: Any, estimator: Any) -> Images:
    """Check images against those that `estimator` was fitted on, and return them with its scaling.

    For flat rows, scikit-learn's own errors name wrong columns and numbers of features.
    """
    caller, data_format = type(estimator).__name__, estimator._data_format
    shape, signals = estimator.image_shape_, is_signal(estimator.image_shape_)
    array = check_X(X, caller, signals=SIGNALS[data_format] if signals else None)
    if not _fits(array.shape[1:], shape, data_format):
        if array.shape in forms(shape, data_format)[1:]:
            thing = "signal" if signals else "image"
            raise ValueError(
                f"X has the shape {array.shape} of a single {thing}, but {caller} takes an array "
                f"of {thing}s: pass X[np.newaxis]."
            )
        if array.ndim > 2:
            fitted = _describe(_in_order(shape, data_format), data_format, signals)
            raise ValueError(
                f"X holds {_describe(array.shape[1:], data_format, signals)}, but {caller} was "
                f"fitted on {fitted}{'' if signals else ', and keeps that order'}."
                f"{_transposed(array, shape, data_format)}"
            )
    if array.ndim == 2:
        has_columns = len(getattr(X, "shape", ())) == 2  # false for a polars series of arrays
        known = X if has_columns else array
        validate_data(estimator, known, reset=False, skip_check_array=True)
    return Images(array, shape, data_format, Scaling(estimator.input_mean_, estimator.input_scale_))


def check_X(X: Any, caller: str, name: str = "X", signals: str | None = None) -> np.ndarray:
    """Return `X`, called `name` in errors, as a finite numeric array of two to four dimensions.

    Arrays are not copied. Where only signals are allowed, `signals` is the forms of `X` that errors
    name.

    Raises
    ------
    TypeError
        For sparse matrices, and for objects that are not numbers.
    ValueError
        For NaN, infinity, text, and other numbers of dimensions.
    """
    if type(X) is np.ndarray and X.dtype.kind in "biuf" and 2 <= X.ndim <= 4 and X.size:
        # shortcut that takes a third of the time, since predicting a row takes only 0.2 ms
        check_finite(X, name, caller)
        return X
    array, allowed = as_numbers(X, name, caller), signals or IMAGES
    if array.ndim == 1:
        raise ValueError(
            f"{caller}: {name} must have shape {allowed}, got 1 dimension: {array.shape}. Reshape "
            f"your data: a single {'signal' if signals else 'image'} is {name}.reshape(1, -1), "
            f"signals of one number each are {name}.reshape(-1, 1)."
        )
    if array.ndim > 4:
        raise ValueError(
            f"{caller}: {name} must have shape {allowed}, got {array.ndim} dimensions: "
            f"{array.shape}."
        )
    if array.shape[0] == 0 or array.shape[1:] == (0,):
        what = "sample" if array.shape[0] == 0 else "feature"
        raise ValueError(
            f"{caller}: {name} holds 0 {what}(s) (shape={array.shape}) while a minimum of 1 is "
            "required."
        )
    if 0 in array.shape:
        empty = "signals without points" if signals else "images without pixels"
        raise ValueError(f"{caller}: {name} holds {empty}, its shape is {array.shape}.")
    return array


def resolve_shape(
    found: Shape, image_shape: Any, data_format: str, caller: str
) -> tuple[Shape, str]:
    """Find the shape (channels, height, width) of images, and the order of the axes in their array.

    Parameters
    ----------
    found : tuple of 2, 3 or 4 ints
        Shape of the array.
    image_shape : tuple of int or None
        Parameter of the estimator.
    data_format : {"auto", "channels_first", "channels_last"}
        "auto" takes the last axis of an image for the channels if it has 1, 3
        or 4 entries, the first does not, and the last two have different sizes.
    caller : str

    Returns
    -------
    shape : tuple of int
    order : {"channels_first", "channels_last"}

    Raises
    ------
    ValueError
        If `image_shape` is not a shape, or not that of the images.

    Warns
    -----
    UserWarning
        If another reading is common as well: another order of the axes, or signals
        of several channels.
    """
    check_choice(caller, "data_format", data_format, ["auto", *ORDERS])
    if image_shape is not None:
        return _given_shape(found, image_shape, data_format, caller)
    if len(found) == 4:
        return _four_axes(found, data_format)
    order = "channels_first" if data_format == "auto" else data_format
    if len(found) == 3:
        _, height, width = found
        if _is_narrow(height, width):
            _warn_of_signals(f"X has shape {found}, which", height, width, data_format=data_format)
        return (1, height, width), order
    features = found[1]
    side = isqrt(features)
    return ((1, side, side) if side * side == features else (1, 1, features)), order


def _four_axes(found: Shape, data_format: str) -> tuple[Shape, str]:
    """Return the image shape for an array of the shape `found`, and the order of its axes."""
    axes, order = found[1:], data_format
    if order == "auto":
        order, doubt = _order(axes)
        if doubt == "order":
            last = " x ".join(map(str, axes[:2]))
            warn_user(
                f"X has shape {found}, which is taken as {_channels(axes[0])} of {axes[1]} "
                f"x {axes[2]} pixels. Pass data_format='channels_first' if that is right, or "
                f"data_format='channels_last' if they are {_channels(axes[2])} of {last} pixels."
            )
        elif doubt == "signals":
            _, height, width = _channels_first(axes, order)
            _warn_of_signals(f"X has shape {found}, which", height, width)
    return _channels_first(axes, order), order


def _order(axes: Shape) -> tuple[str, str | None]:
    """Return the order that "auto" assumes for three axes, and the reason to doubt it.

    Returns
    -------
    order : {"channels_first", "channels_last"}
    doubt : {"order", "signals", None}
        "order" if the other order is as likely, "signals" if one channel is
        assumed although there may be several signals.
    """
    first, middle, last = axes
    if last in CHANNELS and first not in CHANNELS and middle != last:
        order, others = "channels_last", (first, middle)
    else:
        order, others = "channels_first", (middle, last)
        if first == last == 1:  # both orders are the same image
            return order, None
        few = last < min(first, middle) or (middle == 1 and NARROW * last <= first)
        square = first == middle != last and first > 1  # patches with many bands, feature maps
        if last in CHANNELS or few or square:
            return order, "order"
    one = (first if order == "channels_first" else last) == 1
    return order, "signals" if one and _is_narrow(*others) else None


def _is_narrow(height: int, width: int) -> bool:
    """Whether images of this size could be signals of several channels instead."""
    small, large = sorted((height, width))
    return small > 1 and NARROW * small <= large


def _warn_of_signals(what: str, height: int, width: int, *, data_format: str = "auto") -> None:
    """Warn that `what` is read as one channel although it may be several signals."""
    channels, length = sorted((height, width))
    shape, order = (
        ((channels, 1, length), "channels_first")
        if height < width
        else ((1, length, channels), "channels_last")
    )
    settled = _order(shape) == (order, None) if data_format == "auto" else data_format == order
    cure = f"image_shape={shape}" + ("" if settled else f" and data_format={order!r}")
    warn_user(
        f"{what} is taken as one channel of {height} x {width} pixels. Pass image_shape=({height}, "
        f"{width}) if that is right, or {cure} if they are signals of {channels} channels and "
        f"{length} points."
    )


def _given_shape(
    found: Shape, image_shape: Any, data_format: str, caller: str
) -> tuple[Shape, str]:
    """Return the image shape and order of axes for a given `image_shape`, if `found` matches it."""
    if not (
        isinstance(image_shape, (tuple, list, np.ndarray))
        and getattr(image_shape, "ndim", 1) == 1
        and len(image_shape) in (1, 2, 3)
    ):
        raise ValueError(
            f"{caller}: image_shape must be None, (length,), (height, width) or (channels, height, "
            f"width), with the channels last where data_format says so, got {image_shape!r}."
        )
    sizes = tuple(
        check_int(caller, f"image_shape[{i}]", size, 1) for i, size in enumerate(image_shape)
    )
    doubt = None
    if data_format != "auto":
        orders = [data_format]
    elif len(sizes) < 3:
        orders = ORDERS
    else:
        order, doubt = _order(sizes)
        orders = [order]
    for order in orders:
        shape = _channels_first(sizes, order) if len(sizes) == 3 else (1, 1, *sizes)[-3:]
        if _fits(found[1:], shape, order):
            break
    else:
        raise ValueError(
            f"{caller}: image_shape={image_shape!r} with data_format={data_format!r} does not "
            f"match X, whose shape is {found}.{_cure(found[1:], sizes, data_format)}"
        )
    if doubt == "order":
        warn_user(
            f"image_shape={image_shape!r} is taken as {_channels(sizes[0])} of {sizes[1]} x "
            f"{sizes[2]} pixels. Pass data_format='channels_first' if that is right, or "
            "data_format='channels_last' if the channels are last."
        )
    elif doubt == "signals":
        _warn_of_signals(f"image_shape={image_shape!r}", *shape[1:])
    return shape, order


def _cure(axes: Shape, sizes: Shape, data_format: str) -> str:
    """Return the advice for images that have as many values as an `image_shape`, or nothing."""
    if prod(axes) != prod(sizes):
        return ""
    if len(axes) == len(sizes) == 3:
        order = _order(axes)[0] if data_format == "auto" else data_format
        if _channels_first(axes, order) in [_channels_first(sizes, order) for order in ORDERS]:
            return f" Pass image_shape={axes}, which is the order of X, or leave it out."
    if sorted(_longer(axes)) == sorted(_longer(sizes)):  # reshape would mix the values
        return " The axes have another order, which np.transpose changes."
    return f" Pass X.reshape{(-1, *sizes)} if the values are in that order."


def _channels(count: int) -> str:
    return f"{count} channel{'' if count == 1 else 's'}"


def _channels_first(sizes: Shape, data_format: str) -> Shape:
    return (sizes[2], *sizes[:2]) if data_format == "channels_last" else sizes


def _fits(found: Shape, shape: Shape, data_format: str) -> bool:
    """Whether images of the given shape may be stored as `found`.

    Signals may have axes of size 1 in any place.
    """
    if found in forms(shape, data_format):
        return True
    return min(shape[1:]) == 1 and _longer(found) == _longer(_in_order(shape, data_format))


def _longer(axes: Shape) -> Shape:
    """Return the axes with more than one entry."""
    return tuple(size for size in axes if size > 1)


def forms(shape: Shape, data_format: str) -> list[Shape]:
    """Return the shapes one image may have: flat, three axes, or without an axis of size 1."""
    C, H, W = shape
    axes = (H, W, C) if data_format == "channels_last" else shape
    shorter = [axes[:i] + axes[i + 1 :] for i in range(3) if axes[i] == 1]
    return [(C * H * W,), axes, *shorter]


def _describe(axes: Shape, data_format: str, signals: bool) -> str:
    """Describe images with the given axes for errors, if possible as `signals`."""
    if len(axes) == 1:
        return f"rows of {axes[0]} features"
    if len(axes) == 2:
        axes = _in_order((1, *axes), data_format)
    if signals and 1 in axes:
        channels, height, width = _channels_first(axes, data_format)
        length = height * width
        if min(height, width) > 1:  # an image of one channel, one axis of which has the channels
            channels, length = _in_order((height, width), data_format)
        return f"signals of {_channels(channels)} and {length} point{'' if length == 1 else 's'}"
    return f"images of shape {axes} ({AXES[data_format]})"


def _transposed(array: np.ndarray, shape: Shape, data_format: str) -> str:
    """Return the advice to transpose an array whose axes are in the other order, or nothing."""
    if array.ndim == 3 and is_signal(shape) and _fits(array.shape[:0:-1], shape, data_format):
        return " Pass X.transpose(0, 2, 1)."
    other = next(order for order in ORDERS if order != data_format)
    if array.ndim < 4 or array.shape[1:] != _in_order(shape, other):
        return ""
    axes = (0, 2, 3, 1) if other == "channels_first" else (0, 3, 1, 2)
    return f" Pass X.transpose{axes}."


def _in_order(shape: Shape, data_format: str) -> Shape:
    """Return the shape of an image in the order of the user's axes."""
    return (*shape[1:], shape[0]) if data_format == "channels_last" else shape


def feature_names(X: Any, name: str, caller: str) -> np.ndarray | None:
    """Return the column names of a dataframe, or None.

    scikit-learn's check writes them into an estimator. It is given a dummy, so that a fit that
    fails later changes nothing.
    """
    probe = BaseEstimator()
    try:
        validate_data(probe, X, skip_check_array=True)
    except TypeError as error:  # for names of several types, for instance
        raise naming(error, name, caller) from None
    return getattr(probe, "feature_names_in_", None)

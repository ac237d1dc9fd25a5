"""Conversion of array-likes to arrays, with errors that name the argument."""

import operator
import re
import sys
from collections.abc import Iterable
from os import PathLike
from reprlib import repr as shortened
from typing import Any

import numpy as np
from sklearn.utils import assert_all_finite, check_array

__all__ = [
    "as_array", "as_numbers", "check_finite", "check_length", "check_scalars", "naming", "same",
    "shape_of",
]  # fmt: skip


def as_array(value: Any, name: str, caller: str, **how: Any) -> Any:
    """Convert to an array of any dtype with at least one axis; arrays are not copied.

    Parameters
    ----------
    value : array-like
        Scikit-learn converts dataframes and the like.
    name, caller : str
        Names of the argument and of the estimator, for errors.
    **how
        Arguments of `check_array`.

    Returns
    -------
    ndarray, or a sparse matrix if `how` accepts them
        Missing and infinite numbers are not checked.

    Raises
    ------
    ValueError, TypeError
        For anything else, such as rows of different lengths.
    """
    if np.ma.is_masked(value):
        raise ValueError(
            f"{caller}: {name} is a masked array with masked entries, which are not supported; "
            "pass filled() or leave out such rows."
        )
    value = _without_palettes(value)
    shape_of(value, name, caller)
    default = {"ensure_min_samples": 0, "ensure_min_features": 0}
    try:
        return check_array(
            value,
            dtype=None,
            ensure_2d=False,
            allow_nd=True,
            ensure_all_finite=False,
            estimator=caller,
            input_name=name,
            **default | how,
        )
    except (TypeError, ValueError, RuntimeError) as error:  # the last for tensors with a gradient
        raise naming(error, name, caller) from None


def as_numbers(value: Any, name: str, caller: str) -> np.ndarray:
    """Convert to an array of finite real numbers, objects to float64.

    Raises
    ------
    ValueError, TypeError
        For text, dates, complex numbers, missing and infinite numbers.
    """
    array = as_array(value, name, caller)
    if array.dtype.kind == "O":
        text = next((item for item in array.flat if isinstance(item, (str, bytes, PathLike))), None)
        if text is None:
            check_scalars(array, name, caller)  # NumPy accepts arrays of one number as numbers
            try:
                array = array.astype(np.float64)
            except (TypeError, ValueError, OverflowError) as error:
                kind = TypeError if isinstance(error, TypeError) else ValueError
                raise kind(f"{caller}: {name} must hold real numbers: {error}.") from None
    elif array.dtype.kind in "SU" and array.size:
        text = array.flat[0]
    else:
        text = None
    if text is not None:
        raise ValueError(
            f"{caller}: {name} must hold real numbers, got text such as {shortened(text)}. (If "
            "these are names of files, pass what they contain.)"
        )
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{caller}: {name} must hold real numbers, got dtype {array.dtype}.")
    check_finite(array, name, caller)
    return array


def check_scalars(array: np.ndarray, name: str, caller: str) -> None:
    """Raise ``ValueError`` for an array of objects whose entries are arrays."""
    if array.dtype.kind != "O":
        return
    one_of_each = {type(entry): entry for entry in array.flat}
    if not any(map(_inner_shape, one_of_each.values())):
        return
    shapes = {place: _inner_shape(entry) for place, entry in np.ndenumerate(array)}
    (first, shape), *others = shapes.items()
    cure = f"np.stack({name})" if array.ndim == 1 else "np.stack of each column"
    for place, other in others:
        if other != shape:
            raise ValueError(
                f"{caller}: {name} is an array of shape {array.shape} whose entries must be arrays "
                f"of the same shape, but that of entry {_index(first)} is {shape} and that of "
                f"entry {_index(place)} is {other}. Bring them to one shape and pass {cure}."
            )
    raise ValueError(
        f"{caller}: {name} is an array of shape {array.shape} whose entries are arrays of shape "
        f"{shape}. Pass {cure}, one array of numbers."
    )


def check_finite(array: np.ndarray, name: str, caller: str) -> None:
    """Raise ``ValueError`` for numbers that are missing, infinite or beyond float64."""
    kind = array.dtype.kind
    with np.errstate(over="ignore", invalid="ignore"):
        if kind != "f" or not np.isfinite(np.add.reduce(array, axis=None)):  # the sum may overflow
            assert_all_finite(array, estimator_name=caller, input_name=name)
    wide = kind == "f" and array.dtype.itemsize > 8
    if wide and array.size and np.abs(array).max() > np.finfo(np.float64).max:
        raise ValueError(f"{caller}: {name} holds numbers beyond the range of float64.")


def same(left: np.ndarray, right: np.ndarray) -> bool:
    """Whether two arrays have the same shape and entries.

    ``np.array_equal`` returns False on any exception, even one raised by a signal handler.
    """
    return left.shape == right.shape and bool(np.all(left == right))


def check_length(array: Any, n_samples: int, name: str, caller: str) -> None:
    """Raise ``ValueError`` unless there are as many targets as images."""
    found, images = array.shape[0], "X_val" if name == "y_val" else "X"
    if found != n_samples:
        raise ValueError(
            f"{caller}: {images} and {name} have inconsistent numbers of samples: {n_samples} and "
            f"{found}."
        )


def shape_of(value: Any, name: str, caller: str) -> tuple[int, ...]:
    """Return the shape of an array-like; raise ``ValueError`` for rows of different lengths."""
    shape = getattr(value, "shape", None)
    if not isinstance(shape, tuple):
        try:
            shape = np.asarray(value).shape
        except ValueError as error:
            raise ValueError(
                f"{caller}: {name} must have entries of the same shape{_ragged(value, error)}."
            ) from None
        except (TypeError, RuntimeError) as error:  # for tensors with a gradient
            raise naming(error, name, caller) from None
    if shape == ():
        raise ValueError(f"{caller}: {name} must be an array-like, got {shortened(value)}.")
    return shape


def naming(error: Exception, name: str, caller: str) -> Exception:
    """Return the error, or one with the argument's name if this one does not mention it."""
    if re.search(rf"\b{re.escape(name)}\b", str(error)):
        return error
    kind = TypeError if isinstance(error, TypeError) else ValueError
    return kind(f"{caller}: {name}: {error}")


def _without_palettes(value: Any) -> Any:
    """Convert Pillow's palette images in a list to colours; return other values unchanged.

    NumPy would read the palette indices as pixels.
    """
    kind = getattr(sys.modules.get("PIL.Image"), "Image", ())  # imported if there are images
    if not isinstance(value, (list, tuple)):
        return value
    colours = [
        entry.convert("RGBA" if entry.has_transparency_data else "RGB")
        if isinstance(entry, kind) and entry.mode in ("P", "PA")
        else entry
        for entry in value
    ]
    return value if all(map(operator.is_, colours, value)) else colours


def _ragged(value: Any, error: ValueError) -> str:
    """Describe the first entry of a list whose shape differs from that of entry 0."""
    if not isinstance(value, Iterable):
        return f" ({error})"
    try:
        shapes = [np.shape(entry) for entry in value]
    except ValueError:  # uneven within an entry
        return f" ({error})"
    for i, shape in enumerate(shapes):
        if shape != shapes[0]:
            return f", but that of entry 0 is {shapes[0]} and that of entry {i} is {shape}"
    return f" ({error})"


def _inner_shape(entry: Any) -> tuple[int, ...]:
    """Return the shape of an entry, or just its length if it is uneven itself."""
    try:
        return np.shape(entry)
    except ValueError:
        return (len(entry),)


def _index(place: tuple[int, ...]) -> str:
    """Format the index of an entry, as one number if that is enough."""
    return str(place[0] if len(place) == 1 or not any(place[1:]) else list(place))

"""Odd values and odd arrays, by names that stay: a line of the corpus refers to them."""

import array
import datetime
import decimal
import fractions
import os
import pathlib
import tempfile
import warnings

import numpy as np
import pandas as pd
import polars as pl
from scipy import sparse

from skcnn import initializers, layers, optimizers, schedules

JUNK = {
    "none": lambda: None,
    "true": lambda: True,
    "false": lambda: False,
    "numpy true": lambda: np.True_,
    "0": lambda: 0,
    "1": lambda: 1,
    "2": lambda: 2,
    "3": lambda: 3,
    "-1": lambda: -1,
    "10**20": lambda: 10**20,
    "-10**20": lambda: -(10**20),
    "10**400": lambda: 10**400,
    "int8 2": lambda: np.int8(2),
    "uint64 2": lambda: np.uint64(2),
    "2.0": lambda: 2.0,
    "0.5": lambda: 0.5,
    "-0.5": lambda: -0.5,
    "-0.0": lambda: -0.0,
    "1e300": lambda: 1e300,
    "1e-300": lambda: 1e-300,
    "nan": lambda: float("nan"),
    "inf": lambda: float("inf"),
    "-inf": lambda: float("-inf"),
    "float16 0.5": lambda: np.float16(0.5),
    "longdouble 0.5": lambda: np.longdouble(0.5),
    "float32 nan": lambda: np.float32("nan"),
    "fraction": lambda: fractions.Fraction(1, 2),
    "decimal": lambda: decimal.Decimal("0.5"),
    "complex": lambda: 1j,
    "text": lambda: "text",
    "empty text": lambda: "",
    "auto": lambda: "auto",
    "same": lambda: "same",
    "text 3": lambda: "3",
    "numpy text": lambda: np.str_("adam"),
    "bytes": lambda: b"adam",
    "date": lambda: datetime.date(2020, 1, 1),
    "numpy date": lambda: np.datetime64("2020-01-01"),
    "numpy duration": lambda: np.timedelta64(3, "s"),
    "path": lambda: pathlib.Path("here"),
    "empty list": lambda: [],
    "empty tuple": lambda: (),
    "list of 2": lambda: [2],
    "pair": lambda: (2, 2),
    "pair of 0": lambda: (0, 0),
    "pair of floats": lambda: (2.0, 2.0),
    "pair of None": lambda: (None, None),
    "triple": lambda: (1, 4, 4),
    "nested pairs": lambda: [(2, 2), (1, 1)],
    "ragged list": lambda: [[1], [1, 2]],
    "list of text": lambda: ["a", "b"],
    "list of None": lambda: [None],
    "list of huge": lambda: [10**20, 10**20],
    "empty dict": lambda: {},
    "dict": lambda: {0: 1, 1: 2},
    "dict of text": lambda: {"a": "b"},
    "dict of nan": lambda: {0: float("nan"), 1: 1},
    "dict of unknown": lambda: {7: 2.0},
    "list of dicts": lambda: [{0: 1, 1: 2}, {0: 1}],
    "set": lambda: {1, 2},
    "frozenset": lambda: frozenset({1}),
    "generator": lambda: (i for i in (1, 2)),
    "range": lambda: range(2),
    "object": object,
    "class object": lambda: object,
    "class int": lambda: int,
    "class ndarray": lambda: np.ndarray,
    "descriptor": lambda: np.ndarray.shape,
    "function": lambda: len,
    "module": lambda: np,
    "lambda": lambda: lambda *_, **__: 1.0,
    "ellipsis": lambda: ...,
    "slice": lambda: slice(2),
    "array": lambda: np.arange(1, 3),
    "array 0d": lambda: np.array(2),
    "array 2d": lambda: np.ones((2, 2), int),
    "array of floats": lambda: np.array([0.5, 1.5]),
    "array of text": lambda: np.array(["2", "3"]),
    "array of objects": lambda: np.array([None, 2], object),
    "empty array": lambda: np.empty(0),
    "dataframe": lambda: pd.DataFrame({"a": [1, 2]}),
    "series": lambda: pd.Series([1, 2]),
    "pandas missing": lambda: pd.NA,
    "sparse": lambda: sparse.csr_array(np.eye(2)),
    "dtype float16": lambda: np.dtype("f2"),
    "dtype float64": lambda: np.dtype("f8"),
    "dtype structured": lambda: np.dtype([("a", float)]),
    "class float32": lambda: np.float32,
    "random state": lambda: np.random.RandomState(0),
    "generator of numbers": lambda: np.random.default_rng(0),
    "layer": lambda: layers.ReLU(),
    "class of layers": lambda: layers.Conv2d,
    "layer of junk": lambda: layers.Conv2d("a", None),
    "flatten": lambda: layers.Flatten(),
    "list of layers": lambda: [layers.ReLU(), layers.Flatten()],
    "list of a class": lambda: [layers.ReLU],
    "nested layers": lambda: [[layers.ReLU()]],
    "tuple of a junk layer": lambda: (layers.Dropout("a"),),
    "residual of one": lambda: layers.Residual(layers.ReLU()),
    "branches of none": lambda: layers.Concatenate([[], [None]]),
    "residual of none": lambda: layers.Residual([None]),
    "optimizer": lambda: optimizers.SGD(),
    "optimizer of junk": lambda: optimizers.Adam("a", None),
    "class of optimizers": lambda: optimizers.Adam,
    "schedule": lambda: schedules.Cosine(),
    "schedule of junk": lambda: schedules.WarmUp(epochs="a", then=None),
    "class of schedules": lambda: schedules.Cosine,
    "initializer": lambda: initializers.He(),
    "initializer of junk": lambda: initializers.Gaussian("a"),
    "class of initializers": lambda: initializers.He,
}
"""Values for parameters and hyperparameters, by name."""


class Subclassed(np.ndarray):
    """An array that is none of NumPy's own."""


class Duck:
    """Something that knows how to become an array."""

    def __init__(self, values):
        self.values = np.asarray(values)

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=dtype)

    def __len__(self):
        return len(self.values)


class WithGradient(Duck):
    """A tensor that refuses to become an array, as PyTorch's do that require a gradient."""

    @property
    def shape(self):
        return self.values.shape

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.")


def _objects(values, make):
    """An array of objects, one for each of the values."""
    made = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        made[i] = make(i, value)
    return made


def _mapped(values):
    with tempfile.NamedTemporaryFile(delete=False) as file:
        file.write(values.tobytes())
    mapped = np.memmap(file.name, values.dtype, "r", shape=values.shape)
    os.unlink(file.name)
    return mapped


def _read_only(values):
    values = values.copy()
    values.flags.writeable = False
    return values


def _strided(values):
    wide = np.zeros((2 * len(values), *values.shape[1:]), values.dtype)
    wide[::2] = values
    return wide[::2]


def _swapped(values):
    return values.astype(values.dtype.newbyteorder())


def _matrix(values):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        return np.matrix(values)


def _first(values, value):
    values = values.astype(np.float64)
    values.flat[1] = value
    return values


SAME = {
    "plain": lambda a: a.copy(),
    "list": lambda a: a.tolist(),
    "tuple": lambda a: tuple(a.tolist()),
    "list of arrays": list,
    "read-only": _read_only,
    "Fortran": lambda a: np.asfortranarray(a),
    "strided": _strided,
    "backwards": lambda a: a[::-1].copy()[::-1],
    "other bytes": _swapped,
    "mapped": _mapped,
    "subclassed": lambda a: a.view(Subclassed),
    "nothing masked": lambda a: np.ma.masked_array(a),
    "objects": lambda a: a.astype(object),
    "duck": Duck,
}
"""Forms of the same numbers, which must lead to the same model."""

SAME_1D = {
    "series": pd.Series,
    "polars series": pl.Series,
    "nullable": lambda a: pd.Series(a).convert_dtypes(),
    "array.array": lambda a: array.array("d" if a.dtype.kind == "f" else "q", a.tolist()),
    "index": pd.Index,
    "categories": lambda a: pd.Series(a).astype("category"),
}
SAME_2D = {
    "dataframe": lambda a: pd.DataFrame(a, columns=[f"x{i}" for i in range(a.shape[1])]),
    "unnamed dataframe": pd.DataFrame,
    "polars series of arrays": pl.Series,
    "polars": lambda a: pl.DataFrame(a, schema=[f"x{i}" for i in range(a.shape[1])]),
    "arrow": lambda a: pd.DataFrame(a, columns=[f"x{i}" for i in range(a.shape[1])]).convert_dtypes(
        dtype_backend="pyarrow"
    ),
}

ODD = {
    "float16": lambda a: a.astype(np.float16),
    "float32": lambda a: a.astype(np.float32),
    "longdouble": lambda a: a.astype(np.longdouble),
    "int8": lambda a: a.astype(np.int8),
    "uint64": lambda a: a.astype(np.uint64),
    "bool": lambda a: a.astype(bool),
    "complex": lambda a: a.astype(complex),
    "text": lambda a: a.astype(str),
    "bytes": lambda a: a.astype("S3"),
    "text objects": lambda a: a.astype(str).astype(object),
    "bytes objects": lambda a: a.astype("S3").astype(object),
    "void": lambda a: np.zeros(a.shape, "V4"),
    "structured": lambda a: np.zeros(len(a), [("a", float), ("b", int)]),
    "dates": lambda a: a.astype(int).astype("M8[D]"),
    "no dates": lambda a: np.full(a.shape, np.datetime64("NaT", "D")),
    "durations": lambda a: a.astype(int).astype("m8[s]"),
    "mixed objects": lambda a: np.array([None, "a", 1.5, 2] * a.size, object)[: a.size].reshape(
        a.shape
    ),
    "dict objects": lambda a: np.array([{}] * a.size, object).reshape(a.shape),
    "missing objects": lambda a: np.array([pd.NA] * a.size, object).reshape(a.shape),
    "decimals": lambda a: np.array([decimal.Decimal(str(v)) for v in a.flat]).reshape(a.shape),
    "huge ints": lambda a: np.array([10**20 * int(v) for v in a.flat], object).reshape(a.shape),
    "hugest ints": lambda a: np.array([10**400] * a.size, object).reshape(a.shape),
    "nan": lambda a: _first(a, np.nan),
    "all nan": lambda a: np.full(a.shape, np.nan),
    "inf": lambda a: _first(a, np.inf),
    "-inf": lambda a: _first(a, -np.inf),
    "one large": lambda a: _first(a, 1e300),
    "one largest": lambda a: _first(a, 1.7e308),
    "all largest": lambda a: np.where(np.arange(a.size).reshape(a.shape) % 2, 1.7e308, -1.7e308),
    "long largest": lambda a: a.astype(np.longdouble) * (np.finfo(np.longdouble).max / 100),
    "large": lambda a: a * 1e300,
    "small": lambda a: a * 1e-310,
    "negative": lambda a: -a,
    "zeros": lambda a: np.zeros_like(a),
    "ones": lambda a: np.ones_like(a),
    "masked": lambda a: np.ma.masked_array(a, np.arange(a.size).reshape(a.shape) % 3 == 1),
    "matrix": lambda a: _matrix(a.reshape(len(a), -1)),
    "sparse": lambda a: sparse.csr_array(a.reshape(len(a), -1)),
    "sparse matrix": lambda a: sparse.coo_matrix(a.reshape(len(a), -1)),
    "one fewer": lambda a: a[1:],
    "twice": lambda a: np.concatenate([a, a]),
    "one": lambda a: a[:1],
    "no rows": lambda a: a[:0],
    "no columns": lambda a: np.empty((len(a), 0)),
    "no pixels": lambda a: np.empty((len(a), 1, 0, 3)),
    "one axis more": lambda a: a[..., np.newaxis],
    "batch of batches": lambda a: a[np.newaxis],
    "five axes": lambda a: np.zeros((len(a), 1, 1, 1, 2)),
    "transposed": lambda a: a.T,
    "flat": np.ravel,
    "first row": lambda a: a[0],
    "fewer columns": lambda a: a[..., :-1],
    "0d": lambda a: np.array(3),
    "scalar": lambda a: 3.5,
    "float scalar": lambda a: np.float64(2),
    "none": lambda a: None,
    "str": lambda a: "text",
    "raw bytes": lambda a: b"text",
    "path": lambda a: pathlib.Path("image.png"),
    "paths": lambda a: ["image.png"] * len(a),
    "path objects": lambda a: [pathlib.Path("image.png")] * len(a),
    "dict": lambda a: {0: 1},
    "dict of rows": lambda a: dict(enumerate(a.tolist())),
    "set": lambda a: {1, 2},
    "generator": lambda a: (row for row in a),
    "iterator": iter,
    "range": lambda a: range(len(a)),
    "ragged": lambda a: [[0] * (1 + i % 2) for i in range(len(a))],
    "ragged images": lambda a: [np.zeros((4, 4 + i % 2)) for i in range(len(a))],
    "list of None": lambda a: [None] * len(a),
    "empty list": lambda a: [],
    "list of empty lists": lambda a: [[]] * len(a),
    "nested deep": lambda a: [[[[[[0]]]]]] * len(a),
    "class": lambda a: np.ndarray,
    "class of frames": lambda a: pd.DataFrame,
    "descriptor": lambda a: np.ndarray.shape,
    "function": lambda a: len,
    "object": lambda a: object(),
    "ellipsis": lambda a: ...,
    "slice": lambda a: slice(3),
    "memoryview": lambda a: memoryview(np.ascontiguousarray(a)),
    "text frame": lambda a: pd.DataFrame(a.reshape(len(a), -1)).astype(str),
    "mixed frame": lambda a: pd.DataFrame(a.reshape(len(a), -1)).assign(text="a"),
    "date frame": lambda a: pd.DataFrame({"t": pd.date_range("2020", periods=len(a))}),
    "nullable frame": lambda a: (
        pd.DataFrame(a.reshape(len(a), -1)).convert_dtypes().mask(lambda frame: frame < 0.3)
    ),
    "sparse frame": lambda a: pd.DataFrame(a.reshape(len(a), -1)).astype(pd.SparseDtype(float)),
    "oddly named frame": lambda a: pd.DataFrame(a.reshape(len(a), -1)).rename(columns={0: "a"}),
    "series of arrays": lambda a: pd.Series(list(a)),
    "objects of arrays": lambda a: _objects(a, lambda i, row: np.atleast_1d(row)),
    "objects of uneven arrays": lambda a: _objects(a, lambda i, row: np.zeros((2, 2 + i % 2))),
    "objects of lists": lambda a: _objects(a, lambda i, row: [1] * (1 + i % 2)),
    "frame of arrays": lambda a: pd.DataFrame({"a": _objects(a, lambda i, row: np.ones((2, 2)))}),
    "missing texts": lambda a: [None if i == 1 else "x" for i in range(len(a))],
    "texts with nan": lambda a: [np.nan if i == 1 else "x" for i in range(len(a))],
    "missing text series": lambda a: pd.Series([None if i == 1 else "x" for i in range(len(a))]),
    "missing text objects": lambda a: _objects(a, lambda i, row: None if i == 1 else "x"),
    "gradients": lambda a: WithGradient(a),
    "list of gradients": lambda a: [WithGradient(row) for row in a],
    "polars text": lambda a: pl.DataFrame({"a": ["x"] * len(a)}),
    "polars missing": lambda a: pl.DataFrame({"a": [None] * len(a)}),
    "polars lazy": lambda a: pl.DataFrame({"a": [1.0] * len(a)}).lazy(),
    "text series": lambda a: pd.Series(["1"] * len(a)),
    "date series": lambda a: pd.Series(pd.date_range("2020", periods=len(a))),
    "missing series": lambda a: pd.Series([None, 1] * len(a), dtype="Int64")[: len(a)],
    "polars dates": lambda a: pl.Series([datetime.date(2020, 1, 1 + i % 9) for i in range(len(a))]),
}
"""Arrays that may be refused, or lead to a model that is right."""


MISSING = {"missing texts", "texts with nan", "missing text objects", "missing text series"}
"""Labels of which one is missing; none of them may be taken."""


def made_in(container, values):
    """The values in a container of `SAME`."""
    return SAME[container](values)

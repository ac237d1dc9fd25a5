"""Tools of specialists of signals; each imports its package when it is built."""

import importlib
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skcnn import FixedKernelFeatures

COMPILED_ROWS = 20
"""Rows of a regression that are fitted to compile an estimator."""

SHORTEST = 9
"""Points of the shortest signals that aeon takes; shorter ones get zeros at the end."""


def fixed_features_and_ridge(seed: int, ridge: Any = None) -> Pipeline:
    """Fixed features of this package and scikit-learn's ridge."""
    return make_pipeline(
        FunctionTransformer(_series),
        FixedKernelFeatures(random_state=seed),
        RidgeClassifierCV() if ridge is None else ridge,
    )


def _series(X: np.ndarray) -> np.ndarray:
    """Signals of shape (n, channels, length)."""
    return X[:, :, 0]


class Aeon(BaseEstimator):
    """An estimator of aeon with its defaults.

    It has no probabilities: those of aeon are 0 or 1 where a ridge decides.

    Parameters
    ----------
    task : "classification" or "regression"
    name : str
        The class.
    seed : int
    """

    def __init__(self, task: str, name: str, seed: int) -> None:
        _load(task, name)  # its imports are no part of a fit
        self.task = task
        self.name = name
        self.seed = seed

    def compile(self, X: np.ndarray, y: np.ndarray) -> None:
        """Fit some rows, so that compilation by numba is no part of a fit."""
        if self.task == "classification":
            rows = np.concatenate([np.flatnonzero(y == value)[:2] for value in np.unique(y)])
        else:
            rows = np.arange(min(len(y), COMPILED_ROWS))
        self.fit(X[rows], y[rows])

    def fit(self, X: np.ndarray, y: np.ndarray) -> Self:
        self.model_ = _load(self.task, self.name)(random_state=self.seed)
        self.model_.fit(self._padded(X), y)
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        return self.model_.predict(self._padded(X))

    @staticmethod
    def _padded(X: np.ndarray) -> np.ndarray:
        missing = max(0, SHORTEST - X.shape[-1])
        series = np.pad(_series(X), ((0, 0), (0, 0), (0, missing)))
        return np.ascontiguousarray(series, np.float64)


def _load(task: str, name: str) -> type:
    return getattr(importlib.import_module(f"aeon.{task}.convolution_based"), name)

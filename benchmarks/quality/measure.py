"""Scores of one contender on one data set: accuracy, log loss, calibration error, seconds."""

import time
import warnings
from typing import NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss

from benchmarks.quality.contenders import Contender
from benchmarks.quality.data import Split

BINS = 15


class Scores(NamedTuple):
    """Means over the splits of one seed; NaN if there are no probabilities."""

    accuracy: float
    log_loss: float
    calibration_error: float
    seconds: float


def measure(contender: Contender, splits: list[Split], seed: int) -> Scores:
    """Fit and predict every split; `seconds` is the time of one fit."""
    return Scores(*np.mean([_measure(contender, split, seed) for split in splits], axis=0).tolist())


def _measure(contender: Contender, split: Split, seed: int) -> Scores:
    classifier, X_test = contender.make(seed), contender.rows(split.X_test)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        classifier.fit(contender.rows(split.X_train), split.y_train)
    seconds = time.perf_counter() - start
    accuracy = float(np.mean(classifier.predict(X_test) == split.y_test))
    if not hasattr(classifier, "predict_proba"):
        return Scores(accuracy, np.nan, np.nan, seconds)
    probabilities = classifier.predict_proba(X_test).astype(np.float64)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    loss = log_loss(split.y_test, probabilities, labels=classifier.classes_)
    hit = classifier.classes_[probabilities.argmax(axis=1)] == split.y_test
    return Scores(accuracy, loss, calibration_error(probabilities.max(axis=1), hit), seconds)


def calibration_error(confidence: np.ndarray, hit: np.ndarray) -> float:
    """Return the expected calibration error (Guo et al. 2017, equation 3).

    The mean gap between confidence and accuracy in bins of equal width,
    weighted by the predictions in each.
    """
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, weights=hit - confidence, minlength=BINS)
    return float(np.abs(gaps).sum() / len(hit))

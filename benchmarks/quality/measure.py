"""Scores of one contender on one data set: accuracy, log loss, calibration error, CPU seconds."""

import time
import warnings
from typing import NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from threadpoolctl import threadpool_limits

from benchmarks.quality.contenders import Contender
from benchmarks.quality.data import Split

BINS = 15


class Scores(NamedTuple):
    """Means over the splits of one seed; NaN where there are no probabilities, or nothing at all.

    The seconds are those that a fit takes of one core.
    """

    accuracy: float
    log_loss: float
    calibration_error: float
    seconds: float


NONE = Scores(*[np.nan] * len(Scores._fields))
"""Of a contender that does not take part."""


def measure(contender: Contender, splits: list[Split], seed: int) -> Scores:
    """Fit and predict every split, on one core; NaN for a contender that does not take the images.

    Raises
    ------
    ImportError
        If the contender is not installed.
    """
    if not contender.takes(splits[0].X_train):
        return NONE
    with threadpool_limits(1):
        found = [_measure(contender, split, seed) for split in splits]
    return Scores(*np.mean(found, axis=0).tolist())


def _measure(contender: Contender, split: Split, seed: int) -> Scores:
    classifier, X_test = contender.make(seed), contender.rows(split.X_test)
    if hasattr(classifier, "compile"):
        classifier.compile(split.X_train, split.y_train)
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        classifier.fit(contender.rows(split.X_train), split.y_train)
    seconds = time.process_time() - start
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

"""Errors that name their argument and change nothing, and models that answer."""

import contextlib
import re

import numpy as np

from skcnn import ScratchCNNRegressor


class Refused(Exception):
    """An error of the product, and what is wrong with it."""

    def __init__(self, problem):
        super().__init__(problem)
        self.problem = problem


@contextlib.contextmanager
def refusing(names, other=()):
    """Allow errors of the right types that have one of the names in their text."""
    try:
        yield
    except (TypeError, ValueError, AttributeError, *other) as error:
        text = str(error)
        if isinstance(error, AttributeError) and "is not available with" not in text:
            raise Refused(f"AttributeError: {text}") from error
        if not any(re.search(rf"(?<![a-z_]){re.escape(name)}(?![a-z])", text) for name in names):
            raise Refused(f"names none of {names}: {type(error).__name__}: {text[:300]}") from error
        raise Refused(None) from error
    except Exception as error:
        raise Refused(f"{type(error).__name__}: {str(error)[:300]}") from error


def snapshot(estimator):
    kept = dict(vars(estimator))
    copies = {name: value.copy() for name, value in kept.items() if type(value) is np.ndarray}
    return kept, copies


def changed(estimator, before):
    """Return what an error has changed, or None."""
    kept, copies = before
    now = vars(estimator)
    if now.keys() != kept.keys():
        return f"attributes changed: {sorted(now.keys() ^ kept.keys())}"
    for name, value in kept.items():
        if now[name] is not value:
            return f"{name} changed"
    for name, value in copies.items():
        if not np.array_equal(now[name], value):
            return f"the numbers of {name} changed"
    return None


def call(estimator, names, action, other=()):
    """Do it; errors must name one of these and change nothing."""
    before = snapshot(estimator)
    try:
        with refusing(names, other):
            return action()
    except Refused as refused:
        raise Refused(refused.problem or changed(estimator, before)) from refused


def judged(estimator, X, several=False):
    """Return what is wrong with a fitted model's predictions for good rows, or None."""
    if isinstance(estimator, ScratchCNNRegressor):
        found = estimator.predict(X)
        return None if np.isfinite(found).all() else "predictions are not finite"
    probabilities = estimator.predict_proba(X)
    if not np.isfinite(probabilities).all():
        return "probabilities are not finite"
    found = estimator.predict(X)
    if estimator.out_activation_ == "softmax" and not np.isin(found, estimator.classes_).all():
        return "predicts unknown classes"
    return None

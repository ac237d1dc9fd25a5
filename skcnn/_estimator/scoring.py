"""Scores of epochs on validation rows."""

import inspect
import numbers
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
from sklearn.base import is_classifier

from skcnn._estimator.data import Data

__all__ = ["EpochScore", "bind_scoring"]


def bind_scoring(estimator: Any) -> Callable | str | None:
    """The scorer ``(estimator, X, y) -> number`` that `scoring` means.

    None stays for the accuracy, which needs none, and "loss" stays.
    """
    scoring = estimator.scoring
    if scoring is None and is_classifier(estimator):  # whose accuracy the engine counts
        return None
    if isinstance(scoring, str) and scoring == "loss":
        return scoring
    reason = ""
    if scoring is None or isinstance(scoring, str) or callable(scoring):
        from sklearn.metrics import check_scoring  # takes longer than all of skcnn's own imports

        try:
            return check_scoring(estimator, scoring)
        except (TypeError, ValueError) as error:
            reason = "" if isinstance(scoring, str) else f" ({error})"
    raise ValueError(
        f"{type(estimator).__name__}: scoring must be None, 'loss', a name that "
        "sklearn.metrics.get_scorer_names() lists, or a callable(estimator, X, y), got "
        f"{scoring!r}{reason}."
    )


class EpochScore:
    """A scorer with the validation part that it is called on after every epoch.

    Parameters
    ----------
    scoring : str or callable
        The parameter, to name it in errors.
    scorer : callable
        Takes an estimator, `X` and `y`, and `sample_weight` where its signature
        has it.
    data : Data
        The validation part.
    given : bool
        Whether it was passed, rather than split off.
    """

    def __init__(self, scoring: Any, scorer: Callable, data: Data, given: bool) -> None:
        self.scoring, self.scorer = scoring, scorer
        arguments = ["X_val", "y_val"] if given else []
        if given and data.weights.given is not None:
            arguments.append("sample_weight_val")
        self.where = "the validation part" + (f" ({', '.join(arguments)})" if arguments else "")
        self.X, self.y = data.input.given(), data.y
        self.weights = {}
        if data.weights.matter and _takes_weights(scorer):
            self.weights = {"sample_weight": data.weights.total}

    def __call__(self, estimator: Any) -> float:
        """Score a fitted estimator.

        Raises
        ------
        ValueError
            Where the scorer raises, or returns anything but a finite number.
        """
        what = f"{type(estimator).__name__}: scoring={self.scoring!r}"
        try:
            with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused
                score = self.scorer(estimator, self.X, self.y, **self.weights)
        except Exception as error:
            raise ValueError(
                f"{what} failed on {self.where}: {type(error).__name__}: {error}"
            ) from error
        if hasattr(score, "item"):
            with suppress(ValueError):  # an array of several numbers
                score = score.item()
        if not isinstance(score, numbers.Real) or not np.isfinite(float(score)):
            raise ValueError(
                f"{what} must return a finite number, but returned {score!r} on {self.where}."
            )
        return float(score)


def _takes_weights(scorer: Callable) -> bool:
    try:
        parameters = inspect.signature(scorer).parameters.values()
    except (TypeError, ValueError):  # a callable that does not say
        return False
    return any(p.name == "sample_weight" or p.kind == p.VAR_KEYWORD for p in parameters)

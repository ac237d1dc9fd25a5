"""Scores on the validation part after every epoch."""

import inspect
import numbers
from collections.abc import Callable
from contextlib import suppress
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import is_classifier

from skcnn._estimator.data import Data
from skcnn._estimator.model import Model
from skcnn.state import TrainingState
from skcnn.training.trainer import Validation

__all__ = ["bind_scoring", "validation_part"]


def bind_scoring(estimator: Any) -> Callable | str | None:
    """Resolve the parameter `scoring` to a scorer ``(estimator, X, y) -> number``.

    A classifier's None, which is the accuracy, and "loss" need no scorer and are returned as they
    are.
    """
    scoring = estimator.scoring
    if scoring is None and is_classifier(estimator):  # training counts correct predictions itself
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


def validation_part(
    estimator: Any, model: Model, held_out: Data, scorer: Callable | str | None, given: bool
) -> Validation:
    """Return the held-out samples with the function that scores a training state on them.

    Parameters
    ----------
    estimator : estimator
    model : Model
    held_out : Data
    scorer : callable, "loss" or None
        As `bind_scoring` returns it.
    given : bool
        Whether the user passed these samples, rather than a split.
    """
    samples = held_out.samples(model, model.encoder.loss)
    if scorer is None:
        return Validation(samples)
    if isinstance(scorer, str):
        return Validation(samples, lambda state: -state.history["validation_loss"][-1])
    score = EpochScore(estimator.scoring, scorer, held_out, given)
    model = replace(model, names=held_out.input.names)

    def score_state(state: TrainingState) -> float:
        fitted = copy(estimator)
        fitted.__dict__.pop("feature_names_in_", None)
        fitted.__dict__.update(model.attributes(state, state.weights))
        return score(fitted)

    return Validation(samples, score_state)


class EpochScore:
    """Scorer bound to the validation part.

    Parameters
    ----------
    scoring : str or callable
        The parameter, for errors.
    scorer : callable
        Takes an estimator, `X` and `y`, and `sample_weight` if its signature has
        that parameter.
    data : Data
        The validation part.
    given : bool
        Whether the user passed it, rather than a split.
    """

    def __init__(self, scoring: Any, scorer: Callable, data: Data, given: bool) -> None:
        self.scoring, self.scorer = scoring, scorer
        arguments = ["X_val", "y_val"] if given else []
        if given and data.weights.given is not None:
            arguments.append("sample_weight_val")
        self.where = "the validation part" + (f" ({', '.join(arguments)})" if arguments else "")
        self.X, self.y = data.input.as_X(), data.y
        self.weights = {}
        if data.weights.matter and _takes_weights(scorer):
            self.weights = {"sample_weight": data.weights.total}

    def __call__(self, estimator: Any) -> float:
        """Score a fitted estimator.

        Raises
        ------
        ValueError
            If the scorer raises, or returns anything but a finite number.
        """
        what = f"{type(estimator).__name__}: scoring={self.scoring!r}"
        try:
            with np.errstate(over="ignore", invalid="ignore"):  # an infinite score is refused below
                score = self.scorer(estimator, self.X, self.y, **self.weights)
        except Exception as error:
            raise ValueError(
                f"{what} failed on {self.where}: {type(error).__name__}: {error}"
            ) from error
        if hasattr(score, "item"):
            with suppress(ValueError):  # an array of several numbers, refused below
                score = score.item()
        if not isinstance(score, numbers.Real) or not np.isfinite(float(score)):
            raise ValueError(
                f"{what} must return a finite number, but returned {score!r} on {self.where}."
            )
        return float(score)


def _takes_weights(scorer: Callable) -> bool:
    """Whether a scorer has a parameter `sample_weight`."""
    try:
        parameters = inspect.signature(scorer).parameters.values()
    except (TypeError, ValueError):  # a callable without a signature
        return False
    return any(p.name == "sample_weight" or p.kind == p.VAR_KEYWORD for p in parameters)

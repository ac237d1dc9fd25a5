"""Warnings attributed to the line of the user's code that caused them."""

import os
import sys
import warnings
from pathlib import Path

import joblib
import sklearn
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning

__all__ = [
    "warn_column", "warn_of_divergence", "warn_of_interruption", "warn_of_mismatch",
    "warn_of_useless_training", "warn_user",
]  # fmt: skip

INSIDE = (
    str(Path(__file__).parents[1]) + os.sep,
    str(Path(sklearn.__file__).parent) + os.sep,
    str(Path(joblib.__file__).parent) + os.sep,
)


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the innermost line of code outside skcnn, scikit-learn and joblib."""
    frame, level = sys._getframe(), 1
    while frame.f_back is not None and frame.f_code.co_filename.startswith(INSIDE):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def warn_column(name: str) -> None:
    """Warn, as scikit-learn does, that `name` is a column where a 1D array was expected."""
    warn_user(
        f"A column-vector {name} was passed when a 1d array was expected. Please change the shape "
        f"of {name} to (n_samples,), for example using ravel().",
        DataConversionWarning,
    )


def warn_of_divergence(reason: str | None, epochs: int) -> None:
    """Warn if divergence is the reason why training ended after so many complete epochs."""
    if reason == "diverged":
        warn_user(
            f"Training diverged in epoch {epochs + 1}: its loss was not finite or more than 1000 "
            f"times the first. The weights of {'the epoch before' if epochs else 'the start'} are "
            "kept. Try a smaller lr or weight_decay, a max_grad_norm, scaled input or smaller "
            "weights.",
            ConvergenceWarning,
        )


def warn_of_interruption(reason: str | None, epochs: int) -> None:
    """Warn if Ctrl-C is the reason why training ended after so many complete epochs."""
    if reason == "interrupted":
        warn_user(f"Training was interrupted; the model of epoch {epochs} is kept.")


def warn_of_mismatch() -> None:
    """Warn that worker processes compute other gradients than this process."""
    warn_user(
        "A layer gives different results in worker processes; training continues without them. "
        "It may depend on a setting in a module that this program has "
        "changed: make that a hyperparameter of the layer."
    )


def warn_of_useless_training(loss: float, constant: float) -> None:
    """Warn that the final loss is no smaller than that of constant predictions."""
    warn_user(
        f"Training ended no better than a constant prediction: the loss on the training rows is "
        f"{loss:.6g}, and {constant:.6g} for the best prediction that is the same for all of them. "
        "Try another lr, a smaller weight_decay or more epochs; check that X is scaled "
        "(scale_input=True does that) and its rows match y.",
        ConvergenceWarning,
    )

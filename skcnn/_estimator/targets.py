"""Targets of regressors: checks and scaling."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skcnn._estimator.arrays import as_numbers, check_length, shape_of
from skcnn._estimator.user_warnings import warn_column
from skcnn._hyperparameters import check_choice, check_real
from skcnn.data import Images, Scaling
from skcnn.initializers import Initializer, Zeros
from skcnn.losses import REGRESSION_LOSSES, PinballLoss, RegressionLoss

__all__ = ["TargetScaler", "bind_loss", "check_targets", "count_outputs"]


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class TargetScaler:
    """Scaler of a regressor's targets.

    Parameters
    ----------
    loss : RegressionLoss
    n_outputs : int
        Number of targets per sample.
    flat : bool
        Whether there is one target, and predictions have one axis.
    unit : Scaling or None, default=None
        Mean and deviation by which targets are scaled; None before `fit`.
    """

    loss: RegressionLoss
    n_outputs: int
    flat: bool
    unit: Scaling | None = None

    @property
    def history(self) -> list[str]:
        """Names of the numbers recorded in every epoch of training."""
        return ["loss", "lr"]

    @property
    def initializer(self) -> Initializer:
        """Initializer of the output layer: zeros, so that the first prediction is the mean."""
        return Zeros()

    def check_same(self, other: "TargetScaler", what: str) -> None:
        """Raise ``ValueError`` unless the targets of new data are of the same kind."""
        if self.n_outputs != other.n_outputs:
            raise ValueError(
                f"{what} can only continue with as many outputs as before: the model was "
                f"fitted on {self.n_outputs}, y has {other.n_outputs}."
            )
        if self.loss.activation != other.loss.activation:
            raise ValueError(
                f"{what} cannot change between loss='poisson' and another one, which take the "
                "targets in other units."
            )

    def read(self, y: Any, n_samples: int, name: str, known: str, caller: str) -> np.ndarray:
        """Check targets called `name`, in as many columns as those of `known`."""
        targets = check_targets(y, n_samples, name, self.loss, caller)
        if targets.shape[1] != self.n_outputs:
            raise ValueError(
                f"{caller}: {name} must have as many outputs as known from {known}, "
                f"{self.n_outputs}, got {targets.shape[1]}."
            )
        return targets

    def as_y(self, targets: np.ndarray) -> np.ndarray:
        """Return targets in the form of `y`."""
        return targets[:, 0] if self.flat else targets

    def check_weighted(self, targets: np.ndarray, weights: np.ndarray, caller: str) -> None:
        """Raise ``ValueError`` unless some sample has a positive weight."""
        if not weights.any():
            raise ValueError(
                f"{caller} needs a sample of positive weight, but all in sample_weight are zero."
            )

    def lacking(self, targets: np.ndarray) -> str:
        """Describe what these targets lack for training; empty if nothing."""
        return "" if len(targets) else "nothing of positive weight"

    def fit(self, targets: np.ndarray, weights: np.ndarray) -> "TargetScaler":
        """Return a fitted scaler: to mean 0 and deviation 1, or to mean 1 for "poisson"."""
        unit = Images(targets, (targets.shape[1], 1, 1)).measure(weights)
        if self.loss.activation == "exp":
            unit = Scaling(np.zeros_like(unit.mean), np.where(unit.mean > 0, unit.mean, 1))
        return replace(self, unit=unit)

    def continuing(self, fitted: "TargetScaler") -> "TargetScaler":
        """Return a scaler with the scaling of the fitted model that is continued."""
        return replace(self, unit=fitted.unit)

    def transform(self, targets: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Scale targets for the loss."""
        assert self.unit is not None
        with np.errstate(over="ignore"):
            return ((targets - self.unit.mean) / self.unit.deviation).astype(dtype)

    def inverse_transform(self, z: np.ndarray) -> np.ndarray:
        """Convert outputs of shape (outputs, n) to predictions in the user's unit.

        Overflowing numbers become the largest in float64.
        """
        assert self.unit is not None
        with np.errstate(over="ignore"):
            found = self.loss.predictions(z.astype(np.float64))
            found = np.nan_to_num(found) * self.unit.deviation + self.unit.mean
        return np.ascontiguousarray(self.as_y(np.nan_to_num(found)))

    def attributes(self) -> dict[str, Any]:
        """Fitted attributes."""
        assert self.unit is not None
        return {
            "n_outputs_": self.n_outputs,
            "out_activation_": self.loss.activation,
            "target_mean_": np.array(self.unit.mean),
            "target_scale_": np.array(self.unit.deviation),
            "_flat_targets": self.flat,
        }

    def strata(self, targets: np.ndarray) -> None:
        """Return None, since there are no classes to stratify by."""

    def fewest_held_out(self, targets: np.ndarray) -> int:
        """Return 2, since R² is undefined for a single sample."""
        return 2


def bind_loss(estimator: Any) -> RegressionLoss:
    """Return the loss for the parameter's name."""
    caller = type(estimator).__name__
    loss = REGRESSION_LOSSES[check_choice(caller, "loss", estimator.loss, REGRESSION_LOSSES)]
    quantile = check_real(caller, "quantile", estimator.quantile, 0, 1, bounds="()")
    return PinballLoss(quantile) if isinstance(loss, PinballLoss) else loss


def check_targets(
    y: Any, n_samples: int, name: str, loss: RegressionLoss, caller: str
) -> np.ndarray:
    """Return `y`, which errors call `name`, as a float64 array with one column per target.

    Raises
    ------
    ValueError
        For a missing `y`, another length than that of `X`, values that are not
        finite or whose range overflows, and negative values if the loss does
        not allow them.
    """
    if y is None:
        raise ValueError(f"{caller} requires {name} to be passed, but the target {name} is None.")
    y = as_numbers(y, name, caller).astype(np.float64, copy=False)
    if y.ndim > 2 or y.shape[1:] == (0,):
        raise ValueError(
            f"{caller}: {name} must have shape (n,) or (n, n_outputs), got an array of shape "
            f"{y.shape}."
        )
    check_length(y, n_samples, name, caller)
    if y.ndim == 2 and y.shape[1] == 1:
        warn_column(name)
    targets = y.reshape(len(y), -1)
    if loss.activation == "exp" and (targets < 0).any():
        raise ValueError(
            f"{caller}: loss='poisson' needs targets that are not negative, but the minimum of "
            f"{name} is {targets.min():g}."
        )
    if targets.size:
        least, most = float(targets.min()), float(targets.max())
        if most - least == float("inf"):
            raise ValueError(
                f"{caller}: {name} spans {least:g} to {most:g}, "
                "whose difference is beyond float64; divide it by a constant."
            )
    return targets


def count_outputs(y: Any, caller: str) -> int:
    """Return the number of columns of an unchecked `y`, which is 1 for one axis."""
    shape = (0,) if y is None else shape_of(y, "y", caller)
    return shape[1] if len(shape) == 2 else 1

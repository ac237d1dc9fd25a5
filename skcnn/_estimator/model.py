"""Network of a fit, with the meaning of its inputs and outputs."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from skcnn._estimator.labels import ClassEncoder
from skcnn._estimator.targets import TargetScaler
from skcnn.data import Scaling
from skcnn.losses import Loss
from skcnn.network import Network
from skcnn.state import VALIDATION_HISTORY, TrainingState

__all__ = ["Model", "TargetEncoder"]

TargetEncoder: TypeAlias = ClassEncoder | TargetScaler
"""Encoders of targets."""


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class Model:
    """Everything about a fitted estimator that is known before its first training step.

    Parameters
    ----------
    network : Network
    scaling : Scaling
        Scaling of the images.
    encoder : TargetEncoder
    names : ndarray of str or None
        Names of the features.
    data_format : {"channels_first", "channels_last"}
    loss : Loss
        Loss that training minimizes.
    resolved : dict
        Values of the parameters that are "auto".
    recipe : dict
        All values that "auto" can take when the training is continued.
    built_from : dict
        Parameters that the network was built from.
    """

    network: Network
    scaling: Scaling
    encoder: TargetEncoder
    names: np.ndarray | None
    data_format: str
    loss: Loss
    resolved: dict[str, Any]
    recipe: dict[str, Any]
    built_from: dict[str, Any]

    def history(self, state: TrainingState) -> list[str]:
        """Names of the numbers that are recorded in every epoch."""
        validated = state.criterion is not None
        return [*self.encoder.history, *(VALIDATION_HISTORY if validated else ())]

    def attributes(self, state: TrainingState, weights: np.ndarray | None = None) -> dict[str, Any]:
        """Return the fitted attributes in some state of the training, none a view of another.

        Parameters
        ----------
        state : TrainingState
        weights : ndarray or None, default=None
            None stands for the best weights on the validation part, if there is one, and for the
            last ones otherwise.
        """
        validated = state.criterion is not None
        history = {name: list(state.history.get(name, [])) for name in self.history(state)}
        curve = history["loss"]
        if weights is None:
            best = state.best_weights if validated else None
            weights = state.weights if best is None else best
        attributes = {
            **self.encoder.attributes(),
            "n_features_in_": int(np.prod(self.network.input_shape)),
            "image_shape_": self.network.input_shape,
            "input_mean_": np.array(self.scaling.mean),
            "input_scale_": np.array(self.scaling.deviation),
            "layers_": list(self.network.layers),
            "network_": self.network,
            "weights_": np.array(weights),
            "n_iter_": state.epoch,
            "loss_": curve[-1] if curve else float("nan"),
            "loss_curve_": list(curve),
            "best_loss_": None if validated else min(curve, default=float("nan")),
            "validation_scores_": list(history["validation_score"]) if validated else None,
            "history_": history,
            "auto_params_": dict(self.resolved),
            "_data_format": self.data_format,
            "_recipe": dict(self.recipe),
            "_built_from": dict(self.built_from),
        }
        if self.names is not None:
            attributes["feature_names_in_"] = self.names
        return attributes

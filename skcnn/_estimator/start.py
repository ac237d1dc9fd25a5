"""Network, configuration and state that a training starts with, new or from a fitted model."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from skcnn._estimator.auto import is_auto, recipe_for, resolve
from skcnn._estimator.fixed_branch import count_fixed_features
from skcnn._estimator.model import TargetEncoder
from skcnn._estimator.parameters import bind_config, bind_dtype, bind_layers, built_from
from skcnn._estimator.pickling import migrated
from skcnn._estimator.seeds import draw_seed
from skcnn._migration import ALWAYS_AVERAGED
from skcnn.layers._layer import Shape
from skcnn.network import Network, difference
from skcnn.state import VALIDATION_HISTORY, TrainingState, new_state
from skcnn.training.config import TrainingConfig

__all__ = ["Start", "start_training"]


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class Start:
    """Configuration, network and state that a training starts with.

    Parameters
    ----------
    network : Network
    config : TrainingConfig
    state : TrainingState
        An independent copy if a fitted model is continued.
    resolved : dict
        Values of the parameters that are "auto".
    recipe : dict
        All values that "auto" can take when the training is continued.
    continued : bool
        Whether a fitted model is continued.
    n_fixed_features : int
        About how many features the branch of fixed kernels will have; 0 for none.
    """

    network: Network
    config: TrainingConfig
    state: TrainingState
    resolved: dict[str, Any]
    recipe: dict[str, Any]
    continued: bool
    n_fixed_features: int


def start_training(
    estimator: Any,
    shape: Shape,
    given: np.dtype,
    encoder: TargetEncoder,
    n_rows: int,
    continued_by: str | None,
    *,
    in_parts: bool = False,
    recipe: dict[str, Any] | None = None,
) -> Start:
    """Resolve and check all parameters, and find the network and state to start with.

    Parameters
    ----------
    estimator : estimator
    shape : tuple of int
        (Channels, height, width) of the images.
    given : dtype
        Dtype of their array.
    encoder : TargetEncoder
        Encoder of the targets, not fitted.
    n_rows : int
        Number of rows to train on, without those that will be held out.
    continued_by : str or None
        Name of the method or parameter that continues the fitted model, for errors. None starts a
        new training.
    in_parts : bool, default=False
        Whether this is a call to ``partial_fit``, which others may follow.
    recipe : dict or None, default=None
        Values of "auto" in the checkpoint of the training.

    Raises
    ------
    ValueError, TypeError
        For parameters that are not allowed, and if the fitted model does not match the data or
        parameters.
    """
    continued, stored = continued_by is not None, recipe or {}
    if continued:
        fitted = migrated(estimator)
        stored = fitted["_recipe"] | fitted["_built_from"]
    recipe = recipe_for(estimator, shape, n_rows, stored)
    completes = not (in_parts or estimator.warm_start)
    resolved = resolve(estimator, recipe, completes=completes)
    n_fixed = count_fixed_features(estimator, shape, encoder, completes)
    kept = stored.get("fixed_features", 0 if continued else n_fixed)
    if is_auto(estimator.fixed_features):
        resolved["fixed_features"] = n_fixed = kept
    elif continued and n_fixed != kept:
        raise ValueError(
            f"{continued_by} can only continue the same network, but it was fitted with "
            f"fixed_features={kept}, and fixed_features is {n_fixed} now."
        )
    elif in_parts and not continued and n_fixed:
        raise ValueError(
            f"{type(estimator).__name__}: fixed_features must be 0 or 'auto' in partial_fit, "
            f"since the branch is solved from all rows at once, got {n_fixed}."
        )
    recipe["fixed_features"] = n_fixed
    config = bind_config(estimator, resolved, in_parts)
    if continued and _is_built_from(estimator, resolved):
        layers = list(estimator.network_.layers)
    else:
        layers = bind_layers(estimator, resolved, recipe["pool_first"], shape, encoder)
    keeps_dtype = continued and estimator.dtype is None
    dtype = estimator.network_.dtype if keeps_dtype else bind_dtype(estimator, given)
    network = Network(layers, shape, dtype)
    if continued_by is None:
        state = _new_state(estimator, network, config)
    else:
        _check_continuable(estimator, encoder, network, continued_by)
        state = _continued_state(estimator, network, config)
    return Start(
        network=network,
        config=config,
        state=state,
        resolved=resolved,
        recipe=recipe,
        continued=continued,
        n_fixed_features=0 if continued or in_parts else n_fixed,
    )


def _is_built_from(estimator: Any, resolved: dict[str, Any]) -> bool:
    """Whether the fitted network was built from the current parameters."""
    try:
        return built_from(resolved, vars(estimator)) == migrated(estimator)["_built_from"]
    except (TypeError, ValueError):  # arrays and pandas.NA, neither equal nor unequal
        return False


def _check_continuable(
    estimator: Any, encoder: TargetEncoder, network: Network, continued_by: str
) -> None:
    """Raise ``ValueError`` unless the fitted model has these targets and this network."""
    estimator._fitted_encoder().check_same(encoder, continued_by)
    if network != estimator.network_:
        raise ValueError(
            f"{continued_by} can only continue the same network, but with the current parameters "
            f"and X {difference(estimator.network_, network)}."
        )


def _continued_state(estimator: Any, network: Network, config: TrainingConfig) -> TrainingState:
    """Return a copy of the training state, or one rebuilt from the fitted attributes."""
    if hasattr(estimator, "_training_state"):
        state = estimator._training_state.copy()
    else:  # fitted without warm_start
        state = _new_state(estimator, network, config)
        state.weights[...] = estimator.weights_
        state.epoch, state.averaged = estimator.n_iter_, ALWAYS_AVERAGED
        state.history = {
            name: list(values)
            for name, values in estimator.history_.items()
            if name not in VALIDATION_HISTORY
        }
    fresh = config.optimizer.moments(state.weights[: network.n_parameters])
    if state.moments.keys() != fresh.keys():  # another optimizer
        state.moments, state.step = fresh, 0
    return state


def _new_state(estimator: Any, network: Network, config: TrainingConfig) -> TrainingState:
    seed = draw_seed(type(estimator).__name__, estimator.random_state)
    return new_state(network, config.optimizer, seed)

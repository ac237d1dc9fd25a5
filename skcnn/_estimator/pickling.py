"""Pickled states of estimators, migrated from earlier versions."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from skcnn._estimator.parameters import built_from
from skcnn._migration import FORMAT, migrate_model, refuse_newer
from skcnn.denormals import without_denormals

__all__ = ["from_pickled", "migrated", "to_pickled"]

TRANSIENT = ("_checkpoint",)
"""Attributes that hold the data and are of use only during training."""


def to_pickled(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state to pickle, with its format version."""
    kept = {name: value for name, value in state.items() if name not in TRANSIENT}
    return {**kept, "_pickle_format": FORMAT}


def from_pickled(kind: type, state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of an estimator of class `kind` from a pickled state.

    Raises
    ------
    ValueError
        If it was written by a newer version of the package.
    """
    state = dict(state)
    refuse_newer(state.pop("_pickle_format", FORMAT))
    if isinstance(state.get("weights_"), np.ndarray):  # 0.2.0 kept denormal numbers
        state["weights_"] = without_denormals(state["weights_"])
    return migrate_model(kind, state, built_from)


def migrated(estimator: Any) -> dict[str, Any]:
    """Return the attributes of an estimator, including those that earlier versions lacked.

    Loaders that set only public attributes bypass `from_pickled`.
    """
    return migrate_model(type(estimator), vars(estimator), built_from)

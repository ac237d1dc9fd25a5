"""Migration of states stored by earlier versions.

The ``__setstate__`` of every pickled class passes its state through here, except that of
`Network`, which is rebuilt from three arguments. If a version adds an attribute, older states get
the value that means their old behaviour, which may differ from today's default: it belongs in
`ADDED`, as `tests/robustness/test_models_of_older_versions.py` requires.
"""

from ast import literal_eval
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

__all__ = [
    "ALWAYS_AVERAGED",
    "FORMAT",
    "migrate",
    "migrate_checkpoint",
    "migrate_model",
    "refuse_newer",
]

FORMAT = 2
"""Version of the states; raise it if older versions of the package would misread them."""

ALWAYS_AVERAGED = 2**31
"""Number of mini-batches after which running moments move at their own rate."""

ADDED: dict[str, dict[str, Any]] = {
    # 0.1.0 had none of these, and moved running moments at their own rate from the start
    "skcnn.state.TrainingState": {
        "averaged": ALWAYS_AVERAGED,
        "finely": False,
        "begun": 0,
        "begun_step": 0,
    },
    # 0.2.0 did not have the last two
    "skcnn._estimator.base.BaseScratchCNN": {
        "normalization": None,
        "global_pool": False,
        "fixed_features": 0,
        "random_shift": 0,
    },
    "skcnn.classifier.ScratchCNNClassifier": {"label_smoothing": 0.0},
    "skcnn.regressor.ScratchCNNRegressor": {"quantile": 0.5},
    # 0.2.0 counted padding in means
    "skcnn.layers.pooling.AvgPool2d": {"count_include_pad": True},
}
"""Values that states of earlier versions lack, by the path of the class."""

RECIPE = {
    "lr_schedule": "one_cycle", "lr": 8e-3, "constant_lr": 2e-3, "patience": 5,
    "random_shift": 0, "pool_first": False, "fixed_features": 0,
}  # fmt: skip
"""Values of "auto" in 0.2.0 that its fitted estimators and checkpoints do not contain."""


def refuse_newer(found: Any, stored: str = "model") -> None:
    """Raise ``ValueError`` for a format of a newer version, or an invalid one.

    Parameters
    ----------
    found : object
        Format found in a state.
    stored : str, default="model"
        Kind of the stored object in the error.
    """
    if not isinstance(found, int):
        raise ValueError(
            f"This is not a skcnn {stored}, or it is damaged: its _pickle_format is {found!r}, not "
            "a number."
        )
    if found > FORMAT:
        raise ValueError(
            f"This {stored} was saved by a newer version of skcnn (format {found}); this "
            f"version reads formats up to {FORMAT}. Please update skcnn."
        )


def migrate(kind: type, state: Mapping[str, Any]) -> dict[str, Any]:
    """Return a state completed with attributes that earlier versions did not have.

    Parameters
    ----------
    kind : type
        The class; additions to its base classes are included.
    state : mapping
        Attributes by name.
    """
    old: dict[str, Any] = {}
    for each in reversed(kind.__mro__):
        old |= ADDED.get(f"{each.__module__}.{each.__qualname__}", {})
    return old | dict(state)


def migrate_model(
    kind: type,
    state: Mapping[str, Any],
    built_from: Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]],
) -> dict[str, Any]:
    """Return the state of an estimator, including the parameters its network was built from.

    Earlier versions did not store these. They are taken from the estimator's parameters, which
    are those of the fit unless they were changed before saving.

    Parameters
    ----------
    kind : type
    state : mapping
    built_from : callable
        Takes the values of "auto" and all parameters, and returns those that determine a
        network.
    """
    state = migrate(kind, state)
    if "weights_" in state:
        auto = state.setdefault("auto_params_", {})
        state.setdefault("stop_reason_", None)
        if "_recipe" not in state:
            state["_recipe"] = _recipe_of_0_2(auto)
            state["_built_from"] = built_from(auto, state)
    return state


def _recipe_of_0_2(auto: Mapping[str, Any]) -> dict[str, Any]:
    """Return all values of "auto" in a training of 0.2.0, from those that it stored."""
    other = ("lr", "lr_schedule", "n_iter_no_change")  # for other kinds of training
    return RECIPE | {name: value for name, value in auto.items() if name not in other}


def migrate_checkpoint(inputs: Mapping[str, str]) -> dict[str, Any]:
    """Return all values of "auto" in a training of 0.2.0, from its checkpoint's inputs."""
    values = {}
    for name in ("image shape", "weight_decay", "batch_size", "max_iter", "tol"):
        # errors are reported by the check that follows
        with suppress(KeyError, SyntaxError, TypeError, ValueError):
            values[name] = literal_eval(inputs[name])
    shape = values.pop("image shape", None)
    if not isinstance(shape, tuple) or len(shape) != 3:
        return {}
    return _recipe_of_0_2(_network_of_0_2(*shape) | values)


def _network_of_0_2(channels: int, height: int, width: int) -> dict[str, Any]:
    """Return the recipe of 0.2.0 for a network, independent of today's."""
    size = max(height, width)
    if min(height, width) == 1:
        return {
            "filters": (16, 32, 64),
            "kernel_size": 7,
            "pool_size": 4 if size >= 200 else 2,
            "hidden_layer_sizes": (),
            "normalization": "batch",
            "global_pool": True,
        }
    return {
        "filters": (24, 48, 96) if size > 16 else (32, 64),
        "kernel_size": 3,
        "pool_size": 2,
        "hidden_layer_sizes": (128,),
        "normalization": "batch",
        "global_pool": False,
    }

"""Stored states of earlier versions, turned into those of this one.

Every class that pickles know says in ``__setstate__`` that its state passes through here. An
attribute that a version has added means in older states what those versions did, which today's
default need not be: it belongs in `ADDED`, as
`tests/robustness/test_models_of_older_versions.py` demands.
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
"""Version of the states, to raise whenever an older version of the package would misread them."""

ALWAYS_AVERAGED = 2**31
"""Mini-batches after which running moments move by their own rate alone."""

ADDED: dict[str, dict[str, Any]] = {
    # 0.1.0 had neither of these, and moved running moments by their own rate from the start
    "skcnn.state.TrainingState": {
        "averaged": ALWAYS_AVERAGED,
        "finely": False,
        "begun": 0,
        "begun_step": 0,
    },
    # 0.2.0 did not have this
    "skcnn._estimator.base.BaseScratchCNN": {
        "normalization": None,
        "global_pool": False,
        "random_shift": 0,
    },
    "skcnn.classifier.ScratchCNNClassifier": {"label_smoothing": 0.0},
}
"""Values that states of earlier versions lack, by the path of the class."""

RECIPE = {
    "lr_schedule": "one_cycle", "lr": 8e-3, "constant_lr": 2e-3, "patience": 5,
    "random_shift": 0, "pool_first": False,
}  # fmt: skip
"""Values of "auto" in 0.2.0 that its fitted estimators and checkpoints do not tell."""


def refuse_newer(found: Any, stored: str = "model") -> None:
    """Raise ``ValueError`` for a format of a newer version, or for none at all.

    Parameters
    ----------
    found : object
        Format that a state says it has.
    stored : str, default="model"
        Name of the stored thing in the error.
    """
    if not isinstance(found, int):
        raise ValueError(
            f"This is no {stored} of skcnn, or a damaged one: its _pickle_format is {found!r}, "
            "not a number."
        )
    if found > FORMAT:
        raise ValueError(
            f"This {stored} was saved by a newer version of skcnn (format {found}); this "
            f"version reads formats up to {FORMAT}. Please update skcnn."
        )


def migrate(kind: type, state: Mapping[str, Any]) -> dict[str, Any]:
    """Return a state with all attributes that earlier versions of a class did not have.

    Parameters
    ----------
    kind : type
        The class; what its base classes have added counts as well.
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
    """Return the state of an estimator, which knows what its network was built from.

    Earlier versions did not store that: it is taken from the parameters, which are those of the
    fit unless they were changed between the fit and the saving.

    Parameters
    ----------
    kind : type
    state : mapping
    built_from : callable
        Takes the values of "auto" and all parameters, and returns those that a network is built
        from.
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
    """Return all that "auto" means in a training of 0.2.0, by those values that it tells."""
    other = ("lr", "lr_schedule", "n_iter_no_change")  # in a call that trains in another way
    return RECIPE | {name: value for name, value in auto.items() if name not in other}


def migrate_checkpoint(belongs: Mapping[str, str]) -> dict[str, Any]:
    """Return all that "auto" means in a training of 0.2.0, by what its checkpoint belongs to."""
    told = {}
    for name in ("image shape", "weight_decay", "batch_size", "max_iter", "tol"):
        with suppress(KeyError, SyntaxError, TypeError, ValueError):  # the check will say so
            told[name] = literal_eval(belongs[name])
    shape = told.pop("image shape", None)
    if not isinstance(shape, tuple) or len(shape) != 3:
        return {}
    return _recipe_of_0_2(_network_of_0_2(*shape) | told)


def _network_of_0_2(channels: int, height: int, width: int) -> dict[str, Any]:
    """The recipe of 0.2.0 for a network, whatever it has become."""
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

"""Checkpoint files: the state of an unfinished training, and a description of its inputs."""

import hashlib
import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from math import isnan
from pathlib import Path
from reprlib import repr as short
from typing import Any, BinaryIO

import numpy as np

from skcnn._estimator.data import Data
from skcnn._estimator.description import describe
from skcnn._estimator.model import Model
from skcnn._hyperparameters import as_tuples
from skcnn._migration import migrate_checkpoint
from skcnn.files import replace_file
from skcnn.state import TrainingState
from skcnn.training.config import TrainingConfig

__all__ = ["TrainingCheckpoint", "describe_scorer", "numbered", "read", "training_inputs", "write"]

MAGIC = b"skcnn checkpoint\n"
FORMAT = 1
ROWS = 32
"""Images that are hashed at a time."""

DIGESTS = ("sample_weight", "y", "X")
"""Prefixes of entries that are digests, which errors do not print."""

ADDED: dict[str, str | None] = {"scorer": None, "fixed_features": "0"}
"""Entries that files of version 0.2.0 lack, with what they mean; None is anything."""

SHOWN = 100
"""Most characters of a scorer's description that an error shows."""

MOMENT = "moment "
"""Prefix of the names of the optimizer's arrays."""


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and not isnan(value)


def _is_history(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(numbers, list) and all(type(number) in (int, float) for number in numbers)
        for numbers in value.values()
    )


COUNT = _is_count, "an int that is not negative"
KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(("seed", "epoch", "step", "averaged", "no_improvement"), COUNT),
    **dict.fromkeys(("begun", "begun_step"), COUNT),
    "first_loss": (lambda value: value is None or _is_number(value), "None or a number"),
    "best": (_is_number, "a number"),
    "finely": (lambda value: value is None or isinstance(value, bool), "None, True or False"),
    "history": (_is_history, "a dict of lists of numbers"),
}
"""Fields of a `TrainingState` that are written as text, with a check and its description.

The other fields are arrays, and the criterion, which is not written.
"""


NUMBERS = ("lr", "constant_lr", "patience", "tol", "weight_decay", "batch_size", "max_iter",
           "fixed_features")  # fmt: skip
"""Names of numeric values of "auto"."""


@dataclass(frozen=True)
class TrainingCheckpoint:
    """Unfinished training after some epoch.

    Parameters
    ----------
    state : TrainingState
    inputs : dict of str
        Everything it was trained with, as `training_inputs` describes it.
    recipe : dict
        Values of "auto", as `recipe_for` returns them.
    """

    state: TrainingState
    inputs: dict[str, str]
    recipe: dict[str, Any]

    def check(
        self, path: Any, inputs: dict[str, str], fresh: TrainingState, history: set[str]
    ) -> None:
        """Raise ``ValueError`` if the training cannot be resumed with these inputs.

        Parameters
        ----------
        path : str or path-like
            The file, for errors.
        inputs : dict of str
            Description of the inputs to resume with.
        fresh : TrainingState
            State whose arrays have the required shapes and dtypes.
        history : set of str
            Names of the numbers that every epoch records.
        """
        for name, now in inputs.items():
            then = self.inputs.get(name, ADDED.get(name))
            if then is None and name in ADDED:
                continue
            if then != now:
                if name == "scorer" and then is not None:
                    then, now = _differing(then, now)
                told = "" if name.startswith(DIGESTS) else f": {then} there, {now} here"
                raise ValueError(
                    f"{path}: the training in this checkpoint had a different {name}{told}. Pass "
                    "the same X, y and parameters to resume it; to change something on purpose, "
                    "continue with warm_start=True instead."
                )
        wanted, found = _forms(fresh), _forms(self.state)
        wanted.pop("best_weights", None)
        if "validation_score" in history:
            wanted["best_weights"] = wanted["weights"]
        for name in sorted(wanted.keys() | found.keys()):
            if wanted.get(name) != found.get(name):
                raise ValueError(
                    f"{path}: this checkpoint does not fit its network and optimizer: {name} must "
                    f"be {wanted.get(name, 'missing')}, but is {found.get(name, 'missing')}."
                )
        if self.state.history.keys() != history:
            raise ValueError(
                f"{path}: this checkpoint must have the history of {sorted(history)}, but has "
                f"that of {sorted(self.state.history)}."
            )


def _differing(*texts: str) -> list[str]:
    """Return what differs between two long texts, without their common start and end."""
    words = [re.findall(r"[^(), ]+|.", text) for text in texts]
    start, end = (
        next((i for i, (a, b) in enumerate(zip(*each, strict=False)) if a != b), None)
        for each in (words, [each[::-1] for each in words])
    )
    least = min(map(len, words))
    start = least if start is None else start
    end = min(least if end is None else end, least - start)
    parts = ["".join(each[start : len(each) - end]).strip(", ") or "nothing" for each in words]
    return [part if len(part) <= SHOWN else f"{part[:SHOWN]}..." for part in parts]


def _arrays(state: TrainingState) -> dict[str, np.ndarray]:
    """Return the arrays of a state by their names in the file."""
    arrays = {f"{MOMENT}{name}": moment for name, moment in state.moments.items()}
    arrays["weights"] = state.weights
    if state.best_weights is not None:
        arrays["best_weights"] = state.best_weights
    return arrays


def _forms(state: TrainingState) -> dict[str, str]:
    """Describe the dtypes and shapes of a state's arrays."""
    return {name: f"{array.dtype} {array.shape}" for name, array in _arrays(state).items()}


def training_inputs(
    model: Model,
    data: Data,
    held_out: Data | None,
    config: TrainingConfig,
    criterion: tuple[str, Any] | None,
    scorer: str | None,
) -> dict[str, str]:
    """Describe everything that the result of a training depends on, as text and digests.

    Parameters
    ----------
    model : Model
    data : Data
    held_out : Data or None
    config : TrainingConfig
    criterion : tuple or None
        Kind of the validation part, and the parameter `scoring`.
    scorer : str or None
        Description of a callable `scoring` from before its first call.
    """
    network = model.network
    told = {
        "dtype": str(network.dtype),
        "image shape": str(network.input_shape),
        "loss": f"{type(model.loss).__name__} {vars(model.loss)}",
        "early_stopping": "None" if criterion is None else criterion[0],
        "scoring": "None" if criterion is None else _name_scoring(criterion[1]),
        "fixed_features": str(model.recipe["fixed_features"]),
    }
    if scorer is not None:
        told["scorer"] = scorer
    for each in fields(config):
        if each.name != "max_bytes":  # which may depend on the machine
            told[each.name] = repr(getattr(config, each.name))
    told |= {"number of rows": str(len(data)), **_digests(model, data)}
    if held_out is not None:
        told["number of rows to validate on"] = str(len(held_out))
        told |= {f"{name} to validate on": each for name, each in _digests(model, held_out).items()}
    # last: differing numbers of classes change it too, and the list of layers makes long errors
    return {**told, "network": str(network.layers)}


def describe_scorer(scoring: Any) -> str | None:
    """Describe a `scoring` that is a callable, with everything it holds; None for others."""
    return describe(scoring) if callable(scoring) else None


def _name_scoring(scoring: Any) -> str:
    """Return a name of a scoring that is the same in every process, unlike its address."""
    if not callable(scoring):
        return repr(scoring)
    named = scoring if hasattr(scoring, "__qualname__") else type(scoring)
    return f"{named.__module__}.{named.__qualname__}"


def _digests(model: Model, data: Data) -> dict[str, str]:
    """Hash images as the network reads them, sample weights and targets.

    The digest of the targets includes the classes, since the same numbers may stand for others.
    """
    meaning = {name: np.asarray(each).tolist() for name, each in model.encoder.attributes().items()}
    targets = hashlib.sha256(f"{len(data)} {data.targets.dtype} {meaning}".encode())
    targets.update(np.ascontiguousarray(data.targets).data)
    weights = hashlib.sha256(np.ascontiguousarray(data.weights.total).data)
    digest = hashlib.sha256(str(len(data)).encode())
    for array in (model.scaling.mean, model.scaling.deviation):
        digest.update(np.ascontiguousarray(array).data)
    scaled = data.input.images.with_scaling(model.scaling)
    for start in range(0, len(data), ROWS):
        rows = np.arange(start, min(start + ROWS, len(data)))
        images = np.empty((*model.network.input_shape, len(rows)), model.network.dtype)
        scaled.gather(rows, images)
        digest.update(images.data)
    found = (weights.hexdigest(), targets.hexdigest(), digest.hexdigest())
    return dict(zip(DIGESTS, found, strict=True))


def write(path: Path, checkpoint: TrainingCheckpoint, keep: int) -> None:
    """Write a checkpoint, and keep ``keep - 1`` older ones beside it."""
    state = checkpoint.state
    about = {
        "state": {name: getattr(state, name) for name in KINDS},
        "belongs": checkpoint.inputs,
        "recipe": checkpoint.recipe,
    }
    arrays = _arrays(state)
    text = json.dumps(about, default=_plain).encode()
    content = io.BytesIO()
    arrays["about"] = np.frombuffer(text, np.uint8)
    np.savez(content, **arrays)  # type: ignore[arg-type]
    payload = content.getvalue()
    head = MAGIC + FORMAT.to_bytes(4, "big")
    checked = hashlib.sha256(head + payload).digest()
    for age in range(keep - 1, 0, -1):
        older = numbered(path, age - 1)
        if older.exists():
            _write_bytes(numbered(path, age), older.read_bytes())
    _write_bytes(path, head + checked + payload)


def _write_bytes(path: Path, content: bytes) -> None:
    def write(file: BinaryIO) -> None:
        file.write(content)

    replace_file(path, write)


def numbered(path: Path, age: int) -> Path:
    """Return the path of the checkpoint that is `age` files old."""
    return path if age == 0 else path.with_name(f"{path.name}.{age}")


def _plain(value: Any) -> Any:
    """Convert a NumPy number for JSON."""
    return value.item()


def read(path: Any) -> TrainingCheckpoint:
    """Read a file of `write`, without running any code in it.

    Raises
    ------
    ValueError
        For a file that is not a checkpoint, is damaged, or was written by a newer version.
    OSError
        If it cannot be read.
    """
    with open(path, "rb") as file:
        content = file.read(len(MAGIC))
        if content == MAGIC:  # other files are not read further: a device may have no end
            content += file.read()
    start = len(MAGIC) + 4
    if not content.startswith(MAGIC) or len(content) < start + 32:
        raise ValueError(f"{path}: not a skcnn checkpoint, or truncated.")
    head, checked, payload = content[:start], content[start : start + 32], content[start + 32 :]
    found = int.from_bytes(head[-4:], "big")
    if hashlib.sha256(head + payload).digest() != checked:
        if found > FORMAT:
            raise ValueError(
                f"{path}: a checkpoint of a newer version of skcnn (format {found}, this one reads "
                f"{FORMAT}), or damaged."
            )
        raise ValueError(f"{path}: this checkpoint is damaged: its checksum does not agree.")
    if found > FORMAT:
        raise ValueError(
            f"{path}: this checkpoint was written by a newer version of skcnn (format {found}; "
            f"this version reads formats up to {FORMAT}). Please update skcnn."
        )
    try:
        return _parse(payload)
    except Exception as error:  # from NumPy, from the zip format, or from the checks
        raise ValueError(
            f"{path}: the checksum of this checkpoint agrees, but skcnn did not write its "
            f"contents: {error}"
        ) from error


def _parse(payload: bytes) -> TrainingCheckpoint:
    """Parse the contents, and check everything that can be checked without the network."""
    with np.load(io.BytesIO(payload), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    if "about" not in arrays:
        raise ValueError("there is no array 'about'.")
    about = json.loads(arrays.pop("about").tobytes())
    if not isinstance(about, dict) or not about.keys() >= {"state", "belongs"}:
        raise ValueError("about must hold 'state' and 'belongs'.")
    told, belongs = about["state"], about["belongs"]
    if not isinstance(told, dict) or told.keys() != KINDS.keys():
        found = sorted(told) if isinstance(told, dict) else type(told).__name__
        raise ValueError(f"state must hold {sorted(KINDS)}, got {found}.")
    for name, (allowed, what) in KINDS.items():
        if not allowed(told[name]):
            raise ValueError(f"{name} must be {what}, got {short(told[name])}.")
    if told["begun"] > told["epoch"] or told["begun_step"] > told["step"]:
        raise ValueError("begun and begun_step must not be greater than epoch and step.")
    for name, values in told["history"].items():
        if len(values) != told["epoch"]:
            raise ValueError(
                f"history[{name!r}] must hold a number for each of {told['epoch']} epochs, got "
                f"{len(values)}."
            )
    if not isinstance(belongs, dict) or not all(isinstance(text, str) for text in belongs.values()):
        raise ValueError("belongs must be a dict of text.")
    for name, array in arrays.items():
        if name not in ("weights", "best_weights") and not name.startswith(MOMENT):
            raise ValueError(f"there is an unknown array {name!r}.")
        if array.dtype.kind != "f":
            raise ValueError(f"{name} must hold floats, got {array.dtype}.")
        # overflowed squares are inf, with which training can continue
        if np.isnan(array).any() or ("weights" in name and np.isinf(array).any()):
            raise ValueError(f"{name} holds numbers that are not finite.")
    if "weights" not in arrays:
        raise ValueError("there is no array 'weights'.")
    state = TrainingState(
        weights=arrays["weights"],
        moments={
            name.removeprefix(MOMENT): array
            for name, array in arrays.items()
            if name.startswith(MOMENT)
        },
        best_weights=arrays.get("best_weights"),
        **told,
    )
    return TrainingCheckpoint(state, belongs, _recipe(about))


def _recipe(about: dict[str, Any]) -> dict[str, Any]:
    """Return the values of "auto", which checkpoints of version 0.2.0 store in another form."""
    if "recipe" not in about:
        return migrate_checkpoint(about["belongs"])
    recipe = about["recipe"]
    if not isinstance(recipe, dict):
        raise ValueError(f"recipe must be a dict, got {short(recipe)}.")
    for name in NUMBERS:
        if not _is_number(recipe.get(name, 1)):
            raise ValueError(f"{name} in recipe must be a number, got {short(recipe[name])}.")
    return {name: as_tuples(value) for name, value in recipe.items()}

"""The file of a training that is not over: its state, and what it belongs to."""

import hashlib
import io
import json
import os
import re
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from skcnn._estimator.data import Data, Model
from skcnn.state import TrainingState
from skcnn.training.config import TrainingConfig

__all__ = ["Checkpointed", "belongings", "clear", "read", "write"]

MAGIC = b"skcnn checkpoint\n"
FORMAT = 1
ROWS = 32
"""Images that are digested at a time."""

DIGESTS = ("sample_weight", "y", "X")
"""What is told by a digest, which says nothing to anybody."""

BESIDE = r"(\.\d+)?\.[0-9a-f]{16}\.new"
"""How the name goes on of what is being written, behind a dot and the file's own."""

LEFT = 3600.0
"""Seconds after which nobody is writing it any more."""

SCALARS = ("seed", "epoch", "step", "averaged", "first_loss", "best", "no_improvement", "finely",
           "begun", "begun_step", "history")  # fmt: skip
"""What of a `TrainingState` is written as text; the rest are arrays, and the criterion."""


@dataclass(frozen=True)
class Checkpointed:
    """A training after some epoch.

    Parameters
    ----------
    state : TrainingState
    belongs : dict of str
        What it was trained with, by name, as `belongings` tells it.
    """

    state: TrainingState
    belongs: dict[str, str]

    def check(self, path: Any, belongs: dict[str, str]) -> None:
        """Raise where something differs from what the training began with."""
        for name, now in belongs.items():
            then = self.belongs.get(name)
            if then != now:
                told = "" if name.startswith(DIGESTS) else f": {then} there, {now} here"
                raise ValueError(
                    f"{path}: the training in this checkpoint had a different {name}{told}. Pass "
                    "the same X, y and parameters to resume it; what shall change on purpose "
                    "takes a training with warm_start."
                )


def belongings(
    model: Model, data: Data, held_out: Data | None, settings: TrainingConfig, judge: Any
) -> dict[str, str]:
    """What decides about the bits of a training, in words and digests."""
    network = model.network
    told = {
        "dtype": str(network.dtype),
        "image shape": str(network.input_shape),
        "loss": f"{type(model.loss).__name__} {vars(model.loss)}",
        "early_stopping": "None" if judge is None else judge[0],
        "scoring": "None" if judge is None else _named(judge[1]),
    }
    for each in fields(settings):
        if each.name != "max_bytes":  # which may follow the machine
            told[each.name] = repr(getattr(settings, each.name))
    told |= {"number of rows": str(len(data)), **_digests(model, data)}
    if held_out is not None:
        told["number of rows to validate on"] = str(len(held_out))
        told |= {f"{name} to validate on": each for name, each in _digests(model, held_out).items()}
    # last, since the number of classes is in it, and the list of all layers is long
    return {**told, "network": str(network.layers)}


def _named(scoring: Any) -> str:
    """A scoring in words that are the same in another process, where its address is not."""
    if not callable(scoring):
        return repr(scoring)
    named = scoring if hasattr(scoring, "__qualname__") else type(scoring)
    return f"{named.__module__}.{named.__qualname__}"


def _digests(model: Model, data: Data) -> dict[str, str]:
    """Of all that a network is given: every image as it is read, its target and its weight.

    And of what targets mean: the same numbers may stand for other classes.
    """
    meaning = {name: np.asarray(each).tolist() for name, each in model.answers.attributes().items()}
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


def write(path: Path, checkpointed: Checkpointed, keep: int) -> None:
    """Write beside the file, flush, and rename; `keep` - 1 older ones are kept beside it."""
    state = checkpointed.state
    about = {
        "state": {name: getattr(state, name) for name in SCALARS},
        "belongs": checkpointed.belongs,
    }
    arrays = {f"moment {name}": moment for name, moment in state.moments.items()}
    arrays["weights"] = state.weights
    if state.best_weights is not None:
        arrays["best_weights"] = state.best_weights
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
            _replace(numbered(path, age), older.read_bytes())
    _replace(path, head + checked + payload)


def numbered(path: Path, age: int) -> Path:
    """Where the checkpoint before the last one lies, and so on."""
    return path if age == 0 else path.with_name(f"{path.name}.{age}")


def clear(path: Path) -> None:
    """Remove what killed processes have left of files that they were writing, an hour ago."""
    for each in path.parent.iterdir():
        if re.fullmatch(re.escape(f".{path.name}") + BESIDE, each.name):
            with suppress(FileNotFoundError):  # somebody else has removed it
                if time.time() - each.stat().st_mtime > LEFT:
                    each.unlink()


def _plain(value: Any) -> Any:
    """A number of NumPy as one of Python, for JSON."""
    return value.item()


def _replace(path: Path, content: bytes) -> None:
    """The file holds the old content or the new, whenever the process ends."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}.new")
    try:
        with open(beside, "xb") as file:  # who may read it is up to the user's umask
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    _flush_folder(path.parent)


def _flush_folder(folder: Path) -> None:
    """So that the new name is on the disk, too, where folders can be flushed."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def read(path: Any) -> Checkpointed:
    """Read what `write` has written; nothing in it is run.

    Raises
    ------
    ValueError
        For a file that is none, is damaged, or was written by a newer version.
    OSError
        Where it cannot be read.
    """
    content = Path(path).read_bytes()
    start = len(MAGIC) + 4
    if not content.startswith(MAGIC) or len(content) < start + 32:
        raise ValueError(f"{path}: no checkpoint of skcnn, or one that was cut.")
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
    with np.load(io.BytesIO(payload), allow_pickle=False) as arrays:
        about = json.loads(arrays["about"].tobytes())
        state = TrainingState(
            weights=arrays["weights"],
            moments={
                name.removeprefix("moment "): arrays[name]
                for name in arrays.files
                if name.startswith("moment ")
            },
            best_weights=arrays["best_weights"] if "best_weights" in arrays.files else None,
            **about["state"],
        )
    return Checkpointed(state, about["belongs"])

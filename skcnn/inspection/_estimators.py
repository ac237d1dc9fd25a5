"""Images and outputs of a fitted estimator, as the inspection functions need them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from skcnn._estimator.base import BaseScratchCNN
from skcnn.data import Images
from skcnn.micro_batches import slices
from skcnn.network import Network
from skcnn.parallel.threads import Threads

__all__ = [
    "arranged", "check_fitted", "gathered", "in_parts", "output_labels",
    "output_names", "output_numbers", "output_units", "pixels", "shortened",
]  # fmt: skip

Fill = Callable[[np.ndarray, slice], None]
"""Function of a block of scaled images, (rows, channels, height, width), and its rows."""

ALL = slice(None)

LONGEST = 14
"""Most characters of a class name in a title."""


def check_estimator(estimator: Any, caller: str) -> BaseScratchCNN:
    """Return `estimator` if it is one of this package's, or raise ``TypeError``."""
    if not isinstance(estimator, BaseScratchCNN):
        raise TypeError(
            f"{caller}: estimator must be a ScratchCNNClassifier or a ScratchCNNRegressor, got "
            f"{type(estimator).__name__}. Pass the network alone, such as pipeline[-1] with "
            "pipeline[:-1].transform(X), or search.best_estimator_."
        )
    return estimator


def check_fitted(estimator: Any, caller: str) -> BaseScratchCNN:
    """Return a snapshot of `estimator` if it is fitted, or raise ``NotFittedError``."""
    return check_estimator(estimator, caller)._snapshot()


def pixels(estimator: BaseScratchCNN, X: Any, rows: np.ndarray | slice = ALL) -> np.ndarray:
    """Return images as floats, unscaled, of shape (n, channels, height, width)."""

    def run(
        network: Network, weights: np.ndarray, images: Images, threads: Threads, max_bytes: float
    ) -> np.ndarray:
        return gathered(images, rows)

    return estimator._infer(run, X)


def arranged(estimator: BaseScratchCNN, values: np.ndarray) -> np.ndarray:
    """Reshape numbers from the form of the estimator's `X` to (n, channels, height, width)."""
    C, H, W = estimator.image_shape_
    if estimator._data_format == "channels_last":
        return np.moveaxis(values.reshape(len(values), H, W, C), -1, 1)
    return values.reshape(len(values), C, H, W)


def gathered(images: Images, rows: np.ndarray | slice = ALL) -> np.ndarray:
    """Copy unscaled images into an array of shape (n, channels, height, width)."""
    x = np.empty((*images.shape, len(np.arange(len(images))[rows])))
    images.with_scaling(None).gather(rows, x)
    return np.moveaxis(x, -1, 0)


def in_parts(
    images: Images, network: Network, threads: Threads, max_bytes: float, fill: Fill
) -> None:
    """Call `fill` for blocks of images that fit into memory, on all threads."""
    parts = slices(len(images), network.cost.micro_batch_size(max_bytes=max_bytes))

    def task(thread: int, i: int) -> None:
        rows = parts[i]
        U = np.empty((*network.input_shape, rows.stop - rows.start), network.dtype)
        with np.errstate(all="ignore"):
            images.gather(rows, U)
            fill(np.moveaxis(U, -1, 0), rows)

    threads.run(len(parts), task)


def output_names(estimator: Any) -> np.ndarray:
    """Return the classes, or the numbers of the labels or outputs."""
    if hasattr(estimator, "classes_"):
        return estimator.classes_
    return np.arange(estimator.n_outputs_)


def output_numbers(estimator: Any, target: Any, n: int, caller: str) -> np.ndarray | None:
    """Return the index of the target output in each of `n` rows; None means the largest output.

    Raises
    ------
    ValueError
        If a target is not an output, or their number is not that of the rows.
    """
    names = output_names(estimator).tolist()
    if target is None:
        if hasattr(estimator, "classes_"):
            return None
        if len(names) > 1:
            raise ValueError(
                f"{caller}: target must be specified for a regressor with several outputs: one of "
                f"{names}."
            )
        return np.zeros(n, np.intp)
    given = np.asarray(target)
    if given.ndim > 1 or (given.ndim == 1 and len(given) != n):
        raise ValueError(
            f"{caller}: target must be None, one of {names}, or one of them for each of the {n} "
            f"rows of X, got an array of shape {given.shape}."
        )
    numbers = {name: i for i, name in enumerate(names)}
    wanted = given.reshape(-1).tolist()
    for name in wanted:
        if name not in numbers:
            raise ValueError(f"{caller}: target must be among {names}, got {name!r}.")
    return np.broadcast_to([numbers[name] for name in wanted], n)


def output_labels(estimator: Any, X: Any, target: Any, caller: str) -> list[str]:
    """Return the name of the target output for each row of `X`."""
    columns = output_numbers(estimator, target, np.shape(X)[0], caller)
    if estimator.out_activation_ in ("identity", "exp"):
        assert columns is not None
        alone = estimator.n_outputs_ == 1
        return ["prediction" if alone else f"output {column}" for column in columns]
    if columns is None:
        columns = estimator.predict_proba(X).argmax(axis=1)
    kind = "label" if estimator.out_activation_ == "logistic" else "class"
    return [f"{kind} {shortened(name)}" for name in estimator.classes_[columns]]


def shortened(name: Any) -> str:
    """Return a class as text that fits into a title."""
    text = str(name)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def output_units(estimator: Any) -> np.ndarray:
    """Return each output's scale in the unit of the targets; 1 for logits."""
    names = output_names(estimator)
    if estimator.out_activation_ == "identity":
        return estimator.target_scale_
    return np.ones(len(names))

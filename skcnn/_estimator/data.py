"""Samples with all that is known of them, and the part that is held out."""

from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import numpy as np

from skcnn._estimator.images import Input
from skcnn._estimator.model import Model, TargetEncoder
from skcnn._estimator.sample_weights import SampleWeights
from skcnn._estimator.user_warnings import warn_user
from skcnn.data import Samples
from skcnn.losses import Loss
from skcnn.state import stream

__all__ = ["Data", "held_out_size", "split"]


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class Data:
    """Samples as the user holds them, checked.

    Parameters
    ----------
    input : Input
        Their images.
    targets : ndarray of shape (n, ...)
        As `encoder` reads them.
    encoder : TargetEncoder
    weights : SampleWeights
    whole : bool
        Whether these are all there are. Only ratios of weights matter then; the
        weights of a part are taken as they are.
    """

    input: Input
    targets: np.ndarray
    encoder: TargetEncoder
    weights: SampleWeights
    whole: bool = True

    def __len__(self) -> int:
        return len(self.targets)

    def subset(self, rows: np.ndarray) -> "Data":
        """Some of the samples, without a copy of their images."""
        return replace(
            self,
            input=self.input.subset(rows),
            targets=self.targets[rows],
            weights=self.weights.subset(rows),
        )

    def samples(self, model: Model, loss: Loss) -> Samples:
        """For the engine, as `model` takes them; weights of all there are are 1 on average."""
        images, dtype = self.input.images.with_scaling(model.scaling), model.network.dtype
        weights = self.weights.total
        if self.whole:
            weights = weights / weights.mean()
        targets = model.encoder.transform(self.targets, dtype)
        return Samples(images, targets, weights.astype(dtype), loss)

    @property
    def y(self) -> np.ndarray:
        """In the user's form."""
        return self.encoder.as_y(self.targets)

    @property
    def metadata(self) -> dict[str, Any]:
        """Further arguments of the fit, by name."""
        return {} if self.weights.given is None else {"sample_weight": self.weights.given}


def held_out_size(data: Data, fraction: float, caller: str) -> int:
    """Return ``max(ceil(fraction · n), classes)``, or raise where that leaves nothing.

    Labels in an indicator matrix ask for no number of samples.
    """
    n = len(data)
    size = max(ceil(fraction * n), data.encoder.fewest_held_out(data.targets))
    if size >= n:
        raise ValueError(
            f"{caller}: early_stopping with validation_fraction={fraction:g} holds out {size} of "
            f"{n} samples, which leaves none to train on."
        )
    return size


def split(data: Data, size: int, seed: int, caller: str) -> tuple[Data, Data]:
    """Split off so many samples for validation.

    Stratified where every class has two members and both parts have room for
    every class, but not by labels in an indicator matrix.

    Parameters
    ----------
    data : Data
    size : int
    seed : int
        Of the training.
    caller : str
        The estimator that errors name.

    Returns
    -------
    training, validation : Data
        Their rows in the order of `data`.

    Warns
    -----
    UserWarning
        For classes of one member, and for those most of whose members are held
        out.

    Raises
    ------
    ValueError
        Where that leaves too little for either.
    """
    from sklearn.model_selection import train_test_split  # takes half of the import's time

    n, strata = len(data), data.encoder.strata(data.targets)
    if strata is not None:
        counts = np.bincount(strata)
        counts = counts[counts > 0]
        if counts.min() < 2 or n - size < len(counts):
            strata = None
    draw = np.random.RandomState(stream(seed, "split").integers(2**32))
    rows, held_out = train_test_split(
        np.arange(n), test_size=size, random_state=draw, stratify=strata
    )
    training, validation = data.subset(np.sort(rows)), data.subset(np.sort(held_out))
    lacking = data.encoder.lacking(training.targets[training.weights.total > 0])
    if lacking or not validation.weights.total.any():
        raise ValueError(
            f"{caller}: early_stopping holds out {size} of {n} samples, which leaves "
            f"{lacking or 'nothing of positive weight'} to "
            f"{'train' if lacking else 'validate'} on."
        )
    _warn_of_rare_classes(data, training)
    return training, validation


def _warn_of_rare_classes(data: Data, training: Data) -> None:
    """Warn of classes that a split tears apart."""
    strata, kept = data.encoder.strata(data.targets), data.encoder.strata(training.targets)
    if strata is None or kept is None:
        return
    members = np.bincount(strata)
    lost = members - np.bincount(kept, minlength=len(members))
    found = {
        "of one member, which is trained on or validated on but not both": members == 1,
        "most of whose members are held out": (2 * lost > members) & (members > 1),
    }
    complaints = [
        f"classes {data.encoder.as_y(np.flatnonzero(those)).tolist()}, {what}"
        for what, those in found.items()
        if those.any()
    ]
    if complaints:
        n = len(data)
        warn_user(
            f"early_stopping holds out {n - len(training)} of {n} samples, and there are "
            f"{'; and '.join(complaints)}. Pass more samples of them, or samples to validate on "
            "as X_val and y_val."
        )

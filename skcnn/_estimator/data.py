"""Samples of a fit: checks of its arguments, and the split into training and validation part."""

from dataclasses import dataclass, replace
from math import ceil
from typing import Any, NamedTuple

import numpy as np

from skcnn._estimator.images import Input, read_fitted, read_images, read_like
from skcnn._estimator.model import Model, TargetEncoder
from skcnn._estimator.sample_weights import SampleWeights, check_sample_weight, weigh_by_class
from skcnn._estimator.user_warnings import warn_user
from skcnn.data import Samples
from skcnn.losses import Loss
from skcnn.state import stream

__all__ = [
    "Data",
    "FitArguments",
    "held_out_size",
    "read_data",
    "read_part",
    "read_validation",
    "split",
]


class FitArguments(NamedTuple):
    """Arguments of ``fit`` as the user passed them, not checked yet."""

    X: Any
    y: Any
    sample_weight: Any = None
    X_val: Any = None
    y_val: Any = None
    sample_weight_val: Any = None


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class Data:
    """Checked samples in the user's arrays.

    Parameters
    ----------
    input : Input
        Images of the samples.
    targets : ndarray of shape (n, ...)
        Targets as the encoder's `read` returns them.
    encoder : TargetEncoder
    weights : SampleWeights
    whole : bool
        Whether these are all samples of the training, so that weights can be
        divided by their mean. The weights of a part are used unchanged.
    """

    input: Input
    targets: np.ndarray
    encoder: TargetEncoder
    weights: SampleWeights
    whole: bool = True

    def __len__(self) -> int:
        return len(self.targets)

    def subset(self, rows: np.ndarray) -> "Data":
        """Select some of the samples without copying their images."""
        return replace(
            self,
            input=self.input.subset(rows),
            targets=self.targets[rows],
            weights=self.weights.subset(rows),
        )

    def samples(self, model: Model, loss: Loss) -> Samples:
        """Return the `Samples` of a training, with scaled images and encoded targets."""
        images, dtype = self.input.images.with_scaling(model.scaling), model.network.dtype
        weights = self.weights.total
        if self.whole:
            weights = weights / weights.mean()
        targets = model.encoder.transform(self.targets, dtype)
        return Samples(images, targets, weights.astype(dtype), loss)

    @property
    def y(self) -> np.ndarray:
        """Targets in the user's form."""
        return self.encoder.as_y(self.targets)

    @property
    def metadata(self) -> dict[str, Any]:
        """Further arguments of the fit by name."""
        return {} if self.weights.given is None else {"sample_weight": self.weights.given}


def read_data(estimator: Any, arguments: FitArguments) -> Data:
    """Check the samples to train on."""
    caller, (X, y, sample_weight, *_) = type(estimator).__name__, arguments
    inputs = read_images(X, estimator.image_shape, estimator.data_format, caller)
    encoder, targets = estimator._read_targets(y, len(inputs.images))
    weights = check_sample_weight(sample_weight, len(targets), caller)
    by_class = estimator._class_weights(encoder, targets, weights)
    total = weigh_by_class(weights, by_class, targets, caller)
    encoder.check_weighted(targets, total, caller)
    given = None if sample_weight is None else weights
    return Data(
        input=inputs,
        targets=targets,
        encoder=encoder,
        weights=SampleWeights(given=given, by_class=by_class, total=total),
    )


def read_validation(estimator: Any, data: Data, arguments: FitArguments) -> Data | None:
    """Check the validation set against the `data` to train on; None if none was passed."""
    caller, (*_, X_val, y_val, sample_weight_val) = type(estimator).__name__, arguments
    if X_val is None and y_val is None:
        if sample_weight_val is not None:
            raise ValueError("sample_weight_val is provided, but X_val and y_val were not.")
        return None
    if y_val is None:
        raise ValueError("X_val is provided, but y_val was not provided.")
    if X_val is None:
        raise ValueError("y_val is provided, but X_val was not provided.")
    if not estimator.early_stopping:
        raise ValueError(
            f"{caller}: X_val and y_val are passed to fit while early_stopping=False, which "
            "would not use them. Set early_stopping=True."
        )
    inputs = read_like(X_val, data.input, "X_val", caller)
    targets = data.encoder.read(y_val, len(inputs.images), "y_val", "y", caller)
    weights = check_sample_weight(sample_weight_val, len(targets), caller, "sample_weight_val")
    by_class = data.weights.by_class
    total = weigh_by_class(weights, by_class, targets, caller, "sample_weight_val")
    if not total.any():
        times = "" if by_class is None else " times class_weight"
        raise ValueError(f"{caller}: all weights of X_val (sample_weight_val{times}) are zero.")
    given = None if sample_weight_val is None else weights
    return Data(
        input=inputs,
        targets=targets,
        encoder=data.encoder,
        weights=SampleWeights(given=given, by_class=by_class, total=total),
    )


def read_part(estimator: Any, arguments: FitArguments, encoder: TargetEncoder) -> Data:
    """Check the samples of ``partial_fit``, against those of earlier calls if there were any."""
    caller, (X, y, sample_weight, *_) = type(estimator).__name__, arguments
    first = not hasattr(estimator, "weights_")
    if first:
        inputs = read_images(X, estimator.image_shape, estimator.data_format, caller)
    else:
        names = getattr(estimator, "feature_names_in_", None)
        inputs = Input(X=X, names=names, images=read_fitted(X, estimator))
    origin = "classes" if first else "the calls before"
    targets = encoder.read(y, len(inputs.images), "y", origin, caller)
    weights = check_sample_weight(sample_weight, len(targets), caller)
    by_class = estimator._class_weights(encoder, targets, weights)
    total = weigh_by_class(weights, by_class, targets, caller, scaled=False)
    if first and not total.any():
        raise ValueError(
            f"{caller}: the first call to partial_fit needs a sample of positive weight, but "
            f"the weights (sample_weight{'' if by_class is None else ' times class_weight'}) "
            "are all zero."
        )
    return Data(
        input=inputs,
        targets=targets,
        encoder=encoder,
        weights=SampleWeights(given=None, by_class=by_class, total=total),
        whole=False,
    )


def held_out_size(data: Data, fraction: float, caller: str) -> int:
    """Return ``max(ceil(fraction · n), number of classes)``, or raise if that leaves no samples.

    Labels in an indicator matrix do not require a minimum.
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
    """Split off `size` samples for validation.

    The split is stratified if every class has two members and both parts have
    room for every class. Labels in an indicator matrix are not stratified.

    Parameters
    ----------
    data : Data
    size : int
    seed : int
        Seed of the training.
    caller : str
        Name of the estimator, for errors.

    Returns
    -------
    training, validation : Data
        Rows of both are in the order of `data`.

    Warns
    -----
    UserWarning
        For classes with one member, and for those most of whose members are
        held out.

    Raises
    ------
    ValueError
        If too little is left for either part.
    """
    from sklearn.model_selection import train_test_split  # half of the package's import time

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
    """Warn of classes that have too few members for a split."""
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

"""Checks of the arguments of ``fit`` and ``partial_fit``."""

from typing import Any, NamedTuple

from skcnn._estimator.data import Data
from skcnn._estimator.images import Input, read_fitted, read_images, read_like
from skcnn._estimator.model import TargetEncoder
from skcnn._estimator.sample_weights import SampleWeights, check_sample_weight, weigh_by_class

__all__ = ["FitArguments", "read_data", "read_part", "read_validation"]


class FitArguments(NamedTuple):
    """Arguments of ``fit`` as the user passed them, not checked yet."""

    X: Any
    y: Any
    sample_weight: Any = None
    X_val: Any = None
    y_val: Any = None
    sample_weight_val: Any = None


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

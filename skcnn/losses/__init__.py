"""Losses: errors of the network's outputs, and their meaning as predictions."""

from skcnn.losses._loss import BatchLoss, Loss
from skcnn.losses.classification import (
    LOSSES,
    ClassificationLoss,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
)
from skcnn.losses.regression import (
    REGRESSION_LOSSES,
    AbsoluteError,
    Huber,
    PinballLoss,
    PoissonDeviance,
    RegressionLoss,
    SquaredError,
)

__all__ = [
    "LOSSES",
    "REGRESSION_LOSSES",
    "AbsoluteError",
    "BatchLoss",
    "ClassificationLoss",
    "Huber",
    "Loss",
    "PinballLoss",
    "PoissonDeviance",
    "RegressionLoss",
    "SigmoidCrossEntropy",
    "SoftmaxCrossEntropy",
    "SquaredError",
]

"""Convolutional neural networks that are scikit-learn estimators, in NumPy."""

from skcnn._summary import summary
from skcnn.classifier import ScratchCNNClassifier
from skcnn.regressor import ScratchCNNRegressor

__all__ = ["ScratchCNNClassifier", "ScratchCNNRegressor", "summary", "__version__"]

__version__ = "0.2.0.dev0"

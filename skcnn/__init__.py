"""A convolutional neural network that is a scikit-learn estimator, in NumPy."""

from skcnn.classifier import ScratchCNNClassifier

__all__ = ["ScratchCNNClassifier", "__version__"]

__version__ = "0.1.0"

"""A convolutional neural network that is a scikit-learn estimator, in NumPy."""

from skcnn._summary import summary
from skcnn.classifier import ScratchCNNClassifier

__all__ = ["ScratchCNNClassifier", "summary", "__version__"]

__version__ = "0.1.0"

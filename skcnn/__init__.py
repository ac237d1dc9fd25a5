"""A convolutional neural network that is a scikit-learn estimator, in NumPy."""

from skcnn.classifier import ScratchCNNClassifier
from skcnn.summary import summary  # the function; it hides the module of its name

__all__ = ["ScratchCNNClassifier", "summary", "__version__"]

__version__ = "0.1.0"

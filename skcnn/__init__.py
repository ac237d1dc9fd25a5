"""Convolutional neural networks that are scikit-learn estimators, in NumPy."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skcnn._summary import summary
    from skcnn.classifier import ScratchCNNClassifier
    from skcnn.fixed_kernel_features import FixedKernelFeatures
    from skcnn.regressor import ScratchCNNRegressor

__all__ = [
    "FixedKernelFeatures",
    "ScratchCNNClassifier",
    "ScratchCNNRegressor",
    "summary",
    "__version__",
]

__version__ = "0.3.0"

_HOMES = {
    "FixedKernelFeatures": "skcnn.fixed_kernel_features",
    "ScratchCNNClassifier": "skcnn.classifier",
    "ScratchCNNRegressor": "skcnn.regressor",
    "summary": "skcnn._summary",
}
"""Modules of the public names, which are imported on first use."""


def __getattr__(name: str) -> Any:
    """Import a public name on demand, so that worker processes need not load scikit-learn."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})

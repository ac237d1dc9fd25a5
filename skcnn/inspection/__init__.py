"""Inspection of fitted networks: activations, saliency maps, and displays of both.

The functions need NumPy only; the displays need matplotlib,
``pip install "skcnn[plot]"``.
"""

from skcnn.inspection._activations import activations
from skcnn.inspection._activations_display import ActivationsDisplay
from skcnn.inspection._filters_display import FiltersDisplay
from skcnn.inspection._loss_curve_display import LossCurveDisplay
from skcnn.inspection._methods import (
    GradCAM,
    Gradient,
    IntegratedGradients,
    Occlusion,
    SmoothGrad,
)
from skcnn.inspection._mistakes_display import MistakesDisplay
from skcnn.inspection._network_display import NetworkDisplay
from skcnn.inspection._saliency import saliency
from skcnn.inspection._saliency_display import SaliencyDisplay

__all__ = [
    "activations",
    "ActivationsDisplay",
    "FiltersDisplay",
    "GradCAM",
    "Gradient",
    "IntegratedGradients",
    "LossCurveDisplay",
    "MistakesDisplay",
    "NetworkDisplay",
    "Occlusion",
    "saliency",
    "SaliencyDisplay",
    "SmoothGrad",
]

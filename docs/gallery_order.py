"""The order of the gallery, most useful pages first."""

from pathlib import Path

ORDER = [
    "digits", "fashion_small", "photographs", "filters", "saliency", "mistakes", "validation_set",
    "learning_curve", "residual_network", "fine_tuning", "signals", "fixed_kernels",
    "probabilities", "features_svc", "several_labels", "angle", "onnx_runtime", "own_layer",
    "convolution_definition", "larger_than_memory", "cluster",
]  # fmt: skip


class GalleryOrder:
    """A sort key for sphinx-gallery; scripts without a place come last, by name."""

    def __init__(self, folder: str) -> None:
        pass

    def __call__(self, filename: str) -> tuple[int, str]:
        name = Path(filename).stem
        return (ORDER.index(name) if name in ORDER else len(ORDER), name)

"""Prediction, in batches of several sizes."""

from collections.abc import Callable

import numpy as np
import torch
from skorch import NeuralNetClassifier

from benchmarks.fits import data
from benchmarks.networks import CASES, as_torch
from skcnn import ScratchCNNClassifier

WORKS = (("LeNet", 1), ("LeNet", 32), ("LeNet", 512), ("two blocks", 512))
"""Networks and batch sizes."""


def contenders(name: str, batch_size: int) -> dict[str, Callable[[], object]]:
    """Return all contenders; each call predicts about 512 images, in batches."""
    case = CASES[name]
    X, y = data(case, 600)
    clf = ScratchCNNClassifier(layers=list(case.layers), max_iter=1, random_state=0).fit(X, y)
    net = NeuralNetClassifier(
        as_torch, module__case=case, max_epochs=1, batch_size=512, train_split=None, verbose=0
    ).fit(X, y)
    batches = [X[i : i + batch_size] for i in range(0, 512, batch_size)][:64]

    def over(predict: Callable[[np.ndarray], object]) -> Callable[[], object]:
        return lambda: [predict(batch) for batch in batches]

    def torch_predict(memory_format: torch.memory_format) -> Callable[[np.ndarray], np.ndarray]:
        model = as_torch(case).eval().to(memory_format=memory_format)

        def predict(batch: np.ndarray) -> np.ndarray:
            images = torch.from_numpy(batch).contiguous(memory_format=memory_format)
            with torch.no_grad():
                return model(images).argmax(dim=1).numpy()

        return predict

    return {
        "skcnn": over(clf.predict),
        "PyTorch": over(torch_predict(torch.contiguous_format)),
        "PyTorch channels_last": over(torch_predict(torch.channels_last)),
        "skorch": over(net.predict),
    }

"""Training with Adam on random float32 images: single epochs and long fits."""

from collections.abc import Callable

import numpy as np
import torch
from sklearn.neural_network import MLPClassifier
from skorch import NeuralNetClassifier
from torch import nn

from benchmarks.networks import CASES, N_CLASSES, Case, as_torch
from skcnn import ScratchCNNClassifier

Epoch = Callable[[], object]

SHORT = (
    ("LeNet", 32), ("LeNet", 128), ("simple_cnn", 32), ("simple_cnn", 128), ("two blocks", 32),
    ("two blocks", 128), ("conv32-conv64", 128), ("VGG-like", 128),
)  # fmt: skip
"""Networks and batch sizes for single epochs."""

LONG = (*SHORT, ("untouched", 128))
"""Networks and batch sizes for fits long enough to use worker processes."""

EPOCHS_OF_LONG = 3

WITH_MLP = ("LeNet", "simple_cnn")
"""Networks comparable to an MLP, since most of their parameters are in dense layers."""


def data(case: Case, n_rows: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return noisy images of one pattern per class, which are learned within an epoch.

    (After training that learned nothing, the classifier would evaluate all rows once
    more, to warn.)
    """
    n = n_rows or case.n_rows
    rng = np.random.default_rng(0)
    y = rng.integers(0, N_CLASSES, n)
    patterns = rng.random((N_CLASSES, *case.image_shape), dtype=np.float32)
    images = rng.random((n, *case.image_shape), dtype=np.float32)
    images += patterns[y]
    images /= 2
    return images, y


def skcnn_fit(case: Case, X: np.ndarray, y: np.ndarray, batch_size: int, epochs: int = 1) -> Epoch:
    """Prepare a ``fit`` of the classifier, which includes input validation and scaling."""
    clf = ScratchCNNClassifier(
        layers=list(case.layers), batch_size=batch_size, weight_decay=0.0, max_iter=epochs,
        warm_start=True, random_state=0, n_iter_no_change=None,
    )  # fmt: skip
    return lambda: clf.fit(X, y)


def torch_epoch(
    case: Case, X: np.ndarray, y: np.ndarray, batch_size: int, memory_format: torch.memory_format
) -> Epoch:
    """Prepare an epoch of the plain PyTorch loop."""
    images = torch.from_numpy(X).contiguous(memory_format=memory_format)
    labels = torch.from_numpy(y)
    model = as_torch(case).to(memory_format=memory_format)
    optimizer, criterion = torch.optim.Adam(model.parameters()), nn.CrossEntropyLoss()

    def epoch() -> None:
        order = torch.randperm(len(images))
        for start in range(0, len(images), batch_size):
            rows = order[start : start + batch_size]
            optimizer.zero_grad()
            criterion(model(images[rows]), labels[rows]).backward()
            optimizer.step()

    return epoch


def skorch_epoch(case: Case, X: np.ndarray, y: np.ndarray, batch_size: int) -> Epoch:
    """Prepare a ``fit`` through skorch."""
    net = NeuralNetClassifier(
        as_torch, module__case=case, criterion=nn.CrossEntropyLoss, optimizer=torch.optim.Adam,
        max_epochs=1, batch_size=batch_size, iterator_train__shuffle=True, train_split=None,
        verbose=0, warm_start=True,
    )  # fmt: skip
    return lambda: net.fit(X, y)


def mlp_epoch(case: Case, X: np.ndarray, y: np.ndarray, batch_size: int) -> Epoch:
    """Prepare a fit of `MLPClassifier` with as many parameters in one hidden layer.

    It shares no weights, so it needs far fewer multiply-adds per parameter.
    """
    inputs = int(np.prod(case.image_shape))
    hidden = round((case.network.n_parameters - N_CLASSES) / (inputs + 1 + N_CLASSES))
    mlp = MLPClassifier(hidden, batch_size=batch_size, random_state=0)
    rows = X.reshape(len(X), -1)
    return lambda: mlp.partial_fit(rows, y, classes=np.arange(N_CLASSES))


def contenders(name: str, batch_size: int) -> dict[str, Epoch]:
    """Return all contenders that train one network."""
    case = CASES[name]
    X, y = data(case)
    all_of_them = {
        "skcnn": skcnn_fit(case, X, y, batch_size),
        "PyTorch": torch_epoch(case, X, y, batch_size, torch.contiguous_format),
        "PyTorch channels_last": torch_epoch(case, X, y, batch_size, torch.channels_last),
        "skorch": skorch_epoch(case, X, y, batch_size),
    }
    if name in WITH_MLP:
        all_of_them["MLPClassifier"] = mlp_epoch(case, X, y, batch_size)
    return all_of_them


def long_contenders(name: str, batch_size: int) -> dict[str, Epoch]:
    """Return whole fits by skcnn, and single epochs by the plain loop, which has no start."""
    case = CASES[name]
    X, y = data(case, case.n_rows_of_long)
    return {
        "skcnn": skcnn_fit(case, X, y, batch_size, EPOCHS_OF_LONG),
        "PyTorch": torch_epoch(case, X, y, batch_size, torch.contiguous_format),
        "PyTorch channels_last": torch_epoch(case, X, y, batch_size, torch.channels_last),
    }

"""Training LeNet here, in a plain PyTorch loop and through skorch, in one run.

All get the same 5,003 random images 28 x 28 in float32, the same network, Adam
and the same number of threads. They take turns, epoch by epoch, and what is
printed are ratios of the medians of their epochs.

Run ``python -m benchmarks.vs_pytorch`` (needs the extra ``[bench]``).
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from skorch import NeuralNetClassifier
from threadpoolctl import threadpool_info
from torch import nn

from skcnn import ScratchCNNClassifier
from skcnn.layers import Conv2d, Dense, Flatten, MaxPool2d, ReLU

N_IMAGES = 5003
LENET = [
    Conv2d(6, 5, padding=2), ReLU(), MaxPool2d(2),
    Conv2d(16, 5), ReLU(), MaxPool2d(2),
    Flatten(), Dense(120), ReLU(), Dense(84), ReLU(),
]  # fmt: skip


def torch_lenet() -> nn.Module:
    """The same network in PyTorch."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(),
        nn.Linear(84, 10),
    )  # fmt: skip


def skcnn_epoch(X: np.ndarray, y: np.ndarray, batch_size: int) -> Callable[[], object]:
    """One epoch of the classifier; ``fit`` validates and measures the data as always."""
    clf = ScratchCNNClassifier(
        layers=LENET, batch_size=batch_size, weight_decay=0.0, max_iter=1, warm_start=True,
        random_state=0,
    )  # fmt: skip
    return lambda: clf.fit(X, y)


def torch_epoch(
    X: np.ndarray, y: np.ndarray, batch_size: int, memory_format: torch.memory_format
) -> Callable[[], object]:
    """One epoch of the plain loop."""
    images = torch.from_numpy(X).contiguous(memory_format=memory_format)
    labels = torch.from_numpy(y)
    model = torch_lenet().to(memory_format=memory_format)
    optimizer, criterion = torch.optim.Adam(model.parameters()), nn.CrossEntropyLoss()

    def epoch() -> None:
        order = torch.randperm(len(images))
        for start in range(0, len(images), batch_size):
            rows = order[start : start + batch_size]
            optimizer.zero_grad()
            criterion(model(images[rows]), labels[rows]).backward()
            optimizer.step()

    return epoch


def skorch_epoch(X: np.ndarray, y: np.ndarray, batch_size: int) -> Callable[[], object]:
    """One epoch through skorch."""
    net = NeuralNetClassifier(
        torch_lenet, criterion=nn.CrossEntropyLoss, optimizer=torch.optim.Adam, max_epochs=1,
        batch_size=batch_size, iterator_train__shuffle=True, train_split=None, verbose=0,
        warm_start=True,
    )  # fmt: skip
    return lambda: net.fit(X, y)


def main() -> None:
    """Measure and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="epochs of each that are measured")
    rounds = parser.parse_args().rounds
    rng = np.random.default_rng(0)
    X = rng.random((N_IMAGES, 1, 28, 28), dtype=np.float32)
    y = rng.integers(0, 10, N_IMAGES)
    blas = [library for library in threadpool_info() if "numpy" in library["filepath"]]
    print(
        f"BLAS of NumPy: {[(b['internal_api'], b['architecture'], b['num_threads']) for b in blas]}"
    )
    print(f"PyTorch {torch.__version__} on {torch.get_num_threads()} threads\n")
    for batch_size in (32, 128):
        contenders = {
            "skcnn": skcnn_epoch(X, y, batch_size),
            "PyTorch loop": torch_epoch(X, y, batch_size, torch.contiguous_format),
            "PyTorch loop, channels_last": torch_epoch(X, y, batch_size, torch.channels_last),
            "skorch": skorch_epoch(X, y, batch_size),
        }
        seconds: dict[str, list[float]] = {name: [] for name in contenders}
        for turn in range(rounds + 1):
            for name, epoch in contenders.items():
                start = time.perf_counter()
                epoch()
                if turn:  # the first is the warm-up
                    seconds[name].append(time.perf_counter() - start)
        mine = np.median(seconds["skcnn"])
        print(
            f"Training LeNet, batches of {batch_size}: microseconds per image, median and range, "
            "and ratio to skcnn"
        )
        for name, values in seconds.items():
            low, middle, high = np.quantile(values, [0, 0.5, 1]) / N_IMAGES * 1e6
            print(
                f"  {name:28} {middle:6.1f}  ({low:.1f} to {high:.1f})"
                f"  {np.median(values) / mine:5.2f}"
            )
        loop = min(np.median(values) for name, values in seconds.items() if "loop" in name)
        print(
            f"  Throughput of skcnn: {loop / mine:.2f} x the better PyTorch loop, "
            f"{np.median(seconds['skorch']) / mine:.2f} x skorch\n"
        )


if __name__ == "__main__":
    main()

"""Accuracy and time of the untouched default on scikit-learn's digits, beside others.

Five-fold stratified cross-validation on the raw pixels, as `load_digits` gives
them, for every contender in turn.

Run ``python -m benchmarks.digits`` (needs the extra ``[bench]``).
"""

import argparse
import time

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler
from sklearn.svm import SVC
from skorch import NeuralNetClassifier
from torch import nn

from skcnn import ScratchCNNClassifier


def two_blocks() -> nn.Module:
    """The two-block network: 16 and 32 filters 3 x 3, 64 hidden units."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip


def skorch(seed: int):
    """The two-block network through skorch, thirty epochs of Adam."""
    torch.manual_seed(seed)
    net = NeuralNetClassifier(
        two_blocks, criterion=nn.CrossEntropyLoss, optimizer=torch.optim.Adam, lr=1e-3,
        max_epochs=30, batch_size=32, iterator_train__shuffle=True, train_split=None, verbose=0,
    )  # fmt: skip
    images = FunctionTransformer(lambda X: X.reshape(-1, 1, 8, 8).astype(np.float32) / 16)
    return make_pipeline(images, net)


CONTENDERS = {
    "skcnn, the default": lambda seed: ScratchCNNClassifier(random_state=seed),
    "two blocks, skorch": skorch,
    "MLPClassifier": lambda seed: make_pipeline(
        MinMaxScaler(), MLPClassifier(max_iter=500, random_state=seed)
    ),
    "SVC(gamma=0.001)": lambda seed: SVC(gamma=0.001),
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="how often, with another split each")
    seeds = parser.parse_args().seeds
    X, y = load_digits(return_X_y=True)
    scores = {name: [] for name in CONTENDERS}
    seconds = {name: [] for name in CONTENDERS}
    for seed in range(seeds):
        folds = StratifiedKFold(5, shuffle=True, random_state=seed)
        for name, make in CONTENDERS.items():
            start = time.perf_counter()
            scores[name].append(cross_val_score(make(seed), X, y, cv=folds).mean())
            seconds[name].append(time.perf_counter() - start)
    reference = np.median(seconds["two blocks, skorch"])
    print(f"{'':20}  accuracy  of each split     time  of skorch's")
    for name in CONTENDERS:
        each = " ".join(f"{score:.4f}" for score in scores[name])
        time_spent = np.median(seconds[name])
        print(
            f"{name:20}  {np.mean(scores[name]):.4f}    {each}  {time_spent:5.1f} s"
            f"  {time_spent / reference:.2f}"
        )


if __name__ == "__main__":
    main()

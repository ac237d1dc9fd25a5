"""Hashes of trained weights for many settings, to detect whether a change affects any bit.

    python -m benchmarks.weight_hashes > before
    ...
    python -m benchmarks.weight_hashes | diff before -

They depend on the machine and the version of NumPy, so compare them only there.
"""

import contextlib
import hashlib
import io
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from skcnn import ScratchCNNClassifier, ScratchCNNRegressor
from skcnn.architectures import cnn, lenet
from skcnn.callbacks import Checkpoint
from skcnn.layers import (
    GELU,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    LeakyReLU,
    LocalResponseNorm,
    MaxPool2d,
    RandomCrop,
    RandomFlip,
    RandomRotation,
    ReLU,
    Tanh,
)  # fmt: skip
from skcnn.training import epoch, minibatch
from skcnn.training.distributed.coordinator import Coordinator
from skcnn.training.distributed.policy import WorkerPolicy

EXPLICIT = {
    "data_format": "channels_first", "optimizer": "adam", "lr": 2e-3, "lr_schedule": "constant",
    "batch_size": 64, "max_iter": 2, "tol": 5e-4, "n_iter_no_change": 5, "weight_decay": 1e-4,
    "random_state": 0,
}  # fmt: skip
CNN = cnn((8, 16), 3, 2, (32,), "relu", 0.0)

SETTINGS: dict[str, dict] = {
    "two blocks": {"layers": CNN},
    "two blocks, batches of 7": {"layers": CNN, "batch_size": 7},
    "two blocks, batches of 200": {"layers": CNN, "batch_size": 200},
    "float64": {"layers": CNN, "dtype": "float64"},
    "LeNet": {"layers": lenet(), "batch_size": 32},
    "batch norm": {"layers": [Conv2d(8, 3, bias=False), BatchNorm(8), ReLU(), MaxPool2d(2)]},
    "strides, groups, dilation": {
        "layers": [
            Conv2d(8, 3, stride=2, padding=1), LeakyReLU(), Conv2d(8, 3, padding="same", groups=4),
            Tanh(), Conv2d(6, 2, dilation=(2, 1)), AvgPool2d(2, stride=1, padding=1),
        ]
    },
    "augmented, dropout": {
        "layers": [
            RandomCrop(1), RandomFlip(), RandomRotation(10), Conv2d(6, 3), GELU(),
            MaxPool2d(3, stride=2, padding=1), Flatten(), Dropout(0.3), Dense(20), ReLU(),
        ]
    },
    "local response, global pooling": {
        "layers": [Conv2d(6, 1), LocalResponseNorm(), ReLU(), GlobalAvgPool2d()]
    },
    "sgd, clipping, cosine": {
        "layers": CNN, "optimizer": "sgd", "lr": 0.05, "max_grad_norm": 1.0,
        "lr_schedule": "cosine",
    },
    "adamw, one cycle": {
        "layers": CNN, "optimizer": "adamw", "lr_schedule": "one_cycle", "weight_decay": 0.01,
    },
    "early stopping, class weights": {
        "layers": CNN, "early_stopping": True, "class_weight": "balanced",
    },
    "not shuffled, not scaled": {"layers": CNN, "shuffle": False, "scale_input": False},
    "warm start": {"layers": CNN, "warm_start": True},
}  # fmt: skip


def digest(array: np.ndarray) -> str:
    """Return the beginning of an array's SHA-256."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]


def print_line(name: str, *arrays: np.ndarray) -> None:
    """Print the hashes of arrays, followed by a name."""
    print(*map(digest, arrays), name, flush=True)


@contextlib.contextmanager
def worker_processes() -> Iterator[None]:
    """Start worker processes in every training, and wait for them before each mini-batch."""
    join, policy = Coordinator.join, epoch.POLICY

    def join_all(self, *args):
        while self._starter.busy or not all(
            self._mailboxes.is_ready(number) or worker.done()
            for number, worker in self._workers.items()
        ):
            time.sleep(1e-3)
        return join(self, *args)

    together = epoch.SpeedupMonitor.together
    try:
        epoch.POLICY = WorkerPolicy(-np.inf, -np.inf, measured=0.0, idle_share=-np.inf)
        epoch.SpeedupMonitor.together, Coordinator.join = True, join_all
        yield
    finally:
        epoch.POLICY = policy
        epoch.SpeedupMonitor.together, Coordinator.join = together, join


def fit_with_workers(X: np.ndarray, y: np.ndarray, weights: np.ndarray) -> None:
    """Print a line for every setting that is trained by three processes."""
    X, y, weights = (np.tile(array, (8, *[1] * (array.ndim - 1))) for array in (X, y, weights))
    cases = {
        "two blocks": {"layers": CNN},
        "LeNet, rounds of slots": {"layers": lenet(), "batch_size": 640},
        "float64, clipping": {"layers": CNN, "dtype": "float64", "max_grad_norm": 1.0},
        "batch norm, dropout": {
            "layers": [Conv2d(8, 3, bias=False), BatchNorm(8), ReLU(), MaxPool2d(2), Flatten(),
                       Dropout(0.3), Dense(20), ReLU()],
            "optimizer": "adamw", "weight_decay": 0.01,
        },
        "early stopping": {"layers": CNN, "early_stopping": True, "warm_start": True},
    }  # fmt: skip
    slot_bytes = minibatch.SLOT_BYTES
    for name, setting in cases.items():
        for n in (1, 2, 3):
            clf = ScratchCNNClassifier(**(EXPLICIT | {"batch_size": 200} | setting), verbose=1)
            lines = io.StringIO()
            try:
                minibatch.SLOT_BYTES = 0 if "rounds" in name else slot_bytes
                with (
                    worker_processes(), threadpool_limits(n), contextlib.redirect_stdout(lines)
                ):  # fmt: skip
                    clf.fit(X, y, weights)
                    if clf.warm_start:
                        clf.fit(X, y, weights)
            finally:
                minibatch.SLOT_BYTES = slot_bytes
            together = f"{n} processes" if n > 1 else "images/s"
            assert together in lines.getvalue(), f"{name}: {lines.getvalue()}"
            print_line(f"{name}, {n} processes", clf.weights_, clf.predict_proba(X))


def resumed(X: np.ndarray, y: np.ndarray, weights: np.ndarray) -> None:
    """Print a line for training resumed after one epoch, and one for uninterrupted training."""
    setting = EXPLICIT | {"layers": CNN, "max_iter": 3, "lr_schedule": "cosine"}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "training.ckpt"
        clf = ScratchCNNClassifier(**setting).set_callbacks(Checkpoint(path, keep=3))
        clf.fit(X, y, weights)
        print_line("whole", clf.weights_, np.array(clf.loss_curve_))
        clf = ScratchCNNClassifier(**setting).resume(f"{path}.2", X, y, weights)
        print_line("resumed after an epoch", clf.weights_, np.array(clf.loss_curve_))


def main() -> None:
    """Print a line for every setting: hash of the weights and of the probabilities."""
    rng = np.random.default_rng(0)
    X = rng.random((301, 1, 16, 16), dtype=np.float32)
    y = rng.integers(0, 3, 301)
    X[np.arange(301), 0, y * 4, y * 4] += 2
    labels = rng.integers(0, 2, (301, 4))
    weights = rng.random(301)
    warnings.simplefilter("ignore")
    for name, setting in SETTINGS.items():
        clf = ScratchCNNClassifier(**(EXPLICIT | setting))
        clf.fit(X, y, weights)
        if clf.warm_start:
            clf.fit(X, y, weights)
        print_line(name, clf.weights_, clf.predict_proba(X))
    clf = ScratchCNNClassifier(**(EXPLICIT | {"layers": CNN}))
    clf.fit(X.reshape(301, -1), labels)
    print_line("several labels, flat rows", clf.weights_, clf.predict_proba(X))
    clf = ScratchCNNClassifier(**(EXPLICIT | {"layers": CNN}))
    for part in (slice(0, 100), slice(100, 301)):
        clf.partial_fit(X[part], y[part], [0, 1, 2], weights[part])
    print_line("partial_fit", clf.weights_, clf.predict_proba(X))
    print_line("transform", clf.transform(X))
    for n in (1, 17, 64, 300):
        print_line(f"{n} rows", clf.predict_proba(X[:n]), clf.predict_log_proba(X[:n]))
    for loss in ("squared_error", "absolute_error", "huber", "poisson"):
        reg = ScratchCNNRegressor(**(EXPLICIT | {"layers": CNN, "loss": loss}))
        reg.fit(X, labels * weights[:, np.newaxis], weights)
        print_line(loss, reg.weights_, reg.predict(X))
    reg = ScratchCNNRegressor(**(EXPLICIT | {"layers": CNN, "loss": "huber"}))
    for _ in range(3):
        reg.partial_fit(X, weights)
    print_line("huber, partial_fit", reg.weights_, reg.predict(X))
    resumed(X, y, weights)
    fit_with_workers(X, y, weights)


if __name__ == "__main__":
    main()

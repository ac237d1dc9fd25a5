"""Hashes of what training gives for many settings: has a change of the code changed a bit?

    python -m benchmarks.bits > before
    ...
    python -m benchmarks.bits | diff before -

The figures hold for one machine and one version of NumPy; compare them there only.
"""

import hashlib
import warnings

import numpy as np

from skcnn import ScratchCNNClassifier, ScratchCNNRegressor
from skcnn.architectures import cnn, lenet
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
    """The beginning of an array's SHA-256."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]


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
        print(f"{digest(clf.weights_)} {digest(clf.predict_proba(X))} {name}")
    clf = ScratchCNNClassifier(**(EXPLICIT | {"layers": CNN}))
    clf.fit(X.reshape(301, -1), labels)
    print(f"{digest(clf.weights_)} {digest(clf.predict_proba(X))} several labels, flat rows")
    clf = ScratchCNNClassifier(**(EXPLICIT | {"layers": CNN}))
    for part in (slice(0, 100), slice(100, 301)):
        clf.partial_fit(X[part], y[part], [0, 1, 2], weights[part])
    print(f"{digest(clf.weights_)} {digest(clf.predict_proba(X))} partial_fit")
    print(f"{digest(clf.transform(X))} transform")
    for loss in ("squared_error", "absolute_error", "huber", "poisson"):
        reg = ScratchCNNRegressor(**(EXPLICIT | {"layers": CNN, "loss": loss}))
        reg.fit(X, labels * weights[:, np.newaxis], weights)
        print(f"{digest(reg.weights_)} {digest(reg.predict(X))} {loss}")


if __name__ == "__main__":
    main()

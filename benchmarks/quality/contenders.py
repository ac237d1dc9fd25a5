"""The contenders: classifiers with their defaults, except for a seed, and specialists."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from benchmarks.quality.specialists import UsualNetwork, deskewed_svc, hog_svc
from benchmarks.quality.specialists_of_signals import Aeon, fixed_features_and_ridge
from skcnn import ScratchCNNClassifier

OURS, EARLIER = "skcnn", "skcnn 0.1"

DEFAULTS_OF_0_1 = {
    "filters": (32, 64), "kernel_size": 3, "pool_size": 2, "hidden_layer_sizes": (128,),
    "normalization": None, "global_pool": False, "lr": 2e-3, "lr_schedule": "constant",
    "weight_decay": 1e-4, "batch_size": 64, "max_iter": 50, "tol": 5e-4, "n_iter_no_change": 5,
}  # fmt: skip
"""Parameters of the default classifier before they were chosen from the data."""


def anything(X: np.ndarray) -> bool:
    """Whether a contender takes it that takes all."""
    return True


def images(X: np.ndarray) -> bool:
    """Whether these are images, and no signals ``(n, channels, 1, length)``."""
    return X.ndim == 3 or X.shape[2] > 1


def signals(X: np.ndarray) -> bool:
    """Whether these are signals."""
    return not images(X)


def grey_images(X: np.ndarray) -> bool:
    """Whether these are images of one channel."""
    return X.ndim == 3


class Contender(NamedTuple):
    """Makes a classifier from a seed; whether it needs flat rows, what it takes and needs."""

    make: Callable[[int], ClassifierMixin]
    flat: bool = True
    takes: Callable[[np.ndarray], bool] = anything
    needs: str = ""

    def rows(self, X: np.ndarray) -> np.ndarray:
        return X.reshape(len(X), -1) if self.flat else X


def _aeon(name: str, needs: str = "aeon") -> Contender:
    return Contender(
        lambda seed: Aeon("classification", name, seed),
        flat=False, takes=signals, needs=f"pip install {needs}",
    )  # fmt: skip


CONTENDERS = {
    OURS: Contender(lambda seed: ScratchCNNClassifier(random_state=seed), flat=False),
    "SVC": Contender(lambda seed: SVC()),
    "SVC, scaled": Contender(lambda seed: make_pipeline(StandardScaler(), SVC())),
    "k-NN": Contender(lambda seed: KNeighborsClassifier()),
    "forest": Contender(lambda seed: RandomForestClassifier(random_state=seed)),
    "MLP": Contender(lambda seed: MLPClassifier(random_state=seed)),
    "MLP, scaled": Contender(
        lambda seed: make_pipeline(StandardScaler(), MLPClassifier(random_state=seed))
    ),
    "HOG + SVC": Contender(
        lambda seed: hog_svc(), flat=False, takes=images, needs="pip install scikit-image"
    ),
    "deskewed SVC": Contender(lambda seed: deskewed_svc(), flat=False, takes=grey_images),
    "skorch": Contender(UsualNetwork, flat=False, takes=images, needs="pip install skorch torch"),
    "fixed + ridge": Contender(fixed_features_and_ridge, flat=False, takes=signals),
    "MiniRocket": _aeon("MiniRocketClassifier"),
    "MultiRocket": _aeon("MultiRocketClassifier"),
    "Hydra": _aeon("HydraClassifier", "aeon torch"),
}
"""Contenders unless others are named."""

GIVEN = {
    "learned only": {"fixed_features": 0},
    "twice as long": {"max_iter": 28},
    "wider": {"filters": (32, 64, 128)},
    "dropout": {"dropout": 0.3},
    "smoothing": {"label_smoothing": 0.05},
    "no shift": {"random_shift": 0},
    "hidden layer": {"hidden_layer_sizes": 128, "global_pool": False},
    EARLIER: DEFAULTS_OF_0_1,
}
"""Parameters of those that are touched, to see what that brings."""


def _touched(given: dict) -> Contender:
    return Contender(lambda seed: ScratchCNNClassifier(**given, random_state=seed), flat=False)


def _mean_of_three(seed: int) -> VotingClassifier:
    members = [(str(i), ScratchCNNClassifier(random_state=3 * seed + i)) for i in range(3)]
    return VotingClassifier(members, voting="soft")


ON_REQUEST = {
    **{name: _touched(given) for name, given in GIVEN.items()},
    "mean of three": Contender(_mean_of_three, flat=False),
}

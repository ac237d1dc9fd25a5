"""The contenders: classifiers with their defaults, except for a seed."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skcnn import ScratchCNNClassifier

OURS, EARLIER = "skcnn", "skcnn 0.1"

DEFAULTS_OF_0_1 = {
    "filters": (32, 64), "kernel_size": 3, "pool_size": 2, "hidden_layer_sizes": (128,),
    "normalization": None, "global_pool": False, "lr": 2e-3, "lr_schedule": "constant",
    "weight_decay": 1e-4, "batch_size": 64, "max_iter": 50, "tol": 5e-4, "n_iter_no_change": 5,
}  # fmt: skip
"""Parameters of the default classifier before they were chosen from the data."""


class Contender(NamedTuple):
    """Makes a classifier from a seed; whether it needs flat rows."""

    make: Callable[[int], ClassifierMixin]
    flat: bool = True

    def rows(self, X: np.ndarray) -> np.ndarray:
        return X.reshape(len(X), -1) if self.flat else X


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
    EARLIER: Contender(
        lambda seed: ScratchCNNClassifier(**DEFAULTS_OF_0_1, random_state=seed), flat=False
    ),
}

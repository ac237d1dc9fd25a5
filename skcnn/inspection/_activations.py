"""Outputs of one layer of a fitted network."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skcnn.data import Images
from skcnn.inspection._estimators import check_fitted, in_parts
from skcnn.inspection._parts import bound, path_to
from skcnn.network import Network
from skcnn.parallel.contexts import in_own_context
from skcnn.parallel.threads import Threads

__all__ = ["activations"]


@in_own_context
def activations(estimator: Any, X: ArrayLike, layer: int | str) -> np.ndarray:
    """Compute the output of a layer of a fitted network.

    Parameters
    ----------
    estimator : ScratchCNNClassifier or ScratchCNNRegressor
        A fitted estimator.
    X : array-like
        Images in any of the forms that its ``fit`` takes.
    layer : int or str
        Index of the layer in ``estimator.layers_``, from the end if negative, or
        its name in ``estimator.summary()``, such as "3.0" for the
        first layer inside a `Residual`.

    Returns
    -------
    ndarray of shape (n, channels, height, width) or (n, features)
        In the dtype of ``estimator.weights_``, with channels first whatever the
        form of `X`. The output of layer -1 is the input of the softmax.

    Raises
    ------
    TypeError
        If `estimator` is not one of this package.
    ValueError
        If there is no such layer, or ``predict`` would reject `X`.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skcnn import ScratchCNNClassifier
    >>> from skcnn.inspection import activations
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = ScratchCNNClassifier(filters=8, max_iter=5, random_state=0).fit(X, y)
    >>> activations(clf, X[:5], layer=0).shape
    (5, 8, 8, 8)
    """
    estimator = check_fitted(estimator, "activations")

    def run(
        network: Network, weights: np.ndarray, images: Images, threads: Threads, max_bytes: float
    ) -> np.ndarray:
        chain = path_to(network, weights, layer, "activations")
        part, vector = bound(chain, network.input_shape, network.dtype)
        outputs = np.empty((len(images), *part.output_shape), part.dtype)

        def fill(U: np.ndarray, rows: slice) -> None:
            outputs[rows] = part.forward(U, vector)

        in_parts(images, network, threads, max_bytes, fill)
        return outputs

    return estimator._infer(run, X)

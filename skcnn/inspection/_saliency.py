"""Saliency maps: the influence of each pixel on an output."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skcnn._estimator.seeds import draw_seed
from skcnn.data import Images
from skcnn.inspection._estimators import check_fitted, in_parts, output_numbers, output_units
from skcnn.inspection._methods import Method, Scores, Subject, bind_method
from skcnn.network import Network
from skcnn.parallel.contexts import in_own_context
from skcnn.parallel.threads import Threads

__all__ = ["saliency"]


@in_own_context
def saliency(
    estimator: Any,
    X: ArrayLike,
    target: Any = None,
    *,
    method: str | Method = "gradient",
    random_state: Any = None,
) -> np.ndarray:
    """Compute the influence of each number of `X` on an output of a fitted network.

    Parameters
    ----------
    estimator : ScratchCNNClassifier or ScratchCNNRegressor
        A fitted estimator.
    X : array-like
        Images in any of the forms that its ``fit`` takes.
    target : label, int, array-like of shape (n,) or None, default=None
        The output to explain, one for all rows or one for each. For a classifier
        it is a class or the number of a label, and None is the predicted class, or
        the most probable label; for a regressor it is the number of a quantity,
        which may be None if there is only one.
    method : str or instance, default="gradient"
        "gradient", "smoothgrad", "integrated_gradients", "grad_cam" or
        "occlusion"; or an instance of `Gradient`, `SmoothGrad`,
        `IntegratedGradients`, `GradCAM` or `Occlusion`, which have parameters
        and the equations.
    random_state : int, RandomState instance or None, default=None
        Determines the noise of "smoothgrad". A row's noise depends on its
        number, not on the other rows.

    Returns
    -------
    ndarray of the shape of `X`
        In the dtype of ``estimator.weights_``; positive numbers support the output.

    Raises
    ------
    TypeError
        If `estimator` is not one of this package.
    ValueError
        If `target` is not an output, `method` or one of its parameters is not
        allowed, or ``predict`` would reject `X`.

    Notes
    -----
    The output is the one before the softmax or the sigmoid (the logit), since
    a probability can also grow because others fall. For a regressor it is the
    prediction in the target's unit, and with ``loss="poisson"`` its logarithm.
    Derivatives are with respect to the numbers of `X` as given, regardless of the
    network's internal scaling. Layers behave as in ``predict``.

    Rows are processed in blocks that fit into ``working_memory`` of scikit-learn's
    configuration.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skcnn import ScratchCNNClassifier
    >>> from skcnn.inspection import IntegratedGradients, saliency
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = ScratchCNNClassifier(filters=8, max_iter=5, random_state=0).fit(X, y)
    >>> saliency(clf, X[:3]).shape
    (3, 64)
    >>> shares = saliency(clf, X[:3], target=7, method=IntegratedGradients(n_steps=100))
    >>> bool((shares[X[:3] == 0] == 0).all())  # as black as the baseline
    True
    """
    caller = "saliency"
    estimator = check_fitted(estimator, caller)
    method = bind_method(method, caller)

    def run(
        network: Network, weights: np.ndarray, images: Images, threads: Threads, max_bytes: float
    ) -> np.ndarray:
        chosen = output_numbers(estimator, target, len(images), caller)
        units = output_units(estimator)
        subject = Subject(
            network=network,
            weights=weights,
            images=images,
            form=np.shape(X),
            seed=draw_seed("saliency", random_state),
        )
        explain = method.bind(subject)
        found = np.empty((len(images), *network.input_shape), network.dtype)

        def fill(U: np.ndarray, rows: slice) -> None:
            columns = network.forward(U, weights).argmax(axis=1) if chosen is None else chosen[rows]
            shares = explain(Scores(network, weights, columns), U, rows)
            found[rows] = shares * units[columns].reshape(-1, 1, 1, 1)

        in_parts(images, network, threads, max_bytes, fill)
        return np.moveaxis(found, 1, -1) if images.data_format == "channels_last" else found

    return np.ascontiguousarray(estimator._infer(run, X)).reshape(np.shape(X))

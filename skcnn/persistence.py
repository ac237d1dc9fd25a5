"""Exchange without pickle: the types that skops may trust, and weights from Keras."""

from collections.abc import Iterator, Sequence
from inspect import isabstract
from typing import Any

import numpy as np

import skcnn.initializers
import skcnn.layers
import skcnn.optimizers
import skcnn.schedules
from skcnn._estimator.arrays import shape_of
from skcnn.layers import (
    BatchNorm,
    Conv2d,
    ConvTranspose2d,
    Dense,
    Flatten,
    GroupNorm,
    Layer,
    LayerNorm,
    Scratch,
)
from skcnn.network import Network

__all__ = ["from_keras", "trusted_types"]


def trusted_types() -> list[str]:
    """Return the names of all types that a saved estimator of this package may contain.

    Pass them as ``skops.io.load(file, trusted=trusted_types())``, and to mlflow as
    ``skops_trusted_types``. These types contain numbers and hyperparameters, and run
    no code when loaded. The list leaves out custom functions and classes,
    `skcnn.callbacks.Checkpoint`, which writes to a path named in the file (save
    models without callbacks), and `skcnn.datasets.load_images`, which opens files.

    Returns
    -------
    list of str
        Sorted, such as "skcnn.layers.dense.Dense".

    Examples
    --------
    >>> "skcnn.classifier.ScratchCNNClassifier" in trusted_types()
    True
    """
    values = {
        f"{kind.__module__}.{kind.__qualname__}"
        for module in (skcnn.initializers, skcnn.layers, skcnn.optimizers, skcnn.schedules)
        for kind in (getattr(module, name) for name in module.__all__)
        if isinstance(kind, type) and kind is not Scratch and not isabstract(kind)
    }
    return sorted(values | MODEL)


MODEL = {
    "numpy.dtype",
    "skcnn.classifier.ScratchCNNClassifier",
    "skcnn.fixed_kernel_features.FixedKernelFeatures",
    "skcnn.layers.chain.Chain",  # in the networks of 0.2.0
    "skcnn.network.Network",
    "skcnn.regressor.ScratchCNNRegressor",
    "skcnn.state.TrainingState",
    "skcnn.training.TrainingState",  # its path in 0.1.0
}
"""Types in a fitted estimator besides those of parameter values."""


def from_keras(network: Network, arrays: Sequence[np.ndarray]) -> list[dict[str, np.ndarray]]:
    """Convert the weights of a Keras model to this package's order of axes.

    Keras puts the channels of images last. Its convolution kernels are (height,
    width, inputs, outputs) instead of (outputs, inputs, height, width), and its
    dense weights (inputs, units) instead of (units, inputs). The inputs of the first
    dense layer after `Flatten`, whose order differs, are rearranged.

    Parameters
    ----------
    network : Network
        Network that will receive the weights, ``clf.network_``, with the layers of
        the Keras model and activations as separate layers. "same" padding of
        convolutions and pooling is that of Keras, also with strides (means with
        ``count_include_pad=False``); in transposed convolutions it has no
        counterpart here.
    arrays : sequence of ndarray
        Result of ``model.get_weights()`` for a sequential Keras model with
        ``data_format="channels_last"``. Normalization has gamma, beta, moving mean
        and moving variance (``scale=True, center=True``), and Keras' `epsilon` is
        1e-3. `LayerNorm` of images is Keras' ``GroupNormalization(1)``, that of
        vectors its ``LayerNormalization``.

    Returns
    -------
    list of dict
        Argument for `set_weights` of the estimator.

    Raises
    ------
    ValueError
        If `network` is not a network, if the number or shape of the arrays is
        wrong, or if the network has branches, whose order in Keras is not known,
        or groups of features after `Flatten`.

    Examples
    --------
    >>> from skcnn import ScratchCNNClassifier
    >>> clf = ScratchCNNClassifier(layers=[Conv2d(2, 3), Flatten()])
    >>> clf = clf.initialize(np.zeros((2, 16)), [0, 1])
    >>> kernel, bias = np.zeros((3, 3, 1, 2)), np.zeros(2)
    >>> arrays = from_keras(clf.network_, [kernel, bias, np.zeros((8, 2)), np.zeros(2)])
    >>> clf.set_weights(arrays).predict_proba(np.ones((1, 16))).tolist()
    [[0.5, 0.5]]
    """
    if not isinstance(network, Network):
        raise ValueError(
            "from_keras: network must be a Network, such as network_ of an initialized or fitted "
            f"estimator, got {network!r}."
        )
    mine = network.unpack(np.empty(network.vector_size, network.dtype))
    expected = sum(len(params) for params in mine)
    if not isinstance(arrays, (list, tuple)) or len(arrays) != expected:
        given = len(arrays) if isinstance(arrays, (list, tuple)) else repr(arrays)
        raise ValueError(
            f"from_keras: arrays must be a list of the {expected} arrays of a network of the same "
            f"layers, got {given}."
        )
    for i, array in enumerate(arrays):
        shape_of(array, f"arrays[{i}]", "from_keras")
    rest, weights, order = iter(arrays), [], None
    for i, (layer, shape, params) in enumerate(
        zip(network.layers, network.shapes, mine, strict=False)
    ):
        if layer.inner:
            raise ValueError(
                f"from_keras: layer {i} is {layer!r}, and the order of the arrays in a model with "
                "branches is not known. Pass them to set_weights as a mapping in this network's "
                "order."
            )
        weights.append(_converted(layer, params, rest, order, f"layer {i}, {layer!r}"))
        if isinstance(layer, Flatten) and len(shape) == 3:
            C, H, W = shape
            # position of each of our (C, H, W) in Keras' (H, W, C)
            order = np.arange(C * H * W).reshape(H, W, C).transpose(2, 0, 1).ravel()
        elif isinstance(layer, Dense):
            order = None
    return weights


def _converted(
    layer: Layer,
    params: dict[str, np.ndarray],
    rest: Iterator[Any],
    order: np.ndarray | None,
    what: str,
) -> dict[str, np.ndarray]:
    """Convert the next arrays of `rest`, those of one layer, to our axes."""
    converted = {}
    for name, mine in params.items():
        given = np.asarray(next(rest))
        array = given
        if isinstance(layer, (Conv2d, ConvTranspose2d)) and name == "weight" and given.ndim == 4:
            array = _kernel(given, mine.shape)
        elif isinstance(layer, Dense) and name == "weight" and given.ndim == 2:
            array = (given if order is None or len(order) != len(given) else given[order]).T
        elif isinstance(layer, GroupNorm) and order is not None:
            raise ValueError(
                f"from_keras: {what} comes after Flatten, where Keras has the features in another "
                "order, and therefore other ones in a group."
            )
        elif (
            isinstance(layer, (BatchNorm, LayerNorm))
            and order is not None
            and given.shape == order.shape
        ):
            array = given[order]
        if array.shape != mine.shape:
            raise ValueError(
                f"from_keras: {name} of {what} has the shape {mine.shape}, which an array of "
                f"shape {given.shape} cannot be made to fit."
            )
        converted[name] = array
    return converted


def _kernel(given: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Convert (height, width, inputs, outputs) to (outputs, inputs, height, width).

    A depthwise kernel is (height, width, channels, filters of each).
    """
    KH, KW, inputs, outputs = given.shape
    if shape == (inputs * outputs, 1, KH, KW):
        return given.transpose(2, 3, 0, 1).reshape(shape)
    return given.transpose(3, 2, 0, 1)

"""Conversion of fitted estimators to ONNX models: inputs, layers and outputs."""

from math import prod
from typing import Any

import numpy as np

from skcnn._estimator.base import BaseScratchCNN
from skcnn._estimator.images import read_fitted
from skcnn._hyperparameters import check_choice
from skcnn.classifier import ScratchCNNClassifier
from skcnn.data import exact_dtype
from skcnn.inference import front
from skcnn.layers._layer import Shape
from skcnn.network import Network
from skcnn.onnx.graph import Graph, element_type
from skcnn.onnx.layers import add_layers
from skcnn.parallel.contexts import in_own_context
from skcnn.regressor import ScratchCNNRegressor

__all__ = [
    "add_features",
    "add_labels",
    "add_outputs",
    "add_probabilities",
    "add_predictions",
    "label_set",
    "to_onnx",
]

OPSET = 18
"""Version of the ONNX operator set that models are written for."""


@in_own_context
def to_onnx(
    estimator: ScratchCNNClassifier | ScratchCNNRegressor, X: Any = None, *, method: str = "predict"
) -> Any:
    """Translate a fitted estimator into an ONNX model.

    Parameters
    ----------
    estimator : ScratchCNNClassifier or ScratchCNNRegressor
        Fitted. For pipelines and ensembles, see `register`.
    X : array-like, default=None
        Images in any of the forms that `fit` takes, at least one. The model accepts
        arrays of that form and dtype, with any number of rows. None is rows of
        ``n_features_in_`` numbers in the dtype of ``weights_``.
    method : {"predict", "transform"}, default="predict"
        What the model computes.

    Returns
    -------
    onnx.ModelProto
        With the input "X". For "predict", a classifier has the outputs "label"
        and "probabilities", a regressor has "variable" (float64, as from
        ``predict``); for "transform", "variable" are the features. Labels are
        int64 or strings; booleans, and floats that are whole numbers, become
        int64.

    Raises
    ------
    ImportError
        If the package onnx is not installed.
    TypeError
        For another estimator, or labels without a type in ONNX.
    NotFittedError
        For an estimator that is not fitted.
    NotImplementedError
        For a layer that is not one of this package.
    ValueError
        If the estimator's ``predict`` would reject `X`.

    Notes
    -----
    The scaling of images and targets is part of the graph. If the network computes
    in float64, so does the model; since ONNX Runtime convolves in float32 only, that
    is slower (see the documentation on ONNX).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skcnn import ScratchCNNClassifier
    >>> from skcnn.onnx import to_onnx
    >>> X, y = load_digits(return_X_y=True)
    >>> X = X.astype("float32")
    >>> clf = ScratchCNNClassifier(filters=8, max_iter=2, random_state=0).fit(X, y)
    >>> model = to_onnx(clf, X[:1])
    >>> [output.name for output in model.graph.output]
    ['label', 'probabilities']
    """
    if not isinstance(estimator, BaseScratchCNN):
        raise TypeError(
            "to_onnx: estimator must be a ScratchCNNClassifier or ScratchCNNRegressor, got "
            f"{type(estimator).__name__}; for estimators that hold one, call "
            "skcnn.onnx.register() and then skl2onnx.to_onnx."
        )
    check_choice("to_onnx", "method", method, ["predict", "transform"])
    estimator = estimator._snapshot()
    graph, weights = Graph(estimator.network_.dtype), estimator.weights_.dtype
    if X is None:
        form, dtype = (estimator.n_features_in_,), weights
    else:
        array = read_fitted(X, estimator).X
        form, dtype = array.shape[1:], array.dtype
        if dtype.kind == "f" and dtype.itemsize > 8:
            raise ValueError(
                f"to_onnx: X has dtype {dtype}, which ONNX does not support; pass float64."
            )
    results: list[tuple[str, str, Any, list[int]]]  # output, node's result, dtype, shape
    if method == "transform":
        features = add_features(graph, estimator, "X", form, dtype)
        results = [("variable", features, weights, [estimator._n_features_out])]
    elif isinstance(estimator, ScratchCNNClassifier):
        classes = label_set(estimator)
        n = len(classes)
        z = add_outputs(graph, estimator, "X", form, dtype)
        label = add_labels(graph, estimator, classes, z)
        shape = [n] if estimator.out_activation_ == "logistic" else []
        results = [
            ("label", label, classes.dtype, shape),
            ("probabilities", add_probabilities(graph, estimator, z), weights, [n]),
        ]
    else:
        z = add_outputs(graph, estimator, "X", form, dtype)
        found, shape = add_predictions(graph, estimator, z), [estimator.n_outputs_]
        if estimator._flat_targets:
            found, shape = graph.add("Squeeze", found, [1]), []
        results = [("variable", found, np.float64, shape)]
    outputs = []
    for name, result, kind, shape in results:
        graph.add("Identity", result, output=name)
        outputs.append((name, kind, shape))
    return _model(graph, type(estimator).__name__, ("X", dtype, [*form]), outputs)


def _model(graph: Graph, name: str, source: tuple, outputs: list[tuple]) -> Any:
    """Build the model in the oldest file format that its operators allow."""
    helper = graph.onnx.helper
    first, *others = (
        helper.make_tensor_value_info(name, element_type(dtype), ["n", *shape])
        for name, dtype, shape in [source, *outputs]
    )
    opset = helper.make_opsetid("", OPSET)
    return helper.make_model(
        helper.make_graph(graph.nodes, name, [first], others, graph.constants),
        opset_imports=[opset],
        ir_version=helper.find_min_ir_version_for([opset]),
        producer_name="skcnn",
    )


def add_outputs(
    graph: Graph, estimator: BaseScratchCNN, x: str, form: tuple[int, ...], dtype: np.dtype
) -> str:
    """Add the whole network.

    Parameters
    ----------
    graph : Graph
    estimator : BaseScratchCNN
    x : str
        Name of the images.
    form : tuple of int
        Their shape, without the axis of the samples.
    dtype : dtype
        Their dtype.

    Returns
    -------
    str
        Name of the outputs, (n, outputs), all finite.
    """
    network, params = estimator.network_, estimator.weights_
    return _add_network(graph, estimator, x, (form, dtype), network, params)


def add_features(
    graph: Graph, estimator: BaseScratchCNN, x: str, form: tuple[int, ...], dtype: np.dtype
) -> str:
    """Add the network without its last layer; see `add_outputs`."""
    network, params = front(estimator.network_, estimator.weights_)
    return _add_network(graph, estimator, x, (form, dtype), network, params)


def _add_network(
    graph: Graph,
    estimator: BaseScratchCNN,
    x: str,
    given: tuple[tuple[int, ...], Any],
    network: Network,
    params: np.ndarray,
) -> str:
    """Add a network behind images of the `given` shape and dtype."""
    form, dtype = given
    images = _add_images(graph, estimator, x, form, np.dtype(dtype))
    arrays = network.unpack(params)
    return graph.finite(add_layers(graph, network.chain.bound, images, arrays), network.dtype)


def _add_images(
    graph: Graph, estimator: BaseScratchCNN, x: str, form: tuple[int, ...], dtype: np.dtype
) -> str:
    """Add the reshaping to ``(n, C, H, W)``, the scaling, and the network's dtype.

    As in training, the mean is subtracted in a dtype that represents both the input's
    and the network's numbers.
    """
    C, H, W = estimator.image_shape_
    exact = exact_dtype(dtype, graph.dtype, estimator.input_scale_)
    if dtype != exact:
        x = graph.cast(x, exact)
    if estimator._data_format == "channels_last":
        x = _reshaped(graph, x, form, (H, W, C))
        x = graph.add("Transpose", x, perm=[0, 3, 1, 2])
    else:
        x = _reshaped(graph, x, form, (C, H, W))
    mean, factor = estimator.input_mean_, 1 / estimator.input_scale_
    x = graph.add("Sub", x, mean.astype(exact).reshape(C, 1, 1))
    x = graph.add("Mul", x, factor.astype(exact).reshape(C, 1, 1))
    return x if exact == graph.dtype else graph.cast(x, graph.dtype)


def _reshaped(graph: Graph, x: str, form: tuple[int, ...], shape: Shape) -> str:
    if prod(form) != prod(shape):
        raise ValueError(f"skcnn.onnx: the input has samples of shape {form}, images {shape}.")
    return x if tuple(form) == shape else graph.add("Reshape", x, [0, *shape])


def label_set(estimator: ScratchCNNClassifier) -> np.ndarray:
    """Return the classes in ONNX' types: int64, or strings in an object array."""
    classes = estimator.classes_.tolist()
    if all(isinstance(label, str) for label in classes):
        return np.array([str(label) for label in classes], object)
    if all(_is_int64(label) for label in classes):
        return np.array([int(label) for label in classes], np.int64)
    raise TypeError(
        "ONNX models have labels that are whole numbers or strings, but the classes are "
        f"{estimator.classes_!r}."
    )


def _is_int64(label: Any) -> bool:
    whole = isinstance(label, (int, float, np.integer)) and -(2**63) <= label < 2**63
    return bool(whole and label == int(label))


def add_labels(graph: Graph, estimator: ScratchCNNClassifier, classes: np.ndarray, z: str) -> str:
    """Add the class of the largest output, or the indicators of the labels."""
    if estimator.out_activation_ == "logistic":
        return graph.cast(graph.add("Greater", z, 0.0), np.int64)
    return graph.add("Gather", classes, graph.add("ArgMax", z, axis=1, keepdims=0))


def add_probabilities(graph: Graph, estimator: ScratchCNNClassifier, z: str) -> str:
    """Add softmax or sigmoid."""
    if estimator.out_activation_ == "logistic":
        return graph.add("Sigmoid", z)
    return graph.add("Softmax", z, axis=1)


def add_predictions(graph: Graph, estimator: ScratchCNNRegressor, z: str) -> str:
    """Add the predictions in the unit of the targets: (n, outputs) of float64."""
    found = graph.cast(z, np.float64)
    if estimator.out_activation_ == "exp":
        found = graph.finite(graph.add("Exp", found), np.float64)
    found = graph.add("Mul", found, estimator.target_scale_)
    return graph.finite(graph.add("Add", found, estimator.target_mean_), np.float64)

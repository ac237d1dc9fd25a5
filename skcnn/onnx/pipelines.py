"""Registration with skl2onnx, for pipelines and ensembles that contain a network.

skl2onnx first *parses* a pipeline into operators, one per class of estimators; then
it requests the *shapes* of their results, and their *conversion* into nodes. An
ensemble's own conversion may declare operators for its estimators, which are not
parsed.
"""

from copy import copy
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, is_classifier
from sklearn.compose import ColumnTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import FeatureUnion, Pipeline

from skcnn._estimator.base import BaseScratchCNN
from skcnn.classifier import ScratchCNNClassifier
from skcnn.onnx.graph import Graph
from skcnn.onnx.models import (
    add_features,
    add_labels,
    add_outputs,
    add_predictions,
    add_probabilities,
    label_set,
)
from skcnn.regressor import ScratchCNNRegressor

__all__ = ["register"]

CLASSIFIER_OPTIONS = {
    "zipmap": [True, False, "columns"],
    "output_class_labels": [False, True],
    "nocl": [True, False],
}
"""Options of skl2onnx's own converters of classifiers."""


class Features(BaseEstimator):
    """Stands for a network used as a transformer, as in a `Pipeline` before the last step."""

    def __init__(self, estimator: BaseScratchCNN) -> None:
        self.estimator = estimator


def register() -> None:
    """Register converters with skl2onnx for pipelines and ensembles of this package's estimators.

    After this call ``skl2onnx.to_onnx`` and ``skl2onnx.convert_sklearn`` know
    both estimators, as the last step of a pipeline and as transformers before
    it, and `FrozenEstimator` around any estimator that they know. A second call
    changes nothing.

    Raises
    ------
    ImportError
        If the package skl2onnx is not installed.

    Notes
    -----
    Results have skl2onnx's usual dtype: float64 if the model's input is float64,
    float32 otherwise. The network computes in its own.

    Examples
    --------
    >>> import skl2onnx
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import MinMaxScaler
    >>> from skcnn import ScratchCNNClassifier
    >>> from skcnn.onnx import register
    >>> register()
    >>> X, y = load_digits(return_X_y=True)
    >>> X = X.astype("float32")
    >>> clf = ScratchCNNClassifier(filters=8, max_iter=2, random_state=0)
    >>> pipeline = make_pipeline(MinMaxScaler(), clf).fit(X, y)
    >>> model = skl2onnx.to_onnx(pipeline, X[:1], options={"zipmap": False})
    >>> [output.name for output in model.graph.output]
    ['label', 'probabilities']
    """
    try:
        import skl2onnx
        from skl2onnx.common._registration import get_converter, register_converter
    except ImportError as error:
        raise ImportError(
            'skcnn.onnx.register needs the package skl2onnx: pip install "skcnn[onnx]"'
        ) from error
    update = skl2onnx.update_registered_converter
    update(
        ScratchCNNClassifier,
        "SkcnnClassifier",
        _classifier_shapes,
        _convert_classifier,
        options=CLASSIFIER_OPTIONS,  # with "zipmap", skl2onnx parses it like its own classifiers
    )
    update(ScratchCNNRegressor, "SkcnnRegressor", _regressor_shapes, _convert_regressor)
    update(Features, "SkcnnFeatures", _features_shapes, _convert_features)
    update(
        FrozenEstimator,
        "SkcnnFrozenEstimator",
        _frozen_shapes,
        _convert_frozen,
        parser=_parse_frozen,
        options="passthrough",
    )
    skl2onnx.update_registered_parser(Pipeline, _parse_pipeline)
    skl2onnx.update_registered_parser(FeatureUnion, _parse_feature_union)
    skl2onnx.update_registered_parser(ColumnTransformer, _parse_column_transformer)
    options = get_converter("SklearnPipeline").get_allowed_options()
    register_converter("SklearnPipeline", _convert_pipeline, overwrite=True, options=options)


# Networks as transformers


def _as_transformer(step: Any) -> Any:
    """Return a stand-in for `step` whose conversion is that of its ``transform``."""
    inner = step.estimator if isinstance(step, FrozenEstimator) else step
    return Features(inner) if isinstance(inner, BaseScratchCNN) else step


def _steps(pipeline: Pipeline) -> list[tuple[str, Any]]:
    *first, last = pipeline.steps
    return [*((name, _as_transformer(step)) for name, step in first), last]


def _parse_pipeline(scope, model, inputs, custom_parsers=None):
    """Parse a pipeline as skl2onnx does, with networks as transformers before the last step."""
    from skl2onnx._parse import _parse_sklearn

    for _, step in _steps(model):
        known = scope.options or {}
        if id(step) not in known and type(step) not in known and is_classifier(step):
            scope.add_options(id(step), scope.get_options(model, {"zipmap": True}))
        inputs = _parse_sklearn(scope, step, inputs, custom_parsers=custom_parsers)
    return inputs


def _convert_pipeline(scope, operator, container):
    """Convert a pipeline within an ensemble."""
    from skl2onnx.operator_converters.pipelines import convert_pipeline

    operator.raw_operator = copy(operator.raw_operator)
    operator.raw_operator.steps = _steps(operator.raw_operator)
    convert_pipeline(scope, operator, container)


def _parse_feature_union(scope, model, inputs, custom_parsers=None):
    from skl2onnx._parse import _parse_sklearn_feature_union

    model = copy(model)
    model.transformer_list = [(name, _as_transformer(t)) for name, t in model.transformer_list]
    return _parse_sklearn_feature_union(scope, model, inputs, custom_parsers)


def _parse_column_transformer(scope, model, inputs, custom_parsers=None):
    from skl2onnx._parse import _parse_sklearn_column_transformer

    model = copy(model)
    model.transformers_ = [(name, _as_transformer(t), of) for name, t, of in model.transformers_]
    return _parse_sklearn_column_transformer(scope, model, inputs, custom_parsers)


# Shapes of results


def _result_type(operator: Any, *sizes: int) -> Any:
    """Return float64 if the input is float64, float32 otherwise."""
    from skl2onnx.common.data_types import guess_tensor_type

    source = operator.inputs[0]
    return type(guess_tensor_type(source.type))([source.get_first_dimension(), *sizes])


def _classifier_shapes(operator):
    from skl2onnx.common.data_types import Int64TensorType, StringTensorType

    clf, n = operator.raw_operator, operator.inputs[0].get_first_dimension()
    classes = label_set(clf)
    strings = classes.dtype == object and not _numbered(operator.scope_inst, clf)
    label = StringTensorType if strings else Int64TensorType
    shape = [n, len(classes)] if clf.out_activation_ == "logistic" else [n]
    operator.outputs[0].set_type(label(shape))
    operator.outputs[1].set_type(_result_type(operator, len(classes)))


def _numbered(scope: Any, clf: ScratchCNNClassifier) -> bool:
    """Whether the option "nocl" asks for the classes' numbers instead of their names."""
    return scope.get_options(clf, {"nocl": False})["nocl"]


def _regressor_shapes(operator):
    operator.outputs[0].set_type(_result_type(operator, operator.raw_operator.n_outputs_))


def _features_shapes(operator):
    clf = operator.raw_operator.estimator
    operator.outputs[0].set_type(_result_type(operator, clf._n_features_out))


# Nodes


def _convert_classifier(scope, operator, container):
    clf, (label, probabilities) = operator.raw_operator, operator.outputs
    graph = Graph(clf.network_.dtype, scope.get_unique_variable_name)
    classes = label_set(clf)
    if _numbered(scope, clf):
        classes = np.arange(len(classes))
    z = add_outputs(graph, clf, *_source(operator))
    graph.add("Identity", add_labels(graph, clf, classes, z), output=label.full_name)
    _give(graph, add_probabilities(graph, clf, z), probabilities)
    _insert(graph, scope, container)


def _convert_regressor(scope, operator, container):
    reg = operator.raw_operator
    graph = Graph(reg.network_.dtype, scope.get_unique_variable_name)
    z = add_outputs(graph, reg, *_source(operator))
    _give(graph, add_predictions(graph, reg, z), operator.outputs[0])
    _insert(graph, scope, container)


def _convert_features(scope, operator, container):
    estimator = operator.raw_operator.estimator
    graph = Graph(estimator.network_.dtype, scope.get_unique_variable_name)
    _give(graph, add_features(graph, estimator, *_source(operator)), operator.outputs[0])
    _insert(graph, scope, container)


def _source(operator: Any) -> tuple[str, tuple[int, ...], np.dtype]:
    """Return name, form and dtype of the images."""
    from skl2onnx.common.data_types import guess_proto_type

    source = operator.inputs[0]
    estimator = operator.raw_operator
    if isinstance(estimator, Features):
        estimator = estimator.estimator
    form = tuple(source.type.shape[1:])
    if not form or not all(isinstance(size, int) for size in form):  # unknown
        form = (estimator.n_features_in_,)
    return source.full_name, form, _dtype(guess_proto_type(source.type))


def _dtype(element: int) -> np.dtype:
    from onnx.helper import tensor_dtype_to_np_dtype

    return tensor_dtype_to_np_dtype(element)


def _give(graph: Graph, result: str, variable: Any) -> None:
    """Make `result` the operator's, in the declared dtype."""
    from skl2onnx.common.data_types import guess_proto_type

    graph.cast(result, _dtype(guess_proto_type(variable.type)), output=variable.full_name)


def _insert(graph: Graph, scope: Any, container: Any) -> None:
    """Pass all nodes and constants to skl2onnx."""
    if container.target_opset < 13:
        raise RuntimeError(
            f"skcnn.onnx: target_opset must be at least 13, got {container.target_opset}."
        )
    helper, numpy_helper = graph.onnx.helper, graph.onnx.numpy_helper
    for constant in graph.constants:
        values = numpy_helper.to_array(constant).ravel()
        container.add_initializer(constant.name, constant.data_type, list(constant.dims), values)
    for node in graph.nodes:
        attributes = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        container.add_node(
            node.op_type, list(node.input), list(node.output), name=node.name, **attributes
        )


# FrozenEstimator: delegation to the estimator inside


def _parse_frozen(scope, model, inputs, custom_parsers=None):
    from skl2onnx._parse import _parse_sklearn

    scope.add_options(id(model.estimator), scope.get_options(model, fail=False))
    return _parse_sklearn(scope, model.estimator, inputs, custom_parsers=custom_parsers)


def _frozen_shapes(operator):
    from skl2onnx import get_model_alias
    from skl2onnx.common._registration import get_shape_calculator

    inner = operator.raw_operator.estimator
    alias = get_model_alias(type(inner))
    within = operator.new_raw_operator(inner, alias)
    get_shape_calculator(alias)(within)
    operator.outputs = within.outputs


def _convert_frozen(scope, operator, container):
    from skl2onnx import get_model_alias

    inner, options = operator.raw_operator.estimator, scope.get_options(operator.raw_operator)
    scope.add_options(id(inner), options)
    container.add_options(id(inner), options)
    within = scope.declare_local_operator(get_model_alias(type(inner)), inner)
    within.inputs = operator.inputs
    for output in operator.outputs:
        result = scope.declare_local_variable(output.onnx_name, type=output.type)
        within.outputs.append(result)
        name = scope.get_unique_operator_name("Identity")
        container.add_node("Identity", result.full_name, output.full_name, name=name)

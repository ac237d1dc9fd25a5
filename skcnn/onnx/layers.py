"""Translation of every layer into ONNX operators.

ONNX Runtime supports convolutions and means of windows in float32 only (and does not add
rows to a transposed convolution if another window would fit). Otherwise the numbers of
every window are gathered first, followed by a matrix product; strides, dilation and
padding are a table of indices.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from math import prod
from typing import Any, TypeAlias

import numpy as np

from skcnn.layers import (
    ELU,
    GELU,
    Add,
    AvgPool2d,
    BatchNorm,
    Concatenate,
    Conv2d,
    ConvTranspose2d,
    Dense,
    Dropout,
    FixedConv,
    Flatten,
    Frozen,
    GaussianNoise,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    GroupNorm,
    Layer,
    LayerNorm,
    LeakyReLU,
    LocalResponseNorm,
    MaxPool2d,
    PadChannels,
    PPVPool,
    RandomCrop,
    RandomFlip,
    RandomRotation,
    RandomScale,
    RandomShift,
    ReLU,
    Residual,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
)
from skcnn.layers._layer import Params, Shape, split_params
from skcnn.layers.chain import BoundLayer
from skcnn.layers.windows import Windows
from skcnn.onnx.graph import Graph

__all__ = ["add_layers"]

Translation: TypeAlias = Callable[[Graph, Any, str, Shape, Params], str]
"""Adds a layer to a graph: the layer, the name and shape of its input, its parameters."""


Join: TypeAlias = Callable[[Graph, Sequence[str]], str]
"""Adds what joins the outputs of a composite layer's branches, of which it gets the names."""


def add_layers(graph: Graph, layers: Sequence[BoundLayer], x: str, params: Sequence[Params]) -> str:
    """Add layers, one behind another, as they are at prediction.

    Parameters
    ----------
    graph : Graph
    layers : sequence of BoundLayer
    x : str
        Name of the input, (n, channels, height, width) or (n, features).
    params : sequence of dict
        The arrays of each layer by name.

    Returns
    -------
    str
        Name of the output.

    Raises
    ------
    NotImplementedError
        For a layer that has no translation.
    """
    for bound, own in zip(layers, params, strict=False):
        layer = bound.layer
        if type(layer) in JOINS:
            inside = zip(bound.branches, split_params(layer.inner, own), strict=True)
            ends = [add_layers(graph, chain.bound, x, each) for chain, each in inside]
            x = JOINS[type(layer)](graph, ends)
        elif type(layer) in TRANSLATIONS:
            x = TRANSLATIONS[type(layer)](graph, layer, x, bound.input_shape, own)
        else:
            raise NotImplementedError(
                f"skcnn.onnx cannot translate the layer {layer!r}: {type(layer).__name__} is none "
                f"of the layers in skcnn.layers."
            )
    return x


def _unchanged(graph: Graph, layer: Layer, x: str, shape: Shape, params: Params) -> str:
    """Translate a layer that acts in training only, to nothing."""
    return x


def _operator(op: str, **attributes: Any) -> Translation:
    """Return the translation of a layer with an ONNX operator of its own."""
    return lambda graph, layer, x, shape, params: graph.add(op, x, **attributes)


def _leaky_relu(graph: Graph, layer: LeakyReLU, x: str, shape: Shape, params: Params) -> str:
    """``max(x, a x)``; the attribute of ONNX' own operator is a float32."""
    return graph.add("Max", x, graph.add("Mul", x, float(layer.negative_slope)))


def _elu(graph: Graph, layer: ELU, x: str, shape: Shape, params: Params) -> str:
    """``max(x, 0) + α (exp(min(x, 0)) - 1)``, by the operator with ``α = 1`` below 0."""
    below = graph.add("Elu", graph.add("Min", x, 0.0))
    return graph.add("Add", graph.add("Relu", x), graph.add("Mul", below, float(layer.alpha)))


def _gelu(graph: Graph, layer: GELU, x: str, shape: Shape, params: Params) -> str:
    """``x (1 + tanh(a z + b z³)) / 2``, with ``z`` clipped where the gate is 0 or 1."""
    a = (2 / np.pi) ** 0.5
    z = graph.add("Clip", x, -10.0, 10.0)
    slope = graph.add("Add", graph.add("Mul", graph.add("Mul", z, z), 0.044715 * a), a)
    gate = graph.add("Add", graph.add("Tanh", graph.add("Mul", slope, z)), 1.0)
    return graph.add("Mul", x, graph.add("Mul", gate, 0.5))


def _silu(graph: Graph, layer: SiLU, x: str, shape: Shape, params: Params) -> str:
    return graph.add("Mul", x, graph.add("Sigmoid", x))


def _dense(graph: Graph, layer: Dense, x: str, shape: Shape, params: Params) -> str:
    return graph.add("Gemm", x, *params.values(), transB=1)


def _batch_norm(graph: Graph, layer: BatchNorm, x: str, shape: Shape, params: Params) -> str:
    """Include ``ε`` in the variance, since ONNX' attribute for it is a float32."""
    variance = np.maximum(params["running_variance"], 0) + graph.dtype.type(layer.epsilon)
    moments = params["running_mean"], variance
    return graph.add(
        "BatchNormalization", x, params["weight"], params["bias"], *moments, epsilon=0.0
    )


def _layer_norm(graph: Graph, layer: LayerNorm, x: str, shape: Shape, params: Params) -> str:
    return _group_norm(graph, GroupNorm(1, layer.epsilon), x, shape, params)


def _group_norm(graph: Graph, layer: GroupNorm, x: str, shape: Shape, params: Params) -> str:
    """Translate it step by step; ONNX' operators came late, and compute in float32."""
    numbers = prod(shape) // layer.n_groups

    def mean(values: str) -> str:
        return graph.add("Mul", graph.add("ReduceSum", values, [2], keepdims=1), 1 / numbers)

    of_groups = graph.add("Reshape", x, [0, layer.n_groups, numbers])
    centered = graph.add("Sub", of_groups, mean(of_groups))
    variance = graph.add("Add", mean(graph.add("Mul", centered, centered)), float(layer.epsilon))
    normalized = graph.add("Div", centered, graph.add("Sqrt", variance))
    channels = (-1,) + (1,) * len(shape[1:])
    gamma, beta = (params[name].reshape(channels) for name in ("weight", "bias"))
    scaled = graph.add("Mul", graph.add("Reshape", normalized, [0, *shape]), gamma)
    return graph.add("Add", scaled, beta)


def _local_response_norm(
    graph: Graph, layer: LocalResponseNorm, x: str, shape: Shape, params: Params
) -> str:
    """Translate the sum over neighbouring channels as a product with a band of ``α``.

    ONNX' own operator allows neither ``α = 0`` nor ``β = 0``, and only float32.
    """
    C, H, W = shape
    channels = np.arange(C)
    near = np.abs(channels[:, np.newaxis] - channels) <= layer.size // 2
    pixels = graph.add("Reshape", x, [0, C, H * W])
    band = (float(layer.alpha) * near).astype(graph.dtype)
    total = graph.add("MatMul", band, graph.add("Mul", pixels, pixels))
    power = graph.add("Pow", graph.add("Add", total, float(layer.k)), -float(layer.beta))
    return graph.add("Reshape", graph.add("Mul", pixels, power), [0, C, H, W])


def _conv(graph: Graph, layer: Conv2d, x: str, shape: Shape, params: Params) -> str:
    height, width = layer.reach(shape)
    if graph.single:
        return graph.add(
            "Conv", x, *params.values(), group=layer.groups, **_attributes(height, width)
        )
    W, G = params["weight"], layer.groups
    columns = _gather(graph, x, shape, _pixels(height), _pixels(width))
    matrices = W.reshape(G, layer.filters // G, -1)
    return _multiply(graph, matrices, columns, layer.output_shape(shape), params)


def _conv_transpose(
    graph: Graph, layer: ConvTranspose2d, x: str, shape: Shape, params: Params
) -> str:
    height, width = (axis.windows for axis in layer.reach(shape))
    if graph.single and not (height.left_out or width.left_out):
        return graph.add(
            "ConvTranspose",
            x,
            *params.values(),
            group=layer.groups,
            output_padding=[_added(height), _added(width)],
            **_attributes(height, width),
        )
    W, G = params["weight"], layer.groups
    columns = _gather(graph, x, shape, _window_indices(height), _window_indices(width))
    of_groups = W.reshape(G, shape[0] // G, layer.filters // G, -1)
    matrices = of_groups.swapaxes(1, 2).reshape(G, layer.filters // G, -1)
    return _multiply(graph, matrices, columns, layer.output_shape(shape), params)


def _fixed_conv(graph: Graph, layer: FixedConv, x: str, shape: Shape, params: Params) -> str:
    return _conv(graph, layer.convolution(shape), x, shape, params)


def _ppv_pool(graph: Graph, layer: PPVPool, x: str, shape: Shape, params: Params) -> str:
    """The mean of all positions as a product with their weights."""
    C, H, W = shape
    pixels = graph.add("Reshape", x, [0, C, 1, H * W])
    scaled = graph.add("Mul", pixels, params["scale"].reshape(-1, 1, 1))
    heights = graph.add("Sub", scaled, params["threshold"][:, :, np.newaxis])
    on_ramp = graph.add("Clip", heights, *np.array([0, 1], graph.dtype))
    means = np.ascontiguousarray(layer.means(shape, graph.dtype)[:, :, np.newaxis])
    return graph.add("Reshape", graph.add("MatMul", on_ramp, means), [0, C * layer.thresholds])


def _max_pool(graph: Graph, layer: MaxPool2d, x: str, shape: Shape, params: Params) -> str:
    return graph.add("MaxPool", x, **_attributes(*layer.reach(shape)))


def _avg_pool(graph: Graph, layer: AvgPool2d, x: str, shape: Shape, params: Params) -> str:
    height, width = layer.reach(shape)
    if graph.single:
        counted = int(layer.count_include_pad)
        return graph.add("AveragePool", x, count_include_pad=counted, **_attributes(height, width))
    columns = _gather(graph, x, shape, _pixels(height), _pixels(width))
    total = graph.add("ReduceSum", columns, [2], keepdims=0)
    mean = graph.add("Mul", total, 1 / layer.divisors(shape).ravel())
    return graph.add("Reshape", mean, [0, *layer.output_shape(shape)])


def _global_avg_pool(
    graph: Graph, layer: GlobalAvgPool2d, x: str, shape: Shape, params: Params
) -> str:
    """Translate the mean as a sum, which has the same interface in every version of ONNX."""
    total = graph.add("ReduceSum", x, [2, 3], keepdims=0)
    return graph.add("Mul", total, 1 / (shape[1] * shape[2]))


def _global_max_pool(
    graph: Graph, layer: GlobalMaxPool2d, x: str, shape: Shape, params: Params
) -> str:
    """Translate it as one window; ONNX Runtime has no global operator in float64."""
    return graph.add("Flatten", graph.add("MaxPool", x, **_attributes(*layer.reach(shape))))


def _sum(graph: Graph, ends: Sequence[str]) -> str:
    return reduce(lambda left, right: graph.add("Add", left, right), ends)


def _pad_channels(graph: Graph, layer: PadChannels, x: str, shape: Shape, params: Params) -> str:
    C, H, W = shape
    height, width = layer.reach(shape)
    kept = graph.add("Slice", x, [0, 0], [H, W], [2, 3], [height.stride, width.stride])
    return graph.add("Pad", kept, [0, 0, 0, 0, 0, layer.filters - C, 0, 0])


TRANSLATIONS: dict[type[Layer], Translation] = {
    AvgPool2d: _avg_pool,
    BatchNorm: _batch_norm,
    Conv2d: _conv,
    ConvTranspose2d: _conv_transpose,
    Dense: _dense,
    Dropout: _unchanged,
    ELU: _elu,
    FixedConv: _fixed_conv,
    Flatten: _operator("Flatten"),
    GELU: _gelu,
    GaussianNoise: _unchanged,
    GlobalAvgPool2d: _global_avg_pool,
    GlobalMaxPool2d: _global_max_pool,
    GroupNorm: _group_norm,
    LayerNorm: _layer_norm,
    LeakyReLU: _leaky_relu,
    LocalResponseNorm: _local_response_norm,
    MaxPool2d: _max_pool,
    PPVPool: _ppv_pool,
    PadChannels: _pad_channels,
    RandomCrop: _unchanged,
    RandomFlip: _unchanged,
    RandomRotation: _unchanged,
    RandomScale: _unchanged,
    RandomShift: _unchanged,
    ReLU: _operator("Relu"),
    Sigmoid: _operator("Sigmoid"),
    SiLU: _silu,
    Softmax: _operator("Softmax", axis=1),
    Tanh: _operator("Tanh"),
}

JOINS: dict[type[Layer], Join] = {
    Add: _sum,
    Concatenate: lambda graph, ends: graph.add("Concat", *ends, axis=1),
    Frozen: lambda graph, ends: ends[0],
    Residual: _sum,
}


def _attributes(height: Windows, width: Windows) -> dict[str, Any]:
    """Return ONNX' attributes for windows."""
    found = {
        "kernel_shape": [height.kernel, width.kernel],
        "strides": [height.stride, width.stride],
        "pads": [height.before, width.before, height.after, width.after],
    }
    dilations = [height.dilation, width.dilation]
    return found if dilations == [1, 1] else {**found, "dilations": dilations}


def _added(windows: Windows) -> int:
    """Return the number of pixels that a transposed convolution adds at the end."""
    return windows.padded - (windows.stride * (windows.positions - 1) + windows.extent)


def _pixels(windows: Windows) -> np.ndarray:
    """Return the k-th pixel of every window, (kernel, positions); -1 for padding."""
    k, p = np.ogrid[: windows.kernel, : windows.positions]
    pixels = p * windows.stride + k * windows.dilation - windows.before
    return np.where((pixels >= 0) & (pixels < windows.size), pixels, -1)


def _window_indices(windows: Windows) -> np.ndarray:
    """Return the window whose k-th pixel is q, (kernel, size); -1 if there is none."""
    k, q = np.ogrid[: windows.kernel, : windows.size]
    p, between = np.divmod(q + windows.before - k * windows.dilation, windows.stride)
    return np.where((between == 0) & (p >= 0) & (p < windows.positions), p, -1)


def _gather(graph: Graph, x: str, shape: Shape, rows: np.ndarray, columns: np.ndarray) -> str:
    """Gather ``(n, C, KH·KW, OH·OW)`` from ``(n, C, H, W)``.

    Parameters
    ----------
    graph : Graph
    x : str
    shape : tuple of int
        ``(C, H, W)``.
    rows, columns : ndarray of int of shape (KH, OH) and (KW, OW)
        Source indices of the numbers; -1 is a zero.
    """
    C, H, W = shape
    rows, columns = rows[:, np.newaxis, :, np.newaxis], columns[:, np.newaxis]
    places = np.where((rows >= 0) & (columns >= 0), rows * W + columns, H * W)
    places = places.reshape(rows.shape[0] * columns.shape[0], -1)
    pixels = graph.add("Reshape", x, [0, C, H * W])
    if places.max() == H * W:
        pixels = graph.add("Pad", pixels, [0, 0, 0, 0, 0, 1])
    return graph.add("Gather", pixels, places, axis=2)


def _multiply(
    graph: Graph, matrices: np.ndarray, columns: str, output_shape: Shape, params: Params
) -> str:
    """Multiply one matrix per group with the columns, and add the bias."""
    groups, _, length = matrices.shape
    pixels = output_shape[1] * output_shape[2]
    columns = graph.add("Reshape", columns, [0, groups, length, pixels])
    y = graph.add("Reshape", graph.add("MatMul", matrices, columns), [0, *output_shape])
    if "bias" not in params:
        return y
    return graph.add("Add", y, params["bias"].reshape(-1, 1, 1))

"""Independent references: the layers as loops over single numbers, and finite differences.

Everything here is written from the definitions, for one sample in the layout
(channels, height, width) or (features,), and imports nothing from the engine.
"""

import math
from types import SimpleNamespace

import numpy as np


def pair(value):
    return (value, value) if isinstance(value, int) else tuple(value)


def pads(size, kernel, stride, padding):
    """(Before, after) along one axis."""
    if padding == "same":
        out = math.ceil(size / stride)
        total = max((out - 1) * stride + kernel - size, 0)
        return total // 2, total - total // 2
    return padding, padding


def conv2d(layer, params, x):
    C, H, W = x.shape
    KH, KW = pair(layer.kernel_size)
    SH, SW = pair(layer.stride)
    DH, DW = pair(layer.dilation)
    if layer.padding == "same":
        if layer.clip:
            KH, KW = min(KH, 2 * ((H - 1) // DH) + 1), min(KW, 2 * ((W - 1) // DW) + 1)
        (top, bottom), (left, right) = (
            pads(H, DH * (KH - 1) + 1, SH, "same"),
            pads(W, DW * (KW - 1) + 1, SW, "same"),
        )
    else:
        PH, PW = pair(layer.padding)
        if layer.clip:
            KH, KW = min(KH, (H + 2 * PH - 1) // DH + 1), min(KW, (W + 2 * PW - 1) // DW + 1)
        (top, bottom), (left, right) = (PH, PH), (PW, PW)
    OH = (H + top + bottom - DH * (KH - 1) - 1) // SH + 1
    OW = (W + left + right - DW * (KW - 1) - 1) // SW + 1
    y = np.zeros((layer.filters, OH, OW))
    for f in range(layer.filters):
        group = f // (layer.filters // layer.groups)
        for p in range(OH):
            for q in range(OW):
                total = params["bias"][f] if layer.bias else 0.0
                for c in range(C // layer.groups):
                    channel = group * (C // layer.groups) + c
                    for i in range(KH):
                        for j in range(KW):
                            row, column = p * SH + i * DH - top, q * SW + j * DW - left
                            if 0 <= row < H and 0 <= column < W:
                                total += params["weight"][f, c, i, j] * x[channel, row, column]
                y[f, p, q] = total
    return y


def conv_transpose2d(layer, params, x):
    """Every pixel is spread over the output; what falls outside is lost."""
    C, H, W = x.shape
    KH, KW = pair(layer.kernel_size)
    SH, SW = pair(layer.stride)
    PH, PW = pair(layer.padding)
    EH, EW = pair(layer.output_padding)
    DH, DW = pair(layer.dilation)
    OH = (H - 1) * SH - 2 * PH + DH * (KH - 1) + EH + 1
    OW = (W - 1) * SW - 2 * PW + DW * (KW - 1) + EW + 1
    y = np.zeros((layer.filters, OH, OW))
    per_group = layer.filters // layer.groups
    for c, p, q in np.ndindex(x.shape):
        group = c // (C // layer.groups)
        for f, i, j in np.ndindex(per_group, KH, KW):
            row, column = p * SH + i * DH - PH, q * SW + j * DW - PW
            if 0 <= row < OH and 0 <= column < OW:
                y[group * per_group + f, row, column] += params["weight"][c, f, i, j] * x[c, p, q]
    if layer.bias:
        y += params["bias"].reshape(-1, 1, 1)
    return y


def pool2d(layer, x, pooled, outside):
    """`outside` is the value of padding, or None where it takes no part."""
    C, H, W = x.shape
    KH, KW = pair(layer.pool_size)
    if layer.padding == "same":
        if layer.clip:
            KH, KW = min(KH, 2 * H - 1), min(KW, 2 * W - 1)
        SH, SW = (KH, KW) if layer.stride is None else pair(layer.stride)
        OH, OW = math.ceil(H / SH), math.ceil(W / SW)
        (PH, _), (PW, _) = pads(H, KH, SH, "same"), pads(W, KW, SW, "same")
    else:
        PH, PW = pair(layer.padding)
        if layer.clip:
            KH, KW = min(KH, H + 2 * PH), min(KW, W + 2 * PW)
        SH, SW = (KH, KW) if layer.stride is None else pair(layer.stride)
        OH, OW = (H + 2 * PH - KH) // SH + 1, (W + 2 * PW - KW) // SW + 1
    y = np.zeros((C, OH, OW))
    for c in range(C):
        for p in range(OH):
            for q in range(OW):
                y[c, p, q] = pooled(
                    [
                        x[c, i, j] if 0 <= i < H and 0 <= j < W else outside
                        for i in range(p * SH - PH, p * SH - PH + KH)
                        for j in range(q * SW - PW, q * SW - PW + KW)
                        if outside is not None or (0 <= i < H and 0 <= j < W)
                    ]
                )
    return y


def local_response(layer, params, x):
    C, H, W = x.shape
    y = np.zeros((C, H, W))
    half = layer.size // 2
    for c in range(C):
        for i in range(H):
            for j in range(W):
                neighbours = range(max(0, c - half), min(C - 1, c + half) + 1)
                total = sum(x[other, i, j] ** 2 for other in neighbours)
                y[c, i, j] = x[c, i, j] / (layer.k + layer.alpha * total) ** layer.beta
    return y


def softmax(layer, params, x):
    y = np.zeros(x.shape)
    for place in np.ndindex(x.shape[1:]):
        powers = [math.exp(row[place]) for row in x]
        for c, power in enumerate(powers):
            y[(c, *place)] = power / sum(powers)
    return y


def warped(x, inverse):
    """Every pixel looked up at `inverse` times its place, seen from the centre."""
    C, H, W = x.shape
    y = np.zeros((C, H, W))
    (a, b), (c, d) = inverse
    for i in range(H):
        for j in range(W):
            down, right = i - (H - 1) / 2, j - (W - 1) / 2
            u, v = a * down + b * right + (H - 1) / 2, c * down + d * right + (W - 1) / 2
            for p in range(H):
                for q in range(W):
                    near = max(0.0, 1 - abs(u - p)) * max(0.0, 1 - abs(v - q))
                    y[:, i, j] += near * x[:, p, q]
    return y


def fixed_conv(layer, params, x):
    """The convolution with these weights, from a layer that would be trained."""
    filters, _, *window = params["weight"].shape
    return conv2d(
        SimpleNamespace(
            filters=filters, kernel_size=window, stride=1, dilation=layer.dilation,
            padding="same", clip=False, groups=1, bias=False,
        ),
        params,
        x,
    )  # fmt: skip


def ppv_pool(layer, params, x):
    _, H, W = x.shape
    y = []
    for c, channel in enumerate(x):
        m = layer.margin if (layer.offset + c) % 2 and 2 * layer.margin < W else 0
        seen = [channel[i, j] for i in range(H) for j in range(m, W - m)]
        for t in params["threshold"][c]:
            heights = (min(max(params["scale"][c] * v - t, 0), 1) for v in seen)
            y.append(sum(heights) / len(seen))
    return y


def dense(layer, params, x):
    y = np.zeros(layer.units)
    for u in range(layer.units):
        y[u] = sum(w * v for w, v in zip(params["weight"][u], x, strict=True))
        if layer.bias:
            y[u] += params["bias"][u]
    return y


def batch_norm(layer, params, x):
    """At prediction: with the running moments."""
    y = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        c = i[0]
        deviation = math.sqrt(params["running_variance"][c] + layer.epsilon)
        y[i] = params["weight"][c] * (x[i] - params["running_mean"][c]) / deviation
        y[i] += params["bias"][c]
    return y


def group_norm(layer, params, x, groups):
    """Every number by the mean and deviation of its group of channels."""
    y = np.zeros_like(x)
    per_group = len(x) // groups
    for i in np.ndindex(x.shape):
        first = i[0] // per_group * per_group
        values = [float(v) for v in x[first : first + per_group].flat]
        mean = sum(values) / len(values)
        variance = sum((v - mean) ** 2 for v in values) / len(values)
        normalized = (x[i] - mean) / math.sqrt(variance + layer.epsilon)
        y[i] = params["weight"][i[0]] * normalized + params["bias"][i[0]]
    return y


def pad_channels(layer, params, x):
    C, H, W = x.shape
    SH, SW = pair(layer.stride)
    y = np.zeros((layer.filters, math.ceil(H / SH), math.ceil(W / SW)))
    for c, p, q in np.ndindex(C, *y.shape[1:]):
        y[c, p, q] = x[c, p * SH, q * SW]
    return y


def residual(layer, params, x):
    """Both branches, layer by layer; a layer's parameters are those that begin with its name."""

    y = branch(layer.layers, "", params, x)
    return y + (x if layer.shortcut is None else branch(layer.shortcut, "shortcut.", params, x))


def branch(layers, begin, params, x):
    """One branch, of a layer or of a list; the parameters of a layer begin with its name."""
    if not isinstance(layers, list):
        own = {k.removeprefix(begin): v for k, v in params.items() if k.startswith(begin)}
        return np.asarray(FORWARD[type(layers).__name__](layers, own, x))
    for i, layer in enumerate(layers):
        x = branch(layer, f"{begin}{i}.", params, x)
    return x


def added(layer, params, x):
    return sum(branch(layers, f"{i}.", params, x) for i, layers in enumerate(layer.branches))


def concatenated(layer, params, x):
    """One number after another."""
    outputs = [branch(layers, f"{i}.", params, x) for i, layers in enumerate(layer.branches)]
    return np.array([channel for output in outputs for channel in output])


def gelu(v):
    return 0.5 * v * (1 + math.tanh(math.sqrt(2 / math.pi) * (v + 0.044715 * v**3)))


def elementwise(function):
    return lambda layer, params, x: np.vectorize(function)(x)


FORWARD = {
    "Conv2d": conv2d,
    "ConvTranspose2d": conv_transpose2d,
    "MaxPool2d": lambda layer, params, x: pool2d(layer, x, np.max, -np.inf),
    "AvgPool2d": lambda layer, params, x: pool2d(
        layer, x, np.mean, 0.0 if layer.count_include_pad else None
    ),
    "FixedConv": fixed_conv,
    "PPVPool": ppv_pool,
    "GlobalAvgPool2d": lambda layer, params, x: [sum(c.flat) / c.size for c in x],
    "GlobalMaxPool2d": lambda layer, params, x: [max(c.flat) for c in x],
    "LocalResponseNorm": local_response,
    "Flatten": lambda layer, params, x: np.array(list(x.flat)),
    "Dense": dense,
    "ReLU": elementwise(lambda v: max(v, 0.0)),
    "LeakyReLU": lambda layer, params, x: np.vectorize(
        lambda v: v if v > 0 else layer.negative_slope * v
    )(x),
    "ELU": lambda layer, params, x: np.vectorize(
        lambda v: v if v > 0 else layer.alpha * (math.exp(v) - 1)
    )(x),
    "GELU": elementwise(gelu),
    "SiLU": elementwise(lambda v: v / (1 + math.exp(-v))),
    "Softmax": softmax,
    "Tanh": elementwise(math.tanh),
    "Sigmoid": elementwise(lambda v: 1 / (1 + math.exp(-v))),
    "BatchNorm": batch_norm,
    "LayerNorm": lambda layer, params, x: group_norm(layer, params, x, 1),
    "GroupNorm": lambda layer, params, x: group_norm(layer, params, x, layer.n_groups),
    "PadChannels": pad_channels,
    "Residual": residual,
    "Add": added,
    "Frozen": lambda layer, params, x: branch(layer.layers, "", params, x),
    "Concatenate": concatenated,
    "Dropout": lambda layer, params, x: x,
    "GaussianNoise": lambda layer, params, x: x,
    "RandomCrop": lambda layer, params, x: x,
    "RandomFlip": lambda layer, params, x: x,
    "RandomScale": lambda layer, params, x: x,
    "RandomRotation": lambda layer, params, x: x,
    "RandomShift": lambda layer, params, x: x,
}


def numerical_gradient(function, x, step=1e-6):
    """Central differences of a scalar function, one number at a time."""
    gradient = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        old = x[i]
        x[i] = old + step
        above = function(x)
        x[i] = old - step
        below = function(x)
        x[i] = old
        gradient[i] = (above - below) / (2 * step)
    return gradient


def spread_out(shape, rng):
    """Distinct numbers, none near 0 and no two near each other: no kinks nearby.

    The gaps between them grow, lest sums or differences of some be equal.
    """
    size = int(np.prod(shape))
    values = (np.arange(size) - size // 2 + 0.5) / max(1, size / 4)
    return rng.permutation(values + 0.1 * values**2).reshape(shape)

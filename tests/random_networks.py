"""Networks of random layers, branches among them."""

import numpy as np

from skcnn.layers import (
    GELU,
    Add,
    AvgPool2d,
    BatchNorm,
    Concatenate,
    Conv2d,
    ConvTranspose2d,
    Frozen,
    GroupNorm,
    LayerNorm,
    LeakyReLU,
    MaxPool2d,
    PadChannels,
    ReLU,
    Residual,
    Sigmoid,
    SiLU,
    Tanh,
)

ACTIVATIONS = [ReLU(), LeakyReLU(0.1), Tanh(), Sigmoid(), GELU(), SiLU()]


def pair(rng, low, high):
    return tuple(int(v) for v in rng.integers(low, high + 1, 2))


def shape_keeping(rng, shape, depth):
    """A layer that gives back the shape it gets."""
    C = shape[0]
    kind = rng.choice(["conv", "transposed", "norm", "activation", "pool", "residual", "frozen"])
    if kind == "conv":
        k, d = int(rng.choice([1, 3, 5])), int(rng.integers(1, 3))
        groups = int(rng.choice([g for g in (1, 2, 3) if C % g == 0]))
        return Conv2d(
            C, k, padding=d * (k // 2), dilation=d, groups=groups, bias=rng.random() < 0.5
        )
    if kind == "transposed":
        return ConvTranspose2d(C, 3, padding=1, bias=rng.random() < 0.5)
    if kind == "norm":
        groups = int(rng.choice([g for g in (1, 2, 3) if C % g == 0]))
        # not 1e-5, by whose root a sample of nearly equal numbers, and its rounding, is divided
        epsilon = 0.1
        norms = BatchNorm(64), LayerNorm(epsilon), GroupNorm(groups, epsilon)
        return norms[rng.integers(3)]
    if kind == "pool":
        return MaxPool2d(3, stride=1, padding=1)
    if kind == "frozen" and depth:
        return Frozen([shape_keeping(rng, shape, depth - 1) for _ in range(rng.integers(1, 4))])
    if kind == "residual" and depth:
        return residual(rng, shape, depth - 1)
    return ACTIVATIONS[rng.integers(len(ACTIVATIONS))]


def residual(rng, shape, depth):
    layers = [shape_keeping(rng, shape, depth) for _ in range(rng.integers(1, 4))]
    kind = rng.choice(["identity", "layer", "list", "changed"])
    if kind == "identity":
        return Residual(layers)
    if kind == "layer":
        return Residual(layers, shape_keeping(rng, shape, 0))
    if kind == "list":
        return Residual(layers, [shape_keeping(rng, shape, 0) for _ in range(2)])
    filters = shape[0] + int(rng.integers(0, 3))
    ends = [Conv2d(filters, 1, stride=2), PadChannels(filters, 2)]
    return Residual([*layers, Conv2d(filters, 3, stride=2, padding=1)], ends[rng.integers(2)])


def branched(rng, shape, depth):
    """Two to four branches that are added or joined, among them often the input itself."""
    branches = [
        [shape_keeping(rng, shape, depth) for _ in range(rng.integers(0, 4))]
        for _ in range(rng.integers(1, 4))
    ]
    branches.append(shape_keeping(rng, shape, 0))
    if rng.random() < 0.5:
        return Add(branches)
    return Concatenate([*branches, [Conv2d(int(rng.integers(1, 4)), 3, padding=1)]])


def changing(rng, shape):
    """A layer that makes another shape."""
    filters = int(rng.integers(1, 5))
    kernel, stride, dilation = pair(rng, 1, 3), pair(rng, 1, 2), pair(rng, 1, 2)
    kind = rng.choice(["conv", "transposed", "max", "mean"])
    if kind == "conv":
        return Conv2d(filters, kernel, stride, pair(rng, 1, 2), dilation)
    if kind == "transposed":
        extra = tuple(
            int(rng.integers(0, max(s, d))) for s, d in zip(stride, dilation, strict=True)
        )
        groups = int(rng.choice([g for g in (1, 2) if shape[0] % g == 0]))
        return ConvTranspose2d(filters * groups, kernel, stride, 0, extra, dilation, groups)
    window = pair(rng, 2, 3)
    padding = tuple(int(rng.integers(0, w // 2 + 1)) for w in window)
    if kind == "max":
        return MaxPool2d(window, stride, padding)
    return AvgPool2d(window, stride, padding, count_include_pad=bool(rng.integers(2)))


def random_layers(rng, shape):
    """Some layers for images of that shape; the last makes images, too."""
    layers, now = [], shape
    for _ in range(rng.integers(2, 7)):
        choice = rng.random()
        layer = (
            changing(rng, now)
            if choice < 0.35
            else residual(rng, now, 2)
            if choice < 0.55
            else branched(rng, now, 1)
            if choice < 0.75
            else shape_keeping(rng, now, 0)
        )
        try:
            after = layer.output_shape(now)
        except ValueError:
            continue  # a window that does not fit
        if np.prod(after) > 3000:
            continue
        layers, now = [*layers, layer], after
    return layers

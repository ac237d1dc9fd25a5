"""Random networks, branches among them, give the numbers and gradients of PyTorch."""

from itertools import pairwise

import numpy as np
import pytest

from skcnn.layers import (
    GELU,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    ConvTranspose2d,
    Dense,
    Flatten,
    GlobalAvgPool2d,
    LeakyReLU,
    MaxPool2d,
    PadChannels,
    ReLU,
    Residual,
    Sigmoid,
    SiLU,
    Tanh,
)
from skcnn.network import Network

torch = pytest.importorskip("torch", reason="PyTorch is not installed (the extra [bench] has it)")
nn = torch.nn
pytestmark = pytest.mark.slow

ACTIVATIONS = [ReLU(), LeakyReLU(0.1), Tanh(), Sigmoid(), GELU(), SiLU()]


def pair(rng, low, high):
    return tuple(int(v) for v in rng.integers(low, high + 1, 2))


def shape_keeping(rng, shape, depth):
    """A layer that gives back the shape it gets."""
    C = shape[0]
    kind = rng.choice(["conv", "transposed", "norm", "activation", "pool", "residual"])
    if kind == "conv":
        k, d = int(rng.choice([1, 3, 5])), int(rng.integers(1, 3))
        groups = int(rng.choice([g for g in (1, 2, 3) if C % g == 0]))
        return Conv2d(
            C, k, padding=d * (k // 2), dilation=d, groups=groups, bias=rng.random() < 0.5
        )
    if kind == "transposed":
        return ConvTranspose2d(C, 3, padding=1, bias=rng.random() < 0.5)
    if kind == "norm":
        return BatchNorm(64)
    if kind == "pool":
        return MaxPool2d(3, stride=1, padding=1)
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
    pool = MaxPool2d if kind == "max" else AvgPool2d
    window = pair(rng, 2, 3)
    return pool(window, stride, padding=tuple(int(rng.integers(0, w // 2 + 1)) for w in window))


def random_network(rng):
    shape = (int(rng.integers(1, 5)), *pair(rng, 5, 9))
    layers, now = [], shape
    for _ in range(rng.integers(2, 7)):
        choice = rng.random()
        layer = (
            changing(rng, now)
            if choice < 0.35
            else residual(rng, now, 2)
            if choice < 0.7
            else shape_keeping(rng, now, 0)
        )
        try:
            after = layer.output_shape(now)
        except ValueError:
            continue  # a window that does not fit
        if np.prod(after) > 3000:
            continue
        layers, now = [*layers, layer], after
    layers += [GlobalAvgPool2d()] if rng.random() < 0.3 else [Flatten()]
    return Network([*layers, Dense(3)], shape, np.float64)


class Sum(nn.Module):
    def __init__(self, f, s):
        super().__init__()
        self.f, self.s = f, s

    def forward(self, x):
        return self.f(x) + self.s(x)


class Padded(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        SH, SW = (
            self.layer.stride if isinstance(self.layer.stride, tuple) else (self.layer.stride,) * 2
        )
        x = x[:, :, ::SH, ::SW]
        return nn.functional.pad(x, (0, 0, 0, 0, 0, self.layer.filters - x.shape[1]))


def module_of(layer, shape, params):
    """The layer in PyTorch, and its tensors with the arrays that belong to them."""
    kind, pairs = type(layer).__name__, []
    if kind == "Residual":
        f = chain_of(
            [(f"{i}.", inner) for i, inner in enumerate(layer.layers)], shape, params, pairs
        )
        shortcut = layer.shortcut
        if shortcut is None:
            s = nn.Identity()
        elif isinstance(shortcut, list):
            s = chain_of(
                [(f"shortcut.{i}.", e) for i, e in enumerate(shortcut)], shape, params, pairs
            )
        else:
            s = chain_of([("shortcut.", shortcut)], shape, params, pairs)
        return Sum(f, s), pairs
    C = shape[0]
    if kind == "Conv2d":
        module = nn.Conv2d(
            C, layer.filters, layer.kernel_size, layer.stride, layer.padding, layer.dilation,
            layer.groups, layer.bias,
        )  # fmt: skip
    elif kind == "ConvTranspose2d":
        module = nn.ConvTranspose2d(
            C, layer.filters, layer.kernel_size, layer.stride, layer.padding, layer.output_padding,
            layer.groups, layer.bias, layer.dilation,
        )  # fmt: skip
    elif kind == "BatchNorm":
        module = nn.BatchNorm2d(C)
    elif kind == "Dense":
        module = nn.Linear(C, layer.units)
    else:
        return {
            "ReLU": nn.ReLU(), "LeakyReLU": nn.LeakyReLU(0.1), "Tanh": nn.Tanh(), "SiLU": nn.SiLU(),
            "Sigmoid": nn.Sigmoid(), "GELU": nn.GELU(approximate="tanh"), "Flatten": nn.Flatten(),
            "GlobalAvgPool2d": nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        }.get(kind) or {
            "MaxPool2d": lambda: nn.MaxPool2d(layer.pool_size, layer.stride, layer.padding),
            "AvgPool2d": lambda: nn.AvgPool2d(layer.pool_size, layer.stride, layer.padding),
            "PadChannels": lambda: Padded(layer),
        }[kind](), pairs  # fmt: skip
    module = module.double()
    for name, tensor in module.named_parameters():
        with torch.no_grad():
            tensor.copy_(torch.from_numpy(np.array(params[name])))
        pairs.append((tensor, name))
    return module, pairs


def chain_of(named, shape, params, pairs):
    modules = []
    for begin, layer in named:
        own = {k[len(begin) :]: v for k, v in params.items() if k.startswith(begin)}
        module, inner = module_of(layer, shape, own)
        modules.append(module)
        pairs += [(tensor, begin + name) for tensor, name in inner]
        shape = layer.output_shape(shape)
    return nn.Sequential(*modules)


@pytest.mark.parametrize("seed", range(150))
def test_values_and_gradients_are_those_of_pytorch(seed):
    rng = np.random.default_rng(seed)
    network = random_network(rng)
    vector = network.init(rng) + 0.1 * rng.normal(size=network.vector_size)
    X, dY = rng.normal(size=(5, *network.input_shape)), rng.normal(size=(5, 3))
    Y, dX, gradient = network.vjp(X, vector, dY)

    arrays, pairs, modules = network.unpack(vector), [], []
    for i, (layer, (shape, _)) in enumerate(
        zip(network.layers, pairwise(network.shapes), strict=True)
    ):
        module, found = module_of(layer, shape, arrays[i])
        modules.append(module)
        pairs += [(tensor, i, name) for tensor, name in found]
    inputs = torch.from_numpy(X).requires_grad_()
    outputs = nn.Sequential(*modules)(inputs)
    outputs.backward(torch.from_numpy(dY))
    np.testing.assert_allclose(Y, outputs.detach().numpy(), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(dX, inputs.grad.numpy(), rtol=1e-9, atol=1e-9)
    grads = network.unpack(gradient)
    for tensor, i, name in pairs:
        np.testing.assert_allclose(grads[i][name], tensor.grad.numpy(), rtol=1e-9, atol=1e-9)

"""Random networks, branches among them, give the numbers and gradients of PyTorch."""

from itertools import pairwise

import numpy as np
import pytest

from skcnn.layers import (
    AvgPool1d,
    Conv1d,
    ConvTranspose1d,
    Dense,
    Flatten,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    LayerNorm,
    MaxPool1d,
)
from skcnn.network import Network
from tests.random_networks import pair, random_layers

torch = pytest.importorskip("torch", reason="PyTorch is not installed (the extra [bench] has it)")
nn = torch.nn
pytestmark = pytest.mark.slow


def random_network(rng):
    shape = (int(rng.integers(1, 5)), *pair(rng, 5, 9))
    layers = random_layers(rng, shape)
    choice = rng.random()
    layers += [
        GlobalAvgPool2d() if choice < 0.2 else GlobalMaxPool2d() if choice < 0.4 else Flatten()
    ]
    return Network([*layers, Dense(3)], shape, np.float64)


class Sum(nn.Module):
    def __init__(self, f, s):
        super().__init__()
        self.f, self.s = f, s

    def forward(self, x):
        return self.f(x) + self.s(x)


class Branches(nn.Module):
    def __init__(self, kind, branches):
        super().__init__()
        self.kind, self.branches = kind, nn.ModuleList(branches)

    def forward(self, x):
        outputs = [branch(x) for branch in self.branches]
        return sum(outputs) if self.kind == "Add" else torch.cat(outputs, dim=1)


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
    if kind in ("Add", "Concatenate"):
        branches = [
            chain_of([(f"{b}.{i}.", inner) for i, inner in enumerate(branch)], shape, params, pairs)
            if isinstance(branch, list)
            else chain_of([(f"{b}.", branch)], shape, params, pairs)
            for b, branch in enumerate(layer.branches)
        ]
        return Branches(kind, branches), pairs
    if kind == "Frozen":
        named = [(f"{i}.", inner) for i, inner in enumerate(layer.layers)]
        return chain_of(named, shape, params, []).eval(), pairs
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
    elif kind == "LayerNorm":
        eps = layer.epsilon
        module = nn.GroupNorm(1, C, eps) if len(shape) == 3 else nn.LayerNorm(C, eps)
    elif kind == "GroupNorm":
        module = nn.GroupNorm(layer.n_groups, C, layer.epsilon)
    elif kind == "Dense":
        module = nn.Linear(C, layer.units)
    else:
        return {
            "ReLU": nn.ReLU(), "LeakyReLU": nn.LeakyReLU(0.1), "Tanh": nn.Tanh(), "SiLU": nn.SiLU(),
            "Sigmoid": nn.Sigmoid(), "GELU": nn.GELU(approximate="tanh"), "Flatten": nn.Flatten(),
            "GlobalAvgPool2d": nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
            "GlobalMaxPool2d": nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten()),
        }.get(kind) or {
            "MaxPool2d": lambda: nn.MaxPool2d(layer.pool_size, layer.stride, layer.padding),
            "AvgPool2d": lambda: nn.AvgPool2d(
                layer.pool_size, layer.stride, layer.padding,
                count_include_pad=layer.count_include_pad,
            ),
            "PadChannels": lambda: Padded(layer),
        }[kind](), pairs  # fmt: skip
    module = module.double()
    if kind == "BatchNorm":
        module.running_mean.copy_(torch.from_numpy(np.array(params["running_mean"])))
        module.running_var.copy_(torch.from_numpy(np.array(params["running_variance"])))
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


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("Conv1d", (4, 3, 2, 1, 2, 2)), ("Conv1d", (5, 4)), ("ConvTranspose1d", (6, 3, 2, 1, 1)),
        ("MaxPool1d", (3, 2, 1)), ("AvgPool1d", (3, 2, 1)), ("AvgPool1d", (4,)),
    ],
)  # fmt: skip
def test_layers_for_signals_are_those_of_pytorch(name, values):
    rng = np.random.default_rng(0)
    ours = {
        "Conv1d": Conv1d, "ConvTranspose1d": ConvTranspose1d, "MaxPool1d": MaxPool1d,
        "AvgPool1d": AvgPool1d,
    }[name]  # fmt: skip
    module = getattr(nn, name)(*((4,) if name.startswith("Conv") else ()), *values).double()
    X = rng.normal(size=(5, 4, 17))
    network = Network([ours(*values)], (4, 1, 17), np.float64)
    arrays = [tensor.detach().numpy().ravel() for tensor in module.parameters()]
    Y = network.forward(X[:, :, np.newaxis], np.concatenate([np.zeros(0), *arrays]))
    expected = module(torch.from_numpy(X)).detach().numpy()
    np.testing.assert_allclose(Y[:, :, 0], expected, rtol=1e-9, atol=1e-9)


def test_layer_normalisation_of_vectors_is_that_of_pytorch():
    rng = np.random.default_rng(0)
    network, module = Network([LayerNorm()], (7,), np.float64), nn.LayerNorm(7).double()
    X, dY = rng.normal(size=(5, 7)), rng.normal(size=(5, 7))
    Y, dX, gradient = network.vjp(X, network.init(rng), dY)
    inputs = torch.from_numpy(X).requires_grad_()
    outputs = module(inputs)
    outputs.backward(torch.from_numpy(dY))
    np.testing.assert_allclose(Y, outputs.detach().numpy(), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(dX, inputs.grad.numpy(), rtol=1e-9, atol=1e-9)
    grads = network.unpack(gradient)[0]
    np.testing.assert_allclose(grads["weight"], module.weight.grad.numpy(), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(grads["bias"], module.bias.grad.numpy(), rtol=1e-9, atol=1e-9)

"""The compared networks, in skcnn and in PyTorch."""

from dataclasses import dataclass

from torch import nn

from skcnn.architectures import cnn, recipe
from skcnn.layers import BatchNorm, Conv2d, Dense, Flatten, Layer, MaxPool2d, ReLU
from skcnn.layers._layer import Shape
from skcnn.network import Network

N_CLASSES = 10
N_ROWS = 5003
"""Rows of an epoch: a prime, so that no batch size divides it."""

N_ROWS_OF_LARGE = 1009
"""Rows for networks whose epochs take long."""

N_ROWS_OF_LONG, N_ROWS_OF_LONG_AND_LARGE = 60_000, N_ROWS
"""Rows for fits that are long enough for worker processes."""


@dataclass(frozen=True)
class Case:
    """A network and the shape of its images."""

    name: str
    layers: tuple[Layer, ...]
    image_shape: Shape
    is_large: bool = False

    @property
    def n_rows(self) -> int:
        """Number of rows in a measured epoch."""
        return N_ROWS_OF_LARGE if self.is_large else N_ROWS

    @property
    def n_rows_of_long(self) -> int:
        """Number of rows in an epoch of a long fit."""
        return N_ROWS_OF_LONG_AND_LARGE if self.is_large else N_ROWS_OF_LONG

    @property
    def network(self) -> Network:
        """Network including the output layer."""
        return Network([*self.layers, Dense(N_CLASSES)], self.image_shape)


def _lenet() -> tuple[Layer, ...]:
    return (
        Conv2d(6, 5, padding=2), ReLU(), MaxPool2d(2), Conv2d(16, 5), ReLU(), MaxPool2d(2),
        Flatten(), Dense(120), ReLU(), Dense(84), ReLU(),
    )  # fmt: skip


def _vgg_like() -> tuple[Layer, ...]:
    def pair(filters: int) -> list[Layer]:
        conv = Conv2d(filters, 3, padding=1)
        return [conv, ReLU(), conv, ReLU(), MaxPool2d(2)]

    return (*pair(32), *pair(64), Flatten(), Dense(128), ReLU())


CASES = {
    case.name: case
    for case in (
        Case("LeNet", _lenet(), (1, 28, 28)),
        Case(
            "simple_cnn",
            (Conv2d(8, 3, padding=1), ReLU(), MaxPool2d(2), Flatten(), Dense(64), ReLU()),
            (1, 28, 28),
        ),
        Case("two blocks", tuple(cnn((16, 32), hidden_layer_sizes=64)), (1, 8, 8)),
        Case(
            "conv32-conv64",
            tuple(cnn((32, 64), hidden_layer_sizes=128)),
            (1, 28, 28),
            is_large=True,
        ),
        Case("VGG-like", _vgg_like(), (3, 32, 32), is_large=True),
        # without the random shift, which the other contenders lack
        Case(
            "untouched",
            tuple(cnn(**(recipe((1, 28, 28)) | {"random_shift": 0}))),
            (1, 28, 28),
            is_large=True,
        ),
    )
}


def as_torch(case: Case) -> nn.Sequential:
    """Build the network in PyTorch, with PyTorch's own initial weights."""
    modules: list[nn.Module] = []
    network = case.network
    for layer, shape in zip(network.layers, network.shapes, strict=False):
        if isinstance(layer, Conv2d):
            modules.append(
                nn.Conv2d(
                    shape[0], layer.filters, layer.kernel_size, layer.stride, layer.padding,
                    bias=layer.bias,
                )
            )  # fmt: skip
        elif isinstance(layer, BatchNorm):
            modules.append(nn.BatchNorm2d(shape[0]))
        elif isinstance(layer, MaxPool2d):
            modules.append(nn.MaxPool2d(layer.pool_size))
        elif isinstance(layer, ReLU):
            modules.append(nn.ReLU())
        elif isinstance(layer, Flatten):
            modules.append(nn.Flatten())
        elif isinstance(layer, Dense):
            modules.append(nn.Linear(shape[0], layer.units))
        else:
            raise TypeError(layer)
    model = nn.Sequential(*modules)
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == network.n_parameters, "not the same network"
    return model

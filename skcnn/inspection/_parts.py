"""A part of a fitted network as a network of its own, with its weights."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from skcnn.layers import Layer
from skcnn.layers._layer import Params, Shape, split_params
from skcnn.network import Network

__all__ = ["Link", "after", "bound", "every_link", "inside", "links", "path_to"]


class Link(NamedTuple):
    """A layer with its arrays.

    Parameters
    ----------
    name : str
        As in ``summary()``: "3", or "3.0" and "3.shortcut" in a `Residual`.
    layer : Layer
    params : dict
        Its arrays by name.
    """

    name: str
    layer: Layer
    params: Params


def links(network: Network, weights: np.ndarray) -> list[Link]:
    """The layers of a network with their arrays."""
    layers = zip(network.layers, network.unpack(weights), strict=True)
    return [Link(str(i), *pair) for i, pair in enumerate(layers)]


def inside(link: Link) -> list[list[Link]]:
    """The branches of a composite layer, and none of other layers."""
    branches = link.layer.inner
    return [
        [
            Link(f"{link.name}.{name}", layer, own)
            for name, layer, own in zip(branch.names, branch.layers, each, strict=True)
        ]
        for branch, each in zip(branches, split_params(branches, link.params), strict=True)
    ]


def path_to(network: Network, weights: np.ndarray, layer: Any, caller: str) -> list[Link]:
    """The layers from the input to `layer`; inside a composite layer, those of its branch.

    Parameters
    ----------
    network : Network
    weights : ndarray of shape (vector_size,)
    layer : int or str
        Its number, from the end where negative, or its name in ``summary()``.
    caller : str
        Function that errors name.

    Raises
    ------
    ValueError
        If there is no such layer.
    """
    chain, count = links(network, weights), len(network.layers)
    name = layer
    if isinstance(layer, (int, np.integer)) and not isinstance(layer, bool):
        if not -count <= layer < count:
            raise ValueError(
                f"{caller}: layer must be in [{-count}, {count - 1}], since the network has "
                f"{count} layers, got {layer}."
            )
        name = str(layer % count)
    found = _path(chain, name) if isinstance(name, str) else None
    if found is None:
        raise ValueError(
            f"{caller}: layer must be the number of a layer, or its name in summary(), one of "
            f"{[link.name for link in every_link(network, weights)]}, got {layer!r}."
        )
    return found


def _path(chain: Sequence[Link], name: str) -> list[Link] | None:
    for i, link in enumerate(chain):
        if link.name == name:
            return list(chain[: i + 1])
        for branch in inside(link):
            found = _path(branch, name)
            if found is not None:
                return [*chain[:i], *found]
    return None


def every_link(network: Network, weights: np.ndarray) -> list[Link]:
    """All layers with their arrays, those inside others too."""
    return _unfolded(links(network, weights))


def _unfolded(chain: Sequence[Link]) -> list[Link]:
    found = []
    for link in chain:
        found.append(link)
        for branch in inside(link):
            found += _unfolded(branch)
    return found


def after(network: Network, weights: np.ndarray, position: int) -> tuple[Network, np.ndarray]:
    """Return the layers behind the layer of this number as a network, and its flat vector."""
    rest = links(network, weights)[position + 1 :]
    return bound(rest, network.shapes[position + 1], network.dtype)


def bound(chain: Sequence[Link], input_shape: Shape, dtype: np.dtype) -> tuple[Network, np.ndarray]:
    """Return these layers as a network, and its flat vector."""
    network = Network([link.layer for link in chain], input_shape, dtype)
    vector = np.empty(network.vector_size, dtype)
    for link, arrays in zip(chain, network.unpack(vector), strict=True):
        for name, array in arrays.items():
            array[...] = link.params[name]
    return network, vector

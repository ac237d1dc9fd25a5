"""The forward pass over any number of rows."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from weakref import finalize

import numpy as np

from skcnn.architectures.fixed_features import without_output
from skcnn.data import Images
from skcnn.layers._layer import Params
from skcnn.layers.workspace import Workspace
from skcnn.micro_batches import even_slices
from skcnn.network import Network
from skcnn.parallel.threads import Threads

__all__ = ["features", "front", "outputs"]

CACHED_BYTES = 8 * 2**20
"""Most bytes of a workspace that is kept for the next call."""

CACHED_WORKSPACES = 4
"""Most workspaces that are kept."""

LANES = 16
"""Samples that the widest vector instructions of a matrix product process together."""

LITTLE_WORK = 2**14
"""Multiply-adds per sample at which `LANES` samples take only a few microseconds."""


def outputs(
    network: Network,
    params: np.ndarray,
    images: Images,
    threads: Threads,
    max_bytes: float = np.inf,
    stop: int | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Compute the outputs of the network, or of one of its steps, for all images, batch last.

    Numbers that overflow because of the parameters are returned as the largest finite
    ones (and their differences as 0), so that everything computed from them
    stays finite; images that make them overflow are an error. All
    micro-batches are filled up to the same multiple of `LANES` samples: a
    matrix product rounds its last columns differently, and the outputs of a
    sample should not depend on the samples beside it. (This is not done if
    there is too little memory for that many. Fewer samples than `LANES` are
    filled up only if that costs little, in networks of up to `LITTLE_WORK`.)

    Parameters
    ----------
    network : Network
    params : ndarray of shape (vector_size,)
    images : Images
    threads : Threads
    max_bytes : float, default=inf
        Memory that each thread's arrays may take.
    stop : int or None, default=None
        Number of steps to compute; None is all of them.
    out : ndarray or None, default=None
        Array for the result.

    Returns
    -------
    ndarray of shape (*output_shape, n)

    Raises
    ------
    ValueError
        For images so large that the outputs overflow.
    """
    stop = len(network.steps) if stop is None else stop
    Z = np.empty((*network.step_shapes[stop], len(images)), network.dtype) if out is None else out
    cache = workspace_cache(network)
    unpacked = cache.unpack(network, params)
    size = network.cost.micro_batch_size(max_bytes=max_bytes)
    filled = len(images) >= LANES or network.multiply_adds <= LITTLE_WORK
    parts, capacity = even_slices(len(images), size, LANES if filled and size >= LANES else 1)
    workspaces: dict[int, Workspace] = {}

    def task(thread: int, i: int) -> None:
        if thread not in workspaces:
            workspaces[thread] = cache.take(capacity) or Workspace(
                network, capacity, backward=False
            )
        rows = parts[i]
        n = rows.stop - rows.start
        arrays = workspaces[thread].arrays(capacity)
        with np.errstate(all="ignore"):
            images.gather(rows, arrays.x[0][..., :n])
            arrays.x[0][..., n:] = 0
            arrays.forward(unpacked, False, None, stop)
        Z[..., rows] = arrays.x[stop][..., :n]

    threads.run(len(parts), task)
    cache.keep(workspaces.values())
    if np.isfinite(Z).all():
        return Z
    _check_range(images, network)
    return np.nan_to_num(Z, copy=False)


def features(
    network: Network,
    params: np.ndarray,
    images: Images,
    threads: Threads,
    max_bytes: float = np.inf,
) -> np.ndarray:
    """Compute the inputs of the last layer for all images, one row per sample.

    As `outputs`, but without the last layer, which must take vectors. Where that
    is a sum of branches, they are the inputs of each branch's last layer.

    Returns
    -------
    ndarray of shape (n, features)
    """
    if len(network.shapes[network.head]) > 1:
        return outputs(*front(network, params), images, threads, max_bytes).T
    H = np.empty((len(images), *network.step_shapes[network.head]), network.dtype)
    return outputs(network, params, images, threads, max_bytes, network.head, H.T).T


def front(network: Network, params: np.ndarray) -> tuple[Network, np.ndarray]:
    """Return the network without its last layer, and its flat vector.

    Where that is a sum of branches, it is what these have before their last layers, joined.
    """
    part = Network(without_output(network.layers), network.input_shape, network.dtype)
    vector = np.empty(part.vector_size, network.dtype)
    for own, arrays in zip(part.unpack(vector), network.unpack(params), strict=False):
        for name, array in own.items():
            array[...] = arrays[name]
    return part, vector


def _check_range(images: Images, network: Network) -> None:
    """Raise ``ValueError`` if outputs overflowed because of extremely large images.

    These are images whose squares are not finite. Otherwise the parameters are the cause.
    """
    largest = np.sqrt(np.finfo(network.dtype).max)
    for i in range(len(images)):
        image = np.empty((*images.shape, 1), network.dtype)
        with np.errstate(all="ignore"):
            images.gather(slice(i, i + 1), image)
        if not (np.abs(image) < largest).all():
            row = i if images.rows is None else images.rows[i]
            raise ValueError(
                f"{images.name} holds numbers in row {row} that are too large for this model: as "
                "the network sees them, after any scaling by scale_input, they are beyond "
                f"{largest:.0e}, and its outputs leave the range of {network.dtype}."
            )


@dataclass(eq=False)
class WorkspaceCache:
    """Memory of a small prediction, kept for the next one.

    Laying out a workspace takes as long as a small prediction. Calls from several threads
    use different ones.

    Parameters
    ----------
    workspaces : list of Workspace
    unpacked : tuple of ndarray and list of dict, or None
        The last vector, if it is small and not a view of a larger array, and the layers'
        arrays in it.
    """

    workspaces: list[Workspace] = field(default_factory=list)
    unpacked: tuple[np.ndarray, list[Params]] | None = None

    def unpack(self, network: Network, params: np.ndarray) -> list[Params]:
        """Return the layers' arrays, reusing those of the last call if the vector is the same."""
        last = self.unpacked
        if last is not None and last[0] is params:
            return last[1]
        unpacked = network.unpack(params)
        if params.flags.owndata and params.nbytes <= CACHED_BYTES:
            self.unpacked = params, unpacked
        return unpacked

    def take(self, capacity: int) -> Workspace | None:
        """Return a kept workspace for `capacity` samples, if there is one."""
        try:
            spare = self.workspaces.pop()
        except IndexError:
            return None
        return spare if spare.capacity == capacity else None

    def keep(self, workspaces: Iterable[Workspace]) -> None:
        """Keep workspaces for the next call, unless they are large or many."""
        for workspace in workspaces:
            if workspace.memory.nbytes <= CACHED_BYTES and len(self.workspaces) < CACHED_WORKSPACES:
                self.workspaces.append(workspace)


_caches: dict[int, WorkspaceCache] = {}  # by the identity of networks


def workspace_cache(network: Network) -> WorkspaceCache:
    """Return the memory kept for a network; it is dropped with the network."""
    found = _caches.get(id(network))
    if found is None:
        found = _caches.setdefault(id(network), WorkspaceCache())
        finalize(network, _caches.pop, id(network), None).atexit = False
    return found

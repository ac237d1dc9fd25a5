"""The forward pass over any number of rows."""

import numpy as np

from skcnn.batches import Images
from skcnn.network import Network, micro_batches
from skcnn.parallel import Workers
from skcnn.workspace import Workspace

__all__ = ["outputs"]

LANES = 16
"""Samples that the widest vector instructions of a matrix product take together."""


def outputs(
    network: Network,
    weights: np.ndarray,
    images: Images,
    workers: Workers,
    max_bytes: float = np.inf,
) -> np.ndarray:
    """Outputs of the network for all images, batch last.

    Numbers that overflowed come out as the largest finite ones (and their
    differences as 0), so that what is made of them stays finite. From `LANES`
    samples on, micro-batches are filled up to a multiple of them: a matrix
    product rounds its last columns in another way, and a sample's outputs
    should not depend on where it stands.

    Parameters
    ----------
    network : Network
    weights : ndarray of shape (n_parameters,)
    images : Images
    workers : Workers
    max_bytes : float, default=inf
        Memory that each worker's arrays may take.

    Returns
    -------
    ndarray of shape (*output_shape, n)
    """
    params = network.unpack(weights)
    parts = micro_batches(len(images), network.micro_batch_size(len(images), max_bytes))
    capacity = _filled(parts[0].stop)
    Z = np.empty((*network.output_shape, len(images)), network.dtype)
    workspaces: dict[int, Workspace] = {}

    def task(worker: int, i: int) -> None:
        if worker not in workspaces:
            workspaces[worker] = Workspace(network, capacity, backward=False)
        rows = parts[i]
        n = rows.stop - rows.start
        arrays = workspaces[worker].arrays(_filled(n))
        with np.errstate(all="ignore"):
            images.gather(rows, arrays.x[0][..., :n])
            arrays.x[0][..., n:] = 0
            network.run_forward(arrays, params, False, None)
        Z[..., rows] = arrays.x[-1][..., :n]

    workers.run(len(parts), task)
    return np.nan_to_num(Z, copy=False)


def _filled(n: int) -> int:
    """`n`, or from `LANES` on the next multiple of it."""
    return n if n < LANES else -(-n // LANES) * LANES

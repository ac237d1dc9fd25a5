"""The forward pass over any number of rows."""

import numpy as np

from skcnn.batches import Images
from skcnn.network import Network, Workspace, micro_batches
from skcnn.parallel import Workers

__all__ = ["outputs"]


def outputs(
    network: Network,
    weights: np.ndarray,
    images: Images,
    workers: Workers,
    max_bytes: float = np.inf,
) -> np.ndarray:
    """Outputs of the network for all images, batch last.

    Numbers that overflowed come out as the largest finite ones (and their
    differences as 0), so that what is made of them stays finite.

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
    Z = np.empty((*network.output_shape, len(images)), network.dtype)
    workspaces: dict[int, Workspace] = {}

    def task(worker: int, i: int) -> None:
        if worker not in workspaces:
            workspaces[worker] = Workspace(network, parts[0].stop, backward=False)
        rows = parts[i]
        arrays = workspaces[worker].arrays(rows.stop - rows.start)
        with np.errstate(all="ignore"):
            images.gather(rows, arrays.x[0])
            network.run_forward(arrays, params, False, None)
        Z[..., rows] = arrays.x[-1]

    workers.run(len(parts), task)
    return np.nan_to_num(Z, copy=False)

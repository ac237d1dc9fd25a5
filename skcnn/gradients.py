"""The gradient of a micro-batch, summed over its samples."""

from collections.abc import Sequence

import numpy as np

from skcnn.batches import Samples
from skcnn.layers._layer import Params
from skcnn.losses import BatchLoss
from skcnn.network import Network
from skcnn.workspace import Workspace

__all__ = ["Gradient"]


class Gradient:
    """Computes one micro-batch at a time, in memory of its own.

    Parameters
    ----------
    network : Network
    samples : Samples
    capacity : int
        The largest number of samples in a micro-batch.
    """

    def __init__(self, network: Network, samples: Samples, capacity: int) -> None:
        self.samples = samples
        self.workspace = Workspace(network, capacity)

    def __call__(
        self,
        rows: np.ndarray,
        params: Sequence[Params],
        grads: Sequence[Params],
        rng: np.random.Generator | None,
    ) -> BatchLoss:
        """Fill `grads` with the sums over these rows; return those of the loss."""
        samples, arrays = self.samples, self.workspace.arrays(len(rows))
        weights = samples.weights[rows]
        with np.errstate(all="ignore"):
            samples.images.gather(rows, arrays.x[0])
            arrays.weights[...] = weights
            arrays.forward(params, True, rng)
            result = samples.loss.loss_and_gradient(
                arrays.x[-1], arrays.dx[-1], samples.targets[rows], weights
            )
            arrays.backward(params, grads)
        return result

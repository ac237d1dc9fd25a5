"""Training rows as inputs of a layer, for initial values that depend on them."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from skcnn.layers._layer import Layer, Params, Shape
from skcnn.layers.chain import Chain

__all__ = ["TrainingRows", "init_from_rows"]

BLOCK_BYTES = 8 * 2**20
"""Memory for rows that pass through the preceding layers at a time."""


class TrainingRows:
    """Training rows sorted by their values, as they reach a layer.

    Rows are selected by position in the cumulative weights. So the result depends
    neither on the order of the rows nor on repetition instead of weights.

    Parameters
    ----------
    gather : callable
        ``gather(rows, out)`` copies rows of the network's input into a batch-last array.
    shape : tuple of int
        Shape of the network's input for one sample.
    dtype : dtype
        Dtype that the network computes in.
    order : ndarray of int of shape (n,)
        Rows of positive weight, sorted by their values.
    cumulative : ndarray of shape (n,)
        Their cumulative weights, as fractions of the sum.
    before : sequence of (Layer, dict)
        The preceding layers, with their arrays.

    Attributes
    ----------
    shape : tuple of int
        Shape of one sample as it reaches the layer.
    """

    def __init__(
        self,
        gather: Callable[[np.ndarray, np.ndarray], None],
        shape: Shape,
        dtype: np.dtype,
        order: np.ndarray,
        cumulative: np.ndarray,
        before: Sequence[tuple[Layer, Params]] = (),
    ) -> None:
        self._gather, self._shape, self.dtype = gather, shape, np.dtype(dtype)
        self._order, self._cumulative, self._before = order, cumulative, tuple(before)
        self.shape = shape
        for layer, _ in self._before:
            self.shape = layer.output_shape(self.shape)

    def after(self, layer: Layer, params: Params) -> "TrainingRows":
        """Return the rows as they reach the layer after this one."""
        before = (*self._before, (layer, params))
        return TrainingRows(
            self._gather, self._shape, self.dtype, self._order, self._cumulative, before
        )

    def at(self, fractions: np.ndarray) -> np.ndarray:
        """Return the rows at these fractions of the total weight, each in [0, 1)."""
        places = np.searchsorted(self._cumulative, fractions, side="right")
        return self._order[np.minimum(places, len(self._order) - 1)]

    def batches(self, rows: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield blocks of `rows`, as the layer would receive them in a prediction.

        Parameters
        ----------
        rows : ndarray of int
            Rows as returned by `at`.

        Yields
        ------
        part : slice
            Positions in `rows`.
        x : ndarray of shape (*shape, part.stop - part.start)
            Valid until the next batch.
        """
        layers = [layer for layer, _ in self._before]
        params = [own for _, own in self._before]
        plan = Chain(layers, self._shape).plan(self.dtype, backward=False, input_gradient=False)
        size = max(1, BLOCK_BYTES // sum(plan.sizes))
        for start in range(0, len(rows), size):
            part = slice(start, min(start + size, len(rows)))
            n = part.stop - part.start
            memory = [np.empty(nbytes * n, np.uint8) for nbytes in plan.sizes]
            arrays = plan.lay_out(memory, np.ones(n, self.dtype))
            with np.errstate(all="ignore"):
                self._gather(rows[part], arrays.x[0])
                arrays.forward(params, training=False, rng=None)
            yield part, arrays.x[-1]


def init_from_rows(layers: Sequence[Layer], params: Sequence[Params], rows: TrainingRows) -> None:
    """Set the initial values that depend on the training rows, layer by layer."""
    for layer, own in zip(layers, params, strict=True):
        if layer.reads_rows:
            layer.init_from_rows(own, rows)
        rows = rows.after(layer, own)

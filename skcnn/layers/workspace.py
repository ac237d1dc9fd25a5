"""Memory of one micro-batch, allocated once and divided per batch size."""

from typing import Protocol

import numpy as np

from skcnn.layers.memory import ALIGNMENT, Arrays, Plan

__all__ = ["Workspace"]


class Planned(Protocol):
    """Interface of a network that a workspace requires."""

    def plan(self, backward: bool, input_gradient: bool) -> Plan:
        """Memory plan of the arrays."""


class Workspace:
    """Memory of one micro-batch, allocated once and divided per batch size.

    Parameters
    ----------
    network : Network
    capacity : int
        The largest number of samples.
    backward : bool, default=True
        Whether a backward pass follows.
    input_gradient : bool, default=False
        Whether the gradient with respect to the input is needed.
    """

    def __init__(
        self,
        network: Planned,
        capacity: int,
        backward: bool = True,
        input_gradient: bool = False,
    ) -> None:
        self.capacity = capacity
        self._plan = network.plan(backward, input_gradient)
        ends = np.cumsum([-(-size * capacity // ALIGNMENT) for size in self._plan.sizes])
        total = int(ends[-1]) * ALIGNMENT
        memory = np.empty(total + ALIGNMENT, np.uint8)
        start = -memory.ctypes.data % ALIGNMENT
        self.memory = memory[start : start + total]
        self._places = np.split(self.memory, ends[:-1] * ALIGNMENT)
        self._carved: dict[int, Arrays] = {}

    @staticmethod
    def nbytes_per_sample(network: Planned, backward: bool = True) -> int:
        """Bytes that one sample takes."""
        needed = sum(network.plan(backward, False).sizes)
        if needed > np.iinfo(np.intp).max:
            raise ValueError(
                f"layers: the network needs {needed:.2g} bytes for one sample, more than there can "
                "be."
            )
        return needed

    def arrays(self, n_samples: int) -> Arrays:
        """The arrays for a micro-batch of `n_samples`, at most `capacity`."""
        if n_samples not in self._carved:
            sample_weight = np.ones(n_samples, self._plan.dtype)
            self._carved[n_samples] = self._plan.lay_out(self._places, sample_weight)
        return self._carved[n_samples]

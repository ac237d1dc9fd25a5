"""Random numbers of the layers in training."""

from collections.abc import Callable
from functools import cached_property

import numpy as np


class LayerGenerator(np.random.Generator):
    """Random numbers for one micro-batch, and those that its whole mini-batch shares.

    Layers that hold other layers pass it on to them as it is.

    Parameters
    ----------
    bit_generator : BitGenerator
        Source of the micro-batch's own numbers.
    start_shared : callable
        Returns a fresh generator, in the same state for every micro-batch of a
        mini-batch.
    """

    def __init__(
        self,
        bit_generator: np.random.BitGenerator,
        start_shared: Callable[[], np.random.Generator],
    ) -> None:
        super().__init__(bit_generator)
        self._start_shared = start_shared

    @cached_property
    def shared(self) -> np.random.Generator:
        """The generator that layers with `Layer.draws_per_batch` draw from, one after the other."""
        return self._start_shared()


def sharing(rng: np.random.Generator) -> Callable[[], LayerGenerator]:
    """Return a function that makes the generator of each micro-batch of one call.

    They all go on with the numbers of `rng`. The seed of those that they share is
    drawn from it as well, but only when a layer asks for them.
    """
    seeds: list[int] = []

    def start_shared() -> np.random.Generator:
        if not seeds:
            seeds.append(int(rng.integers(2**63)))
        return np.random.default_rng(seeds[0])

    return lambda: LayerGenerator(rng.bit_generator, start_shared)

"""Splitting of mini-batches into micro-batches, and the measured costs behind it."""

from dataclasses import dataclass
from math import ceil, inf

__all__ = ["SampleCost", "even_slices", "longest", "slices"]

CACHE_BYTES = 32 * 2**20
"""Most bytes of the arrays of one micro-batch, roughly a last-level cache."""

NORMALIZED = 32
"""Size of micro-batches where samples are normalized together.

The default ghost batch: a single one needs fewer and longer passes than two.
"""

SMALL_BYTES = 4 * 2**20
"""Bytes up to which a network is so small that calls take longer than arithmetic."""

WORTH_A_THREAD = 12 * 10**6
"""Forward multiply-adds in float32 worth a thread: about a millisecond with backward."""

WORTH_SHARING = 3 * 10**9
"""Forward multiply-adds of an epoch worth sharing: about half a second of training."""

SHARED_BY = {32: 2, 64: 4, 256: 8}
"""Micro-batches per mini-batch that workers may share, by the smallest mini-batch."""


@dataclass(frozen=True)
class SampleCost:
    """Costs of one sample in a network, which decide how mini-batches are split.

    They depend only on the network and its dtype, so results do, too.

    Parameters
    ----------
    nbytes : int
        Bytes of a workspace for one sample, forward and back.
    multiply_adds : float
        Multiply-adds of the forward pass, twice as many in float64.
    together : int
        Number of samples that are normalized together, a ghost batch; micro-batches contain
        whole ones.
    """

    nbytes: int
    multiply_adds: float
    together: int

    def micro_batch_size(self, n_samples: int | None = None, max_bytes: float = inf) -> int:
        """Return the number of samples that go through the layers together.

        Start from 64, or from 128 for small networks, or from 32 if samples are
        normalized together, halve until the arrays fit into the cache, lower that to
        `max_bytes`, and round it to a multiple of the samples that are normalized
        together. If the number of samples is known, divide them as evenly as whole
        samples, or whole ghost batches, allow, preferably into an even number of
        micro-batches if each is worth a thread.

        Parameters
        ----------
        n_samples : int or None, default=None
            Number of samples, if known.
        max_bytes : float, default=inf
            Bytes that a workspace may take.

        Returns
        -------
        int
            At least 1.
        """
        size = 128 if 128 * self.nbytes <= SMALL_BYTES else 64
        if self.together > 1:
            size = NORMALIZED
        while size > 1 and size * self.nbytes > CACHE_BYTES:
            size //= 2
        size = max(1, int(min(size, max_bytes / self.nbytes)))
        size = max(size // self.together, 1) * self.together
        if n_samples is None:
            return size
        n = max(1, n_samples)
        n_parts = ceil(n / size)
        if n_parts % 2 and self.worth_a_thread(n / (n_parts + 1)):
            n_parts += 1
        return min(ceil(n / n_parts / self.together) * self.together, n)

    def finer(self, n_samples: int, size: int) -> int:
        """Return a size that splits a mini-batch into 2, 4 or 8 micro-batches, or a multiple.

        Two from 32 samples on, four from 64 and eight from 256, in whole ghost
        batches if samples are normalized together.

        Parameters
        ----------
        n_samples : int
            Samples in the mini-batch.
        size : int
            Size of micro-batches in a single process.

        Returns
        -------
        int
            Samples in a micro-batch, at most `size`.
        """
        share = max((parts for least, parts in SHARED_BY.items() if n_samples >= least), default=1)
        n_parts = ceil(ceil(n_samples / size) / share) * share
        return min(ceil(n_samples / n_parts / self.together) * self.together, size)

    def split(self, n_samples: int, size: int) -> list[slice]:
        """Split ``range(n_samples)`` into slices of `size`, the last one smaller.

        If samples are normalized together, a last slice of a single sample is
        merged into the one before.
        """
        parts = slices(n_samples, size)
        if self.together > 1 and len(parts) > 1 and n_samples % size == 1:
            parts[-2:] = [slice(parts[-2].start, n_samples)]
        return parts

    def worth_a_thread(self, n_samples: float) -> bool:
        """Whether `n_samples` samples are worth a thread."""
        return self.multiply_adds * n_samples >= WORTH_A_THREAD

    def worth_sharing(self, n_samples: int) -> bool:
        """Whether an epoch over `n_samples` samples takes about half a second on one core.

        If so, mini-batches are split more finely, so that several processes have
        work; that takes a single thread up to a tenth longer.
        """
        return self.multiply_adds * n_samples >= WORTH_SHARING


def slices(n_samples: int, size: int) -> list[slice]:
    """Split ``range(n_samples)`` into slices of at most `size`."""
    return [slice(i, min(i + size, n_samples)) for i in range(0, n_samples, size)]


def even_slices(n_samples: int, size: int, multiple: int) -> tuple[list[slice], int]:
    """Split into slices of about equal length; return them, and the capacity that they need."""
    capacity = ceil(n_samples / ceil(n_samples / size))
    capacity = ceil(capacity / multiple) * multiple
    return slices(n_samples, capacity), capacity


def longest(parts: list[slice]) -> int:
    """Return the number of samples in the longest of some slices."""
    return max((part.stop - part.start for part in parts), default=1)

"""Lower bound on training time: the matrix products alone, at the full speed of sgemm."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # it needs PyTorch
    from benchmarks.networks import Case


def multiply_adds(case: "Case") -> int:
    """Return the multiply-adds of the products in training on one image.

    Each layer with weights has one product forward and two backward, except that the
    first needs no gradient of its input.
    """
    network = case.network
    forward = [
        layer.multiply_adds(shape)
        for layer, shape in zip(network.layers, network.shapes, strict=False)
    ]
    first = next(products for products in forward if products)
    return 3 * sum(forward) - first


def sgemm_speed(
    size: int = 1024, repeats: int = 15, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Measure multiply-adds per second in large square float32 products on all BLAS threads."""
    rng = np.random.default_rng(0)
    a, b = (rng.random((size, size), dtype=np.float32) for _ in range(2))
    out = np.empty_like(a)
    seconds = []
    for _ in range(repeats):
        start = clock()
        np.matmul(a, b, out=out)
        seconds.append(clock() - start)
    return size**3 / float(np.median(seconds))

"""Lower bound of a training's time: its matrix products alone, at the full speed of sgemm."""

import time

import numpy as np

from benchmarks.networks import Case


def multiply_adds(case: Case) -> int:
    """Multiply-adds of the products that training one image takes.

    Each layer with weights has one product forward and two backward, but the
    first has no gradient by its input to compute.
    """
    network = case.network
    forward = [
        layer.multiply_adds(shape)
        for layer, shape in zip(network.layers, network.shapes, strict=False)
    ]
    first = next(products for products in forward if products)
    return 3 * sum(forward) - first


def sgemm_speed(size: int = 1024, repeats: int = 15) -> float:
    """Multiply-adds per second of large square float32 products, on all threads of BLAS."""
    rng = np.random.default_rng(0)
    a, b = (rng.random((size, size), dtype=np.float32) for _ in range(2))
    out = np.empty_like(a)
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        np.matmul(a, b, out=out)
        seconds.append(time.perf_counter() - start)
    return size**3 / float(np.median(seconds))

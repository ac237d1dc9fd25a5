"""Time of each layer, beside that of its matrix products alone: ``python -m benchmarks.profile``.

Prints microseconds per image, forward / backward, on one thread in float32, for several sizes
of micro-batches: CPU time, lower quartiles of many passes through the whole network, so that
every layer finds the cache as in training.
The last column is the time that the layer's products would take at the speed of large square
ones. The networks are those that untouched fits train, and LeNet.
"""

import argparse
import time
from collections.abc import Sequence

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.sgemm_bound import sgemm_speed
from skcnn.architectures import cnn, lenet, recipe, with_output
from skcnn.layers import Layer
from skcnn.layers._layer import Shape
from skcnn.layers.generators import LayerGenerator
from skcnn.layers.workspace import Workspace
from skcnn.network import Network
from skcnn.state import layer_stream

N_CLASSES = 10

SHAPES: dict[str, Shape] = {
    "digits": (1, 8, 8), "MNIST": (1, 28, 28), "colour": (3, 48, 48), "signal": (1, 1, 300),
}  # fmt: skip
"""Shapes of the images whose default networks are measured."""

NAMES = (*SHAPES, "LeNet")

Times = tuple[float, float]
"""Seconds of a layer's forward and backward pass."""


def network(name: str) -> Network:
    """Return the network that an untouched fit trains on such images, or LeNet.

    (That of a signal without the fixed kernels beside it.)
    """
    shape = SHAPES.get(name, (1, 28, 28))
    layers: Sequence[Layer] = lenet() if name == "LeNet" else cnn(**recipe(shape))
    return Network(with_output(layers, Network(layers, shape).output_shape, N_CLASSES), shape)


def times_of_steps(network: Network, n: int, repeats: int) -> list[Times]:
    """Return the times of each step in passes over `n` random images."""
    rng = np.random.default_rng(0)
    vector = network.init(rng)
    params, grads = (
        network.unpack(v) for v in (vector, np.empty(network.gradient_size, network.dtype))
    )
    arrays = Workspace(network, n).arrays(n)
    images, dY = (rng.standard_normal(a.shape, a.dtype) for a in (arrays.x[0], arrays.dx[-1]))
    steps, bound = network.steps, arrays._bound
    forward: list[list[float]] = [[] for _ in steps]
    backward: list[list[float]] = [[] for _ in steps]
    for _ in range(repeats):
        x, dx = arrays.x, arrays.dx
        x[0][...] = images
        numbers: LayerGenerator = layer_stream(0, 0, 0, 0)
        for i, step in enumerate(steps):
            drawn = numbers.shared if step.draws_per_batch else numbers
            start = time.thread_time()
            step.forward(x[i], x[i + 1], params[i], bound[i], True, drawn)
            forward[i].append(time.thread_time() - start)
        # afresh for every pass: what is left of the last one sinks into denormal numbers
        dx[-1][...] = dY
        for i in range(len(steps) - 1, network.plan().first_trained - 1, -1):
            start = time.thread_time()
            steps[i].backward(dx[i], dx[i + 1], x[i], x[i + 1], params[i], grads[i], bound[i])
            backward[i].append(time.thread_time() - start)
    return [
        (_typical(there), _typical(back) if back else 0.0)
        for there, back in zip(forward, backward, strict=True)
    ]


def _typical(seconds: list[float]) -> float:
    """Return the lower quartile: other processes can only make a pass slower."""
    return float(np.quantile(seconds, 0.25))


def show(name: str, sizes: Sequence[int], repeats: int, speed: float) -> None:
    """Print the table of one network; `speed` is in multiply-adds per second."""
    net = network(name)
    times = {n: times_of_steps(net, n, max(3, repeats * 32 // n)) for n in sizes}
    first = net.plan().first_trained
    print(f"\n{name}, {net.input_shape}: µs per image, forward / backward")
    head = "".join(f"{f'of {n}':>15}" for n in sizes)
    print(f"{'':34}{head}{'products':>15}")
    totals = np.zeros((len(sizes) + 1, 2))
    for i, (step, shape) in enumerate(zip(net.steps, net.step_shapes, strict=False)):
        product = step.multiply_adds(shape) / speed
        rows = [[t / n for t in times[n][i]] for n in sizes]
        rows.append([product, product * (1 if i == first else 2)])
        totals += rows
        kind = type(step).__name__
        print(f"{kind:16}{' x '.join(map(str, shape)):18}" + "".join(map(_pair, rows)))
    print(f"{'all':34}" + "".join(map(_pair, totals)))
    sums = totals.sum(axis=1)
    print(f"{'share of the products':34}" + "".join(f"{sums[-1] / s:15.0%}" for s in sums[:-1]))


def _pair(times: Sequence[float]) -> str:
    there, back = (1e6 * t for t in times)
    return f"{f'{there:.2f} / {back:.2f}':>15}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.profile",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "networks", nargs="*", choices=[[], *NAMES], metavar="NETWORK",
        help=f"{', '.join(NAMES)}; default: all",
    )  # fmt: skip
    parser.add_argument("--sizes", type=int, nargs="+", default=[16, 32, 64, 128])
    parser.add_argument("--repeats", type=int, default=200, help="passes over 32 images")
    options = parser.parse_args()
    with threadpool_limits(1):
        speed = sgemm_speed(clock=time.thread_time)
        print(f"sgemm: {2 * speed / 1e9:.0f} GFLOP/s on one thread")
        for name in options.networks or NAMES:
            show(name, options.sizes, options.repeats, speed)


if __name__ == "__main__":
    main()

"""Hand-written convolutions compared with skcnn's: ``python -m benchmarks.loops``.

All contenders run one layer forward and backward; their outputs and gradients are first
checked to agree. The loops process one image, the others a batch. The output gives times per
image, on one thread in float32, and relative to skcnn's.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.measure import Result, take_turns
from skcnn.layers import Conv2d
from skcnn.layers._layer import Shape
from skcnn.network import Network

CASES = {
    "LeNet's first: 1 x 28 x 28, 6 filters 5 x 5": ((1, 28, 28), Conv2d(6, 5, padding=2)),
    "LeNet's second: 6 x 14 x 14, 16 filters 5 x 5": ((6, 14, 14), Conv2d(16, 5)),
    "a signal: 1 x 1 x 200, 16 filters of 7": ((1, 1, 200), Conv2d(16, (1, 7))),
}
"""Image shapes and layers."""

N_IMAGES = 64
"""Images in a batch; the loops process only one."""


def loops_forward(X, W, b):
    """``Y[n, f, p, q] = Σ W[f, c, i, j] X[n, c, p + i, q + j] + b[f]``: seven loops."""
    (N, C, height, width), (F, _, KH, KW) = X.shape, W.shape
    Y = np.zeros((N, F, height - KH + 1, width - KW + 1), X.dtype)
    for n in range(N):
        for f in range(F):
            for p in range(Y.shape[2]):
                for q in range(Y.shape[3]):
                    for c in range(C):
                        for i in range(KH):
                            for j in range(KW):
                                Y[n, f, p, q] += W[f, c, i, j] * X[n, c, p + i, q + j]
                    Y[n, f, p, q] += b[f]
    return Y


def loops_backward(dY, X, W):
    """Add the contribution of every product to the gradients of both factors."""
    dX, dW, db = np.zeros_like(X), np.zeros_like(W), np.zeros(len(W), X.dtype)
    for n, f, p, q in np.ndindex(dY.shape):
        db[f] += dY[n, f, p, q]
        for c, i, j in np.ndindex(W.shape[1:]):
            dW[f, c, i, j] += dY[n, f, p, q] * X[n, c, p + i, q + j]
            dX[n, c, p + i, q + j] += dY[n, f, p, q] * W[f, c, i, j]
    return dX, dW, db


def im2col(X, KH, KW):
    """Return the window at each position as one row: ``(N·OH·OW, C·KH·KW)``."""
    N, C, H, W = X.shape
    OH, OW = H - KH + 1, W - KW + 1
    cols = np.empty((N, C, KH, KW, OH, OW), X.dtype)
    for i, j in np.ndindex(KH, KW):
        cols[:, :, i, j] = X[:, :, i : i + OH, j : j + OW]
    return cols.transpose(0, 4, 5, 1, 2, 3).reshape(N * OH * OW, -1)


def col2im(cols, X_shape, KH, KW):
    """Add each row to the pixels of its window: the transpose of `im2col`."""
    N, C, H, W = X_shape
    OH, OW = H - KH + 1, W - KW + 1
    cols = cols.reshape(N, OH, OW, C, KH, KW).transpose(0, 3, 4, 5, 1, 2)
    X = np.zeros(X_shape, cols.dtype)
    for i, j in np.ndindex(KH, KW):
        X[:, :, i : i + OH, j : j + OW] += cols[:, :, i, j]
    return X


def by_loops(X, W, b, dY):
    """Compute output and gradients in loops."""
    return loops_forward(X, W, b), *loops_backward(dY, X, W)


def by_im2col(X, W, b, dY):
    """Compute output and gradients by im2col and matrix products."""
    N, F, OH, OW = dY.shape
    cols, W_rows = im2col(X, *W.shape[2:]), W.reshape(F, -1)
    Y = (cols @ W_rows.T + b).reshape(N, OH, OW, F).transpose(0, 3, 1, 2)
    dY_rows = dY.transpose(0, 2, 3, 1).reshape(-1, F)
    dX = col2im(dY_rows @ W_rows, X.shape, *W.shape[2:])
    return Y, dX, (dY_rows.T @ cols).reshape(W.shape), dY_rows.sum(axis=0)


def unpadded(function, X, W, b, dY, padding):
    """Call `function`, which does not pad, on padded images."""
    before, after = ((0, 0), (0, 0)), tuple((p, p) for p in padding)
    Y, dX, dW, db = function(np.pad(X, before + after), W, b, dY)
    rows, columns = (slice(p, p + n) for p, n in zip(padding, X.shape[2:], strict=True))
    return Y, dX[:, :, rows, columns], dW, db


def by_skcnn(network, vector, X, dY):
    """Compute output and gradients by `Network.vjp`, which allocates memory in every call."""
    Y, dX, gradient = network.vjp(X, vector, dY)
    return Y, dX, *network.unpack(gradient)[0].values()


def contenders(shape: Shape, layer: Conv2d) -> dict[str, Callable[[], object]]:
    """Return all three contenders, after checking that they agree."""
    rng = np.random.default_rng(0)
    network = Network([layer], shape)
    vector = network.init(rng)
    W, b = network.unpack(vector)[0].values()
    X = rng.random((N_IMAGES, *shape), dtype=np.float32)
    dY = rng.random((N_IMAGES, *network.output_shape), dtype=np.float32)
    padding = (layer.padding, layer.padding)
    for function in (by_loops, by_im2col):
        results = unpadded(function, X[:1], W, b, dY[:1], padding)
        for found, ours in zip(results, by_skcnn(network, vector, X[:1], dY[:1]), strict=True):
            np.testing.assert_allclose(found, ours, rtol=1e-3, atol=1e-3)
    return {
        "skcnn": partial(by_skcnn, network, vector, X, dY),
        "im2col by hand": partial(unpadded, by_im2col, X, W, b, dY, padding),
        "loops by hand": partial(unpadded, by_loops, X[:1], W, b, dY[:1], padding),
    }


def main() -> None:
    """Measure and print."""
    with threadpool_limits(1):
        for name, (shape, layer) in CASES.items():
            result = Result(name, take_turns(contenders(shape, layer), rounds=5))
            for contender, seconds in result.seconds.items():
                images = 1 if contender == "loops by hand" else N_IMAGES
                result.seconds[contender] = [s / images for s in seconds]
            print(name)
            for contender, seconds in result.seconds.items():
                each, ratio = 1e6 * np.median(seconds), result.ratio(contender)
                print(f"    {contender:16} {each:10,.0f} µs an image {ratio:10,.1f}")


if __name__ == "__main__":
    main()

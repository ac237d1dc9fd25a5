"""
A convolution from its definition
=================================

The same convolution three times: as seven nested loops, which is its literal
definition; in a few lines of NumPy with ``einsum``, forward and backward; and as the
layer of this package. All three give equal numbers, and the last takes about a
ten-thousandth of the time of the first.
"""

import inspect
import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image
from threadpoolctl import threadpool_limits

from skcnn.layers import Conv2d
from skcnn.layers.definition import convolve, convolve_backward
from skcnn.network import Network

# %%
# Seven loops
# -----------
#
# An output pixel ``(p, q)`` of the filter ``f`` is the sum, over all channels ``c`` and
# all positions ``(i, j)`` in the kernel, of a weight times the pixel below it, plus a
# bias:
#
# .. math:: Y_{f, p, q} = b_f + \sum_{c, i, j} W_{f, c, i, j} \, X_{c, p + i, q + j}


def seven_loops(X, W, b):
    """Images ``(n, C, H, W)`` and kernels ``(F, C, KH, KW)``, without padding or stride."""
    (N, C, H, width), (F, _, KH, KW) = X.shape, W.shape
    Y = np.zeros((N, F, H - KH + 1, width - KW + 1), X.dtype)
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


# %%
# Twenty lines
# ------------
#
# NumPy can show all windows of an image as one array, without copying a pixel. The sum
# is then an ``einsum`` with the letters of the formula. Its derivatives are sums of the
# same products: a weight collects from all pixels that it was multiplied by, and a
# pixel from all windows that contain it. This is `skcnn.layers.definition`, the
# reference in the fast layer's tests:

print(inspect.getsource(convolve))
print(inspect.getsource(convolve_backward))

# %%
# The layer
# ---------
#
# ``Conv2d`` computes the same with matrix products, on images with the batch axis last.
# A `Network` with that single layer takes images in the usual order.

rng = np.random.default_rng(0)
X = rng.normal(size=(2, 3, 9, 8))
layer = Conv2d(4, (3, 2))
network = Network([layer], input_shape=X.shape[1:], dtype=np.float64)
vector = network.init(rng)
W, b = network.unpack(vector)[0].values()
b[...] = rng.normal(size=4)

Y = network.forward(X, vector)
print(f"{layer}: images {X.shape} become {Y.shape}")
print(f"from seven loops:  {np.abs(Y - seven_loops(X, W, b)).max():.1e} at most")
print(f"from twenty lines: {np.abs(Y - convolve(X, W, b)).max():.1e} at most")

# %%
# The backward pass, from a gradient of the output:

dY = rng.normal(size=Y.shape)
_, dX, gradient = network.vjp(X, vector, dY)
dW, db = network.unpack(gradient)[0].values()
for name, found, defined in zip(
    ("dX", "dW", "db"), (dX, dW, db), convolve_backward(dY, X, W), strict=True
):
    print(f"{name}: {np.abs(found - defined).max():.1e} at most")

# %%
# Two kernels at work
# -------------------
#
# Kernels need not be learned. Two of Sobel's detect edges: one where brightness
# increases to the right, the other where it increases downwards. Trained networks often
# discover such kernels.

photograph = load_sample_image("china.jpg")[60:260:2, 120:520:2].mean(axis=2) / 255
sobel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 4
edges = convolve(
    photograph[np.newaxis, np.newaxis], np.stack([sobel, sobel.T])[:, np.newaxis], np.zeros(2)
)[0]
fig, axes = plt.subplots(1, 3, figsize=(10, 2.1), layout="constrained")
axes[0].imshow(photograph, cmap="gray")
axes[0].set_title("photograph")
for ax, image, title in zip(axes[1:], edges, ("brighter to the right", "downwards"), strict=True):
    drawn = ax.imshow(image, cmap="RdBu_r", vmin=-0.7, vmax=0.7)
    ax.set_title(title)
for ax in axes:
    ax.set(xticks=[], yticks=[])
fig.colorbar(drawn, ax=axes, label="output", shrink=0.8)

# %%
# Speed
# -----
#
# Two layers as in networks for small images, in float32, on one thread. To save time,
# the loops process one image instead of 64; the times are per image.

SIZES = {
    "1 x 28 x 28,\n6 of 5 x 5": ((1, 28, 28), 6, 5),
    "8 x 14 x 14,\n16 of 3 x 3": ((8, 14, 14), 16, 3),
}


def seconds(function, *arrays, turns):
    """Return the shortest of several times."""
    taken = []
    for _ in range(turns):
        start = time.perf_counter()
        function(*arrays)
        taken.append(time.perf_counter() - start)
    return min(taken)


times = {"seven loops": [], "twenty lines": [], "Conv2d": []}
with threadpool_limits(1):
    for name, (shape, filters, kernel_size) in SIZES.items():
        network = Network([Conv2d(filters, kernel_size)], shape, np.float32)
        vector = network.init(rng)
        W, b = network.unpack(vector)[0].values()
        X = rng.random((64, *shape), dtype=np.float32)
        times["seven loops"].append(seconds(seven_loops, X[:1], W, b, turns=1))
        times["twenty lines"].append(seconds(convolve, X, W, b, turns=5) / 64)
        times["Conv2d"].append(seconds(network.forward, X, vector, turns=20) / 64)
        print(
            f"{name.replace(chr(10), ' '):26}"
            + ", ".join(f"{who} {1e6 * taken[-1]:,.0f} µs" for who, taken in times.items())
        )

# %%

fig, ax = plt.subplots(figsize=(7.5, 3.8), layout="constrained")
places = np.arange(len(SIZES))
for k, ((who, taken), color) in enumerate(
    zip(times.items(), ["#999999", "#D55E00", "#0072B2"], strict=True)
):
    bars = ax.bar(places + 0.27 * (k - 1), 1e6 * np.array(taken), 0.25, color=color, label=who)
    ax.bar_label(bars, fmt="{:,.0f}", padding=2, fontsize=9)
ax.set(yscale="log", ylabel="µs an image", xticks=places, xticklabels=SIZES)
ax.set_ylim(1, 10 * max(1e6 * t for t in times["seven loops"]))
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False, ncols=3, loc="upper left")

# %%
# The loops perform the same multiplications as the others; the time goes to Python,
# which handles every number separately. NumPy's ``einsum`` avoids that, but reads
# windows that are scattered in memory. ``Conv2d`` arranges its numbers in the order in
# which matrix products are fast.

plt.show()

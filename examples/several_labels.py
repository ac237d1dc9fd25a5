"""
Several labels per sample
=========================

Two digits side by side in one image: which ones are there? Each of the ten labels is
true or not, so `y` has one column per label, and the network predicts a probability for
each. These need not sum to 1.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import classification_report
from sklearn.model_selection import train_test_split

from skcnn import ScratchCNNClassifier

images, digits = load_digits(return_X_y=True)
images = images.reshape(-1, 8, 8)
parts = train_test_split(images, digits, stratify=digits, random_state=0)


def side_by_side(images, digits, n, rng):
    """Return random pairs of digits as 8 x 16 images, and the indicator matrix of their labels."""
    left, right = rng.integers(len(images), size=(2, n))
    Y = np.zeros((n, 10), int)
    Y[np.arange(n), digits[left]] = Y[np.arange(n), digits[right]] = 1
    return np.concatenate([images[left], images[right]], axis=2), Y


# %%
# The test images are made of digits that occur in no training image. The same digit
# twice is one label.

rng = np.random.default_rng(0)
X_train, Y_train = side_by_side(parts[0], parts[2], 1500, rng)
X_test, Y_test = side_by_side(parts[1], parts[3], 1000, rng)
print(f"X_train {X_train.shape}, Y_train {Y_train.shape}; the first row of Y: {Y_train[0]}")

# %%
# An indicator matrix is all that is needed. scikit-learn's forest accepts it, too.

clf = ScratchCNNClassifier(random_state=0).fit(X_train, Y_train)
forest = RandomForestClassifier(random_state=0).fit(X_train.reshape(1500, -1), Y_train)
for name, predicted in [
    ("network", clf.predict(X_test)),
    ("forest", forest.predict(X_test.reshape(1000, -1))),
]:
    exact = np.all(predicted == Y_test, axis=1).mean()
    print(
        f"{name:8} all labels of an image right: {exact:.3f}; "
        f"single labels right: {np.mean(predicted == Y_test):.3f}"
    )

# %%
# The second number is no great praise: a model that never predicts any digit gets most
# of the single labels right. Look at the precision and recall of each digit instead.

print(f"Nothing is ever there: {np.mean(Y_test == 0):.3f} of the single labels right\n")
print(classification_report(Y_test, clf.predict(X_test), zero_division=0))

# %%
# Probabilities
# -------------
#
# Some images, and the probability of each digit. Blue bars are digits that are there,
# orange ones are not; the line is 1/2, above which `predict` returns 1. The lower row
# shows images with a wrong label.

p = clf.predict_proba(X_test)
wrong = np.any(clf.predict(X_test) != Y_test, axis=1)
chosen = [*np.flatnonzero(~wrong)[:4], *np.flatnonzero(wrong)[:4]]
fig, axes = plt.subplots(4, 4, figsize=(10, 6), height_ratios=[1, 1.3] * 2, layout="constrained")
for k, row in enumerate(chosen):
    above, below = axes[2 * (k // 4) : 2 * (k // 4) + 2, k % 4]
    above.imshow(X_test[row], cmap="gray")
    above.set(xticks=[], yticks=[])
    below.bar(range(10), p[row], color=np.where(Y_test[row] == 1, "#0072B2", "#D55E00"))
    below.axhline(0.5, color="0.4", linewidth=0.8)
    below.set(ylim=(0, 1), xticks=range(10))
axes[1, 0].set_ylabel("probability")
axes[3, 0].set_ylabel("probability")

# %%
# Choosing the threshold
# ----------------------
#
# `predict` uses a threshold of 1/2, but you can choose another: a lower threshold finds
# more of the digits that are there, and more that are not.

print("threshold   found of those that are there   right of those that are said")
for threshold in (0.1, 0.3, 0.5, 0.7, 0.9):
    said = p > threshold
    print(f"{threshold:9.1f} {said[Y_test == 1].mean():31.3f} {Y_test[said].mean():30.3f}")

# %%
# Labels that exclude each other
# ------------------------------
#
# The network was not told that there are two digits; it had to find out:

count = clf.predict(X_test).sum(axis=1)
for k in np.unique(count):
    print(f"{k} labels: {np.sum(count == k):4} images, truly {np.sum(Y_test.sum(axis=1) == k):4}")

# %%
# It nearly always predicts two. That it occasionally predicts three shows that each
# label is decided independently.
#
# If each sample has exactly one label, pass classes, ``Y.argmax(axis=1)``: their
# probabilities sum to 1. One-hot rows would be treated as independent labels, as
# scikit-learn's own `MLPClassifier` does.

plt.show()

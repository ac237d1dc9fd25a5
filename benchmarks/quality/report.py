"""Tables and a plot of the results.

`Results` are ``{data set: {contender: [scores of every seed]}}``.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from scipy.stats import rankdata

from benchmarks.quality.contenders import OURS
from benchmarks.quality.measure import Scores

Results: TypeAlias = dict[str, dict[str, list[Scores]]]

WIDTH = 13
COLUMNS: dict[str, Callable[[float], str]] = {
    "accuracy": "{:.4f}".format,
    "log_loss": "{:.3f}".format,
    "calibration_error": "{:.3f}".format,
    "seconds": "{:.2f}".format,  # of one core, in a fit
}
# Okabe & Ito's colours, distinguishable for colour-blind readers; shapes differ as well
STYLES = [
    ("#D55E00", "o"), ("#0072B2", "s"), ("#56B4E9", "D"), ("#009E73", "^"), ("#000000", "v"),
    ("#CC79A7", "P"), ("#E69F00", "X"), ("#0072B2", "*"), ("#009E73", "p"), ("#000000", "h"),
    ("#CC79A7", "d"), ("#E69F00", "<"), ("#D55E00", ">"), ("#56B4E9", "H"),
]  # fmt: skip


def over_seeds(results: Results, score: str, reduce: Callable = np.mean) -> np.ndarray:
    """Return the scores reduced over seeds, of shape (data sets, contenders)."""
    return np.array(
        [
            [reduce([getattr(scores, score) for scores in seeds]) for seeds in row.values()]
            for row in results.values()
        ]
    )


def tables(results: Results) -> str:
    """Return a table for every score, and one of pairwise wins."""
    blocks = [_table(results, score) for score in COLUMNS]
    if len(_seeds(results)) > 1:
        blocks.insert(1, _ranges(results))
    if OURS in _contenders(results):
        blocks.append(_duels(results))
    return "\n\n".join(blocks)


def _contenders(results: Results) -> list[str]:
    return list(next(iter(results.values())))


def _seeds(results: Results) -> list[Scores]:
    return next(iter(next(iter(results.values())).values()))


def _ranges(results: Results) -> str:
    """Return a table of the largest minus the smallest accuracy over seeds."""
    lines = [_line("range of accuracy", _contenders(results))]
    for name, row in zip(results, over_seeds(results, "accuracy", np.ptp), strict=True):
        lines += [_line(name, map(COLUMNS["accuracy"], row))]
    return "\n".join(lines)


def _table(results: Results, score: str) -> str:
    means, show = over_seeds(results, score), COLUMNS[score]
    lines = [_line(score.replace("_", " "), _contenders(results))]
    lines += [
        _line(name, map(show, row)).replace("nan", "  -")
        for name, row in zip(results, means, strict=True)
    ]
    lines += [_line("mean", map(show, means.mean(axis=0))).replace("nan", "  -")]
    if score == "accuracy":
        ranks = [rankdata(-np.round(row, 6), nan_policy="omit") for row in means]
        mean_ranks = np.ma.masked_invalid(ranks).mean(axis=0).filled(np.nan)
        lines += [_line("mean rank", map("{:.2f}".format, mean_ranks))]
    return "\n".join(lines)


def _line(head: str, cells: Any) -> str:
    return f"{head:22}" + "".join(f"{cell:>{WIDTH}}" for cell in cells)


def _duels(results: Results) -> str:
    """Return a table of wins of the default estimator against each other, and the best."""
    names = _contenders(results)
    means = np.round(over_seeds(results, "accuracy"), 6)
    others = [name for name in names if name != OURS]
    if not others:
        return ""
    ours = means[:, names.index(OURS)]
    rivals = {name: means[:, names.index(name)] for name in others}
    if len(others) > 1:
        rivals["the best of them"] = np.nanmax(list(rivals.values()), axis=0)
    lines = [_line(f"{OURS} against", ["wins", "ties", "losses"])]
    for name, theirs in rivals.items():
        counts = [np.sum(ours > theirs), np.sum(ours == theirs), np.sum(ours < theirs)]
        lines += [_line(name, map(str, counts))]
    return "\n".join(lines)


def plot(results: Results, path: str) -> None:
    """Plot the error of every contender on every data set, on a logarithmic axis."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    # 0 has no position on the axis; NaN, of those that do not take part, is not drawn
    errors = np.maximum(1 - over_seeds(results, "accuracy"), 5e-4)
    y = np.arange(len(results))
    figure, ax = plt.subplots(figsize=(8, 1.2 + 0.5 * len(results)), layout="constrained")
    ax.hlines(
        y, np.nanmin(errors, axis=1), np.nanmax(errors, axis=1), color="0.85", linewidth=6, zorder=1
    )
    for i, name in enumerate(_contenders(results)):
        color, marker = STYLES[i % len(STYLES)]
        ours = name == OURS
        if np.isnan(errors[:, i]).all():
            continue
        ax.scatter(
            errors[:, i], y, s=130 if ours else 45, color=color, marker=marker, label=name,
            zorder=2 if ours else 3, alpha=1 if ours else 0.85,
        )  # fmt: skip
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

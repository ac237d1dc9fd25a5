"""Tables of the results."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.stats import rankdata

from benchmarks.quality.contenders import OURS
from benchmarks.quality.results import Results, contenders, over_seeds

WIDTH = 14
COLUMNS: dict[str, Callable[[float], str]] = {
    "accuracy": "{:.4f}".format,
    "log_loss": "{:.3f}".format,
    "calibration_error": "{:.3f}".format,
    "seconds": "{:.2f}".format,  # of one core, in a fit
}


def tables(results: Results) -> str:
    """Return a table for every score, and one of pairwise wins."""
    blocks = [_table(results, score) for score in COLUMNS]
    if any(len(seeds) > 1 for row in results.values() for seeds in row.values()):
        blocks.insert(1, _ranges(results))
    if OURS in contenders(results):
        blocks.append(_duels(results))
    return "\n\n".join(blocks)


def _ranges(results: Results) -> str:
    """Return a table of the largest minus the smallest accuracy over seeds."""
    lines = [_line("range of accuracy", contenders(results))]
    for name, row in zip(results, over_seeds(results, "accuracy", np.ptp), strict=True):
        lines += [_line(name, map(COLUMNS["accuracy"], row))]
    return "\n".join(lines)


def _table(results: Results, score: str) -> str:
    means, show = over_seeds(results, score), COLUMNS[score]
    lines = [_line(score.replace("_", " "), contenders(results))]
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
    names = contenders(results)
    means = np.round(over_seeds(results, "accuracy"), 6)
    others = [name for name in names if name != OURS]
    if not others:
        return ""
    ours = means[:, names.index(OURS)]
    rivals = {name: means[:, names.index(name)] for name in others}
    if len(others) > 1:
        rivals["the best of them"] = np.fmax.reduce(list(rivals.values()))
    lines = [_line(f"{OURS} against", ["wins", "ties", "losses"])]
    for name, theirs in rivals.items():
        counts = [np.sum(ours > theirs), np.sum(ours == theirs), np.sum(ours < theirs)]
        lines += [_line(name, map(str, counts))]
    return "\n".join(lines)

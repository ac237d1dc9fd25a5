"""Results of all contenders on all data sets, and the files that keep them."""

import json
from collections.abc import Callable, Iterable
from math import isnan
from pathlib import Path
from typing import TypeAlias

import numpy as np

from benchmarks.quality.measure import NONE, Scores

Results: TypeAlias = dict[str, dict[str, list[Scores]]]
"""``{data set: {contender: [scores of every seed]}}``."""


def over_seeds(results: Results, score: str, reduce: Callable = np.mean) -> np.ndarray:
    """Return the scores reduced over seeds, of shape (data sets, contenders)."""
    return np.array(
        [
            [reduce([getattr(scores, score) for scores in seeds]) for seeds in row.values()]
            for row in results.values()
        ]
    )


def contenders(results: Results) -> list[str]:
    """Return the names of all contenders; every data set has them in the same order."""
    return list(next(iter(results.values())))


def complete(results: Results, sets: Iterable[str], names: Iterable[str]) -> Results:
    """Return the results of some data sets and contenders, in this order.

    Data sets without results are left out, and contenders without any; those that did
    not take part in some set get NaN there.
    """
    chosen = {name: results[name] for name in sets if name in results}
    there = [
        name
        for name in names
        if any(
            not isnan(scores.accuracy) for row in chosen.values() for scores in row.get(name, [])
        )
    ]
    return {
        name: {contender: row.get(contender, [NONE]) for contender in there}
        for name, row in chosen.items()
    }


def write(results: Results, path: str) -> None:
    """Write all scores as JSON, with null for NaN and a line for every seed."""
    lines = []
    for name, row in results.items():
        entries = [
            f"  {json.dumps(contender)}: [\n   "
            + ",\n   ".join(json.dumps(_plain(scores)) for scores in seeds)
            + "\n  ]"
            for contender, seeds in row.items()
        ]
        lines += [f" {json.dumps(name)}: {{\n" + ",\n".join(entries) + "\n }"]
    Path(path).write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def read(paths: Iterable[str]) -> Results:
    """Read files that `write` wrote; what a later one has replaces what an earlier one has."""
    results: Results = {}
    for path in paths:
        for name, row in json.loads(Path(path).read_text(encoding="utf-8")).items():
            results.setdefault(name, {}).update(
                {contender: [_scores(entry) for entry in seeds] for contender, seeds in row.items()}
            )
    return results


def _plain(scores: Scores) -> dict[str, float | None]:
    return {
        score: None if isnan(value) else float(f"{value:.6g}")
        for score, value in scores._asdict().items()
    }


def _scores(entry: dict[str, float | None]) -> Scores:
    return Scores(**{score: np.nan if value is None else value for score, value in entry.items()})

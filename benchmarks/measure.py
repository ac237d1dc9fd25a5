"""Timing of contenders in turn, and ratios of their medians."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np


@dataclass
class Result:
    """Seconds of every contender for one task, in the order of the rounds.

    The first contender is skcnn; another one's ratio says how many times slower it is.
    """

    work: str
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def ratio(self, name: str) -> float:
        """Return the ratio of the contender's median time to skcnn's."""
        return float(np.median(self.seconds[name]) / np.median(self.seconds["skcnn"]))

    def spread(self, name: str) -> tuple[float, float]:
        """Return the quartiles of the ratios of single rounds."""
        rounds = np.array(self.seconds[name]) / np.array(self.seconds["skcnn"])
        low, high = np.quantile(rounds, [0.25, 0.75])
        return float(low), float(high)


def take_turns(
    contenders: dict[str, Callable[[], object]], rounds: int, warm_up: int = 1
) -> dict[str, list[float]]:
    """Time all contenders, one after another in every round."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(warm_up + rounds):
        for name, contender in contenders.items():
            start = time.perf_counter()
            contender()
            if turn >= warm_up:
                seconds[name].append(time.perf_counter() - start)
    return seconds

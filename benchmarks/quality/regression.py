"""Quality of the default regressor on signals, compared with MiniRocket and ridge.

Run ``python -m benchmarks.quality.regression`` (needs the extra ``[quality-signals]``
for the published sets and MiniRocket; what is missing is left out). Generated sets are
drawn anew for each seed. Published sets have so few test rows that one split says little:
seed 0 is the published split, and each further seed a random one of the same sizes.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

from benchmarks.quality.data import Split
from benchmarks.quality.specialists_of_signals import Aeon, fixed_features_and_ridge
from skcnn import ScratchCNNRegressor

LENGTH = 150


def _published(name: str) -> Callable[[int], Split]:
    """Return a loader of signals bundled with aeon: seed 0 is the published split."""

    def load(seed: int) -> Split:
        from aeon import datasets

        parts = [getattr(datasets, f"load_{name}")(split=part) for part in ("train", "test")]
        (X_train, y_train), (X_test, y_test) = parts
        if seed:
            X, y = np.concatenate([X_train, X_test]), np.concatenate([y_train, y_test])
            X_train, X_test, y_train, y_test = train_test_split(
                X, y, test_size=len(y_test), random_state=seed
            )
        return Split(X_train[:, :, np.newaxis], X_test[:, :, np.newaxis], y_train, y_test)

    return load


def _frequency(seed: int) -> Split:
    """Generate noisy oscillations; the target is how often they oscillate, from 5 to 25 times."""
    rng = np.random.default_rng(seed)
    n = 700
    y = rng.uniform(5, 25, n)
    phase = rng.uniform(0, 2 * np.pi, (n, 1))
    wave = np.sin(2 * np.pi * y[:, np.newaxis] * np.arange(LENGTH) / LENGTH + phase)
    return _split(wave + rng.normal(size=(n, LENGTH)), y)


def _area(seed: int) -> Split:
    """Generate one to three bumps on a random walk; the target is the area below the bumps."""
    rng = np.random.default_rng(seed)
    n, t = 700, np.arange(LENGTH)
    X, y = 0.2 * rng.normal(size=(n, LENGTH)).cumsum(axis=1), np.zeros(n)
    for i in range(n):
        for _ in range(rng.integers(1, 4)):
            width, height = rng.uniform(3, 10), rng.uniform(1, 5)
            bump = height * np.exp(-(((t - rng.uniform(20, LENGTH - 20)) / width) ** 2))
            X[i] += bump
            y[i] += bump.sum()
    return _split(X, y)


def _split(X: np.ndarray, y: np.ndarray) -> Split:
    X = X[:, np.newaxis, np.newaxis]
    return Split(X[:200], X[200:], y[:200], y[200:])


DATA_SETS = {
    "Covid3Month": _published("covid_3month"),
    "CardanoSentiment": _published("cardano_sentiment"),
    "frequency": _frequency,
    "area": _area,
}


class FlatForest(RandomForestRegressor):
    """A forest on flat rows."""

    def fit(self, X: np.ndarray, y: np.ndarray) -> RegressorMixin:
        return super().fit(X.reshape(len(X), -1), y)

    def predict(self, X: np.ndarray) -> np.ndarray:
        return super().predict(X.reshape(len(X), -1))


CONTENDERS: dict[str, Callable[[int], RegressorMixin]] = {
    "skcnn": lambda seed: ScratchCNNRegressor(random_state=seed),
    "learned only": lambda seed: ScratchCNNRegressor(fixed_features=0, random_state=seed),
    "fixed + ridge": lambda seed: fixed_features_and_ridge(seed, RidgeCV(np.logspace(-3, 3, 10))),
    "MiniRocket": lambda seed: Aeon("regression", "MiniRocketRegressor", seed),
    "forest": lambda seed: FlatForest(random_state=seed),
}


def _measure(make: Callable[[int], RegressorMixin], split: Split, seed: int) -> tuple[float, float]:
    """Return R² on the test rows and the seconds that a fit takes of one core."""
    regressor = make(seed)
    if hasattr(regressor, "compile"):
        regressor.compile(split.X_train, split.y_train)
    start = time.process_time()
    with threadpool_limits(1):
        regressor.fit(split.X_train, split.y_train)
        seconds = time.process_time() - start
        return r2_score(split.y_test, regressor.predict(split.X_test)), seconds


def main() -> None:
    """Measure; print each score, then means, medians, and the distance to the first contender.

    Differences are paired by seed; after ± is their standard error.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--sets", nargs="+", choices=DATA_SETS, default=list(DATA_SETS))
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--json", help="file for all scores")
    arguments = parser.parse_args()
    results: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for name in arguments.sets:
        for seed in range(arguments.seeds):
            for contender in arguments.contenders:
                try:
                    found = _measure(CONTENDERS[contender], DATA_SETS[name](seed), seed)
                except ImportError as error:
                    print(f"{name}, {contender}: left out ({error})", file=sys.stderr)
                    continue
                results.setdefault(name, {}).setdefault(contender, []).append(found)
                print(
                    f"{name}, seed {seed}, {contender}: R² {found[0]:.4f} in {found[1]:.1f} s",
                    file=sys.stderr,
                )
    for name, row in results.items():
        first = np.array(next(iter(row.values())))[:, 0]
        for contender, found in row.items():
            r2, seconds = np.array(found).T
            behind = first - r2
            error = behind.std(ddof=1) / np.sqrt(len(behind)) if len(behind) > 1 else np.nan
            print(
                f"{name:18}{contender:16}R² {r2.mean():7.4f}, median {np.median(r2):7.4f}, "
                f"{seconds.mean():5.2f} s, behind by {behind.mean():7.4f} ± {error:.4f}"
            )
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()

"""Whether the search of ``examples/digits.py`` pays: its winner beside the untouched classifier.

Run ``python -m benchmarks.example``: held-out accuracies over several splits.
"""

import argparse

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skcnn import ScratchCNNClassifier

GRID = {
    "scratchcnnclassifier__lr": ["auto", 4e-3],
    "scratchcnnclassifier__filters": ["auto", (48, 96)],
}
"""That of the example."""


def accuracies(split: int, n_jobs: int) -> tuple[float, float]:
    """Of the untouched classifier and of the search's winner, on what neither has seen."""
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.25, stratify=y, random_state=split
    )
    pipeline = make_pipeline(MinMaxScaler(), ScratchCNNClassifier(random_state=0, dtype="float32"))
    search = GridSearchCV(pipeline, GRID, cv=3, n_jobs=n_jobs).fit(X_train, y_train)
    untouched = pipeline.fit(X_train, y_train).score(X_test, y_test)
    won = search.score(X_test, y_test)
    print(f"split {split}: untouched {untouched:.4f}, winner {won:.4f} ({search.best_params_})")
    return untouched, won


def main() -> None:
    """Print the accuracies of all splits and their means."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    pairs = [accuracies(split, options.jobs) for split in range(options.splits)]
    untouched, won = np.mean(pairs, axis=0)
    print(f"mean: untouched {untouched:.4f}, winner {won:.4f}")


if __name__ == "__main__":
    main()

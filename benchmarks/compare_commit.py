"""Speed of training LeNet, compared with an earlier commit.

    python -m benchmarks.compare_commit COMMIT

Two processes, one with each version, fit in turn on the same random images. Several
such pairs are compared, since the position of arrays in memory differs from process
to process.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

_FITS = """
import sys, time
import numpy as np
from skcnn import ScratchCNNClassifier
from skcnn.layers import Conv2d, Dense, Flatten, MaxPool2d, ReLU
LENET = [
    Conv2d(6, 5, padding=2), ReLU(), MaxPool2d(2), Conv2d(16, 5), ReLU(), MaxPool2d(2),
    Flatten(), Dense(120), ReLU(), Dense(84), ReLU(),
]
rng = np.random.default_rng(0)
X = rng.random((5003, 1, 28, 28), dtype=np.float32)
y = rng.integers(0, 10, len(X))
clf = ScratchCNNClassifier(
    layers=LENET, batch_size=int(sys.argv[1]), weight_decay=0.0, max_iter=1,
    warm_start=True, random_state=0, tol=0.0,
)
clf.fit(X, y)
for line in sys.stdin:
    start = time.perf_counter()
    clf.fit(X, y)
    print(time.perf_counter() - start, flush=True)
"""


class _Version:
    """A process that runs one fit per request."""

    def __init__(self, folder: Path, batch_size: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", _FITS, str(batch_size)],
            cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def seconds(self) -> float:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self) -> None:
        self.process.communicate()


def ratio_of_a_pair(now: Path, then: Path, batch_size: int, turns: int) -> float:
    """Return the ratio of median times, `now` to `then`; they go first in turn."""
    pair = [(_Version(folder, batch_size), []) for folder in (now, then)]
    for turn in range(1 + turns):
        for version, seconds in pair[:: -1 if turn % 2 else 1]:
            seconds.append(version.seconds())
    for version, _ in pair:
        version.close()
    here, there = (np.median(seconds[1:]) for _, seconds in pair)
    return float(here / there)


def main() -> None:
    """Print the ratio for every batch size."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare_commit",
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("commit", help="commit to compare with")
    parser.add_argument(
        "--batch-sizes", type=int, nargs="+", default=[32, 128], help="batch sizes of training"
    )
    parser.add_argument("--pairs", type=int, default=9, help="pairs of processes, at least 1")
    parser.add_argument("--turns", type=int, default=15, help="fits of each process, at least 1")
    options = parser.parse_args()
    if min(options.pairs, options.turns, *options.batch_sizes) < 1:
        parser.error("batch sizes, pairs and turns must be at least 1")
    now = Path(__file__).parents[1]
    with tempfile.TemporaryDirectory() as folder:
        then = Path(folder)
        archive = subprocess.run(
            ["git", "archive", options.commit, "skcnn"], cwd=now, capture_output=True
        )
        if archive.returncode:
            parser.error(archive.stderr.decode().strip())
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        for batch_size in options.batch_sizes:
            ratios = [
                ratio_of_a_pair(now, then, batch_size, options.turns) for _ in range(options.pairs)
            ]
            low, middle, high = np.quantile(ratios, [0.25, 0.5, 0.75])
            print(
                f"LeNet, batch {batch_size}: {middle:.3f} times the time of {options.commit} "
                f"({low:.3f} to {high:.3f}, {options.pairs} pairs of processes)"
            )


if __name__ == "__main__":
    main()

"""Speed compared with an earlier commit: training LeNet, or the untouched classifier.

    python -m benchmarks.compare_commit COMMIT
    python -m benchmarks.compare_commit COMMIT --untouched "MNIST 500" GunPoint --predict 1 1000

Two processes, one with each version, work in turn on the same rows. Several such pairs
are compared, since the position of arrays in memory differs from process to process.
The untouched classifier works on one core, on the data sets of ``benchmarks.quality``
(first split), and its times are CPU seconds.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.quality.data import DATA_SETS

_LENET = """
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

_UNTOUCHED = """
import sys, time
import numpy as np
from threadpoolctl import threadpool_limits
from skcnn import ScratchCNNClassifier
rows = int(sys.argv[2])
with np.load(sys.argv[1], allow_pickle=False) as file:
    X, y = file["X"], file["y"]
with threadpool_limits(1):
    clf = ScratchCNNClassifier(random_state=0)
    if rows:
        clf.fit(X, y)
        X = np.resize(X, (rows, *X.shape[1:]))
    calls = max(1, 200 // rows) if rows else 1
    for line in sys.stdin:
        start = time.process_time()
        for _ in range(calls):
            clf.predict(X) if rows else clf.fit(X, y)
        print((time.process_time() - start) / calls, flush=True)
"""


class _Version:
    """A process that works once per request, and answers with the seconds it took."""

    def __init__(self, folder: Path, program: str, arguments: Sequence[object]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", program, *map(str, arguments)],
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


def ratio_of_a_pair(
    now: Path, then: Path, turns: int, program: str, *arguments: object
) -> tuple[float, float]:
    """Return the ratio of median times, `now` to `then`, and the median of `now`.

    They go first in turn; the first turn does not count.
    """
    pair = [(_Version(folder, program, arguments), []) for folder in (now, then)]
    for turn in range(1 + turns):
        for version, seconds in pair[:: -1 if turn % 2 else 1]:
            seconds.append(version.seconds())
    for version, _ in pair:
        version.close()
    here, there = (np.median(seconds[1:]) for _, seconds in pair)
    return float(here / there), float(here)


def main() -> None:
    """Print a ratio for everything that was asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare_commit", description=__doc__.splitlines()[0]
    )
    parser.add_argument("commit", help="commit to compare with")
    parser.add_argument(
        "--batch-sizes", type=int, nargs="+", default=[], metavar="SIZE",
        help="batch sizes of training LeNet; default: 32 and 128",
    )  # fmt: skip
    parser.add_argument(
        "--untouched", nargs="+", choices=DATA_SETS, default=[], metavar="SET",
        help="data sets for the untouched classifier, instead of LeNet",
    )  # fmt: skip
    parser.add_argument(
        "--predict", type=int, nargs="+", default=[], metavar="ROWS",
        help="time the untouched classifier's predictions of so many rows, instead of its fits",
    )  # fmt: skip
    parser.add_argument("--pairs", type=int, default=9, help="pairs of processes; default: 9")
    parser.add_argument("--turns", type=int, default=15, help="turns of each process; default: 15")
    options = parser.parse_args()
    if min(options.pairs, options.turns, *options.batch_sizes, *options.predict) < 1:
        parser.error("batch sizes, rows, pairs and turns must be at least 1")
    if options.predict and not options.untouched:
        parser.error("--predict needs --untouched")
    if options.batch_sizes and options.untouched:
        parser.error("--batch-sizes are LeNet's, which --untouched does not train")
    now = Path(__file__).parents[1]
    with tempfile.TemporaryDirectory() as folder:
        then = Path(folder)
        archive = subprocess.run(
            ["git", "archive", options.commit, "skcnn"], cwd=now, capture_output=True
        )
        if archive.returncode:
            parser.error(archive.stderr.decode().strip())
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        work: list[tuple[str, str, list[object]]] = []
        for name in options.untouched:
            split, path = DATA_SETS[name].load(0)[0], then / f"{len(work)}.npz"
            np.savez(path, X=split.X_train, y=split.y_train)
            work += [
                (f"{name}, {f'predict {rows}' if rows else 'fit'}", _UNTOUCHED, [path, rows])
                for rows in options.predict or [0]
            ]
        if not work:
            work = [
                (f"LeNet, batch {size}", _LENET, [size])
                for size in options.batch_sizes or [32, 128]
            ]
        for title, program, arguments in work:
            found = [
                ratio_of_a_pair(now, then, options.turns, program, *arguments)
                for _ in range(options.pairs)
            ]
            ratios, seconds = np.transpose(found)
            low, middle, high = np.quantile(ratios, [0.25, 0.5, 0.75])
            print(
                f"{title}: {middle:.3f} times the time of {options.commit} ({low:.3f} to "
                f"{high:.3f}, {options.pairs} pairs of processes), {np.median(seconds):.3g} s",
                flush=True,
            )


if __name__ == "__main__":
    main()

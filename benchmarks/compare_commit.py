"""Speed of training, compared with an earlier commit.

    python -m benchmarks.compare_commit COMMIT
    python -m benchmarks.compare_commit COMMIT --fits MNIST colour --one-core

Two processes, one with each version, fit in turn on the same random images: LeNet, or what an
untouched fit trains on images of a shape. Several such pairs are compared, since the position
of arrays in memory differs from process to process. On one core, the time is that of the
processor, which other programs affect less.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

SHAPES = {
    "LeNet": (5003, 1, 28, 28), "digits": (1437, 1, 8, 8), "MNIST": (500, 1, 28, 28),
    "colour": (300, 3, 48, 48), "signal": (200, 1, 1, 300),
}  # fmt: skip
"""Shapes of the images, by the name of the fit."""

_FITS = """
import sys, time
import numpy as np
from threadpoolctl import threadpool_limits
from skcnn import ScratchCNNClassifier
from skcnn.architectures import lenet
name, batch_size, one_core, *shape = sys.argv[1:]
one_core = one_core == "True"
rng = np.random.default_rng(0)
X = rng.random([int(size) for size in shape], dtype=np.float32)
y = rng.integers(0, 10, len(X))
X += rng.random((10, *X.shape[1:]), dtype=np.float32)[y]
if name == "LeNet":
    clf = ScratchCNNClassifier(
        layers=lenet(), batch_size=int(batch_size), weight_decay=0.0, max_iter=1,
        warm_start=True, random_state=0, tol=0.0,
    )
else:
    clf = ScratchCNNClassifier(max_iter=max(1, 2000 // len(X)), random_state=0)
clock = time.process_time if one_core else time.perf_counter
with threadpool_limits(1 if one_core else None):
    clf.fit(X, y)
    for line in sys.stdin:
        start = clock()
        clf.fit(X, y)
        print(clock() - start, flush=True)
"""


class _Version:
    """A process that runs one fit per request."""

    def __init__(self, folder: Path, arguments: list[str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", _FITS, *arguments],
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


def ratio_of_a_pair(now: Path, then: Path, arguments: list[str], turns: int) -> float:
    """Return the ratio of median times, `now` to `then`; they go first in turn."""
    pair = [(_Version(folder, arguments), []) for folder in (now, then)]
    for turn in range(1 + turns):
        for version, seconds in pair[:: -1 if turn % 2 else 1]:
            seconds.append(version.seconds())
    for version, _ in pair:
        version.close()
    here, there = (np.median(seconds[1:]) for _, seconds in pair)
    return float(here / there)


def main() -> None:
    """Print the ratio for every fit, and for LeNet for every batch size."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare_commit",
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("commit", help="commit to compare with")
    parser.add_argument("--fits", nargs="+", choices=SHAPES, default=["LeNet"], help="fits")
    parser.add_argument(
        "--batch-sizes", type=int, nargs="+", default=[32, 128], help="batch sizes of LeNet"
    )
    parser.add_argument("--one-core", action="store_true", help="CPU time of one thread")
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
        fits = [
            (name, batch_size)
            for name in options.fits
            for batch_size in (options.batch_sizes if name == "LeNet" else ["auto"])
        ]
        for name, batch_size in fits:
            arguments = [name, str(batch_size), str(options.one_core), *map(str, SHAPES[name])]
            ratios = [
                ratio_of_a_pair(now, then, arguments, options.turns) for _ in range(options.pairs)
            ]
            low, middle, high = np.quantile(ratios, [0.25, 0.5, 0.75])
            print(
                f"{name}, batch {batch_size}: {middle:.3f} times the time of {options.commit} "
                f"({low:.3f} to {high:.3f}, {options.pairs} pairs of processes)",
                flush=True,
            )


if __name__ == "__main__":
    main()

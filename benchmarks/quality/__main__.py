"""Quality of the default estimator, compared with other defaults and with specialists.

Run ``python -m benchmarks.quality`` (needs the extra ``[quality]``, and Debian's
``dataset-fashion-mnist`` for Fashion-MNIST). Specialists of signals and further sets
of signals need ``[quality-signals]``. What is missing is left out.
"""

import argparse
import sys

from benchmarks.quality.contenders import CONTENDERS, ON_REQUEST
from benchmarks.quality.data import DATA_SETS, DataSet, Split
from benchmarks.quality.measure import NONE, Scores, measure
from benchmarks.quality.report import tables
from benchmarks.quality.results import Results, complete, read, write

ALL = CONTENDERS | ON_REQUEST


def _load(name: str, data: DataSet, seed: int) -> list[Split] | None:
    try:
        return data.load(seed)
    except (ImportError, FileNotFoundError) as error:
        if not data.needs:
            raise
        print(f"{name} is left out ({error}): {data.needs}", file=sys.stderr)
        return None


def _measure(name: str, splits: list[Split], seed: int) -> Scores:
    contender = ALL[name]
    try:
        return measure(contender, splits, seed)
    except ImportError as error:
        if not contender.needs:
            raise
        print(f"{name} is left out ({error}): {contender.needs}", file=sys.stderr)
        return NONE


def run(names: list[str], contenders: list[str], seeds: int | None) -> Results:
    """Measure everything, and print each result to standard error."""
    results: Results = {}
    for name in names:
        row = {contender: [] for contender in contenders}
        for seed in range(seeds or DATA_SETS[name].seeds):
            splits = _load(name, DATA_SETS[name], seed)
            if splits is None:
                break
            for contender in contenders:
                scores = _measure(contender, splits, seed)
                row[contender].append(scores)
                print(
                    f"{name}, seed {seed}, {contender}: {scores.accuracy:.4f} "
                    f"in {scores.seconds:.1f} s",
                    file=sys.stderr,
                )
        else:
            results[name] = row
    return results


def main() -> None:
    """Measure or read, print the tables, and write the requested files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--seeds", type=int, help="number of seeds, each with other splits (1 or 3, by the set)"
    )
    parser.add_argument("--sets", nargs="+", choices=DATA_SETS, default=list(DATA_SETS))
    parser.add_argument("--contenders", nargs="+", choices=ALL)
    parser.add_argument(
        "--from", nargs="+", dest="files", metavar="FILE",
        help="files written by --json, to show without measuring; later ones take precedence",
    )  # fmt: skip
    parser.add_argument("--json", help="file for all scores")
    parser.add_argument("--plot", help="file for a picture of the errors")
    parser.add_argument("--plot-seconds", help="file for a picture of accuracy against seconds")
    arguments = parser.parse_args()
    if arguments.files and arguments.seeds is not None:
        parser.error("--seeds: files of --from are shown with all of their seeds")
    if arguments.seeds is not None and arguments.seeds < 1:
        parser.error("--seeds must be at least 1")
    if arguments.files:
        results = read(arguments.files)
    else:
        measured = arguments.contenders or list(CONTENDERS)
        results = run(arguments.sets, measured, arguments.seeds)
    results = complete(results, arguments.sets, arguments.contenders or list(ALL))
    if not results:
        sys.exit("There are no results.")
    print(tables(results))
    if arguments.json:
        write(results, arguments.json)
    if arguments.plot or arguments.plot_seconds:
        from benchmarks.quality.plots import plot_errors, plot_seconds

        if arguments.plot:
            plot_errors(results, arguments.plot)
        if arguments.plot_seconds:
            plot_seconds(results, arguments.plot_seconds)


if __name__ == "__main__":
    main()

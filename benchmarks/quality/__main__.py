"""Quality of the default estimator, compared with other defaults and with specialists.

Run ``python -m benchmarks.quality`` (needs the extra ``[quality]``, and Debian's
``dataset-fashion-mnist`` for Fashion-MNIST). Specialists of signals and further sets
of signals need ``[quality-signals]``. What is missing is left out.
"""

import argparse
import json
import sys
from math import isnan
from pathlib import Path

from benchmarks.quality.contenders import CONTENDERS, ON_REQUEST
from benchmarks.quality.data import DATA_SETS, DataSet, Split
from benchmarks.quality.measure import NONE, Scores, measure
from benchmarks.quality.report import Results, plot, tables

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


def _plain(results: Results) -> dict:
    """Convert results to JSON's types, with None for NaN."""
    return {
        name: {
            contender: [
                {score: None if isnan(value) else value for score, value in s._asdict().items()}
                for s in seeds
            ]
            for contender, seeds in row.items()
        }
        for name, row in results.items()
    }


def main() -> None:
    """Measure, print the tables, and write the requested files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--seeds", type=int, help="number of seeds, each with other splits (1 or 3, by the set)"
    )
    parser.add_argument("--sets", nargs="+", choices=DATA_SETS, default=list(DATA_SETS))
    parser.add_argument("--contenders", nargs="+", choices=ALL, default=list(CONTENDERS))
    parser.add_argument("--json", help="file for all scores")
    parser.add_argument("--plot", help="file for a picture")
    arguments = parser.parse_args()
    results = run(arguments.sets, arguments.contenders, arguments.seeds)
    if not results:
        sys.exit("No data set is there.")
    print(tables(results))
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(_plain(results), indent=1))
    if arguments.plot:
        plot(results, arguments.plot)


if __name__ == "__main__":
    main()

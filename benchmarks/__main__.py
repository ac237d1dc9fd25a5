"""Comparison with PyTorch, skorch and scikit-learn; see ``python -m benchmarks --help``.

Every round runs each contender once, in turn. The output gives the ratio of each
contender's median to skcnn's, with the quartiles of the ratios of single rounds;
above 1, skcnn is faster. All compute in float32 on the same number of threads. The
ratios are stored in benchmarks/results, from where ``python -m benchmarks.merge``
writes the tables of all machines.
"""

import argparse
import json
import warnings
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from benchmarks import fits, footprint, predicts, results, search, sgemm_bound
from benchmarks.measure import Result, take_turns
from benchmarks.networks import CASES


def measure_fits(rounds: int) -> list[Result]:
    """Time single epochs of training, for every network and batch size."""
    measured = []
    for name, batch_size in fits.SHORT:
        result = Result(f"fit {name}, batch {batch_size}")
        result.seconds = take_turns(fits.contenders(name, batch_size), rounds)
        measured.append(result)
        show(result)
    return measured


def measure_long_fits(rounds: int) -> list[Result]:
    """Time whole fits that are long enough for worker processes."""
    measured = []
    for name, batch_size in fits.LONG:
        result = Result(f"long fit {name}, batch {batch_size}")
        result.seconds = take_turns(fits.long_contenders(name, batch_size), rounds)
        for contender in (results.PLAIN, results.CHANNELS_LAST):
            result.seconds[contender] = [
                fits.EPOCHS_OF_LONG * seconds for seconds in result.seconds[contender]
            ]
        measured.append(result)
        show(result)
    return measured


def measure_predictions(rounds: int) -> list[Result]:
    """Time predictions, for some networks and batch sizes."""
    measured = []
    for name, batch_size in predicts.WORKS:
        result = Result(f"predict {name}, batch {batch_size}")
        result.seconds = take_turns(predicts.contenders(name, batch_size), rounds)
        measured.append(result)
        show(result)
    return measured


def measure_search(rounds: int) -> Result:
    """Time the search from a cold start."""
    result = Result("search digits, 3 x 3 x 3, cold")
    contenders = {name: lambda name=name: search.seconds(name) for name in search.CONTENDERS}
    result.seconds = take_turns(contenders, rounds, warm_up=0)
    show(result)
    return result


def show(result: Result) -> None:
    """Print the ratios for one task."""
    print(f"{result.work}", flush=True)
    for name in result.seconds:
        if name == "skcnn":
            continue
        low, high = result.spread(name)
        print(f"    {name:22} {result.ratio(name):5.2f}  ({low:.2f} to {high:.2f})")


def show_sgemm_bound(trained: list[Result]) -> dict[str, float]:
    """Print and return the fraction of sgemm's speed that LeNet and the VGG-like net reach."""
    speed = sgemm_bound.sgemm_speed()
    print(f"\nsgemm: {2 * speed / 1e9:.0f} GFLOP/s on all threads of BLAS")
    shares = {}
    for result in trained:
        name = result.work.removeprefix("fit ").split(",")[0]
        if name in ("LeNet", "VGG-like"):
            least = sgemm_bound.multiply_adds(CASES[name]) * CASES[name].n_rows / speed
            shares[result.work] = least / float(np.median(result.seconds["skcnn"]))
            print(f"    {result.work:24} {shares[result.work]:.0%} of the sgemm bound")
    return shares


def main() -> None:
    """Measure, print, and write the figures."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    part = parser.add_mutually_exclusive_group()
    part.add_argument("--quick", action="store_true", help="three rounds, no long fits, no search")
    part.add_argument("--long", action="store_true", help="time only the long fits")
    parser.add_argument("--rounds", type=int, help="default: 7; half as many of long fits")
    parser.add_argument("--name", help="name of the machine in the tables")
    parser.add_argument("--out", type=Path, help="default: benchmarks/results")
    options = parser.parse_args()
    if options.quick and options.rounds is not None:
        parser.error("--quick has three rounds, and takes no --rounds")
    if options.out and (options.quick or options.long):
        parser.error("--out: only a run of everything is stored, without --quick and --long")
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds must be at least 1")
    # a single epoch need not converge
    warnings.simplefilter("ignore", ConvergenceWarning)
    rounds = 3 if options.quick else options.rounds or 7
    run = {"machine": results.describe_machine(options.name), **results.describe_code()}
    print(json.dumps(run), "\n")

    trained = [] if options.long else measure_fits(rounds)
    measured = trained + ([] if options.long else measure_predictions(rounds))
    if not options.quick:
        measured += measure_long_fits(max(3, rounds // 2))
    if not (options.quick or options.long):
        measured.append(measure_search(max(3, rounds // 2)))
    run |= {"rounds": rounds, "ratios": results.ratios(measured)}
    run["share_of_sgemm_bound"] = show_sgemm_bound(trained)
    run["memory_mb"] = footprint.memory_of_fit()
    run["import_ms"] = footprint.milliseconds_of_import(rounds)
    print(f"\nfit of LeNet on 60,000 images: {run['memory_mb']:.0f} MB beyond the data")
    print(f"import skcnn beyond sklearn.base: {run['import_ms']:.0f} ms")
    if options.quick or options.long:
        print("Not stored: only a run of everything is.")
    else:
        print(f"Written: {results.write(run, options.out or results.FOLDER)}")


if __name__ == "__main__":
    main()

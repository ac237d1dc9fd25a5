"""Comparison with PyTorch, skorch and scikit-learn; see ``python -m benchmarks --help``.

Every round runs each contender once, in turn. The output gives the ratio of each
contender's median to skcnn's, with the quartiles of the ratios of single rounds;
above 1, skcnn is faster. All compute in float32 on the same number of threads.
"""

import argparse
import json
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_info

from benchmarks import fits, footprint, predicts, search, sgemm_bound
from benchmarks.measure import Result, take_turns
from benchmarks.networks import CASES


def measure_fits(rounds: int) -> list[Result]:
    """Time single epochs of training, for every network and batch size."""
    results = []
    for name, batch_size in fits.SHORT:
        result = Result(f"fit {name}, batch {batch_size}")
        result.seconds = take_turns(fits.contenders(name, batch_size), rounds)
        results.append(result)
        show(result)
    return results


def measure_long_fits(rounds: int) -> list[Result]:
    """Time whole fits that are long enough for worker processes."""
    results = []
    for name, batch_size in fits.LONG:
        result = Result(f"long fit {name}, batch {batch_size}")
        result.seconds = take_turns(fits.long_contenders(name, batch_size), rounds)
        results.append(result)
        show(result)
    return results


def measure_predictions(rounds: int) -> list[Result]:
    """Time predictions, for some networks and batch sizes."""
    results = []
    for name, batch_size in predicts.WORKS:
        result = Result(f"predict {name}, batch {batch_size}")
        result.seconds = take_turns(predicts.contenders(name, batch_size), rounds)
        results.append(result)
        show(result)
    return results


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


def show_sgemm_bound(results: list[Result]) -> dict[str, float]:
    """Print and return the fraction of sgemm's speed that LeNet and the VGG-like net reach."""
    speed = sgemm_bound.sgemm_speed()
    print(f"\nsgemm: {2 * speed / 1e9:.0f} GFLOP/s on all threads of BLAS")
    shares = {}
    for result in results:
        name = result.work.removeprefix("fit ").split(",")[0]
        if name in ("LeNet", "VGG-like"):
            least = sgemm_bound.multiply_adds(CASES[name]) * CASES[name].n_rows / speed
            shares[result.work] = least / float(np.median(result.seconds["skcnn"]))
            print(f"    {result.work:24} {shares[result.work]:.0%} of the sgemm bound")
    return shares


def machine() -> dict:
    """Describe the processor and the packages that the figures depend on."""
    libraries = [
        {key: library[key] for key in ("internal_api", "architecture", "num_threads", "version")}
        for library in threadpool_info()
        if library["user_api"] == "blas" and "numpy" in library["filepath"]
    ]
    return {
        "blas": libraries,
        "numpy": np.__version__,
        "torch": torch.__version__,
        "torch_threads": torch.get_num_threads(),
    }


def chart(results: list[Result], path: Path) -> None:
    """Draw the ratios as bars."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 0.5 * len(results) + 1.5), layout="constrained")
    places = np.arange(len(results))
    for shift, against in ((-0.2, "PyTorch"), (0.2, "skorch")):
        ratios = [
            min((r.ratio(name) for name in r.seconds if against in name), default=np.nan)
            for r in results
        ]
        axes.barh(places + shift, ratios, 0.38, label=f"against {against}")
    axes.axvline(1, color="black", linewidth=1)
    axes.set_yticks(places, [result.work for result in results])
    axes.invert_yaxis()
    axes.set_xlabel("times as fast as the other, medians of one run")
    axes.legend()
    figure.savefig(path, dpi=150)


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
    parser.add_argument("--rounds", type=int, default=7, help="number of measured rounds")
    parser.add_argument("--out", type=Path, default=Path("benchmark-results"), help="folder")
    options = parser.parse_args()
    # a single epoch need not converge
    warnings.simplefilter("ignore", ConvergenceWarning)
    rounds = 3 if options.quick else options.rounds
    about = machine()
    print(json.dumps(about), "\n")

    trained = [] if options.long else measure_fits(rounds)
    results = trained + ([] if options.long else measure_predictions(rounds))
    if not options.quick:
        results += measure_long_fits(max(3, rounds // 2))
    if not (options.quick or options.long):
        results.append(measure_search(max(3, rounds // 2)))
    shares = show_sgemm_bound(trained)
    memory = footprint.memory_of_fit()
    importing = footprint.milliseconds_of_import(rounds)
    print(f"\nfit of LeNet on 60,000 images: {memory:.0f} MB beyond the data")
    print(f"import skcnn beyond sklearn.base: {importing:.0f} ms")

    options.out.mkdir(exist_ok=True)
    summary = {
        "machine": about,
        "ratios": {r.work: {n: r.ratio(n) for n in r.seconds} for r in results},
        "seconds": {r.work: r.seconds for r in results},
        "share_of_sgemm_bound": shares,
        "memory_mb": memory,
        "import_ms": importing,
    }
    (options.out / "results.json").write_text(json.dumps(summary, indent=1), encoding="utf-8")
    chart(results, options.out / "results.png")
    print(f"\nWritten: {options.out / 'results.json'}, {options.out / 'results.png'}")


if __name__ == "__main__":
    main()

"""Training LeNet here, in a plain PyTorch loop and through skorch, in one run.

All get the same 5,003 random images 28 x 28 in float32, the same network, Adam
and the same number of threads. They take turns, epoch by epoch, and what is
printed are ratios of the medians of their epochs.

Run ``python -m benchmarks.vs_pytorch`` (needs the extra ``[bench]``).
"""

import argparse

import numpy as np
import torch
from threadpoolctl import threadpool_info

from benchmarks.fits import contenders
from benchmarks.measure import Result, take_turns
from benchmarks.networks import N_ROWS


def main() -> None:
    """Measure and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="epochs of each that are measured")
    rounds = parser.parse_args().rounds
    blas = [library for library in threadpool_info() if "numpy" in library["filepath"]]
    print("BLAS of NumPy:", [(b["architecture"], b["num_threads"]) for b in blas])
    print(f"PyTorch {torch.__version__} on {torch.get_num_threads()} threads\n")
    for batch_size in (32, 128):
        result = Result(f"fit LeNet, batch {batch_size}")
        result.seconds = take_turns(contenders("LeNet", batch_size), rounds)
        print(
            f"Training LeNet, batches of {batch_size}: microseconds per image, median and range, "
            "and ratio to skcnn"
        )
        for name, values in result.seconds.items():
            low, middle, high = np.quantile(values, [0, 0.5, 1]) / N_ROWS * 1e6
            print(
                f"  {name:22} {middle:6.1f}  ({low:.1f} to {high:.1f})  {result.ratio(name):5.2f}"
            )
        loop = min(result.ratio(name) for name in result.seconds if "PyTorch" in name)
        print(
            f"  Throughput of skcnn: {loop:.2f} x the better PyTorch loop, "
            f"{result.ratio('skorch'):.2f} x skorch\n"
        )


if __name__ == "__main__":
    main()

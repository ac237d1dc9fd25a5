"""Do denormal numbers slow long trainings and models down? ``python -m benchmarks.denormals``.

Two networks are trained for 60 epochs on one core. Then the same mini-batches are trained again, in
turns, from the beginnings of the first ten epochs and from those of the last ten, in the same
arrays; so whatever else the machine does slows both of them down. The first ten take part twice,
which shows the noise. Where the processor can be told to take denormal numbers for 0, the last ten
do so as well: the time that this saves is what denormal numbers cost. Printed are CPU times.
"""

import argparse
import contextlib
import ctypes
import pickle
import platform
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from sklearn.datasets import load_digits
from threadpoolctl import threadpool_limits

from skcnn import ScratchCNNClassifier
from skcnn.architectures import lenet
from skcnn.state import TrainingState
from skcnn.training.epoch import EpochRunner
from skcnn.training.minibatch import GRADIENTS, Task, train_step
from skcnn.training.update import Step

EPOCHS, COMPARED = 60, 10
"""Of a training, and how many of the first and of the last are compared."""

FLUSH_BITS = {"x86_64": (7, 0x8040), "aarch64": (0, 1 << 24)}
"""Word of glibc's `fenv_t`, and its bits that make the processor take denormal numbers for 0."""


def digits() -> tuple[np.ndarray, np.ndarray]:
    """The digits of scikit-learn in float32."""
    X, y = load_digits(return_X_y=True)
    return X.astype(np.float32), y


def enlarged_digits() -> tuple[np.ndarray, np.ndarray]:
    """Digits of the size of MNIST's, in a black frame like theirs."""
    X, y = digits()
    images = np.kron(X.reshape(-1, 8, 8), np.ones((3, 3), np.float32))
    return np.pad(images, ((0, 0), (2, 2), (2, 2))), y


CASES: dict[str, tuple[Callable, dict]] = {
    "digits, untouched": (digits, {}),
    "digits of 28 x 28, LeNet": (enlarged_digits, {"layers": lenet(), "weight_decay": 0.0}),
}
"""Data, and what is not the default."""


def denormal(*arrays: np.ndarray) -> int:
    """Count the denormal numbers of arrays."""
    return sum(
        np.count_nonzero((a != 0) & (np.abs(a) < np.finfo(a.dtype).smallest_normal)) for a in arrays
    )


def trained(
    X: np.ndarray, y: np.ndarray, parameters: dict
) -> tuple[ScratchCNNClassifier, EpochRunner, list[TrainingState]]:
    """Train, and keep the states in which epochs began, and what they ran in."""
    states: list[TrainingState] = []
    runners: list[EpochRunner] = []
    run = EpochRunner.run

    def keeping_run(self: EpochRunner) -> tuple[float, float, float]:
        states.append(self.state.copy())
        runners[:] = [self]
        return run(self)

    clf = ScratchCNNClassifier(
        **parameters, batch_size=32, max_iter=EPOCHS, n_iter_no_change=None, random_state=0
    )
    EpochRunner.run = keeping_run  # type: ignore[method-assign]
    try:
        clf.fit(X, y)
    finally:
        EpochRunner.run = run  # type: ignore[method-assign]
    return clf, runners[0], [*states, runners[0].state.copy()]


def step_seconds(runner: EpochRunner, state: TrainingState, batch: int) -> float:
    """CPU time of one mini-batch of an epoch, with the parameters in which the epoch began."""
    runner.state.restore(state)
    part, step = runner.batches[batch], state.step + batch + 1
    n_rows = part.stop - part.start
    update = Step(step, state.history.get("lr", [1e-3])[-1], 1 / n_rows, n_rows, step)
    task = Task(GRADIENTS, 1, 0, 0, state.epoch, batch, part.start, part.stop, update)
    start = time.thread_time()
    train_step(runner.replica, task, partial(runner.replica.run, rank=0))
    return time.thread_time() - start


@contextlib.contextmanager
def denormals_are_zero() -> Iterator[None]:
    """Have this thread's processor take denormal numbers for 0."""
    libm = ctypes.CDLL("libm.so.6")
    before, changed = (ctypes.c_uint32 * 16)(), (ctypes.c_uint32 * 16)()
    libm.fegetenv(before)
    libm.fegetenv(changed)
    word, bits = FLUSH_BITS[platform.machine()]
    changed[word] |= bits
    libm.fesetenv(changed)
    try:
        yield
    finally:
        libm.fesetenv(before)


def can_take_denormals_for_zero() -> bool:
    """Whether `denormals_are_zero` works here."""
    if platform.machine() not in FLUSH_BITS or platform.libc_ver()[0] != "glibc":
        return False
    with denormals_are_zero():
        return not (np.full(4, 1e-30, np.float32) * np.float32(1e-10)).any()


def compare_epochs(
    runner: EpochRunner, states: list[TrainingState], rounds: int
) -> dict[str, np.ndarray]:
    """Take turns between early and late epochs, mini-batch by mini-batch.

    Returns
    -------
    dict of ndarray of shape (COMPARED * rounds, n_batches)
    """
    late = EPOCHS - COMPARED
    contenders: dict[str, tuple[int, Callable]] = {
        "first ten epochs": (0, contextlib.nullcontext),
        "again": (0, contextlib.nullcontext),
        "last ten epochs": (late, contextlib.nullcontext),
    }
    if can_take_denormals_for_zero():
        contenders["last ten, denormals as 0"] = (late, denormals_are_zero)
    rng = np.random.default_rng(0)
    names, batches = list(contenders), range(len(runner.batches) - 1)  # the last one is smaller
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for epoch in range(COMPARED):
            np.copyto(runner.replica.buffers.order, rng.permutation(len(runner.samples)))
            for batch in batches:
                for i in rng.permutation(len(names)):
                    first, context = contenders[names[i]]
                    with context():
                        taken = step_seconds(runner, states[first + epoch], batch)
                    seconds[names[i]].append(taken)
    shape = (COMPARED * rounds, len(batches))
    return {name: np.reshape(taken, shape) for name, taken in seconds.items()}


def compare_predictions(
    clf: ScratchCNNClassifier, X: np.ndarray, rounds: int
) -> dict[str, list[float]]:
    """Take turns between models whose smallest fifth of the weights is 0 or denormal."""
    zeros, denormals = (pickle.loads(pickle.dumps(clf)) for _ in range(2))
    small = np.abs(clf.weights_) <= np.quantile(np.abs(clf.weights_), 0.2)
    zeros.weights_[small] = 0
    denormals.weights_[small] = 1e-39
    models = {
        "small weights are 0": zeros,
        "denormal, loaded": pickle.loads(pickle.dumps(denormals)),
        "denormal, put there by hand": denormals,
    }
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(rounds):
        for name, model in models.items():
            start = time.thread_time()
            model.predict(X)
            seconds[name].append(time.thread_time() - start)
    return seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.denormals",
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=3, help="of each epoch, at least 1")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("rounds must be at least 1")
    warnings.simplefilter("ignore")
    with threadpool_limits(1):
        for name, (load, parameters) in CASES.items():
            X, y = load()
            clf, runner, states = trained(X, y, parameters)
            weights, moments = states[-1].weights, list(states[-1].moments.values())
            print(
                f"{name}: {denormal(weights)} of {weights.size:,} weights and "
                f"{denormal(*moments)} of {sum(m.size for m in moments):,} moments are denormal"
            )
            epochs = compare_epochs(runner, states, options.rounds)
            first = epochs["first ten epochs"]
            for contender, seconds in epochs.items():
                epoch = float(np.median(seconds.sum(axis=1)))
                ratio = np.quantile(seconds / first, 0.5, axis=1)  # mini-batch by mini-batch
                low, middle, high = np.quantile(ratio, [0.25, 0.5, 0.75])
                print(
                    f"    {contender:28} {epoch:6.3f} s an epoch   {middle:.3f} "
                    f"({low:.3f} to {high:.3f})"
                )
            predictions = compare_predictions(clf, X, 7 * options.rounds)
            base = np.median(predictions["small weights are 0"])
            for contender, taken in predictions.items():
                middle = float(np.median(taken))
                print(f"    {contender:28} {1e3 * middle:6.1f} ms          {middle / base:.3f}")


if __name__ == "__main__":
    main()

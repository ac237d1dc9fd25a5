"""Training: epochs, mini-batches, micro-batches, when to stop, what to remember."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from math import inf, sqrt
from typing import Any, NamedTuple

import numpy as np

from skcnn.batches import Images
from skcnn.inference import outputs
from skcnn.losses import Loss, SoftmaxCrossEntropy
from skcnn.network import Network
from skcnn.optimizers import Optimizer
from skcnn.parallel import Workers
from skcnn.schedules import Constant, Schedule
from skcnn.workspace import Workspace

__all__ = [
    "Progress",
    "Samples",
    "Settings",
    "TrainingState",
    "Validation",
    "new_state",
    "stream",
    "train",
]

DIVERGED = 1000.0
"""Loss of an epoch, relative to the first batch's, from which training has diverged."""

CHUNK = 2**16
"""Parameters that the optimizer moves at a time."""

_STREAMS = {"init": 0, "shuffle": 1, "layers": 2, "split": 3}


def stream(seed: int, purpose: str, *where: int) -> np.random.Generator:
    """A stream of random numbers for one purpose at one place of the training.

    Streams are told apart by the key and the counter of Philox (Salmon et al.
    2011), so that none depends on what was drawn before, or on which thread.

    Parameters
    ----------
    seed : int
    purpose : {"init", "shuffle", "layers", "split"}
    *where : int
        Up to three numbers, such as epoch, batch and micro-batch.
    """
    counter = [0, *where, *[0] * (3 - len(where))]
    key = np.array([seed, _STREAMS[purpose]], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=np.array(counter, np.uint64)))


@dataclass(frozen=True, repr=False, eq=False)
class Samples:
    """Images with what is known of them.

    Parameters
    ----------
    images : Images
    targets : ndarray of int of shape (n,) or of bool of shape (n, labels)
        Class of every image, or its labels, as the loss takes them.
    weights : ndarray of shape (n,)
        Weight of every image.
    """

    images: Images
    targets: np.ndarray
    weights: np.ndarray

    def __len__(self) -> int:
        return len(self.targets)

    def subset(self, rows: np.ndarray, dtype: np.dtype) -> "Samples":
        """Some of the samples, with weights that are 1 on average."""
        part = Samples(self.images.subset(rows), self.targets[rows], self.weights[rows])
        return part.normalised(dtype)

    def normalised(self, dtype: np.dtype) -> "Samples":
        """The same samples with weights that are 1 on average."""
        return replace(self, weights=(self.weights / self.weights.mean()).astype(dtype))


class Settings(NamedTuple):
    """How to train; the names are those of `ScratchCNNClassifier`.

    Parameters
    ----------
    optimizer : Optimizer
    lr, weight_decay : float
    batch_size, max_iter : int
    shuffle : bool
    tol : float
    n_iter_no_change : int
    max_bytes : float
        Memory that each worker's arrays may take.
    lr_schedule : Schedule
    restart_schedule : bool
        Whether it counts epochs from the start of this training, or from the
        model's first.
    max_grad_norm : float or None
    loss : Loss
    """

    optimizer: Optimizer
    lr: float
    weight_decay: float
    batch_size: int
    max_iter: int
    shuffle: bool
    tol: float
    n_iter_no_change: int
    max_bytes: float = np.inf
    lr_schedule: Schedule = Constant()
    restart_schedule: bool = False
    max_grad_norm: float | None = None
    loss: Loss = SoftmaxCrossEntropy()


@dataclass(repr=False, eq=False)
class TrainingState:
    """All that training changes, and all that is needed to go on with it.

    Attributes
    ----------
    seed : int
        Where all random numbers come from.
    weights : ndarray of shape (vector_size,)
        The last weights, and the untrained state.
    moments : dict of ndarray
        What the optimizer remembers.
    epoch, step : int
        Epochs and optimizer steps that are complete.
    first_loss : float or None
        Loss of the first mini-batch, the measure of divergence.
    best : float
        Best score on the validation part, or best negative loss.
    best_weights : ndarray or None
        The weights of the best score; kept with a validation part only.
    no_improvement : int
        Consecutive epochs without an improvement of at least ``tol``.
    history : dict of list
        One number an epoch: "loss", "accuracy", "lr" (of the last mini-batch),
        and with a validation part "validation_loss" and "validation_score".
    criterion : object or None
        What epochs are judged by: None is the loss, anything else a score on a
        validation part; see `judge_by`.
    """

    seed: int
    weights: np.ndarray
    moments: dict[str, np.ndarray]
    epoch: int = 0
    step: int = 0
    first_loss: float | None = None
    best: float = -np.inf
    best_weights: np.ndarray | None = None
    no_improvement: int = 0
    history: dict[str, list[float]] = field(default_factory=dict)
    criterion: object = None

    def copy(self) -> "TrainingState":
        """An independent copy, to go back to."""
        return TrainingState(
            self.seed,
            np.array(self.weights),  # no memory map, unlike its method `copy`
            {name: np.array(moment) for name, moment in self.moments.items()},
            self.epoch,
            self.step,
            self.first_loss,
            self.best,
            None if self.best_weights is None else np.array(self.best_weights),
            self.no_improvement,
            {name: list(values) for name, values in self.history.items()},
            self.criterion,
        )

    def judge_by(self, criterion: object) -> None:
        """Go on with a criterion; the best by another one is forgotten.

        The history of the validation part is as long as the others, NaN where
        there was none, or another.
        """
        if self.epoch and criterion == self.criterion:
            return
        self.criterion = criterion
        self.forget_best()
        for name in ("validation_loss", "validation_score"):
            self.history.pop(name, None)
            if criterion is not None and self.epoch:
                self.history[name] = [float("nan")] * self.epoch

    def forget_best(self) -> None:
        """Judge anew from here."""
        self.best, self.best_weights, self.no_improvement = -np.inf, None, 0

    def record(self, **values: float) -> None:
        """Add the numbers of one epoch to the history."""
        for name, value in values.items():
            self.history.setdefault(name, []).append(value)


def new_state(network: Network, optimizer: Optimizer, seed: int) -> TrainingState:
    """The state in which training starts."""
    weights = network.init(stream(seed, "init"))
    return TrainingState(seed, weights, optimizer.moments(weights[: network.n_parameters]))


class Validation(NamedTuple):
    """What every epoch is judged on.

    Parameters
    ----------
    samples : Samples
    score : callable or None, default=None
        Takes the `TrainingState` after an epoch, the loss on these samples
        being the last in its history, and returns a finite number; greater is
        better. None is the accuracy.
    """

    samples: Samples
    score: Callable[[TrainingState], float] | None = None


class Progress:
    """Hears of every epoch; this one keeps it to itself."""

    def begin(self, state: TrainingState) -> None:
        """Hear that an epoch begins."""

    def end(self, state: TrainingState, seconds: float, n_samples: int) -> bool:
        """Hear that an epoch is complete, and say whether training shall stop."""
        return False


def train(
    network: Network,
    samples: Samples,
    settings: Settings,
    state: TrainingState,
    workers: Workers,
    validation: Validation | None = None,
    progress: Progress | None = None,
    epochs: int | None = None,
) -> tuple[TrainingState, str]:
    """Train for at most so many epochs.

    Parameters
    ----------
    network : Network
    samples : Samples
        What to learn from.
    settings : Settings
    state : TrainingState
        Where to start; it is changed, and worthless afterwards.
    workers : Workers
    validation : Validation or None, default=None
        Scored after each epoch, to stop when the score no longer grows.
    progress : Progress or None, default=None
        Hears of each epoch, and may ask to stop.
    epochs : int or None, default=None
        None is ``settings.max_iter``, which schedules see in any case.

    Returns
    -------
    state : TrainingState
        Of the last good epoch.
    reason : {"max_iter", "no_change", "stopped", "diverged", "interrupted"}
        Why training ended; "stopped" is what `progress` asked for.

    Raises
    ------
    KeyboardInterrupt
        When interrupted before the first epoch was complete.
    """
    progress = progress or Progress()
    schedule_start = state.epoch if settings.restart_schedule else 0
    passes = _Passes(network, samples, settings, workers, schedule_start)
    good = state.copy()
    for complete in range(settings.max_iter if epochs is None else epochs):
        start = time.perf_counter()
        progress.begin(good)
        try:
            loss, accuracy, lr = passes.epoch(state)
            if _diverged(loss, state):
                return good, "diverged"
            state.epoch += 1
            state.record(loss=loss, accuracy=accuracy, lr=lr)
            if validation is not None:
                score_validation(network, validation, state, workers, settings)
            _judge(state, settings.tol, validation is not None)
            snapshot = state.copy()
        except KeyboardInterrupt:
            if complete == 0:
                raise
            return good, "interrupted"
        good = snapshot
        stop = progress.end(good, time.perf_counter() - start, len(samples))
        if good.no_improvement >= settings.n_iter_no_change:
            good.no_improvement = 0  # who goes on all the same wants more than one epoch
            return good, "no_change"
        if stop:
            return good, "stopped"
    return good, "max_iter"


def _diverged(loss: float, state: TrainingState) -> bool:
    if state.first_loss is None:  # no batch had any weight
        return False
    # whoever goes on from learned weights starts near 0, which is no measure of divergence
    limit = DIVERGED * max(state.first_loss, 1e-3)
    return not (loss <= limit and np.isfinite(state.weights).all())


def _judge(state: TrainingState, tol: float, validated: bool) -> None:
    """Compare the last epoch with the best, as `MLPClassifier` does."""
    if validated:
        score = state.history["validation_score"][-1]
    else:
        score = -state.history["loss"][-1]
    state.no_improvement = 0 if score >= state.best + tol else state.no_improvement + 1
    if score > state.best:
        state.best = score
        if validated:
            state.best_weights = state.weights.copy()


def score_validation(
    network: Network,
    validation: Validation,
    state: TrainingState,
    workers: Workers,
    settings: Settings,
) -> None:
    """Record loss and score on the validation part; loss and accuracy are weighted."""
    samples = validation.samples
    z = outputs(network, state.weights, samples.images, workers, settings.max_bytes)
    z = z.astype(np.float64)
    with np.errstate(all="ignore"):
        result = settings.loss.loss_and_gradient(
            z, np.empty_like(z), samples.targets, samples.weights
        )
    total = float(samples.weights.sum())
    state.record(validation_loss=result.loss / total)
    if validation.score is None:
        state.record(validation_score=result.correct / total)
    else:
        state.record(validation_score=validation.score(state))


class _Passes:
    """Passes over the samples, with all memory they need.

    Every worker has a workspace and a gradient of its own; the first
    micro-batch of a mini-batch writes its gradient straight into the total.
    """

    def __init__(
        self,
        network: Network,
        samples: Samples,
        settings: Settings,
        workers: Workers,
        schedule_start: int,
    ) -> None:
        self.network, self.samples = network, samples
        self.settings, self.workers = settings, workers
        self.schedule_start = schedule_start
        self.draws = any(layer.draws for layer in network.layers)
        self.batch_size = min(settings.batch_size, len(samples))
        self.size = network.micro_batch_size(self.batch_size, settings.max_bytes)
        joined = network.samples_together > 1  # a single sample may join a batch
        self.capacity = self.size + joined
        self.cuts = network.micro_batches(len(samples), self.batch_size)
        if joined and self.batch_size == 1:
            raise ValueError(
                "BatchNorm needs mini-batches of at least 2 samples to learn from, got "
                f"batch_size={settings.batch_size} and {len(samples)} sample(s)."
            )
        self.workspaces: dict[int, Workspace] = {}
        self.total = np.empty(network.vector_size, network.dtype)
        self.total_grads = network.unpack(self.total)
        n = network.n_parameters
        self.chunks = [slice(i, min(i + CHUNK, n)) for i in range(0, n, CHUNK)]
        self.parts: dict[int, np.ndarray] = {}
        self.part_grads: dict[int, list[Any]] = {}

    def epoch(self, state: TrainingState) -> tuple[float, float, float]:
        """One pass over all samples; returns mean loss, accuracy and the last rate."""
        loss = correct = weight = 0.0
        params = self.network.unpack(state.weights)
        rates = self._rates(state)
        for batch, (rows, lr) in enumerate(zip(self._batches(state), rates, strict=True)):
            weights = self.samples.weights[rows]
            total = float(weights.sum(dtype=np.float64))
            if total == 0:  # nothing to learn here, not even to forget
                continue
            batch_loss, batch_correct = self._gradient(state, params, batch, rows, weights)
            if state.first_loss is None:
                state.first_loss = batch_loss / total
            loss, correct, weight = loss + batch_loss, correct + batch_correct, weight + total
            self._step(state, len(rows), lr)
        return (loss / weight, correct / weight, lr) if weight else (0.0, 0.0, lr)

    def _rates(self, state: TrainingState) -> list[float]:
        """Learning rate of each mini-batch of this epoch."""
        settings, start = self.settings, self.schedule_start
        epoch, n = state.epoch - start, len(self.cuts)
        history = {name: values[start:] for name, values in state.history.items()}
        multiplier, max_iter = settings.lr_schedule.multiplier, settings.max_iter
        return [settings.lr * float(multiplier(epoch + i / n, max_iter, history)) for i in range(n)]

    def _batches(self, state: TrainingState) -> Iterator[np.ndarray]:
        n = len(self.samples)
        if self.settings.shuffle:
            order = stream(state.seed, "shuffle", state.epoch).permutation(n)
        else:
            order = np.arange(n)
        for part in self.cuts:
            yield order[part]

    def _gradient(
        self,
        state: TrainingState,
        params: list[Any],
        batch: int,
        rows: np.ndarray,
        weights: np.ndarray,
    ) -> tuple[float, float]:
        """Sum the gradient over a mini-batch into `total`, in micro-batch order."""
        parts = self.network.micro_batches(len(rows), self.size)
        sums = [0.0, 0.0]

        def task(worker: int, i: int) -> Any:
            workspace, grads = self._memory(worker, i)
            part = rows[parts[i]]
            arrays = workspace.arrays(len(part))
            rng = stream(state.seed, "layers", i, batch, state.epoch) if self.draws else None
            with np.errstate(all="ignore"):
                self.samples.images.gather(part, arrays.x[0])
                self.network.run_forward(arrays, params, True, rng)
                result = self.settings.loss.loss_and_gradient(
                    arrays.x[-1], arrays.dx[-1], self.samples.targets[part], weights[parts[i]]
                )
                self.network.run_backward(arrays, params, grads)
            return worker, result

        def in_order(i: int, result: Any) -> None:
            worker, batch_sums = result
            sums[0] += batch_sums.loss
            sums[1] += batch_sums.correct
            if i > 0:
                with np.errstate(all="ignore"):
                    self.total += self.parts[worker]

        self.workers.run(len(parts), task, in_order)
        return sums[0], sums[1]

    def _memory(self, worker: int, i: int) -> tuple[Workspace, list[Any]]:
        if worker not in self.workspaces:
            self.workspaces[worker] = Workspace(self.network, self.capacity)
        if i == 0:
            return self.workspaces[worker], self.total_grads
        if worker not in self.parts:
            self.parts[worker] = np.empty_like(self.total)
            self.part_grads[worker] = self.network.unpack(self.parts[worker])
        return self.workspaces[worker], self.part_grads[worker]

    def _step(self, state: TrainingState, n_rows: int, lr: float) -> None:
        """Divide and clip the summed gradient, add the weight decay, move the weights.

        Chunk by chunk, so that all passes over a chunk find it in the cache.
        The untrained state moves by what the layers have written for it.
        """
        settings, end = self.settings, self.network.n_decayed
        state.step += 1
        with np.errstate(all="ignore"):
            scale = 1 / n_rows
            if settings.max_grad_norm is not None:
                scale *= self._clip(settings.max_grad_norm * n_rows)
            for part in self.chunks:
                w, g = state.weights[part], self.total[part]
                g *= scale
                if settings.weight_decay and part.start < end:
                    decayed = slice(end - part.start)
                    if settings.optimizer.decoupled:
                        w[decayed] *= 1 - lr * settings.weight_decay
                    else:
                        g[decayed] += settings.weight_decay * w[decayed]
                moments = {name: moment[part] for name, moment in state.moments.items()}
                settings.optimizer.step(w, g, moments, lr, state.step)
            if self.network.vector_size > self.network.n_parameters:
                untrained = slice(self.network.n_parameters, None)
                state.weights[untrained] -= self.total[untrained] * (1 / n_rows)

    def _clip(self, limit: float) -> float:
        """``min(1, limit / ‖g‖)`` of the summed gradient (Pascanu et al. 2013, algorithm 1).

        The squares are summed in float64, and without BLAS, so that the sum is
        the same for any number of threads; gradients whose squares leave even
        float64 are measured in a larger unit.
        """
        for unit in (1.0, 2.0**600):
            squares = 0.0
            for part in self.chunks:
                g = self.total[part] if unit == 1 else self.total[part] / unit
                squares += float(np.add.reduce(np.square(g, dtype=np.float64)))
            if squares < inf:
                break
        norm = unit * sqrt(squares)
        return limit / norm if norm > limit else 1.0

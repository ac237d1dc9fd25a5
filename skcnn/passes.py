"""One pass over the samples: mini-batches, micro-batches, and the steps of the weights."""

from collections.abc import Iterator
from math import inf, sqrt
from typing import Any

import numpy as np

from skcnn.batches import Samples
from skcnn.network import Network
from skcnn.settings import Settings
from skcnn.state import TrainingState, stream
from skcnn.workers import Workers
from skcnn.workspace import Workspace

__all__ = ["Passes"]

CHUNK = 2**16
"""Parameters that the optimizer moves at a time."""


class Passes:
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
        self.draws = network.chain.draws
        self.batch_size = min(settings.batch_size, len(samples))
        self.size = network.micro_batch_size(self.batch_size, settings.max_bytes)
        joined = network.samples_together > 1  # a single sample may join a batch
        self.capacity = self.size + joined
        self.cuts = network.micro_batches(len(samples), self.batch_size)
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
            self._step(state, len(rows), total, lr)
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
                arrays.weights[...] = weights[parts[i]]
                arrays.forward(params, True, rng)
                result = self.samples.loss.loss_and_gradient(
                    arrays.x[-1], arrays.dx[-1], self.samples.targets[part], weights[parts[i]]
                )
                arrays.backward(params, grads)
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

    def _step(self, state: TrainingState, n_rows: int, weight: float, lr: float) -> None:
        """Divide and clip the summed gradient, add the weight decay, move the weights.

        Chunk by chunk, so that all passes over a chunk find it in the cache.
        The untrained state moves towards what the layers have written for it,
        summed over samples that have this `weight` together.
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
            state.averaged += 1
            if self.network.vector_size > self.network.n_parameters:
                untrained = slice(self.network.n_parameters, None)
                rates = np.maximum(self.network.state_rates, 1 / state.averaged)
                state.weights[untrained] -= self.total[untrained] * (rates / weight)

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

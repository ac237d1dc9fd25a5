"""Branch of fixed kernels beside the learned network of a signal, and the sum of both.

The branch has features from kernels that are not trained, and an output layer that is
solved in closed form. It is solved before the first epoch and added after the last one,
so that the fitted network is one network.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from skcnn._estimator.auto import is_auto, or_auto
from skcnn._estimator.data import Data
from skcnn._estimator.labels import ClassEncoder
from skcnn._estimator.model import Model, TargetEncoder
from skcnn._hyperparameters import check_int
from skcnn.architectures.fixed_features import count_features, fixed_features, with_fixed_branch
from skcnn.inference import outputs
from skcnn.layers._layer import Shape
from skcnn.losses import SquaredError
from skcnn.network import Network
from skcnn.parallel.threads import Threads
from skcnn.ridge import RidgeFit, calibrate, calibrate_labels, fit_ridge, merge_rows
from skcnn.state import TrainingState, stream

__all__ = ["FixedBranch", "count_fixed_features", "solve_fixed_branch"]

HALF = 200
"""Number of rows from which on the learned branch counts more than the fixed one."""

LEAST_SHARE = 1 / 4
"""Least share of either branch."""

SHARPENED = 1.2
"""Factor of the sum of logits: a mean of two predictions is less certain than it should be."""


class FixedBranch(NamedTuple):
    """A branch that is solved, with its part in the sum.

    Parameters
    ----------
    network : Network
        The layers that compute the features.
    params : ndarray
        Their flat vector.
    weight, bias : ndarray of float64 of shape (n_outputs, n_features) and (n_outputs,)
        The output layer.
    share : float
        Factor of the learned branch.
    """

    network: Network
    params: np.ndarray
    weight: np.ndarray
    bias: np.ndarray
    share: float

    def join(self, model: Model, state: TrainingState) -> tuple[Model, TrainingState]:
        """Return model and state with the sum of both branches as their network.

        What is trained comes first in flat vectors, and stays where it was: the
        fixed branch has constants only. So the optimizer's moments stay, too.
        """
        learned = model.network
        layers = with_fixed_branch(learned.layers, self.network.layers)
        network = Network(layers, learned.input_shape, learned.dtype)
        best = state.best_weights
        state = replace(
            state,
            weights=self._vector(network, learned, state.weights),
            best_weights=None if best is None else self._vector(network, learned, best),
        )
        return replace(model, network=network), state

    def _vector(self, network: Network, learned: Network, params: np.ndarray) -> np.ndarray:
        """Return the flat vector of the sum."""
        vector = np.empty(network.vector_size, network.dtype)
        arrays = network.unpack(vector)[0]
        last = len(learned.layers) - 1
        for i, own in enumerate(learned.unpack(params)):
            for name, array in own.items():
                arrays[f"0.{i}.{name}"][...] = array * self.share if i == last else array
        n_fixed = len(self.network.layers)
        for i, own in enumerate(self.network.unpack(self.params)):
            for name, array in own.items():
                arrays[f"1.{i}.{name}"][...] = array
        arrays[f"1.{n_fixed}.weight"][...] = self.weight
        arrays[f"1.{n_fixed}.bias"][...] = self.bias
        return vector


def count_fixed_features(
    estimator: Any, shape: Shape, encoder: TargetEncoder, completes: bool
) -> int:
    """Return about how many fixed features there will be, 0 for no branch.

    Parameters
    ----------
    estimator : estimator
    shape : tuple of int
        (Channels, height, width).
    encoder : TargetEncoder
    completes : bool
        Whether this call completes the training.

    Raises
    ------
    ValueError
        For other values, and for a number where no branch can be added.
    """
    caller, given = type(estimator).__name__, estimator.fixed_features
    obstacle = _obstacle(shape, encoder)
    if is_auto(given):
        wanted = obstacle is None and estimator.layers is None and completes
        return count_features(shape[-1]) if wanted else 0
    number = or_auto(check_int, caller, "fixed_features", given, 0)
    if number and obstacle is not None:
        raise ValueError(f"{caller}: fixed_features must be 0 or 'auto' {obstacle}, got {number}.")
    return number


def _obstacle(shape: Shape, encoder: TargetEncoder) -> str | None:
    """Return the reason for which no branch can be added, if there is one."""
    if shape[1] > 1:
        return f"for images, and their shape is {shape}"
    if isinstance(encoder, ClassEncoder) or isinstance(encoder.loss, SquaredError):
        return None
    return "unless loss='squared_error'"


def solve_fixed_branch(
    model: Model, data: Data, n_features: int, seed: int, threads: Threads, max_bytes: float
) -> FixedBranch:
    """Set thresholds and solve the output layer for the training rows.

    Parameters
    ----------
    model : Model
    data : Data
        The training rows.
    n_features : int
    seed : int
        Seed of the training, from which channels are drawn.
    threads : Threads
    max_bytes : float
        Memory that each thread's arrays may take.
    """
    shape, dtype = model.network.input_shape, model.network.dtype
    images = data.input.images.with_scaling(model.scaling)
    network = Network(fixed_features(shape[-1], n_features), shape, dtype)
    params = network.init(stream(seed, "init", 1))
    network.init_from_rows(params, images.training_rows(data.weights.total, dtype))
    targets = model.encoder.transform(data.targets, np.dtype(np.float64))
    rows, sample_weight = merge_rows(images.hashes(), targets, data.weights.total)

    def features(part: slice) -> np.ndarray:
        return outputs(network, params, images.subset(rows[part]), threads, max_bytes).T

    fit, slope, offset = _solve(features, targets[rows], sample_weight, model.encoder)
    share = float(np.clip(len(rows) / (len(rows) + HALF), LEAST_SHARE, 1 - LEAST_SHARE))
    factor = SHARPENED if isinstance(model.encoder, ClassEncoder) else 1.0
    other = (1 - share) * (factor * slope)
    weight = fit.weight * other[:, np.newaxis]
    bias = fit.bias * other + (1 - share) * factor * offset
    return FixedBranch(network, params, weight, bias, share * factor)


def _solve(
    features: Callable[[slice], np.ndarray],
    targets: np.ndarray,
    sample_weight: np.ndarray,
    encoder: TargetEncoder,
) -> tuple[RidgeFit, np.ndarray, np.ndarray]:
    """Solve the output layer; return it, and factors and offsets that turn outputs into logits.

    Classes have one factor, so that none is favoured, and labels one each, with an
    offset. Quantities stay as they are.
    """
    ones, zeros = np.ones(encoder.n_outputs), np.zeros(encoder.n_outputs)
    if not isinstance(encoder, ClassEncoder):
        return fit_ridge(features, targets, sample_weight), ones, zeros
    if encoder.multilabel:
        fit = fit_ridge(features, 2.0 * targets - 1, sample_weight)
        n = len(fit.left_out)
        return fit, *calibrate_labels(fit.left_out, targets[:n], sample_weight[:n])
    fit = fit_ridge(features, np.eye(encoder.n_outputs)[targets], sample_weight)
    n = len(fit.left_out)
    return fit, ones * calibrate(fit.left_out, targets[:n], sample_weight[:n]), zeros

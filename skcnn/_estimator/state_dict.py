"""Weights of a fitted estimator as named arrays, to read and to replace."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from reprlib import repr as short
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skcnn._estimator.arrays import as_numbers, shape_of
from skcnn._hyperparameters import check_bool
from skcnn.denormals import flush
from skcnn.inference import front
from skcnn.layers import Layer
from skcnn.layers._layer import Params
from skcnn.network import Network
from skcnn.parallel.contexts import in_own_context

__all__ = ["WeightsMixin"]

TORCH_NAMES = {"running_variance": "running_var"}
"""PyTorch's names of arrays that have another name here."""

FROM_TORCH = {theirs: ours for ours, theirs in TORCH_NAMES.items()}

COUNTER = "num_batches_tracked"
"""Name of PyTorch's batch counter, which predictions do not need."""

KINDS = {"weight", "bias", "running_mean", "running_var"}
"""Last parts of names that identify the kind of an array, and must agree."""


UNFITTED = (
    "This %(name)s has no weights to replace yet: call initialize(X, y), which makes it ready "
    "without training it, or fit."
)


class WeightsMixin:
    """Public methods that read and replace the weights."""

    weights_: np.ndarray
    network_: Network

    @abstractmethod
    def _snapshot(self) -> Self:
        """Return a shallow copy of this fitted estimator whose attributes belong to one fit."""

    def get_weights(self) -> list[dict[str, np.ndarray]]:
        """Return copies of all arrays, as `set_weights` takes them.

        Returns
        -------
        list of dict
            Arrays of every layer in ``layers_`` by name ("weight", "bias",
            "running_mean", "running_variance"); ``{}`` for a layer without any.
        """
        fitted = self._snapshot()
        return fitted.network_.unpack(fitted.weights_.copy())

    @in_own_context
    def set_weights(
        self, arrays: list[dict[str, np.ndarray]] | Mapping[str, Any], *, prefix: str = ""
    ) -> Self:
        """Replace the weights, for instance by those of another framework.

        Call `initialize` first if the estimator has never been fitted.

        Parameters
        ----------
        arrays : list of dict, or mapping from str to array-like
            Either a list as `get_weights` returns it: the arrays of every layer by
            name, for convolutions of shape (filters, channels, height, width) and
            for dense layers (units, inputs). Or all arrays in one mapping, such as
            PyTorch's ``state_dict()``, in the order of the layers (in a residual
            block, the shortcut is last). Names then matter only if they end in
            "weight", "bias", "running_mean" or "running_var"; those that end in
            "num_batches_tracked" are ignored. If the names are exactly those of
            `to_state_dict`, their order does not matter.
            (`skcnn.persistence.from_keras` makes such a list from Keras' weights.)
        prefix : str, default=""
            Beginning of the names, in `to_state_dict`, of the arrays that are
            replaced, such as "0." for those of the first layer and the layers
            inside it. `arrays` is then a mapping of all of these, under names
            without the prefix, and all other arrays are kept.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If names or shapes do not match, or a number is not finite. With
            `prefix`, all arrays within it must be given, and no others.

        Examples
        --------
        >>> import numpy as np
        >>> from skcnn import ScratchCNNRegressor
        >>> reg = ScratchCNNRegressor(layers=[], scale_input=False)
        >>> reg = reg.initialize(np.zeros((2, 4)), [-1.0, 1.0])
        >>> weights = {"0.weight": [[1.0, 0.0, 0.0, 2.0]], "0.bias": [0.5]}
        >>> reg.set_weights(weights).predict([[1.0, 9.0, 9.0, 3.0]])
        array([7.5])
        """
        check_is_fitted(self, msg=UNFITTED)
        self.weights_ = _pack(self.network_, arrays, self.weights_, prefix)
        self.__dict__.pop("_training_state", None)
        return self

    def to_state_dict(self, *, head: bool = True) -> dict[str, np.ndarray]:
        """Return copies of all arrays under PyTorch's names.

        Parameters
        ----------
        head : bool, default=True
            Whether to include the output layer, the last of ``layers_``. Without
            it they are the arrays of the layers whose output is `transform`'s.

        Returns
        -------
        dict from str to ndarray
            Arrays under names such as "0.weight", "0.bias" and "1.running_var",
            where the number is the position in ``layers_``. Converted by
            ``torch.from_numpy``, they can be passed to ``load_state_dict`` of a
            ``torch.nn.Sequential`` of the same layers.
        """
        check_bool("to_state_dict", "head", head)
        fitted = self._snapshot()
        network, params = fitted.network_, fitted.weights_
        if not head:
            network, params = front(network, params)
        named = _named(network.layers, network.unpack(params))
        return {name: array.copy() for name, array in named.items()}


def _pack(network: Network, arrays: Any, weights: np.ndarray, prefix: Any) -> np.ndarray:
    """Return the flat vector of `arrays`, which are one dict per layer or one mapping of all.

    Parameters
    ----------
    network : Network
    arrays, prefix
        As `set_weights` takes them.
    weights : ndarray of shape (vector_size,)
        Flat vector with the arrays that are not replaced.

    Raises
    ------
    ValueError
        If names or shapes are not those of the network, or a number is not finite.
    """
    vector = weights.copy()
    mine = network.unpack(vector)
    if not isinstance(prefix, str) or prefix or isinstance(arrays, Mapping):
        ours = _within(_named(network.layers, mine), prefix)
        pairs = _match_by_name_or_order(ours, arrays)
    else:
        pairs = _match_by_layer(mine, arrays)
    for kind, array, given, what in pairs:
        numbers = as_numbers(given, what, "set_weights")
        with np.errstate(over="ignore"):
            array[...] = numbers
        if kind == "running_variance" and array.min() < 0:
            raise ValueError(
                f"set_weights: {what} is a variance and must not be negative, but its minimum is "
                f"{array.min():g}."
            )
    if not np.isfinite(vector).all():
        raise ValueError(
            f"set_weights: arrays must hold numbers that are finite in {network.dtype}."
        )
    flush(vector)
    return vector


def _within(named: dict[str, np.ndarray], prefix: Any) -> dict[str, np.ndarray]:
    """Return the arrays under a prefix, whose last dot may be left out, without the prefix."""
    if isinstance(prefix, str) and not prefix:
        return named
    begin = f"{str(prefix).removesuffix('.')}."
    found = {
        name.removeprefix(begin): array for name, array in named.items() if name.startswith(begin)
    }
    if not isinstance(prefix, str) or not found:
        raise ValueError(
            "set_weights: prefix must be the beginning of some names of arrays, up to a dot, which "
            f"are {list(named)}, got {short(prefix)}."
        )
    return found


Pairs = list[tuple[str, np.ndarray, Any, str]]
"""Tuples of kind, destination, value, and the value's name for errors."""


def _match_by_layer(mine: list[dict[str, np.ndarray]], arrays: Any) -> Pairs:
    """Match a list of one dict per layer by the names of the arrays."""
    if not isinstance(arrays, (list, tuple)) or len(arrays) != len(mine):
        told = f"a list of {len(arrays)}" if isinstance(arrays, (list, tuple)) else short(arrays)
        raise ValueError(
            f"set_weights: arrays must be a list of {len(mine)} dicts, one a layer, or a mapping "
            f"from names to arrays in the network's order, got {told}."
        )
    pairs = []
    for i, (params, given) in enumerate(zip(mine, arrays, strict=True)):
        if not isinstance(given, dict):
            raise ValueError(f"set_weights: arrays[{i}] must be a dict, got {short(given)}.")
        shapes = {
            name: shape_of(array, f"arrays[{i}][{name!r}]", "set_weights")
            for name, array in given.items()
        }
        expected = {name: array.shape for name, array in params.items()}
        if shapes != expected:
            raise ValueError(
                f"set_weights: arrays[{i}] must have the shapes {expected}, got {shapes}."
            )
        pairs += [
            (_kind(name), params[name], array, f"arrays[{i}][{name!r}]")
            for name, array in given.items()
        ]
    return pairs


def _match_by_name_or_order(ours: dict[str, np.ndarray], arrays: Any) -> Pairs:
    """Match a mapping of all arrays: by name if all names are ours, otherwise by order.

    When matched by order, names are compared only if they identify the kind of an array.
    """
    if not isinstance(arrays, Mapping):
        raise ValueError(
            "set_weights: arrays must be a mapping from names to arrays where a prefix is given, "
            f"got {short(arrays)}."
        )
    given = {name: array for name, array in arrays.items() if _kind(name) != COUNTER}
    if len(given) != len(ours):
        raise ValueError(
            f"set_weights: arrays must be a mapping of {len(ours)} arrays, in the order "
            f"{list(ours)}, got {len(given)}: {list(given)}."
        )
    if given.keys() == ours.keys():  # files may have sorted them
        given = {name: given[name] for name in ours}
    pairs = []
    for (name, array), (theirs, other) in zip(ours.items(), given.items(), strict=True):
        what = f"arrays[{theirs!r}]"
        shape = shape_of(other, what, "set_weights")
        if shape != array.shape or (_kind(theirs) in KINDS and _kind(theirs) != _kind(name)):
            raise ValueError(
                f"set_weights: {what} takes the place of {name!r}, which has the shape "
                f"{array.shape}, got {shape}."
            )
        pairs.append((FROM_TORCH.get(_kind(name), _kind(name)), array, other, what))
    return pairs


def _kind(name: Any) -> str:
    return str(name).rpartition(".")[-1]


def _named(layers: Sequence[Layer], params: Sequence[Params]) -> dict[str, np.ndarray]:
    """Return the layers' arrays, by name and in order, as ``torch.nn.Sequential`` has them."""
    named = {}
    for i, (layer, own) in enumerate(zip(layers, params, strict=False)):
        for prefix in _prefixes(layer):
            for name, array in own.items():
                branch, dot, kind = name.rpartition(".")
                if branch + dot == prefix:
                    named[f"{i}.{prefix}{TORCH_NAMES.get(kind, kind)}"] = array
    return named


def _prefixes(layer: Layer) -> Iterator[str]:
    """Yield the prefixes of a layer's array names, in PyTorch's order for a composite layer.

    The flat vector has another order: decayed parameters, undecayed parameters, running statistics.
    """
    if not layer.inner:
        yield ""
    for branch in layer.inner:
        for name, inner in zip(branch.names, branch.layers, strict=True):
            for prefix in _prefixes(inner):
                yield f"{name}.{prefix}"

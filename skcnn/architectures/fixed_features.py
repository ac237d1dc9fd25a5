"""Features of signals from fixed kernels."""

from collections.abc import Sequence
from math import log2
from typing import Any

from skcnn.layers import Add, Concatenate, FixedConv, Frozen, Layer, PPVPool

__all__ = ["count_features", "fixed_features", "with_fixed_branch", "without_output"]

KERNELS = 84
"""Number of MiniRocket's kernels."""

FEATURES = {100: 2500, 0: 1000}
"""Number of features from a length on."""

LONG = 16
"""Points that a ramp is as wide as, which is a part of the spread that shrinks with the length."""

WIDEST = 0.5
"""Widest ramp, in units of the spread, and the one of the backward pass."""

STEP = KERNELS + 1
"""Step of the offsets from one dilation to the next: odd, so that other channels have a margin."""


def fixed_features(length: int, n_features: int | None = None) -> list[Layer]:
    """Return layers that turn a signal into proportions above thresholds, nothing of them trained.

    MiniRocket's kernels (Dempster, Schmidt & Webb 2021) with dilations of 1, 2,
    4, … as long as they fit into the signal, and several thresholds each. Every
    other feature leaves out what a kernel cannot see whole.

    Parameters
    ----------
    length : int
        Number of points of the signals.
    n_features : int or None, default=None
        About how many features; at least one for every kernel and dilation.
        None is 1,000 for signals below 100 points, otherwise 2,500.

    Returns
    -------
    list of Layer

    Examples
    --------
    >>> from skcnn.network import Network
    >>> Network(fixed_features(150), (1, 1, 150)).output_shape
    (2520,)
    """
    if n_features is None:
        n_features = count_features(length)
    reach = max(length, 9)  # that of a kernel
    dilations = [2**i for i in range(int(log2(max(1, (reach - 1) / 8))) + 1)]
    thresholds = max(1, round(n_features / KERNELS / len(dilations)))
    ramp = min(WIDEST, LONG / reach)
    return [
        Concatenate(
            [
                [
                    FixedConv(dilation=(1, dilation)),
                    PPVPool(thresholds, ramp, 4 * dilation, STEP * i, backward_ramp=WIDEST),
                ]
                for i, dilation in enumerate(dilations)
            ]
        )
    ]


def count_features(length: int) -> int:
    """Return about how many features signals of this length get by default."""
    return next(number for least, number in FEATURES.items() if length >= least)


def with_fixed_branch(layers: Sequence[Layer], fixed: Sequence[Layer]) -> list[Layer]:
    """Return the sum of a network and a second one, whose output layer is of the same kind.

    Parameters
    ----------
    layers : sequence of Layer
        The network with its output layer.
    fixed : sequence of Layer
        The second one without it; it is frozen.
    """
    return [Add([list(layers), Frozen([*fixed, layers[-1]])])]


def without_output(layers: Sequence[Layer]) -> list[Layer]:
    """Return the layers without the output layer.

    Of a sum as in `with_fixed_branch` both are left out, and their inputs joined.
    """
    *front, last = layers
    if isinstance(last, Add):
        front.append(Concatenate([_without_last(branch) for branch in last.branches]))
    return front


def _without_last(branch: Any) -> Any:
    if isinstance(branch, Frozen):
        return Frozen(_without_last(branch.layers))
    return list(branch)[:-1]

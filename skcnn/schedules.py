"""Learning-rate schedules: factors of the rate during training.

A schedule holds hyperparameters only and keeps no state: the multiplier is a
function of the position, in epochs, and of the recorded history. Resumed
training therefore continues with the same rates.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, cos, inf, isnan, pi
from types import MappingProxyType
from typing import TypeAlias

from skcnn._hyperparameters import Hyperparameters, check_int, check_part, check_real

__all__ = [
    "Constant",
    "Cosine",
    "Exponential",
    "OneCycle",
    "ReduceOnPlateau",
    "Schedule",
    "StepDecay",
    "WarmUp",
]

History: TypeAlias = Mapping[str, Sequence[float]]

NOTHING: History = MappingProxyType({})


class Schedule(Hyperparameters, ABC):
    """Base class of all schedules."""

    def check(self) -> None:
        """Raise ``ValueError`` if a hyperparameter is out of range."""

    @property
    def open(self) -> bool:
        """Whether the estimator's ``max_iter`` replaces a length that is None.

        If so, epochs are counted from the start of each ``fit``, otherwise from
        the model's first epoch.
        """
        return False

    @abstractmethod
    def multiplier(self, t: float, max_iter: float = inf, history: History = NOTHING) -> float:
        """Return the factor that the learning rate is multiplied by.

        Parameters
        ----------
        t : float
            Position in epochs: the number of completed ones, plus the completed
            fraction of the current one.
        max_iter : float, default=inf
            Length in epochs, for schedules without their own.
        history : mapping of str to sequence of float, default={}
            One number per completed epoch: "loss" and, with validation data,
            "validation_score".

        Returns
        -------
        float
            In [0, 1].
        """


@dataclass(frozen=True, repr=False, eq=False)
class Constant(Schedule):
    """Constant rate."""

    def multiplier(self, t: float, max_iter: float = inf, history: History = NOTHING) -> float:
        """``1``."""
        return 1.0


@dataclass(frozen=True, repr=False, eq=False)
class StepDecay(Schedule):
    """Multiply the rate by `gamma` every few epochs.

    Parameters
    ----------
    every : float or None, default=None
        Epochs between two steps, positive; None is a third of ``max_iter``,
        rounded up.
    gamma : float, default=0.1
        Factor of each step, in (0, 1].

    Examples
    --------
    >>> [round(StepDecay(every=2).multiplier(t), 3) for t in range(5)]
    [1.0, 1.0, 0.1, 0.1, 0.01]
    """

    every: float | None = None
    gamma: float = 0.1

    def check(self) -> None:
        if self.every is not None:
            check_real("StepDecay", "every", self.every, 0, bounds="()")
        check_real("StepDecay", "gamma", self.gamma, 0, 1, bounds="(]")

    @property
    def open(self) -> bool:
        return self.every is None

    def multiplier(self, t: float, max_iter: float = inf, history: History = NOTHING) -> float:
        """``γ^⌊t / every⌋``."""
        every = self.every
        if every is None:
            every = inf if max_iter == inf else max(1, ceil(max_iter / 3))
        return float(self.gamma ** (t // every))


@dataclass(frozen=True, repr=False, eq=False)
class Exponential(Schedule):
    """Multiply the rate by `gamma` every epoch, a little with every mini-batch.

    Parameters
    ----------
    gamma : float, default=0.95
        Factor per epoch, in (0, 1].

    Examples
    --------
    >>> [Exponential(gamma=0.25).multiplier(t) for t in (0, 0.5, 1, 2)]
    [1.0, 0.5, 0.25, 0.0625]
    """

    gamma: float = 0.95

    def check(self) -> None:
        check_real("Exponential", "gamma", self.gamma, 0, 1, bounds="(]")

    def multiplier(self, t: float, max_iter: float = inf, history: History = NOTHING) -> float:
        """``γᵗ``."""
        return float(self.gamma**t)


@dataclass(frozen=True, repr=False, eq=False)
class Cosine(Schedule):
    """Half a cosine, from the full rate to `final` (Loshchilov & Hutter 2017, equation 5).

    There are no restarts: after the horizon the rate stays at its final value.

    Parameters
    ----------
    horizon : float or None, default=None
        Length in epochs, positive; None is ``max_iter``.
    final : float, default=0.0
        Multiplier at the end, in [0, 1].

    Examples
    --------
    >>> [round(Cosine(horizon=4, final=0.2).multiplier(t), 3) for t in (0, 1, 2, 4, 5)]
    [1.0, 0.883, 0.6, 0.2, 0.2]
    """

    horizon: float | None = None
    final: float = 0.0

    def check(self) -> None:
        _check_horizon("Cosine", self.horizon)
        check_real("Cosine", "final", self.final, 0, 1, bounds="[]")

    @property
    def open(self) -> bool:
        return self.horizon is None

    def multiplier(self, t: float, max_iter: float = inf, history: History = NOTHING) -> float:
        """``final + (1 - final) (1 + cos(π t / horizon)) / 2``."""
        return _half_cosine(1.0, self.final, _part(t, self.horizon, max_iter))


@dataclass(frozen=True, repr=False, eq=False)
class OneCycle(Schedule):
    """Rise to the full rate once, then fall to a very low one (Smith & Topin 2018).

    Both slopes are half a cosine, as has become common; in the paper they are
    linear. The momentum, which the paper lowers while the rate is high, is left
    unchanged.

    Parameters
    ----------
    horizon : float or None, default=None
        Length in epochs, positive; None is ``max_iter``. Afterwards the rate
        stays at its final value.
    rise : float, default=0.3
        Fraction of the horizon during which the rate rises, in (0, 1).
    start : float, default=0.04
        Multiplier at the start, in [0, 1].
    final : float, default=1e-5
        Multiplier at the end, in [0, 1].

    Examples
    --------
    >>> cycle = OneCycle(horizon=8, rise=0.25)
    >>> [round(cycle.multiplier(t), 3) for t in (0, 1, 2, 5, 8)]
    [0.04, 0.52, 1.0, 0.5, 0.0]
    """

    horizon: float | None = None
    rise: float = 0.3
    start: float = 0.04
    final: float = 1e-5

    def check(self) -> None:
        _check_horizon("OneCycle", self.horizon)
        check_real("OneCycle", "rise", self.rise, 0, 1, bounds="()")
        check_real("OneCycle", "start", self.start, 0, 1, bounds="[]")
        check_real("OneCycle", "final", self.final, 0, 1, bounds="[]")

    @property
    def open(self) -> bool:
        return self.horizon is None

    def multiplier(self, t: float, max_iter: float = inf, history: History = NOTHING) -> float:
        """Rise from `start` to 1 in ``rise · horizon`` epochs, then fall to `final`."""
        part = _part(t, self.horizon, max_iter)
        if part < self.rise:
            return _half_cosine(self.start, 1.0, part / self.rise)
        return _half_cosine(1.0, self.final, (part - self.rise) / (1 - self.rise))


@dataclass(frozen=True, repr=False, eq=False)
class WarmUp(Schedule):
    """Raise the rate linearly, then follow another schedule (Goyal et al. 2017, 2.2).

    Parameters
    ----------
    epochs : float, default=5
        Length of the rise, positive.
    then : Schedule, default=Constant()
        Schedule that follows. Its epochs, and the history it sees, begin where
        the rise ends; its ``max_iter`` is the rest.
    start : float, default=0.1
        Multiplier at the start, in [0, 1]; with 0, the first mini-batch leaves
        the weights unchanged.

    Examples
    --------
    >>> schedule = WarmUp(epochs=2, then=Cosine(), start=0.5)
    >>> [round(schedule.multiplier(t, max_iter=6), 3) for t in range(7)]
    [0.5, 0.75, 1.0, 0.854, 0.5, 0.146, 0.0]
    """

    epochs: float = 5
    then: Schedule = Constant()
    start: float = 0.1

    def check(self) -> None:
        check_real("WarmUp", "epochs", self.epochs, 0, bounds="()")
        if not isinstance(self.then, Schedule):
            raise ValueError(
                f"WarmUp: then must be an instance from skcnn.schedules, got {self.then!r}."
            )
        check_part("WarmUp", "then", self.then)
        check_real("WarmUp", "start", self.start, 0, 1, bounds="[]")

    @property
    def open(self) -> bool:
        return self.then.open

    def multiplier(self, t: float, max_iter: float = inf, history: History = NOTHING) -> float:
        """``start + (1 - start) t / epochs``, and from `epochs` on that of `then`."""
        if t < self.epochs:
            return float(self.start + (1 - self.start) * (t / self.epochs))
        later = {name: values[ceil(self.epochs) :] for name, values in history.items()}
        return self.then.multiplier(t - self.epochs, max(0, max_iter - self.epochs), later)


@dataclass(frozen=True, repr=False, eq=False)
class ReduceOnPlateau(Schedule):
    """Lower the rate when training stops improving.

    The validation score is monitored if there is one (epochs before the first
    score are skipped), otherwise the training loss.

    Parameters
    ----------
    factor : float, default=0.5
        Factor of the rate at each plateau, in (0, 1).
    patience : int, default=2
        Consecutive epochs without an improvement, after which the rate is
        lowered and the count restarts; at least 1. To have any effect, it must
        be less than the estimator's ``n_iter_no_change``.
    tol : float, default=5e-4
        An epoch counts as an improvement if it beats the best one before by
        more than this; not negative.
    lowest : float, default=0.0
        Lower bound of the multiplier, in [0, 1].

    Examples
    --------
    >>> schedule = ReduceOnPlateau(factor=0.5, patience=2)
    >>> losses = [0.9, 0.6, 0.6, 0.7, 0.5, 0.5, 0.5]
    >>> [schedule.multiplier(n, history={"loss": losses[:n]}) for n in range(8)]
    [1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25]
    """

    factor: float = 0.5
    patience: int = 2
    tol: float = 5e-4
    lowest: float = 0.0

    def check(self) -> None:
        check_real("ReduceOnPlateau", "factor", self.factor, 0, 1, bounds="()")
        check_int("ReduceOnPlateau", "patience", self.patience, 1)
        check_real("ReduceOnPlateau", "tol", self.tol, 0)
        check_real("ReduceOnPlateau", "lowest", self.lowest, 0, 1, bounds="[]")

    def multiplier(self, t: float, max_iter: float = inf, history: History = NOTHING) -> float:
        """``max(lowest, factorᵏ)`` after `k` plateaus."""
        if "validation_score" in history:
            scores = [score for score in history["validation_score"] if not isnan(score)]
        else:
            scores = [-loss for loss in history.get("loss", ())]
        best, waited, plateaus = -inf, 0, 0
        for score in scores:
            waited = 0 if score > best + self.tol else waited + 1
            best = max(best, score)
            if waited == self.patience:
                waited, plateaus = 0, plateaus + 1
        return float(max(self.lowest, self.factor**plateaus))


def _check_horizon(caller: str, horizon: float | None) -> None:
    if horizon is not None:
        check_real(caller, "horizon", horizon, 0, bounds="()")


def _part(t: float, horizon: float | None, max_iter: float) -> float:
    """Fraction of the horizon that has passed, at most 1."""
    length = float(max_iter if horizon is None else horizon)
    return t / length if t < length else 1.0


def _half_cosine(first: float, last: float, part: float) -> float:
    """Interpolate from `first` at 0 to `last` at 1 along a half cosine, level at both ends."""
    return float(last + (first - last) * (1 + cos(pi * part)) / 2)

"""Each schedule against its formula, written for rates as the papers give them."""

import math
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skcnn.schedules import (
    Constant,
    Cosine,
    Exponential,
    OneCycle,
    ReduceOnPlateau,
    StepDecay,
    WarmUp,
)

TIMES = [0.0, 0.25, 1.0, 2.999, 3.0, 4.5, 6.0, 7.99, 8.0, 8.01, 30.0]
EVERY = [
    Constant(),
    StepDecay(),
    StepDecay(2.5, 0.7),
    Exponential(),
    Exponential(0.5),
    Cosine(),
    Cosine(6, 0.3),
    OneCycle(),
    OneCycle(7, 0.5, 0.2, 0.1),
    WarmUp(),
    WarmUp(2.5, Cosine(), 0.0),
    WarmUp(1, WarmUp(2, StepDecay(2))),
    ReduceOnPlateau(),
    ReduceOnPlateau(0.1, 1, 0.0, 0.05),
]

times = st.floats(0, 100)
parts = st.floats(0, 1)
gammas = st.floats(0.01, 1)
lengths = st.floats(0.5, 60)
losses = st.lists(st.floats(0, 3), max_size=30)


def cosine(lowest, highest, now, total):
    """Equation 5 of Loshchilov & Hutter 2017."""
    return lowest + (highest - lowest) * (1 + math.cos(math.pi * now / total)) / 2


# Values


@pytest.mark.parametrize("t", TIMES)
def test_constant(t):
    assert Constant().multiplier(t) == 1


@pytest.mark.parametrize("t", TIMES)
def test_step_decay_counts_the_steps_that_are_behind(t):
    rate, at = 1.0, 3
    while at <= t:
        rate, at = rate * 0.2, at + 3
    assert StepDecay(3, 0.2).multiplier(t) == pytest.approx(rate)


@pytest.mark.parametrize("t", TIMES)
def test_exponential(t):
    assert Exponential(0.9).multiplier(t) == pytest.approx(math.exp(t * math.log(0.9)))


@pytest.mark.parametrize("final", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("t", TIMES)
def test_cosine(t, final):
    expected = cosine(final, 1.0, t, 8) if t < 8 else final
    assert Cosine(8, final).multiplier(t) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("t", TIMES)
def test_one_cycle(t):
    if t <= 2:
        expected = cosine(0.1, 1.0, 2 - t, 2)
    else:
        expected = cosine(0.02, 1.0, min(t, 8) - 2, 6)
    cycle = OneCycle(8, rise=0.25, start=0.1, final=0.02)
    assert cycle.multiplier(t) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("t", TIMES)
def test_warm_up_is_a_line_and_then_the_other_schedule(t):
    expected = np.interp(t, [0, 4], [0.2, 1]) if t < 4 else Exponential(0.5).multiplier(t - 4)
    assert WarmUp(4, Exponential(0.5), 0.2).multiplier(t) == pytest.approx(expected)


class Plateaus:
    """The rule of plateaus as it would be kept from epoch to epoch."""

    def __init__(self, factor, patience, tol, lowest):
        self.factor, self.patience, self.tol, self.lowest = factor, patience, tol, lowest
        self.rate, self.seen, self.waiting = 1.0, [], 0

    def epoch(self, score):
        if self.seen and score - max(self.seen) <= self.tol:
            self.waiting += 1
            if self.waiting >= self.patience:
                self.rate, self.waiting = self.rate * self.factor, 0
        else:
            self.waiting = 0
        self.seen.append(score)
        return max(self.rate, self.lowest)


@given(
    st.lists(st.integers(0, 30), max_size=40), st.integers(1, 4), st.integers(0, 3), parts,
    st.booleans(),
)  # fmt: skip
def test_plateaus_are_found_in_the_history(scores, patience, tol, lowest, validated):
    scores = [float(score) for score in scores]
    schedule = ReduceOnPlateau(0.5, patience, tol, lowest)
    rule = Plateaus(0.5, patience, tol, lowest)
    for n in range(len(scores) + 1):
        expected = rule.epoch(scores[n - 1]) if n else 1.0
        history = {"loss": [-score for score in scores[:n]]}
        if validated:
            history = {"loss": [1.0] * n, "validation_score": scores[:n]}
        assert schedule.multiplier(n, history=history) == pytest.approx(expected)
        assert schedule.multiplier(n + 0.9, history=history) == pytest.approx(expected)


def test_epochs_without_a_validation_score_are_passed_over():
    schedule = ReduceOnPlateau(patience=2)
    scores = [math.nan] * 6 + [0.5, 0.5]
    assert schedule.multiplier(8, history={"loss": [1.0] * 8, "validation_score": scores}) == 1
    scores.append(0.5)
    assert schedule.multiplier(9, history={"loss": [1.0] * 9, "validation_score": scores}) == 0.5


def test_what_follows_a_warm_up_sees_the_history_from_its_end():
    schedule = WarmUp(2.5, ReduceOnPlateau(patience=1), 0.0)
    values = [1.0, 1.0, 1.0, 1.0]  # three epochs have to do with the warm-up
    assert schedule.multiplier(4, history={"loss": values}) == 1
    assert schedule.multiplier(5, history={"loss": [*values, 1.0]}) == 0.5
    assert schedule.multiplier(2, history={"loss": values[:2]}) == 0.8


# Boundaries and the horizon


@pytest.mark.parametrize("schedule", EVERY, ids=str)
def test_every_schedule_gives_pythons_floats_of_at_most_one(schedule):
    schedule.check()
    as_numpy = {
        field.name: np.float64(value)
        for field in fields(schedule)
        if isinstance(value := getattr(schedule, field.name), float)
    }
    history = {"loss": [1.0] * 30}
    for t in TIMES:
        value = schedule.multiplier(t, 8, history)
        assert 0 <= value <= 1
        other = replace(schedule, **as_numpy).multiplier(t, 8, history)
        assert type(value) is type(other) is float  # np.float64 would make float32 steps float64
        assert value == other


@pytest.mark.parametrize(
    ("schedule", "its_own"),
    [
        (Cosine(final=0.1), Cosine(9, 0.1)),
        (OneCycle(), OneCycle(9)),
        (StepDecay(), StepDecay(3)),
        (WarmUp(4, Cosine()), WarmUp(4, Cosine(5))),
        (WarmUp(1, WarmUp(2, OneCycle())), WarmUp(1, WarmUp(2, OneCycle(6)))),
    ],
)
def test_max_iter_stands_in_for_a_horizon_of_its_own(schedule, its_own):
    assert schedule.open
    assert not its_own.open
    for t in TIMES:
        assert schedule.multiplier(t, 9) == its_own.multiplier(t, 9) == its_own.multiplier(t, 20)


@pytest.mark.parametrize(("max_iter", "steps"), [(1, []), (2, [1]), (3, [1, 2]), (50, [17, 34])])
def test_a_third_of_max_iter_between_steps(max_iter, steps):
    rates = [StepDecay().multiplier(t, max_iter) for t in range(max_iter)]
    assert [t for t in range(1, max_iter) if rates[t] < rates[t - 1]] == steps


def test_schedules_without_a_length_are_not_open():
    for schedule in (Constant(), Exponential(), ReduceOnPlateau(), WarmUp()):
        assert not schedule.open


@given(lengths, parts, parts, st.floats(0.01, 0.99))
def test_ends(horizon, start, final, rise):
    exact = {"rel": 1e-12, "abs": 1e-15}
    assert Cosine(horizon, final).multiplier(0) == pytest.approx(1, **exact)
    cycle = OneCycle(horizon, rise, start, final)
    assert cycle.multiplier(0) == pytest.approx(start, **exact)
    assert cycle.multiplier(rise * horizon) == pytest.approx(1, abs=1e-9)
    for schedule in (Cosine(horizon, final), cycle):
        for t in (horizon, horizon + 1e-9, 10 * horizon, math.inf):
            assert schedule.multiplier(t) == pytest.approx(final, **exact)
    assert WarmUp(horizon, start=start).multiplier(0) == start
    assert WarmUp(horizon, Cosine(1), start).multiplier(horizon) == pytest.approx(1)
    assert WarmUp(horizon, Cosine(), start).multiplier(horizon, max_iter=0.4) == 0  # none is left


# Monotonicity


@given(times, times, lengths, gammas, parts)
def test_decays_never_rise(t, u, length, gamma, final):
    early, late = sorted((t, u))
    for schedule in (StepDecay(length, gamma), Exponential(gamma), Cosine(length, final)):
        assert schedule.multiplier(early) >= schedule.multiplier(late) - 1e-15


@given(parts, parts, lengths, st.floats(0.01, 0.99), parts, parts)
def test_a_cycle_rises_and_then_falls(t, u, horizon, rise, start, final):
    schedule = OneCycle(horizon, rise, start, final)
    early, late = sorted((t, u))
    peak = rise * horizon
    assert schedule.multiplier(early * peak) <= schedule.multiplier(late * peak) + 1e-12
    first, second = (schedule.multiplier(peak + s * (horizon - peak)) for s in (early, late))
    assert first >= second - 1e-12


@given(parts, parts, lengths, parts)
def test_a_warm_up_rises(t, u, epochs, start):
    early, late = sorted((t, u))
    schedule = WarmUp(epochs, start=start)
    first, second = schedule.multiplier(early * epochs), schedule.multiplier(late * epochs)
    assert start <= first <= second + 1e-15
    assert second <= 1


@given(losses, st.integers(1, 5), st.floats(0.01, 0.99), st.floats(0, 0.5), parts)
def test_more_history_never_raises_the_rate(values, patience, factor, tol, lowest):
    schedule = ReduceOnPlateau(factor, patience, tol, lowest)
    rates = [schedule.multiplier(n, history={"loss": values[:n]}) for n in range(len(values) + 1)]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] >= lowest
    plateaus = (len(values) - 1) // patience if values else 0
    assert rates[-1] >= factor**plateaus * (1 - 1e-12)


# Bad hyperparameters


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (StepDecay(every=0), r"StepDecay: every must be a number in \(0, inf\), got 0"),
        (StepDecay(every="a"), "StepDecay: every"),
        (StepDecay(gamma=0), r"StepDecay: gamma must be a number in \(0, 1\], got 0"),
        (StepDecay(gamma=1.1), "StepDecay: gamma"),
        (Exponential(gamma=None), "Exponential: gamma"),
        (Cosine(horizon=-1), r"Cosine: horizon must be a number in \(0, inf\), got -1"),
        (Cosine(horizon=True), "Cosine: horizon"),
        (Cosine(horizon=math.inf), "Cosine: horizon"),
        (Cosine(final=2), r"Cosine: final must be a number in \[0, 1\], got 2"),
        (OneCycle(horizon=math.nan), "OneCycle: horizon"),
        (OneCycle(rise=0), r"OneCycle: rise must be a number in \(0, 1\), got 0"),
        (OneCycle(start=-0.1), "OneCycle: start"),
        (OneCycle(final=[]), "OneCycle: final"),
        (WarmUp(epochs=0), "WarmUp: epochs"),
        (WarmUp(start=1.5), "WarmUp: start"),
        (WarmUp(then="cosine"), "WarmUp: then must be an instance from skcnn.schedules"),
        (WarmUp(then=Cosine), "WarmUp: then must be an instance"),
        (WarmUp(then=Cosine(final=-1)), r"WarmUp: then = Cosine\(final=-1\): Cosine: final"),
        (ReduceOnPlateau(factor=1), r"ReduceOnPlateau: factor must be a number in \(0, 1\), got 1"),
        (ReduceOnPlateau(patience=0), "ReduceOnPlateau: patience must be an int of at least 1"),
        (ReduceOnPlateau(patience=1.5), "ReduceOnPlateau: patience"),
        (ReduceOnPlateau(tol=-1), "ReduceOnPlateau: tol"),
        (ReduceOnPlateau(lowest=2), "ReduceOnPlateau: lowest"),
    ],
)
def test_bad_hyperparameters_are_named(schedule, message):
    with pytest.raises(ValueError, match=message):
        schedule.check()

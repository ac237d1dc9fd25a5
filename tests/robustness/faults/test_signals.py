"""Handlers that raise between any two steps: nothing is left behind, and nothing is half done."""

import signal
import sys
import time
from collections import Counter
from contextlib import suppress

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from tests.robustness.faults.traces import assert_as_before, traces
from tests.shared import X, quick, y

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

SEED = 0


class Raised(Exception):
    """Exception of the handler, which nothing else raises."""


class Alarm:
    """Calls functions, and raises after some seconds, in their midst or when they are over."""

    def __init__(self, error=Raised, again=0.0):
        self.error, self.again, self.rang = error, again, 0
        self.before = signal.getsignal(signal.SIGALRM)

    def ring(self, signum, frame):
        self.rang += 1
        raise self.error

    def call(self, function, seconds):
        """Return the function's result, or the class of what it raised."""
        self.rang, value = 0, None
        signal.signal(signal.SIGALRM, self.ring)
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds, self.again)
            value = function()
        except self.error:
            value = self.error
        finally:
            self.end()
        return value

    def end(self):
        """The handler may raise here, too, until it is gone."""
        while signal.getsignal(signal.SIGALRM) == self.ring:
            with suppress(self.error):
                signal.setitimer(signal.ITIMER_REAL, 0)
                signal.signal(signal.SIGALRM, self.before)


def many(function, trials, before, check, alarm):
    """Random times of a function; counts what came of it.

    The longest time follows what the function takes, which is not the same all the time: it is
    shorter after a call that has finished, and longer after one that has not.
    """
    draw, outcomes, errors = np.random.default_rng(SEED), Counter(), np.geterr()
    start = time.perf_counter()
    function()
    longest = time.perf_counter() - start
    for _ in range(trials):
        seconds = draw.uniform(1e-5, max(longest, 2e-5))
        try:
            value = alarm.call(function, seconds)
        except alarm.error:  # in `call` itself
            value = alarm.error
        signal.setitimer(signal.ITIMER_REAL, 0)
        alarm.end()
        outcomes["raised" if value is alarm.error else "finished"] += 1
        longest *= 1.02 if value is alarm.error else 0.98
        assert value is alarm.error or value is not None
        assert_as_before(before)
        check(value)
        np.seterr(**errors)
    print(f"seed {SEED}: {trials} trials, {dict(outcomes)}")
    return outcomes


@pytest.fixture(scope="module", autouse=True)
def two_threads():
    with threadpool_limits(2, "blas"):
        yield


@pytest.mark.parametrize("error", [Raised, TimeoutError, SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize(("rows", "trials"), [(1, 1300), (600, 200)])
def test_predict(rows, trials, error):
    model = quick(filters=(4, 4)).fit(X, y)
    weights, few = (
        model.weights_.copy(),
        np.tile(X, (4, 1))[:1] if rows == 1 else np.tile(X, (8, 1)),
    )
    expected = model.predict(few)

    def check(value):
        assert value is error or np.array_equal(value, expected)
        assert np.array_equal(model.weights_, weights)

    outcomes = many(lambda: model.predict(few), trials, traces(), check, Alarm(error))
    assert outcomes["raised"] > trials / 4
    assert np.array_equal(model.predict(few), expected)


@pytest.mark.parametrize("part", [False, True])
def test_fit(part):
    model = quick(filters=(4, 4), max_iter=2, warm_start=True)
    fitted = {}

    def train():
        return model.partial_fit(X, y, classes=np.unique(y)) if part else model.fit(X, y)

    train()

    def check(value):
        """It is as before, or as after a whole training."""
        steps = model.n_iter_
        if steps not in fitted:
            fitted[steps] = model.weights_
        assert model.weights_ is fitted[steps]
        assert len(model.loss_curve_) == steps

    check(None)
    outcomes = many(train, 150, traces(), check, Alarm())
    assert len(fitted) >= outcomes["finished"]
    reference = quick(filters=(4, 4), max_iter=model.n_iter_)
    if not part:
        assert np.array_equal(reference.fit(X, y).weights_, model.weights_)

import numpy as np
import pytest

from skcnn.initializers import FanInUniform, Gaussian, Glorot, He, LeCunUniform, Zeros

WIDE = (200, 100, 3, 3)  # fan-in 900, fan-out 1800


@pytest.mark.parametrize(
    ("initializer", "deviation", "limit"),
    [
        (Gaussian(0.05), 0.05, np.inf),
        (Glorot(), np.sqrt(2 / (900 + 1800)), np.sqrt(6 / (900 + 1800))),
        (He(), np.sqrt(2 / 900), np.inf),
        (FanInUniform(), np.sqrt(1 / 3 / 900), np.sqrt(1 / 900)),
        (LeCunUniform(), np.sqrt(1 / 900), np.sqrt(3 / 900)),
    ],
)
def test_moments_are_the_published_ones(initializer, deviation, limit):
    weight = np.empty(WIDE)
    initializer(weight, np.random.default_rng(0))
    assert weight.std() == pytest.approx(deviation, rel=0.01)
    assert weight.mean() == pytest.approx(0, abs=0.01 * deviation)
    assert np.abs(weight).max() <= limit
    if np.isfinite(limit):
        assert np.abs(weight).max() > 0.999 * limit


@pytest.mark.parametrize(
    "initializer", [FanInUniform(), Gaussian(), Glorot(), He(), LeCunUniform()]
)
def test_numbers_come_from_the_rng_alone_and_keep_the_dtype(initializer):
    first, second = np.empty((4, 5), np.float32), np.empty((4, 5), np.float32)
    before = np.random.get_state()[1].copy()
    initializer(first, np.random.default_rng(3))
    initializer(second, np.random.default_rng(3))
    assert np.array_equal(first, second)
    assert first.std() > 0
    assert np.array_equal(np.random.get_state()[1], before)


@pytest.mark.parametrize("sigma", [0, -1, "x", None, True, float("nan")])
def test_a_bad_sigma_is_named(sigma):
    with pytest.raises(ValueError, match="Gaussian: sigma must be a number in"):
        Gaussian(sigma).check()


def test_zeros():
    weight = np.full((3, 4), np.nan)
    Zeros()(weight, np.random.default_rng(0))
    assert not weight.any()

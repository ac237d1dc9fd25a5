import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skcnn import data
from skcnn.data import Images, Scaling

rng = np.random.default_rng(0)


@pytest.mark.parametrize("data_format", ["channels_first", "channels_last"])
@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.float32, np.float64, bool])
@pytest.mark.parametrize("out_dtype", [np.float32, np.float64])
def test_gathering_scales_and_transposes(data_format, flat, dtype, out_dtype):
    X = rng.integers(0, 200, (9, 2, 3, 4)).astype(dtype)
    mean, deviation = np.array([50.0, 3.0]), np.array([2.0, 0.5])
    expected = (X - mean[:, None, None]) / deviation[:, None, None]
    given = X.transpose(0, 2, 3, 1) if data_format == "channels_last" else X
    given = given.reshape(9, -1) if flat else given
    images = Images(given, (2, 3, 4), data_format, Scaling(mean, deviation))
    rows = np.array([4, 0, 8])
    out = np.full((2, 3, 4, 3), np.nan, out_dtype)
    images.gather(rows, out)
    np.testing.assert_allclose(out, expected[rows].transpose(1, 2, 3, 0), rtol=1e-6)
    images.subset(np.array([8, 4, 0, 1])).gather(slice(1, 4), out)
    np.testing.assert_allclose(out, expected[[4, 0, 1]].transpose(1, 2, 3, 0), rtol=1e-6)


def test_unsigned_bytes_do_not_wrap_around():
    scaling = Scaling(np.array([200.0]), np.array([1.0]))
    images = Images(np.array([[0, 255]], np.uint8), (1, 1, 2), scaling=scaling)
    out = np.empty((1, 1, 2, 1), np.float32)
    images.gather(slice(0, 1), out)
    assert out.ravel().tolist() == [-200, 55]


def test_a_large_offset_is_taken_away_before_rounding():
    X = 1e9 + rng.standard_normal((50, 1, 3, 3))
    images = Images(X, X.shape[1:])
    out = np.empty((1, 3, 3, 50), np.float32)
    images.with_scaling(images.measure(np.ones(50))).gather(slice(0, 50), out)
    assert out.std() == pytest.approx(1, abs=1e-5)


@settings(max_examples=40)
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)),
    data_format=st.sampled_from(["channels_first", "channels_last"]),
    seed=st.integers(0, 1000),
)
def test_moments_are_those_of_the_weighted_sample(shape, data_format, seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(rng.normal(0, 100), 1, shape)
    weights = rng.integers(0, 4, shape[0]).astype(float)
    weights[0] = 1
    given = X.transpose(0, 2, 3, 1) if data_format == "channels_last" else X
    images = Images(given, shape[1:], data_format)
    repeated = X.repeat(weights.astype(int), axis=0)
    deviation = repeated.std(axis=(0, 2, 3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "BLOCK", 7 * X[0].size)
        scaling = images.measure(weights)
    np.testing.assert_allclose(scaling.mean, repeated.mean(axis=(0, 2, 3)), rtol=1e-10)
    np.testing.assert_allclose(
        scaling.deviation, np.where(deviation < 1e-12, 1, deviation), rtol=1e-8
    )


@pytest.mark.parametrize("rows", [None, np.arange(500)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_moments_do_not_depend_on_the_order_in_memory(dtype, rows):
    X = rng.standard_normal((500, 3, 9, 11)).astype(dtype)
    weights = rng.random(500)
    moments = [
        Images(images, (3, 9, 11), rows=rows).measure(weights)
        for images in (X, np.asfortranarray(X), np.repeat(X, 2, axis=0)[::2])
    ]
    for last in (X.transpose(0, 2, 3, 1), np.ascontiguousarray(X.transpose(0, 2, 3, 1))):
        moments.append(Images(last, (3, 9, 11), "channels_last", rows=rows).measure(weights))
    for other in moments[1:]:
        assert np.array_equal(moments[0].mean, other.mean)
        assert np.array_equal(moments[0].deviation, other.deviation)


@pytest.mark.parametrize("value", [0, 7, 0.1, 1e6 + 1 / 3])
def test_a_constant_channel_is_divided_by_one(value):
    X = np.full((50, 2, 3, 3), value)
    X[:, 1] = rng.standard_normal((50, 3, 3))
    deviation = Images(X, X.shape[1:]).measure(np.ones(50)).deviation
    assert deviation[0] == 1
    assert deviation[1] == pytest.approx(X[:, 1].std())


@pytest.mark.parametrize("scale", [1e-200, 1e-150, 1.0, 1e150, 1e300])
def test_very_large_and_small_numbers_are_scaled_alike(scale):
    X = rng.standard_normal((30, 1, 3, 3))
    plain, scaled = Images(X, X.shape[1:]), Images(X * scale, X.shape[1:])
    outs = []
    for images in (plain, scaled):
        out = np.empty((1, 3, 3, 30))
        images.with_scaling(images.measure(np.ones(30))).gather(slice(0, 30), out)
        outs.append(out)
    np.testing.assert_allclose(outs[0], outs[1], rtol=1e-10)


def test_tiny_float32_pixels_are_scaled():
    X = (rng.standard_normal((30, 1, 3, 3)) * 1e-39).astype(np.float32)
    out = np.empty((1, 3, 3, 30), np.float32)
    images = Images(X, X.shape[1:])
    images.with_scaling(images.measure(np.ones(30))).gather(slice(0, 30), out)
    assert out.std() == pytest.approx(1, abs=1e-3)

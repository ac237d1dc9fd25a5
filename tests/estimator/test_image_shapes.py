"""Meaning of the shapes of `X`: the order of the axes, signals, readings by `image_shape`."""

import re
import warnings
from functools import partial

import numpy as np
import pytest

from skcnn.layers import Flatten
from tests import shared
from tests.shared import assert_same_model

quick = partial(shared.quick, layers=[Flatten()], max_iter=1)


def images(*shape):
    return np.random.default_rng(0).random((12, *shape), dtype=np.float32)


y = np.arange(12) % 2


@pytest.mark.parametrize(
    ("axes", "shape"),
    [  # the channels last where the last axis has 1, 3 or 4 entries and the first has not
        ((28, 28, 1), (1, 28, 28)),
        ((9, 7, 3), (3, 9, 7)),
        ((9, 7, 4), (4, 9, 7)),
        ((2, 9, 3), (3, 2, 9)),
        # everything else channels first
        ((1, 28, 28), (1, 28, 28)),
        ((3, 9, 7), (3, 9, 7)),
        ((2, 9, 7), (2, 9, 7)),
        ((6, 1, 20), (6, 1, 20)),
        ((6, 1, 100), (6, 1, 100)),
        ((64, 1, 50), (64, 1, 50)),
        ((12, 5, 5), (12, 5, 5)),
        ((16, 5, 5), (16, 5, 5)),
        # the same signal in either order
        ((1, 100, 1), (1, 100, 1)),
        ((1, 1, 100), (1, 1, 100)),
    ],
)
def test_the_order_of_four_axes(axes, shape):
    assert quick().fit(images(*axes), y).image_shape_ == shape
    rows = images(*axes).reshape(12, -1)
    assert quick(image_shape=axes).fit(rows, y).image_shape_ == shape


@pytest.mark.parametrize(
    "axes",
    [
        (3, 9, 3), (1, 9, 4), (3, 5, 1), (9, 3, 3), (16, 1, 1), (4, 4, 4),
        # the last axis is smaller than the two before it, or far smaller than the first of a signal
        (18, 18, 6), (4, 9, 2), (9, 7, 2), (7, 8, 5), (32, 32, 13), (100, 1, 6),
        # the first two axes are equal, as in patches with many bands and in feature maps
        (9, 9, 103), (11, 11, 200), (7, 7, 512), (8, 8, 64), (2, 2, 5), (3, 3, 9),
    ],
)  # fmt: skip
def test_doubt_is_said_and_channels_are_first(axes):
    with pytest.warns(UserWarning, match=r"Pass data_format='channels_first' if .*channels_last'"):
        clf = quick().fit(images(*axes), y)
    assert clf.image_shape_ == axes
    with pytest.warns(UserWarning, match=r"image_shape=\(.*Pass data_format='channels_first'"):
        quick(image_shape=axes).fit(images(*axes).reshape(12, -1), y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first = quick(data_format="channels_first").fit(images(*axes), y)
        last = quick(data_format="channels_last").fit(images(*axes), y)
    assert first.image_shape_ == axes
    assert last.image_shape_ == (axes[2], *axes[:2])


def test_one_channel_is_singular():
    for axes in ((1, 9, 4), (3, 5, 1)):
        with pytest.warns(UserWarning, match=r"\b1 channel of ") as caught:
            quick().fit(images(*axes), y)
        assert "1 channels" not in str(caught[0].message)
    with pytest.warns(UserWarning, match=r"taken as 1 channel of 9 x 4"):
        quick(image_shape=(1, 9, 4)).fit(images(36), y)


def test_warnings_point_at_the_line_of_the_user():
    with pytest.warns(UserWarning, match="Pass data_format") as caught:
        quick().fit(images(3, 9, 3), y)
    assert caught[0].filename == __file__


def test_what_was_settled_is_remembered():
    X = images(9, 7, 3)
    clf = quick().fit(X, y)
    expected = clf.predict_proba(X)
    assert np.array_equal(clf.predict_proba(X.reshape(12, -1)), expected)
    with pytest.raises(
        ValueError, match=r"holds images of shape \(3, 9, 7\).* on images of shape \(9, 7, 3\)"
    ):
        clf.predict(X.transpose(0, 3, 1, 2))
    given = quick(image_shape=(9, 7, 3)).fit(X.reshape(12, -1), y)
    assert np.array_equal(given.predict_proba(X), expected)
    judged = quick(early_stopping=True).fit(X, y, X_val=X.reshape(12, -1), y_val=y)
    assert judged.image_shape_ == (3, 9, 7)
    part = quick().partial_fit(X, y, classes=[0, 1]).partial_fit(X.reshape(12, -1), y)
    assert part.image_shape_ == (3, 9, 7)


def test_the_other_order_of_axes_is_told_by_its_cure():
    X = images(9, 7, 3)
    first, last = X.transpose(0, 3, 1, 2), "height, width, channels"
    clf = quick().fit(X, y)
    with pytest.raises(ValueError, match="order") as caught:
        clf.predict(first)
    text = str(caught.value)
    assert f"images of shape (3, 9, 7) ({last})" in text
    assert f"fitted on images of shape (9, 7, 3) ({last})" in text
    assert text.endswith(" Pass X.transpose(0, 2, 3, 1).")
    assert np.array_equal(clf.predict_proba(first.transpose(0, 2, 3, 1)), clf.predict_proba(X))
    clf = quick().fit(first, y)
    with pytest.raises(ValueError, match=r"Pass X\.transpose\(0, 3, 1, 2\)\.$"):
        clf.predict(X)
    with pytest.raises(ValueError, match=r"keeps that order\.$"):
        clf.predict(images(9, 8, 3))


def test_both_orders_give_the_same_model():
    X = images(9, 7, 3)
    first = quick().fit(X.transpose(0, 3, 1, 2), y)
    assert_same_model(first, quick().fit(X, y))


@pytest.mark.parametrize(
    ("given", "axes", "shape"),
    [
        ((300,), (300,), (1, 1, 300)),
        ((1, 300), (300,), (1, 1, 300)),
        ((300,), (1, 300), (1, 1, 300)),
        ((6, 1, 20), (6, 20), (6, 1, 20)),
        ((6, 1, 20), (120,), (6, 1, 20)),
        ((6, 1, 20), (6, 1, 20), (6, 1, 20)),
        ((4, 4), (1, 4, 4), (1, 4, 4)),
        ((28, 1), (28, 1, 1), (1, 28, 1)),
    ],
)
def test_readings_by_image_shape(given, axes, shape):
    X = images(*axes)
    clf = quick(image_shape=given).fit(X, y)
    assert clf.image_shape_ == shape
    assert clf.n_features_in_ == np.prod(shape)
    flat = quick(image_shape=given).fit(X.reshape(12, -1), y)
    assert_same_model(clf, flat)
    assert np.array_equal(clf.predict_proba(X), flat.predict_proba(X.reshape(12, -1)))


def test_six_channels_last_too():
    X = images(20, 6)
    clf = quick(image_shape=(1, 20, 6), data_format="channels_last").fit(X, y)
    assert clf.image_shape_ == (6, 1, 20)
    first = quick(image_shape=(6, 1, 20)).fit(np.ascontiguousarray(X.transpose(0, 2, 1)), y)
    assert np.array_equal(
        clf.predict_proba(X), first.predict_proba(np.ascontiguousarray(X.transpose(0, 2, 1)))
    )


@pytest.mark.parametrize(
    ("given", "axes"),
    [
        ((3, 9, 7), (9, 3, 7)),
        ((7, 9), (9, 7)),
        ((6, 1, 20), (20, 6)),
        ((299,), (300,)),
        ((8, 8, 3), (3, 8, 8)),
    ],
)
def test_image_shape_never_moves_axes(given, axes):
    with pytest.raises(ValueError, match=r"does not match X, whose shape is \(12, "):
        quick(image_shape=given).fit(images(*axes), y)


@pytest.mark.parametrize(
    ("given", "axes", "advice"),
    [
        ((16, 4), (8, 8), r"Pass X\.reshape\(-1, 16, 4\) if the values are in that order\.$"),
        ((100,), (10, 10), r"Pass X\.reshape\(-1, 100\) if "),
        ((8, 8, 4), (8, 4, 8), r"another order, which np\.transpose changes\.$"),
        ((6, 1, 20), (20, 6), r"another order, which np\.transpose changes\.$"),
        ((4, 4), (5, 5), r"whose shape is \(12, 5, 5\)\.$"),
    ],
)
def test_an_image_shape_of_other_axes_is_told_its_cure(given, axes, advice):
    X = images(*axes)
    with pytest.raises(ValueError, match=advice):
        quick(image_shape=given).fit(X, y)
    if "reshape" in advice:
        quick(image_shape=given).fit(X.reshape(-1, *given), y)


@pytest.mark.parametrize("axes", [(9, 7, 3), (3, 9, 7)])
@pytest.mark.parametrize("data_format", ["auto", "channels_first", "channels_last"])
def test_an_image_shape_in_the_other_order_is_told_that_of_x(axes, data_format):
    X = images(*axes)
    clf = quick(data_format=data_format).fit(X, y)
    shape = clf.image_shape_
    advice = f" Pass image_shape={axes}, which is the order of X, or leave it out."
    for given in {shape, (*shape[1:], shape[0])} - {axes}:
        with pytest.raises(ValueError, match=re.escape(advice)):
            quick(image_shape=given, data_format=data_format).fit(X, y)
    assert_same_model(clf, quick(image_shape=axes, data_format=data_format).fit(X, y))


def test_axes_that_data_format_contradicts_are_to_be_transposed():
    with pytest.raises(ValueError, match=r"which np\.transpose changes\.$"):
        quick(image_shape=(3, 9, 7), data_format="channels_first").fit(images(9, 7, 3), y)


@pytest.mark.parametrize("bad", [(), (1, 2, 3, 4), 300, "300", (0, 5), (2.5, 4)])
def test_no_shapes(bad):
    with pytest.raises(ValueError, match=r"image_shape"):
        quick(image_shape=bad).fit(images(300), y)


@pytest.mark.parametrize("axes", [(9, 7), (3, 9, 7), (9, 7, 3), (6, 1, 20)])
def test_a_single_image_is_named(axes):
    clf = quick().fit(images(*axes), y)
    thing = "signal" if 1 in axes else "image"
    with pytest.raises(ValueError, match=rf"of a single {thing}, .* array of {thing}s.*np.newaxis"):
        clf.predict(images(*axes)[0])
    assert clf.predict(images(*axes)[0][np.newaxis]).shape == (1,)


def cure(warned):
    """The parameters that a warning names for signals, as the user would pass them."""
    shape, order = re.search(
        r"or image_shape=\((.*?)\)(?: and data_format='(\w+)')? if they are signals",
        str(warned.message),
    ).groups()
    found = {"image_shape": tuple(map(int, shape.split(", ")))}
    return found if order is None else found | {"data_format": order}


@pytest.mark.parametrize("before", [(), (1,)])
@pytest.mark.parametrize("after", [(), (1,)])
@pytest.mark.parametrize("axes", [(6, 100), (6, 48), (100, 6)])
def test_narrow_images_may_be_signals_of_several_channels(axes, before, after):
    if before and after:
        return  # five axes
    X, (height, width) = images(*before, *axes, *after), axes
    with pytest.warns(
        UserWarning, match=rf"one channel of {height} x {width} pixels.*image_shape="
    ) as caught:
        clf = quick().fit(X, y)
    assert clf.image_shape_ == (1, *axes)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf.predict(X)
        grey = quick(image_shape=axes).fit(X, y)
        assert_same_model(clf, grey)
        assert np.array_equal(grey.predict_proba(X), clf.predict_proba(X))
        signals = quick(**cure(caught[0])).fit(X, y)
        time_last = X.reshape(12, *axes)
        if height > width:
            time_last = np.ascontiguousarray(time_last.transpose(0, 2, 1))
        shape = (6, 1, max(axes))
        assert signals.image_shape_ == shape
        expected = quick(image_shape=shape, data_format="channels_first").fit(time_last, y)
        np.testing.assert_array_equal(signals.predict_proba(X), expected.predict_proba(time_last))
        if before or after:  # four axes, whose order is told
            order = "channels_first" if before else "channels_last"
            assert quick(data_format=order).fit(X, y).image_shape_ == (1, *axes)


@pytest.mark.parametrize(
    "axes", [(6, 47), (28, 28), (28, 28, 1), (1, 28, 28), (1, 128), (128, 1), (30, 100, 1)]
)
def test_images_of_usual_sides_are_quiet(axes):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quick().fit(images(*axes), y)


def test_three_axes_have_no_channels_whatever_data_format_is():
    for order in ("channels_first", "channels_last"):
        with pytest.warns(UserWarning, match="one channel of 6 x 128 pixels") as caught:
            quick(data_format=order).fit(images(6, 128), y)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            clf = quick(**{"data_format": order, **cure(caught[0])}).fit(images(6, 128), y)
        assert clf.image_shape_ == (6, 1, 128)


@pytest.mark.parametrize(
    ("axes", "order"),
    [
        ((3, 50), None),
        ((6, 100), None),
        # image_shape alone could have the channels first
        ((50, 3), "channels_last"),
        ((100, 6), "channels_last"),
    ],
)
def test_data_format_is_named_only_where_image_shape_does_not_settle_it(axes, order):
    with pytest.warns(UserWarning, match="one channel of") as caught:
        quick().fit(images(*axes), y)
    assert cure(caught[0]).get("data_format") == order
    shape = cure(caught[0])["image_shape"]
    with warnings.catch_warnings(record=True) as again:
        warnings.simplefilter("always")
        quick(image_shape=shape).fit(images(*axes), y)
    assert len(again) == (order is not None)


@pytest.mark.parametrize(
    ("given", "doubtful"),
    [
        ((1, 100, 6), True),  # signals, as the cure of a warning names them without data_format
        ((6, 100, 1), True),
        ((1, 6, 100), True),
        ((100, 6, 1), True),
        ((6, 100), False),
        ((600,), False),
    ],
)
def test_an_image_shape_that_may_be_signals(given, doubtful):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        quick(image_shape=given).fit(images(600), y)
    assert len(caught) == doubtful
    if doubtful:
        assert f"image_shape={given} is taken as one channel of" in str(caught[0].message)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert quick(**cure(caught[0])).fit(images(600), y).image_shape_ == (6, 1, 100)
            for order in ("channels_first", "channels_last"):
                quick(image_shape=given, data_format=order).fit(images(600), y)


def test_signals_may_stand():
    X = images(6, 100)
    clf = quick(image_shape=(6, 1, 100)).fit(X[..., np.newaxis], y)
    assert clf.image_shape_ == (6, 1, 100)
    expected = clf.predict_proba(X)
    for form in (X[..., np.newaxis], X[:, :, np.newaxis], X[:, np.newaxis], X.reshape(12, -1)):
        assert np.array_equal(clf.predict_proba(form), expected)
    with pytest.raises(ValueError, match=r"of 100 channels and 6 points, but"):
        clf.predict(images(100, 6, 1))


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ((3, 40), "holds signals of 3 channels and 40 points, but"),
        ((3, 1, 40), "holds signals of 3 channels and 40 points, but"),
        ((1, 3, 40), "holds signals of 3 channels and 40 points, but"),
        ((2, 50), "holds signals of 2 channels and 50 points, but"),
        ((1, 50, 1), "holds signals of 1 channel and 50 points, but"),
        ((3, 5, 10), r"holds images of shape \(3, 5, 10\) \(channels, height, width\), but"),
        ((50, 3), r"holds signals of 50 channels and 3 points, but.*Pass X\.transpose\(0, 2, 1\)"),
    ],
)
def test_other_signals_than_those_fitted_are_called_signals(axes, message):
    clf = quick(image_shape=(3, 1, 50)).fit(images(3, 50), y)
    fitted = r".* was fitted on signals of 3 channels and 50 points\."
    with pytest.raises(ValueError, match=f"^X {message.replace(', but', ', but' + fitted)}"):
        clf.predict(images(*axes))


def test_signals_with_the_channels_last_are_called_signals():
    shape = {"image_shape": (1, 50, 3), "data_format": "channels_last"}
    clf = quick(**shape).fit(images(50, 3), y)
    with pytest.raises(ValueError, match=r"of 3 channels and 40 points, .* and 50 points\.$"):
        clf.predict(images(40, 3))
    with pytest.raises(ValueError, match=r"of 50 channels and 3 points, .*X\.transpose\(0, 2, 1\)"):
        clf.predict(images(3, 50))
    with pytest.raises(ValueError, match=r"shape \(n, length\) or \(n, length, channels\), got 1 "):
        clf.predict(images(50)[0])
    with pytest.raises(
        ValueError, match=r"X_val holds signals of 3 .* 40 .* X signals of 3 .* 50 p"
    ):
        quick(early_stopping=True, **shape).fit(images(50, 3), y, X_val=images(40, 3), y_val=y)


def test_colour_rows_may_be_signals():
    with pytest.warns(
        UserWarning, match=r"image_shape=\(3, 10, 10\) if .*image_shape=\(1, 300\) if"
    ):
        quick().fit(images(300), y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert quick(image_shape=(1, 300)).fit(images(300), y).image_shape_ == (1, 1, 300)

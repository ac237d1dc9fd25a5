"""Drawings of the displays of `skcnn.inspection`, read off their artists."""

import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_predict

from skcnn import ScratchCNNClassifier, ScratchCNNRegressor
from skcnn.inspection import (
    ActivationsDisplay,
    FiltersDisplay,
    LossCurveDisplay,
    MistakesDisplay,
    NetworkDisplay,
    SaliencyDisplay,
    activations,
    saliency,
)
from skcnn.layers import (
    BatchNorm,
    Conv2d,
    ConvTranspose2d,
    Dense,
    Flatten,
    GlobalAvgPool2d,
    MaxPool2d,
    RandomFlip,
    ReLU,
    Residual,
)
from tests.shared import X, X_test, quick, small, y, y_test

plt.switch_backend("Agg")


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def images(shape, n=24, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, *shape)), np.arange(n) % 2


def model(shape, layers, **parameters):
    X, y = images(shape)
    clf = ScratchCNNClassifier(
        layers, max_iter=1, random_state=0, data_format="channels_first", **parameters
    )
    return clf.fit(X, y), X, y


def no_text_overlaps(figure):
    """Whether no two texts that are seen lie over each other."""
    figure.draw_without_rendering()
    found = []
    for ax in figure.axes:
        texts = [*ax.texts, ax.title, ax._left_title]
        if ax.axison:
            texts += [ax.xaxis.label, ax.yaxis.label]
            for axis in (ax.xaxis, ax.yaxis):
                inside = [
                    tick for tick in axis.get_major_ticks()
                    if min(axis.get_view_interval()) <= tick.get_loc()
                    <= max(axis.get_view_interval())
                ]  # fmt: skip
                texts += [label for tick in inside for label in (tick.label1, tick.label2)]
        found += [
            text.get_window_extent() for text in texts if text.get_visible() and text.get_text()
        ]
    return not any(
        a.overlaps(b) and a.padded(-1).overlaps(b.padded(-1))
        for i, a in enumerate(found)
        for b in found[:i]
    )


# Loss curves


def test_loss_curves_are_the_history():
    clf = small(early_stopping=True, max_iter=6).fit(X, y)
    display = LossCurveDisplay.from_estimator(clf)
    (lines,) = display.lines_
    expected = {
        ("loss", "training"): "loss", ("loss", "validation"): "validation_loss",
        ("accuracy", "training"): "accuracy", ("accuracy", "validation"): "validation_score",
        ("learning rate", "training"): "lr",
    }  # fmt: skip
    assert lines.keys() == expected.keys()
    for key, name in expected.items():
        assert lines[key].get_xdata().tolist() == [1, 2, 3, 4, 5, 6]
        assert lines[key].get_ydata().tolist() == clf.history_[name]
    best = 1 + int(np.argmax(clf.validation_scores_))
    (mark,) = display.best_
    assert mark.axes is display.axes_[1]
    assert (*mark.get_xdata(), *mark.get_ydata()) == (best, max(clf.validation_scores_))
    assert [ax.get_ylabel() for ax in display.axes_] == ["loss", "accuracy", "learning rate"]
    assert display.axes_[-1].get_ylim()[0] == 0
    labels = [text.get_text() for text in display.axes_[1].get_legend().get_texts()]
    assert labels == ["training", "validation", f"best epoch {best}"]
    assert display.figure_ is display.axes_[0].figure
    assert no_text_overlaps(display.figure_)


def test_another_score_has_a_panel_and_a_regressor_no_accuracy():
    clf = quick(early_stopping=True, scoring="neg_log_loss").fit(X, y)
    display = LossCurveDisplay.from_estimator(clf)
    names = ["loss", "accuracy", "validation score", "learning rate"]
    assert [ax.get_ylabel() for ax in display.axes_] == names
    assert display.best_[0].axes is display.axes_[2]
    reg = ScratchCNNRegressor(filters=4, max_iter=3, random_state=0).fit(X, y)
    display = LossCurveDisplay.from_estimator(reg)
    assert [ax.get_ylabel() for ax in display.axes_] == ["loss", "learning rate"]
    (mark,) = display.best_
    assert mark.get_ydata().tolist() == [reg.best_loss_]


def test_the_validation_loss_is_drawn_once():
    clf = quick(early_stopping=True, scoring="loss", max_iter=6).fit(X, y)
    display = LossCurveDisplay.from_estimator(clf)
    assert [ax.get_ylabel() for ax in display.axes_] == ["loss", "accuracy", "learning rate"]
    best = 1 + int(np.argmax(clf.validation_scores_))
    (mark,) = display.best_
    assert mark.axes is display.axes_[0]
    assert (*mark.get_xdata(), *mark.get_ydata()) == (best, -max(clf.validation_scores_))


def test_several_estimators_in_one_plot():
    one, two = quick().fit(X, y), quick(lr=1e-3, early_stopping=True).fit(X, y)
    display = LossCurveDisplay.from_estimator([one, two], name=["fast", "slow"])
    colours = [lines["loss", "training"].get_color() for lines in display.lines_]
    assert len(set(colours)) == 2
    labels = [text.get_text() for text in display.axes_[0].get_legend().get_texts()]
    assert labels[0] == "fast, training"
    assert "slow, validation" in labels
    first = LossCurveDisplay.from_estimator(one)
    second = LossCurveDisplay.from_estimator(two, ax=first.axes_, name="second")
    assert second.axes_[0] is first.axes_[0]
    assert second.ax_ is None
    assert second.lines_[0]["loss", "training"].get_color() == colours[1]
    with pytest.raises(ValueError, match="ax must be one subplot, or 3 of them, got 2"):
        LossCurveDisplay.from_estimator(one, ax=first.axes_[:2])
    with pytest.raises(ValueError, match="as many names as there are estimators, 2"):
        LossCurveDisplay.from_estimator([one, two], name="one")
    with pytest.raises(ValueError, match="must not be an empty list"):
        LossCurveDisplay.from_estimator([])


# Filters


def split(data, size, n_columns):
    """The maps of a mosaic, in order, without the gaps."""
    (H, W), step = size, np.array(size) + 1
    n_rows = (data.shape[0] + 1) // step[0]
    return [
        data[i * step[0] : i * step[0] + H, j * step[1] : j * step[1] + W]
        for i in range(n_rows)
        for j in range(n_columns)
    ]


def test_filters_are_the_weights(fitted):
    display = FiltersDisplay.from_estimator(fitted)
    weights = fitted.network_.unpack(fitted.weights_)[0]["weight"]
    data = np.ma.filled(display.im_.get_array(), np.nan)
    found = split(data, (3, 3), (data.shape[1] + 1) // 4)
    np.testing.assert_array_equal(found[: len(weights)], weights[:, 0].astype(float))
    assert np.isnan(data[3]).all()
    limit = np.abs(weights).max()
    assert display.im_.get_clim() == (-limit, limit)
    assert display.ax_.get_title() == "layer 0, Conv2d"
    assert no_text_overlaps(display.figure_)


def test_filters_over_several_channels_have_a_row_each():
    clf, *_ = model((2, 8, 8), [Conv2d(4, (3, 2)), Residual([Conv2d(4, 1), ReLU()]), Flatten()])
    display = FiltersDisplay.from_estimator(clf)
    weights = clf.network_.unpack(clf.weights_)[0]["weight"]
    found = split(np.ma.filled(display.im_.get_array(), np.nan), (3, 2), 2)
    np.testing.assert_array_equal(found, weights.reshape(8, 3, 2))
    assert display.ax_.get_ylabel() == "filter"
    inner = FiltersDisplay.from_estimator(clf, "1.0")
    assert inner.filters.shape == (4, 4, 1, 1)
    with pytest.raises(ValueError, match=r"must be a convolution, one of \['0', '1.0'\], got 2"):
        FiltersDisplay.from_estimator(clf, 2)


def test_filters_over_colours_are_in_color():
    clf, *_ = model((3, 8, 8), [RandomFlip(), Conv2d(5, 3), ReLU(), Conv2d(3, 3), Flatten()])
    display = FiltersDisplay.from_estimator(clf)
    weights = clf.network_.unpack(clf.weights_)[1]["weight"]
    data = np.asarray(display.im_.get_array())
    assert data.shape[2] == 4
    first = np.moveaxis(data[:3, :3, :3], -1, 0)
    np.testing.assert_allclose(first, 0.5 + weights[0] / (2 * np.abs(weights).max()))
    assert not FiltersDisplay.from_estimator(clf, 3).in_color
    signal, *_ = model((3, 1, 16), [Conv2d(3, (1, 3)), GlobalAvgPool2d()])
    assert not FiltersDisplay.from_estimator(signal).in_color


def test_filters_of_transposed_convolutions_and_of_none():
    clf, *_ = model((1, 6, 6), [ConvTranspose2d(5, 2), Flatten()])
    assert FiltersDisplay.from_estimator(clf).filters.shape == (5, 1, 2, 2)
    flat, *_ = model((1, 6, 6), [Flatten(), Dense(3)])
    with pytest.raises(ValueError, match="has no convolution"):
        FiltersDisplay.from_estimator(flat)


# Activations


def test_activations_of_images_signals_and_units(fitted):
    display = ActivationsDisplay.from_estimator(fitted, X_test[:3], layer=1)
    values = activations(fitted, X_test[:3], 1)
    assert len(display.images_) == 3
    for image, maps in zip(display.images_, values, strict=True):
        data = np.ma.filled(image.get_array(), np.nan)
        found = split(data, (8, 8), (data.shape[1] + 1) // 9)
        np.testing.assert_array_equal(found[: len(maps)], maps.astype(float))
        assert image.get_clim() == (0, values.max())
        assert image.get_cmap().name == "viridis"
    assert no_text_overlaps(display.figure_)
    units = ActivationsDisplay.from_estimator(fitted, X_test[:3], layer=-1, names=["a", "b", "c"])
    (image,) = units.images_
    np.testing.assert_array_equal(image.get_array(), activations(fitted, X_test[:3], -1))
    assert image.get_cmap().name == "RdBu_r"
    assert no_text_overlaps(units.figure_)
    clf, signals, _ = model((2, 1, 16), [Conv2d(3, (1, 3)), GlobalAvgPool2d()])
    curves = ActivationsDisplay.from_estimator(clf, signals[:2])
    assert [image.get_array().shape for image in curves.images_] == [(3, 14), (3, 14)]
    with pytest.raises(ValueError, match="names must have one for each of 3 samples, got 1"):
        ActivationsDisplay.from_estimator(fitted, X_test[:3], names=["a"])


# Saliency


@pytest.mark.parametrize("kind", ["beside", "over"])
def test_heat_maps_are_the_saliencies(fitted, kind):
    display = SaliencyDisplay.from_estimator(fitted, X_test[:7], kind=kind)
    values = saliency(fitted, X_test[:7]).reshape(7, 8, 8)
    for k in range(7):
        x = X_test[k].reshape(8, 8)
        np.testing.assert_allclose(display.samples_[k].get_array(), x / X_test[:7].max())
        np.testing.assert_allclose(display.maps_[k].get_array(), values[k])
        limit = np.abs(values[k]).max()
        np.testing.assert_allclose(display.maps_[k].get_clim(), (-limit, limit))
        above = display.samples_[k].axes
        assert above.get_title() == f"class {fitted.predict(X_test[[k]])[0]}"
        assert (above is display.maps_[k].axes) == (kind == "over")
    assert no_text_overlaps(display.figure_)


def test_colour_is_summed_and_other_channels_stand_side_by_side():
    for channels in (3, 2):
        clf, X, _ = model((channels, 6, 5), [Conv2d(3, 3), ReLU(), Flatten()])
        display = SaliencyDisplay.from_estimator(clf, X[:2], 1)
        values = saliency(clf, X[:2], 1)
        shown = np.ma.filled(display.maps_[0].get_array(), np.nan)
        if channels == 3:
            np.testing.assert_allclose(shown, values[0].sum(axis=0))
            assert display.samples_[0].get_array().shape == (6, 5, 3)
        else:
            np.testing.assert_allclose(split(shown, (6, 5), 2), values[0])
        assert display.axes_[0].get_title() == "class 1"


@pytest.mark.parametrize("channels", [1, 3])
def test_signals_are_coloured_curves(channels):
    clf, X, _ = model((channels, 1, 16), [Conv2d(3, (1, 3)), ReLU(), GlobalAvgPool2d()])
    display = SaliencyDisplay.from_estimator(clf, X[:2], 0)
    values = saliency(clf, X[:2], 0)
    assert display.samples_ == []
    for k, curves in enumerate(display.maps_):
        assert len(curves) == channels
        for c, curve in enumerate(curves):
            np.testing.assert_allclose(curve.get_array(), values[k, c, 0])
            middles = np.array([piece[1] for piece in curve.get_segments()])
            assert middles[:, 0].tolist() == list(range(16))
            moved = middles[:, 1] - X[k, c, 0]
            np.testing.assert_allclose(moved, moved[0], atol=1e-9)
    assert no_text_overlaps(display.figure_)


@pytest.mark.parametrize("shape", [(1, 6, 5), (1, 1, 16)])
def test_names_that_are_floats_are_rounded(shape):
    X, _ = images(shape)
    reg = ScratchCNNRegressor(layers=[Flatten()], max_iter=1, random_state=0).fit(X, X[:, 0, 0, 0])
    names = [152.3456, np.float32(1 / 3), 7, "seven"]
    display = SaliencyDisplay.from_estimator(reg, X[:4], names=names)
    titles = [axis.get_title() or axis.get_title(loc="left") for axis in display.axes_[:4]]
    assert titles == ["152", "0.333", "7", "seven"]
    assert display.names is names


@pytest.mark.parametrize("data_format", ["channels_first", "channels_last"])
def test_samples_may_be_rows_of_a_dataframe(data_format):
    X, y = images((2, 5, 6))
    x = X if data_format == "channels_first" else np.moveaxis(X, 1, -1)
    frame = pd.DataFrame(x.reshape(len(X), -1)).rename(columns=str)
    clf = ScratchCNNClassifier(
        filters=3, max_iter=1, image_shape=x.shape[1:], data_format=data_format, random_state=0
    )
    display = SaliencyDisplay.from_estimator(clf.fit(frame, y), frame[:2])
    np.testing.assert_array_equal(display.samples, X[:2])
    values = saliency(clf, frame[:2]).reshape(x[:2].shape)
    values = values if data_format == "channels_first" else np.moveaxis(values, -1, 1)
    np.testing.assert_array_equal(display.saliency, values)


def test_displays_go_where_they_are_told(fitted):
    figure, axes = plt.subplots(1, 2)
    display = SaliencyDisplay.from_estimator(fitted, X_test[:2], ax=axes[0])
    assert display.ax_ is axes[0]
    assert display.figure_ is figure
    assert not axes[0].axison
    again = display.plot(kind="over", ax=plt.subplots(2)[1])
    assert again is display
    assert len(again.axes_) == 2
    with pytest.raises(ValueError, match="kind must be one of"):
        display.plot(kind="under")
    with pytest.raises(ValueError, match="ax must be a subplot, got axes placed by hand"):
        display.plot(ax=plt.figure().add_axes((0, 0, 1, 1)))
    with pytest.raises(ValueError, match="names must have one for each of 2 samples"):
        SaliencyDisplay.from_estimator(fitted, X_test[:2], names="abc")


# Mistakes


def test_mistakes_are_the_largest_losses(fitted):
    display = MistakesDisplay.from_estimator(fitted, X_test, y_test, n_mistakes=8)
    losses = -fitted.predict_log_proba(X_test)[np.arange(len(y_test)), y_test]
    worst = np.argsort(-losses, kind="stable")[:8]
    assert display.rows.tolist() == worst.tolist()
    np.testing.assert_allclose(display.losses, losses[worst])
    for row, ax in zip(worst, display.axes_, strict=False):
        image = ax.images[0].get_array()
        np.testing.assert_allclose(image, X_test[row].reshape(8, 8) / X_test[worst].max())
        (found,), (p,) = fitted.predict(X_test[[row]]), fitted.predict_proba(X_test[[row]])
        assert ax.get_title() == f"true {y_test[row]}\npredicted {found}, {p.max():.2f}"
        assert (ax.title.get_color() == "#D55E00") == (found != y_test[row])
    assert no_text_overlaps(display.figure_)


def test_mistakes_are_told_in_names_of_classes_labels_and_outputs(fitted):
    words = [f"digit {i}" for i in range(10)]
    named = MistakesDisplay.from_estimator(fitted, X_test, y_test, display_labels=words)
    plain = MistakesDisplay.from_estimator(fitted, X_test, y_test)
    proba = fitted.predict_proba(X_test)
    given = MistakesDisplay.from_predictions(y_test, proba, X_test, display_labels=words)
    for name, number, same in zip(named.names, plain.names, given.names, strict=True):
        assert name == same == re.sub("(true|predicted) ", r"\1 digit ", number)
    labels = np.column_stack([y > 4, y % 2]).astype(int)
    clf = quick().fit(X, labels)
    display = MistakesDisplay.from_estimator(
        clf, X, labels, n_mistakes=30, display_labels=["large", "odd"]
    )
    numbered = MistakesDisplay.from_estimator(clf, X, labels, n_mistakes=30)
    words = {"0": "large", "1": "odd"}
    for name, number in zip(display.names, numbered.names, strict=True):
        assert name == re.sub("[01]", lambda found: words[found[0]], number)
    assert {"large", "odd"} & set(re.split("[ ,\n]+", "\n".join(display.names)))
    reg = ScratchCNNRegressor(filters=4, max_iter=2, random_state=0).fit(X, np.c_[y, -y])
    display = MistakesDisplay.from_estimator(
        reg, X, np.c_[y, -y], n_mistakes=1, display_labels=["a", "b"]
    )
    row = display.rows[0]
    assert display.names[0].startswith(f"true a {y[row]:.3g}, b {-y[row]:.3g}\npredicted a ")
    with pytest.raises(ValueError, match=r"display_labels must be 10 names, .* got \['a'\]"):
        MistakesDisplay.from_estimator(fitted, X_test, y_test, display_labels=["a"])


def test_wrong_labels_show_up_in_predictions_of_others():
    names = np.array([f"a digit that is {i}" for i in range(10)])[y]
    names[7] = "a digit that is 0" if y[7] else "a digit that is 1"
    probabilities = cross_val_predict(small(), X, names, cv=3, method="predict_proba")
    display = MistakesDisplay.from_predictions(names, probabilities, X)
    assert 7 in display.rows
    assert no_text_overlaps(display.figure_)
    same = MistakesDisplay.from_predictions(
        names, probabilities, X.reshape(-1, 8, 8), classes=np.unique(names)
    )
    assert np.array_equal(same.rows, display.rows)
    with pytest.raises(ValueError, match="classes must be sorted"):
        MistakesDisplay.from_predictions(names, probabilities, X, classes=np.unique(names)[::-1])
    with pytest.raises(ValueError, match=r"y_proba must have .* and 10 classes.*\(600, 9\)"):
        MistakesDisplay.from_predictions(names, probabilities[:, 1:], X)


@pytest.mark.parametrize("classes", [None, range(10)])
def test_errors_of_mistakes_call_the_arguments_by_their_names(classes):
    probabilities, gaps = np.eye(10)[y], np.where(np.arange(len(y)) == 3, np.nan, y)
    for wrong, message in (
        (
            y[:-1],
            r"MistakesDisplay: X and y_true have inconsistent numbers of samples: 600 and 599\.",
        ),
        (gaps, "Input y_true contains NaN"),
        (None, "MistakesDisplay requires y_true to be passed"),
    ):
        with pytest.raises(ValueError, match=message):
            MistakesDisplay.from_predictions(wrong, probabilities, X, classes=classes)


def test_mistakes_of_labels_and_of_quantities():
    labels = np.column_stack([y > 4, y % 2, y == 0]).astype(int)
    clf = quick().fit(X, labels)
    display = MistakesDisplay.from_estimator(clf, X, labels, n_mistakes=3)
    p = clf.predict_proba(X).astype(float)
    losses = -np.log(np.where(labels, p, 1 - p)).sum(axis=1)
    assert display.rows.tolist() == np.argsort(-losses, kind="stable")[:3].tolist()
    row = display.rows[0]
    missed = np.flatnonzero((labels[row] == 1) & (clf.predict(X[[row]])[0] == 0))
    shown = ", ".join(map(str, missed)) or "none"
    assert display.axes_[0].get_title().startswith(f"missed {shown}\nwrongly ")
    reg = ScratchCNNRegressor(filters=4, max_iter=2, random_state=0).fit(X, y)
    display = MistakesDisplay.from_estimator(reg, X, y, n_mistakes=2)
    row = int(np.argmax((reg.predict(X) - y) ** 2))
    assert display.rows[0] == row
    expected = f"true {y[row]:.3g}\npredicted {reg.predict(X[[row]])[0]:.3g}"
    assert display.axes_[0].get_title() == expected
    with pytest.raises(ValueError, match="n_mistakes must be an int of at least 1"):
        MistakesDisplay.from_estimator(reg, X, y, n_mistakes=0)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        MistakesDisplay.from_estimator(reg, X, y[:-1])


# Networks


def test_the_network_is_drawn_with_shapes_and_branches():
    layers = [
        Conv2d(4, 3, padding=1), BatchNorm(), ReLU(), MaxPool2d(2),
        Residual([Conv2d(8, 3, stride=2, padding=1), ReLU(), Conv2d(8, 1)], Conv2d(8, 1, stride=2)),
        ReLU(), Residual([Conv2d(8, 1)]), Flatten(), Dense(5), ReLU(),
    ]  # fmt: skip
    clf, *_ = model((2, 8, 12), layers)
    display = NetworkDisplay.from_estimator(clf)
    assert [text.get_text() for text in display.texts_] == [
        "Conv2d(4, 3, padding=1)\nBatchNorm\nReLU\nMaxPool2d(2)",
        "Conv2d(8, 3, stride=2, padding=1)\nReLU", "Conv2d(8, 1)", "Conv2d(8, 1, stride=2)",
        "ReLU", "Conv2d(8, 1)", "Flatten", "Dense(5)\nReLU", "Dense(2)",
    ]  # fmt: skip
    assert len(display.boxes_) == 9
    assert len(display.frames_) == 2
    shapes = [text.get_text() for text in display.shapes_]
    assert shapes == ["4×4×6", "8×2×3", "8×2×3", "8×2×3", "8×2×3", "48", "5", "2"]
    assert display.ax_.texts[0].get_text() == "input 2×8×12"
    # every text lies in its box, every box of a block in the frame, and all in the drawing
    display.figure_.draw_without_rendering()
    for box, text in zip(display.boxes_, display.texts_, strict=True):
        outer, inner = box.get_window_extent(), text.get_window_extent()
        assert outer.x0 <= inner.x0 <= inner.x1 <= outer.x1
    frame = display.frames_[0].get_window_extent()
    for box in display.boxes_[1:4]:
        inner = box.get_window_extent()
        assert frame.x0 < inner.x0 < inner.x1 < frame.x1
        assert frame.y0 < inner.y0 < inner.y1 < frame.y1
    assert no_text_overlaps(display.figure_)
    tops = [box.get_window_extent().y1 for box in display.boxes_]
    assert tops[0] > tops[1] > tops[2] > tops[4] > tops[5] > tops[6] > tops[7] > tops[8]


def test_a_small_place_gets_small_letters(fitted):
    large = NetworkDisplay.from_estimator(fitted)
    small_ = NetworkDisplay.from_estimator(fitted, ax=plt.subplots(figsize=(2, 2))[1])
    assert small_.texts_[0].get_fontsize() < large.texts_[0].get_fontsize()
    small_.figure_.draw_without_rendering()
    for box, text in zip(small_.boxes_, small_.texts_, strict=True):
        outer, inner = box.get_window_extent(), text.get_window_extent()
        assert outer.x0 <= inner.x0 <= inner.x1 <= outer.x1


# All of them


@pytest.mark.parametrize(
    ("display", "arguments"),
    [
        (LossCurveDisplay, ()), (FiltersDisplay, ()), (ActivationsDisplay, (X,)),
        (SaliencyDisplay, (X,)), (MistakesDisplay, (X, y)), (NetworkDisplay, ()),
    ],
)  # fmt: skip
def test_other_estimators_are_refused(display, arguments, monkeypatch, fitted):
    with pytest.raises(TypeError, match=f"{display.__name__}: estimator must be a Scratch"):
        display.from_estimator(object(), *arguments)
    with pytest.raises(NotFittedError):
        display.from_estimator(quick(), *arguments)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'pip install "skcnn\[plot\]"'):
        display.from_estimator(fitted, *arguments)


def test_neither_the_package_nor_the_room_imports_matplotlib():
    code = (
        "import sys, skcnn; assert 'skcnn.inspection' not in sys.modules; "
        "import skcnn.inspection; assert 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_loss_curves_tell_why_training_ended():
    first = quick().fit(X, y)
    display = LossCurveDisplay.from_estimator(first)
    assert display.axes_[-1].get_xlabel() == "epoch (ended after max_iter)"
    second = quick(max_iter=9, tol=9.0, n_iter_no_change=1)
    both = LossCurveDisplay.from_estimator([first, second.fit(X, y)], name=["A", "B"])
    assert both.axes_[-1].get_xlabel() == (
        "epoch (A ended after max_iter, B ended without improvement)"
    )
    part = ScratchCNNClassifier(filters=2).partial_fit(X, y, classes=sorted(set(y)))
    assert LossCurveDisplay.from_estimator(part).axes_[-1].get_xlabel() == "epoch"

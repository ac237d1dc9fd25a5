"""Saliencies beside finite differences, sums and naive loops."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skcnn import ScratchCNNClassifier, ScratchCNNRegressor
from skcnn.inspection import (
    GradCAM,
    Gradient,
    IntegratedGradients,
    Occlusion,
    SmoothGrad,
    saliency,
)
from skcnn.layers import Conv2d, Dense, Flatten, GlobalAvgPool2d, MaxPool2d, ReLU, Residual, Tanh

METHODS = ["gradient", "smoothgrad", "integrated_gradients", "grad_cam", "occlusion"]
SMOOTH = [Conv2d(3, 3, padding=1), Tanh(), Conv2d(4, 3), Tanh(), GlobalAvgPool2d()]
RECTIFIED = [Conv2d(4, 3, padding="same"), ReLU(), MaxPool2d(2), Flatten(), Dense(6), ReLU()]


def data(shape, seed=0, n=12):
    """Images of float64 whose channels have different means and deviations."""
    rng = np.random.default_rng(seed)
    units = np.arange(1, shape[0] + 1).reshape(-1, 1, 1)
    return 3 * units + 2.0**units * rng.normal(size=(n, *shape)), np.arange(n) % 3


def fitted(X, y, layers=SMOOTH, kind=ScratchCNNClassifier, **parameters):
    return kind(layers, max_iter=2, random_state=0, **parameters).fit(X, y)


def outputs(estimator, X, data_format="channels_first"):
    """Outputs that are explained, computed by the network itself."""
    x = np.asarray(X, float)
    if data_format == "channels_last":
        x = np.moveaxis(x, -1, 1)
    x = x.reshape(len(x), *estimator.image_shape_)
    mean, scale = (v.reshape(-1, 1, 1) for v in (estimator.input_mean_, estimator.input_scale_))
    Z = estimator.network_.forward((x - mean) / scale, estimator.weights_)
    if getattr(estimator, "target_scale_", None) is not None and (
        estimator.out_activation_ == "identity"
    ):
        Z = Z * estimator.target_scale_ + estimator.target_mean_
    return Z


def differences(estimator, X, column, data_format="channels_first", step=1e-5):
    """Central finite differences of an output by every number of every row."""
    found = np.empty(X.shape)
    for index in np.ndindex(X.shape[1:]):
        up, down = X.copy(), X.copy()
        up[(slice(None), *index)] += step
        down[(slice(None), *index)] -= step
        rise = outputs(estimator, up, data_format) - outputs(estimator, down, data_format)
        found[(slice(None), *index)] = rise[:, column] / (2 * step)
    return found


@pytest.mark.parametrize("layers", [SMOOTH, RECTIFIED], ids=["tanh", "relu"])
@pytest.mark.parametrize("scale_input", [True, False])
def test_gradient_is_that_of_finite_differences(layers, scale_input):
    X, y = data((2, 5, 6))
    clf = fitted(X, y, layers, scale_input=scale_input)
    for target in (0, 2):
        found = saliency(clf, X[:4], target)
        expected = differences(clf, X[:4], target)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-8)


FORMS = {
    "flat": lambda X: (X[:, 0].reshape(len(X), -1), {"image_shape": X.shape[2:]}),
    "one channel": lambda X: (X[:, 0], {}),
    "first": lambda X: (X, {"data_format": "channels_first"}),
    "last": lambda X: (np.moveaxis(X, 1, -1), {"data_format": "channels_last"}),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_images(form):
    X, parameters = FORMS[form](data((2, 5, 6))[0])
    clf = fitted(X, data((2, 5, 6))[1], **parameters)
    order = parameters.get("data_format", "channels_first")
    expected = differences(clf, X[:3], 1, order)
    found = saliency(clf, X[:3], 1)
    assert found.shape == X[:3].shape
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-8)
    for method in METHODS:
        again = saliency(clf, X[:3], 1, method=method, random_state=0)
        assert again.shape == X[:3].shape
        assert again.dtype == clf.weights_.dtype


def test_dataframes_lists_and_integers():
    X, y = data((1, 4, 4))
    frame = pd.DataFrame(X.reshape(len(X), -1).round()).rename(columns=str)
    clf = fitted(frame, y)
    found = saliency(clf, frame)
    assert isinstance(found, np.ndarray)
    assert found.shape == frame.shape
    whole = fitted(frame.to_numpy(), y)
    integers = frame.to_numpy().astype(int)
    assert np.array_equal(saliency(whole, integers.tolist()), saliency(whole, integers))
    np.testing.assert_allclose(saliency(whole, integers), found, rtol=1e-12)


@pytest.mark.parametrize("shape", [(1, 1, 16), (6, 1, 16), (2, 16, 1)])
def test_signals(shape):
    X, y = data(shape)
    layers = [Conv2d(4, 3, padding="same"), Tanh(), GlobalAvgPool2d()]
    clf = fitted(X, y, layers, data_format="channels_first")
    found = saliency(clf, X[:3], 0)
    np.testing.assert_allclose(found, differences(clf, X[:3], 0), rtol=1e-5, atol=1e-8)
    for method in METHODS:
        assert np.isfinite(saliency(clf, X[:3], method=method)).all()


def test_target_is_a_class_one_for_all_one_for_each_or_the_predicted():
    X, y = data((1, 5, 5))
    names = np.array(["ape", "bee", "cat"])
    clf = fitted(X, names[y])
    each = np.stack([saliency(clf, X, name) for name in names])
    predicted = clf.predict(X)
    numbers = np.searchsorted(names, predicted)
    rows = np.arange(len(X))
    assert np.array_equal(saliency(clf, X), each[numbers, rows])
    assert np.array_equal(saliency(clf, X, predicted), each[numbers, rows])
    mixed = names[rows % 3]
    assert np.array_equal(saliency(clf, X, mixed.tolist()), each[rows % 3, rows])


def test_several_labels():
    X, y = data((1, 5, 5))
    clf = fitted(X, np.column_stack([y == 0, y > 0, y == 2]))
    np.testing.assert_allclose(
        saliency(clf, X[:3], 2), differences(clf, X[:3], 2), rtol=1e-5, atol=1e-8
    )
    most = clf.predict_proba(X).argmax(axis=1)
    assert np.array_equal(saliency(clf, X), saliency(clf, X, most))


@pytest.mark.parametrize("loss", ["squared_error", "huber", "poisson"])
def test_regressor_in_the_unit_of_the_target(loss):
    X, _ = data((1, 5, 5))
    y = 50 + 20 * np.abs(X.mean(axis=(1, 2, 3)))
    reg = fitted(X, y, kind=ScratchCNNRegressor, loss=loss, lr=1e-2)
    step = 1e-5
    found = saliency(reg, X[:3])
    for index in [(0, 0, 0), (0, 2, 3), (0, 4, 1)]:
        up, down = X[:3].copy(), X[:3].copy()
        up[(slice(None), *index)] += step
        down[(slice(None), *index)] -= step
        high, low = reg.predict(up), reg.predict(down)
        if loss == "poisson":
            high, low = np.log(high), np.log(low)
        np.testing.assert_allclose(
            found[(slice(None), *index)], (high - low) / (2 * step), rtol=1e-4, atol=1e-7
        )


def test_regressor_of_several_quantities_has_to_be_told_which():
    X, _ = data((1, 5, 5))
    y = np.column_stack([X.mean(axis=(1, 2, 3)), 100 * X.std(axis=(1, 2, 3))])
    reg = fitted(X, y, kind=ScratchCNNRegressor)
    np.testing.assert_allclose(
        saliency(reg, X[:3], 1), differences(reg, X[:3], 1), rtol=1e-5, atol=1e-7
    )
    with pytest.raises(ValueError, match=r"target must be specified .* one of \[0, 1\]"):
        saliency(reg, X)


# The methods


@pytest.mark.parametrize("baseline", [0.0, None, "image", "images"])
@pytest.mark.parametrize("kind", [ScratchCNNClassifier, ScratchCNNRegressor])
def test_integrated_gradients_are_complete(baseline, kind):
    X, y = data((2, 5, 6))
    estimator = fitted(X, y, kind=kind, data_format="channels_first")
    start = {
        "image": X.min(axis=0), "images": X[::-1],
        None: np.broadcast_to(estimator.input_mean_.reshape(-1, 1, 1), X.shape[1:]),
    }.get(baseline, np.zeros(X.shape[1:]))  # fmt: skip
    given = start if isinstance(baseline, str) else baseline
    found = saliency(estimator, X, 0, method=IntegratedGradients(given, n_steps=40))
    zero = np.broadcast_to(start, X.shape)
    rise = (outputs(estimator, X) - outputs(estimator, zero))[:, 0]
    np.testing.assert_allclose(found.sum(axis=(1, 2, 3)), rise, rtol=1e-7, atol=1e-9)


def test_integrated_gradients_of_rectifiers_come_near():
    X, y = data((1, 6, 6))
    clf = fitted(X, y, RECTIFIED)
    rise = (outputs(clf, X) - outputs(clf, np.zeros_like(X)))[:, 1]
    errors = [
        np.abs(saliency(clf, X, 1, method=IntegratedGradients(n_steps=n)).sum((1, 2, 3)) - rise)
        for n in (5, 400)
    ]
    assert errors[1].max() < 0.01 * np.abs(rise).max()
    assert errors[1].max() < 0.2 * errors[0].max()


def test_numbers_of_the_baseline_have_no_share():
    X, y = data((1, 5, 5))
    X[:, :, 2] = 0
    found = saliency(fitted(X, y), X, method="integrated_gradients")
    assert not found[:, :, 2].any()
    assert found[:, :, 1].any()


@pytest.mark.slow
def test_smoothgrad_is_the_mean_gradient_over_noisy_copies():
    X, y = data((2, 5, 6))
    clf = fitted(X, y, data_format="channels_first")
    method = SmoothGrad(n_samples=2000, noise=0.2)
    found = saliency(clf, X[:2], 0, method=method, random_state=0)
    rng = np.random.default_rng(1)
    for x, values in zip(X[:2], found, strict=True):
        noisy = x + 0.2 * np.ptp(x) * rng.normal(size=(2000, *x.shape))
        gradients = saliency(clf, noisy, 0)
        error = gradients.std(axis=0) / np.sqrt(1000)  # of a difference of two means
        assert np.abs((values - gradients.mean(axis=0)) / error).max() < 5
    quiet = saliency(clf, X, 0, method=SmoothGrad(n_samples=3, noise=0))
    np.testing.assert_allclose(quiet, saliency(clf, X, 0), rtol=1e-12)


def test_noise_is_that_of_random_state_whatever_the_memory():
    X, y = data((1, 8, 8), n=40)
    clf = fitted(X, y)
    first = saliency(clf, X, 0, method="smoothgrad", random_state=3)
    assert np.array_equal(first, saliency(clf, X, 0, method="smoothgrad", random_state=3))
    assert not np.array_equal(first, saliency(clf, X, 0, method="smoothgrad", random_state=4))
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    fewer = saliency(clf, X[:7], 0, method="smoothgrad", random_state=3)
    assert np.array_equal(before, np.random.get_state()[1])
    np.testing.assert_allclose(fewer, first[:7], rtol=1e-9)
    instance = np.random.RandomState(3)
    assert np.array_equal(first, saliency(clf, X, 0, method="smoothgrad", random_state=instance))
    assert not np.array_equal(
        first, saliency(clf, X, 0, method="smoothgrad", random_state=instance)
    )


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_little_memory_changes_nothing_but_rounding(method):
    X, y = data((1, 40, 40), n=40)
    clf = fitted(X, y)
    method = {"smoothgrad": SmoothGrad(n_samples=2)}.get(method, method)
    whole = saliency(clf, X, 0, method=method, random_state=0)
    with sklearn.config_context(working_memory=0.5):
        parts = saliency(clf, X, 0, method=method, random_state=0)
    np.testing.assert_allclose(parts, whole, rtol=1e-9, atol=1e-12)


def test_grad_cam_by_hand():
    X, y = data((2, 8, 6))
    layers = [Conv2d(3, 3), Tanh(), MaxPool2d(2), Flatten()]
    clf = fitted(X, y, layers, data_format="channels_first")
    weights = clf.network_.unpack(clf.weights_)
    mean, scale = (v.reshape(-1, 1, 1) for v in (clf.input_mean_, clf.input_scale_))
    u = (X[0] - mean) / scale
    A = np.empty((3, 6, 4))
    for k, i, j in np.ndindex(A.shape):
        window = u[:, i : i + 3, j : j + 3]
        A[k, i, j] = np.tanh((weights[0]["weight"][k] * window).sum() + weights[0]["bias"][k])
    pooled = weights[4]["weight"][1].reshape(3, 3, 2)
    map_ = sum(pooled[k].sum() / A[k].size * A[k] for k in range(3))  # one maximum a window
    map_ = np.maximum(map_, 0)
    expected = np.empty((8, 6))
    for i, j in np.ndindex(8, 6):
        a, b = (min(max((p + 0.5) * n / m - 0.5, 0), n - 1) for p, n, m in ((i, 6, 8), (j, 4, 6)))
        i0, j0 = min(int(a), 4), min(int(b), 2)
        corners = map_[i0 : i0 + 2, j0 : j0 + 2]
        expected[i, j] = [1 - a + i0, a - i0] @ corners @ [1 - b + j0, b - j0]
    found = saliency(clf, X[:1], 1, method=GradCAM())
    np.testing.assert_allclose(found[0], [expected, expected], rtol=1e-9, atol=1e-12)
    assert np.array_equal(found, saliency(clf, X[:1], 1, method=GradCAM(1)))
    assert np.array_equal(found, saliency(clf, X[:1], 1, method=GradCAM(-4)))
    assert not np.array_equal(found, saliency(clf, X[:1], 1, method=GradCAM(0)))


def test_grad_cam_through_residual_blocks():
    X, y = data((1, 8, 8))
    layers = [Conv2d(3, 3), Residual([Conv2d(3, 3, padding=1), Tanh()]), Tanh(), GlobalAvgPool2d()]
    clf = fitted(X, y, layers)
    assert np.array_equal(
        saliency(clf, X, 0, method="grad_cam"), saliency(clf, X, 0, method=GradCAM(2))
    )


@pytest.mark.parametrize(
    ("window", "stride", "shape"),
    [(2, 1, (2, 5, 6)), ((3, 2), (2, 3), (1, 7, 5)), (9, 1, (1, 4, 5)), (2, 3, (1, 1, 9))],
)
@pytest.mark.parametrize("baseline", [None, 1.5])
def test_occlusion_is_the_mean_fall_over_windows(window, stride, shape, baseline):
    X, y = data(shape)
    layers = [Conv2d(3, 3, padding="same"), Tanh(), Flatten()]
    clf = fitted(X, y, layers, data_format="channels_first")
    found = saliency(clf, X[:3], 2, method=Occlusion(window, stride, baseline))
    cover = clf.input_mean_.reshape(-1, 1, 1) if baseline is None else baseline
    H, W = shape[1:]
    wh, ww = np.minimum(window, (H, W))
    sh, sw = np.broadcast_to(stride, 2)
    falls = [[[] for _ in range(W)] for _ in range(H)]
    for i in sorted({*range(0, H - wh, sh), H - wh}):
        for j in sorted({*range(0, W - ww, sw), W - ww}):
            hidden = X[:3].copy()
            hidden[:, :, i : i + wh, j : j + ww] = cover
            fall = (outputs(clf, X[:3]) - outputs(clf, hidden))[:, 2]
            for p, q in np.ndindex(wh, ww):
                falls[i + p][j + q].append(fall)
    expected = np.array([[np.mean(cell, axis=0) if cell else np.zeros(3) for cell in row]
                         for row in falls])  # fmt: skip
    expected = np.moveaxis(expected, -1, 0)[:, np.newaxis]
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), rtol=1e-9, atol=1e-12)


# What is not allowed


@pytest.fixture(scope="module")
def clf():
    return fitted(*data((1, 5, 5)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "lime"}, r"method must be one of \['gradient', .*got 'lime'"),
        ({"method": Gradient}, "method must be one of"),
        ({"target": 7}, r"target must be among \[0, 1, 2\], got 7"),
        ({"target": "0"}, "target must be among"),
        ({"target": [0, 1]}, r"one of them for each of the 12 rows of X, .*\(2,\)"),
        ({"method": SmoothGrad(0)}, "n_samples must be an int of at least 1"),
        ({"method": SmoothGrad(noise=-1)}, "noise must be a number in"),
        ({"method": IntegratedGradients(n_steps=1.5)}, "n_steps must be an int"),
        ({"method": IntegratedGradients(np.zeros(3))}, "baseline must be a number, an image of"),
        ({"method": IntegratedGradients("black")}, "baseline must hold finite numbers"),
        ({"method": Occlusion(baseline=np.nan)}, "baseline must hold finite numbers"),
        ({"method": Occlusion(0)}, "window must be an int of at least 1"),
        ({"method": Occlusion(2, (1, 0))}, "stride must be an int of at least 1"),
        ({"method": GradCAM(5)}, r"a layer whose output has pixels, one of \[0, 1, 2, 3\], got 5"),
        ({"method": GradCAM(True)}, "a layer whose output has pixels"),
        ({"random_state": "seed", "method": "smoothgrad"}, "seed"),
    ],
)
def test_errors_name_the_argument(clf, arguments, message):
    with pytest.raises(ValueError, match=message):
        saliency(clf, data((1, 5, 5))[0], **arguments)


def test_errors_of_estimators_and_images(clf):
    X, y = data((1, 5, 5))
    with pytest.raises(NotFittedError):
        saliency(ScratchCNNClassifier(), X)
    pipeline = make_pipeline(MinMaxScaler(), ScratchCNNClassifier())
    with pytest.raises(TypeError, match=r"got Pipeline.*pipeline\[-1\]"):
        saliency(pipeline, X)
    with pytest.raises(ValueError, match="was fitted on images of shape"):
        saliency(clf, X[:, :, :4])
    with pytest.raises(ValueError, match="NaN"):
        saliency(clf, np.where(X > 0, X, np.nan))
    flat = fitted(X, y, [Flatten(), Dense(4), Tanh()])
    assert np.isfinite(saliency(flat, X)).all()
    with pytest.raises(ValueError, match="has no convolution"):
        saliency(flat, X, method="grad_cam")


def test_methods_print_and_compare():
    assert repr(SmoothGrad(noise=0.1)) == "SmoothGrad(noise=0.1)"
    assert Occlusion(3) == Occlusion(window=3) != Occlusion(4)

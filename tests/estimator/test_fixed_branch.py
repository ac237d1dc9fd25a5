"""The fixed branch of signals: features from fixed kernels, solved and added to what is learned."""

import pickle

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import logit
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from skcnn import FixedKernelFeatures, ScratchCNNClassifier, ScratchCNNRegressor
from skcnn.inspection import saliency
from skcnn.ridge import calibrate, fit_ridge, merge_rows
from skcnn.state import stream

RNG = np.random.default_rng(0)
Y = np.arange(60) % 3
X = RNG.normal(size=(60, 70)) + np.sin(
    np.arange(70) * np.array([0.3, 0.6, 1.2])[Y, None] + RNG.uniform(0, 6, (60, 1))
)
NAMES = np.array(["a", "b", "c"])[Y]
QUICK = {"max_iter": 3, "random_state": 0, "filters": 4}


def both(kind=ScratchCNNClassifier, X=X, y=Y, sample_weight=None, **parameters):
    """The untouched estimator and its learned branch alone."""
    parameters = {**QUICK, **parameters}
    whole = kind(**parameters).fit(X, y, sample_weight=sample_weight)
    learned = kind(**parameters | {"fixed_features": 0}).fit(X, y, sample_weight=sample_weight)
    return whole, learned


def centred(z):
    return z - z.mean(axis=1, keepdims=True)


def test_the_sum_is_that_of_both_branches():
    whole, learned = both(X=X.astype(np.float32))
    features = FixedKernelFeatures(1000, 0).fit(X.astype(np.float32))
    assert whole.auto_params_["fixed_features"] == 1000
    F = features.transform(X.astype(np.float32))
    fit = fit_ridge(lambda part: F[part], np.eye(3)[Y], np.ones(60))
    slope = calibrate(fit.left_out, Y, np.ones(60))
    p = 0.25  # 60 / 260 is less
    fixed = slope * (F @ fit.weight.T + fit.bias)
    expected = 1.2 * ((1 - p) * centred(fixed) + p * centred(learned.predict_log_proba(X)))
    found = whole.predict_log_proba(X.astype(np.float32))
    np.testing.assert_allclose(centred(found), centred(expected), atol=2e-3)


def test_the_learned_branch_is_what_it_was():
    whole, learned = both()
    n = learned.network_.gradient_size
    same = whole.weights_[:n] == learned.weights_
    head = sum(array.size for array in learned.get_weights()[-1].values())
    assert (~same).sum() <= head
    assert whole.loss_curve_ == learned.loss_curve_
    assert whole.n_iter_ == learned.n_iter_
    assert whole.network_.n_parameters == learned.network_.n_parameters


def test_it_learns_what_the_learned_branch_has_no_time_for():
    whole, learned = both(X=X[:40], y=Y[:40])
    assert learned.score(X[40:], Y[40:]) < whole.score(X[40:], Y[40:]) == 1


@pytest.mark.parametrize(
    "case",
    [
        {"parameters": {"layers": []}},
        {"parameters": {"warm_start": True}},
        {"parameters": {"image_shape": (7, 10)}},
        {"kind": ScratchCNNRegressor, "parameters": {"loss": "huber"}, "y": Y.astype(float)},
    ],
)
def test_auto_is_none_where_it_cannot_be(case):
    kind, y = case.get("kind", ScratchCNNClassifier), case.get("y", Y)
    fitted = kind(**QUICK | case.get("parameters", {})).fit(X, y)
    assert fitted.auto_params_["fixed_features"] == 0
    assert len(fitted.layers_) > 1 or fitted.layers == []


def test_parts_and_an_initialized_model_have_none():
    part = ScratchCNNClassifier(**QUICK).partial_fit(X, Y, classes=[0, 1, 2])
    begun = ScratchCNNClassifier(**QUICK).initialize(X, Y)
    assert part.auto_params_["fixed_features"] == 0
    assert part.network_ == begun.network_
    assert len(begun.layers_) > 1


@pytest.mark.parametrize(
    ("parameters", "y", "message"),
    [
        ({"fixed_features": -1}, Y, "fixed_features must be an int of at least 0"),
        ({"fixed_features": "all"}, Y, "fixed_features must be an int of at least 0"),
        ({"fixed_features": 9, "image_shape": (7, 10)}, Y, "must be 0 or 'auto' for images"),
    ],
)
def test_errors_name_the_parameter(parameters, y, message):
    clf = ScratchCNNClassifier(**QUICK | parameters)
    with pytest.raises(ValueError, match=message):
        clf.fit(X, y)
    assert not hasattr(clf, "weights_")


def test_a_number_is_not_ignored_in_parts():
    clf = ScratchCNNClassifier(**QUICK, fixed_features=84)
    with pytest.raises(ValueError, match=r"must be 0 or 'auto' in partial_fit, .* got 84"):
        clf.partial_fit(X, Y, classes=[0, 1, 2])
    assert not hasattr(clf, "weights_")


@pytest.mark.parametrize(("before", "after"), [("auto", 84), ("auto", 0), (0, 84), (84, 0)])
def test_another_number_is_not_ignored_in_going_on(before, after):
    clf = ScratchCNNClassifier(**QUICK, fixed_features=before).fit(X, Y)
    weights = clf.weights_.copy()
    clf.set_params(fixed_features=after, warm_start=True)
    had = 1000 if before == "auto" else before
    message = f"was fitted with fixed_features={had}, and fixed_features is {after} now"
    for go_on in (clf.fit, clf.partial_fit):
        with pytest.raises(ValueError, match=message):
            go_on(X, Y)
    assert np.array_equal(clf.weights_, weights)
    clf.set_params(fixed_features=before).fit(X, Y)
    assert clf.n_iter_ == 2 * QUICK["max_iter"]


def test_losses_of_regressors_are_named():
    with pytest.raises(ValueError, match="unless loss='squared_error'"):
        ScratchCNNRegressor(loss="poisson", fixed_features=9).fit(X, Y)


def test_a_regressor_is_the_mean_of_both():
    y = RNG.normal(size=(60, 2)) @ [[3.0, 1], [0, 2]] + X[:, :2] + 100
    whole, learned = both(ScratchCNNRegressor, y=y)
    scaled = (y - y.mean(axis=0)) / y.std(axis=0)
    F = FixedKernelFeatures(1000, 0).fit_transform(X)
    fit = fit_ridge(lambda part: F[part], scaled, np.ones(60))
    fixed = (F @ fit.weight.T + fit.bias) * y.std(axis=0) + y.mean(axis=0)
    expected = 0.75 * fixed + 0.25 * learned.predict(X)
    np.testing.assert_allclose(whole.predict(X), expected, rtol=1e-6)


def test_labels_have_a_factor_and_an_offset_each():
    labels = np.column_stack([Y == 0, Y > 0, RNG.random(60) < 0.1, np.ones(60)]).astype(int)
    whole, learned = both(y=labels)
    F = FixedKernelFeatures(1000, 0).fit_transform(X)
    fit = fit_ridge(lambda part: F[part], 2.0 * labels - 1, np.ones(60))
    fixed = np.empty((60, 4))
    smooth = (labels * 60 + 0.5) / 61
    for k, z in enumerate(fit.left_out.T):

        def loss(both, z=z, t=smooth[:, k]):
            return np.mean(np.logaddexp(0, both[0] * z + both[1]) - t * (both[0] * z + both[1]))

        slope, offset = minimize(loss, [1, 0], bounds=[(0, None), (None, None)], tol=1e-12).x
        fixed[:, k] = slope * (F @ fit.weight[k] + fit.bias[k]) + offset
    expected = 1.2 * (0.75 * fixed + 0.25 * logit(learned.predict_proba(X)))
    np.testing.assert_allclose(logit(whole.predict_proba(X)), expected, atol=2e-3)


@pytest.mark.parametrize("y", [Y, np.column_stack([Y == 0, Y > 1])], ids=["classes", "labels"])
def test_repetition_equals_weights_to_the_decision(y):
    """The fixed branch alone: the learned one sees other mini-batches."""
    w = np.random.default_rng(1).integers(0, 4, 60)
    again = np.random.default_rng(2).permutation(np.repeat(np.arange(60), w))
    noise = np.random.default_rng(3).normal(size=X.shape)
    found = []
    for rows, weight in ((np.arange(60), w), (again, None), (np.arange(60), 7 * w)):
        clf = ScratchCNNClassifier(**QUICK).fit(noise[rows], y[rows], sample_weight=weight)
        (arrays,) = clf.get_weights()
        found.append([array for name, array in arrays.items() if name.startswith("1.")])
    for first, second, third in zip(*found, strict=True):
        np.testing.assert_allclose(second, first, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(third, first, rtol=1e-9, atol=1e-12)


def test_copies_of_noise_are_not_learned_by_heart():
    noise = np.random.default_rng(3).normal(size=X.shape)
    once, weighted = (
        ScratchCNNClassifier(**QUICK).fit(noise, Y, sample_weight=np.full(60, weight))
        for weight in (1.0, 7.0)
    )
    assert np.allclose(once.predict_proba(X), weighted.predict_proba(X), atol=1e-6)


def test_features_are_the_inputs_of_both_output_layers():
    whole, learned = both()
    features = whole.transform(X)
    n = learned.transform(X).shape[1]
    assert features.shape == (60, n + 1008)
    np.testing.assert_allclose(features[:, :n], learned.transform(X), atol=1e-9)
    np.testing.assert_allclose(
        features[:, n:], FixedKernelFeatures(1000).fit_transform(X), atol=1e-9
    )
    assert len(whole.get_feature_names_out()) == n + 1008


def test_held_out_rows_are_not_seen():
    given = {"X_val": X[40:], "y_val": Y[40:]}
    first = ScratchCNNClassifier(early_stopping=True, **QUICK).fit(X[:40], Y[:40], **given)
    given["X_val"] = X[40:] + RNG.normal(size=(20, 70))
    second = ScratchCNNClassifier(early_stopping=True, **QUICK).fit(X[:40], Y[:40], **given)
    one, other = (clf.get_weights()[0] for clf in (first, second))
    for name, array in one.items():
        if name.startswith("1."):
            assert np.array_equal(array, other[name])


def test_going_on_keeps_it_frozen():
    clf = ScratchCNNClassifier(**QUICK).fit(X, Y)
    before = clf.get_weights()[0]
    for go_on in (
        lambda: clf.set_params(warm_start=True).fit(X, Y),
        lambda: clf.fit(X, Y),
        lambda: clf.partial_fit(X, Y),
    ):
        go_on()
        after = clf.get_weights()[0]
        moved = {name for name, array in after.items() if not np.array_equal(array, before[name])}
        assert moved
        assert all(name.startswith("0.") for name in moved)
        assert clf.auto_params_["fixed_features"] == 1000


def test_pickles_and_refits():
    clf = ScratchCNNClassifier(**QUICK).fit(X, NAMES)
    copy = pickle.loads(pickle.dumps(clf))
    assert np.array_equal(copy.predict_proba(X), clf.predict_proba(X))
    assert np.array_equal(copy.fit(X, NAMES).weights_, clf.weights_)
    assert "Frozen" in str(clf.summary())


def test_resuming_solves_it_again(tmp_path):
    pytest.importorskip("sklearn.callback", reason="callbacks came with scikit-learn 1.9")
    from skcnn.callbacks import Checkpoint
    from tests.estimator.test_checkpoint import Stop

    path = tmp_path / "checkpoint"
    clf = ScratchCNNClassifier(**QUICK | {"max_iter": 4})
    whole = clone(clf).fit(X, Y)
    cut = clone(clf).set_callbacks(Checkpoint(path), Stop(2)).fit(X, Y)
    assert cut.n_iter_ == 2
    resumed = clf.resume(path, X, Y)
    assert np.array_equal(resumed.weights_, whole.weights_)
    with pytest.raises(ValueError, match=r"had a different fixed_features: .* here"):
        clf.set_params(fixed_features=0).resume(path, X, Y)


def test_divergence_keeps_the_sum():
    clf = ScratchCNNClassifier(**QUICK | {"lr": 1e6, "optimizer": "sgd", "max_iter": 5})
    with pytest.warns(ConvergenceWarning):
        clf.fit(X, Y)
    assert clf.stop_reason_ == "diverged"
    assert len(clf.layers_) == 1
    assert np.isfinite(clf.predict_proba(X)).all()


@pytest.mark.parametrize("length", [1, 2, 9, 400])
def test_lengths(length):
    signals = np.random.default_rng(0).normal(size=(12, 2, length))
    clf = ScratchCNNClassifier(image_shape=(2, 1, length), data_format="channels_first", **QUICK)
    clf.fit(signals, np.arange(12) % 2)
    P = clf.predict_proba(signals)
    assert np.isfinite(P).all()
    np.testing.assert_allclose(P.sum(axis=1), 1)


def test_merged_rows_count_for_the_share():
    again = np.tile(np.arange(60), 20)  # 1,200 rows, but 60 that differ
    whole, learned = both(X=X[again], y=Y[again], max_iter=1)
    head = learned.get_weights()[-1]["weight"]
    inside = whole.get_weights()[0]
    (found,) = (
        array for name, array in inside.items() if name[:2] == "0." and array.shape == head.shape
    )
    np.testing.assert_allclose(found, head * 1.2 * 0.25, rtol=1e-6)
    rows, _ = merge_rows(np.zeros(3, np.uint64), np.zeros(3), np.ones(3))
    assert len(rows) == 1
    assert stream(0, "init", 1).random() != stream(0, "init").random()


def test_saliency_sees_both_branches():
    whole, learned = both()
    found, alone = (saliency(clf, X[:5]) for clf in (whole, learned))
    assert np.isfinite(found).all()
    assert found.shape == (5, 70)
    assert not np.allclose(found, alone)
    maps, learned_maps = (saliency(clf, X[:5], 1, method="grad_cam") for clf in (whole, learned))
    np.testing.assert_allclose(maps, 1.2 * 0.25 * learned_maps, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("y", [Y, np.column_stack([Y == 0, Y > 1])], ids=["classes", "labels"])
def test_onnx_has_the_sum(y, dtype):
    runtime = pytest.importorskip("onnxruntime", reason="runs the models")
    pytest.importorskip("onnx", reason="writes the models")
    from skcnn.onnx import to_onnx

    signals = X.astype(np.float32)
    clf = ScratchCNNClassifier(dtype=dtype, **QUICK).fit(signals, y)
    for method, expected in (("predict", clf.predict_proba), ("transform", clf.transform)):
        model = to_onnx(clf, signals[:1], method=method)
        session = runtime.InferenceSession(model.SerializeToString())
        found = session.run(None, {"X": signals})[-1]
        np.testing.assert_allclose(found, expected(signals), atol=1e-5)

"""In the company of scikit-learn's own tools, on real digits, with scores that can fail."""

import copy
import os
import pickle
import threading
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from matplotlib import pyplot as plt
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits, make_moons
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.exceptions import NotFittedError, UnsetMetadataPassedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import RFE, RFECV, SelectFromModel, SequentialFeatureSelector
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import (
    DecisionBoundaryDisplay,
    PartialDependenceDisplay,
    partial_dependence,
    permutation_importance,
)
from sklearn.metrics import ConfusionMatrixDisplay, balanced_accuracy_score, get_scorer
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    HalvingGridSearchCV,
    KFold,
    LearningCurveDisplay,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
    ValidationCurveDisplay,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    train_test_split,
    validation_curve,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.svm import SVC
from sklearn.utils import estimator_html_repr
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_info, threadpool_limits

import skcnn
from skcnn import ScratchCNNClassifier
from skcnn.layers import Conv2d, Dense, Flatten, MaxPool2d, ReLU
from skcnn.optimizers import SGD

try:
    import cloudpickle
except ImportError:  # older joblib brings its own
    from joblib.externals import cloudpickle

plt.switch_backend("Agg")

DIGITS, LABELS = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(
    DIGITS, LABELS, train_size=600, test_size=600, stratify=LABELS, random_state=0
)
NAMES = [f"pixel{i}" for i in range(64)]


def since(*version):
    return tuple(map(int, sklearn.__version__.split(".")[:2])) >= version


def small(**parameters):
    """A network that gets about 95 % of the digits right after 0.1 s."""
    defaults = {
        "filters": 8, "hidden_layer_sizes": 32, "max_iter": 10, "lr": 5e-3, "random_state": 0,
    }  # fmt: skip
    return ScratchCNNClassifier(**defaults | parameters)


@pytest.fixture(scope="module")
def fitted():
    """One model for the tests that only look at it."""
    return small().fit(X, y)


def assert_same_model(left, right):
    assert np.array_equal(left.weights_, right.weights_)
    assert left.history_ == right.history_


# Pipelines


@pytest.mark.parametrize(
    "step",
    [MinMaxScaler(), StandardScaler(), FunctionTransformer(np.sqrt)],
    ids=lambda step: type(step).__name__,
)
def test_pipeline(step):
    pipeline = make_pipeline(step, small()).fit(X, y)
    assert pipeline.score(X_test, y_test) > 0.9
    assert is_classifier(pipeline)
    assert pipeline[-1].image_shape_ == (1, 8, 8)


def test_column_transformer_on_a_dataframe_of_pixels():
    frame = pd.DataFrame(X, columns=NAMES)
    scaled = ColumnTransformer([("top", MinMaxScaler(), NAMES[:32])], remainder=MinMaxScaler())
    pipeline = make_pipeline(scaled, small()).fit(frame, y)
    assert pipeline.score(pd.DataFrame(X_test, columns=NAMES), y_test) > 0.85
    assert pipeline[-1].image_shape_ == (1, 8, 8)


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_dataframes_from_upstream(container):
    frame = pd.DataFrame if container == "pandas" else pl.DataFrame
    pipeline = make_pipeline(StandardScaler(), small())
    with sklearn.config_context(transform_output=container):
        pipeline.fit(X, y)
        scaled = pipeline[0].transform(X_test)
        assert isinstance(scaled, frame)
        predictions = pipeline.predict(X_test)
        assert isinstance(pipeline[-1].transform(scaled), frame)
    assert isinstance(predictions, np.ndarray)
    assert pipeline[-1].feature_names_in_.tolist() == list(scaled.columns)
    plain = clone(pipeline).fit(X, y)
    assert_same_model(pipeline[-1], plain[-1])
    assert np.array_equal(predictions, plain.predict(X_test))


def test_frozen_network_as_a_feature_extractor(fitted):
    svc = make_pipeline(FrozenEstimator(fitted), SVC())
    before = fitted.weights_.copy()
    svc.fit(X[:100], y[:100])  # the support vectors alone are new
    assert np.array_equal(fitted.weights_, before)
    assert svc[0].estimator is fitted
    assert svc.score(X_test, y_test) > 0.9
    assert svc[:-1].get_feature_names_out()[[0, -1]].tolist() == [
        "scratchcnnclassifier0", "scratchcnnclassifier31",
    ]  # fmt: skip
    assert cross_val_score(svc, X_test, y_test, cv=2).min() > 0.9


def test_frozen_network_is_calibrated_on_other_rows(fitted):
    method = "temperature" if since(1, 8) else "sigmoid"  # 1.6 has no temperature
    calibrated = CalibratedClassifierCV(FrozenEstimator(fitted), method=method)
    calibrated.fit(X_test[:300], y_test[:300])
    assert calibrated.score(X_test[300:], y_test[300:]) > 0.9


def test_unfrozen_network_in_a_pipeline_is_trained_first():
    pipeline = make_pipeline(small(), SVC()).fit(X, y)
    assert_same_model(pipeline[0], small().fit(X, y))
    assert pipeline.score(X_test, y_test) > 0.9


def test_fit_transform_fits_with_y_and_weights():
    weights = np.random.default_rng(0).random(len(X))
    clf = small()
    features = clf.fit_transform(X, y, sample_weight=weights)
    assert_same_model(clf, small().fit(X, y, sample_weight=weights))
    assert np.array_equal(features, clf.transform(X))
    with pytest.raises(TypeError, match="y"):
        small().fit_transform(X)


def test_features_stand_beside_others(fitted):
    union = FeatureUnion([("network", FrozenEstimator(fitted)), ("pixels", MinMaxScaler())])
    union.set_output(transform="pandas")
    table = union.fit_transform(pd.DataFrame(X), y)
    assert table.shape == (600, 32 + 64)
    assert table.columns[0] == "network__scratchcnnclassifier0"


def test_networks_on_parts_of_the_image():
    """Column transformers train every network with `y`, each on its columns."""
    halves = ColumnTransformer([
        ("top", small(image_shape=(4, 8)), slice(0, 32)),
        ("bottom", small(image_shape=(4, 8)), slice(32, 64)),
    ])  # fmt: skip
    pipeline = make_pipeline(halves, SVC()).fit(X, y)
    assert pipeline.score(X_test, y_test) > 0.85
    assert halves.get_feature_names_out()[-1] == "bottom__scratchcnnclassifier31"


# Cross-validation and searches


def test_cross_validate():
    result = cross_validate(
        small(), X, y, cv=3, return_train_score=True, scoring=["accuracy", "neg_log_loss"]
    )
    assert result["test_accuracy"].min() > 0.85
    assert (result["train_accuracy"] > result["test_accuracy"]).all()
    assert (result["train_neg_log_loss"] > result["test_neg_log_loss"]).all()
    assert result["test_neg_log_loss"].min() > -0.6


def test_no_state_leaks_between_folds():
    """Each fold's model is that of a fresh estimator, fitted or not before, warm start or not."""
    for clf in (small(), small(warm_start=True).fit(X, y)):
        folds = KFold(3)
        result = cross_validate(clf, X, y, cv=folds, return_estimator=True)
        for (rows, _), estimator in zip(folds.split(X), result["estimator"], strict=True):
            assert_same_model(estimator, small().fit(X[rows], y[rows]))


@pytest.mark.parametrize(
    "make",
    [
        lambda clf: GridSearchCV(clf, {"lr": [1e-5, 5e-3], "batch_size": [32, 64]}, cv=2),
        lambda clf: RandomizedSearchCV(
            clf, {"lr": [1e-5, 3e-3, 5e-3]}, n_iter=2, cv=2, random_state=0
        ),
        lambda clf: HalvingGridSearchCV(
            clf, {"lr": [1e-5, 3e-3, 5e-3]}, cv=2, random_state=0, min_resources=200
        ),
        lambda clf: HalvingGridSearchCV(
            clf, {"lr": [1e-5, 3e-3, 5e-3]}, cv=2, resource="max_iter", max_resources=9
        ),
    ],
    ids=["grid", "randomized", "halving", "halving over epochs"],
)
def test_search(make):
    search = make(small()).fit(X, y)
    assert search.best_params_["lr"] > 1e-5
    assert search.score(X_test, y_test) > 0.85
    assert search.predict_proba(X_test).shape == (600, 10)
    assert search.transform(X_test).shape == (600, 32)


def test_search_over_networks_and_inside_them():
    convolution = [Conv2d(4, 3), ReLU(), MaxPool2d(2), Flatten(), Dense(32), ReLU()]
    blind = [Conv2d(1, 8), ReLU()]  # one number is left of the image
    search = GridSearchCV(small(), {"layers": [blind, convolution]}, cv=2).fit(X, y)
    assert search.best_params_["layers"] == convolution
    assert search.score(X_test, y_test) > 0.85

    clf = small(layers=convolution, optimizer=SGD(), lr=0.02)
    grid = {"layers__0__filters": [1, 8], "optimizer__momentum": [0.0, 0.9]}
    search = GridSearchCV(make_pipeline(MinMaxScaler(), clf), {
        f"scratchcnnclassifier__{name}": values for name, values in grid.items()
    }, cv=2).fit(X, y)  # fmt: skip
    assert search.best_estimator_[-1].layers_[0] == Conv2d(8, 3)
    assert search.best_estimator_[-1].optimizer == SGD(0.9)
    assert search.score(X_test, y_test) > 0.85
    assert convolution[0] == Conv2d(4, 3)


# Meta-estimators


@pytest.mark.parametrize(
    "make",
    [
        lambda clf: CalibratedClassifierCV(clf, cv=2),
        lambda clf: CalibratedClassifierCV(clf, cv=2, method="isotonic", ensemble=False),
        lambda clf: BaggingClassifier(clf, n_estimators=3, max_samples=0.8, random_state=0),
        lambda clf: AdaBoostClassifier(clf, n_estimators=3, random_state=0),
        lambda clf: VotingClassifier(
            [("cnn", clf), ("neighbours", KNeighborsClassifier())],
            voting="soft",
        ),
        lambda clf: StackingClassifier(
            [("cnn", clf), ("svc", SVC())], KNeighborsClassifier(),
            cv=2,
        ),
        lambda clf: OneVsRestClassifier(clf),
        lambda clf: OneVsOneClassifier(clf.set_params(max_iter=20)),
        lambda clf: OutputCodeClassifier(clf, code_size=2, random_state=0),
    ],
    ids=[
        "calibrated", "isotonic", "bagging", "boosting", "voting", "stacking", "one-vs-rest",
        "one-vs-one", "output codes",
    ],
)  # fmt: skip
def test_meta_estimator(make):
    assert make(small()).fit(X, y).score(X_test, y_test) > 0.85


def test_bagging_of_features_is_bagging_of_signals():
    """A part of the pixels is no image any more: 40 of them are a signal."""
    bagging = BaggingClassifier(small(), n_estimators=3, max_features=40, random_state=0)
    assert bagging.fit(X, y).score(X_test, y_test) > 0.85
    assert bagging.estimators_[0].image_shape_ == (1, 1, 40)


PARITY_AND_SIZE = np.column_stack([y % 2, y > 4]).astype(int)
PARITY_AND_SIZE_TEST = np.column_stack([y_test % 2, y_test > 4]).astype(int)


def test_multi_output():
    multi = MultiOutputClassifier(small()).fit(X, PARITY_AND_SIZE)
    found = multi.predict(X_test)
    assert (found == PARITY_AND_SIZE_TEST).mean(axis=0).min() > 0.9
    assert [p.shape for p in multi.predict_proba(X_test)] == [(600, 2)] * 2


def test_classifier_chain():
    """Later links get the earlier ones' outputs beside the 64 pixels: a signal of 65 values."""
    chain = ClassifierChain(small(max_iter=20), order=[0, 1]).fit(X, PARITY_AND_SIZE)
    assert (chain.predict(X_test) == PARITY_AND_SIZE_TEST).mean(axis=0).min() > 0.85
    assert [link.image_shape_ for link in chain.estimators_] == [(1, 8, 8), (1, 1, 65)]


def test_thresholds():
    rare, rare_test = (y == 8).astype(int), (y_test == 8).astype(int)
    plain = small(max_iter=6, lr=2e-3).fit(X, rare)
    tuned = TunedThresholdClassifierCV(clone(plain), scoring="balanced_accuracy", cv=3)
    tuned.fit(X, rare)
    score = balanced_accuracy_score(rare_test, tuned.predict(X_test))
    assert score > max(0.85, balanced_accuracy_score(rare_test, plain.predict(X_test)))
    expected = plain.predict_proba(X_test)[:, 1] >= 0.2
    fixed = FixedThresholdClassifier(
        FrozenEstimator(plain), threshold=0.2, response_method="predict_proba"
    )
    assert np.array_equal(fixed.fit(X, rare).predict(X_test), expected)


def test_self_training():
    partly = np.where(np.arange(len(y)) < 100, y, -1)
    training = SelfTrainingClassifier(small(max_iter=20), threshold=0.9).fit(X, partly)
    assert training.classes_.tolist() == list(range(10))
    guessed = training.labeled_iter_ > 0
    assert guessed.sum() > 300
    assert (training.transduction_ == y)[guessed].mean() > 0.85
    few = small(max_iter=20).fit(X[:100], y[:100])
    assert training.score(X_test, y_test) > max(0.85, few.score(X_test, y_test))


# Selection of features


@pytest.mark.parametrize("selector", [RFE, RFECV, SelectFromModel])
def test_selectors_say_that_there_are_no_importances(selector):
    with pytest.raises(ValueError, match="should have `coef_` or `feature_importances_`"):
        selector(small(max_iter=1)).fit(X, y).transform(X)


def pixel_weights(clf):
    """Importances of the pixels in a network without hidden layers."""
    return np.abs(clf.network_.unpack(clf.weights_)[-1]["weight"]).sum(axis=0)


def test_recursive_elimination_with_importances_of_ones_own():
    linear = small(layers=[])
    rfe = RFE(linear, importance_getter=pixel_weights, n_features_to_select=40, step=12)
    assert rfe.fit(X, y).score(X_test, y_test) > 0.85
    assert rfe.estimator_.image_shape_ == (1, 1, 40)
    rfecv = RFECV(linear, importance_getter=pixel_weights, step=20, cv=2).fit(X, y)
    assert rfecv.score(X_test, y_test) > 0.85


def test_a_removed_pixel_is_no_image():
    """Squares of pixels are images and other numbers are signals, unless `image_shape` says."""
    with pytest.raises(ValueError, match=r"image_shape=\(8, 8\).*does not match.*\(600, 63\)"):
        small(image_shape=(8, 8)).fit(X[:, 1:], y)
    signals = small(max_iter=20).fit(X[:, 1:], y)
    assert signals.image_shape_ == (1, 1, 63)
    assert signals.score(X_test[:, 1:], y_test) > 0.85


def test_sequential_selection_finds_the_pixels_that_tell():
    columns = [0, 20, 21, 32, 42, 56]  # 0, 32 and 56 are blank
    selector = SequentialFeatureSelector(
        small(max_iter=5), n_features_to_select=2, cv=2
    ).fit(X[:, columns], y)  # fmt: skip
    assert set(selector.get_support(indices=True)) < {1, 2, 4}


# Inspection and displays


def test_permutation_importance(fitted):
    result = permutation_importance(fitted, X_test, y_test, n_repeats=2, random_state=0)
    blank = X_test.std(axis=0) == 0
    assert blank.any()
    assert (result.importances[blank] == 0).all()
    middle = result.importances_mean.reshape(8, 8)[2:6, 2:6]
    assert middle.max() > 0.02


def test_partial_dependence(fitted):
    with pytest.raises(ValueError, match="target must be specified for multi-class"):
        PartialDependenceDisplay.from_estimator(fitted, X_test, [20])
    display = PartialDependenceDisplay.from_estimator(
        fitted, X_test[:50], [20, (20, 43)], target=3, grid_resolution=5
    )
    assert display.axes_.shape == (1, 2)
    grid = partial_dependence(fitted, X_test[:50], [20], grid_resolution=5)
    (values,), average = grid["grid_values"], grid["average"]
    np.testing.assert_allclose(average.sum(axis=0), 1, rtol=1e-6)
    changed = X_test[:50].copy()
    changed[:, 20] = values[-1]
    np.testing.assert_allclose(
        average[:, -1], fitted.predict_proba(changed).mean(axis=0), rtol=1e-6
    )
    plt.close("all")


def test_learning_and_validation_curves():
    sizes, train, test = learning_curve(small(), X, y, train_sizes=[50, 150, 400], cv=3)
    assert sizes.tolist() == [50, 150, 400]
    assert (np.diff(test.mean(axis=1)) > 0).all()
    assert test[-1].min() > 0.85
    assert train.shape == test.shape == (3, 3)
    _, test = validation_curve(small(), X, y, param_name="max_iter", param_range=[1, 10], cv=3)
    assert test[1].min() > max(0.85, test[0].max())
    LearningCurveDisplay.from_estimator(small(), X, y, train_sizes=[50, 150], cv=2)
    ValidationCurveDisplay.from_estimator(
        small(), X, y, param_name="hidden_layer_sizes", param_range=[8, 32], cv=2
    )
    plt.close("all")


def test_confusion_matrix(fitted):
    display = ConfusionMatrixDisplay.from_estimator(fitted, X_test, y_test, normalize="true")
    assert display.confusion_matrix.diagonal().min() > 0.8
    plt.close("all")


@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_decision_boundary_on_two_features(method):
    moons, side = make_moons(300, noise=0.1, random_state=0)
    clf = small(max_iter=50, lr=1e-2).fit(moons, side)
    assert clf.image_shape_ == (1, 1, 2)
    assert clf.score(*make_moons(300, noise=0.1, random_state=1)) > 0.95
    display = DecisionBoundaryDisplay.from_estimator(
        clf, moons, response_method=method, grid_resolution=20
    )
    assert display.response.shape == (20, 20)
    assert display.response.min() < 0.1 < 0.9 < display.response.max()
    plt.close("all")


def test_html_shows_the_parameters(fitted):
    html = estimator_html_repr(make_pipeline(MinMaxScaler(), fitted))
    assert "ScratchCNNClassifier" in html
    if since(1, 7):  # a table of all parameters; before, the repr
        assert all(name in html for name in fitted.get_params(deep=False))
    else:
        assert "max_iter=10" in html
    assert Path(skcnn.classifier.__file__).as_uri() in html
    if since(1, 9):
        assert "Samples in a mini-batch." in html


# Metadata


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield get_scorer("accuracy").set_score_request(sample_weight=True)


rng = np.random.default_rng(0)
WRONG = rng.random(len(y)) < 0.5
SPOILED = np.where(WRONG, rng.permutation(y), y)
WEIGHTS = np.where(WRONG, 0.0, 1.0)


def test_weights_go_through_pipeline_and_search_with_routing(routing):
    weighted = small().set_fit_request(sample_weight=True)
    pipeline = make_pipeline(MinMaxScaler(), weighted)
    search = GridSearchCV(
        pipeline, {"scratchcnnclassifier__max_iter": [1, 10]}, cv=2, scoring=routing
    )
    search.fit(X, SPOILED, sample_weight=WEIGHTS)
    assert search.best_params_ == {"scratchcnnclassifier__max_iter": 10}
    assert search.best_score_ > 0.8  # only where the labels are right
    assert search.score(X_test, y_test) > 0.85
    ignored = small().set_fit_request(sample_weight=False)
    search = GridSearchCV(make_pipeline(MinMaxScaler(), ignored), {}, cv=2, scoring=routing)
    search.fit(X, SPOILED, sample_weight=WEIGHTS)
    assert_same_model(
        search.best_estimator_[-1], small().fit(MinMaxScaler().fit_transform(X), SPOILED)
    )


def test_routing_asks_who_wants_the_weights(routing):
    with pytest.raises(UnsetMetadataPassedError, match="ScratchCNNClassifier"):
        make_pipeline(MinMaxScaler(), small()).fit(X, y, sample_weight=WEIGHTS)


def test_weights_reach_a_network_amid_a_pipeline_with_routing(routing):
    network = small().set_fit_request(sample_weight=True)
    pipeline = make_pipeline(network, SVC().set_fit_request(sample_weight=True))
    pipeline.fit(X, SPOILED, sample_weight=WEIGHTS)
    assert_same_model(pipeline[0], small().fit(X, SPOILED, sample_weight=WEIGHTS))
    assert pipeline.score(X_test, y_test) > 0.85


def test_weights_go_through_pipeline_and_search_without_routing():
    pipeline = make_pipeline(MinMaxScaler(), small())
    search = GridSearchCV(pipeline, {"scratchcnnclassifier__batch_size": [32, 64]}, cv=2)
    search.fit(X, SPOILED, scratchcnnclassifier__sample_weight=WEIGHTS)
    assert search.score(X_test, y_test) > 0.85
    assert clone(pipeline).fit(X, SPOILED).score(X_test, y_test) < search.score(X_test, y_test)


# Copies


def test_clone_loses_no_parameter():
    clf = ScratchCNNClassifier()
    marks = dict.fromkeys(clf.get_params(deep=False), object)
    assert marks
    clf.set_params(**marks)
    assert clone(clf).get_params(deep=False) == marks
    odd = small(layers=[Conv2d(4, 3)], optimizer=SGD(0.5), class_weight={0: 2.0}, verbose=0)
    assert repr(clone(odd)) == repr(odd)
    assert clone(odd).get_params() == odd.get_params()


def test_a_cloned_fitted_estimator_is_unfitted(fitted):
    check_is_fitted(fitted)
    for unfitted in (clone(fitted), small()):
        with pytest.raises(NotFittedError):
            check_is_fitted(unfitted)
        for method in ("predict", "predict_proba", "predict_log_proba", "transform"):
            with pytest.raises(NotFittedError):
                getattr(unfitted, method)(X)
        with pytest.raises(NotFittedError):
            unfitted.get_feature_names_out()


def through_joblib(compress, mmap_mode=None):
    def copied(clf, folder):
        joblib.dump(clf, folder / "clf", compress=compress)
        return joblib.load(folder / "clf", mmap_mode=mmap_mode)

    return copied


COPIES = {
    "deepcopy": lambda clf, folder: copy.deepcopy(clf),
    "cloudpickle": lambda clf, folder: pickle.loads(cloudpickle.dumps(clf)),
    "joblib": through_joblib(0),
    "joblib, mapped": through_joblib(0, "r"),
    "joblib, zlib": through_joblib(3),
    "joblib, lzma": through_joblib(("lzma", 1)),
} | {
    f"pickle {protocol}": lambda clf, folder, protocol=protocol: pickle.loads(
        pickle.dumps(clf, protocol)
    )
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)
}


@pytest.mark.parametrize("way", COPIES)
def test_a_copy_is_as_good(fitted, way, tmp_path):
    twin = COPIES[way](fitted, tmp_path)
    assert np.array_equal(twin.predict_proba(X_test), fitted.predict_proba(X_test))
    assert np.array_equal(twin.transform(X_test), fitted.transform(X_test))
    assert twin.score(X_test, y_test) > 0.9
    assert_same_model(clone(twin).fit(X, y), fitted)


def test_cloudpickle_takes_classes_that_are_defined_on_the_spot(fitted):
    class Mine(ScratchCNNClassifier):
        pass

    clf = Mine(**fitted.get_params(deep=False)).fit(X, y)
    twin = pickle.loads(cloudpickle.dumps(clf))
    assert np.array_equal(twin.predict_proba(X_test), fitted.predict_proba(X_test))


# Jobs


def fit_and_return(clf):
    return clf.fit(X, y)


def test_a_round_trip_through_loky_then_clone(fitted):
    with joblib.parallel_config("loky"):
        twins = joblib.Parallel(n_jobs=2)(joblib.delayed(fit_and_return)(small()) for _ in range(2))
    for twin in twins:
        assert_same_model(twin, fitted)
        assert clone(twin).get_params() == small().get_params()
        assert_same_model(clone(twin).fit(X, y), fitted)


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_one_job_and_two_give_the_same(backend):
    pipeline = make_pipeline(MinMaxScaler(), small())
    alone = cross_val_predict(pipeline, X, y, cv=3, method="predict_proba", n_jobs=1)
    with joblib.parallel_config(backend):
        both = cross_val_predict(pipeline, X, y, cv=3, method="predict_proba", n_jobs=2)
        assert np.array_equal(both, alone)
    with joblib.parallel_config(backend):
        bagging = [
            BaggingClassifier(small(), n_estimators=2, random_state=0, n_jobs=n).fit(X, y)
            for n in (1, 2)
        ]
    assert np.array_equal(bagging[0].predict_proba(X_test), bagging[1].predict_proba(X_test))


@dataclass(frozen=True)
class Census(ReLU):
    """Counts, in every forward pass, the threads that compute in this process."""

    folder: str = ""

    def forward(self, x, y, params, scratch, training, rng):
        super().forward(x, y, params, scratch, training, rng)
        helpers = sum(thread.name.startswith("skcnn-") for thread in threading.enumerate())
        blas = max(
            (lib["num_threads"] for lib in threadpool_info() if "numpy" in lib["filepath"]),
            default=1,
        )
        name = f"{os.getpid()}-{(1 + helpers) * blas}"
        with open(os.path.join(self.folder, name), "w"):
            pass


def census(folder, run):
    """How many threads computed at a time in each process while `run` was running."""
    folder.mkdir()
    run(small(layers=[Conv2d(8, 3), Census(str(folder))], batch_size=300, max_iter=2))
    counts = [tuple(map(int, name.split("-"))) for name in os.listdir(folder)]
    return {pid: max(n for other, n in counts if other == pid) for pid, _ in counts}


def test_jobs_do_not_oversubscribe_the_cores(tmp_path):
    with threadpool_limits(2, "blas"):
        here = census(tmp_path / "here", lambda clf: clf.fit(X, y))
    assert here == {os.getpid(): 2}  # a census sees more than one thread where there are more
    with joblib.parallel_config("loky"):
        there = census(tmp_path / "there", lambda clf: cross_val_score(clf, X, y, cv=2, n_jobs=2))
    assert os.getpid() not in there
    assert sum(there.values()) <= max(2, joblib.cpu_count())


# Data in the shapes in which it comes


def pyarrow():
    return pytest.importorskip(
        "pyarrow", reason="in the extra [test], but without it all else runs"
    )


TABLES = {
    "pandas": lambda X: pd.DataFrame(X, columns=NAMES),
    "pandas, nullable": lambda X: pd.DataFrame(X, columns=NAMES).astype("Float64"),
    "pandas, pyarrow": lambda X: (
        pyarrow() and pd.DataFrame(X, columns=NAMES).astype("double[pyarrow]")
    ),
    "polars": lambda X: pl.DataFrame(X, schema=NAMES),
    "pyarrow": lambda X: pyarrow().table(dict(zip(NAMES, X.T, strict=True))),
}


@pytest.mark.parametrize("kind", TABLES)
def test_tables(fitted, kind):
    make = TABLES[kind]
    clf = small().fit(make(X), y)
    np.testing.assert_allclose(clf.weights_, fitted.weights_, atol=1e-6)
    assert clf.score(make(X_test), y_test) > 0.9
    assert clf.feature_names_in_.tolist() == NAMES
    if kind != "pyarrow" or since(1, 9):  # 1.6 cannot take rows of these
        assert cross_val_score(small(), make(X), y, cv=2).min() > 0.85


def test_feature_names_are_checked_with_scikit_learns_messages():
    frame = pd.DataFrame(X, columns=NAMES)
    clf = small(max_iter=1).fit(frame, y)
    for method in (clf.predict, clf.transform):
        with pytest.raises(ValueError, match="in the same order as they were in fit"):
            method(frame[NAMES[::-1]])
        with pytest.raises(ValueError, match="Feature names unseen at fit time:\n- other"):
            method(frame.rename(columns={"pixel0": "other"}))
        with pytest.raises(ValueError, match="seen at fit time, yet now missing"):
            method(frame[NAMES[1:]])
        with pytest.warns(UserWarning, match="does not have valid feature names"):
            method(X)
    with pytest.raises(ValueError, match="input_features is not equal to feature_names_in_"):
        clf.get_feature_names_out(NAMES[::-1])
    assert len(clf.get_feature_names_out(NAMES)) == 32
    with pytest.raises(TypeError, match="Feature names are only supported if all input features"):
        small().fit(frame.rename(columns={"pixel0": 0}), y)


LABEL_KINDS = {
    "int32": lambda y: y.astype("int32"),
    "uint8": lambda y: y.astype("uint8"),
    "float": lambda y: y.astype(float),
    "str": lambda y: np.array([f"digit {i}" for i in y]),
    "object": lambda y: np.array([f"digit {i}" for i in y], dtype=object),
    "Int64": lambda y: pd.Series(y, dtype="Int64"),
    "string": lambda y: pd.Series(y).astype(str).astype("string"),
    "category": lambda y: pd.Series(y).astype(str).astype("category"),
    "categorical": lambda y: pd.Categorical(y.astype(str)),
    "pandas, pyarrow": lambda y: pyarrow() and pd.Series(y).astype("int64[pyarrow]"),
    "polars": lambda y: pl.Series(y),
    "polars text": lambda y: pl.Series(y).cast(pl.String),
    "pyarrow": lambda y: pyarrow().array(y),
}


@pytest.mark.parametrize("kind", LABEL_KINDS)
def test_labels(fitted, kind):
    make = LABEL_KINDS[kind]
    clf = small().fit(X, make(y))
    assert np.array_equal(clf.weights_, fitted.weights_)  # of ten classes in the same order
    assert np.array_equal(clf.classes_, np.unique(np.asarray(make(y))))
    assert clf.classes_.dtype == clf.predict(X_test).dtype
    assert (clf.predict(X_test) == np.asarray(make(y_test))).mean() > 0.9
    assert clf.score(X_test, make(y_test)) > 0.9


def test_nullable_booleans():
    labels = pd.Series(y > 4, dtype="boolean")
    clf = small().fit(X, labels)
    assert clf.classes_.tolist() == [False, True]
    assert clf.score(X_test, pd.Series(y_test > 4, dtype="boolean")) > 0.9


@pytest.mark.parametrize("dtype", ["Int64", "string", "boolean", "category"])
def test_missing_labels_are_named(dtype):
    labels = pd.Series(y % 2 == 0 if dtype == "boolean" else y, dtype=object)
    labels[3] = None
    if dtype == "string":
        labels = labels.astype(str).where(labels.notna())
    with pytest.raises(ValueError, match=r"are missing, the first in row 3|y contains NaN"):
        small().fit(X, labels.astype(dtype))


def test_float64_from_a_scaler_is_computed_in_float64_unless_told_otherwise():
    pixels = X.astype("uint8")
    pipeline = make_pipeline(MinMaxScaler(), small()).fit(pixels, y)
    assert pipeline[-1].weights_.dtype == np.float64
    pipeline = make_pipeline(MinMaxScaler(), small(dtype="float32")).fit(pixels, y)
    assert pipeline[-1].weights_.dtype == pipeline.predict_proba(pixels).dtype == np.float32
    assert pipeline.score(X_test.astype("uint8"), y_test) > 0.9


def test_early_stopping_in_a_pipeline_keeps_the_best_weights_not_the_last():
    stopping = {"early_stopping": True, "n_iter_no_change": 3, "tol": 0.0, "lr": 2e-2}
    pipeline = make_pipeline(StandardScaler(), small(**stopping, max_iter=100)).fit(X, y)
    clf = pipeline[-1]
    best = int(np.argmax(clf.validation_scores_)) + 1
    assert best < clf.n_iter_ < 100
    until = small(**stopping | {"n_iter_no_change": 100}, max_iter=best)
    assert np.array_equal(until.fit(pipeline[0].transform(X), y).weights_, clf.weights_)
    last = small(**stopping | {"n_iter_no_change": 100}, max_iter=clf.n_iter_, warm_start=True)
    last.fit(pipeline[0].transform(X), y)
    assert not np.array_equal(last._training_state.weights, clf.weights_)
    assert pipeline.score(X_test, y_test) > 0.85

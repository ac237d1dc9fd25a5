"""In cross-validation and searches."""

import pytest
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    KFold,
    RandomizedSearchCV,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skcnn.layers import Conv2d, Dense, Flatten, MaxPool2d, ReLU
from skcnn.optimizers import SGD
from tests.shared import X, X_test, assert_same_model, small, y, y_test


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


@pytest.mark.filterwarnings("ignore:Training ended no better")  # of the worst candidates
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

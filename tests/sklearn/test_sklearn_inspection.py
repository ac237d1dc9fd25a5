"""Under scikit-learn's inspection tools and displays."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib import pyplot as plt
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import make_moons
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.inspection import (
    DecisionBoundaryDisplay,
    PartialDependenceDisplay,
    partial_dependence,
    permutation_importance,
)
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import (
    LearningCurveDisplay,
    ValidationCurveDisplay,
    learning_curve,
    validation_curve,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils import estimator_html_repr

import skcnn
from tests.shared import X, X_test, since, small, y, y_test

plt.switch_backend("Agg")


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
    assert "file:" not in html
    assert str(Path(skcnn.__file__).parent) not in html
    if since(1, 9):
        assert "Number of samples in a mini-batch." in html


@pytest.mark.parametrize("display", ["diagram", "text"])
def test_notebooks_show_the_fitted_network(fitted, display):
    with config_context(display=display):
        bundle = fitted._repr_mimebundle_()
        shown = [bundle.get("text/html", "")]
        if hasattr(fitted, "_repr_html_"):
            shown.append(fitted._repr_html_())
        before = clone(fitted)._repr_mimebundle_().get("text/html", "")
    assert bundle["text/plain"] == repr(fitted)
    assert "multiply-adds" not in before
    if display == "text":
        assert shown == [""]
        return
    assert len(shown) == 2
    for html in shown:
        assert html.startswith("<style>")  # what scikit-learn shows comes first
        assert html.count(f"<details><summary>Network: {len(fitted.layers_)} layers, ") == 1
        assert f"{fitted.network_.n_parameters:,} parameters" in html
        assert str(Path(skcnn.__file__).parents[1]) not in html

"""Images whose columns were selected."""

import numpy as np
import pytest
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import RFE, RFECV, SelectFromModel, SequentialFeatureSelector

from tests.shared import X, X_test, small, y, y_test


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

"""Clones, pickles and other copies."""

import copy
import pickle

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.utils.validation import check_is_fitted

from skcnn import ScratchCNNClassifier
from skcnn.layers import Conv2d
from skcnn.optimizers import SGD

try:
    import cloudpickle
except ImportError:  # older joblib brings its own
    from joblib.externals import cloudpickle
from tests.shared import X, X_test, assert_same_model, small, y, y_test


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

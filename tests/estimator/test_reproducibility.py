"""Same data, same seed, same machine: the same bits, whoever computes them."""

import os
import pickle
import signal
import subprocess
import sys
import threading
import warnings

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_info, threadpool_limits

from skcnn import ScratchCNNClassifier
from skcnn.layers import ReLU
from tests.shared import FIXED

X, y = load_digits(return_X_y=True)
X, y = X[:300], y[:300]
SETTINGS = {
    **FIXED, "filters": (8, 16), "hidden_layer_sizes": 32, "dropout": 0.2, "batch_size": 150,
    "max_iter": 3,
    "random_state": 7,
}  # fmt: skip


def fitted(dtype="float32"):
    return ScratchCNNClassifier(**SETTINGS, dtype=dtype).fit(X, y)


def threads():
    return {library["filepath"]: library["num_threads"] for library in threadpool_info()}


@pytest.fixture(scope="module", params=["float32", "float64"])
def reference(request):
    return fitted(request.param)


def test_several_micro_batches_are_at_work(reference):
    assert reference.network_.cost.micro_batch_size() < SETTINGS["batch_size"]


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_any_number_of_threads(reference, limit):
    with threadpool_limits(limit, "blas"):
        other = fitted(reference.weights_.dtype)
        assert np.array_equal(reference.weights_, other.weights_)
        assert np.array_equal(reference.predict_proba(X), other.predict_proba(X))


@pytest.mark.parametrize("backend", ["loky", "threading"])
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_any_jobs_around(reference, n_jobs, backend):
    clf = clone(reference)
    with joblib.parallel_config(backend):
        search = GridSearchCV(clf, {"lr": [1e-3, 3e-3]}, cv=2, n_jobs=n_jobs).fit(X, y)
    alone = GridSearchCV(clf, {"lr": [1e-3, 3e-3]}, cv=2).fit(X, y)
    for key in ("split0_test_score", "split1_test_score"):
        assert np.array_equal(search.cv_results_[key], alone.cv_results_[key])
    assert np.array_equal(search.best_estimator_.weights_, alone.best_estimator_.weights_)


@pytest.mark.slow
@pytest.mark.parametrize("blas_threads", ["1", "2"])
def test_a_fresh_process_fits_and_predicts_the_same(reference, tmp_path, blas_threads):
    clf = clone(reference)
    joblib.dump((clf, reference, X, y), tmp_path / "all.joblib")
    code = (
        "import joblib, sys, numpy as np\n"
        "clf, reference, X, y = joblib.load(sys.argv[1])\n"
        "assert np.array_equal(clf.fit(X, y).weights_, reference.weights_)\n"
        "joblib.dump(reference.predict_proba(X), sys.argv[1] + '.out')\n"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "all.joblib")],
        env=os.environ | {"OPENBLAS_NUM_THREADS": blas_threads},
        check=True,
    )
    there = joblib.load(tmp_path / "all.joblib.out")
    assert np.array_equal(there, reference.predict_proba(X))


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_predict_the_same(reference, protocol):
    copy = pickle.loads(pickle.dumps(reference, protocol))
    assert np.array_equal(copy.predict_proba(X), reference.predict_proba(X))


@pytest.mark.parametrize("compress", [0, 3])
def test_joblib_files_predict_the_same_also_when_mapped(reference, tmp_path, compress):
    joblib.dump(reference, tmp_path / "clf.joblib", compress=compress)
    copy = joblib.load(tmp_path / "clf.joblib", mmap_mode=None if compress else "r")
    assert np.array_equal(copy.predict_proba(X), reference.predict_proba(X))


def test_a_mapped_model_can_be_trained_on(tmp_path):
    warm = ScratchCNNClassifier(**SETTINGS, warm_start=True).fit(X, y)
    joblib.dump(warm, tmp_path / "clf.joblib")
    mapped = joblib.load(tmp_path / "clf.joblib", mmap_mode="r")
    assert np.array_equal(mapped.fit(X, y).weights_, warm.fit(X, y).weights_)


def test_numpys_global_random_state_is_untouched():
    np.random.seed(5)
    before = np.random.get_state()[1].copy()
    fitted().predict_proba(X)
    assert np.array_equal(np.random.get_state()[1], before)


def test_without_a_seed_the_global_one_counts():
    models = []
    for seed in (1, 1, 2):
        np.random.seed(seed)
        models.append(ScratchCNNClassifier(**SETTINGS | {"random_state": None}).fit(X, y))
    assert np.array_equal(models[0].weights_, models[1].weights_)
    assert not np.array_equal(models[0].weights_, models[2].weights_)


def test_a_random_state_instance_moves_on():
    state = np.random.RandomState(3)
    one = ScratchCNNClassifier(**SETTINGS | {"random_state": state}).fit(X, y)
    two = ScratchCNNClassifier(**SETTINGS | {"random_state": state}).fit(X, y)
    assert not np.array_equal(one.weights_, two.weights_)


def test_thread_limits_are_what_they_were():
    before = threads()
    clf = fitted()
    assert threads() == before
    clf.predict(X)
    assert threads() == before
    with pytest.raises(ValueError, match="filters"):
        ScratchCNNClassifier(filters=0).fit(X, y)
    assert threads() == before


def test_thread_limits_are_restored_when_training_fails(monkeypatch):
    def explode(*args):
        raise MemoryError

    before = threads()
    monkeypatch.setattr(ReLU, "backward", explode)
    clf = ScratchCNNClassifier(**SETTINGS)
    with pytest.raises(MemoryError):
        clf.fit(X, y)
    assert threads() == before
    assert vars(clf) == vars(ScratchCNNClassifier(**SETTINGS))


@pytest.mark.skipif(sys.platform == "win32", reason="sends itself a POSIX signal")
def test_ctrl_c_at_any_moment_leaves_everything_in_order():
    """A thread presses Ctrl-C at random moments of fits and predictions."""
    before, rng = threads(), np.random.default_rng(0)
    clf = ScratchCNNClassifier(**SETTINGS).fit(X, y)
    names = set(vars(clf))
    for turn in range(30):
        pressed = threading.Event()

        def press(pressed=pressed):
            os.kill(os.getpid(), signal.SIGINT)
            pressed.set()

        timer = threading.Timer(rng.uniform(0.001, 0.06), press)
        try:
            timer.start()
            with warnings.catch_warnings(action="ignore"):  # a later epoch is kept
                while not pressed.is_set():
                    clf.predict(X) if turn % 2 else clf.fit(X, y)
        except KeyboardInterrupt:
            pass
        assert threads() == before
        assert set(vars(clf)) == names
        assert np.isfinite(clf.predict_proba(X)).all()


def test_a_users_own_handler_is_left_alone():
    def mine(signum, frame):
        pass

    old = signal.signal(signal.SIGINT, mine)
    try:
        fitted()
        assert signal.getsignal(signal.SIGINT) is mine
    finally:
        signal.signal(signal.SIGINT, old)


def test_several_fits_and_predictions_at_once(reference):
    before, results = threads(), []

    def work():
        clf = fitted(reference.weights_.dtype)
        results.append((clf.weights_, reference.predict_proba(X)))

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert threads() == before
    assert len(results) == 4
    for weights, probabilities in results:
        assert np.array_equal(weights, reference.weights_)
        assert np.array_equal(probabilities, reference.predict_proba(X))


def test_predictions_do_not_depend_on_the_order_of_rows(reference):
    order = np.random.default_rng(0).permutation(len(X))
    together, again = reference.predict_proba(X)[order], reference.predict_proba(X[order])
    if reference.weights_.dtype == np.float64:
        assert np.array_equal(together, again)
    else:  # OpenBLAS's single-precision kernel for Haswell rounds a column by its place
        np.testing.assert_allclose(together, again, rtol=1e-5)

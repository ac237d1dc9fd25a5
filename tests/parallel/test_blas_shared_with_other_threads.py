"""Other threads limit BLAS by threadpoolctl while something computes.

What they read, and what they leave behind, is what it would be without the computation; and the
computation's bits are the ones that it has alone. Events say who is when where.
"""

import ctypes
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.neighbors import KNeighborsClassifier
from threadpoolctl import threadpool_info, threadpool_limits

from skcnn import ScratchCNNClassifier
from skcnn._estimator.resources import _blas
from skcnn.layers import Dense, Flatten, ReLU
from tests.shared import X, X_test, y, y_test

WHOLE_PROCESS = all(
    library.get("threading_layer") != "openmp"
    for library in threadpool_info()
    if library["user_api"] == "blas"
)
pytestmark = [
    pytest.mark.skipif(not threadpool_info(), reason="threadpoolctl knows no library"),
    pytest.mark.skipif(not WHOLE_PROCESS, reason="every thread has a limit of its own"),
]


def numpys(libraries):
    """Those that NumPy's wheels bring, or all."""
    blas = [library for library in libraries if library["user_api"] == "blas"]
    return [lib for lib in blas if "numpy" in lib["filepath"].replace("numpy-", "")] or blas


def limit():
    """Number of threads that others believe NumPy's BLAS may use."""
    return max(library["num_threads"] for library in numpys(threadpool_info()))


def really():
    """Number of threads that it uses, from the C function and not from threadpoolctl."""
    (path,) = {library["filepath"] for library in numpys(threadpool_info())}
    return c_function(path, "get")()


def c_function(path, verb):
    library = ctypes.CDLL(path)
    names = [
        f"{prefix}openblas_{verb}_num_threads{suffix}"
        for prefix in ("", "scipy_")
        for suffix in ("", "64_", "_64")
    ]
    found = [getattr(library, name) for name in names if hasattr(library, name)]
    if not found:
        pytest.skip("NumPy's BLAS is not OpenBLAS")
    return found[0]


HOOK = {}
"""Function to call in the midst of a computation, and the number of calls before it."""


@dataclass(frozen=True, repr=False, eq=False)
class Hooked(ReLU):
    """Calls a function once, in the thread that trains or predicts."""

    def forward(self, x, y, params, scratch, training, rng):
        super().forward(x, y, params, scratch, training, rng)
        if HOOK and threading.get_ident() == HOOK["thread"]:
            HOOK["left"] -= 1
            if HOOK["left"] == 0:
                HOOK["function"]()


def model():
    """Products that one thread and two round differently."""
    return ScratchCNNClassifier(
        layers=[Flatten(), Dense(700), Hooked(), Dense(300), ReLU()],
        max_iter=2, batch_size=32, lr=1e-3, random_state=0,
    )  # fmt: skip


def fit():
    return model().fit(X[:200], y[:200]).weights_


@pytest.fixture(scope="module")
def fitted():
    with threadpool_limits(1, "blas"):
        return model().fit(X[:200], y[:200])


@pytest.fixture(params=["fit", "predict"])
def compute(request, fitted):
    """A function that calls another in its midst, and says whether its bits are the usual ones."""
    if request.param == "fit":
        run, n_calls, expected = fit, 3, fitted.weights_
    else:
        run, n_calls = lambda: fitted.predict_proba(X_test[:32]), 1
        with threadpool_limits(1, "blas"):
            expected = run()

    def compute(function):
        HOOK.update(thread=threading.get_ident(), left=n_calls, function=function)
        try:
            found = run()
            assert HOOK["left"] <= 0
        finally:
            HOOK.clear()
        return np.array_equal(found, expected)

    return compute


@pytest.fixture
def other():
    """Another thread; calls functions that it is given, and returns what they return."""
    with ThreadPoolExecutor(1) as pool:
        yield lambda function, *args: pool.submit(function, *args).result()


@pytest.fixture(autouse=True)
def nothing_left():
    """Two threads outside; whatever a test leaves is set again."""
    path = numpys(threadpool_info())[0]["filepath"]
    get, set_ = c_function(path, "get"), c_function(path, "set")
    before = get()
    set_(2)
    yield
    assert get() == limit() == 2
    set_(before)


def nothing(function=lambda: None):
    """Instead of a computation."""
    function()
    return True


def limited_by_another(compute, other, enters, leaves, n_threads):
    """Return limits that another thread reads before, in and after a computation."""
    seen, limits = [], []

    def step(when):
        if when == enters:
            limits.append(other(lambda: threadpool_limits(n_threads, "blas").__enter__()))
        seen.append(other(limit))
        if when == leaves:
            other(limits.pop().__exit__, None, None, None)
        seen.append(other(limit))

    step("before")
    same_bits = compute(lambda: step("during"))
    step("after")
    return same_bits, seen


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize(
    ("enters", "leaves"),
    [("before", "during"), ("before", "after"), ("during", "during"), ("during", "after")],
)
def test_a_limit_in_another_thread(compute, other, enters, leaves, n_threads):
    same_bits, seen = limited_by_another(compute, other, enters, leaves, n_threads)
    assert same_bits
    assert seen == limited_by_another(nothing, other, enters, leaves, n_threads)[1]
    assert limit() == 2


@pytest.mark.parametrize("enters", ["before", "during"])
def test_the_thread_that_threadpoolctl_gives_control_keeps_it(compute, other, enters):
    """From version 3.8 on, it ignores all other threads."""
    found = []
    for run in (compute, nothing):
        with threadpool_limits(2, "blas"):
            found.append(limited_by_another(run, other, enters, "after", 1))
    assert found[0] == found[1]
    assert limit() == 2


def test_another_thread_gives_a_limit_back_that_this_one_has_taken(compute, other):
    limits = threadpool_limits(1, "blas").__enter__()
    try:
        assert compute(lambda: other(limits.restore_original_limits))
        assert limit() == 2
    finally:
        limits.__exit__(None, None, None)


@pytest.mark.parametrize("n_threads", [1, 3])
def test_the_thread_that_computes_limits_itself(compute, n_threads):
    seen = []

    def hook():
        with threadpool_limits(n_threads, "blas"):
            seen.append((limit(), really()))
        seen.append((limit(), really()))

    assert compute(hook)
    assert seen == [(n_threads, 1), (1, 1)]  # the limit of its products, and it goes on with one
    assert limit() == 2


def test_the_thread_that_computes_gives_a_limit_back(compute):
    limits = threadpool_limits(1, "blas").__enter__()
    try:
        assert compute(limits.restore_original_limits)
        assert limit() == 2
    finally:
        limits.__exit__(None, None, None)


@pytest.mark.parametrize("estimator", [KMeans(3, n_init=2), KNeighborsClassifier()])
def test_an_estimator_that_limits_blas_itself(compute, other, estimator):
    def fit_and_predict():
        estimator.fit(X_test, y_test)
        return estimator.predict(X_test[:200])

    assert compute(lambda: other(fit_and_predict))


def test_blas_has_one_thread_whatever_others_set(compute, other):
    seen = []

    def hook():
        other(lambda: seen.append(threadpool_limits(3, "blas").__enter__()))
        seen.append(really())
        other(seen[0].__exit__, None, None, None)

    assert compute(hook)
    assert seen[1] == 1


def test_as_many_workers_as_others_want_threads_now(other):
    """Not as many as BLAS really has meanwhile."""
    seen = []

    def enter():
        with _blas.limited() as n_threads:
            seen.append(n_threads)

    with _blas.limited():
        other(enter)
        limits = other(lambda: threadpool_limits(6, "blas").__enter__())
        other(enter)
        other(limits.__exit__, None, None, None)
    enter()
    assert seen == [1, 3, 2]  # two threads share 2, then 6; then there is one


def test_what_goes_past_threadpoolctl_is_told_and_undone(compute, other):
    path = numpys(threadpool_info())[0]["filepath"]
    with pytest.warns(RuntimeWarning, match="changed without threadpoolctl"):
        compute(lambda: other(c_function(path, "set"), 3))
    assert limit() == really() == 3  # it has set the limit outside
    c_function(path, "set")(2)
    assert compute(lambda: None)  # it warns once


def test_it_is_undone_before_the_next_piece_of_work(other):
    path = numpys(threadpool_info())[0]["filepath"]
    with _blas.limited():
        before = _blas.n_violations
        _blas.enforce()
        assert _blas.n_violations == before
        other(c_function(path, "set"), 3)
        _blas.enforce()
        assert (really(), _blas.n_violations) == (1, before + 1)
        other(c_function(path, "set"), 2)
        _blas.enforce()
    assert limit() == 2


def test_a_warning_that_is_an_error_comes_before_the_model_is_replaced(other):
    clf = model().fit(X[:100], y[:100])
    kept = clf.weights_.copy()
    path = numpys(threadpool_info())[0]["filepath"]
    HOOK.update(
        thread=threading.get_ident(), left=3, function=lambda: other(c_function(path, "set"), 2)
    )
    try:
        with pytest.raises(RuntimeWarning, match="threadpoolctl"):
            clf.fit(X[:200], y[:200])
    finally:
        HOOK.clear()
    assert np.array_equal(clf.weights_, kept)

import os
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController, threadpool_info, threadpool_limits

from skcnn.parallel.blas import BlasGuard
from skcnn.parallel.threads import Threads
from tests.waiting import PATIENCE, wait_until


def blas_threads():
    return [
        library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"
    ]


@pytest.fixture
def guard():
    return BlasGuard(ThreadpoolController)


def numpy_threads():
    """Threads of NumPy's own BLAS, by a guard that has no memory."""
    with BlasGuard(ThreadpoolController).limited() as n_threads:
        return n_threads


def test_the_guard_limits_and_restores(guard):
    with threadpool_limits(2, "blas"):
        with guard.limited() as n_threads:
            assert n_threads == 2
            assert numpy_threads() == 1
        assert numpy_threads() == 2
    with threadpool_limits(1, "blas"), guard.limited() as n_threads:
        assert n_threads == 1


def test_the_guard_restores_after_an_exception(guard):
    before = blas_threads()
    with pytest.raises(RuntimeError), guard.limited():
        raise RuntimeError
    assert blas_threads() == before


def test_overlapping_uses_leave_nothing_behind(guard):
    """The first to enter leaves first: naive nesting would restore a limit of 1."""
    with threadpool_limits(2, "blas"):
        entered, left = threading.Event(), threading.Event()
        seen = []

        def second():
            with guard.limited() as n_threads:
                seen.append(n_threads)
                entered.set()
                left.wait(PATIENCE)
                seen.append(numpy_threads())

        thread = threading.Thread(target=second)
        with guard.limited():
            thread.start()
            assert entered.wait(PATIENCE)
        left.set()
        thread.join()
        assert seen == [1, 1]  # the first: two share two
        assert numpy_threads() == 2


def test_threads_that_are_inside_share_what_there_is(guard):
    seen = []

    def another():
        with guard.limited() as n_threads:
            seen.append(n_threads)

    with threadpool_limits(2, "blas"):
        with guard.limited() as first, guard.limited() as nested:
            thread = threading.Thread(target=another)
            thread.start()
            thread.join()
        assert (first, nested, seen) == (2, 2, [1])
        with guard.limited() as n_threads:
            assert n_threads == 2


def test_the_guard_works_where_another_thread_holds_the_limits(guard):
    """In threadpoolctl 3.8 a second thread's limits are silently ignored."""
    seen = []

    def in_a_thread():
        with guard.limited() as n_threads:
            seen.extend([n_threads, numpy_threads()])

    with threadpool_limits(2, "blas"):
        thread = threading.Thread(target=in_a_thread)
        thread.start()
        thread.join()
        assert seen == [2, 1]
        assert numpy_threads() == 2


class PerThread:
    """Stands in for an OpenBLAS that was built with OpenMP, which pip does not offer."""

    user_api, internal_api, threading_layer = "blas", "openblas", "openmp"
    filepath = "lib/libopenblas.so"

    def __init__(self):
        self.limits = threading.local()
        self.lib_controllers = [self]

    def get_num_threads(self):
        return getattr(self.limits, "value", 3)

    def set_num_threads(self, n_threads):
        self.limits.value = n_threads


def test_a_blas_that_counts_for_each_thread_is_limited_in_all_of_them():
    blas = PerThread()
    guard = BlasGuard(lambda: blas)
    seen = []

    def fit():
        with guard.limited() as n_threads, Threads(n_threads, guard.limit_this_thread) as workers:
            workers.run(30, lambda worker, i: seen.append(blas.get_num_threads()))
        assert blas.get_num_threads() == 3

    threads = [threading.Thread(target=fit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [1] * 120


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only where processes fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_is_not_left_limited(guard):
    with threadpool_limits(2, "blas"), guard.limited():
        child = os.fork()
        if child == 0:  # pragma: no cover
            ok = numpy_threads() == 2
            with guard.limited() as n_threads:
                ok = ok and n_threads == 2
            os._exit(0 if ok else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_the_controller_is_made_once_and_not_before_it_is_needed():
    made = []

    def make():
        made.append(1)
        return ThreadpoolController()

    guard = BlasGuard(make)
    assert not made
    for _ in range(3):
        with guard.limited():
            pass
    assert len(made) == 1


@pytest.mark.parametrize("n_workers", [1, 2, 5])
@pytest.mark.parametrize("n_tasks", [0, 1, 2, 30])
def test_every_task_runs_once(n_workers, n_tasks):
    busy, done = set(), []

    def task(thread, i):
        assert thread not in busy
        busy.add(thread)
        np.linalg.eigvals(np.random.default_rng(i).random((5 + 7 * (i % 5),) * 2))  # uneven
        busy.remove(thread)
        done.append(i)

    with Threads(n_workers) as workers:
        for _ in range(3):
            done.clear()
            workers.run(n_tasks, task)
            assert sorted(done) == list(range(n_tasks))
            assert not busy


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("failing", [0, 3])
def test_the_first_error_is_raised_and_the_workers_go_on(error, failing):
    def task(thread, i):
        if i == failing:
            raise error("here")

    with Threads(3) as workers:
        with pytest.raises(error, match="here"):
            workers.run(20, task)
        done = []
        workers.run(20, lambda worker, i: done.append(i))
        assert sorted(done) == list(range(20))


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="counts threads in /proc")
def test_no_thread_stays_behind():
    def threads():
        return set(os.listdir("/proc/self/task"))

    before = threads()  # some of which may be about to end
    with Threads(4) as workers:
        workers.run(10, lambda worker, i: None)
        helpers = threads() - before
        assert len(helpers) == 3
    wait_until(lambda: not helpers & threads())


def test_a_helper_that_cannot_begin_is_done_without():
    """As when there is no memory for it: it never says anything."""

    def fail():
        raise MemoryError

    done = []
    with Threads(3, on_start=fail) as workers:
        workers.run(20, lambda worker, i: done.append(worker))
    assert done == [0] * 20


def test_no_more_threads_than_asked_for():
    seen = []
    with Threads(4) as workers:
        workers.run(30, lambda worker, i: seen.append((worker, threading.get_ident())), 1)
        assert set(seen) == {(0, threading.get_ident())}
        workers.run(30, lambda worker, i: seen.append((worker, time.sleep(0.002))), 2)
    assert {worker for worker, _ in seen} <= {0, 1}


@pytest.mark.skipif(sys.platform != "linux", reason="limits address space")
def test_no_thread_at_all_can_be_started():
    resource = pytest.importorskip("resource")
    limits, stack = resource.getrlimit(resource.RLIMIT_AS), threading.stack_size()
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    done = []
    try:
        threading.stack_size(2**32)
        resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, limits[1]))
        with Threads(3) as workers:
            for _ in range(2):
                workers.run(20, lambda worker, i: done.append(worker))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
        threading.stack_size(stack)
    assert done == [0] * 40


@pytest.mark.parametrize(("n_workers", "n_tasks"), [(1, 5), (2, 5), (2, 1)])
def test_the_check_comes_before_each_task_of_the_calling_thread(n_workers, n_tasks):
    done, checks, over = [], [], threading.Event()

    def check():
        checks.append(True)
        if len(checks) == 2:
            over.set()
            raise KeyboardInterrupt

    def task(worker, i):
        if worker:  # it leaves tasks for the calling thread, however late that comes
            over.wait(PATIENCE)
        done.append(i)

    with Threads(n_workers, check=check) as workers:
        if n_tasks == 1:
            workers.run(n_tasks, task)
        with pytest.raises(KeyboardInterrupt):
            workers.run(n_tasks, task)
    assert len(checks) == 2
    assert len(done) < 5

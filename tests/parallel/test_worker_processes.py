"""Worker processes in fact: where they are started, what they leave behind, and their deaths."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import joblib
import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from skcnn import ScratchCNNClassifier
from skcnn._estimator import process_pool
from skcnn._estimator.resources import _processes
from skcnn.layers import Conv2d, Dense, Flatten, ReLU
from skcnn.training import epoch
from skcnn.training.distributed import coordinator
from tests import module_setting
from tests.shared import AT_ONCE
from tests.waiting import PATIENCE, wait_until
from tests.workers import count_steps, wait_for_workers

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

rng = np.random.default_rng(0)
X = rng.random((640, 1, 8, 8), dtype=np.float32)
y = rng.integers(0, 3, 640)
X[np.arange(640), 0, y, y] += 2
SETTINGS = {
    "filters": (4, 6), "hidden_layer_sizes": 16, "dropout": 0.1, "batch_size": 160, "max_iter": 4,
    "tol": 0.0, "random_state": 0,
}  # fmt: skip


def children(pid=None):
    """Process numbers of the workers of a process."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
                command = (folder / "cmdline").read_text()
            except OSError:  # gone meanwhile
                continue
            if int(parent) == (pid or os.getpid()) and "popen_loky_posix" in command:
                found.append(int(folder.name))
    return found


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def at_once(monkeypatch):
    """Every training gets processes, and does nothing until they are there."""
    monkeypatch.setattr(epoch, "POLICY", AT_ONCE)
    monkeypatch.setattr(epoch.SpeedupMonitor, "together", True)
    join = coordinator.Coordinator.join

    def join_all(self, *args):
        wait_for_workers(self)
        return join(self, *args)

    monkeypatch.setattr(coordinator.Coordinator, "join", join_all)


@pytest.fixture
def helped(monkeypatch):
    """Counts of the mini-batches that several processes trained on, by their number."""
    return count_steps(monkeypatch)


def fitted(n, X=X, y=y, **parameters):
    with threadpool_limits(n, "blas"):
        return ScratchCNNClassifier(**SETTINGS | parameters).fit(X, y)


def same(left, right):
    return np.array_equal(left.weights_, right.weights_) and left.history_ == right.history_


@pytest.mark.usefixtures("at_once")
def test_a_fit_gets_processes_and_the_same_bits(helped, capsys):
    alone = fitted(1)
    assert not helped
    assert same(fitted(2), alone)
    assert helped[2] >= 14  # of 16: the first is measured
    first = children()
    assert same(fitted(2), alone)  # by the same process
    assert children() == first
    assert same(fitted(4, verbose=1), alone)
    assert helped[4] >= 14
    assert capsys.readouterr().out.endswith(" s left, 4 processes\n")


@pytest.mark.usefixtures("at_once")
def test_training_in_parts_gets_processes_and_the_same_bits(helped):
    def in_parts(n):
        clf = ScratchCNNClassifier(**SETTINGS)
        with threadpool_limits(n, "blas"):
            for _ in range(3):
                clf.partial_fit(X, y, classes=[0, 1, 2])
        return clf

    def continued(n):
        clf = ScratchCNNClassifier(**SETTINGS, warm_start=True)
        with threadpool_limits(n, "blas"):
            return clf.fit(X, y).fit(X, y)

    for train in (in_parts, continued):
        helped.clear()
        alone = train(1)
        assert not helped
        assert same(train(2), alone)
        assert helped[2] > 0
        assert same(train(3), alone)
        assert helped[3] > 0


def refuses(worker):
    """Whether loky knows that the worker is dead."""
    try:
        worker.executor.submit(os.getpid)
    except RuntimeError:
        return True
    return False


@pytest.mark.usefixtures("at_once")
def test_a_worker_that_waits_and_is_killed_is_replaced(helped):
    alone = fitted(1)
    fitted(2)
    for pid in children():
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: all(refuses(worker) for worker in _processes._workers))
    helped.clear()
    assert same(fitted(2), alone)
    assert helped[2] >= 14


class Killer:
    """A callback that kills all workers when an epoch ends."""

    def __init__(self, when):
        self.when = when

    def __call__(self, estimator, X, y):
        self.when -= 1
        if self.when == 0:
            for pid in children():
                os.kill(pid, signal.SIGKILL)
        return 1.0


class Stopper:
    """A callback that stops the worker after the first epoch, and lets it go on in the last.

    As ``kill -STOP`` does, or a debugger. Nobody is waited for any longer from then on.
    """

    def __init__(self, monkeypatch):
        self.epochs, self.stopped = 0, None
        self.monkeypatch = monkeypatch

    def __call__(self, estimator, X, y):
        self.epochs += 1
        if self.epochs == 1:
            self.stopped = children()[0]
            os.kill(self.stopped, signal.SIGSTOP)
            self.monkeypatch.setattr(coordinator, "OVERDUE", 0.3)
        elif self.epochs == 4 and alive(self.stopped):
            os.kill(self.stopped, signal.SIGCONT)
        return 1.0


@pytest.mark.usefixtures("at_once")
def test_a_worker_that_is_stopped_is_done_without(helped, monkeypatch):
    """It is dead before anything is done again, so that it cannot write when it wakes."""
    monkeypatch.setattr(coordinator, "OVERDUE_PARTS", 1)
    alone = fitted(1, early_stopping=True, scoring=lambda estimator, X, y: 1.0)
    stopper = Stopper(monkeypatch)
    assert same(fitted(2, early_stopping=True, scoring=stopper), alone)
    assert not alive(stopper.stopped)
    assert helped == {2: 2}  # in the first epoch; the second is repeated alone


def fail(estimator, X, y):
    raise LookupError


@pytest.mark.usefixtures("at_once")
def test_workers_that_are_killed_at_work_change_no_bit(helped):
    alone = fitted(1, early_stopping=True, scoring=lambda estimator, X, y: 1.0)
    assert same(fitted(3, early_stopping=True, scoring=Killer(2)), alone)
    assert helped.keys() == {3}  # nobody comes in their place, until the next fit
    helped.clear()
    assert same(fitted(3, early_stopping=True, scoring=Killer(0)), alone)
    assert helped[3] >= 14


@pytest.mark.usefixtures("at_once")
def test_an_exception_in_a_scorer_lets_the_workers_wait(helped):
    with pytest.raises(ValueError, match="LookupError"):
        fitted(2, early_stopping=True, scoring=fail)
    assert helped
    helped.clear()
    fitted(2)
    assert helped[2] >= 14


@pytest.mark.usefixtures("at_once")
def test_waiting_workers_hold_no_data():
    big = np.zeros((4000, 1, 32, 32), np.float32)
    big[:, 0, 0, 0] = np.arange(4000) % 2
    fitted(2, big, np.arange(4000) % 2, max_iter=1, batch_size=1000)
    for pid in children():
        lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
        assert not [line for line in lines if "memfd:skcnn" in line]
        status = dict(
            line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        )
        assert int(status["RssAnon"].split()[0]) < 80 * 1024
        assert int(status["SigIgn"], 16) & 1 << signal.SIGINT - 1


@pytest.mark.usefixtures("at_once")
def test_several_fits_at_once(helped):
    alone, found = fitted(1), []
    with threadpool_limits(6, "blas"):
        clfs = [ScratchCNNClassifier(**SETTINGS) for _ in range(3)]
        threads = [threading.Thread(target=lambda c=c: found.append(c.fit(X, y))) for c in clfs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == 3
    assert all(same(clf, alone) for clf in found)
    assert helped


def where_they_may_start(_):
    return process_pool.may_start()


@pytest.mark.slow
def test_workers_of_others_start_none():
    assert process_pool.may_start()
    with joblib.parallel_config("loky"):
        assert joblib.Parallel(2)(joblib.delayed(where_they_may_start)(i) for i in range(2)) == (
            [False, False]
        )


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.usefixtures("at_once")
def test_a_fork_during_training_takes_nothing_along():
    alone = fitted(1, early_stopping=True, scoring=lambda estimator, X, y: 1.0)
    codes = []

    def fork(estimator, X, y):
        child = os.fork()
        if child == 0:  # pragma: no cover
            fine = not children() and np.isfinite(estimator.predict_proba(X)).all()
            os._exit(0 if fine else 1)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        return 1.0

    assert same(fitted(2, early_stopping=True, scoring=fork), alone)
    assert codes == [0] * 4


# What concerns the whole process runs in one of its own

SCRIPT = """
import signal, sys, threading, time
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from skcnn import ScratchCNNClassifier
from skcnn.training import epoch
from skcnn.training.distributed import coordinator
from skcnn.training.distributed.policy import WorkerPolicy
from skcnn.layers import Conv2d, Dense, Flatten, MaxPool2d, ReLU

# tests in the background of a shell hand on that Ctrl-C is ignored
signal.signal(signal.SIGINT, signal.default_int_handler)
epoch.POLICY = WorkerPolicy(-1.0, -1.0, measured=0.0, idle_share=-float("inf"))
epoch.SpeedupMonitor.together = True
run, join = coordinator.Coordinator.run, coordinator.Coordinator.join


def join_all(self, *args):
    while self._starter.busy:
        time.sleep(0.01)
    for number, worker in self._workers.items():
        while not (self._mailboxes.is_ready(number) or worker.done()):
            time.sleep(0.01)
    return join(self, *args)


def tell(*args):
    run(*args)
    if not told:
        told.append(1)
        print("together", flush=True)


told = []
coordinator.Coordinator.run, coordinator.Coordinator.join = tell, join_all


@dataclass(frozen=True, repr=False, eq=False)
class Mine(ReLU):  # of a script without a main guard
    pass


rng = np.random.default_rng(0)
X = rng.random((640, 1, 8, 8), dtype=np.float32)
y = rng.integers(0, 3, 640)
X[np.arange(640), 0, y, y] += 2


def fit(n, epochs, **parameters):
    layers = [Conv2d(6, 3), Mine(), MaxPool2d(2), Flatten(), Dense(16), Mine()]
    with threadpool_limits(n, "blas"):
        return ScratchCNNClassifier(
            layers, batch_size=160, max_iter=epochs, tol=0.0, random_state=0, **parameters
        ).fit(X, y)
"""


def start(code, **kwargs):
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", SCRIPT + code], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True, **kwargs,
    )  # fmt: skip
    assert process.stdout.readline() == "together\n", process.stderr.read()
    return process


def leaves_nothing(pid, workers):
    wait_until(lambda: not any(alive(worker) for worker in workers))
    wait_until(lambda: not list(Path("/dev/shm").glob(f"*-{pid}-*")))


@pytest.mark.slow
def test_layers_of_a_script_without_a_main_guard():
    process = start(
        "alone, both = fit(1, 100), fit(2, 100)\nprint((alone.weights_ == both.weights_).all())"
    )
    out, err = process.communicate(timeout=PATIENCE)
    assert (out, err, process.returncode) == ("True\n", "", 0)


@pytest.mark.slow
def test_when_the_parent_is_killed_the_workers_end():
    process = start("fit(3, 10**6)")
    workers = children(process.pid)
    assert workers
    process.kill()
    process.wait()
    leaves_nothing(process.pid, workers)
    process.communicate()


def test_ctrl_c_keeps_the_last_epoch_and_is_not_heard_by_workers():
    process = start("print(fit(2, 10**6, verbose=1).n_iter_ > 0)")
    workers = children(process.pid)
    assert process.stdout.readline().startswith("Epoch 1 of ")  # which is kept
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    out, err = process.communicate(timeout=PATIENCE)
    assert out.endswith("True\n")
    assert "the model of epoch" in err
    assert "KeyboardInterrupt" not in err
    assert process.returncode == 0
    leaves_nothing(process.pid, workers)


def test_the_end_of_the_interpreter_leaves_no_semaphores_to_threads():
    """Such a thread would be stopped between removing one and telling loky's tracker of it."""
    code = """
import importlib
from multiprocessing.connection import Connection

synchronize = importlib.import_module("joblib.externals.loky.backend.synchronize")
unlink, close = synchronize.sem_unlink, Connection.close


def unlink_slowly(name):
    if threading.current_thread() is threading.main_thread():
        time.sleep(0.2)
    unlink(name)
    if threading.current_thread().name == "QueueFeederThread":
        time.sleep(5)


def close_late(connection):
    if threading.current_thread().name == "QueueFeederThread":
        time.sleep(0.2)  # so that it ends after the others
    close(connection)


Connection.close = close_late
synchronize.sem_unlink = unlink_slowly
print(fit(2, 20).n_iter_)
"""
    process = start(code)
    out, err = process.communicate(timeout=PATIENCE)
    assert (out, err, process.returncode) == ("20\n", "", 0)


@pytest.mark.slow
@pytest.mark.parametrize("daemon", [True, False])
def test_the_interpreter_may_end_during_training(daemon):
    epochs = 10**6 if daemon else 300
    code = (
        f"thread = threading.Thread(target=fit, args=(2, {epochs}), daemon={daemon})\n"
        "thread.start()\nwhile not told: time.sleep(0.01)\n"
    )
    process = start(code)
    workers = children(process.pid)
    out, err = process.communicate(timeout=PATIENCE)
    assert (out, err, process.returncode) == ("", "", 0)
    leaves_nothing(process.pid, workers)


@pytest.mark.slow
def test_seventy_workers_are_killed_at_any_moment():
    """The training goes on with those that are left, and the next fit spawns others."""
    process = start("while True: print(fit(3, 20).weights_.tobytes().hex()[:4000], flush=True)")
    draw, killed, found = np.random.default_rng(0), 0, []
    reader = threading.Thread(target=lambda: found.extend(iter(process.stdout.readline, "")))
    reader.start()
    while killed < 70:
        wait_until(lambda: children(process.pid))
        time.sleep(draw.uniform(0, 0.3))
        assert process.poll() is None
        workers = children(process.pid)
        if workers:
            os.kill(int(draw.choice(workers)), signal.SIGKILL)
            killed += 1
    fits = len(found)
    wait_until(lambda: len(found) > fits)  # it still trains
    workers = children(process.pid)
    process.kill()
    process.wait()
    leaves_nothing(process.pid, workers)
    reader.join()
    process.stdout.close()
    process.stderr.close()
    assert len({line for line in found if len(line) == 4001}) == 1  # the last may be cut off


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(30))
def test_a_parent_is_killed_at_any_moment(seed):
    process = start("while True: fit(3, 3)")
    time.sleep(np.random.default_rng(seed).uniform(0, 0.5))
    workers = children(process.pid)
    process.kill()
    process.wait()
    leaves_nothing(process.pid, workers)
    process.communicate()


FORK = """
import os
fit(2, 4)
child = os.fork()
if child == 0:
    {}
    sys.exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.mark.parametrize("work", ["pass", "fit(2, 4); assert not any(map(alive, children()))"])
def test_a_forked_child_ends_without_a_word_and_starts_no_processes(work):
    if work != "pass":
        work = f"from tests.parallel.test_worker_processes import alive, children; {work}"
    process = start("import warnings; warnings.simplefilter('ignore')" + FORK.format(work))
    out, errors = process.communicate(timeout=60)
    assert out == "0\n"
    assert errors == ""


def test_no_process_is_started_where_there_is_no_proc(monkeypatch):
    assert process_pool.may_start()
    monkeypatch.setattr(process_pool, "PROC", "/no/proc")
    assert not process_pool.may_start()


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_workers_that_compute_something_else_are_not_used(factor, helped, monkeypatch):
    monkeypatch.setattr(module_setting, "FACTOR", factor)  # which workers do not know
    layers = [Conv2d(4, 3), module_setting.Scaled(), ReLU(), Flatten(), Dense(16)]
    alone = fitted(1, layers=layers)
    if factor == 1:
        assert same(fitted(2, layers=layers), alone)
        assert helped[2]
        return
    with pytest.warns(UserWarning, match="different results in worker processes") as caught:
        both = fitted(2, layers=layers)
    assert [warning.filename for warning in caught] == [__file__]
    assert same(both, alone)
    assert not helped
    model = ScratchCNNClassifier(**SETTINGS | {"layers": layers})
    with threadpool_limits(2, "blas"), pytest.raises(UserWarning, match="different results"):
        model.fit(X, y)  # warnings are errors here
    assert not hasattr(model, "weights_")
    with pytest.warns(UserWarning, match="different results"), threadpool_limits(2, "blas"):
        model.partial_fit(X, y, classes=range(3))
    assert not helped
    assert all(worker.is_free for worker in _processes._workers)

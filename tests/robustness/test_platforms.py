"""Platforms that lack something, imitated on Linux: the package works there, with the same bits.

A `sitecustomize` module takes things away before anything is imported, in the process that trains
and in its worker processes.
"""

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from joblib.externals.loky.backend import fork_exec

from skcnn import files
from tests.shared import since
from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="imitates other platforms on Linux")

NO_FORK = """
import os
del os.fork, os.forkpty, os.register_at_fork
"""
NO_SIGMASK = """
import signal
del signal.pthread_sigmask
"""
NO_FALLOCATE = """
import os
del os.posix_fallocate
"""
NO_MEMFD = """
import os
del os.memfd_create
"""
NO_SCHED_YIELD = """
import os
del os.sched_yield
"""
NO_RESOURCE = """
import sys
sys.modules["resource"] = None
"""
NO_PROC = """
import os, sys

def refuse(path):
    if isinstance(path, (str, bytes)) and os.fsdecode(path).startswith("/proc"):
        raise FileNotFoundError(2, "No such file or directory", path)

def checked(function):
    def call(path, *args, **kwargs):
        refuse(path if isinstance(path, int) else os.fspath(path))
        return function(path, *args, **kwargs)
    return call

sys.addaudithook(
    lambda event, args: refuse(args[0]) if event in ("open", "os.listdir", "os.scandir") else None
)
os.stat, os.lstat = checked(os.stat), checked(os.lstat)
"""
NO_SEMAPHORES = """
import _multiprocessing

class SemLock(_multiprocessing.SemLock):
    def __new__(cls, *args, **kwargs):
        raise OSError(38, "Function not implemented")

_multiprocessing.SemLock = SemLock
"""
NO_MULTIPROCESSING = """
import sys
sys.modules["_multiprocessing"] = None
"""
NO_NEW_PROCESSES = """
import os, subprocess, sys

def fork_exec(*args):
    raise OSError(38, "Function not implemented")

sys.modules["_posixsubprocess"], subprocess._fork_exec = None, fork_exec
del os.posix_spawn, os.posix_spawnp
"""
# no system has memory for such a stack, so that "can't start new thread" comes from Python itself
NO_NEW_THREADS = """
import threading
threading.stack_size(2**46)
"""
UNKNOWN_CORES = """
import os
os.cpu_count = os.process_cpu_count = lambda: None
del os.sched_getaffinity
"""
OTHER_PROCESSOR = """
import platform
platform.machine = lambda: "aarch64"
"""
# Linux without /proc starts no workers; other systems start them without it
NOT_LINUX = """
from types import SimpleNamespace
from skcnn._estimator import process_pool
from skcnn.parallel import shared_memory
process_pool.sys = SimpleNamespace(platform="darwin", executable=sys.executable)
shared_memory.sys = SimpleNamespace(platform="darwin")
"""
JOBLIB_FORKS = "os.fork()" in inspect.getsource(fork_exec)
"""Whether joblib is so old that no worker processes are started without `fork`."""

SYSTEMS = {  # what to take away, settings of the package, and whether workers can take part
    "Windows": (
        NO_FORK + NO_SIGMASK + NO_PROC + NO_FALLOCATE + NO_MEMFD + NO_SCHED_YIELD + NO_RESOURCE,
        "", False,
    ),
    "macOS": (NO_PROC + NO_FALLOCATE + NO_MEMFD + OTHER_PROCESSOR, NOT_LINUX, True),
    "a browser": (
        NO_SEMAPHORES + NO_NEW_PROCESSES + NO_NEW_THREADS + UNKNOWN_CORES + NO_SIGMASK + NO_PROC
        + NO_RESOURCE,
        "", False,
    ),
}  # fmt: skip
LACKS = {
    "fork": (NO_FORK, "", not JOBLIB_FORKS),
    "pthread_sigmask": (NO_SIGMASK, "", False),
    "/proc": (NO_PROC, "", False),
    "/dev/shm": (NO_SEMAPHORES, "", False),
    "posix_fallocate": (NO_FALLOCATE, "", True),
    "memfd_create": (NO_MEMFD, "", True),
    "sched_yield": (NO_SCHED_YIELD, "", True),
    "resource": (NO_RESOURCE, "", True),
    "_multiprocessing": (NO_MULTIPROCESSING, "", False),
    "new processes": (NO_NEW_PROCESSES, "", False),
    "new threads": (NO_NEW_THREADS, "", False),
    "the number of cores": (UNKNOWN_CORES, "", True),
    "the memory order of x86": (OTHER_PROCESSOR, "", True),
}

MARKS = {"_multiprocessing": [pytest.mark.skipif(since(1, 9), reason="scikit-learn needs it, too")]}
"""Further marks than `slow`."""

FIT = """
import hashlib, json, pickle, sys

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from skcnn import ScratchCNNClassifier, ScratchCNNRegressor
from skcnn.layers import Conv2d, Dense, Flatten, ReLU
from skcnn._estimator.process_pool import may_start
from skcnn.training import epoch
from skcnn.training.distributed import coordinator
from skcnn.training.distributed.policy import WorkerPolicy
from tests.workers import count_steps, wait_for_workers

join, shared_steps = coordinator.Coordinator.join, count_steps(pytest.MonkeyPatch())


def join_all(self, *args):
    wait_for_workers(self)
    return join(self, *args)


coordinator.Coordinator.join, epoch.SpeedupMonitor.together = join_all, True
PROCESSES = WorkerPolicy(-np.inf, -np.inf, measured=0.0, idle_share=-np.inf)
THREADS = WorkerPolicy(np.inf, np.inf)

rng = np.random.default_rng(0)
X = rng.random((640, 1, 8, 8), dtype=np.float32)
y = rng.integers(0, 3, 640)
COMMON = {
    "layers": [Conv2d(4, 3), ReLU(), Flatten(), Dense(8)], "batch_size": 160, "max_iter": 3,
    "tol": 0.0, "random_state": 0,
}


def digest(model):
    again = pickle.loads(pickle.dumps(model))
    found = hashlib.sha256(model.weights_.tobytes())
    for each in (model, again):
        found.update(np.ascontiguousarray(getattr(each, "predict_proba", each.predict)(X)).data)
    return found.hexdigest()


def fit(n_threads, policy):
    epoch.POLICY = policy
    with threadpool_limits(n_threads, "blas"):
        return digest(ScratchCNNClassifier(**COMMON).fit(X, y))


def fit_in_parts(n_threads, policy):
    epoch.POLICY = policy
    model = ScratchCNNClassifier(**COMMON)
    with threadpool_limits(n_threads, "blas"):
        for part in (slice(None), slice(0, 400)):
            model.partial_fit(X[part], y[part], classes=[0, 1, 2])
        return digest(model)


def fit_regressor(n_threads, policy):
    epoch.POLICY = policy
    with threadpool_limits(n_threads, "blas"):
        return digest(ScratchCNNRegressor(**COMMON).fit(X, X[:, 0, 1] - y[:, None]))
"""
ALL = """
exec(sys.argv[1])
digests = {
    f"{train.__name__} {n}{' processes' if policy is PROCESSES else ''}": train(n, policy)
    for train in (fit, fit_in_parts, fit_regressor)
    for n, policy in ((1, THREADS), (2, THREADS), (2, PROCESSES))
}
print(json.dumps([digests, len(shared_steps) > 0]))
"""


def call(code, folder, *args, absent=""):
    """Run code where something is absent, and return what it prints."""
    # joblib warns where there are no semaphores
    options = ("-W", "error", "-W", "ignore:[Errno 38] Function not implemented")
    (folder / "sitecustomize.py").write_text(absent, encoding="utf-8")
    (folder / "script.py").write_text(code, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, *options, folder / "script.py", *args],
        env=environment, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    """The bits where nothing is absent."""
    digests, shared = call(FIT + ALL, tmp_path_factory.mktemp("usual"), "")
    assert shared
    assert len(set(digests.values())) == 3  # one for each way to train
    return digests


@pytest.mark.parametrize(
    ("absent", "settings", "shared"),
    [
        *(pytest.param(*given, id=name) for name, given in SYSTEMS.items()),
        *(
            pytest.param(*given, id=name, marks=[pytest.mark.slow, *MARKS.get(name, [])])
            for name, given in LACKS.items()
        ),
    ],
)
def test_the_bits_are_the_usual_ones_whatever_is_absent(absent, settings, shared, usual, tmp_path):
    assert call(FIT + ALL, tmp_path, settings, absent=absent) == [usual, shared]


@pytest.mark.parametrize(
    ("absent", "expected"),
    [("", True), (NO_FORK, True), (NO_SIGMASK, False), (NO_NEW_PROCESSES, False), (NO_PROC, False)],
    ids=["nothing", "fork", "pthread_sigmask", "new processes", "/proc"],
)
def test_whether_workers_may_start_is_known_before_anything_is_copied(absent, expected, tmp_path):
    code = "import json\nfrom skcnn._estimator.process_pool import may_start\n"
    assert call(code + "print(json.dumps(may_start()))", tmp_path, absent=absent) == expected


START = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor


def in_child(n_threads):
    return fit(n_threads, PROCESSES), len(shared_steps), may_start()


if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    with ProcessPoolExecutor(2) as pool:
        theirs = list(pool.map(in_child, (1, 2)))
    print(json.dumps([theirs, fit(2, PROCESSES), len(shared_steps) > 0]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "absent"),
    [
        pytest.param("spawn", NO_FORK, id="as on Windows and macOS"),
        pytest.param("forkserver", "", id="as on Linux from Python 3.14 on"),
    ],
)
def test_processes_may_start_afresh(method, absent, usual, tmp_path):
    """The user's own train without starting others, and this one with workers as usual."""
    expected = usual["fit 1"]
    theirs, ours, shared = call(FIT + START, tmp_path, method, absent=absent)
    assert theirs == [[expected, 0, False]] * 2
    assert ours == expected
    assert shared == (not absent or not JOBLIB_FORKS)


@pytest.mark.parametrize("refusals", [1, len(files.PAUSES), len(files.PAUSES) + 1])
def test_a_file_that_another_program_has_open_is_replaced_later(refusals, monkeypatch, tmp_path):
    """As virus scanners do on Windows, for a moment."""
    left = [refusals]

    def replace(source, target):
        left[0] -= 1
        if left[0] >= 0:
            raise PermissionError(13, "The process cannot access the file", str(target))
        os.replace(source, target)

    windows = SimpleNamespace(**vars(os) | {"name": "nt", "replace": replace})
    monkeypatch.setattr(files, "os", windows)
    monkeypatch.setattr(files, "PAUSES", [0.0] * len(files.PAUSES))
    path = tmp_path / "file"
    path.write_bytes(b"old")
    if refusals > len(files.PAUSES):
        with pytest.raises(PermissionError):
            files.replace_file(path, lambda file: file.write(b"new"))
    else:
        files.replace_file(path, lambda file: file.write(b"new"))
    assert path.read_bytes() == (b"old" if refusals > len(files.PAUSES) else b"new")
    assert os.listdir(tmp_path) == ["file"]


def test_errors_are_not_hidden_by_a_temporary_file_that_cannot_be_removed(monkeypatch, tmp_path):
    def refuse(*args, **kwargs):
        raise PermissionError

    def write(file):
        raise ValueError("the disk is full")

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(ValueError, match="the disk is full"):
        files.replace_file(tmp_path / "file", write)


def test_elsewhere_a_file_that_must_not_be_replaced_is_an_error_at_once(monkeypatch, tmp_path):
    def refuse(*args):
        raise PermissionError

    monkeypatch.setattr(files, "os", SimpleNamespace(**vars(os) | {"replace": refuse}))
    monkeypatch.setattr(files, "PAUSES", None)
    with pytest.raises(PermissionError):
        files.replace_file(tmp_path / "file", lambda file: file.write(b"new"))

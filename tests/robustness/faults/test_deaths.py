"""Kills, ends and forks while several processes train."""

import json
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.robustness.faults.scripts import begin, tell
from tests.robustness.faults.traces import children
from tests.waiting import PATIENCE, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),
]

TOGETHER = """
from skcnn.training import epoch
from skcnn.training.distributed import coordinator
from skcnn.training.distributed.policy import WorkerPolicy

epoch.POLICY = WorkerPolicy(-1.0, -1.0, measured=0.0, idle_share=-float("inf"))
epoch.SpeedupMonitor.together = True
run, told = coordinator.Coordinator.run, []


def tell(*args):
    run(*args)
    if not told:
        told.append(1)
        print("together", flush=True)


coordinator.Coordinator.run = tell
"""


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def family(pid):
    found = children(pid)
    return found + [grandchild for child in found for grandchild in family(child)]


def leave_nothing(process, those):
    """Wait until all of them have ended, without shared memory or semaphores left behind."""
    wait_until(lambda: not any(alive(pid) for pid in those))
    names = [*Path("/dev/shm").glob(f"*-{process.pid}-*"), *Path("/tmp").glob("skcnn-*")]
    wait_until(lambda: not any(name.exists() for name in names))


@pytest.fixture
def training():
    process = begin(TOGETHER + "while True: fit(2, 20)")
    assert process.stdout.readline() == "together\n", process.stderr.read()
    yield process
    process.kill()
    process.wait()
    process.stdout.close()
    process.stderr.close()


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGHUP", "SIGABRT"])
@pytest.mark.parametrize("seed", range(3))
def test_the_parent_dies_and_all_with_it(training, name, seed):
    time.sleep(np.random.default_rng(seed).uniform(0, 0.3))
    those = family(training.pid)
    training.send_signal(getattr(signal, name))
    training.wait(PATIENCE)
    leave_nothing(training, those)


def test_workers_are_killed_and_the_bits_stay():
    code = TOGETHER + (
        "while not told: fit(2, 10)\n"  # till somebody waits who can join at once
        "while True: print(fit(2, 10).weights_.tobytes().hex()[:2000], flush=True)"
    )
    process = begin(code)
    draw, killed, found = np.random.default_rng(0), 0, []
    assert process.stdout.readline() == "together\n"
    while killed < 30:
        found.append(process.stdout.readline())
        assert process.poll() is None
        workers = [
            pid
            for pid in children(process.pid)
            if "popen_loky_posix" in Path(f"/proc/{pid}/cmdline").read_text()
        ]
        if workers:
            time.sleep(draw.uniform(0, 0.05))
            os.kill(int(draw.choice(workers)), signal.SIGKILL)
            killed += 1
    found.append(process.stdout.readline())
    those = family(process.pid)
    process.kill()
    process.wait()
    process.stdout.close()
    process.stderr.close()
    leave_nothing(process, those)
    tell("workers killed", Counter(killed=killed, fits=len(found)))
    assert len(set(found)) == 1


@pytest.mark.parametrize("daemon", [True, False])
@pytest.mark.parametrize("how", ["sys.exit()", "raise SystemExit(0)", "os._exit(0)"])
def test_the_interpreter_ends_during_training(how, daemon):
    code = TOGETHER + (
        "def train():\n"
        f"    while {daemon} or not told: fit(2, 30)\n"
        f"thread = threading.Thread(target=train, daemon={daemon})\nthread.start()\n"
        f"while not told: time.sleep(0.01)\n{how}\n"
    )
    process = begin(code)
    assert process.stdout.readline() == "together\n"
    those = family(process.pid)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    leave_nothing(process, those)


@pytest.mark.parametrize("n", [1, 2])
def test_exit_of_a_handler_of_sigterm(n):
    """As a server's supervisor does it: the training ends, and the interpreter in order."""
    code = TOGETHER + (
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        f"print('begin', flush=True)\nfit({n}, 10**6)"
    )
    outcomes = Counter()
    for seed in range(8):
        process = begin(code)
        assert process.stdout.readline() == "begin\n"
        time.sleep(np.random.default_rng(seed).uniform(0, 1))
        those = family(process.pid)
        process.terminate()
        process.communicate(timeout=PATIENCE)
        outcomes[process.returncode] += 1
        leave_nothing(process, those)
    tell(f"SIGTERM, {n} at work", outcomes)
    assert outcomes == {7: 8}


def test_forks_while_threads_train():
    """Children of a callback compute on their own, and the training goes on."""
    code = (
        f"PATIENCE = {PATIENCE}\n"
        + """
codes = []


def fork(estimator, X, y):
    for _ in range(5):
        child = os.fork()
        if child == 0:
            signal.alarm(PATIENCE)
            estimator.predict(X)
            fine = np.array_equal(fit(2).weights_, expected)
            os._exit(0 if fine else 1)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    return 1.0


expected = fit(2).weights_
whole = fit(2, 4, early_stopping=True, scoring=lambda estimator, X, y: 1.0).weights_
import json, warnings
warnings.simplefilter("ignore")
same = np.array_equal(fit(2, 4, early_stopping=True, scoring=fork).weights_, whole)
print(json.dumps([codes, same]))
"""
    )
    process = begin(code)
    out, err = process.communicate(timeout=PATIENCE)
    codes, same = json.loads(out)
    tell("forks, by exit code", Counter(codes))
    assert codes == [0] * 20, err
    assert same

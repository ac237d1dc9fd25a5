"""Processes are not started where there is no core for them."""

import multiprocessing
import time

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from skcnn import ScratchCNNClassifier
from skcnn.architectures import cnn
from skcnn.parallel import idle_cores
from skcnn.parallel.idle_cores import IdleCores
from skcnn.training import epoch


def work(seconds):
    """Use a core for so long."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


@pytest.fixture
def says(monkeypatch):
    """What the system says: idle time and all time of all cores; the last entry is that of now."""
    said = [(0.0, 0.0)]
    monkeypatch.setattr(idle_cores, "_times", lambda: said[-1])
    return said


def test_own_work_and_idle_time_are_added(says):
    looking = IdleCores()
    work(0.2)
    seconds = looking.seconds
    says.append((3 * seconds, 4 * seconds))
    assert looking.available() == pytest.approx(3 + 0.2 / seconds, rel=0.1)
    assert looking.seconds < seconds  # it has begun anew


def test_a_machine_without_idle_time_has_what_this_process_uses(says):
    looking = IdleCores()
    work(0.1)
    time.sleep(0.1)
    says.append((0, 4 * looking.seconds))
    assert looking.available() < 0.75


def test_a_system_whose_clocks_stand_still_has_room(says):
    looking = IdleCores()
    work(0.01)
    assert looking.available() == np.inf


def test_a_system_that_does_not_tell_has_room(monkeypatch):
    monkeypatch.setattr(idle_cores, "_IDLE", slice(0, 2))  # begins with "cpu", which is no number
    assert idle_cores._times() is None
    looking = IdleCores()
    assert looking.available() == np.inf


@pytest.mark.skipif(idle_cores._times() is None, reason="needs a system that tells")
def test_the_times_of_the_system_grow_with_every_core():
    before, start = idle_cores._times(), time.perf_counter()
    time.sleep(0.2)
    idle, every = np.subtract(idle_cores._times(), before)
    assert 0 <= idle <= every + 1e-6
    assert every <= (time.perf_counter() - start + 0.1) * multiprocessing.cpu_count()


@pytest.fixture
def asks(monkeypatch):
    """How often a training that would like processes asks for them, with what the system says."""
    monkeypatch.setattr(epoch, "WORTH_STARTING", -1.0)
    monkeypatch.setattr(epoch, "WORTH_ASKING", -1.0)
    monkeypatch.setattr(epoch, "MEASURED", 0.0)
    monkeypatch.setattr("skcnn.network.WORTH_SHARING", 0)
    asked = []
    monkeypatch.setattr(epoch.Coordinator, "start", lambda self: asked.append(True))

    def fit(times):
        monkeypatch.setattr(idle_cores, "_times", times)
        rng = np.random.default_rng(0)
        X, y = rng.random((256, 64), dtype=np.float32), rng.integers(0, 2, 256)
        clf = ScratchCNNClassifier(layers=cnn((4,)), batch_size=32, max_iter=2, random_state=0)
        with threadpool_limits(2):
            clf.fit(X, y)
        return bool(asked)

    return fit


@pytest.mark.parametrize("has_room", [True, False])
def test_a_training_asks_for_processes_where_there_is_room(has_room, asks):
    clock = time.perf_counter
    assert asks(lambda: (has_room * clock(), 2 * clock())) == has_room


@pytest.mark.parametrize("seconds", [0.0, 1000.0])
def test_it_looks_again_after_a_while(seconds, asks, monkeypatch):
    """The core becomes idle after the third look."""
    monkeypatch.setattr(epoch, "LOOK_AGAIN", seconds)
    looks, clock = [], time.perf_counter

    def times():
        looks.append(True)
        return (len(looks) > 3) * 1000 * clock(), 2000 * clock()

    assert asks(times) == (seconds == 0)

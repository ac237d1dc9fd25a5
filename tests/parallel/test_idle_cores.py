"""Processes are not started where there is no core for them; all clocks are made up."""

from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from skcnn import ScratchCNNClassifier
from skcnn.architectures import cnn
from skcnn.parallel import idle_cores
from skcnn.parallel.idle_cores import IdleCores, machine_times
from skcnn.training import epoch
from skcnn.training.distributed.policy import WorkerPolicy
from tests.shared import AT_ONCE


class Machine:
    """Clocks of a machine with four cores, which advance when they are told to."""

    def __init__(self):
        self.now = self.used = self.idle = self.every = 0.0

    def advance(self, seconds, used=0.0, idle=0.0, cores=4):
        """Let so many seconds pass; `used` and `idle` are shares of them."""
        self.now += seconds
        self.used += used * seconds
        self.idle += idle * seconds
        self.every += cores * seconds

    def watched(self):
        return IdleCores(lambda: self.now, lambda: self.used, lambda: (self.idle, self.every))


@pytest.fixture
def machine():
    return Machine()


def test_own_work_and_idle_time_are_added(machine):
    looking = machine.watched()
    machine.advance(0.5, used=0.75, idle=3)
    assert looking.seconds == 0.5
    assert looking.available() == 3.75
    assert looking.seconds == 0  # it has begun anew
    machine.advance(2.0, used=0.25, idle=1)
    assert looking.available() == 1.25


def test_a_machine_without_idle_time_has_what_this_process_uses(machine):
    looking = machine.watched()
    machine.advance(0.5, used=0.5)
    assert looking.available() == 0.5


def test_a_system_whose_clocks_stand_still_has_room(machine):
    looking = machine.watched()
    machine.advance(1.0, used=1.0, cores=0)
    assert looking.available() == np.inf


def test_a_system_that_does_not_tell_has_room(machine):
    looking = IdleCores(lambda: machine.now, lambda: machine.used, lambda: None)
    machine.advance(1.0)
    assert looking.available() == np.inf


def test_the_first_line_of_the_systems_file_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(idle_cores.os, "sysconf", lambda name: 100, raising=False)
    file = tmp_path / "stat"
    file.write_text("cpu  100 20 30 400 50 6 7 8 9 10\ncpu0 1 1 1 1 1 1 1 1 1 1\n")
    assert machine_times(str(file)) == (4.5, 6.21)  # guests are among users already
    for text in ("", "cpu\n", "intr many\n"):
        file.write_text(text)
        assert machine_times(str(file)) in (None, (0, 0))
    assert machine_times(str(tmp_path / "none")) is None


@pytest.mark.skipif(machine_times() is None, reason="needs a system that tells")
def test_the_times_of_the_system_do_not_fall():
    before = machine_times()
    after = machine_times()
    assert 0 <= before[0] <= before[1]
    assert before[1] <= after[1]


@pytest.fixture
def asks(monkeypatch):
    """Whether a training that would like processes asks for them; a look takes a second."""
    policy = replace(AT_ONCE, idle_share=WorkerPolicy.idle_share)
    monkeypatch.setattr(epoch, "POLICY", policy)
    monkeypatch.setattr("skcnn.micro_batches.WORTH_SHARING", 0)
    asked = []
    monkeypatch.setattr(epoch.Coordinator, "start", lambda self: asked.append(True))

    def fit(machine, idle):
        def times():
            machine.advance(1.0, used=1.0, idle=idle(), cores=2)
            return machine.idle, machine.every

        monkeypatch.setattr(
            epoch, "IdleCores", lambda: IdleCores(lambda: machine.now, lambda: machine.used, times)
        )
        rng = np.random.default_rng(0)
        X, y = rng.random((256, 64), dtype=np.float32), rng.integers(0, 2, 256)
        clf = ScratchCNNClassifier(layers=cnn((4,)), batch_size=32, max_iter=2, random_state=0)
        with threadpool_limits(2):
            clf.fit(X, y)
        return bool(asked)

    return fit


@pytest.mark.parametrize("has_room", [True, False])
def test_a_training_asks_for_processes_where_there_is_room(has_room, asks, machine):
    assert asks(machine, lambda: float(has_room)) == has_room


@pytest.mark.parametrize("seconds", [0.0, 1000.0])
def test_it_looks_again_after_a_while(seconds, asks, machine, monkeypatch):
    """The core becomes idle after the third look."""
    monkeypatch.setattr(epoch, "POLICY", replace(epoch.POLICY, look_again=seconds))
    looks = []

    def idle():
        looks.append(True)
        return float(len(looks) > 3)

    assert asks(machine, idle) == (seconds == 0)

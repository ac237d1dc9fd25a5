"""Processes that join a training: the same bits, whoever computes what.

Workers are threads of this process here, which run the same code; see
`test_worker_processes` for real ones.
"""

import errno
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from skcnn.architectures import cnn
from skcnn.data import Images, Samples, Scaling
from skcnn.layers import (
    Add,
    BatchNorm,
    Concatenate,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    Frozen,
    MaxPool2d,
    RandomCrop,
    RandomShift,
    ReLU,
    Residual,
)
from skcnn.losses import SigmoidCrossEntropy
from skcnn.network import Network
from skcnn.optimizers import SGD, Adam, AdamW, RMSprop
from skcnn.parallel import shared_memory, waiting
from skcnn.parallel.threads import Threads
from skcnn.state import TrainingState, new_state
from skcnn.training import epoch, minibatch, update
from skcnn.training.config import TrainingConfig
from skcnn.training.distributed import coordinator, protocol
from skcnn.training.trainer import Progress, Validation, begin, train
from tests.shared import AT_ONCE
from tests.workers import IS_READY, count_steps, wait_for_workers

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="has no worker processes")
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux names mapped files")

N = 301
rng = np.random.default_rng(0)
X = rng.standard_normal((N, 1, 8, 8)).astype(np.float32)
y = rng.integers(0, 3, N)
X[np.arange(N), 0, y, y] += 2
WEIGHTS = rng.random(N).astype(np.float32)
SCALING = Scaling(np.array([0.1]), np.array([2.0]))
SAMPLES = Samples(Images(X, (1, 8, 8), scaling=SCALING), y, WEIGHTS)
DEFAULTS = {
    "optimizer": Adam(), "lr": 3e-3, "weight_decay": 0.0, "batch_size": 64, "max_iter": 2,
    "shuffle": True, "tol": 0.0, "n_iter_no_change": 100,
}  # fmt: skip
CNN = cnn((4, 6), hidden_layer_sizes=(10,))
NETWORKS = {
    "two blocks": (CNN, {}),
    "sgd, batches of 40": (CNN, {"optimizer": SGD(), "batch_size": 40, "shuffle": False}),
    "dropout, augmented": (
        [RandomCrop(1), Conv2d(4, 3), ReLU(), MaxPool2d(2), Flatten(), Dropout(0.4), Dense(9)],
        {"optimizer": RMSprop(momentum=0.5)},
    ),
    "shifted together": (
        [RandomShift(2), Conv2d(4, 3), Residual([RandomShift(1), ReLU()]), Flatten()],
        {},
    ),
    "batch norm": (
        [Conv2d(4, 3, bias=False), BatchNorm(16), ReLU(), MaxPool2d(2), Flatten()],
        {"batch_size": 96, "weight_decay": 0.01},
    ),
    "residual": (
        [
            Conv2d(4, 3, padding=1), Residual([Conv2d(4, 3, padding=1), BatchNorm(16), ReLU()]),
            Flatten(),
        ],
        {"optimizer": AdamW(), "weight_decay": 0.05},
    ),
    "branches": (
        [
            RandomCrop(1),
            Concatenate([[], [Conv2d(4, 3, padding=1), BatchNorm(16), Dropout(0.2)], Conv2d(2, 1)]),
            Add([[ReLU()], [Conv2d(7, 1)], []]), Flatten(),
        ],
        {"optimizer": AdamW(), "weight_decay": 0.05},
    ),
    "frozen": (
        [
            RandomCrop(1), Frozen([Conv2d(4, 3, padding=1), BatchNorm(16), Dropout(0.2)]),
            Conv2d(4, 3), Frozen([Conv2d(4, 1), ReLU()]), Flatten(),
        ],
        {"optimizer": AdamW(), "weight_decay": 0.05, "max_grad_norm": 0.5},
    ),
    "clipped, decayed": (
        CNN, {"max_grad_norm": 0.05, "weight_decay": 0.02, "optimizer": SGD(nesterov=False)}
    ),
    "many micro-batches": (CNN, {"batch_size": 301, "max_iter": 5}),
}  # fmt: skip


def network_of(layers, dtype=np.float32):
    return Network([*layers, Dense(3)], (1, 8, 8), dtype)


class SpawnThreads:
    """Hires threads, and fires them in the middle of something when it is told to."""

    def __init__(self):
        self.pool = ThreadPoolExecutor(8)
        self.spawned = []

    def __call__(self, function, job, number):
        worker = self.pool.submit(function, job, number)
        worker.release = worker.kill = lambda: None
        self.spawned.append(worker)
        return worker

    def leave_nothing(self):
        self.pool.shutdown()
        for worker in self.spawned:
            assert worker.done()


@pytest.fixture
def at_once(monkeypatch):
    """Every training is long enough, whatever it takes."""
    monkeypatch.setattr(epoch, "POLICY", AT_ONCE)
    monkeypatch.setattr(epoch.SpeedupMonitor, "together", True)


def train_with(
    network, n_workers, settings, samples=SAMPLES, state=None, validation=None, spawn=None,
    progress=None,
):  # fmt: skip
    settings = TrainingConfig(**DEFAULTS | settings)
    if state is None:
        state = new_state(network, settings.optimizer, 0)
        state.finely = True
    begin(state, settings)
    spawn = spawn or SpawnThreads()
    with Threads(n_workers + 1, spawn=spawn if n_workers else None) as workers:
        state, _ = train(network, samples, settings, state, workers, validation, progress)
    if n_workers:
        assert spawn.spawned
        spawn.leave_nothing()
    return state


def alone(network, settings, **others):
    return train_with(network, 0, settings, **others)


def assert_same(left, right):
    assert np.array_equal(left.weights, right.weights)
    for name in left.moments:
        assert np.array_equal(left.moments[name], right.moments[name])
    assert left.history == right.history


class CountedLock:
    """A lock that counts how often it is taken."""

    def __init__(self):
        self.lock, self.taken = threading.Lock(), 0

    def __enter__(self):
        self.lock.acquire()
        self.taken += 1

    def __exit__(self, *exc_info):
        self.lock.release()


@pytest.fixture(params=["x86", "others"])
def fences(request, monkeypatch):
    """The locks that order accesses to memory, on processors that keep stores in order or not."""
    locks, in_order = [], request.param == "x86"

    def lock():
        locks.append(CountedLock())
        return locks[-1]

    monkeypatch.setattr(protocol, "_IN_ORDER", in_order)
    monkeypatch.setattr(protocol, "threading", SimpleNamespace(Lock=lock))
    yield locks
    assert locks
    assert all((lock.taken == 0) == in_order for lock in locks)


class JoinAt:
    """Lets workers join at given mini-batches, and counts what they help with."""

    def __init__(self, monkeypatch, *when):
        self.seen, self.steps = 0, count_steps(monkeypatch)
        join = coordinator.Coordinator.join

        def join_late(self_, *args):
            self.seen += 1
            wait_for_workers(self_)
            return join(self_, *args)

        def ready_when_due(self_, worker):
            return IS_READY(self_, worker) and self.seen >= when[worker]

        monkeypatch.setattr(coordinator.Coordinator, "join", join_late)
        monkeypatch.setattr(protocol.Mailboxes, "is_ready", ready_when_due)

    @property
    def helped(self):
        return self.steps.total()


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("name", NETWORKS)
def test_any_number_of_processes_gives_the_same_bits(name, monkeypatch):
    layers, settings = NETWORKS[name]
    network = network_of(layers)
    expected = alone(network, settings)
    for n_workers in (1, 2, 3):
        with monkeypatch.context() as patch:
            joins = JoinAt(patch, 1, 1, 1)
            assert_same(train_with(network, n_workers, settings), expected)
        assert joins.helped > 0


@pytest.mark.usefixtures("at_once", "fences")
@pytest.mark.parametrize("when", [(2,), (3, 5), (1, 6, 9)])
def test_workers_may_join_at_any_mini_batch(when, monkeypatch):
    network, settings = network_of(CNN), {"max_grad_norm": 1.0, "weight_decay": 0.01}
    expected = alone(network, settings)
    joins = JoinAt(monkeypatch, *when)
    assert_same(train_with(network, len(when), settings), expected)
    assert joins.helped > 0


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("first_wrong", [0, 1])
def test_training_continues_alone_if_one_of_several_workers_computes_something_else(
    first_wrong, monkeypatch
):
    """The others are dismissed, too, those that have joined and those that are ready."""
    network = network_of(CNN)
    expected = alone(network, {})
    JoinAt(monkeypatch, 1, 1, 1)
    gradient, calls = coordinator.Coordinator._first_gradient, iter(range(1000))

    def differs(self):
        return gradient(self) + (b"wrong" if next(calls) == 2 * first_wrong else b"")

    monkeypatch.setattr(coordinator.Coordinator, "_first_gradient", differs)
    assert_same(train_with(network, 3, {}), expected)
    assert next(calls) == 2 * first_wrong + 2  # no further worker was tried


@pytest.mark.parametrize("has_idle_worker", [True, False])
def test_a_short_training_asks_for_those_only_who_wait_already(has_idle_worker, monkeypatch):
    """It would end before others had been started."""
    asked = []
    # however slow the machine is
    policy = replace(AT_ONCE, seconds_to_spawn=np.inf, seconds_to_wake=0.0)
    monkeypatch.setattr(epoch, "POLICY", policy)
    monkeypatch.setattr(coordinator.Coordinator, "start", lambda self: asked.append(self))
    network, settings = network_of(CNN), TrainingConfig(**DEFAULTS)
    state = new_state(network, settings.optimizer, 0)
    state.finely = True
    with Threads(2, spawn=SpawnThreads(), has_idle_worker=lambda: has_idle_worker) as workers:
        train(network, SAMPLES, settings, state, workers)
    assert bool(asked) == has_idle_worker


@pytest.mark.usefixtures("at_once")
def test_a_step_that_takes_long_is_waited_for(monkeypatch):
    """Before the next mini-batch, and at the end of an epoch: there the weights are read."""
    network, settings = network_of(CNN), {"optimizer": SGD(), "weight_decay": 0.01}
    expected = alone(network, settings)
    step = minibatch.Replica._step

    def step_late(replica, task, rank):
        if rank > 0:
            time.sleep(0.01)
        step(replica, task, rank)

    monkeypatch.setattr(minibatch.Replica, "_step", step_late)
    joins = JoinAt(monkeypatch, 1)
    assert_same(train_with(network, 1, settings), expected)
    assert joins.helped > 0


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("clip", [None, 0.05])
def test_gradients_that_do_not_fit_are_summed_in_rounds(clip, monkeypatch):
    monkeypatch.setattr(minibatch, "SLOT_BYTES", 0)  # as many as there are processes
    network = network_of([Flatten(), BatchNorm(8), Dense(5), ReLU()])
    settings = {"batch_size": 120, "max_grad_norm": clip}
    JoinAt(monkeypatch, 1, 1)
    state = train_with(network, 2, settings)
    assert network.cost.finer(120, 64) * 3 < 120  # more micro-batches than processes
    assert_same(state, alone(network, settings))


@pytest.mark.usefixtures("at_once")
def test_the_vector_is_shared_out_in_chunks(monkeypatch):
    network, settings = network_of(CNN), {"max_grad_norm": 0.1, "weight_decay": 0.01}
    JoinAt(monkeypatch, 1, 1)
    expected = alone(network, settings)
    monkeypatch.setattr(update, "CHUNK", 50)
    monkeypatch.setattr(update.Update, "scale", lambda self, n, norm: 1 / n)
    limit = TrainingConfig(**DEFAULTS | settings).max_grad_norm
    assert limit is not None
    chunked = alone(network, settings)
    assert_same(train_with(network, 2, settings), chunked)
    assert not np.array_equal(expected.weights, chunked.weights)  # not clipped


@pytest.mark.usefixtures("at_once")
def test_early_stopping_and_going_on(monkeypatch):
    network = network_of(CNN)
    settings = {"max_iter": 3}
    held_out = Validation(SAMPLES)
    JoinAt(monkeypatch, 1, 1)

    def twice(n_workers):
        first = train_with(network, n_workers, settings, validation=held_out)
        best = first.best_weights
        second = train_with(network, n_workers, settings, state=first.copy(), validation=held_out)
        return first, best, second

    first, best, second = twice(0)
    first_, best_, second_ = twice(2)
    assert_same(first_, first)
    assert_same(second_, second)
    assert np.array_equal(best, best_)
    assert first_.weights.base is None  # nothing of the shared memory is left


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(
    "form",
    [
        "subset", "channels last", "labels", pytest.param("mapped", marks=linux_only),
        pytest.param("a view of a map", marks=linux_only),
    ],
)  # fmt: skip
def test_samples_of_every_form_are_shared(form, monkeypatch, tmp_path):
    samples, network = SAMPLES, network_of(CNN)
    rows = np.flatnonzero(np.arange(N) % 5)
    if form == "subset":
        samples = Samples(SAMPLES.images.subset(rows), y[rows], WEIGHTS[rows])
    elif form == "channels last":
        images = Images(
            np.asfortranarray(X.transpose(0, 2, 3, 1)), (1, 8, 8), "channels_last", SCALING
        )
        samples = replace(SAMPLES, images=images)
    elif form == "labels":
        labels = rng.random((N, 3)) < 0.5
        samples = Samples(SAMPLES.images, labels, WEIGHTS, SigmoidCrossEntropy())
    else:
        np.save(tmp_path / "X.npy", X)
        there = np.load(tmp_path / "X.npy", mmap_mode="r")
        if form == "a view of a map":
            there = there[::-1, :, :, ::-1]
        images = Images(there, (1, 8, 8), scaling=SCALING).subset(rows)
        samples = Samples(images, y[rows], WEIGHTS[rows])
        copied = []
        monkeypatch.setattr(coordinator.Coordinator, "_copy", lambda *args: copied.append(args))
        JoinAt(monkeypatch, 1)
        assert_same(train_with(network, 1, {}, samples), alone(network, {}, samples=samples))
        assert not copied
        return
    JoinAt(monkeypatch, 1)
    assert_same(train_with(network, 1, {}, samples), alone(network, {}, samples=samples))


class Lost(Exception):
    """Raised by a worker in place of dying."""


class LosesWorkers(SpawnThreads):
    """Hires threads that are lost in the n-th call of a function, half-way through."""

    def __init__(self, monkeypatch, owner, name, when):
        super().__init__()
        self.left, self.inside = when, threading.local()
        original = getattr(owner, name)

        def lose(self_, *args):
            if getattr(self.inside, "worker", None) is not None:
                self.left -= 1
                if self.left == 0:
                    if name != "__init__":
                        self.spoil(args)
                    raise Lost
            return original(self_, *args)

        monkeypatch.setattr(owner, name, lose)

    @staticmethod
    def spoil(args):
        """Write rubbish into half of every vector that the function was to change."""
        for array in args:
            arrays = array.values() if isinstance(array, dict) else [array]
            for one in arrays:
                if isinstance(one, np.ndarray) and one.dtype.kind == "f":
                    one[: len(one) // 2] = np.nan

    def __call__(self, function, job, number):
        def run(job, number):
            self.inside.worker = number
            try:
                function(job, number)
            finally:
                self.inside.worker = None

        return super().__call__(run, job, number)


class CountsEpochs(Progress):
    """Progress that records the epochs its hooks are run for."""

    def __init__(self):
        self.begun, self.ended = [], []

    def on_epoch_begin(self, state):
        self.begun.append(state.epoch)

    def on_epoch_end(self, state, seconds, n_samples, n_processes):
        self.ended.append(state.epoch)
        return False


@pytest.mark.usefixtures("at_once", "fences")
@pytest.mark.parametrize("when", [3, 9])
def test_the_epoch_of_a_lost_worker_is_repeated_and_seen_once(when, monkeypatch):
    """It is lost in a step, with half of its shard spoiled; the other two go on."""
    network, settings = network_of(CNN), {"weight_decay": 0.01, "max_iter": 3}
    expected = alone(network, settings)
    spawn = LosesWorkers(monkeypatch, update.Update, "apply", when)
    joins, progress, repeated = JoinAt(monkeypatch, 1, 1), CountsEpochs(), []
    restore = TrainingState.restore

    def count(self, snapshot):
        repeated.append(snapshot.epoch)
        restore(self, snapshot)

    monkeypatch.setattr(TrainingState, "restore", count)
    assert_same(train_with(network, 2, settings, spawn=spawn, progress=progress), expected)
    assert len(repeated) == 1
    assert (progress.begun, progress.ended) == ([0, 1, 2], [1, 2, 3])
    assert joins.helped > 14  # mini-batches after the first, and those that were repeated


@pytest.mark.slow
@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("n_workers", [1, 3])
@pytest.mark.parametrize("when", [1, 2, 5])
@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (minibatch, "gradient"), (minibatch.Replica, "_sum"), (update.Update, "apply"),
        (protocol.Mailboxes, "mark_done"), (minibatch.Replica, "__init__"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)  # fmt: skip
def test_a_lost_worker_changes_no_bit(owner, name, when, n_workers, monkeypatch):
    network = network_of(CNN)
    settings = {"weight_decay": 0.01, "max_grad_norm": 0.1 if name == "_sum" else None}
    expected = alone(network, settings)
    spawn = LosesWorkers(monkeypatch, owner, name, when)
    with monkeypatch.context() as patch:
        patch.setattr(update, "CHUNK", 50 if name != "_sum" else 2**16)
        if name != "__init__":
            JoinAt(patch, *[1] * n_workers)
        state = train_with(network, n_workers, settings, spawn=spawn)
    assert_same(state, expected)
    assert spawn.left <= 0 or name in ("_sum", "__init__")
    errors = [worker.exception() for worker in spawn.spawned]
    assert all(error is None or isinstance(error, Lost) for error in errors)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("when", [5, 17])  # two are of the workers' first gradients
def test_what_is_raised_while_leading_lets_everybody_go(error, when, monkeypatch):
    JoinAt(monkeypatch, 1, 1)
    spawn, left = SpawnThreads(), [when]

    def check():
        left[0] -= 1
        if left[0] == 0:
            raise error

    settings = TrainingConfig(**DEFAULTS)
    network = network_of(CNN)
    state = new_state(network, settings.optimizer, 0)
    state.finely = True
    with Threads(3, check=check, spawn=spawn) as workers:
        if error is KeyboardInterrupt and when == 17:
            state, reason = train(network, SAMPLES, settings, state, workers)
            assert reason == "interrupted"
            assert state.epoch == 1
        else:
            with pytest.raises(error):
                train(network, SAMPLES, settings, state, workers)
    spawn.leave_nothing()


@pytest.mark.usefixtures("at_once")
def test_without_memory_it_is_threads(monkeypatch):
    network, spawn = network_of(CNN), SpawnThreads()
    expected = alone(network, {})
    for name, replacement in [
        ("available_memory", lambda: 100 * 2**20), ("SharedMemory", None)
    ]:  # fmt: skip
        with monkeypatch.context() as patch:
            patch.setattr(coordinator, name, replacement)
            settings = TrainingConfig(**DEFAULTS)
            state = new_state(network, settings.optimizer, 0)
            state.finely = True
            with Threads(3, spawn=spawn) as workers:
                state, _ = train(network, SAMPLES, settings, state, workers)
        assert_same(state, expected)
        assert not spawn.spawned


def there_is_no_room(*args):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("in_file", [False, True])
def test_shared_memory_leaves_nothing_behind(in_file, monkeypatch, tmp_path):
    if in_file:
        monkeypatch.delattr("os.memfd_create", raising=False)
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    files = set(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patch:
        patch.setattr("os.posix_fallocate", there_is_no_room)
        with pytest.raises(OSError, match="cannot reserve"):
            shared_memory.SharedMemory.reserve(1024)
    memory = shared_memory.SharedMemory.reserve(1024)
    other = shared_memory.SharedMemory.attach(memory.key)
    place = shared_memory.ArraySpec(128, (3,), np.dtype(np.float64))
    memory.array(place)[...] = [1, 2, 3]
    memory.close()
    assert other.array(place).tolist() == [1, 2, 3]
    with pytest.raises(OSError):  # noqa: PT011
        shared_memory.SharedMemory.attach(memory.key)
    with open(tmp_path / "mine", "wb") as mine:  # which may get the number of the memory's file
        with pytest.raises(OSError):  # noqa: PT011
            shared_memory.SharedMemory.attach(memory.key)
        assert mine.tell() == 0
    (tmp_path / "mine").unlink()
    del memory, other
    assert set(os.listdir("/proc/self/fd")) == files
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("at_once")
def test_shared_memory_in_a_file_is_removed_before_work_begins(monkeypatch, tmp_path):
    monkeypatch.delattr("os.memfd_create", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    network, left = network_of(CNN), []
    JoinAt(monkeypatch, 1, 1)
    run = coordinator.Coordinator.run
    monkeypatch.setattr(
        coordinator.Coordinator,
        "run",
        lambda *args: left.append(len(os.listdir(tmp_path))) or run(*args),
    )
    assert_same(train_with(network, 2, {}), alone(network, {}))
    assert left
    assert not any(left)


@linux_only
def test_a_map_is_found_and_nothing_else(tmp_path):
    np.save(tmp_path / "X.npy", X)
    for mode in ("r", "r+"):
        there = np.load(tmp_path / "X.npy", mmap_mode=mode)
        for view in (there, there[3:, 0, ::2], there.reshape(N, 64)[::-3]):
            assert np.array_equal(shared_memory.mapped(view).open(), view)
    assert (
        shared_memory.mapped(np.load(tmp_path / "X.npy", mmap_mode="c")) is None
    )  # may be changed
    assert shared_memory.mapped(X) is None
    assert shared_memory.mapped(there + 1) is None
    found = shared_memory.mapped(there)
    np.save(tmp_path / "Y.npy", X + 1)
    (tmp_path / "Y.npy").rename(tmp_path / "X.npy")  # another file of that name
    with pytest.raises(OSError, match="has been replaced"):
        found.open()
    assert shared_memory.mapped(there) is None


def test_small_data_keep_the_coarse_cut_and_a_training_keeps_its_own():
    network, settings = network_of(CNN), TrainingConfig(**DEFAULTS)
    state = new_state(network, settings.optimizer, 0)
    with Threads(1) as workers:
        state, _ = train(network, SAMPLES, settings, state, workers)
        assert state.finely is False
        assert not network.cost.worth_sharing(N)
        assert network.cost.worth_sharing(10**9)
        fine = new_state(network, settings.optimizer, 0)
        fine.finely = True
        fine, _ = train(network, SAMPLES, settings, fine, workers)
    assert not np.array_equal(state.weights, fine.weights)
    assert fine.copy().finely is True


@pytest.mark.parametrize(
    ("n", "size", "expected"),
    [(16, 64, 16), (31, 64, 31), (32, 64, 16), (33, 64, 17), (64, 64, 16), (128, 64, 32),
     (256, 64, 32), (300, 64, 38), (256, 16, 16), (48, 8, 8), (1000, 128, 125)],
)  # fmt: skip
def test_mini_batches_are_cut_for_two_four_or_eight(n, size, expected):
    assert network_of(CNN).cost.finer(n, size) == expected


@pytest.mark.parametrize(("n", "expected"), [(32, 32), (64, 32), (96, 32), (128, 32), (512, 64)])
def test_a_finer_cut_holds_whole_ghost_batches(n, expected):
    network = network_of([Flatten(), BatchNorm(32)])
    assert network.cost.finer(n, 64) == expected


def test_a_short_wait_gives_turns_away_without_sleeping(monkeypatch):
    def sleep(seconds):
        raise AssertionError(f"slept for {seconds} seconds")

    monkeypatch.setattr(waiting.time, "sleep", sleep)
    monkeypatch.setattr(waiting.time, "perf_counter", lambda: 0.0)
    answers = iter([False] * 50 + [True])
    assert waiting.SpinWait().until(lambda: next(answers))


@pytest.mark.parametrize(("filters", "n_threads"), [(8, 1), (128, 2)])
def test_pieces_that_are_cut_for_processes_are_threads_work_if_they_are_large(filters, n_threads):
    images = Images(np.zeros((64, 256), np.float32), (1, 16, 16))
    samples = Samples(images, np.zeros(64, int), np.ones(64, np.float32))
    network = Network([*cnn((filters, filters)), Dense(3)], (1, 16, 16))
    settings = TrainingConfig(**DEFAULTS | {"batch_size": 32})
    state = new_state(network, settings.optimizer, 0)
    state.finely = True
    with Threads(2) as threads:
        runner = epoch.EpochRunner(network, samples, settings, state, threads)
    assert len(network.cost.split(32, runner.size)) == 2
    assert runner.n_threads == n_threads

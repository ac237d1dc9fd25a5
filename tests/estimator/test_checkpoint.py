"""An interrupted training ends, resumed, at the bits of one that was not interrupted."""

import errno
import hashlib
import io
import json
import os
import pathlib
import pickle
import random
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import fbeta_score, make_scorer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcnn import ScratchCNNClassifier, ScratchCNNRegressor
from skcnn._estimator.checkpoint import FORMAT, MAGIC, read
from skcnn.layers import BatchNorm, Conv2d, Dropout, Flatten, RandomCrop, ReLU
from skcnn.optimizers import SGD
from skcnn.training.trainer import train
from tests.shared import InterruptedThreads, assert_same_model, quick

pytest.importorskip("sklearn.callback", reason="callbacks came with scikit-learn 1.9")
from skcnn.callbacks import Checkpoint

X, y = (part[:300] for part in load_digits(return_X_y=True))
WEIGHTS = np.random.default_rng(0).random(300)

DRAWING = [RandomCrop(1), Conv2d(4, 3), BatchNorm(), ReLU(), Flatten(), Dropout(0.3)]
SETTINGS = {
    "default": ScratchCNNClassifier(filters=4, max_iter=4, random_state=0),
    "early stopping": quick(max_iter=5, early_stopping=True),
    "stopped by tol": quick(max_iter=30, tol=0.1, n_iter_no_change=2, lr=5e-3),
    "stopped by the score": quick(
        max_iter=30, tol=0.05, n_iter_no_change=2, lr=5e-3, early_stopping=True
    ),
    "all that draws": ScratchCNNClassifier(DRAWING, max_iter=4, random_state=3),
    "schedule of its own": quick(max_iter=4, lr_schedule="reduce_on_plateau", optimizer="sgd"),
    "adagrad": quick(max_iter=4, optimizer="adagrad", max_grad_norm=1.0, dtype="float64"),
    "regressor": ScratchCNNRegressor(filters=4, max_iter=4, random_state=0, loss="huber"),
}


class Stop:
    """Ends a fit after some epochs."""

    def __init__(self, after):
        self.after = after

    def setup(self, estimator, context): ...

    def teardown(self, estimator, context): ...

    def on_fit_task_begin(self, estimator, context): ...

    def on_fit_task_end(self, estimator, context):
        return context.task_name == f"epoch {self.after}"


class Keep(Stop):
    """Keeps what callbacks get to see of the model."""

    def __init__(self, form):
        self.form, self.kept = form, []

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        self.kept.append(self.form(fitted_estimator))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "training.checkpoint"


@pytest.mark.parametrize("model", SETTINGS.values(), ids=SETTINGS)
def test_from_every_epoch_on_the_bits_are_those_of_the_whole(model, path):
    whole = clone(model).fit(X, y, WEIGHTS)
    for after in range(1, whole.n_iter_ + 1):
        cut = clone(model).set_callbacks(Checkpoint(path), Stop(after)).fit(X, y, WEIGHTS)
        assert cut.n_iter_ == after
        resumed = clone(model).resume(path, X, y, WEIGHTS)
        assert_same_model(resumed, whole)
        if after < whole.n_iter_:
            assert cut.stop_reason_ == "stopped"
        assert resumed.stop_reason_ == whole.stop_reason_
    if "stopped" in next(name for name, other in SETTINGS.items() if other is model):
        assert whole.stop_reason_ == "no_change"


@pytest.mark.parametrize("every", [2, 3, 5, 100])
@pytest.mark.parametrize("name", ["default", "stopped by tol", "stopped by the score"])
def test_a_training_that_had_ended_is_not_trained_further(name, every, path):
    model = SETTINGS[name]
    whole = clone(model).set_callbacks(Checkpoint(path, every=every)).fit(X, y)
    assert read(path).state.epoch == whole.n_iter_
    resumed = clone(model).resume(path, X, y)
    assert_same_model(resumed, whole)
    assert resumed.stop_reason_ == whole.stop_reason_


def test_who_goes_on_after_no_change_is_given_all_the_patience_anew():
    model = quick(max_iter=30, tol=0.1, n_iter_no_change=2, lr=5e-3, warm_start=True).fit(X, y)
    assert model.stop_reason_ == "no_change"
    before = model.n_iter_
    model.set_params(tol=10.0).fit(X, y)  # nothing is an improvement
    assert model.n_iter_ == before + 2


def test_a_resumed_warm_start_that_learns_nothing_says_so(path):
    model = quick(max_iter=30, warm_start=True, lr=1e-9, batch_size=50, n_iter_no_change=None)
    first, cut = clone(model), clone(model)
    for each in (first, cut):
        with pytest.warns(ConvergenceWarning, match="no better than a constant"):
            each.fit(X, y)
    cut.set_callbacks(Checkpoint(path), Stop(50)).fit(X, y)
    with pytest.warns(ConvergenceWarning, match="no better than a constant"):
        first.resume(path, X, y)  # which takes 60 steps, but the whole took 180
    assert first.n_iter_ == 60


def test_a_warm_start_is_finished_where_it_was_to_end(path):
    model = quick(max_iter=3, warm_start=True, early_stopping=True)
    whole = clone(model).fit(X, y).fit(X, y)
    first = clone(model).fit(X, y)
    cut = clone(model).fit(X, y)
    cut.set_callbacks(Checkpoint(path), Stop(4)).fit(X, y)
    assert cut.n_iter_ == 4
    resumed = first.resume(path, X, y)
    assert_same_model(resumed, whole)
    assert resumed.n_iter_ == 6
    assert_same_model(resumed.fit(X, y), whole.fit(X, y))


def test_validation_sets_are_passed_again(path):
    X_val, y_val = (part[300:400] for part in load_digits(return_X_y=True))
    model, validation = quick(max_iter=5, early_stopping=True), {"X_val": X_val, "y_val": y_val}
    whole = clone(model).fit(X, y, **validation)
    clone(model).set_callbacks(Checkpoint(path), Stop(2)).fit(X, y, **validation)
    assert_same_model(clone(model).resume(path, X, y, **validation), whole)


def test_what_differs_is_named_and_changes_nothing(path):
    quick(max_iter=3).set_callbacks(Checkpoint(path), Stop(1)).fit(X, y)
    for other, data, message in (
        (quick(max_iter=4), (X, y), "max_iter: 3 there, 4 here"),
        (quick(max_iter=3, lr=1.0), (X, y), "lr: 0.002 there, 1.0 here"),
        (quick(max_iter=3, filters=5), (X, y), "a different network"),
        (quick(max_iter=3, early_stopping=True), (X, y), "early_stopping: None there, split here"),
        (quick(max_iter=3), (X.astype(np.float32), y), "dtype: float64 there, float32 here"),
        (quick(max_iter=3), (X.reshape(-1, 4, 16), y), r"image shape: \(1, 8, 8\) there"),
        (quick(max_iter=3), (X[1:], y[1:]), "number of rows: 300 there, 299 here"),
        (quick(max_iter=3), (X + 1, y), r"a different X\."),
        (quick(max_iter=3), (X[::-1], y[::-1]), r"a different y\."),
        (quick(max_iter=3), (X, np.r_[y[1:], y[0]]), r"a different y\."),
        (quick(max_iter=3), (X, y, WEIGHTS), r"a different sample_weight\."),
        (quick(max_iter=3), (X, y + 10), r"a different y\."),  # of the same order
        (quick(max_iter=3), (X, y.astype(str)), r"a different y\."),
    ):
        with pytest.raises(ValueError, match=f"training.checkpoint: .*{message}"):
            other.resume(path, *data)
        with pytest.raises(NotFittedError):
            other.predict(X)


@pytest.mark.parametrize("scale_input", [True, False])
def test_every_row_is_compared(path, scale_input):
    model = quick(max_iter=3, scale_input=scale_input)
    clone(model).set_callbacks(Checkpoint(path), Stop(1)).fit(X, y)
    for row in (0, 5, 33, 299):
        changed = X.copy()
        changed[row, 20] += 1
        with pytest.raises(ValueError, match="a different X"):
            clone(model).resume(path, changed, y)
    first, second = np.flatnonzero(y == 3)[1:3]
    exchanged = X.copy()
    exchanged[[first, second]] = X[[second, first]]
    with pytest.raises(ValueError, match="a different X"):
        clone(model).resume(path, exchanged, y)


def half_right(estimator, X, y):
    return (estimator.predict(X) == y).mean() / 2


def test_what_judges_is_compared(path):
    X_val, y_val = (part[300:400] for part in load_digits(return_X_y=True))
    model = quick(max_iter=3, early_stopping=True)
    clone(model).set_callbacks(Checkpoint(path), Stop(1)).fit(X, y, X_val=X_val, y_val=y_val)
    for other in ((X_val[::-1], y_val), (X_val, y_val[::-1]), (X_val[1:], y_val[1:])):
        with pytest.raises(ValueError, match=r"a different (X|y|number of rows) to validate on"):
            clone(model).resume(path, X, y, X_val=other[0], y_val=other[1])
    scored = clone(model).set_params(scoring=half_right)
    with pytest.raises(ValueError, match=r"scoring: None there, .*\.half_right here"):
        scored.resume(path, X, y, X_val=X_val, y_val=y_val)
    clone(scored).set_callbacks(Checkpoint(path), Stop(1)).fit(X, y)
    assert_same_model(clone(scored).resume(path, X, y), clone(scored).fit(X, y))


def test_ctrl_c_within_an_epoch_leaves_the_model_and_the_file(path, monkeypatch):
    def interrupted(*args, **options):
        network, samples, settings, state, _, *others = args
        threads = InterruptedThreads(when=2 * 5 + 3)  # 300 rows are 5 batches
        return train(network, samples, settings, state, threads, *others, **options)

    monkeypatch.setattr("skcnn._estimator.fitting.train", interrupted)
    clf = quick(max_iter=5).set_callbacks(Checkpoint(path, every=3))
    with pytest.warns(UserWarning, match="interrupted; the model of epoch 2"):
        clf.fit(X, y)
    assert clf.stop_reason_ == "interrupted"
    assert read(path).state.epoch == 2
    monkeypatch.undo()
    assert_same_model(quick(max_iter=5).resume(path, X, y), quick(max_iter=5).fit(X, y))


def test_what_callbacks_see_can_be_pickled_and_goes_on():
    keep = Keep(pickle.dumps)
    model = quick(max_iter=3, warm_start=True)
    whole = clone(model).fit(X, y)
    clone(model).set_callbacks(keep).fit(X, y)
    after = pickle.loads(keep.kept[0])
    assert after.n_iter_ == 1
    assert_same_model(after.set_params(max_iter=2).fit(X, y), whole)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_the_end_that_callbacks_see_has_the_reason_of_the_model(early_stopping):
    keep = Keep(lambda model: model.stop_reason_)
    settings = {"tol": 0.1, "n_iter_no_change": 2, "lr": 5e-3, "early_stopping": early_stopping}
    for max_iter, reason in ((2, "max_iter"), (40, "no_change")):
        clf = quick(max_iter=max_iter, **settings).set_callbacks(keep).fit(X, y)
        assert clf.stop_reason_ == keep.kept[-1] == reason
        assert set(keep.kept[:-1]) == {"stopped"}
        keep.kept.clear()


def test_a_part_has_nothing_to_end():
    clf = quick(max_iter=9, n_iter_no_change=1, tol=10.0, warm_start=True).fit(X, y)
    assert clf.stop_reason_ == "no_change"
    for _ in range(2):
        assert clf.partial_fit(X, y).stop_reason_ is None


def test_going_on_with_what_callbacks_see_keeps_nothing_of_the_old_training():
    keep = Keep(lambda model: model)
    quick(max_iter=2, warm_start=True).set_callbacks(keep).fit(X, y)
    after = keep.kept[0].fit(X, y)
    assert not any(callable(value) for value in vars(after).values())


def test_a_new_training_clears_up_after_one_that_was_killed(path):
    name = path.name
    left = [path.with_name(f".{name}{age}.0123456789abcdef.new") for age in ("", ".1", ".12")]
    others = [".other.new", f"{name}.note", f".{name}.other.0123456789abcdef.new"]
    others = [path.with_name(each) for each in others]  # the last is of a neighbour's training
    writing = path.with_name(f".{name}.aaaaaaaaaaaaaaaa.new")  # by another process, now
    for each in (*left, *others, writing):
        each.write_text("half")
        if each != writing:
            os.utime(each, (0, 0))
    quick(max_iter=1).set_callbacks(Checkpoint(path)).fit(X, y)
    assert sorted(path.parent.iterdir()) == sorted([path, writing, *others])


def test_a_file_that_was_changed_cut_or_is_newer_is_refused(path):
    quick(max_iter=2).set_callbacks(Checkpoint(path)).fit(X, y)
    content, rng = path.read_bytes(), random.Random(0)
    places = [*range(len(MAGIC) + 36), *(rng.randrange(len(content)) for _ in range(300))]
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"training\.checkpoint: "):
            read(path)
    for size in (0, 1, len(MAGIC), len(MAGIC) + 10, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(ValueError, match=r"training\.checkpoint: "):
            quick(max_iter=2).resume(path, X, y)
    newer = bytearray(content)
    newer[len(MAGIC) + 3] = FORMAT + 1
    path.write_bytes(newer)
    with pytest.raises(ValueError, match="newer version"):
        read(path)
    with pytest.raises(FileNotFoundError):
        quick().resume(path.with_name("other"), X, y)


@pytest.mark.skipif(sys.platform == "win32", reason="has no such permissions")
def test_others_may_read_it_where_the_umask_says_so(path):
    before = os.umask(0o027)
    try:
        quick(max_iter=2).set_callbacks(Checkpoint(path, keep=2)).fit(X, y)
    finally:
        os.umask(before)
    assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o640}


def test_every_and_keep(path):
    quick(max_iter=5).set_callbacks(Checkpoint(path, every=2, keep=3)).fit(X, y)
    files = [path, path.with_name(f"{path.name}.1"), path.with_name(f"{path.name}.2")]
    assert [read(file).state.epoch for file in files] == [5, 4, 2]
    assert sorted(os.listdir(path.parent)) == sorted(file.name for file in files)


def test_a_full_disk_leaves_the_old_file(path, monkeypatch):
    quick(max_iter=1).set_callbacks(Checkpoint(path)).fit(X, y)
    before = path.read_bytes()

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        quick(max_iter=2).set_callbacks(Checkpoint(path)).fit(X, y)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("a", 0), ValueError, "every"),
        (("a", 1, 0), ValueError, "keep"),
        ((5,), TypeError, "path"),
        (("/no/such/folder/a",), ValueError, "no folder"),
        (("tests",), ValueError, "is a folder"),
    ],
)
def test_bad_parameters_are_named_before_any_work(arguments, error, message):
    clf = quick().set_callbacks(Checkpoint(*arguments))
    with pytest.raises(error, match=f"Checkpoint: .*{message}"):
        clf.fit(X, y)
    assert not hasattr(clf, "weights_")


@pytest.mark.parametrize("other", [make_pipeline(StandardScaler(), quick()), LogisticRegression()])
def test_it_is_refused_by_what_is_no_network_before_any_work(other, path):
    if not hasattr(other, "set_callbacks"):
        pytest.skip(f"this scikit-learn has no callbacks in {type(other).__name__}")
    with pytest.raises(TypeError, match=f"Checkpoint: .* was set on {type(other).__name__}"):
        clone(other).set_callbacks(Checkpoint(path)).fit(X, y)


def test_within_a_pipeline_it_is_set_on_the_network(path):
    scaler = StandardScaler().fit(X)
    make_pipeline(scaler, quick(max_iter=3).set_callbacks(Checkpoint(path), Stop(1))).fit(X, y)
    whole = quick(max_iter=3).fit(scaler.transform(X), y)
    assert_same_model(quick(max_iter=3).resume(path, scaler.transform(X), y), whole)


SCRIPT = """
import sys
from skcnn.callbacks import Checkpoint
from tests.estimator.test_checkpoint import Stop, X, killed, y

class Told(Stop):
    def on_fit_task_end(self, estimator, context):
        sys.stdin.read(1)

killed().set_callbacks(Checkpoint(sys.argv[1]), Told(None)).fit(X, y)
"""


def killed():
    return quick(filters=8, max_iter=60, early_stopping=True, n_iter_no_change=None)


@pytest.mark.slow
def test_kills_at_any_moment(path):
    """An epoch ends when this process has said so; it says so of two more than it waits for."""
    whole, rng = killed().fit(X, y), random.Random(0)
    assert whole.n_iter_ == 60
    epochs = set()
    for _ in range(30):
        path.unlink(missing_ok=True)
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(path)], stdin=subprocess.PIPE, bufsize=0
        )
        after = rng.randrange(1, 60)
        process.stdin.write(b"." * (after + 1))
        while not path.exists() or read(path).state.epoch < after:  # it is whole at any moment
            assert process.poll() is None
            time.sleep(0.001)
        time.sleep(0.02 * rng.random())
        process.kill()
        process.wait()
        process.stdin.close()
        epochs.add(read(path).state.epoch)
        assert_same_model(killed().resume(path, X, y), whole)
    assert len(epochs - {60}) > 5


def test_a_path_that_is_none_is_no_new_training():
    for path in (None, 5, b"training"):
        clf = quick()
        with pytest.raises(TypeError, match="ScratchCNNClassifier: path must be a path, got"):
            clf.resume(path, X, y)
        assert not hasattr(clf, "weights_")


def test_resumption_in_the_middle_of_a_decay_is_exact(tmp_path):
    """The weights of black pixels shrink tenfold in each step until they are flushed."""
    images = np.where(np.arange(64) < 32, X, 0).astype("f4")
    model = ScratchCNNClassifier(
        [Flatten()], image_shape=(8, 8), optimizer=SGD(0), lr=0.5, weight_decay=1.8, batch_size=50,
        max_iter=14, lr_schedule="constant", random_state=0, scale_input=False, n_iter_no_change=20,
    )  # fmt: skip
    whole = clone(model).set_callbacks(Checkpoint(tmp_path / "last", keep=14))
    whole.fit(images / 16, y)
    for age in range(1, 14):
        resumed = clone(model).resume(tmp_path / f"last.{age}", images / 16, y)
        assert_same_model(resumed, whole)


def checkpointed(path, **parameters):
    return quick(max_iter=2).set_callbacks(Checkpoint(path, **parameters))


@pytest.mark.skipif(sys.platform != "linux", reason="/proc, where even root cannot write")
def test_what_cannot_be_written_is_noticed_before_any_work():
    clf = checkpointed("/proc/training.checkpoint").set_params(verbose=1)
    with pytest.raises(OSError, match=r"Checkpoint: path='/proc/training.* cannot be written"):
        clf.fit(X, y)
    assert not hasattr(clf, "weights_")


def test_a_file_system_that_has_become_read_only_is_noticed_before_any_work(path, monkeypatch):
    checkpointed(path).fit(X, y)
    before = path.read_bytes()

    def read_only(*args, **kwargs):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("builtins.open", read_only)
    monkeypatch.setattr("skcnn._estimator.fitting.train", None)  # which is not reached
    with pytest.raises(OSError, match=r"Checkpoint: path=.*: Read-only file system") as caught:
        checkpointed(path).fit(X, y)
    assert caught.value.errno == errno.EROFS
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("letter", ["a", "é"])
def test_names_may_be_as_long_as_the_file_system_allows(tmp_path, letter):
    longest = os.pathconf(tmp_path, "PC_NAME_MAX")
    name = letter * (longest // len(letter.encode()))
    checkpointed(tmp_path / name).fit(X, y)
    assert os.listdir(tmp_path) == [name]
    assert_same_model(quick(max_iter=2).resume(tmp_path / name, X, y), quick(max_iter=2).fit(X, y))
    for too_long, keep in ((name + letter, 1), (name, 2)):
        with pytest.raises(OSError, match=r"Checkpoint: path=.*: File name too long"):
            checkpointed(tmp_path / too_long, keep=keep).fit(X, y)
    assert os.listdir(tmp_path) == [name]


def test_a_relative_path_is_resolved_once(tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)

    class Move(Stop):
        def on_fit_task_end(self, estimator, context):
            os.chdir(tmp_path / "other")

    clf = quick(max_iter=3).set_callbacks(Checkpoint("a", keep=3), Move(0)).fit(X, y)
    assert clf.n_iter_ == 3
    assert sorted(os.listdir(tmp_path)) == ["a", "a.1", "a.2", "other"]
    assert os.listdir(tmp_path / "other") == []


def test_symbolic_links_are_followed(tmp_path):
    (tmp_path / "disk").mkdir()
    link, older = tmp_path / "link", tmp_path / "link.1"
    link.symlink_to(tmp_path / "disk" / "last")
    older.symlink_to("disk/older")
    checkpointed(link, keep=2).fit(X, y)
    assert link.is_symlink()
    assert older.is_symlink()
    assert read(tmp_path / "disk" / "last").state.epoch == 2
    assert read(tmp_path / "disk" / "older").state.epoch == 1
    assert sorted(os.listdir(tmp_path / "disk")) == ["last", "older"]


def make_pipe(path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no named pipes")
    os.mkfifo(path)


def make_loop(path):
    path.symlink_to(path)


@pytest.mark.parametrize("make", [make_pipe, make_loop])
@pytest.mark.parametrize("name", ["a", "a.1"])
def test_what_is_no_regular_file_is_not_replaced(tmp_path, make, name):
    make(tmp_path / name)
    mode = os.lstat(tmp_path / name).st_mode
    with pytest.raises(OSError, match=r"Checkpoint: path=.*not a regular file"):
        checkpointed(tmp_path / "a", keep=2).fit(X, y)
    assert os.lstat(tmp_path / name).st_mode == mode
    assert os.listdir(tmp_path) == [name]


@pytest.mark.skipif(sys.platform == "win32", reason="devices are no files there")
def test_devices_are_neither_replaced_nor_read():
    before = os.lstat(os.devnull)
    with pytest.raises(OSError, match="not a regular file"):
        checkpointed(os.devnull).fit(X, y)
    assert os.lstat(os.devnull).st_mode == before.st_mode
    with pytest.raises(ValueError, match="not a skcnn checkpoint"):
        quick().resume("/dev/zero", X, y)


def rewritten(content, change):
    """A checkpoint with other contents and the checksum that belongs to them.

    `change` takes the arrays by name, and what is told as text, and changes them.
    """
    start = len(MAGIC) + 4
    with np.load(io.BytesIO(content[start + 32 :])) as file:
        arrays = dict(file)
    about = json.loads(arrays.pop("about").tobytes())
    change(arrays, about)
    arrays.setdefault("about", np.frombuffer(json.dumps(about).encode(), np.uint8))
    payload = io.BytesIO()
    np.savez(payload, **arrays)
    return checksummed(payload.getvalue())


def checksummed(payload):
    head = MAGIC + FORMAT.to_bytes(4, "big")
    return head + hashlib.sha256(head + payload).digest() + payload


def put(name, value):
    """Replace one number of the text, or take it away."""

    def change(arrays, about):
        if value is None:
            del about["state"][name]
        else:
            about["state"][name] = value

    return change


def change_array(name, form):
    def change(arrays, about):
        arrays[name] = form(arrays[name])

    return change


def with_nan(array):
    return np.r_[array[:-1], np.array([np.nan], array.dtype)]


WRONG = {
    "weights are missing": (lambda arrays, about: arrays.pop("weights"), "weights"),
    "weights are too few": (change_array("weights", lambda a: a[1:]), "weights"),
    "weights are float32": (change_array("weights", lambda a: a.astype("f4")), "weights"),
    "weights are text": (change_array("weights", lambda a: a.astype(str)), "weights"),
    "weights are objects": (change_array("weights", lambda a: a.astype(object)), "Object"),
    "weights are in two axes": (change_array("weights", lambda a: a[np.newaxis]), "weights"),
    "a weight is NaN": (change_array("weights", with_nan), "weights"),
    "weights are infinite": (change_array("weights", lambda a: a * np.inf), "weights"),
    "the best are missing": (lambda arrays, about: arrays.pop("best_weights"), "best_weights"),
    "the best are too many": (change_array("best_weights", lambda a: np.r_[a, a]), "best_weights"),
    "one of the best is NaN": (change_array("best_weights", with_nan), "best_weights"),
    "a moment is missing": (lambda arrays, about: arrays.pop("moment first"), "moment first"),
    "a moment is too short": (change_array("moment second", lambda a: a[:3]), "moment second"),
    "a moment holds NaN": (change_array("moment first", with_nan), "moment first"),
    "a moment is unknown": (
        lambda arrays, about: arrays.update({"moment third": arrays["weights"]}), "moment third",
    ),
    "an array is unknown": (lambda arrays, about: arrays.update(a=np.ones(3)), "'a'"),
    "no text": (lambda arrays, about: arrays.update(about=np.zeros(3, np.uint8)), "contents"),
    "text of something else": (
        lambda arrays, about: arrays.update(about=np.frombuffer(b"[1]", np.uint8)), "about",
    ),
    "no state": (lambda arrays, about: about.pop("state"), "state"),
    "no parameters": (lambda arrays, about: about.pop("belongs"), "belongs"),
    "parameters as numbers": (
        lambda arrays, about: about.update(belongs=dict.fromkeys(about["belongs"], 1)), "belongs",
    ),
    "a parameter is missing": (lambda arrays, about: about["belongs"].pop("lr"), "lr"),
    "an unknown part": (put("unknown", 1), "unknown"),
    "epochs as text": (put("epoch", "2"), "epoch must be"),
    "negative steps": (put("step", -1), "step must be"),
    "more epochs": (put("epoch", 5), "history"),
    "begun later": (put("begun", 3), "begun"),
    "a fractional seed": (put("seed", 0.5), "seed must be"),
    "an immense seed": (put("seed", 2**70), "seed must be"),
    "the best is NaN": (put("best", float("nan")), "best must be"),
    "the first loss is text": (put("first_loss", "1"), "first_loss must be"),
    "the cut is text": (put("finely", "yes"), "finely must be"),
    "history of text": (put("history", {"loss": ["1", "2"]}), "history must be"),
    "history of nothing": (put("history", {}), "history"),
    "history of something else": (
        lambda arrays, about: about["state"]["history"].update(other=[1.0, 2.0]), "other",
    ),
} | {
    f"no {name}": (put(name, None), name)
    for name in ("seed", "epoch", "step", "averaged", "first_loss", "best", "no_improvement",
                 "finely", "begun", "begun_step", "history")
}  # fmt: skip


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """The content of a checkpoint that has all arrays there can be."""
    path = tmp_path_factory.mktemp("stopped") / "training.checkpoint"
    judged().set_callbacks(Checkpoint(path), Stop(2)).fit(X, y)
    return path.read_bytes()


def judged():
    return quick(max_iter=5, early_stopping=True)


@pytest.mark.parametrize("what", WRONG)
def test_contents_with_the_right_checksum_are_checked_by_name(what, stopped, path):
    change, named = WRONG[what]
    path.write_bytes(rewritten(stopped, lambda arrays, about: None))
    expected = judged().resume(path, X, y)
    assert_same_model(expected, judged().fit(X, y))  # since the way to change it works
    path.write_bytes(rewritten(stopped, change))
    before = dict(vars(expected))
    with pytest.raises(ValueError, match=rf"training\.checkpoint: .*{named}"):
        expected.resume(path, X, y)
    assert vars(expected) == before


def test_a_payload_that_is_no_archive_is_refused_by_name(path):
    for payload in (b"", b"something else", pickle.dumps([1])):
        path.write_bytes(checksummed(payload))
        with pytest.raises(ValueError, match=r"training\.checkpoint: .*contents"):
            quick().resume(path, X, y)


def weighted_half(estimator, X, y, share=0.5, *, of=None):
    return float(share * np.mean(estimator.predict(X) == y))


class Share:
    """A scorer that remembers how often it was called."""

    def __init__(self, share):
        self.share, self.n_calls = share, 0

    def __call__(self, estimator, X, y):
        self.n_calls += 1
        return weighted_half(estimator, X, y, self.share)

    def score(self, estimator, X, y):
        return weighted_half(estimator, X, y, self.share)


def of_share(share):
    def score(estimator, X, y):
        return weighted_half(estimator, X, y, share)

    return score


SCORERS = {
    "make_scorer": lambda share: make_scorer(fbeta_score, beta=share, average="macro"),
    "make_scorer of a partial": lambda share: make_scorer(
        partial(fbeta_score, beta=share, average="macro")
    ),
    "partial": lambda share: partial(weighted_half, share=share),
    "partial of an array": lambda share: partial(weighted_half, of=np.array([share])),
    "partial of partial": lambda share: partial(partial(weighted_half, share=share), of=set()),
    "instance": Share,
    "method": lambda share: Share(share).score,
    "closure": of_share,
    "default": lambda share: lambda e, X, y, share=share: weighted_half(e, X, y, share),
    "sign": lambda share: make_scorer(
        fbeta_score, beta=1, average="macro", greater_is_better=share < 0.3
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:F-score is ill-defined")
@pytest.mark.parametrize("scorer", SCORERS.values(), ids=SCORERS)
def test_scorers_are_compared_with_all_they_hold(scorer, path):
    model = quick(max_iter=3, early_stopping=True)
    whole = clone(model).set_params(scoring=scorer(0.25)).fit(X, y)
    cut = clone(model).set_params(scoring=scorer(0.25))
    cut.set_callbacks(Checkpoint(path), Stop(1)).fit(X, y)
    assert_same_model(clone(model).set_params(scoring=scorer(0.25)).resume(path, X, y), whole)
    with pytest.raises(ValueError, match="a different scorer: ") as caught:
        clone(model).set_params(scoring=scorer(0.5)).resume(path, X, y)
    assert len(str(caught.value).replace(str(path), "")) < 500


def test_of_a_scorer_only_what_differs_is_told(path):
    model = quick(max_iter=3, early_stopping=True)
    made = partial(make_scorer, fbeta_score, average="macro")
    cut = clone(model).set_params(scoring=made(beta=0.25))
    cut.set_callbacks(Checkpoint(path), Stop(1)).fit(X, y)
    with pytest.raises(ValueError, match=r"different scorer: beta=0\.25 there, beta=0\.5 here\."):
        clone(model).set_params(scoring=made(beta=0.5)).resume(path, X, y)
    with pytest.raises(ValueError, match=r"scorer: nothing there, zero_division=1 here\."):
        clone(model).set_params(scoring=made(beta=0.25, zero_division=1)).resume(path, X, y)


@pytest.mark.parametrize("bad", ["a\0b", pathlib.Path("a\0b")])
def test_a_path_with_a_null_is_named(bad):
    with pytest.raises(ValueError, match="Checkpoint: path must be a path, got "):
        quick().set_callbacks(Checkpoint(bad)).fit(X, y)
    with pytest.raises(ValueError, match="ScratchCNNClassifier: path must be a path, got "):
        quick().resume(bad, X, y)


def test_lambdas_are_compared_by_their_code(path):
    model = quick(max_iter=3, early_stopping=True)
    cut = clone(model).set_params(scoring=lambda e, X, y: 0.5)
    cut.set_callbacks(Checkpoint(path), Stop(1)).fit(X, y)
    with pytest.raises(ValueError, match="a different scorer: "):
        clone(model).set_params(scoring=lambda e, X, y: 0.25).resume(path, X, y)
    clone(model).set_params(scoring=lambda e, X, y: 0.5).resume(path, X, y)


def test_a_description_is_the_same_in_another_process():
    code = (
        "from functools import partial; from sklearn.metrics import fbeta_score, make_scorer\n"
        "import numpy as np; from skcnn._estimator.description import describe\n"
        "held = {'a': {'x', 'y', 'z'}, 'b': object(), 'c': np.random.RandomState(0)}\n"
        "print(describe(make_scorer(partial(fbeta_score, beta=held), pos_label=len)))"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in "12"
    }  # fmt: skip
    assert len(told) == 1
    assert "0x" not in told.pop()

"""On clusters: searches by joblib's backends, and training on what comes in parts."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skcnn.layers import Conv2d, Flatten, ReLU
from tests.pages import run_section, sections
from tests.shared import X, assert_same_model, quick, small, y

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # a cluster warns of its own sockets and processes
]

PAGE = "clusters.md"
RATES = {"scratchcnnclassifier__lr": [1e-3, 5e-3]}


@pytest.fixture
def client():
    """Two worker processes of one thread each; second copies of data are dropped at once."""
    dask, distributed = pytest.importorskip("dask"), pytest.importorskip("distributed")
    with (
        dask.config.set({"distributed.scheduler.active-memory-manager.interval": "50ms"}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def assert_same_search(search, other):
    """Compare the scores of every candidate in every fold, and the best model, to the bit."""
    scores = [name for name in search.cv_results_ if name.startswith("split")]
    assert scores
    for name in [*scores, "mean_test_score", "rank_test_score"]:
        assert np.array_equal(search.cv_results_[name], other.cv_results_[name])
    assert search.best_params_ == other.best_params_
    assert_same_model(search.best_estimator_[-1], other.best_estimator_[-1])


SEARCHES = {
    "grid": lambda model, **cv: GridSearchCV(model, RATES, **cv),
    "halving": lambda model, **cv: HalvingGridSearchCV(
        model, RATES, random_state=0, min_resources=300, factor=2, **cv
    ),
    "halving over epochs": lambda model, **cv: HalvingGridSearchCV(
        model, RATES, factor=2, resource="scratchcnnclassifier__max_iter", max_resources=100, **cv
    ),
}


@pytest.mark.parametrize("make", SEARCHES.values(), ids=SEARCHES)
def test_a_search_on_dask_gives_the_serial_scores(client, make):
    search = make(make_pipeline(MinMaxScaler(), small()), cv=2)
    serial = make(make_pipeline(MinMaxScaler(), small()), cv=2).fit(X, y)
    with joblib.parallel_config("dask", scatter=[X, y]):
        assert_same_search(search.fit(X, y), serial)


@dataclass(frozen=True)
class Fatal(ReLU):
    """Kills its process at the `when`-th pass of any, once, and unless it is the `parent`."""

    folder: str = ""
    when: int = 0
    parent: int = 0

    def forward(self, x, y, params, scratch, training, rng):
        super().forward(x, y, params, scratch, training, rng)
        passes = os.path.join(self.folder, "passes")
        with open(passes, "ab", buffering=0) as file:
            file.write(b".")
        if os.path.getsize(passes) >= self.when and os.getpid() != self.parent:
            try:
                with open(os.path.join(self.folder, "killed"), "x") as file:
                    file.write(str(os.getpid()))
            except FileExistsError:
                return
            os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("make", SEARCHES.values(), ids=SEARCHES)
def test_a_worker_that_is_killed_changes_no_score(client, tmp_path, make):
    folds = [(train.tolist(), test.tolist()) for train, test in StratifiedKFold(2).split(X, y)]

    def search(folder, when):
        fatal = Fatal(folder=str(folder), when=when, parent=os.getpid())
        layers = [Conv2d(4, 3), fatal, Flatten()]
        model = quick(layers=layers, max_iter=300, n_iter_no_change=None)
        return make(make_pipeline(MinMaxScaler(), model), cv=folds)

    (tmp_path / "serial").mkdir()
    serial = search(tmp_path / "serial", 1).fit(X, y)
    n_passes = os.path.getsize(tmp_path / "serial" / "passes")

    before = set(client.run(os.getpid).values())
    (tmp_path / "dask").mkdir()
    client.amm.stop()
    with joblib.parallel_config("dask", scatter=[X, y]):
        # not late, since the last fit, of all rows, is the parent's
        found = search(tmp_path / "dask", n_passes // 4).fit(X, y)
    assert int((tmp_path / "dask" / "killed").read_text()) in before
    assert_same_search(found, serial)


def test_ray_gives_the_serial_scores():
    ray = pytest.importorskip("ray")
    from ray.util.joblib import register_ray

    make = SEARCHES["grid"]
    serial = make(make_pipeline(MinMaxScaler(), small()), cv=2).fit(X, y)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        register_ray()
        with joblib.parallel_config("ray"):
            found = (
                make(make_pipeline(MinMaxScaler(), small()), cv=2).set_params(n_jobs=2).fit(X, y)
            )
    finally:
        ray.shutdown()
    assert_same_search(found, serial)


def test_parts_of_a_dask_array_are_parts():
    da = pytest.importorskip("dask.array")
    images, labels = da.from_array(X, chunks=(150, -1)), da.from_array(y, chunks=150)
    clf, other = small(), small()
    for _ in range(3):
        for k in range(4):
            rows = slice(150 * k, 150 * (k + 1))
            clf.partial_fit(images.blocks[k], labels.blocks[k], classes=range(10))
            other.partial_fit(X[rows], y[rows], classes=range(10))
    assert_same_model(clf, other)
    assert np.array_equal(clf.predict_proba(images), other.predict_proba(X))


PARTS = """
import resource

import dask
import dask.array as da
import numpy as np

from skcnn import ScratchCNNClassifier
from skcnn.layers import AvgPool2d

SHAPE, N_PARTS = (128, 128, 128), 64  # of a part, 8 MB


@dask.delayed
def make(k):
    part = np.random.default_rng(k).random(SHAPE, dtype=np.float32)
    part[1::2, :64] += 1
    return part


parts = [da.from_delayed(make(k), SHAPE, np.float32) for k in range(N_PARTS)]
X = da.concatenate(parts)
y = np.arange(SHAPE[0]) % 2


def train(X):
    clf = ScratchCNNClassifier([AvgPool2d(1, stride=32)], lr=0.02, random_state=0)
    for part in X.blocks.ravel():
        clf.partial_fit(part, y, classes=[0, 1])
    return clf


train(X[:SHAPE[0]])  # threads, code and tables
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
clf = train(X)
peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
assert clf.score(X.blocks[0], y) > 0.95
print(X.nbytes // 2**20, peak // 2**20)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere ru_maxrss has another unit")
def test_data_larger_than_memory_are_there_in_parts_only():
    pytest.importorskip("dask.array")
    run = subprocess.run([sys.executable, "-c", PARTS], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    size, peak = map(int, run.stdout.split())
    assert size == 512
    assert peak < 48


def test_example():
    pytest.importorskip("distributed")
    example = Path(__file__).parents[2] / "examples" / "cluster.py"
    run = subprocess.run([sys.executable, example], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "equal to the bit: True" in run.stdout


@pytest.mark.parametrize("heading", sections(PAGE)[1])
def test_section_of_the_page(heading, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_section(PAGE, heading)

"""Images that do not fit in memory: a memory map is never copied whole."""

import subprocess
import sys

import numpy as np
import pytest

CODE = """
import resource
import sys

import numpy as np

from skcnn import ScratchCNNClassifier
from skcnn.layers import AvgPool2d

X = np.load(sys.argv[1], mmap_mode="r")
y = np.arange(len(X)) % 2


def classifier(**parameters):
    return ScratchCNNClassifier(
        layers=[AvgPool2d(1, stride=32)], max_iter=1, lr=0.05, random_state=0, **parameters
    )


classifier().fit(X[:256], y[:256]).predict(X[:256])  # threads, code and tables
with open("/proc/self/status") as status:
    used = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmData"))
resource.setrlimit(resource.RLIMIT_DATA, (used + 96 * 2**20,) * 2)
try:
    np.array(X)
except MemoryError:
    pass
else:
    raise AssertionError("the limit does not hold")

half, some = len(X) // 2, slice(None, None, 9)
if X.dtype == np.uint8:
    clf = classifier().fit(X, y)
    parts = classifier().partial_fit(X[:half], y[:half], classes=[0, 1]).partial_fit(X, y)
    assert np.mean(parts.predict(X.reshape(len(X), -1)) == y) > 0.95
else:
    clf = classifier(early_stopping=True).fit(X, y)
    clf = classifier(early_stopping=True, scoring="accuracy").fit(
        X, y, X_val=X, y_val=y, sample_weight=np.ones(len(X))
    )
assert clf.score(X[some], y[some]) > 0.95
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA counts anonymous maps on Linux")
@pytest.mark.parametrize(("dtype", "n"), [("u1", 18_000), ("f4", 4_500)])
def test_a_memory_map_is_never_copied_whole(tmp_path, dtype, n):
    """300 MB of images, under a limit of 96 MB more than it takes to have trained at all."""
    shape = (n, 1, 128, 128)
    images = np.lib.format.open_memmap(tmp_path / "X.npy", mode="w+", dtype=dtype, shape=shape)
    images[1::2, :, :64] = 100  # the other half of the pages is never written
    images.flush()
    del images
    run = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path / "X.npy")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr

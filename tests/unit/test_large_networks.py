"""AlexNet, VGG16 and residual networks on photographs, within the memory of a small machine."""

import json
import subprocess
import sys

import pytest

pytest.importorskip("resource", reason="no limits of memory here")
pytestmark = pytest.mark.slow

LIMIT = 8 * 2**30

SCRIPT = """
import json, resource, sys
name, size, limit = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))

import numpy as np
from sklearn.datasets import load_sample_images
from skcnn import ScratchCNNClassifier, architectures
from skcnn.layers import Dense
from skcnn.network import Network
from skcnn.optimizers import SGD


def resized(photo):
    rows, columns = (np.arange(size) * n // size for n in photo.shape[:2])
    return photo[rows][:, columns]


layers = getattr(architectures, name)()
photos = np.array([resized(photo) for photo in load_sample_images().images])

network = Network([*layers, Dense(1000)], (3, size, size))
weights = network.init(np.random.default_rng(0))
logits = network.forward(photos[:1].transpose(0, 3, 1, 2) / 255, weights)
del weights

clf = ScratchCNNClassifier(
    layers, data_format="channels_last", optimizer=SGD(momentum=0), lr=1e-4, max_iter=1,
    random_state=0,
)
clf.fit(photos, ["temple", "flower"])
print(json.dumps({
    "logits": logits.tolist(),
    "dtype": clf.weights_.dtype.name,
    "size": clf.weights_.size,
    "epochs": clf.n_iter_,
    "loss": clf.loss_,
    "moved": bool(np.any(clf.weights_[-2:] != 0)),
    "probabilities": clf.predict_proba(photos).tolist(),
}))
"""


@pytest.mark.parametrize(
    ("name", "size", "count", "features", "channels"),
    [
        ("alexnet", 227, 60_965_224, 4096, 0),
        ("vgg16", 224, 138_357_544, 4096, 0),
        ("resnet20", 32, 272_474 + 990 * 65, 64, 784),
        ("resnet18", 224, 11_689_512, 512, 4800),
        ("resnet34", 224, 21_797_672, 512, 8512),
    ],
)
def test_a_photograph_and_a_training_step_within_8_gb(name, size, count, features, channels):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, name, str(size), str(LIMIT)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    (logits,) = found["logits"]
    assert len(logits) == 1000
    # the running moments of an untrained network normalize nothing, and sums of branches grow
    assert 0.01 < max(logits) - min(logits) < (100 if not channels else 1e5)
    assert found["dtype"] == "float32"
    # two classes, and running moments of so many normalized channels
    assert found["size"] == count - 998 * (features + 1) + 2 * channels
    assert found["epochs"] == 1
    assert 0 < found["loss"] < 50
    assert found["moved"]
    for row in found["probabilities"]:
        assert sum(row) == pytest.approx(1, abs=1e-6)

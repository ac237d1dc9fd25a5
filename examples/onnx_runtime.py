"""
ONNX Runtime compared with predict
==================================

A pipeline is trained and converted to an ONNX model, which predicts without Python: the
same answers in a fraction of the time. This is how to deploy a model to a service, a
phone or a browser.

Needs ``pip install ".[onnx]" onnxruntime``.
"""

import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import onnxruntime
import skl2onnx
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from threadpoolctl import threadpool_limits

from skcnn import ScratchCNNClassifier
from skcnn.onnx import register, to_onnx

X, y = load_digits(return_X_y=True)
names = np.array(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])
X_train, X_test, y_train, y_test = train_test_split(
    X.astype(np.float32), names[y], stratify=y, random_state=0
)

# %%
# One estimator
# -------------
#
# ``to_onnx`` reads the layout and dtype from some sample rows. The scaling of the
# images is part of the model, and so are the labels, here strings. The model is one
# file:

clf = ScratchCNNClassifier(random_state=0).fit(X_train, y_train)
model = to_onnx(clf, X_train[:1])


def session(path):
    """Load a model from its file, to run on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "digits.onnx")
    path.write_bytes(model.SerializeToString())
    print(f"{path.name}: {path.stat().st_size / 1024:,.0f} KiB")
    running = session(path)
print("takes  ", [(source.name, source.type, source.shape) for source in running.get_inputs()])
print("returns", [(result.name, result.type, result.shape) for result in running.get_outputs()])

# %%
# The same answers

labels, probabilities = running.run(None, {"X": X_test})
difference = np.abs(probabilities - clf.predict_proba(X_test)).max()
print(f"Accuracy of scikit-learn's estimator {clf.score(X_test, y_test):.4f}")
print(f"Accuracy of ONNX Runtime             {np.mean(labels == y_test):.4f}")
print(f"Labels that differ: {np.sum(labels != clf.predict(X_test))}")
print(f"Largest difference of a probability: {difference:.1e}")

# %%
# A pipeline
# ----------
#
# After ``register()``, skl2onnx converts any pipeline or meta-estimator that contains
# the estimator. Its option ``zipmap`` chooses between dictionaries and an array of
# probabilities.

register()
pipeline = make_pipeline(MinMaxScaler(), ScratchCNNClassifier(random_state=0))
pipeline.fit(X_train, y_train)
converted = skl2onnx.to_onnx(pipeline, X_train[:1], options={"zipmap": False})
running_pipeline = session(converted.SerializeToString())
labels, probabilities = running_pipeline.run(None, {"X": X_test})
difference = np.abs(probabilities - pipeline.predict_proba(X_test)).max()
print("Nodes:", ", ".join(node.op_type for node in converted.graph.node[:8]), "...")
print(f"Largest difference of a probability: {difference:.1e}")

# %%
# Speed
# -----
#
# For one row, `predict` spends most of its time on input checks, in the pipeline once
# per step. For many rows, the network's arithmetic dominates. The contenders take
# turns, on one thread each; the times are medians.

CONTENDERS = {
    "classifier, predict": clf.predict,
    "classifier, ONNX": lambda X: running.run(None, {"X": X}),
    "pipeline, predict": pipeline.predict,
    "pipeline, ONNX": lambda X: running_pipeline.run(None, {"X": X}),
}


def medians(X, turns):
    """Return microseconds per row."""
    seconds = {name: [] for name in CONTENDERS}
    for _ in range(turns):
        for name, contender in CONTENDERS.items():
            start = time.perf_counter()
            contender(X)
            seconds[name].append(time.perf_counter() - start)
    return {name: 1e6 * np.median(times) / len(X) for name, times in seconds.items()}


with threadpool_limits(1):
    measured = {"one row": medians(X_test[:1], 200), "450 rows": medians(X_test, 20)}
for rows, times in measured.items():
    for name, microseconds in times.items():
        print(f"{rows:9} {name:20} {microseconds:7.1f} µs a row")

# %%

fig, axes = plt.subplots(1, 2, figsize=(9, 2.8), sharey=True, layout="constrained")
for ax, (rows, times) in zip(axes, measured.items(), strict=True):
    colors = ["#D55E00" if "ONNX" in name else "#0072B2" for name in times]
    bars = ax.barh(list(times), list(times.values()), color=colors)
    ax.bar_label(bars, fmt="{:,.0f}", padding=3)
    ax.set(title=rows, xlabel="µs a row", xlim=(0, 1.18 * max(times.values())))
    ax.locator_params(axis="x", nbins=4)
    ax.spines[["top", "right"]].set_visible(False)
axes[0].invert_yaxis()

# %%
# A few hundred microseconds do not matter if you predict thousands of rows, but they do
# to a service that answers one request after another. In return, `predict` checks its
# input, and its errors say what is wrong; the model checks shape and dtype only, and
# accepts numbers that are not finite.

plt.show()

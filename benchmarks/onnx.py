"""Time of predictions by ONNX Runtime, compared with the estimator's own.

Contenders take turns, call by call, on one thread each. The output gives medians in
microseconds for one digit of scikit-learn's, and for many.

Run ``python -m benchmarks.onnx`` (needs the extra ``[test-onnx]``).
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import onnxruntime as ort
import skl2onnx
from sklearn.datasets import load_digits
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from threadpoolctl import threadpool_limits

from skcnn import ScratchCNNClassifier
from skcnn.onnx import register, to_onnx


def session(model) -> Callable[[np.ndarray], object]:
    """Return a function that computes all outputs of a model."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    running = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    (source,) = running.get_inputs()
    return lambda X: running.run(None, {source.name: X})


def works(dtype: type) -> dict[str, dict[str, Callable[[np.ndarray], object]]]:
    """Return both contenders for an estimator and for a pipeline."""
    X, y = load_digits(return_X_y=True)
    X, y = X[:300].astype(dtype), y[:300]
    clf = ScratchCNNClassifier(max_iter=1, random_state=0).fit(X, y)
    pipeline = make_pipeline(MinMaxScaler(), ScratchCNNClassifier(max_iter=1, random_state=0))
    pipeline.fit(X, y)
    register()
    converted = skl2onnx.to_onnx(pipeline, X[:1], options={"zipmap": False})
    return {
        "classifier": {"predict": clf.predict, "ONNX": session(to_onnx(clf, X[:1]))},
        "pipeline": {"predict": pipeline.predict, "ONNX": session(converted)},
    }


def medians(
    contenders: dict[str, Callable[[np.ndarray], object]], X: np.ndarray, calls: int
) -> dict[str, float]:
    """Return each contender's median microseconds per call."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(-3, calls):
        for name, contender in contenders.items():
            start = time.perf_counter()
            contender(X)
            if turn >= 0:
                seconds[name].append(time.perf_counter() - start)
    return {name: 1e6 * float(np.median(times)) for name, times in seconds.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--calls", type=int, default=500, help="calls with one row; a tenth of that with many"
    )
    calls = parser.parse_args().calls
    X = load_digits().data
    print("| what | dtype | rows | `predict` (µs) | ONNX Runtime (µs) |")
    print("| --- | --- | ---: | ---: | ---: |")
    with threadpool_limits(1):
        for dtype in (np.float32, np.float64):
            for what, contenders in works(dtype).items():
                for n, turns in ((1, calls), (512, max(calls // 10, 1))):
                    found = medians(contenders, X[:n].astype(dtype), turns)
                    times = " | ".join(f"{found[name]:,.0f}" for name in ("predict", "ONNX"))
                    print(f"| {what} | {np.dtype(dtype).name} | {n} | {times} |", flush=True)


if __name__ == "__main__":
    main()

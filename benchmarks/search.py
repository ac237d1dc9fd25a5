"""`GridSearchCV` from a cold start: imports, workers, 3 x 3 grid, 3 folds, two jobs.

`seconds` runs this file as a script with a contender's name, and times it.
"""

import subprocess
import sys
import time

LR = [1e-3, 2e-3, 4e-3]
FILTERS = [(8, 16), (16, 32), (32, 32)]
EPOCHS, BATCH_SIZE = 10, 64
CONTENDERS = ("skcnn", "skcnn in float64", "skorch")


def seconds(name: str) -> float:
    """Return the wall-clock time of a new process that runs the whole search."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "benchmarks.search", name], check=True)
    return time.perf_counter() - start


def search_skcnn(dtype: str | None = "float32") -> None:
    """Search on digits in float64, computing in float32 like skorch, or in float64."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import GridSearchCV

    from skcnn import ScratchCNNClassifier

    X, y = load_digits(return_X_y=True)
    clf = ScratchCNNClassifier(
        hidden_layer_sizes=64, batch_size=BATCH_SIZE, max_iter=EPOCHS, n_iter_no_change=EPOCHS,
        dtype=dtype, random_state=0,
    )  # fmt: skip
    GridSearchCV(clf, {"lr": LR, "filters": FILTERS}, cv=3, n_jobs=2).fit(X, y)


def search_skorch() -> None:
    """Search with skorch, including the conversion of float64 rows."""
    import torch
    from sklearn.datasets import load_digits
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer
    from skorch import NeuralNetClassifier

    from benchmarks.torch_blocks import TwoBlocks, as_images

    X, y = load_digits(return_X_y=True)
    net = NeuralNetClassifier(
        TwoBlocks, criterion=torch.nn.CrossEntropyLoss, optimizer=torch.optim.Adam,
        max_epochs=EPOCHS, batch_size=BATCH_SIZE, iterator_train__shuffle=True, train_split=None,
        verbose=0,
    )  # fmt: skip
    pipeline = make_pipeline(FunctionTransformer(as_images), net)
    grid = {
        "neuralnetclassifier__lr": LR,
        "neuralnetclassifier__module__filters": FILTERS,
    }
    GridSearchCV(pipeline, grid, cv=3, n_jobs=2).fit(X, y)


if __name__ == "__main__":
    {
        "skcnn": search_skcnn,
        "skcnn in float64": lambda: search_skcnn(None),
        "skorch": search_skorch,
    }[sys.argv[1]]()

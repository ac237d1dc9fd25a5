"""
Searches and training on a cluster
==================================

Two `Dask <https://www.dask.org>`_ worker processes on this machine stand in for a
cluster. They run a grid search, and then they prepare images, block by block, for a
network that learns from more of them than ever fit into memory at once. Needs
``pip install ".[cluster]"`` and takes less than a minute.

On a real cluster only the ``Client`` differs: ``Client("tcp://scheduler:8786")``.
"""

# sphinx_gallery_thumbnail_path = "images/gallery-cluster.png"
import tempfile
from pathlib import Path

import dask.array as da
import joblib
import numpy as np
from dask.distributed import Client, LocalCluster
from sklearn.datasets import load_digits
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skcnn import ScratchCNNClassifier

# %%
# .. image:: /images/gallery-cluster.png
#    :alt: Accuracy by learning rate in the search, and loss by pass over the data
#
# A search on the workers
# -----------------------
# Inside ``joblib.parallel_config("dask")``, the fits of a search go to whichever worker
# is idle. The scores equal those of a search in this process.


def search_there_and_here(X, y):
    """Fit two searches, on the cluster and in this process."""
    pipeline = make_pipeline(
        MinMaxScaler(), ScratchCNNClassifier(filters=8, dtype="float32", random_state=0)
    )
    rates = {"scratchcnnclassifier__lr": [1e-3, 2e-3, 4e-3, 8e-3]}
    epochs = {"resource": "scratchcnnclassifier__max_iter", "min_resources": 2, "max_resources": 8}
    for search in (
        GridSearchCV(pipeline.set_params(scratchcnnclassifier__max_iter=4), rates, cv=3),
        HalvingGridSearchCV(pipeline, rates, cv=3, factor=2, **epochs),
    ):
        with joblib.parallel_config("dask", scatter=[X, y]):
            there = search.fit(X, y).cv_results_["mean_test_score"]
        print(f"{type(search).__name__}: {search.best_params_}, {search.best_score_:.4f}")
        here = search.fit(X, y).cv_results_["mean_test_score"]
        print(f"  equal to the bit: {np.array_equal(there, here)}")


# %%
# Data in parts
# -------------
# A Dask array knows how to create its blocks, from files for instance. The workers
# create one while the network learns from the previous one.


def in_parts(client, *arrays):
    """Yield one block of each array at a time while the next ones are computed."""
    blocks = list(zip(*(array.to_delayed().ravel() for array in arrays), strict=True))
    ahead = client.compute(list(blocks[0]))
    for block in blocks[1:]:
        here, ahead = ahead, client.compute(list(block))
        yield client.gather(here)
    yield client.gather(ahead)


def learn_in_parts(client, digits, answers, folder):
    """Write many large images of digits to files, and train on them."""
    rng = np.random.default_rng(0)
    n_files, rows = 10, 500
    for k in range(n_files):
        chosen = rng.integers(len(digits), size=rows)
        pictures = np.kron(digits[chosen].reshape(-1, 8, 8), np.ones((1, 8, 8)))  # 64 x 64 pixels
        noisy = pictures * 12 + rng.integers(64, size=pictures.shape)
        np.save(folder / f"images{k}.npy", noisy.astype(np.uint8))
        np.save(folder / f"labels{k}.npy", answers[chosen])

    files = [da.from_array(np.load(folder / f"images{k}.npy", mmap_mode="r"), chunks=-1)
             for k in range(n_files)]  # fmt: skip
    X = da.concatenate(files)[:, ::2, ::2] / np.float32(255)  # computed on the workers
    y = da.concatenate([np.load(folder / f"labels{k}.npy") for k in range(n_files)]).rechunk(rows)
    block = X.blocks[0].nbytes
    print(f"{len(X):,} images, {X.nbytes / 2**20:.0f} MiB, in blocks of {block / 2**20:.1f} MiB")

    clf = ScratchCNNClassifier(filters=(8, 16), global_pool=True, lr=5e-3, random_state=0)
    for epoch in range(3):
        for images, labels in in_parts(client, X, y):
            clf.partial_fit(images, labels, classes=np.arange(10))
        print(f"pass {epoch + 1}: loss {clf.loss_:.3f}")
    last_images, last_labels = X.blocks[-1].compute(), y.blocks[-1].compute()
    print(f"accuracy on the last block: {clf.score(last_images, last_labels):.3f}")


# %%
# Run both
# --------
# The worker processes import this script, so the code that starts them must not run on
# import.

if __name__ == "__main__":
    X, y = load_digits(return_X_y=True)
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        search_there_and_here(X, y)
        with tempfile.TemporaryDirectory() as folder:
            learn_in_parts(client, X, y, Path(folder))

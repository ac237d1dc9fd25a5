"""Writes the models and the checkpoint of a released version, with the predictions they give.

It runs against any version, which adds its own folder beside this file (CONTRIBUTING, "A
release"); what a version lacks is left out. NumPy and scikit-learn are the oldest that are
supported, since newer ones read what older ones have written, but not the other way round:

    python -m venv oldest
    oldest/bin/pip install "numpy==1.26.*" "scikit-learn==1.6.*" "joblib==1.3.*" skops
    PYTHONPATH=<worktree of the version> oldest/bin/python tests/stored/write.py models

Checkpoints are written by callbacks, which need a newer scikit-learn. Nothing in the file depends
on its version:

    PYTHONPATH=<worktree of the version> newer/bin/python tests/stored/write.py checkpoints

The folder then holds for every model a file and, in `expected.npz`, its predictions for `X` there
under its name; those after one more call of `fit` or `partial_fit` under "<name> continued"; and,
in `checkpoints.npz`, the predictions of the trainings that were not interrupted. `fields.json` has
the parameters of all classes whose instances may be stored.
"""

import json
import sys
import warnings
from copy import deepcopy
from dataclasses import MISSING, fields, is_dataclass
from inspect import signature
from pathlib import Path

import joblib
import numpy as np
from sklearn.datasets import load_digits
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skcnn
from skcnn import ScratchCNNClassifier, initializers, layers, optimizers, schedules

HERE = Path(__file__).parent
ROWS = 60
TRAINED = slice(0, 40)


def images():
    """Digits of 4 x 4 pixels, as flat rows; small, so that untouched models are."""
    X, _ = load_digits(return_X_y=True)
    return X[:ROWS].reshape(-1, 4, 2, 4, 2).sum(axis=(2, 4), dtype=np.int64).reshape(-1, 16) // 4


def labels():
    """Classes, of which the first ten rows hold all."""
    return load_digits(return_X_y=True)[1][:ROWS]


ASKED = images()[ROWS // 2 :].astype(np.uint8)
X, y = images()[TRAINED].astype(np.uint8), labels()[TRAINED]
TWO_LABELS = np.column_stack([y % 2 == 0, y > 4]).astype(int)
TWO_QUANTITIES = np.column_stack([X.mean(axis=1), X[:, 5] / 8.0])
SMALL = {"filters": 3, "hidden_layer_sizes": 4, "max_iter": 2, "random_state": 0}

HAS_REGRESSOR = hasattr(skcnn, "ScratchCNNRegressor")
HAS_RESIDUAL = hasattr(layers, "Residual")
HAS_BRANCHES = hasattr(layers, "Concatenate")


def classifier(**parameters):
    return ScratchCNNClassifier(**{**SMALL, **parameters})


def regressor(**parameters):
    return skcnn.ScratchCNNRegressor(**{**SMALL, **parameters})


def normalised():
    """Layers with running moments and random numbers."""
    return [
        layers.Conv2d(3, 3, padding=1, bias=False), layers.BatchNorm(ghost_size=16),
        layers.LeakyReLU(0.1), layers.MaxPool2d(2), layers.Flatten(), layers.Dropout(0.2),
        layers.Dense(5, initializer=initializers.Glorot()), layers.Tanh(),
    ]  # fmt: skip


def various():
    """Every other layer that all versions have, with hyperparameters of their own."""
    return [
        layers.RandomCrop(1), layers.RandomFlip(), layers.RandomScale(0.1),
        layers.RandomRotation(5), layers.Conv2d(4, (3, 2), stride=1, padding="same", groups=1),
        layers.ELU(0.5), layers.LocalResponseNorm(), layers.Conv2d(4, 2, dilation=2, groups=2),
        layers.GELU(), layers.AvgPool2d(2, padding=1), layers.SiLU(), layers.GlobalAvgPool2d(),
        layers.Dense(4), layers.Sigmoid(),
    ]  # fmt: skip


def residual():
    """Layers that hold others."""
    branch = [layers.Conv2d(4, 3, padding=1, bias=False), layers.BatchNorm(), layers.ReLU()]
    return [
        layers.Conv2d(2, 3, padding=1),
        layers.Residual([*branch, layers.Conv2d(4, 3, padding=1)], layers.PadChannels(4)),
        layers.Residual(branch, layers.Conv2d(4, 1)),
        layers.ConvTranspose2d(2, 2, stride=2),
        layers.GlobalAvgPool2d(),
    ]


def branches():
    """Layers whose branches are joined or added, and some that are not trained."""
    return [
        layers.Concatenate([[], [layers.Conv2d(3, 3, padding=1), layers.BatchNorm()]]),
        layers.Frozen([layers.Conv2d(4, 1), layers.BatchNorm(), layers.ReLU()]),
        layers.Add([layers.Conv2d(4, 1), [layers.Tanh(), layers.Conv2d(4, 3, padding=1)], []]),
        layers.GlobalAvgPool2d(),
    ]


def newer():
    """Layers of 0.3.0."""
    return [
        layers.RandomShift(1), layers.GaussianNoise(0.1), layers.Conv2d(4, 3, padding=1),
        layers.GroupNorm(2), layers.ReLU(), layers.FixedConv("minirocket", dilation=1),
        layers.Concatenate([layers.PPVPool(2), layers.GlobalMaxPool2d()]), layers.Dense(5),
        layers.LayerNorm(),
    ]  # fmt: skip


def models():
    """Estimators, and what they are fitted on; those with `partial_fit` in two parts."""
    yield "unfitted", classifier(), None
    yield "untouched_classifier", ScratchCNNClassifier(random_state=0), y
    yield "small_classifier", classifier(), y
    yield "custom_layers", classifier(layers=normalised(), weight_decay=1e-3), y
    yield "various_layers", classifier(layers=various(), data_format="channels_first"), y
    yield "labels_of_text", classifier(dtype="float64"), np.array([f"digit {i}" for i in y])
    yield "multilabel", classifier(), TWO_LABELS
    yield "warm_start", classifier(warm_start=True, lr_schedule="cosine"), y
    yield "warm_start_with_BatchNorm", classifier(layers=normalised(), warm_start=True), y
    stopping = {
        "early_stopping": True, "scoring": "accuracy", "optimizer": optimizers.SGD(momentum=0.9),
        "lr_schedule": schedules.StepDecay(2), "warm_start": True, "max_grad_norm": 1.0,
    }  # fmt: skip
    yield "early_stopping", classifier(validation_fraction=0.3, **stopping), y
    yield "partial_fit", classifier(), "parts"
    yield "partial_fit_with_BatchNorm", classifier(layers=normalised()), "parts"
    yield "pipeline", make_pipeline(StandardScaler(), classifier()), y
    if HAS_RESIDUAL:
        yield "residual", classifier(layers=residual(), warm_start=True, label_smoothing=0.1), y
        yield "signals", classifier(image_shape=(1, 16), filters=(2, 3), random_state=1), y
    if HAS_BRANCHES:
        yield "branches", classifier(layers=branches(), warm_start=True), y
        yield "newer_layers", classifier(layers=newer(), warm_start=True), y
        few = {"image_shape": (1, 16), "filters": 2, "fixed_features": 300}
        yield "fixed_features_of_labels", classifier(**few), TWO_LABELS
        yield "fixed_features_regressor", regressor(**few), X.mean(axis=1)
    if HAS_REGRESSOR:
        yield "untouched_regressor", skcnn.ScratchCNNRegressor(random_state=0), X.mean(axis=1)
        yield "small_regressor", regressor(loss="poisson"), X.mean(axis=1)
        yield "two_quantities", regressor(loss="huber", warm_start=True), TWO_QUANTITIES
        yield "regressor_in_parts", regressor(layers=normalised()), "parts"
        yield "regressor_in_a_pipeline", make_pipeline(StandardScaler(), regressor()), y / 3


def fitted(model, target):
    if target is None:
        return model
    if not isinstance(target, str):
        return model.fit(X, target)
    for part in (slice(0, 20), slice(20, 40)):
        model = one_part(model, X[part], y[part])
    return model


def one_part(model, X, y):
    """A part of the data, of the target that the model was begun with."""
    if isinstance(model, ScratchCNNClassifier):
        return model.partial_fit(X, y, classes=np.arange(10))
    return model.partial_fit(X, y.astype(float))


def continued(model, target):
    """One more call, by the way that the model has; None where there is none."""
    if target is None or hasattr(model, "steps"):
        return None
    if model.warm_start:
        return model.fit(X, target)
    if isinstance(target, str):
        return one_part(model, X, y)
    return model.partial_fit(X, target)


def predictions(model, X):
    """Probabilities, or quantities."""
    return (model.predict_proba if hasattr(model, "predict_proba") else model.predict)(X)


def names_and_fields():
    """Parameters of all classes whose instances may be stored, with their defaults."""
    found = {}
    for module in (initializers, layers, optimizers, schedules):
        for kind in (getattr(module, name) for name in module.__all__):
            if isinstance(kind, type) and is_dataclass(kind):
                found[f"{kind.__module__}.{kind.__qualname__}"] = {
                    each.name: None if each.default is MISSING else repr(each.default)
                    for each in fields(kind)
                }
    for kind in (getattr(skcnn, name) for name in skcnn.__all__):
        if isinstance(kind, type):
            found[f"{kind.__module__}.{kind.__qualname__}"] = {
                name: repr(each.default) for name, each in signature(kind).parameters.items()
            }
    return dict(sorted(found.items()))


def write_models(folder):
    expected = {"X": ASKED}
    for name, model, target in models():
        model = fitted(model, target)
        joblib.dump(model, folder / f"{name}.joblib", compress=9)
        if target is not None:
            expected[name] = predictions(model, ASKED)
        further = continued(deepcopy(model), target)
        if further is not None:
            expected[f"{name} continued"] = predictions(further, ASKED)
    np.savez_compressed(folder / "expected.npz", **expected)
    text = json.dumps(names_and_fields(), indent=1)
    (folder / "fields.json").write_text(text + "\n", encoding="utf-8")
    import skops.io

    for name in ("warm_start_with_BatchNorm", "regressor_in_parts"):
        if (folder / f"{name}.joblib").exists():
            model = joblib.load(folder / f"{name}.joblib")
            skops.io.dump(model, folder / f"{name}.skops", compression=8)


class Stop:
    """Ends a fit after some epochs, as an interruption would."""

    def setup(self, estimator, context): ...

    def teardown(self, estimator, context): ...

    def on_fit_task_begin(self, estimator, context): ...

    def on_fit_task_end(self, estimator, context):
        return context.task_name == "epoch 1"


def trainings():
    """Estimators whose trainings are cut off after an epoch and finished by `resume`."""
    yield "untouched", ScratchCNNClassifier(random_state=0), y
    yield "small_classifier", classifier(layers=normalised(), early_stopping=True), y
    yield "small_regressor", regressor(filters=(2, 3)), X.mean(axis=1)


def write_checkpoints(folder):
    from skcnn.callbacks import Checkpoint

    expected = {}
    for name, model, target in trainings():
        expected[name] = predictions(deepcopy(model).fit(X, target), ASKED)
        path = folder / f"{name}.checkpoint"
        model.set_callbacks(Checkpoint(path), Stop()).fit(X, target)
    np.savez_compressed(folder / "checkpoints.npz", **expected)


def main():
    folder = HERE / skcnn.__version__
    folder.mkdir(exist_ok=True)
    warnings.simplefilter("ignore")
    {"models": write_models, "checkpoints": write_checkpoints}[sys.argv[1]](folder)


if __name__ == "__main__":
    main()

"""Files without pickle: skops reads every model by the list of types, which run nothing."""

import importlib

import numpy as np
import pytest
from sklearn.datasets import load_digits

import skcnn.initializers
import skcnn.layers
import skcnn.optimizers
import skcnn.schedules
from skcnn import ScratchCNNClassifier, ScratchCNNRegressor
from skcnn.callbacks import Checkpoint
from skcnn.initializers import FanInUniform, Gaussian, Glorot, He, LeCunUniform, Zeros
from skcnn.layers import (
    ELU,
    GELU,
    Add,
    AvgPool2d,
    BatchNorm,
    Concatenate,
    Conv2d,
    ConvTranspose2d,
    Dense,
    Dropout,
    FixedConv,
    Flatten,
    Frozen,
    GaussianNoise,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    GroupNorm,
    LayerNorm,
    LeakyReLU,
    LocalResponseNorm,
    MaxPool2d,
    PadChannels,
    PPVPool,
    RandomCrop,
    RandomFlip,
    RandomRotation,
    RandomScale,
    RandomShift,
    ReLU,
    Residual,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
)
from skcnn.optimizers import SGD, AdaGrad, Adam, AdamW, RMSprop
from skcnn.persistence import trusted_types

X, Y = load_digits(return_X_y=True)
X, Y = X[:60], Y[:60]

LAYERS = [
    RandomShift(1), RandomCrop(1), RandomFlip(), RandomRotation(5), RandomScale(0.1),
    GaussianNoise(0.1),
    Conv2d(2, 3, padding=1, initializer=Gaussian(0.1)), BatchNorm(), ReLU(), LocalResponseNorm(),
    Conv2d(2, 3, padding=1, initializer=FanInUniform()), LeakyReLU(), MaxPool2d(2),
    Residual([Conv2d(2, 3, padding=1, initializer=LeCunUniform()), ELU()], [Tanh()]),
    Add([[], [Conv2d(2, 1), ReLU()]]), Concatenate([Tanh(), [Conv2d(2, 1)], []]),
    Frozen([ReLU()]), Conv2d(2, 1),
    PadChannels(4), GroupNorm(2), ConvTranspose2d(2, 2, initializer=He()), GELU(), AvgPool2d(2),
    SiLU(), LayerNorm(), FixedConv([[1.0, 2.0]] * 2), PPVPool(2), Flatten(), Dropout(0.1),
    Dense(3, initializer=Glorot()), Sigmoid(), Dense(3, initializer=Zeros()), Softmax(),
]  # fmt: skip

ABSTRACT = {"Layer", "Scratch", "Optimizer", "Schedule", "Initializer"}


def schedules():
    """One of each class, with as few arguments as it takes."""
    for name in skcnn.schedules.__all__:
        kind = getattr(skcnn.schedules, name)
        if name in ABSTRACT or not isinstance(kind, type):
            continue
        for arguments in ((), (2,), (1, 0.5), (skcnn.schedules.Constant(),)):
            try:
                yield kind(*arguments)
                break
            except (TypeError, ValueError):
                continue
        else:
            raise AssertionError(f"{name} is not covered")


def models():
    yield ScratchCNNClassifier(LAYERS)
    yield ScratchCNNClassifier([GlobalAvgPool2d()])
    yield ScratchCNNRegressor(warm_start=True)
    for loss in ("absolute_error", "huber", "poisson", "quantile"):
        yield ScratchCNNRegressor(filters=2, loss=loss)
    for optimizer in (SGD(), SGD(momentum=0.9), AdaGrad(), Adam(), AdamW(), RMSprop()):
        yield ScratchCNNClassifier(filters=2, optimizer=optimizer, warm_start=True)
    for schedule in schedules():
        yield ScratchCNNClassifier(filters=2, lr_schedule=schedule, warm_start=True)
    yield ScratchCNNClassifier(
        filters=2, early_stopping=True, class_weight="balanced", dtype="float64", warm_start=True
    )
    yield ScratchCNNClassifier(filters=2, random_state=np.random.RandomState(0), image_shape=(8, 8))
    for dtype in (np.float32, np.dtype("float64")):
        yield ScratchCNNClassifier(filters=2, dtype=dtype)
    yield ScratchCNNClassifier(
        filters=np.array([2, 3]), kernel_size=[(3, 3), (1, 3)], lr=np.float32(1e-3),
        activation=Tanh(), normalization=LocalResponseNorm(), class_weight=dict.fromkeys(Y, 1.0),
        early_stopping=True, scoring="f1_macro",
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(list(models()))))
def test_skops_reads_every_model_by_the_list(number):
    skops = pytest.importorskip("skops.io", reason="skops writes the files")
    chosen = list(models())[number]
    chosen.set_params(max_iter=1)
    if chosen.random_state is None:
        chosen.set_params(random_state=0)
    y = Y + 1.0 if isinstance(chosen, ScratchCNNRegressor) else Y
    for model in (chosen, chosen.fit(X, y)):
        written = skops.dumps(model)
        assert set(skops.get_untrusted_types(data=written)) <= set(trusted_types())
        read = skops.loads(written, trusted=trusted_types())
    assert np.array_equal(read.predict(X), model.predict(X))
    if model.warm_start:
        assert np.array_equal(read.fit(X, y).weights_, model.fit(X, y).weights_)


def test_nothing_is_left_out_of_the_models_above():
    optimizers = {type(model.optimizer).__name__ for model in models()} - {"str"}
    assert optimizers == set(skcnn.optimizers.__all__) - ABSTRACT
    inside = [*LAYERS, *next(layer for layer in LAYERS if isinstance(layer, Residual)).layers]
    initializers = {
        type(layer.initializer).__name__ for layer in inside if hasattr(layer, "initializer")
    }
    assert initializers == set(skcnn.initializers.__all__) - ABSTRACT
    others = [
        ELU(),
        Tanh(),
        GlobalMaxPool2d(),
        GlobalAvgPool2d(),
    ]  # in a branch, or in a model of its own
    used = {type(layer).__name__ for layer in [*LAYERS, *others]}
    classes = {
        name for name in skcnn.layers.__all__ if isinstance(getattr(skcnn.layers, name), type)
    }
    assert used == classes - ABSTRACT
    known = set(trusted_types())
    for room in (skcnn.layers, skcnn.optimizers, skcnn.schedules, skcnn.initializers):
        for name in set(room.__all__) - ABSTRACT:
            kind = getattr(room, name)
            if isinstance(kind, type):
                assert f"{kind.__module__}.{kind.__qualname__}" in known


def test_what_writes_files_is_not_trusted():
    skops = pytest.importorskip("skops.io", reason="skops writes the files")
    written = skops.dumps(Checkpoint("anywhere"))
    found = set(skops.get_untrusted_types(data=written)) - set(trusted_types())
    assert found == {"skcnn.callbacks.Checkpoint"}


def test_no_trusted_type_runs_anything_when_it_is_loaded():
    for name in trusted_types():
        module, _, kind = name.rpartition(".")
        kind = getattr(importlib.import_module(module), kind)
        assert isinstance(kind, type)
        assert name.startswith("skcnn.") or name == "numpy.dtype"
        if name.startswith("skcnn."):
            assert kind.__reduce__ is object.__reduce__
            assert kind.__reduce_ex__ is object.__reduce_ex__
            assert not issubclass(kind, (dict, list))
            assert "__del__" not in vars(kind)

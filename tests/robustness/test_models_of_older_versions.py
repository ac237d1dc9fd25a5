"""Models and checkpoints that released versions have written load, predict and go on training."""

import importlib
import json
import pickle
import re
from copy import deepcopy
from dataclasses import MISSING, fields, is_dataclass
from inspect import signature
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.base import clone

import skcnn.training
from skcnn import ScratchCNNClassifier, ScratchCNNRegressor
from skcnn._estimator import auto, parameters
from skcnn._migration import ADDED, FORMAT
from skcnn.layers import Conv2d, Dense, Flatten
from skcnn.network import Network
from skcnn.persistence import trusted_types
from skcnn.state import TrainingState
from tests.shared import assert_same_model
from tests.stored import write

# Pipelines hold estimators of scikit-learn, which warn where another version has written them.
# They only centre and scale, which is the same in all versions.
pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.InconsistentVersionWarning",
)

FOLDERS = {path.parent.name: path.parent for path in sorted(write.HERE.glob("*/fields.json"))}
MODELS = {
    f"{version} {name}": (folder / f"{name}.joblib", target)
    for version, folder in FOLDERS.items()
    for name, _, target in write.models()
    if (folder / f"{name}.joblib").exists()
}
FITTED = [case for case, (_, target) in MODELS.items() if target is not None]
CONTINUED = [case for case in FITTED if "pipeline" not in case]
CHECKPOINTS = {
    f"{version} {name}": (folder / f"{name}.checkpoint", model, target)
    for version, folder in FOLDERS.items()
    for name, model, target in write.trainings()
    if (folder / f"{name}.checkpoint").exists()
}

# BLAS adds in another order on other processors and in other versions of NumPy, and convolutions
# are computed in other ways than they were: the bits are those of one machine and version.
ROUNDING = {"rtol": 1e-5, "atol": 1e-6}
# Training takes that further.
TRAINED = {"rtol": 1e-2, "atol": 3e-3}


def load(case):
    return joblib.load(MODELS[case][0])


def expected(path, file="expected.npz"):
    with np.load(path.parent / file) as arrays:
        return dict(arrays)


def estimator(model):
    """The one of this package."""
    return model[-1] if hasattr(model, "steps") else model


def change_the_recipe(monkeypatch):
    """Another version of the package: nothing that is "auto" means what it meant."""
    other = {
        "filters": (2,), "kernel_size": 1, "pool_size": 1, "hidden_layer_sizes": (3,),
        "normalization": None, "global_pool": True, "random_shift": 1, "pool_first": False,
    }  # fmt: skip
    monkeypatch.setattr(auto, "recipe", lambda image_shape, *, keep_position: other)
    monkeypatch.setattr(auto, "EPOCHS", {0: 2})
    monkeypatch.setattr(auto, "STEPS", 3)
    monkeypatch.setattr(auto, "ANNEALED", 1e-5)
    monkeypatch.setattr(auto, "CONSTANT", 1e-6)
    monkeypatch.setattr(auto, "BATCH_SIZES", {0: 7})
    monkeypatch.setattr(auto, "BATCH_SIZES_OF_IMAGES", {0: 7})
    monkeypatch.setattr(auto, "WEIGHT_DECAY", 0.5)
    monkeypatch.setattr(auto, "PATIENCE", 1)
    for kind in (ScratchCNNClassifier, ScratchCNNRegressor):
        monkeypatch.setattr(kind, "_auto_tol", 0.7)
        monkeypatch.setattr(kind, "_auto_weight_decay", {0: 0.4})


def forbid_building(monkeypatch):
    """Networks that are there are not built again, whatever `cnn` has become."""

    def cnn(**parameters):
        raise AssertionError("the model has its layers")

    monkeypatch.setattr(parameters, "cnn", cnn)


# What is stored


def test_every_released_version_has_stored_models():
    changelog = (Path(__file__).parents[2] / "CHANGELOG.md").read_text(encoding="utf-8")
    assert set(FOLDERS) == set(re.findall(r"^## \[(\d+\.\d+\.\d+)\]", changelog, re.MULTILINE))
    for folder in FOLDERS.values():
        of_this = [case for case in FITTED if case.startswith(f"{folder.name} ")]
        assert sum(path.stat().st_size for path in folder.iterdir()) < 800_000
        told = set(expected(folder / "expected.npz")) - {"X"}
        assert {case.split()[1] for case in of_this} == {name.split()[0] for name in told}


# Loading and predicting


@pytest.mark.parametrize("case", FITTED)
def test_predictions_are_those_of_the_version_that_wrote_the_model(case):
    path, _ = MODELS[case]
    told = expected(path)
    model = load(case)
    found = write.predictions(model, told["X"])
    np.testing.assert_allclose(found, told[path.stem], **ROUNDING)
    for again in (deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert np.array_equal(write.predictions(again, told["X"]), found)
        assert repr(again) == repr(model)
    assert repr(estimator(model).network_).startswith("Network([")
    assert str(estimator(model).summary())
    assert len(estimator(model).transform(told["X"])) == len(told["X"])
    fresh = clone(model)
    assert not hasattr(estimator(fresh), "weights_")
    assert str(fresh.get_params()) == str(model.get_params())


@pytest.mark.parametrize("case", MODELS)
def test_a_loaded_model_has_all_attributes_of_a_new_one(case):
    path, _ = MODELS[case]
    model = estimator(load(case))
    (new,) = (
        estimator(write.fitted(model, target))
        for name, model, target in write.models()
        if name == path.stem
    )
    assert vars(model).keys() - {"_sklearn_output_config"} == vars(new).keys()
    assert vars(model).get("_training_state", new).__class__ in (type(new), TrainingState)
    if "_training_state" in vars(new):
        kept = {name: type(each) for name, each in vars(new._training_state).items()}
        assert kept == {name: type(each) for name, each in vars(model._training_state).items()}


def test_what_0_1_0_did_not_have_means_what_it_did():
    for case in MODELS:
        if case.startswith("0.1.0"):
            model = estimator(load(case))
            assert model.normalization is None
            assert model.global_pool is False
            assert model.label_smoothing == 0.0
            if hasattr(model, "_training_state"):
                assert model._training_state.averaged == 2**31  # its rate is that of the layer
                assert model._training_state.finely is False
    fresh = load("0.1.0 unfitted").fit(write.X, write.y)
    assert [type(layer).__name__ for layer in fresh.layers_] == [
        type(layer).__name__ for layer in load("0.1.0 small_classifier").layers_
    ]


@pytest.mark.parametrize(
    "case", [case for case in MODELS if (MODELS[case][0].with_suffix(".skops")).exists()]
)
def test_skops_reads_what_it_has_written_of_earlier_versions(case):
    skops = pytest.importorskip("skops.io", reason="skops reads its files")
    path, target = MODELS[case]
    path, told = path.with_suffix(".skops"), expected(path)
    assert set(skops.get_untrusted_types(file=path)) <= set(trusted_types())
    model = skops.load(path, trusted=trusted_types())
    assert np.array_equal(
        write.predictions(model, told["X"]), write.predictions(load(case), told["X"])
    )
    assert_same_model(write.continued(model, target), write.continued(load(case), target))


# Going on


@pytest.mark.parametrize("case", CONTINUED)
def test_training_goes_on_as_it_did_then(case):
    path, target = MODELS[case]
    told = expected(path)
    model = write.continued(load(case), target)
    assert model.n_iter_ > load(case).n_iter_
    limits = TRAINED
    if case.startswith("0.1.0") and "BatchNorm" in repr(model.layers_):
        limits = {"rtol": 0.1, "atol": 1e-3}  # its running variance was the unbiased one
    found = write.predictions(model, told["X"])
    np.testing.assert_allclose(found, told[f"{path.stem} continued"], **limits)


@pytest.mark.parametrize("case", CONTINUED)
def test_training_goes_on_by_the_models_own_recipe(case, monkeypatch):
    _, target = MODELS[case]
    before = write.continued(load(case), target)
    model = load(case)
    change_the_recipe(monkeypatch)
    forbid_building(monkeypatch)
    after = write.continued(model, target)
    assert_same_model(after, before)
    assert after.auto_params_ == before.auto_params_


WAYS = {
    "fit, then warm_start": lambda new, more: more(new().fit(X, Y).set_params(warm_start=True)),
    "warm_start": lambda new, more: more(new(warm_start=True).fit(X, Y)),
    "fit, then partial_fit": lambda new, more: more(new().fit(X, Y)),
    "partial_fit": lambda new, more: more(new().partial_fit(X, Y)),
    "initialize": lambda new, more: more(new().initialize(X, Y)),
    "without its state": lambda new, more: more(
        new(warm_start=True).fit(X, Y).drop_training_state()
    ),
}
X, Y = write.X, write.y.astype(float)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("given", [{}, {"filters": [2, 3], "lr_schedule": "cosine"}])
def test_models_of_this_version_go_on_by_their_own_recipe(way, given, monkeypatch):
    def new(**parameters):
        return ScratchCNNRegressor(random_state=0, **given, **parameters)

    def go_on(model):
        for _ in range(2):
            model = model.fit(X, Y) if model.warm_start else model.partial_fit(X, Y)
        return model

    def go_on_elsewhere(model):
        change_the_recipe(monkeypatch)
        forbid_building(monkeypatch)
        return go_on(pickle.loads(pickle.dumps(model)))

    before, after = WAYS[way](new, go_on), WAYS[way](new, go_on_elsewhere)
    assert_same_model(after, before)
    assert after.auto_params_ == before.auto_params_


@pytest.mark.parametrize(
    "changed",
    [
        {"filters": 5},
        {"activation": "tanh"},
        {"hidden_layer_sizes": (4, 4)},
        {"normalization": "batch"},
        {"layers": [Conv2d(2, 3), Flatten()]},
    ],
)
@pytest.mark.parametrize("version", FOLDERS)
def test_parameters_that_contradict_the_model_are_refused(version, changed):
    model = load(f"{version} warm_start")
    if version != "0.1.0" and "normalization" in changed:
        changed = {"normalization": None}
    before = vars(deepcopy(model))
    for call in (lambda: model.fit(X, write.y), lambda: model.partial_fit(X, write.y)):
        model.set_params(**changed)
        with pytest.raises(ValueError, match="can only continue the same network"):
            call()
    assert np.array_equal(model.weights_, before["weights_"])


@pytest.mark.parametrize("version", FOLDERS)
def test_parameters_that_say_the_same_in_other_words_are_not(version):
    before = load(f"{version} warm_start").fit(X, write.y)
    kernels = {} if version == "0.1.0" else {"kernel_size": 3, "normalization": "batch"}
    for same in ({"filters": [3]}, {"filters": np.array([3])}, {"filters": "auto"}, kernels):
        after = load(f"{version} warm_start").set_params(**same).fit(X, write.y)
        assert_same_model(after, before)


def test_auto_that_a_model_has_no_value_for_is_the_recipes(monkeypatch):
    model = load("0.1.0 warm_start").set_params(lr="auto", weight_decay="auto", max_iter="auto")
    change_the_recipe(monkeypatch)
    model.fit(X, write.y)
    assert model.auto_params_ == {"lr": 8e-3, "weight_decay": 0.4, "max_iter": 3}
    assert len(model.loss_curve_) == 2 + 3


# Checkpoints


@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize("case", CHECKPOINTS)
def test_checkpoints_are_resumed_by_their_own_recipe(case, changed, monkeypatch):
    path, model, target = CHECKPOINTS[case]
    told = expected(path, "checkpoints.npz")[path.stem]
    if changed:
        change_the_recipe(monkeypatch)
    resumed = clone(model).resume(path, X, target)
    found = write.predictions(resumed, expected(path)["X"])
    # in 75 epochs roundings grow
    np.testing.assert_allclose(
        found, told, **TRAINED if "untouched" not in case else {"atol": 0.02}
    )
    assert len(resumed.loss_curve_) == resumed.n_iter_ > 1


@pytest.mark.parametrize("case", CHECKPOINTS)
def test_checkpoints_refuse_values_that_are_given_and_others(case):
    path, model, target = CHECKPOINTS[case]
    with pytest.raises(ValueError, match=r"different weight_decay: 0\.00[36] there, 0\.004 here"):
        clone(model).set_params(weight_decay=0.004).resume(path, X, target)


@pytest.mark.parametrize("given", [{}, {"filters": 2}, {"early_stopping": True, "tol": 1e-6}])
def test_checkpoints_of_this_version_carry_their_recipe(given, tmp_path, monkeypatch):
    pytest.importorskip("sklearn.callback", reason="callbacks came with scikit-learn 1.9")
    from skcnn.callbacks import Checkpoint

    def new(**parameters):
        return ScratchCNNClassifier(random_state=0, **given)

    Y = np.arange(len(X)) % 2
    whole = new().fit(X, Y)
    path = tmp_path / "training.checkpoint"
    new().set_callbacks(Checkpoint(path), write.Stop()).fit(X, Y)
    change_the_recipe(monkeypatch)
    resumed = new().resume(path, X, Y)
    assert_same_model(resumed, whole)
    assert resumed.auto_params_ == whole.auto_params_
    further = [
        model.partial_fit(X, Y) for model in (whole, resumed) if not given.get("early_stopping")
    ]
    if further:
        assert further[0].auto_params_ == further[1].auto_params_


# States


def test_a_pickled_network_is_its_layers_shape_and_dtype():
    network = Network([Conv2d(2, 3), Flatten(), Dense(3)], (1, 8, 8))
    network.forward(np.zeros((3, 1, 8, 8)), network.init(np.random.default_rng(0)))
    state = network.__getstate__()
    assert state.keys() == {"layers", "input_shape", "dtype", "_pickle_format"}
    again = pickle.loads(pickle.dumps(network))
    assert again == network
    assert vars(again).keys() == vars(network).keys() - {"cost"}  # computed on demand
    assert again.shapes == network.shapes


@pytest.mark.parametrize(
    "kind", [ScratchCNNClassifier(), Network([Flatten(), Dense(3)], (1, 2, 2))]
)
def test_newer_formats_are_refused_by_name(kind):
    state = {**kind.__getstate__(), "_pickle_format": FORMAT + 1}
    empty = type(kind).__new__(type(kind))
    with pytest.raises(ValueError, match=rf"newer version of skcnn \(format {FORMAT + 1}\)"):
        empty.__setstate__(state)
    with pytest.raises(ValueError, match="_pickle_format is 'new'"):
        empty.__setstate__({**state, "_pickle_format": "new"})
    assert vars(empty) == {}


def test_the_state_of_0_1_0_is_found_under_its_old_path():
    assert skcnn.training.TrainingState is TrainingState
    assert "TrainingState" in skcnn.training.__all__
    assert pickle.loads(b"cskcnn.training\nTrainingState\n.") is TrainingState


def parameters_of(kind):
    if is_dataclass(kind):
        return {
            each.name: None if each.default is MISSING else repr(each.default)
            for each in fields(kind)
        }
    return {name: repr(each.default) for name, each in signature(kind).parameters.items()}


@pytest.mark.parametrize("version", FOLDERS)
def test_every_parameter_that_was_added_has_the_value_that_means_the_old_behaviour(version):
    text = (FOLDERS[version] / "fields.json").read_text(encoding="utf-8")
    for path, then in json.loads(text).items():
        module, _, name = path.rpartition(".")
        kind = getattr(importlib.import_module(module), name)
        now = parameters_of(kind)
        old = {}
        for each in reversed(kind.__mro__):
            old |= ADDED.get(f"{each.__module__}.{each.__qualname__}", {})
        assert now.keys() - then.keys() <= old.keys(), "an entry of skcnn._migration.ADDED lacks"
        assert then.keys() <= now.keys(), "what is removed needs a migration"
        if is_dataclass(kind):  # checkpoints tell what is not at its default
            for parameter, default in then.items():
                assert now[parameter] == default
            if not then:  # pickle has no state to migrate
                assert all(repr(old[parameter]) == now[parameter] for parameter in now)


def test_states_are_completed_by_what_was_added(monkeypatch):
    state = {"filters": 2, "kernel_size": 3}
    monkeypatch.setitem(ADDED, "skcnn.layers.convolution.Conv2d", {"stride": 2, "filters": 9})
    layer = Conv2d.__new__(Conv2d)
    layer.__setstate__(state)
    assert (layer.filters, layer.stride, layer.padding) == (2, 2, 0)
    assert deepcopy(Conv2d(4, 5, stride=3)) == Conv2d(4, 5, stride=3)

"""Bad input: every trial ends in an error that names its argument, or in a model that is right.

A case is a dict of plain values, which `draw` makes of a seed and `run` tries:

- "target": what is called, such as "fit" or "summary"; "estimator": "classifier" or "regressor";
- "form": the form of `X`; "fitted": whether the estimator was fitted before;
- "junk": a list of [where, name of a value in `values`], such as ["lr", "nan"].
"""

import contextlib
import functools
import io
import warnings
from dataclasses import fields

import numpy as np
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning

from skcnn import (
    ScratchCNNClassifier,
    ScratchCNNRegressor,
    architectures,
    layers,
    optimizers,
    schedules,
    summary,
)
from skcnn import initializers as inits
from skcnn.datasets import load_idx, load_mnist
from skcnn.network import Network
from tests.robustness.fuzz.checking import Refused, call, judged, refusing
from tests.robustness.fuzz.values import JUNK, MISSING, ODD, SAME, SAME_1D, SAME_2D

FORMS = {"flat": (16,), "grey": (4, 4), "first": (1, 4, 4), "colour": (4, 5, 3), "signal": (7,)}
CLASSES = {"classifier": ScratchCNNClassifier, "regressor": ScratchCNNRegressor}
TINY = {
    "filters": 2, "kernel_size": 3, "pool_size": 2, "hidden_layer_sizes": (), "batch_size": 8,
    "max_iter": 1, "random_state": 0,
}  # fmt: skip
N = 12
ALLOWED = (ConvergenceWarning, DataConversionWarning)

LAYERS = {
    "Conv2d": (2, 3), "ConvTranspose2d": (2, 3), "MaxPool2d": (2,), "AvgPool2d": (2,),
    "GlobalAvgPool2d": (), "GlobalMaxPool2d": (), "BatchNorm": (), "LayerNorm": (),
    "GroupNorm": (2,), "Dropout": (0.5,), "GaussianNoise": (0.1,), "LocalResponseNorm": (),
    "LeakyReLU": (), "ELU": (), "GELU": (), "SiLU": (), "Softmax": (), "PadChannels": (4,),
    "RandomCrop": (1,), "RandomFlip": (), "RandomRotation": (10,), "RandomScale": (0.1,),
    "RandomShift": (1,),
    "Dense": (3,), "FixedConv": (), "PPVPool": (2,), "Residual": ([layers.ReLU()],),
    "Add": ([[], [layers.ReLU()]],), "Concatenate": ([[], [layers.ReLU()]],),
    "Frozen": ([layers.ReLU()],),
}  # fmt: skip
PARTS = {
    "optimizer": [getattr(optimizers, name) for name in optimizers.__all__ if name != "Optimizer"],
    "lr_schedule": [getattr(schedules, name) for name in schedules.__all__ if name != "Schedule"],
}
FUNCTIONS = {
    "summary": (summary, {"layers": [], "image_shape": (4, 4), "n_classes": 3, "dtype": "f4"}),
    "network": (Network, {"layers": [], "input_shape": (1, 4, 4), "dtype": "f4"}),
    "load_idx": (load_idx, {"path": "nowhere"}),
    "load_mnist": (load_mnist, {"folder": "nowhere", "subset": "train"}),
    "cnn": (
        architectures.cnn,
        {
            "filters": 2, "kernel_size": 3, "pool_size": 2, "hidden_layer_sizes": 3,
            "activation": "relu", "dropout": 0.0, "normalization": None, "global_pool": False,
            "random_shift": 1, "pool_first": True,
        },
    ),
}  # fmt: skip
METHODS = {
    "network forward": ["X", "vector", "rng", "weights"],
    "network vjp": ["X", "vector", "dY"],
}


def data(form):
    """Images, classes, quantities and weights."""
    rng = np.random.default_rng(5)
    X = rng.random((N, *FORMS[form]))
    return X, np.arange(N) % 2, X.reshape(N, -1)[:, 0] * 3 + 1, rng.integers(1, 4, N) * 1.0


def draw(seed):
    """The case of a seed."""
    rng = np.random.default_rng(seed)

    def choice(options):
        options = list(options)
        return options[rng.integers(len(options))]

    case = {
        "target": choice(
            ["parameter"] * 5 + ["layer"] * 3
            + ["nested", "part", "function", "set_weights", "method"]
            + ["fit"] * 8
            + ["partial_fit"] * 3 + ["predict"] * 4
        ),
        "estimator": choice(CLASSES),
        "form": choice(FORMS),
        "fitted": bool(rng.integers(2)),
    }  # fmt: skip
    target = case["target"]
    model = CLASSES[case["estimator"]]
    if target == "parameter":
        names = sorted(model().get_params(deep=False))
        count = 1 if rng.random() < 0.8 else 2
        case["junk"] = [[str(choice(names)), choice(JUNK)] for _ in range(count)]
        case["warm"] = bool(rng.integers(2))
        case["stop"] = bool(rng.integers(2))
    elif target == "layer":
        name = choice(LAYERS)
        told = [field.name for field in fields(getattr(layers, name))] or ["nothing"]
        case["layer"] = name
        case["junk"] = [[choice(told), choice(JUNK)]]
    elif target == "part":
        case["parameter"] = choice(PARTS)
        index = int(rng.integers(len(PARTS[case["parameter"]])))
        case["class"] = PARTS[case["parameter"]][index].__name__
        told = [field.name for field in fields(PARTS[case["parameter"]][index])] or ["nothing"]
        case["junk"] = [[choice(told), choice(JUNK)]]
    elif target == "nested":
        paths = [
            "layers__0__filters", "layers__0__kernel_size", "layers__0__initializer__sigma",
            "layers__0__initializer", "layers__1", "layers__99__x", "layers__x", "layers__0__",
            "optimizer__momentum", "optimizer__x", "lr_schedule__horizon", "lr_schedule__",
            "nothing__at__all", "lr__x", "layers__1__rate", "layers____filters", "__class__",
        ]  # fmt: skip
        case["junk"] = [[choice(paths), choice(JUNK)]]
    elif target == "function":
        case["function"] = choice(FUNCTIONS)
        case["junk"] = [[choice(FUNCTIONS[case["function"]][1]), choice(JUNK)]]
    elif target == "method":
        case["method"] = choice(METHODS)
        case["junk"] = [[choice(METHODS[case["method"]]), choice([*ODD, *JUNK])]]
    elif target == "set_weights":
        case["fitted"] = True
        case["junk"] = [["arrays", choice(["list", "entry", "array"]), choice([*ODD, *JUNK])]]
    elif target == "predict":
        case["fitted"] = True
        case["method"] = choice(
            ["predict", "transform", "score"]
            + (["predict_proba", "predict_log_proba"] if case["estimator"] == "classifier" else [])
        )
        case["junk"] = [["X", choice([*ODD, *same_for("X", case["form"])])]]
    else:
        names = ["X", "X", "y", "y", "sample_weight"]
        if target == "fit":
            names += ["X_val", "y_val", "sample_weight_val"]
        elif case["estimator"] == "classifier":
            names += ["classes"]
        count = 1 if rng.random() < 0.85 else 2
        picked = list(dict.fromkeys(str(choice(names)) for _ in range(count)))
        case["junk"] = [[name, choice([*ODD, *same_for(name, case["form"])])] for name in picked]
        case["several"] = bool(rng.random() < 0.25)
        case["scale"] = bool(rng.random() < 0.8)
    return case


def only_same(case):
    """Whether every argument holds the same numbers as the plain array."""
    if case["target"] not in ("fit", "partial_fit", "predict"):
        return False
    # several labels a row do not go into what has one axis; objects are no labels to scikit-learn
    odd = {*ODD, "objects", *(SAME_1D if case.get("several") else ())}
    return not any(value in odd for _, value in case["junk"])


def same_for(name, form):
    """Containers that can hold this argument."""
    if name in ("X", "X_val"):
        return [*SAME, *(SAME_2D if form in ("flat", "signal") else [])]
    return [*SAME, *SAME_1D]


def made(name, values=None):
    """The value of a name, of these values where it is an array."""
    for table in (SAME, SAME_1D, SAME_2D, ODD):
        if values is not None and name in table:
            try:
                return table[name](values)
            except Exception as error:  # of the container, such as a series of two axes
                raise Unmade from error
    return JUNK[name]()


class Unmade(Exception):
    """There is no such array."""


def run(case):
    """Try it; a text that says what went wrong, or None."""
    with (
        warnings.catch_warnings(record=True) as caught,
        contextlib.redirect_stdout(io.StringIO()),
    ):
        warnings.simplefilter("always")
        try:
            problem = TARGETS[case["target"]](case)
        except Unmade:
            problem = None
        except Refused as refused:
            problem = refused.problem
            if problem is None and only_same(case):
                problem = f"refuses the same numbers: {refused}"
        except Exception as error:  # of a model that was fitted without one
            problem = f"afterwards {type(error).__name__}: {str(error)[:300]}"
    for warning in caught:
        if case["target"] == "method" and warning.category is RuntimeWarning:
            continue  # the network computes what it is told to
        if not (issubclass(warning.category, ALLOWED) or warning.category is UserWarning):
            return f"leaks {warning.category.__name__}: {warning.message}"
    return problem


@functools.cache
def fitted(kind, form, **parameters):
    X, classes, quantities, _ = data(form)
    model = CLASSES[kind](**TINY | parameters)
    return model.fit(X, classes if kind == "classifier" else quantities)


def start(case, **parameters):
    """An estimator, fitted where the case says so."""
    model = CLASSES[case["estimator"]](**TINY | parameters)
    if case["fitted"]:
        source = fitted(case["estimator"], case["form"])
        model.__dict__ |= {
            name: value for name, value in vars(source).items() if name not in model.get_params()
        }
    return model


def try_parameter(case):
    junk = {name: made(value) for name, value in case["junk"]}
    model = start(case, warm_start=case["warm"], early_stopping=case["stop"])
    model.set_params(**junk)
    repr(model)
    X, classes, quantities, _ = data(case["form"])
    y = classes if case["estimator"] == "classifier" else quantities
    names = list(junk)
    if case["fitted"] and model.warm_start is True:  # another network than before
        names += ["same network", "loss='poisson'"]
    call(model, names, lambda: model.fit(X, y))
    return judged(model, X)


def try_layer(case):
    ((name, value),) = case["junk"]
    junk = made(value)
    kind = getattr(layers, case["layer"])
    told = [field.name for field in fields(kind)]
    arguments = dict(zip(told, LAYERS[case["layer"]], strict=False))
    with refusing([name], ()):
        layer = kind(**arguments | {name: junk})
        repr(layer)
    before = [layers.Flatten()] if case["layer"] == "Dense" else []
    X, classes, quantities, _ = data(case["form"])
    y = classes if case["estimator"] == "classifier" else quantities
    model = start(case, layers=[*before, layer])
    call(model, [name], lambda: model.fit(X, y))
    return judged(model, X)


def try_part(case):
    ((name, value),) = case["junk"]
    (kind,) = (k for k in PARTS[case["parameter"]] if k.__name__ == case["class"])
    X, classes, quantities, _ = data(case["form"])
    y = classes if case["estimator"] == "classifier" else quantities
    with refusing([name]):
        part = kind(**{name: made(value)})
    model = start(case, **{case["parameter"]: part})
    call(model, [name], lambda: model.fit(X, y))
    return judged(model, X)


def try_nested(case):
    ((path, value),) = case["junk"]
    conv = layers.Conv2d(2, 2, padding=1, initializer=inits.Gaussian())
    model = start(
        case,
        layers=[conv, layers.Dropout(0.1)],
        optimizer=optimizers.SGD(),
        lr_schedule=schedules.Cosine(),
    )
    X, classes, quantities, _ = data(case["form"])
    y = classes if case["estimator"] == "classifier" else quantities
    steps = [step for step in path.split("__") if step and not step.isdigit()]
    names = ["Invalid parameter", *steps]
    call(model, names, lambda: model.set_params(**{path: made(value)}))
    call(model, names, lambda: model.fit(X, y))
    return judged(model, X)


def try_function(case):
    function, arguments = FUNCTIONS[case["function"]]
    ((name, value),) = case["junk"]
    other = (OSError,) if case["function"].startswith("load") else ()
    names = [name, "nowhere", "Dense(units="] if name in ("n_classes", "subset") else [name]
    with refusing(
        names + ["has none of the files", "No such file", "directory"] * bool(other), other
    ):
        function(**arguments | {name: made(value)})
    return None


def try_method(case):
    network = Network([layers.Conv2d(2, 3), layers.Flatten(), layers.Dense(3)], (1, 4, 4))
    X = np.random.default_rng(0).random((3, 1, 4, 4))
    vector = network.init(np.random.default_rng(0))
    arguments = {"X": X, "vector": vector}
    if case["method"] == "network forward":
        arguments |= {"rng": None, "weights": np.ones(3)}
        method = network.forward
    else:
        arguments |= {"dY": np.ones((3, 3))}
        method = network.vjp
    ((name, value),) = case["junk"]
    values = arguments[name] if arguments[name] is not None else np.ones(3)
    junk = made(value, values)
    others = ["weights", "dY"] if name == "X" else []  # which are then not as many as the images
    with refusing([name, *others]):
        method(**arguments | {name: junk})
    return None


def try_set_weights(case):
    model = start(case)
    ((_, where, value),) = case["junk"]
    arrays = model.network_.unpack(model.weights_.copy())
    name, first = next(iter(arrays[0].items()))  # in a sum it is "0.0.weight"
    if where == "list":
        arrays = made(value, first)
    elif where == "entry":
        arrays[0] = made(value, first)
    else:
        arrays[0][name] = made(value, first)
    call(model, ["arrays"], lambda: model.set_weights(arrays))
    with contextlib.suppress(ValueError):  # weights of any size may overflow
        return judged(model, data(case["form"])[0])
    return None


def try_predict(case):
    model = start(case)
    X, classes, quantities, _ = data(case["form"])
    ((_, value),) = case["junk"]
    bad = made(value, X)
    method = getattr(model, case["method"])
    arguments = () if case["method"] != "score" else (
        (classes if case["estimator"] == "classifier" else quantities),
    )  # fmt: skip
    names = ["X", "y", "inconsistent numbers of samples"] if arguments else ["X"]
    found = call(model, names, lambda: method(bad, *arguments))
    if not np.isfinite(np.asarray(found, dtype=np.float64)).all():
        return "answers are not finite"
    if value in SAME and not np.array_equal(found, method(X, *arguments)):
        return "answers differ from those of the plain array"
    return None


def try_fit(case):
    names = [name for name, _ in case["junk"]]
    X, classes, quantities, weights = data(case["form"])
    y = classes if case["estimator"] == "classifier" else quantities
    if case["several"]:
        other = np.roll(y, 1 if case["estimator"] == "regressor" else 3) * 1
        y = np.column_stack([y, other])
    plain = {"X": X, "y": y}
    if "sample_weight" in names:
        plain["sample_weight"] = weights
    stops = any(name.endswith("_val") for name in names)
    if stops:
        plain |= {"X_val": X[::-1].copy(), "y_val": y[::-1].copy()}
    if "sample_weight_val" in names:
        plain["sample_weight_val"] = weights
    part = case["target"] == "partial_fit"
    if (part and case["estimator"] == "classifier" and not case["several"]) or "classes" in names:
        plain["classes"] = np.arange(2)
    parameters = {"early_stopping": stops, "scale_input": case["scale"]}
    model = start(case | {"fitted": case["fitted"] and not part and not stops}, **parameters)
    bad = dict(plain)
    for name, value in case["junk"]:
        bad[name] = made(value, plain[name])
    if "y" in names:
        names = [*names, "classes"]  # of what is in y
    method = "partial_fit" if part else "fit"
    call(model, names, lambda: getattr(model, method)(**bad))
    if any(value in MISSING and name in ("y", "y_val", "classes") for name, value in case["junk"]):
        return "takes missing labels"
    odd = [value for _, value in case["junk"] if value in ODD]
    if not odd:
        good = getattr(CLASSES[case["estimator"]](**TINY | parameters), method)(**plain)
        if not np.array_equal(good.weights_, model.weights_):
            return "differs from the fit on plain arrays"
        return judged(model, X)
    if "X" in [name for name, _ in case["junk"]]:
        if isinstance(bad["X"], np.ndarray) and bad["X"].dtype.kind in "biuf":
            with contextlib.suppress(ValueError):
                return judged(model, bad["X"])
        return None
    return judged(model, X)


TARGETS = {
    "parameter": try_parameter, "layer": try_layer, "part": try_part, "nested": try_nested,
    "function": try_function, "method": try_method, "set_weights": try_set_weights,
    "predict": try_predict, "fit": try_fit, "partial_fit": try_fit,
}  # fmt: skip

"""Valid settings: random parameters on small data, and what must hold whatever they are.

A case is a dict of plain values: "estimator", "form", "several", "dtype", "parameters" (names of
values in `CHOICES` where they are objects) and "checks".
"""

import pickle
import warnings

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from skcnn import ScratchCNNClassifier, ScratchCNNRegressor, layers, optimizers, schedules
from tests.robustness.fuzz.values import made_in

FORMS = {
    "flat": (16,), "grey": (5, 6), "first": (3, 5, 6), "last": (5, 6, 3), "signal": (13,),
    "signals": (2, 1, 9), "standing": (2, 9, 1), "bands": (6, 7, 5), "narrow": (2, 16),
}  # fmt: skip
CLASSES = {"classifier": ScratchCNNClassifier, "regressor": ScratchCNNRegressor}
N = 26

OBJECTS = {
    "residual": lambda: [
        layers.Conv2d(3, 3, padding=1), layers.BatchNorm(),
        layers.Residual([layers.ReLU(), layers.Conv2d(3, 3, padding=1)]), layers.GlobalAvgPool2d(),
    ],
    "branches": lambda: [
        layers.Concatenate([[], [layers.Conv2d(3, 3, padding=1), layers.BatchNorm()]]),
        layers.Add([layers.ReLU(), layers.Tanh()]), layers.Frozen([layers.Conv2d(3, 1)]),
        layers.GlobalAvgPool2d(),
    ],
    "augmented": lambda: [
        layers.RandomCrop(1), layers.RandomFlip(), layers.Conv2d(3, 3, padding="same", clip=True),
        layers.Tanh(), layers.AvgPool2d(2, clip=True), layers.Dropout(0.3),
    ],
    "dense": lambda: [layers.Flatten(), layers.Dense(5), layers.GELU()],
    "linear": list,
    "leaky": lambda: layers.LeakyReLU(0.2),
    "momentum": lambda: optimizers.SGD(0.5, nesterov=False),
    "warm up": lambda: schedules.WarmUp(1),
    "cosine of 5": lambda: schedules.Cosine(horizon=5),
}  # fmt: skip
CHOICES = {
    "filters": [2, [3], [2, 4]],
    "kernel_size": ["auto", 1, 3, 5, [3, 2]],
    "pool_size": ["auto", 1, 2, 3],
    "hidden_layer_sizes": [[], 4, [5, 3]],
    "activation": ["relu", "leaky_relu", "elu", "gelu", "silu", "sigmoid", "tanh", "leaky"],
    "dropout": [0.0, 0.0, 0.4],
    "normalization": ["auto", "batch", "layer", None],
    "global_pool": ["auto", True, False],
    "random_shift": ["auto", 0, 1, [0, 2], 3],
    "scale_input": [True, True, False],
    "optimizer": ["adam", "adamw", "sgd", "rmsprop", "adagrad", "momentum"],
    "lr": ["auto", 1e-3, 1e-2],
    "lr_schedule": ["auto", "constant", "step", "cosine", "one_cycle", "reduce_on_plateau",
                    "warm up", "cosine of 5"],
    "weight_decay": ["auto", 0.0, 0.1],
    "max_grad_norm": [None, 0.5],
    "batch_size": ["auto", 1, 5, 8, 100],
    "max_iter": [1, 2, 3],
    "shuffle": [True, True, False],
    "tol": ["auto", 0.0],
    "n_iter_no_change": ["auto", None, 1],
    "dtype": [None, None, "float32", "float64"],
    "random_state": [0, 1, 12345],
}  # fmt: skip
OWN = {
    "classifier": {"label_smoothing": [0.0, 0.1], "class_weight": [None, None, "balanced"]},
    "regressor": {
        "loss": ["squared_error", "absolute_error", "huber", "poisson", "quantile"],
        "quantile": [0.5, 0.1],
    },
}
LAYERS = ["residual", "augmented", "dense", "linear"]


def draw(seed):
    """The case of a seed."""
    rng = np.random.default_rng([seed, 1])

    def choice(options):
        options = list(options)
        return options[rng.integers(len(options))]

    kind, form = choice(CLASSES), choice(FORMS)
    parameters = {
        name: choice(values)
        for name, values in {**CHOICES, **OWN[kind]}.items()
        if rng.random() < 0.7 or name in ("random_state", "max_iter", "filters")
    }
    if rng.random() < 0.3:
        parameters["layers"] = choice(LAYERS)
        if parameters["layers"] == "augmented" and form.startswith("signal"):
            parameters["layers"] = "dense"  # there is nothing to crop
    several = bool(rng.random() < 0.3)
    if several and kind == "classifier":
        parameters.pop("class_weight", None)
    checks = [name for name in CHECKS if rng.random() < 0.35]
    return {
        "estimator": kind,
        "form": form,
        "several": several,
        "dtype": choice(["f8", "f8", "f4", "u1", "i2"]),
        "parameters": parameters,
        "weighted": bool(rng.random() < 0.3),
        "stops": bool(rng.random() < 0.2),
        "checks": checks,
    }


class Trial:
    """The data of a case, and estimators with its parameters."""

    def __init__(self, case):
        self.case = case
        rng = np.random.default_rng(3)
        self.X = (rng.random((N, *FORMS[case["form"]])) * 200).astype(case["dtype"])
        mean = self.X.reshape(N, -1).astype(float).mean(axis=1)
        if case["estimator"] == "regressor":
            self.y = np.column_stack([mean, mean**2]) if case["several"] else mean
        elif case["several"]:
            self.y = np.column_stack([mean > np.median(mean), rng.integers(2, size=N)]).astype(int)
        else:
            self.y = np.digitize(mean, np.quantile(mean, [0.3, 0.6]))
        self.weights = rng.integers(1, 4, N).astype(float) if case["weighted"] else None
        self.model = self.fit()

    def new(self, **parameters):
        values = {
            name: tuple(value) if isinstance(value, list)
            else OBJECTS[value]() if isinstance(value, str) and value in OBJECTS else value
            for name, value in self.case["parameters"].items()
        }  # fmt: skip
        stops = {"early_stopping": True, "validation_fraction": 0.2} if self.case["stops"] else {}
        return CLASSES[self.case["estimator"]](**values | stops | parameters)

    def fit(self, X=None, y=None, **parameters):
        X, y = self.X if X is None else X, self.y if y is None else y
        return self.new(**parameters).fit(X, y, self.weights)

    def answers(self, model, X=None):
        X = self.X if X is None else X
        ask = getattr(model, "predict_proba", model.predict)
        return ask(X)


def same(left, right):
    """Return the difference between two models that should be the same, or None."""
    if not np.array_equal(left.weights_, right.weights_):
        return "other weights"
    return None if left.loss_curve_ == right.loss_curve_ else "another history"


def refit(trial):
    return same(trial.model, trial.fit())


def pickled(trial):
    loaded = pickle.loads(pickle.dumps(trial.model))
    equal = np.array_equal(trial.answers(loaded), trial.answers(trial.model))
    return None if equal else "other answers"


def again(trial):
    equal = np.array_equal(trial.answers(trial.model), trial.answers(trial.model))
    return None if equal else "other answers the second time"


def orders(trial):
    for name in ("Fortran", "mapped", "strided", "read-only", "other bytes"):
        X = made_in(name, trial.X)
        if problem := same(trial.model, trial.fit(X)):
            return f"{name}: {problem}"
        if not np.array_equal(trial.answers(trial.model, X), trial.answers(trial.model)):
            return f"{name}: other answers"
    return None


def flat(trial):
    rows = trial.X.reshape(N, -1)
    order = trial.model._data_format
    shape = trial.model.image_shape_
    given = (*shape[1:], shape[0]) if order == "channels_last" else shape
    if not np.array_equal(trial.answers(trial.model, rows), trial.answers(trial.model)):
        return "other answers for flat rows"
    return same(trial.model, trial.fit(rows, image_shape=given, data_format=order))


def frame(trial):
    rows = pd.DataFrame(trial.X.reshape(N, -1))
    if trial.case["form"] not in ("flat", "signal"):
        return None
    return same(trial.model, trial.fit(rows))


def renamed(trial):
    if trial.case["estimator"] == "regressor" or trial.case["several"]:
        return None
    names = np.array(["ant", "bee", "cat"])
    model = trial.fit(y=names[trial.y])
    if problem := same(trial.model, model):
        return problem
    equal = np.array_equal(names[trial.model.predict(trial.X)], model.predict(trial.X))
    return None if equal else "other names"


def consistent(trial):
    if trial.case["estimator"] == "regressor":
        return None
    found, probabilities = trial.model.predict(trial.X), trial.answers(trial.model)
    if not np.isfinite(probabilities).all():
        return "probabilities are not finite"
    if trial.case["several"]:
        return None
    ties = np.isclose(np.sort(probabilities)[:, -1], np.sort(probabilities)[:, -2], rtol=1e-6)
    equal = (trial.model.classes_[probabilities.argmax(axis=1)] == found) | ties
    return None if equal.all() else "predict is not the argmax of predict_proba"


def row_by_row(trial):
    whole = trial.answers(trial.model).astype(float)
    rows = np.concatenate([trial.answers(trial.model, trial.X[i : i + 1]) for i in range(N)])
    exact = trial.model.weights_.dtype == np.float64
    tolerance = {"rtol": 1e-9, "atol": 1e-9} if exact else {"rtol": 2e-3, "atol": 1e-4}
    scale = max(1.0, np.abs(whole).max())
    close = np.allclose(rows / scale, whole / scale, **tolerance)
    return None if close else f"rows differ by {np.abs(rows - whole).max():g}"


def parts(trial):
    """Two trainings of one epoch are one of two, at a rate that does not change."""
    constant = {
        "lr_schedule": "constant", "n_iter_no_change": None, "early_stopping": False,
        "warm_start": True,
    }  # fmt: skip
    whole = trial.fit(max_iter=2, **constant)
    model = trial.fit(max_iter=1, **constant)
    model = pickle.loads(pickle.dumps(model)).fit(trial.X, trial.y, trial.weights)
    return same(whole, model)


def repeated(trial):
    """Integer weights are repetition, in one batch in which nothing is drawn."""
    if trial.case["stops"] or trial.case["parameters"].get("layers"):
        return None
    weights = np.random.default_rng(0).integers(1, 3, N)
    total = int(weights.sum())
    alone = {
        "batch_size": total, "shuffle": False, "dropout": 0.0, "dtype": "float64",
        "normalization": None, "max_iter": 2, "tol": 0.0, "lr_schedule": "constant",
        "lr": 1e-3, "n_iter_no_change": None, "optimizer": "sgd",
    }  # fmt: skip
    weighted = trial.new(**alone).fit(trial.X, trial.y, weights)
    rows = np.repeat(np.arange(N), weights)
    repeated = trial.new(**alone).fit(trial.X[rows], trial.y[rows])
    left, right = weighted.weights_, repeated.weights_
    scale = max(1.0, np.abs(right).max())
    if np.allclose(left, right, rtol=1e-6, atol=1e-8 * scale):
        return None
    return f"weights differ by {np.abs(left - right).max():g}"


def threads(trial):
    for n in (1, 2, 3):
        with threadpool_limits(n, user_api="blas"):
            if problem := same(trial.model, trial.fit()):
                return f"{n} threads: {problem}"
    return None


CHECKS = {
    check.__name__: check
    for check in (
        refit, pickled, again, orders, flat, frame, renamed, consistent, row_by_row, parts,
        repeated, threads,
    )
}  # fmt: skip


def run(case):
    """Try it; a text that says what went wrong, or None."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", message=".*(are taken as|is taken as|looks like).*")
        try:
            trial = Trial(case)
            for name in case["checks"]:
                if problem := CHECKS[name](trial):
                    return f"{name}: {problem}"
        except Exception as error:
            return f"{type(error).__name__}: {str(error)[:300]}"
    return None

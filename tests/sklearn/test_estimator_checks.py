"""scikit-learn's own estimator checks, for the default and for many settings."""

import ast
import os
import subprocess
import sys

import pytest
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from skcnn import ScratchCNNClassifier, ScratchCNNRegressor
from skcnn.layers import (
    Add,
    AvgPool2d,
    BatchNorm,
    Concatenate,
    Conv1d,
    Conv2d,
    Dense,
    Flatten,
    Frozen,
    GaussianNoise,
    GlobalMaxPool2d,
    GroupNorm,
    MaxPool1d,
    MaxPool2d,
    ReLU,
    Tanh,
)
from skcnn.optimizers import SGD
from skcnn.schedules import ReduceOnPlateau, WarmUp
from tests.shared import FIXED

# the recipe of the default takes its time in every fit of every check; with this it is quick
QUICK = {**FIXED, "filters": (32, 64), "hidden_layer_sizes": (128,), "max_iter": 50}
SETTINGS = [  # deterministic, float64, and one batch holds all rows of the equivalence check
    {},
    {"normalization": "batch", "lr_schedule": "one_cycle", "max_iter": 20},
    {"global_pool": True, "kernel_size": 7},
    {"random_shift": 2},
    {"label_smoothing": 0.1},
    {"optimizer": "sgd", "lr": 0.01},
    {"optimizer": SGD(momentum=0.5, nesterov=False), "lr": 0.05, "weight_decay": 0.0},
    {"activation": "tanh"},
    {"activation": "sigmoid", "lr": 1e-2},
    {"class_weight": "balanced"},
    {"scale_input": False},
    {"filters": 8},
    {"filters": (8, 8, 16)},
    {"hidden_layer_sizes": ()},
    {"hidden_layer_sizes": (32, 16), "kernel_size": (1, 5)},
    {"filters": (8, 8), "pool_size": [(1, 2), (2, 1)]},
    {"layers": [], "lr": 0.1},
    {"layers": [Flatten(), Dense(16), ReLU()], "lr": 1e-2},
    {"layers": [Conv2d(6, 3, padding="same"), Tanh(), Flatten(), Dense(20), ReLU()]},
    {
        "layers": [
            Conv2d(16, 3, padding="same"), ReLU(), AvgPool2d(2, stride=1, clip=True),
            MaxPool2d(2, clip=True),
        ],
        "lr": 1e-2,
    },
    {
        "layers": [
            Concatenate([[], [Conv2d(6, 3, padding="same"), BatchNorm()], MaxPool2d(3, 1, 1)]),
            ReLU(), Add([Conv2d(8, 1), [Conv2d(8, 3, padding="same"), ReLU()]]), Flatten(),
            Dense(20), ReLU(),
        ],
        "lr": 5e-3, "max_iter": 20,
    },
    {"layers": [Frozen([Conv2d(16, 3, padding="same"), ReLU()]), Flatten(), Dense(32), ReLU()]},
    {"normalization": "layer"},
    {
        "layers": [
            Conv2d(16, 3, padding="same"), GroupNorm(4), ReLU(),
            AvgPool2d(2, padding="same", count_include_pad=False), Flatten(), Dense(32), ReLU(),
        ],
        "lr": 1e-2,
    },
    {"layers": [Conv1d(32, 3, padding="same"), ReLU(), MaxPool1d(3, 1, "same")], "lr": 1e-2},
    {"layers": [Conv2d(64, 7, padding="same"), Tanh(), GlobalMaxPool2d()], "lr": 1e-2},
    {"shuffle": False, "batch_size": 64, "lr": 3e-3},
    {"optimizer": "adamw", "weight_decay": 1e-2},
    {"optimizer": "rmsprop"},
    {"optimizer": "adagrad", "lr": 2e-2},
    {"lr_schedule": "cosine", "lr": 3e-3},
    {"lr_schedule": "one_cycle", "lr": 1e-2},
    {"lr_schedule": WarmUp(2, then=ReduceOnPlateau()), "lr": 3e-3},
    {"max_grad_norm": 1.0, "lr": 3e-3},
    {"scoring": "accuracy"},
]  # fmt: skip
REGRESSORS = [
    {},
    {"normalization": "batch", "lr_schedule": "one_cycle", "max_iter": 20},
    {"loss": "absolute_error"},
    {"loss": "huber"},
    {"loss": "poisson"},
    {"loss": "quantile"},
    {"loss": "quantile", "quantile": 0.6},
    {"normalization": "layer"},
    {"optimizer": "sgd", "lr": 0.01, "weight_decay": 0.0},
    {"activation": "tanh", "scale_input": False},
    {"filters": 8, "hidden_layer_sizes": ()},
    {"layers": [], "lr": 0.05},
    {"layers": [Conv2d(6, 3, padding="same"), Tanh(), Flatten(), Dense(20), ReLU()]},
    {"layers": [Concatenate([[], Frozen([Conv2d(6, 3, padding="same"), Tanh()])]), Flatten()]},
    {"optimizer": "adamw", "lr_schedule": "one_cycle", "lr": 1e-2},
    {"max_grad_norm": 1.0, "shuffle": False, "scoring": "neg_mean_absolute_error"},
]
EQUIVALENCE = "check_sample_weight_equivalence_on_dense_data"
# no float32: predictions are held to 1e-7 for any order of the rows, and whether the last digits
# of float32 show there depends on the processor
NOT_EQUIVALENT = [
    ({"dropout": 0.3}, "dropout draws for another number of rows"),
    ({"early_stopping": True}, "another number of rows is held out"),
    ({"early_stopping": True, "scoring": "loss"}, "another number of rows is held out"),
    ({"early_stopping": True, "scoring": "balanced_accuracy"}, "another number is held out"),
    (
        {"early_stopping": True, "scoring": "neg_log_loss", "class_weight": "balanced"},
        "another number is held out",
    ),
    (
        {"layers": [GaussianNoise(0.1), Flatten(), Dense(32), ReLU()]},
        "noise is drawn for another number of rows",
    ),
    ({"batch_size": 8}, "15 weighted and 27 repeated rows make different batches"),
]
REGRESSORS_NOT_EQUIVALENT = [
    ({"dropout": 0.3}, "dropout draws for another number of rows"),
    ({"early_stopping": True}, "another number of rows is held out"),
    ({"batch_size": 8}, "15 weighted and 27 repeated rows make different batches"),
]

SEVERAL_LABELS = [
    "check_classifiers_multilabel_representation_invariance",
    "check_classifiers_multilabel_output_format_predict",
    "check_classifiers_multilabel_output_format_predict_proba",
    "check_classifiers_multilabel_output_format_decision_function",
]


def expected_failures(estimator):
    failures = {}
    if estimator.scoring in ("balanced_accuracy", "neg_log_loss"):
        reason = "scikit-learn does not define this score for several labels"
        failures = dict.fromkeys(SEVERAL_LABELS, reason)
    if getattr(estimator, "loss", None) == "poisson":
        failures = {"check_regressor_multioutput": "its targets are negative, which is an error"}
    classifier = isinstance(estimator, ScratchCNNClassifier)
    for setting, reason in NOT_EQUIVALENT if classifier else REGRESSORS_NOT_EQUIVALENT:
        if all(getattr(estimator, name) == value for name, value in setting.items()):
            return failures | {EQUIVALENCE: reason}
    return failures


@parametrize_with_checks([ScratchCNNClassifier(), ScratchCNNRegressor()])
def test_estimator_check(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(
    [ScratchCNNClassifier(**QUICK | setting) for setting in SETTINGS]
    + [ScratchCNNClassifier(**QUICK | setting) for setting, _ in NOT_EQUIVALENT]
    + [ScratchCNNRegressor(**QUICK | setting) for setting in REGRESSORS]
    + [ScratchCNNRegressor(**QUICK | setting) for setting, _ in REGRESSORS_NOT_EQUIVALENT],
    expected_failed_checks=expected_failures,
)
def test_estimator_check_of_settings(estimator, check):
    check(estimator)


def test_no_check_of_the_regressor_is_silenced_by_a_tag():
    tags = ScratchCNNRegressor().__sklearn_tags__()
    assert not tags.non_deterministic
    assert not tags.no_validation
    assert not tags.regressor_tags.poor_score
    assert tags.input_tags.two_d_array
    assert tags.target_tags.single_output
    assert tags.target_tags.multi_output
    assert not tags.target_tags.positive_only
    assert not tags._skip_test


def test_no_check_is_silenced_by_a_tag():
    tags = ScratchCNNClassifier().__sklearn_tags__()
    assert not tags.non_deterministic
    assert not tags.no_validation
    assert not tags.classifier_tags.poor_score
    assert tags.input_tags.two_d_array
    assert tags.classifier_tags.multi_class
    assert tags.classifier_tags.multi_label
    assert not tags._skip_test


@pytest.mark.filterwarnings(  # the checks fit on a dataframe, transform an array, and the reverse
    "ignore:X (does not have valid|has) feature names:UserWarning"
)
@pytest.mark.parametrize("settings", [{}, {"dtype": "float32"}, {"layers": []}], ids=str)
@pytest.mark.parametrize(
    "name",
    [  # scikit-learn runs them on its own transformers only
        "check_set_output_transform",
        "check_set_output_transform_pandas",
        "check_set_output_transform_polars",
        "check_global_output_transform_pandas",
        "check_global_set_output_transform_polars",
        "check_transformer_get_feature_names_out",
        "check_transformer_get_feature_names_out_pandas",
    ],
)
def test_transformer_check(name, settings):
    check = getattr(estimator_checks, name)
    check("ScratchCNNClassifier", ScratchCNNClassifier(**QUICK | settings))


@pytest.mark.slow
@pytest.mark.parametrize("array_api", [False, True])
def test_check_estimator_passes_without_exceptions(array_api):
    """In a process of its own: SciPy reads the variable when it is imported."""
    code = (
        "from sklearn.utils.estimator_checks import check_estimator\n"
        "from skcnn import ScratchCNNClassifier\n"
        "results = check_estimator(ScratchCNNClassifier(), on_skip=None)\n"
        "print([(r['status'], str(r['exception'])) for r in results])"
    )
    environment = os.environ | {"SCIPY_ARRAY_API": "1"}
    if not array_api:
        del environment["SCIPY_ARRAY_API"]
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    results = set(ast.literal_eval(run.stdout))
    skipped = sorted(message for status, message in results if status == "skipped")
    assert results == {("passed", "None"), *(("skipped", message) for message in skipped)}
    assert skipped.pop() == "ScratchCNNClassifier does not have a decision_function method."
    if not array_api and skipped:  # 1.6 has no such check
        assert "SCIPY_ARRAY_API is not set" in skipped.pop()
    assert not skipped

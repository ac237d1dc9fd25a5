"""The regressor: quantities in the user's unit, and all else as in the classifier."""

import copy
import pickle
from functools import partial

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.ndimage import rotate
from sklearn.base import clone, is_regressor
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import BaggingRegressor, RandomForestRegressor, StackingRegressor
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, r2_score
from sklearn.model_selection import GridSearchCV, cross_val_predict, train_test_split
from sklearn.multioutput import RegressorChain
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from threadpoolctl import threadpool_limits

from skcnn import ScratchCNNRegressor
from skcnn.layers import Dense, Flatten, ReLU
from tests import shared
from tests.shared import DIGITS, assert_same_model, since

X = DIGITS[:200]
IMAGES = X.reshape(-1, 8, 8)
INK = IMAGES[:, :, :4].sum(axis=(1, 2))  # on the left of each digit
BOTH = np.column_stack([INK, IMAGES[:, 4:].sum(axis=(1, 2))])  # and on the lower half

quick = partial(shared.quick, ScratchCNNRegressor, tol=1e-4, max_iter=3, lr=5e-3, batch_size=32)


def level(**parameters):
    """A network that can learn one number, from images on which there is nothing."""
    defaults = {
        "layers": [], "optimizer": "sgd", "lr": 0.1, "weight_decay": 0.0, "max_iter": 300,
        "n_iter_no_change": 300, "batch_size": 1000, "random_state": 0,
    }  # fmt: skip
    return ScratchCNNRegressor(**defaults | parameters)


@pytest.mark.slow
def test_the_angle_of_rotated_digits_is_learned():
    """Seen through a round window, lest the angle be read off the frame."""
    rng = np.random.default_rng(0)
    angles = rng.uniform(-60, 60, len(DIGITS))
    window = ((np.mgrid[:12, :12] - 5.5) ** 2).sum(axis=0) < 3.6**2
    images = [
        rotate(np.pad(digit, 2), angle, reshape=False, order=1) * window
        for digit, angle in zip(DIGITS.reshape(-1, 8, 8), angles, strict=True)
    ]
    rows = np.reshape(images, (-1, 144)).astype(np.float32)
    train, test, learned, true = train_test_split(rows, angles, random_state=0)
    reg = ScratchCNNRegressor(
        filters=(16, 32), hidden_layer_sizes=64, max_iter=40, lr=5e-3, lr_schedule="one_cycle",
        batch_size=32, n_iter_no_change=40, random_state=0,
    )  # fmt: skip
    score = reg.fit(train, learned).score(test, true)
    assert score > 0.97
    assert np.median(np.abs(reg.predict(test) - true)) < 4  # degrees
    mlp = MLPRegressor(max_iter=500, early_stopping=True, random_state=0).fit(train, learned)
    forest = RandomForestRegressor(random_state=0).fit(train, learned)
    assert score > mlp.score(test, true)
    assert score > forest.score(test, true)


# Targets


def test_predictions_have_the_form_and_unit_of_the_targets():
    assert is_regressor(quick())
    one, two = quick(max_iter=20).fit(X, INK), quick(max_iter=20).fit(X, BOTH)
    assert one.predict(X).shape == (200,)
    assert two.predict(X).shape == (200, 2)
    assert (one.n_outputs_, two.n_outputs_) == (1, 2)
    assert one.target_mean_ == pytest.approx([INK.mean()])
    assert two.target_scale_ == pytest.approx(BOTH.std(axis=0))
    assert one.score(X, INK) == r2_score(INK, one.predict(X)) > 0.8
    assert two.score(X, BOTH) == r2_score(BOTH, two.predict(X)) > 0.7
    assert one.out_activation_ == "identity"
    assert one.layers_[-1].units == 1


def test_a_column_is_taken_for_one_axis_as_mlp_regressor_does():
    column = INK[:, np.newaxis]
    with pytest.warns(DataConversionWarning, match="A column-vector y was passed") as caught:
        reg = quick().fit(X, column)
    assert caught[0].filename == __file__
    assert_same_model(reg, quick().fit(X, INK))
    with pytest.warns(ConvergenceWarning), pytest.warns(DataConversionWarning):
        mlp = MLPRegressor(max_iter=1).fit(X, column)
    assert reg.predict(X).shape == mlp.predict(X).shape == (200,)


@pytest.mark.parametrize(
    ("scale", "offset"), [(1e-9, 0), (1e9, -1e12), (1, 1e7), (1e200, 0), (1e-200, 0)]
)
@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber"])
def test_the_unit_of_the_targets_does_not_matter(scale, offset, loss):
    plain = quick(loss=loss, dtype="float32").fit(X, INK)
    other = quick(loss=loss, dtype="float32").fit(X, INK * scale + offset)
    np.testing.assert_allclose(other.weights_, plain.weights_, atol=1e-3)
    found = (other.predict(X) - offset) / scale
    np.testing.assert_allclose(found, plain.predict(X), atol=0.2)
    assert other.loss_ == pytest.approx(plain.loss_, rel=1e-3)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_counts_are_only_divided_by_their_mean(scale):
    plain = quick(loss="poisson", max_iter=10).fit(X, INK)
    other = quick(loss="poisson", max_iter=10).fit(X, INK * scale)
    np.testing.assert_allclose(other.predict(X), plain.predict(X) * scale, rtol=1e-6)
    assert (plain.target_mean_, plain.target_scale_) == ([0], [pytest.approx(INK.mean())])
    assert plain.out_activation_ == "exp"
    assert plain.predict(X).min() > 0
    assert plain.score(X, INK) > 0.5


KINDS = {
    "int8": lambda y: y.astype("int8"),
    "uint64": lambda y: y.astype("uint64"),
    "float32": lambda y: y.astype("float32"),
    "longdouble": lambda y: y.astype(np.longdouble),
    "list": lambda y: y.tolist(),
    "object": lambda y: y.astype(int).astype(object),
    "pandas": lambda y: pd.Series(y, index=np.arange(200)[::-1]),
    "Int64": lambda y: pd.Series(y, dtype="Int64"),
    "polars": lambda y: pl.Series(y),
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_numbers(kind):
    y = np.minimum(INK, 120)
    reg = quick().fit(X, KINDS[kind](y))
    assert_same_model(reg, quick().fit(X, y))
    assert reg.predict(X.astype("float32")).dtype == np.float64


def test_booleans_are_numbers():
    reg = quick(max_iter=20).fit(X, INK > 80)
    assert reg.score(X, INK > 80) > 0.5


@pytest.mark.parametrize(
    "loss", ["squared_error", "absolute_error", "huber", "poisson", "quantile"]
)
@pytest.mark.parametrize("value", [0, 7, 1e30])
def test_one_constant_target(loss, value):
    reg = quick(loss=loss, max_iter=20).fit(X, np.full(200, value))
    both = quick(loss=loss).fit(X, np.column_stack([INK, np.full(200, value)]))
    for found in (reg.predict(X), both.predict(X)[:, 1]):
        if loss == "poisson" and value == 0:  # which no exponential is
            assert (found > 0).all()
            assert (found < 1).all()
        else:
            rounded = loss == "poisson"  # divided by the mean, it is not exactly 1
            np.testing.assert_allclose(found, value, rtol=1e-2 if rounded else 1e-12)


@pytest.mark.filterwarnings("ignore:Training ended no better")  # how could it
def test_what_each_loss_leads_to():
    """On images that tell nothing: mean, median, between them, and mean again."""
    blank = np.zeros((99, 4))
    y = np.random.default_rng(0).exponential(3, 99)
    weights = np.random.default_rng(1).integers(1, 4, 99)
    found = {
        loss: level(loss=loss).fit(blank, y, sample_weight=weights).predict(blank[:1])[0]
        for loss in ("squared_error", "absolute_error", "huber", "poisson")
    }
    mean, median = np.average(y, weights=weights), np.median(np.repeat(y, weights))
    assert found["squared_error"] == pytest.approx(mean)
    assert found["poisson"] == pytest.approx(mean, rel=1e-3)
    assert found["absolute_error"] == pytest.approx(median, abs=0.2)
    assert found["absolute_error"] < found["huber"] < found["squared_error"]
    for q in (0.1, 0.5, 0.8):
        reached = level(loss="quantile", quantile=q).fit(blank, y, sample_weight=weights)
        expected = np.quantile(np.repeat(y, weights), q, method="inverted_cdf")
        assert reached.predict(blank[:1])[0] == pytest.approx(expected, abs=0.2)


def test_two_quantiles_are_an_interval_that_holds_as_many_targets_as_it_should():
    rng = np.random.default_rng(0)
    images = rng.random((1500, 4, 4))
    center, width = images[:, :2].sum(axis=(1, 2)), images[:, 2:].mean(axis=(1, 2))
    y = center + 4 * width * rng.normal(size=1500)  # some targets are known better than others
    low, high = (
        quick(loss="quantile", quantile=q, filters=8, max_iter=20)
        .fit(images[:1000], y[:1000])
        .predict(images[1000:])
        for q in (0.1, 0.9)
    )
    inside = (low <= y[1000:]) & (y[1000:] <= high)
    assert 0.72 < inside.mean() < 0.88
    assert np.corrcoef(high - low, width[1000:])[0, 1] > 0.5


BAD_TARGETS = [
    (None, "requires y to be passed"),
    (INK[:7], "inconsistent numbers of samples"),
    (np.where(INK > 80, np.nan, INK), "Input y contains NaN"),
    (np.where(INK > 80, np.inf, INK), "Input y contains infinity"),
    (np.full(200, "much"), "y must hold real numbers, got text such as .*much"),
    (INK + 1j, "Complex data not supported"),
    (np.zeros((200, 2, 2)), r"y must have shape .*got an array of shape \(200, 2, 2\)"),
    (np.zeros((200, 0)), r"y must have shape .*got an array of shape \(200, 0\)"),
]


@pytest.mark.parametrize(("bad", "message"), BAD_TARGETS, ids=lambda value: str(value)[:20])
def test_bad_targets(bad, message):
    reg = quick().fit(X, INK)
    before = dict(vars(reg))
    with pytest.raises(ValueError, match=message):
        reg.fit(X, bad)
    assert vars(reg) == before


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"loss": "mse"}, r"loss must be one of \['squared_error', .*\], got 'mse'"),
        ({"loss": None}, "loss must be one of"),
        ({"loss": "quantile", "quantile": 1}, r"quantile must be a number in \(0, 1\), got 1"),
        ({"quantile": 0.0}, r"ScratchCNNRegressor: quantile must be a number in \(0, 1\), got 0"),
        ({"quantile": "half"}, "quantile must be a number in"),
        ({"lr": -1}, "ScratchCNNRegressor: lr must be a number"),
        ({"filters": 0}, "ScratchCNNRegressor: filters must be"),
        ({"scoring": "nonsense"}, "ScratchCNNRegressor: scoring must be None"),
        ({"early_stopping": True, "validation_fraction": 0.999}, "leaves none to train on"),
    ],
)
def test_bad_parameters(parameters, message):
    reg = quick(**parameters)
    before = dict(vars(reg))
    with pytest.raises(ValueError, match=message):
        reg.fit(X, INK)
    assert vars(reg) == before


def test_negative_counts_are_refused():
    message = "loss='poisson' needs targets that are not negative, but the minimum of {} is -3"
    bad = np.where(INK > 80, -3, INK)
    with pytest.raises(ValueError, match=message.format("y")):
        quick(loss="poisson").fit(X, bad)
    with pytest.raises(ValueError, match=message.format("y")):
        quick(loss="poisson").partial_fit(X, bad)
    with pytest.raises(ValueError, match=message.format("y_val")):
        quick(loss="poisson", early_stopping=True).fit(X, INK, X_val=X, y_val=bad)


# Weights


def test_weights_of_one_are_no_weights_and_zeros_are_refused():
    assert_same_model(quick().fit(X, INK), quick().fit(X, INK, sample_weight=np.full(200, 3)))
    with pytest.raises(ValueError, match="needs a sample of positive weight"):
        quick().fit(X, INK, sample_weight=np.zeros(200))


@pytest.mark.parametrize(
    "loss", ["squared_error", "absolute_error", "huber", "poisson", "quantile"]
)
def test_integer_weights_are_repetitions(loss):
    counts = np.random.default_rng(0).integers(0, 4, 200)
    reg = quick(loss=loss, batch_size=600, shuffle=False)
    weighted = copy.copy(reg).fit(X, BOTH, sample_weight=counts)
    repeated = reg.fit(np.repeat(X, counts, axis=0), np.repeat(BOTH, counts, axis=0))
    np.testing.assert_allclose(weighted.target_mean_, repeated.target_mean_)
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-8)


# Parts


def test_a_pass_is_an_epoch_of_fit():
    whole, parts = quick(dropout=0.2).fit(X, BOTH), quick(dropout=0.2)
    for _ in range(3):
        parts.partial_fit(X, BOTH)
    assert_same_model(whole, parts)
    assert np.array_equal(whole.predict(X), parts.predict(X))


def test_the_unit_is_that_of_the_first_call():
    reg = quick().partial_fit(X[:50], INK[:50])
    mean = INK[:50].mean()
    reg.partial_fit(X, INK * 2).partial_fit(X[:1], INK[:1])
    assert reg.target_mean_ == pytest.approx([mean])
    assert reg.n_iter_ == 3
    with pytest.raises(ValueError, match="y must have as many outputs as known from the calls"):
        reg.partial_fit(X, BOTH)
    before = dict(vars(reg))
    reg.partial_fit(X, INK, sample_weight=np.zeros(200))
    assert vars(reg) == before
    with pytest.raises(ValueError, match="first call to partial_fit needs a sample of positive"):
        quick().partial_fit(X, INK, np.zeros(200))
    assert not hasattr(quick(early_stopping=True), "partial_fit")


def test_a_first_part_of_one_row_does_not_stop_what_follows():
    """Its loss is 0, which is no measure of divergence for the parts that follow."""
    reg = ScratchCNNRegressor(filters=4, lr=0.02, random_state=0).partial_fit(X[:1], INK[:1])
    for _ in range(30):
        reg.partial_fit(X, INK)  # a warning would be an error
    assert reg.score(X, INK) > 0


def test_warm_start_goes_on_exactly():
    whole, parts = quick(max_iter=4).fit(X, INK), quick(max_iter=2, warm_start=True).fit(X, INK)
    parts = pickle.loads(pickle.dumps(parts)).fit(X, INK)
    assert_same_model(whole, parts)
    assert np.array_equal(whole.predict(X), parts.predict(X))
    with pytest.raises(ValueError, match="warm_start can only continue with as many outputs"):
        parts.fit(X, BOTH)
    with pytest.raises(ValueError, match="cannot change between loss='poisson' and another"):
        parts.set_params(loss="poisson").fit(X, INK)
    parts.set_params(loss="huber").fit(X, INK)
    assert parts.n_iter_ == 6


# Validation


def test_early_stopping_goes_by_the_score():
    train, val = slice(0, 150), slice(150, 200)
    weights = np.random.default_rng(0).random(200)
    reg = quick(early_stopping=True, max_iter=6, tol=0)
    reg.fit(
        X[train], INK[train], weights[train],
        X_val=X[val], y_val=INK[val], sample_weight_val=weights[val],
    )  # fmt: skip
    assert max(reg.validation_scores_) == reg.score(X[val], INK[val], weights[val])
    assert reg.validation_scores_ == reg.history_["validation_score"]
    assert reg.history_.keys() == {"loss", "lr", "validation_loss", "validation_score"}
    absolute = quick(early_stopping=True, scoring="neg_mean_absolute_error", max_iter=6, tol=0)
    absolute.fit(X[train], BOTH[train], X_val=X[val], y_val=BOTH[val])
    error = mean_absolute_error(BOTH[val], absolute.predict(X[val]))
    assert max(absolute.validation_scores_) == pytest.approx(-error)
    by_loss = quick(early_stopping=True, scoring="loss").fit(X, INK)
    assert by_loss.validation_scores_ == [-x for x in by_loss.history_["validation_loss"]]


def test_the_validation_loss_is_the_loss_of_the_predictions():
    reg = quick(early_stopping=True, scoring="loss", max_iter=1)
    reg.fit(X[:150], BOTH[:150], X_val=X[150:], y_val=BOTH[150:])
    errors = (reg.predict(X[150:]) - BOTH[150:]) / reg.target_scale_
    assert reg.history_["validation_loss"] == [pytest.approx((errors**2).mean() / 2)]


def test_what_is_held_out_is_not_measured():
    reg = quick(early_stopping=True, validation_fraction=0.2).fit(X, INK)
    assert reg.target_mean_[0] != pytest.approx(INK.mean(), rel=1e-9)
    few = quick(early_stopping=True).fit(X[:12], INK[:12])  # two, of one there is no R²
    assert np.isfinite(few.validation_scores_).all()


@pytest.mark.skipif(not since(1, 9), reason="callbacks came with scikit-learn 1.9")
def test_callbacks():
    from sklearn.callback import ScoringMonitor

    monitor = ScoringMonitor(scoring="r2")
    reg = quick().set_callbacks(monitor).fit(X, INK)
    scores = [row["r2"] for row in monitor.get_logs().data if "epoch" in row["task_name"]]
    assert len(scores) == 3
    assert scores[-1] == reg.score(X, INK)


def test_verbose_has_no_accuracy_to_tell(capsys):
    quick(verbose=1, max_iter=1).fit(X, INK)
    line = capsys.readouterr().out
    assert line.startswith("Epoch 1 of 1: loss 0.")
    assert "accuracy" not in line


# Company


def test_the_same_bits_with_any_number_of_threads():
    models = []
    for n in (1, 2, 3):
        with threadpool_limits(n, "blas"):
            models.append(quick(batch_size=150).fit(X, INK))
    assert np.array_equal(models[0].weights_, models[1].weights_)
    assert np.array_equal(models[0].predict(X), models[2].predict(X))


def test_memory_maps_and_files(tmp_path):
    path = tmp_path / "X.npy"
    np.save(path, X.reshape(-1, 1, 8, 8))
    reg = quick().fit(np.load(path, mmap_mode="r"), INK)
    assert_same_model(reg, quick().fit(X, INK))
    joblib.dump(reg, tmp_path / "reg")
    twin = joblib.load(tmp_path / "reg", mmap_mode="r")
    assert np.array_equal(twin.predict(X), reg.predict(X))
    assert repr(clone(twin)) == repr(clone(reg))


def test_layers_weights_and_features():
    reg = quick(layers=[Flatten(), Dense(12), ReLU()]).fit(X, BOTH)
    features = reg.transform(X)
    assert features.shape == (200, 12)
    assert reg.get_feature_names_out()[0] == "scratchcnnregressor0"
    last = reg.network_.unpack(reg.weights_)[-1]
    z = features @ last["weight"].T + last["bias"]
    expected = z * reg.target_scale_ + reg.target_mean_
    np.testing.assert_allclose(reg.predict(X), expected, rtol=1e-9)
    arrays = reg.network_.unpack(np.array(reg.weights_))
    other = quick(layers=reg.layers, random_state=5).fit(X, BOTH).set_weights(arrays)
    assert np.array_equal(other.predict(X), reg.predict(X))
    assert "12" in str(reg.summary())


def test_scikit_learns_tools():
    small = quick(max_iter=20, filters=8, lr=5e-3)
    search = GridSearchCV(make_pipeline(MinMaxScaler(), small), {
        "scratchcnnregressor__loss": ["squared_error", "huber"],
    }, cv=2).fit(X, INK)  # fmt: skip
    assert search.best_score_ > 0.7
    assert r2_score(INK, cross_val_predict(small, X, INK, cv=3)) > 0.7
    logs = TransformedTargetRegressor(small, func=np.log, inverse_func=np.exp).fit(X, INK)
    assert logs.score(X, INK) > 0.7
    for ensemble in (
        BaggingRegressor(small, n_estimators=2, random_state=0),
        StackingRegressor([("cnn", small)], Ridge(), cv=2),
        RegressorChain(small),
    ):
        targets = BOTH if isinstance(ensemble, RegressorChain) else INK
        assert ensemble.fit(X, targets).score(X, targets) > 0.7
    frozen = make_pipeline(FrozenEstimator(search.best_estimator_[-1]), Ridge())
    assert frozen.fit(X / 16, INK).score(X / 16, INK) > 0.7


# Scores


@pytest.mark.parametrize("targets", [INK, BOTH])
def test_a_score_is_r2(targets):
    reg = quick().fit(X, targets)
    weights = np.arange(len(X))
    assert reg.score(X, targets) == r2_score(targets, reg.predict(X))
    found = reg.score(X, targets.tolist(), sample_weight=weights)
    assert found == r2_score(targets, reg.predict(X), sample_weight=weights)


def test_a_score_whose_squares_overflow_is_an_error():
    reg = quick(scale_input=False, dtype="float64").fit(X, INK)
    for images, targets in [(X * 1e200, INK), (X, INK * 1e160)]:
        with pytest.raises(
            ValueError, match=r"R² is beyond the range of float64: .* X .* y reaches"
        ):
            reg.score(images, targets)


def test_a_score_of_quantities_in_float32_is_that_in_float64():
    reg = quick().fit(X, INK)
    targets = (INK[::-1] * 1e20).astype(np.float32)
    assert reg.score(X, targets) == reg.score(X, targets.astype(np.float64)) < 0.1

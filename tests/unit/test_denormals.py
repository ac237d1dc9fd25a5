"""Nothing that decays becomes denormal, neither in training nor in the models that are kept."""

import pickle

import joblib
import numpy as np
import pytest

from skcnn import ScratchCNNClassifier, ScratchCNNRegressor
from skcnn.data import Images, Samples
from skcnn.denormals import (
    CHUNK,
    flush,
    flush_vanishing,
    normal_squares,
    without_denormals,
)
from skcnn.layers import BatchNorm, Dense, Flatten, ReLU
from skcnn.layers.memory import Arrays
from skcnn.layers.workspace import Workspace
from skcnn.losses import SigmoidCrossEntropy, SoftmaxCrossEntropy
from skcnn.losses.regression import PoissonDeviance
from skcnn.network import Network
from skcnn.optimizers import SGD, AdaGrad, Adam, AdamW, RMSprop
from skcnn.parallel.threads import Threads
from skcnn.schedules import Constant
from skcnn.state import new_state
from skcnn.training import update
from skcnn.training.config import TrainingConfig
from skcnn.training.minibatch import gradient
from skcnn.training.trainer import begin, train
from skcnn.training.update import Step, Update

OPTIMIZERS = [SGD(), SGD(0), Adam(), AdamW(), RMSprop(), RMSprop(momentum=0.9), AdaGrad()]
DTYPES = ["float32", "float64"]
LAYERS = [Flatten(), Dense(6), BatchNorm(), ReLU(), Dense(2)]


def denormal(array):
    """Number of elements that are denormal."""
    return np.count_nonzero((array != 0) & (np.abs(array) < np.finfo(array.dtype).smallest_normal))


def settings(optimizer, **changes):
    values = {
        "optimizer": optimizer, "lr": 0.01, "weight_decay": 0.01, "batch_size": 8, "max_iter": 2,
        "shuffle": False, "tol": 0.0, "n_iter_no_change": None,
    }  # fmt: skip
    return TrainingConfig(**values | changes)


def samples(dtype):
    """Images of which half the pixels are black."""
    X = np.random.default_rng(0).standard_normal((40, 1, 4, 4)).astype(dtype)
    X[..., 2:] = 0
    return Samples(Images(X, X.shape[1:]), np.arange(40) % 2, np.ones(40), SoftmaxCrossEntropy())


def images_and_labels(dtype):
    """Images and labels of `samples`, for an estimator."""
    data = samples(dtype)
    return data.images.X[:, 0], data.targets


def trained(optimizer, dtype, change, **changes):
    network = Network(LAYERS, (1, 4, 4), np.dtype(dtype))
    state = new_state(network, optimizer, 0)
    change(state)
    config = settings(optimizer, **changes)
    begin(state, config)
    with Threads(1) as threads:
        return train(network, samples(dtype), config, state, threads)[0]


@pytest.mark.parametrize("dtype", DTYPES)
def test_only_what_is_almost_nothing_is_flushed(dtype):
    info = np.finfo(dtype)
    tiny, eps = info.smallest_normal, info.eps
    kept = [np.nan, np.inf, -np.inf, 1, -1, 1.5 * tiny / eps, -1.5 * tiny / eps]
    vanishing, below = [tiny, -tiny, 0.9 * tiny / eps], [tiny / 2, -tiny / 2, tiny * eps, 0, -0.0]
    numbers = np.array([*kept, *vanishing, *below], dtype)
    for function, zeros in ((flush, below), (flush_vanishing, vanishing + below)):
        flushed = numbers.copy()
        function(flushed)
        expected = numbers.copy()
        expected[len(numbers) - len(zeros) :] = 0
        np.testing.assert_array_equal(flushed, expected)
    assert denormal(numbers) == 3
    copy = without_denormals(numbers)
    assert denormal(numbers) == 3, "the original changes"
    assert denormal(copy) == 0
    assert without_denormals(copy) is copy


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("optimizer", [SGD(), Adam(), AdamW(), RMSprop(momentum=0.9)], ids=str)
def test_what_decays_by_a_tenth_is_never_denormal(optimizer, dtype):
    update = Update(Network(LAYERS, (1, 4, 4), np.dtype(dtype)), settings(optimizer))
    weights = np.ones(10, dtype)
    moments = {name: np.ones(10, dtype) for name in optimizer.moments(weights)}
    first = next(name for name in moments if name not in optimizer.squares)
    for t in range(1, 8000):
        weights *= np.dtype(dtype).type(0.9)  # as a decay would
        update.apply(slice(1000, 1010), weights, moments, np.zeros(10, dtype), Step(t, 0, 1, 1, 1))
        assert denormal(weights) == 0
        assert denormal(moments[first]) == 0
    assert not weights.any()
    assert not moments[first].any()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
def test_nothing_denormal_is_left_after_an_epoch(optimizer, dtype):
    def almost_nothing(state):
        for array in (state.weights, *state.moments.values()):
            array[::3] = np.finfo(dtype).smallest_normal / 3

    state = trained(optimizer, dtype, almost_nothing, max_iter=1)
    assert state.step < update.FLUSH_EVERY, "the end of the epoch comes first"
    assert denormal(state.weights) == 0
    assert {name: denormal(moment) for name, moment in state.moments.items()} == dict.fromkeys(
        state.moments, 0
    )


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
def test_small_gradients_are_still_divided_by_the_root_of_their_squares(optimizer):
    weights = np.ones(4, "f4")
    moments = optimizer.moments(weights)
    for name, moment in moments.items():
        moment[...] = 1e-34 if name in optimizer.squares else 1e-17
    before = {name: moment.copy() for name, moment in moments.items()}
    optimizer.flush(weights, moments)
    for name, moment in moments.items():
        assert np.array_equal(moment, before[name])


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
def test_parts_of_the_vectors_are_flushed_on_their_own(optimizer, monkeypatch):
    def tiny(state):
        for array in (state.weights, *state.moments.values()):
            array[::2] *= 1e-33

    monkeypatch.setattr(update, "FLUSH_EVERY", 2)
    at_once = trained(optimizer, "float32", tiny)
    monkeypatch.setattr(update, "CHUNK", 7)
    in_chunks = trained(optimizer, "float32", tiny)
    assert np.array_equal(at_once.weights, in_chunks.weights)
    for name, moment in at_once.moments.items():
        assert np.array_equal(moment, in_chunks.moments[name])


@pytest.mark.parametrize("optimizer", [SGD(0), AdamW()], ids=str)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_model_whose_weights_decay_keeps_nothing_denormal(optimizer, early_stopping):
    """The black pixels' weights shrink tenfold in each of 40 steps, to about 1e-40."""
    X, y = images_and_labels("float32")
    clf = ScratchCNNClassifier(
        [Flatten(), Dense(6)], optimizer=optimizer, lr=0.5, weight_decay=1.8, batch_size=8,
        max_iter=8, lr_schedule=Constant(), early_stopping=early_stopping, n_iter_no_change=10,
        random_state=0, warm_start=True, scale_input=False,
    )  # fmt: skip
    clf.fit(X, y)
    state = clf._training_state
    best = [state.best_weights] if early_stopping else []
    for array in (clf.weights_, state.weights, *state.moments.values(), *best):
        assert denormal(array) == 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("loss", "target", "means_over"),
    [
        (SoftmaxCrossEntropy(), 1, 1),
        (SigmoidCrossEntropy(), [False, True], 1),
        (PoissonDeviance(), [0.0, 1.0], 2),
    ],
    ids=["softmax", "sigmoid", "poisson"],
)
def test_confident_predictions_have_no_denormal_gradient(loss, target, means_over, dtype):
    """All but the last of the samples have an output whose probability is denormal."""
    info = np.finfo(dtype)
    sizes = [info.smallest_normal / 3, info.smallest_normal * 3, info.eps**3]
    X = np.log(np.array(sizes, dtype)).reshape(-1, 1, 1, 1)
    targets = np.array([target] * 3)
    network = Network([Flatten(), Dense(2)], (1, 1, 1), np.dtype(dtype))
    vector, filled = np.zeros((2, network.vector_size), dtype)
    params, grads = network.unpack(vector), network.unpack(filled)
    params[1]["weight"][0] = 1  # the other output is 0
    samples = Samples(Images(X, X.shape[1:]), targets, np.ones(3, dtype), loss)
    for n, learned in ((2, False), (3, True)):
        arrays = Workspace(network, n).arrays(n)
        gradient(samples, np.arange(n), arrays, params, grads, None)
        assert denormal(filled) == 0
        found, expected = grads[1]["weight"][0, 0], learned * sizes[2] * X[2, 0, 0, 0]
        assert found == pytest.approx(expected / means_over, rel=1e-3, abs=0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_training_that_has_become_certain_meets_nothing_denormal(dtype, monkeypatch):
    """Its gradients are counted wherever layers and optimizers read them."""
    met = {}
    backward, step = Arrays.backward, Adam.step

    def count(name, array):
        met[name] = met.get(name, 0) + denormal(array)

    def counting_backward(self, params, grads):
        count("loss", self.dx[-1])
        backward(self, params, grads)

    def counting_step(self, weights, gradient, moments, lr, t):
        count("gradient", gradient)
        step(self, weights, gradient, moments, lr, t)
        count("squares", moments["second"])

    monkeypatch.setattr(Arrays, "backward", counting_backward)
    monkeypatch.setattr(Adam, "step", counting_step)
    for factor in (6, 7, 17, 18):  # which makes probabilities denormal in one dtype or the other

        def make_certain(state, factor=factor):
            state.weights *= factor

        trained(Adam(), dtype, make_certain, weight_decay=0.0, lr=1e-12)
    assert met == {"loss": 0, "gradient": 0, "squares": 0}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("optimizer", [Adam(), RMSprop(), AdaGrad()], ids=str)
def test_squares_of_small_gradients_are_not_denormal(optimizer, dtype):
    root = np.sqrt(np.finfo(dtype).smallest_normal)
    gradient = np.array([0, root / 1e3, -root / 2, root, -2 * root, 1e-3, -1, np.nan], dtype)
    moments = optimizer.moments(gradient)
    optimizer.step(np.zeros(8, dtype), gradient.copy(), moments, 0.0, 1)
    (name,) = optimizer.squares
    expected = gradient**2
    expected[:3] = np.finfo(dtype).smallest_normal
    np.testing.assert_array_equal(moments[name], expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_squares_are_the_same_for_vectors_of_any_length(dtype):
    numbers = np.random.default_rng(0).standard_normal(CHUNK + 1).astype(dtype)
    numbers[::3] *= np.sqrt(np.finfo(dtype).smallest_normal)
    squares = normal_squares(numbers)
    assert denormal(squares) == 0
    np.testing.assert_array_equal(squares[:-1], normal_squares(numbers[:-1]))
    np.testing.assert_array_equal(squares[1:2], normal_squares(numbers[1:2]))
    np.testing.assert_array_equal(squares[1::3], numbers[1::3] ** 2)


def spoiled_model(cls=ScratchCNNClassifier, dtype="float32"):
    """A fitted model, and one of the same weights of which some are denormal instead of 0."""
    X, y = images_and_labels(dtype)
    clean = cls([Flatten(), Dense(6), ReLU()], max_iter=1, random_state=0)
    clean.fit(X, y)
    clean.weights_[::3] = 0
    spoiled = pickle.loads(pickle.dumps(clean))
    spoiled.weights_[::3] = np.finfo(dtype).smallest_normal / 3
    return clean, spoiled, X


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cls", [ScratchCNNClassifier, ScratchCNNRegressor])
def test_models_are_loaded_without_denormal_weights(cls, dtype):
    clean, spoiled, X = spoiled_model(cls, dtype)
    loaded = pickle.loads(pickle.dumps(spoiled))
    assert denormal(spoiled.weights_) > 0
    assert np.array_equal(loaded.weights_, clean.weights_)
    assert np.array_equal(loaded.predict(X), spoiled.predict(X))
    if cls is ScratchCNNClassifier:
        assert np.array_equal(loaded.predict_proba(X), spoiled.predict_proba(X))


def test_weights_that_are_mapped_from_a_file_stay_mapped(tmp_path):
    clean, spoiled, _ = spoiled_model()
    joblib.dump(clean, tmp_path / "clean")
    assert isinstance(joblib.load(tmp_path / "clean", mmap_mode="r").weights_, np.memmap)
    joblib.dump(spoiled, tmp_path / "spoiled")
    loaded = joblib.load(tmp_path / "spoiled", mmap_mode="r")
    assert np.array_equal(loaded.weights_, clean.weights_)


def test_weights_of_others_are_taken_without_denormal_numbers():
    clean, spoiled, _ = spoiled_model()
    weights = spoiled.get_weights()
    assert np.array_equal(clean.set_weights(weights).weights_, clean.weights_)
    assert denormal(clean.weights_) == 0

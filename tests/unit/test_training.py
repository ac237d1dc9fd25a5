import numpy as np
import pytest

from skcnn.architectures import cnn
from skcnn.data import Images, Samples
from skcnn.layers import BatchNorm, Dense, Dropout, Flatten, ReLU
from skcnn.losses import SigmoidCrossEntropy, SoftmaxCrossEntropy
from skcnn.micro_batches import SampleCost
from skcnn.network import Network
from skcnn.optimizers import SGD, AdaGrad, Adam, AdamW, RMSprop
from skcnn.parallel.threads import Threads
from skcnn.schedules import Constant, Cosine, ReduceOnPlateau, Schedule, StepDecay
from skcnn.state import new_state, stream
from skcnn.training import update
from skcnn.training.config import TrainingConfig
from skcnn.training.epoch import EpochRunner
from skcnn.training.minibatch import GRADIENTS, Task, train_step
from skcnn.training.trainer import Validation, begin, train
from skcnn.training.update import Step
from tests.shared import InterruptedThreads

rng = np.random.default_rng(0)
X = rng.standard_normal((53, 1, 6, 6))
y = rng.integers(0, 3, 53)
SAMPLES = Samples(Images(X, X.shape[1:]), y, np.ones(53))
DEFAULTS = {
    "optimizer": SGD(0), "lr": 0.1, "weight_decay": 0.0, "batch_size": 53, "max_iter": 1,
    "shuffle": False, "tol": 0.0, "n_iter_no_change": 100,
}  # fmt: skip


def network_of(layers):
    return Network([*layers, Dense(3)], (1, 6, 6), np.float64)


def run(network, samples=SAMPLES, state=None, n_threads=1, validation=None, **settings):
    settings = TrainingConfig(**DEFAULTS | settings)
    state = state or new_state(network, settings.optimizer, 0)
    begin(state, settings)
    with Threads(n_threads) as threads:
        validation = None if validation is None else Validation(validation)
        return train(network, samples, settings, state, threads, validation)


def step_by(gradient, network, state, settings):
    """One step of a mini-batch of one row that has this gradient."""
    with Threads(1) as threads:
        replica = EpochRunner(network, SAMPLES, settings, state, threads).replica

    def run_task(task):
        if task.kind == GRADIENTS:
            replica.buffers.slots[0] = gradient
        else:
            replica.run(task, 0)

    step = Step(1, settings.lr, 1.0, 1.0, 1)
    train_step(replica, Task(GRADIENTS, 1, 0, 0, 0, 0, 0, 0, 1, step), run_task)


@pytest.mark.parametrize("batch_size", [53, 10])
@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
def test_an_epoch_is_gradient_descent_written_out(batch_size, weight_decay):
    network = network_of(cnn((2, 3), hidden_layer_sizes=5))
    weights = rng.random(53) * 2
    state, _ = run(
        network,
        Samples(SAMPLES.images, y, weights),
        batch_size=batch_size,
        weight_decay=weight_decay,
    )
    w = new_state(network, SGD(0), 0).weights
    losses = 0.0
    for start in range(0, 53, batch_size):
        part = slice(start, start + batch_size)
        z = network.forward(X[part], w).T
        p = SoftmaxCrossEntropy().probabilities(z)
        losses -= np.sum(weights[part] * np.log(p[y[part], np.arange(p.shape[1])]))
        dz = weights[part] * (p - (np.arange(3)[:, None] == y[part]))
        gradient = network.vjp(X[part], w, dz.T)[2] / dz.shape[1]
        gradient[: network.n_decayed] += weight_decay * w[: network.n_decayed]
        w = w - 0.1 * gradient
    np.testing.assert_allclose(state.weights, w, rtol=1e-10, atol=1e-12)
    assert state.history["loss"] == [pytest.approx(losses / weights.sum())]


def test_an_epoch_with_the_loss_of_labels_written_out():
    network = network_of(cnn(2, hidden_layer_sizes=4))
    rng = np.random.default_rng(1)
    labels, weights = rng.random((53, 3)) < 0.4, rng.random(53) * 2
    samples = Samples(SAMPLES.images, labels, weights, SigmoidCrossEntropy())
    state, _ = run(network, samples, validation=samples, batch_size=20)
    w = new_state(network, SGD(0), 0).weights
    losses = correct = 0.0
    for start in range(0, 53, 20):
        part = slice(start, start + 20)
        z = network.forward(X[part], w)
        p = 1 / (1 + np.exp(-z))
        entropy = np.where(labels[part], np.log(p), np.log(1 - p)).sum(axis=1)
        losses -= weights[part] @ entropy
        correct += weights[part] @ ((p > 0.5) == labels[part]).all(axis=1)
        dz = weights[part, None] * (p - labels[part])
        w = w - 0.1 * network.vjp(X[part], w, dz)[2] / len(z)
    np.testing.assert_allclose(state.weights, w, rtol=1e-10, atol=1e-12)
    assert state.history["loss"] == [pytest.approx(losses / weights.sum())]
    assert state.history["accuracy"] == [pytest.approx(correct / weights.sum())]
    right = ((network.forward(X, w) > 0) == labels).all(axis=1)
    assert state.history["validation_score"] == [pytest.approx(np.average(right, weights=weights))]


@pytest.mark.parametrize("decay", [0.0, 0.4])
def test_adamw_decays_weights_outside_of_the_moments(decay):
    """Algorithm 2 of Loshchilov & Hutter 2019 for every number, over 20 steps."""
    network = network_of([Flatten(), Dense(4), ReLU()])
    state, _ = run(network, optimizer=AdamW(), weight_decay=decay, lr=0.05, max_iter=20)
    w = new_state(network, AdamW(), 0).weights
    m = v = np.zeros_like(w)
    for t in range(1, 21):
        p = SoftmaxCrossEntropy().probabilities(network.forward(X, w).T)
        g = network.vjp(X, w, (p - (np.arange(3)[:, None] == y)).T)[2] / 53
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        step = (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        decayed = np.arange(len(w)) < network.n_decayed  # weights, not biases
        w = w - 0.05 * (step + decay * w * decayed)
    np.testing.assert_allclose(state.weights, w, rtol=1e-9, atol=1e-11)
    assert network.n_decayed == len(w) - 7


@pytest.mark.parametrize("optimizer", [RMSprop(), AdaGrad(), Adam(), AdamW(), SGD()])
def test_steps_in_chunks_are_steps_at_once(optimizer, monkeypatch):
    network = network_of(cnn(2, hidden_layer_sizes=5))
    settings = {
        "optimizer": optimizer, "weight_decay": 0.1, "max_iter": 3, "lr": 0.01,
    }  # fmt: skip
    whole, _ = run(network, **settings)
    monkeypatch.setattr(update, "CHUNK", 7)
    chunks, _ = run(network, **settings)
    assert np.array_equal(whole.weights, chunks.weights)


class Recorder(Schedule):
    """Writes down what it is asked, and halves the rate."""

    def __init__(self):
        self.asked = []

    def multiplier(self, t, max_iter, history):
        self.asked.append((t, max_iter, {name: list(values) for name, values in history.items()}))
        return 0.5


@pytest.mark.parametrize("restart", [False, True])
def test_schedules_are_asked_for_every_mini_batch(restart):
    network, schedule = network_of([Flatten()]), Recorder()
    state, _ = run(network, max_iter=2, batch_size=20)
    earlier = {name: list(values) for name, values in state.history.items()}
    settings = {"lr_schedule": schedule, "restart_schedule": restart}
    state, _ = run(network, state=state, max_iter=3, batch_size=20, **settings)
    start = 2 if restart else 0
    times = [time for time, _, _ in schedule.asked]
    expected = [2 - start + epoch + batch / 3 for epoch in range(3) for batch in range(3)]
    assert times == pytest.approx(expected)
    assert {max_iter for _, max_iter, _ in schedule.asked} == {3}
    assert schedule.asked[0][2] == {name: values[start:] for name, values in earlier.items()}
    assert schedule.asked[-1][2]["loss"] == state.history["loss"][start:4]
    assert state.history["lr"] == [0.1, 0.1, 0.05, 0.05, 0.05]


def test_an_epoch_follows_the_schedule_within():
    """Three mini-batches stand at 0, 1/3 and 2/3 of an epoch."""
    network = network_of([Flatten()])
    state, _ = run(network, batch_size=20, lr_schedule=Cosine(horizon=1))
    w = new_state(network, SGD(0), 0).weights
    for batch, start in enumerate((0, 20, 40)):
        part = slice(start, start + 20)
        p = SoftmaxCrossEntropy().probabilities(network.forward(X[part], w).T)
        dz = p - (np.arange(3)[:, None] == y[part])
        rate = 0.1 * np.cos(np.pi / 2 * batch / 3) ** 2  # half of 1 + cos 2a is cos² a
        w = w - rate * network.vjp(X[part], w, dz.T)[2] / dz.shape[1]
    np.testing.assert_allclose(state.weights, w, rtol=1e-10, atol=1e-12)
    assert state.history["lr"] == [pytest.approx(0.1 * 0.25)]


def test_a_rate_of_zero_changes_nothing():
    network = network_of(cnn(2, hidden_layer_sizes=5))
    settings = {"lr_schedule": Cosine(horizon=2), "weight_decay": 0.1}
    for optimizer in (SGD(0), Adam(), AdamW(), RMSprop(), AdaGrad()):
        at_the_end, _ = run(network, max_iter=2, optimizer=optimizer, **settings)
        later, reason = run(network, max_iter=5, optimizer=optimizer, **settings)
        assert np.array_equal(at_the_end.weights, later.weights)
        assert later.history["lr"][2:] == [0, 0, 0]
        assert reason == "max_iter"


def test_the_rate_falls_on_a_plateau_of_the_validation_part():
    network = network_of(cnn(4, hidden_layer_sizes=20))
    validation = Samples(SAMPLES.images, (y + 1) % 3, np.ones(53))  # it only gets worse
    state, _ = run(
        network, validation=validation, max_iter=7, optimizer=Adam(), lr=0.01,
        lr_schedule=ReduceOnPlateau(factor=0.5, patience=2, tol=1.0),
    )  # fmt: skip
    assert state.history["lr"] == pytest.approx([0.01] * 3 + [0.005] * 2 + [0.0025] * 2)


def gradient_of(network, w):
    """Mean gradient over all samples."""
    p = SoftmaxCrossEntropy().probabilities(network.forward(X, w).T)
    return network.vjp(X, w, (p - (np.arange(3)[:, None] == y)).T)[2] / 53


@pytest.mark.parametrize("chunk", [7, 2**16])
@pytest.mark.parametrize("share", [0.001, 0.5, 0.999, 1.001, 100.0])
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_large_gradients_are_clipped_before_the_decay(share, decay, chunk, monkeypatch):
    monkeypatch.setattr(update, "CHUNK", chunk)
    network = network_of(cnn((2, 3), hidden_layer_sizes=5))
    w = new_state(network, SGD(0), 0).weights
    gradient = gradient_of(network, w)
    limit = share * np.linalg.norm(gradient)
    state, _ = run(network, max_grad_norm=limit, weight_decay=decay, lr=1.0)
    decayed = np.where(np.arange(len(w)) < network.n_decayed, decay * w, 0)
    step = w - state.weights - decayed
    np.testing.assert_allclose(step, gradient * min(1, share), rtol=1e-9, atol=1e-14)
    assert np.linalg.norm(step) <= limit * (1 + 1e-9)


def test_running_moments_are_neither_measured_nor_clipped():
    network = network_of([Flatten(), BatchNorm(), Dense(4)])
    start = new_state(network, SGD(0), 0).weights
    free, _ = run(network, lr=1.0)
    trained, moments = slice(0, network.n_parameters), slice(network.n_parameters, None)
    norm = np.linalg.norm((free.weights - start)[trained])
    clipped, _ = run(network, lr=1.0, max_grad_norm=norm / 100)
    assert not np.array_equal(free.weights[moments], start[moments])
    assert np.array_equal(clipped.weights[moments], free.weights[moments])
    step = (clipped.weights - start)[trained]
    np.testing.assert_allclose(step, (free.weights - start)[trained] / 100, rtol=1e-7, atol=1e-12)


def test_a_limit_that_is_never_reached_changes_no_bit():
    network = network_of(cnn(2, hidden_layer_sizes=5))
    settings = {"batch_size": 20, "optimizer": Adam(), "max_iter": 3}
    free, _ = run(network, **settings)
    limited, _ = run(network, max_grad_norm=1e3, **settings)
    assert np.array_equal(free.weights, limited.weights)


@pytest.mark.parametrize(
    ("dtype", "size"),
    [(np.float32, 1e-30), (np.float32, 1e30), (np.float64, 1e200), (np.float64, 1e-140)],
)
def test_the_norm_neither_overflows_nor_underflows(dtype, size):
    network = Network([Flatten(), Dense(3)], (1, 6, 6), dtype)
    settings = TrainingConfig(**DEFAULTS | {"max_grad_norm": 2.0 * size, "lr": 1.0})
    state = new_state(network, SGD(0), 0)
    state.weights[...] = 0
    direction = rng.standard_normal(network.n_parameters)
    step_by(direction * (10 * size), network, state, settings)
    exact = state.weights.astype(np.longdouble) / dtype(size)
    expected = -2 * direction / np.linalg.norm(direction)
    np.testing.assert_allclose(exact.astype(float), expected, rtol=1e-5)


@pytest.mark.parametrize("lr", [1e30, 1e300])
def test_clipping_does_not_hide_divergence(lr):
    network = network_of(cnn(4, hidden_layer_sizes=20))
    state, reason = run(network, lr=lr, max_iter=20, max_grad_norm=1.0)
    assert reason == "diverged"
    assert np.isfinite(state.weights).all()


@pytest.mark.parametrize("spoiled", [np.nan, np.inf])
def test_a_gradient_without_a_norm_is_not_clipped(spoiled):
    network = network_of([Flatten()])
    state = new_state(network, SGD(0), 0)
    gradient = np.ones(network.n_parameters)
    gradient[5] = spoiled
    step_by(gradient, network, state, TrainingConfig(**DEFAULTS | {"max_grad_norm": 1.0}))
    assert not np.isfinite(state.weights).all()  # which ends the training as diverged


@pytest.mark.parametrize("layers", [cnn((2, 3), hidden_layer_sizes=5, dropout=0.5)])
def test_weights_do_not_depend_on_the_number_of_threads(layers, monkeypatch):
    network = network_of(layers)
    monkeypatch.setattr(SampleCost, "micro_batch_size", lambda self, n=None, m=np.inf: 3)
    settings = {"optimizer": Adam(), "batch_size": 20, "shuffle": True, "max_iter": 3}
    settings |= {"max_grad_norm": 0.1, "lr_schedule": Cosine(4)}
    results = [run(network, n_threads=n, **settings)[0].weights for n in (1, 2, 3, 7)]
    for weights in results[1:]:
        assert np.array_equal(results[0], weights)


def test_a_batch_of_zero_weight_changes_nothing():
    network = network_of([Flatten()])
    weights = np.ones(53)
    weights[20:40] = 0
    some = np.r_[0:20, 40:53]
    settings = {"batch_size": 20, "optimizer": Adam(), "weight_decay": 0.1}
    with_zeros, _ = run(network, Samples(SAMPLES.images, y, weights), **settings)
    without = Samples(SAMPLES.images.subset(some), y[some], np.ones(33))
    state, _ = run(network, without, **settings)
    assert np.array_equal(with_zeros.weights, state.weights)
    assert with_zeros.step == state.step == 2


def test_every_purpose_and_place_has_its_own_random_numbers():
    places = [("init",), ("shuffle", 0), ("shuffle", 1), ("layers", 0, 0, 0), ("layers", 1, 0, 0)]
    places += [("layers", 0, 1, 0), ("layers", 0, 0, 1), ("split",)]
    drawn = {stream(seed, *place).bytes(16) for seed in (0, 1) for place in places}
    assert len(drawn) == 2 * len(places)
    assert stream(3, "shuffle", 2).bytes(8) == stream(3, "shuffle", 2).bytes(8)


def test_dropout_masks_do_not_depend_on_the_layers_around():
    """The mask of a micro-batch is drawn from its own stream."""
    network = network_of([Flatten(), Dropout(0.5)])
    one, _ = run(network, batch_size=20)
    again, _ = run(network, batch_size=20)
    assert np.array_equal(one.weights, again.weights)


def test_training_stops_when_the_loss_no_longer_falls():
    network = network_of([Flatten()])
    state, reason = run(network, tol=10.0, n_iter_no_change=4, max_iter=50)
    assert (reason, state.epoch) == ("no_change", 5)  # the first always improves on nothing
    state, reason = run(network, tol=0.0, n_iter_no_change=4, max_iter=50, lr=0.01)
    assert (reason, state.epoch) == ("max_iter", 50)


def test_the_best_weights_on_the_validation_part_are_remembered():
    network = network_of(cnn(4, hidden_layer_sizes=20))
    validation = Samples(SAMPLES.images, (y + 1) % 3, np.ones(53))  # it only gets worse
    state, reason = run(
        network, validation=validation, max_iter=40, n_iter_no_change=5, optimizer=Adam(), lr=0.01
    )
    scores = state.history["validation_score"]
    assert reason == "no_change"
    assert len(scores) == len(state.history["validation_loss"]) == state.epoch < 40
    assert state.best == max(scores) > scores[-1]
    z = network.forward(X, state.best_weights)
    assert np.mean(z.argmax(axis=1) == validation.targets) == pytest.approx(max(scores))


@pytest.mark.parametrize("lr", [1e3, 1e30, 1e300])
def test_divergence_keeps_the_last_good_weights(lr):
    network = network_of(cnn(4, hidden_layer_sizes=20))
    state, reason = run(network, lr=lr, max_iter=20)
    assert reason == "diverged"
    assert np.isfinite(state.weights).all()
    if state.epoch == 0:
        assert np.array_equal(state.weights, new_state(network, SGD(0), 0).weights)


def test_going_on_from_learned_weights_is_not_taken_for_divergence():
    network = network_of([Flatten()])
    state, _ = run(network, max_iter=300)
    learned = state.history["loss"][-1]
    assert learned < 0.5
    state.first_loss = learned / 1e6  # the first batch happened to be known by heart
    state, reason = run(network, state=state, max_iter=3, lr=0.01)
    assert (reason, state.epoch) == ("max_iter", 303)


def interrupted(network, when, **settings):
    settings = TrainingConfig(**DEFAULTS | settings)
    state = new_state(network, settings.optimizer, 0)
    with InterruptedThreads(when) as threads:
        return train(network, SAMPLES, settings, state, threads)


def test_ctrl_c_keeps_the_last_complete_epoch():
    network = network_of([Flatten()])
    settings = {"batch_size": 20, "optimizer": Adam()}  # three batches an epoch
    state, reason = interrupted(network, when=8, max_iter=50, **settings)
    assert reason == "interrupted"
    expected, _ = run(network, max_iter=2, **settings)
    assert np.array_equal(state.weights, expected.weights)
    assert np.array_equal(state.moments["first"], expected.moments["first"])
    assert (state.epoch, state.step, state.history) == (2, 6, expected.history)


def test_ctrl_c_in_the_first_epoch_goes_on():
    with pytest.raises(KeyboardInterrupt):
        interrupted(network_of([Flatten()]), when=2, batch_size=20, max_iter=5)


@pytest.mark.parametrize(
    "schedule", [Constant(), StepDecay(1.5), Cosine(5), ReduceOnPlateau(patience=1, tol=0.05)]
)
def test_going_on_is_the_same_as_not_stopping(schedule):
    network = network_of(cnn(2, hidden_layer_sizes=5, dropout=0.2))
    settings = {"batch_size": 20, "optimizer": Adam(), "shuffle": True, "lr_schedule": schedule}
    whole, _ = run(network, max_iter=6, **settings)
    half, _ = run(network, max_iter=2, **settings)
    both, _ = run(network, state=half, max_iter=4, **settings)
    assert np.array_equal(whole.weights, both.weights)
    assert whole.history == both.history

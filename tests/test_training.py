import numpy as np
import pytest

from skcnn.architectures import cnn
from skcnn.batches import Images
from skcnn.layers import Dense, Dropout, Flatten
from skcnn.losses import SoftmaxCrossEntropy
from skcnn.network import Network
from skcnn.optimizers import SGD, Adam
from skcnn.parallel import Workers
from skcnn.training import Samples, Settings, new_state, stream, train

rng = np.random.default_rng(0)
X = rng.standard_normal((53, 1, 6, 6))
y = rng.integers(0, 3, 53)
SAMPLES = Samples(Images(X, False), y, np.ones(53))
DEFAULTS = {
    "optimizer": SGD(0), "lr": 0.1, "weight_decay": 0.0, "batch_size": 53, "max_iter": 1,
    "shuffle": False, "tol": 0.0, "n_iter_no_change": 100,
}  # fmt: skip


def network_of(layers):
    return Network([*layers, Dense(3)], (1, 6, 6), np.float64)


def run(network, samples=SAMPLES, state=None, n_workers=1, validation=None, **settings):
    settings = Settings(**DEFAULTS | settings)
    state = state or new_state(network, settings.optimizer, 0)
    with Workers(n_workers) as workers:
        return train(network, samples, settings, state, workers, validation)


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


@pytest.mark.parametrize("layers", [cnn((2, 3), hidden_layer_sizes=5, dropout=0.5)])
def test_weights_do_not_depend_on_the_number_of_workers(layers, monkeypatch):
    network = network_of(layers)
    monkeypatch.setattr(Network, "micro_batch_size", lambda self, n=None, m=np.inf: 3)
    settings = {"optimizer": Adam(), "batch_size": 20, "shuffle": True, "max_iter": 3}
    results = [run(network, n_workers=n, **settings)[0].weights for n in (1, 2, 3, 7)]
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


class InterruptedWorkers(Workers):
    """Raises Ctrl-C in a given mini-batch."""

    def __init__(self, when):
        super().__init__(1)
        self.left = when

    def run(self, n_tasks, task, in_order=None):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        super().run(n_tasks, task, in_order)


def interrupted(network, when, **settings):
    settings = Settings(**DEFAULTS | settings)
    state = new_state(network, settings.optimizer, 0)
    with InterruptedWorkers(when) as workers:
        return train(network, SAMPLES, settings, state, workers)


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


def test_going_on_is_the_same_as_not_stopping():
    network = network_of(cnn(2, hidden_layer_sizes=5, dropout=0.2))
    settings = {"batch_size": 20, "optimizer": Adam(), "shuffle": True}
    whole, _ = run(network, max_iter=6, **settings)
    half, _ = run(network, max_iter=2, **settings)
    both, _ = run(network, state=half, max_iter=4, **settings)
    assert np.array_equal(whole.weights, both.weights)
    assert whole.history == both.history

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skcnn import micro_batches
from skcnn.architectures import cnn
from skcnn.layers import BatchNorm, Conv2d, Dense, Dropout, Flatten, MaxPool2d, ReLU, Tanh
from skcnn.layers.workspace import Workspace
from skcnn.network import Network

LAYERS = [Conv2d(4, 3, padding=1), ReLU(), MaxPool2d(2), Conv2d(3, 3), Tanh(), Flatten()]
LAYERS += [Dense(6), ReLU(), Dropout(0.5), Dense(4)]
SHAPE = (2, 8, 7)


@pytest.fixture
def network():
    return Network(LAYERS, SHAPE, np.float64)


def test_weights_come_before_biases_in_the_flat_vector(network):
    vector = np.arange(network.n_parameters, dtype=float)
    params = network.unpack(vector)
    weights = [p["weight"] for p in params if p]
    biases = [p["bias"] for p in params if p]
    order = np.concatenate([array.ravel() for array in weights + biases])
    assert np.array_equal(order, vector)
    assert network.n_decayed == sum(weight.size for weight in weights)
    assert [sorted(p) for p in params if p] == [["bias", "weight"]] * 4
    assert all(np.shares_memory(array, vector) for p in params for array in p.values())


def test_unpack_refuses_another_length(network):
    with pytest.raises(ValueError, match=f"has {network.vector_size} numbers"):
        network.unpack(np.zeros(3))


@settings(max_examples=20)
@given(n=st.integers(1, 40), size=st.integers(1, 40))
def test_micro_batches_change_nothing(n, size):
    network = Network(LAYERS, SHAPE, np.float64)
    vector = network.init(np.random.default_rng(0))
    rng = np.random.default_rng(1)
    X, dY = rng.standard_normal((n, *SHAPE)), rng.standard_normal((n, 4))
    whole = network.vjp(X, vector, dY, training=False)
    cut = [
        network.vjp(X[i : i + size], vector, dY[i : i + size], training=False)
        for i in range(0, n, size)
    ]
    for k, join in enumerate((np.concatenate, np.concatenate, sum)):
        np.testing.assert_allclose(whole[k], join([part[k] for part in cut]), atol=1e-11)
    np.testing.assert_array_equal(network.forward(X, vector), whole[0])


def test_forward_holds_less_memory_than_training(network):
    forward = Workspace.nbytes_per_sample(network, backward=False)
    assert forward < Workspace.nbytes_per_sample(network)


def test_one_workspace_serves_every_smaller_batch(network):
    vector = network.init(np.random.default_rng(0))
    params, grads = network.unpack(vector), network.unpack(np.empty_like(vector))
    workspace = Workspace(network, 9)
    rng = np.random.default_rng(0)
    for n in (9, 4, 1, 9, 5):
        X, dY = rng.standard_normal((n, *SHAPE)), rng.standard_normal((n, 4))
        arrays = workspace.arrays(n)
        arrays.x[0][...] = np.moveaxis(X, 0, -1)
        arrays.forward(params, False, None)
        output = arrays.x[-1].T.copy()
        arrays.dx[-1][...] = dY.T
        arrays.backward(params, grads)
        Y, _, gradient = network.vjp(X, vector, dY, training=False)
        np.testing.assert_array_equal(output, Y)
        for mine, expected in zip(grads, network.unpack(gradient), strict=True):
            for name in mine:
                np.testing.assert_array_equal(mine[name], expected[name])


def test_the_micro_batch_depends_on_the_network_and_is_lowered_by_memory_only(network):
    size = network.cost.micro_batch_size()
    assert size & (size - 1) == 0
    assert network.cost.micro_batch_size(3) == 3
    assert network.cost.micro_batch_size(10**6) == size
    one = Workspace.nbytes_per_sample(network)
    assert network.cost.micro_batch_size(max_bytes=5.5 * one) == 5
    assert network.cost.micro_batch_size(max_bytes=0) == 1
    large = Network(cnn(filters=(64, 64)), (3, 224, 224))
    assert large.cost.micro_batch_size() == 1
    assert Workspace.nbytes_per_sample(network) * size <= micro_batches.CACHE_BYTES


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.longdouble, list])
def test_vectors_of_any_kind_are_taken_in_the_dtype_of_the_network(kind):
    network = Network([Conv2d(2, 3), Flatten(), Dense(2)], (1, 6, 6))
    vector = network.init(np.random.default_rng(0))
    X, dY = np.ones((4, 1, 6, 6)), np.ones((4, 2))
    other = vector.tolist() if kind is list else vector.astype(kind)
    for mine, expected in zip(network.vjp(X, other, dY), network.vjp(X, vector, dY), strict=True):
        assert mine.dtype == np.float32
        np.testing.assert_array_equal(mine, expected)
    np.testing.assert_array_equal(network.forward(X, other), network.forward(X, vector))


@pytest.mark.parametrize(
    ("filters", "n", "size"),
    [
        (32, 64, 32),  # two threads' worth of work
        (32, 65, 33),
        (32, 100, 50),
        (32, 129, 33),  # four, not three
        (32, 4, 4),  # too little work for two
        (5, 64, 64),
        (5, 65, 33),  # evenly in any case
        (5, 129, 43),
        (5, 0, 1),
    ],
)
def test_samples_are_cut_evenly_and_in_pairs_where_there_is_work_for_two(filters, n, size):
    network = Network([Conv2d(filters, 5), Flatten(), Dense(10)], (1, 28, 28))
    assert network.cost.micro_batch_size() == 64
    assert network.cost.micro_batch_size(n) == size


@pytest.mark.parametrize(("ghost_size", "size"), [(16, 32), (24, 24), (32, 32), (48, 48)])
def test_samples_that_are_normalized_together_go_through_the_layers_together(ghost_size, size):
    network = Network([Conv2d(5, 5), BatchNorm(ghost_size), Flatten(), Dense(10)], (1, 28, 28))
    assert network.cost.micro_batch_size() == size


def test_even_micro_batches_hold_whole_ghost_batches_and_what_memory_allows():
    layers = [Conv2d(64, 5), BatchNorm(ghost_size=24), Flatten(), Dense(10)]
    network = Network(layers, (1, 28, 28))
    assert network.cost.micro_batch_size(48) == 24
    assert network.cost.micro_batch_size(50) == 24
    one = Workspace.nbytes_per_sample(Network([Conv2d(64, 5)], (1, 28, 28)))
    assert Network([Conv2d(64, 5)], (1, 28, 28)).cost.micro_batch_size(64, 9.5 * one) == 8


def test_a_chain_that_does_not_fit_names_layer_and_shapes():
    with pytest.raises(
        ValueError,
        match=r"layers\[2\] = Conv2d\(filters=4, kernel_size=9.*9 x 9.*4 x 4.*\(2, 4, 4\)",
    ):
        Network([Conv2d(2, 1), MaxPool2d(2), Conv2d(4, 9)], (1, 8, 8))
    with pytest.raises(ValueError, match=r"layers\[1\] = Dense.*\(2, 8, 8\); put Flatten"):
        Network([Conv2d(2, 1), Dense(3)], (1, 8, 8))
    with pytest.raises(ValueError, match=r"layers\[0\] must be an instance from skcnn.layers"):
        Network(["relu"], (1, 8, 8))


def test_wrong_arrays_are_named(network):
    vector = network.init(np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"X must have shape \(n, 2, 8, 7\), got \(3, 8, 7\)"):
        network.forward(np.zeros((3, 8, 7)), vector)
    with pytest.raises(ValueError, match=r"dY must have shape \(n, 4\)"):
        network.vjp(np.zeros((3, *SHAPE)), vector, np.zeros((3, 5)))
    with pytest.raises(ValueError, match="X holds 3 samples, but dY holds 2"):
        network.vjp(np.zeros((3, *SHAPE)), vector, np.zeros((2, 4)))
    with pytest.raises(ValueError, match="dtype must be float32 or float64"):
        Network(LAYERS, SHAPE, np.int32)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_rectifier_runs_after_the_pooling_with_the_same_bits(dtype, monkeypatch):
    layers = [Conv2d(3, 2), ReLU(), MaxPool2d(3, stride=2), Tanh(), ReLU(), MaxPool2d(2), Flatten()]
    swapped = Network(layers, SHAPE, dtype)
    kinds = [type(step) for step in swapped.steps]
    assert kinds == [Conv2d, MaxPool2d, ReLU, Tanh, MaxPool2d, ReLU, Flatten]
    assert swapped.layers == tuple(layers)
    monkeypatch.setattr(ReLU, "rectifies", False)
    plain = Network(layers, SHAPE, dtype)
    assert plain.steps == plain.layers
    vector = plain.init(np.random.default_rng(0))
    rng = np.random.default_rng(1)
    X = np.round(rng.standard_normal((20, *SHAPE)))  # ties
    dY = rng.standard_normal((20, *plain.output_shape))
    for one, other in zip(plain.vjp(X, vector, dY), swapped.vjp(X, vector, dY), strict=True):
        assert np.array_equal(one, other)


def test_gradients_of_unneeded_inputs_are_not_computed(network):
    arrays = Workspace(network, 2).arrays(2)
    assert arrays.dx[0] is None
    behind_flatten = Network([Flatten(), Dense(3)], SHAPE)
    arrays = Workspace(behind_flatten, 2).arrays(2)
    assert arrays.dx[:2] == [None, None]
    assert arrays.dx[2].shape == (3, 2)

"""Weights into estimators that were never fitted, and to and from other frameworks."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError

from skcnn import ScratchCNNClassifier, ScratchCNNRegressor
from skcnn.layers import (
    AvgPool2d,
    BatchNorm,
    Conv2d,
    ConvTranspose2d,
    Dense,
    Dropout,
    Flatten,
    Frozen,
    GlobalAvgPool2d,
    GroupNorm,
    LayerNorm,
    MaxPool2d,
    ReLU,
    Residual,
)
from skcnn.persistence import from_keras

LAYERS = [
    Conv2d(4, 3, padding=1), BatchNorm(epsilon=1e-3), ReLU(), MaxPool2d(2),
    Conv2d(8, 3, groups=4, padding=1), ConvTranspose2d(3, 2, stride=2), ReLU(),
    Flatten(), BatchNorm(epsilon=1e-3), Dropout(0.3), Dense(6), ReLU(),
]  # fmt: skip


@pytest.fixture(scope="module")
def data():
    X, y = load_digits(return_X_y=True)
    return X[:300], y[:300]


def test_initialize_draws_what_fit_begins_with(data):
    for settings in ({}, {"early_stopping": True}, {"warm_start": True}):
        clf = ScratchCNNClassifier(random_state=3, max_iter=2, lr=1e-30, weight_decay=0, **settings)
        begun = clone(clf).initialize(*data)
        done = clone(clf).fit(*data)
        n = begun.network_.n_parameters
        assert np.allclose(begun.weights_[:n], done.weights_[:n], rtol=0, atol=1e-25)
        assert np.array_equal(begun.input_mean_, done.input_mean_)
        assert begun.auto_params_ == done.auto_params_
        assert begun.n_iter_ == 0
        assert begun.loss_curve_ == []
        assert begun.predict_proba(data[0]).shape == (300, 10)


def test_fit_goes_on_from_initialize_under_warm_start_only(data):
    clf = ScratchCNNClassifier(random_state=3, max_iter=2, warm_start=True)
    whole = clone(clf).fit(*data).weights_
    begun = clone(clf).initialize(*data)
    assert np.array_equal(begun.fit(*data).weights_, whole)
    assert begun.n_iter_ == 2

    learned = clone(clf).fit(*data).get_weights()
    carried = clone(clf).initialize(*data).set_weights(learned)
    assert np.array_equal(carried.weights_, whole)
    assert carried.fit(*data).loss_curve_[0] < 0.5 * clone(clf).fit(*data).loss_curve_[0]

    anew = clone(clf).set_params(warm_start=False).initialize(*data).set_weights(learned)
    cold = clone(clf).set_params(warm_start=False).fit(*data)
    assert np.array_equal(anew.fit(*data).weights_, cold.weights_)


def test_what_goes_on_from_initialize_begins_as_a_first_training_does(data):
    """Above all BatchNorm's moments, of which the first mini-batches make more than later ones."""
    clf = ScratchCNNClassifier(filters=4, random_state=3, max_iter=2, batch_size=64)
    first = clone(clf).partial_fit(*data, classes=range(10))
    begun = clone(clf).initialize(*data).partial_fit(*data)
    assert np.array_equal(begun.weights_, first.weights_)

    warm = clone(clf).set_params(warm_start=True).fit(*data)
    later = clone(clf).initialize(*data).set_params(warm_start=True).fit(*data)
    assert np.array_equal(later.weights_, warm.weights_)


def test_initialize_of_the_regressor(data):
    X, y = data
    reg = ScratchCNNRegressor(random_state=0).initialize(X, y * 100.0)
    assert np.allclose(reg.predict(X), y.mean() * 100.0)  # its output layer starts at zero


def test_a_failed_initialize_changes_nothing(data):
    clf = ScratchCNNClassifier(lr=-1.0)
    with pytest.raises(ValueError, match="lr"):
        clf.initialize(*data)
    assert not hasattr(clf, "weights_")
    for call in (clf.get_weights, clf.to_state_dict, lambda: clf.set_weights([])):
        with pytest.raises(NotFittedError):
            call()


def test_get_weights_are_copies(data):
    clf = ScratchCNNClassifier(random_state=0).initialize(*data)
    before = clf.weights_.copy()
    clf.get_weights()[0]["weight"][...] = 7
    clf.to_state_dict()["0.weight"][...] = 7
    assert np.array_equal(clf.weights_, before)


def test_a_state_dict_comes_back(data):
    clf = ScratchCNNClassifier([*LAYERS[:4], Residual([Conv2d(4, 3, padding=1)])], random_state=0)
    clf.initialize(*data)
    state = clf.to_state_dict()
    assert list(state) == [
        "0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var",
        "4.0.weight", "4.0.bias", "6.weight", "6.bias",
    ]  # fmt: skip
    state = {**state, "1.num_batches_tracked": 5}
    other = clone(clf).set_params(random_state=1).initialize(*data).set_weights(state)
    assert np.array_equal(other.weights_, clf.weights_)
    renamed = {f"array {i}": array for i, array in enumerate(clf.to_state_dict().values())}
    assert np.array_equal(other.set_weights(renamed).weights_, clf.weights_)


BLOCK = Residual(
    [Conv2d(4, 3, padding=1, bias=False), BatchNorm(), ReLU(),
     Residual([Conv2d(4, 3, padding=1, bias=False), BatchNorm()])],
    [Conv2d(4, 1, bias=False), BatchNorm()],
)  # fmt: skip


def test_the_arrays_of_a_branch_come_layer_by_layer(data):
    clf = ScratchCNNClassifier([BLOCK, GlobalAvgPool2d()], random_state=0).initialize(*data)
    norm = ["weight", "bias", "running_mean", "running_var"]
    assert list(clf.to_state_dict()) == [
        "0.0.weight", *(f"0.1.{name}" for name in norm),
        "0.3.0.weight", *(f"0.3.1.{name}" for name in norm),
        "0.shortcut.0.weight", *(f"0.shortcut.1.{name}" for name in norm),
        "2.weight", "2.bias",
    ]  # fmt: skip
    renamed = {f"array {i}": array for i, array in enumerate(clf.to_state_dict().values())}
    other = clone(clf).set_params(random_state=1).initialize(*data).set_weights(renamed)
    assert np.array_equal(other.weights_, clf.weights_)


FRONT = [Conv2d(4, 3, padding=1), BatchNorm(), ReLU(), Residual([Conv2d(4, 1)]), GlobalAvgPool2d()]


def test_the_front_of_a_network_gets_the_arrays_of_another(data):
    X, y = data
    old = ScratchCNNClassifier(FRONT, random_state=0, max_iter=2).fit(X, y)
    front = old.to_state_dict(head=False)
    assert list(front) == list(old.to_state_dict())[:-2]
    assert all(np.array_equal(front[name], old.to_state_dict()[name]) for name in front)
    new = ScratchCNNClassifier([Frozen(old.layers_[:-1])], random_state=1).initialize(X, y % 2)
    head = new.to_state_dict()["1.weight"]
    for prefix in ("0.", "0"):
        new.initialize(X, y % 2).set_weights(front, prefix=prefix)
        state = new.to_state_dict()
        assert all(np.array_equal(state[f"0.{name}"], front[name]) for name in front)
        assert np.array_equal(state["1.weight"], head)
        new.input_mean_, new.input_scale_ = old.input_mean_, old.input_scale_
        assert np.array_equal(new.transform(X), old.transform(X))
    # thawed, in another estimator: the same arrays in the same order, head included
    thawed = ScratchCNNClassifier(old.layers_[:-1], random_state=2).initialize(X, y % 2)
    thawed.set_weights(new.to_state_dict())
    thawed.input_mean_, thawed.input_scale_ = old.input_mean_, old.input_scale_
    assert np.array_equal(thawed.predict_proba(X), new.predict_proba(X))
    # a single layer, among others
    before = thawed.to_state_dict()
    thawed.set_weights({"weight": np.ones((4, 1, 3, 3)), "bias": np.zeros(4)}, prefix="0.")
    after = thawed.to_state_dict()
    changed = {name for name in after if not np.array_equal(after[name], before[name])}
    assert changed <= {"0.weight", "0.bias"}
    assert (after["0.weight"] == 1).all()


def test_a_scaling_that_was_carried_over_stays_while_training_goes_on(data):
    X, y = data
    old = ScratchCNNClassifier(FRONT, random_state=0, max_iter=2).fit(X, y)
    new = ScratchCNNClassifier([Frozen(old.layers_[:-1])], max_iter=3, warm_start=True)
    new.initialize(X[:40] / 2, y[:40] % 2).set_weights(old.to_state_dict(head=False), prefix="0")
    new.input_mean_, new.input_scale_ = old.input_mean_, old.input_scale_
    before = new.transform(X)
    new.fit(X[:40], y[:40] % 2)
    assert np.array_equal(new.input_scale_, old.input_scale_)
    assert np.array_equal(new.transform(X), before)
    assert np.array_equal(before, old.transform(X))


def test_a_prefix_takes_all_of_its_arrays_and_no_others(data):
    clf = ScratchCNNClassifier([Frozen(FRONT)], random_state=0).initialize(*data)
    before = clf.weights_.copy()
    front = {
        name.removeprefix("0."): array
        for name, array in clf.to_state_dict().items()
        if name.startswith("0.")
    }
    missing = {name: front[name] for name in list(front)[1:]}
    for arrays, prefix, message in (
        (missing, "0.", "a mapping of 8 arrays, in the order .*'0.weight'.* got 7"),
        ({**front, "more": np.ones(3)}, "0.", "a mapping of 8 arrays, .* got 9: .*'more'"),
        ({**front, "0.bias": np.ones(5)}, "0.", r"arrays\['0.bias'\] takes the place of '0.bias'"),
        (clf.get_weights(), "0.", "arrays must be a mapping from names to arrays where a prefix"),
        (front, "7.", r"prefix must be the beginning of some names .*'0.0.weight', .*got '7.'"),
        (front, "0.0.w", "prefix must be the beginning of some names .*got '0.0.w'"),
        (front, 0, "prefix must be .*got 0"),
        (front, None, "prefix must be .*got None"),
    ):
        with pytest.raises(ValueError, match=message):
            clf.set_weights(arrays, prefix=prefix)
        assert np.array_equal(clf.weights_, before)
    with pytest.raises(ValueError, match="to_state_dict: head must be True or False, got 1"):
        clf.to_state_dict(head=1)


def test_names_that_are_ours_count_more_than_the_order(data):
    layers = [Conv2d(4, 3, padding=1), Conv2d(4, 3, padding=1), Conv2d(4, 3, padding=1)]
    clf = ScratchCNNClassifier(layers, random_state=0).initialize(*data)
    before, state = clf.weights_.copy(), clf.to_state_dict()
    for names in (reversed(state), ["2.weight", "2.bias", *state]):  # 1 and 2 have one shape
        moved = {name: state[name] for name in names}
        assert list(moved) != list(state)
        assert np.array_equal(clf.set_weights(moved).weights_, before)


def test_what_does_not_fit_is_named_and_changes_nothing(data):
    clf = ScratchCNNClassifier(LAYERS, random_state=0).initialize(*data)
    before, state = clf.weights_.copy(), clf.to_state_dict()
    names = list(state)
    names[2], names[3] = names[3], names[2]
    for bad, message in (
        ({}, "a mapping of .* arrays, in the order .*'0.weight'"),
        ({**state, "more": np.ones(3)}, "more"),
        (
            {**state, "0.bias": np.ones(5)},
            r"arrays\['0.bias'\] takes the place of '0.bias'.*\(4,\)",
        ),
        (
            {f"net.{name}": state[name] for name in names},
            r"arrays\['net.1.bias'\] takes the place of '1.weight'",
        ),
        ({**state, "0.bias": np.full(4, np.nan)}, "0.bias.* finite|0.bias.*NaN"),
        ({**state, "0.bias": ["a"] * 4}, "0.bias"),
    ):
        with pytest.raises(ValueError, match=message):
            clf.set_weights(bad)
        assert np.array_equal(clf.weights_, before)


def as_keras(clf):
    """The weights as a Keras model would give them, written down axis by axis."""
    arrays, image = [], None
    for layer, shape, params in zip(
        clf.network_.layers, clf.network_.shapes, clf.get_weights(), strict=False
    ):
        for array in params.values():
            if array.ndim == 4:
                filters, channels, KH, KW = array.shape
                there = np.empty((KH, KW, channels, filters))
                for o in range(filters):
                    for i in range(channels):
                        there[:, :, i, o] = array[o, i]
            elif array.ndim == 2 or (image is not None and isinstance(layer, BatchNorm)):
                there = array.T.copy()
                if image is not None:
                    C, H, W = image
                    for c in range(C):
                        for h in range(H):
                            for w in range(W):
                                there[(h * W + w) * C + c] = array.T[(c * H + h) * W + w]
            else:
                there = array
            arrays.append(there)
        if isinstance(layer, Flatten) and len(shape) == 3:
            image = shape
        elif isinstance(layer, Dense):
            image = None
    return arrays


def test_keras_axes(data):
    clf = ScratchCNNClassifier(LAYERS, random_state=0, max_iter=1).fit(*data)
    other = clone(clf).set_params(random_state=1).initialize(*data)
    other.set_weights(from_keras(other.network_, as_keras(clf)))
    assert np.array_equal(other.weights_, clf.weights_)


def test_a_depthwise_kernel_of_keras(data):
    clf = ScratchCNNClassifier([Conv2d(3, 3), Conv2d(6, 2, groups=3)], random_state=0).initialize(
        *data
    )
    arrays = as_keras(clf)
    depthwise = np.empty((2, 2, 3, 2))
    for c in range(3):
        for m in range(2):
            depthwise[:, :, c, m] = clf.get_weights()[1]["weight"][2 * c + m, 0]
    arrays[2] = depthwise
    again = clf.network_.unpack(clf.weights_)[1]["weight"]
    assert np.array_equal(from_keras(clf.network_, arrays)[1]["weight"], again)


def test_keras_weights_that_do_not_fit(data):
    clf = ScratchCNNClassifier(LAYERS, random_state=0).initialize(*data)
    arrays = as_keras(clf)
    with pytest.raises(ValueError, match=r"from_keras: arrays must be a list of the 18 .*got 17"):
        from_keras(clf.network_, arrays[:-1])
    with pytest.raises(ValueError, match=r"weight of layer 0, Conv2d.*\(4, 1, 3, 3\).*\(2, 2\)"):
        from_keras(clf.network_, [np.ones((2, 2)), *arrays[1:]])
    with pytest.raises(ValueError, match=r"from_keras: arrays\[1\] must have entries"):
        from_keras(clf.network_, [arrays[0], [[1], [1, 2]], *arrays[2:]])
    for bad in (None, 3, "weights"):
        with pytest.raises(ValueError, match="from_keras: arrays must be a list"):
            from_keras(clf.network_, bad)
    with pytest.raises(ValueError, match=r"from_keras: network must be a Network.*network_"):
        from_keras(clf, arrays)
    branched = ScratchCNNClassifier([Residual([Conv2d(1, 3, padding=1)])]).initialize(*data)
    with pytest.raises(ValueError, match="branches"):
        from_keras(branched.network_, [np.zeros(1)] * 4)
    grouped = ScratchCNNClassifier([Flatten(), GroupNorm(2)]).initialize(*data)
    with pytest.raises(ValueError, match=r"layer 1, GroupNorm.* comes after Flatten"):
        from_keras(grouped.network_, [np.zeros(64)] * 4)


@pytest.mark.slow
def test_a_network_that_pytorch_trained_predicts_the_same(data):
    torch = pytest.importorskip("torch", reason="PyTorch trains the network")
    from torch import nn

    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4, eps=1e-3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(4, 8, 3, groups=4, padding=1), nn.ConvTranspose2d(8, 3, 2, stride=2), nn.ReLU(),
        nn.Flatten(), nn.BatchNorm1d(192, eps=1e-3), nn.Dropout(0.3), nn.Linear(192, 6), nn.ReLU(),
        nn.Linear(6, 10),
    )  # fmt: skip
    X, y = data
    images, labels = torch.tensor(X / 16).float().reshape(-1, 1, 8, 8), torch.tensor(y).long()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(30):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
    model.eval()
    clf = ScratchCNNClassifier(LAYERS, scale_input=False, random_state=0)
    clf.initialize(images.numpy(), y).set_weights(model.state_dict())
    expected = model(images).softmax(1).detach().numpy()
    assert expected.max(axis=1).mean() > 0.5
    assert np.abs(clf.predict_proba(images.numpy()) - expected).max() < 1e-5

    back = nn.Sequential(*[type(m)(**arguments(m)) for m in model])
    back.load_state_dict({name: torch.from_numpy(a) for name, a in clf.to_state_dict().items()})
    assert np.allclose(back.eval()(images).softmax(1).detach().numpy(), expected, atol=1e-6)


def arguments(module):
    """Arguments that a module of PyTorch was made with, as far as this test uses them."""
    names = (
        "in_channels", "out_channels", "kernel_size", "stride", "padding", "groups",
        "num_features", "eps", "p", "in_features", "out_features",
    )  # fmt: skip
    return {name: getattr(module, name) for name in names if hasattr(module, name)}


@pytest.mark.slow
def test_a_residual_network_that_pytorch_trained_predicts_the_same(data):
    torch = pytest.importorskip("torch", reason="PyTorch trains the network")
    from torch import nn

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
            self.conv2, self.bn2 = nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
            self.downsample = nn.Sequential(nn.Conv2d(1, 4, 1, bias=False), nn.BatchNorm2d(4))

        def forward(self, x):
            y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
            return (y + self.downsample(x)).relu()

    torch.manual_seed(0)
    model = nn.Sequential(Block(), nn.Flatten(), nn.Linear(256, 10))
    X, y = data
    images, labels = torch.tensor(X / 16).float().reshape(-1, 1, 8, 8), torch.tensor(y).long()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(20):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
    expected = model.eval()(images).softmax(1).detach().numpy()
    assert expected.max(axis=1).mean() > 0.5
    layers = [
        Residual(
            [Conv2d(4, 3, padding=1, bias=False), BatchNorm(), ReLU(),
             Conv2d(4, 3, padding=1, bias=False), BatchNorm()],
            [Conv2d(4, 1, bias=False), BatchNorm()],
        ),
        ReLU(), Flatten(),
    ]  # fmt: skip
    clf = ScratchCNNClassifier(layers, scale_input=False).initialize(images.numpy(), y)
    clf.set_weights(model.state_dict())
    assert np.abs(clf.predict_proba(images.numpy()) - expected).max() < 1e-5


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation")  # of Keras' variables
@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (
            [("Conv2D", (4, 3), {"strides": 2, "padding": "same"})],
            [Conv2d(4, 3, stride=2, padding="same")],
        ),
        (
            [("Conv2D", (4, (2, 4)), {"strides": 3, "padding": "same"})],
            [Conv2d(4, (2, 4), stride=3, padding="same")],
        ),
        (
            [("Conv2D", (4, 3), {"dilation_rate": 2, "padding": "same"})],
            [Conv2d(4, 3, padding="same", dilation=2)],
        ),
        ([("DepthwiseConv2D", (3,), {"depth_multiplier": 2})], [Conv2d(4, 3, groups=2)]),
        (
            [("SeparableConv2D", (5, 3), {})],
            [Conv2d(2, 3, groups=2, bias=False), Conv2d(5, 1)],
        ),
        (
            [("Conv2DTranspose", (4, (3, 2)), {"strides": 2})],
            [ConvTranspose2d(4, (3, 2), stride=2)],
        ),
        (
            [("MaxPooling2D", (3,), {"strides": 2, "padding": "same"})],
            [MaxPool2d(3, stride=2, padding="same")],
        ),
        (  # as much padding before as after: otherwise Keras on PyTorch repeats the border
            [("AveragePooling2D", ((3, 4),), {"strides": 2, "padding": "same"})],
            [AvgPool2d((3, 4), stride=2, padding="same", count_include_pad=False)],
        ),
        (
            [("Conv2D", (4, 3), {}), ("GroupNormalization", (2,), {})],
            [Conv2d(4, 3), GroupNorm(2, epsilon=1e-3)],
        ),
        ([("GroupNormalization", (1,), {})], [LayerNorm(epsilon=1e-3)]),
        (
            [("Flatten", (), {}), ("LayerNormalization", (), {})],
            [Flatten(), LayerNorm(epsilon=1e-3)],
        ),
    ],
)
def test_layers_of_keras_have_the_same_outputs(theirs, ours, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras", reason="Keras has the other layers")
    rng, k = np.random.default_rng(0), keras.layers
    made = [getattr(k, name)(*values, **options) for name, values, options in theirs]
    model = keras.Sequential([k.Input((9, 8, 2)), *made, k.Flatten(), k.Dense(3)])
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    X = rng.normal(size=(6, 9, 8, 2)).astype(np.float32)
    reg = ScratchCNNRegressor([*ours, Flatten()], scale_input=False, data_format="channels_last")
    reg.initialize(X, np.tile([[-1.0], [1.0]], (3, 3)))  # mean 0, deviation 1: no scaling
    reg.set_weights(from_keras(reg.network_, model.get_weights()))
    np.testing.assert_allclose(reg.predict(X), model.predict(X, verbose=0), rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation")  # of Keras' variables
def test_a_network_that_keras_trained_predicts_the_same(data, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras", reason="Keras trains the network")
    keras.utils.set_random_seed(0)
    k = keras.layers
    model = keras.Sequential([
        k.Input((8, 8, 1)),
        k.Conv2D(4, 3, padding="same"), k.BatchNormalization(), k.ReLU(), k.MaxPooling2D(2),
        k.Conv2D(8, 3, groups=4, padding="same"), k.Conv2DTranspose(3, 2, strides=2), k.ReLU(),
        k.Flatten(), k.BatchNormalization(), k.Dropout(0.3), k.Dense(6), k.ReLU(),
        k.Dense(10, activation="softmax"),
    ])  # fmt: skip
    X, y = data
    images = (X / 16).astype(np.float32).reshape(-1, 8, 8, 1)
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(images, y, epochs=5, verbose=0)
    clf = ScratchCNNClassifier(LAYERS, scale_input=False, random_state=0).initialize(images, y)
    clf.set_weights(from_keras(clf.network_, model.get_weights()))
    assert np.abs(clf.predict_proba(images) - model.predict(images, verbose=0)).max() < 1e-5


def test_a_variance_is_not_negative(data):
    clf = ScratchCNNClassifier(LAYERS, random_state=0).initialize(*data)
    before, state, arrays = clf.weights_.copy(), clf.to_state_dict(), clf.get_weights()
    state["1.running_var"][2] = -0.5
    arrays[1]["running_variance"][2] = -0.5
    for bad, what in ((state, "1.running_var"), (arrays, "running_variance")):
        with pytest.raises(ValueError, match=f"{what}'] is a variance .* its minimum is -0.5"):
            clf.set_weights(bad)
        assert np.array_equal(clf.weights_, before)


def test_the_cure_for_an_unfitted_one_is_named():
    with pytest.raises(NotFittedError, match=r"ScratchCNNClassifier .*initialize\(X, y\)"):
        ScratchCNNClassifier().set_weights([])

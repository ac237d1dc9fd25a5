"""Layers whose branches are added or joined: names, memory, training, and what is shown of them."""

import pickle

import matplotlib as mpl
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits

from skcnn import ScratchCNNClassifier, summary
from skcnn.inspection import NetworkDisplay, activations, saliency
from skcnn.layers import (
    Add,
    BatchNorm,
    Concatenate,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    MaxPool2d,
    RandomCrop,
    ReLU,
    Residual,
    Tanh,
)
from skcnn.layers.workspace import Workspace
from skcnn.network import Network

mpl.use("agg")
X, y = load_digits(return_X_y=True)
LAYERS = [
    Concatenate(
        [
            [],
            [RandomCrop(1), Conv2d(4, 3, padding=1, bias=False), BatchNorm(16)],
            Conv2d(2, 1),
            [MaxPool2d(3, stride=1, padding=1), Add([[Conv2d(3, 1), Dropout(0.1)], Conv2d(3, 1)])],
        ]
    ),
    ReLU(), MaxPool2d(2), Conv2d(8, 3, padding=1),
    Add([[Conv2d(8, 3, padding=1), Tanh()], [], Residual([Conv2d(8, 1)])]), GlobalAvgPool2d(),
]  # fmt: skip


@pytest.fixture(scope="module")
def fitted():
    return ScratchCNNClassifier(LAYERS, random_state=0, max_iter=2).fit(X[:400], y[:400])


def of_parts(network, vector, X):
    """The output of the first layer of `LAYERS`, branch by branch."""
    params = network.unpack(vector)[0]
    outputs = []
    for b, branch in enumerate(network.layers[0].branches):
        own, begin = ([branch], f"{b}.") if not isinstance(branch, list) else (branch, None)
        part = Network(own, network.input_shape, network.dtype)
        flat = np.empty(part.vector_size, network.dtype)
        for i, arrays in enumerate(part.unpack(flat)):
            for name, array in arrays.items():
                array[...] = params[(begin or f"{b}.{i}.") + name]
        outputs.append(part.forward(X, flat))
    return np.concatenate(outputs, axis=1)


def test_the_output_is_that_of_the_branches(fitted):
    network, images = Network(LAYERS, (1, 8, 8), np.float64), X[:5].reshape(5, 1, 8, 8)
    vector = network.init(np.random.default_rng(0))
    front = Network(LAYERS[:1], (1, 8, 8), np.float64)
    flat = front.init(np.random.default_rng(0))
    for name, array in front.unpack(flat)[0].items():
        network.unpack(vector)[0][name][...] = array
    assert np.array_equal(front.forward(images, flat), of_parts(network, vector, images))
    scaled = ((images - fitted.input_mean_) / fitted.input_scale_).astype(np.float32)
    expected = of_parts(fitted.network_, fitted.weights_, scaled)
    np.testing.assert_allclose(activations(fitted, X[:5], 0), expected, rtol=1e-5, atol=1e-5)


def test_names_of_inner_arrays(fitted):
    assert set(fitted.get_weights()[0]) == {
        "1.1.weight", "1.2.weight", "1.2.bias", "1.2.running_mean", "1.2.running_variance",
        "2.weight", "2.bias", "3.1.0.0.weight", "3.1.0.0.bias", "3.1.1.weight", "3.1.1.bias",
    }  # fmt: skip
    names = list(fitted.to_state_dict())
    assert names == [
        "0.1.1.weight",
        *(f"0.1.2.{name}" for name in ("weight", "bias", "running_mean", "running_var")),
        "0.2.weight", "0.2.bias", "0.3.1.0.0.weight", "0.3.1.0.0.bias", "0.3.1.1.weight",
        "0.3.1.1.bias", "3.weight", "3.bias", "4.0.0.weight", "4.0.0.bias", "4.2.0.weight",
        "4.2.0.bias", "6.weight", "6.bias",
    ]  # fmt: skip
    state = {f"array {i}": array for i, array in enumerate(fitted.to_state_dict().values())}
    other = clone(fitted).set_params(random_state=1).initialize(X, y)
    assert np.array_equal(other.set_weights(state).weights_, fitted.weights_)


def test_nested_names_reach_layers_in_branches():
    clf = ScratchCNNClassifier(LAYERS)
    names = clf.get_params()
    assert names["layers__0__branches__1__1__filters"] == 4
    assert names["layers__0__branches__2__filters"] == 2
    assert names["layers__0__branches__3__1__branches__0__1__rate"] == 0.1
    assert names["layers__0__branches__0"] == []
    changed = clone(clf).set_params(
        layers__0__branches__1__1__filters=6, layers__0__branches__2=[Conv2d(5, 1)],
        layers__4__branches__2__layers__0__kernel_size=3,
    )  # fmt: skip
    assert changed.layers[0].branches[1][1].filters == 6
    assert changed.layers[0].branches[2] == [Conv2d(5, 1)]
    assert changed.layers[4].branches[2] == Residual([Conv2d(8, 3)])
    assert clf.layers == LAYERS
    assert changed.get_params()["layers__0__branches__2__0__filters"] == 5


def test_layers_with_branches_are_values():
    lists, tuples = Add([[ReLU()], [], Tanh()]), Add(((ReLU(),), (), Tanh()))
    assert lists == tuples
    assert hash(lists) == hash(tuples)
    assert lists != Add([[ReLU()], [], ReLU()])
    assert lists != Concatenate([[ReLU()], [], Tanh()])


def test_the_summary_shows_what_the_branches_are_made_of():
    table = summary(LAYERS, (8, 8), 10)
    assert [(row.name, row.depth) for row in table.rows][:9] == [
        ("0", 0), ("0.1.0", 1), ("0.1.1", 1), ("0.1.2", 1), ("0.2", 1), ("0.3.0", 1), ("0.3.1", 1),
        ("0.3.1.0.0", 2), ("0.3.1.0.1", 2),
    ]  # fmt: skip
    assert sum(row.parameters for row in table.rows) == table.parameters
    assert sum(row.multiply_adds for row in table.rows) == table.multiply_adds
    assert table.rows[0].output_shape == (10, 8, 8)
    assert table.rows[0].receptive_field == (3, 3)
    assert any("  Conv2d(2, 1)" in line for line in str(table).splitlines())
    inception = [Concatenate([Conv2d(2, k, padding="same") for k in (1, 3, 7)]), Conv2d(2, 3)]
    fields = [row.receptive_field for row in summary(inception, (20, 20), 2).rows]
    assert fields[:5] == [(7, 7), (1, 1), (3, 3), (7, 7), (9, 9)]


def test_receptive_fields_are_those_of_the_gradients():
    layers = [Concatenate([[], [Conv2d(1, 3, padding=1)] * 2, Conv2d(1, (1, 7), padding=(0, 3))])]
    network = Network(layers, (1, 15, 15), np.float64)
    dY = np.zeros((1, *network.output_shape))
    dY[0, :, 7, 7] = 1
    vector = network.init(np.random.default_rng(0))
    _, dX, _ = network.vjp(np.ones((1, 1, 15, 15)), vector, dY)
    height, width = summary(layers, (15, 15), 2).rows[0].receptive_field
    assert (height, width) == (np.ptp(dX[0, 0].any(1).nonzero()) + 1, 7) == (5, 7)


def test_branches_that_keep_nothing_cost_nothing_and_the_input_itself_neither():
    def nbytes(kind, branches, backward=True):
        network = Network([kind(branches), GlobalAvgPool2d()], (4, 16, 16))
        return Workspace.nbytes_per_sample(network, backward)

    one = [Conv2d(4, 3, padding=1)]
    assert nbytes(Add, [one, []]) == nbytes(Add, [one])
    assert nbytes(Add, [one * 8], False) == nbytes(Add, [one * 4], False)
    residual = Network([Residual(one), GlobalAvgPool2d()], (4, 16, 16))
    assert nbytes(Add, [one, []]) == Workspace.nbytes_per_sample(residual)
    image = 4 * 16 * 16 * 4
    assert nbytes(Concatenate, [one, []]) <= nbytes(Add, [one, []]) + 2 * image  # a wider output


def test_a_sum_is_a_residual():
    inner, shortcut = [Conv2d(3, 3, padding=1), BatchNorm(8), ReLU()], [Conv2d(3, 1)]
    rng = np.random.default_rng(1)
    images, dY = rng.normal(size=(2, 9, 3, 6, 6))
    for right in ([], shortcut):
        add, residual = (
            Network([layer], (3, 6, 6), np.float64)
            for layer in (Add([inner, right]), Residual(inner, right or None))
        )
        vector = add.init(np.random.default_rng(0))
        assert np.array_equal(vector, residual.init(np.random.default_rng(0)))
        found, expected = add.vjp(images, vector, dY), residual.vjp(images, vector, dY)
        for left, right_ in zip(found, expected, strict=True):
            assert np.array_equal(left, right_)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_estimator_trains_resumes_pickles_and_transforms(dtype):
    shared = {"layers": LAYERS, "random_state": 0, "dtype": dtype, "lr_schedule": "constant"}
    shared |= {"n_iter_no_change": 99, "batch_size": 64}
    whole = ScratchCNNClassifier(**shared, max_iter=4).fit(X[:300], y[:300])
    halves = ScratchCNNClassifier(**shared, max_iter=2, warm_start=True).fit(X[:300], y[:300])
    halves = pickle.loads(pickle.dumps(halves)).fit(X[:300], y[:300])
    assert np.array_equal(halves.weights_, whole.weights_)
    assert np.array_equal(halves.predict_proba(X), whole.predict_proba(X))
    assert whole.transform(X).shape == (len(X), 8)
    assert whole.loss_curve_[-1] < whole.loss_curve_[0]
    assert whole.summary().parameters == whole.network_.n_parameters


def test_dropout_and_moments_in_branches_act_in_training_only(fitted):
    assert np.array_equal(fitted.predict_proba(X[:50]), fitted.predict_proba(X)[:50])
    before = fitted.get_weights()[0]["1.2.running_mean"]
    assert before.any()
    assert fitted.network_.chain.draws
    assert fitted.network_.samples_together == 16


def test_inspection_reaches_into_branches(fitted):
    inner = activations(fitted, X[:6], "0.3.1.1")
    pooled = activations(fitted, X[:6], "0.3.0")
    weights = fitted.get_weights()[0]
    by_hand = np.einsum("fc,nchw->nfhw", weights["3.1.1.weight"][:, :, 0, 0], pooled)
    by_hand += weights["3.1.1.bias"].reshape(-1, 1, 1)
    np.testing.assert_allclose(inner, by_hand, rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match=r"one of \['0', '0\.1\.0', .*got '0\.0\.0'"):
        activations(fitted, X[:6], "0.0.0")
    assert np.abs(saliency(fitted, X[:3], method="grad_cam")).max() > 0
    found, step = saliency(fitted, X[:1].astype(float), 4)[0], np.zeros(64)
    step[20] = 0.25
    slope = activations(fitted, X[:1] + step, -1) - activations(fitted, X[:1] - step, -1)
    np.testing.assert_allclose(found[20], slope[0, 4] / 0.5, rtol=0.1, atol=1e-3)


def test_the_drawing_shows_branches_and_how_they_are_joined(fitted):
    display = NetworkDisplay.from_estimator(fitted)
    assert len(display.frames_) == 4
    signs = [text.get_text() for text in display.ax_.texts if text.get_bbox_patch()]
    assert sorted(signs) == ["+", "+", "+", "concat"]
    assert len(display.boxes_) == len(display.texts_)
    display.figure_.draw_without_rendering()
    frame = display.frames_[0].get_window_extent()
    columns = [display.boxes_[i].get_window_extent() for i in (0, 2)]
    for box in columns:
        assert frame.x0 < box.x0 < box.x1 < frame.x1
        assert frame.y0 < box.y0 < box.y1 < frame.y1
    assert columns[0].x1 < columns[1].x0  # beside each other
    for box, text in zip(display.boxes_, display.texts_, strict=True):
        outer, inner = box.get_window_extent(), text.get_window_extent()
        assert outer.x0 <= inner.x0 <= inner.x1 <= outer.x1


def test_branches_may_come_first_and_hold_no_parameters():
    for layers in (
        [Concatenate([[], ReLU()])],
        [Concatenate([[]])],
        [Add([[], []])],
        [Add([ReLU(), [Tanh()]]), Conv2d(2, 3), Concatenate([Tanh(), []])],
        [Flatten(), Concatenate([[], Dense(8)]), Add([[], Dense(72)])],
    ):
        clf = ScratchCNNClassifier(layers, random_state=0, max_iter=1).fit(X[:100], y[:100])
        assert np.isfinite(clf.predict_proba(X[:5])).all()
        assert clf.summary().parameters == clf.network_.n_parameters


def test_branches_to_a_depth_of_thirty():
    block = [Conv2d(2, 3, padding="same"), ReLU()]
    for i in range(30):
        block = [(Add, Concatenate)[i % 2]([[Conv2d(2, 1), *block], Conv2d(2, 1)]), Conv2d(2, 1)]
    rng = np.random.default_rng(0)
    images = rng.random((12, 6, 6), dtype=np.float32)
    clf = ScratchCNNClassifier(block, max_iter=1, random_state=0).fit(images, np.arange(12) % 2)
    assert len(clf.summary().rows) == 2 + 30 * 4 + 2
    assert np.isfinite(clf.predict_proba(images)).all()
    assert clone(clf).get_params().keys() == clf.get_params().keys()

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError

import skcnn
from skcnn import ScratchCNNClassifier, summary
from skcnn._summary import Summary
from skcnn.initializers import Glorot
from skcnn.layers import (
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    GroupNorm,
    LayerNorm,
    LocalResponseNorm,
    MaxPool2d,
    RandomCrop,
    ReLU,
    Residual,
    Tanh,
)
from skcnn.layers.workspace import Workspace
from skcnn.network import Network

LENET = [
    Conv2d(6, 5, padding=2), ReLU(), MaxPool2d(2), Conv2d(16, 5), ReLU(), MaxPool2d(2),
    Flatten(), Dense(120), ReLU(), Dense(84), ReLU(),
]  # fmt: skip

BY_HAND = [  # output, parameters, multiply-adds, receptive field
    ((6, 28, 28), 6 * 25 + 6, 6 * 25 * 28 * 28, (5, 5)),
    ((6, 28, 28), 0, 0, (5, 5)),
    ((6, 14, 14), 0, 0, (6, 6)),
    ((16, 10, 10), 16 * 6 * 25 + 16, 16 * 6 * 25 * 100, (14, 14)),
    ((16, 10, 10), 0, 0, (14, 14)),
    ((16, 5, 5), 0, 0, (16, 16)),
    ((400,), 0, 0, (16, 16)),
    ((120,), 120 * 401, 120 * 400, (28, 28)),
    ((120,), 0, 0, (28, 28)),
    ((84,), 84 * 121, 84 * 120, (28, 28)),
    ((84,), 0, 0, (28, 28)),
    ((10,), 850, 840, (28, 28)),
]


def test_lenet_by_hand():
    table = summary(LENET, (28, 28), 10)
    found = [
        (row.output_shape, row.parameters, row.multiply_adds, row.receptive_field)
        for row in table.rows
    ]
    assert found == BY_HAND
    assert [row.layer for row in table.rows] == [*LENET, Dense(10, initializer=Glorot())]
    assert all(row.unused == (0, 0) for row in table.rows)
    assert (table.parameters, table.multiply_adds) == (61_706, 416_520)
    assert table.input_shape == (1, 28, 28)


def test_memory_by_hand():
    """Two dense layers: the first needs no gradient by its input."""
    table = summary([Flatten(), Dense(7), Tanh()], (3, 4), 5, dtype=np.float64)
    # outputs of 7 and 5 numbers; Tanh writes over its input and wants 7 for its slope
    assert [row.memory for row in table.rows] == [0, 7 * 8, 7 * 8, 5 * 8]
    assert table.dtype == "float64"
    half = summary([Flatten(), Dense(7), Tanh()], (3, 4), 5)
    assert [row.memory for row in half.rows] == [0, 7 * 4, 7 * 4, 5 * 4]


def test_memory_is_that_of_the_workspace():
    table = summary(LENET, (28, 28), 10)
    network = Network([*LENET, Dense(10, initializer=Glorot())], (1, 28, 28))
    size = network.cost.micro_batch_size()
    assert table.micro_batch_size == size
    workspace = Workspace(network, size).memory.nbytes
    assert workspace == pytest.approx(table.micro_batch_memory, rel=1e-3)
    assert table.micro_batch_memory == size * table.memory_per_sample
    # a rectifier that trades places with the max-pooling keeps its row, at the pooled size
    scratch = [
        {spec.shape for spec in layer.scratch((6, 14, 14), np.float32, True).values()}
        for layer in LENET[1:2]
    ]
    assert scratch == [{(6, 14, 14)}]
    assert table.rows[1].memory == (1 + 4) * 6 * 14 * 14
    assert table.rows[2].memory > 6 * 14 * 14 * 4


def test_layers_that_are_the_same_object_keep_their_rows():
    relu, pool = ReLU(), MaxPool2d(2)
    table = summary([relu, pool, relu, relu, pool, pool, relu], (16, 24), 2)
    sizes = [row.memory for row in table.rows[:7]]
    again = summary([ReLU(), MaxPool2d(2), ReLU(), ReLU(), MaxPool2d(2), MaxPool2d(2), ReLU()],
                    (16, 24), 2)  # fmt: skip
    assert sizes == [row.memory for row in again.rows[:7]]
    # each has a bool and a zero a pixel of the size at which it runs; behind another rectifier,
    # which reads its own output again, it has an output too
    assert [sizes[i] for i in (0, 2, 3, 6)] == [5 * 8 * 12, 9 * 8 * 12, 5 * 2 * 3, 9 * 2 * 3]


@st.composite
def image_layers(draw, size):
    """A convolution or a pooling that fits into `size`."""
    if draw(st.booleans()):
        padding = draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
        dilation = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
        kernel = tuple(
            draw(st.integers(1, min(4, (n + 2 * p - 1) // d + 1)))
            for n, p, d in zip(size, padding, dilation, strict=True)
        )
        stride = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
        same = draw(st.integers(0, 3)) == 0
        return Conv2d(1, kernel, stride, "same" if same else padding, dilation=dilation)
    kernel = tuple(draw(st.integers(1, min(3, n))) for n in size)
    padding = tuple(draw(st.integers(0, k - 1)) for k in kernel)
    stride = draw(st.one_of(st.none(), st.tuples(st.integers(1, 4), st.integers(1, 4))))
    if draw(st.integers(0, 3)) == 0:
        return AvgPool2d(kernel, stride, "same", count_include_pad=draw(st.booleans()))
    return AvgPool2d(kernel, stride, padding)


POINTWISE = [Tanh(), Dropout(0.1), BatchNorm(), LocalResponseNorm(), RandomCrop(0)]


@st.composite
def image_networks(draw):
    size = draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    layers, shape = [], (1, *size)
    for _ in range(draw(st.integers(1, 3))):
        layers.append(draw(image_layers(shape[1:])))
        shape = layers[-1].output_shape(shape)
        if draw(st.booleans()):
            layers.append(draw(st.sampled_from(POINTWISE)))
    if draw(st.booleans()):
        layers.append(draw(st.sampled_from([Flatten(), GlobalAvgPool2d()])))
        if draw(st.booleans()):
            layers += [Dense(2), Tanh()]
    return layers, (1, *size)


def depends(layers, shape, seed=0):
    """Whether outputs depend on pixels, changed one at a time: (outputs, rows, columns).

    All weights are positive, so that no two ways from a pixel to an output cancel.
    """
    network = Network(layers, shape, np.float64)
    vector = np.random.default_rng(seed).uniform(0.5, 1.5, network.vector_size)
    vector /= 100  # for Tanh
    _, H, W = shape
    X = np.zeros((H * W + 1, H * W))
    X[1:] = np.eye(H * W)
    Y = network.forward(X.reshape(-1, *shape), vector).reshape(H * W + 1, -1)
    # products round their last columns in another way: less than this is no dependence
    return (np.abs(Y[1:] - Y[0]) > 1e-14).T.reshape(-1, H, W)


def boxes(seen):
    """Height and width that one output sees at most."""
    largest = [0, 0]
    for one in seen:
        for axis in (0, 1):
            places = np.flatnonzero(one.any(axis=1 - axis))
            if len(places):
                largest[axis] = max(largest[axis], int(np.ptp(places)) + 1)
    return tuple(largest)


@pytest.mark.slow
@settings(max_examples=150)
@given(case=image_networks())
def test_receptive_fields_are_what_changing_single_pixels_shows(case):
    layers, shape = case
    table = Summary.of(Network(layers, shape))
    for i in range(len(layers)):
        seen = depends(layers[: i + 1], shape)
        # a box is the product of its sides, but empty where one of them is
        field = table.rows[i].receptive_field
        assert (field if all(field) else (0, 0)) == boxes(seen), layers[: i + 1]


@settings(max_examples=150)
@given(data=st.data(), size=st.tuples(st.integers(1, 12), st.integers(1, 12)))
def test_unused_rows_and_columns_are_those_that_change_nothing(data, size):
    layer, shape = data.draw(image_layers(size)), (1, *size)
    table = Summary.of(Network([layer], shape))
    used = depends([layer], shape).any(axis=0)
    unused = (int(np.sum(~used.any(axis=1))), int(np.sum(~used.any(axis=0))))
    found = table.rows[0].unused
    assert unused == (found if used.any() else size)


@pytest.mark.parametrize(
    ("layer", "unused", "whole"),
    [
        (Conv2d(10, 3, stride=2), (1, 1), (19, 19)),
        (Conv2d(10, 3, stride=2, padding=1), (0, 0), (20, 20)),
        (Conv2d(10, (3, 2), stride=(3, 2)), (2, 0), (18, 20)),
        (MaxPool2d(3), (2, 2), (18, 18)),
        (MaxPool2d(3, stride=2, padding=1), (0, 0), (20, 20)),
        (AvgPool2d(2, stride=3), (6, 6), (20, 20)),  # between the windows too
        (MaxPool2d(3, stride=2), (1, 1), (19, 19)),
    ],
    ids=str,
)
def test_unused_pixels_of_20_by_20(layer, unused, whole):
    table = summary([layer], (20, 20), 10)
    assert table.rows[0].unused == unused
    assert table.rows[-1].receptive_field == whole  # the output layer sees what was used
    cell = f"{unused[0]}x{unused[1]}"
    assert str(table).splitlines()[4].endswith(f" {cell}") == any(unused)


def test_the_textbook_recursion_inside_a_large_image():
    layers, field, jump = [], 1, 1
    for k, s, d in [(7, 2, 1), (3, 2, 1), (3, 1, 2), (3, 1, 1), (1, 2, 1), (2, 2, 3)]:
        layers.append(Conv2d(2, k, stride=s, dilation=d))
        field, jump = field + d * (k - 1) * jump, jump * s
        assert summary(layers, (3, 200, 150), 2).rows[-3].receptive_field == (field, field)


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (Conv2d(6, 5, padding=2), (1, 28, 28), 117_600),
        (Conv2d(20, 3, stride=2), (10, 20, 20), 20 * 9 * 9 * 10 * 3 * 3),
        (Conv2d(8, (3, 5), groups=2, dilation=2), (4, 20, 20), 8 * 16 * 12 * 2 * 3 * 5),
        (Conv2d(4, 3, padding="same", clip=True), (1, 1, 50), 4 * 50 * 3),
        (Dense(84), (120,), 10_080),
        (MaxPool2d(2), (3, 8, 8), 0),
        (ReLU(), (3, 8, 8), 0),
    ],
    ids=str,
)
def test_multiply_adds(layer, shape, expected):
    assert layer.multiply_adds(shape) == expected


def test_multiply_adds_are_counted_by_a_convolution_of_ones():
    """Without padding every product of ones counts: the sum of the output."""
    layer, shape = Conv2d(6, (3, 2), stride=2, groups=3, dilation=(1, 2)), (3, 9, 10)
    network = Network([layer], shape, np.float64)
    vector = np.zeros(network.n_parameters)
    network.unpack(vector)[0]["weight"][...] = 1
    assert network.forward(np.ones((1, *shape)), vector).sum() == layer.multiply_adds(shape)


def test_the_table_is_aligned_and_fits_100_columns():
    lines = str(summary(LENET, (28, 28), 10)).splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[0] == "Input 1x28x28, float32"
    header, first, second = lines[2], lines[4], lines[5]
    assert header.split()[:5] == ["layer", "output", "parameters", "multiply-adds", "memory"]
    assert first.split()[:8] == [
        "0", "Conv2d(6,", "5,", "padding=2)", "6x28x28", "156", "117,600",
        first.split()[7],
    ]  # fmt: skip
    assert first.index("6x28x28") == second.index("6x28x28") == header.index("output")
    ends = [line.index(word) + len(word) for line, word in ((header, "parameters"), (first, "156"))]
    assert ends[0] == ends[1]
    assert lines[-3].split() == ["total", "61,706", "416,520"]
    assert "a micro-batch of 64" in lines[-1]
    assert repr(summary(LENET, (28, 28), 10)) == "\n".join(lines)


def test_large_networks_take_one_sample_at_a_time():
    table = summary([Conv2d(64, 3, padding=1), Conv2d(64, 3, padding=1)], (224, 224), 2)
    assert table.micro_batch_size == 1
    assert str(table).endswith(" MiB a sample, one sample at a time.")


def test_html_is_escaped():
    class Odd(ReLU):
        def hyperparameters(self):
            return {"name": "<script>&"}

    html = summary([Odd(), Conv2d(6, 5)], (28, 28), 10)._repr_html_()
    assert "<script>" not in html
    assert "Odd(name=&#x27;&lt;script&gt;&amp;&#x27;)" in html
    assert html.count("<tr>") == html.count("</tr>") == 1 + 4 + 1
    assert "<td>Conv2d(6, 5)</td><td>6x24x24</td><td>156</td>" in html


def test_a_data_frame():
    table = summary(LENET, (28, 28), 10)
    frame = pd.DataFrame(table.to_dict())
    assert list(frame.columns) == [
        "layer", "hyperparameters", "name", "depth", "output_shape", "parameters",
        "multiply_adds", "memory", "receptive_field", "unused", "constants",
    ]  # fmt: skip
    assert len(frame) == 12
    assert frame["parameters"].sum() == 61_706
    assert frame["hyperparameters"][0] == "filters=6, kernel_size=5, padding=2"
    assert frame["hyperparameters"][1] == ""
    assert frame["layer"][11] == "Dense"
    assert frame["output_shape"][3] == (16, 10, 10)


def test_the_classifier_tells_of_the_fitted_network():
    rng = np.random.default_rng(0)
    X, y = rng.random((12, 3, 8, 6)), np.arange(12) % 3
    clf = ScratchCNNClassifier([Conv2d(2, 3), ReLU()], max_iter=1, random_state=0)
    with pytest.raises(NotFittedError):
        clf.summary()
    table = clf.fit(X, y).summary()
    assert isinstance(table, Summary)
    assert table == summary(clf.layers, (3, 8, 6), 3, dtype="float64")
    assert [row.layer for row in table.rows] == clf.layers_
    assert table.parameters == clf.weights_.size
    default = ScratchCNNClassifier(max_iter=1, random_state=0).fit(X.astype(np.float32), y)
    layers = skcnn.architectures.cnn(**skcnn.architectures.recipe((3, 8, 6)))
    assert default.summary() == summary(layers, [3, 8, 6], 3)


def test_the_untrained_state_is_no_parameter():
    table = summary([Conv2d(6, 3), BatchNorm(), GlobalAvgPool2d()], (8, 8), 3)
    assert [row.parameters for row in table.rows] == [60, 12, 0, 21]
    assert [row.receptive_field for row in table.rows] == [(3, 3), (3, 3), (8, 8), (8, 8)]
    assert table.parameters == 93


def test_a_global_maximum_sees_all_that_its_channels_see():
    layers = [Conv2d(2, 3, stride=2), GlobalMaxPool2d()]
    assert summary(layers, (9, 9), 3).rows[1].receptive_field == (9, 9)
    assert summary(layers, (10, 7), 3).rows[1].receptive_field == (9, 7)


def test_normalised_samples_see_all_pixels_and_so_do_sums_with_them():
    layers = [Conv2d(2, 3), Residual([LayerNorm()]), Conv2d(2, 3), Flatten(), GroupNorm(2)]
    fields = [row.receptive_field for row in summary(layers, (9, 7), 3).rows]
    assert fields == [(3, 3), *[(9, 7)] * 6]


def test_networks_of_vectors():
    table = Summary.of(Network([Dense(5), Tanh(), Dense(2)], (9,)))
    assert [row.receptive_field for row in table.rows] == [(9,), (9,), (9,)]
    assert [row.unused for row in table.rows] == [(0,)] * 3
    assert str(table).startswith("Input 9, float32")


def test_a_network_without_layers_of_its_own():
    table = summary([], (2, 2), 2)
    assert [type(row.layer) for row in table.rows] == [Flatten, Dense]
    assert table.parameters == 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((None, (28, 28), 10), "summary: layers must be a list"),
        ((Conv2d(6, 5), (28, 28), 10), "summary: layers must be a list"),
        ((["relu"], (28, 28), 10), r"layers\[0\] must be an instance"),
        (([Conv2d(6, 5)], (4, 4), 10), r"layers\[0\] = .* does not fit"),
        (([], 28, 10), r"image_shape must be a tuple \(length,\), \(height, width\) or"),
        (([], (), 10), "image_shape must be"),
        (([], (1, 1, 28, 28), 10), "image_shape must be"),
        (([], (28, 0), 10), r"image_shape\[\d\] must be an int of at least 1, got 0"),
        (([], (28, 28.0), 10), r"image_shape\[1\] must be an int"),
        (([], (28, 28), 1), "n_classes must be an int of at least 2, got 1"),
        (([], (28, 28), None), "n_classes"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        summary(*arguments)


def test_a_wrong_dtype_is_named():
    with pytest.raises(ValueError, match="dtype must be float32 or float64"):
        summary([], (28, 28), 10, dtype="int8")


def test_summaries_are_values():
    table = summary(LENET, (28, 28), 10)
    assert pickle.loads(pickle.dumps(table)) == table == summary(LENET, (1, 28, 28), 10)
    assert table != summary(LENET, (28, 28), 11)

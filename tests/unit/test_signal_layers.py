"""Layers for signals are those for images, with a height of 1."""

import numpy as np
import pytest

from skcnn.initializers import Glorot
from skcnn.layers import (
    AvgPool1d,
    AvgPool2d,
    Conv1d,
    Conv2d,
    ConvTranspose1d,
    ConvTranspose2d,
    MaxPool1d,
    MaxPool2d,
)
from skcnn.network import Network

SAME = [
    (Conv1d(4, 7), Conv2d(4, (1, 7))),
    (Conv1d(4, 7, padding="same", clip=True), Conv2d(4, (1, 7), padding="same", clip=True)),
    (
        Conv1d(4, 7, 2, 3, 4, 2, False, Glorot()),
        Conv2d(4, (1, 7), (1, 2), (0, 3), (1, 4), 2, False, Glorot()),
    ),
    (ConvTranspose1d(4, 3), ConvTranspose2d(4, (1, 3))),
    (
        ConvTranspose1d(4, 3, 2, 3, 1, 4, 2, False, Glorot()),
        ConvTranspose2d(4, (1, 3), (1, 2), (0, 3), (0, 1), (1, 4), 2, False, Glorot()),
    ),
    (MaxPool1d(2), MaxPool2d((1, 2))),
    (MaxPool1d(3, 1, "same", True), MaxPool2d((1, 3), (1, 1), "same", True)),
    (AvgPool1d(3, padding=1), AvgPool2d((1, 3), padding=(0, 1))),
    (AvgPool1d(3, 2, 0, True, False), AvgPool2d((1, 3), (1, 2), 0, True, False)),
]


@pytest.mark.parametrize(("layer", "expected"), SAME, ids=str)
def test_they_return_the_layer_for_images(layer, expected):
    assert layer == expected
    assert repr(layer) == repr(expected)


def test_numbers_of_numpy_are_taken():
    assert Conv1d(np.int64(4), np.int64(7), stride=np.int64(2)) == Conv1d(4, 7, stride=2)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (Conv1d(4, 0), r"Conv2d: kernel_size must be an int of at least 1, got 0"),
        (Conv1d(4, 3, stride="x"), "Conv2d: stride must be"),
        (Conv1d(4, 3, padding=-1), "Conv2d: padding must be an int of at least 0, got -1"),
        (Conv1d(4, 3, padding="valid"), "Conv2d: padding must be .*'same', got 'valid'"),
        (ConvTranspose1d(4, 3, output_padding=1), "output_padding must be smaller"),
        (MaxPool1d((2, 2)), r"MaxPool2d: pool_size must be an int of at least 1, got \(2, 2\)"),
        (AvgPool1d(2, stride=0), "AvgPool2d: stride must be an int of at least 1, got 0"),
        (MaxPool1d(12), "window 1 x 12 does not fit into the input 1 x 9"),
    ],
)
def test_bad_values_are_named_when_the_layer_is_bound(layer, message):
    with pytest.raises(ValueError, match=message):
        Network([layer], (2, 1, 9))

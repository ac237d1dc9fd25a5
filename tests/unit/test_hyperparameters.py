"""Layers, optimizers, schedules and initializers are values."""

from dataclasses import FrozenInstanceError, dataclass, replace

import numpy as np
import pytest

from skcnn import initializers, layers, optimizers, schedules
from skcnn._hyperparameters import Hyperparameters
from skcnn.network import Network

ARGUMENTS = {
    "Conv2d": (8, 3),
    "ConvTranspose2d": (8, 3),
    "PadChannels": (8,),
    "Residual": ((layers.ReLU(),),),
    "Add": (((layers.ReLU(),), ()),),
    "Concatenate": (((layers.ReLU(),), ()),),
    "Frozen": ((layers.ReLU(),),),
    "Dense": (5,),
    "Dropout": (0.5,),
    "GaussianNoise": (0.1,),
    "GroupNorm": (2,),
    "LocalResponseNorm": (),
    "RandomCrop": (2,),
    "RandomRotation": (10,),
    "RandomScale": (0.1,),
    "RandomShift": (2,),
    "MaxPool2d": (2,),
    "AvgPool2d": (2,),
}
VALUES = [
    kind(*ARGUMENTS.get(name, ()))
    for room in (layers, optimizers, schedules, initializers)
    for name in room.__all__
    if isinstance(kind := getattr(room, name), type)
    and issubclass(kind, Hyperparameters)
    and not getattr(kind, "__abstractmethods__", ())
]
every_value = pytest.mark.parametrize("value", VALUES, ids=repr)


@every_value
def test_equal_to_its_copy_and_to_no_other(value):
    copy = replace(value)
    assert copy == value
    assert hash(copy) == hash(value)
    assert [other for other in VALUES if other == value] == [value]
    assert value != repr(value)


@every_value
def test_prints_as_the_call_that_makes_it(value):
    names = {
        name: getattr(room, name)
        for room in (layers, optimizers, schedules, initializers)
        for name in room.__all__
    }
    assert eval(repr(value), names) == value


@every_value
def test_frozen(value):
    with pytest.raises(FrozenInstanceError):
        value.anything = 1


def test_what_is_not_at_its_default_tells_values_apart():
    assert optimizers.SGD(momentum=0.5) != optimizers.SGD()
    assert repr(optimizers.SGD(momentum=0.5)) == "SGD(momentum=0.5)"
    assert repr(optimizers.SGD(momentum=0)) == "SGD(momentum=0)"


def test_pairs_are_equal_however_they_are_given():
    kinds = [layers.Conv2d(2, (3, 3)), layers.Conv2d(2, [3, 3]), layers.Conv2d(2, np.array([3, 3]))]
    assert len(set(kinds)) == 1
    assert kinds[2] != layers.Conv2d(2, (3, 5))


def test_a_layer_that_is_no_dataclass_is_refused_by_name():
    class Doubled(layers.Layer):
        def output_shape(self, input_shape):
            return input_shape

        def forward(self, x, y, params, scratch, training, rng):
            y[...] = 2 * x

        def backward(self, dx, dy, x, y, params, grads, scratch):
            dx[...] = 2 * dy

    with pytest.raises(ValueError, match=r"layers\[0\].*Doubled is not decorated with @dataclass"):
        Network([Doubled()], (3,))
    assert "Doubled object at" in repr(Doubled())


def test_a_plain_frozen_dataclass_is_a_value_as_well():
    @dataclass(frozen=True)
    class Slow(optimizers.SGD):
        patience: int = 3

    assert Slow() == Slow(patience=3) != optimizers.SGD()
    assert repr(Slow(patience=2)).endswith("Slow(momentum=0.9, nesterov=True, patience=2)")


@pytest.mark.parametrize(
    ("number", "python"),
    [(np.int8(3), 3), (np.uint64(3), 3), (np.float16(0.5), 0.5), (np.longdouble(0.5), 0.5)],
)
def test_numpys_numbers_become_pythons(number, python):
    layer = layers.Conv2d(number, 3, initializer=initializers.Gaussian(number))
    for found in (layer.filters, layer.initializer.sigma, optimizers.SGD(number).momentum):
        assert type(found) is type(python)
        assert found == python


@pytest.mark.parametrize("value", [np.timedelta64(3, "s"), np.True_, np.array(3), "3"])
def test_what_is_no_number_stays(value):
    assert layers.Conv2d(value, 3).filters is value


@pytest.mark.parametrize("kind", [layers.Conv2d, layers.ConvTranspose2d])
def test_many_filters_of_few_bits(kind):
    """100 filters of 3 x 3 are more weights than an int8 counts."""
    few, many = ([kind(bits(100), 3, groups=bits(2))] for bits in (np.int8, int))
    found, expected = Network(few, (4, 6, 6)), Network(many, (4, 6, 6))
    assert found.n_parameters == expected.n_parameters > 128
    assert found == expected


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.longdouble])
def test_an_optimizer_computes_in_the_dtype_of_its_arrays(dtype):
    optimizer = optimizers.Adam(dtype(0.5), dtype(0.75), dtype(0.125))
    results = []
    for adam in (optimizer, optimizers.Adam(0.5, 0.75, 0.125)):
        parameters, gradients = np.ones(4, np.float32), np.linspace(-1, 2, 4, dtype=np.float32)
        moments = adam.moments(parameters)
        for step in (1, 2, 3):
            adam.step(parameters, gradients, moments, 0.1, step)
        results.append(parameters)
    assert np.array_equal(*results)

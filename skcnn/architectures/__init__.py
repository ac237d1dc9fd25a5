"""Networks as functions that return the list of their layers.

The output layer is never in the list: it is a `Dense` with one unit per class,
label or target, and only ``fit`` knows their number.

>>> from skcnn.architectures import cnn
>>> cnn(filters=8, hidden_layer_sizes=())
[Conv2d(filters=8, kernel_size=3, padding='same', clip=True), ReLU(), \
MaxPool2d(pool_size=2, clip=True), Flatten()]
"""

from skcnn.architectures.blocks import cnn, recipe, with_output
from skcnn.architectures.classic import (
    alexnet,
    lenet,
    lenet5,
    simple_cnn,
    vgg11,
    vgg13,
    vgg16,
    vgg19,
)
from skcnn.architectures.fixed_features import fixed_features
from skcnn.architectures.names import ACTIVATIONS
from skcnn.architectures.residual import resnet, resnet18, resnet20, resnet34
from skcnn.architectures.signals import fcn, inception_time, lite

__all__ = [
    "ACTIVATIONS", "alexnet", "cnn", "fcn", "fixed_features", "inception_time", "lenet", "lenet5",
    "lite", "recipe", "resnet", "resnet18", "resnet20", "resnet34", "simple_cnn", "vgg11", "vgg13",
    "vgg16", "vgg19", "with_output",
]  # fmt: skip

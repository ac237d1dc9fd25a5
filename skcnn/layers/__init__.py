"""The layers: frozen dataclasses that know their shapes, and run forward and backward.

>>> from skcnn.layers import Conv2d, ConvTranspose2d
>>> Conv2d(6, kernel_size=5, padding=2).output_shape((1, 28, 28))
(6, 28, 28)
"""

from skcnn.layers._layer import Layer, Scratch
from skcnn.layers.activations import ELU, GELU, LeakyReLU, ReLU, Sigmoid, SiLU, Softmax, Tanh
from skcnn.layers.augmentation import RandomCrop, RandomFlip, RandomRotation, RandomScale
from skcnn.layers.batch_norm import BatchNorm
from skcnn.layers.convolution import Conv2d, ConvTranspose2d
from skcnn.layers.dense import Dense, Flatten
from skcnn.layers.dropout import Dropout
from skcnn.layers.local_response import LocalResponseNorm
from skcnn.layers.pooling import AvgPool2d, GlobalAvgPool2d, MaxPool2d
from skcnn.layers.residual import PadChannels, Residual
from skcnn.layers.shift import RandomShift

__all__ = [
    "AvgPool2d",
    "BatchNorm",
    "Conv2d",
    "ConvTranspose2d",
    "Dense",
    "Dropout",
    "ELU",
    "Flatten",
    "GELU",
    "GlobalAvgPool2d",
    "Layer",
    "LeakyReLU",
    "LocalResponseNorm",
    "MaxPool2d",
    "PadChannels",
    "RandomCrop",
    "RandomFlip",
    "RandomRotation",
    "RandomScale",
    "RandomShift",
    "ReLU",
    "Residual",
    "Scratch",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Tanh",
]

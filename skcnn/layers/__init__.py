"""Layers: frozen dataclasses with shapes, a forward pass and a backward pass.

>>> from skcnn.layers import Conv2d, ConvTranspose2d
>>> Conv2d(6, kernel_size=5, padding=2).output_shape((1, 28, 28))
(6, 28, 28)
"""

from skcnn.layers._layer import Layer, Scratch
from skcnn.layers.activations import ELU, GELU, LeakyReLU, ReLU, Sigmoid, SiLU, Softmax, Tanh
from skcnn.layers.augmentation import RandomCrop, RandomFlip, RandomRotation, RandomScale
from skcnn.layers.batch_norm import BatchNorm
from skcnn.layers.composite import Add, Concatenate, Frozen
from skcnn.layers.convolution import Conv2d, ConvTranspose2d
from skcnn.layers.dense import Dense, Flatten
from skcnn.layers.dropout import Dropout
from skcnn.layers.fixed_conv import FixedConv
from skcnn.layers.local_response import LocalResponseNorm
from skcnn.layers.noise import GaussianNoise
from skcnn.layers.pooling import AvgPool2d, GlobalAvgPool2d, GlobalMaxPool2d, MaxPool2d
from skcnn.layers.ppv import PPVPool
from skcnn.layers.residual import PadChannels, Residual
from skcnn.layers.sample_norm import GroupNorm, LayerNorm
from skcnn.layers.shift import RandomShift
from skcnn.layers.signals import AvgPool1d, Conv1d, ConvTranspose1d, MaxPool1d

__all__ = [
    "Add",
    "AvgPool1d",
    "AvgPool2d",
    "BatchNorm",
    "Concatenate",
    "Conv1d",
    "Conv2d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "Dense",
    "Dropout",
    "ELU",
    "FixedConv",
    "Flatten",
    "Frozen",
    "GELU",
    "GaussianNoise",
    "GlobalAvgPool2d",
    "GlobalMaxPool2d",
    "GroupNorm",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "LocalResponseNorm",
    "MaxPool1d",
    "MaxPool2d",
    "PPVPool",
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

"""Residual blocks: layers whose output is added to their input."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skcnn._hyperparameters import check_int, check_pair
from skcnn.layers._layer import Branch, Layer, Shape, image_shape
from skcnn.layers.composite import Composite, add_up, branch_of, numbered
from skcnn.layers.windows import Windows

SHORTCUT = "shortcut"


@dataclass(frozen=True, repr=False, eq=False)
class Residual(Composite):
    """Adds the output of its layers to their input, ``y = f(x) + s(x)``.

    He, Zhang, Ren & Sun (2016), "Deep residual learning for image recognition",
    equations 1 and 2. The rectifier that follows in the paper is a layer of its
    own.

    Its parameters are those of its layers, in their order, under names such as
    ``0.weight`` and ``shortcut.weight``.

    Parameters
    ----------
    layers : Layer or list of Layer
        The branch ``f``, at least one layer.
    shortcut : Layer, list of Layer or None, default=None
        The other branch ``s``, whose output must have the same shape; None is
        the input itself.

    Examples
    --------
    >>> from skcnn.layers import BatchNorm, Conv2d, ReLU
    >>> block = Residual(
    ...     [Conv2d(16, 3, stride=2, padding=1), ReLU(), Conv2d(16, 3, padding=1)],
    ...     shortcut=Conv2d(16, 1, stride=2, bias=False),
    ... )
    >>> block.output_shape((8, 28, 28))
    (16, 14, 14)
    >>> list(block.param_shapes((8, 28, 28)))
    ['0.weight', '0.bias', '2.weight', '2.bias', 'shortcut.weight']
    """

    layers: Layer | Sequence[Layer]
    shortcut: Layer | Sequence[Layer] | None = None

    @property
    def inner(self) -> tuple[Branch, ...]:
        branch = numbered("Residual", self.layers)
        if self.shortcut is None:
            return branch, branch_of(SHORTCUT, SHORTCUT, ())
        if not isinstance(self.shortcut, (Layer, list, tuple)) or self.shortcut in ([], ()):
            raise ValueError(
                "Residual: shortcut must be None, a layer or a list of layers, got "
                f"{self.shortcut!r}."
            )
        return branch, branch_of(SHORTCUT, SHORTCUT, self.shortcut)

    def join_shapes(self, input_shape: Shape, shapes: Sequence[Shape]) -> Shape:
        made, added = shapes
        if made != added:
            raise ValueError(
                f"Residual: the layers turn the input {input_shape} into {made}, but the shortcut "
                f"{'is the input itself' if self.shortcut is None else f'turns it into {added}'}; "
                "both must have the same shape to be added."
            )
        return made

    def forward(self, x, y, params, branches, training, rng):
        """``y = f(x) + s(x)``."""
        add_up(branches.forward(params, training, rng), y)

    def backward(self, dx, dy, x, y, params, grads, branches):
        """``dx = fᵀ(dy) + sᵀ(dy)``: the derivative of a sum goes into both branches."""
        branches.backward(dx, (dy, dy), params, grads)


@dataclass(frozen=True, repr=False, eq=False)
class PadChannels(Layer):
    """Keeps every `stride`-th pixel, and adds channels of zeros up to `filters`.

    The parameter-free shortcut for a block that changes the shape: option A of
    He et al. (2016), section 4.2.

    Parameters
    ----------
    filters : int
        Channels of the output, at least those of the input.
    stride : int or (int, int), default=1
        Step between two pixels that are kept.

    Examples
    --------
    >>> PadChannels(32, stride=2).output_shape((16, 32, 32))
    (32, 16, 16)
    """

    filters: int
    stride: int | tuple[int, int] = 1

    def reach(self, input_shape: Shape) -> tuple[Windows, ...]:
        sizes = image_shape(self, input_shape)[1:]
        strides = check_pair("PadChannels", "stride", self.stride, 1)
        return tuple(Windows(n, 1, stride) for n, stride in zip(sizes, strides, strict=True))

    def output_shape(self, input_shape: Shape) -> Shape:
        height, width = self.reach(input_shape)
        filters = check_int("PadChannels", "filters", self.filters, 1)
        if filters < input_shape[0]:
            raise ValueError(
                f"PadChannels: filters must be at least the {input_shape[0]} channels of the "
                f"input, got {filters}."
            )
        return filters, height.positions, width.positions

    def forward(self, x, y, params, scratch, training, rng):
        """``y[c, p] = x[c, p·stride]``, and 0 for the channels that are added."""
        C, (SH, SW) = len(x), check_pair("PadChannels", "stride", self.stride, 1)
        np.copyto(y[:C], x[:, ::SH, ::SW])
        y[C:] = 0

    def backward(self, dx, dy, x, y, params, grads, scratch):
        """``dx[c, p·stride] = dy[c, p]``, and 0 for the pixels that are left out."""
        C, (SH, SW) = len(x), check_pair("PadChannels", "stride", self.stride, 1)
        dx[...] = 0
        dx[:, ::SH, ::SW] = dy[:C]

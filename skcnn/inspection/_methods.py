"""The methods of `saliency`: hyperparameters, and the equation of each.

The network sees ``u = (x - μ) / s`` with the mean ``μ`` and the deviation ``s`` of
each channel; the equations here are for the user's ``x``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from skcnn._hyperparameters import Hyperparameters, check_int, check_pair, check_real
from skcnn.data import Images, Scaling
from skcnn.inspection._parts import after, bound, inside, links
from skcnn.layers import Conv2d, ConvTranspose2d
from skcnn.network import Network

__all__ = [
    "METHODS",
    "GradCAM",
    "Gradient",
    "IntegratedGradients",
    "Method",
    "Occlusion",
    "SmoothGrad",
    "bind_method",
]


class Scores:
    """One output of a network for each of some samples, as a function of its input.

    Parameters
    ----------
    network : Network
    vector : ndarray of shape (vector_size,)
    columns : ndarray of int of shape (n,)
        Index of the output for each sample.
    """

    def __init__(self, network: Network, vector: np.ndarray, columns: np.ndarray) -> None:
        self.network, self.vector, self.columns = network, vector, columns
        self._rows = np.arange(len(columns))

    def values(self, U: np.ndarray) -> np.ndarray:
        """``z[n] = f(U[n])[columns[n]]``."""
        return self.network.forward(U, self.vector)[self._rows, self.columns]

    def gradients(self, U: np.ndarray) -> np.ndarray:
        """``∂z[n] / ∂U[n]``."""
        dY = np.zeros((len(U), *self.network.output_shape), self.network.dtype)
        dY[self._rows, self.columns] = 1
        return self.network.vjp(U, self.vector, dY, training=False)[1]


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class Subject:
    """Output to be explained.

    Parameters
    ----------
    network : Network
    weights : ndarray of shape (vector_size,)
    images : Images
        Images with their scaling.
    form : tuple of int
        Shape of the user's `X`.
    seed : int
    """

    network: Network
    weights: np.ndarray
    images: Images
    form: tuple[int, ...]
    seed: int

    @property
    def scaling(self) -> Scaling:
        """Mean and deviation, to be broadcast against (n, channels, height, width)."""
        assert self.images.scaling is not None
        mean, deviation = self.images.scaling
        return Scaling(mean.reshape(-1, 1, 1), deviation.reshape(-1, 1, 1))

    def scaled(self, value: Any, caller: str) -> np.ndarray:
        """Scale a baseline, given in the user's unit and form, for one or for all rows.

        None is the mean of each channel.
        """
        shape = self.network.input_shape
        if value is None:
            return np.zeros((1, *shape), self.network.dtype)
        array = np.asarray(value)
        if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
            raise ValueError(f"{caller}: baseline must hold finite numbers, got {value!r}.")
        if array.ndim == 0:
            array = np.full((1, *self.form[1:]), array)
        elif array.shape == self.form[1:]:
            array = array[np.newaxis]
        elif array.shape != self.form:
            raise ValueError(
                f"{caller}: baseline must be a number, an image of shape {self.form[1:]} or one "
                f"for each row of X, {self.form}, got an array of shape {array.shape}."
            )
        images = replace(self.images, X=array, rows=None)
        out = np.empty((*shape, len(array)), self.network.dtype)
        images.gather(slice(None), out)
        return np.moveaxis(out, -1, 0)


Explain: TypeAlias = Callable[[Scores, np.ndarray, slice], np.ndarray]
"""Function from the outputs, some scaled images and their rows to a map of the pixels."""


class Method(Hyperparameters, ABC):
    """Base class of saliency methods."""

    @abstractmethod
    def bind(self, subject: Subject) -> Explain:
        """Check the hyperparameters for this subject, and return the function to run."""


@dataclass(frozen=True, repr=False, eq=False)
class Gradient(Method):
    """``S = ∂z / ∂x``.

    The rate at which the output grows with each number of the image: Simonyan,
    Vedaldi & Zisserman (2014), "Deep inside convolutional networks: visualising
    image classification models and saliency maps", equation 4, whose maps are
    the absolute values of this.
    """

    def bind(self, subject: Subject) -> Explain:
        deviation = subject.scaling.deviation
        return lambda scores, U, rows: scores.gradients(U) / deviation


@dataclass(frozen=True, repr=False, eq=False)
class SmoothGrad(Method):
    """``S = 1/N Σ ∂z / ∂x at x + ε``, with ``ε ~ N(0, σ²)``.

    The mean gradient over noisy copies of the image: Smilkov, Thorat, Kim,
    Viégas & Wattenberg (2017), "SmoothGrad: removing noise by adding noise".

    Parameters
    ----------
    n_samples : int, default=50
        Number ``N`` of copies.
    noise : float, default=0.15
        The noise's deviation ``σ`` as a part of the distance between the
        image's largest and smallest number. (The paper has 0.1 to 0.2.)
    """

    n_samples: int = 50
    noise: float = 0.15

    def bind(self, subject: Subject) -> Explain:
        n = check_int("SmoothGrad", "n_samples", self.n_samples, 1)
        noise = check_real("SmoothGrad", "noise", self.noise, 0)
        mean, deviation = subject.scaling

        def explain(scores: Scores, U: np.ndarray, rows: slice) -> np.ndarray:
            x, axes = U * deviation + mean, (1, 2, 3)
            spread = noise * (x.max(axis=axes) - x.min(axis=axes)).reshape(-1, 1, 1, 1)
            sigma = (spread / deviation).astype(U.dtype)
            # a stream for each row, so that noise does not depend on the size of blocks
            streams = [
                np.random.default_rng([subject.seed, row]) for row in range(rows.start, rows.stop)
            ]
            total = np.zeros(U.shape)
            for _ in range(n):
                drawn = [stream.standard_normal(U.shape[1:], U.dtype) for stream in streams]
                total += scores.gradients(U + sigma * np.stack(drawn))
            return total / (n * deviation)

        return explain


@dataclass(frozen=True, repr=False, eq=False)
class IntegratedGradients(Method):
    """``S = (x - x') ∫ ∂z / ∂x at x' + α (x - x') dα``, for α from 0 to 1.

    Each number's share in the difference of the output to that for a baseline
    ``x'``: the shares sum to ``z(x) - z(x')``. Sundararajan, Taly & Yan (2017),
    "Axiomatic attribution for deep networks", equation 1 and proposition 1.
    Where gradients are approximate, as those of `PPVPool`, so is the sum.

    Parameters
    ----------
    baseline : float, array-like or None, default=0.0
        The image ``x'`` without content: a number, an image in the form of those
        in `X`, or one for each of them. None is the mean of each channel
        over the training rows. (The paper has a black image.)
    n_steps : int, default=50
        Nodes of the Gauss-Legendre quadrature. More of them bring the sum closer.
    """

    baseline: Any = 0.0
    n_steps: int = 50

    def bind(self, subject: Subject) -> Explain:
        steps = check_int("IntegratedGradients", "n_steps", self.n_steps, 1)
        nodes, weights = np.polynomial.legendre.leggauss(steps)
        start = subject.scaled(self.baseline, "IntegratedGradients")

        def explain(scores: Scores, U: np.ndarray, rows: slice) -> np.ndarray:
            begin = start if len(start) == 1 else start[rows]
            way, total = U - begin, np.zeros(U.shape)
            for alpha, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
                total += weight * scores.gradients(begin + U.dtype.type(alpha) * way)
            return way * total  # in the user's unit the deviations would cancel

        return explain


@dataclass(frozen=True, repr=False, eq=False)
class GradCAM(Method):
    """``S = max(Σ a[k] A[k], 0)``, with ``a[k]`` the mean of ``∂z / ∂A[k]`` over the pixels.

    The evidence for the output in the channels ``A[k]`` of a layer, enlarged to the
    image bilinearly, and equal for all channels of the image: Selvaraju et
    al. (2017), "Grad-CAM: visual explanations from deep networks via
    gradient-based localization", equations 1 and 2.

    Parameters
    ----------
    layer : int or None, default=None
        Number of the layer in ``layers_``, or in the learned branch of a network
        with fixed features; its output must have pixels. None is the last
        convolution or composite layer, with the normalization and the
        activation behind it.
    """

    layer: int | None = None

    def bind(self, subject: Subject) -> Explain:
        network, weights = _learned(subject.network, subject.weights)
        position = _last_maps(network) if self.layer is None else self._checked(network)
        shape = network.shapes[position + 1]
        front, front_vector = bound(
            links(network, weights)[: position + 1], network.input_shape, network.dtype
        )
        back, back_vector = after(network, weights, position)
        enlarge_rows, enlarge_columns = (
            _interpolation(n, m) for n, m in zip(shape[1:], network.input_shape[1:], strict=True)
        )

        def explain(scores: Scores, U: np.ndarray, rows: slice) -> np.ndarray:
            A = front.forward(U, front_vector)
            dA = Scores(back, back_vector, scores.columns).gradients(A)
            a = dA.mean(axis=(2, 3), keepdims=True)
            map_ = np.maximum((a * A).sum(axis=1, keepdims=True), 0)
            return np.broadcast_to(enlarge_rows @ map_ @ enlarge_columns.T, U.shape)

        return explain

    def _checked(self, network: Network) -> int:
        spatial = [i for i, shape in enumerate(network.shapes[1:]) if len(shape) == 3]
        layer, count = self.layer, len(network.layers)
        allowed = {*spatial, *(i - count for i in spatial)}
        if isinstance(layer, (int, np.integer)) and type(layer) is not bool and layer in allowed:
            return int(layer) % count
        raise ValueError(
            "GradCAM: layer must be None or the number of a layer whose output has pixels, one of "
            f"{spatial}, got {layer!r}."
        )


@dataclass(frozen=True, repr=False, eq=False)
class Occlusion(Method):
    """``S[p] = mean of z(x) - z(x with a window covered)`` over the windows that hold ``p``.

    The decrease of the output when a part of the image is covered, in all channels
    at once. Zeiler & Fergus (2014), "Visualizing and
    understanding convolutional networks", section 4.2.

    Parameters
    ----------
    window : int, (int, int) or None, default=None
        Height and width of the covered window, at most those of the image. None
        is a quarter of each.
    stride : int, (int, int) or None, default=None
        Step between two windows; None is half a window. The last one along an
        axis ends with the image.
    baseline : float, array-like or None, default=None
        Values of the covered window, as in `IntegratedGradients`; None, the mean of
        each channel, is the paper's grey square.
    """

    window: int | tuple[int, int] | None = None
    stride: int | tuple[int, int] | None = None
    baseline: Any = None

    def bind(self, subject: Subject) -> Explain:
        sizes = subject.network.input_shape[1:]
        if self.window is None:
            window = [-(-size // 4) for size in sizes]
        else:
            asked = check_pair("Occlusion", "window", self.window, 1)
            window = [min(pair) for pair in zip(asked, sizes, strict=True)]
        if self.stride is None:
            stride = [-(-size // 2) for size in window]
        else:
            stride = list(check_pair("Occlusion", "stride", self.stride, 1))
        cover = subject.scaled(self.baseline, "Occlusion")
        down, along = (_axis_windows(*axis) for axis in zip(sizes, window, stride, strict=True))

        def explain(scores: Scores, U: np.ndarray, rows: slice) -> np.ndarray:
            covering = cover if len(cover) == 1 else cover[rows]
            seen = scores.values(U)
            total, times = np.zeros((len(U), 1, *sizes)), np.zeros(sizes)
            for i in down:
                for j in along:
                    hidden = U.copy()
                    hidden[..., i, j] = covering[..., i, j]
                    total[..., i, j] += (seen - scores.values(hidden)).reshape(-1, 1, 1, 1)
                    times[i, j] += 1
            # with a stride longer than the window there are pixels that nothing covers
            return np.broadcast_to(total / np.maximum(times, 1), U.shape)

        return explain


METHODS: dict[str, Method] = {
    "gradient": Gradient(),
    "smoothgrad": SmoothGrad(),
    "integrated_gradients": IntegratedGradients(),
    "grad_cam": GradCAM(),
    "occlusion": Occlusion(),
}


def bind_method(method: Any, caller: str) -> Method:
    """Return the method of a name, or the instance itself."""
    if isinstance(method, Method):
        return method
    if isinstance(method, str) and method in METHODS:
        return METHODS[method]
    raise ValueError(
        f"{caller}: method must be one of {list(METHODS)} or an instance of one of the methods in "
        f"skcnn.inspection, got {method!r}."
    )


def _learned(network: Network, weights: np.ndarray) -> tuple[Network, np.ndarray]:
    """Return the network, or its first branch where all of it is a sum of branches.

    The gradient of a sum with respect to what is inside one branch is that of the branch.
    """
    if len(network.layers) > 1 or not network.layers[0].inner:
        return network, weights
    first, *_ = inside(links(network, weights)[0])
    return bound(first, network.input_shape, network.dtype)


def _last_maps(network: Network) -> int:
    """Number of the last layer that leaves the shape of the last convolution's output."""
    convolutions = [
        i
        for i, layer in enumerate(network.layers)
        if layer.inner or isinstance(layer, (Conv2d, ConvTranspose2d))
    ]
    if not convolutions:
        raise ValueError(
            "GradCAM: the network has no convolution; choose a layer whose output has pixels."
        )
    position = convolutions[-1]
    while network.shapes[position + 2] == network.shapes[position + 1]:
        position += 1
    return position


def _interpolation(n: int, m: int) -> np.ndarray:
    """Return the (m, n) matrix that linearly enlarges n pixels to m over the same extent."""
    places = np.clip((np.arange(m) + 0.5) * n / m - 0.5, 0, n - 1)
    return np.maximum(1 - np.abs(places[:, np.newaxis] - np.arange(n)), 0)


def _axis_windows(size: int, window: int, stride: int) -> list[slice]:
    """Return windows along an axis, the last of which ends with it."""
    starts = sorted({*range(0, size - window, stride), size - window})
    return [slice(start, start + window) for start in starts]

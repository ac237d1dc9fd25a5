"""Batch normalisation."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from skcnn._hyperparameters import check_int, check_real
from skcnn.layers._layer import Layer, Params, Scratch, Shape


@dataclass(frozen=True, repr=False)
class BatchNorm(Layer):
    """Mean 0 and variance 1 for every channel or feature, then a learned scale and shift.

    In training the moments are those of a *ghost batch* of `ghost_size`
    samples (and of all their pixels), whatever the size of the mini-batch
    (Hoffer et al. 2017, *Train longer, generalize better*, algorithm 1). The
    last ghost batch may be smaller; a single sample joins the one before.
    At prediction it is the running moments (Ioffe & Szegedy 2015).

    Parameters
    ----------
    ghost_size : int, default=32
        Samples that are normalised together, at least 2.
    momentum : float, default=0.9
        Share of the running moments that a mini-batch leaves as it is, in
        [0, 1).
    epsilon : float, default=1e-5
        Added to the variance, positive.

    Examples
    --------
    >>> BatchNorm().param_shapes((16, 14, 14))
    {'weight': (16,), 'bias': (16,)}
    >>> BatchNorm().state_shapes((16, 14, 14))
    {'running_mean': (16,), 'running_variance': (16,)}
    """

    ghost_size: int = 32
    momentum: float = 0.9
    epsilon: float = 1e-5

    writes: ClassVar[Literal["new", "over_x", "view"]] = "over_x"
    decayed: ClassVar[tuple[str, ...]] = ()

    @property
    def samples_together(self) -> int:
        return self.ghost_size

    def output_shape(self, input_shape: Shape) -> Shape:
        check_int("BatchNorm", "ghost_size", self.ghost_size, 2)
        check_real("BatchNorm", "momentum", self.momentum, 0, 1)
        check_real("BatchNorm", "epsilon", self.epsilon, 0, bounds="()")
        return input_shape

    def param_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        return {"weight": input_shape[:1], "bias": input_shape[:1]}

    def state_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        return {"running_mean": input_shape[:1], "running_variance": input_shape[:1]}

    def init(self, params: Params, rng: np.random.Generator) -> None:
        params["weight"][...] = params["running_variance"][...] = 1
        params["bias"][...] = params["running_mean"][...] = 0

    def scratch(self, input_shape: Shape) -> dict[str, Scratch]:
        return {"centered": Scratch(input_shape, optional=True)}

    def _ghosts(self, n: int) -> Iterator[slice]:
        """The ghost batches of `n` samples."""
        start = 0
        while start < n:
            stop = n if n - start <= self.ghost_size + 1 else start + self.ghost_size
            yield slice(start, stop)
            start = stop

    def forward(self, x, y, params, scratch, training, rng):
        """``y = γ (x - μ) / sqrt(σ² + ε) + β``, with the moments of each ghost batch.

        Without `training` these are the running moments.
        """
        aligned = (slice(None), *[np.newaxis] * (x.ndim - 1))
        every = range(x.ndim)
        gamma, beta = params["weight"], params["bias"]
        centered = scratch.get("centered")
        scratch["training"], scratch["moments"] = training, []
        if centered is None:  # no backward pass follows
            centered = np.empty_like(x) if training else y
        for ghost in self._ghosts(x.shape[-1]) if training else [slice(None)]:
            c = centered[..., ghost]
            if training:
                mean = x[..., ghost].mean(axis=tuple(every[1:]))
                np.subtract(x[..., ghost], mean[aligned], out=c)
                variance = np.einsum(c, every, c, every, [0]) / (c.size // len(c))
            else:
                mean, variance = params["running_mean"], params["running_variance"]
                np.subtract(x, mean[aligned], out=c)
            inverse = 1 / np.sqrt(np.maximum(variance, 0) + self.epsilon).astype(x.dtype)
            np.multiply(c, (gamma * inverse)[aligned], out=y[..., ghost])
            scratch["moments"].append((ghost, mean, variance, inverse))
        y += beta[aligned]

    def backward(self, dx, dy, x, y, params, grads, scratch):
        """``dβ = Σ dy``, ``dγ = Σ dy x̂``, ``dx = γ/σ (dy - mean(dy) - x̂ mean(dy x̂))``.

        ``x̂`` is the normalised input. The moments depend on ``x`` in training
        only; without it ``dx = γ/σ dy``. The running moments take part in no
        gradient: theirs is what they have to move by, against its sign.
        """
        aligned = (slice(None), *[np.newaxis] * (dy.ndim - 1))
        every = range(dy.ndim)
        for gradient in grads.values():
            gradient[...] = 0
        for ghost, mean, variance, inverse in scratch["moments"]:
            d, c = dy[..., ghost], scratch["centered"][..., ghost]
            m = c.size // len(c)  # numbers with the same moments
            db = d.sum(axis=tuple(every[1:]))
            dg = np.einsum(d, every, c, every, [0]) * inverse
            grads["bias"] += db
            grads["weight"] += dg
            if scratch["training"]:
                share = (1 - self.momentum) * c.shape[-1]
                unbiased = variance * (m / max(1, m - 1))
                grads["running_mean"] += share * (params["running_mean"] - mean)
                grads["running_variance"] += share * (params["running_variance"] - unbiased)
            if dx is None:
                continue
            out = dx[..., ghost]
            if scratch["training"]:
                c *= (inverse * dg / m)[aligned]
                c += (db / m)[aligned]
                d = np.subtract(d, c, out=out)
            np.multiply(d, (params["weight"] * inverse)[aligned], out=out)

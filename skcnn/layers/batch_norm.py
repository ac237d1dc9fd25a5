"""Batch normalisation."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from skcnn._hyperparameters import check_int, check_real
from skcnn.layers._layer import Layer, Params, Scratch, Shape


@dataclass(frozen=True, repr=False, eq=False)
class BatchNorm(Layer):
    """Mean 0 and variance 1 for every channel or feature, then a learned scale and shift.

    In training the moments are those of a *ghost batch* of `ghost_size`
    samples (and of all their pixels), whatever the size of the mini-batch
    (Hoffer et al. 2017, *Train longer, generalize better*, algorithm 1). The
    last ghost batch may be smaller; a single sample joins the one before, also
    when it is all that a last mini-batch holds. (Mini-batches of 1 are an
    error.) At prediction it is the running moments (Ioffe & Szegedy 2015). The
    moments do not know of sample weights.

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
        return {
            "centered": Scratch(input_shape, optional=True),
            "product": Scratch(input_shape, kept=False, optional=True),
        }

    def views(self, x, y, dx, dy, scratch):
        C, n = x.shape[0], x.shape[-1]
        starts = list(range(0, n, self.ghost_size))
        if len(starts) > 1 and n - starts[-1] == 1:
            starts.pop()
        samples = np.diff([*starts, n])  # in each ghost batch
        arrays = {"x3": x, "y3": y, "dx3": dx, "dy3": dy, **scratch}
        return {
            **{k: None if a is None else a.reshape(C, -1, n) for k, a in arrays.items()},
            "starts": starts,
            "samples": samples.astype(x.dtype),
            "ghost_of": np.repeat(np.arange(len(starts)), samples),  # of every sample
        }

    def forward(self, x, y, params, scratch, training, rng):
        """``y = γ (x - μ) / sqrt(σ² + ε) + β``, with the moments of each ghost batch.

        Without `training` these are the running moments. The sums run over the
        pixels first and over the samples of a ghost batch then; what is found
        for each is spread over its samples, as ``(C, 1, n)``.
        """
        x3, y3 = scratch["x3"], scratch["y3"]  # (C, H·W, n)
        gamma, beta = params["weight"][:, None, None], params["bias"][:, None, None]
        if training:
            centered = scratch["centered"] if "centered" in scratch else np.empty_like(x3)
            numbers = scratch["samples"] * x3.shape[1]  # with the same moments
            mean = _ghost_sums(x3, scratch["starts"]) / numbers  # (C, ghosts)
            np.subtract(x3, mean[:, None, scratch["ghost_of"]], out=centered)
            squares = np.multiply(centered, centered, out=y3)
            variance = _ghost_sums(squares, scratch["starts"]) / numbers
            scratch["moments"] = mean, variance, numbers
            inverse = (1 / np.sqrt(variance + self.epsilon))[:, None, scratch["ghost_of"]]
        else:
            centered = scratch.get("centered", y3)
            np.subtract(x3, params["running_mean"][:, None, None], out=centered)
            variance = np.maximum(params["running_variance"], 0)[:, None, None]
            scratch["moments"], inverse = None, 1 / np.sqrt(variance + self.epsilon)
        scratch["inverse"] = inverse = inverse.astype(x.dtype, copy=False)
        np.multiply(centered, gamma * inverse, out=y3)
        y3 += beta

    def backward(self, dx, dy, x, y, params, grads, scratch):
        """``dβ = Σ dy``, ``dγ = Σ dy x̂``, ``dx = γ/σ (dy - mean(dy) - x̂ mean(dy x̂))``.

        ``x̂ = (x - μ)/σ`` is the normalised input. The moments depend on ``x``
        in training only; without it ``dx = γ/σ dy``. The running moments take
        part in no gradient: theirs is what they have to move by, against its
        sign.
        """
        dy3, centered, inverse = scratch["dy3"], scratch["centered"], scratch["inverse"]
        gamma, ghost_of = params["weight"][:, None, None], scratch["ghost_of"]
        product = np.multiply(dy3, centered, out=scratch["product"])
        db = np.add.reduce(dy3, axis=1)  # (C, n)
        dg = np.add.reduce(product, axis=1) * inverse[:, 0]
        np.add.reduce(db, axis=1, out=grads["bias"])
        np.add.reduce(dg, axis=1, out=grads["weight"])
        grads["running_mean"][...] = grads["running_variance"][...] = 0
        if scratch["moments"] is not None:
            mean, variance, numbers = scratch["moments"]
            share = (1 - self.momentum) * scratch["samples"]
            unbiased = variance * (numbers / np.maximum(numbers - 1, 1))
            for name, moment in (("running_mean", mean), ("running_variance", unbiased)):
                np.dot(params[name][:, None] - moment, share, out=grads[name])
        if dx is None:
            return
        dx3 = scratch["dx3"]
        if scratch["moments"] is not None:
            of_dy = np.add.reduceat(db, scratch["starts"], axis=1) / numbers
            of_both = np.add.reduceat(dg, scratch["starts"], axis=1) / numbers
            centered *= inverse * of_both[:, None, ghost_of]
            centered += of_dy[:, None, ghost_of]
            dy3 = np.subtract(dy3, centered, out=dx3)
        np.multiply(dy3, gamma * inverse, out=dx3)


def _ghost_sums(x3: np.ndarray, starts: list[int]) -> np.ndarray:
    """Sums over the pixels and samples of each ghost batch, (C, ghosts)."""
    return np.add.reduceat(np.add.reduce(x3, axis=1), starts, axis=1)

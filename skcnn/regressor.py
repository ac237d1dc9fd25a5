"""The regressor, for one or several targets."""

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin
from sklearn.utils.metaestimators import available_if

from skcnn._estimator import fitting
from skcnn._estimator.arrays import as_numbers
from skcnn._estimator.base import BaseScratchCNN, has_partial_fit
from skcnn._estimator.data import FitArguments
from skcnn._estimator.targets import TargetScaler, bind_loss, check_targets, count_outputs
from skcnn.data import Scaling
from skcnn.inference import outputs
from skcnn.losses import REGRESSION_LOSSES
from skcnn.parallel.contexts import in_own_context

__all__ = ["ScratchCNNRegressor"]


class ScratchCNNRegressor(RegressorMixin, BaseScratchCNN):
    """Convolutional neural network that predicts quantities from small images and signals.

    Targets are standardized internally, and predictions are in the original unit,
    so neither needs to be scaled. Layers, gradients and
    optimizers are plain NumPy. As a transformer it computes the features that
    the output layer sees.

    Parameters
    ----------
    layers : list of Layer or None, default=None
        Layers of the network without the output layer, which ``fit`` adds. If
        None, they are built from `filters` and the other parameters that are
        arguments of `skcnn.architectures.cnn`; otherwise those are ignored.
    filters : "auto", int or sequence of int, default="auto"
        Number of filters of the convolution in each block. "auto" is (32, 64)
        where the longer side has at most 16 pixels, (24, 48, 96) up to 32, (12,
        24, 48, 96) up to 63, and from 64 on (8, 16, 32, 64, 96) with another 128
        at 256 and at every doubling of that; and (16, 32, 64) for signals, whose
        height or width is 1.
    kernel_size : "auto", int, (int, int) or sequence of these, default="auto"
        Height and width of the kernels. A sequence that contains pairs has one
        entry per block. "auto" is 3 for images and 7 for signals.
    pool_size : "auto", int, (int, int) or sequence of these, default="auto"
        Height and width of the max-pooling at the end of a block; 1 for none. A
        sequence that contains pairs has one entry per block. "auto" is 2, and 4
        for signals of 200 and more.
    hidden_layer_sizes : "auto", int or sequence of int, default="auto"
        Number of units of the dense layers after the blocks; empty for none.
        "auto" is (128,) for images and none for signals.
    activation : str or Layer, default="relu"
        Activation after every convolution and hidden dense layer: "relu",
        "leaky_relu", "elu", "gelu", "silu", "sigmoid", "tanh", or a layer.
    dropout : float, default=0.0
        Rate of the dropout after every hidden dense layer or, where there is
        none, in front of the output layer; in [0, 1).
    fixed_features : "auto" or int, default="auto"
        For signals, about how many features from fixed kernels (see
        `FixedKernelFeatures`) are used beside those that are learned, with
        ``loss="squared_error"``; 0 for none. Their output layer is solved in
        closed form, and the fitted network is a weighted sum of both. "auto" is
        1,000 below a length of 100 and 2,500 from there on; and 0 with `layers`,
        with `warm_start`, in ``partial_fit`` and wherever they cannot be used; a
        number is an error there, except with `layers` and `warm_start`.
        Validation scores, history and callbacks see the learned part alone.
    image_shape : tuple of int or None, default=None
        Shape of the images in flat rows: (height, width), (channels, height,
        width) in the order of `data_format`, or (length,) of signals. With a
        height of 1 it also reads signals of several channels, (n, channels,
        length): six channels of 128 are ``image_shape=(6, 1, 128)``. None reads
        a square number of features as one square channel and any other as a
        signal, and warns if the values look like those of colour images, or if
        an image is so narrow that it may be signals of several channels.
    data_format : {"auto", "channels_first", "channels_last"}, default="auto"
        Order of the axes in 4-D `X`, in flat rows and in `image_shape`. "auto"
        takes the last axis as channels if it has 1, 3 or 4 entries, the first
        one does not, and the last two differ; it warns if the other order is as
        likely. The order that the first fit resolves is kept.
    scale_input : bool, default=True
        Whether to standardize each channel by its mean and standard deviation
        over the training rows.
    normalization : "auto", "batch", "layer", Layer or None, default="auto"
        Layer before the activation of every block: "batch" for
        `skcnn.layers.BatchNorm`, "layer" for `skcnn.layers.LayerNorm`, another
        layer, or None for none. "auto" is "batch".
    global_pool : "auto" or bool, default="auto"
        Whether each channel is averaged over all pixels after the blocks,
        instead of flattened; the last block then has no max-pooling. "auto" is
        True for signals.
    random_shift : "auto", int or (int, int), default="auto"
        Pixels by which training moves the images of a mini-batch at most, all of
        them alike, along (height, width); 0 for none. See
        `skcnn.layers.RandomShift`. "auto" is 0, as the targets may be
        positions.
    loss : {"squared_error", "absolute_error", "huber", "poisson", "quantile"}, \
            default="squared_error"
        Loss that is minimized, averaged over the outputs: half the squared
        error, which leads to the mean; the absolute error, which leads to the
        median; "huber", which is half the squared error for errors of up to one
        standard deviation of the targets and linear beyond; half the Poisson
        deviance with a log link, for counts and other targets that are not
        negative, with predictions that are positive; or "quantile", the pinball
        loss, which leads to the given `quantile`.
    quantile : float, default=0.5
        Fraction of the targets that should be at most the prediction, in (0, 1), with
        ``loss="quantile"``; ignored otherwise.
    optimizer : {"adam", "adamw", "sgd", "rmsprop", "adagrad"} or Optimizer, default="adam"
        Algorithm that updates the weights.
    lr : "auto" or float, default="auto"
        Learning rate, positive. "auto" is 8e-3, or 2e-3 if the rate is
        constant.
    lr_schedule : {"auto", "constant", "step", "exponential", "cosine", "one_cycle", "warm_up", \
            "reduce_on_plateau"} or Schedule, default="auto"
        Factor by which `lr` is multiplied as training proceeds. "auto" is
        "one_cycle" if ``fit`` trains to the end, and "constant" with
        `warm_start` and in ``partial_fit``, where the end is not known. A
        schedule given by name, or as an instance from `skcnn.schedules`
        without its own length, spans `max_iter` epochs and restarts with each
        ``fit``. Any other instance counts all epochs of the model, so that
        training in parts with `warm_start` uses the same rates as training at
        once.
    weight_decay : "auto" or float, default="auto"
        Strength of the L2 penalty: this multiple of the weights (not of the
        biases) is added to their gradients. With "adamw" the weights are
        multiplied by ``1 - lr * weight_decay`` in each step instead. "auto" is
        3e-3.
    max_grad_norm : float or None, default=None
        Maximum Euclidean norm of the gradient of a mini-batch (the mean over
        its rows, before weight decay); larger gradients are scaled down to it.
        None for no limit.
    batch_size : "auto" or int, default="auto"
        Number of samples in a mini-batch. "auto" is 32, or 64 from 5,000
        rows on, or 128 from 10,000 rows on, or 256 from 30,000 images on.
    max_iter : "auto" or int, default="auto"
        Maximum number of epochs; with `warm_start`, of further epochs. "auto"
        is 14, or 12 from 1,000 rows on, or 11 from 10,000 rows on, or 10 from
        30,000 rows on, or as many as it takes for 150 mini-batches.
    shuffle : bool, default=True
        Whether to shuffle the samples before each epoch.
    tol : "auto" or float, default="auto"
        Smallest improvement of the loss, or with `early_stopping` of the
        validation score, that counts as one. "auto" is 1e-4.
    n_iter_no_change : "auto", int or None, default="auto"
        Number of consecutive epochs without improvement after which training
        stops; None for any number. "auto" is 5 if the rate is constant;
        otherwise None, so that training runs to its end, or with
        `early_stopping` or a given `tol` a tenth of `max_iter`, but at least 5.
    early_stopping : bool, default=False
        Whether to stop when the score on a validation part no longer improves,
        and to keep the weights with the best score. The part is held out of the
        training rows, unless `X_val` and `y_val` are passed to ``fit``; passing
        them without ``early_stopping=True`` is an error, as in
        `HistGradientBoostingClassifier`. Without early stopping nothing is held
        out.
    validation_fraction : float, default=0.1
        Fraction of the training rows that `early_stopping` holds out, in (0,
        1); at least two samples. Ignored if `X_val` is passed.
    scoring : str, callable or None, default=None
        Score that is computed after every epoch for `early_stopping`; greater
        is better. None is that of the method `score`, R²; "loss" is the
        negative loss, without weight decay; otherwise the name of a scorer (see
        `sklearn.metrics.get_scorer_names`) or a callable ``(estimator, X, y) ->
        number``. It is called with a fitted copy of this estimator and the
        validation rows in the user's form (held-out rows are copied for it),
        and with `sample_weight` if there are weights and its signature has that
        name. If it raises, or its score is not a finite number, ``fit`` raises
        a ValueError.
    warm_start : bool, default=False
        Whether ``fit`` continues the training where the last call ended, for up
        to `max_iter` more epochs. The state that this needs is then pickled with
        the model (last weights, moments of the optimizer, counters), so that
        training in parts, even in other processes, gives the same bits as
        training at once. A different `scoring` or kind of validation part
        starts a new search for the best epoch.
    random_state : int, RandomState instance or None, default=None
        Determines the initial weights, the order of the samples, dropout and
        the validation split.
    dtype : {"float32", "float64"}, dtype or None, default=None
        Floating-point type of the computation. If None, it is float64 for
        float64 `X` and float32 otherwise; continued training keeps its type.
    verbose : int, default=0
        If 1, print a line per epoch.

    Attributes
    ----------
    n_outputs_ : int
        Number of predicted quantities.
    out_activation_ : {"identity", "exp"}
        Function that turns the network's outputs into predictions: "exp" if
        `loss` is "poisson".
    target_mean_, target_scale_ : ndarray of shape (n_outputs,)
        Number subtracted from each target, and divisor of the result: mean and
        standard deviation (1 for a constant target), or 0 and the mean with
        ``loss="poisson"``. They are weighted, and estimated once, from the
        training rows of the first ``fit`` or ``partial_fit``.
    n_features_in_ : int
        Number of values in an image, channels · height · width.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features. Defined only if `X` has feature names that are
        all strings.
    image_shape_ : tuple of int
        (Channels, height, width) of the images.
    input_mean_, input_scale_ : ndarray of shape (channels,)
        Number subtracted from each channel, and divisor of the result.
    layers_ : list of Layer
        The layers of the network, including the output layer.
    network_ : Network
        The layers, bound to the shape of the images.
    weights_ : ndarray
        All parameters, and the running moments of BatchNorm, in one flat
        vector. ``network_.unpack(weights_)`` shows them by layer.
    auto_params_ : dict
        Resolved values of the parameters that are "auto".
    n_iter_ : int
        Number of epochs the model was trained for.
    stop_reason_ : {"max_iter", "no_change", "stopped", "diverged", "interrupted"} or None
        Why training ended: all epochs were done; the loss, or the score with
        `early_stopping`, no longer improved by `tol`; a callback stopped it; the
        loss diverged; or Ctrl-C was pressed. None after `partial_fit` and
        `initialize`.
    loss_ : float
        Loss of the last epoch.
    loss_curve_ : list of float
        Loss of each epoch.
    best_loss_ : float or None
        Smallest loss of an epoch; None with `early_stopping`.
    validation_scores_ : list of float or None
        Score on the validation part after each epoch; None without one.
    history_ : dict of list
        "loss" and "lr" (of the last mini-batch) of each epoch, and
        with `early_stopping` "validation_loss" and "validation_score" (NaN for
        earlier epochs that had none; continuing without a validation part
        drops them).

    See Also
    --------
    ScratchCNNClassifier : Convolutional neural network that predicts classes.
    sklearn.neural_network.MLPRegressor : Network of dense layers only.

    Notes
    -----
    The loss in `history_` is the weighted mean over an epoch's mini-batches,
    each before its step. It has no unit: targets are standardized (for
    "poisson", divided by their mean), so that 0.5 is the squared error of a
    model that always predicts the mean.

    Predictions are float64 whatever the network computes in, since a date or a
    large offset has more digits than float32.

    The notes of `ScratchCNNClassifier` on `X`, schedules, callbacks and
    pipelines apply here, too.

    Examples
    --------
    The amount of ink on the left of a digit:

    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from skcnn import ScratchCNNRegressor
    >>> X, _ = load_digits(return_X_y=True)
    >>> ink = X.reshape(-1, 8, 8)[:, :, :4].sum(axis=(1, 2))
    >>> X_train, X_test, y_train, y_test = train_test_split(X, ink, random_state=0)
    >>> reg = ScratchCNNRegressor(filters=(8, 16), max_iter=10, random_state=0)
    >>> reg.fit(X_train, y_train).score(X_test, y_test) > 0.9
    True
    """

    n_outputs_: int
    _auto_tol = 1e-4
    _auto_weight_decay: ClassVar = {0: 3e-3}
    _auto_keeps_position = True  # the target may be a position

    out_activation_: str
    target_mean_: np.ndarray
    target_scale_: np.ndarray
    _flat_targets: bool

    def __init__(
        self,
        layers=None,
        *,
        filters="auto",
        kernel_size="auto",
        pool_size="auto",
        hidden_layer_sizes="auto",
        activation="relu",
        dropout=0.0,
        fixed_features="auto",
        image_shape=None,
        data_format="auto",
        scale_input=True,
        normalization="auto",
        global_pool="auto",
        random_shift="auto",
        loss="squared_error",
        quantile=0.5,
        optimizer="adam",
        lr="auto",
        lr_schedule="auto",
        weight_decay="auto",
        max_grad_norm=None,
        batch_size="auto",
        max_iter="auto",
        shuffle=True,
        tol="auto",
        n_iter_no_change="auto",
        early_stopping=False,
        validation_fraction=0.1,
        scoring=None,
        warm_start=False,
        random_state=None,
        dtype=None,
        verbose=0,
    ):
        self.layers = layers
        self.filters = filters
        self.kernel_size = kernel_size
        self.pool_size = pool_size
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.fixed_features = fixed_features
        self.image_shape = image_shape
        self.data_format = data_format
        self.scale_input = scale_input
        self.normalization = normalization
        self.global_pool = global_pool
        self.random_shift = random_shift
        self.loss = loss
        self.quantile = quantile
        self.optimizer = optimizer
        self.lr = lr
        self.lr_schedule = lr_schedule
        self.weight_decay = weight_decay
        self.max_grad_norm = max_grad_norm
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.scoring = scoring
        self.warm_start = warm_start
        self.random_state = random_state
        self.dtype = dtype
        self.verbose = verbose

    @in_own_context
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: ArrayLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Train the network.

        Parameters
        ----------
        X : array-like
            Images of shape (n, features), (n, height, width), (n, channels,
            height, width) or (n, height, width, channels); see `data_format`.
            Any numeric dtype.
        y : array-like of shape (n,) or (n, n_outputs)
            Target values, in any unit.
        sample_weight : array-like of shape (n,), default=None
            Weights of the samples, not negative.
        X_val : array-like, default=None
            Images to validate on, in any of the forms of `X`; nothing is then held
            out of `X`. In a `Pipeline` with
            ``transform_input=["X_val"]`` they are transformed as `X` is. A
            search or cross-validation passes them to every fit unchanged, unless
            there are as many as in `X`: then it splits them along with `X`, as a
            property of the samples.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Their target values.
        sample_weight_val : array-like of shape (n_val,), default=None
            Their weights.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For parameters and data that are not allowed, among them `X_val`
            without `y_val` or without ``early_stopping=True``; nothing has
            changed then.

        Warns
        -----
        ConvergenceWarning
            When training diverged, or has taken at least 100 steps and is no
            better on the training rows than the best prediction that is the
            same for all of them. If warnings are errors, nothing has changed
            then.
        """
        arguments = FitArguments(X, y, sample_weight, X_val, y_val, sample_weight_val)
        fitting.fit(self, arguments)
        return self

    @available_if(has_partial_fit)
    @in_own_context
    def partial_fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Train with one pass over a part of the data, in mini-batches.

        The first call on an unfitted model starts training; any other call
        continues it, whether it was started by ``fit`` or by ``partial_fit``. Not
        available with `early_stopping`, which needs all data.

        Parameters
        ----------
        X : array-like
            Images in any of the forms that `fit` takes. Images and targets are
            always scaled by the mean and standard deviation of the first call,
            which should therefore receive a representative sample.
        y : array-like of shape (n,) or (n, n_outputs)
            Target values.
        sample_weight : array-like of shape (n,), default=None
            Weights of the samples, not negative. Unlike in ``fit`` they are not
            divided by their mean, which differs between parts. A part whose
            weights are all 0 changes nothing.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For parameters and data that are not allowed, among them other
            numbers of targets, images or networks than in earlier calls;
            nothing has changed then.

        Warns
        -----
        ConvergenceWarning
            When training diverged. If warnings are errors, nothing has changed
            then.

        Notes
        -----
        A call counts as an epoch, in `n_iter_`, in `history_` and for
        `lr_schedule`: schedules continue from call to call, and one without its
        own length spans `max_iter` calls.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skcnn import ScratchCNNRegressor
        >>> X, _ = load_digits(return_X_y=True)
        >>> ink = X[:, :32].sum(axis=1)
        >>> reg = ScratchCNNRegressor(filters=8, lr=0.005, random_state=0)
        >>> for start in range(0, 1500, 100):
        ...     reg = reg.partial_fit(X[start : start + 100], ink[start : start + 100])
        >>> reg.score(X[1500:], ink[1500:]) > 0.7
        True
        """
        if hasattr(self, "weights_"):
            n_outputs, flat = self.n_outputs_, self._flat_targets
        else:
            n_outputs = count_outputs(y, type(self).__name__)
            flat = n_outputs == 1
        encoder = TargetScaler(loss=bind_loss(self), n_outputs=n_outputs, flat=flat)
        fitting.fit_part(self, FitArguments(X, y, sample_weight), encoder)
        return self

    @in_own_context
    def predict(self, X: ArrayLike) -> np.ndarray:
        """Predict target values.

        Parameters
        ----------
        X : array-like
            Images in any of the forms that `fit` takes.

        Returns
        -------
        ndarray of float64 of shape (n,) or (n, n_outputs)
            In the unit of the targets; of one axis where they had one, or a
            single column.
        """
        fitted = self._snapshot()
        return fitted._fitted_encoder().inverse_transform(fitted._infer(outputs, X))

    @in_own_context
    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """R² of the predictions, by `sklearn.metrics.r2_score`.

        Parameters
        ----------
        X : array-like
            Images in any of the forms that `fit` takes.
        y : array-like of shape (n,) or (n, n_outputs)
            True values.
        sample_weight : array-like of shape (n,) or None, default=None
            Weight of each sample.

        Returns
        -------
        float
            At most 1; 0 is what the mean of `y` would reach. With several
            outputs, the mean over them.

        Raises
        ------
        ValueError
            Where squares of errors leave the range of float64.
        """
        from sklearn.metrics import r2_score  # takes longer than all of skcnn's own imports

        caller = type(self).__name__
        predicted = self.predict(X)
        true = as_numbers(y, "y", caller).astype(np.float64, copy=False)
        try:
            with np.errstate(over="raise"):
                return r2_score(true, predicted, sample_weight=sample_weight)
        except FloatingPointError:
            raise ValueError(
                f"{caller}: R² is beyond the range of float64: the predictions for X reach "
                f"{np.abs(predicted).max():g} and y reaches {np.abs(true).max():g}, whose "
                "squares, or whose differences' squares, are too large."
            ) from None

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.positive_only = self.loss == "poisson"
        return tags

    def _read_targets(self, y: Any, n_samples: int) -> tuple[TargetScaler, np.ndarray]:
        loss = bind_loss(self)
        targets = check_targets(y, n_samples, "y", loss, type(self).__name__)
        n_outputs = targets.shape[1]
        return TargetScaler(loss=loss, n_outputs=n_outputs, flat=n_outputs == 1), targets

    def _fitted_encoder(self) -> TargetScaler:
        loss = "poisson" if self.out_activation_ == "exp" else "squared_error"
        return TargetScaler(
            loss=REGRESSION_LOSSES[loss],  # any that makes the same predictions of outputs
            n_outputs=self.n_outputs_,
            flat=self._flat_targets,
            unit=Scaling(self.target_mean_, self.target_scale_),
        )

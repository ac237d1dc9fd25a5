"""The classifier, for classes and for several labels per sample."""

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin
from sklearn.utils.metaestimators import available_if

from skcnn._estimator import fitting
from skcnn._estimator.arrays import same, shape_of
from skcnn._estimator.base import BaseScratchCNN, has_partial_fit
from skcnn._estimator.data import FitArguments
from skcnn._estimator.labels import ClassEncoder, check_classes, check_label_set, is_matrix
from skcnn._estimator.sample_weights import class_weights
from skcnn._hyperparameters import check_real
from skcnn.inference import outputs
from skcnn.losses import LOSSES, Loss, SigmoidCrossEntropy, SoftmaxCrossEntropy
from skcnn.parallel.contexts import in_own_context

__all__ = ["ScratchCNNClassifier"]


def _has_partial_fit(estimator: Any) -> bool:
    if isinstance(estimator.class_weight, str) and estimator.class_weight == "balanced":
        raise AttributeError(
            "partial_fit is not available with class_weight='balanced': it does not know how "
            "frequent the classes are. Pass a dict of weights, for instance from "
            "sklearn.utils.class_weight.compute_class_weight."
        )
    return has_partial_fit(estimator)


class ScratchCNNClassifier(ClassifierMixin, BaseScratchCNN):
    """Convolutional neural network for small images and signals.

    It is trained in mini-batches on the softmax cross-entropy or, if `y` is an
    indicator matrix, on the binary cross-entropy summed over the labels.
    Layers, gradients and optimizers are plain NumPy. As a transformer it
    computes the features that the output layer sees.

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
        "auto" is (128,) for images up to 32 pixels, and none for larger ones and
        signals.
    activation : str or Layer, default="relu"
        Activation after every convolution and hidden dense layer: "relu",
        "leaky_relu", "elu", "gelu", "silu", "sigmoid", "tanh", or a layer.
    dropout : float, default=0.0
        Rate of the dropout after every hidden dense layer or, where there is
        none, in front of the output layer; in [0, 1).
    fixed_features : "auto" or int, default="auto"
        For signals, about how many features from fixed kernels (see
        `FixedKernelFeatures`) are used beside those that are learned; 0 for
        none. Their output layer is solved in closed form, and the fitted network
        is a weighted sum of both. "auto" is 1,000 below a length of 100 and 2,500
        from there on; and 0 with `layers`, with `warm_start`, in ``partial_fit``
        and wherever they cannot be used; a number is an error there, except with
        `layers` and `warm_start`. Validation scores, history and callbacks see
        the learned part alone.
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
        True for signals and for images above 32 pixels.
    random_shift : "auto", int or (int, int), default="auto"
        Pixels by which training moves the images of a mini-batch at most, all of
        them alike, along (height, width); 0 for none. See
        `skcnn.layers.RandomShift`. "auto" is 2 where the longer side has 17 to
        32 pixels, and 0 elsewhere.
    label_smoothing : float, default=0.0
        Part of each target that is spread evenly over all classes in training
        (with several labels, over true and false), in [0, 1).
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
        6e-3 for images, 3e-3 from 10,000 rows on and for signals, and 5e-4 for
        images from 30,000 rows on.
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
        validation score, that counts as one. "auto" is 5e-4.
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
        1); at least as many samples as there are classes. Ignored if `X_val` is
        passed.
    scoring : str, callable or None, default=None
        Score that is computed after every epoch for `early_stopping`; greater
        is better. None is the accuracy; "loss" is the negative loss, without
        weight decay; otherwise the name of a scorer (see
        `sklearn.metrics.get_scorer_names`) or a callable ``(estimator, X, y) ->
        number``. It is called with a fitted copy of this estimator and the
        validation rows in the user's form (held-out rows are copied for it),
        and with `sample_weight` if there are weights and its signature has that
        name. If it raises, or its score is not a finite number, ``fit`` raises
        a ValueError.
    class_weight : dict, list of dict, "balanced" or None, default=None
        Weights of the classes, which are 1 if None. "balanced" makes them
        inversely proportional to the (weighted) frequencies of the classes.
        With several labels, a list with a dict for each of them, from 0 and 1
        to weights; the weight of a sample is the product over its labels.
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
    classes_ : ndarray of shape (n_classes,)
        The class labels; for an indicator matrix, the numbers of its columns.
    out_activation_ : {"softmax", "logistic"}
        Function that turns the network's outputs into probabilities: "softmax"
        if every sample has one class, "logistic" if `y` was an indicator matrix.
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
        Score on the validation part after each epoch; None without one. By
        default it is the accuracy, for which a sample with several labels
        counts as right if all of them are.
    history_ : dict of list
        "loss", "accuracy" and "lr" (of the last mini-batch) of each epoch, and
        with `early_stopping` "validation_loss" and "validation_score" (NaN for
        earlier epochs that had none; continuing without a validation part
        drops them).

    See Also
    --------
    sklearn.neural_network.MLPClassifier : Network of dense layers only.

    Notes
    -----
    The loss in `history_` is the weighted mean over an epoch's mini-batches,
    each before its step. The same data and `random_state` give bit-identical
    weights on the same machine, for any number of threads or jobs.

    Any `y` of zeros and ones in several columns is an indicator matrix, whose
    labels are independent of each other. That includes one-hot rows: pass
    ``y.argmax(axis=1)`` for classes that exclude each other. For
    matrices with other values, use `sklearn.multioutput.MultiOutputClassifier`.

    The first call of ``fit`` or ``partial_fit`` resolves "auto" from the shape of
    the images and the number of rows. Continued training keeps these values, which
    `auto_params_` contains. Only the string "auto" means this.

    `X` is read in place, mini-batch by mini-batch: an ``np.memmap`` may be larger
    than memory. For data in parts, use `partial_fit`.

    From scikit-learn 1.9 on, ``set_callbacks`` takes the callbacks of
    `sklearn.callback`, such as ``ProgressBar`` and ``ScoringMonitor``. ``fit``
    is their task, and every epoch a subtask; a callback may stop the training
    after the current epoch. The estimator that they receive is as if ``fit`` had
    stopped there, and the data are the training rows.

    In a pipeline, before another estimator, the network is trained by ``fit``
    like any transformer. ``make_pipeline(FrozenEstimator(clf), SVC())`` uses
    the features of a network that is already trained.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from skcnn import ScratchCNNClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> clf = ScratchCNNClassifier(filters=(8, 16), max_iter=10, random_state=0)
    >>> clf.fit(X_train, y_train).score(X_test, y_test) > 0.95
    True

    Several labels per sample, each true or false:

    >>> import numpy as np
    >>> is_even, is_large = y_train % 2 == 0, y_train >= 5
    >>> clf.fit(X_train, np.column_stack([is_even, is_large])).predict([X_test[0]])
    array([[1, 0]])
    """

    classes_: np.ndarray
    _auto_tol = 5e-4
    _auto_weight_decay: ClassVar = {30_000: 5e-4, 10_000: 3e-3, 0: 6e-3}
    _auto_keeps_position = False

    out_activation_: str

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
        label_smoothing=0.0,
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
        class_weight=None,
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
        self.label_smoothing = label_smoothing
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
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.random_state = random_state
        self.dtype = dtype
        self.verbose = verbose

    @in_own_context
    def fit(
        self,
        X: ArrayLike,
        y: Any,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: ArrayLike | None = None,
        y_val: Any = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Train the network.

        Parameters
        ----------
        X : array-like
            Images of shape (n, features), (n, height, width), (n, channels,
            height, width) or (n, height, width, channels); see `data_format`.
            Any numeric dtype.
        y : array-like of shape (n,) or (n, n_labels)
            Class labels, or an indicator matrix (also a sparse one) with a 1 for
            each label that is true of the sample and 0 elsewhere. One-hot rows
            are such a matrix: for classes pass ``y.argmax(axis=1)``.
        sample_weight : array-like of shape (n,), default=None
            Weights of the samples, not negative.
        X_val : array-like, default=None
            Images to validate on, in any of the forms of `X`; nothing is then held
            out of `X`. In a `Pipeline` with
            ``transform_input=["X_val"]`` they are transformed as `X` is. A
            search or cross-validation passes them to every fit unchanged, unless
            there are as many as in `X`: then it splits them along with `X`, as a
            property of the samples.
        y_val : array-like of shape (n_val,) or (n_val, n_labels), default=None
            Their class labels, all of which occur in `y`, or their indicator
            matrix, where `y` is one.
        sample_weight_val : array-like of shape (n_val,), default=None
            Their weights, which `class_weight` multiplies as it does those of
            the training rows.

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

    @available_if(_has_partial_fit)
    @in_own_context
    def partial_fit(
        self,
        X: ArrayLike,
        y: Any,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Train with one pass over a part of the data, in mini-batches.

        The first call on an unfitted model starts training; any other call
        continues it, whether it was started by ``fit`` or by ``partial_fit``. Not
        available with `early_stopping` or ``class_weight="balanced"``, which need
        all data.

        Parameters
        ----------
        X : array-like
            Images in any of the forms that `fit` takes. `scale_input` always
            uses the mean and standard deviation of the first call, which should
            therefore receive a representative sample.
        y : array-like of shape (n,) or (n, n_labels)
            Class labels (a part need not contain all classes), or an indicator
            matrix as in `fit`.
        classes : array-like of shape (n_classes,), default=None
            All classes that will ever occur; required in the first call, except
            with an indicator matrix, where it must be ``range(n_labels)`` if given.
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
            classes, images or networks than in the calls before; nothing has
            changed then.

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
        >>> from skcnn import ScratchCNNClassifier
        >>> X, y = load_digits(return_X_y=True)
        >>> clf = ScratchCNNClassifier(random_state=0)
        >>> for start in range(0, 1400, 100):
        ...     part = slice(start, start + 100)
        ...     clf = clf.partial_fit(X[part], y[part], classes=range(10))
        >>> clf.score(X[1400:], y[1400:]) > 0.8
        True
        """
        encoder = self._known_classes(y, classes)
        fitting.fit_part(self, FitArguments(X, y, sample_weight), encoder)
        return self

    @in_own_context
    def predict(self, X: ArrayLike) -> np.ndarray:
        """Predict the class of each sample, or its labels.

        Parameters
        ----------
        X : array-like
            Images in any of the forms that `fit` takes.

        Returns
        -------
        ndarray of shape (n,) or of int of shape (n, n_labels)
            Classes; after a fit with an indicator matrix, 1 for every label
            whose probability is above 1/2 and 0 for the others.
        """
        fitted = self._snapshot()
        predictions = LOSSES[fitted.out_activation_].predictions(fitted._infer(outputs, X))
        if fitted.out_activation_ == "logistic":
            return predictions.astype(int, order="C")
        return fitted.classes_[predictions]

    @in_own_context
    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Predict the probability of each class, or of each label.

        Parameters
        ----------
        X : array-like
            Images in any of the forms that `fit` takes.

        Returns
        -------
        ndarray of shape (n, n_classes) or (n, n_labels)
            In the order of ``classes_`` and the dtype of ``weights_``. Rows sum
            to 1 for classes, not for labels. The first of the largest is the
            class that `predict` returns; labels that it returns are above 1/2.
        """
        fitted = self._snapshot()
        z = fitted._infer(outputs, X)
        return np.ascontiguousarray(LOSSES[fitted.out_activation_].rounded_probabilities(z).T)

    @in_own_context
    def predict_log_proba(self, X: ArrayLike) -> np.ndarray:
        """Predict the logarithm of the probability of each class, or of each label.

        It is finite, and keeps the order of the classes, where probabilities
        are too small for their dtype.

        Parameters
        ----------
        X : array-like
            Images in any of the forms that `fit` takes.

        Returns
        -------
        ndarray of shape (n, n_classes) or (n, n_labels)
            In the order of ``classes_`` and the dtype of ``weights_``. The first
            of the largest is the class that `predict` returns.
        """
        fitted = self._snapshot()
        z = fitted._infer(outputs, X)
        return np.ascontiguousarray(LOSSES[fitted.out_activation_].rounded_log_probabilities(z).T)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def _read_targets(self, y: Any, n_samples: int) -> tuple[ClassEncoder, np.ndarray]:
        return check_classes(y, n_samples, type(self).__name__)

    def _class_weights(
        self, encoder: ClassEncoder, targets: np.ndarray, weights: np.ndarray
    ) -> np.ndarray | None:
        caller = type(self).__name__
        return class_weights(self.class_weight, encoder.labels, targets, weights, caller)

    def _training_loss(self, encoder: ClassEncoder) -> Loss:
        caller = type(self).__name__
        smoothing = check_real(caller, "label_smoothing", self.label_smoothing, 0, 1)
        kind = SigmoidCrossEntropy if encoder.multilabel else SoftmaxCrossEntropy
        return kind(smoothing)

    def _fitted_encoder(self) -> ClassEncoder:
        return ClassEncoder(self.classes_, self.out_activation_ == "logistic")

    def _known_classes(self, y: Any, classes: Any) -> ClassEncoder:
        """The classes of all calls to ``partial_fit``, against which `classes` is checked."""
        caller, first = type(self).__name__, not hasattr(self, "classes_")
        if not first:
            known = self._fitted_encoder()
        elif y is not None and is_matrix(y, "y", caller):
            known = ClassEncoder(np.arange(shape_of(y, "y", caller)[1]), True)
        elif classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        else:
            known = ClassEncoder(check_label_set(classes, caller), False)
        if classes is not None and not same(check_label_set(classes, caller), known.labels):
            raise ValueError(
                f"{caller}: classes={classes!r} are not those of "
                f"{'the matrix y' if first else 'the call before'}: {known.labels}."
            )
        return known

"""The estimator: parameters in, fitted attributes out."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from warnings import warn

import numpy as np
from sklearn import get_config
from sklearn.base import ClassifierMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import ThreadpoolController

from skcnn import _validation as validation
from skcnn._binding import bind_dtype, bind_layers, bind_settings
from skcnn._nested_parameters import NestedParameters
from skcnn.batches import Images, Scaling
from skcnn.inference import features, outputs
from skcnn.losses import LOSSES
from skcnn.network import Network
from skcnn.parallel import BlasGuard, Interrupts, Workers
from skcnn.summary import Summary
from skcnn.training import Epoch, Samples, Settings, TrainingState, new_state, stream, train

__all__ = ["ScratchCNNClassifier"]

OWNER = "ScratchCNNClassifier"
PICKLE_FORMAT = 1

_blas = BlasGuard(ThreadpoolController)


class ScratchCNNClassifier(
    ClassifierMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, NestedParameters
):
    """Convolutional neural network for small images and signals.

    Trains on softmax cross-entropy by mini-batches; where `y` is an indicator
    matrix, on binary cross-entropy summed over the labels. Layers, gradients
    and optimizers are plain NumPy. As a transformer it gives the features that
    the output layer sees.

    Parameters
    ----------
    layers : list of Layer or None, default=None
        The network without its output layer, which ``fit`` adds. None builds
        one from `filters` to `dropout` with `skcnn.architectures.cnn`;
        otherwise these are not used.
    filters : int or sequence of int, default=(32, 64)
        Filters of the convolution in each block.
    kernel_size : int, (int, int) or sequence of these, default=3
        Height and width of the kernels; a sequence that holds pairs has one
        entry a block.
    pool_size : int, (int, int) or sequence of these, default=2
        Height and width of the max-pooling that ends a block, 1 for none; a
        sequence that holds pairs has one entry a block.
    hidden_layer_sizes : int or sequence of int, default=(128,)
        Units of the dense layers after the blocks; empty for none.
    activation : str or Layer, default="relu"
        Follows every convolution and hidden dense layer: "relu", "leaky_relu",
        "elu", "gelu", "silu", "sigmoid", "tanh", or a layer.
    dropout : float, default=0.0
        Rate of the dropout after every hidden dense layer, in [0, 1).
    image_shape : tuple of int or None, default=None
        Shape of the images in flat rows: (height, width), or (channels,
        height, width) in the order of `data_format`. None takes a square
        number of features as one square channel and any other as a signal.
    data_format : {"channels_first", "channels_last"}, default="channels_first"
        Order of the axes in 4-D `X`, in flat rows and in `image_shape`.
    scale_input : bool, default=True
        Whether each channel is scaled to mean 0 and standard deviation 1 with
        the moments of the training rows.
    optimizer : {"adam", "adamw", "sgd", "rmsprop", "adagrad"} or Optimizer, default="adam"
        Rule of the weights' steps.
    lr : float, default=2e-3
        Learning rate, positive.
    lr_schedule : {"constant", "step", "exponential", "cosine", "one_cycle", "warm_up", \
            "reduce_on_plateau"} or Schedule, default="constant"
        What `lr` is multiplied with as training goes on. One that is given by
        name, or as an instance from `skcnn.schedules` without a length of its
        own, takes `max_iter` for its length and starts anew with each ``fit``;
        any other instance counts all epochs of the model, so that training in
        parts with `warm_start` has the same rates as training at once.
    weight_decay : float, default=1e-4
        L2 penalty: so many times the weights (not the biases) is added to
        their gradients. With "adamw" these weights are multiplied by
        ``1 - lr * weight_decay`` in each step instead.
    max_grad_norm : float or None, default=None
        The gradient of a mini-batch (the mean over its rows, before weight
        decay) is scaled down to this Euclidean norm when it is larger.
    batch_size : int, default=64
        Samples in a mini-batch.
    max_iter : int, default=50
        Epochs at most; with `warm_start` so many more.
    shuffle : bool, default=True
        Whether the samples are put into a new order in every epoch.
    tol : float, default=5e-4
        An epoch improves by at least this in loss, or with `early_stopping`
        in validation accuracy.
    n_iter_no_change : int, default=5
        Training stops after so many epochs in a row without improvement.
    early_stopping : bool, default=False
        Whether to hold out a part of the training rows, stop when the accuracy
        on it no longer improves, and keep the weights with the best.
    validation_fraction : float, default=0.1
        The part that `early_stopping` holds out, in (0, 1); at least as many
        samples as there are classes.
    class_weight : dict, list of dict, "balanced" or None, default=None
        Weights of the classes; "balanced" weighs them inversely to their
        (weighted) frequency. With several labels a list of one dict for each,
        from 0 and 1 to weights; a sample's weight is the product over its
        labels.
    warm_start : bool, default=False
        Whether the next ``fit`` goes on where this one ended, for `max_iter`
        more epochs at most.
    random_state : int, RandomState instance or None, default=None
        Where initial weights, order, dropout and split come from.
    dtype : {"float32", "float64"}, dtype or None, default=None
        What to compute in. None is float64 for float64 `X` and float32 for
        everything else.
    verbose : int, default=0
        1 prints a line an epoch.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels; with an indicator matrix the numbers of its columns.
    out_activation_ : {"softmax", "logistic"}
        What makes probabilities of the network's outputs: "softmax" where every
        sample is of one class, "logistic" where `y` was an indicator matrix.
    n_features_in_ : int
        Number of values in an image, channels · height · width.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where `X` had names that are all strings.
    image_shape_ : tuple of int
        (Channels, height, width) of the images.
    input_mean_, input_scale_ : ndarray of shape (channels,)
        What is subtracted from each channel, and what it is then divided by.
    layers_ : list of Layer
        The network's layers, output layer included.
    network_ : Network
        The layers bound to the shape of the images.
    weights_ : ndarray
        All parameters in one flat vector; ``network_.unpack(weights_)`` shows
        those of each layer.
    n_iter_ : int
        Number of epochs.
    loss_ : float
        Loss of the last epoch.
    loss_curve_ : list of float
        Loss of each epoch.
    best_loss_ : float or None
        Smallest loss of an epoch; None with `early_stopping`.
    validation_scores_ : list of float or None
        Accuracy on the held-out part after each epoch; None without one. With
        several labels a sample counts as right if all of its labels are.
    history_ : dict of list
        "loss", "accuracy" and "lr" (of the last mini-batch) of each epoch, and
        with `early_stopping` "validation_loss" and "validation_score".

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
    ``y.argmax(axis=1)`` for classes that exclude each other. Matrices with
    other values are a case for `sklearn.multioutput.MultiOutputClassifier`.

    `tol` and `n_iter_no_change` stop training whatever the rate is, often
    before a schedule has come to its end, where steps are small and the loss
    hardly moves: with ``n_iter_no_change=max_iter`` none is cut short.

    Before another estimator in a pipeline, ``fit`` trains the network first,
    as that of any transformer there. Features of a network that is already
    trained come from ``make_pipeline(FrozenEstimator(clf), SVC())``.

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

    Several labels a sample, of which each may be true or not:

    >>> import numpy as np
    >>> is_even, is_large = y_train % 2 == 0, y_train >= 5
    >>> clf.fit(X_train, np.column_stack([is_even, is_large])).predict([X_test[0]])
    array([[1, 0]])
    """

    out_activation_: str
    weights_: np.ndarray
    network_: Network

    def __init__(
        self,
        layers=None,
        *,
        filters=(32, 64),
        kernel_size=3,
        pool_size=2,
        hidden_layer_sizes=(128,),
        activation="relu",
        dropout=0.0,
        image_shape=None,
        data_format="channels_first",
        scale_input=True,
        optimizer="adam",
        lr=2e-3,
        lr_schedule="constant",
        weight_decay=1e-4,
        max_grad_norm=None,
        batch_size=64,
        max_iter=50,
        shuffle=True,
        tol=5e-4,
        n_iter_no_change=5,
        early_stopping=False,
        validation_fraction=0.1,
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
        self.image_shape = image_shape
        self.data_format = data_format
        self.scale_input = scale_input
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
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.random_state = random_state
        self.dtype = dtype
        self.verbose = verbose

    def fit(self, X, y, sample_weight=None):
        """Train the network.

        Parameters
        ----------
        X : array-like
            Images of shape (n, features), (n, height, width) or (n, channels,
            height, width), with ``data_format="channels_last"`` (n, height,
            width, channels). Any numeric dtype.
        y : array-like of shape (n,) or (n, n_labels)
            Class labels, or an indicator matrix (also a sparse one) with a 1 for
            each label that is true of the sample and 0 elsewhere. One-hot rows
            are such a matrix: for classes pass ``y.argmax(axis=1)``.
        sample_weight : array-like of shape (n,), default=None
            Weights of the samples, not negative.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For parameters and data that are not allowed; nothing has changed
            then.

        Warns
        -----
        ConvergenceWarning
            When training diverged.
        """
        settings = bind_settings(self)
        array = validation.check_X(X)
        classes, targets = validation.check_classes(y, len(array))
        settings = replace(settings, loss=LOSSES["softmax" if targets.ndim == 1 else "logistic"])
        weights = validation.check_weights(sample_weight, self.class_weight, classes, targets)
        names = validation.feature_names(X)
        shape = validation.check_image_shape(array, self.image_shape, self.data_format)
        if self.early_stopping:
            validation.held_out_size(targets, self.validation_fraction)
        layers = bind_layers(self, shape, len(classes))
        network = Network(layers, shape, bind_dtype(self, array))
        images = validation.as_images(array, shape, self.data_format)
        state = self._start(network, classes, settings)
        rows, held_out_rows = self._split(targets, weights, state.seed)
        scaling = self._scaling(images.subset(rows), weights[rows])
        everything = Samples(images.with_scaling(scaling), targets, weights)
        samples = everything.subset(rows, network.dtype)
        held_out = (
            None if held_out_rows is None else everything.subset(held_out_rows, network.dtype)
        )

        with Interrupts() as interrupts:
            with _workers(interrupts) as workers:
                state, reason = train(
                    network, samples, settings, state, workers, held_out, self._report()
                )
            self._commit(network, state, scaling, classes, names, settings.loss.activation)
        self._warn(reason, state)
        return self

    def predict(self, X):
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
        z = self._infer(outputs, X)
        predictions = LOSSES[self.out_activation_].predictions(z)
        if self.out_activation_ == "logistic":
            return predictions.astype(int, order="C")
        return self.classes_[predictions]

    def predict_proba(self, X):
        """Predict the probability of each class, or of each label.

        Parameters
        ----------
        X : array-like
            Images in any of the forms that `fit` takes.

        Returns
        -------
        ndarray of shape (n, n_classes) or (n, n_labels)
            In the order of ``classes_`` and the dtype of ``weights_``. Rows sum
            to 1 for classes, not for labels.
        """
        z = self._infer(outputs, X).astype(np.float64)
        exact = LOSSES[self.out_activation_].probabilities(z).T
        return np.ascontiguousarray(exact, dtype=self.weights_.dtype)

    def predict_log_proba(self, X):
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
            In the order of ``classes_`` and the dtype of ``weights_``.
        """
        z = self._infer(outputs, X).astype(np.float64)
        exact = LOSSES[self.out_activation_].log_probabilities(z).T
        exact = np.maximum(exact, np.finfo(self.weights_.dtype).min)
        probabilities = np.exp(exact).astype(self.weights_.dtype)
        normal = probabilities >= np.finfo(probabilities.dtype).tiny
        logs = np.ascontiguousarray(exact, dtype=probabilities.dtype)
        return np.log(probabilities, out=logs, where=normal)

    def transform(self, X):
        """Compute the features that the output layer sees: the input of ``layers_[-1]``.

        Parameters
        ----------
        X : array-like
            Images in any of the forms that `fit` takes.

        Returns
        -------
        ndarray of shape (n, n_features_out)
            In the dtype of ``weights_``; with ``set_output`` a dataframe.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklearn.frozen import FrozenEstimator
        >>> from sklearn.pipeline import make_pipeline
        >>> from sklearn.svm import SVC
        >>> from skcnn import ScratchCNNClassifier
        >>> X, y = load_digits(return_X_y=True)
        >>> clf = ScratchCNNClassifier(
        ...     filters=8, hidden_layer_sizes=32, max_iter=10, random_state=0
        ... )
        >>> clf.fit(X[:1000], y[:1000]).transform(X).shape
        (1797, 32)
        >>> svc = make_pipeline(FrozenEstimator(clf), SVC()).fit(X[:1000], y[:1000])
        >>> svc.score(X[1000:], y[1000:]) > 0.9
        True
        """
        return self._infer(features, X)

    @property
    def _n_features_out(self):
        """Number of columns of `transform`, which `get_feature_names_out` asks for."""
        (size,) = self.network_.shapes[-2]
        return size

    def set_weights(self, arrays):
        """Replace the weights, for instance by those of another framework.

        Parameters
        ----------
        arrays : list of dict
            As ``network_.unpack(weights_)`` gives them: for every layer its
            arrays by name, convolutions (filters, channels, height, width) and
            dense layers (units, inputs).

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Where names or shapes are others, or numbers not finite.
        """
        check_is_fitted(self)
        vector = np.empty_like(self.weights_)
        mine = self.network_.unpack(vector)
        if not isinstance(arrays, (list, tuple)) or len(arrays) != len(mine):
            raise ValueError(f"arrays must be a list of {len(mine)} dicts, one a layer.")
        for i, (params, given) in enumerate(zip(mine, arrays, strict=True)):
            if not isinstance(given, dict):
                raise ValueError(f"arrays[{i}] must be a dict, got {given!r}.")
            shapes = {name: np.shape(array) for name, array in given.items()}
            expected = {name: array.shape for name, array in params.items()}
            if shapes != expected:
                raise ValueError(f"arrays[{i}] must have the shapes {expected}, got {shapes}.")
            for name, array in given.items():
                if np.asarray(array).dtype.kind not in "iuf":
                    raise ValueError(f"arrays[{i}][{name!r}] must hold real numbers.")
                params[name][...] = array
        if not np.isfinite(vector).all():
            raise ValueError("arrays must hold finite numbers.")
        self.weights_ = vector
        self.__dict__.pop("_training_state", None)
        return self

    def summary(self):
        """The fitted network as a table.

        Returns
        -------
        Summary
            For every layer its shape, parameters, multiply-adds, memory and
            receptive field, as `skcnn.summary` gives them before a fit.
        """
        check_is_fitted(self)
        return Summary.of(self.network_)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"] if self.dtype is None else []
        tags.classifier_tags.multi_label = True
        return tags

    def __getstate__(self):
        return {**super().__getstate__(), "_pickle_format": PICKLE_FORMAT}

    def __setstate__(self, state):
        state = dict(state)
        found = state.pop("_pickle_format", PICKLE_FORMAT)
        if found > PICKLE_FORMAT:
            raise ValueError(
                f"This model was saved by a newer version of skcnn (format {found}); this "
                f"version reads formats up to {PICKLE_FORMAT}. Please update skcnn."
            )
        super().__setstate__(state)

    def _start(self, network: Network, classes: np.ndarray, settings: Settings) -> TrainingState:
        """A new training, or with `warm_start` the last one to go on with."""
        if not (self.warm_start and hasattr(self, "weights_")):
            seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
            return new_state(network, settings.optimizer, seed)
        activation = settings.loss.activation
        if activation != self.out_activation_ or not np.array_equal(classes, self.classes_):
            raise ValueError(
                "warm_start can only go on with the same classes: the model was fitted on "
                f"{_described(self.classes_, self.out_activation_)}, y has "
                f"{_described(classes, activation)}."
            )
        if network != self.network_:
            raise ValueError(
                "warm_start can only go on with the same network: the model was fitted as "
                f"{self.network_}, parameters and X now make {network}."
            )
        if hasattr(self, "_training_state"):
            state = self._training_state.copy()
        else:  # fitted without warm_start: the weights are all there is
            seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
            state = new_state(network, settings.optimizer, seed)
            state.weights[...] = self.weights_
            state.epoch = self.n_iter_
            state.history = {name: list(values) for name, values in self.history_.items()}
        state.judge_by(validated=self.early_stopping)
        fresh = settings.optimizer.moments(state.weights[: network.n_parameters])
        if state.moments.keys() != fresh.keys():  # another optimizer
            state.moments, state.step = fresh, 0
        return state

    def _split(
        self, targets: np.ndarray, weights: np.ndarray, seed: int
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Numbers of the rows to train on, and of those that are held out."""
        if not self.early_stopping:
            return np.arange(len(targets)), None
        draw = np.random.RandomState(stream(seed, "split").integers(2**32))
        rows, held_out = validation.held_out_rows(targets, self.validation_fraction, draw)
        counted = targets[rows][weights[rows] > 0]
        if targets.ndim == 2:
            enough, least = len(counted) > 0, "nothing of positive weight"
        else:
            enough, least = len(np.unique(counted)) >= 2, "fewer than 2 classes"
        if not enough or not weights[held_out].any():
            raise ValueError(
                f"{OWNER}: early_stopping holds out {len(held_out)} of {len(targets)} samples, "
                f"which leaves {least} to train on, or nothing of positive weight to validate on."
            )
        return rows, held_out

    def _scaling(self, images: Images, weights: np.ndarray) -> Scaling:
        """The moments of the training rows; under `warm_start` those of the first fit."""
        if self.warm_start and hasattr(self, "weights_"):
            return Scaling(self.input_mean_, self.input_scale_)
        if self.scale_input:
            return images.measure(weights)
        channels = images.shape[0]
        return Scaling(np.zeros(channels), np.ones(channels))

    def _report(self) -> Callable[[Epoch], None] | None:
        if not self.verbose:
            return None

        def report(epoch: Epoch) -> None:
            last = {name: values[-1] for name, values in epoch.history.items()}
            line = f"Epoch {epoch.number}: loss {last['loss']:.6f}"
            line += f", accuracy {last['accuracy']:.4f}"
            if self.early_stopping:
                line += f", validation score {last['validation_score']:.4f}"
            rate = epoch.n_samples / epoch.seconds
            print(f"{line}, {epoch.seconds:.2f} s, {rate:.0f} images/s")

        return report

    def _warn(self, reason: str, state: TrainingState) -> None:
        if reason == "diverged":
            warn(
                f"Training diverged in epoch {state.epoch + 1}: its loss was not finite or more "
                "than 1000 times the first. The weights of "
                f"{'the epoch before' if state.epoch else 'the start'} are kept. Try a smaller "
                "lr, a max_grad_norm, scaled input or smaller weights.",
                ConvergenceWarning,
                stacklevel=3,
            )
        elif reason == "interrupted":
            warn(
                f"Training was interrupted; the model of epoch {state.epoch} is kept.",
                stacklevel=3,
            )

    def _commit(
        self,
        network: Network,
        state: TrainingState,
        scaling: Scaling,
        classes: np.ndarray,
        names: np.ndarray | None,
        activation: str,
    ) -> None:
        """Write all fitted attributes at once, none a view of another."""
        kinds = ["loss", "accuracy", "lr"]
        if self.early_stopping:
            kinds += ["validation_loss", "validation_score"]
        history = {name: list(state.history.get(name, [])) for name in kinds}
        curve = history["loss"]
        best = state.best_weights if self.early_stopping else None
        fitted = {
            "classes_": classes,
            "out_activation_": activation,
            "n_features_in_": int(np.prod(network.input_shape)),
            "image_shape_": network.input_shape,
            "input_mean_": scaling.mean.copy(),
            "input_scale_": scaling.deviation.copy(),
            "layers_": list(network.layers),
            "network_": network,
            "weights_": (state.weights if best is None else best).copy(),
            "n_iter_": state.epoch,
            "loss_": curve[-1] if curve else float("nan"),
            "loss_curve_": list(curve),
            "best_loss_": None if self.early_stopping else min(curve, default=float("nan")),
            "validation_scores_": (
                list(history["validation_score"]) if self.early_stopping else None
            ),
            "history_": history,
            "_data_format": self.data_format,
        }
        if names is not None:
            fitted["feature_names_in_"] = names
        if self.warm_start:
            fitted["_training_state"] = state
        kept = {
            name: value
            for name, value in vars(self).items()
            if name not in ("feature_names_in_", "_training_state")
        }
        self.__dict__ = kept | fitted

    def _infer(self, run: Callable[..., np.ndarray], X: Any) -> np.ndarray:
        """What `run`, one of the functions in `skcnn.inference`, finds for `X`."""
        check_is_fitted(self)
        array = validation.check_X(X)
        validation.check_same_input(self, X, array)
        images = validation.as_images(array, self.image_shape_, self._data_format)
        images = images.with_scaling(Scaling(self.input_mean_, self.input_scale_))
        max_bytes = get_config()["working_memory"] * 2**20
        with Interrupts() as interrupts, _workers(interrupts) as workers:
            return run(self.network_, self.weights_, images, workers, max_bytes)


def _described(classes: np.ndarray, activation: str) -> str:
    return str(classes) if activation == "softmax" else f"{len(classes)} labels in a matrix"


@contextmanager
def _workers(interrupts: Interrupts) -> Iterator[Workers]:
    """As many threads as BLAS would use, which is kept to one in each of them."""
    with _blas as n, Workers(n, _blas.limit_this_thread, interrupts.check) as workers:
        yield workers

"""Base class of both estimators: their common public API."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skcnn._estimator import fitting, pickling
from skcnn._estimator.data import FitArguments
from skcnn._estimator.images import read_fitted
from skcnn._estimator.nested import NestedParameters
from skcnn._estimator.progress import CallbackSupportMixin
from skcnn._estimator.resources import run_in_threads, working_memory
from skcnn._estimator.state_dict import WeightsMixin
from skcnn._summary import Summary
from skcnn.architectures.fixed_features import without_output
from skcnn.inference import features
from skcnn.losses import Loss
from skcnn.network import Network
from skcnn.parallel.contexts import in_own_context

__all__ = ["BaseScratchCNN", "has_partial_fit"]


def has_partial_fit(estimator: Any) -> bool:
    """Whether ``partial_fit`` is available; raise ``AttributeError`` with the reason if not."""
    if estimator.early_stopping:
        raise AttributeError(
            "partial_fit is not available with early_stopping=True: there is no validation part "
            "that is the same in all calls."
        )
    return True


class BaseScratchCNN(
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    NestedParameters,
    WeightsMixin,
    ABC,
):
    """Training, inference and persistence; subclasses define the meaning of `y`."""

    # scikit-learn's HTML form shows the parameters' documentation only if it has a link to it.
    # This one stays on the page, so that the form does not reveal where the package is installed.
    _doc_link_module = "skcnn"
    _doc_link_template = "#{estimator_name}"

    _auto_tol: float  # value of tol="auto"
    _auto_weight_decay: ClassVar[dict[int, float]]  # of weight_decay, by the least number of rows
    _auto_keeps_position: ClassVar[bool]  # the `keep_position` of the recipe

    early_stopping: bool
    validation_fraction: float
    scoring: Any
    warm_start: bool
    random_state: Any
    image_shape: Any
    data_format: str
    fixed_features: Any
    scale_input: bool
    dtype: Any
    verbose: int

    input_mean_: np.ndarray
    input_scale_: np.ndarray
    history_: dict[str, list[float]]
    auto_params_: dict[str, Any]
    n_iter_: int

    @abstractmethod
    def _read_targets(self, y: Any, n_samples: int) -> tuple[Any, np.ndarray]:
        """Check the `y` of a fit, and return its encoder and the samples' targets."""

    @abstractmethod
    def _fitted_encoder(self) -> Any:
        """Return the encoder of the fitted network's outputs."""

    def _class_weights(
        self, encoder: Any, targets: np.ndarray, weights: np.ndarray
    ) -> np.ndarray | None:
        """Return the weights of the classes; None if all are 1."""
        return None

    def _training_loss(self, encoder: Any) -> Loss:
        """Return the loss that training minimizes."""
        return encoder.loss

    # Training

    @in_own_context
    def resume(
        self,
        path: str | os.PathLike,
        X: ArrayLike,
        y: Any,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: ArrayLike | None = None,
        y_val: Any = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Finish an interrupted training from its last checkpoint.

        The result is bit-identical to that of an uninterrupted training: it ends
        after the same epoch, by `max_iter`, `tol` or `early_stopping`. (``fit``
        with ``warm_start=True`` trains for `max_iter` more epochs instead.)

        Parameters
        ----------
        path : str or path-like
            File that `skcnn.callbacks.Checkpoint` has written. Loading it runs
            no code.
        X, y, sample_weight, X_val, y_val, sample_weight_val
            The arguments that were passed to `fit`. If the training continued a
            fitted model, with ``warm_start=True``, call `resume` on that model.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            As in `fit`, for a file that is damaged, incomplete or written by a
            newer version, and if parameters or data differ from those of the
            training. The estimator is unchanged then.
        """
        if not isinstance(path, (str, os.PathLike)):
            raise TypeError(
                f"{type(self).__name__}: path must be a path, got {type(path).__name__}."
            )
        if "\0" in str(path):
            raise ValueError(f"{type(self).__name__}: path must be a path, got {path!r}.")
        arguments = FitArguments(X, y, sample_weight, X_val, y_val, sample_weight_val)
        fitting.fit(self, arguments, checkpoint=path)
        return self

    # The fitted model

    def _snapshot(self) -> Self:
        """Return a shallow copy of this fitted estimator whose attributes belong to one fit.

        They are read in one step, because another thread may call ``fit`` at any time.
        """
        taken = object.__new__(type(self))
        taken.__dict__ |= self.__dict__
        if "weights_" not in vars(taken):  # this test takes no time, unlike the next
            check_is_fitted(taken)
        return taken

    def _infer(self, run: Callable[..., np.ndarray], X: Any) -> np.ndarray:
        """Check `X` and call `run`, such as a function of `skcnn.inference`, in threads.

        Call it on the `_snapshot` from which all other attributes are read.
        """
        images, max_bytes = read_fitted(X, self), working_memory()
        return run_in_threads(
            partial(run, self.network_, self.weights_, images, max_bytes=max_bytes)
        )

    @in_own_context
    def transform(self, X: ArrayLike) -> Any:
        """Compute the features from which the output layer predicts: the input of ``layers_[-1]``.

        Parameters
        ----------
        X : array-like
            Images in any of the forms that `fit` accepts.

        Returns
        -------
        ndarray of shape (n, n_features_out)
            Features in the dtype of ``weights_``; a dataframe after
            ``set_output``.

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
        return self._snapshot()._infer(features, X)

    @property
    def _n_features_out(self) -> int:
        """Number of columns of `transform`, for `get_feature_names_out`."""
        network = self.network_
        (size,) = Network(
            without_output(network.layers), network.input_shape, network.dtype
        ).output_shape
        return size

    @in_own_context
    def initialize(self, X: ArrayLike, y: Any, sample_weight: ArrayLike | None = None) -> Self:
        """Prepare the network for its first training step without training it.

        This resolves parameters that are "auto", learns the scaling of `X` and
        the classes or scaling of `y`, and draws the initial weights from
        `random_state`, all as `fit` does. Afterwards `predict`, `set_weights` and
        `summary` are available. A later `fit` starts anew, as always, unless
        ``warm_start=True``: then it continues from the current weights, as
        ``partial_fit`` does. If these are still the initial ones, the result is
        bit-identical to that of a new training.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            As in `fit`. The estimator is unchanged then.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skcnn import ScratchCNNClassifier
        >>> X, y = load_digits(return_X_y=True)
        >>> clf = ScratchCNNClassifier(random_state=0).initialize(X, y)
        >>> clf.n_iter_, clf.predict_proba(X).shape
        (0, (1797, 10))
        """
        fitting.initialize(self, FitArguments(X, y, sample_weight))
        return self

    def drop_training_state(self) -> Self:
        """Drop the state that only continued training needs, and keep a model for prediction.

        After ``initialize``, ``partial_fit`` and ``fit`` with ``warm_start=True``, a
        model also stores a second copy of the last weights, the optimizer's
        moments and, with `early_stopping`, the best weights, so that its files
        are two to four times as large. Predictions and fitted attributes do not
        change. A later ``partial_fit``, or ``fit`` with ``warm_start=True``, still
        continues from the weights, but the optimizer and the random numbers
        start anew, as with a model that was fitted without `warm_start`.

        Returns
        -------
        self

        Examples
        --------
        >>> import pickle
        >>> from sklearn.datasets import load_digits
        >>> from skcnn import ScratchCNNClassifier
        >>> X, y = load_digits(return_X_y=True)
        >>> clf = ScratchCNNClassifier(random_state=0).partial_fit(X, y, classes=range(10))
        >>> before = len(pickle.dumps(clf))
        >>> len(pickle.dumps(clf.drop_training_state())) < before / 2
        True
        """
        check_is_fitted(self)
        self.__dict__.pop("_training_state", None)
        return self

    def summary(self) -> Summary:
        """Return the fitted network as a table.

        Returns
        -------
        Summary
            Shape, parameters, multiply-adds, memory and receptive field of every
            layer, as `skcnn.summary` computes them before a fit.
        """
        return Summary.of(self._snapshot().network_)

    # HTML for notebooks: scikit-learn's form, and the fitted network below it

    @property
    def _repr_html_(self) -> Callable[[], str]:
        # an AttributeError if scikit-learn is configured to show text
        form = super()._repr_html_
        return lambda: form() + self._network_html()

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        bundle = super()._repr_mimebundle_(**kwargs)
        if "text/html" in bundle:
            bundle["text/html"] += self._network_html()
        return bundle

    def _network_html(self) -> str:
        """Return the network's table as a collapsed element; empty before a fit."""
        if not hasattr(self, "network_"):
            return ""
        table = self.summary()
        title = (
            f"Network: {len(self.layers_)} layers, {table.parameters:,} parameters, "
            f"{table.multiply_adds:,} multiply-adds an image"
        )
        return f"<details><summary>{title}</summary>{table._repr_html_()}</details>"

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"] if self.dtype is None else []
        return tags

    def __getstate__(self):
        return pickling.to_pickled(super().__getstate__())

    def __setstate__(self, state):
        super().__setstate__(pickling.from_pickled(type(self), state))

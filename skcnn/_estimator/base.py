"""Base class of both estimators: fitting, prediction and fitted attributes."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skcnn._estimator import fitting, pickling
from skcnn._estimator.arguments import FitArguments
from skcnn._estimator.images import read_fitted
from skcnn._estimator.nested import NestedParameters
from skcnn._estimator.progress import CallbackSupportMixin
from skcnn._estimator.resources import run_in_threads, working_memory
from skcnn._estimator.state_dict import ExchangesWeights
from skcnn._summary import Summary
from skcnn.data import Scaling
from skcnn.inference import features
from skcnn.losses import Loss
from skcnn.parallel.contexts import in_own_context

__all__ = ["BaseScratchCNN", "has_partial_fit"]


def has_partial_fit(estimator: Any) -> bool:
    """Whether ``partial_fit`` can be called, or an error that says why it cannot."""
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
    ExchangesWeights,
    ABC,
):
    """Training, inference and persistence; what `y` means is left to the subclasses."""

    # What scikit-learn's HTML form links to. It shows the parameters' documentation only where
    # there is a link, and this one leads nowhere else: it must not tell where the package lies.
    _doc_link_module = "skcnn"
    _doc_link_template = "#{estimator_name}"

    _auto_tol: float  # what tol="auto" means
    _auto_weight_decay: ClassVar[dict[int, float]]  # and weight_decay, from so many images on

    early_stopping: bool
    validation_fraction: float
    scoring: Any
    warm_start: bool
    random_state: Any
    image_shape: Any
    data_format: str
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
        """Check the `y` of a fit: what the outputs mean, and the samples' targets."""

    @abstractmethod
    def _fitted_encoder(self) -> Any:
        """Encoder of the fitted network's outputs."""

    def _class_weights(
        self, encoder: Any, targets: np.ndarray, weights: np.ndarray
    ) -> np.ndarray | None:
        """Weights of classes, where there are any."""
        return None

    def _training_loss(self, encoder: Any) -> Loss:
        """Loss that training minimizes."""
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
        """Finish a training that was interrupted, from its last checkpoint on.

        The result is that of the training that was not interrupted, to the bit:
        it ends where that would have ended, by `max_iter`, `tol` or
        `early_stopping`. (``fit`` with ``warm_start=True`` trains `max_iter`
        epochs more instead.)

        Parameters
        ----------
        path : str or path-like
            What `skcnn.callbacks.Checkpoint` has written. Loading it runs no
            code.
        X, y, sample_weight, X_val, y_val, sample_weight_val
            What was passed to `fit`. A training that had begun from a fitted
            model, with ``warm_start=True``, is resumed on that model.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            As `fit` does, for a file that is damaged, cut, or written by a
            newer version, and where parameters or data are not those of the
            training; nothing has changed then.
        """
        if not isinstance(path, (str, os.PathLike)):
            raise TypeError(
                f"{type(self).__name__}: path must be a path, got {type(path).__name__}."
            )
        arguments = FitArguments(X, y, sample_weight, X_val, y_val, sample_weight_val)
        fitting.fit(self, arguments, checkpoint=path)
        return self

    # The fitted model

    def _snapshot(self) -> Self:
        """A shallow copy of this fitted estimator, whose attributes belong together.

        They are read in one step: another thread may call ``fit`` at any time.
        """
        taken = object.__new__(type(self))
        taken.__dict__ |= self.__dict__
        if "weights_" not in vars(taken):  # all there is to ask, in no time
            check_is_fitted(taken)
        return taken

    def _infer(self, run: Callable[..., np.ndarray], X: Any) -> np.ndarray:
        """Call `run`, a function of `skcnn.inference`, for `X`.

        Whatever else is read from the estimator, too, must come from the same `_snapshot`.
        """
        scaling = Scaling(self.input_mean_, self.input_scale_)
        images = read_fitted(X, self).images.with_scaling(scaling)
        return run_in_threads(
            lambda threads: run(self.network_, self.weights_, images, threads, working_memory())
        )

    @in_own_context
    def transform(self, X: ArrayLike) -> Any:
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
        return self._snapshot()._infer(features, X)

    @property
    def _n_features_out(self) -> int:
        """Number of columns of `transform`, which `get_feature_names_out` asks for."""
        (size,) = self.network_.shapes[-2]
        return size

    @in_own_context
    def initialize(self, X: ArrayLike, y: Any, sample_weight: ArrayLike | None = None) -> Self:
        """Do what `fit` does before its first step, and no more.

        What is "auto" is resolved, the scaling of `X` and the meaning of `y` are
        learned, and the weights are those that `fit` would begin with, drawn
        from `random_state`. The estimator then predicts, takes `set_weights`,
        and tells its `summary`. A later `fit` begins anew, as always, unless
        ``warm_start=True``: then it begins with the weights that are there, and
        so does ``partial_fit``. As long as they are those of `initialize`, that
        is a training from its first step, to the bit.

        Parameters
        ----------
        X, y, sample_weight
            As `fit` takes them.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            As `fit` does; nothing has changed then.

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
        """Forget what only a training that goes on needs: a model to predict with remains.

        After ``initialize``, ``partial_fit`` and ``fit`` with ``warm_start=True``, a model
        holds the last weights once more, the optimizer's moments and, with
        `early_stopping`, the best weights; its files are two to four times as
        large. Predictions and fitted attributes stay as they are. A later
        ``partial_fit``, or ``fit`` with ``warm_start=True``, still goes on from
        the weights, but as with a model that was fitted without `warm_start`:
        the optimizer and the random numbers start anew.

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
        """The fitted network as a table.

        Returns
        -------
        Summary
            For every layer its shape, parameters, multiply-adds, memory and
            receptive field, as `skcnn.summary` gives them before a fit.
        """
        return Summary.of(self._snapshot().network_)

    # What notebooks show: scikit-learn's form, and the fitted network below it

    @property
    def _repr_html_(self) -> Callable[[], str]:
        form = super()._repr_html_  # an AttributeError where scikit-learn is told to show text
        return lambda: form() + self._network_html()

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        bundle = super()._repr_mimebundle_(**kwargs)
        if "text/html" in bundle:
            bundle["text/html"] += self._network_html()
        return bundle

    def _network_html(self) -> str:
        """The network's table, folded in; nothing before a fit."""
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

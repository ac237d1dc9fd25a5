"""Base class of both estimators: fitting, prediction and fitted attributes."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from functools import cache, partial
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skcnn._estimator.arguments import read_data, read_part, read_validation
from skcnn._estimator.auto import recipe_for, resolve
from skcnn._estimator.checkpoint import Checkpointed, read, training_inputs
from skcnn._estimator.data import Data, Model, TargetEncoder, held_out_size, split
from skcnn._estimator.description import described
from skcnn._estimator.images import read_fitted
from skcnn._estimator.nested import NestedParameters
from skcnn._estimator.parameters import (
    bind_dtype,
    bind_layers,
    bind_settings,
    built_from,
    check_switches,
)
from skcnn._estimator.progress import (
    CallbackSupportMixin,
    FitProgress,
    Lines,
    Silent,
    with_callbacks,
)
from skcnn._estimator.resources import with_workers, working_memory
from skcnn._estimator.scoring import EpochScore, bind_scoring
from skcnn._estimator.seeds import draw_seed
from skcnn._estimator.standstill import Standstill, Start, standstill
from skcnn._estimator.state_dict import ExchangesWeights
from skcnn._estimator.user_warnings import (
    warn_of_divergence,
    warn_of_interruption,
    warn_of_standstill,
)
from skcnn._migration import ALWAYS_AVERAGED, FORMAT, migrate_model, refuse_newer
from skcnn._summary import Summary
from skcnn.batches import Scaling
from skcnn.denormals import without_denormals
from skcnn.inference import features
from skcnn.losses import Loss
from skcnn.network import Network, difference
from skcnn.parallel.contexts import in_own_context
from skcnn.parallel.interrupts import Interrupts, at_safe_places
from skcnn.parallel.threads import Threads
from skcnn.state import TrainingState, new_state
from skcnn.training.config import TrainingConfig
from skcnn.training.trainer import Progress, Validation, begin, train

__all__ = ["BaseScratchCNN", "has_partial_fit"]

VALIDATION_HISTORY = ["validation_loss", "validation_score"]


def has_partial_fit(estimator: Any) -> bool:
    """Whether ``partial_fit`` can be called, or an error that says why it cannot."""
    if estimator.early_stopping:
        raise AttributeError(
            "partial_fit is not available with early_stopping=True: there is no validation part "
            "that is the same in all calls."
        )
    return True


class PreparedFit(NamedTuple):
    """A training before its first step, or before the next one.

    Parameters
    ----------
    model : Model
    data : Data
        To learn from.
    judged : Validation or None
    settings : TrainingConfig
    state : TrainingState
    belongs : callable
        Tells what the training belongs to, for its checkpoints.
    """

    model: Model
    data: Data
    judged: Validation | None
    settings: TrainingConfig
    state: TrainingState
    belongs: Callable[[], dict[str, str]]


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
    _auto_shifts: ClassVar[bool]  # whether random_shift="auto" may be more than 0

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

    weights_: np.ndarray
    network_: Network
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
    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        X_val: Any,
        y_val: Any,
        sample_weight_val: Any,
        checkpoint: Any = None,
    ) -> Self:
        """Begin, train, commit; from a checkpoint on where there is one."""
        resumed = checkpoint is not None
        prepared = self._begin(X, y, sample_weight, X_val, y_val, sample_weight_val, checkpoint)

        def train_and_commit(interrupts: Interrupts) -> tuple[str, int]:
            trained, reason, learned_nothing = self._train(prepared, interrupts, resumed)
            # where warnings are errors, these leave the estimator as it was
            warn_of_divergence(reason, trained.epoch)
            if learned_nothing is not None:
                warn_of_standstill(*learned_nothing)
            self._commit(prepared.model, trained, reason, keep_state=self.warm_start)
            return reason, trained.epoch

        warn_of_interruption(*at_safe_places(train_and_commit))
        return self

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
        return self._fit(X, y, sample_weight, X_val, y_val, sample_weight_val, path)

    def _begin(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
        checkpoint: Any = None,
        anew: bool = False,
    ) -> PreparedFit:
        """Check and split; begin `anew`, or go on where parameters or a checkpoint say so."""
        caller, continued_by = type(self).__name__, None
        cut_off = None if checkpoint is None else read(checkpoint)
        check_switches(self)
        scorer = bind_scoring(self)
        data = read_data(self, X, y, sample_weight)
        held_out = read_validation(self, data, X_val, y_val, sample_weight_val)
        judge, told, size = None, None, 0
        if self.early_stopping:
            judge = ("split" if held_out is None else "given", self.scoring)
            told = described(self.scoring) if callable(self.scoring) else None
        if self.early_stopping and held_out is None:
            size = held_out_size(data, self.validation_fraction, caller)
        if self.warm_start and hasattr(self, "weights_") and not anew:
            continued_by = "warm_start"
        recipe = self._recipe_for(data, len(data) - size, continued_by, cut_off)
        resolved = resolve(self, recipe, to_its_end=not self.warm_start)
        settings = bind_settings(self, resolved)
        network, state = self._start(data, resolved, recipe, settings, continued_by)
        if cut_off is None:
            state.judge_by(judge)
        else:
            fresh, state = state, cut_off.state
            state.criterion = judge
        if size:
            data, held_out = split(data, size, state.seed, caller)
        model = self._model(network, data, resolved, recipe, continued_by)
        judged = None if held_out is None else self._judged(model, held_out, scorer, given=not size)
        belongs = cache(partial(training_inputs, model, data, held_out, settings, judge, told))
        if cut_off is not None:
            names = {*model.encoder.history, *(VALIDATION_HISTORY if judge else ())}
            cut_off.check(checkpoint, belongs(), fresh, names)
        return PreparedFit(model, data, judged, settings, state, belongs)

    def _fit_part(self, X: Any, y: Any, sample_weight: Any, encoder: TargetEncoder) -> Self:
        """One pass, for ``partial_fit``."""
        check_switches(self)
        bind_scoring(self)
        data = read_part(self, X, y, sample_weight, encoder)
        continued_by = "partial_fit" if hasattr(self, "weights_") else None
        recipe = self._recipe_for(data, len(data), continued_by)
        resolved = resolve(self, recipe, to_its_end=False)
        settings = bind_settings(self, resolved, in_parts=True)
        network, state = self._start(data, resolved, recipe, settings, continued_by)
        if not data.weights.total.any():
            return self
        state.judge_by(None)
        first_loss, state.first_loss = state.first_loss, None  # each part is measured by its own
        model = self._model(network, data, resolved, recipe, continued_by)
        samples = data.samples(model, model.loss)

        begin(state, settings)

        def train_and_commit(interrupts: Interrupts) -> tuple[str, int]:
            trained, reason = with_workers(
                interrupts,
                lambda workers: train(
                    network, samples, settings, state, workers, None, self._lines(), 1
                ),
            )
            trained.forget_best()  # the loss of a part is no measure of the next
            trained.first_loss = max(first_loss or 0.0, trained.first_loss or 0.0) or None
            warn_of_divergence(reason, trained.epoch)
            bad = reason if reason == "diverged" else None  # a part is not to end by itself
            self._commit(model, trained, bad, keep_state=True)
            return reason, trained.epoch

        warn_of_interruption(*at_safe_places(train_and_commit))
        return self

    def _recipe_for(
        self, data: Data, n_rows: int, continued_by: str | None, cut_off: Checkpointed | None = None
    ) -> dict[str, Any]:
        """Return the values of "auto": the recipe's, or those of the model or checkpoint."""
        own: dict[str, Any] = {}
        if continued_by is not None:
            origin = self._origin()
            own = origin["_recipe"] | origin["_built_from"]
        elif cut_off is not None:
            own = cut_off.recipe
        return recipe_for(self, data.input.shape, n_rows, own)

    def _origin(self) -> dict[str, Any]:
        """State with all that the model was trained by, also if only public attributes were set."""
        return migrate_model(type(self), vars(self), built_from)

    def _is_built_from(self, resolved: dict[str, Any]) -> bool:
        """Whether the network was built from the parameters as they are now."""
        try:
            return built_from(resolved, vars(self)) == self._origin()["_built_from"]
        except (TypeError, ValueError):  # arrays and pandas.NA, neither equal nor unequal
            return False

    def _start(
        self,
        data: Data,
        resolved: dict[str, Any],
        recipe: dict[str, Any],
        settings: TrainingConfig,
        continued_by: str | None,
    ) -> tuple[Network, TrainingState]:
        """A new training, or the last one to go on with because of `continued_by`, in its dtype."""
        shape = data.input.shape
        if continued_by is not None and self._is_built_from(resolved):
            layers = list(self.network_.layers)
        else:
            layers = bind_layers(self, resolved, recipe["pool_first"], shape, data.encoder)
        if self.dtype is None and continued_by is not None:
            dtype = self.network_.dtype
        else:
            dtype = bind_dtype(self, data.input.array)
        network = Network(layers, shape, dtype)
        if continued_by is None:
            return network, self._new_state(network, settings)
        self._fitted_encoder().check_same(data.encoder, continued_by)
        if network != self.network_:
            raise ValueError(
                f"{continued_by} can only go on with the same network, but by the parameters and X "
                f"{difference(self.network_, network)}."
            )
        if hasattr(self, "_training_state"):
            state = self._training_state.copy()
        else:  # fitted without warm_start: the weights are all there is
            state = self._new_state(network, settings)
            state.weights[...] = self.weights_
            state.epoch, state.averaged = self.n_iter_, ALWAYS_AVERAGED
            state.history = {
                name: list(values)
                for name, values in self.history_.items()
                if name not in VALIDATION_HISTORY
            }
        fresh = settings.optimizer.moments(state.weights[: network.n_parameters])
        if state.moments.keys() != fresh.keys():  # another optimizer
            state.moments, state.step = fresh, 0
        return network, state

    def _new_state(self, network: Network, settings: TrainingConfig) -> TrainingState:
        return new_state(
            network, settings.optimizer, draw_seed(type(self).__name__, self.random_state)
        )

    def _model(
        self,
        network: Network,
        data: Data,
        resolved: dict[str, Any],
        recipe: dict[str, Any],
        continued_by: str | None,
    ) -> Model:
        """Measure the training rows; going on, what the first ones measured stays."""
        channels = data.input.shape[0]
        if continued_by is not None:
            scaling = Scaling(self.input_mean_, self.input_scale_)
            encoder = data.encoder.continuing(self._fitted_encoder())
        else:
            encoder = data.encoder.fit(data.targets, data.weights.total)
            if self.scale_input:
                scaling = data.input.images.measure(data.weights.total)
            else:
                scaling = Scaling(np.zeros(channels), np.ones(channels))
        return Model(
            network=network,
            scaling=scaling,
            encoder=encoder,
            names=data.input.names,
            data_format=data.input.data_format,
            loss=self._training_loss(encoder),
            resolved=resolved,
            recipe=recipe,
            built_from=built_from(resolved, vars(self)),
        )

    def _judged(
        self, model: Model, held_out: Data, scorer: Callable | str | None, given: bool
    ) -> Validation:
        """The validation part, and its score by `scoring`."""
        samples = held_out.samples(model, model.encoder.loss)
        if scorer is None:
            return Validation(samples)
        if isinstance(scorer, str):
            return Validation(samples, lambda state: -state.history["validation_loss"][-1])
        score = EpochScore(self.scoring, scorer, held_out, given)
        model = replace(model, names=held_out.input.names)

        def score_state(state: TrainingState) -> float:
            fitted = copy(self)
            fitted.__dict__.pop("feature_names_in_", None)
            fitted.__dict__.update(self._fitted(model, state, state.weights))
            return score(fitted)

        return Validation(samples, score_state)

    @with_callbacks
    def _train(
        self, prepared: PreparedFit, interrupts: Interrupts, resumed: bool
    ) -> tuple[TrainingState, str, Standstill | None]:
        """Train with all who want to hear of it, and see whether that was of use."""
        model, data, judged, settings, state, belongs = prepared
        if not resumed:
            begin(state, settings)
        start = Start(state.begun, state.begun_step)
        left = settings.max_iter - (state.epoch - start.epoch)
        samples = data.samples(model, model.loss)
        visible: dict[str, Callable] = {
            "X": data.input.given,
            "y": lambda: data.y,
            "metadata": lambda: data.metadata,
        }

        def ended(state: TrainingState, reason: str) -> dict[str, Any]:
            return {
                **self._fitted(model, state),
                "stop_reason_": reason,
                "_training_state": state,
                "_checkpointed": lambda: Checkpointed(state, belongs(), model.recipe),
            }

        lines = self._lines(start.epoch + settings.max_iter)
        progress = FitProgress(self, left, lines, visible, ended)

        def work(workers: Threads) -> tuple[TrainingState, str, Standstill | None]:
            trained, reason = train(
                model.network, samples, settings, state, workers, judged, progress
            )
            learned_nothing = None
            if reason in ("max_iter", "no_change"):
                try:
                    learned_nothing = standstill(
                        model.network, samples, trained, start, workers, settings.max_bytes
                    )
                except KeyboardInterrupt:
                    reason = "interrupted"
            return trained, reason, learned_nothing

        trained, reason, learned_nothing = with_workers(interrupts, work)
        progress.close(trained, reason)
        return trained, reason, learned_nothing

    def _lines(self, last: int | None = None) -> Progress:
        return Lines(last) if self.verbose else Silent()

    # The fitted model

    def _fitted(
        self, model: Model, state: TrainingState, weights: np.ndarray | None = None
    ) -> dict[str, Any]:
        """Fitted attributes after some epochs, none a view of another.

        The weights are the best where early stopping has found them, the last
        otherwise; or those that are given.
        """
        names = model.encoder.history + (VALIDATION_HISTORY if self.early_stopping else [])
        history = {name: list(state.history.get(name, [])) for name in names}
        curve = history["loss"]
        if weights is None:
            best = state.best_weights if self.early_stopping else None
            weights = state.weights if best is None else best
        network, scaling = model.network, model.scaling
        fitted = {
            **model.encoder.attributes(),
            "n_features_in_": int(np.prod(network.input_shape)),
            "image_shape_": network.input_shape,
            "input_mean_": np.array(scaling.mean),
            "input_scale_": np.array(scaling.deviation),
            "layers_": list(network.layers),
            "network_": network,
            "weights_": np.array(weights),
            "n_iter_": state.epoch,
            "loss_": curve[-1] if curve else float("nan"),
            "loss_curve_": list(curve),
            "best_loss_": None if self.early_stopping else min(curve, default=float("nan")),
            "validation_scores_": (
                list(history["validation_score"]) if self.early_stopping else None
            ),
            "history_": history,
            "auto_params_": dict(model.resolved),
            "_data_format": model.data_format,
            "_recipe": dict(model.recipe),
            "_built_from": dict(model.built_from),
        }
        if model.names is not None:
            fitted["feature_names_in_"] = model.names
        return fitted

    def _commit(
        self, model: Model, state: TrainingState, reason: str | None, keep_state: bool
    ) -> None:
        """Write all fitted attributes at once, with what it takes to go on if that is asked for."""
        fitted = {**self._fitted(model, state), "stop_reason_": reason}
        if keep_state:
            fitted["_training_state"] = state
        kept = {
            name: value
            for name, value in vars(self).items()
            if name not in ("feature_names_in_", "_training_state", "_checkpointed")
        }
        self.__dict__ = kept | fitted

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
        return at_safe_places(
            partial(
                with_workers,
                work=lambda workers: run(
                    self.network_, self.weights_, images, workers, working_memory()
                ),
            )
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
        prepared = self._begin(X, y, sample_weight, anew=True)
        # the state is kept: it knows that nothing was averaged in the moments yet
        self._commit(prepared.model, prepared.state, None, keep_state=True)
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
        state = {**super().__getstate__(), "_pickle_format": FORMAT}
        state.pop("_checkpointed", None)  # it holds the data, and is of use while training only
        return state

    def __setstate__(self, state):
        state = dict(state)
        refuse_newer(state.pop("_pickle_format", FORMAT))
        if isinstance(state.get("weights_"), np.ndarray):  # 0.2.0 kept denormal numbers
            state["weights_"] = without_denormals(state["weights_"])
        super().__setstate__(migrate_model(type(self), state, built_from))

"""Progress of a training: printed lines and scikit-learn's callbacks.

`sklearn.callback` is new in scikit-learn 1.9. With older versions there are no
callbacks, and stand-ins for the imported names do nothing.
"""

from collections.abc import Callable
from typing import Any

from skcnn._estimator.user_warnings import warn_of_mismatch
from skcnn.state import TrainingState
from skcnn.training.trainer import Progress

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stand-in that supports no callbacks."""

    def with_callbacks(method):
        """Return the method itself."""
        return method


__all__ = ["CallbackSupportMixin", "FitProgress", "progress_lines", "with_callbacks"]


def progress_lines(verbose: int, last_epoch: int | None = None) -> Progress:
    """Return the progress that prints a line per epoch, or the one that only warns."""
    return PrintedProgress(last_epoch) if verbose else SilentProgress()


class SilentProgress(Progress):
    """Progress that is not printed; only a mismatch of worker processes is warned of."""

    def on_mismatch(self) -> None:
        warn_of_mismatch()


class PrintedProgress(SilentProgress):
    """Progress that prints a line per epoch.

    Parameters
    ----------
    last_epoch : int or None, default=None
        Last epoch of the training unless it stops early, to estimate the time left.
    """

    def __init__(self, last_epoch: int | None = None) -> None:
        self.last_epoch, self.seconds = last_epoch, 0.0
        self.n_epochs = 0

    def on_epoch_end(
        self, state: TrainingState, seconds: float, n_samples: int, n_processes: int
    ) -> bool:
        last = {name: values[-1] for name, values in state.history.items()}
        self.seconds, self.n_epochs = self.seconds + seconds, self.n_epochs + 1
        of = "" if self.last_epoch is None else f" of {self.last_epoch}"
        line = f"Epoch {state.epoch}{of}: loss {last['loss']:.6f}"
        if "accuracy" in last:
            line += f", accuracy {last['accuracy']:.4f}"
        if "validation_score" in last:
            line += f", validation score {last['validation_score']:.4f}"
        line += f", {seconds:.2f} s, {n_samples / seconds:.0f} images/s"
        if self.last_epoch is not None:
            left = self.seconds / self.n_epochs * (self.last_epoch - state.epoch)
            line += f", {_duration(left)} left"
        print(line if n_processes == 1 else f"{line}, {n_processes} processes")
        return False


def _duration(seconds: float) -> str:
    """Format seconds for people: seconds, minutes or hours and minutes."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


class FitProgress(Progress):
    """Progress that runs scikit-learn's callbacks: a task for the fit, and in it one per epoch.

    Parameters
    ----------
    estimator : CallbackSupportMixin
    max_epochs : int
    lines : Progress
        Another progress, which is informed first.
    data : dict
        Data for callbacks, under the names "X", "y" and "metadata"; a callable
        is called when a callback asks for its value.
    attributes : callable
        Takes a `TrainingState` and a reason and returns the fitted attributes of
        a fit that ended there for this reason; called when a callback asks for
        the fitted estimator.
    """

    def __init__(
        self,
        estimator: Any,
        max_epochs: int,
        lines: Progress,
        data: dict[str, Any],
        attributes: Callable[[TrainingState, str | None], dict[str, Any]],
    ) -> None:
        self.estimator, self.lines, self.attributes = estimator, lines, attributes
        self.arguments = {"estimator": estimator, **data}
        self.context: Any = None
        self.epoch: Any = None
        if hasattr(estimator, "_init_callback_context"):
            self.context = estimator._init_callback_context(max_subtasks=max_epochs)
            self.context.call_on_fit_task_begin(**self.arguments)

    def on_epoch_begin(self, state: TrainingState) -> None:
        if self.context is not None:
            self.epoch = self.context.subcontext(task_name=f"epoch {state.epoch + 1}")
            self.epoch.call_on_fit_task_begin(
                **self.arguments,
                reconstruction_attributes=lambda: self.attributes(state, "stopped"),
            )

    def on_epoch_end(
        self, state: TrainingState, seconds: float, n_samples: int, n_processes: int
    ) -> bool:
        self.lines.on_epoch_end(state, seconds, n_samples, n_processes)
        if self.epoch is None:
            return False
        epoch, self.epoch = self.epoch, None
        return epoch.call_on_fit_task_end(
            **self.arguments, reconstruction_attributes=lambda: self.attributes(state, "stopped")
        )

    def on_mismatch(self) -> None:
        self.lines.on_mismatch()

    def close(self, state: TrainingState, reason: str | None) -> None:
        """End the task of the fit, and before it that of an incomplete epoch."""
        if self.epoch is not None:
            self.epoch.call_on_fit_task_end(estimator=self.estimator)
        if self.context is not None:
            self.context.call_on_fit_task_end(
                **self.arguments, reconstruction_attributes=lambda: self.attributes(state, reason)
            )

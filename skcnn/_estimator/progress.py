"""Progress of a training: printed lines and scikit-learn's callbacks.

`sklearn.callback` came with scikit-learn 1.9. Below it there are no callbacks,
and the names that are imported here do nothing.
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
        """Nothing to support."""

    def with_callbacks(method):
        """Nothing to tear down."""
        return method


__all__ = ["CallbackSupportMixin", "FitProgress", "Lines", "Silent", "with_callbacks"]


class Silent(Progress):
    """Prints nothing, and warns."""

    def mismatch(self) -> None:
        warn_of_mismatch()


class Lines(Silent):
    """Prints a line an epoch.

    Parameters
    ----------
    last : int or None, default=None
        The epoch that a training ends with at the latest, to tell how long that takes.
    """

    n_processes = 1

    def __init__(self, last: int | None = None) -> None:
        self.last, self.seconds = last, 0.0
        self.n_epochs = 0

    def together(self, n_processes: int) -> None:
        self.n_processes = n_processes

    def end(self, state: TrainingState, seconds: float, n_samples: int) -> bool:
        last = {name: values[-1] for name, values in state.history.items()}
        self.seconds, self.n_epochs = self.seconds + seconds, self.n_epochs + 1
        of = "" if self.last is None else f" of {self.last}"
        line = f"Epoch {state.epoch}{of}: loss {last['loss']:.6f}"
        if "accuracy" in last:
            line += f", accuracy {last['accuracy']:.4f}"
        if "validation_score" in last:
            line += f", validation score {last['validation_score']:.4f}"
        line += f", {seconds:.2f} s, {n_samples / seconds:.0f} images/s"
        if self.last is not None:
            left = self.seconds / self.n_epochs * (self.last - state.epoch)
            line += f", {_duration(left)} left"
        print(line if self.n_processes == 1 else f"{line}, {self.n_processes} processes")
        return False


def _duration(seconds: float) -> str:
    """Seconds as people tell them."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


class FitProgress(Progress):
    """Runs the hooks of callbacks: a task for the fit, and in it one for every epoch.

    Parameters
    ----------
    estimator : CallbackSupportMixin
    max_epochs : int
    lines : Progress
        Hears of every epoch first.
    data : dict
        What callbacks get to see of the data under the names "X", "y" and
        "metadata"; a callable is called when a callback asks for it.
    fitted : callable
        Returns, for a `TrainingState` and a reason, the attributes of an estimator
        whose fit had ended there for that; called when a callback asks for one.
    """

    def __init__(
        self,
        estimator: Any,
        max_epochs: int,
        lines: Progress,
        data: dict[str, Any],
        fitted: Callable[[TrainingState, str], dict[str, Any]],
    ) -> None:
        self.estimator, self.lines, self.fitted = estimator, lines, fitted
        self.arguments = {"estimator": estimator, **data}
        self.context: Any = None
        self.epoch: Any = None
        if hasattr(estimator, "_init_callback_context"):
            self.context = estimator._init_callback_context(max_subtasks=max_epochs)
            self.context.call_on_fit_task_begin(**self.arguments)

    def begin(self, state: TrainingState) -> None:
        if self.context is not None:
            self.epoch = self.context.subcontext(task_name=f"epoch {state.epoch + 1}")
            self.epoch.call_on_fit_task_begin(
                **self.arguments, reconstruction_attributes=lambda: self.fitted(state, "stopped")
            )

    def end(self, state: TrainingState, seconds: float, n_samples: int) -> bool:
        self.lines.end(state, seconds, n_samples)
        if self.epoch is None:
            return False
        epoch, self.epoch = self.epoch, None
        return epoch.call_on_fit_task_end(
            **self.arguments, reconstruction_attributes=lambda: self.fitted(state, "stopped")
        )

    def together(self, n_processes: int) -> None:
        self.lines.together(n_processes)

    def mismatch(self) -> None:
        self.lines.mismatch()

    def close(self, state: TrainingState, reason: str) -> None:
        """End the fit, and before it an epoch that was not completed."""
        if self.epoch is not None:
            self.epoch.call_on_fit_task_end(estimator=self.estimator)
        if self.context is not None:
            self.context.call_on_fit_task_end(
                **self.arguments, reconstruction_attributes=lambda: self.fitted(state, reason)
            )

"""Display of loss, scores and learning rate over the epochs."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from skcnn.inspection._drawing import PALETTE, grid, pyplot
from skcnn.inspection._estimators import check_fitted

__all__ = ["LossCurveDisplay"]

PANELS = ["loss", "accuracy", "validation score", "learning rate"]
STYLES = {"training": "-", "validation": "--"}


ENDS = {
    "max_iter": "ended after max_iter",
    "no_change": "ended without improvement",
    "stopped": "stopped by a callback",
    "diverged": "diverged",
    "interrupted": "interrupted",
}
"""Descriptions of `stop_reason_`."""


class LossCurveDisplay:
    """Loss, accuracy, validation score and learning rate of every epoch.

    It is recommended to use `from_estimator`; all parameters are stored as
    attributes.

    Parameters
    ----------
    curves : list of dict
        For every estimator, a dict from panels ("loss", "accuracy", "validation
        score", "learning rate") to dicts from "training" and "validation" to a
        number for every epoch.
    best_epochs : list of (str, int) or None, default=None
        For every estimator, the panel that determines its best epoch, and that
        epoch, counted from 1.
    stop_reasons : list of (str or None) or None, default=None
        For every estimator, its ``stop_reason_``, shown below the curves.
    name : str, list of str or None, default=None
        Names of the estimators in the legend.

    Attributes
    ----------
    lines_ : list of dict
        For every estimator, a dict from (panel, "training" or "validation") to the
        line.
    best_ : list of Line2D
        The marks at the best epochs.
    axes_ : ndarray of Axes of shape (n_panels,)
    ax_ : Axes or None
        The axes that they replace.
    figure_ : Figure

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from skcnn import ScratchCNNClassifier
    >>> from skcnn.inspection import LossCurveDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = ScratchCNNClassifier(filters=8, max_iter=5, random_state=0).fit(X, y)
    >>> display = LossCurveDisplay.from_estimator(clf)
    >>> plt.show()
    """

    def __init__(
        self,
        curves: Sequence[dict[str, dict[str, list[float]]]],
        *,
        best_epochs: Sequence[tuple[str, int]] | None = None,
        stop_reasons: Sequence[str | None] | None = None,
        name: str | Sequence[str] | None = None,
    ) -> None:
        self.curves = curves
        self.best_epochs = best_epochs
        self.stop_reasons = stop_reasons
        self.name = name

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, name: str | Sequence[str] | None = None, ax: Any = None,
        **line_kw: Any,
    ) -> Self:  # fmt: skip
        """Draw the history of one fitted estimator, or of several.

        Parameters
        ----------
        estimator : ScratchCNNClassifier, ScratchCNNRegressor, or a list of them
        name : str, list of str or None, default=None
            Names for the legend. None is the class, numbered if there are
            several.
        ax : Axes, array-like of Axes or None, default=None
            Where to draw: a subplot whose place the panels take, or one for
            each panel, such as `axes_` of another display. None is a new
            figure.
        **line_kw : dict
            Passed to ``Axes.plot``.

        Returns
        -------
        LossCurveDisplay
        """
        pyplot(f"{cls.__name__}.from_estimator")
        several = isinstance(estimator, (list, tuple))
        estimators = list(estimator) if several else [estimator]
        if not estimators:
            raise ValueError(f"{cls.__name__}: estimator must not be an empty list.")
        estimators = [check_fitted(each, cls.__name__) for each in estimators]
        if name is None:
            name = [type(each).__name__ for each in estimators]
            if several:
                name = [f"{kind} {i}" for i, kind in enumerate(name)]
        curves = [_curves(each) for each in estimators]
        best = [_best(each) for each in curves]
        reasons = [getattr(each, "stop_reason_", None) for each in estimators]
        display = cls(curves, best_epochs=best, stop_reasons=reasons, name=name)
        return display.plot(ax=ax, **line_kw)

    def plot(
        self, *, ax: Any = None, name: str | Sequence[str] | None = None, **line_kw: Any
    ) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : Axes, array-like of Axes or None, default=None
            As in `from_estimator`.
        name : str, list of str or None, default=None
            Names for the legend; None keeps the earlier ones.
        **line_kw : dict
            Passed to ``Axes.plot``.

        Returns
        -------
        self
        """
        caller = type(self).__name__
        names = self._names(self.name if name is None else name)
        panels = [panel for panel in PANELS if any(panel in each for each in self.curves)]
        figure, place, axes = grid(f"{caller}.plot", ax, len(panels), 1, (6.4, 2.0))
        self.figure_, self.ax_, self.axes_ = figure, place, axes[:, 0]
        self.lines_: list[dict[tuple[str, str], Any]] = []
        self.best_: list[Any] = []
        drawn = sum(line.get_gid() == caller for line in self.axes_[0].lines)
        for i, (curves, label) in enumerate(zip(self.curves, names, strict=True)):
            color = PALETTE[(drawn + i) % len(PALETTE)]
            alone = len(self.curves) == 1 and not drawn
            self.lines_.append(
                self._draw(curves, "" if alone else f"{label}, ", panels, color, line_kw)
            )
            if self.best_epochs is not None:
                self._mark(
                    curves, "" if alone else f"{label}, ", self.best_epochs[i], panels, color
                )
        self._finish(panels)
        self._show_reasons(names)
        return self

    def _names(self, name: str | Sequence[str] | None) -> list[str]:
        n = len(self.curves)
        if name is None:
            return [f"estimator {i}" for i in range(n)]
        names = [name] if isinstance(name, str) else list(name)
        if len(names) != n:
            raise ValueError(
                f"{type(self).__name__}: name must have as many names as there are estimators, "
                f"{n}, got {name!r}."
            )
        return names

    def _draw(
        self, curves: dict, label: str, panels: list[str], color: str, line_kw: dict
    ) -> dict[tuple[str, str], Any]:
        lines = {}
        for ax, panel in zip(self.axes_, panels, strict=True):
            for part, values in curves.get(panel, {}).items():
                values = np.asarray(values, float)
                style = {"color": color, "linestyle": STYLES[part], "label": f"{label}{part}"}
                (line,) = ax.plot(1 + np.arange(len(values)), values, **style | line_kw)
                if (panel, part) == ("loss", "training"):
                    line.set_gid(type(self).__name__)
                lines[panel, part] = line
        return lines

    def _mark(
        self, curves: dict, label: str, best: tuple[str, int], panels: list[str], color: str
    ) -> None:
        panel, epoch = best
        for ax in self.axes_:
            ax.axvline(epoch, color=color, linewidth=0.8, linestyle=":", alpha=0.8, zorder=0)
        judged = curves[panel]
        values = judged.get("validation", judged.get("training"))
        (mark,) = self.axes_[panels.index(panel)].plot(
            [epoch], [values[epoch - 1]], "o", color=color, markerfacecolor="none", markersize=8,
            label=f"{label}best epoch {epoch}",
        )  # fmt: skip
        self.best_.append(mark)

    def _show_reasons(self, names: list[str]) -> None:
        """Show below the last panel why each training ended."""
        reasons = [
            ENDS[reason] if len(names) == 1 else f"{label} {ENDS[reason]}"
            for label, reason in zip(names, self.stop_reasons or [], strict=False)
            if reason is not None
        ]
        if reasons:
            self.axes_[-1].set_xlabel(f"epoch ({', '.join(reasons)})")

    def _finish(self, panels: list[str]) -> None:
        from matplotlib.ticker import MaxNLocator

        for ax, panel in zip(self.axes_, panels, strict=True):
            ax.set_ylabel(panel)
            if panel == "learning rate":
                # otherwise a constant rate would have ticks with an offset only
                ax.set_ylim(bottom=0)
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
            if not ax.get_shared_x_axes().joined(ax, self.axes_[0]):
                ax.sharex(self.axes_[0])
            handles, _ = ax.get_legend_handles_labels()
            if panel != "learning rate" and handles:
                ax.legend(fontsize="small")
        for ax in self.axes_[:-1]:
            ax.tick_params(labelbottom=False)
        self.axes_[-1].set_xlabel("epoch")


def _curves(estimator: Any) -> dict[str, dict[str, list[float]]]:
    """Return the history by panels."""
    history = estimator.history_
    found = {"loss": {"training": history["loss"]}}
    if "validation_loss" in history:
        found["loss"]["validation"] = history["validation_loss"]
    if "accuracy" in history:
        found["accuracy"] = {"training": history["accuracy"]}
    # the score "loss" is the negative validation loss
    if "validation_score" in history and estimator.scoring != "loss":
        comparable = "accuracy" in history and estimator.scoring is None
        panel = found["accuracy"] if comparable else found.setdefault("validation score", {})
        panel["validation"] = history["validation_score"]
    found["learning rate"] = {"training": history["lr"]}
    return found


def _best(curves: dict[str, dict[str, list[float]]]) -> tuple[str, int]:
    """Return the epoch kept by early stopping; without it, that of the smallest loss."""
    for panel in ("validation score", "accuracy"):
        if "validation" in curves.get(panel, {}):
            return panel, 1 + int(np.nanargmax(curves[panel]["validation"]))
    losses = curves["loss"]
    return "loss", 1 + int(np.nanargmin(losses.get("validation", losses["training"])))

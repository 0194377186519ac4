"""The course of a run: what every epoch scored, the epochs worth keeping marked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from tumorlens.report.style import COLOURS, FAINT, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tumorlens.evaluate.epochs import Comparison

__all__ = ["draw_epochs", "draw_log"]

_LINES: Final = {
    "training": ("training", COLOURS[5], ":", ""),
    "validation": ("validation", COLOURS[0], "-", "o"),
    "varied": ("comparison, varied", COLOURS[1], "--", "s"),
    "plain": ("comparison, as they are", COLOURS[2], "-", "^"),
}
_FIGURES: Final = {"accuracy": "Accuracy", "mcc": "MCC", "loss": "Loss (log scale)"}


def draw_epochs(comparison: Comparison) -> Figure:
    """Draw accuracy, MCC and loss over the epochs.

    Call it, and save what it gives, inside `tumorlens.report.style.figure_style`.
    """
    kept = defaultdict(list)
    for name, epoch in comparison.best.items():
        kept[epoch].append(name.removeprefix("best-"))
    best = "; ".join(f"epoch {epoch}: best {', '.join(names)}" for epoch, names in kept.items())
    title = f"{comparison.network}: {len(comparison.epochs)} epochs on {comparison.pictures}"
    warning = "LEAKY: patients of these pictures are in training.  " if comparison.leaky else ""
    figure = new_figure(11, 3.9, title, warning + best)
    for axes, score in zip(figure.subplots(1, 3), _FIGURES, strict=True):
        _draw(axes, comparison.epochs, score)
        for epoch in kept:
            axes.axvline(epoch, color=FAINT, linewidth=0.8, linestyle=(0, (1, 2)), zorder=0)
    return figure


def draw_log(epochs: Sequence[dict[str, Any]]) -> Figure:
    """Draw accuracy and loss over the epochs of a run, finished or not.

    Call it, and save what it gives, inside `tumorlens.report.style.figure_style`.

    Parameters
    ----------
    epochs
        As `tumorlens.train.run.read_log` gives them; at least one.
    """
    figure = new_figure(8, 3.9, f"The log of {len(epochs)} epochs")
    for axes, score in zip(figure.subplots(1, 2), ("accuracy", "loss"), strict=True):
        _draw(axes, epochs, score)
    return figure


def _draw(axes: Axes, epochs: Sequence[dict[str, Any]], score: str) -> None:
    """Draw one score of every part that has it."""
    for part, (label, colour, dashes, marker) in _LINES.items():
        points = [(row["epoch"], row[part][score]) for row in epochs if score in row.get(part, {})]
        if points:
            axes.plot(
                *zip(*points, strict=True),
                color=colour,
                linestyle=dashes,
                marker=marker,
                markersize=4,
                label=label,
            )
    axes.set_title(_FIGURES[score])
    axes.set_xlabel("epoch")
    axes.grid(visible=True, axis="y")
    axes.locator_params(axis="x", integer=True)
    if score == "loss":
        axes.set_yscale("log")
    if score == "accuracy":
        axes.legend(frameon=False, fontsize=8)

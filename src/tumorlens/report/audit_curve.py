"""The calibration curve of an audit: which copies and which strangers a threshold finds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tumorlens.report.style import COLOURS, FAINT, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tumorlens.data.copies import Curve

__all__ = ["draw_curve"]

_LINES: Final = {"mirrored": "solid", "brightened much": "dashed", "all at once": "dotted"}
"""Which copies are drawn, and how: told apart without colour too."""


def draw_curve(curve: Curve, threshold: float) -> Figure:
    """Draw the share found against the threshold, the one in use marked.

    Call it, and save what it gives, inside `tumorlens.report.style.figure_style`.
    """
    figure = new_figure(7.2, 3.6, "What is called a copy", "Copies made on purpose, and strangers.")
    axes = figure.add_subplot()
    for name, dashes in _LINES.items():
        shares = curve.copies[name]
        axes.plot(curve.thresholds, shares, color=COLOURS[0], linestyle=dashes, label=name)
    most = max(curve.strangers_compared, 1)
    strangers = [count / most for count in curve.strangers]
    axes.plot(curve.thresholds, strangers, color=COLOURS[1], label="different labels")
    axes.axvline(threshold, color=FAINT, linewidth=0.8, linestyle=(0, (3, 3)))
    axes.set(xlim=(0.5, 1), ylim=(-0.02, 1.02), xlabel="similarity threshold", ylabel="found")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.grid(axis="y")
    figure.legend(loc="outside right center", frameon=False, fontsize=9)
    return figure

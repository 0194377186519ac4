"""Figures of how good answers are.

Every function takes plain arrays, or what `tumorlens.evaluate.metrics` made of them, and
gives a Matplotlib figure; call them, and save what they give, inside
`tumorlens.report.style.figure_style`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from tumorlens.data.folder import class_name
from tumorlens.evaluate.intervals import wilson_interval
from tumorlens.evaluate.metrics import Bins, Summary, require_metrics
from tumorlens.evaluate.parts import Part
from tumorlens.evaluate.resample import BINS
from tumorlens.report.style import (
    COLOURS,
    FAINT,
    class_colour,
    heat_colours,
    new_figure,
    readable_on,
    without_frame,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "draw_confusion",
    "draw_parts",
    "draw_precision_recall",
    "draw_recall",
    "draw_reliability",
    "draw_roc",
]

_WIDTH: Final = 5.4  # inches: fits a telephone without its letters getting too small
_DASHES: Final = ("solid", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))
_CORNER: Final = 0.1  # of the unit square, where good curves are told apart
_NAME: Final = 22  # letters of a group's or a source's name


def draw_confusion(matrix: NDArray[np.int64], classes: Sequence[str]) -> Figure:
    """Draw a confusion matrix: counts, coloured by their share of the true class.

    Parameters
    ----------
    matrix
        ``(classes, classes)``: rows are true, columns predicted.
    classes
        Their names.
    """
    kinds = len(classes)
    totals = matrix.sum(axis=1, keepdims=True)
    shares = matrix / np.maximum(totals, 1)
    figure = new_figure(
        _WIDTH, 1.9 + 0.8 * kinds, "Confusion matrix", "Colour: share of the true class."
    )
    axes = figure.add_subplot()
    colours = heat_colours()
    axes.imshow(shares, cmap=colours, vmin=0, vmax=1, aspect="auto")
    for row in range(kinds):
        for column in range(kinds):
            count, share = int(matrix[row, column]), float(shares[row, column])
            text = f"{count:,}\n{100 * share:.1f} %" if count else "0"
            ink = readable_on(colours(share))
            weight = "bold" if row == column else "normal"
            axes.text(
                column, row, text, ha="center", va="center", color=ink, size=10, weight=weight
            )
    names = [class_name(label) for label in classes]
    axes.set_xticks(range(kinds), names, size=10)
    axes.set_yticks(
        range(kinds), [f"{n}\n({int(t):,})" for n, t in zip(names, totals.ravel(), strict=True)]
    )
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    without_frame(axes, ticks=True)
    return figure


def draw_roc(
    labels: NDArray[np.int64], probabilities: NDArray[np.float64], summary: Summary
) -> Figure:
    """Draw the ROC curve of each class against the rest, whole and its corner.

    Parameters
    ----------
    labels, probabilities
        See `tumorlens.evaluate.metrics.summarise`.
    summary
        What it made of them.
    """
    tools, _ = require_metrics()

    def curve(positive: NDArray[np.bool_], scores: NDArray[np.float64]) -> tuple[Any, Any]:
        x, y, _ = tools.roc_curve(positive, scores)
        return x, y

    figure = new_figure(
        _WIDTH, 4.0, "ROC: each class against the rest", "Right: the upper left corner, enlarged."
    )
    whole, corner = figure.subplots(1, 2)
    _curves((whole, corner), labels, probabilities, summary, "auc", curve)
    whole.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8, linestyle=(0, (2, 3)), zorder=1)
    whole.set_ylabel("true positive rate (recall)")
    for axes in (whole, corner):
        axes.set_xlabel("false positive rate")
    _unit_square(whole, corner, (0, _CORNER))
    return figure


def draw_precision_recall(
    labels: NDArray[np.int64], probabilities: NDArray[np.float64], summary: Summary
) -> Figure:
    """Draw precision against recall for each class, whole and its corner.

    Parameters
    ----------
    labels, probabilities, summary
        See `draw_roc`.
    """
    tools, _ = require_metrics()

    def curve(positive: NDArray[np.bool_], scores: NDArray[np.float64]) -> tuple[Any, Any]:
        precision, recall, _ = tools.precision_recall_curve(positive, scores)
        return recall, precision

    figure = new_figure(
        _WIDTH,
        4.0,
        "Precision and recall: each class against the rest",
        "Right: the upper right corner, enlarged. AP: average precision.",
    )
    whole, corner = figure.subplots(1, 2)
    _curves((whole, corner), labels, probabilities, summary, "average_precision", curve)
    whole.set_ylabel("precision")
    for axes in (whole, corner):
        axes.set_xlabel("recall")
    _unit_square(whole, corner, (1 - _CORNER, 1))
    return figure


def draw_reliability(bins: Bins) -> Figure:
    """Draw how often answers of each confidence are right, and how many there are.

    Parameters
    ----------
    bins
        As `tumorlens.evaluate.metrics.reliability` gives them.
    """
    figure = new_figure(
        _WIDTH,
        5.4,
        f"Reliability: calibration error {bins.ece:.3f}",
        f"{BINS} bins of equal width. Lines: 95 % (Wilson), as if pictures were independent.",
    )
    above, below = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [3, 1]})
    full = np.flatnonzero(bins.counts)
    share = bins.right[full] / bins.counts[full]
    intervals = [
        wilson_interval(int(right), int(n))
        for right, n in zip(bins.right[full], bins.counts[full], strict=True)
    ]
    ends = np.array([pair for pair in intervals if pair is not None])
    above.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle=(0, (4, 3)))
    above.text(0.30, 0.33, "calibrated", color=FAINT, size=9, rotation=28)
    above.vlines(bins.confidence[full], ends[:, 0], ends[:, 1], color=COLOURS[0], linewidth=1.5)
    above.plot(bins.confidence[full], share, "o", color=COLOURS[0], markersize=6)
    above.set(xlim=(0, 1.01), ylim=(-0.03, 1.03), ylabel="share that is right")
    above.grid(visible=True)
    middles = (np.arange(BINS) + 0.5) / BINS
    below.bar(middles, bins.counts, width=0.92 / BINS, color=COLOURS[0])
    below.set_yscale("symlog", linthresh=1)
    most = int(bins.counts.max())
    ticks = [0, *(10**power for power in range(len(str(most))))]
    below.set_yticks(ticks, [f"{tick:,}" for tick in ticks])
    below.minorticks_off()
    below.set(ylabel="pictures", xlabel="confidence of the answer")
    below.grid(axis="y")
    return figure


def draw_recall(summary: Summary) -> Figure:
    """Draw the recall of each class with both of its intervals.

    Parameters
    ----------
    summary
        What was measured.
    """
    names = [f"recall.{label}" for label in summary.classes if summary.support[label]]
    figure = new_figure(
        _WIDTH,
        1.9 + 0.55 * len(names),
        "Recall of each class",
        "Thick: 95 %, resampled. Thin: 95 % (Wilson), as if pictures were independent.",
    )
    axes = figure.add_subplot()
    lowest = 1.0
    for row, name in enumerate(names):
        label = name.partition(".")[2]
        value, colour = summary.figures[name] or 0.0, class_colour(label)
        thin, thick = summary.wilson[name], summary.intervals.get(name)
        for interval, width, offset in ((thin, 1.2, 0.16), (thick, 4.5, 0.0)):
            if interval is not None:
                axes.hlines(row + offset, *interval, color=colour, linewidth=width)
                lowest = min(lowest, interval[0])
        axes.plot(
            *(value, row, "o"), color=colour, markersize=8, markeredgecolor="white", clip_on=False
        )
        right = round(value * summary.support[label])
        axes.text(
            1.02,
            row,
            f"{value:.3f}\n{right:,} of {summary.support[label]:,}",
            va="center",
            size=9,
            transform=axes.get_yaxis_transform(),
        )
        lowest = min(lowest, value)
    axes.set_yticks(
        range(len(names)), [class_name(name.partition(".")[2]) for name in names], size=11
    )
    axes.set_xlim(max(0.0, np.floor((lowest - 0.02) * 20) / 20), 1.005)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlabel("recall")
    axes.locator_params(axis="x", nbins=5)
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    return figure


def draw_parts(title: str, subtitle: str, parts: Mapping[str, Part]) -> Figure:
    """Draw the accuracy of parts of the pictures, such as sources, with Wilson's intervals.

    Parameters
    ----------
    title, subtitle
        What the parts are.
    parts
        By name, drawn from top to bottom.
    """
    figure = new_figure(_WIDTH, 1.6 + 0.36 * len(parts), title, subtitle)
    axes = figure.add_subplot()
    for row, part in enumerate(parts.values()):
        axes.barh(row, part.accuracy, height=0.62, color=COLOURS[5])
        interval = wilson_interval(part.right, part.n)
        if interval is not None:
            axes.hlines(row, *interval, color=COLOURS[0], linewidth=1.8)
        text = f"{part.right:,} of {part.n:,}"
        axes.text(1.02, row, text, va="center", size=9, transform=axes.get_yaxis_transform())
    axes.set_yticks(range(len(parts)), [_short(name) for name in parts])
    axes.set_xlim(0, 1)
    axes.set_ylim(len(parts) - 0.4, -0.6)
    axes.set_xlabel("accuracy")
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)
    return figure


def _curves(
    both: tuple[Axes, Axes],
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    summary: Summary,
    measure: str,
    curve: Callable[[NDArray[np.bool_], NDArray[np.float64]], tuple[Any, Any]],
) -> None:
    """Draw one curve a class into both axes, each with its figure in the legend."""
    short, steps = {"auc": ("AUC", "default"), "average_precision": ("AP", "steps-post")}[measure]
    for c, label in enumerate(summary.classes):
        value = summary.figures[f"{measure}.{label}"]
        if value is None:
            continue
        x, y = curve(labels == c, probabilities[:, c])
        for axes in both:
            axes.plot(
                x,
                y,
                color=class_colour(label),
                linewidth=1.8,
                linestyle=_DASHES[c % len(_DASHES)],
                drawstyle=steps,
                label=f"{class_name(label)}: {short} {value:.4f}",
                clip_on=axes is both[1],
            )
    if both[0].lines:
        both[0].figure.legend(
            *both[0].get_legend_handles_labels(),
            loc="outside lower center",
            ncols=2,
            frameon=False,
            fontsize=9,
            handlelength=3,
        )


def _unit_square(whole: Axes, corner: Axes, across: tuple[float, float]) -> None:
    """Give both axes their limits; the corner is always an upper one."""
    whole.set(xlim=(0, 1), ylim=(0, 1), box_aspect=1)
    margin = 0.02 * _CORNER
    corner.set(
        xlim=(across[0] - margin, across[1] + margin),
        ylim=(1 - _CORNER - margin, 1 + margin),
        box_aspect=1,
    )
    corner.set_xticks(np.linspace(*across, 3))
    points = [(x, y) for line in corner.lines for x, y in np.asarray(line.get_xydata())]
    if not any(across[0] <= x <= across[1] and y >= 1 - _CORNER for x, y in points):
        text = corner.text(0.5, 0.5, "no curve comes here", color=FAINT, transform=corner.transAxes)
        text.set(ha="center", va="center")
    for axes in (whole, corner):
        axes.grid(visible=True)


def _short(name: str) -> str:
    """Shorten a name, and let no letter of it be taken for a formula."""
    text = name if len(name) <= _NAME else f"{name[: _NAME - 1]}…"
    return text.replace("$", r"\$")

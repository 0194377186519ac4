"""The figures of a localisation: how maps did, and what the answers rest on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tumorlens.data.folder import class_name
from tumorlens.evaluate.faithful import SHARES
from tumorlens.evaluate.localise import CENTRE, CHANCE, Localisation
from tumorlens.evaluate.sanity import Sanity
from tumorlens.explain.cam import METHODS
from tumorlens.report.style import (
    COLOURS,
    FAINT,
    INK,
    PAPER,
    figure_style,
    new_figure,
    to_png,
    without_frame,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["CURVES", "MEASURES", "draw_all", "title_of"]

MEASURES: Final = {
    "pointing": "pointing game",
    "mass": "mass in mask",
    "iou_fixed": "IoU at half of the peak",
    "iou_best": "IoU at the best threshold",
}
"""The measures of agreement with the mask, and what they are called."""

CURVES: Final = {"deletion": "deletion", "insertion": "insertion"}
"""The areas under the curves, where they were taken."""


def title_of(method: str) -> str:
    """Name a method, chance or the prior as people write it."""
    return METHODS[method].title if method in METHODS else method


def draw_all(
    found: Localisation, summary: Mapping[str, Any], sanity: Sanity | None
) -> Iterator[tuple[str, bytes]]:
    """Draw every figure that there is something for: its name and its PNG."""
    with figure_style():
        yield "localisation", to_png(_draw_scores(summary))
        yield "by-size", to_png(_draw_sizes(summary))
        if found.cases[0].scores[found.methods[0]].deletion:
            yield "curves", to_png(_draw_curves(found))
        if "tumour" in summary["hidden"]["all"]:
            yield "hidden", to_png(_draw_hidden(summary["hidden"]))
        if sanity is not None:
            yield "sanity", to_png(_draw_sanity(sanity))
            yield "sanity-maps", to_png(_draw_sanity_maps(sanity))


def _draw_scores(summary: Mapping[str, Any]) -> Figure:
    names = list(summary["methods"])[::-1]
    figure = new_figure(
        9.6,
        1.6 + 0.34 * len(names),
        "Where the evidence lies, against the outlined tumour",
        f"{summary['n']} pictures, the true class explained; means with 95 % intervals over "
        "patients; more is better",
    )
    for axes, (key, title) in zip(
        figure.subplots(1, 4, sharey=True), MEASURES.items(), strict=True
    ):
        for i, name in enumerate(names):
            row = summary["methods"][name]["all"]
            low, high = row["intervals"][key]
            colour = FAINT if name in (CHANCE, CENTRE) else COLOURS[0]
            axes.plot([low, high], [i, i], color=colour, linewidth=2, solid_capstyle="round")
            axes.plot(row[key], i, "o", color=colour, markersize=6)
        axes.set_title(title, fontsize=10)
        axes.set_xlim(left=0)
        axes.set_yticks(range(len(names)), [title_of(name) for name in names])
        axes.grid(axis="x")
        axes.tick_params(axis="y", length=0)
    return figure


def _draw_sizes(summary: Mapping[str, Any]) -> Figure:
    parts = [part for part in summary["tumour_share"] if part.startswith("size")]
    ticks = [
        f"{i + 1}\n{summary['tumour_share'][part][0]:.1%} to {summary['tumour_share'][part][2]:.1%}"
        for i, part in enumerate(parts)
    ]
    figure = new_figure(
        9.6,
        3.9,
        "By the size of the tumour",
        "Quartiles of the tumour's share of what the network looks at",
    )
    left, right = figure.subplots(1, 2)
    for axes, key in ((left, "pointing"), (right, "mass")):
        for i, name in enumerate(summary["methods"]):
            values = [summary["methods"][name][part][key] for part in parts]
            axes.plot(values, **_line(i, name))
        axes.set_title(MEASURES[key])
        axes.set_xticks(range(len(parts)), ticks)
        axes.set_ylim(bottom=0)
        axes.grid(axis="y")
    _legend(figure, right)
    return figure


def _draw_curves(found: Localisation) -> Figure:
    figure = new_figure(
        9.6,
        3.9,
        "Whether what is called important matters to the network",
        "Probability of the true class as the most important pixels go (less is better), or "
        "come first (more is better)",
    )
    axes = figure.subplots(1, 2, sharey=True)
    for i, name in enumerate([*found.methods, CHANCE, CENTRE]):
        for one, kind in zip(axes, ("deletion", "insertion"), strict=True):
            rows = [getattr(case.scores[name], kind) for case in found.cases]
            one.plot(SHARES, np.mean(rows, axis=0), **_line(i, name))
    for one, title in zip(axes, ("deletion", "insertion"), strict=True):
        one.set_title(title)
        one.set_xlabel("share of pixels")
        one.set_xlim(0, 1)
        one.set_ylim(0, 1.02)
        one.grid(axis="y")
    _legend(figure, axes[1])
    return figure


def _draw_hidden(hidden: Mapping[str, Any]) -> Figure:
    figure = new_figure(
        7.2,
        3.7,
        "What stays of the right answers when a part is painted over",
        "A network that looks at the tumour changes its answer without it; 95 % intervals over "
        "patients",
    )
    axes = figure.subplots()
    for j, (kind, title) in enumerate(
        (("tumour", "tumour hidden"), ("control", "patch elsewhere"))
    ):
        rows = [(i, part[kind]) for i, part in enumerate(hidden.values()) if kind in part]
        places = [i + (j - 0.5) * 0.36 for i, _ in rows]
        stayed = [row["stayed"] for _, row in rows]
        colour = COLOURS[1] if kind == "tumour" else FAINT
        axes.bar(places, stayed, 0.32, color=colour, label=title)
        for x, (_, row) in zip(places, rows, strict=True):
            axes.plot([x, x], row["interval"], color=INK, linewidth=1.2)
            inside = row["stayed"] > 0.1
            axes.text(
                x,
                0.03,
                f"{row['stayed']:.0%}",
                ha="center",
                color=PAPER if inside else INK,
                fontsize=7.5,
            )
    axes.set_xticks(
        range(len(hidden)), [f"{class_name(n)}\n{p['right']} right" for n, p in hidden.items()]
    )
    axes.set_ylim(0, 1.05)
    axes.set_ylabel("share that stays")
    axes.grid(axis="y")
    _legend(figure, axes)
    return figure


def _draw_sanity(sanity: Sanity) -> Figure:
    count = len(next(iter(sanity.similarity.values())))
    figure = new_figure(
        8.4,
        4.6,
        "Maps must fall apart as layers are randomised",
        f"Rank correlation with the trained network's map, mean of {count} pictures; from the "
        "logits down to the layer named",
    )
    axes = figure.subplots()
    for i, (name, values) in enumerate(sanity.similarity.items()):
        axes.plot(values.mean(axis=0), **_line(i, name))
    axes.axhline(0, color=FAINT, linewidth=0.8)
    axes.set_xticks(range(len(sanity.steps)), sanity.steps, rotation=40, ha="right")
    axes.set_ylim(-0.5, 1.05)
    axes.set_ylabel("rank correlation")
    axes.grid(axis="y")
    _legend(figure, axes)
    return figure


def _draw_sanity_maps(sanity: Sanity) -> Figure:
    method, maps = next(iter(sanity.maps.items()))
    rows, columns = maps.shape[:2]
    figure = new_figure(
        1.15 * (columns + 1),
        1.3 * rows + 1.1,
        f"{title_of(method)} as layers are randomised",
        "From left to right: the picture, the trained network's map, and each step down",
    )
    grid = figure.subplots(rows, columns + 1, squeeze=False)
    for i in range(rows):
        for j, axes in enumerate(grid[i]):
            axes.imshow(sanity.pixels[i], cmap="gray", vmin=0, vmax=1)
            if j:
                axes.imshow(maps[i, j - 1], cmap="inferno", vmin=0, vmax=1, alpha=0.65)
            if j and i == 0:
                axes.set_title(_short(sanity.steps[j - 1]), fontsize=6.5, loc="center")
            without_frame(axes)
    return figure


def _short(name: str, width: int = 14) -> str:
    """Break a long layer name at an underscore."""
    if len(name) <= width:
        return name
    cut = name.rfind("_", 0, width)
    return name[:cut] + "\n" + name[cut + 1 :] if cut > 0 else name


def _line(i: int, name: str) -> dict[str, Any]:
    """Give the style of a method's line; chance and the prior stand back."""
    if name in (CHANCE, CENTRE):
        style = ":" if name == CHANCE else "--"
        return {"color": FAINT, "linestyle": style, "label": title_of(name)}
    marks = "osD^vPX"
    return {
        "color": COLOURS[i % len(COLOURS)],
        "marker": marks[i % len(marks)],
        "markersize": 4,
        "label": title_of(name),
    }


def _legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False, fontsize=9)

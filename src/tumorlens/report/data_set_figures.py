"""Pictures of a data set: examples, how many of each class, which sizes, which folds.

Every function takes the pictures of a set and gives a Matplotlib figure; call them,
and save what they give, inside `tumorlens.report.style.figure_style`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from tumorlens.data.folder import CLASSES, class_name
from tumorlens.errors import UnreadableImageError
from tumorlens.extras import require
from tumorlens.images.display import display_grey
from tumorlens.images.prepare import prepare
from tumorlens.images.read import read_slices
from tumorlens.progress import Progress, silent
from tumorlens.report.style import (
    FAINT,
    INK,
    PAPER,
    class_colour,
    heat_colours,
    new_figure,
    readable_on,
    without_frame,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tumorlens.images.slice import Slice

__all__ = [
    "Picture",
    "draw_bars",
    "draw_folds",
    "draw_pie",
    "draw_samples",
    "draw_sizes",
    "pick_samples",
]

_PAIRS: Final = 4  # examples of each class
_PREPARED: Final = 224  # pixels: the side of the prepared examples
_NO_PICTURE: Final = "#dbeafe"  # beside pictures that are not square
_WHOLE: Final = "all pictures"  # what a set without official parts is called


@dataclass(frozen=True, slots=True)
class Picture:
    """What the figures want to know of a picture.

    Parameters
    ----------
    path
        Where it is.
    label
        Its class.
    width, height
        In pixels.
    part
        Its official part, such as ``"Training"``; ``None`` where there are none.
    fold
        Its fold, from 0, or ``None``.
    group
        Its patient or cluster, or ``None``.
    """

    path: Path
    label: str
    width: int
    height: int
    part: str | None = None
    fold: int | None = None
    group: str | None = None


def draw_bars(pictures: Sequence[Picture]) -> Figure:
    """Draw how many pictures each class has, by official part, with the counts on the bars."""
    labels, parts = _labels(pictures), _parts(pictures)
    counts = Counter((picture.label, picture.part or _WHOLE) for picture in pictures)
    figure = new_figure(
        8.4,
        1.5 + 0.62 * len(labels),
        "Pictures of each class",
        f"{_n(len(pictures))} pictures"
        + (f"; {' (full colour) and '.join(parts[:2])} (pale)" if len(parts) > 1 else ""),
    )
    axes = figure.add_subplot()
    most = max(sum(counts[label, part] for part in parts) for label in labels)
    for row, label in enumerate(labels):
        start = 0
        for shade, part in enumerate(parts):
            count = counts[label, part]
            colour = _paler(class_colour(label), 0.55 * min(shade, 1))
            axes.barh(row, count, left=start, height=0.66, color=colour)
            if count > 0.06 * most:
                middle = start + count / 2
                ink = readable_on(colour)
                axes.text(middle, row, _n(count), ha="center", va="center", color=ink, size=9)
            start += count
        axes.text(
            start + 0.012 * most,
            row,
            f"{_n(start)}  ({_share(start / len(pictures))})",
            va="center",
            weight="bold",
            bbox={"color": PAPER, "pad": 1},
        )
    axes.set_yticks(range(len(labels)), [class_name(label) for label in labels], size=11)
    axes.set_xlim(0, most * 1.24)
    axes.invert_yaxis()
    axes.set_xlabel("pictures")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    return figure


def draw_pie(pictures: Sequence[Picture]) -> Figure:
    """Draw which share of the pictures each class has."""
    labels = _labels(pictures)
    counts = Counter(picture.label for picture in pictures)
    figure = new_figure(7.2, 4.9, "Share of each class")
    axes = figure.add_subplot()
    wedges, _ = axes.pie(
        [counts[label] for label in labels],
        colors=[class_colour(label) for label in labels],
        startangle=90,
        counterclock=False,
        wedgeprops={"width": 0.42, "edgecolor": PAPER, "linewidth": 2},
    )
    for wedge, label in zip(wedges, labels, strict=True):
        angle = np.deg2rad((wedge.theta1 + wedge.theta2) / 2)
        x, y = float(np.cos(angle)), float(np.sin(angle))
        axes.text(
            1.12 * x,
            1.12 * y,
            f"{class_name(label)}\n{_n(counts[label])}  ({_share(counts[label] / len(pictures))})",
            ha="left" if x > 0 else "right",
            va="center",
            size=11,
        )
    axes.text(0, 0.05, _n(len(pictures)), ha="center", va="center", size=20, weight="bold")
    axes.text(0, -0.14, "pictures", ha="center", va="center", color=FAINT)
    axes.set(xlim=(-1.75, 1.75), ylim=(-1.1, 1.1))
    return figure


def draw_sizes(pictures: Sequence[Picture]) -> Figure:
    """Draw the sizes of each class's pictures: a bubble for each size, its area the count."""
    labels = _labels(pictures)
    figure = new_figure(
        max(2.55 * len(labels), 9.6),
        4.1,
        "Sizes of the pictures of each class",
        "A bubble for each size, its area the share of the class. What differs between the classes "
        "gives the class away without a look at the brain.",
    )
    grid = figure.subplots(1, len(labels), sharex=True, sharey=True, squeeze=False)
    sides = [side for picture in pictures for side in (picture.width, picture.height)]
    first, last = int(np.floor(np.log2(min(sides)))), int(np.ceil(np.log2(max(sides))))
    low, high = 2**first / 1.2, 2**last * 1.2
    ticks = [2**n for n in range(first, last + 1, 1 + (last - first) // 7)]
    for axes, label in zip(grid[0], labels, strict=True):
        sizes = Counter((p.width, p.height) for p in pictures if p.label == label)
        _bubbles(axes, label, sizes)
        axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high), box_aspect=1)
        axes.set_xticks(ticks, [str(tick) for tick in ticks], rotation=45)
        axes.set_yticks(ticks, [str(tick) for tick in ticks])
        axes.minorticks_off()
        axes.grid(visible=True)
        axes.set_xlabel("width in pixels")
    grid[0][0].set_ylabel("height in pixels")
    return figure


def draw_folds(pictures: Sequence[Picture]) -> Figure:
    """Draw a table of class by fold: how many pictures, of how many groups.

    Raises
    ------
    ValueError
        When no picture has a fold.
    """
    folded = [picture for picture in pictures if picture.fold is not None]
    if not folded:
        raise ValueError("no picture has a fold")
    labels = _labels(folded)
    folds = sorted({picture.fold for picture in folded if picture.fold is not None})
    counts = Counter((picture.label, picture.fold) for picture in folded)
    table = np.array([[counts[label, fold] for fold in folds] for label in labels])
    shares = table / table.sum(axis=1, keepdims=True)
    figure = new_figure(
        2.6 + 1.25 * len(folds),
        1.7 + 0.72 * len(labels),
        "Pictures of each class in each fold",
        "Colour: share of the class. One colour along a row: the class is spread evenly.",
    )
    axes = figure.add_subplot()
    colours = heat_colours()
    top = max(3 / len(folds), float(shares.max()))  # evenly spread is a light blue
    axes.imshow(shares, cmap=colours, vmin=0, vmax=top, aspect="auto")
    for row, label in enumerate(labels):
        for column, fold in enumerate(folds):
            groups = {p.group for p in folded if (p.label, p.fold) == (label, fold)} - {None}
            cell = f"{_n(int(table[row, column]))}  ({_share(float(shares[row, column]))})"
            cell += f"\n{_plural(len(groups), 'group')}" if groups else ""
            ink = readable_on(colours(shares[row, column] / top))
            axes.text(column, row, cell, ha="center", va="center", color=ink, size=9)
        axes.text(len(folds) - 0.4, row, _n(int(table[row].sum())), va="center", weight="bold")
    for column, total in enumerate(table.sum(axis=0)):
        below = len(labels) - 0.35
        axes.text(column, below, _n(int(total)), ha="center", va="top", weight="bold")
    axes.text(len(folds) - 0.4, len(labels) - 0.35, _n(len(folded)), va="top", weight="bold")
    axes.set_xticks(range(len(folds)), [_fold_name(fold) for fold in folds])
    axes.set_yticks(range(len(labels)), [class_name(label) for label in labels], size=11)
    axes.xaxis.tick_top()
    without_frame(axes, ticks=True)
    return figure


def pick_samples(pictures: Sequence[Picture], seed: int, count: int = _PAIRS) -> list[Picture]:
    """Draw examples of each class.

    Parameters
    ----------
    pictures
        To draw from, in any order.
    seed
        The same seed draws the same pictures from the same set.
    count
        How many of each class.

    Returns
    -------
    list of Picture
        By class; fewer where a class has fewer.
    """
    picked = []
    for position, label in enumerate(_labels(pictures)):
        of_class = sorted((p for p in pictures if p.label == label), key=lambda p: str(p.path))
        random = np.random.default_rng((seed, position))
        chosen = random.permutation(len(of_class))[:count]
        picked += [of_class[i] for i in chosen]
    return picked


def draw_samples(
    pictures: Sequence[Picture], seed: int = 0, *, progress: Progress = silent
) -> Figure:
    """Draw examples of each class, each as it is and as a network sees it.

    Parameters
    ----------
    pictures
        To draw from.
    seed
        Of the draw.
    progress
        Told of each example read.
    """
    picked = pick_samples(pictures, seed)
    labels = _labels(pictures)
    figure = new_figure(
        11.0,
        0.85 + 1.5 * len(labels),
        "Examples of each class",
        f"Left of each pair: the picture as it is. Right: prepared as every network sees it. "
        f"Drawn with seed {seed}.",
    )
    grid = figure.subplots(
        len(labels),
        3 * _PAIRS - 1,  # the third columns are gaps between pairs
        squeeze=False,
        gridspec_kw={"width_ratios": [1, 1, 0.12] * (_PAIRS - 1) + [1, 1]},
    )
    for axes in grid.flat:
        without_frame(axes)
    read = 0
    for row, label in zip(grid, labels, strict=True):
        row[0].set_ylabel(class_name(label), size=11, weight="bold", color=INK)
        for i, picture in enumerate(p for p in picked if p.label == label):
            _pair(row[3 * i], row[3 * i + 1], picture)
            read += 1
            progress("read examples", read, len(picked))
    return figure


def _pair(plain: Axes, prepared: Axes, picture: Picture) -> None:
    """Show a picture as it is and prepared; one that cannot be read is a word, not an error."""
    try:
        scan: Slice = read_slices(picture.path)[0]
    except UnreadableImageError:
        plain.text(0.5, 0.5, "unreadable", ha="center", va="center", transform=plain.transAxes)
        return
    plain.imshow(display_grey(scan), cmap="gray", vmin=0, vmax=255)
    side, x, y = max(scan.width, scan.height), scan.width / 2 - 0.5, scan.height / 2 - 0.5
    plain.set(xlim=(x - side / 2, x + side / 2), ylim=(y + side / 2, y - side / 2))
    plain.set_facecolor(_NO_PICTURE)
    plain.set_title(f"{scan.width} × {scan.height}", size=8, color=FAINT, loc="center", pad=2)
    prepared.imshow(prepare(scan, _PREPARED).pixels, cmap="gray", vmin=0, vmax=1)
    prepared.set_title("prepared", size=8, color=FAINT, loc="center", pad=2)


def _bubbles(axes: Axes, label: str, sizes: Counter[tuple[int, int]]) -> None:
    """Draw one class's sizes and name the most common one."""
    total = sum(sizes.values())
    width, height = np.array(list(sizes), dtype=float).T
    share = np.array(list(sizes.values())) / total
    axes.plot([1, 1e5], [1, 1e5], color="#d1d5db", linewidth=0.8, zorder=1)
    axes.scatter(
        width,
        height,
        s=6 + 700 * share,
        color=class_colour(label),
        alpha=0.55,
        edgecolor=PAPER,
        linewidth=0.3,
        zorder=2,
    )
    (w, h), most = min(sizes.items(), key=lambda item: (-item[1], item[0]))
    axes.set_title(class_name(label), weight="bold", pad=20)
    note = f"{_share(most / total, 0)} are {w} × {h}; {_plural(len(sizes), 'size')}"
    axes.text(0, 1.03, note, transform=axes.transAxes, size=8, color=FAINT)


def _fold_name(fold: int) -> str:
    return "fold 0 (test)" if fold == 0 else f"fold {fold}"


def _labels(pictures: Sequence[Picture]) -> list[str]:
    """Classes that occur, those of this project first and in their order."""
    found = {picture.label for picture in pictures}
    return [c for c in CLASSES if c in found] + sorted(found - set(CLASSES))


def _parts(pictures: Sequence[Picture]) -> list[str]:
    """Official parts that occur, the largest first."""
    return [part for part, _ in Counter(p.part or _WHOLE for p in pictures).most_common()]


def _paler(colour: str, by: float) -> tuple[float, float, float]:
    colours = require("matplotlib.colors", "drawing a data set", "data")
    red, green, blue = (c + (1 - c) * by for c in colours.to_rgb(colour))
    return red, green, blue


def _share(fraction: float, digits: int = 1) -> str:
    return f"{100 * fraction:.{digits}f} %"


def _n(count: int) -> str:
    return f"{count:,}"


def _plural(count: int, noun: str) -> str:
    return f"{_n(count)} {noun}" + ("" if count == 1 else "s")

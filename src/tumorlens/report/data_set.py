"""All figures of a data set in one folder, and one page that shows them."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tumorlens.data.folder import class_name
from tumorlens.data.manifest import find_labelled, read_manifest
from tumorlens.data.published import published
from tumorlens.errors import DataError, UnreadableImageError
from tumorlens.extras import require
from tumorlens.files import new_folder, write_text
from tumorlens.images.read import read_file
from tumorlens.progress import Progress, silent
from tumorlens.report.data_set_figures import (
    Picture,
    draw_bars,
    draw_folds,
    draw_pie,
    draw_samples,
    draw_sizes,
)
from tumorlens.report.page import render
from tumorlens.report.style import figure_style, to_png

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Gathered", "gather", "plot_data"]


@dataclass(frozen=True, slots=True)
class Gathered:
    """The pictures of a data set, with what the figures need.

    Parameters
    ----------
    pictures
        Those that can be read.
    unreadable
        A sentence for each of the others.
    excluded
        How many more neither train nor count, as a manifest says, and are left out.
    """

    pictures: tuple[Picture, ...]
    unreadable: tuple[str, ...]
    excluded: int = 0


def gather(source: str | os.PathLike[str], *, progress: Progress = silent) -> Gathered:
    """Read every picture of a folder or a manifest.

    Parameters
    ----------
    source
        A folder as `tumorlens.data.folder.find_examples` takes it, or a manifest. Pictures
        of the published set get their folds and groups by their content.
    progress
        Told of each picture.

    Raises
    ------
    DataError
        When the source is neither, or no picture in it can be read.
    """
    _, examples = find_labelled(source)
    pictures, unreadable = [], []
    excluded = 0 if Path(source).is_dir() else sum(read_manifest(source).excluded.values())
    for i, example in enumerate(examples):
        file, label, group, fold = example.path, example.label, example.group, example.fold
        try:
            (scan, *_), content = read_file(file)
        except UnreadableImageError as error:
            unreadable.append(str(error))
        else:
            digest = hashlib.sha256(content).hexdigest()
            known = published().get(digest) if fold is None else None
            if known and known.excluded:
                excluded += 1
                continue
            if known:  # the corrected label too
                label, group, fold = known.label, known.group, known.fold
            part = example.split or None
            pictures.append(
                Picture(file, label, scan.width, scan.height, part, fold, group or None)
            )
        progress("read pictures", i + 1, len(examples))
    if not pictures:
        raise DataError(f"no picture of {source} can be read; name a folder of pictures by class")
    return Gathered(tuple(pictures), tuple(unreadable), excluded)


def plot_data(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> list[Path]:
    """Draw a data set into a new folder.

    Parameters
    ----------
    source
        See `gather`.
    out
        The folder to make: PNG files, and ``index.html``, which needs none of them.
    seed
        Of the examples; the same seed gives the same files, byte for byte.
    progress
        Told of each picture read and each figure drawn.

    Returns
    -------
    list of pathlib.Path
        The files, the page last. There is no table of folds when no fold is known.

    Raises
    ------
    DataError
        When the data set is not one.
    OutputError
        When the folder is there already or cannot be written.
    MissingExtraError
        When Matplotlib is not installed.
    """
    require("matplotlib", "drawing a data set", "data")
    drawn: list[tuple[str, str, bytes]] = []
    with new_folder(out) as folder:
        found = gather(source, progress=progress)
        drawings = _drawings(found, seed, progress)
        for i, (name, caption, draw) in enumerate(drawings):
            with figure_style():
                drawn.append((name, caption, to_png(draw())))
            (folder / f"{name}.png").write_bytes(drawn[-1][2])
            progress("drew figures", i + 1, len(drawings))
        page = render("data_set", found=found, counts=_table(found.pictures), figures=drawn)
        write_text(folder / "index.html", page)
    return [*(Path(out) / f"{name}.png" for name, *_ in drawn), Path(out) / "index.html"]


def _drawings(
    found: Gathered, seed: int, progress: Progress
) -> list[tuple[str, str, Callable[[], Figure]]]:
    """Name, caption and maker of each figure."""
    pictures = found.pictures
    drawings: list[tuple[str, str, Callable[[], Figure]]] = [
        (
            "samples",
            "Examples of each class, as they are and as a network sees them.",
            lambda: draw_samples(pictures, seed, progress=progress),
        ),
        ("bars", "How many pictures each class has.", lambda: draw_bars(pictures)),
        ("pie", "Which share of the pictures each class has.", lambda: draw_pie(pictures)),
        ("sizes", "Width and height of the pictures of each class.", lambda: draw_sizes(pictures)),
    ]
    if any(picture.fold is not None for picture in pictures):
        caption = "How many pictures of each class, of how many groups, each fold holds."
        drawings.append(("folds", caption, lambda: draw_folds(pictures)))
    return drawings


def _table(pictures: tuple[Picture, ...]) -> tuple[list[str], list[tuple[str, ...]]]:
    """Give the counts as text, head and rows, for those who do not see the figures."""
    parts = sorted({picture.part or "pictures" for picture in pictures})
    labels = sorted({picture.label for picture in pictures})
    counts = Counter((picture.label, picture.part or "pictures") for picture in pictures)
    rows = [
        (class_name(label), *(f"{counts[label, part]:,}" for part in parts)) for label in labels
    ]
    return ["class", *parts], rows

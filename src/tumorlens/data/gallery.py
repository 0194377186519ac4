"""All figures of a data set in one folder, and one page that shows them."""

from __future__ import annotations

import base64
import csv
import hashlib
import html
import os
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tumorlens.data.figures import (
    Picture,
    draw_bars,
    draw_folds,
    draw_pie,
    draw_samples,
    draw_sizes,
)
from tumorlens.data.folder import find_examples
from tumorlens.data.published import published
from tumorlens.errors import DataError, UnreadableImageError
from tumorlens.figure_style import DPI, class_name, figure_style, require_matplotlib, to_png
from tumorlens.files import new_folder
from tumorlens.images.read import read_slices
from tumorlens.progress import Progress, silent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Gathered", "gather", "plot_data"]

_PARTS: Final = ("training", "testing", "train", "test", "validation", "val")
_Row = tuple[Path, str, str | None, str | None, int | None]  # path, label, part, group, fold


@dataclass(frozen=True, slots=True)
class Gathered:
    """The pictures of a data set, with what the figures need.

    Parameters
    ----------
    pictures
        Those that can be read.
    unreadable
        A sentence for each of the others.
    """

    pictures: tuple[Picture, ...]
    unreadable: tuple[str, ...]


def gather(source: str | os.PathLike[str], *, progress: Progress = silent) -> Gathered:
    """Read every picture of a folder or a manifest.

    Parameters
    ----------
    source
        A folder of class folders, or of ``Training`` and ``Testing`` with class folders
        in them; or a CSV manifest with the columns ``path`` and ``label``, perhaps also
        ``split``, ``group`` and ``fold``. Pictures of the published set get their folds
        and groups by their content.
    progress
        Told of each picture.

    Raises
    ------
    DataError
        When the source is neither, or no picture in it can be read.
    """
    path = Path(source)
    rows = list(_rows_of_folder(path) if path.is_dir() else _rows_of_manifest(path))
    pictures, unreadable = [], []
    for i, (file, label, part, group, fold) in enumerate(rows):
        try:
            scan = read_slices(file)[0]
        except UnreadableImageError as error:
            unreadable.append(str(error))
        else:
            known = published().get(_sha256(file)) if fold is None else None
            if known:  # the corrected label too
                label, group, fold = known.label, known.group, known.fold  # noqa: PLW2901
            pictures.append(Picture(file, label, scan.width, scan.height, part, fold, group))
        progress("read pictures", i + 1, len(rows))
    if not pictures:
        raise DataError(f"no picture of {path} can be read; name a folder of pictures by class")
    return Gathered(tuple(pictures), tuple(unreadable))


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
    require_matplotlib("drawing a data set")
    drawn: list[tuple[str, str, bytes]] = []
    with new_folder(out) as folder:
        found = gather(source, progress=progress)
        drawings = _drawings(found, seed, progress)
        for i, (name, caption, draw) in enumerate(drawings):
            with figure_style():
                drawn.append((name, caption, to_png(draw())))
            (folder / f"{name}.png").write_bytes(drawn[-1][2])
            progress("drew figures", i + 1, len(drawings))
        (folder / "index.html").write_text(_page(found, drawn), encoding="utf-8")
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


def _rows_of_folder(root: Path) -> Iterator[_Row]:
    parts = sorted(
        folder for folder in root.iterdir() if folder.is_dir() and folder.name.lower() in _PARTS
    )
    for folder in parts or [root]:
        for example in find_examples(folder):
            yield example.path, example.label, folder.name if parts else None, None, None


def _rows_of_manifest(path: Path) -> Iterator[_Row]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is neither a folder nor a CSV manifest: {error}") from error
    for number, row in enumerate(rows, start=2):
        label, fold = row.get("corrected_label") or row.get("label"), row.get("fold") or ""
        if not row.get("path") or not label or not (fold.isdecimal() or not fold):
            raise DataError(
                f"{path}, line {number}: expected a path, a label and perhaps a fold from 0; "
                "give a manifest as `tumorlens data manifest` writes it"
            )
        place = path.parent / str(row["path"])
        yield place, label, row.get("split") or None, row.get("group") or None, _whole(fold)


def _whole(text: str) -> int | None:
    return int(text) if text else None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _page(found: Gathered, drawn: list[tuple[str, str, bytes]]) -> str:
    """Write one HTML file that needs no other."""
    figures = "\n".join(_figure(*item) for item in drawn)
    return _PAGE.format(
        count=f"{len(found.pictures):,}",
        figures=figures,
        table=_table(found.pictures),
        unreadable=_unreadable(found.unreadable),
    )


def _figure(name: str, caption: str, png: bytes) -> str:
    source = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    words = html.escape(caption)
    return (
        f'<figure id="{name}"><img width="{_css_width(png)}" src="{source}" alt="{words}">'
        f"<figcaption>{words}</figcaption></figure>"
    )


def _css_width(png: bytes) -> int:
    """Width on the page: an inch is 96 pixels there, so that all letters have one size."""
    width: int = struct.unpack(">I", png[16:20])[0]  # in the header, after the signature
    return round(width * 96 / DPI)


def _table(pictures: tuple[Picture, ...]) -> str:
    """Write the counts as text, for those who do not see the figures."""
    parts = sorted({picture.part or "pictures" for picture in pictures})
    labels = sorted({picture.label for picture in pictures})
    counts = Counter((picture.label, picture.part or "pictures") for picture in pictures)
    head = "".join(f'<th scope="col">{html.escape(part)}</th>' for part in parts)
    rows = "".join(
        f'<tr><th scope="row">{html.escape(class_name(label))}</th>'
        + "".join(f"<td>{counts[label, part]:,}</td>" for part in parts)
        + "</tr>"
        for label in labels
    )
    return f'<table><tr><th scope="col">class</th>{head}</tr>{rows}</table>'


def _unreadable(sentences: tuple[str, ...]) -> str:
    if not sentences:
        return ""
    items = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in sentences)
    return f"<h2>Left out: {len(sentences):,} that cannot be read</h2><ul>{items}</ul>"


_PAGE: Final = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>The data set in pictures</title>
<style>
body {{ font: 16px/1.5 "DejaVu Sans", system-ui, sans-serif; color: #1f2328; background: #f6f7f9;
  max-width: 1100px; margin: 2rem auto; padding: 0 1rem; }}
figure {{ margin: 1.5rem 0; padding: 1rem; background: #fff; border: 1px solid #e5e7eb;
  border-radius: 8px; }}
img {{ max-width: 100%; height: auto; display: block; margin: 0 auto; }}
figcaption {{ color: #6b7280; margin-top: .5rem; }}
table {{ border-collapse: collapse; background: #fff; }}
th, td {{ padding: .3rem .9rem; border: 1px solid #e5e7eb; text-align: right; }}
th {{ font-weight: 600; }}
th[scope=row] {{ text-align: left; }}
</style>
<h1>The data set in pictures</h1>
<p>{count} pictures. Drawn by <code>tumorlens data plot</code>.</p>
{table}
{figures}
{unreadable}
</html>
"""

"""The one look of every report: an HTML page that needs no other file and no network."""

from __future__ import annotations

import base64
import html
import io
import os
from collections.abc import Iterable, Sequence
from string import Template
from typing import Final

from PIL import Image

from tumorlens.errors import UnreadableImageError
from tumorlens.images.display import display_grey
from tumorlens.images.read import read_slices
from tumorlens.report.style import DPI

__all__ = ["drawing", "listing", "picture", "table", "thumbnail", "whole_page"]

_THUMB: Final = 168  # side of a thumbnail in pixels
_LISTED: Final = 20  # lines of a list that are shown
_CSS_DPI: Final = 96  # pixels of an inch on a page


def whole_page(title: str, lead: str, body: str, made_by: str) -> str:
    """Write a page.

    Parameters
    ----------
    title, lead, made_by
        Plain text: the heading, a sentence below it, and the command that made the page.
    body
        HTML; whatever users named in it must be escaped already.
    """
    texts = {"title": title, "lead": lead, "made_by": made_by}
    return Template(_PAGE).substitute({k: html.escape(v) for k, v in texts.items()}, body=body)


def table(head: Sequence[str], rows: Iterable[Sequence[str]], style: str = "") -> str:
    """Write plain texts as a table that scrolls by itself where the window is narrow.

    Parameters
    ----------
    head
        The columns' names.
    rows
        The first cell of each is its heading.
    style
        ``"words"`` for cells that hold sentences.
    """
    top = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in head)
    body = "".join(
        f'<tr><th scope="row">{html.escape(row[0])}</th>'
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="wide" tabindex="0"><table class="{style}"><tr>{top}</tr>{body}</table></div>'
    )


def listing(title: str, lines: Sequence[str], rest_in: str) -> str:
    """Write a list that is folded up, and shortened to what somebody may read.

    Parameters
    ----------
    title, lines
        Plain texts.
    rest_in
        The file that holds all of it.
    """
    items = "".join(f"<li>{html.escape(line)}</li>" for line in lines[:_LISTED])
    more = len(lines) - _LISTED
    rest = f"<li>and {more:,} more, in {html.escape(rest_in)}</li>" if more > 0 else ""
    return f"<details><summary>{html.escape(title)}</summary><ul>{items}{rest}</ul></details>"


def drawing(png: bytes, alt: str, caption: str = "") -> str:
    """Put a figure into the page, at the size that gives its letters the page's own.

    Parameters
    ----------
    png
        The file.
    alt, caption
        Plain texts: what it shows, for those who do not see it; and what to read in it.
    """
    pixels = (int.from_bytes(png[i : i + 4]) for i in (16, 20))  # in the header
    width, height = (round(side * _CSS_DPI / DPI) for side in pixels)
    words = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""
    size = f'width="{width}" height="{height}"'
    image = f'<img {size} alt="{html.escape(alt)}" src="{_embedded(png, "png")}">'
    return f"<figure>{image}{words}</figure>"


def picture(image: Image.Image, alt: str) -> str:
    """Put a picture into the page, as a JPEG."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    size = f'width="{image.width}" height="{image.height}"'
    source = _embedded(file.getvalue(), "jpeg")
    return f'<img {size} alt="{html.escape(alt)}" src="{source}">'


def thumbnail(path: str | os.PathLike[str], alt: str) -> str:
    """Draw the first slice of a file small, inside the page; a sentence if it went away."""
    try:
        scan = read_slices(path)[0]
    except UnreadableImageError:
        return "<p>cannot be read any more</p>"
    image = Image.fromarray(display_grey(scan))
    image.thumbnail((_THUMB, _THUMB))
    return picture(image, alt)


def _embedded(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


_PAGE: Final = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<style>
:root { --ink: #1f2328; --faint: #5f6773; --paper: #f6f7f9; --card: #fff; --line: #e1e4e9;
  --blue: #0072b2; --orange: #d55e00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --faint: #a2a9b4;
  --paper: #15181c; --card: #1e2227; --line: #343a42; --blue: #56b4e9; --orange: #e69f00; } }
body { font: 16px/1.5 "DejaVu Sans", system-ui, sans-serif; color: var(--ink);
  background: var(--paper); max-width: 1100px; margin: 2rem auto; padding: 0 1rem; }
h1 { overflow-wrap: anywhere; }
h2 { margin-top: 2.5rem; }
p { max-width: 46rem; }
small, figcaption { color: var(--faint); font-size: .8rem; overflow-wrap: anywhere; }
.tiles { list-style: none; padding: 0; display: grid; gap: .8rem;
  grid-template-columns: repeat(auto-fill, minmax(min(10rem, 100%), 1fr)); }
.tiles li, figure, details, table, .curve, .banner { background: var(--card);
  border: 1px solid var(--line); border-radius: 8px; }
.tiles li { padding: .8rem 1rem; color: var(--faint); }
.tiles b { display: block; font-size: 1.7rem; color: var(--ink); }
.banner { border-left: 6px solid var(--blue); padding: .6rem 1rem; max-width: 44rem; }
.banner.warn { border-color: var(--orange); border-width: 2px 2px 2px 6px; }
.pairs { display: grid; gap: .8rem;
  grid-template-columns: repeat(auto-fill, minmax(min(310px, 100%), 1fr)); }
.pairs figure { padding: .8rem; display: grid; grid-template-columns: 1fr 1fr; gap: .6rem; }
.pairs img { width: 100%; height: 150px; object-fit: contain; background: #000; }
.drawings { display: grid; gap: .8rem; align-items: start;
  grid-template-columns: repeat(auto-fit, minmax(min(30rem, 100%), 1fr)); }
.drawings figure { padding: .8rem; }
.drawings img { max-width: 100%; height: auto; margin: 0 auto; border-radius: 4px; }
figure { margin: 0; }
figure p { margin: .3rem 0 0; line-height: 1.25; }
figure img { display: block; }
figcaption { grid-column: 1 / -1; margin-top: .4rem; }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: separate; border-spacing: 0; padding: .4rem .6rem; }
th, td { padding: .3rem .8rem; text-align: right; font-weight: 400; }
th[scope=col] { color: var(--faint); border-bottom: 1px solid var(--line); }
th:first-child, .words td, .words th { text-align: left; }
td, th[scope=col] { white-space: nowrap; }
.words td { white-space: normal; overflow-wrap: anywhere; min-width: 11rem; }
.bars .bar { width: 22rem; max-width: 50vw; }
.bar i { display: block; height: .9rem; background: var(--blue); border-radius: 3px; }
details { padding: .5rem 1rem; margin: .5rem 0; }
details ul { color: var(--faint); font-size: .85rem; overflow-wrap: anywhere; }
.case { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  display: flex; flex-wrap: wrap; gap: .7rem; padding: .8rem; margin: .8rem 0; }
.case p { flex-basis: 100%; margin: 0; max-width: none; }
.case img { max-width: 100%; height: auto; background: #000; }
td small { display: block; font-size: .7rem; }
.faint th, .faint td { color: var(--faint); }
.curve { padding: 1rem; max-width: 46rem; }
.curve svg { width: 100%; height: auto; display: block; }
.curve text { fill: var(--faint); font-size: 12px; }
</style>
<h1>$title</h1>
<p>$lead</p>
$body
<p><small>Made by <code>$made_by</code>.</small></p>
</html>
"""

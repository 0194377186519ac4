"""An audit as one HTML page that needs no other file."""

from __future__ import annotations

import base64
import html
import io
import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from string import Template
from typing import Final

import numpy as np
from PIL import Image

from tumorlens.data.audit import Audit, Finding
from tumorlens.data.curve_drawing import draw_curve
from tumorlens.data.duplicates import COPY
from tumorlens.errors import UnreadableImageError
from tumorlens.files import new_folder
from tumorlens.images.read import read_slices

__all__ = ["write_audit"]

_THUMB: Final = 168  # side of a thumbnail in pixels
_SHOWN: Final = 12  # pairs shown of each kind
_LISTED: Final = 20  # files named of each oddity

# A pair is shown with the first kind that it belongs to.
_KINDS: Final[tuple[tuple[str, str, Callable[[Finding], bool]], ...]] = (
    (
        "Different labels",
        "Copies of one slice that carry two labels. At least one of the two is wrong.",
        lambda f: f.conflicting,
    ),
    (
        "Mirrored, across the splits",
        "A test picture that is a training picture flipped left to right.",
        lambda f: f.across and f.mirrored,
    ),
    (
        "Near-duplicates across the splits",
        "A test picture that is a training picture cropped, rescaled, brightened or re-encoded.",
        lambda f: f.across and not f.mirrored and not f.exact,
    ),
    (
        "Equal pixels across the splits",
        "A test picture that is a training picture, pixel by pixel.",
        lambda f: f.across and f.exact,
    ),
    (
        "Other near-duplicates",
        "Both on the same side: they count twice without saying more.",
        lambda f: not f.across and not f.exact,
    ),
    (
        "Other equal pixels",
        "Both on the same side: copies under another name.",
        lambda f: not f.across and f.exact,
    ),
)


def write_audit(audit: Audit, root: str | os.PathLike[str], out: str | os.PathLike[str]) -> Path:
    """Write an audit into a new folder: ``audit.json`` and ``index.html``.

    Parameters
    ----------
    audit
        The result.
    root
        The folder that its paths start from, for the thumbnails.
    out
        The folder to make; it appears whole or not at all.

    Returns
    -------
    pathlib.Path
        The page.

    Raises
    ------
    OutputError
        When the folder is there already or cannot be written.
    """
    with new_folder(out) as folder:
        text = json.dumps(audit.to_dict(), indent=1, ensure_ascii=False) + "\n"
        (folder / "audit.json").write_text(text, encoding="utf-8")
        (folder / "index.html").write_text(draw_page(audit, Path(root)), encoding="utf-8")
    return Path(out) / "index.html"


def draw_page(audit: Audit, root: Path) -> str:
    """Write the page."""
    body = "".join(
        (
            _tiles(audit),
            _twins(audit),
            _galleries(audit, root),
            _shortcuts(audit),
            _files(audit),
            _calibration(audit),
        )
    )
    return Template(_PAGE).substitute(name=html.escape(audit.name), body=body)


def _tiles(audit: Audit) -> str:
    totals = audit.totals()
    rows = [
        ("pictures", "pictures read"),
        ("unreadable", "files that cannot be read"),
        ("exact_pictures", f"pictures in {totals['exact_groups']:,} groups of equal pixels"),
        ("near_pairs", f"pairs of near-duplicates, {totals['near_pairs_mirrored']:,} mirrored"),
        ("pairs_across_splits", "pairs of copies across training and testing"),
        ("pairs_of_different_labels", "pairs of copies with different labels"),
    ]
    tiles = "".join(f"<li><b>{totals[key]:,}</b> {text}</li>" for key, text in rows)
    folds = ""
    if audit.across_folds is not None:
        copies, alike = audit.across_folds
        folds = f"<p>Across folds: {copies:,} pairs of copies, {alike:,} pairs merely alike.</p>"
    return f'<ul class="tiles">{tiles}</ul>{folds}'


def _twins(audit: Audit) -> str:
    if not audit.twins:
        return ""
    rows = [
        (label, f"{t.pictures:,}", _share(t.exact, t.pictures), _share(t.near, t.pictures))
        for label, t in audit.twins.items()
    ]
    values = list(audit.twins.values())
    whole = sum(t.pictures for t in values)
    exact, near = sum(t.exact for t in values), sum(t.near for t in values)
    rows.append(("all", f"{whole:,}", _share(exact, whole), _share(near, whole)))
    table = _table(("class", "test pictures", "equal pixels", "any copy"), rows)
    return (
        "<h2>Test pictures that are also in training</h2>"
        f"<p>Whoever trains on Training and tests on Testing is asked again what was taught."
        f"</p>{table}"
    )


def _galleries(audit: Audit, root: Path) -> str:
    parts = []
    rest = list(audit.findings)
    for title, text, belongs in _KINDS:
        found = [finding for finding in rest if belongs(finding)]
        rest = [finding for finding in rest if not belongs(finding)]
        if not found:
            continue
        shown = _spread(found, _SHOWN)
        pairs = "".join(_pair(finding, root) for finding in shown)
        some = "" if len(found) == len(shown) else f", {len(shown)} of them shown"
        parts.append(
            f"<h2>{title}</h2><p>{text} {len(found):,} pairs{some}; all are in "
            f'<code>audit.json</code>.</p><div class="pairs">{pairs}</div>'
        )
    return "".join(parts)


def _spread(found: Sequence[Finding], count: int) -> list[Finding]:
    """Take some of the pairs, evenly from the most to the least similar."""
    if len(found) <= count:
        return list(found)
    return [found[i * (len(found) - 1) // (count - 1)] for i in range(count)]


def _pair(finding: Finding, root: Path) -> str:
    sides = zip((finding.first, finding.second), finding.labels, finding.splits, strict=True)
    pictures = "".join(
        f"<div>{_thumbnail(root / name, name)}<p><b>{label}</b> {split}<br>"
        f"<small>{html.escape(name)}</small></p></div>"
        for name, label, split in sides
    )
    how = "equal pixels" if finding.exact else f"similarity {finding.similarity:.3f}"
    how += ", mirrored" if finding.mirrored else ""
    return f"<figure>{pictures}<figcaption>{how}</figcaption></figure>"


def _thumbnail(path: Path, name: str) -> str:
    try:
        picture = read_slices(path)[0]
    except UnreadableImageError:  # it went away since the audit
        return "<p>cannot be read any more</p>"
    low, high = picture.value_range
    grey = (picture.pixels.astype(np.float32) - low) / max(high - low, 1e-9)
    image = Image.fromarray(np.rint(grey * 255).astype(np.uint8))
    image.thumbnail((_THUMB, _THUMB))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=82)
    data = base64.b64encode(file.getvalue()).decode()
    size = f'width="{image.width}" height="{image.height}"'
    return f'<img {size} alt="{html.escape(name)}" src="data:image/jpeg;base64,{data}">'


def _shortcuts(audit: Audit) -> str:
    found = audit.shortcuts
    if found is None:
        return "<h2>Shortcuts</h2><p>There are too few pictures to measure them.</p>"
    bars = [("always the commonest class", found.majority), ("which class", found.classes)]
    if found.tumour is not None:
        bars.append(("tumour or none", found.tumour))
    drawn = "".join(
        f'<tr><th scope="row">{name}</th><td class="bar"><i style="width:{value:.1%}"></i></td>'
        f"<td>{value:.1%}</td></tr>"
        for name, value in bars
    )
    ranked = sorted(found.importance.items(), key=lambda item: -item[1])[:4]
    leading = ", ".join(f"{name} {value:.0%}" for name, value in ranked)
    return (
        "<h2>Shortcuts</h2><p>What a random forest gets right without seeing the brain: from "
        "width, height, channels and bytes of the file, its mean and its borders, in "
        f"{found.folds}-fold cross-validation with no group on both sides. A network may owe as "
        f'much to the same accident.</p><table class="bars">{drawn}</table>'
        f"<p>It goes by: {leading}.</p>"
    )


def _files(audit: Audit) -> str:
    parts = ["<h2>Files</h2>"]
    classes = sorted({label for row in audit.counts.values() for label in row})
    rows = [(part, *(f"{row.get(c, 0):,}" for c in classes)) for part, row in audit.counts.items()]
    parts.append(_table(("split", *classes), rows))
    for title, tally in (("modes", audit.modes), ("commonest sizes", audit.sizes)):
        texts = [(c, ", ".join(f"{k}: {n:,}" for k, n in row.items())) for c, row in tally.items()]
        parts.append(_table(("class", title), texts, "words"))
    for oddity, names in audit.odd.items():
        parts.append(_list(f"{oddity}: {len(names):,}", names))
    reasons = [f"{name}: {reason}" for name, reason in audit.unreadable.items()]
    parts.append(_list(f"cannot be read: {len(reasons):,}", reasons))
    return "".join(parts)


def _list(title: str, lines: Sequence[str]) -> str:
    items = "".join(f"<li>{html.escape(line)}</li>" for line in lines[:_LISTED])
    more = len(lines) - _LISTED
    rest = f"<li>and {more:,} more, in audit.json</li>" if more > 0 else ""
    return f"<details><summary>{html.escape(title)}</summary><ul>{items}{rest}</ul></details>"


def _calibration(audit: Audit) -> str:
    curve = audit.curve
    at = curve.thresholds.index(COPY)
    rows = [(name, f"{shares[at]:.1%}") for name, shares in curve.copies.items()]
    strangers = f"{curve.strangers[at]:,} of {curve.strangers_compared:,}"
    seconds = ", ".join(f"{stage} {time:.0f} s" for stage, time in audit.seconds.items())
    return (
        "<h2>How copies are told from look-alikes</h2>"
        "<p>The head is cut out and its grey values stretched, so that borders, size and "
        "brightness of a file do not count. All pairs are correlated, straight and mirrored, "
        "whole, closer and centred. The likely ones are laid over each other and their fine "
        "structure is correlated. Ordinary hashes fail on such pictures: a third of every scan "
        "is black and every head an oval. Two pictures are called copies from "
        f"{COPY:.2f} up. That was set on slices whose patient and number are known: copies "
        "reached 0.98 and more, neighbouring slices of one head 0.92 at most.</p>"
        f"<p>Checked here on copies made of {curve.sample:,} of these very pictures, and on the "
        f"likely pairs of different labels, which cannot be copies unless a label is wrong: "
        f"{strangers} were called copies.</p>"
        f"{draw_curve(curve, COPY)}{_table(('a copy that was', 'found'), rows)}"
        f"<p><small>Took: {seconds}.</small></p>"
    )


def _share(count: int, whole: int) -> str:
    return f"{count:,} ({count / whole:.1%})"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], style: str = "") -> str:
    top = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in head)
    body = "".join(
        f'<tr><th scope="row">{html.escape(row[0])}</th>'
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return f'<table class="{style}"><tr>{top}</tr>{body}</table>'


_PAGE: Final = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Audit of $name</title>
<style>
:root { --ink: #1f2328; --faint: #5f6773; --paper: #f6f7f9; --card: #fff; --line: #e1e4e9;
  --blue: #0072b2; --orange: #d55e00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --faint: #a2a9b4;
  --paper: #15181c; --card: #1e2227; --line: #343a42; --blue: #56b4e9; --orange: #e69f00; } }
body { font: 16px/1.5 "DejaVu Sans", system-ui, sans-serif; color: var(--ink);
  background: var(--paper); max-width: 1100px; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 2.5rem; }
p { max-width: 46rem; }
small, figcaption { color: var(--faint); font-size: .8rem; overflow-wrap: anywhere; }
.tiles { list-style: none; padding: 0; display: grid; gap: .8rem;
  grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); }
.tiles li, figure, details, table, .curve { background: var(--card);
  border: 1px solid var(--line); border-radius: 8px; }
.tiles li { padding: .8rem 1rem; color: var(--faint); }
.tiles b { display: block; font-size: 1.7rem; color: var(--ink); }
.pairs { display: grid; gap: .8rem; grid-template-columns: repeat(auto-fill, minmax(310px, 1fr)); }
figure { margin: 0; padding: .8rem; display: grid; grid-template-columns: 1fr 1fr; gap: .6rem; }
figure p { margin: .3rem 0 0; line-height: 1.25; }
figure img { display: block; width: 100%; height: 150px; object-fit: contain; background: #000; }
figcaption { grid-column: 1 / -1; }
table { border-collapse: separate; border-spacing: 0; margin: 1rem 0; padding: .4rem .6rem; }
th, td { padding: .3rem .8rem; text-align: right; font-weight: 400; }
th[scope=col] { color: var(--faint); border-bottom: 1px solid var(--line); }
th:first-child, .words td, .words th { text-align: left; }
.bars .bar { width: 22rem; max-width: 50vw; }
.bar i { display: block; height: .9rem; background: var(--blue); border-radius: 3px; }
details { padding: .5rem 1rem; margin: .5rem 0; }
details ul { color: var(--faint); font-size: .85rem; overflow-wrap: anywhere; }
.curve { padding: 1rem; max-width: 46rem; }
.curve svg { width: 100%; height: auto; display: block; }
.curve text { fill: var(--faint); font-size: 12px; }
</style>
<h1>Audit of $name</h1>
<p>What makes results on this data look better than they are. Research use only.</p>
$body
<p><small>Made by <code>tumorlens data audit</code>.</small></p>
</html>
"""

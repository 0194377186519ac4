"""An audit as one HTML page that needs no other file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from tumorlens.data.audit import Audit, Finding
from tumorlens.data.duplicates import COPY
from tumorlens.data.folder import class_name
from tumorlens.data.traits import describe_traits
from tumorlens.files import new_folder, write_text
from tumorlens.report.audit_curve import draw_curve
from tumorlens.report.page import render, share
from tumorlens.report.style import figure_style, to_png

__all__ = ["draw_page", "write_audit"]

_SHOWN: Final = 12  # pairs shown of each kind

# A pair is shown with the first kind that it belongs to.
_KINDS: Final[tuple[tuple[str, str, Callable[[Finding], bool]], ...]] = (
    (
        "Different labels",
        "Copies of one slice that carry two labels. At least one of the two is wrong.",
        lambda f: f.conflicting,
    ),
    (
        "Mirrored or turned, across the splits",
        "A test picture that is a training picture flipped or turned.",
        lambda f: f.across and bool(f.way),
    ),
    (
        "Near-duplicates across the splits",
        "A test picture that is a training picture cropped, rescaled, brightened or re-encoded.",
        lambda f: f.across and not f.way and not f.exact,
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
    MissingExtraError
        When Matplotlib or Jinja is not installed.
    OutputError
        When the folder is there already or cannot be written.
    """
    with new_folder(out) as folder:
        text = json.dumps(audit.to_dict(), indent=1, ensure_ascii=False) + "\n"
        write_text(folder / "audit.json", text)
        write_text(folder / "index.html", draw_page(audit, Path(root)))
    return Path(out) / "index.html"


def draw_page(audit: Audit, root: Path) -> str:
    """Write the page."""
    curve = audit.curve
    at = curve.thresholds.index(COPY)
    with figure_style():
        drawn = to_png(draw_curve(curve, COPY))
    bars: list[tuple[str, float]] = []
    leading = ""
    if (found := audit.shortcuts) is not None:
        bars = [("always the commonest class", found.majority), ("which class", found.classes)]
        bars += [] if found.tumour is None else [("tumour or none", found.tumour)]
        ranked = sorted(found.importance.items(), key=lambda item: -item[1])[:4]
        leading = ", ".join(f"{name} {value:.0%}" for name, value in ranked)
    unreadable = [f"{name}: {reason}" for name, reason in audit.unreadable.items()]
    return render(
        "audit",
        found=audit,
        root=root,
        totals=audit.totals(),
        twins=_twins(audit),
        galleries=list(_galleries(audit)),
        bars=bars,
        leading=leading,
        traits=_traits(audit),
        traits_said=describe_traits(audit.traits),
        tables=_tables(audit),
        lists=[*audit.odd.items(), ("cannot be read", unreadable)],
        copy=COPY,
        curve=drawn,
        copies=[(name, f"{shares[at]:.1%}") for name, shares in curve.copies.items()],
        strangers=f"{curve.strangers[at]:,} of {curve.strangers_compared:,}",
        seconds=", ".join(f"{stage} {time:.0f} s" for stage, time in audit.seconds.items()),
    )


def _traits(audit: Audit) -> list[tuple[str, ...]]:
    """Say what the slices of each class look like."""
    return [
        (class_name(label), *(f"{n:,}" for n in (t.pictures, t.turned, t.lopsided, t.marked)))
        for label, t in audit.traits.items()
    ]


def _twins(audit: Audit) -> list[tuple[str, ...]]:
    counts = [(class_name(c), t.pictures, t.exact, t.near) for c, t in audit.twins.items()]
    if twins := audit.twins.values():
        whole, exact = sum(t.pictures for t in twins), sum(t.exact for t in twins)
        counts.append(("all", whole, exact, sum(t.near for t in twins)))
    return [
        (name, f"{whole:,}", share(exact, whole), share(near, whole))
        for name, whole, exact, near in counts
    ]


def _galleries(audit: Audit) -> Iterator[tuple[str, str, list[Finding], int]]:
    """Give the kinds of pairs that there are: title, words, the pairs shown, how many."""
    rest = list(audit.findings)
    for title, text, belongs in _KINDS:
        found = [finding for finding in rest if belongs(finding)]
        rest = [finding for finding in rest if not belongs(finding)]
        if found:
            yield title, text, _spread(found, _SHOWN), len(found)


def _spread(found: Sequence[Finding], count: int) -> list[Finding]:
    """Take some of the pairs, evenly from the most to the least similar."""
    if len(found) <= count:
        return list(found)
    return [found[i * (len(found) - 1) // (count - 1)] for i in range(count)]


def _tables(audit: Audit) -> list[tuple[tuple[str, ...], list[tuple[str, ...]], str]]:
    """Give the tables of files: head, rows, style."""
    classes = sorted({label for row in audit.counts.values() for label in row})
    rows = [(part, *(f"{row.get(c, 0):,}" for c in classes)) for part, row in audit.counts.items()]
    tables = [(("split", *map(class_name, classes)), rows, "")]
    for title, tally in (("modes", audit.modes), ("commonest sizes", audit.sizes)):
        texts: list[tuple[str, ...]] = [
            (class_name(c), ", ".join(f"{key}: {n:,}" for key, n in row.items()))
            for c, row in tally.items()
        ]
        tables.append((("class", title), texts, "words"))
    return tables

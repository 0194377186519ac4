"""An audit as one HTML page that needs no other file."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from tumorlens.data.audit import Audit, Finding
from tumorlens.data.duplicates import COPY
from tumorlens.data.traits import describe_traits
from tumorlens.files import new_folder, write_text
from tumorlens.report.audit_curve import draw_curve
from tumorlens.report.page import listing, table, thumbnail, whole_page

__all__ = ["write_audit"]

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
    body = "".join(
        (
            _tiles(audit),
            _twins(audit),
            _galleries(audit, root),
            _shortcuts(audit),
            _traits(audit),
            _files(audit),
            _calibration(audit),
        )
    )
    return whole_page(
        f"Audit of {audit.name}",
        "What makes results on this data look better than they are. Research use only.",
        body,
        "tumorlens data audit",
    )


def _tiles(audit: Audit) -> str:
    totals = audit.totals()
    ways = f"{totals['near_pairs_mirrored']:,} mirrored, {totals['near_pairs_turned']:,} turned"
    rows = [
        ("pictures", "pictures read"),
        ("unreadable", "files that cannot be read"),
        ("exact_pictures", f"pictures in {totals['exact_groups']:,} groups of equal pixels"),
        ("near_pairs", f"pairs of near-duplicates, {ways}"),
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
    drawn = table(("class", "test pictures", "equal pixels", "any copy"), rows)
    return (
        "<h2>Test pictures that are also in training</h2>"
        f"<p>Whoever trains on Training and tests on Testing is asked again what was taught."
        f"</p>{drawn}"
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
        f"<div>{thumbnail(root / name, name)}<p><b>{label}</b> {split}<br>"
        f"<small>{html.escape(name)}</small></p></div>"
        for name, label, split in sides
    )
    how = "equal pixels" if finding.exact else f"similarity {finding.similarity:.3f}"
    how += f", {finding.way}" if finding.way else ""
    return f"<figure>{pictures}<figcaption>{how}</figcaption></figure>"


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


def _traits(audit: Audit) -> str:
    heads = ("class", "pictures", "with a turned copy", "lopsided", "marks outside the head")
    rows = [
        (label, *(f"{n:,}" for n in (t.pictures, t.turned, t.lopsided, t.marked)))
        for label, t in audit.traits.items()
    ]
    said = "".join(f"<p><b>{html.escape(text)}</b></p>" for text in describe_traits(audit.traits))
    return (
        f"<h2>What the slices of each class look like</h2>{said}{table(heads, rows)}"
        "<p>A turned copy lies upside down or on its side. Lopsided heads are not their own "
        "mirror image, as in sagittal slices. Marks are text, scale bars and frames. The "
        "sequence (T1, T2, FLAIR) is not told.</p>"
    )


def _files(audit: Audit) -> str:
    parts = ["<h2>Files</h2>"]
    classes = sorted({label for row in audit.counts.values() for label in row})
    rows = [(part, *(f"{row.get(c, 0):,}" for c in classes)) for part, row in audit.counts.items()]
    parts.append(table(("split", *classes), rows))
    for title, tally in (("modes", audit.modes), ("commonest sizes", audit.sizes)):
        texts = [(c, ", ".join(f"{k}: {n:,}" for k, n in row.items())) for c, row in tally.items()]
        parts.append(table(("class", title), texts, "words"))
    for oddity, names in audit.odd.items():
        parts.append(listing(f"{oddity}: {len(names):,}", names, "audit.json"))
    reasons = [f"{name}: {reason}" for name, reason in audit.unreadable.items()]
    parts.append(listing(f"cannot be read: {len(reasons):,}", reasons, "audit.json"))
    return "".join(parts)


def _calibration(audit: Audit) -> str:
    curve = audit.curve
    at = curve.thresholds.index(COPY)
    rows = [(name, f"{shares[at]:.1%}") for name, shares in curve.copies.items()]
    strangers = f"{curve.strangers[at]:,} of {curve.strangers_compared:,}"
    seconds = ", ".join(f"{stage} {time:.0f} s" for stage, time in audit.seconds.items())
    return (
        "<h2>How copies are told from look-alikes</h2>"
        "<p>The head is cut out and its grey values stretched, so that borders, size and "
        "brightness of a file do not count. All pairs are correlated, in all eight "
        "ways to turn a square, "
        "whole, closer and centred. The likely ones are laid over each other and their fine "
        "structure is correlated. Ordinary hashes fail on such pictures: a third of every scan "
        "is black and every head an oval. Two pictures are called copies from "
        f"{COPY:.2f} up. That was set on slices whose patient and number are known: copies "
        "reached 0.98 and more, neighbouring slices of one head 0.92 at most.</p>"
        f"<p>Checked here on copies made of {curve.sample:,} of these very pictures, and on the "
        f"likely pairs of different labels, which cannot be copies unless a label is wrong: "
        f"{strangers} were called copies.</p>"
        f"{draw_curve(curve, COPY)}{table(('a copy that was', 'found'), rows)}"
        f"<p><small>Took: {seconds}.</small></p>"
    )


def _share(count: int, whole: int) -> str:
    return f"{count:,} ({count / whole:.1%})"

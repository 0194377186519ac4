"""A localisation as a folder: numbers, figures, and one HTML page that needs no other file."""

from __future__ import annotations

import csv
import html
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tumorlens.evaluate.hide import hide, widen
from tumorlens.evaluate.localise import CENTRE, CHANCE, Case, Localisation, explain_case
from tumorlens.evaluate.localise_summary import summarise
from tumorlens.evaluate.map_measures import FIXED
from tumorlens.evaluate.sanity import Sanity
from tumorlens.explain.overlay import blend
from tumorlens.files import new_folder
from tumorlens.images.display import display_grey
from tumorlens.images.slice import Slice
from tumorlens.report.localisation_figures import MEASURES, draw_all, title_of
from tumorlens.report.page import drawing, listing, picture, whole_page
from tumorlens.report.style import class_name

if TYPE_CHECKING:
    from tumorlens.classifier import Classifier

__all__ = ["choose_cases", "draw_outline", "write_localisation"]

_SIDE: Final = 280  # pixels: longer side of a case's picture
_EACH: Final = 4  # cases shown of the best, the median and the worst
_METHODS_SHOWN: Final = 2
_OUTLINE: Final = (86, 180, 233)


def write_localisation(
    classifier: Classifier,
    found: Localisation,
    out: str | os.PathLike[str],
    *,
    sanity: Sanity | None = None,
    layer: str | None = None,
) -> Path:
    """Write what was measured into a new folder.

    ``index.html``, the figures as PNG, ``cases.csv`` with a row for each picture, and
    ``localisation.json``.

    Parameters
    ----------
    classifier
        The model, to draw the cases shown once more.
    found
        What was measured.
    out
        The folder to make; it appears whole or not at all.
    sanity
        What the sanity check found, if it was made.
    layer
        As `localise` was given it.

    Returns
    -------
    pathlib.Path
        The page.

    Raises
    ------
    MissingExtraError
        When Matplotlib is not installed.
    OutputError
        When the folder is there already or cannot be written.
    """
    summary = summarise(found)
    summary["training"] = {"leaky": classifier.card.training.get("leaky")}
    if sanity is not None:
        summary["sanity"] = sanity.to_dict()
    figures = dict(draw_all(found, summary, sanity))
    with new_folder(out) as folder:
        for name, png in figures.items():
            (folder / f"{name}.png").write_bytes(png)
        (folder / "cases.csv").write_text(_cases_table(found), encoding="utf-8")
        page = _draw_page(classifier, found, summary, figures, layer)
        (folder / "index.html").write_text(page, encoding="utf-8")
        text = json.dumps(summary, indent=1, ensure_ascii=False) + "\n"
        (folder / "localisation.json").write_text(text, encoding="utf-8")
    return Path(out) / "index.html"


def choose_cases(found: Localisation) -> dict[str, list[Case]]:
    """Choose the best, the median and the worst cases by the first method's mass in mask."""
    ranked = sorted(found.cases, key=lambda case: -case.scores[found.methods[0]].mass)
    if len(ranked) <= 3 * _EACH:
        return {"All cases": ranked}
    middle = (len(ranked) - _EACH) // 2
    return {
        "Best": ranked[:_EACH],
        "Median": ranked[middle : middle + _EACH],
        "Worst": ranked[-_EACH:],
    }


def draw_outline(image: Image.Image, mask: NDArray[np.bool_], side: int = _SIDE) -> Image.Image:
    """Scale a picture and draw the edge of a mask on it.

    Parameters
    ----------
    image
        RGB.
    mask
        ``(height, width)`` of the picture.
    side
        The longer side of the result in pixels.
    """
    factor = side / max(image.size)
    size = max(1, round(image.width * factor)), max(1, round(image.height * factor))
    shown = np.array(image.convert("RGB").resize(size, Image.Resampling.BICUBIC))
    small = np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))
    inner = small.copy()
    for axis in (0, 1):
        for step in (1, -1):
            inner &= np.roll(small, step, axis)
    shown[small & ~inner] = _OUTLINE
    return Image.fromarray(shown)


def _draw_page(
    classifier: Classifier,
    found: Localisation,
    summary: Mapping[str, Any],
    figures: Mapping[str, bytes],
    layer: str | None,
) -> str:
    patients = f" of {summary['groups']:,} patients" if summary["groups"] else ""
    words = (
        f"<p>{summary['n']:,} pictures{patients}, of which the network answers "
        f"{summary['right']:.1%} right; its layer <code>{html.escape(found.layer)}</code>. "
        "What is explained is always the true class.</p>"
    )
    parts = [_banner(classifier.card.training), words, _table(summary)]
    for name, text in _FIGURES.items():
        if name in figures:
            parts.append(drawing(figures[name], name, text))
    for title, cases in choose_cases(found).items():
        rows = "".join(_draw_case(classifier, found, case, layer) for case in cases)
        parts.append(f"<h2>{title}</h2>{rows}")
    if found.skipped:
        lines = [f"{path}: {why}" for path, why in found.skipped.items()]
        title = f"Not measured: {len(lines):,}"
        parts.append(listing(title, lines, "the output of the command"))
    return whole_page(
        f"Explanations of {found.model} against outlined tumours",
        "A map shows what an answer rests on. It is no outline of a tumour; this page says how "
        "far from one it is. Outlines are drawn in blue. Research use only.",
        "".join(parts),
        "tumorlens localise",
    )


def _banner(training: Mapping[str, Any]) -> str:
    """Say what the model's card tells of whether it has seen these patients."""
    if training.get("leaky"):
        return (
            '<div class="banner warn" role="note"><b>These pictures may have been in training.</b> '
            "The model's card says that it was trained without keeping patients apart: this page "
            "does not tell what its maps do on a patient that it has not seen.</div>"
        )
    selection = training.get("selection")
    folds = selection.get("test_folds") if isinstance(selection, dict) else None
    kept = (
        f"Its card says that it was trained without fold {', '.join(map(str, folds))[:80]} of its "
        "manifest."
        if isinstance(folds, list) and folds
        else "Its card does not tell what it was trained without."
    )
    return (
        '<div class="banner" role="note"><b>Only patients that the model has not seen count.</b> '
        f"{html.escape(kept)}</div>"
    )


def _table(summary: Mapping[str, Any]) -> str:
    keys = [*MEASURES, *(k for k in ("deletion", "insertion") if k in _first(summary))]
    head = "".join(f'<th scope="col">{MEASURES.get(key, key)}</th>' for key in keys)
    rows = []
    for name, parts in summary["methods"].items():
        row = parts["all"]
        cells = "".join(
            f"<td>{row[key]:.3f}<small>{row['intervals'][key][0]:.3f} to "
            f"{row['intervals'][key][1]:.3f}</small></td>"
            for key in keys
        )
        faint = ' class="faint"' if name in (CHANCE, CENTRE) else ""
        rows.append(f'<tr{faint}><th scope="row">{html.escape(title_of(name))}</th>{cells}</tr>')
    return (
        f'<div class="wide" tabindex="0"><table><tr><th scope="col"></th>{head}</tr>{"".join(rows)}'
        "</table></div>"
        "<p><small>Means, with 95 % intervals by bootstrap over patients. The best threshold is "
        "the one that does best on these very pictures: an upper bound. Of deletion less is "
        "better, of all others more.</small></p>"
    )


def _first(summary: Mapping[str, Any]) -> Mapping[str, Any]:
    first: Mapping[str, Any] = next(iter(summary["methods"].values()))["all"]
    return first


def _draw_case(classifier: Classifier, found: Localisation, case: Case, layer: str | None) -> str:
    pictures = []
    for i, method in enumerate(found.methods[:_METHODS_SHOWN]):
        explanation, mask = explain_case(classifier, case, method, layer)
        if i == 0:
            pictures.append(_figure(_plain(explanation.picture), mask, "the slice"))
        score = case.scores[method]
        text = f"{title_of(method)}: mass {score.mass:.1%}, {'hit' if score.pointing else 'missed'}"
        pictures.append(_figure(explanation.overlay(), mask, "flat" if score.flat else text))
    words = f"{class_name(case.label)}, answered {class_name(case.answer)}"
    if case.tumour_hidden is not None:
        painted = hide(explanation.picture, widen(mask))
        pictures.append(_figure(_plain(painted), mask, "the tumour painted over"))
        words += f"; with the tumour painted over {class_name(case.tumour_hidden.label)}"
    return (
        f'<div class="case">{"".join(pictures)}<p>{words}. Tumour {case.size:.1%}. '
        f"<small>{html.escape(case.source.name)}</small></p></div>"
    )


def _plain(picture: Slice) -> Image.Image:
    grey = display_grey(picture)
    return blend(grey, np.zeros(grey.shape, np.float32), 0)


def _figure(image: Image.Image, mask: NDArray[np.bool_], caption: str) -> str:
    shown = picture(draw_outline(image, mask), caption)
    return f"<figure>{shown}<figcaption>{html.escape(caption)}</figcaption></figure>"


def _cases_table(found: Localisation) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    head = ["image", "label", "group", "size", "answer", "probability"]
    head += ["tumour_hidden", "control_hidden"]
    names = [*found.methods, CHANCE, CENTRE]
    measures = ("pointing", "mass", "iou_fixed")
    writer.writerow([*head, *(f"{name} {measure}" for name in names for measure in measures)])
    for case in found.cases:
        hidden = [h.label if h else "" for h in (case.tumour_hidden, case.control_hidden)]
        row: list[Any] = [case.source.name, case.label, case.group, f"{case.size:.5f}", case.answer]
        row += [f"{case.probability:.5f}", *hidden]
        for name in names:
            score = case.scores[name]
            row += [f"{v:.5f}" for v in (score.pointing, score.mass, score.iou[FIXED])]
        writer.writerow(row)
    return text.getvalue()


_FIGURES: Final = {
    "localisation": "Pointing game: the map's peak lies in the outline. Mass: share of the map "
    "in the outline. A map that only beats chance, and not the centre of the head, has found "
    "where heads are and not where tumours are.",
    "by-size": "A large tumour is hit by chance more often too: compare with the dotted line.",
    "curves": "Taking pixels away makes pictures that the network never saw; read both curves "
    "together, and beside those of random cells (chance).",
    "hidden": "The tumour, with a rim, is replaced by a smooth continuation of the tissue around "
    "it; the patch elsewhere has the same shape and is filled alike.",
    "sanity": "Weights are shuffled layer by layer from the logits down. A method whose maps stay "
    "as they are shows the picture and not what the network learnt.",
    "sanity-maps": "",
}

"""A localisation as a folder: numbers, figures, and one HTML page that needs no other file."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tumorlens.data.folder import class_name
from tumorlens.evaluate.hide import hide, widen
from tumorlens.evaluate.localise import CENTRE, CHANCE, Case, Localisation, explain_case
from tumorlens.evaluate.localise_summary import summarise
from tumorlens.evaluate.map_measures import FIXED
from tumorlens.evaluate.sanity import Sanity
from tumorlens.files import new_folder, write_text
from tumorlens.images.display import display_grey
from tumorlens.images.slice import Slice
from tumorlens.report.localisation_figures import CURVES, MEASURES, draw_all, title_of
from tumorlens.report.page import interval, render

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
        write_text(folder / "cases.csv", _cases_table(found))
        page = _draw_page(classifier, found, summary, figures, layer)
        write_text(folder / "index.html", page)
        text = json.dumps(summary, indent=1, ensure_ascii=False) + "\n"
        write_text(folder / "localisation.json", text)
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
    training = classifier.card.training
    selection = training.get("selection")
    folds = selection.get("test_folds") if isinstance(selection, dict) else None
    rows = {name: parts["all"] for name, parts in summary["methods"].items()}
    first = next(iter(rows.values()))
    return render(
        "localisation",
        found=found,
        summary=summary,
        leaky=bool(training.get("leaky")),
        folds=", ".join(map(str, folds))[:80] if isinstance(folds, list) else "",
        measures={k: v for k, v in {**MEASURES, **CURVES}.items() if k in first},
        methods=[(title_of(name), name in (CHANCE, CENTRE), row) for name, row in rows.items()],
        hidden=_hidden(summary["hidden"]),
        figures=[(name, figures[name], text) for name, text in _FIGURES.items() if name in figures],
        cases={
            title: [_shown(classifier, found, case, layer) for case in cases]
            for title, cases in choose_cases(found).items()
        },
        skipped=[f"{path}: {why}" for path, why in found.skipped.items()],
    )


def _hidden(parts: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Give what stays of the right answers, by class."""
    rows = []
    for name, part in parts.items():
        if "tumour" in part:
            row = part["tumour"]
            cells = [class_name(name), f"{part['right']:,}", f"{row['stayed']:.1%}"]
            cells += [interval(row["interval"]), f"{row['elsewhere']:.1%}"]
            rows.append((*cells, interval(row["elsewhere_interval"])))
    return rows


def _shown(
    classifier: Classifier, found: Localisation, case: Case, layer: str | None
) -> tuple[list[tuple[Image.Image, str]], str, Case]:
    """Give what a case looks like: pictures with their captions, words, and the case itself."""
    pictures = []
    for i, method in enumerate(found.methods[:_METHODS_SHOWN]):
        explanation, mask = explain_case(classifier, case, method, layer)
        if i == 0:
            pictures.append((draw_outline(_plain(explanation.picture), mask), "the slice"))
        score = case.scores[method]
        hit = "hit" if score.pointing else "missed"
        text = "flat" if score.flat else f"{title_of(method)}: mass {score.mass:.1%}, {hit}"
        pictures.append((draw_outline(explanation.overlay(), mask), text))
    words = f"{class_name(case.label)}, answered {class_name(case.answer)}"
    if case.tumour_hidden is not None:
        painted = _plain(hide(explanation.picture, widen(mask)))
        pictures.append((draw_outline(painted, mask), "the tumour painted over"))
        words += f"; with the tumour painted over {class_name(case.tumour_hidden.label)}"
    return pictures, words, case


def _plain(picture: Slice) -> Image.Image:
    return Image.fromarray(display_grey(picture))


def _cases_table(found: Localisation) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    head = ["image", "label", "group", "size", "answer", "probability"]
    head += ["tumour_hidden", "control_hidden", "evidence_away"]
    names = [*found.methods, CHANCE, CENTRE]
    measures = ("pointing", "mass", "iou_fixed")
    writer.writerow([*head, *(f"{name} {measure}" for name in names for measure in measures)])
    for case in found.cases:
        hidden = [h.label if h else "" for h in (case.tumour_hidden, case.control_hidden)]
        row: list[Any] = [case.source.name, case.label, case.group, f"{case.size:.5f}", case.answer]
        away = case.tumour_hidden.away if case.tumour_hidden else None
        row += [f"{case.probability:.5f}", *hidden, "" if away is None else f"{away:.5f}"]
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

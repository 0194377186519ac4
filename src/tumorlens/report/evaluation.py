"""An evaluation as files: numbers, rows, figures, and one page that needs none of them."""

from __future__ import annotations

import csv
import html
import io
import json
from collections.abc import Callable, Sequence
from itertools import starmap
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tumorlens.evaluate.evaluation import Evaluation
from tumorlens.evaluate.metrics import Interval, Part, reliability, wilson_interval
from tumorlens.evaluate.resample import NO_TUMOUR
from tumorlens.progress import Progress, silent
from tumorlens.report.evaluation_figures import (
    draw_confusion,
    draw_parts,
    draw_precision_recall,
    draw_recall,
    draw_reliability,
    draw_roc,
)
from tumorlens.report.page import drawing, listing, table, thumbnail, whole_page
from tumorlens.report.style import class_name, figure_style, to_png

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["write_evaluation"]

_MISTAKES: Final = 12  # shown of each kind
_PARTS: Final = 12  # groups and sources shown
_FEW_UNITS: Final = 20  # below it the bootstrap's intervals are themselves uncertain
_NAMES: Final = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "mcc": "MCC",
    "auc.macro": "AUC, macro",
    "ece": "calibration error (ECE)",
    "brier": "Brier score (0 to 2)",
    "tumour_miss_rate": "tumours called no tumour",
}


def write_evaluation(found: Evaluation, folder: Path, *, progress: Progress = silent) -> None:
    """Write ``metrics.json``, ``predictions.csv``, the figures and ``report.html``.

    Parameters
    ----------
    found
        The result.
    folder
        Where to; it exists.
    progress
        Told of the figures.

    Raises
    ------
    MissingExtraError
        When Matplotlib is not installed.
    """
    text = json.dumps(found.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    (folder / "metrics.json").write_text(text, encoding="utf-8", errors="replace")
    (folder / "predictions.csv").write_text(
        _rows(found), encoding="utf-8", errors="replace", newline=""
    )
    figures = _figures(found)
    drawn = []
    for i, (name, alt, draw) in enumerate(figures):
        with figure_style():
            png = to_png(draw())
        (folder / f"{name}.png").write_bytes(png)
        drawn.append((png, alt))
        progress("drew figures", i + 1, len(figures))
    page = _page(found, drawn)
    (folder / "report.html").write_text(page, encoding="utf-8", errors="replace")


def _rows(found: Evaluation) -> str:
    """Write one row for each picture."""
    answers = found.answers
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        [
            *("path", "label", "group", "source", "predicted", "assessable"),
            *(f"p_{name}" for name in answers.classes),
            *(f"logit_{name}" for name in answers.classes),
        ]
    )
    predicted = answers.predicted
    for i, name in enumerate(answers.names):
        writer.writerow(
            [
                name,
                answers.classes[answers.labels[i]],
                answers.groups[i],
                answers.sources[i],
                answers.classes[predicted[i]],
                "true" if answers.assessable[i] else "false",
                *(f"{value:.6f}" for value in answers.probabilities[i]),
                *(f"{value:.5f}" for value in answers.logits[i]),
            ]
        )
    return text.getvalue()


def _figures(found: Evaluation) -> list[tuple[str, str, Callable[[], Figure]]]:
    """Name, text for those who do not see it, and maker of each figure."""
    summary, answers = found.summary, found.answers
    arrays = (answers.labels, answers.probabilities, summary)
    bins = reliability(answers.labels, answers.probabilities)
    figures: list[tuple[str, str, Callable[[], Figure]]] = [
        (
            "confusion_matrix",
            _alt_of_confusion(found),
            lambda: draw_confusion(summary.confusion_matrix, summary.classes),
        ),
        ("recall", _alt(found, "Recall", "recall"), lambda: draw_recall(summary)),
        ("roc", _alt(found, "ROC curves; area", "auc"), lambda: draw_roc(*arrays)),
        (
            "precision_recall",
            _alt(found, "Precision-recall curves; average precision", "average_precision"),
            lambda: draw_precision_recall(*arrays),
        ),
        (
            "reliability",
            f"Reliability diagram; expected calibration error {bins.ece:.3f}",
            lambda: draw_reliability(bins),
        ),
    ]
    sources = _most(found.by_source())
    if len(sources) > 1:
        figures.append(
            (
                "sources",
                _alt_of_parts("Accuracy by source", sources),
                lambda: draw_parts(
                    "Accuracy by source", "Lines: 95 % (Wilson). The largest sources.", sources
                ),
            )
        )
    worst = _worst(found.by_group())
    if worst:
        figures.append(
            (
                "worst_groups",
                _alt_of_parts("Groups with the most mistakes", worst),
                lambda: draw_parts(
                    "Groups with the most mistakes",
                    "Patients or clusters of look-alikes. Lines: 95 % (Wilson).",
                    worst,
                ),
            )
        )
    return figures


def _most(parts: dict[str, Part]) -> dict[str, Part]:
    """Keep the largest parts."""
    return dict(sorted(parts.items(), key=lambda item: (-item[1].n, item[0]))[:_PARTS])


def _worst(parts: dict[str, Part]) -> dict[str, Part]:
    """Keep the parts with the most mistakes, if there are any."""
    wrong = [item for item in parts.items() if item[1].right < item[1].n]
    return dict(sorted(wrong, key=lambda item: (item[1].right - item[1].n, item[0]))[:_PARTS])


def _page(found: Evaluation, drawn: Sequence[tuple[bytes, str]]) -> str:
    body = "".join(
        (
            _banner(found),
            _tiles(found),
            _numbers(found),
            _classes(found),
            "<h2>Figures</h2>",
            f'<div class="drawings">{"".join(starmap(drawing, drawn))}</div>',
            _mistakes(found),
            _breakdown(found),
            _trust(found),
            _unreadable(found),
            _record(found),
        )
    )
    return whole_page(
        f"Evaluation of {found.card.id} on {found.data.name}",
        f"{_count(found.summary.n, 'picture')} with a known answer. Research use only: not a "
        "medical device.",
        body,
        "tumorlens evaluate",
    )


def _banner(found: Evaluation) -> str:
    leak = found.leak
    title, style = {
        True: ("Leaky: these figures are too good", "banner warn"),
        False: ("Unseen patients", "banner"),
        None: ("Not known whether this leaks", "banner"),
    }[leak.leaky]
    more = (
        " They do not tell how the model does on a patient that it has not seen."
        if leak.leaky
        else ""
    )
    return (
        f'<div class="{style}" role="note"><b>{title}.</b> {html.escape(leak.reason)}{more}</div>'
    )


def _tiles(found: Evaluation) -> str:
    names = ("accuracy", "mcc", "auc.macro", "macro_f1", "tumour_miss_rate", "ece")
    summary = found.summary
    tiles = "".join(
        f"<li><b>{_number(summary.figures[name])}</b> {_NAMES[name]}"
        f"<br><small>{_interval(summary.intervals.get(name))}</small></li>"
        for name in names
    )
    return f'<ul class="tiles">{tiles}</ul>'


def _numbers(found: Evaluation) -> str:
    summary = found.summary
    rows = [
        (
            text,
            _number(summary.figures[name]),
            _interval(summary.intervals.get(name)),
            _interval(summary.wilson.get(name)),
        )
        for name, text in _NAMES.items()
    ]
    head = ("figure", "value", "95 %, resampled", "95 %, Wilson")
    return f"<h2>The numbers</h2>{_about_intervals(found)}{table(head, rows)}{_reasons(found)}"


def _about_intervals(found: Evaluation) -> str:
    summary, grouped = found.summary, found.grouped
    if not summary.resamples:
        return "<p>Nothing was resampled, as asked.</p>"
    if not grouped:
        text = (
            f"<b>The intervals are too narrow.</b> {summary.resamples:,} resamples of single "
            "pictures: which pictures show one patient is not known here, and pictures of one "
            "patient are alike. A manifest (<code>tumorlens data manifest</code>) brings groups."
        )
        return f'<p class="banner warn">{text}</p>'
    text = f"{summary.resamples:,} resamples of {summary.units:,} groups (patients, or clusters of "
    text += "look-alike pictures): what to expect with other patients of this kind."
    if grouped < summary.n:
        text += (
            f" {_count(summary.n - grouped, 'picture')} without a group stand for themselves, "
            "which makes the intervals too narrow."
        )
    if summary.units < _FEW_UNITS:
        text += f" With only {summary.units} groups they are rough."
    text += (
        " Wilson's intervals hold if pictures were independent: look at them where nothing went "
        "wrong, since resampling cannot see mistakes that did not happen."
    )
    return f"<p>{text}</p>"


def _reasons(found: Evaluation) -> str:
    reasons = found.summary.undefined
    if not reasons:
        return ""
    lines = [f"{name}: {why}" for name, why in reasons.items()]
    return listing(f"not defined: {len(lines)}", lines, "metrics.json")


def _classes(found: Evaluation) -> str:
    summary, figures = found.summary, found.summary.figures
    rows = [
        (
            class_name(name),
            f"{summary.support[name]:,}",
            _number(figures[f"precision.{name}"]),
            _number(figures[f"f1.{name}"]),
            _number(figures[f"auc.{name}"]),
            _number(figures[f"average_precision.{name}"]),
            _number(figures[f"recall.{name}"]),
            _interval(summary.intervals.get(f"recall.{name}")),
            _interval(summary.wilson[f"recall.{name}"]),
        )
        for name in summary.classes
    ]
    measures = ("precision", "F1", "AUC", "AP", "recall")
    head = ("class", "pictures", *measures, "95 %, resampled", "95 %, Wilson")
    return f"<h2>Each class</h2>{table(head, rows)}"


def _mistakes(found: Evaluation) -> str:
    answers, predicted = found.answers, found.answers.predicted
    wrong = np.flatnonzero(predicted != answers.labels)
    worst = wrong[np.argsort(-answers.probabilities[wrong].max(axis=1), kind="stable")]
    none = answers.classes.index(NO_TUMOUR) if NO_TUMOUR in answers.classes else -1
    missed = worst[predicted[worst] == none]
    others = worst[predicted[worst] != none]
    if not worst.size:
        return "<h2>Mistakes</h2><p>None.</p>"
    return "".join(
        _gallery(found, title, text, rows)
        for title, text, rows in (
            ("Tumours called no tumour", "The mistakes that matter most.", missed),
            ("Other mistakes", "One class taken for another.", others),
        )
        if rows.size
    )


def _gallery(found: Evaluation, title: str, text: str, rows: Any) -> str:
    shown = "".join(_mistake(found, int(i)) for i in rows[:_MISTAKES])
    some = f", the {_MISTAKES} surest of them shown" if rows.size > _MISTAKES else ", surest first"
    return (
        f"<h2>{title}</h2><p>{text} {_count(rows.size, 'picture')}{some}; all are in "
        f'<code>predictions.csv</code>.</p><div class="pairs">{shown}</div>'
    )


def _mistake(found: Evaluation, i: int) -> str:
    answers = found.answers
    true, answer = (
        class_name(answers.classes[c]) for c in (answers.labels[i], answers.predicted[i])
    )
    confidence = answers.probabilities[i].max()
    name = html.escape(answers.names[i])
    group = f"<br>group {html.escape(answers.groups[i])}" if answers.groups[i] else ""
    doubt = "" if answers.assessable[i] else "<br>not assessable"
    picture = thumbnail(found.data.root / answers.names[i], f"{true}, called {answer}")
    return (
        f"<figure><div>{picture}</div><div><p><b>{html.escape(answer)}</b> "
        f"({100 * confidence:.1f}&nbsp;%)"
        f"<br>in truth {html.escape(true)}{doubt}</p><p><small>{name}{group}</small></p></div>"
        "</figure>"
    )


def _breakdown(found: Evaluation) -> str:
    parts = []
    head = ("name", "pictures", "accuracy", "95 %, Wilson", "tumours missed")
    sources = found.by_source()
    if len(sources) > 1:
        parts.append(f"<h2>Each source</h2>{table(head, _part_rows(_most(sources)))}")
    groups = found.by_group()
    if groups:
        worst = _worst(groups)
        spotless = sum(part.right == part.n for part in groups.values())
        parts.append(
            f"<h2>Groups with the most mistakes</h2><p>{spotless:,} of {len(groups):,} groups are "
            "without a mistake; all are in <code>metrics.json</code>.</p>"
            + (table(head, _part_rows(worst)) if worst else "")
        )
    return "".join(parts)


def _part_rows(parts: dict[str, Part]) -> list[tuple[str, ...]]:
    return [
        (
            name,
            f"{part.n:,}",
            _number(part.accuracy),
            _interval(wilson_interval(part.right, part.n)),
            f"{part.missed:,} of {part.tumours:,}" if part.tumours else "–",
        )
        for name, part in parts.items()
    ]


def _trust(found: Evaluation) -> str:
    sets, accepted = found.prediction_sets, found.accepted
    rows = [
        (
            name,
            _number(row["coverage"]),
            _interval(row.get("intervals", {}).get("coverage")),
            _number(row["mean_size"], 2),
            _interval(row.get("intervals", {}).get("mean_size")),
        )
        for name, row in (
            *((class_name(name), row) for name, row in sets["per_class"].items()),
            ("all", sets),
        )
    ]
    how = (
        f"Every class that is probable enough, by thresholds calibrated for "
        f"{100 * sets['level']:.0f} %"
        if sets["calibrated"]
        else f"The most probable classes that together reach {100 * sets['level']:.0f} %; the "
        "model is not calibrated, and they promise nothing"
    )
    doubtful = found.summary.n - accepted["n"]
    head = ("true class", "coverage", "95 %, resampled", "mean size", "95 %, resampled")
    return (
        "<h2>Prediction sets, and pictures that cannot be assessed</h2>"
        f"<p>{how}: how often the truth is among them, and how many they are.</p>"
        f"{table(head, rows)}"
        f"<p>Assessable: {_number(accepted['share'])} {_interval(accepted['interval'])} of the "
        f"pictures. Called not assessable: {doubtful:,} of {found.summary.n:,}. They count in all "
        "figures above.</p>"
    )


def _unreadable(found: Evaluation) -> str:
    lines = [f"{name}: {why}" for name, why in found.answers.unreadable]
    if not lines:
        return ""
    title = f"Left out, since they cannot be read: {len(lines):,}"
    return f"<h2>Files</h2>{listing(title, lines, 'metrics.json')}"


def _record(found: Evaluation) -> str:
    values = found.to_dict()
    data, origin = values["data"], found.data.origin
    folds = ", ".join(map(str, origin.get("folds") or ())) or "all"
    rows = [
        ("model", f"{found.card.id} ({found.card.network}, {found.card.precision})"),
        ("its limits", found.card.limitations or "none named in its card"),
        ("data", f"{data['name']} ({data['kind']})"),
        ("split, folds", f"{origin.get('split') or 'all'}, {folds}"),
        ("hash of the files", data["files_sha256"]),
        ("hash of the manifest", origin.get("manifest_sha256") or "no manifest"),
        ("files of the published set", f"{data['of_published_set']:,}"),
        ("labels put right", f"{data['relabelled']:,}"),
        ("seed", str(found.seed)),
        ("versions", ", ".join(f"{name} {text}" for name, text in values["versions"].items())),
    ]
    return f"<h2>What was measured</h2>{table(('', ''), rows, 'words wrap')}"


def _alt_of_confusion(found: Evaluation) -> str:
    classes, matrix = found.summary.classes, found.summary.confusion_matrix
    rows = (
        f"{class_name(name)}: "
        + ", ".join(
            f"{count} {class_name(other)}"
            for other, count in zip(classes, row, strict=True)
            if count
        )
        for name, row in zip(classes, matrix.tolist(), strict=True)
    )
    return "Confusion matrix. True class: predicted. " + "; ".join(rows)


def _alt(found: Evaluation, title: str, measure: str) -> str:
    figures = found.summary.figures
    values = (
        f"{class_name(name)} {_number(figures[f'{measure}.{name}'])}"
        for name in found.summary.classes
    )
    return f"{title}: {', '.join(values)}"


def _alt_of_parts(title: str, parts: dict[str, Part]) -> str:
    texts = (f"{name} {part.right} of {part.n}" for name, part in parts.items())
    return f"{title}: {', '.join(texts)}"


def _number(value: float | None, digits: int = 4) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _interval(ends: Interval | None) -> str:
    return "–" if ends is None else f"({ends[0]:.3f} to {ends[1]:.3f})"


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")

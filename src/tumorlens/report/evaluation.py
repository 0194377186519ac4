"""An evaluation as files: numbers, rows, figures, and one page that needs none of them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tumorlens.data.folder import class_name
from tumorlens.evaluate.evaluation import Evaluation, Measured
from tumorlens.evaluate.intervals import wilson_interval
from tumorlens.evaluate.metrics import reliability
from tumorlens.evaluate.parts import Part
from tumorlens.evaluate.resample import NO_TUMOUR
from tumorlens.evaluate.volumes import VolumeScores
from tumorlens.files import write_text
from tumorlens.progress import Progress, silent
from tumorlens.report import evaluation_figures as figures
from tumorlens.report.page import interval, number, render
from tumorlens.report.style import figure_style, to_png
from tumorlens.report.volumes import (
    VOLUME_COLUMNS,
    describe_volumes,
    volume_rows,
    write_volumes,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["write_evaluation", "write_measured"]

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
_MEASURES: Final = {"auc": "AUC", "ap": "AP", "f1": "F1"}
_TILES: Final = ("accuracy", "mcc", "auc.macro", "macro_f1", "tumour_miss_rate", "ece")

_Rows = list[tuple[str, ...]]


def write_measured(found: Measured, folder: Path, *, progress: Progress = silent) -> None:
    """Write what a set of pictures, volumes or both is measured by; see `write_evaluation`."""
    if found.pictures is not None:
        more: dict[str, Any] = {"volumes": found.volumes, "notes": found.notes}
        write_evaluation(found.pictures, folder, **more, progress=progress)
    elif found.volumes is not None:
        write_volumes(found, found.volumes, folder)


def write_evaluation(
    found: Evaluation,
    folder: Path,
    *,
    volumes: VolumeScores | None = None,
    notes: Sequence[str] = (),
    progress: Progress = silent,
) -> None:
    """Write ``metrics.json``, ``predictions.csv``, the figures and ``report.html``.

    Parameters
    ----------
    found
        The result.
    folder
        Where to; it exists.
    volumes
        Those of the same set, for a table of their own.
    notes
        What was left out of the set.
    progress
        Told of the figures.

    Raises
    ------
    MissingExtraError
        When Matplotlib or Jinja is not installed.
    """
    values = found.to_dict()
    if notes:
        values["notes"] = list(notes)
    if volumes is not None:
        values["volumes"] = volumes.to_dict()
    text = json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_text(folder / "metrics.json", text)
    write_text(folder / "predictions.csv", _predictions(found, volumes))
    sources, groups = _largest(found.by_source()), found.by_group()
    worst = _worst(groups)
    makers = _figures(found, sources, worst)
    drawn = []
    for i, (name, alt, draw) in enumerate(makers):
        with figure_style():
            png = to_png(draw())
        (folder / f"{name}.png").write_bytes(png)
        drawn.append((name, alt, png))
        progress("drew figures", i + 1, len(makers))
    page = render(
        "evaluation",
        found=found,
        figures=drawn,
        few_units=_FEW_UNITS,
        tiles=_tiles(found),
        numbers=_numbers(found),
        undefined=[f"{_title(name)}: {why}" for name, why in found.summary.undefined.items()],
        classes=_classes(found),
        mistakes=list(_mistakes(found)),
        sources=_parts(sources),
        groups=len(groups),
        spotless=sum(part.right == part.n for part in groups.values()),
        worst=_parts(worst),
        sets=_sets(found),
        unreadable=[f"{name}: {why}" for name, why in found.answers.unreadable],
        notes=notes,
        record=_record(found),
        volumes=None if volumes is None else describe_volumes(volumes, folder),
    )
    write_text(folder / "report.html", page)


def _predictions(found: Evaluation, volumes: VolumeScores | None) -> str:
    """Write one row for each picture, and then one for each volume."""
    answers, classes = found.answers, found.answers.classes
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    head = ["path", "label", "group", "source", "predicted", "assessable"]
    columns = [f"{kind}_{name}" for kind in ("p", "logit") for name in classes]
    writer.writerow([*head, *columns, *(VOLUME_COLUMNS if volumes else ())])
    none = [""] * len(VOLUME_COLUMNS) if volumes else []
    for i, name in enumerate(answers.names):
        true, answer = classes[answers.labels[i]], classes[answers.predicted[i]]
        assessable = "true" if answers.assessable[i] else "false"
        row = [name, true, answers.groups[i], answers.sources[i], answer, assessable]
        row += [f"{value:.6f}" for value in answers.probabilities[i]]
        writer.writerow([*row, *(f"{value:.5f}" for value in answers.logits[i]), *none])
    if volumes is not None:
        writer.writerows(volume_rows(volumes, classes))
    return text.getvalue()


def _figures(
    found: Evaluation, sources: dict[str, Part], worst: dict[str, Part]
) -> list[tuple[str, str, Callable[[], Figure]]]:
    """Name, text for those who do not see it, and maker of each figure."""
    summary, answers = found.summary, found.answers
    arrays = (answers.labels, answers.probabilities, summary)
    bins = reliability(answers.labels, answers.probabilities)
    makers: list[tuple[str, str, Callable[[], Figure]]] = [
        (
            "confusion_matrix",
            _alt_of_confusion(found),
            lambda: figures.draw_confusion(summary.confusion_matrix, summary.classes),
        ),
        ("recall", _alt(found, "Recall", "recall"), lambda: figures.draw_recall(summary)),
        ("roc", _alt(found, "ROC curves; area", "auc"), lambda: figures.draw_roc(*arrays)),
        (
            "precision_recall",
            _alt(found, "Precision-recall curves; average precision", "average_precision"),
            lambda: figures.draw_precision_recall(*arrays),
        ),
        (
            "reliability",
            f"Reliability diagram; expected calibration error {bins.ece:.3f}",
            lambda: figures.draw_reliability(bins),
        ),
    ]
    for name, title, subtitle, some, least in (
        ("sources", "Accuracy by source", "The largest sources.", sources, 2),
        ("worst_groups", "Groups with the most mistakes", "Patients or clusters.", worst, 1),
    ):
        if len(some) >= least:
            words = f"{subtitle} Lines: 95 % (Wilson)."
            alt = ", ".join(f"{key} {part.right} of {part.n}" for key, part in some.items())
            draw = lambda t=title, w=words, s=some: figures.draw_parts(t, w, s)  # noqa: E731
            makers.append((name, f"{title}: {alt}", draw))
    return makers


def _largest(parts: dict[str, Part]) -> dict[str, Part]:
    return dict(sorted(parts.items(), key=lambda item: (-item[1].n, item[0]))[:_PARTS])


def _worst(parts: dict[str, Part]) -> dict[str, Part]:
    """Keep the parts with the most mistakes, if there are any."""
    wrong = [item for item in parts.items() if item[1].right < item[1].n]
    return dict(sorted(wrong, key=lambda item: (item[1].right - item[1].n, item[0]))[:_PARTS])


def _tiles(found: Evaluation) -> _Rows:
    summary = found.summary
    return [
        (number(summary.figures[name]), _NAMES[name], interval(summary.intervals.get(name)))
        for name in _TILES
    ]


def _numbers(found: Evaluation) -> _Rows:
    summary = found.summary
    tables = summary.intervals, summary.wilson
    return [
        (text, number(summary.figures[name]), *(interval(table.get(name)) for table in tables))
        for name, text in _NAMES.items()
    ]


def _classes(found: Evaluation) -> _Rows:
    summary = found.summary
    measures = ("precision", "f1", "auc", "average_precision", "recall")
    return [
        (
            class_name(label),
            f"{summary.support[label]:,}",
            *(number(summary.figures[f"{measure}.{label}"]) for measure in measures),
            interval(summary.intervals.get(f"recall.{label}")),
            interval(summary.wilson[f"recall.{label}"]),
        )
        for label in summary.classes
    ]


def _mistakes(found: Evaluation) -> Iterable[tuple[str, str, list[dict[str, Any]], int]]:
    """Give both kinds of mistakes, surest first: title, words, those shown, how many."""
    answers, predicted = found.answers, found.answers.predicted
    wrong = np.flatnonzero(predicted != answers.labels)
    worst = wrong[np.argsort(-answers.probabilities[wrong].max(axis=1), kind="stable")]
    none = answers.classes.index(NO_TUMOUR) if NO_TUMOUR in answers.classes else -1
    for title, text, rows in (
        (
            "Tumours called no tumour",
            "The mistakes that matter most.",
            worst[predicted[worst] == none],
        ),
        ("Other mistakes", "One class taken for another.", worst[predicted[worst] != none]),
    ):
        yield title, text, [_mistake(found, i) for i in rows[:_MISTAKES].tolist()], rows.size


def _mistake(found: Evaluation, i: int) -> dict[str, Any]:
    answers = found.answers
    return {
        "path": found.data.root / answers.names[i],
        "name": answers.names[i],
        "group": answers.groups[i],
        "true": class_name(answers.classes[answers.labels[i]]),
        "answer": class_name(answers.classes[answers.predicted[i]]),
        "confidence": float(answers.probabilities[i].max()),
        "assessable": bool(answers.assessable[i]),
    }


def _parts(parts: dict[str, Part]) -> _Rows:
    return [
        (
            name,
            f"{part.n:,}",
            number(part.accuracy),
            interval(wilson_interval(part.right, part.n)),
            f"{part.missed:,} of {part.tumours:,}" if part.tumours else "–",
        )
        for name, part in parts.items()
    ]


def _sets(found: Evaluation) -> _Rows:
    sets = found.prediction_sets
    rows = []
    for name, row in (*sets["per_class"].items(), ("all", sets)):
        cells = [class_name(name)]
        for measure, digits in (("coverage", 4), ("mean_size", 2), ("one_class", 4)):
            cells.append(number(row[measure], digits))
            cells.append(interval(row.get("intervals", {}).get(measure)))
        rows.append(tuple(cells))
    return rows


def _record(found: Evaluation) -> _Rows:
    values = found.to_dict()
    data, origin = values["data"], found.data.origin
    folds = ", ".join(map(str, origin.get("folds") or ())) or "all"
    return [
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


def _title(name: str) -> str:
    """Name a figure of ``metrics.json`` as people write it: ``"recall of no tumour"``."""
    measure, _, of = name.removeprefix("intervals.").partition(".")
    plain = _MEASURES.get(measure, measure.replace("_", " "))
    title = _NAMES.get(name.removeprefix("intervals."), plain)
    title += f" of {class_name(of)}" if of not in ("", "macro") else ""
    return f"interval of {title}" if name.startswith("intervals.") else title


def _alt_of_confusion(found: Evaluation) -> str:
    names = [class_name(label) for label in found.summary.classes]
    rows = (
        f"{name}: " + ", ".join(f"{n} {other}" for other, n in zip(names, row, strict=True) if n)
        for name, row in zip(names, found.summary.confusion_matrix.tolist(), strict=True)
    )
    return "Confusion matrix. True class: predicted. " + "; ".join(rows)


def _alt(found: Evaluation, title: str, measure: str) -> str:
    figures = found.summary.figures
    values = (
        f"{class_name(name)} {number(figures[f'{measure}.{name}'])}"
        for name in found.summary.classes
    )
    return f"{title}: {', '.join(values)}"

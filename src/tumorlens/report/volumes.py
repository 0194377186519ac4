"""The part of an evaluation that is about whole volumes: its table, its figure, its rows."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tumorlens.data.folder import class_name
from tumorlens.evaluate.evaluation import Measured
from tumorlens.evaluate.metrics import Summary
from tumorlens.evaluate.scans import Scan
from tumorlens.evaluate.volumes import FIGURES, VolumeScores
from tumorlens.files import write_text
from tumorlens.report.evaluation_figures import draw_confusion
from tumorlens.report.page import interval, number, render
from tumorlens.report.style import figure_style, to_png

__all__ = ["NAME", "VOLUME_COLUMNS", "describe_volumes", "volume_rows", "write_volumes"]

NAME: Final = "volume_confusion_matrix"
"""Of the figure, without its ending."""

VOLUME_COLUMNS: Final = ("slices", "suspect", "first")
"""What ``predictions.csv`` has beside the columns of pictures where there are volumes."""

_SHOWN: Final = 20  # mistakes
_FEW: Final = 20  # volumes; below it the intervals are themselves uncertain
_TITLES: Final = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "mcc": "MCC",
    "tumour_miss_rate": "tumours called no tumour",
}


def write_volumes(found: Measured, volumes: VolumeScores, folder: Path) -> None:
    """Write the report of a set that holds volumes alone; see `write_evaluation`."""
    text = json.dumps(found.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_text(folder / "metrics.json", text)
    write_text(folder / "predictions.csv", _table(found, volumes))
    described = describe_volumes(volumes, folder)
    answers = found.answers
    page = render(
        "volumes",
        found=found,
        volumes=described,
        unreadable=[f"{name}: {why}" for name, why in answers.unreadable],
        notes=found.notes,
        record=_record(found),
    )
    write_text(folder / "report.html", page)


def describe_volumes(volumes: VolumeScores, folder: Path) -> dict[str, Any]:
    """Prepare what a page shows of volumes, and write their confusion matrix as a figure."""
    summary = volumes.summary
    wrong = [s for s in volumes.scans if s.answer.label not in (None, s.label)]
    wrong.sort(key=lambda scan: -(scan.answer.confidence or 0))
    png = None
    if summary is not None:
        with figure_style():
            png = to_png(draw_confusion(summary.confusion_matrix, summary.classes))
        (folder / f"{NAME}.png").write_bytes(png)
    return {
        "scores": volumes,
        "n": len(volumes.scans),
        "silent": [_place(s) for s in volumes.scans if s.answer.label is None],
        "few": _FEW,
        "numbers": _numbers(volumes),
        "undefined": [f"{x}: {why}" for x, why in volumes.to_dict()["undefined"].items()],
        "classes": [] if summary is None else _classes(summary),
        "wrong": [_mistake(scan) for scan in wrong[:_SHOWN]],
        "mistakes": len(wrong),
        "png": png,
        "alt": _alt(summary),
    }


def volume_rows(volumes: VolumeScores, classes: Sequence[str]) -> list[list[str]]:
    """Write one row for each volume, in the columns of ``predictions.csv``."""
    rows = []
    for scan in volumes.scans:
        answer = scan.answer
        row = [scan.name, scan.label, "", "", answer.label or ""]
        row.append("false" if answer.label is None else "true")
        row += [
            f"{answer.probabilities[name]:.6f}" if name in answer.probabilities else ""
            for name in classes
        ]
        rows.append([*row, *[""] * len(classes), str(answer.slices), answer.suspect or ""])
        rows[-1].append(scan.first)
    return rows


def _table(found: Measured, volumes: VolumeScores) -> str:
    classes = found.answers.classes
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = [f"{kind}_{name}" for kind in ("p", "logit") for name in classes]
    head = ["path", "label", "group", "source", "predicted", "assessable"]
    writer.writerow([*head, *columns, *VOLUME_COLUMNS])
    writer.writerows(volume_rows(volumes, classes))
    return text.getvalue()


def _numbers(volumes: VolumeScores) -> list[tuple[str, ...]]:
    n, summary = len(volumes.scans), volumes.summary
    rows: list[tuple[str, ...]] = [
        ("volumes", f"{n:,}", "–", "–"),
        ("with an answer", f"{volumes.answered:,}", "–", "–"),
    ]
    if summary is not None:
        rows += [
            (
                _TITLES[name],
                number(summary.figures[name]),
                interval(summary.intervals.get(name)),
                interval(summary.wilson.get(name)),
            )
            for name in FIGURES
        ]
    if volumes.answered < n:
        rows.append(("accuracy, no answer counted as wrong", number(volumes.right / n), "–", "–"))
    rows.append(("not assessable", f"{n - volumes.answered:,}", "–", "–"))
    rows.append(("undecided", f"{volumes.undecided:,}", "–", "–"))
    return rows


def _classes(summary: Summary) -> list[tuple[str, ...]]:
    return [
        (
            class_name(label),
            f"{summary.support[label]:,}",
            *(number(summary.figures[f"{x}.{label}"]) for x in ("precision", "f1", "recall")),
            interval(summary.intervals.get(f"recall.{label}")),
            interval(summary.wilson[f"recall.{label}"]),
        )
        for label in summary.classes
    ]


def _mistake(scan: Scan) -> tuple[str, ...]:
    answer, suspect = scan.answer, scan.answer.suspect
    said = class_name(answer.label or "")
    if suspect is not None:
        said += f", undecided ({class_name(suspect)})"
    counted = f"{answer.assessable} of {answer.slices}"
    return _place(scan), class_name(scan.label), said, number(answer.confidence, 3), counted


def _place(scan: Scan) -> str:
    return f"{scan.name} (from {scan.first})" if scan.first else scan.name


def _alt(summary: Summary | None) -> str:
    if summary is None:
        return ""
    names = [class_name(label) for label in summary.classes]
    rows = (
        f"{name}: " + ", ".join(f"{n} {other}" for other, n in zip(names, row, strict=True) if n)
        for name, row in zip(names, summary.confusion_matrix.tolist(), strict=True)
    )
    return "Confusion matrix of volumes. True class: predicted. " + "; ".join(rows)


def _record(found: Measured) -> list[tuple[str, str]]:
    values = found.to_dict()
    return [
        ("model", f"{found.card.id} ({found.card.network}, {found.card.precision})"),
        ("its limits", found.card.limitations or "none named in its card"),
        ("data", f"{found.data.name} ({found.data.origin['kind']})"),
        ("split", str(found.data.origin.get("split") or "all")),
        ("hash of the files", found.answers.sha256),
        ("seed", str(found.seed)),
        ("versions", ", ".join(f"{name} {text}" for name, text in values["versions"].items())),
    ]

"""The case report: pictures and volumes with their answers, maps and limits, as HTML or PDF."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Literal, TypeAlias

from tumorlens.errors import MissingExtraError, OutputError
from tumorlens.explain.explainer import Explainable, Question
from tumorlens.extras import installed, require
from tumorlens.files import check_new_file, write_whole
from tumorlens.prediction import say_percent
from tumorlens.progress import Progress, silent
from tumorlens.report import case_words as words
from tumorlens.report.case_entries import Entry, Looked, Source, look_at
from tumorlens.report.page import count, render
from tumorlens.untrusted import printable
from tumorlens.versions import versions_of

__all__ = ["MOST", "CaseReport", "Form", "form_of", "make_case", "write_case"]

Form: TypeAlias = Literal["html", "pdf"]

MOST: Final = 100
"""Pictures and volumes that a report shows, if not told otherwise: as many as a person reads."""

_GRADCAM: Final = Question()


@dataclass(frozen=True, slots=True)
class CaseReport:
    """A report that was made.

    Parameters
    ----------
    content
        The page, as UTF-8, or the PDF.
    shown
        Pictures and volumes in it.
    unread
        Files and slices that could not be read; the report names them.
    left_out
        Files and volumes that were not looked at, for the report was full; it says so.
    """

    content: bytes
    shown: int
    unread: int
    left_out: int


def write_case(
    sources: Iterable[Source],
    path: str | os.PathLike[str],
    *,
    classifier: Explainable,
    question: Question = _GRADCAM,
    most: int = MOST,
    progress: Progress = silent,
) -> CaseReport:
    """Answer for pictures and volumes, and write the report: whole, or not at all.

    Parameters
    ----------
    sources
        Paths of files, volumes (`tumorlens.sources.series.find_units` gives both), lists of
        slices, failures.
    path
        Ends in ``.html`` or ``.pdf``. What was there before is replaced.
    classifier
        The model.
    question
        What the maps explain; Grad-CAM of the most probable class if not given.
    most
        Pictures and volumes to show. The report says how many files come after them.
    progress
        Told of what is done; what it raises ends the work.

    Raises
    ------
    OutputError
        When `path` ends otherwise, or cannot be written.
    MissingExtraError
        When what makes pages (Jinja) or PDF (ReportLab) is not installed.
    ValueError
        When there is no such method, layer or class.
    """
    form = form_of(path)
    check_new_file(path)
    made = make_case(
        sources, form, classifier=classifier, question=question, most=most, progress=progress
    )
    write_whole(path, made.content)
    return made


def form_of(path: str | os.PathLike[str]) -> Form:
    """Tell the form of a report by its name, and see that it can be made.

    Raises
    ------
    OutputError
        When the name ends otherwise.
    MissingExtraError
        When what makes it is not installed.
    """
    ending = Path(path).suffix.lower()
    if ending == ".pdf":
        require("jinja2", "a report", "report")
        require("reportlab", "a report as PDF", "report")
        if not installed("matplotlib"):  # whose font it is set in
            raise MissingExtraError("a report as PDF", "report")
        return "pdf"
    if ending in (".html", ".htm"):
        require("jinja2", "a report", "report")
        return "html"
    raise OutputError(f"cannot write {path}: a report is .html or .pdf; name it so")


def make_case(
    sources: Iterable[Source],
    form: Form,
    *,
    classifier: Explainable,
    question: Question = _GRADCAM,
    most: int = MOST,
    progress: Progress = silent,
    made: datetime | None = None,
) -> CaseReport:
    """Make the report in memory; `write_case` has the parameters.

    Parameters
    ----------
    sources, classifier, question, most, progress
        As `write_case` takes them.
    form
        ``"html"`` or ``"pdf"``.
    made
        When; now if not given.
    """
    question.check(classifier)
    looked = look_at(sources, classifier, question, most=most, progress=progress)
    card = classifier.card
    parts = {
        "title": "Case report",
        "counts": _counts(looked),
        "model": card.id,
        "made": words.day(made or datetime.now().astimezone()),
        "versions": ", ".join(map(" ".join, versions_of(("tumorlens", "onnxruntime")).items())),
        "entries": looked.entries,
        "rows": [_row(i, entry) for i, entry in enumerate(looked.entries, 1)],
        "failures": [
            (printable(f.path), f"{f.error.found}; {f.error.hint}") for f in looked.failures
        ],
        "left_out": _left_out(looked),
        "limits": words.limits(card),
        "reading": words.how_to_read(card, volumes=any(e.bar for e in looked.entries)),
    }
    if form == "pdf":
        from tumorlens.report.case_pdf import draw_pdf  # noqa: PLC0415  # needs ReportLab

        content = draw_pdf(parts)
    else:
        content = render("case", **parts).encode("utf-8", "replace")
    return CaseReport(content, len(looked.entries), len(looked.failures), looked.left_out)


def _counts(looked: Looked) -> str:
    """Say how much there is."""
    volumes = sum(entry.bar is not None for entry in looked.entries)
    pictures = len(looked.entries) - volumes
    doubtful = sum(entry.reason is not None for entry in looked.entries)
    parts = [count(pictures, "picture")] if pictures or not volumes else []
    parts += [count(volumes, "volume")] if volumes else []
    text = " and ".join(parts)
    text += f", {doubtful:,} of them not assessable" if doubtful else ""
    unread = len(looked.failures)
    return text + (f"; {count(unread, 'file')} could not be read" if unread else "")


def _row(number: int, entry: Entry) -> tuple[int, str, str, str]:
    """Give a row of the table at the top."""
    sure = "" if entry.confidence is None else say_percent(entry.confidence)
    return number, printable(entry.name), entry.answer, sure


def _left_out(looked: Looked) -> str:
    """Say what the report is not about."""
    if not looked.left_out:
        return ""
    return (
        f"The report shows the first {len(looked.entries):,}. "
        f"{count(looked.left_out, 'more file')} or frames come after them and were not looked at; "
        "a larger --most shows them, and tumorlens predict --csv answers for any number."
    )

"""The case report of rows, as a page or a PDF."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tumorlens.apps.session.results import Noted, Saved
from tumorlens.apps.session.rows import Row

if TYPE_CHECKING:
    from tumorlens.apps.session.worker import Report
    from tumorlens.classifier import Classifier
    from tumorlens.report.case_entries import Source

__all__ = ["write_report"]


def write_report(classifier: Classifier, rows: Sequence[Row], path: str, report: Report) -> None:
    """Write the report of the rows' files and volumes, and say how far it is."""
    from tumorlens.report.case import write_case  # noqa: PLC0415

    def progress(stage: str, done: int, total: int, note: str = "") -> None:  # noqa: ARG001
        report(Noted(f"writing the report: {done} of {total}" if total else "writing the report"))

    made = write_case(_sources(rows), path, classifier=classifier, progress=progress)
    entries = "1 entry" if made.shown == 1 else f"{made.shown} entries"
    report(Saved(f"the report, {entries}", path))


def _sources(rows: Sequence[Row]) -> list[Source]:
    """Name what the rows are of, each file once."""
    found: dict[object, Source] = {}
    for row in rows:
        if row.stack is not None:
            found[row.stack.source] = row.stack.source
        elif row.picture is not None:
            found[row.id] = [row.picture]
        elif row.path is not None:
            found[row.path] = row.path
    return list(found.values())

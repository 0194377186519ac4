"""The case report of rows, as a page or a PDF."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tumorlens.apps.session.results import Noted, Saved
from tumorlens.apps.session.rows import Row
from tumorlens.apps.session.zipped import beside_scans

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
    unread = f", {made.unread} could not be read" if made.unread else ""
    left_out = f", {made.left_out} left out" if made.left_out else ""
    report(Saved(f"the report, {entries}{unread}{left_out}", path))


def _sources(rows: Sequence[Row]) -> Iterator[Source]:
    """Name what the rows are of, each file once; the scans of an archive have rows of their own."""
    seen: set[object] = set()
    for row in rows:
        source = row.stack.source if row.stack else row.id if row.picture else row.path
        if source is None or source in seen:
            continue
        seen.add(source)
        if row.stack is not None:
            yield row.stack.source
        elif row.picture is not None:
            yield [row.picture]
        else:
            yield from beside_scans(str(row.path))

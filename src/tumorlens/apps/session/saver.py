"""What goes out: the overlay, a record, the list, and a record that can be dragged."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING

from tumorlens.apps.session import jobs
from tumorlens.apps.session.reporting import write_report
from tumorlens.apps.session.results import Packed
from tumorlens.apps.session.rows import Row, RowList, to_csv
from tumorlens.apps.session.slice_view import SliceView
from tumorlens.apps.session.words import slice_name
from tumorlens.apps.session.worker import Worker

if TYPE_CHECKING:
    from tumorlens.explain.explanation import Explanation

__all__ = ["Saver"]


class Saver:
    """Saves in a thread of its own.

    Parameters
    ----------
    results
        Where it says what was saved; `remember` takes back what can be dragged.
    view, selected
        What is shown, and of which row.
    tell
        Called with what keeps it from saving.
    """

    def __init__(
        self,
        results: SimpleQueue[object],
        view: SliceView,
        selected: Callable[[], Row | None],
        tell: Callable[[str], None],
    ) -> None:
        self._view = view
        self._selected = selected
        self._tell = tell
        self._worker = Worker("saver", results)
        self._reporter = Worker("report", results)  # which may take long
        self._dragging: tempfile.TemporaryDirectory[str] | None = None
        self._packing: Explanation | None = None
        self._packed: Packed | None = None

    def save_overlay(self, path: str) -> None:
        """Save the overlay as it is shown, as PNG."""
        if shown := self._shown():
            view = self._view
            job = partial(jobs.save_overlay, shown[0], view.look, view.strength, path)
            self._worker.do(partial(job, contour=view.contour))

    def save_record(self, folder: str) -> None:
        """Save map, overlay and manifest in a new folder below `folder`."""
        if shown := self._shown():
            self._worker.do(partial(jobs.save_record, shown[0], folder, slice_name(shown[1])))

    def save_table(self, rows: RowList, classes: tuple[str, ...], path: str) -> None:
        """Save the list as CSV."""
        self._worker.do(partial(jobs.save_table, to_csv(rows, classes), len(rows), path))

    def save_report(self, rows: Sequence[Row], path: str) -> None:
        """Write the case report of rows, as the path ends: ``.html`` or ``.pdf``."""
        classifier = self._view.classifier
        if classifier is None or not rows:
            self._tell("nothing to report yet: select rows, and wait until the model is loaded")
            return
        self._reporter.do(partial(write_report, classifier, rows, path))

    def prepare_drag(self) -> None:
        """Write the record of what is shown where it can be dragged from."""
        explanation, row = self._view.explanation, self._selected()
        if explanation is None or row is None or explanation is self._packing:
            return
        self._packing = explanation
        if self._dragging is None:  # a folder for nobody else's eyes
            self._dragging = tempfile.TemporaryDirectory(
                prefix="tumorlens-", ignore_cleanup_errors=True
            )
        self._worker.do(partial(jobs.pack, explanation, self._dragging.name, slice_name(row)))

    def remember(self, result: Packed) -> None:
        """Take note of a record that can be dragged."""
        self._packed = result

    @property
    def dragged(self) -> str | None:
        """The record of what is shown, once it can be dragged."""
        packed = self._packed
        return packed.where if packed and packed.explanation is self._view.explanation else None

    def finish(self, timeout: float) -> bool:
        """Save what waits, take away what was to be dragged; say whether it is done."""
        self._reporter.close(0)
        done = self._worker.finish(timeout) and self._reporter.close(timeout)
        if self._dragging is not None:
            self._dragging.cleanup()
        return done

    def _shown(self) -> tuple[Explanation, Row] | None:
        explanation, row = self._view.explanation, self._selected()
        if explanation is not None and row is not None:
            return explanation, row
        self._tell("nothing to save yet: select a slice and wait for its overlay")
        return None

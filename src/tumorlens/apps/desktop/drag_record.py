"""The record of what is shown, in a folder that it can be dragged from."""

from __future__ import annotations

import shutil
import tempfile
from functools import partial
from typing import TYPE_CHECKING

from tumorlens.apps.desktop import jobs
from tumorlens.apps.desktop.results import Packed

if TYPE_CHECKING:
    from tumorlens.apps.desktop.worker import Worker
    from tumorlens.explain.explanation import Explanation

__all__ = ["DragRecord"]


class DragRecord:
    """Writes a record before it is dragged, and takes it away in the end.

    Parameters
    ----------
    saver
        What writes.
    """

    def __init__(self, saver: Worker) -> None:
        self._saver = saver
        self._folder: str | None = None
        self._packing: Explanation | None = None
        self._packed: Packed | None = None

    def prepare(self, explanation: Explanation, name: str) -> None:
        """Write the record, unless it is there or being written."""
        if explanation is self._packing:
            return
        if self._folder is None:
            self._folder = tempfile.mkdtemp(prefix="tumorlens-")  # for nobody else's eyes
        self._packing = explanation
        self._saver.do(partial(jobs.pack, explanation, self._folder, name))

    def remember(self, result: Packed) -> None:
        """Take note of a record that is there."""
        self._packed = result

    def where(self, explanation: Explanation | None) -> str | None:
        """Give the record's folder, once it is there."""
        packed = self._packed
        return packed.where if packed and packed.explanation is explanation else None

    def delete(self) -> None:
        """Delete all that was written for dragging."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

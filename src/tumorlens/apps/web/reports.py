"""The case report of what was sent: made in memory, one at a time, given up when nobody waits."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final, get_args

import numpy as np
from numpy.typing import NDArray
from starlette.responses import Response

from tumorlens.apps.web.problems import Problem
from tumorlens.apps.web.scans import Scan, Unread
from tumorlens.errors import MissingExtraError, UnreadableImageError
from tumorlens.images.volume import Volume
from tumorlens.report.case import Form, form_of, make_case
from tumorlens.sources.failure import Failure

if TYPE_CHECKING:
    from tumorlens.classifier import Classifier
    from tumorlens.explain.explainer import Question
    from tumorlens.report.case_entries import Source

__all__ = ["FORMS", "Reporter", "as_download", "forms_here", "read_form"]

FORMS: Final[tuple[Form, ...]] = get_args(Form)
_WAITING: Final = 4  # reports that may wait
_KINDS: Final = {"html": "text/html; charset=utf-8", "pdf": "application/pdf"}


class Reporter:
    """Makes reports, one at a time, so that answers do not wait behind them.

    Parameters
    ----------
    classifier
        The model.
    """

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        self._thread = ThreadPoolExecutor(1, "reports")
        self._waiting = 0

    async def make(self, scans: Sequence[Scan | Unread], form: Form, question: Question) -> bytes:
        """Make a report.

        Raises
        ------
        Problem
            503 when too many wait already.
        """
        if self._waiting > _WAITING:
            raise Problem(503, "too many reports are asked for at once", retry_after=30)
        with self._counted() as left:
            sources = [_source(scan) for scan in scans]
            work = partial(
                make_case,
                sources,
                form,
                classifier=self._classifier,
                question=question,
                progress=left,
            )
            loop = asyncio.get_running_loop()
            return (await loop.run_in_executor(self._thread, work)).content

    async def close(self) -> None:
        """Finish what is at work, and end."""
        await asyncio.to_thread(self._thread.shutdown)

    @contextmanager
    def _counted(self) -> Iterator[_Left]:
        """Count who waits; whoever goes away leaves no work behind."""
        left = _Left()
        self._waiting += 1
        try:
            yield left
        finally:
            self._waiting -= 1
            left.gone.set()


class _Left:
    """A `Progress` that ends the work when nobody waits for it."""

    def __init__(self) -> None:
        self.gone = threading.Event()

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        del stage, done, total, note
        if self.gone.is_set():
            raise Problem(503, "nobody waits for this report", retry_after=1)


def read_form(name: str) -> Form:
    """Tell the form that is asked for.

    Raises
    ------
    Problem
        422 when there is none such, or it cannot be made here.
    """
    for form in FORMS:
        if form == name:
            try:
                return form_of(f"report.{form}")
            except MissingExtraError as error:
                raise Problem(422, f"this service makes no {form}: {error}") from error
    raise Problem(422, f"there is no format {name!r}; there are {', '.join(FORMS)}")


def forms_here() -> list[Form]:
    """List the forms that can be made here."""
    found: list[Form] = []
    for form in FORMS:
        try:
            found.append(read_form(form))
        except Problem:
            continue
    return found


def as_download(content: bytes, form: Form) -> Response:
    """Give a report as a file to keep: no browser shows it as a page of this service."""
    headers = {"Content-Disposition": f'attachment; filename="tumorlens-report.{form}"'}
    return Response(content, headers=headers, media_type=_KINDS[form])


def _source(scan: Scan | Unread) -> Source:
    """Name slices by what the client calls them, and by nothing else."""
    name = scan.name or "scan"
    if isinstance(scan, Unread):
        found, _, hint = scan.problem.detail.removeprefix(f"{name}: ").rpartition("; ")
        return Failure(name, UnreadableImageError(name, found or "not read", hint))
    if not isinstance(scan.slices, Volume):
        return [replace(picture, path=name) for picture in scan.slices]
    read = scan.slices.pixels

    def pixels(i: int) -> NDArray[np.float32]:
        try:
            return read(i)
        except UnreadableImageError as error:
            where = f"{name}, slice {i + 1}"
            raise UnreadableImageError(where, error.found, error.hint) from error

    return replace(scan.slices, path=name, paths=(), pixels=pixels)

"""The case report of what was sent: made in memory, one at a time, given up when nobody waits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final, get_args

import numpy as np
from numpy.typing import NDArray
from starlette.responses import Response

from tumorlens.apps.web.problems import Problem
from tumorlens.apps.web.scans import Scan, Unread
from tumorlens.apps.web.waiting import Waiting, in_thread
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

        def work(waiting: Waiting) -> bytes:
            def watch(stage: str, done: int, total: int, note: str = "") -> None:  # noqa: ARG001
                waiting.check()

            return make_case(
                [_source(scan, waiting) for scan in scans],
                form,
                classifier=self._classifier,
                question=question,
                progress=watch,
            ).content

        with self._counted():
            return await in_thread(self._thread, work)

    async def close(self) -> None:
        """Finish what is at work, and end."""
        await asyncio.to_thread(self._thread.shutdown)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Count who waits."""
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1


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


def _source(scan: Scan | Unread, waiting: Waiting) -> Source:
    """Name slices by what the client calls them alone, and read them while somebody waits."""
    name = scan.name or "scan"
    if isinstance(scan, Unread):
        found, _, hint = scan.problem.detail.removeprefix(f"{name}: ").rpartition("; ")
        return Failure(name, UnreadableImageError(name, found or "not read", hint))
    if not isinstance(scan.slices, Volume):
        return [replace(picture, path=name) for picture in scan.slices]
    read = scan.slices.pixels

    def pixels(i: int) -> NDArray[np.float32]:
        waiting.check()
        try:
            return read(i)
        except UnreadableImageError as error:
            where = f"{name}, slice {i + 1}"
            raise UnreadableImageError(where, error.found, error.hint) from error

    return replace(scan.slices, path=name, paths=(), pixels=pixels)

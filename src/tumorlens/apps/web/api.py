"""The service: classify and explain what is sent, and say how it is."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tumorlens.apps.web import metrics, openapi
from tumorlens.apps.web.batching import BATCH, Batcher
from tumorlens.apps.web.intake import Upload, receive
from tumorlens.apps.web.limits import Admission, Hold, Memory, WebLimits
from tumorlens.apps.web.problems import Problem
from tumorlens.apps.web.reports import Reporter, as_download, read_form
from tumorlens.apps.web.scans import Scan, Unread, open_scans
from tumorlens.apps.web.waiting import Waiting, in_thread, while_waited_for
from tumorlens.data.folder import class_named
from tumorlens.errors import UnreadableImageError
from tumorlens.explain.explainer import Question
from tumorlens.explain.scan import answer_volume, slim
from tumorlens.images.volume import Volume

if TYPE_CHECKING:
    from tumorlens.classifier import Classifier
    from tumorlens.explain.explanation import Explanation
    from tumorlens.images.prepare import Prepared
    from tumorlens.images.slice import Slice
    from tumorlens.prediction import Prediction
    from tumorlens.sources.stream import Answered
    from tumorlens.volume_answer import VolumeAnswer

__all__ = ["Service", "read_question"]

_P = ParamSpec("_P")
_T = TypeVar("_T")

_FORMATS: Final = ("json", "png", "npy")
_READERS: Final = 2  # threads that read files


class Service:
    """What page and service ask: a model, its queue, and what they may hold.

    Parameters
    ----------
    classifier
        The model.
    limits
        What is too much.
    """

    def __init__(self, classifier: Classifier, limits: WebLimits) -> None:
        self.classifier = classifier
        self.limits = limits
        self.memory = Memory(limits.held_bytes)
        self.admission = Admission(limits)
        self.metrics = metrics.Metrics(
            lambda: self.batcher.waiting,
            lambda: self.admission.count,
            lambda: self.memory.used,
        )
        self.batcher = Batcher(classifier, self.metrics.batch)
        self.reporter = Reporter(classifier)
        self._reading = ThreadPoolExecutor(_READERS, "reading")

    # From start to end

    def start(self) -> None:
        """Begin to answer; a loop must run."""
        self.batcher.start()

    async def close(self) -> None:
        """Take nothing more, finish what is at work, and end."""
        self.admission.closed = True
        await self.batcher.close()
        await self.reporter.close()
        await asyncio.to_thread(self._reading.shutdown)

    # What page and service share

    async def read(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Do work on files in a thread, from start to end."""
        return await in_thread(self._reading, lambda _: work(*args, **kwargs))

    @contextmanager
    def entered(self, request: Request) -> Iterator[Hold]:
        """Let a request in for the time of the block, and count what it holds."""
        with self.admission.enter(_client(request)), self.memory.hold() as hold:
            yield hold

    async def explained(self, request: Request, picture: Slice, question: Question) -> Explanation:
        """Explain a slice, or give up in time, or when the client has left."""
        async with _within(self.limits):
            explained = await while_waited_for(request, self.batcher.explain(picture, question))
        told = replace(explained.prediction, path=picture.path, slice=picture.index)
        return replace(explained, prediction=told)

    async def reported(self, request: Request, scans: Sequence[Scan | Unread]) -> Response:
        """Make the report that a request asks for, or give up as `explained` does."""
        question = read_question(self.classifier, request)
        form = read_form(request.query_params.get("format", "html"))
        async with _within(self.limits):
            made = await while_waited_for(request, self.reporter.make(scans, form, question))
            return as_download(made, form)

    async def scans(self, request: Request, hold: Hold) -> list[Scan | Unread]:
        """Take the files of a request and open them while its client waits."""
        uploads: Sequence[Upload] = await receive(request, hold, self.limits)

        def work(waiting: Waiting) -> list[Scan | Unread]:
            return open_scans(uploads, self.limits, waiting.check)

        return await while_waited_for(request, in_thread(self._reading, work))

    async def answers(self, scan: Scan) -> AsyncIterator[Prediction | Problem | VolumeAnswer]:
        """Classify the slices of a scan, in order, a few in memory at a time; then a volume."""
        count = len(scan.slices)
        rows: list[Answered] = []
        for start in range(0, count, BATCH):
            numbers = range(start, min(start + BATCH, count))
            taken = await in_thread(self._reading, partial(self._prepare, scan, numbers))
            pictures = [pair for pair in taken if not isinstance(pair, Problem)]
            answers = await self.batcher.predict(*zip(*pictures, strict=True)) if pictures else []
            rest = iter(answers)
            for number, pair in zip(numbers, taken, strict=True):
                if isinstance(pair, Problem):
                    yield pair
                else:
                    answer = replace(next(rest), path=scan.name, slice=number)
                    rows.append(slim((answer, pair[1])))
                    yield answer
        if isinstance(scan.slices, Volume) and scan.is_volume:
            found = await self.read(answer_volume, self.classifier, scan.slices, rows)
            first = None if found.first is None else scan.name  # it has a name of ours
            yield replace(found, path=scan.name, first=first)

    def _prepare(
        self, scan: Scan, numbers: Sequence[int], waiting: Waiting
    ) -> list[tuple[Slice, Prepared] | Problem]:
        """Read slices and make of them what the network takes, while somebody waits."""
        taken: list[tuple[Slice, Prepared] | Problem] = []
        for number in numbers:
            waiting.check()
            try:
                picture = scan.slices[number]
            except UnreadableImageError as error:
                where = scan.name or "the file"
                which = f"slice {number + 1} of {len(scan.slices)}"  # as page and report count
                detail = f"{where}, {which}: {error.found}; {error.hint}"
                taken.append(Problem(422, detail))
            else:
                taken.append((picture, self.classifier.card.input.prepare(picture)))
        return taken

    # Routes

    async def predict(self, request: Request) -> Response:
        """Classify every slice and volume of what is sent."""
        _check_names(request, ())
        with self.entered(request) as hold:
            scans = await self.scans(request, hold)
            if len(scans) == 1 and isinstance(scans[0], Unread):
                raise scans[0].problem
            async with _within(self.limits):
                return JSONResponse(await while_waited_for(request, self._all_answers(scans)))

    async def _all_answers(self, scans: Sequence[Scan | Unread]) -> dict[str, Any]:
        found: list[dict[str, Any]] = []
        for scan in scans:
            if isinstance(scan, Unread):
                found.append(_failure(scan.name, scan.problem))
                continue
            async for answer in self.answers(scan):
                if isinstance(answer, Problem):
                    found.append(_failure(scan.name, answer))
                else:
                    found.append(answer.to_dict())
        return {"model": self.classifier.card.id, "answers": found}

    async def explain(self, request: Request) -> Response:
        """Show where in one slice the evidence lies."""
        _check_names(request, ("method", "target", "versus", "slice", "format"))
        question = read_question(self.classifier, request)
        form = request.query_params.get("format", "json")
        if form not in _FORMATS:
            raise Problem(422, f"there is no format {form!r}; there are {', '.join(_FORMATS)}")
        with self.entered(request) as hold:
            scans = await self.scans(request, hold)
            picture = await self.read(self._only, scans, request)
            return await self.read(_written, await self.explained(request, picture, question), form)

    async def report(self, request: Request) -> Response:
        """Write what the model says of all that is sent as one page or PDF."""
        _check_names(request, ("method", "target", "versus", "format"))
        read_form(request.query_params.get("format", "html"))  # before anything is read
        with self.entered(request) as hold:
            scans = await self.scans(request, hold)
            if len(scans) == 1 and isinstance(scans[0], Unread):
                raise scans[0].problem
            return await self.reported(request, scans)

    def _only(self, scans: Sequence[Scan | Unread], request: Request) -> Slice:
        """Find the one slice that is meant."""
        if len(scans) != 1:
            raise Problem(422, f"{len(scans)} scans; send one, and name its slice")
        scan = scans[0]
        if isinstance(scan, Unread):
            raise scan.problem
        count, asked = len(scan.slices), request.query_params.get("slice")
        if asked is None and count > 1:
            raise Problem(422, f"it holds {count} slices; name one, from slice=0")
        number = int(asked) if asked and asked.isdecimal() and len(asked) < 9 else -1
        if asked is not None and not 0 <= number < count:
            raise Problem(422, f"there is no slice {asked!r}; there are 0 to {count - 1}")
        try:
            return replace(scan.slices[max(number, 0)], path=scan.name)
        except UnreadableImageError as error:
            raise Problem(422, f"the slice: {error.found}; {error.hint}") from error

    async def healthz(self, request: Request) -> Response:
        """Say that the process is alive."""
        del request
        return JSONResponse({"status": "ok"})

    async def readyz(self, request: Request) -> Response:
        """Say whether a request would be answered now."""
        del request
        if self.admission.closed or self.admission.count >= self.limits.requests:
            raise Problem(503, "no request is taken now", retry_after=1)
        return JSONResponse({"status": "ready", "model": self.classifier.card.id})

    async def prometheus(self, request: Request) -> Response:
        """Give the counters."""
        del request
        return Response(self.metrics.text(), media_type=metrics.MEDIA_TYPE)

    async def description(self, request: Request) -> Response:
        """Give the service's own description."""
        del request
        return JSONResponse(openapi.describe(self.classifier, self.limits))


def read_question(classifier: Classifier, request: Request) -> Question:
    """Read what an explanation is asked for.

    Raises
    ------
    Problem
        422 when there is no such method or class.
    """
    asked = request.query_params
    method = asked.get("method", "gradcam")
    target, versus = (_class(classifier, asked.get(name)) for name in ("target", "versus"))
    question = Question(method, None, target, versus)
    try:
        question.check(classifier)
    except ValueError as error:
        raise Problem(422, str(error)) from error
    return question


def _class(classifier: Classifier, name: str | None) -> str | None:
    """Understand a class as people write it."""
    if not name or name in classifier.card.classes:
        return name or None
    return class_named(name) or name


def _check_names(request: Request, known: Sequence[str]) -> None:
    """Refuse what is misspelt rather than pass over it."""
    for name in request.query_params:
        if name not in known:
            some = f"there are {', '.join(known)}" if known else "there are none"
            raise Problem(422, f"there is no parameter {name!r}; {some}")
    if len(request.query_params.multi_items()) > len(request.query_params):
        raise Problem(422, "a parameter is given twice")


def _client(request: Request) -> str:
    return request.client.host if request.client else ""


class _within:  # noqa: N801  # reads as a word
    """Give up what takes too long."""

    def __init__(self, limits: WebLimits) -> None:
        self._timeout = asyncio.timeout(limits.answer_seconds)

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(self, *error: object) -> None:
        try:
            await self._timeout.__aexit__(*error)  # type: ignore[arg-type]
        except TimeoutError:
            raise Problem(503, "the answer took too long", retry_after=30) from None


def _failure(name: str | None, problem: Problem) -> dict[str, Any]:
    error = {"type": UnreadableImageError.__name__, "message": problem.detail}
    return {"path": name, "error": error}


def _written(explained: Explanation, form: str) -> Response:
    """Write an explanation down."""
    picture, array = io.BytesIO(), io.BytesIO()
    if form in ("json", "png"):
        explained.figure().save(picture, "PNG")
    if form == "png":
        return Response(picture.getvalue(), media_type="image/png")
    np.save(array, explained.map, allow_pickle=False)
    if form == "npy":
        return Response(array.getvalue(), media_type="application/octet-stream")
    return JSONResponse(
        {
            "record": explained.manifest(),
            "overlay_png": base64.b64encode(picture.getvalue()).decode(),
            "map_npy": base64.b64encode(array.getvalue()).decode(),
        }
    )

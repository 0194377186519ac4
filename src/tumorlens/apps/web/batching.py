"""Many requests, one pass: slices that wait go through the network together.

No request waits for others to come: while one batch is computed the next one gathers. Methods
that need many passes have a lane of their own, so that answers do not wait behind them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tumorlens.apps.web.problems import Problem
from tumorlens.explain.cam import METHODS
from tumorlens.explain.explainer import Question, explain_slices

if TYPE_CHECKING:
    from tumorlens.classifier import Classifier
    from tumorlens.explain.explanation import Explanation
    from tumorlens.images.prepare import Prepared
    from tumorlens.images.slice import Slice
    from tumorlens.prediction import Prediction

__all__ = ["BATCH", "Batcher", "is_slow"]

BATCH: Final = 16
"""Slices that go through the network together at most."""

_SLOW_WAITING: Final = 4  # explanations of many passes that may wait


def is_slow(method: str) -> bool:
    """Say whether a method asks the network hundreds of times."""
    return METHODS[method].formula is None


@dataclass(slots=True, eq=False)
class _Job:
    """A slice that waits for its answer (no question) or its explanation."""

    question: Question | None
    picture: Slice
    prepared: Prepared | None
    done: asyncio.Future[Any]


class Batcher:
    """Answers and explains slices of many requests.

    Parameters
    ----------
    classifier
        The model.
    count
        Told how many slices went through the network together.
    """

    def __init__(self, classifier: Classifier, count: Callable[[int], object]) -> None:
        self._classifier = classifier
        self._fast = _Lane(self._compute, count)
        self._slow = _Lane(self._compute, count)
        self._ending = False

    def start(self) -> None:
        """Begin; a loop must run."""
        self._fast.start()
        self._slow.start()

    async def close(self) -> None:
        """Do what waits, give up what takes long, and end."""
        self._ending = True
        await self._slow.close()
        await self._fast.close()

    @property
    def waiting(self) -> int:
        """How many slices wait."""
        return self._fast.waiting + self._slow.waiting

    async def predict(
        self, pictures: Sequence[Slice], prepared: Sequence[Prepared]
    ) -> list[Prediction]:
        """Classify slices that are prepared."""
        jobs = [self._job(None, *pair) for pair in zip(pictures, prepared, strict=True)]
        return await self._fast.do(jobs)

    async def explain(self, picture: Slice, question: Question) -> Explanation:
        """Explain a slice at the last layer.

        Raises
        ------
        Problem
            503 when too many explanations of many passes wait, or the service ends.
        """
        lane = self._slow if is_slow(question.method) else self._fast
        if lane is self._slow and lane.waiting >= _SLOW_WAITING:
            title = METHODS[question.method].title
            detail = f"too many wait for {title}, which takes many passes; Grad-CAM takes one"
            raise Problem(503, detail, retry_after=30)
        explained: list[Explanation] = await lane.do([self._job(question, picture, None)])
        return explained[0]

    def _job(self, question: Question | None, picture: Slice, prepared: Prepared | None) -> _Job:
        done = asyncio.get_running_loop().create_future()
        return _Job(question, picture, prepared, done)

    def _compute(self, jobs: list[_Job]) -> list[Any]:
        """Ask the model about slices with the same question, in a thread."""
        pictures = [job.picture for job in jobs]
        question = jobs[0].question
        if question is None:
            prepared = [job.prepared for job in jobs if job.prepared is not None]
            return self._classifier.predict_prepared(pictures, prepared)

        def watch(*_: object, **__: object) -> None:
            if self._ending or all(job.done.cancelled() for job in jobs):  # nobody waits for it
                raise Problem(503, "the service is ending", retry_after=30)

        return list(explain_slices(self._classifier, pictures, question, progress=watch))


class _Lane:
    """Jobs in the order they come, those with one question together, one batch at a time."""

    def __init__(
        self, compute: Callable[[list[_Job]], list[Any]], count: Callable[[int], object]
    ) -> None:
        self.jobs: deque[_Job] = deque()
        self._compute = compute
        self._count = count
        self._come = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "network")
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many jobs somebody waits for."""
        return sum(not job.done.cancelled() for job in self.jobs)

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        while self.jobs:
            await asyncio.sleep(0.01)
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await asyncio.to_thread(self._thread.shutdown)

    async def do(self, jobs: list[_Job]) -> list[Any]:
        self.jobs.extend(jobs)
        self._come.set()
        return list(await asyncio.gather(*(job.done for job in jobs)))

    async def _run(self) -> None:
        while True:
            await self._come.wait()
            self._come.clear()
            while batch := self._take():
                await self._answer(batch)

    def _take(self) -> list[_Job]:
        """Take the oldest job and those with the same question; drop what nobody waits for."""
        batch: list[_Job] = []
        others: deque[_Job] = deque()
        while self.jobs and len(batch) < BATCH:
            job = self.jobs.popleft()
            if job.done.cancelled():
                continue
            if batch and job.question != batch[0].question:
                others.append(job)
            else:
                batch.append(job)
        self.jobs.extendleft(reversed(others))
        return batch

    async def _answer(self, batch: list[_Job]) -> None:
        self._count(len(batch))
        computing = asyncio.get_running_loop().run_in_executor(self._thread, self._compute, batch)
        await asyncio.wait([computing])
        error = computing.exception()
        results = [None] * len(batch) if error else computing.result()
        for job, result in zip(batch, results, strict=True):
            if job.done.done():
                continue
            if error:
                job.done.set_exception(error)
            else:
                job.done.set_result(result)

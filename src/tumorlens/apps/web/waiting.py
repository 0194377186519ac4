"""Work for a client that may leave: whoever goes on to another slice waits for this one no more."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar

from starlette.requests import Request

from tumorlens.apps.web.problems import Problem

__all__ = ["Waiting", "in_thread", "while_waited_for"]

_T = TypeVar("_T")


class Waiting:
    """Tells work in a thread whether somebody waits for it still."""

    def __init__(self) -> None:
        self._gone = threading.Event()

    def leave(self) -> None:
        """Say that nobody waits any longer."""
        self._gone.set()

    def check(self) -> None:
        """Go on only if somebody waits.

        Raises
        ------
        Problem
            503 when nobody does, which nobody reads.
        """
        if self._gone.is_set():
            raise Problem(503, "nobody waits for this answer", retry_after=1)


async def in_thread(executor: Executor, work: Callable[[Waiting], _T]) -> _T:
    """Do work in a thread.

    Parameters
    ----------
    executor
        Has the thread.
    work
        Is dropped before it starts when whoever awaits it is cancelled; once it runs it has to
        ask `Waiting.check` between two steps.
    """
    waiting = Waiting()
    try:
        return await asyncio.get_running_loop().run_in_executor(executor, work, waiting)
    finally:
        waiting.leave()


async def while_waited_for(request: Request, work: Coroutine[Any, Any, _T]) -> _T:
    """Do work as long as the client of a request waits for it.

    Parameters
    ----------
    request
        Whose body was read.
    work
        Cancelled when the client has left.

    Raises
    ------
    Problem
        503 when it has, which nobody reads.
    """
    working, leaving = asyncio.create_task(work), asyncio.create_task(_left(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Problem(503, "nobody waits for this answer", retry_after=1)
        return working.result()
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.wait({working, leaving})


async def _left(request: Request) -> None:
    """Return when the client has left."""
    while (await request.receive())["type"] != "http.disconnect":
        continue

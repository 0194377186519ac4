"""Work for a client that may leave: whoever goes on to another slice waits for this one no more."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import Request

from tumorlens.apps.web.problems import Problem

__all__ = ["while_waited_for"]

_T = TypeVar("_T")


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

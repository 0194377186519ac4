"""Work done ahead of its use, in order, bounded by the bytes that wait."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

__all__ = ["ahead"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_AT_FIRST: Final = 2  # at once while nobody knows how large results are


def ahead(
    pool: ThreadPoolExecutor,
    work: Callable[[_Item], _Result],
    items: Iterable[_Item],
    *,
    size: Callable[[_Result], int],
    budget: int,
    most: int,
) -> Iterator[_Result]:
    """Work in threads ahead of the use, and give results in order.

    Parameters
    ----------
    pool
        Does the work.
    work
        Makes a result of an item.
    items
        Taken when there is room for their results.
    size
        Bytes of a result.
    budget
        Bytes of results that may wait. What is being worked on counts as the largest result
        of late. One result may always wait, however large.
    most
        Results that may wait.

    Yields
    ------
    object
        The results.
    """
    waiting: deque[Future[_Result]] = deque()
    largest = 0
    coming = iter(items)
    done = False
    try:
        while True:
            while not done and _has_room(waiting, size, budget, most, largest):
                try:
                    waiting.append(pool.submit(work, next(coming)))
                except StopIteration:
                    done = True
            if not waiting:
                return
            result = waiting.popleft().result()
            largest = max(size(result), largest // 2)  # one large file slows not all after it
            yield result
            del result  # not held beside the next
    finally:
        for future in waiting:  # the caller may have stopped halfway
            future.cancel()


def _has_room(
    waiting: deque[Future[_Result]],
    size: Callable[[_Result], int],
    budget: int,
    most: int,
    largest: int,
) -> bool:
    """Say whether one more result may wait."""
    if len(waiting) >= (most if largest else _AT_FIRST):
        return False
    known = [f for f in waiting if f.done() and not f.cancelled() and f.exception() is None]
    bytes_known = sum(size(future.result()) for future in known)
    coming = (len(waiting) - len(known) + 1) * largest
    return not waiting or bytes_known + coming <= budget

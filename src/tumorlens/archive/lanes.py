"""Files to answers over all cores, in order.

Each core is a lane: a thread that reads a few files, prepares them and runs the network on them,
one after the other, on a network that uses one thread. Reading in one lane overlaps with the
network in another, and no core waits for the slowest part of a picture.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Final, NamedTuple, TypeAlias

from tumorlens.images.slice import Slice
from tumorlens.prediction import Prediction, Predictor
from tumorlens.sources.failure import Failure, read_or_fail

__all__ = ["Answered", "Place", "answer_in_lanes", "answer_read", "answer_some"]

_AHEAD: Final = 3  # portions in each lane's hands or waiting for it


class Place(NamedTuple):
    """A file, and which of the paths that were given it was found by.

    Parameters
    ----------
    root
        Which one, from 0.
    path
        The file.
    """

    root: int
    path: str


@dataclass(frozen=True, slots=True)
class Answered:
    """A file and all that is said of it.

    Parameters
    ----------
    place
        The file.
    results
        One a slice, or what was wrong with the file.
    """

    place: Place
    results: tuple[Prediction | Failure, ...]


_Answer: TypeAlias = Callable[[list[Place]], list[Answered]]


def answer_in_lanes(
    answer: _Answer, places: Iterable[Place], *, lanes: int, portion: int
) -> Iterator[Answered]:
    """Answer files in several threads, with few of them in memory.

    Parameters
    ----------
    answer
        Answers a few files, in order; it is called in several threads at once.
    places
        Files; taken a little ahead of their use.
    lanes
        How many threads.
    portion
        How many files are answered together.

    Yields
    ------
    Answered
        One a file, in order.
    """
    waiting: deque[Future[list[Answered]]] = deque()
    files = iter(places)
    with ThreadPoolExecutor(lanes, thread_name_prefix="lane") as pool:
        try:
            while some := list(islice(files, portion)):
                waiting.append(pool.submit(answer, some))
                if len(waiting) >= lanes * _AHEAD:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            for future in waiting:  # the caller may have stopped halfway
                future.cancel()


def answer_some(classifier: Predictor, places: Iterable[Place], batch: int) -> list[Answered]:
    """Answer a few files: read and prepare them all, then run the network on batches of slices."""
    return answer_read(classifier, [(x, read_or_fail(x.path)) for x in places], batch)


def answer_read(
    classifier: Predictor, read: Sequence[tuple[Place, list[Slice | Failure]]], batch: int
) -> list[Answered]:
    """Answer for files that are read already."""
    slices = [x for _, found in read for x in found if not isinstance(x, Failure)]
    answers: list[Prediction] = []
    for start in range(0, len(slices), batch):
        some = slices[start : start + batch]
        prepared = [classifier.card.input.prepare(picture) for picture in some]
        answers += classifier.predict_prepared(some, prepared)
    rest = iter(answers)
    return [
        Answered(place, tuple(x if isinstance(x, Failure) else next(rest) for x in found))
        for place, found in read
    ]

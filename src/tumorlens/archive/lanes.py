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

from tumorlens.archive.maps import Maps
from tumorlens.errors import UnreadableImageError
from tumorlens.explain.explainer import Explainable
from tumorlens.explain.scan import predict_scans
from tumorlens.images.slice import Slice
from tumorlens.images.volume import Volume
from tumorlens.prediction import Prediction
from tumorlens.sources.failure import Failure, parts_or_fail
from tumorlens.sources.series import find_units
from tumorlens.volume_answer import VolumeAnswer

__all__ = [
    "Answered", "Opened", "Part", "Place", "Result",
    "answer_in_lanes", "answer_some", "listed_or_parts", "open_place",
]  # fmt: skip

_AHEAD: Final = 3  # portions in each lane's hands or waiting for it


Result: TypeAlias = Prediction | Failure | VolumeAnswer
"""What a row says: of a slice, of what could not be read, or of a volume."""


Part: TypeAlias = Sequence[Slice] | Failure
"""A volume, the pictures of a file, or what was wrong with it."""

Opened: TypeAlias = list[Slice | Failure] | Iterator[Part]
"""Pictures that are read, or parts with volumes among them, which are read slice by slice."""


class Place(NamedTuple):
    """A file, or the files of a series, and which of the paths that were given it was found by.

    Parameters
    ----------
    root
        Which one, from 0.
    path
        The file; of several the last, behind which the work goes on.
    files
        All of them in order, where they are answered together.
    """

    root: int
    path: str
    files: tuple[str, ...] = ()


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
    results: tuple[Result, ...]

    @property
    def failed(self) -> int:
        """How many files, or members of an archive, could not be read."""
        return len({x.path for x in self.results if isinstance(x, Failure)})


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


def answer_some(
    classifier: Explainable,
    places: Iterable[Place],
    batch: int,
    maps: Maps | None = None,
    *,
    opened: Callable[[Place], Opened] | None = None,
) -> list[Answered]:
    """Answer a few files: read and prepare them all, then run the network on batches of slices.

    A volume is answered by itself, slice after slice, and then as a whole; so is a DICOM series.

    Parameters
    ----------
    classifier
        The model.
    places
        Files and series.
    batch
        Slices that go through the network together.
    maps
        Where to put maps, or ``None`` for none.
    opened
        Opens a file or a series; `open_place` when ``None``.
    """
    read = [(place, (opened or open_place)(place)) for place in places]
    plain = [(x, found) for x, found in read if isinstance(found, list)]
    answered = iter(_answer_read(classifier, plain, batch, maps))
    done = []
    for place, found in read:
        if isinstance(found, list):
            done.append(next(answered))
        else:
            done.append(Answered(place, tuple(_scans(classifier, place, found, batch, maps))))
    return done


def open_place(place: Place) -> Opened:
    """Open a file or the files of a series, which lie on this machine."""
    if place.files:
        return (
            part
            for unit in find_units(place.files)
            for part in (parts_or_fail(unit) if isinstance(unit, str) else [unit])
        )
    return listed_or_parts(parts_or_fail(place.path))


def listed_or_parts(parts: list[Part]) -> Opened:
    """Read a file's pictures, unless there is a volume among them."""
    if any(isinstance(part, Volume) for part in parts):
        return iter(parts)
    return [one for part in parts for one in _listed(part)]


def _listed(part: Part) -> Iterator[Slice | Failure]:
    if isinstance(part, Failure):
        yield part
        return
    try:
        yield from part
    except UnreadableImageError as error:
        yield Failure(error.source, error)


def _answer_read(
    classifier: Explainable,
    read: Sequence[tuple[Place, list[Slice | Failure]]],
    batch: int,
    maps: Maps | None,
) -> list[Answered]:
    """Answer for pictures that are read already."""
    slices = [x for _, found in read for x in found if not isinstance(x, Failure)]
    roots = [x.root for x, found in read for one in found if not isinstance(one, Failure)]
    answers: list[Prediction] = []
    for start in range(0, len(slices), batch):
        some = slices[start : start + batch]
        if maps is not None:
            answers += maps.explain(classifier, some, roots[start : start + batch])
            continue
        prepared = [classifier.card.input.prepare(picture) for picture in some]
        answers += classifier.predict_prepared(some, prepared)
    rest = iter(answers)
    return [
        Answered(place, tuple(x if isinstance(x, Failure) else next(rest) for x in found))
        for place, found in read
    ]


def _scans(
    classifier: Explainable,
    place: Place,
    parts: Iterable[Part],
    batch: int,
    maps: Maps | None,
) -> Iterator[Result]:
    """Answer for volumes, and for what lies among the files of a series."""
    for part in parts:
        if not isinstance(part, Volume):
            found = list(_listed(part))
            yield from _answer_read(classifier, [(place, found)], batch, maps)[0].results
            continue
        for result in predict_scans(classifier, [part]):
            yield result
            if maps is not None and isinstance(result, VolumeAnswer):
                chosen = [part[index] for index in result.look_first]
                maps.explain(classifier, chosen, [place.root] * len(chosen))

"""Many files on one machine: read ahead in threads, classify in batches, keep the order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeAlias

from tumorlens.errors import UnreadableImageError
from tumorlens.images.prepare import Prepared
from tumorlens.images.slice import Slice
from tumorlens.images.volume import Volume
from tumorlens.models.card import InputFormat
from tumorlens.prediction import Prediction, Predictor
from tumorlens.sources.ahead import ahead
from tumorlens.sources.failure import Failure, parts_or_fail
from tumorlens.sources.series import Unit

__all__ = ["Answered", "answer_units", "predict_files", "read_files", "read_units"]

_READERS: Final = 2  # threads; decoding is a third of the work, so more would only wait
_AHEAD: Final = 8  # files, or slices of one, read before they are needed
_BUDGET: Final = 64 * 2**20  # bytes of decoded pictures that wait

_Ready: TypeAlias = tuple[Slice, Prepared]
_Open: TypeAlias = Callable[[str], Sequence[Sequence[Slice] | Failure]]
Answered: TypeAlias = tuple[Prediction, Prepared]
"""The answer for a slice, and what the network saw of it."""


@dataclass(frozen=True, slots=True)
class _Opened:
    """A file or scan: its pictures, and the first of them prepared where it is the only one."""

    pictures: Sequence[Slice] | Failure
    ready: _Ready | None = None

    @property
    def size(self) -> int:
        """Bytes of the decoded pictures that it holds."""
        if isinstance(self.pictures, Failure):
            return 1
        if isinstance(self.pictures, Volume):  # a file's content, roughly; a series holds none
            volume = self.pictures
            rows, columns = volume.geometry.shape[1:]
            return 1 if volume.paths else 4 * len(volume) * rows * columns
        return sum(picture.pixels.nbytes for picture in self.pictures) or 1


def read_units(
    units: Iterable[Unit | Sequence[Slice]],
    wanted: InputFormat,
    *,
    budget: int = _BUDGET,
    open_file: _Open = parts_or_fail,
) -> Iterator[_Ready | Failure | Volume]:
    """Read and prepare files and series ahead of their use, in order.

    Parameters
    ----------
    units
        Files, series, and pictures that were opened before.
    wanted
        What the network wants to be fed.
    budget
        Bytes of decoded pictures that may wait, beside those of the file in use.
    open_file
        Gives the parts of a file, at least one.

    Yields
    ------
    tuple, Failure or Volume
        A slice with its preparation, or what was wrong with a file or a slice; and after its
        last slice, a volume.
    """

    def open_part(found: Sequence[Slice] | Failure) -> _Opened:
        if isinstance(found, (Failure, Volume)) or len(found) > 1:
            return _Opened(found)
        return _Opened(found, (found[0], wanted.prepare(found[0])))

    def open_unit(unit: Unit | Sequence[Slice]) -> list[_Opened]:
        parts = open_file(unit) if isinstance(unit, str) else [unit]
        return [open_part(part) for part in parts]

    def size(opened: list[_Opened]) -> int:
        return sum(part.size for part in opened)

    with ThreadPoolExecutor(_READERS) as pool:
        opened = ahead(pool, open_unit, units, size=size, budget=budget, most=_AHEAD)
        for found in (part for parts in opened for part in parts):
            if isinstance(found.pictures, Failure):
                yield found.pictures
            elif found.ready is not None:
                yield found.ready
            else:
                yield from _slices(pool, found.pictures, wanted, budget)


def _slices(
    pool: ThreadPoolExecutor, pictures: Sequence[Slice], wanted: InputFormat, budget: int
) -> Iterator[_Ready | Failure | Volume]:
    """Read and prepare the slices of one source ahead of their use."""

    def read(index: int) -> _Ready | Failure:
        try:
            picture = pictures[index]
        except UnreadableImageError as error:
            return Failure(error.source, error)
        return picture, wanted.prepare(picture)

    def size(ready: _Ready | Failure) -> int:
        if isinstance(ready, Failure):
            return 1
        return ready[0].pixels.nbytes + ready[1].pixels.nbytes

    count = range(len(pictures))
    yield from ahead(pool, read, count, size=size, budget=budget, most=_AHEAD)
    if isinstance(pictures, Volume):
        yield pictures


def read_files(
    paths: Iterable[str], wanted: InputFormat, *, budget: int = _BUDGET
) -> Iterator[_Ready | Failure]:
    """Read and prepare files ahead of their use, in order: `read_units` for files alone."""
    for item in read_units(paths, wanted, budget=budget):
        if not isinstance(item, Volume):
            yield item


def answer_units(
    classifier: Predictor,
    units: Iterable[Unit | Sequence[Slice]],
    *,
    batch_size: int = 16,
    open_file: _Open = parts_or_fail,
) -> Iterator[Answered | Failure | Volume]:
    """Classify files and series, in order; what cannot be read does not stop the others.

    Parameters
    ----------
    classifier
        The model.
    units
        Files, series, and pictures that were opened before.
    batch_size
        Slices that go through the network together.
    open_file
        Gives the parts of a file, at least one.

    Yields
    ------
    tuple, Failure or Volume
        The answer for each slice with its preparation, one failure for each unreadable file
        or slice, and each volume after its last slice.
    """
    found: list[_Ready | Failure | Volume] = []
    for item in read_units(units, classifier.card.input, open_file=open_file):
        found.append(item)
        if len(found) >= batch_size:
            yield from _answer(classifier, found)
            found = []
    yield from _answer(classifier, found)


def predict_files(
    classifier: Predictor,
    paths: Iterable[str],
    *,
    batch_size: int = 16,
    open_file: _Open = parts_or_fail,
) -> Iterator[Prediction | Failure]:
    """Classify files, in order; one that cannot be read does not stop the others.

    Parameters
    ----------
    classifier
        The model.
    paths
        Files.
    batch_size
        Slices that go through the network together.
    open_file
        Gives the parts of a file, at least one.

    Yields
    ------
    Prediction or Failure
        One for each slice, one for each unreadable file.
    """
    for item in answer_units(classifier, paths, batch_size=batch_size, open_file=open_file):
        if isinstance(item, Failure):
            yield item
        elif not isinstance(item, Volume):
            yield item[0]


def _answer(
    classifier: Predictor, found: list[_Ready | Failure | Volume]
) -> Iterator[Answered | Failure | Volume]:
    good = [item for item in found if not isinstance(item, (Failure, Volume))]
    answers: Iterator[Prediction] = iter(())
    if good:
        pictures, prepared = zip(*good, strict=True)
        answers = iter(classifier.predict_prepared(list(pictures), list(prepared)))
    for item in found:
        if isinstance(item, (Failure, Volume)):
            yield item
        else:
            yield next(answers), item[1]

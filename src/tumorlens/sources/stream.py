"""Many files on one machine: read ahead in threads, classify in batches, keep the order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeAlias

from tumorlens.images.prepare import Prepared
from tumorlens.images.slice import Slice
from tumorlens.models.card import InputFormat
from tumorlens.prediction import Prediction, Predictor
from tumorlens.sources.failure import Failure, read_or_fail

__all__ = ["predict_files", "read_files"]

_READERS = 2  # threads; decoding is a third of the work, so more would only wait
_AHEAD = 4  # files read before they are needed, for each thread


_Read: TypeAlias = "list[tuple[Slice, Prepared]] | Failure"


def read_files(
    paths: Iterable[str], wanted: InputFormat
) -> Iterator[tuple[Slice, Prepared] | Failure]:
    """Read and prepare files ahead of their use, in order.

    Parameters
    ----------
    paths
        Files.
    wanted
        What the network wants to be fed.

    Yields
    ------
    tuple or Failure
        A slice with its preparation, or what was wrong with a file.
    """
    waiting: deque[Future[_Read]] = deque()
    with ThreadPoolExecutor(_READERS) as pool:
        try:
            for path in paths:
                waiting.append(pool.submit(_read, path, wanted))
                if len(waiting) >= _READERS * _AHEAD:
                    yield from _each(waiting.popleft().result())
            while waiting:
                yield from _each(waiting.popleft().result())
        finally:
            for future in waiting:  # the caller may have stopped halfway
                future.cancel()


def predict_files(
    classifier: Predictor, paths: Iterable[str], *, batch_size: int = 16
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

    Yields
    ------
    Prediction or Failure
        One for each slice, one for each unreadable file.
    """
    found: list[tuple[Slice, Prepared] | Failure] = []
    for item in read_files(paths, classifier.card.input):
        found.append(item)
        if len(found) >= batch_size:
            yield from _answer(classifier, found)
            found = []
    yield from _answer(classifier, found)


def _read(path: str, wanted: InputFormat) -> _Read:
    slices = read_or_fail(path)
    if isinstance(slices, Failure):
        return slices
    return [(picture, wanted.prepare(picture)) for picture in slices]


def _each(read: _Read) -> Iterator[tuple[Slice, Prepared] | Failure]:
    yield from [read] if isinstance(read, Failure) else read


def _answer(
    classifier: Predictor, found: list[tuple[Slice, Prepared] | Failure]
) -> Iterator[Prediction | Failure]:
    good = [item for item in found if not isinstance(item, Failure)]
    answers: Iterator[Prediction] = iter(())
    if good:
        pictures, prepared = zip(*good, strict=True)
        answers = iter(classifier.predict_prepared(list(pictures), list(prepared)))
    for item in found:
        yield item if isinstance(item, Failure) else next(answers)

"""Many files on one machine: read ahead in threads, classify in batches, keep the order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from tumorlens.errors import UnreadableImageError
from tumorlens.images.prepare import Prepared, prepare
from tumorlens.images.read import read_slices
from tumorlens.images.slice import Slice

if TYPE_CHECKING:
    from tumorlens.classify import Classifier, Prediction

__all__ = ["Failure", "find_files", "predict_files", "read_files", "read_or_fail"]

_READERS = 2  # threads; decoding is a third of the work, so more would only wait
_AHEAD = 4  # files read before they are needed, for each thread


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that could not be read.

    Parameters
    ----------
    path
        As it was given.
    error
        What was wrong.
    """

    path: str
    error: UnreadableImageError

    def to_dict(self) -> dict[str, Any]:
        """Give the failure as ``tumorlens predict --json`` prints it."""
        return {
            "path": self.path,
            "error": {"type": type(self.error).__name__, "message": str(self.error)},
        }


_Read: TypeAlias = "list[tuple[Slice, Prepared]] | Failure"


def find_files(paths: Iterable[str]) -> Iterator[str]:
    """Name every file: those given, and those below the folders given.

    Folders are walked in the order of their names; what is hidden is passed over.
    Nothing else is left out: links to folders, which are not followed, folders that
    are empty or closed, and files that are no pictures are named too, for whoever
    reads them to report.
    """
    for path in paths:
        if not path or not os.path.isdir(path):  # noqa: PTH112  # Path.is_dir raises on a name that is too long
            yield path
            continue
        found = False
        for file in _walk(path):
            found = True
            yield file
        if not found:
            yield path  # to be reported like any other path that gave nothing


def read_files(paths: Iterable[str], size: int) -> Iterator[tuple[Slice, Prepared] | Failure]:
    """Read and prepare files ahead of their use, in order.

    Parameters
    ----------
    paths
        Files.
    size
        Side of the network's input in pixels.

    Yields
    ------
    tuple or Failure
        A slice with its preparation, or what was wrong with a file.
    """
    waiting: deque[Future[_Read]] = deque()
    with ThreadPoolExecutor(_READERS) as pool:
        try:
            for path in paths:
                waiting.append(pool.submit(_read, path, size))
                if len(waiting) >= _READERS * _AHEAD:
                    yield from _each(waiting.popleft().result())
            while waiting:
                yield from _each(waiting.popleft().result())
        finally:
            for future in waiting:  # the caller may have stopped halfway
                future.cancel()


def predict_files(
    classifier: Classifier, paths: Iterable[str], *, batch_size: int = 16
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
    for item in read_files(paths, classifier.card.input.size):
        found.append(item)
        if len(found) >= batch_size:
            yield from _answer(classifier, found)
            found = []
    yield from _answer(classifier, found)


def _walk(path: str) -> Iterator[str]:
    closed: list[OSError] = []
    for folder, below, files in os.walk(path, onerror=closed.append):
        below[:] = sorted(name for name in below if not name.startswith("."))
        links = {name for name in below if os.path.islink(Path(folder, name))}  # noqa: PTH114
        shown = sorted([*(f for f in files if not f.startswith(".")), *links])
        yield from (str(Path(folder, name)) for name in shown)
    yield from (str(error.filename) for error in closed)


def read_or_fail(path: str) -> list[Slice] | Failure:
    """Read a file's slices, or say what was wrong with it."""
    if path and os.path.isdir(path):  # noqa: PTH112
        found = "a link to a folder" if os.path.islink(path) else "a folder without files"  # noqa: PTH114
        return Failure(path, UnreadableImageError(path, found, "give a folder that holds pictures"))
    try:
        return read_slices(path)
    except UnreadableImageError as error:
        return Failure(path, error)


def _read(path: str, size: int) -> _Read:
    slices = read_or_fail(path)
    if isinstance(slices, Failure):
        return slices
    return [(picture, prepare(picture, size)) for picture in slices]


def _each(read: _Read) -> Iterator[tuple[Slice, Prepared] | Failure]:
    yield from [read] if isinstance(read, Failure) else read


def _answer(
    classifier: Classifier, found: list[tuple[Slice, Prepared] | Failure]
) -> Iterator[Prediction | Failure]:
    good = [item for item in found if not isinstance(item, Failure)]
    answers: Iterator[Prediction] = iter(())
    if good:
        pictures, prepared = zip(*good, strict=True)
        answers = iter(classifier.predict_prepared(list(pictures), list(prepared)))
    for item in found:
        yield item if isinstance(item, Failure) else next(answers)

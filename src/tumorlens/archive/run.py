"""An archive into one table: walked, answered, written, and gone on with after a kill."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any, Final, Protocol

from tumorlens.archive.lanes import Answered, Place, Result, answer_in_lanes, answer_some
from tumorlens.archive.maps import Maps
from tumorlens.archive.parts import State, Unfinished
from tumorlens.archive.tables import open_format
from tumorlens.explain.explainer import Explainable
from tumorlens.files import check_new_file
from tumorlens.models.card import Card
from tumorlens.sources.series import is_dicom
from tumorlens.walk import walk

__all__ = ["PORTION", "Watch", "answer_archive", "job_of", "silent_watch", "with_series"]

_PART_ROWS: Final = 20_000  # of a part, at most
_PART_SECONDS: Final = 30.0  # after which a part is written: what a kill may cost
PORTION: Final = 8
"""Files that a lane reads before it runs the network on them."""


class Watch(Protocol):
    """Told how far the work is."""

    def __call__(self, state: State) -> None:
        """Take what is done so far; rows that are not on the disk yet count too."""


def silent_watch(state: State) -> None:
    """Take a report and do nothing with it."""


def answer_archive(
    classifier: Explainable,
    roots: Sequence[str],
    out: str | os.PathLike[str],
    *,
    lanes: int,
    batch_size: int = PORTION,
    part_rows: int = _PART_ROWS,
    part_seconds: float = _PART_SECONDS,
    explain: str | os.PathLike[str] | None = None,
    passed: list[str] | None = None,
    watch: Watch = silent_watch,
) -> State:
    """Answer for every file of an archive, into one table.

    When the work is stopped or killed, the same call goes on where it was.

    Parameters
    ----------
    classifier
        The model; it is used by `lanes` threads at once, so it had better use one each.
    roots
        Files and folders, as `tumorlens.files.find_files` takes them.
    out
        The table to make; its ending says the format.
    lanes
        Threads that read and classify.
    batch_size
        Slices that go through the network together.
    part_rows, part_seconds
        After how many rows, or how long, what is done is put on the disk.
    explain
        A folder for maps: a record for each slice, as `tumorlens explain` writes it, and of a
        volume for the slices to look at first. ``None`` for none.
    passed
        Gets what was passed over because this package wrote it.
    watch
        Told how far the work is.

    Returns
    -------
    State
        What was done, by earlier calls too.

    Raises
    ------
    OutputError
        When the table is there already, cannot be written, or was begun with another model or
        other paths.
    MissingExtraError
        When the format needs what is not installed.
    """
    target = Path(out)
    form = open_format(target, classifier.card.classes)
    maps = None if explain is None else Maps(Path(explain).absolute(), tuple(roots))
    if maps is not None:
        check_new_file(maps.folder / "x")
    job = job_of(classifier.card, roots, target, None if maps is None else str(maps.folder))

    def answer(places: list[Place]) -> list[Answered]:
        return answer_some(classifier, places, batch_size, maps)

    with Unfinished.opened(target, job, form) as table:
        if not table.is_in_place:
            writer = _Writer(table, part_rows, part_seconds)
            found = _places(roots, table.state, [] if passed is None else passed)
            files = with_series(found)
            try:
                for answered in answer_in_lanes(answer, files, lanes=lanes, portion=PORTION):
                    writer.add(answered)
                    watch(writer.state)
            finally:
                writer.flush()
        table.finish()
        return table.state


def job_of(
    card: Card, roots: Sequence[str], target: Path, maps: str | None = None
) -> dict[str, Any]:
    """Say what was asked, so that nobody goes on with another thing.

    Parameters
    ----------
    card
        Of the model.
    roots
        The paths that were given.
    target
        The table.
    maps
        The folder for maps, whole; ``None`` without.
    """
    job = {
        "model": card.id,
        "card": hashlib.sha256(card.to_json().encode()).hexdigest(),
        "format": target.suffix.lower(),
        "paths": [os.fsencode(root).decode("utf-8", "backslashreplace") for root in roots],
        "folder": str(Path.cwd()) if any(not Path(root).is_absolute() for root in roots) else None,
        "version": version("tumorlens"),
    }
    return job if maps is None else {**job, "maps": maps}


def _places(roots: Sequence[str], state: State, passed: list[str]) -> Iterator[Place]:
    """Name the files that are left, as `find_files` does, each with the root it came from."""
    for number, root in enumerate(roots):
        begun = number == state.root and state.path is not None
        if number < state.root or (begun and state.path == root):
            continue
        if not root or not os.path.isdir(root):  # noqa: PTH112  # Path.is_dir raises on long names
            yield Place(number, root)
            continue
        found = begun
        for path in walk(root, passed, after=state.path if begun else None):
            found = True
            yield Place(number, path)
        if not found:
            yield Place(number, root)


def _is_dicom(place: Place) -> bool:
    return is_dicom(place.path)


def with_series(
    places: Iterable[Place], peek: Callable[[Place], bool] = _is_dicom
) -> Iterator[Place]:
    """Take the files of a folder together from its first DICOM file on: they may be a series.

    Parameters
    ----------
    places
        Files, those of each folder one after the other.
    peek
        Says whether a file is DICOM.

    Yields
    ------
    Place
        A file, or the files of one folder.
    """
    begun: tuple[int, str] | None = None

    def group(place: Place) -> tuple[int, str, bool]:
        nonlocal begun
        root, folder = place.root, os.path.dirname(place.path)  # noqa: PTH120  # as it was given
        if begun != (root, folder) and peek(place):
            begun = root, folder
        return root, folder, begun == (root, folder)

    for (root, _, together), some in groupby(places, group):
        if together:
            files = tuple(place.path for place in some)
            yield Place(root, files[-1], files)
        else:
            yield from some


class _Writer:
    """Gathers rows and writes them as parts, now and then and at the end."""

    def __init__(self, table: Unfinished, rows: int, seconds: float) -> None:
        self._table = table
        self._rows = rows
        self._seconds = seconds
        self._waiting: list[Result] = []
        self._since = time.monotonic()
        self.state = replace(table.state, joined=False)

    def add(self, answered: Answered) -> None:
        """Take the rows of a file."""
        self._waiting += answered.results
        self.state = replace(
            self.state,
            root=answered.place.root,
            path=answered.place.path,
            files=self.state.files + max(1, len(answered.place.files)),
            failed=self.state.failed + answered.failed,
            rows=self.state.rows + len(answered.results),
        )
        late = time.monotonic() - self._since > self._seconds
        if late or len(self._waiting) >= self._rows:
            self.flush()

    def flush(self) -> None:
        """Put what is there on the disk."""
        if self._waiting:
            rows, self._waiting = self._waiting, []  # first: what fails is not tried again
            self._table.add(rows, self.state)
        self._since = time.monotonic()

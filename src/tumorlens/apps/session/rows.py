"""The list: slices, what is known of each, and in which order they stand."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from tumorlens import untrusted

if TYPE_CHECKING:
    from tumorlens.apps.session.stack import Stack
    from tumorlens.images.slice import Slice
    from tumorlens.prediction import Prediction
    from tumorlens.volume_answer import VolumeAnswer

__all__ = ["Row", "RowList", "State", "printable", "to_csv"]


class State(StrEnum):
    """How far a row has come."""

    WAITING = "waiting"
    STOPPED = "stopped"
    ANSWERED = "answered"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """A slice of the list, or a volume of which one slice is looked at.

    Parameters
    ----------
    id
        Its number in this window.
    name
        What to call it, for people.
    path
        The file as it was given; ``None`` for a picture from the clipboard.
    index
        Which slice of the file, from 0.
    file
        Number of the file's first row.
    state
        How far it has come.
    prediction
        The answer for the slice, once it is there.
    error
        Why it cannot be read: a sentence that names the file.
    picture
        The slice itself when no file holds it.
    stack
        The volume, where it is one; `prediction` and `error` are then of the slice that is
        looked at.
    part
        Which of the volumes of its path, from 0: a DICOM file of many frames may hold several.
    """

    id: int
    name: str
    path: str | None
    index: int = 0
    file: int = 0
    state: State = State.WAITING
    prediction: Prediction | None = None
    error: str | None = None
    picture: Slice | None = None
    stack: Stack | None = None
    part: int = 0

    @property
    def answer(self) -> Prediction | VolumeAnswer | None:
        """What the list says of it: of a volume the answer for all of it."""
        return self.prediction if self.stack is None else self.stack.summary

    @property
    def place(self) -> tuple[int, int]:
        """Where it stands in the list: by file, then by slice."""
        return self.file, self.index

    def answered(self, answer: Prediction) -> Row:
        """Give it as it is with an answer; that it could not be read before is forgotten."""
        return replace(self, state=State.ANSWERED, prediction=answer, error=None)

    def failed(self, message: str) -> Row:
        """Give it as it is once it cannot be read; what was said of it before stays."""
        state = State.UNREADABLE if self.prediction is None else self.state
        return replace(self, state=state, error=printable(message))


class RowList:
    """Rows by number, in the order in which they are shown."""

    def __init__(self) -> None:
        self._rows: dict[int, Row] = {}
        self._paths: dict[tuple[str, int], int] = {}  # the first row of each path and part
        self._slices: dict[tuple[int, int], int] = {}  # rows by their place, removed ones too
        self._names: dict[int, str] = {}  # of files with several slices, by first row
        self._next = 0

    def __iter__(self) -> Iterator[Row]:
        # No order is kept: to look through all rows is rare, and a new row must cost nothing.
        return iter(sorted(self._rows.values(), key=lambda row: row.place))

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, number: object) -> bool:
        return number in self._rows

    def __getitem__(self, number: int) -> Row:
        return self._rows[number]

    def get(self, number: int | None) -> Row | None:
        """Give a row, or ``None`` when it is not in the list."""
        return None if number is None else self._rows.get(number)

    def numbers(self) -> list[int]:
        """Give the numbers of all rows, in order."""
        return [row.id for row in self]

    def add(
        self,
        name: str,
        path: str | None,
        picture: Slice | None = None,
        stack: Stack | None = None,
        part: int = 0,
    ) -> Row | None:
        """Put a row at the end, unless its file, or a series' first, is listed already."""
        if path is not None and (path, part) in self._paths:
            return None
        number = self._take_number()
        row = Row(number, name, path, file=number, picture=picture, stack=stack, part=part)
        self._rows[number] = row if stack is None else replace(row, index=stack.index)
        if path is not None:
            self._paths[path, part] = number
        return self._rows[number]

    def put(self, row: Row) -> None:
        """Replace a row by what is known of it now."""
        self._rows[row.id] = row

    def slice_of(self, first: Row, index: int) -> tuple[Row | None, list[Row]]:
        """Find the row of a slice of a file, or make it.

        Parameters
        ----------
        first
            The file's first row.
        index
            Which slice.

        Returns
        -------
        tuple
            The row, ``None`` when it was removed; and the rows that are new or renamed.
        """
        if index == first.index:
            return first, []
        if (known := self._slices.get((first.id, index))) is not None:
            return self.get(known), []
        changed = []
        if first.id not in self._names:  # now that there are several, they are told apart
            self._names[first.id] = first.name
            changed.append(replace(first, name=f"{first.name} [{first.index}]"))
        name = f"{self._names[first.id]} [{index}]"
        row = Row(self._take_number(), name, first.path, index, first.id)
        self._slices[row.place] = row.id
        changed.append(row)
        for one in changed:
            self.put(one)
        return row, changed

    def remove(self, number: int) -> bool:
        """Take a row out; say whether it was there."""
        row = self._rows.pop(number, None)
        if row is not None and row.path is not None:
            key = row.path, row.part
            if self._paths.get(key) == number:
                del self._paths[key]
        if not self._rows:
            self._slices.clear()
            self._names.clear()
        return row is not None

    def nearest(self, order: Sequence[int], number: int) -> int | None:
        """Find the row that stood behind a removed one in `order`, or before it, or any."""
        place = order.index(number) if number in order else 0
        behind = (n for n in order[place:] if n in self._rows)
        before = (n for n in reversed(order[:place]) if n in self._rows)
        return next(behind, next(before, next(iter(self._rows), None)))

    def _take_number(self) -> int:
        self._next += 1
        return self._next - 1


def printable(text: str) -> str:
    """Make a text fit for the window.

    Coloured signs beyond the first plane end Tk 8 on X11 where libXft is old.
    """
    return "".join(c if c <= "\uffff" else "�" for c in untrusted.printable(text))


def to_csv(rows: Iterable[Row], classes: Iterable[str]) -> str:
    """Write the list as a table, one slice a line, in the order of the window.

    Of a volume these are the slices of the plane in which it is answered. The columns are the
    fields of ``tumorlens predict --json``, with the probability of class ``c`` in ``p_c``, and
    ``error`` for what could not be read.
    """
    from tumorlens.archive.answer_table import table_head, table_row  # noqa: PLC0415

    names = list(classes)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table_head(names))
    for row in rows:
        for path, index, answer in _lines(row):
            writer.writerow(table_row(path, index, answer or "not classified", names))
    return text.getvalue()


def _lines(row: Row) -> Iterator[tuple[str, int, Prediction | str | None]]:
    """Give path, number and answer of each slice of a row."""
    path, stack = row.path or row.name, row.stack
    if stack is None:
        yield path, row.index, row.prediction or row.error
        return
    cut = stack.cuts[stack.own]
    for index in range(len(cut)):
        answer = cut.answers.get(index)
        yield (answer and answer.path) or path, index, answer or cut.unreadable.get(index)

"""The list: rows in order, each file once, its further slices below its first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tumorlens.apps.desktop.rows import Row

if TYPE_CHECKING:
    from tumorlens.images.slice import Slice

__all__ = ["RowList"]


class RowList:
    """Rows by number, in the order in which they are shown."""

    def __init__(self) -> None:
        self._rows: dict[int, Row] = {}
        self._paths: dict[str, int] = {}  # the first row of each
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

    def add(self, name: str, path: str | None, picture: Slice | None = None) -> Row | None:
        """Put a row at the end, unless its file is listed already."""
        if path is not None and path in self._paths:
            return None
        number = self._take_number()
        self._rows[number] = row = Row(number, name, path, file=number, picture=picture)
        if path is not None:
            self._paths[path] = number
        return row

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
        if row is not None and row.path is not None and self._paths.get(row.path) == number:
            del self._paths[row.path]
        if not self._rows:
            self._slices.clear()
            self._names.clear()
        return row is not None

    def nearest(self, order: Sequence[int], number: int) -> int | None:
        """Find the row that stood behind a removed one in `order`, or else before it."""
        place = order.index(number)
        behind = (n for n in order[place:] if n in self._rows)
        before = (n for n in reversed(order[:place]) if n in self._rows)
        return next(behind, next(before, None))

    def _take_number(self) -> int:
        self._next += 1
        return self._next - 1

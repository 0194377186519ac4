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
        self._first: dict[str, int] = {}  # the first row of each path
        self._further: dict[int, dict[int, int]] = {}  # of a first row, by slice
        self._next = 0

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows.values())

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
        return list(self._rows)

    def add(self, name: str, path: str | None, picture: Slice | None = None) -> Row | None:
        """Put a row at the end, unless its file is listed already."""
        if path is not None and path in self._first:
            return None
        row = Row(self._take_number(), name, path, picture=picture)
        self._rows[row.id] = row
        if path is not None:
            self._first[path] = row.id
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
        further = self._further.setdefault(first.id, {})
        if index in further:
            return self.get(further[index]), []
        changed = []
        if not further:  # now that there are several, they are told apart
            changed.append(replace(first, name=f"{first.name} [{first.index}]"))
            self.put(changed[0])
        name = self._rows[first.id].name.removesuffix(f" [{first.index}]")
        row = Row(self._take_number(), f"{name} [{index}]", first.path, index)
        self._insert_behind([first.id, *further.values()], row)
        further[index] = row.id
        return row, [*changed, row]

    def remove(self, number: int) -> bool:
        """Take a row out; say whether it was there."""
        row = self._rows.pop(number, None)
        if row is not None and row.path is not None and self._first.get(row.path) == number:
            del self._first[row.path]
            self._further.pop(number, None)
        return row is not None

    def nearest(self, order: Sequence[int], number: int) -> int | None:
        """Find the row that stood behind a removed one in `order`, or else before it."""
        place = order.index(number)
        behind = (n for n in order[place:] if n in self._rows)
        before = (n for n in reversed(order[:place]) if n in self._rows)
        return next(behind, next(before, None))

    def _insert_behind(self, numbers: list[int], row: Row) -> None:
        last = next(n for n in reversed(numbers) if n in self._rows)
        if last == next(reversed(self._rows)):
            self._rows[row.id] = row
            return
        rows = list(self._rows.items())
        place = [number for number, _ in rows].index(last) + 1
        self._rows = dict([*rows[:place], (row.id, row), *rows[place:]])

    def _take_number(self) -> int:
        self._next += 1
        return self._next - 1

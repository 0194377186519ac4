"""Tables as people's programs write them: pandas, Excel, R, and what mail does to them.

Separated by commas, semicolons or tabs; UTF-8 with or without its mark, or UTF-16; with
empty lines, spaces around names, capitals in the header.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tumorlens.errors import DataError
from tumorlens.records import is_our_file

__all__ = ["Row", "read_table"]

_SEPARATORS: Final = ",;\t"
_NOTHING: Final = frozenset(("na", "n/a", "#n/a", "<na>", "nan", "null"))
"""What R, Excel and pandas write where nothing is known."""


class Row(dict[str, str]):
    """A line of a table: its cells by column, without spaces around.

    A column that the table lacks, and a cell that says that nothing is known, are empty.
    Capitals and spaces in a column's name do not count.
    """

    def __init__(self, line: int, cells: Mapping[str, str]) -> None:
        super().__init__(cells)
        self.line = line
        """Where its last cell stands in the file, from 1."""

    def __missing__(self, column: str) -> str:
        return self.get(_name(column), "")


def read_table(path: Path, what: str, required: Sequence[str], hint: str) -> list[Row]:
    """Read a table with a header.

    Parameters
    ----------
    path
        The file.
    what
        What it should be, for messages: ``"a manifest"``.
    required
        Columns that must be there.
    hint
        What to do when they are not.

    Returns
    -------
    list of Row
        The lines that hold anything.

    Raises
    ------
    DataError
        When it cannot be read, lacks a column, names one twice, or a line has more cells
        than the header.
    """
    try:
        text = _decode(path.read_bytes(), ours=is_our_file(path))
        header, separator, skip = _header(text)
        lines = csv.reader(
            io.StringIO(text, newline=""), delimiter=separator, strict=True, skipinitialspace=True
        )
        cells = [(lines.line_num, line) for line in lines][skip:]
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as {what}: {error}") from error
    missing = [name for name in required if _name(name) not in header]
    if missing:
        raise DataError(
            f"{path} lacks the columns {', '.join(missing)}; it has {', '.join(header)}; {hint}"
        )
    twice = [name for name in header if name and header.count(name) > 1]
    if twice:
        raise DataError(f"{path} has two columns named {twice[0]}; keep one")
    return [_row(path, header, *line) for line in cells if any(c.strip() for c in line[1])]


def _decode(data: bytes, *, ours: bool) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16")
    if b"\0" in data:
        raise ValueError("it is not text; save it as CSV in UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if ours:  # it names files by names that are no text
            return data.decode("utf-8", "surrogateescape")
        raise ValueError(f"{error}; save it as CSV in UTF-8") from error


def _header(text: str) -> tuple[list[str], str, int]:
    """Give the names of the columns, what separates them, and how many lines are above."""
    lines = io.StringIO(text, newline=None)
    above = 0
    for line in lines:
        above += 1
        if line.strip() and not line.lower().startswith("sep="):  # Excel's own first line
            found = max(_SEPARATORS, key=line.count)
            names = next(csv.reader([line], delimiter=found, skipinitialspace=True))
            return [_name(name) for name in names], found, above
    return [], ",", above


def _name(column: str) -> str:
    return column.strip().lower().replace(" ", "_")


def _row(path: Path, header: Sequence[str], line: int, cells: Sequence[str]) -> Row:
    if len(cells) > len(header) and any(c.strip() for c in cells[len(header) :]):
        raise DataError(
            f"{path}, line {line}: {len(cells)} cells under {len(header)} columns; quote what "
            "holds the separator, and write no row names"
        )
    values = {name: cell.strip() for name, cell in zip(header, cells, strict=False)}
    return Row(line, {k: "" if v.lower() in _NOTHING else v for k, v in values.items()})

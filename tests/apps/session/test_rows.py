"""The list of rows: order, slices below their file, and what a row costs."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

from tumorlens.apps.session.rows import Row, RowList, State, printable, to_csv


def fill(files: int, slices: int) -> RowList:
    rows = RowList()
    added = [rows.add(f"f{i}", f"/f{i}") for i in range(files)]
    for row in added:
        assert row is not None
        for index in range(slices):
            rows.slice_of(rows[row.id], index)
    return rows


def count_steps(files: int, slices: int) -> int:
    """Count what Python does to list so many files of so many slices."""
    steps = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal steps
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        steps += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        fill(files, slices)
    finally:
        sys.settrace(before)
    return steps


def test_a_slice_costs_the_same_however_long_the_list_is() -> None:
    few, many = count_steps(5, 10), count_steps(50, 10)
    assert many < 11 * few
    assert count_steps(5, 100) < 11 * few


def test_slices_stand_below_their_file_in_order() -> None:
    rows = fill(3, 3)
    names = [f"f{i} [{k}]" for i in range(3) for k in range(3)]
    assert [row.name for row in rows] == names
    assert rows.numbers() == [row.id for row in rows]


def test_a_removed_slice_does_not_come_back_and_a_removed_file_does() -> None:
    rows = fill(2, 3)
    first = next(iter(rows))
    third = rows.numbers()[2]
    assert rows.remove(third)
    assert rows.slice_of(first, 2) == (None, [])
    assert rows.add("f0", "/f0") is None
    rows.remove(first.id)
    again = rows.add("f0", "/f0")
    assert again is not None
    assert [row.name for row in rows][-1] == "f0"


def test_a_table_of_nothing_and_of_what_waits() -> None:
    head = "path,slice,label,confidence,p_a,prediction_set,assessable,reason,model,error\n"
    assert to_csv([], ["a"]) == head
    rows = [Row(0, "x", "x.png"), Row(1, "y", None, state=State.UNREADABLE, error="bad, very")]
    lines = to_csv(rows, ["a"]).splitlines()
    assert lines[1] == "x.png,0,,,,,,,,not classified"
    assert lines[2] == 'y,0,,,,,,,,"bad, very"'


def test_names_that_cannot_be_shown() -> None:
    assert printable("a\x1b[31m\udcffb") == "a�[31m�b"
    assert printable("one\ntwo\u202egnp.exe \U0001f9e0 é שלום") == "one�two�gnp.exe � é שלום"

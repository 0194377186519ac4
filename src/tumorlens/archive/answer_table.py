"""Answers as a table for spreadsheets: a line for each slice, and one for each volume."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TypeAlias

from tumorlens.files import new_file
from tumorlens.prediction import Prediction
from tumorlens.sources.failure import Failure
from tumorlens.volume_answer import VolumeAnswer

__all__ = ["answer_table", "table_head", "table_row", "volume_row"]

Add: TypeAlias = Callable[[Prediction | Failure | VolumeAnswer], None]

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


@contextmanager
def answer_table(path: str | os.PathLike[str], classes: Sequence[str]) -> Iterator[Add]:
    """Write a table of answers, whole or not at all.

    A slice a line, and after the slices of a volume a line without ``slice``: the answer for all
    of it, as tables of archives have it. The columns are the fields of ``tumorlens predict
    --json``, with the probability of class ``c`` in ``p_c``, and ``error`` for what could not be
    read. It is UTF-8; file names that are no text keep their bytes. No cell is a formula to a
    spreadsheet.

    Parameters
    ----------
    path
        The file to make, or to replace.
    classes
        The model's classes.

    Yields
    ------
    callable
        Adds a result.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    errors = sys.getfilesystemencodeerrors()
    with (
        new_file(path) as work,
        work.open("w", encoding="utf-8", errors=errors, newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(table_head(classes))

        def add(result: Prediction | Failure | VolumeAnswer) -> None:
            if isinstance(result, VolumeAnswer):
                row = volume_row(result, classes)
            elif isinstance(result, Failure):
                row = table_row(result.path, 0, str(result.error), classes)
            else:
                row = table_row(result.path, result.slice, result, classes)
            writer.writerow(row)

        yield add


def table_head(classes: Sequence[str]) -> list[str]:
    """Name the columns."""
    names = [f"p_{name}" for name in classes]
    answer = ["prediction_set", "assessable", "reason", "model", "error"]
    return ["path", "slice", "label", "confidence", *names, *answer]


def table_row(
    path: str | None, index: int, answer: Prediction | str, classes: Sequence[str]
) -> list[str]:
    """Write a slice as the cells of its line.

    Parameters
    ----------
    path
        The file.
    index
        Which of its slices.
    answer
        The answer, or why there is none.
    classes
        The model's classes.
    """
    start = [_plain(path or "", "./"), str(index)]
    if isinstance(answer, str):
        return [*start, *[""] * (len(classes) + 6), _plain(answer)]
    return [
        *start,
        _plain(answer.label),
        repr(answer.confidence),
        *(repr(answer.probabilities[name]) for name in classes),
        _plain(" ".join(answer.prediction_set)),
        str(answer.assessable).lower(),
        _plain(answer.reason or ""),
        _plain(answer.model),
        "",
    ]


def volume_row(answer: VolumeAnswer, classes: Sequence[str]) -> list[str]:
    """Write the answer for a volume as a line: it has no slice, and all else as slices have it.

    Parameters
    ----------
    answer
        The answer.
    classes
        The model's classes.
    """
    return [
        _plain(answer.path or "", "./"),
        "",
        _plain(answer.label or ""),
        "" if answer.confidence is None else repr(answer.confidence),
        *(repr(answer.probabilities[x]) if x in answer.probabilities else "" for x in classes),
        _plain(" ".join(answer.prediction_set)),
        str(answer.assessable > 0).lower(),
        "",
        _plain(answer.model),
        "",
    ]


def _plain(text: str, before: str = "'") -> str:
    """Keep a text from being a formula; a path stays the same path."""
    return before + text if text.startswith(_FORMULA) else text

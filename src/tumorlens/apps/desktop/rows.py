"""One row of the list: a slice, and what is known of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from tumorlens import untrusted

if TYPE_CHECKING:
    from tumorlens.images.slice import Slice
    from tumorlens.prediction import Prediction

__all__ = ["Row", "State", "count_files", "printable", "summarise", "to_csv"]


class State(StrEnum):
    """How far a row has come."""

    WAITING = "waiting"
    STOPPED = "stopped"
    ANSWERED = "answered"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """A slice of the list.

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
        The answer, once it is there.
    error
        Why it cannot be read: a sentence that names the file.
    picture
        The slice itself when no file holds it.
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

    @property
    def place(self) -> tuple[int, int]:
        """Where it stands in the list: by file, then by slice."""
        return self.file, self.index


def printable(text: str) -> str:
    """Make a text fit for the window.

    Coloured signs beyond the first plane end Tk 8 on X11 where libXft is old.
    """
    return "".join(c if c <= "\uffff" else "�" for c in untrusted.printable(text))


def summarise(rows: Iterable[Row]) -> str:
    """Say in a line what came out for all rows."""
    every = list(rows)
    answers = [row.prediction for row in every if row.prediction is not None]
    doubtful = sum(not answer.assessable for answer in answers)
    unreadable = sum(row.state is State.UNREADABLE for row in every)
    text = f"{len(answers)} slice{'' if len(answers) == 1 else 's'} classified"
    text += f", {doubtful} of them not assessable" if doubtful else ""
    return text + (f", {count_files(unreadable)} could not be read" if unreadable else "")


def count_files(count: int) -> str:
    """Write a number of files."""
    return f"{count} file" if count == 1 else f"{count} files"


def to_csv(rows: Iterable[Row], classes: Iterable[str]) -> str:
    """Write the list as a table, one slice a line, in the order of the window.

    The columns are the fields of ``tumorlens predict --json``, with the probability
    of class ``c`` in ``p_c``, and ``error`` for what could not be read.
    """
    names = list(classes)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        [
            *("path", "slice", "label", "confidence"),
            *(f"p_{name}" for name in names),
            *("prediction_set", "assessable", "reason", "model", "error"),
        ]
    )
    for row in rows:
        where = [row.path or row.name, row.index]
        if row.prediction is None:
            missing = row.error or "not classified"
            writer.writerow([*where, *[""] * (len(names) + 6), missing])
            continue
        answer = row.prediction
        writer.writerow(
            [*where, answer.label, answer.confidence]
            + [answer.probabilities[name] for name in names]
            + [" ".join(answer.prediction_set), str(answer.assessable).lower()]
            + [answer.reason or "", answer.model, ""]
        )
    return text.getvalue()

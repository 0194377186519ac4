"""A file that could not be read, as a row among the answers; standard input as a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from tumorlens.errors import UnreadableImageError
from tumorlens.files import find_files
from tumorlens.images.read import open_slices, read_stream
from tumorlens.images.slice import Slice

__all__ = ["STANDARD_INPUT", "Failure", "open_or_fail", "read_or_fail"]

STANDARD_INPUT: Final = "-"


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


def read_or_fail(path: str) -> list[Slice] | Failure:
    """Read a file's slices, or say what was wrong with it; ``-`` is standard input."""
    try:
        found = open_or_fail(path)
        return found if isinstance(found, Failure) else list(found)
    except UnreadableImageError as error:
        return Failure(path, error)


def open_or_fail(path: str) -> Sequence[Slice] | Failure:
    """Open a file's slices, or say what was wrong with it; those of a volume are read later.

    ``-`` is standard input.
    """
    if path and os.path.isdir(path):  # noqa: PTH112
        found = "a folder without files"
        if os.path.islink(path):  # noqa: PTH114
            found = "a link to a folder"
        elif _is_passed_over(path):
            found = "a folder of nothing but what tumorlens wrote"
        return Failure(path, UnreadableImageError(path, found, "give a folder that holds pictures"))
    try:
        return _standard_input() if path == STANDARD_INPUT else open_slices(path)
    except UnreadableImageError as error:
        return Failure(path, error)


def _standard_input() -> Sequence[Slice]:
    if sys.stdin is None:  # closed, or a program without a console
        hint = "pipe a file into the command, or give its path"
        raise UnreadableImageError(STANDARD_INPUT, "there is no standard input", hint)
    return read_stream(sys.stdin.buffer, STANDARD_INPUT)


def _is_passed_over(folder: str) -> bool:
    passed: list[str] = []
    return list(find_files([folder], passed)) == [folder] and bool(passed)

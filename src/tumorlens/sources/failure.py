"""A file that could not be read, as a row among the answers; standard input as a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO, Any, Final

from tumorlens.errors import UnreadableImageError
from tumorlens.files import find_files
from tumorlens.images.read import open_parts
from tumorlens.images.slice import Slice
from tumorlens.images.volume import Volume

__all__ = [
    "STANDARD_INPUT", "Failure", "loose_or_fail", "parts_or_fail", "read_or_fail",
]  # fmt: skip

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


def read_or_fail(
    path: str,
    file: IO[bytes] | None = None,
    open_file: Callable[[str], list[Sequence[Slice] | Failure]] | None = None,
) -> list[Slice | Failure]:
    """Read a file's slices, or say what was wrong with it; ``-`` is standard input.

    What is open already is given as `file`, and `path` is its name. Of a ZIP archive each member
    is read, or said to be wrong, by itself. `open_file` gives the parts of a path, as
    `parts_or_fail` does where it is ``None``.
    """
    found: list[Slice | Failure] = []
    parts = (open_file or parts_or_fail)(path) if file is None else parts_or_fail(path, file)
    for part in parts:
        try:
            found += [part] if isinstance(part, Failure) else list(part)
        except UnreadableImageError as error:  # at a slice of a volume
            found.append(Failure(error.source, error))
    return found


def parts_or_fail(path: str, file: IO[bytes] | None = None) -> list[Sequence[Slice] | Failure]:
    """Open a file's slices, or say what was wrong with it; those of a volume are read later.

    A ZIP archive is opened member by member, and scan by scan. ``-`` is standard input. What is
    open already is given as `file`, and `path` is its name.
    """
    if file is not None:
        return _parts(file, path)
    if path and os.path.isdir(path):  # noqa: PTH112
        found = "a folder without files"
        if os.path.islink(path):  # noqa: PTH114
            found = "a link to a folder"
        elif _is_passed_over(path):
            found = "a folder of nothing but what tumorlens wrote"
        hint = "give a folder that holds pictures"
        return [Failure(path, UnreadableImageError(path, found, hint))]
    if path != STANDARD_INPUT:
        return _parts(path)
    if sys.stdin is None:  # closed, or a program without a console
        hint = "pipe a file into the command, or give its path"
        error = UnreadableImageError(STANDARD_INPUT, "there is no standard input", hint)
        return [Failure(STANDARD_INPUT, error)]
    return _parts(sys.stdin.buffer, STANDARD_INPUT)


def loose_or_fail(path: str) -> list[Sequence[Slice] | Failure]:
    """Open a file as `parts_or_fail` does, for whom the scans of a ZIP archive stand elsewhere.

    They are left out, unless the file holds nothing else.
    """
    parts = parts_or_fail(path)
    return [part for part in parts if not (isinstance(part, Volume) and len(part) > 1)] or parts


def _parts(source: str | IO[bytes], name: str = "") -> list[Sequence[Slice] | Failure]:
    path = source if isinstance(source, str) else name
    try:
        parts = open_parts(source, name)
    except UnreadableImageError as error:
        return [Failure(path, error)]
    return [
        Failure(part.source, part) if isinstance(part, UnreadableImageError) else part
        for part in parts
    ]


def _is_passed_over(folder: str) -> bool:
    passed: list[str] = []
    return list(find_files([folder], passed)) == [folder] and bool(passed)

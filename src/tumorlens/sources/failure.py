"""A file that could not be read, as a row among the answers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tumorlens.errors import UnreadableImageError
from tumorlens.files import find_files
from tumorlens.images.read import open_slices
from tumorlens.images.slice import Slice

__all__ = ["Failure", "open_or_fail", "read_or_fail"]


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
    """Read a file's slices, or say what was wrong with it."""
    try:
        found = open_or_fail(path)
        return found if isinstance(found, Failure) else list(found)
    except UnreadableImageError as error:
        return Failure(path, error)


def open_or_fail(path: str) -> Sequence[Slice] | Failure:
    """Open a file's slices, or say what was wrong with it; those of a volume are read later."""
    if path and os.path.isdir(path):  # noqa: PTH112
        found = "a folder without files"
        if os.path.islink(path):  # noqa: PTH114
            found = "a link to a folder"
        elif _is_passed_over(path):
            found = "a folder of nothing but what tumorlens wrote"
        return Failure(path, UnreadableImageError(path, found, "give a folder that holds pictures"))
    try:
        return open_slices(path)
    except UnreadableImageError as error:
        return Failure(path, error)


def _is_passed_over(folder: str) -> bool:
    passed: list[str] = []
    return list(find_files([folder], passed)) == [folder] and bool(passed)

"""Walking folders in the order of their names, with a bounded number of names in memory.

A folder may hold a million files. Its names are taken in portions: the lowest first, then those
above them, each portion by one more look at the folder. So the order is that of the names, and
whoever knows the last file it saw can go on after it without asking for those before it.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from tumorlens.records import is_our_file, is_our_folder

__all__ = ["count_files", "walk"]

_HELD: Final = 50_000  # names of one folder in memory, some 5 MB


def walk(folder: str, passed: list[str], after: str | None = None) -> Iterator[str]:
    """Name every file below a folder: first its own, then those of the folders in it.

    What is hidden and what this package wrote is passed over. Links to folders are named and
    not followed; a folder that cannot be looked into is named in its place.

    Parameters
    ----------
    folder
        Where to begin.
    passed
        Gets what was passed over because this package wrote it.
    after
        A path that this walk gave before: go on behind it.

    Yields
    ------
    str
        Paths that begin with `folder`.
    """
    below = _steps(folder, after)
    waiting = [_look(folder, passed, below)]
    while waiting:
        kind, path = next(waiting[-1], ("end", ""))
        if kind == "end":
            waiting.pop()
        elif kind == "file":
            if path != after:
                yield path
        else:
            depth = len(waiting)
            inside = below[depth:] if path == _joined(folder, below[:depth]) else []
            waiting.append(_look(path, passed, inside))


def count_files(paths: Iterable[str]) -> Iterator[int]:
    """Count files and those below folders, roughly: one more for each step, in no order.

    What `walk` passes over because this package wrote it is counted too.
    """
    waiting = []
    for path in paths:
        if os.path.isdir(path):  # noqa: PTH112
            waiting.append(path)
        else:
            yield 1
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if _is_folder(entry):
                        waiting.append(entry.path)
                    else:
                        yield 1
        except OSError:
            yield 1


def _steps(folder: str, after: str | None) -> list[str]:
    """Say by which names a path is reached from a folder."""
    if after is None or after == folder:
        return []
    names = list(Path(after).relative_to(folder).parts)
    # A folder that was closed, and so was named itself: what comes after lies behind its files.
    is_folder = os.path.isdir(after) and not os.path.islink(after)  # noqa: PTH112, PTH114
    return [*names, ""] if is_folder else names


def _joined(folder: str, names: list[str]) -> str:
    return str(Path(folder, *names))


def _look(folder: str, passed: list[str], after: list[str]) -> Iterator[tuple[str, str]]:
    """Give the files of a folder, then its folders; of both only what comes after."""
    if is_our_folder(folder):
        passed.append(folder)
        return
    try:
        if len(after) < 2:  # else the place lies deeper: all files here come before it
            for name in _names(folder, after[0] if after else "", folders=False):
                path = _joined(folder, [name])
                if is_our_file(path):
                    passed.append(path)
                else:
                    yield "file", path
        if len(after) > 1:
            yield "folder", _joined(folder, after[:1])
        for name in _names(folder, after[0] if len(after) > 1 else "", folders=True):
            yield "folder", _joined(folder, [name])
    except OSError:
        yield "file", folder


def _names(folder: str, after: str, *, folders: bool) -> Iterator[str]:
    """Name what is in a folder and not hidden, in order, above a name."""
    while True:
        with os.scandir(folder) as entries:
            fitting = (
                entry.name
                for entry in entries
                if entry.name > after
                and not entry.name.startswith(".")
                and _is_folder(entry) == folders
            )
            names = heapq.nsmallest(_HELD, fitting)
        yield from names
        if len(names) < _HELD:
            return
        after = names[-1]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:  # it is gone
        return False

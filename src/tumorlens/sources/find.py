"""Which files are meant: those given, and those below the folders given."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

__all__ = ["find_files"]


def find_files(paths: Iterable[str]) -> Iterator[str]:
    """Name every file: those given, and those below the folders given.

    Folders are walked in the order of their names; what is hidden is passed over.
    Nothing else is left out: links to folders, which are not followed, folders that
    are empty or closed, and files that are no pictures are named too, for whoever
    reads them to report.
    """
    for path in paths:
        if not path or not os.path.isdir(path):  # noqa: PTH112  # Path.is_dir raises on a name that is too long
            yield path
            continue
        found = False
        for file in _walk(path):
            found = True
            yield file
        if not found:
            yield path  # to be reported like any other path that gave nothing


def _walk(path: str) -> Iterator[str]:
    closed: list[OSError] = []
    for folder, below, files in os.walk(path, onerror=closed.append):
        below[:] = sorted(name for name in below if not name.startswith("."))
        links = {name for name in below if os.path.islink(Path(folder, name))}  # noqa: PTH114
        shown = sorted([*(f for f in files if not f.startswith(".")), *links])
        yield from (str(Path(folder, name)) for name in shown)
    yield from (str(error.filename) for error in closed)

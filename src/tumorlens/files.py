"""Files: found below folders, known by their hash, written whole or not at all."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tumorlens.errors import OutputError

__all__ = ["find_files", "hash_file", "new_folder", "write_whole"]


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


def hash_file(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimals.

    Raises
    ------
    OSError
        When it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_whole(path: str | os.PathLike[str], content: bytes | str) -> None:
    """Write a file under another name first, so that nobody ever reads half of it.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    target = Path(path)
    data = content.encode() if isinstance(content, str) else content
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work = _beside(target)
        try:
            work.write_bytes(data)
            work.replace(target)
        finally:
            work.unlink(missing_ok=True)
    except OSError as error:
        raise _cannot_write(target, error) from error


@contextmanager
def new_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Fill a folder under another name and move it into place at the end.

    Parameters
    ----------
    path
        The folder to make. It must not exist, or be empty.

    Yields
    ------
    pathlib.Path
        Where to write. When the block raises, nothing is left behind.

    Raises
    ------
    OutputError
        When the folder is there already or cannot be written.
    """
    target = Path(path)
    work = _beside(target)
    try:
        if target.is_dir() and any(target.iterdir()):
            raise OutputError(f"{target} exists and is not empty; name another folder")
        work.mkdir(parents=True)
        yield work
        work.replace(target)
    except OSError as error:
        raise _cannot_write(target, error) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _walk(path: str) -> Iterator[str]:
    closed: list[OSError] = []
    for folder, below, files in os.walk(path, onerror=closed.append):
        below[:] = sorted(name for name in below if not name.startswith("."))
        links = {name for name in below if os.path.islink(Path(folder, name))}  # noqa: PTH114
        shown = sorted([*(f for f in files if not f.startswith(".")), *links])
        yield from (str(Path(folder, name)) for name in shown)
    yield from (str(error.filename) for error in closed)


def _beside(target: Path) -> Path:
    """Name a hidden neighbour that nobody else uses.

    Not `tempfile`, whose files only their owner may read. No longer than a name may be.
    """
    if not target.name or "\0" in str(target):
        raise OutputError(f"{str(target)!r} is no name for something new; give another")
    return target.with_name(f".{target.name[:40]}.{secrets.token_hex(4)}")


def _cannot_write(target: Path, error: OSError) -> OutputError:
    return OutputError(f"cannot write {target}: {error.strerror or error}")

"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tumorlens.errors import OutputError

__all__ = ["hash_file", "new_folder", "write_whole"]


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


def _beside(target: Path) -> Path:
    """Name a hidden neighbour that nobody else uses.

    Not `tempfile`, whose files only their owner may read. No longer than a name may be.
    """
    if not target.name or "\0" in str(target):
        raise OutputError(f"{str(target)!r} is no name for something new; give another")
    return target.with_name(f".{target.name[:40]}.{secrets.token_hex(4)}")


def _cannot_write(target: Path, error: OSError) -> OutputError:
    return OutputError(f"cannot write {target}: {error.strerror or error}")

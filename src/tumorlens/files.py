"""Files: found below folders, known by their hash, written whole or not at all.

What is being written lies in a hidden neighbour that only its own process uses, and is moved
into place at the end. Whatever will be refused is refused first: before the work, not after.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import secrets
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tumorlens.errors import OutputError
from tumorlens.locks import is_locked, locked
from tumorlens.walk import walk

__all__ = [
    "check_new_file",
    "check_new_folder",
    "find_files",
    "free_folder",
    "hash_file",
    "new_file",
    "new_folder",
    "replaced_folder",
    "write_text",
    "write_whole",
]


def find_files(paths: Iterable[str], passed: list[str] | None = None) -> Iterator[str]:
    """Name every file: those given, and those below the folders given.

    Folders are walked in the order of their names; what is hidden, and what this package
    wrote itself, is passed over. Nothing else is left out: links to folders, which are not
    followed, folders that are empty or closed, and files that are no pictures are named
    too, for whoever reads them to report.

    Parameters
    ----------
    paths
        Files and folders.
    passed
        Gets what was passed over because this package wrote it.
    """
    passed = [] if passed is None else passed
    for path in paths:
        if not path or not os.path.isdir(path):  # noqa: PTH112  # Path.is_dir raises on a name that is too long
            yield path
            continue
        found = False
        for file in walk(path, passed):
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


def check_new_folder(path: str | os.PathLike[str]) -> None:
    """Refuse what `new_folder` would refuse, before any work is done for it.

    Raises
    ------
    OutputError
        When the folder is there already, is being made or cannot be written.
    """
    target = Path(path)
    try:
        work = _beside(target)
        _refuse_taken(target)
        _refuse_closed(target.parent)
        if target.parent.is_dir():
            _refuse_shared(target, work)
    except OSError as error:
        raise _cannot_write(target, error) from error


def check_new_file(path: str | os.PathLike[str]) -> None:
    """Refuse what `new_file` would refuse, before any work is done for it.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    target = Path(path)
    try:
        _beside(target)
        if target.exists() and not target.is_file():
            raise OutputError(f"cannot write {target}: it is no plain file; name another")
        _refuse_closed(target.parent)
    except OSError as error:
        raise _cannot_write(target, error) from error


def write_whole(path: str | os.PathLike[str], content: bytes | str) -> None:
    """Write a file so that nobody ever reads half of it.

    Text becomes UTF-8. Names of files that are no text, as some systems have them, become
    the bytes that they are on the disk.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    if isinstance(content, str):
        content = content.encode("utf-8", sys.getfilesystemencodeerrors())
    with new_file(path) as work:
        work.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write a text that others read, such as a page or JSON, as UTF-8 and with plain line ends.

    For use inside `new_folder`. Bytes in names of files that are no text become ``?``: pages and
    JSON must be UTF-8 throughout.
    """
    path.write_text(text, encoding="utf-8", errors="replace", newline="\n")


@contextmanager
def new_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Write a file under another name and move it into place at the end.

    Parameters
    ----------
    path
        The file to make, or to replace.

    Yields
    ------
    pathlib.Path
        Where to write. When the block raises, what was there before is left as it was.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    target = Path(path)
    work = _beside(target)
    try:
        check_new_file(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        work.touch(exist_ok=False)
        yield work
        work.replace(target)
    except OSError as error:
        raise _cannot_write(target, error) from error
    finally:
        with contextlib.suppress(OSError):
            work.unlink(missing_ok=True)


@contextmanager
def new_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Fill a folder under another name and move it into place at the end.

    Parameters
    ----------
    path
        The folder to make. It must not exist, or be empty, and no other process may be
        making it.

    Yields
    ------
    pathlib.Path
        Where to write. When the block raises, nothing is left behind.

    Raises
    ------
    OutputError
        When the folder is there already or cannot be written. Should it appear while the
        block runs, what the block wrote is kept beside it, and the error says where.
    """
    target = Path(path)
    target = target.resolve() if target.is_symlink() else target
    work = _beside(target)
    try:
        _refuse_taken(target)
        if _must_stay(target):
            work = target / work.name
        work.mkdir(parents=True)
        with locked(work):
            _refuse_shared(target, work)
            yield work
        _move(work, target)
    except OSError as error:
        raise _cannot_write(target, error) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


@contextmanager
def free_folder(parent: str | os.PathLike[str], name: str) -> Iterator[Path]:
    """Make a folder that is nobody else's, whoever else looks for one at the same time.

    Parameters
    ----------
    parent
        Where to make it.
    name
        What to call it: ``name``, else ``name-2``, ``name-3`` and so on.

    Yields
    ------
    pathlib.Path
        The folder. It is empty, so that `new_folder` takes it. When the block raises and
        has left nothing in it, it is gone again.

    Raises
    ------
    OutputError
        When it cannot be made.
    """
    folder = Path(parent, name)
    try:
        for count in itertools.count(2):
            with contextlib.suppress(FileExistsError):
                folder.mkdir(parents=True)
                break
            if not Path(parent).is_dir():
                raise OutputError(f"cannot write {parent}: it is no folder; name another")
            folder = Path(parent, f"{name}-{count}")
    except OSError as error:
        raise _cannot_write(folder, error) from error
    try:
        yield folder
    except BaseException:
        with contextlib.suppress(OSError):
            folder.rmdir()
        raise


@contextmanager
def replaced_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Put a new folder in the place of one that is there.

    Parameters
    ----------
    path
        The folder to replace.

    Yields
    ------
    pathlib.Path
        What to make instead; it does not exist yet. When the block raises, the old folder
        stays as it was.

    Raises
    ------
    OutputError
        When it cannot be replaced.
    """
    target = Path(path)
    work = _beside(target)
    try:
        yield work
        while work.exists():
            old = _beside(target)
            with contextlib.suppress(FileNotFoundError):
                target.replace(old)
            try:
                work.replace(target)
            except OSError:
                if not target.exists():  # nobody else has put theirs there
                    old.replace(target)
                    raise
            shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise _cannot_write(target, error) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _beside(target: Path) -> Path:
    """Name a hidden neighbour that nobody else uses; who came first has the first name.

    Not `tempfile`, whose files only their owner may read. No longer than a name may be.
    """
    if not target.name or "\0" in str(target) or not _is_possible(target):
        raise OutputError(f"{str(target)!r} is no name for something new; give another")
    return target.with_name(f"{_mark(target)}{time.time_ns():020}.{secrets.token_hex(4)}")


def _is_possible(target: Path) -> bool:
    try:
        return bool(os.fsencode(target))
    except UnicodeEncodeError:
        return False


def _mark(target: Path) -> str:
    """Give what the names of all such neighbours begin with."""
    digest = hashlib.sha256(os.fsencode(target.name)).hexdigest()
    return f".{target.name[:40]}.{digest[:8]}."


def _refuse_taken(target: Path) -> None:
    if target.is_dir():
        if any(target.iterdir()):
            raise OutputError(f"{target} exists and is not empty; name another folder")
    elif os.path.lexists(target):
        raise OutputError(f"cannot write {target}: it is a file; name another folder")


def _refuse_closed(folder: Path) -> None:
    """Refuse a folder in which nothing can be made, be it there or still to be made."""
    there = next((x for x in (folder, *folder.absolute().parents) if os.path.lexists(x)), folder)
    if not there.is_dir():
        raise OutputError(f"cannot write below {there}: it is no folder; name another")
    if not os.access(there, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write in {there}: it is closed to you; name another folder")


def _refuse_shared(target: Path, work: Path) -> None:
    """Refuse a folder that a process which came before is still making."""
    mark = _mark(target)
    try:
        others = [entry for entry in work.parent.iterdir() if entry.name.startswith(mark)]
    except PermissionError:  # a folder to put things into and not to look into
        return
    if any(other.name < work.name and is_locked(other) for other in others):
        raise OutputError(f"another process is making {target}; wait for it, or name another")


def _must_stay(target: Path) -> bool:
    """Say whether a folder is there that cannot be replaced: a container's volume, say."""
    return target.is_dir() and (os.path.ismount(target) or not os.access(target.parent, os.W_OK))


def _move(work: Path, target: Path) -> None:
    """Move a folder into place; where that was taken meanwhile, next to it."""
    if work.parent == target:
        for path in work.iterdir():
            path.replace(target / path.name)
        return
    if sys.platform == "win32" and target.is_dir():
        with contextlib.suppress(OSError):
            target.rmdir()  # it is empty, and Windows replaces no folder
    try:
        work.replace(target)
    except OSError:
        if not os.path.lexists(target):
            raise
        with free_folder(target.parent, target.name) as kept:
            kept.rmdir()
            work.replace(kept)
        raise OutputError(
            f"{target} appeared while it was being made; what was made is kept in {kept}"
        ) from None


def _cannot_write(target: Path, error: OSError) -> OutputError:
    return OutputError(f"cannot write {target}: {error.strerror or error}")

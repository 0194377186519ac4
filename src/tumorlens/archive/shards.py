"""A folder of Parquet files on the way: which blocks of an archive have theirs.

A block's file is named after its number and what is in the block, so that whoever goes on knows
what is done, though files have come or gone meanwhile. Here the folder is hidden until it is
whole. In an object store, which moves no folders, and where the folder is the root of a file
system, it is marked when it is whole.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from tumorlens.archive.lanes import Result
from tumorlens.archive.parts import difference, unfinished_folder
from tumorlens.archive.store import MARK, Store, is_address
from tumorlens.archive.tables import columns, parquet_schema
from tumorlens.errors import OutputError
from tumorlens.extras import require
from tumorlens.files import check_new_folder
from tumorlens.locks import is_locked, locked
from tumorlens.records import PARQUET_KEY
from tumorlens.untrusted import is_whole, read_json

__all__ = ["Count", "Shards", "shards_opened", "write_shard"]

_FEATURE: Final = "--engine ray"
_JOB: Final = "_job.json"
_PART: Final = "part-"
_LOOKING: Final = 16  # threads that look into files of a store


class Count(NamedTuple):
    """What is in a block's file.

    Parameters
    ----------
    files, failed, rows
        How many files it answers for, how many of them could not be read, and its rows.
    """

    files: int
    failed: int
    rows: int


def write_shard(
    store: Store,
    name: str,
    results: Sequence[Result],
    count: Count,
    classes: Sequence[str],
    about: dict[str, Any],
) -> None:
    """Write a block's rows as a file, whole or not at all.

    Parameters
    ----------
    store, name
        The folder and the file.
    results
        The rows.
    count
        What the file tells of itself.
    classes
        The model's classes.
    about
        The job.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    arrow = require("pyarrow", _FEATURE, "ray")
    told = {key: about[key] for key in ("model", "card", "version")}
    told |= {"files": count.files, "failed": count.failed}
    schema = parquet_schema(classes).with_metadata({PARQUET_KEY: json.dumps(told)})
    table = arrow.table(columns(results, classes), schema=schema)
    sink = arrow.BufferOutputStream()
    require("pyarrow.parquet", _FEATURE, "ray").write_table(table, sink, compression="zstd")
    store.write(name, sink.getvalue().to_pybytes())


class Shards:
    """The folder; made by `shards_opened`.

    Parameters
    ----------
    store
        Where the files lie until all are there.
    target
        The folder to move them to, or ``None`` where they lie in it already.
    shown
        The folder as people name it.
    job
        What was asked.
    """

    def __init__(self, store: Store, target: Path | None, shown: str, job: dict[str, Any]) -> None:
        self.store = store
        self._target = target
        self._shown = shown
        self._begin(job)

    def done(self, names: Iterable[str]) -> dict[str, Count]:
        """Say which of some files are there and whole, and what is in them."""
        there = set(self.store.names())
        wanted = [name for name in names if name in there]
        with ThreadPoolExecutor(_LOOKING) as pool:
            counts = list(pool.map(self._count, wanted))
        return {x: count for x, count in zip(wanted, counts, strict=True) if count is not None}

    def finish(self, names: Iterable[str]) -> None:
        """Keep these files, remove others of ours, and let the folder be seen whole."""
        wanted = {*names, _JOB}
        for name in self.store.names():
            if name not in wanted and name.lstrip(".").startswith(_PART):
                self.store.remove(name)  # of a block that is no more
        if self._target is None:
            self.store.write(MARK, b"")
            self.store.remove(_JOB)
            return
        Path(self.store.path).replace(self._target)
        (self._target / _JOB).unlink()

    def _begin(self, job: dict[str, Any]) -> None:
        names = set(self.store.names())
        if MARK in names:
            raise OutputError(f"{self._shown} is there already; name another folder")
        if _JOB not in names:
            if self._target is None and names:
                raise OutputError(f"{self._shown} is there already; name another folder")
            self.store.write(_JOB, json.dumps(job, indent=1).encode())
            return
        try:
            before = read_json(self.store.read(self.store.join(_JOB)))
        except ValueError:
            before = None
        if not isinstance(before, dict):
            raise OutputError(
                f"{_JOB} in {self.store.name} is damaged; remove the folder to begin anew"
            )
        if before != job:
            raise OutputError(
                f"{self._shown} was begun with {difference(before, job)}; go on as it was begun, "
                f"or remove {self.store.name} to begin anew"
            )

    def _count(self, name: str) -> Count | None:
        """Look into a file; ``None`` when it is not whole."""
        arrow, parquet = (require(x, _FEATURE, "ray") for x in ("pyarrow", "pyarrow.parquet"))
        try:
            content = self.store.read(self.store.join(name))
            about = parquet.read_metadata(arrow.BufferReader(content))
            told = read_json(about.metadata[PARQUET_KEY.encode()])
            count = Count(told["files"], told["failed"], about.num_rows)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return count if all(map(is_whole, count)) else None


@contextmanager
def shards_opened(out: str, job: dict[str, Any]) -> Iterator[Shards]:
    """Begin a folder of answers, or go on with one.

    Parameters
    ----------
    out
        The folder, or its address.
    job
        What was asked, as JSON has it.

    Raises
    ------
    OutputError
        When the folder is there already, cannot be written, is being written by another process
        of this machine, or was begun with another job.
    """
    if is_address(out):
        store = Store.of(out)
        try:
            yield Shards(store, None, store.name, job)
        except OSError as error:
            raise OutputError(f"cannot write {store.name}: {str(error).splitlines()[0]}") from error
        return
    target = Path(out).absolute()
    target = target.resolve() if target.is_symlink() else target
    try:
        if stays := os.path.ismount(target):  # it cannot be moved to: a container's volume, say
            folder = target
        else:
            folder = unfinished_folder(target)
            check_new_folder(target)
            folder.mkdir(parents=True, exist_ok=True)
        if is_locked(folder):
            raise OutputError(f"another process is writing {target}; wait for it")
        with locked(folder):
            yield Shards(Store(str(folder)), None if stays else target, str(target), job)
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror or error}") from error

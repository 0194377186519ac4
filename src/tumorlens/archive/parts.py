"""An unfinished table: parts that are whole, and how far they reach.

It lies in a hidden folder beside the file to make::

    .results.parquet.unfinished/
        job.json      what was asked, and of which model
        state.json    how many parts count, and behind which file to go on
        part-000000   rows of whole files

A part counts once `state.json`, which is replaced in one step, says so. Whatever moment the
process is killed at, the parts that count hold every row up to a file, once. At the end they are
joined, the whole file is moved into its place, and the folder goes.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from tumorlens.archive.lanes import Result
from tumorlens.archive.tables import Format
from tumorlens.errors import OutputError
from tumorlens.files import check_new_file, new_file
from tumorlens.locks import is_locked, locked
from tumorlens.untrusted import is_whole, read_json

__all__ = ["State", "Unfinished", "difference", "sync", "unfinished_folder"]

_JOB: Final = "job.json"
_STATE: Final = "state.json"


@dataclass(frozen=True, slots=True)
class State:
    """How far an unfinished table reaches.

    Parameters
    ----------
    parts
        How many parts count.
    root
        Which of the paths that were given, from 0, the last file came from.
    path
        The last file, or ``None`` before the first.
    files, failed, rows
        How many files are done, how many of them could not be read, and their rows.
    joined
        True when the whole file is about to be moved into its place.
    """

    parts: int = 0
    root: int = 0
    path: str | None = None
    files: int = 0
    failed: int = 0
    rows: int = 0
    joined: bool = False


class Unfinished:
    """A table on the way; made by `opened`."""

    def __init__(self, target: Path, folder: Path, job: dict[str, Any], form: Format) -> None:
        self._target = target
        self._folder = folder
        self._form = form
        self._job = job
        self.state = self._begin()

    @classmethod
    @contextmanager
    def opened(cls, target: Path, job: dict[str, Any], form: Format) -> Iterator[Unfinished]:
        """Begin a table, or go on with one.

        Parameters
        ----------
        target
            The file to make.
        job
            What was asked, as JSON has it.
        form
            Writes the rows.

        Raises
        ------
        OutputError
            When the file is there already, cannot be written, is being written by another
            process, or was begun with another job.
        """
        folder = unfinished_folder(target)
        try:
            check_new_file(target)
            folder.mkdir(parents=True, exist_ok=True)
            if is_locked(folder):
                raise OutputError(f"another process is writing {target}; wait for it")
            with locked(folder):
                yield cls(target, folder, job, form)
        except OSError as error:
            raise OutputError(f"cannot write {target}: {error.strerror or error}") from error

    @property
    def is_in_place(self) -> bool:
        """True when the whole file is there, and only the folder is left from a kill."""
        return self.state.joined and self._target.exists()

    def add(self, results: Sequence[Result], state: State) -> None:
        """Write rows as one more part; `state` says where they end.

        The part counts once the state is there, which is the last step.
        """
        part = self._part(self.state.parts)
        self._form.write(results, part)
        sync(part)
        self._save(replace(state, parts=self.state.parts + 1, joined=False))

    def finish(self) -> None:
        """Join the parts, move the whole file into its place and remove the folder."""
        if self.is_in_place:
            self._clear()
            return
        with new_file(self._target) as work:
            parts = (self._part(i) for i in range(self.state.parts))
            try:
                self._form.join(parts, work, self._job)
            except ValueError as error:  # of Parquet; what it says of itself is of no use
                raise OutputError(
                    f"a part in {self._folder} is damaged; remove the folder to begin anew"
                ) from error
            sync(work)
            self._save(replace(self.state, joined=True))
        self._clear()

    def _clear(self) -> None:
        """Remove the folder; what says that all is done goes last."""
        for i in range(self.state.parts):
            self._part(i).unlink(missing_ok=True)
        (self._folder / _JOB).unlink(missing_ok=True)
        shutil.rmtree(self._folder)

    def _begin(self) -> State:
        """Read how far it reaches; refuse another's."""
        before = self._read(_JOB)
        state = self._read_state()
        if self._target.exists() and not state.joined:
            if before is None:
                shutil.rmtree(self._folder)
            raise OutputError(f"{self._target} is there already; remove it, or name another file")
        if before is None:
            self._write(_JOB, self._job)
        elif before != self._job:
            raise OutputError(
                f"{self._target} was begun with {difference(before, self._job)}; go on as it was "
                f"begun, or remove {self._folder} to begin anew"
            )
        return state

    def _read_state(self) -> State:
        values = self._read(_STATE)
        if values is None:
            return State()
        try:
            state = State(**values)
        except TypeError:
            state = State(parts=-1)
        numbers = (state.parts, state.root, state.files, state.failed, state.rows)
        whole = all(is_whole(x) and x >= 0 for x in numbers)
        begun = state.joined or not state.parts or (self._folder / _JOB).is_file()
        if not (
            whole
            and isinstance(values.get("path"), str | None)
            and state.root < max(1, len(self._job.get("paths", [None])))
            and begun
            and (state.joined or all(self._part(i).is_file() for i in range(state.parts)))
        ):
            raise OutputError(f"{self._folder / _STATE} is damaged; remove {self._folder}")
        return state

    def _save(self, state: State) -> None:
        self._write(_STATE, asdict(state))
        self.state = state

    def _read(self, name: str) -> dict[str, Any] | None:
        path = self._folder / name
        if not path.exists():
            return None
        try:
            values = read_json(path.read_bytes())
        except ValueError:
            values = None
        if not isinstance(values, dict):
            raise OutputError(f"{path} is damaged; remove {self._folder} to begin anew")
        return values

    def _write(self, name: str, values: dict[str, Any]) -> None:
        with new_file(self._folder / name) as work:
            work.write_text(json.dumps(values, indent=1) + "\n", encoding="ascii")
            sync(work)

    def _part(self, number: int) -> Path:
        return self._folder / f"part-{number:06d}"


def unfinished_folder(target: Path) -> Path:
    """Say where the parts of a file lie until it is whole."""
    return target.with_name(f".{target.name}.unfinished")


def difference(before: dict[str, Any], now: dict[str, Any]) -> str:
    """Name what differs first, as a person would."""
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    name = names[0]
    return f"{name} {before.get(name)!r}, not {now.get(name)!r}"


def sync(path: Path) -> None:
    """Have the system write a file to its disk, so that no power cut empties what counts."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

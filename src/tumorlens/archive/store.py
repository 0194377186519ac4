"""A folder here, or wherever pyarrow has a file system: ``s3://bucket/folder``, ``gs://...``."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from tumorlens.archive.parts import sync
from tumorlens.errors import OutputError
from tumorlens.extras import require
from tumorlens.files import new_file

__all__ = ["MARK", "Store", "is_address"]

MARK: Final = "_SUCCESS"
"""Written last where folders cannot be moved, as others do: all is there."""

_FEATURE: Final = "--engine ray"


def is_address(path: str) -> bool:
    """Say whether a path is the address of another file system."""
    return "://" in path


@dataclass(frozen=True, slots=True)
class Store:
    """A folder and its file system.

    Parameters
    ----------
    path
        The folder, as its file system has it.
    start
        What stands before the path to people; of a folder here nothing.
    filesystem
        Of pyarrow, or ``None`` for this machine's own.
    """

    path: str
    start: str = ""
    filesystem: Any = None

    @classmethod
    def of(cls, address: str) -> Store:
        """Open an address; what it holds of keys and options is not part of any name.

        Raises
        ------
        OutputError
            When there is no such file system, or the address is none.
        """
        if not is_address(address):
            return cls(str(Path(address).absolute()))
        fs = require("pyarrow.fs", _FEATURE, "ray")
        scheme = urlsplit(address).scheme
        try:
            filesystem, path = fs.FileSystem.from_uri(address)
        except (ValueError, OSError) as error:  # pyarrow's own are both; they may repeat keys
            raise OutputError(
                f"cannot open an address of {scheme}://; check how it is written"
            ) from error
        return cls(path, f"{scheme}://", filesystem)

    @property
    def name(self) -> str:
        """Name the folder to people."""
        return f"{self.start}{self.path}"

    def names(self) -> list[str]:
        """Name what is in the folder; nothing when it is not there."""
        if self.filesystem is None:
            return os.listdir(self.path)  # noqa: PTH208  # names alone
        fs = require("pyarrow.fs", _FEATURE, "ray")
        found = self.filesystem.get_file_info(fs.FileSelector(self.path, allow_not_found=True))
        return [x.base_name for x in found]

    def files(self) -> Iterator[str]:
        """Name the files below an address in the order in which `tumorlens.walk.walk` does.

        Hidden ones are left out, and so are answers of a cluster.
        """
        fs = require("pyarrow.fs", _FEATURE, "ray")
        if self.filesystem.get_file_info(self.path).type != fs.FileType.Directory:
            yield self.path
            return
        below = self.filesystem.get_file_info(fs.FileSelector(self.path, recursive=True))
        paths = [x.path for x in below if x.is_file]
        ours = {posixpath.dirname(x) for x in paths if posixpath.basename(x) == MARK}
        inside = ((x, posixpath.relpath(x, self.path).split("/")) for x in paths)
        shown = [
            ([(True, part) for part in parts[:-1]] + [(False, parts[-1])], path)
            for path, parts in inside
            if not any(part.startswith(".") for part in parts)
            and posixpath.dirname(path) not in ours
        ]
        yield from (path for _, path in sorted(shown))

    def read(self, path: str, most: int = -1) -> bytes:
        """Read a file by its whole path, and not more bytes of it than `most`."""
        if self.filesystem is None:
            with Path(path).open("rb") as file:
                return file.read(most)
        with self.filesystem.open_input_stream(path) as stream:
            content: bytes = stream.read(None if most < 0 else most)
            return content

    def join(self, name: str) -> str:
        """Give the whole path of what is in the folder."""
        return posixpath.join(self.path, name) if self.filesystem else str(Path(self.path, name))

    def write(self, name: str, content: bytes) -> None:
        """Write a file into the folder, whole or not at all.

        Raises
        ------
        OutputError
            When it cannot be written.
        """
        if self.filesystem is None:
            with new_file(self.join(name)) as work:
                work.write_bytes(content)
                sync(work)
            return
        try:
            with self.filesystem.open_output_stream(self.join(name)) as stream:
                stream.write(content)
        except OSError as error:
            what = str(error).splitlines()[0]
            raise OutputError(f"cannot write {self.start}{self.join(name)}: {what}") from error

    def remove(self, name: str) -> None:
        """Remove a file of the folder."""
        if self.filesystem is None:
            Path(self.join(name)).unlink(missing_ok=True)
        else:
            self.filesystem.delete_file(self.join(name))

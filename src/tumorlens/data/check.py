"""Is a folder the data set that it should be? Told by the content of its files alone.

Names say little: the same pictures go around under many. So every file is known by
its SHA-256, and counted, since some pictures of the public set occur several times.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from tumorlens.data.table import read_table
from tumorlens.errors import DataError
from tumorlens.files import hash_file
from tumorlens.progress import Progress, silent
from tumorlens.untrusted import printable

__all__ = [
    "PUBLISHED",
    "Comparison",
    "Differing",
    "Expected",
    "Extra",
    "check_folder",
    "published_files",
    "read_expected",
]

PUBLISHED: Final = Path(__file__).parent / "published" / "brain-tumor-mri-7023.csv"
"""The manifest of the public set, which comes with the package."""

_SHOWN: Final = 10  # files named of each kind in the text; the JSON names them all
_SHA256: Final = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Expected:
    """A file that should be there.

    Parameters
    ----------
    sha256
        Of its content, in lower-case hexadecimals.
    label
        Its class.
    path
        Where it should lie below the folder, with ``/``; ``None`` when that is not known.
    """

    sha256: str
    label: str
    path: str | None = None


@dataclass(frozen=True, slots=True)
class Differing:
    """A file in its place with another content.

    Parameters
    ----------
    path
        Below the folder, with ``/``.
    expected, found
        SHA-256 of what should be there, and of what is.
    """

    path: str
    expected: str
    found: str


@dataclass(frozen=True, slots=True)
class Extra:
    """A file that should not be there.

    Parameters
    ----------
    path
        Below the folder, with ``/``.
    reason
        What is known of it.
    """

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a folder holds against what it should hold.

    Parameters
    ----------
    folder
        As it was given.
    expected
        How many files it should hold.
    files
        How many it holds, hidden files apart.
    matching
        How many of the expected files are there, byte for byte, under whatever name.
    missing
        Those that are not. Without paths in the manifest, a changed file is one that
        is missing and one that is extra.
    differing
        Those that lie in their place with another content.
    extra
        Files that nobody expected.
    """

    folder: str
    expected: int
    files: int
    matching: int
    missing: tuple[Expected, ...]
    differing: tuple[Differing, ...]
    extra: tuple[Extra, ...]

    @property
    def complete(self) -> bool:
        """Whether every expected file is there; more files may be."""
        return self.matching == self.expected

    @property
    def exact(self) -> bool:
        """Whether the folder holds the expected files and nothing else."""
        return self.complete and not self.extra

    @property
    def fraction(self) -> float:
        """Which part of the expected files is there, from 0 to 1."""
        return self.matching / self.expected

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {
            **asdict(self),
            "fraction": self.fraction,
            "complete": self.complete,
            "exact": self.exact,
        }

    def to_text(self) -> str:
        """Say in a few lines what matches, is missing, differs and is extra."""
        share = f"{int(self.fraction * 1000) / 10:.1f} %"  # rounded down: 100 % is all of them
        lines = [f"{self.folder}: {self.matching:,} of {self.expected:,} files match ({share})"]
        lines += _listed("missing", [_described(item) for item in self.missing])
        lines += _listed("differing", [item.path for item in self.differing])
        lines += _listed("extra", [f"{item.path} ({item.reason})" for item in self.extra])
        return "\n".join(map(printable, lines))


def check_folder(
    folder: str | os.PathLike[str],
    expected: Sequence[Expected] | None = None,
    *,
    progress: Progress = silent,
) -> Comparison:
    """Compare the files of a folder with those that it should hold.

    Hidden files are passed over: systems leave them where they like.

    Parameters
    ----------
    folder
        Any layout.
    expected
        What it should hold; the published set if not given.
    progress
        Told of each file.

    Returns
    -------
    Comparison
        What matches and what does not.

    Raises
    ------
    DataError
        When there is no such folder, or nothing is expected.
    """
    root = Path(folder)
    if not root.is_dir():
        raise DataError(f"{root} is not a folder; name the one that holds Training and Testing")
    wanted = list(published_files() if expected is None else expected)
    if not wanted:
        raise DataError("nothing to compare with: the list of expected files is empty")
    paths = _files(root)
    found: dict[str, str] = {}
    extra: list[Extra] = []
    for i, path in enumerate(paths):
        name = path.relative_to(root).as_posix()
        try:
            found[name] = hash_file(path)
        except OSError as error:
            extra.append(Extra(name, f"cannot be read: {error.strerror or error}"))
        progress("checked", i + 1, len(paths))
    return _compare(str(folder), wanted, found, extra)


def published_files() -> list[Expected]:
    """Read the files of the published set, from the manifest in the package.

    Returns
    -------
    list of Expected
        Without paths: the manifest knows the files by content.
    """
    return read_expected(PUBLISHED)


def read_expected(path: str | os.PathLike[str]) -> list[Expected]:
    """Read a manifest: a CSV with ``sha256``, ``label`` and perhaps ``path``.

    Returns
    -------
    list of Expected
        In the order of the file.

    Raises
    ------
    DataError
        When it cannot be read or is no such manifest.
    """
    expected = []
    for row in read_table(Path(path), "a CSV manifest", (), ""):
        sha256 = row["sha256"].lower()
        if not _SHA256.fullmatch(sha256):
            raise DataError(
                f"{path}, line {row.line}: no SHA-256 in the column `sha256`; "
                "give a manifest as `tumorlens data manifest` writes it"
            )
        place = row["path"].replace("\\", "/")
        expected.append(Expected(sha256, row["label"], place or None))
    return expected


def _files(root: Path) -> list[Path]:
    inside = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return sorted(
        root / path for path in inside if not any(part.startswith(".") for part in path.parts)
    )


def _compare(
    folder: str, wanted: list[Expected], found: dict[str, str], unreadable: list[Extra]
) -> Comparison:
    open_by_hash: dict[str, list[Expected]] = defaultdict(list)
    for item in reversed(wanted):  # so that pop() takes the first
        open_by_hash[item.sha256].append(item)
    known = set(open_by_hash)
    left: dict[str, str] = {}
    for name, sha256 in found.items():
        if open_by_hash[sha256]:
            open_by_hash[sha256].pop()
        else:
            left[name] = sha256
    lacking = sorted(
        (item for items in open_by_hash.values() for item in items),
        key=lambda item: (item.path or "", item.label, item.sha256),
    )
    differing = [
        Differing(item.path, item.sha256, left.pop(item.path))
        for item in lacking
        if item.path is not None and item.path in left
    ]
    changed = {item.path for item in differing}
    extra = [
        Extra(name, "one copy too many" if sha256 in known else "not expected")
        for name, sha256 in left.items()
    ]
    return Comparison(
        folder=folder,
        expected=len(wanted),
        files=len(found) + len(unreadable),
        matching=len(wanted) - len(lacking),
        missing=tuple(i for i in lacking if i.path is None or i.path not in changed),
        differing=tuple(differing),
        extra=tuple(sorted(extra + unreadable, key=lambda item: item.path)),
    )


def _described(item: Expected) -> str:
    name = f"SHA-256 {item.sha256[:12]}…" if item.path is None else item.path
    return f"{name} ({item.label})" if item.label else name


def _listed(kind: str, items: list[str]) -> list[str]:
    if not items:
        return []
    lines = [f"{kind}: {len(items):,}", *(f"  {item}" for item in items[:_SHOWN])]
    if len(items) > _SHOWN:
        lines.append(f"  … and {len(items) - _SHOWN:,} more; --json names them all")
    return lines

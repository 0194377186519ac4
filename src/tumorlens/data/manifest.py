"""The manifest: one row for each picture of a data set, and what is known of it.

It is what training and evaluation start from. A CSV that anybody can read; its paths
are relative to the folder it lies in, so that data and manifest move together.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Final, Self

from tumorlens.data.duplicates import KIN, clusters, find_pairs
from tumorlens.data.folder import CLASSES, SPLITS, Example, class_named, find_examples
from tumorlens.data.published import published
from tumorlens.data.survey import Look, Survey, Unreadable, survey
from tumorlens.data.table import Row, read_table
from tumorlens.errors import DataError
from tumorlens.files import write_whole
from tumorlens.progress import Progress, silent

__all__ = [
    "GROUPINGS",
    "Entry",
    "Manifest",
    "find_labelled",
    "make_manifest",
    "read_manifest",
    "write_manifest",
]

GROUPINGS: Final = ("auto", "published", "none")
"""How `make_manifest` finds groups."""

_SHA256: Final = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One picture.

    Parameters
    ----------
    path
        Relative to the manifest's root, with ``/``.
    sha256
        Of the file.
    pixel_sha256
        Of its size and decoded grey pixels.
    label
        What its folder says.
    corrected_label
        What is right; the same as `label` where nothing else is known.
    width, height
        In pixels.
    mode, format
        As the file stores it.
    bytes
        Size of the file.
    source
        Which collection it comes from; empty when not known.
    group
        Patient or cluster of near-duplicates; empty when not known.
    split
        One of `tumorlens.data.folder.SPLITS` where the folders say so; such splits leak.
    excluded
        Why the picture neither trains nor counts; empty when it does.
    fold
        From 0; ``None`` when not assigned.
    """

    path: str
    sha256: str
    pixel_sha256: str
    label: str
    corrected_label: str
    width: int
    height: int
    mode: str
    format: str
    bytes: int
    source: str = ""
    group: str = ""
    split: str = ""
    excluded: str = ""
    fold: int | None = None  # the last: a column that is seldom empty shows a row that slipped

    def __post_init__(self) -> None:
        for name in ("label", "corrected_label"):
            if getattr(self, name) not in CLASSES:
                raise DataError(f"`{name}` must be one of {', '.join(CLASSES)}")
        for name in ("sha256", "pixel_sha256"):
            if not _SHA256.fullmatch(getattr(self, name)):
                raise DataError(f"`{name}` must be 64 hexadecimals in lower case")
        if not self.path:
            raise DataError("`path` is empty")
        if self.split not in ("", *SPLITS):
            raise DataError(f"`split` must be {', '.join(SPLITS)} or empty")
        if min(self.width, self.height) < 1 or self.bytes < 1:
            raise DataError("`width`, `height` and `bytes` must be at least 1")
        if self.fold is not None and self.fold < 0:
            raise DataError("`fold` must be at least 0")


_COLUMNS: Final = tuple(field.name for field in fields(Entry))
_REQUIRED: Final = tuple(f.name for f in fields(Entry) if f.default is MISSING)
_NUMBERS: Final = ("width", "height", "bytes")
# Three noughts may be thousands.
_WHOLE: Final = re.compile(r"([+-]?\d+)(?:[.,](?!000$)0+)?", re.ASCII)


@dataclass(frozen=True)
class Manifest:
    """The pictures of a data set.

    Parameters
    ----------
    entries
        One for each picture that can be read.
    root
        The folder that the entries' paths start from.
    unreadable
        The files that cannot be read, and why.
    """

    entries: tuple[Entry, ...]
    root: Path
    unreadable: tuple[Unreadable, ...] = ()

    def __post_init__(self) -> None:
        twice = [path for path, n in Counter(e.path for e in self.entries).items() if n > 1]
        if twice:
            raise DataError(f"{twice[0]} is listed twice; keep one row for each file")

    @cached_property
    def sha256(self) -> str:
        """Hash of the pictures and what is said of them, wherever they lie and in any order."""
        rows = sorted(
            # Nothing for what is not excluded: a manifest without such keeps its hash.
            f"{e.sha256} {e.corrected_label} {e.group} {e.split} {e.fold}{_reason(e)}\n"
            for e in self.entries
        )
        return hashlib.sha256("".join(rows).encode()).hexdigest()

    @cached_property
    def counted(self) -> tuple[Entry, ...]:
        """The pictures that train and count: all that are not excluded."""
        return tuple(entry for entry in self.entries if not entry.excluded)

    @property
    def excluded(self) -> dict[str, int]:
        """How many pictures neither train nor count, by reason."""
        return dict(Counter(entry.excluded for entry in self.entries if entry.excluded))

    @property
    def labels(self) -> list[str]:
        """The corrected labels."""
        return [entry.corrected_label for entry in self.entries]

    def examples(self, entries: Sequence[Entry] | None = None) -> list[Example]:
        """Give entries as labelled files: all of them, or those named.

        The labels are the corrected ones.
        """
        return [
            Example(self.root / e.path, e.corrected_label, e.split, e.group, e.sha256, e.fold)
            for e in (self.entries if entries is None else entries)
        ]

    def with_folds(self, folds: Sequence[int]) -> Self:
        """Give the same manifest with other folds."""
        changed = tuple(
            replace(entry, fold=fold) for entry, fold in zip(self.entries, folds, strict=True)
        )
        return replace(self, entries=changed)

    def with_groups(self, groups: Sequence[str]) -> Self:
        """Give the same manifest with other groups, such as patients known from elsewhere."""
        changed = tuple(
            replace(entry, group=group) for entry, group in zip(self.entries, groups, strict=True)
        )
        return replace(self, entries=changed)

    def to_csv(self) -> str:
        """Write the table, one row for each picture."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for entry in self.entries:
            values = (getattr(entry, name) for name in _COLUMNS)
            writer.writerow("" if value is None else value for value in values)
        return text.getvalue()


def make_manifest(
    folder: str | os.PathLike[str], *, groups: str = "auto", progress: Progress = silent
) -> Manifest:
    """Read every picture of a folder and write down what it is.

    Files of the published set, known by their SHA-256, get its corrected labels,
    groups and folds.

    Parameters
    ----------
    folder
        See `tumorlens.data.folder.find_examples`.
    groups
        ``"auto"``: pictures that are not of the published set are grouped with what
        looks alike, ``L0001`` and so on where that is none of the set; those that look
        like a published picture join its group and fold. ``"published"``: they get no
        group. ``"none"``: nobody gets a group or a fold.
    progress
        Told of files read and pairs compared.

    Returns
    -------
    Manifest
        Its root is the folder.

    Raises
    ------
    DataError
        When the folder is not laid out as expected, or nothing in it can be read.
    MissingExtraError
        When pictures must be compared and SciPy is not installed.
    """
    if groups not in GROUPINGS:
        raise DataError(f"`groups` must be one of {', '.join(GROUPINGS)}, got {groups!r}")
    root = Path(folder)
    found = survey(find_examples(root), progress)
    known = published()
    entries = [_entry(look, root) for look in found.looks]
    if groups != "none":
        entries = [_as_published(entry) for entry in entries]
    if groups == "auto" and any(entry.sha256 not in known for entry in entries):
        entries = _group_alike(entries, found, progress)
    return Manifest(tuple(entries), root, found.unreadable)


def write_manifest(manifest: Manifest, path: str | os.PathLike[str]) -> Manifest:
    """Write a manifest as CSV.

    Paths are written relative to the file's own folder. Files that cannot be read are
    listed beside it, in ``NAME.unreadable.csv``, when there are any.

    Returns
    -------
    Manifest
        The same, as `read_manifest` would read it.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    target = Path(path)
    # Folders by their own name, so that `..` holds; files by the name they have there, also
    # where that is a link into a store, as DVC and git-annex keep theirs.
    from_here = _relative(manifest.root.resolve(), target.parent.resolve())
    moved = tuple(
        replace(entry, path=Path(os.path.normpath(from_here / entry.path)).as_posix())
        for entry in manifest.entries
    )
    written = replace(manifest, entries=moved, root=target.parent)
    write_whole(target, written.to_csv())
    beside = target.with_suffix(".unreadable.csv")
    if manifest.unreadable:
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(("path", "reason"))
        rows.writerows(
            (os.path.normpath(from_here / bad.path.relative_to(manifest.root)), bad.reason)
            for bad in manifest.unreadable
        )
        write_whole(beside, text.getvalue())
    else:
        beside.unlink(missing_ok=True)  # of an earlier manifest of this name
    return written


def read_manifest(
    path: str | os.PathLike[str], *, root: str | os.PathLike[str] | None = None
) -> Manifest:
    """Read a manifest and check every row.

    Parameters
    ----------
    path
        A CSV as `write_manifest` makes it, or as a spreadsheet or data frame saved it
        again; what `Entry` has no default for is required.
    root
        The folder that its paths start from; the one it lies in when ``None``.

    Raises
    ------
    DataError
        When it cannot be read, or a row is not as it should be. The files themselves
        are not looked at.
    """
    source = Path(path)
    folder = source.parent if root is None else Path(root)
    hint = "make a manifest with `tumorlens data manifest`"
    rows = read_table(source, "a manifest", _REQUIRED, hint)
    if not rows:
        raise DataError(f"{source} lists no pictures")
    return Manifest(tuple(_parse(row, source, folder) for row in rows), folder)


def find_labelled(source: str | os.PathLike[str]) -> tuple[Path, list[Example]]:
    """List the pictures of a folder or a manifest, whichever it is.

    Returns
    -------
    tuple
        The folder that they lie in, and the pictures with their corrected labels. What a
        manifest excludes is left out.

    Raises
    ------
    DataError
        See `tumorlens.data.folder.find_examples` and `read_manifest`.
    """
    if Path(source).is_dir():
        return Path(source), find_examples(source)
    manifest = read_manifest(source)
    return manifest.root, manifest.examples(manifest.counted)


def _parse(row: Row, source: Path, root: Path) -> Entry:
    values: dict[str, Any] = {name: row[name] for name in _COLUMNS}
    try:
        values["path"] = _tidy(row["path"], root)
        for name in ("sha256", "pixel_sha256"):
            values[name] = row[name].lower()
        for name in ("label", "corrected_label"):
            said = row[name] or row["label"]
            values[name] = class_named(said) or said
        for name in _NUMBERS:
            values[name] = _whole_number(name, row[name])
        values["fold"] = _whole_number("fold", row["fold"]) if row["fold"] else None
        return Entry(**values)
    except DataError as error:
        raise DataError(f"{source}, line {row.line}: {error}") from error


def _tidy(path: str, root: Path) -> str:
    """Spell a path in the one way that this file has: with ``/`` and no ``./``."""
    if "\\" in path and not (root / path).exists():  # a name may hold one where / separates
        path = path.replace("\\", "/")
    return PurePosixPath(path).as_posix() if path else ""


def _whole_number(name: str, text: str) -> int:
    """Read a whole number, also one that a program has written as ``512.0`` or ``512,0``."""
    if not (found := _WHOLE.fullmatch(text)):
        raise DataError(f"`{name}` must be a whole number, got {text!r}")
    return int(found[1])


def _entry(look: Look, root: Path) -> Entry:
    return Entry(
        path=look.example.path.relative_to(root).as_posix(),
        sha256=look.sha256,
        pixel_sha256=look.pixel_sha256,
        label=look.example.label,
        corrected_label=look.example.label,
        width=look.width,
        height=look.height,
        mode=look.mode,
        format=look.format,
        bytes=look.bytes,
        split=look.example.split,
    )


def _as_published(entry: Entry) -> Entry:
    """Take over what the published manifest knows of a file."""
    row = published().get(entry.sha256)
    if row is None:
        return entry
    return replace(
        entry,
        corrected_label=row.label,
        group=row.group,
        fold=row.fold,
        source=row.source,
        excluded=row.excluded,
    )


def _group_alike(entries: list[Entry], found: Survey, progress: Progress) -> list[Entry]:
    """Group what has no group yet with what it looks like."""
    pairs = find_pairs(found.fingerprints, least=KIN, progress=progress)
    links = [(pair.first, pair.second) for pair in pairs]
    links += _links_of_equals([entry.pixel_sha256 for entry in entries])
    roots = clusters(len(entries), links)
    closest = {  # of each picture: the most similar one that has a group
        one: other
        for pair in sorted(pairs, key=lambda pair: pair.similarity)
        for one, other in ((pair.first, pair.second), (pair.second, pair.first))
        if entries[other].group
    }
    groups_of = defaultdict(list)
    for position, root in enumerate(roots):
        if entries[position].group:
            groups_of[root].append(position)
    names: dict[int, str] = {}
    result = []
    for position, (entry, root) in enumerate(zip(entries, roots, strict=True)):
        if entry.group:
            result.append(entry)
        elif position in closest or groups_of[root]:
            like = entries[closest.get(position, min(groups_of[root], default=position))]
            result.append(replace(entry, group=like.group, fold=like.fold))
        else:
            name = names.setdefault(root, f"L{len(names) + 1:04d}")
            result.append(replace(entry, group=name))
    return result


def _reason(entry: Entry) -> str:
    return f" {entry.excluded}" if entry.excluded else ""


def _links_of_equals(keys: Sequence[str]) -> list[tuple[int, int]]:
    first: dict[str, int] = {}
    return [(first.setdefault(key, i), i) for i, key in enumerate(keys)]


def _relative(path: Path, folder: Path) -> Path:
    try:
        return Path(os.path.relpath(path, folder))
    except ValueError:  # another drive, on Windows
        return path

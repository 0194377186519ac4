"""Finding what there is to open, and opening it: files, volumes, series, what was pasted."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tumorlens.apps.session.results import Found, FoundVolume, Noted, Pasted, Request
from tumorlens.apps.session.rows import Row, printable
from tumorlens.apps.session.stack import stack_of
from tumorlens.apps.session.zipped import name_scan, scans_of
from tumorlens.errors import MissingExtraError, UnreadableImageError

if TYPE_CHECKING:
    from PIL.Image import Image

    from tumorlens.apps.session.worker import Report
    from tumorlens.images.geometry import Plane
    from tumorlens.images.slice import Slice
    from tumorlens.images.volume import Volume
    from tumorlens.sources.failure import Failure
    from tumorlens.sources.series import Unit

__all__ = ["Reader", "find", "paste"]

_CHUNK: Final = 64  # files named to the window at once
_MANY: Final = 1024  # files found between two words of it
_HEAD: Final = 2**16  # bytes that tell the kind, gzip included


def find(paths: Sequence[str], report: Report) -> None:
    """List the files of paths, those of a folder by their place in it; volumes as one.

    DICOM files of one series are one volume, and so is a NIfTI or MGH file; in a ZIP archive, too.
    """
    from tumorlens.images.volume import Volume  # noqa: PLC0415
    from tumorlens.sources.series import find_units  # noqa: PLC0415

    given = _walk(paths, report)
    found: list[tuple[str, str]] = []
    names, parts = Counter[str](), Counter[str]()

    def hand_over() -> None:
        if found:
            report(Found(tuple(found)))
            found.clear()

    def list_volume(name: str, source: str | Volume, volume: Volume) -> None:
        hand_over()
        names[name] += 1
        several, path = f" ({names[name]})" if names[name] > 1 else "", _path_of(volume)
        report(FoundVolume(name + several, path, stack_of(source, volume), parts[path]))
        parts[path] += 1

    for unit in find_units(list(given), lambda text: report(Noted(printable(text)))):
        scans, is_all = scans_of(unit) if isinstance(unit, str) else ([], False)
        for scan in scans:
            list_volume(name_scan(scan, str(unit), _name(str(unit), given)), scan, scan)
        volume = None if scans else _volume_of(unit)
        if volume is not None:
            source = unit if isinstance(unit, Volume) else str(volume.path)
            list_volume(_name_volume(volume, given), source, volume)
        elif not is_all:
            path = _path_of(unit)
            found.append((_name(path, given), path))
        if len(found) >= _CHUNK:
            hand_over()
    hand_over()


def _walk(paths: Sequence[str], report: Report) -> dict[str, str]:
    """List the files of paths, with the path that each was found by."""
    from tumorlens.files import find_files  # noqa: PLC0415

    given: dict[str, str] = {}
    for path in paths:
        for file in find_files([path]):
            given[file] = path
            if len(given) % _MANY == 0:  # who cancels does not wait for the last
                report(Noted(f"{len(given):,} files found …"))
    return given


def _volume_of(unit: Unit) -> Volume | None:
    """Give what is a volume of several slices; a failure is said by whoever reads its file."""
    from tumorlens.images.volume import Volume  # noqa: PLC0415

    volume = _open_volume(unit) if isinstance(unit, str) else unit
    return volume if isinstance(volume, Volume) and len(volume) > 1 else None


def _path_of(unit: Unit) -> str:
    """Tell a file, or the first of a series, from all others."""
    if isinstance(unit, str):
        return unit
    paths = getattr(unit, "paths", ())  # a failure has but one
    return str(paths[0] if paths else unit.path)


def _name(file: str, given: dict[str, str]) -> str:
    """Name a file by its place in the folder that was given."""
    path = given.get(file, file)
    name = str(Path(file).relative_to(path)) if file != path else Path(file).name
    return printable(name or file)


def _name_volume(volume: Volume, given: dict[str, str]) -> str:
    """Name a volume as its file, or by its folder; never by what a header says of a person."""
    if not volume.paths:
        return _name(str(volume.path), given)
    first = volume.paths[0]
    folder, path = Path(volume.path or first), given.get(first, first)
    inside = first != path and folder != Path(path)
    name = str(folder.relative_to(path)) if inside else folder.absolute().name
    return printable(name or str(folder))


def _open_volume(path: str) -> Volume | None:
    """Open a NIfTI or MGH file; ``None`` for all else, and for what cannot be read."""
    from tumorlens.images.kinds import find_kind  # noqa: PLC0415
    from tumorlens.images.read import open_slices  # noqa: PLC0415
    from tumorlens.images.volume import Volume  # noqa: PLC0415

    try:
        if not Path(path).is_file():
            return None
        with Path(path).open("rb") as file:
            if find_kind(file.read(_HEAD)) != "NIfTI":
                return None
        opened = open_slices(path)
    except (OSError, ValueError, UnreadableImageError, MissingExtraError):
        return None  # said when it is its turn to be answered
    return opened if isinstance(opened, Volume) else None


def paste(name: str, content: bytes | Image, report: Report) -> None:
    """Read a picture from the clipboard."""
    from tumorlens.images.read import read_slices  # noqa: PLC0415

    try:
        report(Pasted(name, tuple(read_slices(content))))
    except UnreadableImageError as error:
        raise UnreadableImageError("the clipboard", error.found, error.hint) from error


class Reader:
    """Reads the slice of a row; keeps the last file, whose next slice is often wanted next."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._path: str | None = None
        self._slices: list[Slice | Failure] = []
        self._opened: tuple[object, Plane, Volume] | None = None

    def read(self, row: Row, request: Request) -> Slice:
        """Read the slice of a row that is asked for.

        Raises
        ------
        UnreadableImageError
            When its file cannot be read any more.
        """
        from tumorlens.sources.failure import Failure, loose_or_fail, read_or_fail  # noqa: PLC0415

        if row.picture is not None:
            return row.picture
        if row.stack is not None:
            plane = request.plane or row.stack.own
            volume = self.volume(row, plane)
            return volume[min(request.index, len(volume) - 1)]
        path = row.path or ""
        with self._lock:
            if path != self._path:
                self._path, self._slices = None, []
                self._slices = read_or_fail(path, open_file=loose_or_fail)
                self._path = path
            slices = self._slices
        if row.index >= len(slices):
            hint = "open the file again: it has changed"
            raise UnreadableImageError(path, f"no slice {row.index} any more", hint)
        found = slices[row.index]
        if isinstance(found, Failure):
            raise found.error
        return found

    def volume(self, row: Row, plane: Plane) -> Volume:
        """Open the volume of a row in a plane.

        Raises
        ------
        UnreadableImageError
            When it cannot be opened any more, or not be cut that way.
        """
        from tumorlens.images.read import open_slices  # noqa: PLC0415
        from tumorlens.images.volume import Volume  # noqa: PLC0415

        if row.stack is None:
            raise ValueError(f"`row` must be a volume, got {row.name!r}")
        source = row.stack.source
        with self._lock:
            if self._opened is None or self._opened[:2] != (source, plane):
                self._opened = None  # and what it held
                opened = open_slices(source) if isinstance(source, str) else source
                if not isinstance(opened, Volume):
                    hint = "open it again: it has changed"
                    raise UnreadableImageError(str(source), "no volume any more", hint)
                self._opened = source, plane, opened.in_plane(plane)
            return self._opened[2]

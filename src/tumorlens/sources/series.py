"""Which files are one scan: the DICOM files of a series become one volume, told by content.

Other files go on as they are, in their order; a volume stands where the first of its files
stood. DICOM headers are read when the first DICOM file is met, so that a folder of pictures
is answered without a look at all of it first.
"""

from __future__ import annotations

import functools
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from tumorlens.errors import MissingExtraError, UnreadableImageError
from tumorlens.files import find_files
from tumorlens.images.dicom import Header, read_header
from tumorlens.images.dicom_series import series_volumes
from tumorlens.images.geometry import PLANES, Plane
from tumorlens.images.kinds import find_kind
from tumorlens.images.limits import Limits
from tumorlens.images.read import load_file, open_slices
from tumorlens.images.volume import Volume
from tumorlens.sources.failure import Failure

__all__ = ["HEAD", "Unit", "find_units", "in_planes", "is_dicom", "read_volume"]

Unit: TypeAlias = str | Volume | Failure
"""A file, a series, or a file that would have been part of one and cannot be read."""

HEAD: Final = 1024
"""Bytes that tell the kind of a file."""
_LIMITS: Final = Limits()


def find_units(
    files: Sequence[str], note: Callable[[str], None] = lambda _: None, *, limits: Limits = _LIMITS
) -> Iterator[Unit]:
    """Put the DICOM files of each series together.

    Parameters
    ----------
    files
        Paths, as `tumorlens.files.find_files` names them.
    note
        Told of what is left out: localisers, a DICOMDIR.
    limits
        What is too large.

    Yields
    ------
    str, Volume or Failure
        A file that belongs to no series is named as it was given. Nothing is said twice.
    """
    found: dict[str, list[Unit]] | None = None
    for i, path in enumerate(files):
        if found is None and is_dicom(path):
            found = _gather(list(dict.fromkeys(files[i:])), note, limits)
        if found is None or path not in found:
            yield path
        else:
            yield from found[path]
            found[path] = []


def read_volume(
    path: str | os.PathLike[str], plane: Plane | None = None, *, limits: Limits = _LIMITS
) -> Volume:
    """Open a volume; its slices are read when they are asked for.

    Parameters
    ----------
    path
        A NIfTI or MGH file, a DICOM file of many frames, or a folder that holds one series.
    plane
        ``"axial"``, ``"coronal"`` or ``"sagittal"``. ``None`` is axial for NIfTI and MGH, and
        as the scanner took it for DICOM.
    limits
        What is too large.

    Raises
    ------
    UnreadableImageError
        When it cannot be read, is no volume, or the folder holds several.
    MissingExtraError
        When it is DICOM or NIfTI, and what reads that is not installed.
    ValueError
        When there is no such plane.
    """
    if plane is not None and plane not in PLANES:
        raise ValueError(f"`plane` must be one of {', '.join(PLANES)}, got {plane!r}")
    name = os.fsdecode(path)
    volumes: list[Volume] = []
    for unit in find_units(list(find_files([name])), limits=limits):
        if isinstance(unit, Failure):
            raise unit.error
        found = open_slices(unit, limits=limits) if isinstance(unit, str) else unit
        if isinstance(found, Volume):
            volumes.append(found)
    if not volumes:
        hint = "give a NIfTI file or the folder of a DICOM series, or use read_slices"
        raise UnreadableImageError(name, "no volume", hint)
    if len(volumes) > 1:
        hint = "give the folder or the file of one of them"
        raise UnreadableImageError(name, f"{len(volumes)} volumes", hint)
    return volumes[0] if plane is None else volumes[0].in_plane(plane)


def in_planes(volume: Volume, plane: str | None) -> Iterator[Volume | Failure]:
    """Cut a volume as it is asked for.

    Parameters
    ----------
    volume
        As it was read.
    plane
        One of `PLANES`, ``"all"`` of them, or ``None`` to leave it.

    Yields
    ------
    Volume or Failure
        One a plane.
    """
    wanted = PLANES[::-1] if plane == "all" else [one for one in PLANES if one == plane]
    if not wanted:
        yield volume
    for one in wanted:
        try:
            yield volume.in_plane(one)
        except UnreadableImageError as error:
            yield Failure(error.source, error)


def is_dicom(path: str) -> bool:
    """Say whether a file begins as DICOM does; what cannot be read does not."""
    try:
        if not Path(path).is_file():  # no pipe is opened
            return False
        with Path(path).open("rb") as file:
            return find_kind(file.read(HEAD)) == "DICOM"
    except (OSError, ValueError):  # ValueError: a NUL in the name; whoever reads it will say so
        return False


def _gather(
    files: Sequence[str], note: Callable[[str], None], limits: Limits
) -> dict[str, list[Unit]]:
    """Say for the files of each series what stands in their place."""
    series: dict[str, list[Header]] = defaultdict(list)
    found: dict[str, list[Unit]] = {}
    for path in files:
        if not is_dicom(path):
            continue
        try:
            header = read_header(load_file(path, limits), path, limits)
        except MissingExtraError:
            return {}  # said by whoever reads the first
        except UnreadableImageError as error:
            if "DICOMDIR" in error.found and len(files) > 1:
                note(f"{path} is a DICOMDIR and is passed over; files are found by content")
                found[path] = []
            continue
        if header.series:
            series[header.series].append(header)
    scouts = {name for name, headers in series.items() if all(h.is_localiser for h in headers)}
    if len(scouts) < len(series):
        for name in scouts:
            headers = series.pop(name)
            note(f"{len(headers)} localisers are left out, such as {headers[0].path}")
            found |= {str(header.path): [] for header in headers}
    for headers in series.values():
        _place(headers, found, note, limits)
    return found


def _place(
    headers: list[Header],
    found: dict[str, list[Unit]],
    note: Callable[[str], None],
    limits: Limits,
) -> None:
    """Put the volumes of one series where their first file stood."""
    order = {str(header.path): i for i, header in enumerate(headers)}
    failures: list[Unit] = []
    volumes: list[Volume] = []
    alone: set[str] = set()
    rest = headers
    while rest:
        try:
            made = series_volumes(rest, _loader(rest, limits), limits, _folder(rest))
        except UnreadableImageError as error:  # at the first slices that are looked at
            good = [header for header in rest if header.path != error.source]
            if len(good) == len(rest):
                return  # each is read by itself
            failures.append(Failure(error.source, error))
            rest = good
            continue
        volumes = [item for item in made if isinstance(item, Volume)]
        alone = {str(item.path) for item in made if isinstance(item, Header)}
        break
    if any(volume.origin.get("kind") != "localiser" for volume in volumes):
        scouts = [v for v in volumes if v.origin.get("kind") == "localiser"]
        for scout in scouts:
            volumes.remove(scout)
            note(f"{len(scout)} localisers are left out, such as {_first(scout)}")
    found |= {path: [] for path in order if path not in alone}
    for failure in failures:
        if isinstance(failure, Failure):
            found[failure.path].append(failure)
    for volume in volumes:
        found[min(volume.paths or (_first(volume),), key=order.__getitem__)].append(volume)


def _first(volume: Volume) -> str:
    return volume.paths[0] if volume.paths else str(volume.path)


def _folder(headers: Sequence[Header]) -> str | None:
    """Name the folder that holds the files; a single file is named itself."""
    paths = [str(header.path) for header in headers]
    if len(paths) == 1:
        return None
    folders = {os.path.dirname(path) for path in paths}  # noqa: PTH120  # as it was given
    return os.path.commonpath(folders) or "."


def _loader(headers: Sequence[Header], limits: Limits) -> Callable[[str], bytes]:
    """Read files; one of many frames is kept while its frames are asked for."""
    load = functools.partial(load_file, limits=limits)
    if any(len(header.frames) > 1 for header in headers):
        return functools.lru_cache(maxsize=1)(load)
    return load

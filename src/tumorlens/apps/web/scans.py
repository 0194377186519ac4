"""Files that were sent become scans: pictures, volumes, DICOM series, archives of them.

Names are the client's and only ever shown back: no reader is given one as a path, or it would
look beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

from tumorlens.apps.web.intake import Upload
from tumorlens.apps.web.limits import TooLargeError, WebLimits
from tumorlens.apps.web.problems import Problem
from tumorlens.errors import MissingExtraError, UnreadableImageError
from tumorlens.images.dicom import Header, read_header
from tumorlens.images.dicom_series import series_volumes
from tumorlens.images.kinds import find_kind
from tumorlens.images.limits import Limits
from tumorlens.images.packed import unpack_members
from tumorlens.images.read import open_slices
from tumorlens.images.slice import Slice
from tumorlens.images.volume import Volume

__all__ = ["Scan", "Unread", "open_scans"]


@dataclass(frozen=True, slots=True)
class Scan:
    """Slices that belong together.

    Parameters
    ----------
    name
        What the client calls it, or ``None``.
    slices
        They, read when they are asked for where it is a volume.
    notes
        What its user should know.
    """

    name: str | None
    slices: Sequence[Slice]
    notes: tuple[str, ...] = ()

    @property
    def is_volume(self) -> bool:
        """Whether its slices lie one above the other."""
        return isinstance(self.slices, Volume) and len(self.slices) > 1


@dataclass(frozen=True, slots=True)
class Unread:
    """A file that cannot be read.

    Parameters
    ----------
    name
        What the client calls it, or ``None``.
    problem
        Why.
    """

    name: str | None
    problem: Problem


def open_scans(
    uploads: Sequence[Upload], limits: WebLimits, check: Callable[[], object]
) -> list[Scan | Unread]:
    """Open all files of a request.

    Several DICOM files become the series that they are of.

    Parameters
    ----------
    uploads
        The files.
    limits
        What is too much.
    check
        Called before each file; raises when nobody waits for them.

    Returns
    -------
    list
        A scan, or why there is none, for each file or series, in the order of their first file.

    Raises
    ------
    Problem
        413 when there are too many files or slices, and what `check` raises.
    """
    reading = limits.reading()
    files = dict(enumerate(_files(uploads, limits, check)))
    dicom = {
        place: file
        for place, file in files.items()
        if isinstance(file, Upload) and find_kind(file.content) == "DICOM"
    }
    # One file, too, may hold several volumes.
    placed = _series(dicom, reading, check) if dicom else []
    for place, file in files.items():
        if isinstance(file, Unread):
            placed.append((place, file))
        elif place not in dicom:
            check()
            placed.append((place, _open(file, reading)))
    found = [scan for _, scan in sorted(placed, key=itemgetter(0))]
    count = sum(len(scan.slices) for scan in found if isinstance(scan, Scan))
    if count > limits.slices:
        raise Problem(413, f"{count:,} slices; at most {limits.slices:,} are taken at once")
    return found


def _open(file: Upload, limits: Limits) -> Scan | Unread:
    """Open one file."""
    try:
        slices = open_slices(file.content, limits=limits)
    except (UnreadableImageError, MissingExtraError) as error:
        return Unread(file.name, problem_of(error, file))
    return Scan(file.name, slices, slices.notes if isinstance(slices, Volume) else ())


def problem_of(error: UnreadableImageError | MissingExtraError, file: Upload) -> Problem:
    """Say whose fault it is that a file is not read, and what to do."""
    if isinstance(error, MissingExtraError):
        return Problem(415, f"this service does not read such files: {error}")
    known = find_kind(file.content) is not None
    status = 413 if isinstance(error, TooLargeError) else 422 if known else 415
    where = file.name or "the file"
    return Problem(status, f"{where}: {error.found}; {error.hint}")


# DICOM series


def _series(
    files: Mapping[int, Upload], limits: Limits, check: Callable[[], object]
) -> list[tuple[int, Scan | Unread]]:
    """Put DICOM files together to the scans they are of, each with the place of its first file."""
    by_key = {str(place): file for place, file in files.items()}
    headers: list[Header] = []
    found: list[tuple[int, Scan | Unread]] = []
    for key, file in by_key.items():
        check()
        try:
            headers.append(read_header(file.content, key, limits))
        except (UnreadableImageError, MissingExtraError) as error:
            found.append((int(key), Unread(file.name, problem_of(error, file))))
    try:
        parts = series_volumes(headers, lambda key: by_key[key].content, limits)
    except UnreadableImageError as error:
        key = error.source if error.source in by_key else next(iter(by_key))
        wrong = by_key[key]
        return [*found, (int(key), Unread(wrong.name, problem_of(error, wrong)))]
    for part in parts:
        if isinstance(part, Volume):
            keys = part.paths or (str(part.path),)
            scan = Scan(by_key[keys[0]].name, part, part.notes)
            found.append((min(map(int, keys)), scan))
        else:
            key = str(part.path)
            found.append((int(key), _open(by_key[key], limits)))
    return found


# Archives


def _files(
    uploads: Sequence[Upload], limits: WebLimits, check: Callable[[], object]
) -> list[Upload | Unread]:
    """Replace archives by what is in them."""
    files: list[Upload | Unread] = []
    for upload in uploads:
        if find_kind(upload.content) != "ZIP":
            files.append(upload)
            continue
        try:
            for name, content in unpack_members(upload.content, upload.name, limits.reading()):
                check()
                if isinstance(content, UnreadableImageError):
                    shown = Upload(f"{name} in the archive", upload.content)
                    files.append(Unread(name, problem_of(content, shown)))
                else:
                    files.append(Upload(name, content))
        except UnreadableImageError as error:
            files.append(Unread(upload.name, problem_of(error, upload)))
    count = sum(isinstance(file, Upload) for file in files)
    if count > limits.files:
        raise Problem(413, f"{count:,} files; at most {limits.files:,} are taken at once")
    return files

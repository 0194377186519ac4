"""Files that were sent become scans: pictures, volumes, DICOM series, archives of them.

Names are the client's and only ever shown back: no reader is given one as a path, or it would
look beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

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
    files, found = _files(uploads, limits, check)
    dicom = [file for file in files if find_kind(file.content) == "DICOM"]
    if dicom:  # one file, too, may hold several volumes
        found += _series(dicom, reading, check)
        together = {id(file) for file in dicom}
        files = [file for file in files if id(file) not in together]
    for file in files:
        check()
        found.append(_open(file, reading))
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
    files: list[Upload], limits: Limits, check: Callable[[], object]
) -> list[Scan | Unread]:
    """Put DICOM files together to the scans they are of."""
    by_key = {str(i): file for i, file in enumerate(files)}
    headers: list[Header] = []
    found: list[Scan | Unread] = []
    for key, file in by_key.items():
        check()
        try:
            headers.append(read_header(file.content, key, limits))
        except (UnreadableImageError, MissingExtraError) as error:
            found.append(Unread(file.name, problem_of(error, file)))
    try:
        parts = series_volumes(headers, lambda key: by_key[key].content, limits)
    except UnreadableImageError as error:
        wrong = by_key.get(error.source, files[0])
        return [*found, Unread(wrong.name, problem_of(error, wrong))]
    for part in parts:
        if isinstance(part, Volume):
            first = by_key[part.paths[0] if part.paths else str(part.path)]
            found.append(Scan(first.name, part, part.notes))
        else:
            found.append(_open(by_key[str(part.path)], limits))
    return found


# Archives


def _files(
    uploads: Sequence[Upload], limits: WebLimits, check: Callable[[], object]
) -> tuple[list[Upload], list[Scan | Unread]]:
    """Replace archives by what is in them."""
    files: list[Upload] = []
    failed: list[Scan | Unread] = []
    for upload in uploads:
        if find_kind(upload.content) != "ZIP":
            files.append(upload)
            continue
        try:
            for name, content in unpack_members(upload.content, upload.name, limits.reading()):
                check()
                if isinstance(content, UnreadableImageError):
                    shown = Upload(f"{name} in the archive", upload.content)
                    failed.append(Unread(name, problem_of(content, shown)))
                else:
                    files.append(Upload(name, content))
        except UnreadableImageError as error:
            failed.append(Unread(upload.name, problem_of(error, upload)))
    if len(files) > limits.files:
        raise Problem(413, f"{len(files):,} files; at most {limits.files:,} are taken at once")
    return files, failed

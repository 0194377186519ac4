"""What is in a zip: pictures, volumes, and the files of DICOM series.

Nothing is unpacked to disk. The list of members is judged before any is unpacked, and each
member before it is read, so that a bomb costs no more than an honest archive.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final, TypeAlias

from tumorlens.errors import UnreadableImageError
from tumorlens.images.dicom import Header, read_header
from tumorlens.images.dicom_series import read_dicom, series_volumes
from tumorlens.images.kinds import find_kind
from tumorlens.images.limits import Limits
from tumorlens.images.slice import Slice
from tumorlens.images.volume import Volume

__all__ = ["Inside", "read_members", "read_parts", "read_zip", "unpack_members"]

Read: TypeAlias = Callable[[bytes, "str | None", Limits], Sequence[Slice]]
"""Reads the content of a file: content, name, limits."""

_ENTRY: Final = b"PK\1\2"  # begins each entry of the list of members
_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED: Final = 1  # bit of the flags
_FAILURES: Final = (
    *(zipfile.BadZipFile, zlib.error, OSError, ValueError, NotImplementedError, RuntimeError),
    *(struct.error, LookupError, OverflowError, MemoryError),
)
_UNPACK: Final = "unpack it, and give the folder"
_ADDED: Final = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})  # by systems, not by people


@dataclass(frozen=True, slots=True)
class Inside:
    """What one member, or the members of one scan, hold.

    Parameters
    ----------
    name
        The member as a path below the archive; of a scan, its first.
    found
        Its slices, or why there are none.
    is_picture
        False for a file of a kind that is never read, such as a text.
    """

    name: str
    found: Sequence[Slice] | UnreadableImageError
    is_picture: bool = True


def read_zip(data: bytes, path: str | None, limits: Limits, read: Read) -> Sequence[Slice]:
    """Read every picture and every scan of an archive.

    Files of kinds that are never read are passed over.

    Parameters
    ----------
    data
        The whole content of the archive.
    path
        Its path as it was given, or ``None`` for bytes.
    limits
        What is too large, of the archive as a whole and of each member.
    read
        Reads the content of a member.

    Returns
    -------
    sequence of Slice
        A `tumorlens.Volume` where the archive is one scan, else a list; of members in the
        order of their names, and then of scans.

    Raises
    ------
    UnreadableImageError
        When the archive or any picture in it is damaged or too large, or when it holds none.
    MissingExtraError
        When there is DICOM or NIfTI, and what reads that is not installed.
    """
    parts: list[Sequence[Slice]] = []
    for part in read_parts(data, path, limits, read):
        if isinstance(part, UnreadableImageError):
            raise part
        parts.append(part)
    return parts[0] if len(parts) == 1 else [picture for part in parts for picture in part]


def read_parts(
    data: bytes, path: str | None, limits: Limits, read: Read
) -> Iterator[Sequence[Slice] | UnreadableImageError]:
    """Read every picture and every scan of an archive; a damaged one does not stop the others.

    Parameters
    ----------
    data, path, limits, read
        As `read_zip` takes them.

    Yields
    ------
    sequence of Slice, or UnreadableImageError
        The slices of a member or of a scan, or why there are none.

    Raises
    ------
    UnreadableImageError
        When the archive itself is damaged or too large, or holds no picture.
    MissingExtraError
        As `read_zip`.
    """
    source = _named(path)
    count = spent = found = 0
    for inside in read_members(data, path, limits, read):
        if isinstance(inside.found, UnreadableImageError) and not inside.is_picture:
            continue
        found += 1
        if isinstance(inside.found, list):
            for picture in inside.found:
                size = picture.width, picture.height
                spent = limits.check_frame(source, size, count, spent)
                count += 1
        yield inside.found
    if not found:
        raise UnreadableImageError(source, "a ZIP archive without pictures", "give another")


def read_members(data: bytes, path: str | None, limits: Limits, read: Read) -> Iterator[Inside]:
    """Read an archive member by member; one that cannot be read does not stop the others.

    Parameters
    ----------
    data, path, limits, read
        As `read_zip` takes them.

    Yields
    ------
    Inside
        One for each picture and each file that is none, and one for each scan of DICOM files.

    Raises
    ------
    UnreadableImageError
        When the archive itself is damaged or too large.
    MissingExtraError
        As `read_zip`.
    """
    source = _named(path)
    archive, members = _open(data, source, limits)
    headers: list[Header] = []
    for name, member in members.items():
        kind: str | None = "damaged"
        try:
            content = _unpack(archive, member, name, limits)
            kind = find_kind(content)
            if kind == "DICOM":
                headers.append(read_header(content, name, limits))
            elif kind == "ZIP":
                nested = UnreadableImageError(name, "a ZIP archive within another", _UNPACK)
                yield Inside(name, nested)
            else:
                yield Inside(name, read(content, name, limits))
        except UnreadableImageError as error:
            yield Inside(name, error, kind is not None)

    def load(name: str) -> bytes:
        return _unpack(archive, members[name], name, limits)

    yield from _scans(headers, load, limits, source)


def unpack_members(
    data: bytes, path: str | None, limits: Limits
) -> Iterator[tuple[str, bytes | UnreadableImageError]]:
    """Unpack an archive member by member, for who reads the contents by other rules.

    Parameters
    ----------
    data, path, limits
        As `read_zip` takes them.

    Yields
    ------
    tuple
        The name of a member within the archive; its content, or why there is none.

    Raises
    ------
    UnreadableImageError
        When the archive itself is damaged or too large.
    """
    archive, members = _open(data, _named(path), limits)
    for name, member in members.items():
        try:
            yield member.filename, _unpack(archive, member, name, limits)
        except UnreadableImageError as error:
            yield member.filename, error


def _scans(
    headers: list[Header], load: Callable[[str], bytes], limits: Limits, source: str
) -> Iterator[Inside]:
    """Put the DICOM files together, one series after another."""
    series: dict[str, list[Header]] = {}
    for header in headers:
        series.setdefault(header.series, []).append(header)
    for members in series.values():
        yield from _scans_of(members, load, limits, source)


def _scans_of(
    members: list[Header], load: Callable[[str], bytes], limits: Limits, source: str
) -> Iterator[Inside]:
    """Put the files of one series together; those that turn out to be damaged are left out."""
    while members:
        name = members[0].path or source
        try:
            made = series_volumes(members, load, limits, source)
        except UnreadableImageError as error:  # at the first slices that are looked at
            yield Inside(error.source, error)
            good = [header for header in members if header.path != error.source]
            if len(good) == len(members):
                return
            members = good
            continue
        for found in made:
            if isinstance(found, Volume):
                yield Inside(name, found)
            else:
                yield _alone(found.path or source, load, limits)
        return


def _alone(name: str, load: Callable[[str], bytes], limits: Limits) -> Inside:
    """Read a DICOM file that is no part of a scan."""
    try:
        return Inside(name, read_dicom(load(name), name, limits))
    except UnreadableImageError as error:
        return Inside(name, error)


def _open(
    data: bytes, source: str, limits: Limits
) -> tuple[zipfile.ZipFile, dict[str, zipfile.ZipInfo]]:
    """Open an archive and list its members by name, once the list is known to be honest."""
    limits.check_members(source, data.count(_ENTRY))  # before it is listed, which costs
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (*_FAILURES, EOFError) as error:
        found = f"a ZIP archive that is damaged ({_short(error)})"
        raise UnreadableImageError(source, found, "fetch it again") from error
    listed = [member for member in archive.infolist() if _is_meant(member)]
    # Entries may share their bytes, so that little grows large: what they say they hold counts.
    limits.check_unpacked(source, sum(member.file_size for member in listed), len(data))
    listed.sort(key=lambda member: member.filename)
    return archive, {f"{source}/{member.filename}": member for member in listed}


def _is_meant(member: zipfile.ZipInfo) -> bool:
    """Pass over folders, and what is hidden or added by systems."""
    parts = PurePosixPath(member.filename).parts
    hidden = any(part.startswith(".") or part in _ADDED for part in parts)
    return not member.filename.endswith("/") and not hidden  # a name may be empty


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str, limits: Limits) -> bytes:
    """Unpack a member, and not a byte more than the list says."""
    limits.check_bytes(name, member.file_size)
    if member.flag_bits & _ENCRYPTED:
        raise UnreadableImageError(name, "a file that is encrypted", _UNPACK)
    if member.compress_type not in _METHODS:
        found = f"a file that is packed by method {member.compress_type}"
        raise UnreadableImageError(name, found, _UNPACK)
    try:
        return archive.read(member)
    except (*_FAILURES, EOFError) as error:
        found = f"a file that cannot be unpacked ({_short(error)})"
        raise UnreadableImageError(name, found, "fetch the archive again") from error


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__


def _named(path: str | None) -> str:
    return "<bytes>" if path is None else path

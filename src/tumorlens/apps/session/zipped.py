"""Which scans lie in a ZIP archive, each a volume of the list, and what lies beside them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tumorlens.apps.session.rows import printable
from tumorlens.errors import MissingExtraError, UnreadableImageError

if TYPE_CHECKING:
    from tumorlens.images.volume import Volume
    from tumorlens.report.case_entries import Source

__all__ = ["beside_scans", "name_scan", "scans_of"]

_HEAD: Final = 2**16  # bytes that tell the kind, gzip included


def scans_of(path: str) -> tuple[list[Volume], bool]:
    """Open the scans of an archive.

    Returns
    -------
    tuple
        Its volumes of several slices, none where the file is no archive or cannot be read; and
        whether they are all that it holds.
    """
    from tumorlens.images.volume import Volume  # noqa: PLC0415
    from tumorlens.sources.failure import parts_or_fail  # noqa: PLC0415

    try:
        if not _may_hold_scans(path):
            return [], False
        parts = parts_or_fail(path)
    except (OSError, ValueError, UnreadableImageError, MissingExtraError):
        return [], False  # said when it is its turn to be answered
    scans = [part for part in parts if isinstance(part, Volume) and len(part) > 1]
    return scans, bool(scans) and len(scans) == len(parts)


def name_scan(scan: Volume, archive: str, name: str) -> str:
    """Name a scan by its place in the archive of that name, never by what a header says."""
    place = os.path.commonpath([os.path.dirname(one) for one in scan.paths] or [str(scan.path)])  # noqa: PTH120
    inside = os.path.relpath(place, archive) if place.startswith(archive) else "."
    return name if inside == "." else printable(f"{name}/{inside}")


def beside_scans(path: str) -> list[Source]:
    """Give what a report says of a file whose scans are rows of their own: it, or its other parts.

    An archive is opened for it; another file is not.
    """
    from tumorlens.sources.failure import loose_or_fail  # noqa: PLC0415

    try:
        is_archive = _is_archive(path)
    except (OSError, ValueError):  # said when it is opened
        is_archive = False
    return [*loose_or_fail(path)] if is_archive else [path]


def _is_archive(path: str) -> bool:
    from tumorlens.images.kinds import find_kind  # noqa: PLC0415

    if not Path(path).is_file():  # no pipe is opened
        return False
    with Path(path).open("rb") as file:
        return find_kind(file.read(_HEAD)) == "ZIP"


def _may_hold_scans(path: str) -> bool:
    """Look at what the members begin with: pictures are not decoded for it."""
    from tumorlens.images.kinds import find_kind  # noqa: PLC0415
    from tumorlens.images.limits import Limits  # noqa: PLC0415
    from tumorlens.images.packed import unpack_members  # noqa: PLC0415
    from tumorlens.images.read import load_file  # noqa: PLC0415

    if not _is_archive(path):
        return False
    limits = Limits()
    members = unpack_members(load_file(path, limits), path, limits)
    contents = (content[:_HEAD] for _, content in members if isinstance(content, bytes))
    return any(find_kind(content) in ("DICOM", "NIfTI") for content in contents)

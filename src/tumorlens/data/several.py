"""Files of several slices among labelled pictures: none of their slices has the label by itself."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

__all__ = ["note_dicom", "note_several", "refuse_several"]

_SIGN: Final = "slices in one file, whose label is of the whole"
_MEND: Final = "measure it with `tumorlens evaluate FOLDER`, or export its slices as pictures"


def refuse_several(path: Path, count: int) -> str | None:
    """Say why a file of `count` slices is left out; ``None`` for a single picture."""
    return f"{path}: {count:,} {_SIGN}; {_MEND}" if count > 1 else None


def note_several(reasons: Iterable[str]) -> list[str]:
    """Say of reasons for files that were left out how many are volumes; nothing of none."""
    count = sum(_SIGN in reason for reason in reasons)
    if not count:
        return []
    what = (
        "volumes and are left out, for a label of a volume is not that of each slice; `tumorlens "
        "evaluate FOLDER` measures them as volumes, and slices to train on are exported as "
        "pictures of their own label"
    )
    return [f"{count:,} of the files are {what}"]


def note_dicom(formats: Iterable[str]) -> list[str]:
    """Say that DICOM files of a series count one by one; nothing of one alone."""
    count = sum(name == "DICOM" for name in formats)
    if count < 2:
        return []
    what = "a picture each, with its folder's label; keep none of a series that shows no tumour"
    return [f"{count:,} DICOM files count as {what}"]

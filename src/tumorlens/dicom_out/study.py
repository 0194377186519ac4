"""The objects that slices were read from: whose study it is, and which frame a slice is.

The patient and the study are copied whole, as UTF-8. highdicom's constructors never get to see
them: they log names that they do not like.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from tumorlens import __version__
from tumorlens.errors import UnreadableImageError
from tumorlens.extras import require
from tumorlens.images.dicom import Header, explained, read_dataset, read_header
from tumorlens.images.limits import Limits
from tumorlens.images.read import load_file
from tumorlens.models.card import Card

__all__ = ["MAKER", "WARNING", "Source", "adopt", "labels", "new_uid", "open_source"]

MAKER: Final = "tumorlens"
WARNING: Final = "Research use only: not for diagnosis"

_NEEDED: Final = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
_EMPTY: Final = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber"),
    *("StudyID", "StudyDate", "StudyTime", "ReferringPhysicianName"),
)
_DAMAGED: Final = "a DICOM file that is damaged"


@dataclass(frozen=True, slots=True)
class Source:
    """An object that slices were read from.

    Parameters
    ----------
    header
        What it says of its pictures.
    evidence
        pydicom data set: what a report needs to refer to it, and no patient.
    whole
        pydicom data set: all of its header, text as UTF-8.
    """

    header: Header
    evidence: Any
    whole: Any

    @property
    def study(self) -> str:
        """Identifier of its study."""
        return str(self.evidence.StudyInstanceUID)

    def frame(self, index: int | None) -> int | None:
        """Count a frame from 1; ``None`` where the object has but one picture."""
        if len(self.header.frames) == 1 or index is None:
            return None
        return index + 1


def open_source(path: str, limits: Limits) -> Source:
    """Read the header of a file again, to write into its study.

    Raises
    ------
    UnreadableImageError
        When it cannot be read, or is no part of a study: one of its identifiers is missing.
    """
    data = load_file(path, limits)
    header = read_header(data, path, limits)
    with explained(path, _DAMAGED):
        whole = read_dataset(data, path, limits, pixels=False)
        missing = [name for name in _NEEDED if not str(whole.get(name) or "")]
        if missing:
            found = f"a DICOM file that belongs to no study (it has no {missing[0]})"
            raise UnreadableImageError(path, found, "leave --dicom-out out, or export it anew")
        evidence = require("pydicom", "writing DICOM", "dicom-out").Dataset()
        for name in _NEEDED:
            setattr(evidence, name, str(whole[name].value))
        for name in _EMPTY:
            setattr(evidence, name, "")
        if len(header.frames) > 1:
            evidence.NumberOfFrames = len(header.frames)
        evidence.Rows, evidence.Columns = header.rows, header.columns
        whole.decode()
    return Source(header, evidence, whole)


def adopt(result: Any, source: Source) -> None:
    """Put an object into the patient and the study of another.

    Parameters
    ----------
    result
        The new object: a `highdicom.SOPClass`.
    source
        Of the study.

    Raises
    ------
    UnreadableImageError
        When what the source says of them is damaged.
    """
    with explained(source.header.path or "<bytes>", _DAMAGED):
        result.copy_patient_and_study_information(source.whole)
        result.SpecificCharacterSet = "ISO_IR 192"


def labels(card: Card) -> dict[str, Any]:
    """Say what made an object, as highdicom's constructors take it."""
    return {
        "manufacturer": MAKER,
        "manufacturer_model_name": card.id[:64],
        "software_versions": __version__,
        "series_description": f"{MAKER}: {WARNING}",
    }


def new_uid() -> str:
    """Make an identifier that says nothing of who made it (PS3.5 section B.2)."""
    return str(require("pydicom.uid", "writing DICOM", "dicom-out").generate_uid(prefix=None))

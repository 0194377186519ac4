"""Scans without their patient: the standard's basic profile, on every level of a file.

Beyond the table of the profile, attributes that the standard does not know are removed, and texts
that the table keeps but that repeat the patient's name or number. Pixels stay as they are: what is
burned into them stays, and so does a face, which can be drawn from a scan of a head.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tumorlens.dicom_out.profile import EDITION, load_profile, put_dummy
from tumorlens.dicom_out.study import new_uid
from tumorlens.errors import OutputError, UnreadableImageError
from tumorlens.extras import require
from tumorlens.files import new_folder
from tumorlens.images.dicom import explained, read_dataset, read_header
from tumorlens.images.kinds import find_kind
from tumorlens.images.limits import Limits
from tumorlens.images.read import load_file
from tumorlens.sources.failure import Failure
from tumorlens.versions import versions_of

__all__ = ["Cleaned", "Deidentifier", "deidentify_files"]

_TOOLS: Final = ("tumorlens", "dicom-anonymizer")
_STANDARD: Final = "1.2.840.10008."
"""How identifiers begin that the standard has given out: classes, syntaxes, coding schemes."""

_NAMES: Final = frozenset(
    ("PatientID", "PatientBirthDate", "OtherPatientIDs", "AccessionNumber", "InstitutionName")
)
"""Beside everything of kind PN, what is looked for in texts that are kept."""

_TEXTS: Final = frozenset(("LO", "SH", "LT", "ST", "UT", "UC", "PN", "AE"))
_CODES: Final = frozenset(("CS", "DS", "IS", "DA", "TM", "DT", "AS"))
"""Here a whole word must be the same: a code may well have letters of a name in it."""

_APART: Final = r"[\^=\\\s,.;'\[\]]+"
_SHORTEST: Final = 4  # letters of a name that is looked for; of other scripts than Latin, 2
_SCREENS: Final = frozenset(("OT", "SC", "US", "XC", "ES", "SR", "DOC"))
"""Modalities whose pictures often have writing in them."""


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A file without its patient.

    Parameters
    ----------
    content
        The file.
    series
        The new identifier of its series.
    burned_in
        Why its pixels may show who it is, or ``None``.
    repeated
        Texts that were removed because they repeated the patient's name or number.
    """

    content: bytes
    series: str
    burned_in: str | None
    repeated: int


class Deidentifier:
    """Takes the patient out of files, alike in all files that one object sees.

    What refers to one another still does: identifiers are replaced one for one. Patients are
    told apart as ``patient-1``, ``patient-2`` and so on.
    """

    def __init__(self) -> None:
        self._profile = load_profile()
        self._uids: dict[str, str] = {}
        self._patients: dict[tuple[str, str], str] = {}

    @property
    def patients(self) -> int:
        """How many patients were told apart."""
        return len(self._patients)

    def clean(self, data: bytes, path: str | None, limits: Limits) -> Cleaned:
        """Take the patient out of a file.

        Parameters
        ----------
        data
            Its content.
        path
            Where it is, for errors.
        limits
            What is too large.

        Raises
        ------
        UnreadableImageError
            When it is damaged, or holds no picture: reports and documents are text, and no
            table says what in a text tells who it is of.
        MissingExtraError
            When what this needs is not installed.
        """
        read_header(data, path, limits)
        source = "<bytes>" if path is None else path
        with explained(source, "a DICOM file that is damaged"):
            dataset = read_dataset(data, path, limits, pixels=True)
            burned_in = _burned_in(dataset)
            words: set[str] = set()
            for item in _levels(dataset):
                words |= _words(item)
            patient = self._patient(dataset)
            for item in list(_levels(dataset)):
                self._clean(item)
            repeated = sum(_remove_repeated(item, words) for item in _levels(dataset))
            _sign(dataset, patient, burned_in)
            stream = io.BytesIO()
            _fresh(dataset).save_as(stream, enforce_file_format=True)
            return Cleaned(
                stream.getvalue(), str(dataset.get("SeriesInstanceUID")), burned_in, repeated
            )

    def _patient(self, dataset: Any) -> str:
        who = str(dataset.get("PatientID", "")), str(dataset.get("PatientName", ""))
        return self._patients.setdefault(who, f"patient-{len(self._patients) + 1}")

    def _clean(self, dataset: Any) -> None:
        """Clean one level."""
        known = require("pydicom.datadict", "reading DICOM", "dicom").dictionary_has_tag
        for tag in list(dataset.keys()):
            action = self._profile.action(tag.group, tag.element)
            if action == "remove" or not known(tag):
                del dataset[tag]
                continue
            element = dataset[tag]
            if element.VR == "UN":
                del dataset[tag]
            elif element.VR == "UI":
                self._replace_uids(element)
            elif action == "empty":
                element.value = [] if element.VR == "SQ" else None
            elif action == "dummy" and not put_dummy(element):
                del dataset[tag]

    def _replace_uids(self, element: Any) -> None:
        """Replace what is not the standard's own."""
        values = [element.value] if element.VM <= 1 else list(element.value)
        new = [self._uid(str(value)) for value in values]
        element.value = new[0] if len(new) == 1 else new

    def _uid(self, old: str) -> str:
        if not old or old.startswith(_STANDARD):
            return old
        return self._uids.setdefault(old, new_uid())


@contextmanager
def deidentify_files(
    paths: Iterable[str], out: str | os.PathLike[str], *, limits: Limits
) -> Iterator[Iterator[Cleaned | Failure]]:
    """Take the patient out of files; the folder is there when the block ends, or not at all.

    Parameters
    ----------
    paths
        Files.
    out
        Must not exist, or be empty. Files are numbered in there, by series.
    limits
        What is too large.

    Yields
    ------
    iterator
        One result a file, to be gone through inside the block.

    Raises
    ------
    OutputError
        When the folder is there or cannot be written, or no file could be cleaned.
    MissingExtraError
        When what this needs is not installed.
    """
    worker = Deidentifier()
    series: dict[str, int] = {}
    with new_folder(out) as work:
        yield _each(worker, paths, work, limits, series)
        if not series:
            raise OutputError("no DICOM picture was found, so nothing is written")


def _each(
    worker: Deidentifier, paths: Iterable[str], work: Path, limits: Limits, series: dict[str, int]
) -> Iterator[Cleaned | Failure]:
    folders: dict[str, Path] = {}
    for path in paths:
        try:
            data = load_file(path, limits)
            if (kind := find_kind(data)) != "DICOM":
                hint = "unpack it and give the folder" if kind == "ZIP" else "give DICOM files"
                raise UnreadableImageError(path, "no DICOM file", hint)  # noqa: TRY301
            cleaned = worker.clean(data, path, limits)
        except UnreadableImageError as error:
            yield Failure(path, error)
            continue
        if cleaned.series not in folders:
            folders[cleaned.series] = work / f"series-{len(folders) + 1}"
            folders[cleaned.series].mkdir()
        series[cleaned.series] = number = series.get(cleaned.series, 0) + 1
        (folders[cleaned.series] / f"{number:06}.dcm").write_bytes(cleaned.content)
        yield cleaned


def _levels(dataset: Any) -> Iterator[Any]:
    """Give a data set and every data set inside."""
    yield dataset
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value or ():
                yield from _levels(item)


def _words(dataset: Any) -> set[str]:
    """Gather what names the patient, and those around."""
    found: set[str] = set()
    for element in dataset:
        if (element.VR == "PN" or element.keyword in _NAMES) and element.value:
            for word in re.split(_APART, str(element.value).casefold()):
                shortest = _SHORTEST if word.isascii() else 2
                found |= {word} if len(word) >= shortest else set()
    return found


def _remove_repeated(dataset: Any, words: set[str]) -> int:
    """Empty texts that hold one of the words; some must be there, if only empty."""
    removed = 0
    for element in dataset:
        if element.VR not in _TEXTS | _CODES:
            continue
        text = str(element.value or "").casefold()
        inside = element.VR in _TEXTS and any(word in text for word in words)
        if inside or (element.VR in _CODES and not words.isdisjoint(re.split(_APART, text))):
            element.value = None
            removed += 1
    return removed


def _burned_in(dataset: Any) -> str | None:
    """Say why the pixels may show who it is."""
    if str(dataset.get("BurnedInAnnotation") or "").upper() == "YES":
        return "its header says that writing is burned in"
    kinds = str(dataset.get("ImageType") or "").upper()
    secondary = str(dataset.get("SOPClassUID") or "").startswith("1.2.840.10008.5.1.4.1.1.7")
    if secondary or "SCREEN" in kinds or str(dataset.get("Modality") or "") in _SCREENS:
        return "it is a captured picture, and those often have writing in them"
    return None


def _sign(dataset: Any, patient: str, burned_in: str | None) -> None:
    """Name the new patient, and say what was done (PS3.3 section C.12.1.1 and C.7.1.1)."""
    codes = require("pydicom.sr.codedict", "reading DICOM", "dicom").codes
    item = require("pydicom", "reading DICOM", "dicom").Dataset()
    code = codes.DCM.BasicApplicationConfidentialityProfile
    item.CodeValue, item.CodingSchemeDesignator = code.value, code.scheme_designator
    item.CodeMeaning = code.meaning
    dataset.PatientName = dataset.PatientID = patient
    # YES would promise that the pixels are clean too.
    dataset.PatientIdentityRemoved = "YES" if burned_in is None else "NO"
    dataset.DeidentificationMethod = [
        ", ".join(f"{name} {known}" for name, known in versions_of(_TOOLS).items()),
        f"PS3.15 table E.1-1 of {EDITION}",
        "Pixels are as they were",
    ]
    dataset.DeidentificationMethodCodeSequence = [item]
    dataset.LongitudinalTemporalInformationModified = "REMOVED"


def _fresh(dataset: Any) -> Any:
    """Leave out of the first part of the file whatever but its kind."""
    pydicom = require("pydicom", "reading DICOM", "dicom")
    meta = pydicom.dataset.FileMetaDataset()
    meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    dataset.file_meta, dataset.preamble = meta, b"\0" * 128
    return dataset

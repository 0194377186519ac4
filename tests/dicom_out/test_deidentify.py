"""De-identification: what stays of a patient is nothing, on any level, in any script."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tumorlens.errors import UnreadableImageError
from tumorlens.images.limits import Limits
from tumorlens.images.read import read_slices

pydicom: Any = pytest.importorskip("pydicom")
pytest.importorskip("dicomanonymizer")
from pydicom import uid as uids  # noqa: E402
from pydicom.data import get_testdata_file  # noqa: E402

from dicoms import content, draw  # noqa: E402
from tumorlens.dicom_out.deidentify import Deidentifier  # noqa: E402
from tumorlens.dicom_out.profile import load_profile  # noqa: E402

RAMP = np.arange(48 * 64, dtype=np.int16).reshape(48, 64)
SCRIPTS = {
    "ascii": ("ISO_IR 6", "Quixote^Rosinante"),
    "latin": ("ISO_IR 100", "Müllerß^Jürgen"),
    "utf-8": ("ISO_IR 192", "Łośiński^Żółć"),
    "japanese": (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
}
WORDS = {"PN", "LO", "SH", "LT", "ST", "UT", "UC", "AE"}


def planted(charset: Any, name: str) -> Any:
    """Put a patient into everything that the profile names, on several levels."""
    dataset = draw(RAMP, SpecificCharacterSet=charset)
    texts = [
        tag
        for tag in load_profile().actions
        if pydicom.datadict.dictionary_has_tag(tag)
        and pydicom.datadict.dictionary_VR(tag) in WORDS
        and tag[0] > 2
    ]
    assert len(texts) > 150

    def fill(item: Any) -> None:
        for tag in texts:
            vr = pydicom.datadict.dictionary_VR(tag)
            long = vr in ("PN", "LT", "ST", "UT", "UC")
            value = name if long else name.rpartition("=")[2][:16]
            value = "Quixote" if vr == "AE" else value  # which knows no scripts
            item[tag] = pydicom.DataElement(tag, vr, value, validation_mode=0)
        item.PatientBirthDate = item.StudyDate = item.AcquisitionDate = "19010203"
        item.PatientID = item.OtherPatientIDs = "ID-314159"
        item.InstitutionName = "Castle Hospital"
        item.ReferencedPatientPhotoSequence = []
        block = item.private_block(0x0099, "Castle Hospital", create=True)
        block.add_new(1, "LO", name)
        inside = pydicom.Dataset()
        inside.PatientName = name
        block.add_new(2, "SQ", [inside])

    fill(dataset)
    for keyword in ("ProcedureCodeSequence", "RequestAttributesSequence", "SourceImageSequence"):
        item, deeper = pydicom.Dataset(), pydicom.Dataset()
        fill(deeper)
        fill(item)
        item.ReferencedImageSequence = [deeper]
        item.ReferencedSOPInstanceUID = "1.2.3.4.5"
        setattr(dataset, keyword, [item])
    dataset.ReceiveCoilName = f"coil of {name}"[:16]  # the profile keeps this one
    dataset.add_new((0x6000, 0x0022), "LO", name)
    dataset.add_new((0x0019, 0x0010), "LO", "Quixote")
    dataset.add_new((0xFFFC, 0xFFFC), "OB", b"Quixote Rosinante ")
    dataset.file_meta.SourceApplicationEntityTitle = "Quixote"
    dataset.preamble = b"Quixote^Rosinante".ljust(128, b"\0")
    return dataset


def secrets(name: str) -> list[bytes]:
    """Write the words of a name, and the numbers, in every encoding that DICOM may use."""
    found = [b"ID-314159", b"19010203", b"Castle", b"Hospital", b"Quixote", b"1.2.3.4.5"]
    for word in name.replace("=", "^").split("^"):
        for codec in ("ascii", "latin-1", "utf-8", "iso2022_jp", "utf-16-le"):
            try:
                coded = word.encode(codec)
            except UnicodeEncodeError:
                continue
            found.append(coded.removeprefix(b"\x1b$B").removesuffix(b"\x1b(B"))
    return found


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("syntax", ["ExplicitVRLittleEndian", "ImplicitVRLittleEndian"])
def test_nothing_is_left_of_a_planted_patient(script: str, syntax: str) -> None:
    charset, name = SCRIPTS[script]
    dataset = planted(charset, name)
    dataset.file_meta.TransferSyntaxUID = getattr(uids, syntax)
    data = content(dataset)
    hidden = secrets(name)
    assert sum(secret in data for secret in hidden) >= 7
    cleaned = Deidentifier().clean(data, None, Limits())
    assert not [secret for secret in hidden if secret in cleaned.content]
    assert cleaned.repeated >= 1
    (before,), (after,) = read_slices(data), read_slices(cleaned.content)
    np.testing.assert_array_equal(after.pixels, before.pixels)
    assert after.geometry == before.geometry


def test_it_says_what_was_done() -> None:
    cleaned = Deidentifier().clean(content(draw(RAMP)), None, Limits())
    made = pydicom.dcmread(io.BytesIO(cleaned.content))
    assert made.PatientIdentityRemoved == "YES"
    (code,) = made.DeidentificationMethodCodeSequence
    assert (code.CodeValue, code.CodingSchemeDesignator) == ("113100", "DCM")
    assert "PS3.15 table E.1-1 of 2026c" in made.DeidentificationMethod
    assert made.LongitudinalTemporalInformationModified == "REMOVED"
    assert made.PatientName == made.PatientID == "patient-1"
    assert (made.Modality, made.BodyPartExamined) == ("MR", "HEAD")


def test_files_still_refer_to_one_another() -> None:
    worker = Deidentifier()
    first, second = draw(RAMP), draw(RAMP)
    origin = pydicom.Dataset()
    origin.ReferencedSOPClassUID = first.SOPClassUID
    origin.ReferencedSOPInstanceUID = first.SOPInstanceUID
    second.SourceImageSequence = [origin]
    made = [
        pydicom.dcmread(io.BytesIO(worker.clean(content(x), None, Limits()).content))
        for x in (first, second)
    ]
    assert made[0].SOPInstanceUID != first.SOPInstanceUID
    (kept,) = made[1].SourceImageSequence
    assert kept.ReferencedSOPInstanceUID == made[0].SOPInstanceUID
    assert kept.ReferencedSOPClassUID == first.SOPClassUID
    assert made[0].StudyInstanceUID == made[1].StudyInstanceUID != first.StudyInstanceUID
    assert made[0].file_meta.MediaStorageSOPInstanceUID == made[0].SOPInstanceUID
    other = draw(RAMP, PatientID="another")
    third = worker.clean(content(other), None, Limits())
    assert pydicom.dcmread(io.BytesIO(third.content)).PatientID == "patient-2"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"BurnedInAnnotation": "YES"}, "its header says that writing is burned in"),
        ({"Modality": "OT"}, "captured picture"),
        ({"SOPClassUID": uids.SecondaryCaptureImageStorage}, "captured picture"),
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, "captured picture"),
    ],
)
def test_what_may_be_burned_in_is_said(changes: dict[str, Any], said: str) -> None:
    cleaned = Deidentifier().clean(content(draw(RAMP, **changes)), None, Limits())
    assert cleaned.burned_in is not None
    assert said in cleaned.burned_in
    made = pydicom.dcmread(io.BytesIO(cleaned.content))
    assert made.PatientIdentityRemoved == "NO"


@pytest.mark.parametrize(
    "name",
    [
        "MR_small.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_RLE.dcm",
        "JPEG2000.dcm",
    ],
)
def test_real_files_hold_the_same_picture(name: str) -> None:
    path = Path(get_testdata_file(name))
    cleaned = Deidentifier().clean(path.read_bytes(), name, Limits())
    for before, after in zip(read_slices(path), read_slices(cleaned.content), strict=True):
        np.testing.assert_array_equal(after.pixels, before.pixels)
        assert after.value_range == before.value_range
    who = str(pydicom.dcmread(path).PatientName)
    assert who.split("^", maxsplit=1)[0].encode() not in cleaned.content


@pytest.mark.parametrize("name", ["MR_small.dcm", "SC_rgb_jpeg_gdcm.dcm"])
def test_dciodvfy_finds_no_error(name: str, tmp_path: Path) -> None:
    tool = shutil.which("dciodvfy")
    if tool is None:
        pytest.skip("dciodvfy of dicom3tools is not installed")
    cleaned = Deidentifier().clean(Path(get_testdata_file(name)).read_bytes(), name, Limits())
    (tmp_path / "made.dcm").write_bytes(cleaned.content)
    command = [tool, "-new", tmp_path / "made.dcm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not [line for line in done.stderr.splitlines() if line.startswith("Error")]


def test_reports_are_refused() -> None:
    path = Path(get_testdata_file("reportsi.dcm"))
    with pytest.raises(UnreadableImageError, match="without a picture"):
        Deidentifier().clean(path.read_bytes(), "report", Limits())

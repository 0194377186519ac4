"""Results as DICOM: they stay in the study, say what they are, and validators take them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tumorlens.classifier import Classifier, load
from tumorlens.data.folder import CLASSES
from tumorlens.dicom_out.folder import dicom_folder
from tumorlens.errors import OutputError, UnreadableImageError
from tumorlens.images.limits import Limits
from tumorlens.images.read import read_slices

pydicom: Any = pytest.importorskip("pydicom")
highdicom: Any = pytest.importorskip("highdicom")
from highdicom.sr import MeasurementReport, srread  # noqa: E402
from pydicom.uid import EnhancedMRImageStorage  # noqa: E402

from dicoms import PATIENT, content, draw, write_series  # noqa: E402
from drawn_heads import draw_head  # noqa: E402

JAPANESE = "Yamada^Tarou=山田^太郎=やまだ^たろう"


HEAD = draw_head("glioma", 3, 96).astype(np.int16) * 4


@pytest.fixture
def classifier(spot_bundle: Callable[..., Path], change_card: Callable[..., None]) -> Classifier:
    """A network worked out by hand, with the classes of the real ones."""
    bundle = spot_bundle((1.0, 0.5, -1.0, -2.0))
    change_card(bundle, classes=tuple(CLASSES))
    return load(bundle, threads=1)


def write(
    classifier: Classifier, paths: list[Path], out: Path, **options: Any
) -> tuple[Any, list[Any]]:
    """Explain files into a folder; give report and captures of the first study."""
    with dicom_folder(out, classifier.card, limits=Limits(), **options) as folder:
        for explanation in classifier.explain_batch(p for path in paths for p in read_slices(path)):
            folder.add(explanation)
    study = out / "study-1"
    return srread(study / "report.dcm"), [
        pydicom.dcmread(path) for path in sorted(study.glob("overlay-*.dcm"))
    ]


@pytest.fixture
def series(tmp_path: Path) -> list[Path]:
    planes = np.stack([HEAD, HEAD[:, ::-1], np.zeros_like(HEAD)])
    return write_series(tmp_path / "series", planes, StudyInstanceUID="1.2.9")


@pytest.fixture
def written(classifier: Classifier, series: list[Path], tmp_path: Path) -> Path:
    write(classifier, series, tmp_path / "written")
    return tmp_path / "written" / "study-1"


def groups(report: Any) -> list[Any]:
    found: list[Any] = MeasurementReport.from_sequence(
        report.content
    ).get_image_measurement_groups()
    return found


def comments(item: Any) -> list[str]:
    return [
        x.TextValue
        for x in item.ContentSequence
        if x.ConceptNameCodeSequence[0].CodeMeaning == "Comment"
    ]


def evaluations(group: Any, name: str) -> list[str]:
    return [x.value.meaning for x in group.get_qualitative_evaluations() if x.name.meaning == name]


def test_the_report_says_what_was_found_and_by_what(
    written: Path, series: list[Path], classifier: Classifier
) -> None:
    report = srread(written / "report.dcm")
    answers = list(classifier.predict_batch(series))
    assert report.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.33"
    assert (report.CompletionFlag, report.VerificationFlag) == ("COMPLETE", "UNVERIFIED")
    assert report.PreliminaryFlag == "PRELIMINARY"
    assert comments(report) == ["Research use only: not for diagnosis"]
    found = groups(report)
    assert len(found) == 3
    for group, answer, path in zip(found, answers, series, strict=True):
        (image,) = group.source_images
        source = pydicom.dcmread(path)
        assert image.referenced_sop_instance_uid == source.SOPInstanceUID
        assert evaluations(group, "Assessable") == ["Yes" if answer.assessable else "No"]
        if answer.assessable:
            measured = {m.name.meaning: m.value for m in group.get_measurements()}
            for name, value in answer.probabilities.items():
                assert measured[f"Probability of {name}"] == pytest.approx(value, abs=1e-6)
            assert len(evaluations(group, "Prediction set")) == len(answer.prediction_set)
    (name,) = [
        x.TextValue
        for x in found[0][0].ContentSequence
        if x.ConceptNameCodeSequence[0].CodeMeaning == "Algorithm Name"
    ]
    assert name == classifier.card.name


def test_a_slice_that_is_not_assessable_has_no_class_unless_asked_for(
    written: Path, series: list[Path], classifier: Classifier, tmp_path: Path
) -> None:
    plain = groups(srread(written / "report.dcm"))[2]
    assert not evaluations(plain, "Class")
    assert not plain.get_measurements()
    assert comments(plain[0]) == ["Not assessable: the picture is blank"]
    report, _ = write(classifier, series, tmp_path / "forced", force=True)
    forced = groups(report)[2]
    assert len(evaluations(forced, "Class")) == 1
    assert "shown because it was asked for" in comments(forced[0])[0]


def test_classes_have_codes(written: Path, series: list[Path], classifier: Classifier) -> None:
    coded = {"glioma": "393564001", "meningioma": "302820008", "pituitary": "254956000"}
    group = groups(srread(written / "report.dcm"))[0]
    answer = next(classifier.predict_batch(series))
    values = {
        x.value.value: x.value.scheme_designator
        for x in group.get_qualitative_evaluations()
        if x.name.meaning == "Class"
    }
    if answer.label in coded:
        assert values == {coded[answer.label]: "SCT"}
    else:
        assert values == {"notumor": "99TUMORLENS"}


def test_everything_stays_in_the_study_of_the_patient(written: Path, series: list[Path]) -> None:
    source = pydicom.dcmread(series[0])
    objects = [pydicom.dcmread(path) for path in sorted(written.iterdir())]
    assert len(objects) == 4
    for made in objects:
        assert made.StudyInstanceUID == source.StudyInstanceUID
        assert made.PatientName == PATIENT
        assert made.PatientBirthDate == source.PatientBirthDate
        assert made.SeriesInstanceUID != source.SeriesInstanceUID
        assert "Research use only" in made.SeriesDescription
    assert len({made.SeriesInstanceUID for made in objects}) == 2
    assert len({made.SOPInstanceUID for made in objects}) == 4


def test_captures_are_the_overlays_and_name_their_source(
    written: Path, series: list[Path], classifier: Classifier
) -> None:
    explained = list(classifier.explain_batch(series))
    for i, (path, explanation) in enumerate(zip(series, explained, strict=True), 1):
        made = pydicom.dcmread(written / f"overlay-{i:04}.dcm")
        np.testing.assert_array_equal(made.pixel_array, np.asarray(explanation.figure()))
        (source,) = made.SourceImageSequence
        assert source.ReferencedSOPInstanceUID == pydicom.dcmread(path).SOPInstanceUID
        assert made.ImageType[0] == "DERIVED"
        assert list(made.PatientOrientation) == ["L", "P"]
        assert made.BurnedInAnnotation == "NO"
        assert "Research use only" in made.DerivationDescription


def test_frames_are_named_as_they_are_stored(classifier: Classifier, tmp_path: Path) -> None:
    frames = np.stack([HEAD, HEAD, HEAD])
    dataset = draw(frames, NumberOfFrames=3, SOPClassUID=EnhancedMRImageStorage)
    del dataset.ImagePositionPatient
    dataset.PerFrameFunctionalGroupsSequence = []
    for height in (9.0, 0.0, 3.0):  # not stored in order
        place, item = pydicom.Dataset(), pydicom.Dataset()
        place.ImagePositionPatient = [-60.0, -60.0, height]
        item.PlanePositionSequence = [place]
        dataset.PerFrameFunctionalGroupsSequence.append(item)
    path = tmp_path / "frames"
    path.write_bytes(content(dataset))
    report, captures = write(classifier, [path], tmp_path / "out")
    numbers = [g.source_images[0].referenced_frame_numbers for g in groups(report)]
    assert numbers == [[2], [3], [1]]
    assert [c.SourceImageSequence[0].ReferencedFrameNumber for c in captures] == [2, 3, 1]


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 192", "Łoś^Żółć"),
        ("ISO_IR 100", "Müller^Jürgen"),
        (["", "ISO 2022 IR 87"], JAPANESE),
    ],
)
def test_names_in_any_script_stay_what_they_were(
    charset: Any, name: str, classifier: Classifier, tmp_path: Path
) -> None:
    path = tmp_path / "scan"
    path.write_bytes(content(draw(HEAD, SpecificCharacterSet=charset, PatientName=name)))
    report, (capture,) = write(classifier, [path], tmp_path / "out")
    assert str(report.PatientName) == str(capture.PatientName) == name


@pytest.mark.parametrize(
    "changes",
    [
        {"PatientSex": "odd", "PatientBirthDate": "last year", "StudyDate": "19990230"},
        {"PatientName": "Quixote\n^^^^^^^=x=y=z=w", "PatientID": "\x1b[31mID-314159"},
    ],
)
def test_odd_patients_are_kept_and_not_told(
    changes: dict[str, str],
    classifier: Classifier,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = tmp_path / "scan"
    dataset = draw(HEAD)
    for keyword, value in changes.items():
        tag = pydicom.datadict.tag_for_keyword(keyword)
        vr = pydicom.datadict.dictionary_VR(tag)
        dataset[tag] = pydicom.DataElement(tag, vr, value, validation_mode=0)
    path.write_bytes(content(dataset))
    write(classifier, [path], tmp_path / "out")
    captured = capfd.readouterr()
    assert captured.out + captured.err + caplog.text == ""


def test_several_studies_have_a_folder_each(classifier: Classifier, tmp_path: Path) -> None:
    for study in ("1.2.3", "1.2.4"):
        (tmp_path / study).write_bytes(content(draw(HEAD, StudyInstanceUID=study)))
    out = tmp_path / "out"
    write(classifier, [tmp_path / "1.2.3", tmp_path / "1.2.4"], out)
    found = {path.parent.name: pydicom.dcmread(path) for path in out.rglob("report.dcm")}
    assert {name: made.StudyInstanceUID for name, made in found.items()} == {
        "study-1": "1.2.3",
        "study-2": "1.2.4",
    }


def test_nothing_is_left_where_there_is_nothing_to_write(
    classifier: Classifier, tmp_path: Path
) -> None:
    Image.fromarray(draw_head("glioma", 3)).save(tmp_path / "plain.png")
    with pytest.raises(OutputError, match="no slice was read from a DICOM file"):
        write(classifier, [tmp_path / "plain.png"], tmp_path / "none")
    lone = draw(HEAD)
    del lone.StudyInstanceUID
    (tmp_path / "lone").write_bytes(content(lone))
    with pytest.raises(UnreadableImageError, match="has no StudyInstanceUID"):
        write(classifier, [tmp_path / "lone"], tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_dciodvfy_finds_no_error(written: Path) -> None:
    tool = shutil.which("dciodvfy")
    if tool is None:
        pytest.skip("dciodvfy of dicom3tools is not installed")
    for path in sorted(written.iterdir()):
        done = subprocess.run([tool, "-new", path], capture_output=True, text=True, check=False)
        errors = [line for line in done.stderr.splitlines() if line.startswith("Error")]
        assert not errors, (path.name, errors)

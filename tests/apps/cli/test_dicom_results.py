"""``tumorlens explain --dicom-out``: into the study, and nowhere else."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tumorlens
from tumorlens.data.folder import CLASSES

pydicom: Any = pytest.importorskip("pydicom")
highdicom: Any = pytest.importorskip("highdicom")

from dicoms import write_series  # noqa: E402
from drawn_heads import draw_head  # noqa: E402

Run = Callable[..., tuple[int, str, str]]
HEAD = draw_head("glioma", 3, 96)


@pytest.fixture
def bundle(spot_bundle: Callable[..., Path], change_card: Callable[..., None]) -> Path:
    made = spot_bundle((1.0, 0.5, -1.0, -2.0))
    change_card(made, classes=tuple(CLASSES))
    return made


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    write_series(tmp_path / "scan", np.stack([HEAD, HEAD[:, ::-1]]).astype(np.int16) * 4)
    return tmp_path / "scan"


def test_results_go_into_a_folder_of_their_own(
    run: Run, bundle: Path, scan: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    status, said, _ = run("explain", scan, "--dicom-out", out, "--model", bundle)
    assert status == 0
    assert len(said.splitlines()) == 3  # the volume's
    assert "->" not in said
    names = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    assert names == [
        "dicom.json",
        "study-1/overlay-0001.dcm",
        "study-1/overlay-0002.dcm",
        "study-1/report.dcm",
    ]
    assert json.loads((out / "dicom.json").read_text())["answers"] == 2
    status, _, told = run("explain", scan, "--dicom-out", out, "--model", bundle)
    assert status == 2
    assert "exists and is not empty" in told
    # What was written is not taken for scans.
    status, _, told = run("predict", tmp_path / "out", "--model", bundle)
    assert status == 1
    assert "passed over what tumorlens wrote" in told


def test_records_and_dicom_go_together(run: Run, bundle: Path, scan: Path, tmp_path: Path) -> None:
    (scan / "broken").write_bytes(b"\0" * 128 + b"DICM" + b"nonsense")
    (scan / "plain.npy").write_text("no picture")
    options = ("--out", tmp_path / "records", "--dicom-out", tmp_path / "out", "--model", bundle)
    status, said, told = run("explain", scan, *options)
    assert status == 1
    assert "2 of 4 files could not be read" in told
    assert said.count("->") == 3
    assert len(list((tmp_path / "records").iterdir())) == 3
    report = pydicom.dcmread(tmp_path / "out" / "study-1" / "report.dcm")
    assert report.CompletionFlag == "PARTIAL"


def test_a_series_is_reported_whole_and_pictured_where_to_look_first(
    run: Run, bundle: Path, tmp_path: Path
) -> None:
    values = np.stack([HEAD - 3 * i for i in range(9)]).astype(np.int16) * 4
    values[8] = 0
    files = write_series(tmp_path / "nine", values)
    out = tmp_path / "out"
    assert run("explain", tmp_path / "nine", "--dicom-out", out, "--model", bundle)[0] == 0
    report = highdicom.sr.srread(out / "study-1" / "report.dcm")
    assert report.CompletionFlag == "COMPLETE"
    whole, *slices = highdicom.sr.MeasurementReport.from_sequence(
        report.content
    ).get_image_measurement_groups()
    uids = [pydicom.dcmread(path).SOPInstanceUID for path in files]
    assert [x.referenced_sop_instance_uid for x in whole.source_images] == uids
    assert [g.source_images[0].referenced_sop_instance_uid for g in slices] == uids
    answer = json.loads(
        run("predict", tmp_path / "nine", "--json", "--model", bundle)[1].split("\n")[-2]
    )
    probabilities = answer["volume"]["probabilities"]
    found = {m.name.meaning: m.value for m in whole.get_measurements()}
    for name, value in probabilities.items():
        assert found[f"Probability of {name}"] == pytest.approx(value, abs=1e-6)
    assert "8 of 9 slices counted" in whole[0].ContentSequence[-1].TextValue
    evidence = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    assert {x.ReferencedSOPInstanceUID for x in evidence[0].ReferencedSOPSequence} == set(uids)
    captures = sorted((out / "study-1").glob("overlay-*.dcm"))
    shown = [pydicom.dcmread(p).SourceImageSequence[0].ReferencedSOPInstanceUID for p in captures]
    assert shown == [uids[i] for i in sorted(answer["volume"]["look_first"])]
    assert len(shown) == 5


def test_the_evidence_of_a_series_lies_over_it(run: Run, bundle: Path, tmp_path: Path) -> None:
    values = np.stack([HEAD - 3 * i for i in range(6)]).astype(np.int16) * 4
    values[5] = 0
    files = write_series(tmp_path / "six", values, FrameOfReferenceUID="1.2.77")
    out, options = tmp_path / "out", ("--target", "glioma", "--model", bundle)
    assert run("explain", tmp_path / "six", "--dicom-out", out, *options)[0] == 0
    made = pydicom.dcmread(out / "study-1" / "evidence-0001.dcm")
    source = pydicom.dcmread(files[0])
    assert made.SOPClassUID.name == "Parametric Map Storage"
    assert (made.StudyInstanceUID, made.FrameOfReferenceUID) == ("1.2.3", "1.2.77")
    assert made.PatientName == source.PatientName
    assert "Research use only" in made.SeriesDescription
    why = tumorlens.load(bundle).explain_volume(tmp_path / "six", target="glioma")
    assert made.NumberOfFrames == len(why.explained) == 5  # the blank one has none
    frames = zip(made.PerFrameFunctionalGroupsSequence, made.pixel_array, strict=True)
    for frame, pixels in frames:
        x, y, z = map(float, frame.PlanePositionSequence[0].ImagePositionPatient)
        assert (x, y) == (-60.0, -60.0)
        np.testing.assert_allclose(pixels, why.map[:, :, round(z / 3)].T, rtol=1e-4, atol=1e-6)
    tool = shutil.which("dciodvfy")
    for path in (out / "study-1").iterdir() if tool else ():
        done = subprocess.run([tool, "-new", path], capture_output=True, text=True, check=False)
        assert not [line for line in done.stderr.splitlines() if line.startswith("Error")]
    # Without a frame of reference nothing can lie over anything.
    write_series(tmp_path / "lost", values, series="1.2.5")
    assert run("explain", tmp_path / "lost", "--dicom-out", tmp_path / "o", *options)[0] == 0
    assert not list((tmp_path / "o").rglob("evidence-*"))


def test_slices_that_are_cut_another_way_are_in_no_object(
    run: Run, bundle: Path, scan: Path, tmp_path: Path
) -> None:
    write_series(scan, np.stack([HEAD] * 60).astype(np.int16) * 4)
    options = ("--plane", "coronal", "--dicom-out", tmp_path / "o", "--model", bundle)
    status, _, told = run("explain", scan, *options)
    assert status == 2
    assert "leave --dicom-out out" in told


def test_without_dicom_nothing_is_written(
    run: Run, bundle: Path, picture: Path, tmp_path: Path
) -> None:
    status, _, told = run("explain", picture, "--dicom-out", tmp_path / "o", "--model", bundle)
    assert status == 2
    assert "no slice was read from a DICOM file" in told
    assert not (tmp_path / "o").exists()


def test_layers_do_not_go_with_it(run: Run, scan: Path, tmp_path: Path) -> None:
    options = ("--out", tmp_path / "r", "--dicom-out", tmp_path / "o", "--layers", "all")
    status, _, told = run("explain", scan, *options)
    assert status == 2
    assert "--layers goes with --out, and not with --dicom-out" in told


def test_force_shows_a_class_that_is_no_answer(
    run: Run, bundle: Path, scan: Path, tmp_path: Path
) -> None:
    write_series(scan, np.stack([np.zeros_like(HEAD)]).astype(np.int16), series="1.2.4")
    plain = run("predict", scan, "--model", bundle)[1].splitlines()
    forced = run("predict", scan, "--model", bundle, "--force")[1].splitlines()
    assert [line for line in plain if "all the same" in line] == []
    marked = [line for line in forced if line.startswith("not assessable") and "%" in line]
    (blank,) = [line for line in marked if "blank; all the same: " in line]
    assert blank.split("blank")[0] in "\n".join(plain)
    out = tmp_path / "out"
    run("explain", scan, "--model", bundle, "--dicom-out", out, "--force")
    said = str(pydicom.dcmread(out / "study-1" / "report.dcm").to_json())
    assert "shown because it was asked for" in said

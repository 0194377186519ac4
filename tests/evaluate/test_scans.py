"""A labelled volume has one answer, the one that predict gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dicoms import content, draw, two_stacks, write_series
from head_volumes import draw_slices, head_volume, save_nifti
from tumorlens.classifier import Classifier, load
from tumorlens.data.folder import CLASSES
from tumorlens.errors import DataError
from tumorlens.evaluate.cases import find_cases
from tumorlens.evaluate.run import run_model
from tumorlens.evaluate.scans import Scan


@pytest.fixture
def sure(spot_bundle: Callable[..., Path], change_card: Callable[..., None]) -> Classifier:
    """Calls every picture a meningioma, as sure as the rule for volumes wants it."""
    bundle = spot_bundle((0.0, 60.0, 0.0, 0.0))
    change_card(bundle, classes=CLASSES)
    return load(bundle, threads=1)


@pytest.fixture
def heads(tmp_path: Path) -> Path:
    """A class folder with a volume of each kind, and one beside it with a picture."""
    values, _ = draw_slices(step=4)
    root = tmp_path / "set"
    glioma = root / "glioma"
    write_series(glioma / "P1", values, series="1.2.3")
    write_series(glioma / "P2", values, series="1.2.4")
    write_series(glioma / "P2", values, series="1.2.5")
    save_nifti(head_volume(step=4), glioma / "brain.nii.gz")
    pages = [Image.fromarray((plane // 2).astype(np.uint8)) for plane in values]
    pages[0].save(glioma / "pages.tif", save_all=True, append_images=pages[1:])
    (root / "notumor").mkdir()
    pages[0].save(root / "notumor" / "one.png")
    return root


def test_each_volume_has_the_answer_of_predict(heads: Path, sure: Classifier) -> None:
    steps: list[tuple[int, int]] = []
    scans: list[Scan] = []
    found = run_model(
        sure,
        find_cases(heads),
        scans=scans,
        progress=lambda _stage, done, total, _note="": steps.append((done, total)),
    )
    assert found.names == ["notumor/one.png"]
    assert not found.unreadable
    assert steps[-1] == (33, 33)  # three series of ten files, and three files
    names = {scan.name for scan in scans}
    assert names == {"glioma/P1", "glioma/P2", "glioma/brain.nii.gz", "glioma/pages.tif"}
    assert {scan.label for scan in scans} == {"glioma"}
    assert [len({s.first for s in scans if s.name == "glioma/P2"})] == [2]
    by_name = {scan.name: scan.answer for scan in scans}
    for name in ("glioma/P1", "glioma/brain.nii.gz"):
        assert by_name[name] == sure.predict_volume(heads / name)
        assert by_name[name].label == "meningioma"
    pages = by_name["glioma/pages.tif"]
    assert (pages.slices, pages.assessable, pages.plane) == (10, 10, "pages")
    assert pages.label == "meningioma"


def test_of_single_pictures_volumes_are_listed_and_not_answered_by_a_slice(
    heads: Path, sure: Classifier
) -> None:
    found = run_model(sure, find_cases(heads))
    bad = dict(found.unreadable)
    assert set(bad) == {"glioma/brain.nii.gz", "glioma/pages.tif"}
    assert bad["glioma/brain.nii.gz"].startswith("a volume with 10 slices in one file; evaluate")
    assert len(found.names) == 31  # a DICOM file is a picture here


def test_a_damaged_slice_is_named_and_the_volume_counts(tmp_path: Path, sure: Classifier) -> None:
    values, _ = draw_slices(step=4)
    paths = write_series(tmp_path / "set" / "glioma", values)
    cut = draw(values[3], InstanceNumber=4, ImagePositionPatient=[-60.0, -60.0, 9.0])
    paths[3].write_bytes(content(cut)[:-100])
    scans: list[Scan] = []
    found = run_model(sure, find_cases(tmp_path / "set"), scans=scans)
    assert [name for name, _ in found.unreadable] == [f"glioma/{paths[3].name}"]
    assert [(scan.name, scan.answer.label) for scan in scans] == [("glioma", "meningioma")]
    for path in paths:
        path.write_bytes(b"nothing")
    with pytest.raises(DataError, match="none of the 10 files of set could be read"):
        run_model(sure, find_cases(tmp_path / "set"), scans=[])


def test_frames_of_one_file_are_a_volume(tmp_path: Path, sure: Classifier) -> None:
    values, _ = draw_slices(step=4)
    many = draw(values, NumberOfFrames=len(values))
    (tmp_path / "set" / "glioma").mkdir(parents=True)
    (tmp_path / "set" / "glioma" / "many.dcm").write_bytes(content(many))
    scans: list[Scan] = []
    found = run_model(sure, find_cases(tmp_path / "set"), scans=scans)
    assert not found.names
    [scan] = scans
    assert (scan.name, scan.answer.slices) == ("glioma/many.dcm", 10)
    assert scan.answer.label == "meningioma"


def test_a_file_of_loose_slices_is_no_picture(tmp_path: Path, sure: Classifier) -> None:
    values, _ = draw_slices(step=4)
    folder = tmp_path / "set" / "glioma"
    folder.mkdir(parents=True)
    (folder / "two.dcm").write_bytes(two_stacks(values[:2], 1))
    with pytest.raises(DataError, match=r"two\.dcm: 2 pictures in one file"):
        run_model(sure, find_cases(tmp_path / "set"), scans=[])
    for name in ("a.png", "b.png"):
        Image.fromarray((values[5] // 2).astype(np.uint8)).save(folder / name)
    found = run_model(sure, find_cases(tmp_path / "set"), scans=[])
    assert found.names == ["glioma/a.png", "glioma/b.png"]
    assert [name for name, _ in found.unreadable] == ["glioma/two.dcm"]


def test_a_slice_beside_a_volume_in_one_file_is_left_out(tmp_path: Path, sure: Classifier) -> None:
    values, _ = draw_slices(step=4)
    folder = tmp_path / "set" / "glioma"
    folder.mkdir(parents=True)
    (folder / "two.dcm").write_bytes(two_stacks(values[:5], 1))
    scans: list[Scan] = []
    notes: list[str] = []
    found = run_model(sure, find_cases(tmp_path / "set"), scans=scans, note=notes.append)
    assert (found.names, found.unreadable) == ([], ())
    assert [(scan.name, scan.answer.slices) for scan in scans] == [("glioma/two.dcm", 4)]
    assert "glioma/two.dcm: slices beside its volumes are left out: 1" in notes

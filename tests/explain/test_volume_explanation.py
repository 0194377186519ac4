"""The evidence of a volume lies over the scan: in its own voxels and place, on one scale."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tumorlens
from tumorlens.classifier import Classifier, load
from tumorlens.data.folder import CLASSES
from tumorlens.errors import OutputError
from tumorlens.records import read_record

nib: Any = pytest.importorskip("nibabel")
pytest.importorskip("pydicom")
pytest.importorskip("matplotlib")

from dicoms import write_series  # noqa: E402
from head_volumes import SPACING, HeadVolume, draw_slices, head_volume, save_nifti, turned  # noqa: E402

OBLIQUE = turned(0.3, 0.2)


@pytest.fixture(scope="module")
def shipped() -> Classifier:
    """The model that ships; the tumour is one that it sees."""
    return load(threads=1)


@pytest.fixture
def spot(spot_bundle: Callable[..., Path], change_card: Callable[..., None]) -> Classifier:
    """A network worked out by hand, whose evidence is how bright a place is."""
    bundle = spot_bundle((60.0, 0.5, -30.0, -40.0))
    change_card(bundle, classes=tuple(CLASSES))
    return load(bundle, threads=1)


def peak_of(values: Any, affine: Any) -> Any:
    voxel = np.unravel_index(int(np.argmax(values)), values.shape)
    return (affine @ (*voxel, 1.0))[:3]


@pytest.mark.parametrize(
    ("plane", "flips", "turn"),
    [
        ("axial", (), None),
        ("axial", (0, 2), None),
        ("axial", (1,), OBLIQUE),
        ("coronal", (0, 1), OBLIQUE),
    ],
)
def test_its_peak_lies_in_the_tumour_whatever_the_affine(
    shipped: Classifier, tmp_path: Path, plane: Any, flips: tuple[int, ...], turn: Any
) -> None:
    head = head_volume(plane, flips, turn)
    path = save_nifti(head, tmp_path / "head.nii.gz")
    why = shipped.explain_volume(path, plane=plane)
    assert (why.answer.label, why.target, why.answer.plane) == ("glioma", "glioma", plane)
    assert head.in_tumour(peak_of(why.map, why.affine))
    why.save(tmp_path / "record")
    read, source = nib.load(tmp_path / "record" / "evidence.nii.gz"), nib.load(path)
    assert read.affine.tobytes() == source.affine.tobytes()
    assert read.affine.tobytes() == (why.affine + 0.0).tobytes()
    for name in ("qform_code", "sform_code", "quatern_b", "srow_x", "qoffset_z", "xyzt_units"):
        assert read.header[name].tobytes() == source.header[name].tobytes()
    assert read.get_data_dtype() == np.float32
    np.testing.assert_array_equal(read.get_fdata(dtype=np.float32), why.map)
    assert head.in_tumour(peak_of(read.get_fdata(), read.affine))


def test_a_series_in_any_order_of_files(
    shipped: Classifier, spot: Classifier, tmp_path: Path
) -> None:
    values, inside = draw_slices()
    paths = write_series(tmp_path / "scan", values, step=SPACING[0])
    for i, path in enumerate(reversed(paths)):  # the names now run against the positions
        path.rename(path.with_name(f"IM{i:02}"))
    why = shipped.explain_volume(tmp_path / "scan")
    assert why.map.shape == (128, 128, 10)
    # `write_series` has pixels of 2 mm from -60, -60, 0 on (LPS)
    affine = np.diag([-2.0, -2.0, SPACING[0], 1.0])
    affine[:2, 3] = 60.0
    np.testing.assert_array_equal(why.affine, affine)
    assert HeadVolume(values, inside.transpose(2, 1, 0), affine).in_tumour(
        peak_of(why.map, why.affine)
    )
    read = nib.load(why.save(tmp_path / "record") / "evidence.nii.gz")
    assert read.affine.tobytes() == why.affine.tobytes()
    assert (int(read.header["qform_code"]), int(read.header["sform_code"])) == (1, 1)
    np.testing.assert_allclose(read.header.get_qform(), affine, atol=1e-5)
    cut = spot.explain_volume(tmp_path / "scan", plane="coronal", target="glioma")
    assert cut.map.shape == why.map.shape
    np.testing.assert_array_equal(cut.affine, why.affine)


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_each_slice_holds_what_it_holds_by_itself(
    spot: Classifier, tmp_path: Path, plane: Any
) -> None:
    """Voxels of 3 × 1.8 × 1.8 mm: coronal and sagittal slices are cut with square pixels."""
    head = head_volume("axial", (0,), OBLIQUE, step=2, thick=6)
    path = save_nifti(head, tmp_path / "head.nii.gz")
    volume = tumorlens.read_volume(path, plane)
    why = spot.explain_volume(volume, target="glioma")
    assert why.map.shape == head.values.shape
    compared = 0
    for index in why.explained[:: max(1, len(why.explained) // 4)]:
        one = spot.explain(volume[index], target="glioma")
        for row, column in np.argwhere(one.evidence > 0)[::97]:
            point = np.multiply(volume.geometry.point(index, row, column), (-1, -1, 1))
            voxel = np.linalg.solve(why.affine, (*point, 1.0))[:3]
            near = np.rint(voxel).astype(int)
            if np.abs(voxel - near).max() > 1e-3:
                continue  # it lies between voxels
            found = why.map[tuple(near)]
            assert found == pytest.approx(one.evidence[row, column], rel=1e-4)
            compared += 1
    assert compared > 20


def test_slices_are_on_one_scale(spot: Classifier, tmp_path: Path) -> None:
    """Half as bright is half the evidence; scaled by themselves both would peak at 1."""
    values, _ = draw_slices()
    values[5] //= 2
    write_series(tmp_path / "scan", values)
    volume = tumorlens.read_volume(tmp_path / "scan")
    why = spot.explain_volume(volume, target="glioma")
    one = spot.explain(volume[2], target="glioma")
    np.testing.assert_allclose(why.map[:, :, 2].T, one.map * one.peak, rtol=1e-5)
    assert one.peak == pytest.approx(float(why.map[:, :, 2].max()), rel=1e-5)
    # The mean of the evidence over the cells is the logit, but for the bias.
    assert one.cells.sum() == pytest.approx(one.prediction.logits[0], rel=1e-3)


def test_the_record_is_whole_and_tells_no_name(spot: Classifier, tmp_path: Path) -> None:
    path = save_nifti(head_volume(), tmp_path / "head.nii.gz")
    why = spot.explain_volume(path, target="meningioma", versus="glioma")
    folder = why.save(tmp_path / "deep" / "record")
    assert {p.name for p in folder.iterdir()} == {"evidence.nii.gz", "manifest.json"}
    said = read_record(folder)
    assert said is not None
    assert said == json.loads(json.dumps(why.manifest()))
    assert (said["target"], said["versus"], said["plane"]) == ("meningioma", "glioma", "axial")
    assert b"Quixote" not in gzip.decompress((folder / "evidence.nii.gz").read_bytes())
    with pytest.raises(OutputError, match="not empty"):
        why.save(folder)
    assert {p.name for p in folder.parent.iterdir()} == {"record"}


def test_a_volume_without_a_head_has_no_evidence(spot: Classifier, tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.zeros((40, 40, 4), np.int16), np.eye(4)), tmp_path / "a.nii")
    why = spot.explain_volume(tmp_path / "a.nii")
    assert (why.target, why.explained, why.answer.label) == (None, (), None)
    assert not why.map.any()
    assert nib.load(why.save(tmp_path / "record") / "evidence.nii.gz").shape == (40, 40, 4)


def test_a_name_that_is_no_class_is_refused_before_anything_is_read(spot: Classifier) -> None:
    volume = tumorlens.Volume(None, (0.0, 1.0), None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no class"):
        spot.explain_volume(volume, target="headache")


@pytest.mark.parametrize("form", [(0, 3), (1, 0), (0, 0)])
def test_whichever_form_the_header_has_it_is_kept(
    spot: Classifier, tmp_path: Path, form: tuple[int, int]
) -> None:
    head = head_volume("axial", (0,), OBLIQUE, step=4)
    path = save_nifti(head, tmp_path / "a.nii", qform=form[0], sform=form[1])
    why = spot.explain_volume(path, target="glioma")
    read = nib.load(why.save(tmp_path / "record") / "evidence.nii.gz")
    assert read.affine.tobytes() == nib.load(path).affine.tobytes()
    codes = read.header["qform_code"], read.header["sform_code"]
    assert tuple(map(int, codes)) == form


def test_other_kinds_of_files(spot: Classifier, tmp_path: Path) -> None:
    head = head_volume("axial", (1,), OBLIQUE, step=4)
    kinds = {
        "two.nii": nib.Nifti2Image(head.values, head.affine),
        "mgh.mgz": nib.MGHImage(head.values.astype(np.float32), head.affine),
        "pair.img": nib.Nifti1Pair(head.values, head.affine),
        "several.nii": nib.Nifti1Image(np.stack([head.values] * 2, axis=-1), head.affine),
    }
    for name, image in kinds.items():
        nib.save(image, tmp_path / name)
        path = (tmp_path / name).with_suffix(".hdr") if "pair" in name else tmp_path / name
        why = spot.explain_volume(path, target="glioma")
        read = nib.load(why.save(tmp_path / f"{name}-record") / "evidence.nii.gz")
        assert isinstance(read, nib.Nifti2Image) == (name == "two.nii")
        assert read.shape == head.values.shape
        assert read.affine.tobytes() == (why.affine + 0.0).tobytes()
        np.testing.assert_allclose(read.affine, nib.load(tmp_path / name).affine, atol=1e-4)

"""Volumes of NIfTI and MGH: every orientation and number type, told by where things lie."""

from __future__ import annotations

import contextlib
import gzip
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tumorlens.errors import UnreadableImageError
from tumorlens.images.geometry import Plane
from tumorlens.images.limits import Limits
from tumorlens.images.nifti import read_nifti

nib: Any = pytest.importorskip("nibabel")
LIMITS = Limits()

# A box of 3 x 4 x 5 cm with a light at one place of it, in the patient's mm (RAS).
LIGHT = np.array([12.0, -6.0, 9.0])
CODES = [
    "".join(code)
    for axes in itertools.permutations(("RL", "AP", "SI"))
    for code in itertools.product(*axes)
]


def draw(code: str, spacing: tuple[float, float, float] = (3.0, 3.0, 3.0)) -> Any:
    """Draw the box with its axes in any of the 48 ways that files have them."""
    shape = (14, 16, 18)
    values = np.zeros(shape, np.int16)
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = -np.multiply(spacing, np.array(shape) // 2)
    place = np.rint(np.linalg.inv(affine) @ [*LIGHT, 1])[:3].astype(int)
    values[tuple(place)] = 1000
    image = nib.Nifti1Image(values, affine)
    turn = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(code)
    )
    return image.as_reoriented(turn)


def brightest(volume: Any) -> tuple[int, int, int]:
    whole = volume.array()
    index, row, column = np.unravel_index(whole.argmax(), whole.shape)
    return int(index), int(row), int(column)


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
@pytest.mark.parametrize("code", CODES)
def test_every_orientation_is_seen_the_same_way(code: str, plane: Plane) -> None:
    volume = read_nifti(draw(code).to_bytes(), None, LIMITS, plane)
    reference = read_nifti(draw("RAS").to_bytes(), None, LIMITS, plane)
    np.testing.assert_array_equal(volume.array(), reference.array())
    where = volume.geometry.point(*brightest(volume))
    assert where == pytest.approx(LIGHT * (-1, -1, 1))  # in LPS, as DICOM counts
    assert volume[3].geometry is not None
    assert volume[3].geometry.plane == volume.geometry.plane == plane


def test_slices_look_as_radiologists_have_them() -> None:
    """The light is right of the middle in the patient, at the back, and high."""
    row_of: dict[str, tuple[bool, bool]] = {}
    for plane in ("axial", "coronal", "sagittal"):
        volume = read_nifti(draw("RAS").to_bytes(), None, LIMITS, plane)  # type: ignore[arg-type]
        _, row, column = brightest(volume)
        _, rows, columns = volume.geometry.shape
        row_of[plane] = (row > rows / 2, column > columns / 2)
    assert row_of["axial"] == (True, False)  # back: below; the patient's right: on the left
    assert row_of["coronal"] == (False, False)  # head up
    assert row_of["sagittal"] == (False, True)  # front on the left


def test_pixels_that_are_not_square_are_made_so() -> None:
    image = draw("RAS", (3.0, 3.0, 9.0))
    volume = read_nifti(image.to_bytes(), None, LIMITS, "coronal")
    assert volume.geometry.shape == (16, 54, 14)
    assert volume.geometry.spacing == pytest.approx((3, 3, 3))
    where = volume.geometry.point(*brightest(volume))
    assert where == pytest.approx(LIGHT * (-1, -1, 1), abs=4.6)  # half of a thick slice
    whole = read_nifti(image.to_bytes(), None, LIMITS, "axial")
    assert whole.geometry.spacing == pytest.approx((9, 3, 3))


@pytest.mark.parametrize(
    "dtype", ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8", ">i2", ">f4"]
)
def test_every_number_type_keeps_its_values(dtype: str) -> None:
    values = np.arange(2 * 3 * 4).reshape(4, 3, 2).astype(dtype)
    image = nib.Nifti1Image(values, np.diag([-1.0, -1.0, 1.0, 1.0]), dtype=np.dtype(dtype))
    volume = read_nifti(image.to_bytes(), None, LIMITS)
    np.testing.assert_array_equal(volume.array(), np.moveaxis(values, (2, 1, 0), (0, 1, 2)))


def test_slope_and_intercept_are_applied() -> None:
    values = np.arange(24, dtype=np.int16).reshape(4, 3, 2)
    image = nib.Nifti1Image(values, np.diag([-1.0, -1.0, 1.0, 1.0]))
    image.header.set_slope_inter(2.5, -7)
    raw = bytearray(image.to_bytes())
    raw[112:120] = np.array([2.5, -7], "<f4").tobytes()
    volume = read_nifti(bytes(raw), None, LIMITS)
    assert volume.array().max() == pytest.approx(23 * 2.5 - 7)


def test_what_is_no_number_is_dark() -> None:
    values = np.ones((4, 4, 3), np.float32)
    values[0, 0, 0], values[1, 1, 1], values[2, 2, 2] = np.nan, np.inf, -np.inf
    volume = read_nifti(nib.Nifti1Image(values, np.eye(4)).to_bytes(), None, LIMITS)
    assert np.isfinite(volume.array()).all()
    assert volume.array().max() == 1


def test_colour_becomes_grey() -> None:
    values = np.zeros((4, 4, 2), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    values["G"] = 100
    volume = read_nifti(nib.Nifti1Image(values, np.eye(4)).to_bytes(), None, LIMITS)
    assert volume.array().mean() == pytest.approx(58.7, abs=0.01)


def test_complex_numbers_are_refused() -> None:
    image = nib.Nifti1Image(np.zeros((4, 4, 2), np.complex64), np.eye(4))
    with pytest.raises(UnreadableImageError, match="no real numbers"):
        read_nifti(image.to_bytes(), None, LIMITS)


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 1), (6, 5, 4), (6, 5, 4, 3), (6, 5, 4, 1, 2)])
def test_two_to_five_axes(shape: tuple[int, ...]) -> None:
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    volume = read_nifti(nib.Nifti1Image(values, np.eye(4)).to_bytes(), None, LIMITS)
    depth = shape[2] if len(shape) > 2 else 1
    assert volume.geometry.shape == (depth, 5, 6)
    assert bool(volume.notes) == (len(shape) > 3 and np.prod(shape[3:]) > 1)


def files(tmp_path: Path) -> dict[str, Path]:
    image = draw("LPS")
    two = nib.Nifti2Image(np.asarray(image.dataobj), image.affine)
    made = {name: tmp_path / name for name in ("a.nii", "a.nii.gz", "b.nii", "c.hdr", "d.mgz")}
    made["a.nii"].write_bytes(image.to_bytes())
    made["a.nii.gz"].write_bytes(gzip.compress(image.to_bytes()))
    made["b.nii"].write_bytes(two.to_bytes())
    nib.save(nib.Nifti1Pair(np.asarray(image.dataobj), image.affine), tmp_path / "c.img")
    nib.save(nib.MGHImage(np.asarray(image.dataobj, np.float32), image.affine), made["d.mgz"])
    return made


def test_every_kind_of_file(tmp_path: Path) -> None:
    reference: NDArray[np.float32] | None = None
    for path in files(tmp_path).values():
        volume = read_nifti(path.read_bytes(), str(path), LIMITS)
        reference = volume.array() if reference is None else reference
        np.testing.assert_array_equal(volume.array(), reference)
        assert volume[2].path == str(path)


def test_a_pair_without_its_numbers(tmp_path: Path) -> None:
    path = files(tmp_path)["c.hdr"]
    path.with_suffix(".img").unlink()
    with pytest.raises(UnreadableImageError, match=r"without its \.img"):
        read_nifti(path.read_bytes(), str(path), LIMITS)


def test_a_bomb_is_not_unpacked() -> None:
    bomb = gzip.compress(draw("RAS").to_bytes() + bytes(10**6))
    with pytest.raises(UnreadableImageError, match="unpacked"):
        read_nifti(bomb, None, Limits(max_unpacked=10**5))


@pytest.mark.parametrize("field", range(0, 348, 2))
def test_damaged_headers_end_in_our_error_or_a_volume(field: int) -> None:
    raw = bytearray(draw("RAS").to_bytes())
    for value in (0xFF, 0x7F, 0x00, 0x80):
        raw[field : field + 2] = bytes([value, value])
        with contextlib.suppress(UnreadableImageError):
            volume = read_nifti(bytes(raw), None, Limits(max_pixels=10**6))
            assert np.isfinite(volume[0].pixels).all()


@pytest.mark.parametrize("length", [0, 3, 100, 347, 348, 352, 400, 3000])
def test_files_cut_short(length: int) -> None:
    with pytest.raises(UnreadableImageError):
        list(read_nifti(draw("RAS").to_bytes()[:length], None, LIMITS))


@pytest.mark.parametrize("code", ["RAS", "PSR", "LIA"])
@pytest.mark.parametrize("missing", [1, 30, 2000])
def test_a_volume_that_lacks_its_end_is_refused_as_a_whole(code: str, missing: int) -> None:
    """And not at the slice that is missing, when the others were answered."""
    with pytest.raises(UnreadableImageError, match="ends too early"):
        read_nifti(draw(code).to_bytes()[:-missing], None, LIMITS)


def test_one_grey_scale_for_all_slices() -> None:
    random = np.random.default_rng(0)
    values = random.uniform(0, 100, (32, 32, 12)).astype(np.float32)
    values[..., 6] *= 3
    values[0, 0, 3] = 1e6
    volume = read_nifti(nib.Nifti1Image(values, np.eye(4)).to_bytes(), None, LIMITS)
    ranges = {picture.value_range for picture in volume}
    assert len(ranges) == 1
    assert ranges.pop()[1] < 400


def test_values_too_close_together_are_refused() -> None:
    values = (1e9 + np.arange(4 * 4 * 3)).reshape(4, 4, 3)
    image = nib.Nifti1Image(values.astype(np.float64), np.eye(4))
    with pytest.raises(UnreadableImageError, match="told apart"):
        read_nifti(image.to_bytes(), None, LIMITS)


@pytest.mark.parametrize("place", [4, 8, 12, 16, 20])
@pytest.mark.parametrize("value", [0, -1, 2**31 - 1])
def test_an_mgh_whose_header_lies_is_refused(place: int, value: int) -> None:
    data = bytearray(nib.MGHImage(np.zeros((4, 5, 6), np.int16), np.eye(4)).to_bytes())
    data[place : place + 4] = value.to_bytes(4, "big", signed=True)
    with contextlib.suppress(UnreadableImageError):
        assert len(list(read_nifti(bytes(data), None, LIMITS))) == 6


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize(("size", "taken"), [(0.0, 1.0), (-2.0, 2.0), (2.0, 2.0)])
def test_no_size_of_voxels_is_said(kind: Any, size: float, taken: float) -> None:
    """nibabel takes 1 mm for it, without a word."""
    content = bytearray(kind(draw("RAS").get_fdata().astype(np.int16), None).to_bytes())
    two = kind is nib.Nifti2Image
    start, number = (128, np.float64(size)) if two else (88, np.float32(size))
    content[start : start + number.nbytes] = number.tobytes()
    found = read_nifti(bytes(content), None, Limits())
    assert sorted(found.geometry.spacing) == [1.0, 1.0, taken]
    told = ["its header gives no size of the voxels" in note for note in found.notes]
    assert told == ([True] if size == 0 else [])


@pytest.mark.parametrize("size", [1e-9, 1e20])
def test_a_size_that_no_head_has_is_said(size: float) -> None:
    image = nib.Nifti1Image(draw("RAS").get_fdata(), np.diag([3.0, 3.0, size, 1.0]))
    (note,) = read_nifti(image.to_bytes(), None, Limits()).notes
    assert note.startswith(f"its voxels are {size:.3g} x 3 x 3 mm by its header, which cannot be")

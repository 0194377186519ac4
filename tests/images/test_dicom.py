"""DICOM: every way of storing the same greys gives the same greys; who it is stays inside."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tumorlens.errors import UnreadableImageError
from tumorlens.images.limits import Limits
from tumorlens.images.read import open_slices, read_slices

pydicom: Any = pytest.importorskip("pydicom")
from pydicom import uid as uids  # noqa: E402
from pydicom.data import get_testdata_file  # noqa: E402
from pydicom.encaps import encapsulate  # noqa: E402

from dicoms import SECRETS, content, draw  # noqa: E402

RAMP = np.arange(48 * 64, dtype=np.int64).reshape(48, 64)


def picture(dtype: str) -> NDArray[Any]:
    info = np.iinfo(dtype)
    span = min(info.max - info.min, 4000)
    return (RAMP % (span + 1) + max(info.min // 2, -2000)).astype(dtype)


def read(dataset: Any, **options: Any) -> NDArray[np.float32]:
    (found,) = read_slices(content(dataset, **options))
    return np.asarray(found.pixels)


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4"])
@pytest.mark.parametrize(
    "syntax",
    ["ImplicitVRLittleEndian", "ExplicitVRLittleEndian", "DeflatedExplicitVRLittleEndian"],
)
def test_every_number_type_and_plain_syntax(dtype: str, syntax: str) -> None:
    dataset = draw(picture(dtype))
    dataset.file_meta.TransferSyntaxUID = getattr(uids, syntax)
    np.testing.assert_array_equal(read(dataset), picture(dtype).astype(np.float32))


def test_big_endian() -> None:
    dataset = draw(picture("u2"))
    dataset.file_meta.TransferSyntaxUID = uids.ExplicitVRBigEndian
    dataset["PixelData"].VR = "OW"
    dataset.PixelData = picture("u2").astype(">u2").tobytes()
    np.testing.assert_array_equal(read(dataset), picture("u2").astype(np.float32))


@pytest.mark.parametrize("syntax", ["RLELossless", "JPEGLSLossless", "JPEG2000Lossless"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "i2"])
def test_every_lossless_compression_gives_equal_greys(syntax: str, dtype: str) -> None:
    dataset = draw(picture(dtype))
    dataset.compress(getattr(uids, syntax), generate_instance_uid=False)
    np.testing.assert_array_equal(read(dataset), picture(dtype).astype(np.float32))


@pytest.mark.parametrize("syntax", ["RLELossless", "JPEGLSLossless", "JPEG2000Lossless"])
@pytest.mark.parametrize(("allocated", "stored"), [(16, 12), (16, 10), (8, 7)])
def test_a_sign_below_the_allocated_bits_is_kept(syntax: str, allocated: int, stored: int) -> None:
    kind = np.dtype(f"i{allocated // 8}")
    values = (RAMP % 2**stored - 2 ** (stored - 1)).astype(kind)
    dataset = draw(values, BitsStored=stored, HighBit=stored - 1)
    if syntax == "JPEGLSLossless":  # it knows no sign, so writers give it the bare bits
        codecs = pytest.importorskip("imagecodecs")
        bits = values.view(f"u{allocated // 8}") & (2**stored - 1)
        dataset.PixelData = encapsulate([codecs.jpegls_encode(bits)])
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = uids.JPEGLSLossless
    else:
        dataset.compress(getattr(uids, syntax), generate_instance_uid=False)
    np.testing.assert_array_equal(read(dataset), values.astype(np.float32))


@pytest.mark.parametrize("syntax", ["JPEGLossless", "JPEGLosslessSV1"])
def test_lossless_jpeg(syntax: str) -> None:
    codecs = pytest.importorskip("imagecodecs")
    dataset = draw(picture("u2"))
    coded = codecs.ljpeg_encode(picture("u2"), bitspersample=16)
    dataset.PixelData = encapsulate([coded])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = getattr(uids, syntax)
    np.testing.assert_array_equal(read(dataset), picture("u2").astype(np.float32))


def test_lossy_jpeg_is_near() -> None:
    from PIL import Image  # noqa: PLC0415

    smooth = (RAMP // 16).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(smooth).save(stream, "JPEG", quality=95)
    dataset = draw(smooth)
    dataset.PixelData = encapsulate([stream.getvalue()])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = uids.JPEGBaseline8Bit
    assert np.abs(read(dataset) - smooth).max() < 12


def test_high_throughput_jpeg_2000() -> None:
    codecs = pytest.importorskip("imagecodecs")
    if not getattr(codecs, "HTJ2K", None) or not codecs.HTJ2K.available:
        pytest.skip("no encoder of HTJ2K here")
    dataset = draw(picture("u2"))
    dataset.PixelData = encapsulate([codecs.htj2k_encode(picture("u2"), reversible=True)])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = uids.HTJ2KLossless
    np.testing.assert_array_equal(read(dataset), picture("u2").astype(np.float32))


def test_jpeg_of_twelve_bits() -> None:
    path = get_testdata_file("JPGExtended.dcm")
    (found,) = read_slices(path)
    assert found.pixels.shape == (1024, 256)
    assert found.pixels.max() == 264


def test_bits_stored_below_those_allocated() -> None:
    values = (RAMP % 4096).astype(np.uint16)
    spoilt = values | np.uint16(0xF000)  # as an overlay in the unused bits does
    dataset = draw(spoilt, BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(read(dataset), values.astype(np.float32))
    signed = draw(((RAMP % 4096) & 0x0FFF).astype(np.uint16), BitsStored=12, HighBit=11)
    signed.PixelRepresentation = 1
    assert read(signed).min() == -2048


def test_rescale_and_inverted_greys() -> None:
    dataset = draw(picture("u2"), RescaleSlope="2.5", RescaleIntercept="-100")
    wanted = picture("u2") * 2.5 - 100
    np.testing.assert_allclose(read(dataset), wanted)
    dataset.PhotometricInterpretation = "MONOCHROME1"
    np.testing.assert_allclose(read(dataset), -wanted)


def test_the_first_window_says_what_is_black_and_white() -> None:
    dataset = draw(picture("u2"), WindowCenter=["1500", "9"], WindowWidth=["1000", "3"])
    assert read_slices(content(dataset))[0].value_range == (1000, 1999)
    far = draw(picture("u2"), WindowCenter="90000", WindowWidth="10")  # fits no value here
    assert read_slices(content(far))[0].value_range[1] < 4000


def test_colour_becomes_grey() -> None:
    colour = np.zeros((8, 8, 3), np.uint8)
    colour[..., 1] = 100
    assert read(draw(colour)).mean() == pytest.approx(58.7, abs=0.01)
    planar = draw(np.moveaxis(colour, -1, 0).copy())
    planar.Rows, planar.Columns, planar.SamplesPerPixel = 8, 8, 3
    planar.PhotometricInterpretation, planar.PlanarConfiguration = "RGB", 1
    assert read(planar).mean() == pytest.approx(58.7, abs=0.01)


@pytest.mark.parametrize("cut", [132, None])
def test_files_without_their_first_part(cut: int | None) -> None:
    dataset = draw(picture("u2"))
    whole = content(dataset)
    bare = whole[cut:] if cut else whole[144 + int.from_bytes(whole[140:144], "little") :]
    (found,) = read_slices(bare)
    np.testing.assert_array_equal(found.pixels, picture("u2").astype(np.float32))


def test_many_frames_with_places_are_a_volume() -> None:
    values = np.stack([np.full((8, 8), i, np.uint16) for i in (30, 10, 20)])
    dataset = draw(values, NumberOfFrames=3)
    del dataset.ImagePositionPatient, dataset.ImageOrientationPatient, dataset.PixelSpacing
    shared = pydicom.Dataset()
    measures, along = pydicom.Dataset(), pydicom.Dataset()
    measures.PixelSpacing, measures.SliceThickness = [2, 2], 5
    along.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [along]
    dataset.SharedFunctionalGroupsSequence = [shared]
    own = []
    for z in (10.0, 0.0, 5.0):
        place, frame = pydicom.Dataset(), pydicom.Dataset()
        place.ImagePositionPatient = [0, 0, z]
        frame.PlanePositionSequence = [place]
        own.append(frame)
    dataset.PerFrameFunctionalGroupsSequence = own
    volume: Any = open_slices(content(dataset))
    assert [x.pixels[0, 0] for x in volume] == [10, 20, 30]  # by place, not by number
    assert volume.geometry.spacing == pytest.approx((5, 2, 2))


def test_frames_without_places_are_slices() -> None:
    dataset = draw(np.zeros((4, 8, 8), np.uint8) + 9, NumberOfFrames=4)
    found = read_slices(content(dataset))
    assert [x.index for x in found] == [0, 1, 2, 3]
    assert found[0].geometry is None


def test_a_place_is_given_in_mm() -> None:
    (found,) = read_slices(content(draw(picture("u2"))))
    assert found.geometry is not None
    assert found.geometry.plane == "axial"
    assert found.geometry.point(10, 20) == (-20.0, -40.0, 0.0)


@pytest.mark.parametrize(
    ("name", "found"),
    [("DICOMDIR", "which is not followed"), ("rtstruct.dcm", "without a picture"),
     ("MR_truncated.dcm", "cannot be decoded")],
)  # fmt: skip
def test_what_holds_no_picture_is_named(name: str, found: str) -> None:
    with pytest.raises(UnreadableImageError, match=found):
        read_slices(get_testdata_file(name))


@pytest.mark.parametrize(
    "name",
    ["small", "RLE", "jpeg_ls_lossless", "jp2klossless", "bigendian", "implicit", "expb", "padded"],
)
def test_real_files_hold_the_same_picture(name: str) -> None:
    ending = "" if name == "small" else f"_{name}"
    (found,) = read_slices(get_testdata_file(f"MR_small{ending}.dcm"))
    wanted = pydicom.dcmread(get_testdata_file("MR_small.dcm")).pixel_array
    np.testing.assert_array_equal(found.pixels, wanted.astype(np.float32))


def test_too_many_pixels_are_refused_before_they_are_decoded() -> None:
    dataset = draw(picture("u1"), Rows=65535, Columns=65535)
    with pytest.raises(UnreadableImageError, match="more than"):
        read_slices(content(dataset))
    frames = draw(picture("u1"), NumberOfFrames=10**9)
    with pytest.raises(UnreadableImageError, match="more than"):
        read_slices(content(frames))


def test_a_deflated_bomb_is_not_unpacked() -> None:
    dataset = draw(np.zeros((2000, 2000), np.uint16))
    dataset.file_meta.TransferSyntaxUID = uids.DeflatedExplicitVRLittleEndian
    with pytest.raises(UnreadableImageError, match="unpacked"):
        read_slices(content(dataset), limits=Limits(max_unpacked=10**5))


def test_no_error_and_no_warning_tells_who_it_is(recwarn: pytest.WarningsRecorder) -> None:
    whole = content(draw(picture("u2")))
    random = np.random.default_rng(0)
    said = []
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        for _ in range(300):
            spoilt = bytearray(whole)
            for place in random.integers(132, len(whole) - 6000, 4):
                spoilt[place] = random.integers(256)
            try:
                said.append(str(read_slices(bytes(spoilt))[0].origin))
            except UnreadableImageError as error:
                said.append(str(error))
    said += [str(one.message) for one in recwarn]
    assert not [text for text in said for secret in SECRETS if secret in text]


@pytest.mark.parametrize("length", [0, 100, 133, 200, 600, 1500])
def test_files_cut_short(length: int) -> None:
    with pytest.raises(UnreadableImageError):
        read_slices(content(draw(picture("u2")))[:length])


def test_greys_too_close_together_are_refused() -> None:
    dataset = draw(picture("u2"), RescaleIntercept="4e9")
    with pytest.raises(UnreadableImageError, match="told apart"):
        read_slices(content(dataset))

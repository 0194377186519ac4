"""Sources: paths, bytes, arrays; what they are, and how large they may be."""

from __future__ import annotations

import gzip
import io
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tumorlens.errors import UnreadableImageError
from tumorlens.images.limits import Limits
from tumorlens.images.read import read_slices


def head(height: int = 30, width: int = 24) -> NDArray[np.uint8]:
    """Draw a head: an ellipse with a slope of grey, and a bright blob off centre."""
    y, x = np.mgrid[:height, :width]
    skull = ((y - height / 2) / (0.45 * height)) ** 2 + ((x - width / 2) / (0.4 * width)) ** 2 < 1
    blob = (y - 0.3 * height) ** 2 + (x - 0.65 * width) ** 2 < (0.12 * width) ** 2
    return np.where(blob, 230, np.where(skull, 60 + x + y // 2, 4)).astype(np.uint8)


GREY = head()
RGB = np.repeat(GREY[:, :, None], 3, axis=2)


def encode(picture: Image.Image, form: str) -> bytes:
    """Write a picture in some format."""
    stream = io.BytesIO()
    picture.save(stream, form)
    return stream.getvalue()


PNG = encode(Image.fromarray(GREY), "PNG")


def refusal(source: Any, **limits: int) -> UnreadableImageError:
    """Read what cannot be read."""
    with pytest.raises(UnreadableImageError) as caught:
        read_slices(source, limits=Limits(**limits))
    return caught.value


# Paths.


def test_a_path_is_kept_as_given(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "scan é.png").write_bytes(PNG)
    for path in ("scan é.png", "sub/../scan é.png", str(tmp_path / "scan é.png")):
        (found,) = read_slices(path)
        assert (found.path, found.index) == (path, 0)
        np.testing.assert_array_equal(found.pixels, GREY)
    (found,) = read_slices(pathlib.Path("scan é.png"))
    assert found.path == "scan é.png"
    assert read_slices(PNG)[0].path is None


@pytest.mark.parametrize("name", ["scan.jpg", "scan.dcm", "scan.nii.gz", "scan.txt", "scan"])
def test_a_name_says_nothing(tmp_path: pathlib.Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(PNG)
    (found,) = read_slices(path)
    assert found.origin == {"format": "PNG", "mode": "L"}


def test_a_link_is_followed(tmp_path: pathlib.Path) -> None:
    (tmp_path / "scan.png").write_bytes(PNG)
    (tmp_path / "link").symlink_to(tmp_path / "scan.png")
    np.testing.assert_array_equal(read_slices(tmp_path / "link")[0].pixels, GREY)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert "cannot be opened" in refusal(tmp_path / "loop").found


def test_what_is_not_a_file_is_named(tmp_path: pathlib.Path) -> None:
    assert "folder" in refusal(tmp_path).found
    assert "no such file" in refusal(tmp_path / "none.png").found
    assert "device" in refusal("/dev/zero").found
    assert refusal("").found == "an empty path"
    assert "cannot be opened" in refusal("a\0b.png").found
    assert "cannot be opened" in refusal("a" * 5000).found
    (tmp_path / "scan.png").write_bytes(PNG)
    assert "cannot be opened" in refusal(tmp_path / "scan.png" / "x").found


@pytest.mark.parametrize(
    "address",
    [
        "https://example.org/scan.png",
        "HTTP://example.org/scan.png",
        "s3://bucket/scan.dcm",
        "file:///home/me/scan.png",
        "https://example.org/scan?" + "x" * 4000,
    ],
)
def test_an_address_is_not_fetched(address: str) -> None:
    found = refusal(address)
    assert found.found == "an address, and nothing is fetched from one"
    assert found.hint.startswith("download it")


@pytest.mark.skipif(os.name == "nt", reason="no name may hold a colon there")
def test_a_folder_that_is_named_like_an_address_is_a_folder(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "https:").mkdir()
    (tmp_path / "https:" / "scan.png").write_bytes(PNG)
    monkeypatch.chdir(tmp_path)
    assert read_slices("https://scan.png")[0].path == "https://scan.png"
    assert refusal("c:/scan.png").found == "no such file"  # a drive


def test_an_error_names_the_file_and_what_to_do(tmp_path: pathlib.Path) -> None:
    found = refusal(str(tmp_path / "none.png"))
    assert found.source == str(tmp_path / "none.png")
    assert found.hint
    assert found.hint in str(found)
    assert refusal(b"x").source == "<bytes>"


def test_a_pipe_does_not_block(tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    found: list[str] = []
    reader = threading.Thread(
        target=lambda: found.append(refusal(tmp_path / "pipe.png").found), daemon=True
    )
    reader.start()
    reader.join(timeout=10)
    assert found == ["a named pipe"]


def test_a_denied_file_is_refused(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scan.png").write_bytes(PNG)

    def deny(*_: object) -> None:  # root may read everything, so no mode would do
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(pathlib.Path, "open", deny)
    assert "permission" in refusal(tmp_path / "scan.png").found


def test_what_is_no_source_is_a_mistake() -> None:
    for source in (None, 7, [GREY], io.StringIO("a picture")):
        with pytest.raises(TypeError, match="`source` must be"):
            read_slices(source)  # type: ignore[arg-type]


# Limits.


def test_limits_are_positive() -> None:
    with pytest.raises(ValueError, match="max_frames"):
        Limits(max_frames=0)


def test_large_files_are_refused(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "scan.png"
    path.write_bytes(PNG)
    assert len(read_slices(path, limits=Limits(max_bytes=len(PNG)))) == 1
    for source in (path, PNG):
        assert "bytes" in refusal(source, max_bytes=len(PNG) - 1).found


def test_a_huge_file_is_refused_before_it_is_read(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "sparse.png"
    with path.open("wb") as file:
        file.write(PNG)
        file.truncate(2**40)
    monkeypatch.setattr(pathlib.Path, "open", None)
    assert "more than 268,435,456 bytes" in refusal(path).found


def test_a_file_that_lies_about_its_size_is_refused() -> None:
    """What /proc calls 0 bytes is longer, and is read no further than is allowed."""
    path = "/proc/self/status"
    assert pathlib.Path(path).stat().st_size == 0
    assert "more than 10 bytes" in refusal(path, max_bytes=10).found
    assert "plain text" in refusal(path).found


@pytest.mark.parametrize("source", [PNG, Image.fromarray(GREY), GREY, GREY.astype(float)])
def test_large_pictures_are_refused(source: Any) -> None:
    assert len(read_slices(source, limits=Limits(max_pixels=GREY.size))) == 1
    found = refusal(source, max_pixels=GREY.size - 1)
    assert "24 x 30" in found.found
    assert "max_pixels" in found.hint


def test_large_stacks_are_refused() -> None:
    stack = np.zeros((5, 6, 7))
    assert len(read_slices(stack, limits=Limits(max_frames=5, max_total_pixels=210))) == 5
    assert "more than 4 pictures" in refusal(stack, max_frames=4).found
    assert "together" in refusal(stack, max_total_pixels=209).found
    huge = np.broadcast_to(np.uint8(0), (10**12, 1, 5))
    assert "more than 2,048 pictures" in refusal(huge).found


# Open files.


def test_open_files_are_read_from_their_beginning_and_left_open(tmp_path: Path) -> None:
    path = tmp_path / "slice.png"
    path.write_bytes(PNG)
    stream = io.BytesIO()
    stream.write(PNG)  # its place is at the end now
    with path.open("rb") as file, tempfile.SpooledTemporaryFile() as spooled:
        spooled.write(PNG)
        for source, known_as in ((file, str(path)), (stream, None), (spooled, None)):
            (found,) = read_slices(source)
            np.testing.assert_array_equal(found.pixels, GREY)
            assert found.path == known_as
            assert not source.closed


def test_a_pipe_is_read_from_where_it_is() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as writer:
        writer.write(PNG)
    with os.fdopen(reading, "rb") as pipe:
        np.testing.assert_array_equal(read_slices(pipe)[0].pixels, GREY)


def test_open_files_keep_to_the_limits_and_are_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImageError, match="more than 10 bytes"):
        read_slices(io.BytesIO(PNG), limits=Limits(max_bytes=10))
    closed = io.BytesIO(PNG)
    closed.close()
    with pytest.raises(UnreadableImageError, match="<file>: it cannot be read"):
        read_slices(closed)
    path = tmp_path / "notes.txt"
    path.write_text("no picture")
    with path.open("rb") as file, pytest.raises(UnreadableImageError, match=r"notes\.txt"):
        read_slices(file)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_two_channels_are_grey_and_alpha(dtype: type) -> None:
    full = 1 if dtype == np.float32 else np.iinfo(dtype).max
    grey = np.linspace(0, full, 90 * 70).reshape(90, 70).astype(dtype)
    seen = np.where(np.arange(70) < 50, full, 0).astype(dtype)
    (found,) = read_slices(np.dstack([grey, np.broadcast_to(seen, grey.shape)]))
    np.testing.assert_allclose(found.pixels, np.where(seen, grey, 0), rtol=1e-6)


# What a file is.


def nifti(size: int, magic: bytes, offset: int, order: Any) -> bytes:
    """Write the header of a NIfTI file, as far as it is looked at."""
    data = bytearray(600)
    data[:4] = size.to_bytes(4, order)
    data[offset : offset + len(magic)] = magic
    return bytes(data)


NIFTIS = [
    nifti(size, magic, offset, order)
    for size, magic, offset in [
        (348, b"n+1\0", 344),
        (348, b"ni1\0", 344),
        (540, b"n+2\0\r\n\x1a\n", 4),
        (540, b"ni2\0\r\n\x1a\n", 4),
    ]
    for order in ("little", "big")
]


@pytest.mark.parametrize("data", NIFTIS)
def test_nifti_is_known(data: bytes) -> None:
    for content in (data, gzip.compress(data), gzip.compress(data)[:-9]):
        found = refusal(content)
        assert re.search("a volume|a compressed file|the header of a pair", found.found)


def test_dicom_is_known() -> None:
    assert "a DICOM file without a picture" in refusal(bytes(128) + b"DICM" + bytes(64)).found
    tiff = encode(Image.fromarray(GREY), "TIFF")[:128].ljust(128, b"\0")
    assert "a DICOM file" in refusal(tiff + b"DICM").found


def test_an_analyze_header_is_not_nifti() -> None:
    assert "NIfTI" not in refusal(nifti(348, b"\0\0\0\0", 344, "little")).found


def zipped() -> bytes:
    """Write an archive without a picture."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("scan.txt", "a text")
    return stream.getvalue()


def saved() -> bytes:
    """Save an array as NumPy does."""
    stream = io.BytesIO()
    np.save(stream, GREY)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"", "an empty file"),
        (b"%PDF-1.7\n%\xe2\xe3", "a PDF"),
        (zipped(), "a ZIP archive without pictures"),
        (gzip.compress(PNG, mtime=0), "gzip"),
        (gzip.compress(PNG, mtime=0)[:12], "gzip"),
        (b"\x1f\x8b\xff\xff\xff", "gzip"),
        (b"\x89HDF\r\n\x1a\n" + bytes(64), "an HDF5"),
        (saved(), "NumPy"),
        (encode(Image.fromarray(RGB), "AVIF"), "an AVIF picture"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "an HEIC picture"),
        (b"\0\0\0\x18ftypisom\0\0\0\0", "an MP4 video"),
        (b"8BPS\0\1", "a Photoshop picture"),
        (b"\x01\xda\0\x02\0\x02" + bytes(600), "an SGI picture of 16 bits"),
        (encode(Image.fromarray(RGB), "ICO"), "an icon"),
        (b"<!DOCTYPE html><html><body>Not found</body></html>", "a web page"),
        (b"\n\n <HTML>", "a web page"),
        (b"\xef\xbb\xbf<html>", "a web page"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
        (b"<svg/>", "an SVG drawing"),
        (b"<?xml version='1.0'?><a/>", "an XML document"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a", "a Git LFS pointer"),
        (b"BMP is what I mean to write about today.", "plain text"),
        (b"P1 and P2 are the first two patients.", "plain text"),
        ("résumé".encode() * 400, "plain text"),
        (("a" + "é" * 900).encode(), "plain text"),  # the last é looked at is cut in two
        ("text".encode("utf-16"), "plain text"),
        (b"\x00\x01\x02\x03\xfe\xed\xfa\xce\x99", "begins with 00 01 02 03 fe ed fa ce"),
        (b"\x89PN", "begins with 89 50 4e"),
        (b"\xff", "begins with ff"),
    ],
)
def test_others_are_named(data: bytes, name: str) -> None:
    assert name in refusal(data).found


# Arrays.


@pytest.mark.parametrize(
    "kind",
    ["<u2", ">u2", "<i2", ">i2", "i1", "<i4", ">i4", "<u4", ">u4", "<i8", ">i8", "<u8", ">u8"],
)
def test_integers_keep_their_values(kind: str) -> None:
    values = (GREY // 2).astype(kind)
    (found,) = read_slices(values)
    assert found.pixels.dtype.name == "float32"
    np.testing.assert_array_equal(found.pixels, GREY // 2)
    assert found.value_range == (2, 115)
    assert found.origin == {"format": "array", "mode": values.dtype.name}


@pytest.mark.parametrize("kind", ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "longdouble"])
def test_floats_keep_their_values(kind: str) -> None:
    (found,) = read_slices(((GREY.astype(float) - 100) / 4).astype(kind))
    np.testing.assert_array_equal(found.pixels, (GREY.astype(np.float32) - 100) / 4)
    assert found.value_range == (-24, 32.5)


@pytest.mark.parametrize("array", [GREY, GREY > 100, GREY[:, :, None], np.asfortranarray(GREY)])
def test_eight_bits_stay_eight_bits(array: NDArray[Any]) -> None:
    (found,) = read_slices(array)
    assert found.pixels.dtype.name == "uint8"
    assert found.value_range == (0, 255)
    assert found.pixels.flags.c_contiguous
    expected = array * np.uint8(255) if array.dtype == bool else GREY
    np.testing.assert_array_equal(found.pixels, expected)


@pytest.mark.parametrize(
    "values",
    [
        GREY * 1e300,
        (GREY - 230.0) * 5e305,
        GREY * 1e-300,
        GREY * 1.0 + 1e12,
        (GREY - 117.0) * 1.4e306,
        (GREY.astype(np.float32) - 117) * np.float32(2.9e36),
        GREY.astype(np.int64) + 2**62,
        GREY.astype(np.int64) - (2**63 - 1),
        GREY.astype(np.uint64) + np.uint64(2**64 - 256),
        GREY.astype(np.int32) + (2**31 - 256),
        GREY.astype(np.uint32) * 2**24,
    ],
)
def test_contrast_survives_whatever_the_scale(values: NDArray[Any]) -> None:
    (found,) = read_slices(values)
    lowest, highest = found.value_range
    assert (lowest, highest) == (found.pixels.min(), found.pixels.max())
    grey = (GREY.astype(float) - 4) / 226
    with np.errstate(all="raise", under="ignore"):
        shown = (found.pixels - np.float32(lowest)) / np.float32(highest - lowest)
    np.testing.assert_allclose(shown, grey, atol=1e-3)


def test_a_constant_picture_has_no_span() -> None:
    for value, shown in [(7, 7), (7.5, 7.5), (1e300, 0), (2**62, 0)]:
        (found,) = read_slices(np.full((2, 3), value))
        assert found.value_range == (shown, shown)


def test_values_that_are_not_finite_become_the_lowest() -> None:
    values = GREY.astype(float)
    values[0, :3] = np.nan, np.inf, -np.inf
    (found,) = read_slices(values)
    np.testing.assert_array_equal(found.pixels, GREY)
    assert "finite" in refusal(np.full((3, 3), np.nan)).found
    stack = np.stack([values, np.full_like(values, np.inf)])
    assert "finite" in refusal(stack).found


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float64, np.int64])
def test_masked_values_become_the_lowest(kind: Any) -> None:
    values = GREY.astype(kind)
    values[5:9, 5:9] = 0
    array = np.ma.masked_equal(values, 0)
    (found,) = read_slices(array)
    assert found.pixels[6, 6] == 4
    assert found.pixels.min() == 4
    assert type(found.pixels) is np.ndarray
    first, second = read_slices(np.ma.stack([array, np.ma.masked_less(values, 60)]))
    assert (first.pixels.min(), second.pixels.min()) == (4, GREY[GREY >= 60].min())
    refusal(np.ma.masked_less_equal(values, 255 if kind is not np.uint8 else 254))


def test_masked_colour_becomes_the_lowest() -> None:
    array = np.ma.array(RGB.copy(), mask=np.zeros_like(RGB, bool))
    array[12, 12, 1] = np.ma.masked
    (found,) = read_slices(array)
    assert GREY[12, 12] > 60
    assert found.pixels[12, 12] == 4


def test_colour_is_as_pillow_sees_it() -> None:
    colours = np.random.default_rng(1).integers(0, 256, (20, 30, 3), np.uint8)
    expected = np.array(Image.fromarray(colours).convert("L"))
    np.testing.assert_array_equal(read_slices(colours)[0].pixels, expected)
    for scale, kind in [(257, np.uint16), (1 / 255, np.float32), (1, np.int64), (1, np.float16)]:
        (found,) = read_slices((colours * np.float64(scale)).astype(kind))
        assert found.pixels.dtype == np.float32
        np.testing.assert_allclose(found.pixels / scale, expected, atol=0.6)


@pytest.mark.parametrize(
    ("kind", "opaque"), [(np.uint8, 255), (np.uint16, 65535), (">u2", 65535), (np.float32, 1)]
)
def test_alpha_is_composited_over_black(kind: Any, opaque: float) -> None:
    array = np.full((1, 3, 4), 0.8 * opaque)
    array[0, :, 3] = 0, 0.5 * opaque, opaque
    (found,) = read_slices(array.astype(kind))
    np.testing.assert_allclose(found.pixels / opaque, [[0, 0.4, 0.8]], atol=1 / 255)


def test_a_stack_gives_one_slice_each() -> None:
    stack = np.stack([GREY, GREY[::-1], GREY // 3])
    for array in (stack, stack.astype(np.int16)):
        found = read_slices(array)
        assert [part.index for part in found] == [0, 1, 2]
        for part, expected in zip(found, stack, strict=True):
            np.testing.assert_array_equal(part.pixels, expected)
    assert [part.value_range for part in found] == [(4, 230), (4, 230), (1, 76)]
    assert len(read_slices(stack[:1])) == 1


def test_the_last_axis_decides() -> None:
    for shape, count, size in [
        ((5, 6, 1), 1, (5, 6)),
        ((5, 6, 2), 1, (5, 6)),
        ((5, 6, 3), 1, (5, 6)),
        ((5, 6, 4), 1, (5, 6)),
        ((5, 6, 5), 5, (6, 5)),
        ((3, 6, 5), 3, (6, 5)),
    ]:
        found = read_slices(np.ones(shape, np.uint8))
        assert len(found) == count
        assert {part.pixels.shape for part in found} == {size}


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((3, 3), complex),
        np.zeros((3, 3), object),
        np.zeros((3, 3), "U3"),
        np.zeros((3, 3), "S3"),
        np.zeros((3, 3), "M8[s]"),
        np.zeros((3, 3), [("a", "u1")]),
        np.array(3.0),
        np.zeros(3),
        np.zeros((2, 3, 3, 3)),
        np.zeros((0, 3)),
        np.zeros((3, 0)),
        np.zeros((0, 3, 3)),
        np.zeros((0, 3, 5)),
        np.zeros((2, 0, 3)),
        np.zeros((2, 3, 0)),
        np.zeros((2, 3, 4), np.int64),
    ],
)
def test_other_arrays_are_refused(array: NDArray[Any]) -> None:
    assert refusal(array).source == "<array>"


@pytest.mark.parametrize(
    "array",
    [
        GREY,
        GREY > 9,
        GREY.astype(np.float32),
        GREY[None],
        RGB,
        RGB / 255,
        np.dstack([RGB, GREY]),
        np.ma.masked_less(GREY, 60),
        np.ma.masked_less(GREY.astype(np.float32), 60),
    ],
)
def test_arrays_are_neither_shared_nor_changed(array: NDArray[Any]) -> None:
    before = np.array(np.ma.getdata(array))
    array.setflags(write=False)
    (found,) = read_slices(array)
    assert not np.shares_memory(found.pixels, array)
    found.pixels[:] = 1
    np.testing.assert_array_equal(np.ma.getdata(array), before)


def test_reading_is_light() -> None:
    code = (
        "import sys, tumorlens.images.read as read, numpy\n"
        "read.read_slices(numpy.ones((4, 4), 'u1'))\n"
        "roots = {name.partition('.')[0] for name in sys.modules}\n"
        "print(sorted(roots & {'onnxruntime', 'keras', 'tensorflow', 'torch', 'matplotlib'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""Damaged and hostile files: slices, or `UnreadableImageError`, and nothing else."""

from __future__ import annotations

import gzip
import io
import struct
import subprocess
import sys
import threading
import time
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageFile, PngImagePlugin, UnidentifiedImageError

from tumorlens.errors import UnreadableImageError
from tumorlens.images import raster
from tumorlens.images.limits import Limits
from tumorlens.images.read import read_slices
from tumorlens.images.slice import Slice


def head(height: int = 20, width: int = 16) -> NDArray[np.uint8]:
    """Draw a head: an ellipse with a slope of grey, and a bright blob off centre."""
    y, x = np.mgrid[:height, :width]
    skull = ((y - height / 2) / (0.45 * height)) ** 2 + ((x - width / 2) / (0.4 * width)) ** 2 < 1
    blob = (y - 0.3 * height) ** 2 + (x - 0.65 * width) ** 2 < (0.12 * width) ** 2
    return np.where(blob, 230, np.where(skull, 60 + x + y // 2, 4)).astype(np.uint8)


GREY = head()


def encode(values: NDArray[Any], form: str, mode: str | None = None, **options: Any) -> bytes:
    """Write an array in some format."""
    stream = io.BytesIO()
    picture = Image.fromarray(values)
    (picture.convert(mode) if mode else picture).save(stream, form, **options)
    return stream.getvalue()


def tiff(values: NDArray[Any], **options: Any) -> bytes:
    """Write an array as TIFF by tifffile."""
    stream = io.BytesIO()
    tifffile.imwrite(stream, values, **{"photometric": "minisblack", **options})
    return stream.getvalue()


def frames(form: str, **options: Any) -> bytes:
    """Write three frames."""
    rest = [Image.fromarray(np.roll(GREY, step, axis=1)) for step in (3, 6)]
    return encode(GREY, form, save_all=True, append_images=rest, **options)


def exif(orientation: int) -> Image.Exif:
    """Write the one tag."""
    block = Image.Exif()
    block[274] = orientation
    return block


FILES = {
    "png": encode(GREY, "PNG", exif=exif(6)),
    "png palette": encode(GREY, "PNG", "P", transparency=bytes(range(256))),
    "png 16": encode(GREY.astype(np.uint16) * 257, "PNG"),
    "apng": frames("PNG"),
    "jpeg": encode(GREY, "JPEG", "RGB", exif=exif(6)),
    "jpeg cmyk": encode(GREY, "JPEG", "CMYK", progressive=True),
    "mpo": frames("MPO"),
    "tiff": encode(GREY, "TIFF"),
    "tiff lab": encode(GREY, "TIFF", "RGB", compression="tiff_lzw", exif=exif(6)),
    "tiff float": encode(GREY.astype(np.float32), "TIFF", compression="tiff_deflate"),
    "tiff pages": frames("TIFF"),
    "bigtiff": encode(GREY, "TIFF", big_tiff=True),
    "tiff planes": tiff(np.stack([GREY] * 3).astype(np.int16), photometric="rgb"),
    "tiff double": tiff(GREY.astype(np.float64), compression="deflate", predictor=False),
    "tiff tiles": tiff(np.kron(GREY, np.ones((4, 4))).astype(np.uint32), tile=(32, 32)),
    "tiff deep pages": tiff(np.stack([GREY] * 3).astype(np.int8)),
    "png 16 colour": imagecodecs.png_encode(np.dstack([GREY.astype(np.uint16) * 257] * 3)),
    "ppm 16": b"P6 16 20 65535 " + np.dstack([GREY * np.array(257, ">u2")] * 3).tobytes(),
    "bmp": encode(GREY, "BMP"),
    "gif": frames("GIF"),
    "webp": encode(GREY, "WEBP", "RGB"),
    "webp frames": frames("WEBP", lossless=True),
    "pgm": encode(GREY, "PPM"),
    "pgm text": b"P2 16 20 255 " + b" ".join(b"%d" % value for value in GREY.flat),
    "jp2": encode(GREY, "JPEG2000", "RGB"),
    "j2k": encode(GREY, "JPEG2000", no_jp2=True),
    "tga": encode(GREY, "TGA", "P"),
    "tga packed": encode(GREY, "TGA", "RGB", compression="tga_rle"),
    "tga old": encode(GREY, "TGA", "RGBA")[:-26],  # without the end of version 2
    "sgi": encode(GREY, "SGI", "RGB"),
    "pcx": encode(GREY, "PCX", "RGB"),
}
NAMES = sorted(FILES)

# Small enough that a damaged header cannot ask for much work.
LIMITS = Limits(max_pixels=100_000, max_frames=16, max_total_pixels=300_000)

quick = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)


def read_or_refuse(data: bytes) -> list[Slice]:
    """Read damaged bytes; any error but the one promised goes through."""
    try:
        found = read_slices(data, limits=LIMITS)
    except UnreadableImageError as exc:
        refused = exc
    else:
        assert found
        return found
    assert refused.source == "<bytes>"
    assert " at 0x" not in refused.found  # no address of a buffer in memory
    assert "\n" not in str(refused)
    return []


@pytest.mark.parametrize("name", NAMES)
def test_the_whole_file_is_read(name: str) -> None:
    count = {"apng": 3, "tiff pages": 3, "tiff deep pages": 3, "gif": 3, "webp frames": 3}.get(
        name, 1
    )
    assert len(read_or_refuse(FILES[name])) == count


@pytest.mark.parametrize("name", NAMES)
@quick
@given(data=st.data())
def test_truncation_is_survived(name: str, data: st.DataObject) -> None:
    whole = FILES[name]
    length = data.draw(st.integers(0, len(whole) - 1))
    read_or_refuse(whole[:length])


@pytest.mark.parametrize("name", NAMES)
@quick
@given(data=st.data())
def test_damage_is_survived(name: str, data: st.DataObject) -> None:
    broken = bytearray(FILES[name])
    # Half of the damage goes where headers are.
    places = st.integers(0, len(broken) - 1) | st.integers(0, min(120, len(broken) - 1))
    for place in data.draw(st.lists(places, min_size=1, max_size=6)):
        broken[place] = data.draw(st.integers(0, 255) | st.sampled_from([0, 1, 127, 128, 255]))
    read_or_refuse(bytes(broken))


@quick
@given(start=st.sampled_from([data[:24] for data in FILES.values()]), rest=st.binary(max_size=200))
def test_noise_is_survived(start: bytes, rest: bytes) -> None:
    read_or_refuse(start + rest)
    read_or_refuse(rest)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("share", [0.3, 0.6])
def test_half_a_file_is_no_file(name: str, share: float) -> None:
    data = FILES[name]
    if name == "mpo":
        data = data[: data.index(b"\xff\xd9") + 2]  # the first picture stands alone
    with pytest.raises(UnreadableImageError):
        read_slices(data[: int(share * len(data))])


@pytest.mark.parametrize("name", ["apng", "gif", "tiff pages", "webp frames"])
def test_frames_are_read_all_or_not_at_all(name: str) -> None:
    whole = FILES[name]
    for length in range(len(whole)):
        assert len(read_or_refuse(whole[:length])) in (0, 3)


def test_an_animation_that_promises_more_frames_is_refused() -> None:
    data = bytearray(FILES["apng"])
    at = data.index(b"acTL")
    data[at + 4 : at + 8] = struct.pack(">I", 2**31)
    data[at + 12 : at + 16] = struct.pack(">I", zlib.crc32(data[at : at + 12]))
    with pytest.raises(UnreadableImageError, match=r"[Tt]runcated"):
        read_slices(bytes(data))


def test_a_tiff_whose_pages_go_round_ends() -> None:
    """The last page points at the first."""
    data = bytearray(FILES["tiff"])
    (first,) = struct.unpack_from("<I", data, 4)
    (tags,) = struct.unpack_from("<H", data, first)
    struct.pack_into("<I", data, first + 2 + 12 * tags, first)
    assert len(read_or_refuse(bytes(data))) == 1


# Bombs.


def claim(width: int, height: int) -> bytes:
    """Write a tiny PNG that claims to be huge."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def grown(name: str, width: int, height: int) -> bytes:
    """Write the sizes of a header anew."""
    data, size = bytearray(FILES[name]), (width, height)
    place, form = {
        "gif": (6, "<HH"),
        "bmp": (18, "<II"),
        "jp2": (FILES["jp2"].index(b"ihdr") + 4, ">II"),
        "j2k": (8, ">II"),
        "jpeg": (FILES["jpeg"].index(b"\xff\xc0") + 5, ">HH"),
    }[name]
    struct.pack_into(form, data, place, *(size[::-1] if name in ("jp2", "jpeg") else size))
    return bytes(data)


BOMBS = {
    "png 2500 Mpx": claim(50_000, 50_000),
    "png 100 Mpx": claim(10_000, 10_000),  # where Pillow only warns
    "png 65 Mpx": claim(8_001, 8_000),  # where Pillow says nothing
    "png line": claim(2**31 - 1, 1),
    "gif": grown("gif", 60_000, 60_000),
    "bmp": grown("bmp", 50_000, 50_000),
    "jp2": grown("jp2", 50_000, 50_000),
    "j2k": grown("j2k", 50_000, 50_000),
    "jpeg": grown("jpeg", 60_000, 60_000),
    "pgm": b"P5 50000 50000 255 " + bytes(99),
    # A canvas of 10,000 x 10,000 for frames of 16 x 20.
    "webp": FILES["webp frames"][:24] + b"\x0f\x27\0" * 2 + FILES["webp frames"][30:],
}


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.parametrize("action", ["error", "always"])
def test_a_bomb_is_refused_at_once_and_quietly(name: str, action: Any) -> None:
    began = time.perf_counter()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter(action)
        with pytest.raises(UnreadableImageError, match="export it smaller"):
            read_slices(BOMBS[name])
    assert told == []
    assert time.perf_counter() - began < 1


def test_bombs_take_no_memory() -> None:
    code = (
        "import pathlib, resource, sys\n"
        "from tumorlens.errors import UnreadableImageError\n"
        "from tumorlens.images.read import read_slices\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak()\n"
        "for bomb in sys.stdin.read().split():\n"
        "    try:\n"
        "        read_slices(bytes.fromhex(bomb))\n"
        "    except UnreadableImageError:\n"
        "        continue\n"
        "    sys.exit('read')\n"
        "print(peak() - before)"
    )
    bombs = "\n".join(bomb.hex() for bomb in [*BOMBS.values(), gzip.compress(bytes(2**26))])
    done = subprocess.run(
        [sys.executable, "-c", code], input=bombs, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 20_000  # KiB


def test_our_limit_holds_where_pillow_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with pytest.raises(UnreadableImageError, match="50000 x 50000, more than 64,000,000 pixels"):
        read_slices(BOMBS["png 2500 Mpx"])


def test_pillows_limit_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(UnreadableImageError, match="exceeds limit"):
        read_slices(FILES["png"])


# Warnings, and what else belongs to the process.


def test_odd_tags_of_a_tiff_are_read_without_a_word() -> None:
    """Pillow warns of a tag that holds more values than it should."""
    data = bytearray(encode(GREY, "TIFF", tiffinfo={33432: "drawn", 305: "by hand"}))
    (first,) = struct.unpack_from("<I", data, 4)
    (tags,) = struct.unpack_from("<H", data, first)
    for place in range(first + 2, first + 2 + 12 * tags, 12):
        if struct.unpack_from("<H", data, place) == (305,):
            struct.pack_into("<I", data, place + 8, 2**31)  # beyond the end of the file
    with (
        pytest.warns(UserWarning, match="Truncated File Read"),
        Image.open(io.BytesIO(data)) as picture,
    ):
        picture.getexif()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        (found,) = read_slices(bytes(data))
    assert told == []
    np.testing.assert_array_equal(found.pixels, GREY)


def test_warnings_of_others_are_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    def warn(picture: Image.Image) -> NDArray[np.uint8]:
        warnings.warn("from outside Pillow", UserWarning, stacklevel=1)
        return np.zeros(picture.size[::-1], np.uint8)

    monkeypatch.setattr(raster, "grey_pixels", warn)
    with pytest.warns(UserWarning, match="from outside Pillow"):
        read_slices(FILES["png"])


def test_a_defect_of_ours_is_not_called_a_damaged_picture(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class DefectError(Exception):
        pass

    def fail(_: Image.Image) -> NDArray[np.uint8]:
        raise DefectError

    monkeypatch.setattr(raster, "grey_pixels", fail)
    with pytest.raises(DefectError):
        read_slices(FILES["png"])


@pytest.mark.parametrize("name", [*NAMES, "png 100 Mpx"])
def test_nothing_of_the_process_is_changed(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    before = (list(warnings.filters), Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)
    read_or_refuse({**FILES, **BOMBS}[name])
    after = (list(warnings.filters), Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)
    assert before == after
    assert capfd.readouterr() == ("", "")


def test_readers_in_threads_decode_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    both = threading.Barrier(2, timeout=20)

    def wait(picture: Image.Image) -> NDArray[np.uint8]:
        both.wait()  # until the other is here too
        warnings.warn_explicit("of Pillow's", UserWarning, "x.py", 1, "PIL.Image")
        return np.zeros(picture.size[::-1], np.uint8)

    monkeypatch.setattr(raster, "grey_pixels", wait)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with ThreadPoolExecutor(2) as pool:
            assert len(list(pool.map(read_slices, [FILES["png"], FILES["png palette"]]))) == 2
    assert told == []


def test_filters_of_others_outlive_a_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else saves and restores filters around, within and across a reader."""
    before = list(warnings.filters)
    others = warnings.catch_warnings()

    def meddle(picture: Image.Image) -> NDArray[np.uint8]:
        others.__enter__()
        warnings.simplefilter("always")
        return np.zeros(picture.size[::-1], np.uint8)

    monkeypatch.setattr(raster, "grey_pixels", meddle)
    read_slices(FILES["png"])
    assert warnings.filters[0][0] == "always"
    others.__exit__(None, None, None)
    assert list(warnings.filters) == before


def test_readers_in_threads_leave_the_filters_as_they_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever begins first ends first, and must not undo what the second does."""
    delays = iter([0.05, 0.15])

    def dawdle(picture: Image.Image) -> NDArray[np.uint8]:
        time.sleep(next(delays))
        return np.zeros(picture.size[::-1], np.uint8)

    monkeypatch.setattr(raster, "grey_pixels", dawdle)
    before = list(warnings.filters)
    with ThreadPoolExecutor(2) as pool:
        assert len(list(pool.map(read_slices, [FILES["png"], FILES["png palette"]]))) == 2
    assert list(warnings.filters) == before


@pytest.mark.parametrize(
    "failure",
    [
        *(OSError, SyntaxError, ValueError, TypeError, AttributeError, IndexError, KeyError),
        *(OverflowError, ZeroDivisionError, AssertionError, EOFError, MemoryError),
        *(RecursionError, NotImplementedError, RuntimeError, SystemError, ImportError),
        *(struct.error, zlib.error, Image.DecompressionBombError, Image.DecompressionBombWarning),
        *(UnidentifiedImageError, ImageCms.PyCMSError),
    ],
)
@pytest.mark.parametrize("message", ["", "of some\nreason"])
def test_whatever_pillow_raises_is_one_error(
    failure: type[Exception], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise failure(message)

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", fail)
    with pytest.raises(
        UnreadableImageError, match=r"a PNG picture that cannot .* \(.+\)"
    ) as caught:
        read_slices(FILES["png"])
    assert isinstance(caught.value.__cause__, failure)
    with Image.open(io.BytesIO(FILES["png"])) as picture, pytest.raises(UnreadableImageError):
        read_slices(picture)


def test_only_the_named_formats_are_decoded() -> None:
    known = ("PNG", "JPEG", "BMP", "WEBP", "GIF", "PPM", "JPEG2000", "TGA", "SGI", "PCX")
    assert known == raster.FORMATS
    for form in ("ICNS", "DDS", "ICO", "PDF", "EPS"):
        with pytest.raises(UnreadableImageError):
            read_slices(encode(np.dstack([GREY] * 3), form))

"""Pictures that Pillow decodes: formats, modes, depth, orientation, frames."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

from tumorlens.errors import UnreadableImageError
from tumorlens.images.limits import Limits
from tumorlens.images.read import read_slices


def head(height: int = 48, width: int = 36) -> NDArray[np.uint8]:
    """Draw a head: an ellipse with a slope of grey, and a bright blob off centre."""
    y, x = np.mgrid[:height, :width]
    skull = ((y - height / 2) / (0.45 * height)) ** 2 + ((x - width / 2) / (0.4 * width)) ** 2 < 1
    blob = (y - 0.3 * height) ** 2 + (x - 0.65 * width) ** 2 < (0.12 * width) ** 2
    return np.where(blob, 230, np.where(skull, 60 + x + y // 2, 4)).astype(np.uint8)


GREY = head()
DEEP = GREY.astype(np.uint16) * 257 + 3
MODES = ["L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"]
LEAST_LOSS: dict[str, dict[str, Any]] = {"JPEG": {"quality": 100}, "WEBP": {"lossless": True}}


def encode(picture: Image.Image, form: str, **options: Any) -> bytes:
    """Write a picture in some format."""
    stream = io.BytesIO()
    picture.save(stream, form, **options)
    return stream.getvalue()


def in_mode(mode: str) -> Image.Image:
    """Hold the grey head in some mode."""
    return Image.fromarray(GREY).convert("RGB" if mode == "LAB" else "L").convert(mode)


def only(data: bytes | Image.Image) -> NDArray[Any]:
    """Read the pixels of the one slice there is."""
    (found,) = read_slices(data)
    return found.pixels


def error(pixels: NDArray[Any], expected: NDArray[Any] = GREY) -> float:
    """Measure the largest difference, and check the shape on the way."""
    assert pixels.shape == expected.shape
    return float(np.abs(pixels.astype(float) - expected.astype(float)).max())


def scaled(pixels: NDArray[Any]) -> NDArray[Any]:
    """Map the values of an array to 0..1."""
    wide = pixels.astype(float)
    unit: NDArray[Any] = (wide - wide.min()) / (wide.max() - wide.min())
    return unit


# Modes.


@pytest.mark.parametrize("mode", MODES)
def test_a_grey_picture_is_grey_in_every_mode(mode: str) -> None:
    (found,) = read_slices(in_mode(mode))
    assert found.pixels.dtype.name == "uint8"
    assert found.value_range == (0, 255)
    assert found.origin["mode"] == mode
    assert error(found.pixels) <= (2 if mode == "LAB" else 0)


@pytest.mark.parametrize(
    ("form", "mode", "options"),
    [
        *[("PNG", mode, {}) for mode in ("L", "LA", "P", "RGB", "RGBA")],
        *[("TIFF", mode, {}) for mode in MODES if mode not in ("PA", "HSV")],
        *[("TIFF", "L", {"compression": c}) for c in ("tiff_lzw", "tiff_deflate", "packbits")],
        *[("TIFF", mode, {"big_tiff": True}) for mode in ("L", "RGB")],
        *[("BMP", mode, {}) for mode in ("L", "P", "RGB", "RGBA")],
        *[("GIF", mode, {}) for mode in ("L", "P")],
        *[("WEBP", mode, {"lossless": True}) for mode in ("L", "RGB", "RGBA")],
        *[("PPM", mode, {}) for mode in ("L", "RGB")],
        *[("JPEG2000", mode, {}) for mode in ("L", "LA", "RGB", "RGBA")],
        *[("JPEG2000", mode, {"no_jp2": True}) for mode in ("L", "RGB")],
        *[
            ("TGA", mode, {"compression": c})
            for mode in ("L", "LA", "P")
            for c in (None, "tga_rle")
        ],
        *[
            ("TGA", mode, {"compression": packed})
            for mode in ("L", "LA", "P", "RGB", "RGBA")
            for packed in (None, "tga_rle")
        ],
        *[("SGI", mode, {}) for mode in ("L", "RGB", "RGBA")],
        *[("PCX", mode, {}) for mode in ("L", "RGB")],
    ],
)
def test_lossless_formats_give_the_very_pixels(
    form: str, mode: str, options: dict[str, Any]
) -> None:
    data = encode(in_mode(mode), form, **options)
    (found,) = read_slices(data)
    assert found.pixels.dtype == np.uint8
    assert found.origin["format"] == form
    assert error(found.pixels) <= (2 if mode == "LAB" else 0)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg(mode: str, progressive: bool) -> None:
    data = encode(in_mode(mode), "JPEG", quality=95, progressive=progressive)
    pixels = only(data)
    assert error(pixels) <= 12
    assert abs(pixels.astype(float).mean() - GREY.mean()) < 0.5


def test_lossy_webp() -> None:
    pixels = only(encode(in_mode("RGB"), "WEBP", quality=95))
    assert error(pixels) <= 24
    assert abs(pixels.astype(float).mean() - GREY.mean()) < 1


def test_plain_text_pgm() -> None:
    rows = "\n".join(" ".join(map(str, row)) for row in GREY)
    data = f"P2\n# drawn\n{GREY.shape[1]} {GREY.shape[0]}\n255\n{rows}\n".encode()
    assert error(only(data)) == 0


@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP", "PPM", "GIF"])
def test_two_levels_are_black_and_white(form: str) -> None:
    mask = GREY > 100
    picture = Image.fromarray(mask)
    assert picture.mode == "1"
    assert error(only(encode(picture, form)), mask * 255) == 0


def test_colour_is_weighed_by_luma() -> None:
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    pixels = only(encode(Image.fromarray(colours), "PNG"))
    np.testing.assert_allclose(pixels, [[76, 150, 29]], atol=1)


def test_an_embedded_lab_picture_goes_through_its_colour_profile() -> None:
    colours = np.zeros((4, 4, 3), np.uint8)
    colours[:2], colours[2:] = (200, 40, 40), (40, 40, 200)
    picture = Image.fromarray(colours)
    lab = ImageCms.profileToProfile(
        picture, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert lab is not None
    assert error(only(encode(lab, "TIFF")), np.array(picture.convert("L"))) <= 3


# Transparency.


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
def test_alpha_is_composited_over_black(mode: str, form: str) -> None:
    picture = Image.fromarray(np.full((2, 3), 200, np.uint8)).convert(mode)
    picture.putalpha(Image.fromarray(np.array([[0, 128, 255]] * 2, np.uint8)))
    options = {"lossless": True, "exact": True} if form == "WEBP" else {}
    if (mode, form) == ("LA", "WEBP"):
        picture = picture.convert("RGBA")
    np.testing.assert_allclose(only(encode(picture, form, **options)), [[0, 100, 200]] * 2, atol=1)


@pytest.mark.parametrize("mode", ["La", "RGBa"])
def test_premultiplied_alpha_is_over_black_already(mode: str) -> None:
    straight = Image.fromarray(np.full((2, 3), 200, np.uint8)).convert(mode.upper())
    straight.putalpha(Image.fromarray(np.array([[0, 128, 255]] * 2, np.uint8)))
    np.testing.assert_allclose(only(straight.convert(mode)), [[0, 100, 200]] * 2, atol=1)


@pytest.mark.parametrize("transparency", [1, bytes([255, 0, 255])])
@pytest.mark.parametrize("form", ["PNG", None])
def test_transparent_palette_entries_are_black(transparency: int | bytes, form: str | None) -> None:
    picture = Image.fromarray(np.array([[0, 1, 2]], np.uint8))
    picture.putpalette([10, 10, 10, 250, 250, 250, 90, 90, 90])
    picture.info["transparency"] = transparency
    source = picture if form is None else encode(picture, form, transparency=transparency)
    np.testing.assert_array_equal(only(source), [[10, 0, 90]])


@pytest.mark.parametrize(
    ("picture", "key"),
    [
        (Image.fromarray(np.array([[9, 70, 200]], np.uint8)), 70),
        (Image.fromarray(np.array([[9, 70, 200]], np.uint8)).convert("RGB"), (70, 70, 70)),
        (Image.fromarray(np.array([[9, 70, 200]], np.uint16)), 70),
    ],
)
def test_a_transparent_value_is_black(picture: Image.Image, key: Any) -> None:
    np.testing.assert_array_equal(only(encode(picture, "PNG", transparency=key)), [[9, 0, 200]])


# Depth.


def deep_twins() -> dict[str, tuple[bytes, NDArray[Any]]]:
    """Write the head in every deep format, with the values to be read back."""
    sixteen = Image.fromarray(DEEP)
    swapped = Image.frombuffer(
        "I;16B", (36, 48), DEEP.astype(">u2").tobytes(), "raw", "I;16B", 0, 1
    )
    real = (GREY.astype(np.float32) - 100) / 7
    return {
        "PNG": (encode(sixteen, "PNG"), DEEP),
        "TIFF little": (encode(sixteen, "TIFF"), DEEP),
        "TIFF big": (encode(swapped, "TIFF"), DEEP),
        "TIFF lzw": (encode(sixteen, "TIFF", compression="tiff_lzw"), DEEP),
        "TIFF float": (encode(Image.fromarray(real), "TIFF"), real),
        "TIFF int32": (encode(Image.fromarray(DEEP.astype(np.int32) - 9), "TIFF"), DEEP - 9.0),
        "PGM": (b"P5 36 48 65535\n" + DEEP.astype(">u2").tobytes(), DEEP),
        "PFM": (b"Pf 36 48 -1\n" + real[::-1].astype("<f4").tobytes(), real),
        "JPEG2000": (encode(sixteen, "JPEG2000"), DEEP),
    }


@pytest.mark.parametrize("name", deep_twins())
def test_deep_grey_is_kept(name: str) -> None:
    data, expected = deep_twins()[name]
    (found,) = read_slices(data)
    assert found.pixels.dtype == np.float32
    np.testing.assert_array_equal(found.pixels, expected.astype(np.float32))
    assert found.value_range == pytest.approx((float(expected.min()), float(expected.max())))
    np.testing.assert_allclose(scaled(found.pixels), scaled(GREY), atol=1e-5)


@pytest.mark.parametrize("mode", ["I;16", "I;16L", "I;16B", "I;16N", "I", "F"])
def test_deep_modes_of_pillow(mode: str) -> None:
    kind = {"I": "=i4", "F": "=f4", "I;16B": ">u2", "I;16N": "=u2"}.get(mode, "<u2")
    data = GREY.astype(kind).tobytes()
    picture = Image.frombuffer(mode, (36, 48), data, "raw", mode, 0, 1)
    np.testing.assert_array_equal(only(picture), GREY)


def test_values_that_are_not_finite_become_the_lowest() -> None:
    values = GREY.astype(np.float32)
    values[0, :3] = np.nan, np.inf, -np.inf
    (found,) = read_slices(encode(Image.fromarray(values), "TIFF"))
    np.testing.assert_array_equal(found.pixels, GREY)
    assert found.value_range == (4, float(GREY.max()))


def test_a_picture_without_a_finite_value_is_refused() -> None:
    data = encode(Image.fromarray(np.full((4, 4), np.nan, np.float32)), "TIFF")
    with pytest.raises(UnreadableImageError, match="finite"):
        read_slices(data)


@pytest.mark.parametrize("values", [GREY, DEEP, DEEP.astype(np.float32)])
def test_white_is_zero_is_turned_around(values: NDArray[Any]) -> None:
    # Pillow itself turns eight bits around when it writes this tag.
    negative = values if values is GREY else values.max() - values + values.min()
    pixels = only(encode(Image.fromarray(negative), "TIFF", tiffinfo={262: 0}))
    np.testing.assert_allclose(scaled(pixels), scaled(GREY), atol=1e-5)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("bits", [10, 11, 16])
@pytest.mark.parametrize("form", ["PNG", "PPM"])
def test_sixteen_bit_colour_is_read_without_loss(channels: int, bits: int, form: str) -> None:
    values = DEEP.astype(np.uint16) >> (16 - bits)
    colour = [values] * (channels - 1 if channels in (2, 4) else channels)
    alpha = [np.full_like(values, 65535)] if channels in (2, 4) else []
    stacked = np.dstack([*colour, *alpha]).astype(">u2")
    if form == "PNG":
        rows = b"".join(b"\0" + row.tobytes() for row in stacked)
        data = png(36, 48, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], rows)
    elif channels == 3:
        data = b"P6\n36 48\n65535\n" + stacked.tobytes()
    else:
        return
    (found,) = read_slices(data)
    np.testing.assert_array_equal(found.pixels, values.astype(np.float32))


def test_sixteen_bit_colour_is_weighted_and_laid_over_black() -> None:
    random = np.random.default_rng(5)
    stacked = random.integers(0, 65536, (48, 36, 4)).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in stacked)
    (found,) = read_slices(png(36, 48, 16, 6, rows))
    grey = stacked[..., :3] @ np.array([0.299, 0.587, 0.114]) * (stacked[..., 3] / 65535)
    np.testing.assert_allclose(found.pixels, grey, rtol=1e-6, atol=1e-3)


def test_an_alpha_of_a_bmp_that_was_never_filled_is_none() -> None:
    np.testing.assert_array_equal(only(bmp(GREY, np.zeros_like(GREY))), GREY)
    seen = np.where(GREY > 99, 255, 0).astype(np.uint8)
    np.testing.assert_array_equal(only(bmp(GREY, seen)), np.where(GREY > 99, GREY, 0))


def bmp(grey: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> bytes:
    """Write a BMP of version 5, which can say where its alpha is."""
    body = np.dstack([grey, grey, grey, alpha])[::-1].tobytes()
    height, width = grey.shape
    masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    header = struct.pack(
        "<IiiHHIIiiII4I", 124, width, height, 1, 32, 3, len(body), *[0] * 4, *masks
    )
    start = struct.pack("<2sIHHI", b"BM", 14 + 124 + len(body), 0, 0, 14 + 124)
    return start + header.ljust(124, b"\0") + body


def png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    """Write a PNG by hand."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


# Orientation.

TURNED = {
    1: GREY,
    2: GREY[:, ::-1],
    3: GREY[::-1, ::-1],
    4: GREY[::-1],
    5: GREY.T,
    6: np.rot90(GREY),  # to be turned clockwise, hence stored turned the other way
    7: GREY[::-1, ::-1].T,
    8: np.rot90(GREY, -1),
}


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF", "PNG 16", "TIFF 16", "opened"])
def test_orientation_is_applied(orientation: int, form: str) -> None:
    stored: NDArray[Any] = np.ascontiguousarray(TURNED[orientation])
    exif = Image.Exif()
    exif[274] = orientation
    if form.endswith("16"):
        stored = stored.astype(np.uint16) * 200
    options = LEAST_LOSS.get(form, {})
    name = "PNG" if form == "opened" else form.partition(" ")[0]
    data = encode(Image.fromarray(stored), name, exif=exif, **options)
    pixels = only(Image.open(io.BytesIO(data)) if form == "opened" else data)
    assert pixels.flags.c_contiguous
    scale = 200 if form.endswith("16") else 1
    assert error(pixels / scale) <= (3 if form == "JPEG" else 0)


def test_pillow_agrees_about_orientation() -> None:
    for orientation, stored in TURNED.items():
        picture = Image.fromarray(np.ascontiguousarray(stored))
        picture.info["exif"] = b"Exif\0\0" + exif_block(orientation)
        np.testing.assert_array_equal(only(picture), np.array(ImageOps.exif_transpose(picture)))


def exif_block(orientation: int) -> bytes:
    """Write a TIFF header with the one tag."""
    exif = Image.Exif()
    exif[274] = orientation
    return exif.tobytes().removeprefix(b"Exif\0\0")


def test_the_orientation_tag_of_a_tiff_goes_before_its_xmp() -> None:
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    for tags, expected in [({700: xmp, 274: 1}, GREY), ({700: xmp}, np.rot90(GREY, -1))]:
        pixels = only(encode(Image.fromarray(GREY), "TIFF", tiffinfo=tags))
        assert error(pixels, expected) == 0


BROKEN_EXIF = {
    "garbage": b"Exif\0\0" + b"\xff\x01garbage" * 9,
    "no header": b"",
    "cut off": b"Exif\0\0" + exif_block(6)[:20],
    "huge count": b"Exif\0\0II*\0\x08\0\0\0" + b"\xff\xff" + b"\x12\x01\x03\0\xff\xff\xff\xff" * 3,
}


@pytest.mark.parametrize("name", BROKEN_EXIF)
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("strict", [False, True])
def test_broken_exif_does_not_matter(name: str, form: str, strict: bool) -> None:
    options = LEAST_LOSS.get(form, {})
    data = encode(in_mode("RGB"), form, exif=BROKEN_EXIF[name] or b"Exif\0\0", **options)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("error" if strict else "always")
        pixels = only(data)
    assert told == []
    assert error(pixels) <= 3


# Frames.

FRAMES = [np.roll(GREY, 5 * index, axis=1) for index in range(4)]


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("GIF", {}),
        ("GIF", {"disposal": 2}),
        ("PNG", {}),
        ("PNG", {"disposal": 1}),
        ("PNG", {"disposal": 2, "blend": 1}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
    ],
)
def test_every_frame_is_a_slice(form: str, options: dict[str, Any]) -> None:
    mode = "RGBA" if "disposal" in options and form == "PNG" else "L"
    first, *rest = [Image.fromarray(np.ascontiguousarray(each)).convert(mode) for each in FRAMES]
    found = read_slices(encode(first, form, save_all=True, append_images=rest, **options))
    assert [part.index for part in found] == [0, 1, 2, 3]
    for part, expected in zip(found, FRAMES, strict=True):
        assert error(part.pixels, expected) == 0


def gif(*frames: tuple[int, int, NDArray[np.uint8], int]) -> bytes:
    """Write a GIF of 4 x 2 by hand: column, row, black and white, disposal of each frame."""
    data = b"GIF89a\x04\0\x02\0\x80\0\0\0\0\0\xff\xff\xff"
    for x, y, white, disposal in frames:
        height, width = white.shape
        # LZW that never packs: a clear code (4) before each pixel, and the end code (5).
        codes = [code for pixel in white.flat for code in (4, int(pixel))] + [5]
        bits = sum(code << (3 * place) for place, code in enumerate(codes))
        body = bits.to_bytes(-(-3 * len(codes) // 8), "little")
        data += b"!\xf9\x04" + bytes([disposal << 2, 0, 0, 0, 0])
        data += b"," + struct.pack("<4HB", x, y, width, height, 0)
        data += b"\x02" + bytes([len(body)]) + body + b"\0"
    return data + b";"


@pytest.mark.parametrize(
    ("disposal", "last"),
    [
        (1, [[255, 0, 255, 0], [255, 255, 255, 255]]),  # leave: both corners are black
        (2, [[0, 0, 255, 0], [255, 255, 255, 255]]),  # to the background, black too
        (3, [[255, 255, 255, 0], [255, 255, 255, 255]]),  # as it was before
    ],
)
def test_gif_frames_are_drawn_onto_those_before(disposal: int, last: list[list[int]]) -> None:
    corner = np.zeros((1, 1), np.uint8)
    patch = np.array([[1, 0]], np.uint8)
    data = gif((0, 0, np.ones((2, 4), np.uint8), 1), (0, 0, patch, disposal), (3, 0, corner, 1))
    first, second, third = (part.pixels for part in read_slices(data))
    np.testing.assert_array_equal(first, [[255] * 4] * 2)
    np.testing.assert_array_equal(second, [[255, 0, 255, 255], [255] * 4])
    np.testing.assert_array_equal(third, last)


def test_pages_of_a_tiff_keep_their_sizes_and_depths() -> None:
    pages = [Image.fromarray(GREY), Image.fromarray(head(20, 30)), Image.fromarray(DEEP)]
    found = read_slices(encode(pages[0], "TIFF", save_all=True, append_images=pages[1:]))
    assert [part.pixels.shape for part in found] == [(48, 36), (20, 30), (48, 36)]
    assert error(found[1].pixels, head(20, 30)) == 0
    assert found[0].pixels.dtype == np.uint8
    np.testing.assert_array_equal(found[2].pixels, DEEP)


def test_an_mpo_gives_its_first_picture() -> None:
    first, second = Image.fromarray(GREY), Image.fromarray(GREY[::-1].copy())
    data = encode(first, "MPO", save_all=True, append_images=[second], quality=100)
    (found,) = read_slices(data)
    assert found.origin["format"] == "MPO"
    assert error(found.pixels) <= 3


def test_an_opened_picture_gives_its_current_frame() -> None:
    first, *rest = [Image.fromarray(np.ascontiguousarray(frame)) for frame in FRAMES]
    data = encode(first, "TIFF", save_all=True, append_images=rest)
    with Image.open(io.BytesIO(data)) as picture:
        picture.seek(2)
        assert error(only(picture), FRAMES[2]) == 0
        assert picture.tell() == 2


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "TIFF"])
def test_limits_on_frames_hold(form: str) -> None:
    first, *rest = [Image.fromarray(np.ascontiguousarray(frame)) for frame in FRAMES]
    options = {"lossless": True} if form == "WEBP" else {}
    data = encode(first, form, save_all=True, append_images=rest, **options)
    assert len(read_slices(data, limits=Limits(max_frames=4))) == 4
    with pytest.raises(UnreadableImageError, match="more than 3 pictures"):
        read_slices(data, limits=Limits(max_frames=3))
    with pytest.raises(UnreadableImageError, match="together"):
        read_slices(data, limits=Limits(max_total_pixels=4 * GREY.size - 1))


def test_a_large_second_page_is_refused() -> None:
    data = encode(
        Image.fromarray(GREY), "TIFF", save_all=True, append_images=[Image.fromarray(head(90, 90))]
    )
    with pytest.raises(UnreadableImageError, match="90 x 90"):
        read_slices(data, limits=Limits(max_pixels=8000))


# Pillow pictures.


@pytest.mark.parametrize("mode", [*MODES, "1", "I", "F", "I;16"])
def test_a_pillow_picture_is_left_as_it_was(mode: str) -> None:
    picture = in_mode("L").convert(mode) if mode != "LAB" else in_mode("LAB")
    if mode == "P":
        picture.info["transparency"] = bytes([0] * 9)
    picture.info["exif"] = b"Exif\0\0" + exif_block(6)
    before = [picture.tobytes(), dict(picture.info), picture.getpalette("RGBA")]
    (found,) = read_slices(picture)
    found.pixels[:] = 0
    assert [picture.tobytes(), picture.info, picture.getpalette("RGBA")] == before


def test_a_pillow_picture_stays_open() -> None:
    with Image.open(io.BytesIO(encode(in_mode("RGB"), "PNG"))) as picture:
        first, second = only(picture), only(picture)
        assert picture.getpixel((0, 0)) == (4, 4, 4)
    np.testing.assert_array_equal(first, second)


def test_a_closed_pillow_picture_is_refused() -> None:
    picture = Image.open(io.BytesIO(encode(in_mode("RGB"), "PNG")))
    picture.close()
    with pytest.raises(UnreadableImageError, match="<image>"):
        read_slices(picture)


def test_an_empty_pillow_picture_is_refused() -> None:
    with pytest.raises(UnreadableImageError, match="without pixels"):
        read_slices(Image.new("L", (0, 5)))

"""How a picture that Pillow can decode becomes grey slices.

Grey of 16 bits, 32 bits and floating point is never cut to eight bits, nor is 16-bit
colour in PNG and binary PPM. One exception is Pillow's, which decodes 16-bit colour in
JPEG 2000 and in PPM written as text to eight bits per channel.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

# Image.open loads every plugin there is unless those it is asked for are loaded.
from PIL import (
    Image,
    Jpeg2KImagePlugin,  # noqa: F401
    PcxImagePlugin,  # noqa: F401
    SgiImagePlugin,  # noqa: F401
    TgaImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    WebPImagePlugin,  # noqa: F401
)

from tumorlens.images import wide
from tumorlens.images.decoding import FAILURES, decoding
from tumorlens.images.grey import float_pixels, grey_pixels, luma
from tumorlens.images.limits import Limits
from tumorlens.images.slice import Slice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray


__all__ = ["FORMATS", "frame_slice", "may_hang", "read_picture", "read_raster", "stand_upright"]

#: The formats that are decoded, by Pillow's names; TIFF has a reader of its own. JPEG
#: stands for MPO too: Pillow opens both through the one plugin.
FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "GIF", "PPM", "JPEG2000", "TGA", "SGI", "PCX")

_LARGE = 32 * 2**20  # bytes of a file
_MOST_SCANS = 64  # honest writers make about ten

_MIN_IS_WHITE = 0
_PHOTOMETRIC = 262  # TIFF 6.0, PhotometricInterpretation
_ORIENTATION = 274  # Exif 2.3, section 4.6.4 A

# How to stand a picture upright, by its EXIF orientation.
_UPRIGHT: dict[Any, Callable[[NDArray[Any]], NDArray[Any]]] = {
    2: np.fliplr,
    3: lambda pixels: pixels[::-1, ::-1],
    4: np.flipud,
    5: np.transpose,
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: pixels[::-1, ::-1].T,
    8: np.rot90,
}


def may_hang(data: bytes, kind: str) -> bool:
    """Say whether a picture could keep its decoder busy for long, or is of a risky kind.

    Work is bounded by the pixels, but in JPEG, where each of any number of scans may go over
    all of them.
    """
    if kind == "JPEG2000" or len(data) > _LARGE:
        return True
    return kind == "JPEG" and data.count(b"\xff\xda") > _MOST_SCANS


def read_raster(data: bytes, kind: str, path: str | None, limits: Limits) -> list[Slice]:
    """Decode every frame of an encoded picture.

    The frames of a GIF, an APNG and an animated WebP are slices, each as a viewer would
    show it; an MPO gives its first picture only.

    Parameters
    ----------
    data
        The whole content of the file.
    kind
        One of `FORMATS`; no other decoder is tried.
    path
        The path as it was given, or ``None`` for bytes.
    limits
        What is too large.

    Returns
    -------
    list of Slice
        One per frame, in order.

    Raises
    ------
    UnreadableImageError
        When any frame is damaged, cut off or too large.
    """
    source = "<bytes>" if path is None else path
    with decoding(source, kind):
        stream = io.BytesIO(data)
        with Image.open(stream, formats=(kind,)) as picture:
            if wide.is_wide(picture):
                limits.check_frame(source, picture.size, 0, 0)
                return [_wide_slice(picture, data, path)]
            return [
                frame_slice(picture, path, index)
                for index in _frames(picture, stream, source, limits)
            ]


def read_picture(picture: Image.Image, limits: Limits) -> list[Slice]:
    """Turn the current frame of a Pillow picture into a slice.

    Parameters
    ----------
    picture
        A picture, which is neither changed nor closed.
    limits
        What is too large.

    Returns
    -------
    list of Slice
        One slice.

    Raises
    ------
    UnreadableImageError
        When the picture is empty, closed, damaged or too large.
    """
    source = "<image>"
    limits.check_frame(source, picture.size, 0, 0)
    with decoding(source, picture.format or "Pillow"):
        picture.load()
        return [frame_slice(picture, None, 0)]


def _frames(picture: Image.Image, stream: io.BytesIO, source: str, limits: Limits) -> Iterator[int]:
    """Load one frame after another, none of them before its size is checked.

    The number of frames in a header is not believed, and in a GIF it would have to
    be counted: the frames are walked until they end.
    """
    index = spent = 0
    while True:
        spent = limits.check_frame(source, picture.size, index, spent)
        picture.load()
        yield index
        index += 1
        if picture.format == "MPO":
            return  # the others are thumbnails, or the other eye's view
        try:
            picture.seek(index)
        except EOFError:
            _check_complete(picture, stream, index)
            return


def _check_complete(picture: Image.Image, stream: io.BytesIO, count: int) -> None:
    """Refuse a file that ends before its last frame."""
    if picture.format == "GIF":
        # Pillow has read up to the end mark, or past the end in search of it.
        complete = stream.getbuffer()[stream.tell() - 1] == ord(";")
    else:
        complete = getattr(picture, "n_frames", 1) <= count
    if not complete:
        raise EOFError(f"image file is truncated after frame {count - 1}")


def frame_slice(picture: Image.Image, path: str | None, index: int) -> Slice:
    """Make a slice of the frame of a picture that is loaded."""
    pixels: NDArray[Any]
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        pixels, value_range = _deep_pixels(picture)
    else:
        pixels, value_range = grey_pixels(_without_empty_alpha(picture)), (0.0, 255.0)
    return Slice(
        pixels=stand_upright(pixels, _orientation(picture)),
        value_range=value_range,
        path=path,
        index=index,
        origin={"format": picture.format or "Pillow", "mode": picture.mode},
    )


def stand_upright(pixels: NDArray[Any], orientation: object) -> NDArray[Any]:
    """Turn and mirror a picture as its EXIF orientation, from 1 to 8, asks for."""
    return np.ascontiguousarray(_UPRIGHT.get(orientation, np.asarray)(pixels))


def _wide_slice(picture: Image.Image, data: bytes, path: str | None) -> Slice:
    """Make a slice of a picture in 16-bit colour."""
    values = wide.read_wide(picture, data)
    pixels, value_range = float_pixels(luma(values))
    origin = {"format": str(picture.format), "mode": f"{values.shape[2]} x uint16"}
    return Slice(
        stand_upright(pixels, _orientation(picture)), value_range, path=path, origin=origin
    )


def _without_empty_alpha(picture: Image.Image) -> Image.Image:
    """Take no notice of an alpha that was never filled: many programs write such BMPs."""
    if picture.format != "BMP" or picture.mode != "RGBA":
        return picture
    unused = picture.getchannel("A").getextrema() == (0, 0)
    return picture.convert("RGB") if unused else picture


def _deep_pixels(picture: Image.Image) -> tuple[NDArray[np.float32], tuple[float, float]]:
    """Take the values of a grey picture deeper than eight bits."""
    values = np.array(picture)
    if isinstance(clear := picture.info.get("transparency"), int):
        values[values == clear] = 0  # PNG makes one grey value transparent
    pixels, value_range = float_pixels(values)
    # Pillow heeds this tag in grey of eight bits and fewer, not in deeper ones.
    if getattr(picture, "tag_v2", {}).get(_PHOTOMETRIC) == _MIN_IS_WHITE:
        pixels = np.float32(value_range[1]) - pixels + np.float32(value_range[0])
    return pixels, value_range


def _orientation(picture: Image.Image) -> object:
    """Look up how the picture was turned; 1, upright, where that is not known.

    The look-up is made on a bare copy: it would leave its result in `picture`,
    which may be a caller's.
    """
    if hasattr(picture, "tag_v2"):
        return 1  # Pillow turns a TIFF as it loads it
    bare = Image.new("1", (1, 1))
    bare.info = dict(picture.info)
    try:
        return bare.getexif().get(_ORIENTATION, 1)
    except FAILURES:
        return 1  # a broken EXIF block does not make a good picture unreadable

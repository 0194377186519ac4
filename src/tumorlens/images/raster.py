"""How a picture that Pillow can decode becomes grey slices.

Colour becomes grey by ITU-R BT.601 luma, and what is transparent shows black.
Eight bits stay eight bits; grey of 16 bits, 32 bits and floating point becomes
float32, never cut to eight. Two exceptions are Pillow's, which decodes 16-bit
colour, and 16-bit grey with alpha, to eight bits per channel.
"""

from __future__ import annotations

import io
import struct
import threading
import warnings
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

# Image.open loads every plugin there is unless those it is asked for are loaded.
from PIL import (
    Image,
    ImageCms,
    Jpeg2KImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    UnidentifiedImageError,
    WebPImagePlugin,  # noqa: F401
)

from tumorlens.errors import UnreadableImageError
from tumorlens.images.limits import Limits
from tumorlens.images.slice import Slice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray


__all__ = ["FORMATS", "float_pixels", "grey_pixels", "read_picture", "read_raster"]

#: The formats that are decoded, by Pillow's names. JPEG stands for MPO too:
#: Pillow opens both through the one plugin.
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF", "PPM", "JPEG2000")

# Pillow promises OSError for a damaged file and does not keep the promise: its
# plugins index, unpack, look up and assert their way through what the file says,
# so that hostile bytes surface as any of these. Anything else is a defect of ours
# and should be seen. Image.DecompressionBombWarning is here for callers whose
# filters turn it into an error; other warnings are not, for the same reason.
_PILLOW_FAILURES = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,  # IndexError, KeyError
    ArithmeticError,  # OverflowError, ZeroDivisionError
    AssertionError,
    EOFError,
    MemoryError,
    RuntimeError,  # RecursionError, NotImplementedError
    SystemError,  # a decoder in C that fails without saying why
    ImportError,  # a Pillow built without the library that a picture needs
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
    ImageCms.PyCMSError,
)

_FLOAT32_MAX = float(np.finfo(np.float32).max)
# Float32 must tell at least this many grey values apart between black and white.
_MIN_GREYS = 4096

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

# Pillow warns of harmless damage (a cut-off EXIF block, an odd TIFF tag) and of
# large pictures, which `Limits` judges instead. Its warnings are muted while it
# works, and nobody else's. The filters belong to the process, hence the lock: two
# readers that mute at once could otherwise restore each other's filters. (What libtiff
# itself writes to stderr about a damaged TIFF is beyond the reach of Python.)
_quiet_lock = threading.Lock()


def read_raster(data: bytes, kind: str, path: str | None, limits: Limits) -> list[Slice]:
    """Decode every frame of an encoded picture.

    The frames of a GIF, an APNG, an animated WebP and a TIFF of several pages are
    slices, each as a viewer would show it; an MPO gives its first picture only.

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
    with _decoding(source, kind):
        stream = io.BytesIO(data)
        with Image.open(stream, formats=(kind,)) as picture:
            return [
                _slice(picture, path, index) for index in _frames(picture, stream, source, limits)
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
    with _decoding(source, picture.format or "Pillow"):
        picture.load()
        return [_slice(picture, None, 0)]


def grey_pixels(picture: Image.Image) -> NDArray[np.uint8]:
    """Reduce a picture of eight bits per channel to grey, over black.

    Parameters
    ----------
    picture
        A picture of any mode but ``I``, ``I;16*`` and ``F``.

    Returns
    -------
    ndarray
        A new array of shape ``(height, width)``, uint8.
    """
    opaque = _over_black(picture)
    if opaque.mode in ("CMYK", "HSV", "LAB"):
        opaque = opaque.convert("RGB")  # LAB by way of its colour profile
    return np.array(opaque.convert("L"), dtype=np.uint8)


def float_pixels(
    values: NDArray[Any], hidden: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.float32], tuple[float, float]]:
    """Hold real values in float32, with black and white where they lie.

    Values are kept as they are, unless float32 cannot hold them or cannot tell
    them apart; then they are spread from 0 to 1. (64-bit integers beyond 2**24 are
    first counted from the lowest.) What is not finite, or is hidden, becomes the
    lowest value of the rest.

    Parameters
    ----------
    values
        Real numbers, shape ``(height, width)``, any byte order.
    hidden
        Which of them to leave out, same shape.

    Returns
    -------
    pixels
        A new array of the same shape, float32, all finite.
    value_range
        The lowest and the highest of them.

    Raises
    ------
    ValueError
        When no value is finite.
    """
    wide = _float64(values)
    known = np.isfinite(wide)
    if hidden is not None:
        known &= ~hidden
    if not known.any():
        raise ValueError("not one of its values is finite")
    lowest = float(wide.min(where=known, initial=np.inf))
    highest = float(wide.max(where=known, initial=-np.inf))
    wide = np.where(known, wide, lowest)
    if not _fits_float32(lowest, highest, exact=_is_exact(values.dtype)):
        wide = _spread(wide, lowest, highest)
    pixels = wide.astype(np.float32)
    return pixels, (float(pixels.min()), float(pixels.max()))


@contextmanager
def _decoding(source: str, kind: str) -> Iterator[None]:
    """Mute Pillow's warnings, and turn its failures into ours."""
    try:
        with _quiet_lock, warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"PIL\.")
            yield
    except _PILLOW_FAILURES as exc:
        found = f"a {kind} picture that cannot be decoded ({_reason(exc)})"
        hint = "open it in an image viewer and save it again as PNG, or export it anew"
        if isinstance(exc, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
            hint = "export it smaller"
        raise UnreadableImageError(source, found, hint) from exc


def _reason(exc: BaseException) -> str:
    """Say in a few words what Pillow found."""
    if isinstance(exc, UnidentifiedImageError):
        return "its header is damaged"  # Pillow names the buffer in memory instead
    if isinstance(exc, MemoryError):
        return "there is not enough memory"
    return " ".join(str(exc).split()) or type(exc).__name__


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


def _slice(picture: Image.Image, path: str | None, index: int) -> Slice:
    """Make a slice of the frame that is loaded."""
    pixels: NDArray[Any]
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        pixels, value_range = _deep_pixels(picture)
    else:
        pixels, value_range = grey_pixels(picture), (0.0, 255.0)
    upright = _UPRIGHT.get(_orientation(picture), np.asarray)
    return Slice(
        pixels=np.ascontiguousarray(upright(pixels)),
        value_range=value_range,
        path=path,
        index=index,
        origin={"format": picture.format or "Pillow", "mode": picture.mode},
    )


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
    except _PILLOW_FAILURES:
        return 1  # a broken EXIF block does not make a good picture unreadable


def _over_black(picture: Image.Image) -> Image.Image:
    """Composite a picture with transparency over black; leave others alone."""
    mode = picture.mode
    if mode in ("P", "PA"):
        # Converting writes the transparency into the palette: use up a copy.
        mode = "RGBA" if picture.has_transparency_data else "RGB"
        picture = picture.copy().convert(mode)
    elif "transparency" in picture.info and mode in ("1", "L", "RGB"):
        picture = picture.convert("RGBA")
    if picture.mode in ("LA", "RGBA"):
        picture = picture.convert({"LA": "La", "RGBA": "RGBa"}[picture.mode])
    if picture.mode == "La":  # colour times alpha, which is the colour over black
        return picture.getchannel(0)
    if picture.mode == "RGBa":
        return Image.merge("RGB", picture.split()[:3])
    return picture


def _float64(values: NDArray[Any]) -> NDArray[np.float64]:
    """Widen to float64, without loss of contrast."""
    if values.dtype.kind in "iu" and values.dtype.itemsize == 8:
        lowest, highest = int(values.min()), int(values.max())
        if max(-lowest, highest) > 2**24:
            # Unsigned arithmetic wraps around, so this is exact for every pair.
            values = values.astype(np.uint64) - np.uint64(lowest % 2**64)
    with np.errstate(over="ignore"):  # of a long double; then it is not finite
        return values.astype(np.float64)


def _is_exact(dtype: np.dtype[Any]) -> bool:
    """Say whether float32 holds every value of a type."""
    return np.can_cast(dtype, np.float32)


def _fits_float32(lowest: float, highest: float, *, exact: bool) -> bool:
    """Say whether float32 holds a range and tells the values in it apart."""
    peak, span = max(-lowest, highest), highest - lowest
    if max(peak, span) > _FLOAT32_MAX:
        return False
    if exact or span == 0:
        return True
    return float(np.spacing(np.float32(peak))) * _MIN_GREYS <= span


def _spread(wide: NDArray[np.float64], lowest: float, highest: float) -> NDArray[np.float64]:
    """Map a range to 0..1; by halves, because the span itself may overflow."""
    if lowest == highest:
        return np.zeros_like(wide)
    return (wide / 2 - lowest / 2) / (highest / 2 - lowest / 2)

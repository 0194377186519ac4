"""What is this source, and is it small enough? Its reader does the rest.

A file is what its content says, never what its name says.
"""

from __future__ import annotations

import codecs
import os
import re
import stat
import zlib
from dataclasses import dataclass, fields
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from tumorlens.errors import UnreadableImageError
from tumorlens.images import raster
from tumorlens.images.slice import Slice

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["Limits", "read_slices"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What is too large to read. Raise a limit only for sources that you trust.

    Parameters
    ----------
    max_bytes
        Bytes of a file.
    max_pixels
        Pixels of one picture. Pillow's own limit, twice `PIL.Image.MAX_IMAGE_PIXELS`,
        holds as well.
    max_frames
        Pictures of one source.
    max_total_pixels
        Pixels of all pictures of one source.

    Raises
    ------
    ValueError
        When a limit is below 1.
    """

    max_bytes: int = 256 * 2**20
    max_pixels: int = 64_000_000
    max_frames: int = 2048
    max_total_pixels: int = 256_000_000

    def __post_init__(self) -> None:
        for limit in fields(self):
            if getattr(self, limit.name) < 1:
                raise ValueError(f"`{limit.name}` must be at least 1")

    def check_bytes(self, source: str, count: int) -> None:
        """Raise `UnreadableImageError` for a file of `count` bytes that is too large."""
        if count > self.max_bytes:
            found = f"more than {self.max_bytes:,} bytes"
            raise self._too_large(source, found, "max_bytes")

    def check_frame(self, source: str, size: tuple[int, int], index: int, spent: int) -> int:
        """Check the next picture of a source, before it is decoded.

        Parameters
        ----------
        source
            Which file, for the error.
        size
            Width and height of the picture.
        index
            Which picture of the source it is, from 0.
        spent
            Pixels of the pictures before it.

        Returns
        -------
        int
            Pixels of all pictures so far, to be handed in as `spent` next time.

        Raises
        ------
        UnreadableImageError
            When the picture is empty, or goes beyond a limit.
        """
        width, height = size
        if width < 1 or height < 1:
            found = f"a picture without pixels ({width} x {height})"
            raise UnreadableImageError(source, found, _GIVE_A_PICTURE)
        if index >= self.max_frames:
            found = f"more than {self.max_frames:,} pictures"
            raise self._too_large(source, found, "max_frames")
        if width * height > self.max_pixels:
            found = f"a picture of {width} x {height}, more than {self.max_pixels:,} pixels"
            raise self._too_large(source, found, "max_pixels")
        if spent + width * height > self.max_total_pixels:
            found = f"pictures of more than {self.max_total_pixels:,} pixels together"
            raise self._too_large(source, found, "max_total_pixels")
        return spent + width * height

    def _too_large(self, source: str, found: str, limit: str) -> UnreadableImageError:
        hint = f"export it smaller, or raise `Limits.{limit}` if you trust it"
        return UnreadableImageError(source, found, hint)


_DEFAULT_LIMITS = Limits()

_ARRAY = "<array>"
_GIVE_A_PICTURE = "give a picture, such as PNG, JPEG or TIFF"

_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as in Pillow

# Which reader reads what: content, kind, path (None for bytes), limits -> slices.
# None marks a kind that is known, and whose reader is still to be plugged in here.
_READERS: dict[str, Callable[[bytes, str, str | None, Limits], list[Slice]] | None] = {
    **dict.fromkeys(raster.FORMATS, raster.read_raster),
    "DICOM": None,
    "NIfTI": None,
}


def read_slices(
    source: str | os.PathLike[str] | bytes | Image.Image | NDArray[Any],
    *,
    limits: Limits = _DEFAULT_LIMITS,
) -> list[Slice]:
    """Read a picture from wherever it is.

    Parameters
    ----------
    source
        One of:

        - a path to a file;
        - the content of a file, as bytes;
        - a Pillow picture: its current frame, which is neither changed nor closed;
        - an array of real numbers, which is copied. ``(height, width)`` is one grey
          picture, and so is ``(height, width, 1)``. ``(height, width, 3)`` and
          ``(height, width, 4)`` are one picture in colour, without and with alpha.
          Any other ``(n, height, width)`` is `n` grey pictures. Of three axes the
          last one decides: give slices 1, 3 or 4 pixels wide one at a time. Alpha
          runs to 255 in uint8, to 65535 in uint16, and to 1 in floating point.
    limits
        What is too large.

    Returns
    -------
    list of Slice
        One per picture, at least one. Eight bits (and true/false, as 255 and 0)
        are uint8 with the range ``(0, 255)``. All else is float32, with the lowest
        and the highest value of each picture as its range. What is masked or not
        finite becomes the lowest value.

    Raises
    ------
    UnreadableImageError
        When the source is missing, not a picture, damaged or too large. Either
        every picture of a source is read, or none.
    TypeError
        When `source` is no source at all.
    """
    if isinstance(source, Image.Image):
        return raster.read_picture(source, limits)
    if isinstance(source, np.ndarray):
        return _read_array(source, limits)
    if isinstance(source, bytes):
        limits.check_bytes("<bytes>", len(source))
        return _read_content(source, None, limits)
    if isinstance(source, (str, os.PathLike)):
        path = os.fsdecode(source)
        if not path:
            raise UnreadableImageError("''", "an empty path", "name a file")
        return _read_content(_load(path, limits), path, limits)
    raise TypeError(
        "`source` must be a path, bytes, a Pillow picture or a NumPy array, "
        f"got {type(source).__name__}"
    )


def _read_array(array: NDArray[Any], limits: Limits) -> list[Slice]:
    """Take the pictures out of an array."""
    planes, spent = _planes(array), 0
    for index, (height, width, *_) in enumerate(repeat(planes.shape[1:], len(planes))):
        spent = limits.check_frame(_ARRAY, (width, height), index, spent)
    try:
        return [_plane_slice(plane, index) for index, plane in enumerate(planes)]
    except ValueError as exc:
        found = f"a picture that holds nothing ({exc})"
        raise UnreadableImageError(_ARRAY, found, "give an array with values") from exc


def _planes(array: NDArray[Any]) -> NDArray[Any]:
    """Put the pictures on the first axis: shape ``(n, height, width[, channels])``."""
    kind = array.dtype.kind
    if kind not in "biuf":
        hint = "give integers, floating point or true/false"
        raise UnreadableImageError(_ARRAY, f"values of type {array.dtype}", hint)
    if array.ndim not in (2, 3) or len(array) == 0:
        hint = "give shape (height, width), (height, width, 3 or 4) or (n, height, width)"
        raise UnreadableImageError(_ARRAY, f"an array of shape {array.shape}", hint)
    if array.ndim == 2:
        return array[np.newaxis]
    if array.shape[2] == 4 and kind in "iu" and array.dtype.name not in ("uint8", "uint16"):
        hint = "give uint8, uint16 or floating point, or no alpha"
        raise UnreadableImageError(_ARRAY, f"alpha of type {array.dtype}", hint)
    if array.shape[2] == 1:
        return array[np.newaxis, :, :, 0]
    return array[np.newaxis] if array.shape[2] in (3, 4) else array


def _plane_slice(plane: NDArray[Any], index: int) -> Slice:
    """Make a slice of one picture of an array."""
    hidden: NDArray[np.bool_] = np.ma.getmaskarray(plane)
    values = np.asarray(np.ma.getdata(plane))
    if values.dtype == np.bool_:
        values = values * np.uint8(255)
    if values.ndim == 3:
        values, hidden = _luma(values), np.logical_or.reduce(hidden, axis=2)
    pixels, value_range = _plane_pixels(values, hidden)
    origin = {"format": "array", "mode": plane.dtype.name}
    return Slice(pixels, value_range, index=index, origin=origin)


def _plane_pixels(
    values: NDArray[Any], hidden: NDArray[np.bool_]
) -> tuple[NDArray[Any], tuple[float, float]]:
    """Copy grey values, with the hidden ones at the lowest of the others."""
    if values.dtype != np.uint8:
        return raster.float_pixels(values, hidden)
    if hidden.all():
        raise ValueError("all of it is masked")
    return np.where(hidden, values.min(where=~hidden, initial=255), values), (0.0, 255.0)


def _luma(values: NDArray[Any]) -> NDArray[Any]:
    """Reduce colour to grey, over black."""
    if values.dtype == np.uint8:
        picture = Image.fromarray(np.ascontiguousarray(values))
        return raster.grey_pixels(picture)  # to the very bit as in a file
    wide = values.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):  # infinities, dealt with later
        grey: NDArray[Any] = wide[..., :3] @ _LUMA
        if wide.shape[2] == 4:
            full = np.iinfo(values.dtype).max if values.dtype.kind == "u" else 1
            grey *= np.clip(wide[..., 3] / full, 0, 1)
    return grey


def _load(path: str, limits: Limits) -> bytes:
    """Read a regular file, and not a byte more than is allowed."""
    try:
        # Looked at before it is opened: to open a pipe is to wait for its writer.
        status = Path(path).stat()
        _check_regular(path, status.st_mode)
        limits.check_bytes(path, status.st_size)
        with Path(path).open("rb") as file:
            # Not the limit at once: that much memory would be set aside for the smallest file.
            data = file.read(status.st_size + 1)
            if len(data) > status.st_size:  # it grows
                data += file.read(limits.max_bytes + 1 - len(data))
    except FileNotFoundError as exc:
        raise UnreadableImageError(path, "no such file", "check the path") from exc
    except PermissionError as exc:
        found, hint = "permission to read it is denied", "ask its owner for access"
        raise UnreadableImageError(path, found, hint) from exc
    except (OSError, ValueError, MemoryError) as exc:  # ValueError: a NUL in the name
        found = f"it cannot be opened ({exc})"
        raise UnreadableImageError(path, found, "check the path") from exc
    limits.check_bytes(path, len(data))  # it may have grown since
    return data


def _check_regular(path: str, mode: int) -> None:
    """Refuse what is not a file."""
    if stat.S_ISREG(mode):
        return
    if stat.S_ISDIR(mode):
        raise UnreadableImageError(path, "a folder", "give the path of a file in it")
    names = {stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}
    found = names.get(stat.S_IFMT(mode), "a device")
    raise UnreadableImageError(path, found, "give the path of a file")


def _read_content(data: bytes, path: str | None, limits: Limits) -> list[Slice]:
    """Hand the content of a file on to the reader of its kind."""
    source = "<bytes>" if path is None else path
    if not data:
        hint = "it may not have been copied whole; fetch it again"
        raise UnreadableImageError(source, "an empty file", hint)
    kind = _kind(data)
    if kind is None:
        raise UnreadableImageError(source, _foreign(data), _GIVE_A_PICTURE)
    reader = _READERS[kind]
    if reader is None:
        found = f"a {kind} file, which this version does not read yet"
        raise UnreadableImageError(source, found, "export the slice as PNG or TIFF")
    return reader(data, kind, path, limits)


# How the kinds that have a reader begin.
_PICTURES = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "PNG"),
    (re.compile(rb"\xff\xd8\xff"), "JPEG"),
    # The two bytes after the byte order are swapped by some writers. 43 is BigTIFF.
    (re.compile(rb"II[*+]\0|MM\0[*+]|II\0\*|MM\*\0"), "TIFF"),
    # Two letters are too few to go by: look at the size of the header as well.
    (re.compile(rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", re.DOTALL), "BMP"),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), "WEBP"),
    (re.compile(rb"GIF8[79]a"), "GIF"),
    (re.compile(rb"P[1-6f]\s+[\d#]"), "PPM"),
    (re.compile(rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"), "JPEG2000"),
)

# How others begin that people take for pictures, or get instead of one.
_FOREIGN = (
    (re.compile(rb".{4}ftypavi[fs]", re.DOTALL), "an AVIF picture"),
    (re.compile(rb".{4}ftyp(?:he[iv]|mif1|msf1)", re.DOTALL), "an HEIC picture"),
    (re.compile(rb".{4}ftyp", re.DOTALL), "an MP4 video, or a relative of it"),
    (re.compile(rb"\xff\x0a|\0\0\0\x0cJXL "), "a JPEG XL picture"),
    (re.compile(rb"8BPS"), "a Photoshop picture"),
    (re.compile(rb"\0\0\x01\0"), "an icon"),
    (re.compile(rb"P7\s"), "a PAM picture"),
    (re.compile(rb"%PDF-|%!PS"), "a PDF or PostScript document"),
    (re.compile(rb"PK(?:\x03\x04|\x05\x06|\x07\x08)"), "a ZIP archive"),
    (re.compile(rb"\x1f\x8b|BZh\d1AY|\xfd7zXZ\0"), "a file compressed by gzip, bzip2 or xz"),
    (re.compile(rb"7z\xbc\xaf\x27\x1c|Rar!\x1a\x07"), "a 7z or RAR archive"),
    (re.compile(rb"\x89HDF\r\n\x1a\n|MATLAB \d"), "an HDF5 or MATLAB file"),
    (re.compile(rb"\x93NUMPY|NRRD\d"), "a saved array (NumPy or NRRD)"),
    (re.compile(rb"version https://git-lfs"), "a Git LFS pointer, not the file itself"),
)

# How text begins, in lower case, after white space.
_TEXTS = (
    (re.compile(r"<!doctype html|<html"), "a web page (HTML)"),
    (re.compile(r"(?s)<.*<svg|<svg"), "an SVG drawing"),
    (re.compile(r"<\?xml"), "an XML document"),
    (re.compile(r""), "plain text"),
)

_HEAD = 1024  # bytes; enough for every sign that is looked for


def _kind(data: bytes) -> str | None:
    """Say which of the kinds in `_READERS` this is, if any."""
    # Before the pictures: a DICOM file may begin as a TIFF to please old viewers.
    if data[128:132] == b"DICM":
        return "DICOM"
    if _is_nifti(data[:_HEAD]) or _is_nifti(_gunzip_head(data)):
        return "NIfTI"
    return next((kind for sign, kind in _PICTURES if sign.match(data)), None)


def _is_nifti(head: bytes) -> bool:
    """Look for the header of NIfTI-1 or NIfTI-2: its size, then its magic."""
    sizes = {int.from_bytes(head[:4], order) for order in ("little", "big")}
    if 348 in sizes:
        return head[344:348] in (b"n+1\0", b"ni1\0")
    return 540 in sizes and head[4:8] in (b"n+2\0", b"ni2\0")


def _gunzip_head(data: bytes) -> bytes:
    """Unpack the first bytes of a gzip file; of a bomb, no more than that."""
    if not data.startswith(b"\x1f\x8b"):
        return b""
    try:
        return zlib.decompressobj(wbits=31).decompress(data[: 64 * _HEAD], _HEAD)
    except zlib.error:
        return b""


def _foreign(data: bytes) -> str:
    """Say what a file is that no reader reads."""
    head = data[:_HEAD]
    for sign, name in _FOREIGN:
        if sign.match(head):
            return name
    if (text := _text(head)) is not None:
        return next(name for sign, name in _TEXTS if sign.match(text))
    return f"a file of an unknown kind that begins with {head[:8].hex(' ')}"


def _text(head: bytes) -> str | None:
    """Decode the beginning of a text, in lower case; None when it is not text."""
    encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        # Incremental: the last character may be cut in two.
        text = codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        return None
    if not all(char.isprintable() or char in "\t\r\n\f" for char in text):
        return None
    return text.strip().lower()

"""How a TIFF becomes slices: by tifffile, and by Pillow where both read the same values.

Pillow wraps signed bytes and large unsigned integers, swaps no bytes of compressed
big-endian values, cuts 16-bit colour to eight bits, and calls whatever else it does not know
a damaged header. So what a page holds is read from its tags first. Pillow decodes what it is
known to decode rightly, tifffile decodes the rest, and what neither does is refused by name.
"""

from __future__ import annotations

import io
import logging
import lzma
import math
import struct
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image, UnidentifiedImageError

from tumorlens.errors import UnreadableImageError
from tumorlens.extras import installed
from tumorlens.images.decoding import decoding
from tumorlens.images.grey import float_pixels, luma
from tumorlens.images.limits import Limits
from tumorlens.images.raster import frame_slice, stand_upright
from tumorlens.images.slice import Slice
from tumorlens.images.tiff_stack import count_behind, read_behind

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from tifffile import TiffFile, TiffPage

__all__ = ["read_tiff"]

# TIFF 6.0, tags and their values.
_SUBFILE_TYPE, _OLD_SUBFILE_TYPE, _ORIENTATION = 254, 255, 274
_REDUCED, _MASK = 1, 4  # bits of NewSubfileType; 2, "a page of several", is a slice
_OLD_REDUCED: Final = 2
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2
_UNASSOCIATED_ALPHA: Final = 2

_DEFLATE, _LZMA = (8, 32946), 34925
_PILLOW_DECODES = frozenset({1, 2, 3, 4, 5, 7, *_DEFLATE, 32773, _LZMA, 50000})
_PICTURES_INSIDE: Final = {  # compressions whose data is a picture of its own
    **dict.fromkeys((33003, 33004, 33005, 34712), "JPEG2000"),
    34933: "PNG",
    **dict.fromkeys((34927, 50001), "WEBP"),
}
_TIFFFILE_DECODES = frozenset({1, 5, *_DEFLATE, 32773, _LZMA, 34926, 50000, *_PICTURES_INSIDE})
_LEAST_ROOM: Final = 2**16  # bytes: data may be longer than needed by that

# It tells its log of whatever is odd in a file. Whoever sets up logging still hears it.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

_AS_PNG: Final = "save it as grey PNG or as TIFF of 8, 16 or 32 bits"
_GET_EXTRA: Final = "pip install 'tumorlens[tiff]', or save it without compression"


def read_tiff(data: bytes, kind: str, path: str | None, limits: Limits) -> list[Slice]:
    """Decode the pages of a TIFF.

    Thumbnails and masks that a page's NewSubfileType names as such are no slices.

    Parameters
    ----------
    data
        The whole content of the file.
    kind
        ``"TIFF"``.
    path
        The path as it was given, or ``None`` for bytes.
    limits
        What is too large.

    Returns
    -------
    list of Slice
        One per page, in order.

    Raises
    ------
    UnreadableImageError
        When any page is damaged, cut off, too large, or of a kind that is not read, or when its
        decoder hangs or crashes.
    """
    from tifffile import TiffFile  # noqa: PLC0415  # only once there is a TIFF to read

    source = "<bytes>" if path is None else path
    with decoding(source, kind), _telling_as_value_error():
        data = _with_known_header(data)
        with TiffFile(io.BytesIO(data)) as file:
            pages = list(_pages(file, data, source, limits))
            if limits.seconds is not None and any(_may_hang(page) for _, page in pages):
                from tumorlens.images.apart import read_apart  # noqa: PLC0415  # starts a process

                if (found := read_apart(data, kind, path, limits)) is not None:
                    return found
            if (count := count_behind(file, data)) > 1:
                page, values = pages[0][1], read_behind(file, data, count, source, limits)
                return [_slice(page, each, path, index) for index, each in enumerate(values)]
            pillow = _open_by_pillow(data) if any(_is_plain(page) for _, page in pages) else None
            return [
                _by_pillow(pillow, number, path, index)
                if pillow is not None and _is_plain(page)
                else _by_tifffile(page, data, source, path, index)
                for index, (number, page) in enumerate(pages)
            ]


@contextmanager
def _telling_as_value_error() -> Iterator[None]:
    """Turn tifffile's own error into what decoders raise; once it was an error of no kind."""
    from tifffile import TiffFileError  # noqa: PLC0415

    try:
        yield
    except TiffFileError as exc:
        raise ValueError(str(exc)) from exc


def _with_known_header(data: bytes) -> bytes:
    """Put the two bytes after the byte order right, which some writers swap."""
    version = {b"II\0*": b"II*\0", b"MM*\0": b"MM\0*"}.get(data[:4])
    return data if version is None else version + data[4:]


def _pages(
    file: TiffFile, data: bytes, source: str, limits: Limits
) -> Iterator[tuple[int, TiffPage]]:
    """Walk the pages that are slices, none of them before its size is checked."""
    passed: list[tuple[int, TiffPage]] = []
    found = number = spent = after = 0
    seen: set[int] = set()
    while True:
        try:
            page: Any = file.pages[number]
        except IndexError:
            break
        if page.offset in seen:
            break  # the pages go round
        seen.add(page.offset)
        after = _offset_after(file, data, page)
        spent = limits.check_frame(source, (page.imagewidth, page.imagelength), number, spent)
        if _is_slice(page):
            found += 1
            yield number, page
        else:
            passed.append((number, page))
        number += 1
    if not number:
        raise ValueError("it holds no picture")
    if after and after not in seen:  # tifffile passes over a page that is not there
        raise EOFError(f"image file is truncated after page {number - 1}")
    if not found:
        yield from passed[:1]  # better than nothing


def _offset_after(file: TiffFile, data: bytes, page: TiffPage) -> int:
    """Look up where the next page begins; 0 after the last one."""
    how = file.tiff
    (tags,) = struct.unpack_from(how.tagnoformat, data, page.offset)
    at = page.offset + how.tagnosize + tags * how.tagsize
    return int(struct.unpack_from(how.offsetformat, data, at)[0])


def _is_slice(page: TiffPage) -> bool:
    kind = page.tags.valueof(_SUBFILE_TYPE, 0)
    old = page.tags.valueof(_OLD_SUBFILE_TYPE, 0)
    return not int(kind) & (_REDUCED | _MASK) and int(old) != _OLD_REDUCED


def _is_plain(page: TiffPage) -> bool:
    """Say whether Pillow is known to decode the very values of a page."""
    if page.compression not in _PILLOW_DECODES or page.dtype is None or page.imagedepth != 1:
        return False
    if page.dtype in (np.bool_, np.uint8):
        return True
    native = page.parent.byteorder == {"little": "<", "big": ">"}[sys.byteorder]
    return (
        page.photometric == _BLACK_IS_ZERO
        and page.samplesperpixel == 1
        and page.bitspersample == page.dtype.itemsize * 8
        and (page.dtype == np.uint16 or (page.dtype.name in ("int16", "int32", "float32")))
        and (native or page.dtype == np.uint16)
    )


def _may_hang(page: TiffPage) -> bool:
    """Say whether a decoder is needed that is not one of the few plain ones."""
    if page.compression == 1:
        return False
    return page.compression not in (5, *_DEFLATE, 32773) or not _is_plain(page)


def _open_by_pillow(data: bytes) -> Image.Image | None:
    try:
        return Image.open(io.BytesIO(data), formats=("TIFF",))
    except UnidentifiedImageError:
        return None  # its first page is of a kind that Pillow does not know


def _by_pillow(picture: Image.Image, number: int, path: str | None, index: int) -> Slice:
    picture.seek(number)
    picture.load()
    return frame_slice(picture, path, index)


def _by_tifffile(page: TiffPage, data: bytes, source: str, path: str | None, index: int) -> Slice:
    """Make a slice of a page by tifffile."""
    _check_kind(page, source)
    _check_data(page, data)
    return _slice(page, page.asarray(squeeze=False, maxworkers=1), path, index)


def _slice(page: TiffPage, stored: NDArray[Any], path: str | None, index: int) -> Slice:
    """Make a slice of the values of a page, ``(planes, depth, height, width, samples)``."""
    values = stored[:, 0]
    values = np.moveaxis(values[..., 0], 0, -1) if len(values) > 1 else values[0]
    if values.dtype == np.bool_:
        values = values * np.uint8(255)
    colours = 3 if page.photometric == _RGB else 1
    if values.shape[2] > colours and page.extrasamples[0] != _UNASSOCIATED_ALPHA:
        values = values[..., :colours]  # alpha that colour is multiplied with, or none
    grey = luma(values)
    if grey.dtype == np.uint8:
        value_range = 0.0, 255.0
    else:
        grey, value_range = float_pixels(grey)
    if page.photometric == _WHITE_IS_ZERO:
        grey = np.asarray(sum(value_range) - grey, dtype=grey.dtype)
    return Slice(
        stand_upright(grey, page.tags.valueof(_ORIENTATION, 1)),
        value_range,
        path=path,
        index=index,
        origin={"format": "TIFF", "mode": f"{page.samplesperpixel} x {page.dtype}"},
    )


def _check_kind(page: TiffPage, source: str) -> None:
    """Refuse by name what is not read."""
    found = None
    if page.dtype is None or page.dtype.kind not in "biuf":
        found = f"values that are no real numbers ({page.bitspersample} bits)"
    elif page.imagedepth != 1:
        found = f"a volume of {page.imagedepth} slices in one page"
    elif page.photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB):
        found = f"colours as {_name(page.photometric)} of {page.bitspersample} bits"
    elif page.samplesperpixel - (3 if page.photometric == _RGB else 1) not in (0, 1):
        found = f"{page.samplesperpixel} values a pixel, as {_name(page.photometric)}"
    elif page.samplesperpixel in (2, 4) and len(page.extrasamples) != 1:
        found = f"{page.samplesperpixel} values a pixel, and does not say what the last one is"
    elif page.bitspersample == 1 and page.samplesperpixel > 1:
        found = "colours or alpha of 1 bit"
    elif page.compression not in _TIFFFILE_DECODES or _is_swapped(page):
        found = f"{page.dtype} values compressed by {_name(page.compression)}"
    if found is not None:
        raise UnreadableImageError(source, f"a TIFF picture of {found}", _AS_PNG)
    needs_codecs = page.compression not in (1, *_DEFLATE, 32773, _LZMA) or page.predictor == 3
    if (needs_codecs or page.bitspersample % 8) and not installed("imagecodecs"):
        found = f"a TIFF picture of {page.dtype} values compressed by {_name(page.compression)}"
        raise UnreadableImageError(source, found, _GET_EXTRA)


def _is_swapped(page: TiffPage) -> bool:
    """Say whether nobody can know in which order a picture inside holds its bytes.

    It has an order of its own, and yet some programs hand it big-endian values as they are.
    Values of more than 16 bits come back as others than were written.
    """
    size = np.dtype(page.dtype).itemsize
    return page.compression in _PICTURES_INSIDE and (
        size > 2 or (size == 2 and page.parent.byteorder == ">")
    )


def _name(value: Any) -> str:
    """Name a value of a tag as tifffile does."""
    return str(getattr(value, "name", value)).replace("_", " ")


def _check_data(page: TiffPage, data: bytes) -> None:
    """Refuse a page whose data is not there, or would grow beyond what the page holds.

    tifffile fills what is missing with zeros, and believes what data says of its own size.
    """
    if not len(page.dataoffsets) == len(page.databytecounts) == math.prod(page.chunked):
        raise ValueError("it does not say where all of its data is")
    expected = math.prod(page.chunks) * np.dtype(page.dtype).itemsize
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        if offset < 8 or count < 1 or offset + count > len(data):
            raise ValueError("image file is truncated")
        room = 2 * expected + _LEAST_ROOM
        if count > room or _grown(page, data[offset : offset + count], room) > room:
            raise ValueError("there is more data than pixels")


def _grown(page: TiffPage, packed: bytes, room: int) -> int:
    """Count the bytes that data becomes, not far beyond what there is room for."""
    if page.compression in _DEFLATE:
        return len(zlib.decompressobj().decompress(packed, room + 1))
    if page.compression == _LZMA:
        return len(lzma.LZMADecompressor().decompress(packed, room + 1))
    if kind := _PICTURES_INSIDE.get(page.compression):
        with Image.open(io.BytesIO(packed), formats=(kind,)) as inside:
            samples = math.prod(inside.size) * page.samplesperpixel
            return samples * np.dtype(page.dtype).itemsize
    return 0  # decoded into as much memory as the page needs

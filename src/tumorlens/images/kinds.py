"""What kind of file is this? Its first bytes decide, never its name."""

from __future__ import annotations

import codecs
import re
import zlib

__all__ = ["find_kind", "name_foreign"]

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
    (re.compile(rb"PK(?:\x03\x04|\x05\x06|\x07\x08)"), "ZIP"),
    (re.compile(rb"P[1-6f]\s+[\d#]"), "PPM"),
    (re.compile(rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"), "JPEG2000"),
    # One byte a value; of two Pillow takes the wrong one.
    (re.compile(rb"\x01\xda[\0\x01]\x01\0[\x01-\x03]"), "SGI"),
    (re.compile(rb"\x0a[\0\x02\x03\x05][\0\x01][\x01\x02\x04\x08]"), "PCX"),
)

_TGA_END = b"TRUEVISION-XFILE.\0"
# Without that end, as old ones are: which sort of values, of how many bits, and the palette.
_OLD_TGA = re.compile(
    rb".(?:\x01[\x01\x09].{4}[\x0f\x10\x18\x20].{8}\x08"  # places in a palette
    rb"|\0[\x02\x0a]\0{5}.{8}[\x0f\x10\x18\x20]"  # colour
    rb"|\0[\x03\x0b]\0{5}.{8}[\x01\x08\x10])"  # grey
    rb"[\0-\x3f]",  # the upper bits of what follows are never used
    re.DOTALL,
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
    (re.compile(rb"\x01\xda[\0\x01]\x02\0[\x01-\x03]"), "an SGI picture of 16 bits"),
    (re.compile(rb"%PDF-|%!PS"), "a PDF or PostScript document"),
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

_MGH = b"\0\0\0\1\0\0"  # version 1, and a width below 65,536

_HEAD = 1024  # bytes; enough for every sign that is looked for


def find_kind(data: bytes) -> str | None:
    """Say which of the known kinds this is, if any."""
    # Before the pictures: a DICOM file may begin as a TIFF to please old viewers.
    if data[128:132] == b"DICM":
        return "DICOM"
    head = data[:_HEAD]
    if _is_nifti(head) or _is_nifti(_gunzip_head(data)):
        return "NIfTI"
    kind = next((kind for sign, kind in _PICTURES if sign.match(data)), None)
    if kind is None and (data.endswith(_TGA_END) or _OLD_TGA.match(data)):
        return "TGA"
    return "DICOM" if kind is None and _is_bare_dicom(head) else kind


def _is_bare_dicom(head: bytes) -> bool:
    """Look for a DICOM file without its preamble: elements of group 2 or 8, in order.

    Each has its tag, then two capital letters (explicit) or a length of four bytes (implicit).
    """
    for order in ("little", "big"):
        group, element = (int.from_bytes(head[i : i + 2], order) for i in (0, 2))
        if group not in (2, 8) or element > 0x2000 or len(head) < 16:
            continue
        explicit = re.fullmatch(rb"[A-Z]{2}", head[4:6]) is not None
        if explicit or (order == "little" and int.from_bytes(head[4:8], "little") < _HEAD):
            return True
    return False


def _is_nifti(head: bytes) -> bool:
    """Look for the header of NIfTI-1 or NIfTI-2 (its size, then its magic), or of MGH."""
    if head.startswith(_MGH) and len(head) >= 284:  # whose numbers begin there
        return True
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


def name_foreign(data: bytes) -> str:
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

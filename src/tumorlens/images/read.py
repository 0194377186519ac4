"""What is this source, and is it small enough? Its reader does the rest.

A file is what its content says, never what its name says.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tumorlens.errors import UnreadableImageError
from tumorlens.images import raster
from tumorlens.images.array import ForeignPicture, library_of, read_array, tensor_array
from tumorlens.images.dicom_series import read_dicom
from tumorlens.images.kinds import find_kind, name_foreign
from tumorlens.images.limits import GIVE_A_PICTURE, Limits
from tumorlens.images.nifti import read_image, read_nifti
from tumorlens.images.packed import read_parts, read_zip
from tumorlens.images.slice import Slice
from tumorlens.images.tiff import read_tiff

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["load_file", "open_parts", "open_slices", "read_file", "read_slices", "read_stream"]

Readable: TypeAlias = (
    str | os.PathLike[str] | bytes | IO[bytes] | Image.Image | NDArray[Any] | ForeignPicture
)
"""Whatever a slice can come from."""

_DEFAULT_LIMITS = Limits()

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)  # one letter alone is a drive


def _read_picture(data: bytes, kind: str, path: str | None, limits: Limits) -> Sequence[Slice]:
    """Read what Pillow decodes; in a process of its own what may keep it busy for long."""
    if limits.seconds is not None and raster.may_hang(data, kind):
        from tumorlens.images.apart import read_apart  # noqa: PLC0415  # starts a process

        if (found := read_apart(data, kind, path, limits)) is not None:
            return found
    return raster.read_raster(data, kind, path, limits)


# Which reader reads what: content, kind, path (None for bytes), limits -> slices.
_READERS: dict[str, Callable[[bytes, str, str | None, Limits], Sequence[Slice]]] = {
    **dict.fromkeys(raster.FORMATS, _read_picture),
    "TIFF": read_tiff,
    "ZIP": lambda data, _, path, limits: read_zip(data, path, limits, _read_content),
    "DICOM": lambda data, _, path, limits: read_dicom(data, path, limits),
    "NIfTI": lambda data, _, path, limits: read_nifti(data, path, limits),
}


# Pictures of other libraries, known by where their types come from; none is imported to look.
_BY_LIBRARY: dict[str | None, Callable[[Any, Limits], Sequence[Slice]]] = {
    "torch": lambda tensor, limits: read_array(tensor_array(tensor), limits),
    "nibabel": read_image,
    "pydicom": lambda dataset, limits: read_dicom(dataset, None, limits),
}


def read_slices(
    source: Readable,
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
        - an open binary file, such as ``io.BytesIO``: it is read from its beginning where
          it can be, and not closed;
        - an image of nibabel or a data set of pydicom, which is not changed;
        - a Pillow picture: its current frame, which is neither changed nor closed;
        - an array of real numbers, which is copied. ``(height, width)`` is one grey
          picture, and so is ``(height, width, 1)``, and ``(height, width, 2)`` with
          alpha. ``(height, width, 3)`` and ``(height, width, 4)`` are one picture in
          colour, without and with alpha. Any other ``(n, height, width)`` is `n` grey
          pictures. Of three axes the last one decides: give slices of up to 4 pixels
          in width one at a time. Alpha runs to 255 in uint8, to 65535 in uint16, and
          to 1 in floating point;
        - a torch tensor, on any device, which is read as an array of its shape.
    limits
        What is too large.

    Returns
    -------
    list of Slice
        One per picture, at least one; of a volume, in its order. Eight bits (and
        true/false, as 255 and 0) are uint8 with the range ``(0, 255)``. All else is
        float32, with the lowest and the highest value of each picture as its range, or
        one range for all slices of a volume. What is masked or not finite becomes the lowest value.

    Raises
    ------
    UnreadableImageError
        When the source is missing, not a picture, damaged or too large, or when its decoder
        hangs or crashes. Either every picture of a source is read, or none.
    MissingExtraError
        When it is DICOM or NIfTI, and what reads that is not installed.
    TypeError
        When `source` is no source at all.
    """
    return list(open_slices(source, limits=limits))


def open_slices(
    source: Readable,
    *,
    limits: Limits = _DEFAULT_LIMITS,
) -> Sequence[Slice]:
    """Open a picture or a volume; of a volume, slices are read when they are asked for.

    Parameters
    ----------
    source, limits
        As `read_slices` takes them.

    Returns
    -------
    sequence of Slice
        A `tumorlens.Volume` where the file is one, else a list.

    Raises
    ------
    UnreadableImageError, MissingExtraError, TypeError
        As `read_slices`. A slice of a volume may turn out to be damaged when it is read.
    """
    if isinstance(source, Image.Image):
        return raster.read_picture(source, limits)
    if isinstance(source, np.ndarray):
        return read_array(source, limits)
    if (read := _BY_LIBRARY.get(library_of(source))) is not None:
        return read(source, limits)
    if isinstance(source, bytes):
        limits.check_bytes("<bytes>", len(source))
        return _read_content(source, None, limits)
    if isinstance(source, (str, os.PathLike)):
        path = os.fsdecode(source)
        return _read_content(load_file(path, limits), path, limits)
    stream: Any = source
    if hasattr(stream, "read"):
        name = getattr(source, "name", None)
        return read_stream(stream, name if isinstance(name, str) else None, limits)
    raise TypeError(
        "`source` must be a path, bytes, a binary file, a Pillow picture, a NumPy array, a torch "
        f"tensor, a nibabel image or a pydicom data set, got {type(source).__name__}"
    )


def read_stream(
    file: IO[bytes], name: str | None, limits: Limits = _DEFAULT_LIMITS
) -> Sequence[Slice]:
    """Read an open binary file, which its slices then name as `name`.

    Raises
    ------
    UnreadableImageError, MissingExtraError, TypeError
        As `open_slices`.
    """
    return _read_content(_load_open(file, name or "<file>", limits), name, limits)


def open_parts(
    source: str | IO[bytes], name: str | None = None, *, limits: Limits = _DEFAULT_LIMITS
) -> list[Sequence[Slice] | UnreadableImageError]:
    """Open a file for whom the good pictures of a ZIP archive count where others are damaged.

    Parameters
    ----------
    source
        A path, or an open binary file.
    name
        What an open file is called.
    limits
        What is too large.

    Returns
    -------
    list
        What `open_slices` gives; of a ZIP archive that, or what is wrong, for each member.

    Raises
    ------
    UnreadableImageError, MissingExtraError, TypeError
        As `open_slices`; not for a damaged member of an archive.
    """
    if isinstance(source, str):
        name = source
        data = load_file(source, limits)
    else:
        data = _load_open(source, name or "<file>", limits)
    if find_kind(data) == "ZIP":
        return list(read_parts(data, name, limits, _read_content))
    return [_read_content(data, name, limits)]


def load_file(path: str, limits: Limits) -> bytes:
    """Read a regular file, and not a byte more than is allowed.

    Raises
    ------
    UnreadableImageError
        When it is missing, closed to us, no regular file, or too large.
    """
    if not path:
        raise UnreadableImageError("''", "an empty path", "name a file")
    if _ADDRESS.match(path) and not os.path.exists(path):  # noqa: PTH110  # Path.exists raises on a name that is too long
        found = "an address, and nothing is fetched from one"
        hint = "download it with a browser or with curl, and give the path of the file"
        raise UnreadableImageError(path, found, hint)
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


def _load_open(file: IO[bytes], name: str, limits: Limits) -> bytes:
    """Read an open file, and not a byte more than is allowed."""
    try:
        if file.seekable():
            file.seek(0)
        data = file.read(limits.max_bytes + 1)
    except (OSError, ValueError) as exc:  # ValueError: it is closed
        raise UnreadableImageError(name, f"it cannot be read ({exc})", "open it again") from exc
    if not isinstance(data, bytes):
        raise TypeError(f"`source` must be opened as binary, got a file of {type(data).__name__}")
    limits.check_bytes(name, len(data))
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


def read_file(
    path: str | os.PathLike[str], *, limits: Limits = _DEFAULT_LIMITS
) -> tuple[list[Slice], bytes]:
    """Read a file's slices, and give the very bytes that they were decoded from.

    Whoever hashes those knows the file that was looked at, also where it changes meanwhile.

    Raises
    ------
    UnreadableImageError
        As `read_slices`.
    """
    name = os.fsdecode(path)
    data = load_file(name, limits)
    return list(_read_content(data, name, limits)), data


def _read_content(data: bytes, path: str | None, limits: Limits) -> Sequence[Slice]:
    """Hand the content of a file on to the reader of its kind."""
    source = "<bytes>" if path is None else path
    if not data:
        hint = "it may not have been copied whole; fetch it again"
        raise UnreadableImageError(source, "an empty file", hint)
    kind = find_kind(data)
    if kind is None:
        raise UnreadableImageError(source, name_foreign(data), GIVE_A_PICTURE)
    return _READERS[kind](data, kind, path, limits)

"""How a NIfTI or MGH volume becomes slices, with nibabel.

The first volume of several is taken. Slices are axial unless another plane is asked for; the
greys are what the file's slope and intercept make of its numbers.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tumorlens.errors import UnreadableImageError
from tumorlens.extras import require
from tumorlens.images.decoding import quiet, unlogged
from tumorlens.images.geometry import Plane, VolumeGeometry, note_sizes
from tumorlens.images.limits import Limits
from tumorlens.images.orient import cut
from tumorlens.images.volume import Volume, common_range, sampled

__all__ = ["read_nifti"]

_TO_LPS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])  # NIfTI counts to the right and to the front
_LUMA: Final = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
_MGH: Final = b"\0\0\0\1"
_PLACE: Final = (
    *("qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d"),
    *("qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z"),
)
_PAIRS: Final = (b"ni1\0", b"ni2\0")
_HINT: Final = "open it in a viewer of volumes and save it again as NIfTI"


def read_nifti(data: bytes, path: str | None, limits: Limits, plane: Plane = "axial") -> Volume:
    """Read a volume.

    Parameters
    ----------
    data
        The whole content of a ``.nii``, ``.nii.gz``, ``.mgh`` or ``.mgz`` file, or of the
        ``.hdr`` of a pair, whose ``.img`` is then read from beside `path`.
    path
        The path as it was given, or ``None`` for bytes.
    limits
        What is too large.
    plane
        The plane of the slices.

    Raises
    ------
    UnreadableImageError
        When it is damaged, too large, or holds no numbers.
    MissingExtraError
        When nibabel is not installed.
    """
    source = "<bytes>" if path is None else path
    nib = require("nibabel", "reading NIfTI", "nifti")
    content = _unpacked(data, source, limits)
    with _explained(nib, source):
        image = _open(nib, content, path, source, limits)
        with np.errstate(over="raise"):  # sizes that no integer holds
            _check_complete(image, source)
        return _volume(image, plane, path, source, limits, _unsized(image, content))


def read_image(image: Any, limits: Limits, plane: Plane = "axial") -> Volume:
    """Read an image of nibabel, as `read_nifti` reads its file."""
    nib = require("nibabel", "reading NIfTI", "nifti")
    source = f"<{type(image).__name__}>"
    with _explained(nib, source):
        return _volume(image, plane, None, source, limits)


def _volume(
    image: Any,
    plane: Plane,
    path: str | None,
    source: str,
    limits: Limits,
    notes: tuple[str, ...] = (),
) -> Volume:
    """Cut an opened file into slices."""
    affine = _TO_LPS @ np.asarray(image.affine, dtype=np.float64)
    voxels = _Voxels(image)
    geometry, read = cut(voxels, affine, plane)
    _check_size(geometry.shape, source, limits)
    return Volume(
        geometry,
        common_range(read(i) for i in sampled(geometry.shape[0])),
        read,
        path,
        origin={
            "format": type(image).__name__.removesuffix("Image"),
            "mode": str(image.get_data_dtype()),
            "plane": plane,
        },
        notes=(*_several(image), *notes, *note_sizes(geometry.spacing)),
        stored=VolumeGeometry(affine, voxels.shape),
        recut=lambda other: _volume(image, other, path, source, limits, notes),
        form=_form(image, voxels.shape),
    )


def _form(image: Any, shape: tuple[int, int, int]) -> Any:
    """Copy what a NIfTI header says of the place of its first volume, and no word of it.

    The texts of a header may name the patient.
    """
    old = image.header
    if "sform_code" not in getattr(old, "keys", tuple)():
        return None
    new = type(old)(endianness="<")
    new.set_data_dtype(np.float32)
    new.set_data_shape(shape)
    for name in _PLACE:
        new[name] = old[name]
    new["pixdim"][:4] = old["pixdim"][:4]
    new["xyzt_units"] = int(old["xyzt_units"]) % 8  # of space, not of time
    return new


@contextmanager
def _explained(nib: Any, source: str) -> Iterator[None]:
    """Turn what nibabel raises into our error, and have it say nothing.

    A place of infinity or a slope of nothing gives numbers that are none, which are refused or
    made dark: NumPy need not warn of them. nibabel's own means to keep it quiet takes its handlers
    away for good.
    """
    try:
        with quiet(), unlogged("nibabel.global"), np.errstate(all="ignore"):
            yield
    except _failures(nib) as error:
        found = f"a volume that cannot be read ({_short(error)})"
        raise UnreadableImageError(source, found, _HINT) from error


def _failures(nib: Any) -> tuple[type[BaseException], ...]:
    """Name what nibabel raises at damaged files."""
    return (
        nib.filebasedimages.ImageFileError,
        nib.spatialimages.HeaderDataError,
        nib.spatialimages.ImageDataError,
        nib.wrapstruct.WrapStructError,
        nib.freesurfer.mghformat.MGHError,
        OSError,
        ValueError,  # shapes that numbers do not fill
        TypeError,
        LookupError,
        ArithmeticError,
        AttributeError,
        MemoryError,
        np.linalg.LinAlgError,
    )


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _unpacked(data: bytes, source: str, limits: Limits) -> bytes:
    """Unpack gzip, and not a byte more than is allowed."""
    if not data.startswith(b"\x1f\x8b"):
        return data
    unpacker = zlib.decompressobj(wbits=31)
    try:
        content = unpacker.decompress(data, limits.room(len(data)) + 1)
    except zlib.error as error:
        found = f"a compressed file that is damaged ({error})"
        raise UnreadableImageError(source, found, "fetch it again") from error
    limits.check_unpacked(source, len(content), len(data))
    if not unpacker.eof:
        found, hint = "a compressed file that ends too early", "it may not have been copied whole"
        raise UnreadableImageError(source, found, hint)
    return content


def _check_size(shape: tuple[int, int, int], source: str, limits: Limits) -> None:
    """Refuse a volume that is too large, before any of it is read."""
    count, rows, columns = shape
    limits.check_frame(source, (columns, rows), count - 1, (count - 1) * rows * columns)


def _open(nib: Any, content: bytes, path: str | None, source: str, limits: Limits) -> Any:
    """Open a file of any of the kinds, from memory."""
    if content.startswith(_MGH):
        return nib.MGHImage.from_bytes(content)
    two = 540 in {int.from_bytes(content[:4], order) for order in ("little", "big")}
    magic = content[4:8] if two else content[344:348]
    if magic not in _PAIRS:
        return (nib.Nifti2Image if two else nib.Nifti1Image).from_bytes(content)
    kind = nib.Nifti2Pair if two else nib.Nifti1Pair
    numbers = _beside(path, source, limits)
    streams = {"header": io.BytesIO(content), "image": io.BytesIO(numbers)}
    parts = {name: nib.FileHolder(fileobj=stream) for name, stream in streams.items()}
    return kind.from_file_map(parts)


def _check_complete(image: Any, source: str) -> None:
    """Refuse a file that ends before its first volume does, before any of it is answered."""
    several = (0,) * len(image.shape[3:])
    try:
        image.dataobj[(*(-1 for _ in image.shape[:3]), *several)]
    except (ValueError, OSError, EOFError) as error:
        found, hint = "a volume that ends too early", "it may not have been copied whole"
        raise UnreadableImageError(source, found, hint) from error


def _beside(path: str | None, source: str, limits: Limits) -> bytes:
    """Read the numbers of a pair: the ``.img`` beside the ``.hdr``."""
    whole = None if path is None else Path(path.removesuffix(".gz"))
    for ending in (".img", ".img.gz", ".IMG"):
        if whole is not None and (beside := whole.with_suffix(ending)).is_file():
            limits.check_bytes(str(beside), beside.stat().st_size)
            return _unpacked(beside.read_bytes(), str(beside), limits)
    found = "the header of a pair, without its .img"
    raise UnreadableImageError(source, found, "give the path of the .hdr with the .img beside it")


class _Voxels:
    """The first volume of an image, with three axes whatever the file has, colour as grey."""

    def __init__(self, image: Any) -> None:
        whole = tuple(int(x) for x in image.shape)
        self._data = image.dataobj
        self._rest = (0,) * len(whole[3:])
        x, y, z = (*whole, 1, 1, 1)[:3]
        self.shape = (x, y, z)
        self._axes = min(len(whole), 3)
        dtype = image.get_data_dtype()
        if dtype.kind not in "iuf" and dtype.fields is None:
            raise ValueError(f"its values are {dtype}, no real numbers")

    def __getitem__(self, index: tuple[Any, ...]) -> NDArray[Any]:
        """Read a part."""
        values = np.asarray(self._data[(*index[: self._axes], *self._rest)])
        for place in index[self._axes :]:  # axes that the file does not have
            if isinstance(place, slice):
                values = values[..., np.newaxis]
        if values.dtype.fields is None:
            return values
        channels = [values[name] for name in ("R", "G", "B")]
        return np.asarray(np.stack(channels, axis=-1).astype(np.float64) @ _LUMA)


def _unsized(image: Any, content: bytes) -> tuple[str, ...]:
    """Say that the header gives no size of voxels, for which nibabel takes 1 mm.

    With an ``sform`` the size in the header is not asked for. The bytes tell, for nibabel has
    put 1 in their place: ``pixdim`` lies at 76 in NIfTI-1, as float32, and at 104 in NIfTI-2, as
    float64.
    """
    if "sform_code" not in getattr(image.header, "keys", tuple)() or int(
        image.header["sform_code"]
    ):
        return ()
    two = int(image.header["sizeof_hdr"]) == 540
    kind = np.dtype(np.float64 if two else np.float32).newbyteorder(image.header.endianness)
    start = (104 if two else 76) + kind.itemsize  # the first number is no size
    sizes = np.frombuffer(content, kind, min(3, len(image.shape)), start)
    if (np.abs(sizes) > 0).all():  # of a negative one its amount is taken
        return ()
    return ("its header gives no size of the voxels: 1 mm is taken, and places in mm may be wrong",)


def _several(image: Any) -> tuple[str, ...]:
    """Say that there is more than the volume that is read."""
    count = int(np.prod(image.shape[3:], dtype=np.int64))
    return (f"it holds {count} volumes; the first is read",) if count > 1 else ()

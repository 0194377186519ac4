"""A checkpoint from elsewhere: what kind of file it is, and its parts when it is an archive.

The kind is told by the content, never by the name. A ``.keras`` file is a ZIP of
three files; two are taken out, by name, to places that we choose, and nothing else
may be in it. No name in the archive ever becomes a path.
"""

from __future__ import annotations

import io
import os
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from tumorlens.errors import ModelError, UnsafeModelError
from tumorlens.untrusted import printable

__all__ = ["Parts", "open_parts"]

_HDF5: Final = b"\x89HDF\r\n\x1a\n"
_ZIP: Final = b"PK\x03\x04"
_FOREIGN: Final = {
    b"\x80": "a pickle, which is a program",
    b"\x93NUMPY": "a NumPy array, which may hold pickles",
    b"\x08": "a TensorFlow or ONNX graph",
}
_WEIGHTS: Final = "model.weights.h5"
_CONFIG: Final = "config.json"
_NAMES: Final = (_WEIGHTS, _CONFIG, "metadata.json")
_LARGEST: Final = 2 * 2**30  # bytes of the file, and of its weights taken out of it
_LONGEST: Final = 16 * 2**20  # bytes of config.json; Xception's has 140 kB
_RATIO: Final = 100  # weights hardly shrink, so that a member which grew so much is a bomb
_SMALL: Final = 2**20  # below that no ratio matters
_BLOCK: Final = 2**20
_PACKINGS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGED: Final = (
    *(zipfile.BadZipFile, zlib.error, struct.error),
    *(EOFError, ValueError, NotImplementedError, RuntimeError),
)
"""What taking a broken archive apart may raise."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a checkpoint.

    Parameters
    ----------
    kind
        ``"keras"`` for an archive, ``"hdf5"`` for a bare file of weights.
    weights
        The HDF5 file.
    config
        How the network was built, as JSON text; ``None`` in a bare file.
    """

    kind: str
    weights: Path
    config: bytes | None


@contextmanager
def open_parts(path: str | os.PathLike[str]) -> Iterator[Parts]:
    """Open a checkpoint and take it apart.

    Parameters
    ----------
    path
        A ``.keras``, ``.weights.h5`` or ``.h5`` file.

    Yields
    ------
    Parts
        Open as long as the block.

    Raises
    ------
    UnsafeModelError
        When it is a pickle or a folder, or an archive of anything but the three files.
    ModelError
        When it is no checkpoint, damaged or too large.
    """
    file = Path(path)
    try:
        status = file.stat()  # before it is opened: to open a pipe is to wait for its writer
        if stat.S_ISDIR(status.st_mode):
            raise UnsafeModelError(
                f"{file} is a folder: a SavedModel is a program and is not read; give a .keras, "
                ".weights.h5 or .h5 file"
            )
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST:
            raise ModelError(f"{file} is no regular file, or larger than {_LARGEST // 2**30} GiB")
        with file.open("rb") as opened:
            start = opened.read(len(_HDF5))
            opened.seek(0)
            if start == _HDF5:
                yield Parts("hdf5", file, None)
                return
            if not start.startswith(_ZIP):
                raise _strange(file, start)
            with tempfile.TemporaryDirectory() as folder:
                weights = Path(folder) / "weights.h5"
                config = _take_apart(opened, weights, str(file))
                yield Parts("keras", weights, config)
    except OSError as error:
        raise ModelError(f"cannot read {file}: {error.strerror or error}") from error


def _strange(file: Path, start: bytes) -> ModelError:
    for sign, what in _FOREIGN.items():
        if start.startswith(sign):
            return UnsafeModelError(f"{file} is {what}; give a .keras, .weights.h5 or .h5 file")
    return ModelError(f"{file} is no Keras checkpoint; give a .keras, .weights.h5 or .h5 file")


def _take_apart(file: IO[bytes], weights: Path, source: str) -> bytes:
    """Take the weights and the config out of an archive that holds nothing else."""
    try:
        with zipfile.ZipFile(file) as archive:
            _check_members(archive, source)
            with weights.open("wb") as target:
                _copy(archive, _WEIGHTS, target, _LARGEST, source)
            config = io.BytesIO()
            _copy(archive, _CONFIG, config, _LONGEST, source)
            return config.getvalue()
    except _DAMAGED as error:
        raise ModelError(f"{source} is damaged: {error}; fetch it again") from error


def _check_members(archive: zipfile.ZipFile, source: str) -> None:
    members = archive.infolist()
    for member in members:
        _check_member(member, source)
    names = [member.filename for member in members]
    if len(set(names)) != len(names):
        raise UnsafeModelError(f"{source} holds two files of one name")
    if not {_WEIGHTS, _CONFIG} <= set(names):
        raise ModelError(f"{source} is no .keras file: it lacks {_WEIGHTS} or {_CONFIG}")


def _check_member(member: zipfile.ZipInfo, source: str) -> None:
    name = member.filename
    shown = printable(name, 80)
    if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/") or ":" in name:
        raise UnsafeModelError(f"{source} holds a file that would leave its folder: {shown}")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise UnsafeModelError(f"{source} holds a link: {shown}")
    if name not in _NAMES:
        raise UnsafeModelError(f"{source} holds {shown}, which no plain .keras file has")
    if member.flag_bits & 1 or member.compress_type not in (
        zipfile.ZIP_STORED,
        zipfile.ZIP_DEFLATED,
    ):
        raise UnsafeModelError(f"{source}: {shown} is encrypted or packed in an unusual way")
    if member.file_size > max(_SMALL, _RATIO * member.compress_size):
        raise UnsafeModelError(
            f"{source}: {shown} would grow from {member.compress_size} to {member.file_size} bytes"
        )


def _copy(archive: zipfile.ZipFile, name: str, target: IO[bytes], most: int, source: str) -> None:
    """Copy a member block by block, and stop when it is larger than it may be."""
    size = 0
    with archive.open(name) as member:
        while block := member.read(_BLOCK):
            size += len(block)
            if size > most:
                raise UnsafeModelError(f"{source}: {name} is larger than {most // 2**20} MiB")
            target.write(block)

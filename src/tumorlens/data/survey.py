"""Everything that is asked of a data set's files, read once each."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tumorlens.data.fingerprint import SIZE, fingerprint
from tumorlens.data.folder import Example
from tumorlens.data.several import note_several, refuse_several
from tumorlens.errors import DataError, UnreadableImageError
from tumorlens.images.head import find_head_box
from tumorlens.images.read import read_file
from tumorlens.images.slice import Slice
from tumorlens.progress import Progress, silent

__all__ = ["Look", "Survey", "Unreadable", "survey"]

_NEAR: Final = 0.02  # of the longer side: what is nearer to the head may be part of it
_BRIGHT: Final = 0.5  # of the brightest tissue
_RIM: Final = 20  # the border is one in so many rows and columns


@dataclass(frozen=True, slots=True)
class Look:
    """What one file is.

    Parameters
    ----------
    example
        Its path, label and, where known, split and group.
    sha256
        Of the file.
    pixel_sha256
        Of its size and grey pixels, as decoded: equal for copies in another container.
    width, height
        In pixels.
    mode, format
        As the file stores it, such as ``"RGB"`` and ``"JPEG"``.
    bytes
        Size of the file.
    mean
        Mean grey value, from 0 to 1.
    border
        The same of the top, bottom, left and right rim.
    spread
        Standard deviation of the grey values, from 0 to 0.5.
    marks
        Share of the picture that is bright and lies outside the head's box.
    """

    example: Example
    sha256: str
    pixel_sha256: str
    width: int
    height: int
    mode: str
    format: str
    bytes: int
    mean: float
    border: tuple[float, float, float, float]
    spread: float
    marks: float = 0.0


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that could not be read, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """The files of a data set.

    Parameters
    ----------
    looks
        Those that can be read, in order.
    fingerprints
        uint8, ``(len(looks), SIZE, SIZE)``.
    unreadable
        Those that cannot.
    """

    looks: tuple[Look, ...]
    fingerprints: NDArray[np.uint8]
    unreadable: tuple[Unreadable, ...]


def survey(examples: Sequence[Example], progress: Progress = silent) -> Survey:
    """Read every file once.

    Parameters
    ----------
    examples
        What to read.
    progress
        Told of each file.

    Raises
    ------
    DataError
        When nothing can be read.
    """
    looks: list[Look] = []
    bad: list[Unreadable] = []
    prints = np.empty((len(examples), SIZE, SIZE), dtype=np.uint8)
    with ThreadPoolExecutor(2) as pool:  # preparing leaves the interpreter free
        for done, result in enumerate(pool.map(_look, examples), start=1):
            progress("reading", done, len(examples))
            if isinstance(result, Unreadable):
                bad.append(result)
            else:
                prints[len(looks)] = result[1]
                looks.append(result[0])
    if not looks:
        first = bad[0].reason if bad else "there are none"
        several = "".join(f"; {note}" for note in note_several(one.reason for one in bad))
        raise DataError(f"none of {len(examples)} files could be read; the first: {first}{several}")
    return Survey(tuple(looks), prints[: len(looks)], tuple(bad))


def _look(example: Example) -> tuple[Look, NDArray[np.uint8]] | Unreadable:
    try:
        slices, data = read_file(example.path)
    except UnreadableImageError as error:
        return Unreadable(example.path, str(error))
    if (reason := refuse_several(example.path, len(slices))) is not None:
        return Unreadable(example.path, reason)
    picture = slices[0]
    grey = _grey(picture)
    rim = max(1, min(grey.shape) // _RIM)
    sides = (grey[:rim], grey[-rim:], grey[:, :rim], grey[:, -rim:])
    top, bottom, left, right = (float(side.mean()) for side in sides)
    look = Look(
        example=example,
        sha256=hashlib.sha256(data).hexdigest(),
        pixel_sha256=hash_pixels(picture),
        width=picture.width,
        height=picture.height,
        mode=picture.origin.get("mode", ""),
        format=picture.origin.get("format", ""),
        bytes=len(data),
        mean=float(grey.mean()),
        border=(top, bottom, left, right),
        spread=float(grey.std()),
        marks=_marks(grey),
    )
    return look, fingerprint(picture)


def _marks(grey: NDArray[np.float32]) -> float:
    """Give the share of bright pixels that are clearly outside the head's box."""
    (left, top, right, bottom), _ = find_head_box(grey - grey.min())
    far = round(_NEAR * max(grey.shape))
    bright = grey > _BRIGHT * np.percentile(grey, 99.5)
    bright[max(top - far, 0) : bottom + far, max(left - far, 0) : right + far] = False
    return float(bright.mean())


def hash_pixels(picture: Slice) -> str:
    """Hash the size and the grey values of a slice."""
    digest = hashlib.sha256(f"{picture.height} {picture.width} {picture.pixels.dtype} ".encode())
    digest.update(np.ascontiguousarray(picture.pixels).tobytes())
    return digest.hexdigest()


def _grey(picture: Slice) -> NDArray[Any]:
    low, high = picture.value_range
    return (picture.pixels.astype(np.float32) - np.float32(low)) / np.float32(max(high - low, 1e-9))

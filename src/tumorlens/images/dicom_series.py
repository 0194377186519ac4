"""Which DICOM files are one scan, in which order: headers become volumes.

Files of one series, orientation and size belong together and are ordered by where they lie,
never by name or number. Scouts stand apart. Of several pictures at one place (echoes, phases,
repeats) the first is taken.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tumorlens.errors import UnreadableImageError
from tumorlens.images.dicom import Frame, Header, read_frame, read_header
from tumorlens.images.geometry import Plane, VolumeGeometry, note_sizes
from tumorlens.images.limits import Limits
from tumorlens.images.orient import cut, squared
from tumorlens.images.slice import Slice
from tumorlens.images.volume import Volume, common_range, sampled

__all__ = ["read_dicom", "series_volumes"]

_SAME: Final = 1e-2  # mm: positions nearer than this are one place
_TURNED: Final = 1e-3  # of a direction: orientations nearer than this are one
_FAR: Final = 1e6  # steps; how many slices are missing there is no matter
_UNEVEN: Final = 0.1  # of the usual step between slices

_Load = Callable[[str], bytes]


@dataclass(frozen=True, slots=True)
class _Picture:
    """One frame of one file."""

    header: Header
    index: int

    @property
    def frame(self) -> Frame:
        return self.header.frames[self.index]

    @property
    def normal(self) -> NDArray[np.float64]:
        along = self.frame.orientation or (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
        return np.cross(along[:3], along[3:])

    @property
    def height(self) -> float:
        """How far along the normal it lies, in mm."""
        return float(self.normal @ (self.frame.position or (0.0, 0.0, float(self.index))))


def read_dicom(data: Any, path: str | None, limits: Limits) -> Sequence[Slice]:
    """Read the pictures of one file: a volume where their places are known, else slices.

    The file is given by its content, or as a data set of pydicom.

    Raises
    ------
    UnreadableImageError
        When it is damaged, too large, or holds no picture.
    MissingExtraError
        When pydicom is not installed.
    """
    header = read_header(data, path, limits)
    read = functools.partial(read_frame, data, limits=limits)
    placed = [_Picture(header, i) for i in range(len(header.frames))]
    if all(_has_place(picture.frame) for picture in placed):
        volumes = [_volume(group, lambda p: read(header, p.index)) for group in _groups(placed)]
        if len(volumes) == 1:
            return volumes[0]
        return [
            Slice(x.pixels, x.value_range, path, i, x.origin, x.geometry, x.frame)
            for i, x in enumerate(x for volume in volumes for x in volume)
        ]
    greys = [read(header, i) for i in range(len(header.frames))]
    shown = _greys(greys, placed[0])
    return [Slice(grey, shown, path, i, _origin(header), frame=i) for i, grey in enumerate(greys)]


def series_volumes(
    headers: Iterable[Header], load: _Load, limits: Limits, path: str | None = None
) -> list[Volume | Header]:
    """Put the files of a series, or of several, together.

    Parameters
    ----------
    headers
        Of files of one picture each or of several, in any order.
    load
        Reads the content of a file.
    limits
        What is too large.
    path
        Where they are: their folder as it was given.

    Returns
    -------
    list
        A volume for each scan, and the header of each file that is no part of one: its
        place in the patient is not known.
    """
    pictures, alone, copies = [], [], 0
    seen: set[str] = set()
    for header in headers:
        if header.instance and header.instance in seen:
            copies += 1
            continue
        seen.add(header.instance)
        if all(_has_place(frame) for frame in header.frames):
            pictures += [_Picture(header, i) for i in range(len(header.frames))]
        else:
            alone.append(header)

    def read(picture: _Picture) -> NDArray[np.float32]:
        data = load(picture.header.path or "")
        return read_frame(data, picture.header, picture.index, limits)

    notes = (f"{copies} files are copies of others and are left out",) if copies else ()
    volumes = [_volume(group, read, path, notes) for group in _groups(pictures)]
    return [*volumes, *alone]


def _has_place(frame: Frame) -> bool:
    return None not in (frame.position, frame.orientation, frame.spacing)


def _groups(pictures: list[_Picture]) -> list[list[_Picture]]:
    """Part pictures into scans: one series, orientation, size and kind each."""
    scans: list[tuple[tuple[object, ...], NDArray[np.float64], list[_Picture]]] = []
    for picture in pictures:
        header = picture.header
        key = (
            header.series,
            header.rows,
            header.columns,
            header.is_localiser,
            picture.frame.spacing,
        )
        along = np.array(picture.frame.orientation)
        for other, direction, group in scans:
            if other == key and np.abs(direction - along).max() < _TURNED:
                group.append(picture)
                break
        else:
            scans.append((key, along, [picture]))
    return [group for _, _, group in scans]


def _volume(
    pictures: list[_Picture],
    read: Callable[[_Picture], NDArray[np.float32]],
    path: str | None = None,
    notes: tuple[str, ...] = (),
) -> Volume:
    """Order the pictures of a scan and say where they lie."""
    ordered, more = _ordered(pictures)
    geometry, told = _geometry(ordered)
    last = functools.lru_cache(maxsize=1)(lambda i: read(ordered[i]))  # a lone slice is read once
    shape, pixels = squared(geometry, last)
    header = ordered[0].header
    greys = _greys((pixels(i) for i in sampled(len(ordered))), ordered[0])
    paths = tuple(p.header.path or "" for p in ordered)
    several = len(set(paths)) > 1
    stored = VolumeGeometry(geometry.affine[:, [2, 1, 0, 3]], geometry.shape[::-1])
    found = Volume(
        shape,
        greys,
        pixels,
        path if several else header.path or path,
        paths if several else (),
        {**_origin(header), "plane": geometry.plane},
        (*notes, *more, *told, *note_sizes(geometry.spacing)),
        tuple(p.index for p in ordered),
        stored,
        _positions(ordered, geometry, shape) if told else (),
    )

    def recut(plane: Plane) -> Volume:
        whole = np.empty((len(ordered), header.rows, header.columns), dtype=np.float32)
        for i in range(len(ordered)):
            whole[i] = last(i)
        try:
            turned, read_plane = cut(whole, geometry.affine, plane)
        except ValueError as error:
            hint = "take out slices that lie far from the others, or leave --plane out"
            raise UnreadableImageError(found.path or "<memory>", str(error), hint) from error
        origin = {**found.origin, "plane": plane}
        return Volume(
            turned, greys, read_plane, found.path, (), origin, found.notes, (), stored, (), recut
        )

    return replace(found, recut=recut)


def _ordered(pictures: list[_Picture]) -> tuple[list[_Picture], tuple[str, ...]]:
    """Order pictures by where they lie; of several at one place keep the first."""
    places: dict[int, list[_Picture]] = defaultdict(list)
    heights = sorted(pictures, key=lambda p: (p.height, p.header.number, p.index))
    place, before = -1, -np.inf
    for picture in heights:
        if picture.height - before > _SAME:
            place, before = place + 1, picture.height
        places[place].append(picture)
    kept = [min(group, key=lambda p: (p.header.number, p.index)) for group in places.values()]
    left = len(pictures) - len(kept)
    note = f"{left} pictures lie where another does (echoes, phases or repeats); the first is read"
    return kept, (note,) if left else ()


def _geometry(ordered: list[_Picture]) -> tuple[VolumeGeometry, tuple[str, ...]]:
    """Say where the slices lie, and what is odd about it."""
    first, last = ordered[0], ordered[-1]
    along, spacing = first.frame.orientation, first.frame.spacing
    if along is None or spacing is None or first.frame.position is None:
        raise UnreadableImageError(str(first.header.path), "slices without a place", "export anew")
    affine = np.eye(4)
    affine[:3, 1] = np.multiply(along[3:], spacing[0])
    affine[:3, 2] = np.multiply(along[:3], spacing[1])
    affine[:3, 3] = first.frame.position
    count, notes = len(ordered), []
    if count == 1:
        affine[:3, 0] = first.normal * (first.frame.thickness or 1.0)
    else:
        ends = [p.frame.position or (0.0, 0.0, 0.0) for p in (first, last)]
        affine[:3, 0] = np.subtract(ends[1], ends[0]) / (count - 1)
        notes = _gaps([p.height for p in ordered])
    try:
        geometry = VolumeGeometry(affine, (count, first.header.rows, first.header.columns))
    except ValueError as error:
        found, hint = f"slices whose place is damaged ({error})", "export the series anew"
        raise UnreadableImageError(str(first.header.path), found, hint) from error
    return geometry, tuple(notes)


def _positions(
    ordered: list[_Picture], geometry: VolumeGeometry, shape: VolumeGeometry
) -> tuple[tuple[float, float, float], ...]:
    """Say where each slice begins, with its pixels made square, by its own header."""
    offset = np.subtract(shape.point(0, 0, 0), geometry.point(0, 0, 0))
    places = [np.add(picture.frame.position or (0.0, 0.0, 0.0), offset) for picture in ordered]
    return tuple((float(x), float(y), float(z)) for x, y, z in places)


def _gaps(heights: Sequence[float]) -> list[str]:
    """Say where slices are missing, or lie unevenly."""
    steps = np.diff(heights)
    usual = float(np.median(steps))
    missing = np.rint(np.minimum(steps / usual, _FAR)).astype(int) - 1
    if missing.sum() > 0:
        where = ", ".join(f"after slice {i}" for i in np.flatnonzero(missing > 0)[:5])
        return [f"{int(missing.clip(0).sum())} slices are missing ({where})"]
    if np.abs(steps - usual).max() > _UNEVEN * usual:
        return ["slices are not evenly spaced"]
    return []


def _greys(values: Iterable[NDArray[np.float32]], picture: _Picture) -> tuple[float, float]:
    """Find black and white for all pictures that belong together."""
    try:
        return common_range(values, _shown_window(picture))
    except ValueError as error:
        source = picture.header.path or "<bytes>"
        hint = "export it with a smaller offset"
        raise UnreadableImageError(source, f"a DICOM picture: {error}", hint) from error


def _shown_window(picture: _Picture) -> tuple[float, float] | None:
    """Give the window of a picture, in the greys that `read_frame` gives."""
    window = picture.frame.window
    if window is None or picture.header.photometric != "MONOCHROME1":
        return window
    return -window[1], -window[0]


def _origin(header: Header) -> dict[str, str]:
    """Tell people what kind of picture it is, and nothing of whom."""
    told = {"format": "DICOM", "mode": header.photometric, "modality": header.modality}
    told["body part"] = header.body_part
    if header.is_localiser:
        told["kind"] = "localiser"
    elif "DERIVED" in header.image_type:
        told["kind"] = "derived"
    return {name: text for name, text in told.items() if text}

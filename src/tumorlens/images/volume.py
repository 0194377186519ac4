"""A volume: slices in order, read when they are asked for, with one grey scale for all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, overload

import numpy as np
from numpy.typing import NDArray

from tumorlens.images.geometry import PLANES, Plane, Point, SliceGeometry, VolumeGeometry
from tumorlens.images.slice import Slice

__all__ = ["Volume", "common_range", "in_space", "sampled", "space_of"]

_SAMPLED: Final = 9  # slices that the common grey scale is taken from
_GREYS: Final = 64  # fewer than these between black and white are a wrong picture
_BLACK, _WHITE = 1.0, 99.8  # percentiles of their values


@dataclass(frozen=True, slots=True, eq=False)
class Volume(Sequence[Slice]):
    """Slices of one scan, in order.

    A sequence of `Slice`. Each is read when it is asked for and not kept, so that a volume
    costs the memory of the slices in use.

    Parameters
    ----------
    geometry
        Where its voxels lie in the patient.
    value_range
        The values that stand for black and white in all of its slices.
    pixels
        Reads the grey values of slice `i`, float32, ``(rows, columns)``, all finite.
    path
        Its file or folder as it was given, or ``None``.
    paths
        Where each slice has a file of its own, its path; else empty.
    origin
        What the reader knew of it, for people: format, modality, plane.
    notes
        What its user should know: slices that are missing, volumes that are left out.
    frames
        Which frame of its file each slice is, from 0, where that is known; else empty.
    stored
        Where the voxels lie as the source has them, in the order of its own axes: of NIfTI
        those of the array, of DICOM column, row and slice. In mm (LPS), as `geometry` is.
    positions
        Where the first pixel of each slice lies in mm (LPS) where slices are not evenly spaced,
        or some are missing; `geometry` lays them evenly from the first to the last. Else empty.
    recut
        Cuts it into slices of another plane; see `in_plane`.
    form
        A NIfTI header of nibabel that tells of the place of the voxels as the file does, and of
        nothing else; ``None`` of other formats.
    """

    geometry: VolumeGeometry
    value_range: tuple[float, float]
    pixels: Callable[[int], NDArray[np.float32]]
    path: str | None = None
    paths: tuple[str, ...] = ()
    origin: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    frames: tuple[int, ...] = ()
    stored: VolumeGeometry | None = None
    positions: tuple[Point, ...] = ()
    recut: Callable[[Plane], Volume] | None = None
    form: Any = None

    @property
    def grid(self) -> VolumeGeometry:
        """Where the voxels lie as the source has them; `stored` where that is known."""
        if self.stored is not None:
            return self.stored
        affine = np.ascontiguousarray(self.geometry.affine[:, [2, 1, 0, 3]])
        return VolumeGeometry(affine, self.geometry.shape[::-1])

    def in_plane(self, plane: Plane) -> Volume:
        """Cut it into slices of another plane.

        Of a DICOM series all voxels are held in memory for that.

        Parameters
        ----------
        plane
            ``"axial"``, ``"coronal"`` or ``"sagittal"``.

        Raises
        ------
        UnreadableImageError
            When it turns out that a slice cannot be read.
        ValueError
            When there is no such plane.
        """
        if plane not in PLANES:
            raise ValueError(f"`plane` must be one of {', '.join(PLANES)}, got {plane!r}")
        if plane == self.geometry.plane or self.recut is None:
            return self
        return self.recut(plane)

    @property
    def space(self) -> str:
        """Name the coordinates of its format: ``"LPS"`` of DICOM, else ``"RAS"``."""
        return space_of(self.origin)

    def __len__(self) -> int:
        return self.geometry.shape[0]

    @overload
    def __getitem__(self, index: int) -> Slice: ...
    @overload
    def __getitem__(self, index: slice) -> list[Slice]: ...

    def __getitem__(self, index: int | slice) -> Slice | list[Slice]:
        """Read a slice, or several.

        Raises
        ------
        UnreadableImageError
            When it turns out that the slice cannot be read.
        """
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"the volume has {len(self)} slices, there is no slice {index}")
        index %= len(self)
        return Slice(
            self.pixels(index),
            self.value_range,
            self.paths[index] if self.paths else self.path,
            index,
            dict(self.origin),
            self._place(index),
            self.frames[index] if self.frames else None,
        )

    def _place(self, index: int) -> SliceGeometry:
        place = self.geometry.slice(index)
        return replace(place, position=self.positions[index]) if self.positions else place

    def __iter__(self) -> Iterator[Slice]:
        return (self[i] for i in range(len(self)))

    def array(self) -> NDArray[np.float32]:
        """Read all of it: float32, ``(slices, rows, columns)``."""
        return np.stack([self.pixels(i) for i in range(len(self))])


def space_of(origin: dict[str, str]) -> str:
    """Name the coordinates that the format of a scan counts in."""
    return "LPS" if origin.get("format") == "DICOM" else "RAS"


def in_space(point: Point, space: str) -> Point:
    """Give a point (LPS) as a format counts: RAS has right and front where LPS has left and back.

    Rounded to a thousandth of a mm, so that no -0.0000001 is shown.
    """
    x, y, z = (round(value, 3) + 0.0 for value in point)
    return (x, y, z) if space == "LPS" else (0.0 - x, 0.0 - y, z)


def sampled(count: int) -> list[int]:
    """Choose slices that speak for all `count`, the outermost tenths left out."""
    first, last = round(0.1 * (count - 1)), round(0.9 * (count - 1))
    return sorted({round(x) for x in np.linspace(first, last, _SAMPLED)})


def common_range(
    values: Iterable[NDArray[Any]], window: tuple[float, float] | None = None
) -> tuple[float, float]:
    """Find black and white for all slices of a volume.

    Parameters
    ----------
    values
        Grey values of the slices that speak for all; see `sampled`.
    window
        What the file says is black and white. It is believed where it fits the values: from
        a fifth to five times as wide as they lie, and not beside them.

    Returns
    -------
    tuple of float
        From the 1st to the 99.8th percentile, so that neither padding nor a vessel decides.

    Raises
    ------
    ValueError
        When float32 cannot tell the values apart, far from zero as they lie.
    """
    found = np.concatenate([x.ravel()[:: max(1, x.size // 2**16)] for x in values])
    low, high = (float(x) for x in np.percentile(found, (_BLACK, _WHITE)))
    if high <= low:
        low, high = float(found.min()), float(found.max())
    if high > low and np.spacing(np.float32(max(-low, high))) * _GREYS > high - low:
        raise ValueError(
            f"its values, {low:g} to {high:g}, lie too close together to be told apart"
        )
    if window is not None and window[0] < window[1]:
        fits = 0.2 <= (window[1] - window[0]) / max(high - low, 1e-30) <= 5
        if fits and window[0] < high and window[1] > low:
            return window
    return low, high

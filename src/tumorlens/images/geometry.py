"""Where the pixels of a slice and the voxels of a volume lie in the patient, in millimetres.

Coordinates are the patient's own as DICOM has them (PS3.3 section C.7.6.2): x grows to the
left, y to the back, z to the head (LPS).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "PLANES",
    "Plane",
    "SliceGeometry",
    "VolumeGeometry",
    "is_plausible",
    "note_sizes",
    "plane_of",
    "say_mm",
]

Plane: TypeAlias = Literal["axial", "coronal", "sagittal"]
Point: TypeAlias = tuple[float, float, float]

PLANES: Final[tuple[Plane, ...]] = ("sagittal", "coronal", "axial")
"""The planes across x, y and z."""

_PLAUSIBLE: Final = (0.01, 100.0)  # mm: finer than any scanner of heads; half a head


def plane_of(normal: NDArray[np.float64]) -> Plane:
    """Name the plane that a normal ``(3,)`` is nearest to standing upright on."""
    return PLANES[int(np.abs(normal).argmax())]


def say_mm(value: float) -> str:
    """Write millimetres with one decimal, and without where they are whole."""
    return f"{round(value, 1) + 0.0:.1f}".removesuffix(".0")  # + 0.0: never -0


def is_plausible(size: float) -> bool:
    """Say whether voxels of a head may be so long, in mm."""
    return _PLAUSIBLE[0] <= size <= _PLAUSIBLE[1]


def note_sizes(spacing: Point) -> tuple[str, ...]:
    """Note that voxels are of a size that those of no head have, if they are."""
    if all(map(is_plausible, spacing)):
        return ()
    sizes = " x ".join(f"{size:.3g}" for size in spacing)
    return (f"its voxels are {sizes} mm by its header, which cannot be: places in mm are wrong",)


@dataclass(frozen=True, slots=True)
class SliceGeometry:
    """Where the pixels of a slice lie.

    Parameters
    ----------
    position
        Centre of the first pixel, in mm.
    down, right
        From a pixel to the one below it, and to the one on its right, in mm.
    """

    position: Point
    down: Point
    right: Point

    @property
    def spacing(self) -> tuple[float, float]:
        """Distance between rows and between columns, in mm."""
        return float(np.linalg.norm(self.down)), float(np.linalg.norm(self.right))

    @property
    def plane(self) -> Plane:
        """The plane that the slice is nearest to."""
        return plane_of(np.cross(self.right, self.down))

    def point(self, row: float, column: float) -> Point:
        """Say where a pixel lies, in mm."""
        here = np.add(self.position, np.multiply(row, self.down) + np.multiply(column, self.right))
        return (float(here[0]), float(here[1]), float(here[2]))


@dataclass(frozen=True, slots=True, eq=False)
class VolumeGeometry:
    """Where the voxels of a volume lie.

    Parameters
    ----------
    affine
        float64, ``(4, 4)``: from ``(slice, row, column, 1)`` to mm.
    shape
        Slices, rows and columns.

    Raises
    ------
    ValueError
        When the affine is not of that shape, not finite or flat, or an axis is empty.
    """

    affine: NDArray[np.float64]
    shape: tuple[int, int, int]

    def __post_init__(self) -> None:
        affine = self.affine
        if affine.shape != (4, 4) or not np.isfinite(affine).all():
            raise ValueError(f"`affine` must be finite and have shape (4, 4), got {affine.shape}")
        if not abs(np.linalg.det(affine[:3, :3])) > 0:
            raise ValueError("`affine` lays voxels onto one another")
        if min(self.shape) < 1:
            raise ValueError(f"`shape` must have no empty axis, got {self.shape}")

    @property
    def spacing(self) -> Point:
        """Distance between slices, rows and columns, in mm."""
        lengths = np.linalg.norm(self.affine[:3, :3], axis=0)
        return (float(lengths[0]), float(lengths[1]), float(lengths[2]))

    @property
    def plane(self) -> Plane:
        """The plane that its slices are nearest to."""
        return plane_of(np.cross(self.affine[:3, 2], self.affine[:3, 1]))

    def point(self, index: float, row: float, column: float) -> Point:
        """Say where a voxel lies, in mm."""
        x, y, z, _ = self.affine @ (index, row, column, 1.0)
        return (float(x), float(y), float(z))

    def voxel(self, point: Point) -> Point:
        """Say which voxel a point in mm lies in: slice, row and column, with fractions."""
        index, row, column, _ = np.linalg.solve(self.affine, (*point, 1.0))
        return (float(index), float(row), float(column))

    def slice(self, index: int) -> SliceGeometry:
        """Say where one slice lies."""
        down, right = self.affine[:3, 1], self.affine[:3, 2]
        return SliceGeometry(
            self.point(index, 0, 0),
            (float(down[0]), float(down[1]), float(down[2])),
            (float(right[0]), float(right[1]), float(right[2])),
        )

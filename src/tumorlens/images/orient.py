"""Cutting an array of voxels into slices of one plane, as radiologists look at them.

Axial slices run from the feet up, with the front at the top and the patient's left on the
right; coronal ones from front to back, the head at the top; sagittal ones from right to left,
the front on the left. An oblique scan is cut along its own axes, those nearest to the plane's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tumorlens.images.geometry import Plane, VolumeGeometry

__all__ = ["Voxels", "cut", "own_plane", "squared"]

_FLAT: Final = 1e-12  # mm³: smaller voxels are a damaged header
_LARGEST: Final = 16e6  # pixels of a slice whose pixels are made square
_ISOTROPIC: Final = 0.01  # pixels less out of square than this stay as they are

# For each plane the axis of the patient (0 left, 1 back, 2 head) and the direction in which
# slices, rows and columns run.
_VIEWS: Final[dict[Plane, tuple[tuple[int, int], ...]]] = {
    "axial": ((2, 1), (1, 1), (0, 1)),
    "coronal": ((1, 1), (2, -1), (0, 1)),
    "sagittal": ((0, 1), (2, -1), (1, 1)),
}

_Read = Callable[[int], NDArray[np.float32]]


class Voxels(Protocol):
    """What can be cut: an array, or what reads parts of one from a file."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along each of three axes."""

    def __getitem__(self, index: Any) -> Any:
        """Read a part."""


def own_plane(affine: NDArray[np.float64]) -> Plane:
    """Name the plane that the slices along the thickest axis of some voxels lie in."""
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    axis = _nearest(affine)[int(lengths.argmax())][0]
    return next(plane for plane, view in _VIEWS.items() if view[0][0] == axis)


def cut(voxels: Voxels, affine: NDArray[np.float64], plane: Plane) -> tuple[VolumeGeometry, _Read]:
    """Cut voxels into slices of a plane, with square pixels.

    Parameters
    ----------
    voxels
        Of three axes, real numbers.
    affine
        float64, ``(4, 4)``: from an index of three axes to mm (LPS).
    plane
        Which plane.

    Returns
    -------
    VolumeGeometry
        Of the slices. Where pixels are not square in the file, of the resampled ones.
    callable
        Reads slice `i`, float32, ``(rows, columns)``; what is not finite is as low as the
        lowest value of the slice.

    Raises
    ------
    ValueError
        When the affine is no geometry.
    """
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < _FLAT:
        raise ValueError("its header lays voxels onto one another")
    axes, flipped = _axes(affine, plane)
    shape = (
        int(voxels.shape[axes[0]]),
        int(voxels.shape[axes[1]]),
        int(voxels.shape[axes[2]]),
    )
    turned = np.eye(4)
    turned[:3, :3] = affine[:3, axes] * np.where(flipped, -1, 1)
    ends = [shape[i] - 1 if flipped[i] else 0 for i in range(3)]
    turned[:3, 3] = affine[:3, 3] + affine[:3, axes] @ ends

    def read(index: int) -> NDArray[np.float32]:
        place: list[Any] = [slice(None)] * 3
        place[axes[0]] = shape[0] - 1 - index if flipped[0] else index
        plain = np.asarray(voxels[tuple(place)])
        if axes[1] > axes[2]:
            plain = plain.T
        return _finite(plain[:: -1 if flipped[1] else 1, :: -1 if flipped[2] else 1])

    return squared(VolumeGeometry(turned, shape), read)


def squared(geometry: VolumeGeometry, read: _Read) -> tuple[VolumeGeometry, _Read]:
    """Make the pixels of slices square, as fine as their finer side.

    Parameters
    ----------
    geometry
        Of the slices as they are.
    read
        Reads slice `i`, float32, ``(rows, columns)``.

    Returns
    -------
    VolumeGeometry
        Of the resampled slices: their edges stay where they were.
    callable
        Reads slice `i` resampled.
    """
    count, rows, columns = geometry.shape
    _, down, right = geometry.spacing
    if abs(down - right) <= _ISOTROPIC * max(down, right):
        return geometry, read
    fine = min(down, right)
    # Before it is rounded: what is huge overflows.
    if not rows * columns * (down / fine) * (right / fine) <= _LARGEST:
        raise ValueError(f"pixels of {down:.3g} by {right:.3g} mm, too many when made square")
    high, wide = max(1, round(rows * down / fine)), max(1, round(columns * right / fine))
    scale = np.diag([1.0, rows / high, columns / wide, 1.0])
    scale[1:3, 3] = (rows / high - 1) / 2, (columns / wide - 1) / 2

    def resized(index: int) -> NDArray[np.float32]:
        picture = Image.fromarray(read(index)).resize((wide, high), Image.Resampling.BILINEAR)
        return np.array(picture, dtype=np.float32)

    return VolumeGeometry(np.asarray(geometry.affine @ scale), (count, high, wide)), resized


def _nearest(affine: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Say of each axis of the voxels which axis of the patient it runs along, and its direction.

    The assignment of three to three that keeps most of their length.
    """
    steps = affine[:3, :3] / np.maximum(np.linalg.norm(affine[:3, :3], axis=0), 1e-30)
    orders = [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
    best = max(orders, key=lambda order: sum(abs(steps[w, a]) for a, w in enumerate(order)))
    return [(world, 1 if steps[world, axis] >= 0 else -1) for axis, world in enumerate(best)]


def _axes(affine: NDArray[np.float64], plane: Plane) -> tuple[list[int], list[bool]]:
    """Say which axis of the voxels slices, rows and columns are, and which run backwards."""
    nearest = _nearest(affine)
    axes, flipped = [], []
    for world, direction in _VIEWS[plane]:
        axis = next(a for a, (w, _) in enumerate(nearest) if w == world)
        axes.append(axis)
        flipped.append(nearest[axis][1] != direction)
    return axes, flipped


def _finite(values: NDArray[Any]) -> NDArray[np.float32]:
    """Hold a slice in float32; what is not finite is as low as the rest goes."""
    with np.errstate(over="ignore"):  # beyond float32; then it is not finite
        wide = values.astype(np.float32)
    known = np.isfinite(wide)
    if not known.all():
        wide = np.where(known, wide, wide.min(where=known, initial=np.inf) if known.any() else 0)
    return np.ascontiguousarray(wide, dtype=np.float32)

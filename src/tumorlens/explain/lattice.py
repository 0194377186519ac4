"""From the pixels of slices to the voxels of the file or series that they were cut from.

Slices are cut along the axes of the source, whichever plane they show, so that each voxel lies
in one slice. Where pixels were made square it lies between two of them.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tumorlens.images.geometry import VolumeGeometry
from tumorlens.images.volume import Volume

__all__ = ["Lattice", "off_by"]

_BLOCK: Final = 2**25  # bytes that are unpacked at a time
_SPARSE: Final = 4  # times as many places as slices: no series has lost so many
_WHOLE: Final = 1e-3  # pixels: places nearer than this to a pixel are that pixel


class Lattice:
    """Voxels in the order of a source, filled slice by slice.

    Slices are held packed: a map is smooth, and takes a twentieth of its size.

    Parameters
    ----------
    volume
        Whose slices come.
    """

    def __init__(self, volume: Volume) -> None:
        self.grid, taken = _grid_of(volume)
        """Where the voxels lie, in mm (LPS)."""
        self.largest = 0.0
        """The largest value that was put."""
        step = np.linalg.solve(volume.geometry.affine, volume.grid.affine)
        self._axes = [int(np.abs(step[k, :3]).argmax()) for k in range(3)]
        places = [
            step[k, axis] * np.arange(self.grid.shape[axis]) + step[k, 3]
            for k, axis in enumerate(self._axes)
        ]
        self._slices = np.rint(places[0]).astype(int) if taken is None else taken
        self._rows, self._columns = places[1:]
        self._packed: dict[int, bytes] = {}

    def put(self, index: int, picture: NDArray[np.float32]) -> None:
        """Lay a slice's pixels ``(rows, columns)`` on the voxels that lie in it."""
        across = _picked(picture, self._rows)
        plane = np.ascontiguousarray(_picked(across.T, self._columns).T, dtype=np.float32)
        self.largest = max(self.largest, float(plane.max()))
        self._packed[index] = zlib.compress(plane.tobytes(), 1)

    def plane(self, index: int) -> NDArray[np.float32]:
        """Unpack a slice: float32, rows and columns as the source has them."""
        plane = np.frombuffer(zlib.decompress(self._packed[index]), dtype=np.float32)
        return plane.reshape(len(self._rows), len(self._columns))

    def array(self) -> NDArray[np.float32]:
        """Unpack all voxels: float32, axes as the source has them, 0 where nothing was put."""
        return self._block(0, self.grid.shape[2])

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Unpack all voxels, some of the last axis at a time."""
        x, y, count = self.grid.shape
        depth = max(1, _BLOCK // (4 * x * y))
        for start in range(0, count, depth):
            yield self._block(start, min(start + depth, count))

    def _block(self, start: int, stop: int) -> NDArray[np.float32]:
        x, y, _ = self.grid.shape
        block = np.zeros((x, y, stop - start), dtype=np.float32, order="F")
        view = np.moveaxis(block, self._axes, (0, 1, 2))
        part = [slice(None)] * 3
        part[self._axes.index(2)] = slice(start, stop)
        for place, index in enumerate(self._slices[part[0]]):
            if index in self._packed:
                view[place] = self.plane(index)[part[1], part[2]]
        return block


def off_by(volume: Volume) -> float:
    """Say how far in mm a slice of a series may lie from where `Lattice` has it.

    A lattice is even; slices that lie unevenly, and not because some are missing, do not fit it.
    """
    if len(volume.positions) < 2:
        return 0.0
    heights = _heights(volume)
    _, taken = _grid_of(volume)
    places = np.arange(len(heights)) if taken is None else np.flatnonzero(taken >= 0)
    return float(np.abs(heights - places * (heights[-1] / places[-1])).max())


def _heights(volume: Volume) -> NDArray[np.float64]:
    ways = np.subtract(volume.positions, volume.positions[0])
    return np.asarray(ways @ ways[-1] / np.linalg.norm(ways[-1]))


def _grid_of(volume: Volume) -> tuple[VolumeGeometry, NDArray[np.intp] | None]:
    """Give the voxels of the source; of a series that lacks slices, with room for those.

    Returns
    -------
    VolumeGeometry
        With evenly spaced slices.
    numpy.ndarray or None
        Which slice lies at each place along the last axis, -1 where none does. ``None`` where
        none is missing.
    """
    grid = volume.grid
    if not volume.positions:
        return grid, None
    heights = _heights(volume)
    places = np.rint(heights / np.median(np.diff(heights))).astype(int)
    count = int(places[-1]) + 1
    if np.diff(places).min() < 1 or count > _SPARSE * len(places):
        return grid, None  # as even as the volume itself takes it to be
    affine = grid.affine.copy()
    affine[:3, 2] *= (len(places) - 1) / (count - 1)
    taken = np.full(count, -1)
    taken[places] = np.arange(len(places))
    return VolumeGeometry(affine, (*grid.shape[:2], count)), taken


def _picked(values: NDArray[np.float32], places: NDArray[np.float64]) -> NDArray[np.float32]:
    """Read rows at places between them, by linear interpolation."""
    places = np.clip(places, 0, len(values) - 1)
    whole = np.rint(places)
    if np.abs(places - whole).max() < _WHOLE:
        return np.asarray(values[whole.astype(int)])
    first = np.minimum(places.astype(int), max(len(values) - 2, 0))
    beyond = (places - first).astype(np.float32)[:, None]
    after = values[np.minimum(first + 1, len(values) - 1)]
    return np.asarray(values[first] * (1 - beyond) + after * beyond, dtype=np.float32)

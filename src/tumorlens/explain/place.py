"""From the cells of a feature map to the pixels of the slice.

A cell looks at the input around a centre that depends on every stride and padding
before it. Stretching the map over the picture ignores that, and ignores which part
of the slice the input showed; here both are undone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tumorlens.images.prepare import Prepared
from tumorlens.models.card import FeatureLayer

__all__ = ["place_map", "place_on_input"]


def place_map(
    cells: NDArray[np.float32], layer: FeatureLayer, prepared: Prepared, height: int, width: int
) -> NDArray[np.float32]:
    """Interpolate a feature map at the pixels of a slice.

    Parameters
    ----------
    cells
        ``(rows, columns)`` of the layer.
    layer
        Where its cells lie in the input.
    prepared
        Which part of the slice the input shows.
    height, width
        Of the slice in pixels.

    Returns
    -------
    numpy.ndarray
        float32, ``(height, width)``. Bilinear between the cells' centres, the
        outermost cells carried on to the edge of the input, 0 where the network
        did not look.
    """
    left, top, right, bottom = prepared.box
    rows = _along(cells.shape[0], layer, prepared.size, top, bottom, height)
    columns = _along(cells.shape[1], layer, prepared.size, left, right, width)
    return _interpolate(cells, rows, columns)


def place_on_input(
    cells: NDArray[np.float32], layer: FeatureLayer, size: int
) -> NDArray[np.float32]:
    """Interpolate a feature map at the pixels of the network's input, ``(size, size)``."""
    rows = _along(cells.shape[0], layer, size, 0, size, size)
    columns = _along(cells.shape[1], layer, size, 0, size, size)
    return _interpolate(cells, rows, columns)


@dataclass(frozen=True, slots=True, eq=False)
class _Along:
    """Where the pixels along one axis lie among the cells.

    Parameters
    ----------
    first
        The cell before each pixel.
    beyond
        How far the pixel lies beyond it, from 0 to 1.
    seen
        The first pixel that the network looked at, and one past the last.
    """

    first: NDArray[np.intp]
    beyond: NDArray[np.float32]
    seen: tuple[int, int]


def _along(
    cells: int, layer: FeatureLayer, size: int, start: float, end: float, pixels: int
) -> _Along:
    in_input = (np.arange(pixels) + 0.5 - start) / (end - start) * size - 0.5
    in_cells = np.clip((in_input - layer.offset) / layer.stride, 0, cells - 1)
    first = in_cells.astype(np.intp)
    seen = np.searchsorted(in_input, (-0.5, size - 0.5 + 1e-9))
    return _Along(first, (in_cells - first).astype(np.float32), (int(seen[0]), int(seen[1])))


def _interpolate(cells: NDArray[np.float32], rows: _Along, columns: _Along) -> NDArray[np.float32]:
    """Interpolate across, then down.

    Not as a matrix product: its threads would cost more than the rest of an explanation.
    """
    # The last cell once more, so that every cell has a next one; its share is 0.
    cells = np.pad(cells, ((0, 1), (0, 1)), mode="edge")
    heat = np.zeros((rows.first.size, columns.first.size), dtype=np.float32)
    left, right = columns.seen
    first, beyond = columns.first[left:right], columns.beyond[left:right]
    across = cells[:, first] + np.diff(cells, axis=1)[:, first] * beyond
    steps = np.diff(across, axis=0)
    ends = np.searchsorted(rows.first, np.arange(len(cells)))
    for k in range(len(cells) - 1):
        here = slice(max(ends[k], rows.seen[0]), min(ends[k + 1], rows.seen[1]))
        if here.start < here.stop:
            part = np.multiply.outer(rows.beyond[here], steps[k], out=heat[here, left:right])
            part += across[k]
    return heat

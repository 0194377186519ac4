"""From the cells of a feature map to the pixels of the slice.

A cell looks at the input around a centre that depends on every stride and padding
before it. Stretching the map over the picture ignores that, and ignores which part
of the slice the input showed; here both are undone.
"""

from __future__ import annotations

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
    rows = _weights(cells.shape[0], layer, prepared.size, top, bottom, height)
    columns = _weights(cells.shape[1], layer, prepared.size, left, right, width)
    return np.asarray(rows @ cells @ columns.T, dtype=np.float32)


def place_on_input(
    cells: NDArray[np.float32], layer: FeatureLayer, size: int
) -> NDArray[np.float32]:
    """Interpolate a feature map at the pixels of the network's input, ``(size, size)``."""
    rows = _weights(cells.shape[0], layer, size, 0, size, size)
    columns = _weights(cells.shape[1], layer, size, 0, size, size)
    return np.asarray(rows @ cells @ columns.T, dtype=np.float32)


def _weights(
    cells: int, layer: FeatureLayer, size: int, start: float, end: float, pixels: int
) -> NDArray[np.float32]:
    """Weight of each cell at each pixel along one axis, ``(pixels, cells)``."""
    in_input = (np.arange(pixels) + 0.5 - start) / (end - start) * size - 0.5
    in_cells = np.clip((in_input - layer.offset) / layer.stride, 0, cells - 1)
    weights = np.maximum(0, 1 - np.abs(in_cells[:, None] - np.arange(cells)))
    seen = (in_input >= -0.5) & (in_input <= size - 0.5)
    return np.asarray(weights * seen[:, None], dtype=np.float32)

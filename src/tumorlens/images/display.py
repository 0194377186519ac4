"""How people are shown a slice: in 256 greys."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from tumorlens.images.outliers import leave_out, thin
from tumorlens.images.slice import Slice

__all__ = ["display_grey", "display_range"]

_BLACK, _WHITE = 0.5, 99.5  # percentiles of what a deep slice shows
_BITS: Final = (0.0, 255.0)


def display_range(picture: Slice) -> tuple[float, float]:
    """Find the values that a slice is best shown with as black and as white.

    Returns
    -------
    tuple of float
        ``(0, 255)`` for uint8. Of a slice of a volume the volume's own range, so that it
        does not flicker from slice to slice. Of other deep slices the 0.5th and the 99.5th
        percentile; padding and dead pixels do not count.
    """
    if picture.pixels.dtype == np.uint8:
        return _BITS
    if picture.geometry is not None:
        return picture.value_range
    known, _ = leave_out(picture)
    low, high = np.percentile(thin(known.pixels), (_BLACK, _WHITE))
    return float(low), float(high)


def display_grey(picture: Slice, between: tuple[float, float] | None = None) -> NDArray[np.uint8]:
    """Map a slice's values to grey as a viewer would show them.

    Parameters
    ----------
    picture
        The slice.
    between
        The values of black and white, such as those common to all slices of a volume;
        the slice's own `display_range` when ``None``.

    Returns
    -------
    numpy.ndarray
        uint8, ``(height, width)``. uint8 slices are shown as they are, unless `between`
        says otherwise.
    """
    low, high = display_range(picture) if between is None else between
    if picture.pixels.dtype == np.uint8 and (low, high) == _BITS:
        return np.asarray(picture.pixels, dtype=np.uint8)
    scaled = (picture.pixels.astype(np.float64) - low) * (255 / ((high - low) or 1.0))
    return np.asarray(np.clip(scaled, 0, 255), dtype=np.uint8)

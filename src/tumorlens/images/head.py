"""Where the head lies in a slice."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tumorlens.extras import require
from tumorlens.images.slice import Slice

__all__ = ["fill_largest", "find_head"]

Mask = NDArray[np.bool_]

_AIR: Final = 0.12  # of the brightest tissue: what is darker is taken for air


def find_head(picture: Slice) -> Mask:
    """Find the head: the largest piece of tissue with all that it encloses."""
    grey = picture.pixels.astype(np.float32)
    low, high = (float(v) for v in np.percentile(grey, (1, 99.5)))
    return fill_largest(grey > low + _AIR * (high - low))


def fill_largest(tissue: Mask) -> Mask:
    """Keep the largest piece of a mask, with all that it encloses."""
    ndimage: Any = require("scipy.ndimage", "finding the head", "evaluate")
    pieces, count = ndimage.label(tissue)
    if not count:
        return np.zeros(tissue.shape, dtype=np.bool_)
    largest = 1 + int(np.bincount(pieces.ravel())[1:].argmax())
    return np.asarray(ndimage.binary_fill_holes(pieces == largest), dtype=np.bool_)

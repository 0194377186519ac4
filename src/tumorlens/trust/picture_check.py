"""Whether a picture can be assessed at all: what is plain to see without a network."""

from __future__ import annotations

from typing import Final

import numpy as np

from tumorlens.images.prepare import Prepared
from tumorlens.images.slice import Slice

__all__ = ["check_picture"]

_SMALLEST_SIDE: Final = 48  # pixels: below it no slice in the training data, and no anatomy
_LONGEST_ASPECT: Final = 4.0
_LEAST_CONTRAST: Final = 0.02  # of the 256 grey values


def check_picture(picture: Slice, prepared: Prepared) -> str | None:
    """Say why a picture cannot be assessed, or ``None`` when nothing speaks against it.

    This finds blank, tiny and strip-like pictures. It does not find photographs
    or other organs.
    """
    short, long = sorted((picture.height, picture.width))
    if picture.pixels.min() == picture.pixels.max():
        return "the picture is blank"
    if short < _SMALLEST_SIDE:
        return f"the picture is only {picture.width} × {picture.height} pixels"
    if long > _LONGEST_ASPECT * short:
        return f"the picture is a strip of {picture.width} × {picture.height} pixels"
    # The range of deeper pictures is their content's own, which one stuck pixel can stretch.
    least = _LEAST_CONTRAST if picture.pixels.dtype == np.uint8 else 0.0
    if prepared.contrast <= least:
        return "the picture is blank"
    return None

"""Evidence as a line on the slice, for who wants to see what lies below the colour."""

from __future__ import annotations

from typing import Final

import numpy as np
from PIL import Image, ImageFilter

__all__ = ["LEVEL", "draw_contour"]

LEVEL: Final = 0.5
"""The line runs where evidence is that much of the most."""

_LINE: Final = "#F0E442"
_SHADE: Final = "#000000"  # around the line, or it would be lost on a bright skull


def draw_contour(
    plain: Image.Image, heat: Image.Image, strength: float, width: int = 1
) -> Image.Image:
    """Draw where evidence passes `LEVEL`.

    Parameters
    ----------
    plain
        The slice in grey, RGB.
    heat
        The map in the size of `plain`, floats from 0 to 1.
    strength
        How dense the line is, from 0 to 1.
    width
        Of the line, and of the shade around it, in pixels.
    """
    inside = Image.fromarray((np.asarray(heat) >= LEVEL).astype(np.uint8) * 255)
    wider = inside.filter(ImageFilter.MaxFilter(2 * width + 1))
    widest = inside.filter(ImageFilter.MaxFilter(4 * width + 1))
    drawn = plain.copy()
    for colour, ring in ((_SHADE, (widest, inside)), (_LINE, (wider, inside))):
        outer, inner = (np.asarray(mask, np.float32) for mask in ring)
        drawn.paste(colour, mask=Image.fromarray(((outer - inner) * strength).astype(np.uint8)))
    return drawn

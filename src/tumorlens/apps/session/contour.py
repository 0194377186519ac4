"""Evidence as a line on the slice, for who wants to see what lies below the colour."""

from __future__ import annotations

from typing import Final

import numpy as np
from PIL import Image, ImageChops, ImageFilter

__all__ = ["LEVEL", "draw_contour"]

LEVEL: Final = 0.5
"""The line runs where evidence is that much of the most."""

_LINE: Final = "#F0E442"
_SHADE: Final = "#000000"  # around the line, or it would be lost on a bright skull


def draw_contour(plain: Image.Image, heat: Image.Image, width: int = 1) -> Image.Image:
    """Draw where evidence passes `LEVEL`, always bright: a line that is mixed with grey is lost.

    Parameters
    ----------
    plain
        The slice in grey, RGB.
    heat
        The map in the size of `plain`, floats from 0 to 1.
    width
        Of the line, and of the shade around it, in pixels.
    """
    inside = Image.fromarray((np.asarray(heat) >= LEVEL).astype(np.uint8) * 255)
    wider = inside.filter(ImageFilter.MaxFilter(2 * width + 1))
    widest = inside.filter(ImageFilter.MaxFilter(4 * width + 1))
    drawn = plain.copy()
    for colour, outer in ((_SHADE, widest), (_LINE, wider)):
        drawn.paste(colour, mask=ImageChops.subtract(outer, inside))
    return drawn

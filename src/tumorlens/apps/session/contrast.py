"""Window and level: which values are shown as black and as white."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["Look", "Range", "moved"]

_LEAST: Final = 1 / 256  # of the usual window: with less everything is black or white

Range = tuple[float, float]
"""The values of black and of white."""


@dataclass(frozen=True, slots=True)
class Look:
    """How a slice is drawn.

    Parameters
    ----------
    colormap
        What evidence is coloured with.
    greys
        The values of black and of white; ``None`` for those that the slice is usually
        shown with.
    """

    colormap: str = "inferno"
    greys: Range | None = None


def moved(start: Range, usual: Range, wider: float, higher: float) -> Range:
    """Change window and level.

    Parameters
    ----------
    start
        From where.
    usual
        What the slice is usually shown with: the measure of all changes.
    wider
        By which part of the usual window it grows; below 0 it shrinks.
    higher
        By which part of the usual window its middle rises, and the slice gets darker.
    """
    unit = (usual[1] - usual[0]) or 1.0
    level = (start[0] + start[1]) / 2 + higher * unit
    level = min(max(level, usual[0] - unit), usual[1] + unit)
    width = min(max(start[1] - start[0] + wider * unit, _LEAST * unit), 4 * unit)
    return level - width / 2, level + width / 2

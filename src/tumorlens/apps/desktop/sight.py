"""Which part of a slice is seen, where, and how large."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

__all__ = ["Pane", "Sight", "fitting", "locate"]

_MOST: Final = 64.0  # screen pixels for one of the slice
_LEAST: Final = 1 / 8  # of the zoom at which the slice fits
_SMALLEST: Final = 1e-3


@dataclass(frozen=True, slots=True)
class Sight:
    """Which part of the slice is seen, and how large.

    Parameters
    ----------
    zoom
        Screen pixels for one pixel of the slice, the same both ways.
    x, y
        The place of the slice that is in the middle, in its pixels.
    """

    zoom: float
    x: float
    y: float

    def zoomed(self, factor: float, offset: tuple[float, float], fit: float) -> Sight:
        """Zoom by a factor; what lies `offset` from the middle of the room stays there.

        Parameters
        ----------
        factor
            Above 1 to see it larger.
        offset
            To the right and down, in screen pixels.
        fit
            The zoom at which the whole slice fits. No slice is made much smaller than that,
            and none larger than `_MOST` unless its fit is.
        """
        zoom = min(max(self.zoom * factor, fit * _LEAST), max(_MOST, fit))
        moved = 1 / self.zoom - 1 / zoom
        return Sight(zoom, self.x + offset[0] * moved, self.y + offset[1] * moved)

    def moved(self, right: float, down: float) -> Sight:
        """Look further right and down, in screen pixels."""
        return Sight(self.zoom, self.x + right / self.zoom, self.y + down / self.zoom)

    def kept(self, size: tuple[int, int]) -> Sight:
        """Keep the middle of the room on the slice."""
        x, y = (min(max(at, 0.0), float(n)) for at, n in zip((self.x, self.y), size, strict=True))
        return Sight(self.zoom, x, y)

    def pixel_at(self, x: int, y: int, room: tuple[int, int]) -> tuple[int, int]:
        """Find column and row under a place of the room; they may lie off the slice."""
        places = zip((x, y), (self.x, self.y), room, strict=True)
        column, row = (
            math.floor((at + 0.5 - _begin(middle, length, self.zoom)) / self.zoom)
            for at, middle, length in places
        )
        return column, row


@dataclass(frozen=True, slots=True)
class Pane:
    """Where a part of the slice lies on the screen.

    Parameters
    ----------
    left, top, width, height
        On the screen, whole pixels.
    box
        The part: left, top, right and bottom in pixels of the slice.
    """

    left: int
    top: int
    width: int
    height: int
    box: tuple[float, float, float, float]


def locate(sight: Sight, room: tuple[int, int], size: tuple[int, int]) -> Pane | None:
    """Find what of a slice is seen in a room of the screen, and where.

    Parameters
    ----------
    sight
        Which part, how large.
    room
        Width and height on the screen.
    size
        Width and height of the slice.

    Returns
    -------
    Pane or None
        Relative to the room's corner; ``None`` when nothing is seen.
    """
    starts, ends, box_starts, box_ends = [], [], [], []
    for middle, length, pixels in zip((sight.x, sight.y), room, size, strict=True):
        first = _begin(middle, length, sight.zoom)
        seen = max(1.0, pixels * sight.zoom)  # a line is seen, however thin
        start, end = max(0, first), min(length, round(first + seen))
        if end <= start:
            return None
        starts.append(start)
        ends.append(end)
        box_starts.append(min(max((start - first) / sight.zoom, 0.0), float(pixels)))
        box_ends.append(min(max((end - first) / sight.zoom, 0.0), float(pixels)))
    if box_ends[0] <= box_starts[0] or box_ends[1] <= box_starts[1]:
        return None
    box = (box_starts[0], box_starts[1], box_ends[0], box_ends[1])
    return Pane(starts[0], starts[1], ends[0] - starts[0], ends[1] - starts[1], box)


def fitting(room: tuple[int, int], size: tuple[int, int]) -> Sight:
    """Show a whole slice, as large as a room of the screen allows."""
    zoom = max(min(room[0] / size[0], room[1] / size[1]), _SMALLEST)
    return Sight(zoom, size[0] / 2, size[1] / 2)


def _begin(middle: float, length: int, zoom: float) -> int:
    """Say where on the screen a slice begins: at a whole pixel, so that 1 : 1 is exact."""
    return round(length / 2 - middle * zoom)

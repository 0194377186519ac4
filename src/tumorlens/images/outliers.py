"""Values of a slice that show nothing: padding, dead pixels, plates of text.

Scanners and converters write a value such as -2000, -1024 or 32767 where there is no
picture, and a broken detector gives one such pixel. A single one of them would otherwise
decide what black or white is. What is left out is told by the values alone:

- **Padding** is one value that many pixels have, darker or brighter than all others by a
  gap as there is none inside a picture. Black air around a head has no such gap, and a
  brain on plain black stays as it is, as long as 0 stands for black.
- **Dead pixels** are few, and lie below all others by half of what black and white are
  apart. Bright ones do no harm: white is where but few pixels are brighter.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tumorlens.images.percentiles import count_levels
from tumorlens.images.slice import Slice

__all__ = ["leave_out", "thin"]

_SAMPLE: Final = 2**15  # pixels of a larger picture that are looked at, at most
_FEW: Final = 0.005  # of the pixels: as many may be darkest or brightest by chance
_EDGE: Final = 0.02  # of the pixels: as many may lie between padding and picture
_LEVELS: Final = 32  # values that a picture has at least; a drawing has fewer
_LEAST: Final = 0.1  # of the pixels that are left, at least
_BLOCK: Final = 8  # pixels: side of the blocks whose mean fills what is left out

# Gaps, as fractions of the distance from black to white of what is left.
_GAP: Final = 0.5  # between padding and picture
_GAP_TO_ZERO: Final = 2.0  # the same, where the padding is 0, which is plain black more often
_GAP_TO_AIR: Final = 0.12  # the same, where it is negative and the picture has air of its own
_DEAD: Final = 0.5  # between dead pixels and the picture
_DEAD_BELOW_ZERO: Final = 0.05  # the same, where they alone are negative
_AIR: Final = 0.08  # how far air reaches up from black
_MUCH_AIR: Final = 0.15  # of the pixels, where a picture has air of its own
_BEYOND: Final = 8.0  # what is as much brighter than the rest is no picture, gap or none


def leave_out(picture: Slice) -> tuple[Slice, str | None]:
    """Fill pixels that show nothing from around them, or with black.

    Parameters
    ----------
    picture
        A slice as `read_slices` gives it.

    Returns
    -------
    Slice
        The very same, when there are no such pixels.
    str or None
        What was left out, for people.
    """
    pixels = picture.pixels
    low, high = _bounds(_ordered(thin(pixels)))
    if low <= pixels.min() and pixels.max() <= high:
        return picture, None
    dark, bright = pixels < low, pixels > high
    count = int(dark.sum() + bright.sum())
    if not count or count == pixels.size:
        return picture, None
    hidden = dark | bright
    filled = _fill(pixels, hidden)
    value_range = picture.value_range
    if filled.dtype != np.uint8:
        value_range = float(filled.min()), float(filled.max())
    lowest, highest = float(pixels[hidden].min()), float(pixels[hidden].max())
    values = f"{lowest:g}" if lowest == highest else f"from {lowest:g} to {highest:g}"
    note = f"left out {count:,} of {pixels.size:,} pixels, which show nothing (value {values})"
    return replace(picture, pixels=filled, value_range=value_range), note


def thin(pixels: NDArray[Any]) -> NDArray[Any]:
    """Take every so many pixels of a large picture: enough to know its greys by."""
    step = max(1, int(np.ceil(np.sqrt(pixels.size / _SAMPLE))))
    return pixels[::step, ::step]


def _ordered(pixels: NDArray[Any]) -> NDArray[np.float64]:
    """Put the values of a picture in order."""
    if pixels.dtype == np.uint8:
        return np.repeat(np.arange(256, dtype=np.float64), count_levels(pixels))
    return np.sort(pixels, axis=None, kind="stable").astype(np.float64)


def _bounds(values: NDArray[np.float64]) -> tuple[float, float]:
    """Find between which values the picture lies, from its values in order."""
    low, high = -np.inf, np.inf
    for _ in range(3):  # one padding may hide another
        rest = values[np.searchsorted(values, low) : np.searchsorted(values, high, "right")]
        bounds = _above_padding(rest, values.size), _below_padding(rest, values.size)
        if bounds == (-np.inf, np.inf):
            break
        low, high = max(low, bounds[0]), min(high, bounds[1])
    black, white = _at(rest, _FEW), _at(rest, 1 - _FEW)
    dead = black - _DEAD * (white - black)
    if black >= 0:
        dead = max(dead, min(0.0, black - _DEAD_BELOW_ZERO * (white - black)))
    return max(low, dead), high


def _above_padding(values: NDArray[np.float64], total: int) -> float:
    """Find the lowest value of the picture above dark padding; -inf without any."""
    padding = _at(values, _FEW)
    rest = values[np.searchsorted(values, padding, "right") :]
    if rest.size < _LEAST * total:
        return -np.inf
    black, white = _at(rest, _EDGE), _at(rest, 1 - _FEW)
    gap, span = black - padding, white - black
    air = np.searchsorted(rest, black + _AIR * span) >= _MUCH_AIR * rest.size
    least = _GAP_TO_ZERO if padding == 0 else _GAP_TO_AIR if padding < 0 and air else _GAP
    found = 0 < least * span < gap and _is_picture(rest)
    return black - 0.1 * span if found else -np.inf


def _below_padding(values: NDArray[np.float64], total: int) -> float:
    """Find the highest value of the picture below bright padding; inf without any."""
    padding = _at(values, 1 - _FEW)
    rest = values[: np.searchsorted(values, padding)]
    if rest.size < _LEAST * total:
        return np.inf
    black, white = _at(rest, _FEW), _at(rest, 1 - _EDGE)
    span = white - black
    if span > 0 and _is_picture(rest):
        if padding - white > _BEYOND * span:
            return white + span
        if padding - (last := _at(rest, 0.999)) > _GAP * (last - black):
            return (padding + last) / 2
    return np.inf


def _at(values: NDArray[np.float64], share: float) -> float:
    """Give the value below which a share of ordered values lies."""
    return float(values[min(int(share * values.size), values.size - 1)])


def _is_picture(values: NDArray[np.float64]) -> bool:
    """Tell a picture from a drawing of a few plain greys."""
    return int(np.count_nonzero(np.diff(values))) + 1 >= _LEVELS


def _fill(pixels: NDArray[Any], hidden: NDArray[np.bool_]) -> NDArray[Any]:
    """Put the mean of its surroundings into every hidden pixel, or black."""
    height, width = pixels.shape
    rows, columns = np.arange(0, height, _BLOCK), np.arange(0, width, _BLOCK)

    def in_blocks(values: NDArray[Any]) -> NDArray[np.float64]:
        wide = values.astype(np.float64)
        return np.add.reduceat(np.add.reduceat(wide, rows, axis=0), columns, axis=1)

    known = in_blocks(~hidden)
    means = in_blocks(np.where(hidden, 0, pixels)) / np.maximum(known, 1)
    means[known < _BLOCK] = float(pixels[~hidden].min())
    y, x = np.nonzero(hidden)
    filled = pixels.copy()
    filled[y, x] = means[y // _BLOCK, x // _BLOCK]
    return filled

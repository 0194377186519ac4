"""How colour and deep values become one grey channel.

Colour becomes grey by ITU-R BT.601 luma, and what is transparent shows black. Eight bits
stay eight bits; all else becomes float32, never cut to eight.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["float_pixels", "grey_pixels", "luma"]

_LUMA: Final = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as in Pillow
_FLOAT32_MAX = float(np.finfo(np.float32).max)
# Float32 must tell at least this many grey values apart between black and white.
_MIN_GREYS = 4096


def luma(values: NDArray[Any]) -> NDArray[Any]:
    """Reduce the channels of an array to grey, over black.

    Parameters
    ----------
    values
        Real numbers, ``(height, width, 1 to 4)``: grey, grey and alpha, colour, colour and
        alpha. Alpha runs to the highest value of an integer, and to 1 in floating point.

    Returns
    -------
    numpy.ndarray
        ``(height, width)``: uint8 of uint8, the values themselves of one channel, float64
        of all else.
    """
    channels = values.shape[2]
    if channels == 1:
        return values[:, :, 0]
    if values.dtype == np.uint8:
        return grey_pixels(Image.fromarray(np.ascontiguousarray(values)))  # as in a file
    wide = values.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):  # infinities, dealt with later
        grey: NDArray[Any] = wide[..., 0] if channels == 2 else wide[..., :3] @ _LUMA
        if channels in (2, 4):
            full = np.iinfo(values.dtype).max if values.dtype.kind in "iu" else 1
            grey *= np.clip(wide[..., -1] / full, 0, 1)
    return grey


def grey_pixels(picture: Image.Image) -> NDArray[np.uint8]:
    """Reduce a picture of eight bits per channel to grey, over black.

    Parameters
    ----------
    picture
        A picture of any mode but ``I``, ``I;16*`` and ``F``.

    Returns
    -------
    ndarray
        A new array of shape ``(height, width)``, uint8.
    """
    opaque = _over_black(picture)
    if opaque.mode in ("CMYK", "HSV", "LAB"):
        opaque = opaque.convert("RGB")  # LAB by way of its colour profile
    return np.array(opaque.convert("L"), dtype=np.uint8)


def float_pixels(
    values: NDArray[Any], hidden: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.float32], tuple[float, float]]:
    """Hold real values in float32, with black and white where they lie.

    Values are kept as they are, unless float32 cannot hold them or cannot tell
    them apart; then they are spread from 0 to 1. (64-bit integers beyond 2**24 are
    first counted from the lowest.) What is not finite, or is hidden, becomes the
    lowest value of the rest.

    Parameters
    ----------
    values
        Real numbers, shape ``(height, width)``, any byte order.
    hidden
        Which of them to leave out, same shape.

    Returns
    -------
    pixels
        A new array of the same shape, float32, all finite.
    value_range
        The lowest and the highest of them.

    Raises
    ------
    ValueError
        When no value is finite.
    """
    wide = _float64(values)
    known = np.isfinite(wide)
    if hidden is not None:
        known &= ~hidden
    if not known.any():
        raise ValueError("not one of its values is finite")
    lowest = float(wide.min(where=known, initial=np.inf))
    highest = float(wide.max(where=known, initial=-np.inf))
    wide = np.where(known, wide, lowest)
    if not _fits_float32(lowest, highest, exact=_is_exact(values.dtype)):
        wide = _spread(wide, lowest, highest)
    pixels = wide.astype(np.float32)
    return pixels, (float(pixels.min()), float(pixels.max()))


def _over_black(picture: Image.Image) -> Image.Image:
    """Composite a picture with transparency over black; leave others alone."""
    mode = picture.mode
    if mode in ("P", "PA"):
        # Converting writes the transparency into the palette: use up a copy.
        mode = "RGBA" if picture.has_transparency_data else "RGB"
        picture = picture.copy().convert(mode)
    elif "transparency" in picture.info and mode in ("1", "L", "RGB"):
        picture = picture.convert("RGBA")
    if picture.mode in ("LA", "RGBA"):
        picture = picture.convert({"LA": "La", "RGBA": "RGBa"}[picture.mode])
    if picture.mode == "La":  # colour times alpha, which is the colour over black
        return picture.getchannel(0)
    if picture.mode == "RGBa":
        return Image.merge("RGB", picture.split()[:3])
    return picture


def _float64(values: NDArray[Any]) -> NDArray[np.float64]:
    """Widen to float64, without loss of contrast."""
    if values.dtype.kind in "iu" and values.dtype.itemsize == 8:
        lowest, highest = int(values.min()), int(values.max())
        if max(-lowest, highest) > 2**24:
            # Unsigned arithmetic wraps around, so this is exact for every pair.
            values = values.astype(np.uint64) - np.uint64(lowest % 2**64)
    with np.errstate(over="ignore"):  # of a long double; then it is not finite
        return values.astype(np.float64)


def _is_exact(dtype: np.dtype[Any]) -> bool:
    """Say whether float32 holds every value of a type."""
    return np.can_cast(dtype, np.float32)


def _fits_float32(lowest: float, highest: float, *, exact: bool) -> bool:
    """Say whether float32 holds a range and tells the values in it apart."""
    peak, span = max(-lowest, highest), highest - lowest
    if max(peak, span) > _FLOAT32_MAX:
        return False
    if exact or span == 0:
        return True
    return float(np.spacing(np.float32(peak))) * _MIN_GREYS <= span


def _spread(wide: NDArray[np.float64], lowest: float, highest: float) -> NDArray[np.float64]:
    """Map a range to 0..1; by halves, because the span itself may overflow."""
    if lowest == highest:
        return np.zeros_like(wide)
    return (wide / 2 - lowest / 2) / (highest / 2 - lowest / 2)

"""From a slice to the network's input: the one preparation that everything shares.

Five steps, the same for training, evaluation and every application:

1. **Leave out what shows nothing**: padding and dead pixels (`tumorlens.images.outliers`).
2. **Find the head** (`tumorlens.images.head`). The box that holds it is cut out, and the
   shorter side is padded with black to a square. The head keeps its proportions and fills
   the input, whatever border the scan came with.
3. **Resample once** to the network's size, averaging where the picture shrinks.
4. **Stretch the grey values** from the 1st to the 99.5th percentile of the result
   to 0 … 1. Neither the bit depth nor brightness nor contrast of the file is left.
5. Repeat the one grey channel as often as the network wants it.

Why not simply squash the whole picture, as is common? In the public training set
the classes differ in size, mode and borders of their files, so that those alone
name the class; a plain resize hands all of it to the network as aspect ratio,
border width and sharpness.

A model's card names the preparation that it was trained with. ``head-crop/1`` takes all that
is brighter than air for the head, a caption or a frame too, and fills with the darkest value.
``head-crop/2`` tells the head from what lies beside it, takes white from the head alone, and
lets no few pixels decide what black is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tumorlens.images.head import Box, find_head_box, find_tissue_box, framed, widen
from tumorlens.images.outliers import leave_out, thin
from tumorlens.images.percentiles import count_levels, percentiles, percentiles_of_levels
from tumorlens.images.slice import Slice

__all__ = ["PREPARATION", "PREPARATIONS", "Prepared", "prepare", "prepare_mask", "to_tensor"]

PREPARATIONS: Final = ("head-crop/1", "head-crop/2")
"""Names and versions of the preparations that there are."""

PREPARATION: Final = PREPARATIONS[-1]
"""The one that new models are trained with."""

_MARGIN: Final = 0.02  # of the box, added on each side
_LARGEST: Final = 4096  # side of a box, in pixels, that is resampled at once
_BLACK, _WHITE = 1.0, 99.5  # percentiles stretched to 0 and 1
_FEW: Final = 0.5  # percentile: as many pixels may be darker than black is
_EIGHT_BITS: Final = np.arange(256, dtype=np.float32) / np.float32(255)
_GLARE: Final = 2.0  # from black to white: as much brighter than white a pixel may be


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A slice as the network sees it.

    Parameters
    ----------
    pixels
        Grey values from 0 to 1, shape ``(size, size)``, float32.
    box
        The square of the slice that `pixels` shows: left, top, right and bottom
        edge in pixels of the slice. It may reach beyond the slice, where the
        input is black.
    contrast
        How far black and white lay apart before they were stretched, as a
        fraction of the slice's value range. 0 for a blank picture.
    note
        What was left out because it shows nothing, for people, or ``None``.
    """

    pixels: NDArray[np.float32]
    box: tuple[float, float, float, float]
    contrast: float
    note: str | None = None

    @property
    def size(self) -> int:
        """Side of the square input in pixels."""
        return int(self.pixels.shape[0])


def prepare(picture: Slice, size: int, preparation: str = PREPARATION) -> Prepared:
    """Cut out the head, resample it to a square and stretch its grey values.

    Parameters
    ----------
    picture
        A slice as `read_slices` gives it.
    size
        Side of the square input in pixels, at least 8.
    preparation
        One of `PREPARATIONS`. For a model it is the one that its card names.

    Returns
    -------
    Prepared
        Grey values from 0 to 1 and where in the slice they lie.

    Raises
    ------
    ValueError
        When `size` is too small, or there is no such preparation.
    """
    if size < 8:
        raise ValueError(f"`size` must be at least 8 pixels, got {size}")
    if preparation not in PREPARATIONS:
        known = ", ".join(PREPARATIONS)
        raise ValueError(f"`preparation` must be one of {known}, got {preparation!r}")
    picture, note = leave_out(picture)
    low, high = picture.value_range
    span = max(high - low, float(np.finfo(np.float32).tiny))
    grey = (picture.pixels.astype(np.float32) - np.float32(low)) / np.float32(span)
    if preparation == "head-crop/1":
        grey -= grey.min()  # what is added around the picture is as dark as its own darkest
        box = _square(find_tissue_box(grey))
        pixels = _resample(grey, box, size)
        black, white = percentiles(pixels, (_BLACK, _WHITE)).tolist()
    else:
        grey = _without_extremes(grey, picture.pixels)
        found, head = find_head_box(grey)
        box = _square(found)
        pixels = _resample(grey, box, size)
        black = float(percentiles(pixels, _BLACK))
        white = _white(pixels, _in_box(head, grey.shape, box, size))
    contrast = max(0.0, white - black)
    if contrast > 0:
        pixels = np.clip((pixels - black) / contrast, 0.0, 1.0).astype(np.float32)
    else:
        pixels = np.zeros_like(pixels)
    left, top, right, bottom = map(float, box)
    return Prepared(pixels, (left, top, right, bottom), contrast, note)


def prepare_mask(mask: NDArray[np.bool_], prepared: Prepared) -> NDArray[np.float32]:
    """Lay a mask of a slice over the slice as the network sees it.

    Parameters
    ----------
    mask
        bool, of the slice's own shape.
    prepared
        What `prepare` made of the slice.

    Returns
    -------
    numpy.ndarray
        float32, ``(size, size)``: the share of each pixel that the mask covers.
    """
    left, top, right, bottom = (round(edge) for edge in prepared.box)
    return _resample(mask.astype(np.float32), (left, top, right, bottom), prepared.size)


def to_tensor(
    pixels: NDArray[np.float32], *, channels: int, value_range: tuple[float, float], layout: str
) -> NDArray[np.float32]:
    """Turn prepared grey pictures into the tensor a network was trained on.

    Parameters
    ----------
    pixels
        Shape ``(n, size, size)``, from 0 to 1.
    channels
        How often the grey channel is repeated.
    value_range
        The numbers that stand for black and white in the network's input.
    layout
        ``"NHWC"`` or ``"NCHW"``.

    Returns
    -------
    numpy.ndarray
        float32, ``(n, size, size, channels)`` or ``(n, channels, size, size)``.
    """
    low, high = value_range
    scaled = np.asarray(pixels * np.float32(high - low) + np.float32(low), dtype=np.float32)
    count, *sides = scaled.shape
    planes = {"NHWC": (count, *sides, channels), "NCHW": (count, channels, *sides)}
    tensor = np.empty(planes[layout], dtype=np.float32)
    by_channel = np.moveaxis(tensor, -1 if layout == "NHWC" else 1, 0)
    for plane in by_channel:  # quicker than `numpy.repeat` along the last axis
        plane[...] = scaled
    return tensor


def _without_extremes(grey: NDArray[np.float32], pixels: NDArray[Any]) -> NDArray[np.float32]:
    """Bring the few darkest and brightest pixels to their like, and black to 0, in place."""
    shares = (_FEW, 100 - _FEW)
    if pixels.dtype == np.uint8:  # whose values are few, and can be counted
        found = percentiles_of_levels(_EIGHT_BITS, count_levels(thin(pixels)), shares)
    else:
        found = percentiles(thin(grey), shares)
    black, white = (np.float32(value) for value in found)
    most = np.float32(1 + _GLARE) * (white - black)
    if black or grey.min() < 0 or grey.max() > most:
        grey -= black
        np.clip(grey, np.float32(0), most, out=grey)
    return grey


def _in_box(
    head: NDArray[np.bool_], shape: tuple[int, ...], box: Box, size: int
) -> NDArray[np.bool_]:
    """Lay the head as it was found in a thumbnail over the network's input."""
    step = max(1, -(-max(shape) // max(head.shape)))
    middles = (np.arange(size) + 0.5) * (box[2] - box[0]) / size
    x = np.floor((box[0] + middles) / step).astype(np.int64)
    y = np.floor((box[1] + middles) / step).astype(np.int64)
    # One cell wider: tissue at the head's rim shares its cell with air.
    wide = widen(framed(head, beyond=False))
    y, x = np.clip(y + 1, 0, wide.shape[0] - 1), np.clip(x + 1, 0, wide.shape[1] - 1)
    return np.asarray(wide.take(y, axis=0).take(x, axis=1))


def _white(pixels: NDArray[np.float32], head: NDArray[np.bool_]) -> float:
    """Find the value that few pixels of the head surpass, few as counted in the whole input."""
    if not head.any():
        return float(percentiles(pixels, _WHITE))
    share = min(100.0, (100 - _WHITE) * pixels.size / int(head.sum()))
    return float(percentiles(pixels[head], 100 - share))


def _square(box: Box) -> Box:
    """Widen the box by the margin, then its shorter side to the longer one."""
    left, top, right, bottom = box
    side = max(right - left, bottom - top)
    side += 2 * round(_MARGIN * side)
    x, y = (left + right - side) // 2, (top + bottom - side) // 2
    return x, y, x + side, y + side


def _resample(grey: NDArray[np.float32], box: Box, size: int) -> NDArray[np.float32]:
    """Cut the box out, black where it leaves the picture, and resample it once."""
    # A strip of a million pixels would otherwise become a square of a trillion.
    if (step := -(-(box[2] - box[0]) // _LARGEST)) > 1:
        grey = np.asarray(Image.fromarray(grey).reduce(step))
    left, top, right, bottom = (edge // step for edge in box)
    height, width = grey.shape
    canvas = np.zeros((bottom - top, right - left), dtype=np.float32)
    y0, y1, x0, x1 = max(top, 0), min(bottom, height), max(left, 0), min(right, width)
    canvas[y0 - top : y1 - top, x0 - left : x1 - left] = grey[y0:y1, x0:x1]
    resized = Image.fromarray(canvas).resize((size, size), Image.Resampling.BILINEAR)
    return np.array(resized, dtype=np.float32)

"""From a slice to the network's input: the one preparation that everything shares.

Four steps, the same for training, evaluation and every application:

1. **Find the head.** The box that holds it is cut out, and the shorter side is
   padded with black to a square. The head keeps its proportions and fills the
   input, whatever black border the scan came with. Specks beside it do not count;
   a caption of more than a few letters does, and the box then holds it too.
2. **Resample once** to the network's size, averaging where the picture shrinks.
3. **Stretch the grey values** from the 1st to the 99.5th percentile of the result
   to 0 … 1. Neither the bit depth nor brightness nor contrast of the file is left.
4. Repeat the one grey channel as often as the network wants it.

Why not simply squash the whole picture, as is common? In the public training set
the classes differ in size, mode and borders of their files, so that those alone
name the class; a plain resize hands all of it to the network as aspect ratio,
border width and sharpness.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tumorlens.images.slice import Slice

__all__ = ["PREPARATION", "Prepared", "prepare", "prepare_mask", "to_tensor"]

PREPARATION: Final = "head-crop/1"
"""Name and version of this preparation, written into every model's card."""

_THUMB: Final = 96  # side, in pixels, at which the head is looked for
_AIR: Final = 0.12  # of the brightest tissue: what is darker is taken for air
_SPECK: Final = 0.06  # of the fullest row: rows with less are captions or noise
_MARGIN: Final = 0.02  # of the box, added on each side
_LARGEST: Final = 4096  # side of a box, in pixels, that is resampled at once
_SMALLEST: Final = 0.05  # of the picture's side: a smaller "head" is a mistake
_FAR: Final = 0.4  # of the picture's longer side: a smaller head is looked at twice
_BLACK, _WHITE = 1.0, 99.5  # percentiles stretched to 0 and 1


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
    """

    pixels: NDArray[np.float32]
    box: tuple[float, float, float, float]
    contrast: float

    @property
    def size(self) -> int:
        """Side of the square input in pixels."""
        return int(self.pixels.shape[0])


def prepare(picture: Slice, size: int) -> Prepared:
    """Cut out the head, resample it to a square and stretch its grey values.

    Parameters
    ----------
    picture
        A slice as `read_slices` gives it.
    size
        Side of the square input in pixels, at least 8.

    Returns
    -------
    Prepared
        Grey values from 0 to 1 and where in the slice they lie.

    Raises
    ------
    ValueError
        When `size` is too small.
    """
    if size < 8:
        raise ValueError(f"`size` must be at least 8 pixels, got {size}")
    low, high = picture.value_range
    span = max(high - low, float(np.finfo(np.float32).tiny))
    grey = (picture.pixels.astype(np.float32) - np.float32(low)) / np.float32(span)
    grey -= grey.min()  # what is added around the picture is as dark as its own darkest
    box = _square(_head_box(grey))
    pixels = _resample(grey, box, size)
    black, white = (float(value) for value in np.percentile(pixels, (_BLACK, _WHITE)))
    contrast = white - black
    if contrast > 0:
        pixels = np.clip((pixels - black) / contrast, 0.0, 1.0).astype(np.float32)
    else:
        pixels = np.zeros_like(pixels)
    left, top, right, bottom = map(float, box)
    return Prepared(pixels, (left, top, right, bottom), contrast)


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
    axis = {"NHWC": -1, "NCHW": 1}[layout]
    return np.repeat(np.expand_dims(scaled, axis), channels, axis=axis)


def _head_box(grey: NDArray[np.float32]) -> tuple[int, int, int, int]:
    """Find left, top, right and bottom edge of the head, in pixels of the picture."""
    height, width = grey.shape
    left, top, right, bottom = _tissue_box(grey)
    if min((right - left) / width, (bottom - top) / height) < _SMALLEST:
        return 0, 0, width, height
    if max(right - left, bottom - top) < _FAR * max(height, width):
        # Lost in a wide border, and so found coarsely: look again, closer.
        step = max(height, width) // _THUMB + 1
        x, y = max(left - step, 0), max(top - step, 0)
        near = _tissue_box(grey[y : bottom + step, x : right + step])
        return near[0] + x, near[1] + y, near[2] + x, near[3] + y
    return left, top, right, bottom


def _tissue_box(grey: NDArray[np.float32]) -> tuple[int, int, int, int]:
    """Find the box of everything brighter than air, on a thumbnail."""
    height, width = grey.shape
    step = max(1, -(-max(height, width) // _THUMB))
    thumb = np.asarray(Image.fromarray(grey).reduce(step))
    air, bright = (float(value) for value in np.percentile(thumb, (_BLACK, _WHITE)))
    tissue = thumb > air + _AIR * (bright - air)
    left, right = _extent(tissue.sum(axis=0))
    top, bottom = _extent(tissue.sum(axis=1))
    return left * step, top * step, min(right * step, width), min(bottom * step, height)


def _extent(counts: NDArray[np.int_]) -> tuple[int, int]:
    """First and one past the last index whose count is not a speck's."""
    full = np.flatnonzero(counts > _SPECK * counts.max())
    return (int(full[0]), int(full[-1]) + 1) if full.size else (0, counts.size)


def _square(box: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """Widen the box by the margin, then its shorter side to the longer one."""
    left, top, right, bottom = box
    side = max(right - left, bottom - top)
    side += 2 * round(_MARGIN * side)
    x, y = (left + right - side) // 2, (top + bottom - side) // 2
    return x, y, x + side, y + side


def _resample(
    grey: NDArray[np.float32], box: tuple[int, int, int, int], size: int
) -> NDArray[np.float32]:
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

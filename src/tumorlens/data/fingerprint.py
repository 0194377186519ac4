"""What a slice looks like, whatever its file did to it.

A fingerprint is the slice as the network's own preparation leaves it (head cut out,
grey values stretched) at `SIZE` pixels. That undoes borders, resizing and brightness.
Two views of it are compared:

- **coarse**: the larger structures at `COARSE` pixels as one unit vector, so that the
  correlation of all pairs is a matrix product. It finds candidates.
- **detail**: the structures from about one to four pixels wide, with their contrast
  made even over the picture. It tells a copy, even one sharpened or with another
  contrast, from the neighbouring slice of the same head, which correlates at 0.97
  where nothing but the coarse view is looked at.

Ordinary perceptual hashes fail here: a third of every scan is black and every head is
an oval, so that most of their bits say the same of all pictures.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from tumorlens.extras import require
from tumorlens.images.prepare import prepare
from tumorlens.images.slice import Slice

__all__ = [
    "COARSE",
    "SIZE",
    "detail",
    "even",
    "fingerprint",
    "head_frames",
    "shrunk",
    "unit",
    "vectors",
    "window",
]

SIZE: Final = 96
"""Side of a fingerprint in pixels."""

COARSE: Final = 32
"""Side of the coarse view in pixels."""

_FINEST, _WIDEST = 1.0, 4.0  # pixels of the fingerprint: blurs that the detail lies between
_FAINT = 50.0  # grey levels of 255: what is darker does not say where the head is
_REACH = 1.35  # half the side of a head's frame, in standard deviations of its grey values
_COARSE_FINEST, _COARSE_WIDEST = 0.7, 3.3  # pixels of the coarse view: the same, for it
_QUIET = 6.0  # grey levels of 255: structures fainter than this are noise, and left faint


def fingerprint(picture: Slice) -> NDArray[np.uint8]:
    """Take a slice's fingerprint.

    Returns
    -------
    numpy.ndarray
        uint8, ``(SIZE, SIZE)``.
    """
    return np.rint(prepare(picture, SIZE, "head-crop/2").pixels * 255).astype(np.uint8)


def even(small: NDArray[np.float32]) -> NDArray[np.float32]:
    """Keep the coarse structures of shrunk fingerprints, at an even contrast.

    What all heads share, an oval that is bright on black, has little part in it; and
    neither brightening nor sharpening changes it much.

    Parameters
    ----------
    small
        float32, ``(n, COARSE, COARSE)``, from 0 to 255.

    Returns
    -------
    numpy.ndarray
        float32, the same shape.

    Raises
    ------
    MissingExtraError
        When SciPy is not installed.
    """
    return _even(small, _COARSE_FINEST, _COARSE_WIDEST)


def vectors(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    """Make unit vectors of `even` pictures, whose dot product is a correlation.

    The middle of the head weighs more than its rim.

    Returns
    -------
    numpy.ndarray
        float32, ``(n, COARSE * COARSE)``; nought for a blank picture.
    """
    flat = pictures.reshape(len(pictures), COARSE * COARSE)
    weight = np.broadcast_to(window(COARSE), flat.shape)
    return np.asarray(unit(flat, weight) * np.sqrt(weight), dtype=np.float32)


def shrunk(fingerprints: NDArray[np.uint8], size: int = COARSE) -> NDArray[np.float32]:
    """Average fingerprints to pictures of ``(n, size, size)``; `size` must divide theirs."""
    step = SIZE // size
    blocks = fingerprints.reshape(-1, size, step, size, step)
    return np.asarray(blocks.mean((2, 4), dtype=np.float32))


def detail(fingerprints: NDArray[np.uint8]) -> NDArray[np.float16]:
    """Keep the structures that tell slices apart, at an even contrast.

    Parameters
    ----------
    fingerprints
        uint8, ``(n, SIZE, SIZE)``.

    Returns
    -------
    numpy.ndarray
        float16, the same shape: a band of widths, divided by its own strength nearby.

    Raises
    ------
    MissingExtraError
        When SciPy is not installed.
    """
    return _even(fingerprints.astype(np.float32), _FINEST, _WIDEST).astype(np.float16)


def head_frames(small: NDArray[np.float32]) -> NDArray[np.float32]:
    """Frame each head by where its grey values lie, not by where they end.

    The box that a fingerprint shows moves by a tenth when noise or a cut shifts one
    edge of the head; the centre and the spread of the grey values hardly do.

    Parameters
    ----------
    small
        float32, ``(n, size, size)``, from 0 to 255.

    Returns
    -------
    numpy.ndarray
        float32, ``(n, 3)``: half the side and the centre's column and row, in pictures
        that reach from -1 to 1.
    """
    size = small.shape[1]
    side = (np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1
    mass = np.clip(small - _FAINT, 0, None)
    total = np.maximum(mass.sum((1, 2)), 1e-3)
    column, row = mass.sum(1) @ side / total, mass.sum(2) @ side / total
    spread = mass.sum(1) @ side**2 / total + mass.sum(2) @ side**2 / total - column**2 - row**2
    half = np.clip(_REACH * np.sqrt(np.maximum(spread, 0)), 0.5, 1.25)
    return np.stack([half, column, row], axis=1).astype(np.float32)


def window(size: int) -> NDArray[np.float32]:
    """Weigh the pixels of a square picture: 1 in the middle, 0.1 in the corners."""
    side = (np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1
    radius = np.hypot(side[:, None], side[None, :])
    return np.asarray(np.clip(1.15 - radius, 0.1, 1.0), dtype=np.float32).ravel()


def unit(values: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Take the weighted mean off each row and scale it to a weighted norm of 1.

    Rows that are flat become nought.
    """
    total = np.maximum(weight.sum(1, keepdims=True), np.float32(1e-9))
    centred = values - (values * weight).sum(1, keepdims=True) / total
    norm = np.sqrt((centred * centred * weight).sum(1, keepdims=True))
    return np.asarray(centred / np.maximum(norm, np.float32(1e-4)), dtype=np.float32)


def _even(pictures: NDArray[np.float32], finest: float, widest: float) -> NDArray[np.float32]:
    """Keep a band of widths, and divide it by its own strength nearby."""
    band = _blur(pictures, finest)
    band -= _blur(band, widest)
    strength = np.sqrt(_blur(band * band, widest) + np.float32(_QUIET**2))
    return np.asarray(band / strength, dtype=np.float32)


def _blur(pictures: NDArray[np.float32], width: float) -> NDArray[np.float32]:
    ndimage = require("scipy.ndimage", "comparing pictures", "data")
    result: NDArray[np.float32] = ndimage.gaussian_filter(pictures, (0, width, width), truncate=2.5)
    return result

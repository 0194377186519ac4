"""A tumour drawn into the demonstration's healthy slice, as contrast agent shows a glioma."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["draw_lesion"]

_ROW, _COLUMN, _RADIUS = 90, 78, 17.0  # of the slice's 256 × 256 pixels: in the frontal lobe
_RIM: Final = 52_000.0  # as bright as white matter, and a little brighter
_CORE: Final = 14_000.0  # dead tissue: darker than grey matter, brighter than fluid
_OEDEMA: Final = 0.72  # of the brightness of what the swelling covers
_SEED: Final = 2

Plane = NDArray[np.float64]


def draw_lesion(pixels: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Draw a glioma: a dark core in a ragged bright rim, with swelling around it.

    Parameters
    ----------
    pixels
        The demonstration's slice, ``(256, 256)``, 0 to 65535.

    Returns
    -------
    pixels
        The same with the tumour, float32.
    inside
        Where it is, without the swelling, bool, ``(256, 256)``.
    """
    size = pixels.shape[0]
    y, x = np.mgrid[:size, :size].astype(np.float64)
    noise = [_cloud(size, width, _SEED + i) for i, width in enumerate((9, 5, 1.5, 6, 2.5))]
    outside = np.hypot(y - _ROW, x - _COLUMN) - _RADIUS * (1 + 0.1 * noise[0])
    swelling = _within(outside - 9 * (1 + 0.6 * noise[1]), 2.5)
    rim = _within(outside, 1.0)
    core = _within(outside + 0.28 * _RADIUS * (1 + 0.35 * noise[3]), 1.2)
    drawn = pixels * (1 - (1 - _OEDEMA) * swelling)
    drawn = _blend(drawn, _RIM * (1 + 0.05 * noise[2]), rim)
    drawn = _blend(drawn, _CORE * (1 + 0.1 * noise[4]), core)
    return drawn.astype(np.float32), outside < 0


def _within(distance: Plane, softness: float) -> Plane:
    """Give 1 inside, where the distance is negative, 0 outside, and a soft edge between."""
    return 1 / (1 + np.exp(np.clip(distance / softness, -50, 50)))


def _blend(below: Plane, above: Plane, share: Plane) -> Plane:
    return below * (1 - share) + above * share


def _cloud(size: int, width: float, seed: int) -> Plane:
    """Draw smooth noise, of mean 0 and spread 1, whose spots are about so many pixels wide."""
    frequency = np.fft.fftfreq(size)
    blur = np.exp(-2 * (np.pi * width) ** 2 * (frequency[:, None] ** 2 + frequency[None] ** 2))
    noise = np.random.default_rng(seed).normal(size=(size, size))
    smooth = np.fft.ifft2(np.fft.fft2(noise) * blur).real
    return np.asarray(smooth / smooth.std())

"""Varying how a slice looks: other scanners, sequences, preparations and hospitals.

A set of few sources teaches a network how those look. What differs elsewhere is drawn
here at random, one picture at a time, before the picture is moved: the contrast curve,
the coil's bias field, resolution, noise, a missing skull, a cut border. The grey values
are drawn by curve and field after the usual practice (Billot et al., "SynthSeg", Medical
Image Analysis 2023, section 3); the skull is taken off by distance from the air, which
is crude and meant to be.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tumorlens.extras import require
from tumorlens.images.head import find_head
from tumorlens.train.recipe import Appearance

__all__ = ["vary"]

_KNOTS: Final = 5  # of a contrast curve
_TISSUES: Final = 4  # whose grey values another sequence sets anew
_WAVES: Final = 3  # of a bias field, along each side
_MARGIN: Final = 0.02  # left around a stripped brain, as preparation leaves it


def vary(
    picture: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    random: np.random.Generator,
    recipe: Appearance,
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Draw another look for a picture.

    Parameters
    ----------
    picture
        A prepared picture, uint8, ``(size, size)``.
    mask
        Its tumour, bool, of the same shape; moves along.
    random
        Where the numbers come from. As many are drawn whatever the ranges are.
    recipe
        How often and how far.

    Returns
    -------
    tuple of numpy.ndarray
        Picture and mask, of the same shapes and types.
    """
    chances = random.random(6)
    if chances[0] < recipe.strip:
        picture, mask = _strip(picture, mask, random)
    if chances[1] < recipe.curve:
        picture = _curve(random)[picture]
    if recipe.recolour and random.random() < recipe.recolour:
        picture = _recolouring(random)[picture]
    grey = picture.astype(np.float32)
    if chances[2] < recipe.field:
        grey *= _field(random, picture.shape[0])
    if chances[3] < recipe.blur:
        grey = _coarser(grey, random)
    if chances[4] < recipe.noise:
        level = 255 * random.uniform(0.0, 0.08)
        noise = random.standard_normal((2, *grey.shape), dtype=np.float32) * np.float32(level)
        grey = np.hypot(grey + noise[0], noise[1])  # Rician, as magnitudes of MR are
    if chances[5] < recipe.border:
        _cut(grey, random)
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8), mask


def _curve(random: np.random.Generator) -> NDArray[np.uint8]:
    """Draw a rising curve of grey values: a power of random steps."""
    steps = np.cumsum(random.dirichlet(np.full(_KNOTS - 1, 3.0)))
    knots = np.concatenate([[0.0], steps]) ** np.exp(random.uniform(-0.5, 0.5))
    values = np.interp(np.linspace(0, 1, 256), np.linspace(0, 1, _KNOTS), knots)
    return np.asarray(np.rint(values * 255), dtype=np.uint8)


def _recolouring(random: np.random.Generator) -> NDArray[np.uint8]:
    """Draw any curve of grey values that leaves air dark: another sequence's, perhaps."""
    places = np.concatenate([[0.0, 0.1], np.sort(random.uniform(0.15, 0.95, _TISSUES - 1)), [1.0]])
    knots = np.concatenate([[0.0], random.uniform(0.15, 1.0, _TISSUES + 1)])
    knots[random.integers(1, knots.size)] = 1.0  # the whole range is used
    values = np.interp(np.linspace(0, 1, 256), places, knots)
    return np.asarray(np.rint(values * 255), dtype=np.uint8)


def _field(random: np.random.Generator, size: int) -> NDArray[np.float32]:
    """Draw a smooth factor around 1: the lowest waves of a cosine transform."""
    x = (np.arange(size) + 0.5) / size
    waves = np.cos(np.pi * np.outer(np.arange(_WAVES), x))
    heights = random.normal(0.0, 0.25, (_WAVES, _WAVES))
    heights[0, 0] = 0.0
    return np.asarray(np.exp(waves.T @ heights @ waves), dtype=np.float32)


def _coarser(grey: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """Lose resolution, along each side apart."""
    size = grey.shape[0]
    width, height = (max(16, round(size * share)) for share in random.uniform(0.3, 1.0, 2))
    small = Image.fromarray(grey).resize((width, height), Image.Resampling.BOX)
    return np.array(small.resize((size, size), Image.Resampling.BICUBIC))


def _cut(grey: NDArray[np.float32], random: np.random.Generator) -> None:
    """Blacken a band at one border, in place."""
    width = int(random.uniform(0.02, 0.15) * grey.shape[0])
    band = (slice(None, width), slice(grey.shape[0] - width, None))[random.integers(2)]
    if random.integers(2):
        grey[band] = 0
    else:
        grey[:, band] = 0


def _strip(
    picture: NDArray[np.uint8], mask: NDArray[np.bool_], random: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Take off what lies near the air, but for the tumour, and fill the input again."""
    ndimage: Any = require("scipy.ndimage", "training", "train")
    size = picture.shape[0]
    depth = random.uniform(0.06, 0.11) * size
    inside = ndimage.distance_transform_edt(find_head(picture)) > depth
    brain = ndimage.binary_opening(inside, iterations=2) | ndimage.binary_dilation(
        mask, iterations=2
    )
    rows, columns = np.nonzero(brain)
    if rows.size < 0.05 * picture.size:
        return picture, mask
    stripped = np.where(brain, picture, np.uint8(0))
    side = int(max(np.ptp(rows), np.ptp(columns)) + 1)
    side += 2 * round(_MARGIN * side)
    left = int(columns.min() + columns.max() + 1 - side) // 2
    top = int(rows.min() + rows.max() + 1 - side) // 2
    box = (left, top, left + side, top + side)
    return (
        _zoom(stripped, box, Image.Resampling.BILINEAR),
        _zoom(mask.astype(np.uint8), box, Image.Resampling.NEAREST) > 0,
    )


def _zoom(
    picture: NDArray[np.uint8], box: tuple[int, int, int, int], how: Image.Resampling
) -> NDArray[np.uint8]:
    # Cropping first: what a box holds beyond the picture is black then.
    return np.array(Image.fromarray(picture).crop(box).resize(picture.shape[::-1], how))

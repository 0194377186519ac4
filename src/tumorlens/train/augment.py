"""Varying training pictures: all moves in one resampling, on any backend and device.

The numbers are drawn with NumPy, so that a run can be repeated and resumed on any
backend; the pictures are moved by one Keras operation on the whole batch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tumorlens.networks.keras_backend import require_keras
from tumorlens.train.recipe import Augmentation

__all__ = ["augment", "draw_transforms"]


def draw_transforms(
    random: np.random.Generator, count: int, size: int, recipe: Augmentation
) -> NDArray[np.float32]:
    """Draw where each output pixel is to be read from.

    Rotation, shift, shear, zoom and flip, in the order in which Keras's
    ``ImageDataGenerator`` composes them, about the picture's centre.

    Parameters
    ----------
    random
        Where the numbers come from.
    count
        How many pictures.
    size
        Their side in pixels.
    recipe
        The ranges.

    Returns
    -------
    numpy.ndarray
        float32, ``(count, 8)``: the rows ``a0 a1 a2 b0 b1 b2 0 0`` of
        `keras.ops.image.affine_transform`, which reads the output pixel (x, y) at
        ``(a0 x + a1 y + a2, b0 x + b1 y + b2)`` of the input.
    """

    def between(low: float, high: float) -> NDArray[np.float64]:
        return random.uniform(low, high, count)

    angle = np.deg2rad(between(-recipe.rotation, recipe.rotation))
    shear = np.deg2rad(between(-recipe.shear, recipe.shear))
    shift_x, shift_y = (size * between(-recipe.shift, recipe.shift) for _ in range(2))
    zoom_x, zoom_y = (between(1 - recipe.zoom, 1 + recipe.zoom) for _ in range(2))
    mirror = np.where(random.random(count) < 0.5 * recipe.flip, -1.0, 1.0)
    if recipe.turn:  # drawn last and only then: runs without turns stay as they were
        angle = angle + np.pi * (random.random(count) < recipe.turn)
    moves = (
        _matrix(np.cos(angle), -np.sin(angle), 0, np.sin(angle), np.cos(angle), 0, count)
        @ _matrix(1, 0, shift_x, 0, 1, shift_y, count)
        @ _matrix(np.cos(shear), 0, 0, -np.sin(shear), 1, 0, count)
        @ _matrix(zoom_x, 0, 0, 0, zoom_y, 0, count)
        @ _matrix(mirror, 0, 0, 0, 1, 0, count)
    )
    centre = (size - 1) / 2
    away, back = (_matrix(1, 0, c, 0, 1, c, count) for c in (centre, -centre))
    rows = (away @ moves @ back)[:, :2].reshape(count, 6)
    return np.pad(rows, ((0, 0), (0, 2))).astype(np.float32)


def augment(
    pictures: NDArray[np.uint8],
    random: np.random.Generator,
    recipe: Augmentation,
    masks: NDArray[np.bool_] | None = None,
) -> tuple[Any, Any]:
    """Move a batch of pictures, and their masks with them.

    Parameters
    ----------
    pictures
        Prepared pictures, uint8, ``(n, size, size)``.
    random
        Where the numbers come from.
    recipe
        The ranges.
    masks
        bool, ``(n, size, size)``.

    Returns
    -------
    tuple of tensors
        Of the Keras backend: pictures and masks, float32, ``(n, size, size, 1)``, from 0
        to 1; ``None`` for the masks when there are none.
    """
    keras = require_keras("augmentation")
    count, size = len(pictures), pictures.shape[1]
    transforms = draw_transforms(random, count, size, recipe)
    light = random.uniform(*recipe.brightness, (count, 1, 1, 1)).astype(np.float32)
    batch = pictures[..., None].astype(np.float32) * (light / np.float32(255))
    if masks is not None:
        batch = np.concatenate([batch, masks[..., None].astype(np.float32)], axis=-1)
    moved = keras.ops.image.affine_transform(
        batch,
        transforms,
        interpolation="bilinear",
        fill_mode="nearest",
        data_format="channels_last",
    )
    moved = keras.ops.clip(moved, 0.0, 1.0)
    return moved[..., :1], None if masks is None else moved[..., 1:]


def _matrix(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, count: int) -> NDArray[np.float64]:
    """Stack of homogeneous matrices with rows (a b c), (d e f), (0 0 1)."""
    stack = np.zeros((count, 3, 3))
    for place, value in zip(
        ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)), (a, b, c, d, e, f), strict=True
    ):
        stack[:, place[0], place[1]] = value
    stack[:, 2, 2] = 1
    return stack

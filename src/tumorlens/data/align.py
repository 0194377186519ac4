"""Lay one picture over another: the affine map that makes two slices correlate most.

The inverse compositional algorithm of Baker and Matthews, "Lucas-Kanade 20 years on",
IJCV 56 (2004), doi:10.1023/B:VISI.0000011205.11775.fd, on pictures of mean 0 and norm 1,
for many pairs at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tumorlens.data.fingerprint import unit, window

__all__ = ["align", "correlate", "framed"]

_STEPS = 6
_DAMPING = 1e-3  # keeps flat pictures from asking for infinite moves
_SMALLEST, _LARGEST = 0.45, 2.2  # change of area beyond which an answer is nonsense


def align(
    fixed: NDArray[np.float32], moving: NDArray[np.float32], start: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Find how each moving picture must be warped to fit its fixed one.

    Parameters
    ----------
    fixed, moving
        float32, ``(n, size, size)``.
    start
        float32, ``(n, 2, 3)``: the maps to begin with.

    Returns
    -------
    maps
        float32, ``(n, 2, 3)``: from a place in the fixed picture to one in the moving,
        both from -1 to 1. That of `start` where nothing better was found.
    correlation
        float32, ``(n,)``: what that map reaches.
    """
    count, size = fixed.shape[:2]
    weight = np.broadcast_to(window(size), (count, size * size)).astype(np.float32)
    target = unit(fixed.reshape(count, -1), weight)
    descent = _steepest_descent(target.reshape(fixed.shape))
    weighted = descent * weight[:, None]
    inverse: NDArray[Any] = np.linalg.inv(_damped(weighted @ descent.transpose(0, 2, 1)))
    current = np.tile(np.eye(3, dtype=np.float32), (count, 1, 1))
    current[:, :2] = start
    best, reached = current.copy(), np.full(count, -1, np.float32)
    for step in range(_STEPS + 1):
        values, inside = _warp(moving, current[:, :2])
        seen = weight * inside
        values = unit(values, seen)
        score = (values * unit(target, seen) * seen).sum(1)
        better = (score > reached) & _sensible(current)
        best[better], reached[better] = current[better], score[better]
        if step == _STEPS:
            break
        error = (values - target) * inside
        change: NDArray[Any] = (inverse @ (weighted @ error[..., None]))[..., 0]
        current = _compose(current, change)
    return best[:, :2], reached


def correlate(
    fixed: NDArray[np.float32], moving: NDArray[np.float32], maps: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Correlate pictures after warping the moving ones, where both are seen.

    Parameters
    ----------
    fixed, moving
        float32, ``(n, size, size)``.
    maps
        As `align` gives them.

    Returns
    -------
    numpy.ndarray
        float32, ``(n,)``, from -1 to 1.
    """
    count, size = fixed.shape[:2]
    values, inside = _warp(moving, maps)
    seen = window(size) * inside
    both = unit(values, seen) * unit(fixed.reshape(count, -1), seen) * seen
    return np.asarray(both.sum(1), dtype=np.float32)


def framed(pictures: NDArray[np.float32], frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """Show a square part of each picture, at the same size.

    Parameters
    ----------
    pictures
        float32, ``(n, size, size)``.
    frames
        float32, ``(n, 3)``: half the side of the part, and its centre's column and
        row, in pictures that reach from -1 to 1.
    """
    maps = np.zeros((len(pictures), 2, 3), np.float32)
    maps[:, 0, 0] = maps[:, 1, 1] = frames[:, 0]
    maps[:, :, 2] = frames[:, 1:]
    return _warp(pictures, maps)[0].reshape(pictures.shape)


def _places(size: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    side = (np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1
    return np.tile(side, size), np.repeat(side, size)


def _steepest_descent(target: NDArray[np.float32]) -> NDArray[np.float32]:
    """Change of each pixel with each of the six numbers of the map: ``(n, 6, pixels)``."""
    count, size = target.shape[:2]
    x, y = _places(size)
    down = np.gradient(target, 2 / size, axis=1).reshape(count, -1)
    across = np.gradient(target, 2 / size, axis=2).reshape(count, -1)
    parts = (across * x, across * y, across, down * x, down * y, down)
    return np.stack(parts, 1).astype(np.float32)


def _damped(hessian: NDArray[Any]) -> NDArray[Any]:
    scale = np.trace(hessian, axis1=1, axis2=2)[:, None, None] / 6 + np.float32(1e-6)
    return np.asarray(hessian + _DAMPING * scale * np.eye(6), dtype=np.float32)


def _compose(current: NDArray[np.float32], change: NDArray[np.float32]) -> NDArray[np.float32]:
    """Follow a map by the inverse of a small change."""
    step = np.tile(np.eye(3, dtype=np.float32), (len(current), 1, 1))
    # A pair that runs away stays where it was: it is no copy.
    step[:, :2] += np.clip(change, -0.3, 0.3).reshape(-1, 2, 3)
    singular = np.abs(np.linalg.det(step)) < 0.1
    step[singular] = np.eye(3)
    moved = current @ np.linalg.inv(step)
    return np.asarray(np.where(np.abs(moved) < 4, moved, current), dtype=np.float32)


def _sensible(maps: NDArray[np.float32]) -> NDArray[np.bool_]:
    area = np.abs(np.linalg.det(maps[:, :2, :2]))
    return np.asarray((area > _SMALLEST) & (area < _LARGEST))


def _warp(
    pictures: NDArray[np.float32], maps: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Sample pictures bilinearly: values and whether they lie inside, ``(n, pixels)``."""
    count, size = pictures.shape[:2]
    x, y = _places(size)
    half = np.float32(size / 2)
    rows = maps[:, :, :, None]
    column = (rows[:, 0, 0] * x + rows[:, 0, 1] * y + (rows[:, 0, 2] + 1)) * half - np.float32(0.5)
    row = (rows[:, 1, 0] * x + rows[:, 1, 1] * y + (rows[:, 1, 2] + 1)) * half - np.float32(0.5)
    limit = np.float32(size - 1)
    inside = (column >= -0.5) & (column <= limit + 0.5) & (row >= -0.5) & (row <= limit + 0.5)
    np.clip(column, 0, limit - np.float32(0.001), out=column)
    np.clip(row, 0, limit - np.float32(0.001), out=row)
    left, top = column.astype(np.int32), row.astype(np.int32)
    column -= left
    row -= top
    corner = top * size + left + np.arange(count, dtype=np.int32)[:, None] * (size * size)
    flat = pictures.reshape(-1)
    upper, lower = flat.take(corner), flat.take(corner + size)
    upper += (flat.take(corner + 1) - upper) * column
    lower += (flat.take(corner + size + 1) - lower) * column
    upper += (lower - upper) * row
    return upper, inside

"""Which pairs of pictures are worth a close look: all correlated coarsely, in all ways to lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tumorlens.data import fingerprint as view
from tumorlens.data.align import framed
from tumorlens.progress import Progress, silent

__all__ = ["CANDIDATE", "MIRRORED", "WAYS", "find_candidates", "turn"]

CANDIDATE: Final = 0.80
"""Correlation of the coarse views below which a pair is not looked at closely."""

_CLOSER = 0.9  # of the side: what a cropped copy may show
_UNSURE = 0.02  # heads are nearly symmetric: coarsely, both ways round may fit as well
_BLOCK = 2048  # rows of the correlation matrix held at a time

WAYS: Final = (
    "",
    "mirrored",
    "upside down",
    "turned by 180°",
    "transposed",
    "turned by 90° to the right",
    "turned by 90° to the left",
    "transposed and turned by 180°",
)
"""The eight ways in which a copy of a square picture may lie; the first: as it is."""

MIRRORED: Final = WAYS[1]
"""Flipped left to right."""

_FLIPPED, _UPSIDE_DOWN, _TRANSPOSED = 1, 2, 4  # what a way is made of; transposed first
_Index = NDArray[np.int64]
_Ways = NDArray[np.int8]


def find_candidates(
    fingerprints: NDArray[np.uint8], progress: Progress = silent
) -> tuple[_Index, _Index, _Ways, NDArray[np.float32]]:
    """Correlate every picture with every other, in each of `WAYS`.

    Parameters
    ----------
    fingerprints
        uint8, ``(n, SIZE, SIZE)``.
    progress
        Told of rows compared.

    Returns
    -------
    tuple
        Positions of the first and the second of each pair, int64, ``(m,)``; how the second
        must be turned, positions in `WAYS`, int8, ``(m,)``; how it then lies over the first,
        roughly, float32, ``(m, 2, 3)``. A pair may be there in several ways.
    """
    views = _views(fingerprints)
    nothing = np.empty(0, np.int64)
    parts = [(nothing, nothing, np.empty(0, np.int8), np.empty((0, 2, 3), np.float32))]
    count = len(fingerprints)
    for top in range(0, count, _BLOCK):
        rows = slice(top, top + _BLOCK)
        for left in range(top, count, _BLOCK):
            parts.append(_block(views, rows, slice(left, left + _BLOCK)))  # noqa: PERF401
        progress("correlating", min(top + _BLOCK, count), count)
    first, second, ways, start = (np.concatenate(column) for column in zip(*parts, strict=True))
    return first, second, ways, start


def turn(pictures: NDArray[np.floating], ways: NDArray[np.int8]) -> NDArray[np.float32]:
    """Copy square pictures, each turned in its own way.

    Parameters
    ----------
    pictures
        ``(n, size, size)``.
    ways
        Positions in `WAYS`, ``(n,)``.
    """
    turned = pictures.astype(np.float32)
    for way in np.unique(ways[ways > 0]):
        these = np.flatnonzero(ways == way)
        some = turned[these]
        some = some.transpose(0, 2, 1) if way & _TRANSPOSED else some
        some = some[:, ::-1] if way & _UPSIDE_DOWN else some
        turned[these] = some[:, :, ::-1] if way & _FLIPPED else some
    return turned


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """All pictures, each seen in its own frame."""

    frames: NDArray[np.float32]  # (n, 3)
    vectors: NDArray[np.float32]  # (n, COARSE * COARSE)

    def turned(self, columns: slice, way: int) -> NDArray[np.float32]:
        """Turn some vectors as if their pictures were."""
        squares = self.vectors[columns].reshape(-1, view.COARSE, view.COARSE)
        ways = np.full(len(squares), way, np.int8)
        return turn(squares, ways).reshape(len(squares), -1)


def _views(fingerprints: NDArray[np.uint8]) -> list[_View]:
    """Look at pictures as a whole, closer, and centred.

    A copy that is cropped shows the middle of its original; and the head is not found
    at quite the same place where a copy is brighter.
    """
    small = view.shrunk(fingerprints)
    whole = np.zeros((len(small), 3), np.float32)
    whole[:, 0] = 1
    return [
        _View(frames, view.vectors(view.even(framed(small, frames))))
        for frames in (whole, whole * np.float32(_CLOSER), view.head_frames(small))
    ]


def _turn_frames(frames: NDArray[np.float32], way: int) -> NDArray[np.float32]:
    """Say where frames lie once their pictures are turned."""
    half, column, row = frames.T
    if way & _TRANSPOSED:
        column, row = row, column
    column = -column if way & _FLIPPED else column
    return np.stack([half, column, -row if way & _UPSIDE_DOWN else row], axis=1)


# Which view of one picture to compare with which of the other.
_COMBINATIONS: Final = ((0, 0), (0, 1), (1, 0), (2, 2))


def _block(
    views: list[_View], rows: slice, columns: slice
) -> tuple[_Index, _Index, _Ways, NDArray[np.float32]]:
    """Pick the pairs worth a close look, in the way or the ways in which they fit best."""
    fits, kinds = [], []
    for way in range(len(WAYS)):
        fit, kind = _fit(views, rows, columns, way)
        fits.append(fit)
        kinds.append(kind)
    best = np.maximum.reduce(fits)
    found = []
    for way, (fit, kind) in enumerate(zip(fits, kinds, strict=True)):
        likely = (fit >= CANDIDATE) & (fit >= best - np.float32(_UNSURE))
        if rows == columns:
            likely = np.triu(likely, 1)
        row, column = np.nonzero(likely)
        chosen = kind[row, column]
        row, column = row + rows.start, column + columns.start
        start = np.zeros((len(row), 2, 3), np.float32)
        for number, (a, b) in enumerate(_COMBINATIONS):
            these = np.flatnonzero(chosen == number)
            moving = _turn_frames(views[b].frames[column[these]], way)
            start[these] = _between(views[a].frames[row[these]], moving)
        found.append((row, column, np.full(len(row), way, np.int8), start))
    row, column, ways, start = (np.concatenate(part) for part in zip(*found, strict=True))
    return row, column, ways, start


def _fit(
    views: list[_View], rows: slice, columns: slice, way: int
) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """Correlate pictures with turned ones: the best of all combinations, and which it is."""
    theirs = [v.turned(columns, way) for v in views]
    shape = views[0].vectors[rows].shape[0], len(theirs[0])
    fit, kind = np.full(shape, -2, np.float32), np.zeros(shape, np.int8)
    for number, (a, b) in enumerate(_COMBINATIONS):
        product: NDArray[np.float32] = views[a].vectors[rows] @ theirs[b].T
        kind[product > fit] = number
        np.maximum(fit, product, out=fit)
    return fit, kind


def _between(fixed: NDArray[np.float32], moving: NDArray[np.float32]) -> NDArray[np.float32]:
    """Map the place of each point of a frame in one picture to its place in the other."""
    scale = moving[:, 0] / fixed[:, 0]
    maps = np.zeros((len(fixed), 2, 3), np.float32)
    maps[:, 0, 0] = maps[:, 1, 1] = scale
    maps[:, :, 2] = moving[:, 1:] - scale[:, None] * fixed[:, 1:]
    return maps

"""Which pictures show the same slice: all pairs, looked at once coarsely, the likely ones closely.

The thresholds come from MRI: see ``docs/data.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from tumorlens.data import fingerprint as view
from tumorlens.data.align import align, correlate, framed
from tumorlens.progress import Progress, silent

__all__ = [
    "CANDIDATE",
    "COPY",
    "KIN",
    "Pair",
    "Pairs",
    "clusters",
    "compare",
    "compare_all",
    "find_pairs",
]

COPY: Final = 0.93
"""Similarity from which two pictures are copies of one slice.

Among 4,750 pictures whose slice is known, copies reached at least 0.969 and different
slices at most 0.925.
"""

KIN: Final = 0.80
"""Similarity from which two pictures are too alike for different folds.

Neighbouring slices of one head and heavily processed copies lie above it; slices of
different patients stayed below it.
"""

CANDIDATE: Final = 0.80
"""Coarse correlation below which a pair is not looked at closely."""

_ALIGNED = 0.88  # coarse correlation once one is laid over the other
_CLOSER = 0.9  # of the side: what a cropped copy may show
_BLOCK = 2048  # rows of the correlation matrix held at a time
_BATCH = 256  # pairs laid over each other at a time: small enough for the cache
_CHUNK = 16_384  # pairs whose details are held at a time

_Index = NDArray[np.int64]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, order=True)
class Pair:
    """Two pictures that show nearly the same.

    Parameters
    ----------
    first, second
        Positions of the pictures, `first` before `second`.
    similarity
        Correlation of their details once aligned, at most 1.
    mirrored
        Whether one is the other flipped left to right.
    """

    first: int
    second: int
    similarity: float
    mirrored: bool


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Every pair that was worth a close look.

    Parameters
    ----------
    first, second
        Positions of the pictures, int64, ``(m,)``; `first` before `second`.
    flipped
        Whether they correlate mirrored, bool, ``(m,)``.
    start
        How the second lies over the first, roughly, float32, ``(m, 2, 3)``.
    similarity
        float32, ``(m,)``: from -1 to 1.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    flipped: NDArray[np.bool_]
    start: NDArray[np.float32]
    similarity: NDArray[np.float32]

    def at_least(self, similarity: float) -> list[Pair]:
        """Give the pairs from a similarity up, sorted by position."""
        return sorted(
            Pair(
                int(self.first[k]),
                int(self.second[k]),
                round(float(self.similarity[k]), 4),
                bool(self.flipped[k]),
            )
            for k in np.flatnonzero(self.similarity >= similarity)
        )


def find_pairs(
    fingerprints: NDArray[np.uint8], *, least: float = COPY, progress: Progress = silent
) -> list[Pair]:
    """Compare every picture with every other.

    Parameters
    ----------
    fingerprints
        uint8, ``(n, SIZE, SIZE)``, as `tumorlens.data.fingerprint` makes them.
    least
        Smallest similarity of a pair that is given.
    progress
        Told of rows compared and pairs looked at closely.

    Returns
    -------
    list of Pair
        Sorted by position.

    Raises
    ------
    MissingExtraError
        When SciPy is not installed.
    """
    return compare_all(fingerprints, progress=progress).at_least(least)


def compare_all(fingerprints: NDArray[np.uint8], *, progress: Progress = silent) -> Pairs:
    """Compare every picture with every other, and keep all that was looked at closely.

    Parameters
    ----------
    fingerprints
        uint8, ``(n, SIZE, SIZE)``.
    progress
        Told of rows compared and pairs looked at closely.

    Raises
    ------
    MissingExtraError
        When SciPy is not installed.
    """
    views, combinations = _views(fingerprints)
    parts = []
    count = len(fingerprints)
    for top in range(0, count, _BLOCK):
        rows = slice(top, top + _BLOCK)
        for left in range(top, count, _BLOCK):
            parts.append(_block(views, combinations, rows, slice(left, left + _BLOCK)))  # noqa: PERF401
        progress("correlating", min(top + _BLOCK, count), count)
    first, second, flipped, start = (np.concatenate(column) for column in zip(*parts, strict=True))
    similarity = compare(fingerprints, first, second, flipped, start, progress=progress)
    return Pairs(first, second, flipped, start, similarity)


def compare(
    fingerprints: NDArray[np.uint8],
    first: _Index,
    second: _Index,
    flipped: NDArray[np.bool_],
    start: NDArray[np.float32],
    *,
    progress: Progress = silent,
) -> NDArray[np.float32]:
    """Lay pictures over each other and correlate their details.

    Parameters
    ----------
    fingerprints
        uint8, ``(n, SIZE, SIZE)``.
    first, second
        Positions of the pictures of each pair, ``(m,)``.
    flipped
        Whether to mirror the second before comparing, ``(m,)``.
    start
        How the second lies over the first, roughly, ``(m, 2, 3)``.
    progress
        Told of pairs done.

    Returns
    -------
    numpy.ndarray
        float32, ``(m,)``: from -1 to 1, and -1 for pairs that do not fit coarsely.
    """
    maps, fits = _lay_over(fingerprints, first, second, flipped, start, progress)
    result = np.full(len(first), -1, np.float32)
    likely = np.flatnonzero(fits >= _ALIGNED)
    for begin in range(0, len(likely), _CHUNK):
        chunk = likely[begin : begin + _CHUNK]
        shown, where = np.unique(np.concatenate([first[chunk], second[chunk]]), return_inverse=True)
        details = _details(fingerprints, shown)
        one, other = where[: len(chunk)], where[len(chunk) :]

        def score(part: _Index, details: NDArray[np.float16] = details) -> NDArray[np.float32]:
            moving = _turned(details[other[part]], flipped[chunk[part]])  # noqa: B023
            fixed = details[one[part]].astype(np.float32)  # noqa: B023
            return correlate(fixed, moving, maps[chunk[part]])  # noqa: B023

        for part, values in _batches(len(chunk), score):
            result[chunk[part]] = values
            progress("comparing details", begin + int(part[-1]) + 1, len(likely))
    return result


def clusters(count: int, links: Iterable[tuple[int, int]]) -> list[int]:
    """Gather pictures that are linked, directly or by others.

    Parameters
    ----------
    count
        How many pictures there are.
    links
        Pairs of positions that belong together.

    Returns
    -------
    list of int
        For each picture the position of the first picture of its group.
    """
    root = list(range(count))

    def find(item: int) -> int:
        while root[item] != item:
            root[item] = root[root[item]]
            item = root[item]
        return item

    for one, other in links:
        a, b = find(one), find(other)
        root[max(a, b)] = min(a, b)
    return [find(item) for item in range(count)]


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """All pictures, each seen in its own frame."""

    mirror: bool
    frames: NDArray[np.float32]  # (n, 3)
    vectors: NDArray[np.float32]  # (n, COARSE * COARSE)


def _views(fingerprints: NDArray[np.uint8]) -> tuple[list[_View], list[tuple[int, int]]]:
    """Look at pictures as a whole, closer, and centred, each straight and mirrored.

    A copy that is cropped shows the middle of its original; and the head is not found
    at quite the same place where a copy is brighter.

    Returns
    -------
    views, combinations
        The views, and which of them to compare with which.
    """
    small = view.shrunk(fingerprints)
    whole = np.zeros((len(small), 3), np.float32)
    whole[:, 0] = 1
    views = []
    for frames in (whole, whole * np.float32(_CLOSER), view.head_frames(small)):
        seen = framed(small, frames)
        turned = np.ascontiguousarray(seen[:, :, ::-1])
        views.append(_View(mirror=False, frames=frames, vectors=view.vectors(seen)))
        flipped = frames * np.array([1, -1, 1], np.float32)
        views.append(_View(mirror=True, frames=flipped, vectors=view.vectors(turned)))
    return views, [(0, 0), (0, 1), (2, 0), (2, 1), (0, 2), (0, 3), (4, 4), (4, 5)]


def _block(
    views: list[_View], combinations: list[tuple[int, int]], rows: slice, columns: slice
) -> tuple[_Index, _Index, NDArray[np.bool_], NDArray[np.float32]]:
    """Correlate some pictures with others in every combination of views."""
    best = np.float32(-2) * np.ones((), np.float32)
    kind = np.zeros((), np.int8)
    for number, (a, b) in enumerate(combinations):
        product = views[a].vectors[rows] @ views[b].vectors[columns].T
        kind = np.where(product > best, np.int8(number), kind)
        best = np.maximum(best, product)
    likely = best >= CANDIDATE
    if rows == columns:
        likely = np.triu(likely, 1)
    row, column = np.nonzero(likely)
    chosen = kind[row, column]
    row, column = row + rows.start, column + columns.start
    start, flips = np.zeros((len(row), 2, 3), np.float32), np.zeros(len(row), np.bool_)
    for number, (a, b) in enumerate(combinations):
        these = np.flatnonzero(chosen == number)
        flips[these] = views[b].mirror
        start[these] = _between(views[a].frames[row[these]], views[b].frames[column[these]])
    return row, column, flips, start


def _between(fixed: NDArray[np.float32], moving: NDArray[np.float32]) -> NDArray[np.float32]:
    """Map the place of each point of a frame in one picture to its place in the other."""
    scale = moving[:, 0] / fixed[:, 0]
    maps = np.zeros((len(fixed), 2, 3), np.float32)
    maps[:, 0, 0] = maps[:, 1, 1] = scale
    maps[:, :, 2] = moving[:, 1:] - scale[:, None] * fixed[:, 1:]
    return maps


def _lay_over(
    fingerprints: NDArray[np.uint8],
    first: _Index,
    second: _Index,
    flipped: NDArray[np.bool_],
    start: NDArray[np.float32],
    progress: Progress,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Align the coarse views of pairs: maps ``(m, 2, 3)`` and correlations ``(m,)``."""
    small = view.shrunk(fingerprints)
    maps, fits = np.empty((len(first), 2, 3), np.float32), np.empty(len(first), np.float32)

    def fit(part: _Index) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        moving = _turned(small[second[part]], flipped[part])
        return align(small[first[part]], moving, start[part])

    for part, (found, fitness) in _batches(len(first), fit):
        maps[part], fits[part] = found, fitness
        progress("laying over", int(part[-1]) + 1, len(first))
    return maps, fits


def _details(fingerprints: NDArray[np.uint8], shown: _Index) -> NDArray[np.float16]:
    details = np.empty((len(shown), *fingerprints.shape[1:]), np.float16)
    for part, values in _batches(len(shown), lambda part: view.detail(fingerprints[shown[part]])):
        details[part] = values
    return details


def _turned(pictures: NDArray[np.floating], flipped: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Copy pictures, with some of them mirrored."""
    turned = pictures.astype(np.float32)
    turned[flipped] = turned[flipped][:, :, ::-1]
    return turned


def _batches(count: int, work: Callable[[_Index], _T]) -> Iterator[tuple[_Index, _T]]:
    """Do work on batches of positions in two threads; NumPy leaves the interpreter free."""
    parts = [np.arange(a, min(a + _BATCH, count)) for a in range(0, count, _BATCH)]
    with ThreadPoolExecutor(2) as pool:
        yield from zip(parts, pool.map(work, parts), strict=True)

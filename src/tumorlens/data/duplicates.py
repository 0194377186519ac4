"""Which pictures show the same slice: all pairs, looked at once coarsely, the likely ones closely.

The thresholds come from MRI: see ``docs/data.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
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

Among 4,750 pictures whose slice is known, copies of one slice reached 0.982 and more
(1,711 pairs), different slices of one patient 0.921 at most.
"""

KIN: Final = 0.80
"""Similarity from which two pictures are too alike for different folds.

Heavily processed copies and neighbouring slices of one head lie above it; slices of
different patients stayed below 0.79, but for two patients who may be one (0.82).
"""

CANDIDATE: Final = 0.80
"""Coarse correlation below which a pair is not looked at closely."""

_ALIGNED = 0.86  # coarse correlation once one is laid over the other
_DOUBTFUL, _CERTAIN = 0.6, 0.97  # similarities between which a finer look is worth it
_FINE = 48  # pixels, for that look
_CLOSER = 0.9  # of the side: what a cropped copy may show
_UNSURE = 0.02  # heads are nearly symmetric: coarsely, both ways round may fit as well
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
    nothing = np.empty(0, np.int64)
    parts = [(nothing, nothing, np.empty(0, np.bool_), np.empty((0, 2, 3), np.float32))]
    count = len(fingerprints)
    for top in range(0, count, _BLOCK):
        rows = slice(top, top + _BLOCK)
        for left in range(top, count, _BLOCK):
            parts.append(_block(views, combinations, rows, slice(left, left + _BLOCK)))  # noqa: PERF401
        progress("correlating", min(top + _BLOCK, count), count)
    first, second, flipped, start = (np.concatenate(column) for column in zip(*parts, strict=True))
    similarity = compare(fingerprints, first, second, flipped, start, progress=progress)
    # Of a pair that was looked at both ways round the better way counts.
    order = np.lexsort((-similarity, second, first))
    pair = first[order] * len(fingerprints) + second[order]
    kept = order[np.append(True, pair[1:] != pair[:-1])] if order.size else order
    return Pairs(first[kept], second[kept], flipped[kept], start[kept], similarity[kept])


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
        score = _Scorer(fingerprints[shown], details, where.reshape(2, -1), flipped[chunk])
        for part, values in _batches(len(chunk), partial(score, maps[chunk])):
            result[chunk[part]] = values
            progress("comparing details", begin + int(part[-1]) + 1, len(likely))
    return result


@dataclass(frozen=True, slots=True, eq=False)
class _Scorer:
    """Correlates the details of pairs, of which it holds the pictures."""

    pictures: NDArray[np.uint8]  # (k, SIZE, SIZE)
    details: NDArray[np.float16]  # the same shape
    pairs: _Index  # (2, m), positions in both
    flipped: NDArray[np.bool_]  # (m,)

    def __call__(self, maps: NDArray[np.float32], part: _Index) -> NDArray[np.float32]:
        values = self._correlate(part, maps[part])
        # Half a pixel amiss costs a copy some of its similarity: lay the doubtful over anew.
        doubtful = np.flatnonzero((values >= _DOUBTFUL) & (values < _CERTAIN))
        if doubtful.size:
            these = part[doubtful]
            one, other = self.pairs[:, these]
            fixed = view.shrunk(self.pictures[one], _FINE)
            moving = _turned(view.shrunk(self.pictures[other], _FINE), self.flipped[these])
            better, _ = align(fixed, moving, maps[these])
            values[doubtful] = np.maximum(values[doubtful], self._correlate(these, better))
        return values

    def _correlate(self, part: _Index, maps: NDArray[np.float32]) -> NDArray[np.float32]:
        one, other = self.pairs[:, part]
        moving = _turned(self.details[other], self.flipped[part])
        return correlate(self.details[one].astype(np.float32), moving, maps)


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
    """Correlate some pictures with others in every combination of views, both ways round."""
    straight = _best(views, [c for c in combinations if not views[c[1]].mirror], rows, columns)
    mirror = _best(views, [c for c in combinations if views[c[1]].mirror], rows, columns)
    found = [
        _starts(views, ours, rows, columns, theirs.fit)
        for ours, theirs in ((straight, mirror), (mirror, straight))
    ]
    row, column, flips, start = (np.concatenate(part) for part in zip(*found, strict=True))
    return row, column, flips, start


@dataclass(frozen=True, slots=True, eq=False)
class _Best:
    """The best of several combinations of views, for every pair of a block."""

    combinations: list[tuple[int, int]]
    fit: NDArray[np.float32]
    kind: NDArray[np.int8]  # which combination


def _best(
    views: list[_View], combinations: list[tuple[int, int]], rows: slice, columns: slice
) -> _Best:
    a, b = combinations[0]
    fit: NDArray[np.float32] = views[a].vectors[rows] @ views[b].vectors[columns].T
    kind = np.zeros(fit.shape, np.int8)
    for number, (a, b) in enumerate(combinations[1:], start=1):
        product = views[a].vectors[rows] @ views[b].vectors[columns].T
        kind[product > fit] = number
        np.maximum(fit, product, out=fit)
    return _Best(combinations, fit, kind)


def _starts(
    views: list[_View], best: _Best, rows: slice, columns: slice, other: NDArray[np.float32]
) -> tuple[_Index, _Index, NDArray[np.bool_], NDArray[np.float32]]:
    """Pick the pairs worth a close look, unless they fit much better the other way round."""
    likely = (best.fit >= CANDIDATE) & (best.fit >= other - _UNSURE)
    if rows == columns:
        likely = np.triu(likely, 1)
    row, column = np.nonzero(likely)
    chosen = best.kind[row, column]
    row, column = row + rows.start, column + columns.start
    start = np.zeros((len(row), 2, 3), np.float32)
    for number, (a, b) in enumerate(best.combinations):
        these = np.flatnonzero(chosen == number)
        start[these] = _between(views[a].frames[row[these]], views[b].frames[column[these]])
    mirror = views[best.combinations[0][1]].mirror
    return row, column, np.full(len(row), mirror), start


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

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
    "MIRRORED",
    "WAYS",
    "Pair",
    "Pairs",
    "clusters",
    "compare",
    "compare_all",
    "find_pairs",
    "turn",
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
"""Correlation of the coarse views below which a pair is not looked at closely."""

_ALIGNED = 0.86  # coarse correlation once one is laid over the other
_DOUBTFUL, _CERTAIN = 0.6, 0.97  # similarities between which a finer look is worth it
_FINE = 48  # pixels, for that look
_CLOSER = 0.9  # of the side: what a cropped copy may show
_UNSURE = 0.02  # heads are nearly symmetric: coarsely, both ways round may fit as well
_BLOCK = 2048  # rows of the correlation matrix held at a time
_BATCH = 256  # pairs laid over each other at a time: small enough for the cache
_CHUNK = 16_384  # pairs whose details are held at a time

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
    way
        How the second must be turned to lie like the first: one of `WAYS`.
    """

    first: int
    second: int
    similarity: float
    way: str = WAYS[0]


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Every pair that was worth a close look.

    Parameters
    ----------
    first, second
        Positions of the pictures, int64, ``(m,)``; `first` before `second`.
    ways
        How the second must be turned, positions in `WAYS`, int8, ``(m,)``.
    start
        How the second lies over the first, roughly, float32, ``(m, 2, 3)``.
    similarity
        float32, ``(m,)``: from -1 to 1.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    ways: _Ways
    start: NDArray[np.float32]
    similarity: NDArray[np.float32]

    def at_least(self, similarity: float) -> list[Pair]:
        """Give the pairs from a similarity up, sorted by position."""
        return sorted(
            Pair(
                int(self.first[k]),
                int(self.second[k]),
                round(float(self.similarity[k]), 4),
                WAYS[self.ways[k]],
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
    similarity = compare(fingerprints, first, second, ways, start, progress=progress)
    # Of a pair that was looked at both ways round the better way counts.
    order = np.lexsort((-similarity, second, first))
    pair = first[order] * len(fingerprints) + second[order]
    kept = order[np.append(True, pair[1:] != pair[:-1])] if order.size else order
    return Pairs(first[kept], second[kept], ways[kept], start[kept], similarity[kept])


def compare(
    fingerprints: NDArray[np.uint8],
    first: _Index,
    second: _Index,
    ways: _Ways,
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
    ways
        How to turn the second before comparing, positions in `WAYS`, ``(m,)``.
    start
        How the second lies over the first, roughly, ``(m, 2, 3)``.
    progress
        Told of pairs done.

    Returns
    -------
    numpy.ndarray
        float32, ``(m,)``: from -1 to 1, and -1 for pairs that do not fit coarsely.
    """
    maps, fits = _lay_over(fingerprints, first, second, ways, start, progress)
    result = np.full(len(first), -1, np.float32)
    likely = np.flatnonzero(fits >= _ALIGNED)
    for begin in range(0, len(likely), _CHUNK):
        chunk = likely[begin : begin + _CHUNK]
        shown, where = np.unique(np.concatenate([first[chunk], second[chunk]]), return_inverse=True)
        details = _details(fingerprints, shown)
        score = _Scorer(fingerprints[shown], details, where.reshape(2, -1), ways[chunk])
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
    ways: _Ways  # (m,)

    def __call__(self, maps: NDArray[np.float32], part: _Index) -> NDArray[np.float32]:
        values = self._correlate(part, maps[part])
        # Half a pixel amiss costs a copy some of its similarity: lay the doubtful over anew.
        doubtful = np.flatnonzero((values >= _DOUBTFUL) & (values < _CERTAIN))
        if doubtful.size:
            these = part[doubtful]
            one, other = self.pairs[:, these]
            fixed = view.shrunk(self.pictures[one], _FINE)
            moving = turn(view.shrunk(self.pictures[other], _FINE), self.ways[these])
            better, _ = align(fixed, moving, maps[these])
            values[doubtful] = np.maximum(values[doubtful], self._correlate(these, better))
        return values

    def _correlate(self, part: _Index, maps: NDArray[np.float32]) -> NDArray[np.float32]:
        one, other = self.pairs[:, part]
        moving = turn(self.details[other], self.ways[part])
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


def _lay_over(
    fingerprints: NDArray[np.uint8],
    first: _Index,
    second: _Index,
    ways: _Ways,
    start: NDArray[np.float32],
    progress: Progress,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Align the coarse views of pairs: maps ``(m, 2, 3)`` and correlations ``(m,)``."""
    small = view.shrunk(fingerprints)
    maps, fits = np.empty((len(first), 2, 3), np.float32), np.empty(len(first), np.float32)

    def fit(part: _Index) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        moving = turn(small[second[part]], ways[part])
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


def _batches(count: int, work: Callable[[_Index], _T]) -> Iterator[tuple[_Index, _T]]:
    """Do work on batches of positions in two threads; NumPy leaves the interpreter free."""
    parts = [np.arange(a, min(a + _BATCH, count)) for a in range(0, count, _BATCH)]
    with ThreadPoolExecutor(2) as pool:
        yield from zip(parts, pool.map(work, parts), strict=True)

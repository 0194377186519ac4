"""Which pictures show the same slice: the likely pairs are laid over each other and compared.

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
from tumorlens.data.align import align, correlate
from tumorlens.data.candidates import WAYS, find_candidates, turn
from tumorlens.progress import Progress, silent

__all__ = ["COPY", "KIN", "Pair", "Pairs", "clusters", "compare", "compare_all", "find_pairs"]

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

_ALIGNED = 0.86  # coarse correlation once one is laid over the other
_DOUBTFUL, _CERTAIN = 0.6, 0.97  # similarities between which a finer look is worth it
_FINE = 48  # pixels, for that look
_BATCH = 256  # pairs laid over each other at a time: small enough for the cache
_CHUNK = 16_384  # pairs whose details are held at a time

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
    first, second, ways, start = find_candidates(fingerprints, progress)
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


def _batches(count: int, work: Callable[[_Index], _T]) -> Iterator[tuple[_Index, _T]]:
    """Do work on batches of positions in two threads; NumPy leaves the interpreter free."""
    parts = [np.arange(a, min(a + _BATCH, count)) for a in range(0, count, _BATCH)]
    with ThreadPoolExecutor(2) as pool:
        yield from zip(parts, pool.map(work, parts), strict=True)

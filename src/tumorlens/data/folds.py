"""Folds of whole groups that hold the same share of every class.

Groups are dealt out largest first, each to the fold that lacks it most, as
scikit-learn's ``StratifiedGroupKFold`` does; then moves and swaps of groups even out
what is left. Written here because published folds must not change with another
package's version, and because pictures that join later must leave them alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tumorlens.errors import DataError

__all__ = ["assign_folds", "imbalance"]

_EVEN: Final = 0.02  # spread of a class's sizes over the folds that is good enough
_ROUNDS: Final = 500

_Counts = NDArray[np.int64]


def assign_folds(
    labels: Sequence[str],
    groups: Sequence[str],
    *,
    folds: int = 5,
    seed: int = 0,
    fixed: Mapping[str, int] | None = None,
) -> list[int]:
    """Give every picture a fold, the same for all of its group.

    Parameters
    ----------
    labels, groups
        Class and group of each picture.
    folds
        How many folds, at least 2.
    seed
        Decides between equals; the same seed gives the same folds.
    fixed
        Folds of groups that must stay where they are.

    Returns
    -------
    list of int
        From 0 to ``folds - 1``.

    Raises
    ------
    DataError
        When there are fewer groups of a class than folds.
    """
    if folds < 2:
        raise DataError(f"there must be at least 2 folds, got {folds}")
    counts, names = _count(labels, groups)
    _check_enough(counts, sorted(set(labels)), folds)
    order = np.random.default_rng(seed).permutation(len(names))  # breaks ties
    order = order[np.argsort(-counts[order].max(1), kind="stable")]
    place = np.full(len(names), -1)
    for position, name in enumerate(names):
        place[position] = (fixed or {}).get(name, -1)
    if place.max(initial=-1) >= folds:
        raise DataError(f"there is a fold {place.max()} already; ask for more than {folds} folds")
    free = place < 0
    target = counts.sum(0) / folds
    sizes = np.zeros((folds, counts.shape[1]))
    np.add.at(sizes, place[~free], counts[~free])
    for group in order[free[order]]:
        cost = (((sizes + counts[group] - target) / target) ** 2).sum(1)
        cost -= (((sizes - target) / target) ** 2).sum(1)
        place[group] = int(np.argmin(cost))
        sizes[place[group]] += counts[group]
    _even_out(counts, place, sizes, free)
    fold_of = dict(zip(names, place.tolist(), strict=True))
    return [fold_of[group] for group in groups]


def imbalance(labels: Sequence[str], folds: Sequence[int]) -> dict[str, float]:
    """Say how unevenly each class lies over the folds: its largest part over its smallest, less 1.

    Infinite where a fold has none of it.
    """
    result = {}
    for label in sorted(set(labels)):
        sizes = [
            sum(a == label and b == fold for a, b in zip(labels, folds, strict=True))
            for fold in sorted(set(folds))
        ]
        result[label] = (max(sizes) - min(sizes)) / min(sizes) if min(sizes) else float("inf")
    return result


def _count(labels: Sequence[str], groups: Sequence[str]) -> tuple[_Counts, list[str]]:
    """Pictures of each class in each group, ``(groups, classes)``."""
    names, classes = sorted(set(groups)), sorted(set(labels))
    row, column = ({name: i for i, name in enumerate(keys)} for keys in (names, classes))
    counts = np.zeros((len(names), len(classes)), dtype=np.int64)
    for label, group in zip(labels, groups, strict=True):
        counts[row[group], column[label]] += 1
    return counts, names


def _check_enough(counts: _Counts, classes: list[str], folds: int) -> None:
    for name, count in zip(classes, (counts > 0).sum(0), strict=True):
        if count < folds:
            raise DataError(
                f"{name} has {count} groups, too few for {folds} folds; ask for fewer folds"
            )


def _even_out(
    counts: _Counts, place: NDArray[np.int64], sizes: NDArray[np.float64], free: NDArray[np.bool_]
) -> None:
    """Move and swap groups between the fullest and the emptiest fold of the worst class."""
    target = sizes.mean(0)
    for _ in range(_ROUNDS):
        spread = (sizes.max(0) - sizes.min(0)) / np.maximum(sizes.min(0), 1)
        if spread.max() <= _EVEN:
            return
        for worst in np.argsort(-spread):
            full, empty = int(sizes[:, worst].argmax()), int(sizes[:, worst].argmin())
            if _improve(counts, place, sizes, free, target, full, empty):
                break
        else:
            return


def _improve(
    counts: _Counts,
    place: NDArray[np.int64],
    sizes: NDArray[np.float64],
    free: NDArray[np.bool_],
    target: NDArray[np.float64],
    full: int,
    empty: int,
) -> bool:
    """Make the one exchange between two folds that evens them out most, if any does."""
    out = np.flatnonzero(free & (place == full))
    back = np.append(np.flatnonzero(free & (place == empty)), -1)  # -1: nothing comes back
    coming = np.vstack([counts[back[:-1]], np.zeros((1, counts.shape[1]), dtype=np.int64)])
    best, choice = _unevenness(sizes[full], sizes[empty], target) - 1e-9, None
    for group in out:
        moved = counts[group] - coming
        cost = _unevenness(sizes[full] - moved, sizes[empty] + moved, target)
        if cost.min() < best:
            best, choice = cost.min(), (group, int(back[cost.argmin()]))
    if choice is None:
        return False
    group, other = choice
    change = counts[group] - (counts[other] if other >= 0 else 0)
    sizes[full] -= change
    sizes[empty] += change
    place[group] = empty
    if other >= 0:
        place[other] = full
    return True


def _unevenness(
    one: NDArray[np.float64], other: NDArray[np.float64], target: NDArray[np.float64]
) -> NDArray[np.float64]:
    total = ((one - target) / target) ** 2 + ((other - target) / target) ** 2
    return np.asarray(total.sum(-1))

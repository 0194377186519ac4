"""The figures of many resamples at once: a bootstrap over whole groups.

Pictures of one patient are alike, so that a set of pictures says less than their number
suggests. Here whole groups are drawn with replacement, as often as there are groups, and
every figure is computed anew. Each figure is a function of how often each group was drawn,
which lets a block of resamples go through one matrix product. Reference: A. C. Davison and
D. V. Hinkley, "Bootstrap Methods and their Application" (1997), section 3.8.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tumorlens.progress import Progress, silent

__all__ = [
    "BINS",
    "NO_TUMOUR",
    "confidence_bins",
    "figures_by_weight",
    "resample",
    "resample_ratios",
]

BINS: Final = 15
"""Bins of equal width for the calibration error."""

NO_TUMOUR: Final = "notumor"
"""The class whose wrong use misses a tumour."""

_BLOCK: Final = 2_000_000  # numbers a working array may hold: 16 MB

_Floats = NDArray[np.float64]


def resample(
    labels: NDArray[np.int64],
    probabilities: _Floats,
    units: NDArray[np.int64],
    classes: Sequence[str],
    *,
    resamples: int,
    seed: int,
    progress: Progress = silent,
) -> dict[str, _Floats]:
    """Draw whole units with replacement and compute every figure of each draw.

    Parameters
    ----------
    labels
        ``(n,)``, positions in `classes`.
    probabilities
        ``(n, classes)``.
    units
        ``(n,)``: of which group each picture is, from 0 without gaps.
    classes
        Their names.
    resamples, seed
        How many draws; the same seed draws the same.
    progress
        Told of each block of draws.

    Returns
    -------
    dict
        For each figure, named as in `figures_by_weight`, float64 ``(resamples,)``; NaN
        where a draw leaves it undefined.
    """
    compute = figures_by_weight(labels, probabilities, units, classes)
    found: list[dict[str, _Floats]] = []
    done = 0
    for weights in _draws(units, resamples, seed):
        found.append(compute(weights))
        done += len(weights)
        progress("resampling", done, resamples)
    return {name: np.concatenate([part[name] for part in found]) for name in found[0]}


def resample_ratios(
    above: _Floats, below: _Floats, units: NDArray[np.int64], *, resamples: int, seed: int
) -> _Floats:
    """Draw whole units with replacement and compute ratios of sums, such as shares.

    Parameters
    ----------
    above, below
        ``(n, ratios)``: what each picture adds to the upper and to the lower sum.
    units, resamples, seed
        As `resample` takes them; the same seed draws the same units.

    Returns
    -------
    numpy.ndarray
        float64, ``(resamples, ratios)``; NaN where nothing is below.
    """
    count = int(units.max()) + 1
    sums = np.zeros((2, count, above.shape[1]))
    np.add.at(sums[0], units, above)
    np.add.at(sums[1], units, below)
    found = [np.empty((0, above.shape[1]))]
    for weights in _draws(units, resamples, seed):
        found.append(_divide(weights @ sums[0], weights @ sums[1]))  # noqa: PERF401
    return np.concatenate(found)


def _draws(units: NDArray[np.int64], resamples: int, seed: int) -> Iterator[_Floats]:
    """Give blocks of draws, ``(block, units)``: how often each unit was drawn."""
    count = int(units.max()) + 1
    random = np.random.default_rng(seed)
    block = max(1, _BLOCK // units.size)
    for start in range(0, resamples, block):
        drawn = random.integers(count, size=(min(block, resamples - start), count))
        own = drawn + count * np.arange(len(drawn))[:, None]  # each draw has places of its own
        weights = np.bincount(own.ravel(), minlength=drawn.size).reshape(drawn.shape)
        yield weights.astype(np.float64)


def figures_by_weight(
    labels: NDArray[np.int64],
    probabilities: _Floats,
    units: NDArray[np.int64],
    classes: Sequence[str],
) -> Callable[[_Floats], dict[str, _Floats]]:
    """Prepare the computation of all figures for given weights of the units.

    Returns
    -------
    callable
        From weights ``(draws, units)`` to figures ``(draws,)``: ``accuracy``,
        ``macro_f1``, ``mcc``, ``ece``, ``brier``, ``tumour_miss_rate`` where there is a
        class `NO_TUMOUR`, and ``auc.C``, ``recall.C``, ``precision.C``, ``f1.C`` for each
        class C, ``auc.macro``. With weights of 1 they are those of scikit-learn.
    """
    kinds, count = len(classes), int(units.max()) + 1
    predicted = probabilities.argmax(axis=1)
    tables = np.zeros((count, kinds * kinds))
    np.add.at(tables, (units, labels * kinds + predicted), 1)
    squares = ((probabilities - np.eye(kinds)[labels]) ** 2).sum(axis=1)
    confidence = probabilities.max(axis=1)
    gaps = np.zeros((count, BINS))
    np.add.at(gaps, (units, confidence_bins(confidence)), (predicted == labels) - confidence)
    brier = np.bincount(units, squares, count)
    areas = {
        name: _area_by_weight(labels == c, probabilities[:, c], units)
        for c, name in enumerate(classes)
    }

    def compute(weights: _Floats) -> dict[str, _Floats]:
        table = (weights @ tables).reshape(-1, kinds, kinds)
        whole = table.sum(axis=(1, 2))
        auc = {f"auc.{name}": area(weights) for name, area in areas.items()}
        return {
            **_figures_of_tables(table, classes),
            "ece": np.abs(weights @ gaps).sum(axis=1) / whole,
            "brier": (weights @ brier) / whole,
            "auc.macro": np.mean(list(auc.values()), axis=0),
            **auc,
        }

    return compute


def confidence_bins(confidence: _Floats) -> NDArray[np.int64]:
    """Sort confidences into `BINS` bins of equal width, each with its upper end.

    As in C. Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017), section 2.
    """
    return np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)


def _figures_of_tables(table: _Floats, classes: Sequence[str]) -> dict[str, _Floats]:
    """Compute what confusion matrices ``(draws, classes, classes)`` tell; rows are true."""
    right = np.diagonal(table, axis1=1, axis2=2)
    true, given, whole = table.sum(axis=2), table.sum(axis=1), table.sum(axis=(1, 2))
    recall, precision = _divide(right, true), _divide(right, given)
    f1 = np.where(true > 0, _divide(2 * right, true + given), np.nan)
    # Gorodkin (2004), https://doi.org/10.1016/j.compbiolchem.2004.09.006; scikit-learn's too.
    shared = right.sum(axis=1) * whole - (true * given).sum(axis=1)
    spread_true = whole**2 - (true**2).sum(axis=1)
    spread_given = whole**2 - (given**2).sum(axis=1)
    mcc = _divide(shared, np.sqrt(spread_true * spread_given))
    one_answer = (spread_given == 0) & (spread_true > 0)
    figures = {
        "accuracy": right.sum(axis=1) / whole,
        "macro_f1": f1.mean(axis=1),
        "mcc": np.where(one_answer, 0.0, mcc),
    }
    if NO_TUMOUR in classes:
        none = classes.index(NO_TUMOUR)
        tumours = whole - true[:, none]
        figures["tumour_miss_rate"] = _divide(given[:, none] - right[:, none], tumours)
    for c, name in enumerate(classes):
        figures[f"recall.{name}"] = recall[:, c]
        figures[f"precision.{name}"] = precision[:, c]
        figures[f"f1.{name}"] = f1[:, c]
    return figures


def _area_by_weight(
    positive: NDArray[np.bool_], scores: _Floats, units: NDArray[np.int64]
) -> Callable[[_Floats], _Floats]:
    """Prepare the area under the ROC curve: how often a positive outscores a negative.

    Equal scores count half. NaN where one of the two is missing.
    """
    order = np.argsort(scores, kind="stable")
    ranked = scores[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])  # of runs of equal scores
    unit, is_positive = units[order], positive[order]

    def compute(weights: _Floats) -> _Floats:
        each = weights[:, unit]
        above = np.add.reduceat(each * is_positive, starts, axis=1)
        below = np.add.reduceat(each * ~is_positive, starts, axis=1)
        beaten = np.cumsum(below, axis=1) - below / 2
        pairs = above.sum(axis=1) * below.sum(axis=1)
        return _divide((above * beaten).sum(axis=1), pairs)

    return compute


def _divide(above: _Floats, below: _Floats) -> _Floats:
    """Divide, with NaN in place of a division by nothing."""
    out = np.full(np.broadcast_shapes(above.shape, below.shape), np.nan)
    np.divide(above, below, out=out, where=below > 0)
    return out

"""How far to trust a figure: percentiles of resamples over groups, and Wilson's interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tumorlens.evaluate.resample import resample_ratios
from tumorlens.extras import require
from tumorlens.trust.weighting import own_groups

__all__ = ["LEVEL", "Interval", "number_units", "percentiles", "shares", "wilson_interval"]

LEVEL: Final = 0.95
"""What every interval is meant to hold."""

_SHARE_DEFINED: Final = 0.9  # of the resamples, for an interval to be given

Interval = tuple[float, float]


def wilson_interval(count: int, n: int) -> Interval | None:
    """Give Wilson's 95 % interval of a proportion, or ``None`` of none."""
    if not n:
        return None
    stats = require("scipy.stats", "measuring a model", "evaluate")
    interval = stats.binomtest(count, n).proportion_ci(LEVEL, method="wilson")
    return float(interval.low), float(interval.high)


def number_units(groups: Sequence[str] | None, n: int) -> NDArray[np.int64]:
    """Give the groups of `n` pictures numbers from 0; each picture without one is its own."""
    numbers: dict[str, int] = {}
    named = own_groups([""] * n if groups is None else groups)
    return np.array([numbers.setdefault(name, len(numbers)) for name in named], dtype=np.int64)


def percentiles(drawn: NDArray[np.float64]) -> tuple[Interval | None, float]:
    """Take the interval of a figure from its resamples.

    Parameters
    ----------
    drawn
        ``(resamples,)``; NaN where a draw leaves the figure undefined.

    Returns
    -------
    tuple
        The interval, ``None`` when too few draws define the figure, and the share that does.
    """
    good = drawn[~np.isnan(drawn)]
    share = good.size / drawn.size
    if share < _SHARE_DEFINED:
        return None, share
    low, high = np.percentile(good, (50 * (1 - LEVEL), 50 * (1 + LEVEL)))
    return (float(low), float(high)), share


def shares(
    above: NDArray[np.float64],
    below: NDArray[np.float64],
    groups: Sequence[str] | None,
    bootstrap: int,
    seed: int,
) -> list[tuple[float | None, Interval | None]]:
    """Divide sums over pictures, each with its interval over resampled groups.

    Parameters
    ----------
    above, below
        ``(n, shares)``: what each picture adds to the upper and to the lower sum.
    groups, bootstrap, seed
        See `tumorlens.evaluate.metrics.summarise`.
    """
    units = number_units(groups, len(above))
    drawn = resample_ratios(above, below, units, resamples=bootstrap, seed=seed)
    known = bootstrap and units.max() > 0
    return [
        (float(upper / lower) if lower else None, percentiles(draws)[0] if known else None)
        for upper, lower, draws in zip(above.sum(axis=0), below.sum(axis=0), drawn.T, strict=True)
    ]

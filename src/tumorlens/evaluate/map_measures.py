"""How well a map agrees with a mask, and with the network: the measures, as functions.

Maps are ``(height, width)``, at least 0, with a peak of 1 unless they are flat. Masks are
bool and of the same shape. A flat map points nowhere and scores 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tumorlens.evaluate.resample import resample_ratios
from tumorlens.extras import require
from tumorlens.trust.weighting import own_groups

__all__ = [
    "FIXED",
    "THRESHOLDS",
    "centre_prior",
    "group_intervals",
    "iou_curve",
    "mass_in_mask",
    "points_at",
    "rank_correlation",
]

Map = NDArray[np.float32]
Mask = NDArray[np.bool_]

THRESHOLDS: Final = tuple(i / 20 for i in range(1, 20))
"""Of the peak: where a map is cut to be compared with a mask."""

FIXED: Final = THRESHOLDS.index(0.5)
"""Index of the threshold that is fixed beforehand."""

_PRIOR: Final = 1 / 6  # of the head's side: standard deviation of the centre prior


def points_at(heat: Map, mask: Mask) -> float:
    """Play the pointing game: 1 when the map's peak lies in the mask.

    Zhang et al., "Top-down neural attention by excitation backprop", IJCV 2018, without
    their tolerance. Where several places share the peak, the share of them in the mask.
    """
    peak = heat.max()
    return float(mask[heat == peak].mean()) if peak > 0 else 0.0


def mass_in_mask(heat: Map, mask: Mask) -> float:
    """Give the share of the map's sum that lies in the mask.

    The energy-based pointing game of Wang et al., "Score-CAM", CVPR Workshops 2020.
    """
    total = heat.sum(dtype=np.float64)
    return float(heat[mask].sum(dtype=np.float64) / total) if total > 0 else 0.0


def iou_curve(heat: Map, mask: Mask) -> NDArray[np.float64]:
    """Give intersection over union of mask and map, cut at each of `THRESHOLDS`."""
    levels = np.digitize(heat, np.asarray(THRESHOLDS, dtype=np.float32))
    inside = np.bincount(levels[mask], minlength=len(THRESHOLDS) + 1)
    everywhere = np.bincount(levels.ravel(), minlength=len(THRESHOLDS) + 1)
    # From the highest level down: how much lies at or above each threshold.
    hit = np.cumsum(inside[:0:-1])[::-1]
    lit = np.cumsum(everywhere[:0:-1])[::-1]
    return np.asarray(hit / (lit + mask.sum() - hit))


def centre_prior(box: tuple[float, float, float, float], seen: Mask) -> Map:
    """Draw a map that knows nothing but where the head is: a bell at its centre.

    Parameters
    ----------
    box
        Left, top, right and bottom edge of the head's square, in pixels.
    seen
        Where the network looked; the map is 0 elsewhere.

    Returns
    -------
    numpy.ndarray
        float32, from 0 to 1. Its standard deviation is a sixth of the square's side.
    """
    left, top, right, bottom = box
    y, x = np.indices(seen.shape)
    far = np.hypot(x + 0.5 - (left + right) / 2, y + 0.5 - (top + bottom) / 2)
    bell = np.exp(-0.5 * (far / (_PRIOR * (right - left))) ** 2) * seen
    return np.asarray(bell / max(bell.max(), 1e-9), dtype=np.float32)


def rank_correlation(one: Map, other: Map) -> float:
    """Compute Spearman's rank correlation of two maps; 0 when either is the same everywhere."""
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    stats = require("scipy.stats", "measuring explanations", "evaluate")
    return float(stats.spearmanr(one.ravel(), other.ravel()).statistic)


def group_intervals(
    values: Mapping[str, Sequence[float]],
    groups: Sequence[str],
    *,
    draws: int = 1000,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Give 95 % intervals of means by the cluster bootstrap.

    Whole groups are drawn with replacement, because slices of one patient are alike
    (Field and Welsh, "Bootstrapping clustered data", JRSS B 2007).

    Parameters
    ----------
    values
        By name, one a picture.
    groups
        Of each picture; the empty group means one of its own.
    draws, seed
        Of the bootstrap.
    """
    _, units = np.unique(own_groups(groups), return_inverse=True)
    above = np.array([*values.values()], dtype=np.float64).T
    means = resample_ratios(above, np.ones_like(above), units, resamples=draws, seed=seed)
    ends = np.percentile(means, (2.5, 97.5), axis=0).T.tolist()
    return {name: (low, high) for name, (low, high) in zip(values, ends, strict=True)}

"""How much each slice counts when a model is calibrated: every group as much as any other.

A patient with 45 slices is one piece of evidence, not 45: its slices are right or wrong
together. Counted by slices, a few long scans would set the temperature and the thresholds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["group_weights", "own_groups"]


def own_groups(groups: Sequence[str]) -> list[str]:
    """Give each slice without a group (an empty text) one of its own."""
    return [group or f"\0{i}" for i, group in enumerate(groups)]


def group_weights(groups: Sequence[str]) -> NDArray[np.float64]:
    """Weigh slices so that groups count alike.

    Parameters
    ----------
    groups
        Patient or cluster of each slice; one with an empty text stands for itself.

    Returns
    -------
    numpy.ndarray
        float64, ``(n,)``: one over the number of groups and the slices of its group.
        They add up to 1.
    """
    named = own_groups(groups)
    sizes = Counter(named)
    return np.array([1 / (len(sizes) * sizes[name]) for name in named])

"""How probable a class must be to be in the prediction set.

Split-conformal prediction, class by class: on slices with a known answer, none of which
trained the network, look how improbable the true class came out; leave out of a set what
is less probable than nearly all of those. Then a set holds the truth as often as was asked
for, in each class. (V. Vovk, "Conditional validity of inductive conformal predictors",
Machine Learning 92, 2013; score 1 - p of the true class: M. Sadinle et al., "Least
ambiguous set-valued classifiers with bounded error levels", JASA 114, 2019.)

That holds for exchangeable draws, and slices of one patient are none. So whole groups are
what is exchangeable here, and each counts alike: with K groups the weighted quantile is
taken at level (K + 1) / K of what was asked for, and the promise is for a slice of a
patient who was not seen. (Y. Lee, R. F. Barber and R. Willett, "Distribution-free inference
with hierarchical data", 2023, https://arxiv.org/abs/2306.06342, section 3.1.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tumorlens.trust.weighting import group_weights, own_groups

__all__ = ["ClassThreshold", "class_thresholds", "sets_above"]

_HAIR = 1e-12  # for sums of weights that only round to a level


@dataclass(frozen=True, slots=True)
class ClassThreshold:
    """The threshold of one class, and what it was made from.

    Parameters
    ----------
    lowest
        The class is in a set when it is at least this probable; 0 puts it into every set.
    slices, groups
        How many slices of the class, of how many groups, decided it.
    promised
        How often sets then hold the class when it is true, in the mean over patients like
        these who were not seen. Below what was asked for when there are too few groups to
        promise that much.
    """

    lowest: float
    slices: int
    groups: int
    promised: float


def class_thresholds(
    probabilities: NDArray[np.float64],
    labels: NDArray[np.int64],
    groups: Sequence[str],
    level: float,
) -> list[ClassThreshold]:
    """Find the threshold of every class.

    Parameters
    ----------
    probabilities
        ``(n, classes)``, after temperature.
    labels
        ``(n,)``: the true positions.
    groups
        Patient or cluster of each slice; one with an empty text stands for itself.
    level
        How often a set shall hold the truth, between 0 and 1.

    Returns
    -------
    list of ClassThreshold
        In class order. To promise a level of 0.95 to patients takes 19 groups of the
        class. With fewer, the groups still count alike and the correction is that of
        single slices ("CDF pooling": R. Dunn, L. Wasserman and A. Ramdas,
        "Distribution-free prediction sets for two-layer hierarchical models", JASA 118,
        2023), which promises less. Too few slices even for that put the class into
        every set.
    """
    found = []
    for c in range(probabilities.shape[1]):
        rows = np.flatnonzero(labels == c).tolist()
        true = probabilities[rows, c]
        found.append(_threshold(true, [groups[i] for i in rows], level))
    return found


def sets_above(probabilities: NDArray[np.float64], lowest: Sequence[float]) -> NDArray[np.bool_]:
    """Say which classes are in the set of each slice.

    Parameters
    ----------
    probabilities
        ``(n, classes)``.
    lowest
        Of each class; see `ClassThreshold`.

    Returns
    -------
    numpy.ndarray
        bool, ``(n, classes)``. The most probable class is always in.
    """
    chosen = probabilities >= np.asarray(lowest)
    chosen[np.arange(len(chosen)), probabilities.argmax(axis=1)] = True
    return chosen


def _threshold(true: NDArray[np.float64], groups: Sequence[str], level: float) -> ClassThreshold:
    weights = group_weights(groups)
    n = len(true)
    kinds = len(set(own_groups(groups)))
    for units in (kinds, n):
        share = level * (units + 1) / units if units else np.inf
        if share <= 1 + _HAIR:
            order = np.argsort(-true, kind="stable")
            reached = np.cumsum(weights[order]) >= share - _HAIR
            lowest = float(true[order[int(reached.argmax()) if reached.any() else -1]])
            promised = level if units == kinds else share * kinds / (kinds + 1)
            return ClassThreshold(lowest, n, kinds, promised)
    return ClassThreshold(0.0, n, kinds, 1.0)

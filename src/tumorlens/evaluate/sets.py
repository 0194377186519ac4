"""What prediction sets and the refusal to answer are worth: sizes, coverage, shares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tumorlens.evaluate.intervals import shares

__all__ = ["describe_acceptance", "describe_sets"]


def describe_sets(
    labels: ArrayLike,
    sets: NDArray[np.bool_],
    predicted: ArrayLike,
    *,
    classes: Sequence[str],
    groups: Sequence[str] | None = None,
    bootstrap: int = 0,
    seed: int = 0,
) -> dict[str, Any]:
    """Say how large prediction sets are, how often they hold the truth, and who is hedged.

    Parameters
    ----------
    labels, predicted
        Positions in `classes`, ``(n,)``: what is true, and what was answered.
    sets
        ``(n, classes)``: which classes are in the set of each picture.
    classes
        Their names.
    groups, bootstrap, seed
        See `tumorlens.evaluate.metrics.summarise`.

    Returns
    -------
    dict
        Of all pictures ``mean_size``, ``coverage`` and ``one_class``: the share of the right
        answers whose set holds nothing else. A mean size hides that one class is always
        hedged. ``per_class`` the same by true class; ``None`` where there is nothing to
        share. With `bootstrap` also the 95 % ``intervals`` of each.
    """
    truth = np.asarray(labels)
    sizes, hits = sets.sum(axis=1), sets[np.arange(truth.size), truth]
    right = truth == np.asarray(predicted)
    members = np.stack([np.ones(truth.size), *(truth == c for c in range(len(classes)))], axis=1)
    counted = {"mean_size": sizes, "coverage": hits, "one_class": right & (sizes == 1)}
    above = np.concatenate([members * values[:, None] for values in counted.values()], axis=1)
    below = np.concatenate([members, members, members * right[:, None]], axis=1)
    found = shares(above, below, groups, bootstrap, seed)
    rows: list[dict[str, Any]] = []
    for i in range(len(classes) + 1):
        each = dict(zip(counted, found[i :: len(classes) + 1], strict=True))
        rows.append({name: share for name, (share, _) in each.items()})
        if bootstrap:
            rows[-1]["intervals"] = {name: interval for name, (_, interval) in each.items()}
    return {**rows[0], "per_class": dict(zip(classes, rows[1:], strict=True))}


def describe_acceptance(
    assessable: NDArray[np.bool_],
    *,
    groups: Sequence[str] | None = None,
    bootstrap: int = 0,
    seed: int = 0,
) -> dict[str, Any]:
    """Say which share of the pictures the model calls assessable.

    Parameters
    ----------
    assessable
        ``(n,)``.
    groups, bootstrap, seed
        See `tumorlens.evaluate.metrics.summarise`.

    Returns
    -------
    dict
        ``n``, ``share``, and ``interval``: 95 %, ``None`` without `bootstrap`.
    """
    above = assessable[:, None].astype(np.float64)
    share, interval = shares(above, np.ones_like(above), groups, bootstrap, seed)[0]
    return {"n": int(assessable.sum()), "share": share, "interval": interval}

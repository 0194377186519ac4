"""Telling slices from what a manifest leaves out, such as CT: finding, fitting, judging.

The pictures that a manifest excludes for one reason are a kind. Those of folds that were kept
for testing, and are not what is calibrated on, stay closed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tumorlens.data.manifest import Entry
from tumorlens.errors import DataError
from tumorlens.evaluate.cases import LabelledSet
from tumorlens.extras import require
from tumorlens.models.card import Card
from tumorlens.trust.novelty import fit_other
from tumorlens.trust.weighting import own_groups

__all__ = ["find_excluded", "fit_others"]

_FOLDS: Final = 5
_FEWEST_GROUPS: Final = 5

Views = Mapping[str, NDArray[np.float32]]
"""Vectors ``(n, channels)`` of the same pictures under each look, and as they are."""


def find_excluded(cases: LabelledSet, card: Card, reason: str) -> list[Entry]:
    """List the pictures that a manifest excludes for a reason, but for closed folds.

    Parameters
    ----------
    cases
        What is calibrated on.
    card
        Of the model: it says which folds are kept for testing.
    reason
        As the manifest has it.

    Raises
    ------
    DataError
        When the slices are of no manifest, or too few groups are left.
    """
    if cases.manifest is None:
        raise DataError("only a manifest says what is excluded and why; give one as --data")
    kept = card.training.get("selection", {}).get("test_folds", [])
    closed = set(kept) - {entry.fold for entry in cases.chosen}
    found = [e for e in cases.manifest.entries if e.excluded == reason and e.fold not in closed]
    groups = len(set(own_groups([e.group for e in found])))
    if groups < _FEWEST_GROUPS:
        known = ", ".join(sorted(cases.manifest.excluded)) or "nothing"
        raise DataError(
            f"{cases.name} excludes pictures of {groups} groups as {reason!r} outside the folds "
            f"kept for testing; {_FEWEST_GROUPS} are the least to learn from (it excludes: {known})"
        )
    return found


def fit_others(
    slices: Views, groups: Sequence[str], other: Views, other_groups: Sequence[str]
) -> tuple[NDArray[np.float32], dict[str, Any]]:
    """Learn one kind, and judge each picture by what was learnt from other groups.

    Parameters
    ----------
    slices, other
        Vectors of the slices and of the pictures of the kind, under the same looks.
    groups, other_groups
        Patient or cluster of each.

    Returns
    -------
    numpy.ndarray
        As `tumorlens.trust.novelty.Novelty` takes it.
    dict
        For the card: numbers of pictures and groups, and, by look, the shares of the kind and
        of the slices that are refused.
    """
    sides = [(slices, own_groups(groups)), (other, own_groups(other_groups))]
    names = list(slices)
    stacks = [np.stack([views[name] for name in names]) for views, _ in sides]  # look, n, channels
    parts = [_parts(named) for _, named in sides]
    refused = [np.zeros(stack.shape[:2], np.bool_) for stack in stacks]
    for k in range(_FOLDS):
        weights = fit_other(
            *(_flat(x[:, part != k]) for x, part in zip(stacks, parts, strict=True))
        )
        for x, part, told in zip(stacks, parts, refused, strict=True):
            told[:, part == k] = x[:, part == k] @ weights[:-1] + weights[-1] > 0
    of_slices, of_others = (
        dict(zip(names, told.mean(axis=1).tolist(), strict=True)) for told in refused
    )
    report = {
        "n": len(other_groups),
        "groups": len(set(sides[1][1])),
        "refused": of_others,
        "slices_refused": of_slices,
    }
    return fit_other(*map(_flat, stacks)), report


def _parts(groups: Sequence[str]) -> NDArray[np.int64]:
    """Deal whole groups into parts."""
    selection = require("sklearn.model_selection", "calibrating a model", "evaluate")
    parts = np.zeros(len(groups), np.int64)
    for k, (_, these) in enumerate(selection.GroupKFold(_FOLDS).split(groups, groups=groups)):
        parts[these] = k
    return parts


def _flat(stack: NDArray[np.float32]) -> NDArray[np.float32]:
    return stack.reshape(-1, stack.shape[-1])

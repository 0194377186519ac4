"""What the files give away: the class guessed without looking at the brain.

A random forest sees only the size, the mode, the bytes, the mean and the border of each
picture. Whatever accuracy it reaches, a network may owe to the same accident.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tumorlens.data.survey import Look
from tumorlens.errors import DataError
from tumorlens.extras import require

__all__ = ["FEATURES", "Shortcuts", "measure_shortcuts"]

FEATURES: Final = (
    "width",
    "height",
    "channels",
    "bytes",
    "mean",
    "top border",
    "bottom border",
    "left border",
    "right border",
)
"""What the forest sees."""

_CHANNELS: Final = {"1": 1, "L": 1, "P": 1, "I": 1, "F": 1, "LA": 2, "PA": 2, "RGB": 3}


@dataclass(frozen=True, slots=True)
class Shortcuts:
    """How far the shortcuts lead, by cross-validation in which no group is on both sides.

    Parameters
    ----------
    classes
        Accuracy for the classes of the set.
    tumour
        Accuracy for tumour or none; ``None`` where there is only one of the two.
    majority
        What always naming the most frequent class would reach.
    importance
        For each of `FEATURES` its share in the forest for the classes; sums to 1.
    folds
        Of the cross-validation.
    """

    classes: float
    tumour: float | None
    majority: float
    importance: dict[str, float]
    folds: int


def measure_shortcuts(
    looks: Sequence[Look], groups: Sequence[str], *, seed: int = 0, trees: int = 100
) -> Shortcuts:
    """Train forests on what a file is, not on what it shows.

    Parameters
    ----------
    looks
        The pictures.
    groups
        Of each the patient or cluster, so that copies do not count as skill.
    seed
        Of the folds and the trees.
    trees
        In each forest.

    Raises
    ------
    DataError
        When a class has too few groups for two folds.
    MissingExtraError
        When scikit-learn is not installed.
    """
    ensemble, selection = (
        require(name, "the shortcut baseline", "data")
        for name in ("sklearn.ensemble", "sklearn.model_selection")
    )
    table = np.array([_features(look) for look in looks])
    labels = np.array([look.example.label for look in looks])
    fewest = min(len({g for g, x in zip(groups, labels, strict=True) if x == c}) for c in labels)
    if fewest < 2 or len(set(labels)) < 2:
        raise DataError("the shortcut baseline needs two classes with two groups each")
    folds = min(5, fewest)

    def accuracy(truth: NDArray[Any]) -> float:
        cut = selection.StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        forest = ensemble.RandomForestClassifier(trees, random_state=seed)
        guesses = selection.cross_val_predict(forest, table, truth, groups=groups, cv=cut)
        return float((guesses == truth).mean())

    whole = ensemble.RandomForestClassifier(trees, random_state=seed).fit(table, labels)
    tumour = labels != "notumor"
    return Shortcuts(
        classes=accuracy(labels),
        tumour=accuracy(tumour) if 0 < tumour.sum() < tumour.size else None,
        majority=float(np.unique(labels, return_counts=True)[1].max() / labels.size),
        importance=dict(zip(FEATURES, map(float, whole.feature_importances_), strict=True)),
        folds=folds,
    )


def _features(look: Look) -> list[float]:
    channels = 1 if look.mode.startswith("I;16") else _CHANNELS.get(look.mode, 4)
    return [look.width, look.height, channels, look.bytes, look.mean, *look.border]

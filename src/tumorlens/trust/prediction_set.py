"""From logits to probabilities and a set of classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["choose_set", "gather_set", "softmax"]


def softmax(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float64]:
    """Turn logits into probabilities.

    Parameters
    ----------
    logits
        ``(n, classes)``.
    temperature
        Divides the logits; above 1 makes the answer less sure.

    Returns
    -------
    numpy.ndarray
        float64, ``(n, classes)``, each row adding up to 1.
    """
    scaled = logits.astype(np.float64) / temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    grown = np.exp(scaled)
    return np.asarray(grown / grown.sum(axis=1, keepdims=True))


def choose_set(
    probabilities: NDArray[np.float64],
    classes: Sequence[str],
    *,
    level: float,
    thresholds: Sequence[float] = (),
) -> list[str]:
    """Choose the prediction set of a slice, in whichever way its model's card allows.

    Parameters
    ----------
    probabilities
        ``(classes,)``.
    classes
        Their names.
    level
        For models without thresholds; see `gather_set`.
    thresholds
        Lowest probability that puts each class into the set; see
        `tumorlens.trust.conformal`, which finds them.

    Returns
    -------
    list of str
        At least one class, the most probable first.
    """
    if not thresholds:
        return gather_set(probabilities, classes, level)
    order = np.argsort(-probabilities, kind="stable").tolist()
    return [classes[c] for i, c in enumerate(order) if i == 0 or probabilities[c] >= thresholds[c]]


def gather_set(
    probabilities: NDArray[np.float64], classes: Sequence[str], level: float
) -> list[str]:
    """Take the most probable classes until they add up to a level.

    Parameters
    ----------
    probabilities
        ``(classes,)``.
    classes
        Their names.
    level
        What to reach, from 0 to 1. How often such a set holds the truth depends
        on the calibration of the probabilities; the card says what is known.

    Returns
    -------
    list of str
        At least one class, the most probable first.
    """
    order = np.argsort(-probabilities, kind="stable")
    # A hair less than the level: 0.95 of probabilities that only round to it.
    enough = np.cumsum(probabilities[order]) >= level - 1e-12
    return (
        [classes[i] for i in order[: int(enough.argmax()) + 1]] if enough.any() else list(classes)
    )

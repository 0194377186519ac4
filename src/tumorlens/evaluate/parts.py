"""Right and wrong answers counted by source, group or whatever else pictures belong to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tumorlens.evaluate.resample import NO_TUMOUR

__all__ = ["Part", "break_down"]


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the pictures, such as those of one source.

    Parameters
    ----------
    n, right
        Pictures, and how many of them were answered rightly.
    tumours, missed
        Pictures with a tumour, and how many of them were called ``notumor``.
    """

    n: int
    right: int
    tumours: int
    missed: int

    @property
    def accuracy(self) -> float:
        """Share that was answered rightly."""
        return self.right / self.n


def break_down(
    labels: ArrayLike, predicted: ArrayLike, keys: Sequence[str], *, classes: Sequence[str]
) -> dict[str, Part]:
    """Count right and wrong answers by source, group or whatever else.

    Parameters
    ----------
    labels, predicted
        Positions in `classes`, ``(n,)``.
    keys
        What each picture belongs to.
    classes
        Their names.

    Returns
    -------
    dict
        Sorted by key.
    """
    truth, answers = np.asarray(labels), np.asarray(predicted)
    none = classes.index(NO_TUMOUR) if NO_TUMOUR in classes else -1
    tumour = (truth != none) & (none >= 0)
    tallies = [
        Counter(key for key, counts in zip(keys, mask, strict=True) if counts)
        for mask in (
            np.ones(truth.size, dtype=bool),
            truth == answers,
            tumour,
            tumour & (answers == none),
        )
    ]
    return {key: Part(*(tally[key] for tally in tallies)) for key in sorted(tallies[0])}

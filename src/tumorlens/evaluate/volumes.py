"""How good the answers for whole volumes are: each volume counts once, by the rule's one class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tumorlens.evaluate.metrics import Summary, summarise
from tumorlens.evaluate.resample import NO_TUMOUR
from tumorlens.evaluate.scans import Scan
from tumorlens.progress import Progress, silent

__all__ = ["FIGURES", "VolumeScores", "score_volumes"]

FIGURES: Final = ("accuracy", "macro_f1", "mcc", "tumour_miss_rate")
"""What is measured of volumes; the probabilities of a slice chosen among many are not."""

_OF_CLASS: Final = ("precision", "recall", "f1")


@dataclass(frozen=True, slots=True, eq=False)
class VolumeScores:
    """What a model's answers for volumes are worth.

    Parameters
    ----------
    scans
        The volumes, with their truth and their answers.
    summary
        Of those that have an answer, by their class alone; ``None`` where none has one. Its
        figures of probabilities mean nothing.
    """

    scans: tuple[Scan, ...]
    summary: Summary | None

    @property
    def answered(self) -> int:
        """How many have an answer: at least one of their slices counts."""
        return sum(scan.answer.label is not None for scan in self.scans)

    @property
    def undecided(self) -> int:
        """How many the rule calls no tumour though it suspects one."""
        return sum(scan.answer.suspect is not None for scan in self.scans)

    @property
    def right(self) -> int:
        """How many have the right answer."""
        return sum(scan.answer.label == scan.label for scan in self.scans)

    @property
    def missed(self) -> int:
        """How many with a tumour are called no tumour."""
        pairs = ((scan.label, scan.answer.label) for scan in self.scans)
        return sum(true != NO_TUMOUR and answer == NO_TUMOUR for true, answer in pairs)

    @property
    def missed_undecided(self) -> int:
        """How many of the missed ones are undecided."""
        tumours = [scan for scan in self.scans if scan.label != NO_TUMOUR]
        return sum(scan.answer.suspect is not None for scan in tumours)

    def to_dict(self) -> dict[str, Any]:
        """Give everything but the rows, for JSON."""
        n, answered = len(self.scans), self.answered
        counted = {
            "unit": "volume",
            "n": n,
            "answered": answered,
            "accuracy_of_all": self.right / n,
            "not_assessable": {"n": n - answered, "share": (n - answered) / n},
            "undecided": {
                "n": self.undecided,
                "share": self.undecided / n,
                "of_missed_tumours": self.missed_undecided,
            },
        }
        if self.summary is None:
            why = "no volume has a slice that counts"
            return {
                **counted,
                **dict.fromkeys(FIGURES),
                "undefined": dict.fromkeys(FIGURES, why),
            }
        found = self.summary.to_dict()
        kept = ("classes", *FIGURES, "per_class", "confusion_matrix", "bootstrap", "wilson")
        return {
            **counted,
            **{name: found[name] for name in kept},
            "intervals": {name: found["intervals"].get(name) for name in (*FIGURES, *_OF_CLASS)},
            "undefined": {x: why for x, why in found["undefined"].items() if _measured(x)},
        }


def score_volumes(
    scans: Sequence[Scan],
    classes: Sequence[str],
    *,
    bootstrap: int = 2000,
    seed: int = 0,
    progress: Progress = silent,
) -> VolumeScores:
    """Measure the answers for volumes; the bootstrap draws volumes, each a group of its own.

    Parameters
    ----------
    scans
        The volumes, at least one.
    classes
        Of the model.
    bootstrap, seed, progress
        See `tumorlens.evaluate.metrics.summarise`.
    """
    places = {name: i for i, name in enumerate(classes)}
    pairs = [(places[s.label], places[s.answer.label]) for s in scans if s.answer.label is not None]
    if not pairs:
        return VolumeScores(tuple(scans), None)
    labels, predicted = np.array(pairs).T
    # The rule's class is not always the most probable one: below its threshold it is no tumour.
    summary = summarise(
        labels,
        np.eye(len(classes))[predicted],
        classes=classes,
        bootstrap=bootstrap,
        seed=seed,
        progress=progress,
    )
    return VolumeScores(tuple(scans), summary)


def _measured(name: str) -> bool:
    """Say whether a figure, or its interval, is one of a class and not of its probability."""
    return name.removeprefix("intervals.").partition(".")[0] in (*FIGURES, *_OF_CLASS)

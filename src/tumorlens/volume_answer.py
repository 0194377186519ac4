"""The answer for a volume, by agreement of neighbouring slices.

The rule:

1. Slices that are not assessable are left out, and so are those without brain: blank ones, and
   those whose head is smaller than a tenth of the largest in the volume.
2. The probabilities of each slice and of its neighbours within 10 mm, at least the one before
   and the one after it, are joined by their geometric mean: one slice that is sure cannot
   outvote those beside it. A slice without such a neighbour does not count where others have
   one: one slice alone decides nothing.
3. The slice where a tumour class is most probable by those means decides. From 0.8 on that is
   the class of the volume. Below it the volume is called "no tumour". It is undecided, with
   that class as its suspect and slices to look at, where the class reaches 0.6, or all tumour
   classes together 0.8. So it is, too, where a class reaches 0.8 among neighbours within 5 mm:
   a tumour may be smaller than what is asked for its name.
4. Confidence and prediction set are those of the deciding slice's means. They are chosen among
   many slices: what the model's card promises of its prediction sets holds for single slices,
   not for volumes.

``scripts/volume_rule_tries.py`` chose mean and threshold on one half of fold 1's people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tumorlens.images.geometry import is_plausible
from tumorlens.models.card import Card
from tumorlens.prediction import Prediction
from tumorlens.trust.prediction_set import choose_set

__all__ = ["SURE", "Peak", "VolumeAnswer", "agree"]

_NO_TUMOUR: Final = "notumor"
SURE: Final = 0.8
"""From this probability on a tumour is named; all tumour classes together: suspected."""

_UNSURE: Final = 0.6  # from here on it is suspected
_AGREES: Final = 0.5  # slices beside the deciding one that belong to its run
_FLOOR: Final = 0.01  # probability below which a slice does not say more against a class
_REACH: Final = 10.0  # mm to each side, for a tumour to be named
_CLOSE: Final = 5.0  # mm to each side, for one to be suspected
_SMALL: Final = 0.1  # of the largest head's area
_SHOWN: Final = 5  # slices to look at first


@dataclass(frozen=True, slots=True)
class Peak:
    """Where the evidence for the class of a volume is strongest.

    Parameters
    ----------
    slice, row, column
        In the volume's own order, from 0.
    mm
        The same place in the patient, in `space`.
    space
        ``"LPS"`` (DICOM: to the left, back and head) or ``"RAS"`` (NIfTI, MGH: to the right,
        front and head).
    voxel
        The same place in the source's own array: of NIfTI and MGH its three indices, of DICOM
        column, row and slice. ``None`` where that is not known.
    """

    slice: int
    row: int
    column: int
    mm: tuple[float, float, float]
    space: str
    voxel: tuple[int, int, int] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON has it."""
        return {
            "slice": self.slice,
            "row": self.row,
            "column": self.column,
            "mm": list(self.mm),
            "space": self.space,
            "voxel": None if self.voxel is None else list(self.voxel),
        }


@dataclass(frozen=True, slots=True)
class VolumeAnswer:
    """The answer for a volume.

    Parameters
    ----------
    path
        Its file or folder as it was given, or ``None``.
    first
        The path of its first slice where each has a file of its own, else ``None``: several
        series may lie in one folder.
    plane
        Of its slices.
    slices
        How many it has.
    assessable
        How many of them counted.
    without_brain
        How many were passed over because they show no brain, or next to none.
    label
        The class by the rule of this module; ``None`` when no slice counted.
    confidence
        Its probability, from 0 to 1, or ``None``.
    probabilities
        Of each class where the volume is decided; empty when no slice counted.
    prediction_set
        The classes that the answer may be, the most probable first.
    run
        First and last of the neighbouring slices that agree on a tumour, be it named or
        suspected, or ``None``.
    look_first
        Slices to look at first, at most five: where a tumour is most probable by the means
        and by the slice itself.
    model
        Name and version of the model.
    peak
        Where the evidence is strongest, or ``None``: no tumour, or no place speaks for it.
    counted
        The slices that counted.
    suspect
        The tumour class that is suspected though the volume is called "no tumour": it is
        undecided, and `run` has the slices to look at. Else ``None``.
    """

    path: str | None
    first: str | None
    plane: str
    slices: int
    assessable: int
    without_brain: int
    label: str | None
    confidence: float | None
    probabilities: Mapping[str, float]
    prediction_set: tuple[str, ...]
    run: tuple[int, int] | None
    look_first: tuple[int, ...]
    model: str
    peak: Peak | None = None
    counted: tuple[int, ...] = ()
    suspect: str | None = None

    @property
    def shown(self) -> str | None:
        """Which class `run`, `peak` and the evidence are about: the suspect, or the label."""
        return self.suspect or self.label

    def to_dict(self) -> dict[str, Any]:
        """Give the answer as ``tumorlens predict --json`` prints it."""
        return {
            "path": self.path,
            "volume": {
                "first": self.first,
                "plane": self.plane,
                "slices": self.slices,
                "assessable": self.assessable,
                "without_brain": self.without_brain,
                "label": self.label,
                "suspect": self.suspect,
                "confidence": self.confidence,
                "probabilities": dict(self.probabilities),
                "prediction_set": list(self.prediction_set),
                "run": None if self.run is None else list(self.run),
                "peak": None if self.peak is None else self.peak.to_dict(),
                "look_first": list(self.look_first),
                "model": self.model,
            },
        }


def agree(
    answers: Sequence[Prediction],
    areas: Sequence[float],
    card: Card,
    *,
    slices: int,
    spacing: float,
    path: str | None = None,
    first: str | None = None,
    plane: str = "axial",
) -> VolumeAnswer:
    """Answer for a volume by the rule of this module.

    Parameters
    ----------
    answers
        For its slices, those that could be read; `Prediction.slice` tells which each is.
    areas
        Of the head in each of these, in pixels of the slice.
    card
        Of the model.
    slices
        How many the volume has.
    spacing
        Between slices, in mm. Where it cannot be, the next slices are neighbours and no others.
    path, first, plane
        As `VolumeAnswer` has them.

    Returns
    -------
    VolumeAnswer
        Without its peak.
    """
    counts = _counted(answers, areas)
    used = [a for a, one in zip(answers, counts, strict=True) if one]
    small = sum(a.assessable for a in answers) - len(used)
    blank = [a.reason == "the picture is blank" for a in answers]
    known = (path, first, plane, slices, len(used), small + sum(blank))
    if not used:
        return VolumeAnswer(*known, None, None, {}, (), None, (), card.id)
    found, label, suspect = _decide(used, card.classes, spacing)
    row = found.row
    tells = suspect is not None or label != _NO_TUMOUR
    own = np.array([max(a.probabilities[t] for t in card.classes if t != _NO_TUMOUR) for a in used])
    order = np.argsort(-np.round(found.evidence * own, 6), kind="stable")[:_SHOWN]  # ties by place
    chosen = choose_set(row, card.classes, level=card.set_level, thresholds=card.set_thresholds)
    if suspect is not None:
        chosen = list(dict.fromkeys([*chosen, suspect, label]))
    return VolumeAnswer(
        *known,
        label,
        float(row[card.classes.index(label)]),
        dict(zip(card.classes, row.tolist(), strict=True)),
        tuple(chosen),
        _run(used, card.classes[found.best], found) if tells else None,
        tuple(used[i].slice for i in order),
        card.id,
        counted=tuple(a.slice for a in used),
        suspect=suspect,
    )


@dataclass(frozen=True)
class _Joint:
    """Slices joined with their neighbours: means, evidence of a tumour, where it is most."""

    means: NDArray[np.float64]
    evidence: NDArray[np.float64]
    at: int
    best: int

    @property
    def row(self) -> NDArray[np.float64]:
        row: NDArray[np.float64] = self.means[self.at]
        return row


def _decide(
    used: Sequence[Prediction], classes: Sequence[str], spacing: float
) -> tuple[_Joint, str, str | None]:
    """Give what decides, the class of the volume, and what is suspected where it is undecided."""
    found = _join(used, classes, _REACH, spacing)
    best = classes[found.best]
    if _NO_TUMOUR not in classes or found.row[found.best] >= SURE:
        return found, best, None
    if found.row[found.best] >= _UNSURE:
        return found, _NO_TUMOUR, best
    tumours = [i for i, name in enumerate(classes) if name != _NO_TUMOUR]
    together = found.means[:, tumours].sum(axis=1)
    if together.max() >= SURE:
        at = int(together.argmax())
        found = replace(found, at=at, best=tumours[int(found.means[at, tumours].argmax())])
        return found, _NO_TUMOUR, classes[found.best]
    close = _join(used, classes, _CLOSE, spacing)
    if close.row[close.best] >= SURE:
        return close, _NO_TUMOUR, classes[close.best]
    return found, _NO_TUMOUR, None


def _counted(answers: Sequence[Prediction], areas: Sequence[float]) -> list[bool]:
    """Say of each slice whether it counts: it can be assessed, and shows enough of the brain."""
    pairs = list(zip(answers, areas, strict=True))
    largest = max((area for a, area in pairs if a.assessable), default=0)
    return [a.assessable and area >= _SMALL * largest for a, area in pairs]


def _join(
    used: Sequence[Prediction], classes: Sequence[str], reach: float, spacing: float
) -> _Joint:
    """Join each slice with its neighbours within so many mm, at least one on each side."""
    places = np.array([a.slice for a in used])
    rows = np.array([[a.probabilities[name] for name in classes] for a in used])
    steps = max(1, int(reach / spacing + 1e-6)) if is_plausible(spacing) else 1
    near = np.abs(places[:, None] - places) <= steps
    several = near.sum(axis=1) > 1
    logs = near @ np.log(np.maximum(rows, _FLOOR)) / near.sum(axis=1, keepdims=True)
    means = np.exp(logs)
    means /= means.sum(axis=1, keepdims=True)
    if several.any():
        means *= several[:, None]  # one slice alone decides nothing
    tumours = [i for i, name in enumerate(classes) if name != _NO_TUMOUR]
    evidence = means[:, tumours].max(axis=1)
    at = int(evidence.argmax())
    return _Joint(means, evidence, at, tumours[int(means[at, tumours].argmax())])


def _run(used: Sequence[Prediction], name: str, found: _Joint) -> tuple[int, int]:
    """Follow the slices that agree, by themselves and joined, to both sides of the deciding one."""
    own = np.array([a.probabilities[name] for a in used])
    agrees = np.minimum(own, found.means[:, found.best]) >= _AGREES
    start = end = found.at
    while start > 0 and agrees[start - 1] and _next(used, start - 1):
        start -= 1
    while end + 1 < len(used) and agrees[end + 1] and _next(used, end):
        end += 1
    return used[start].slice, used[end].slice


def _next(used: Sequence[Prediction], i: int) -> bool:
    return used[i + 1].slice == used[i].slice + 1

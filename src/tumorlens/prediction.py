"""The answer for one slice, and what whatever gives answers has to offer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tumorlens.images.prepare import Prepared
from tumorlens.images.slice import Slice
from tumorlens.models.card import Card

__all__ = ["Prediction", "Predictor"]


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one slice.

    Parameters
    ----------
    path
        The path as it was given, or ``None``.
    slice
        Which frame of the source, from 0.
    label
        The most probable class, whatever its probability.
    confidence
        Its probability, from 0 to 1.
    probabilities
        Of each class, in the model's order; they add up to 1.
    prediction_set
        The classes that the answer may be, the most probable first: those at least as
        probable as the thresholds in the model's card, or, when it has none, the most
        probable ones that together reach its level.
    assessable
        False when the picture is unlike anything the model can judge. The
        label then means nothing.
    reason
        Why it is not assessable, or ``None``.
    model
        Name and version of the model.
    logits
        What the network gave, before temperature and softmax, in the model's order.
    position_mm
        Where the centre of the slice's first pixel lies in the patient, as its format counts
        (LPS for DICOM, RAS for NIfTI and MGH), or ``None`` where that is not known.
    """

    path: str | None
    slice: int
    label: str
    confidence: float
    probabilities: dict[str, float]
    prediction_set: tuple[str, ...]
    assessable: bool
    reason: str | None
    model: str
    logits: tuple[float, ...]
    position_mm: tuple[float, float, float] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give the answer as ``tumorlens predict --json`` prints it."""
        where = {} if self.position_mm is None else {"position_mm": list(self.position_mm)}
        return {
            "path": self.path,
            "slice": self.slice,
            **where,
            "label": self.label,
            "confidence": self.confidence,
            "probabilities": dict(self.probabilities),
            "prediction_set": list(self.prediction_set),
            "assessable": self.assessable,
            "reason": self.reason,
            "model": self.model,
        }


class Predictor(Protocol):
    """What answers for slices that are prepared: `tumorlens.Classifier`, or another's."""

    @property
    def card(self) -> Card:
        """What the model promises."""

    def predict_prepared(
        self, batch: Sequence[Slice], prepared: Sequence[Prepared]
    ) -> list[Prediction]:
        """Classify slices that are prepared already, all in one go."""

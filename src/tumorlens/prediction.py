"""The answer for one slice, and what whatever gives answers has to offer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final, Protocol

from tumorlens.data.folder import class_name
from tumorlens.images.prepare import Prepared
from tumorlens.images.slice import Slice
from tumorlens.models.card import Card

__all__ = ["Prediction", "Predictor", "say_percent"]

_BAR: Final = "#0072B2"  # of the colours that the colour-blind tell apart; see report/style.py
_WIDTH: Final = 160  # pixels of a bar that is full


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

    def _repr_html_(self) -> str:
        """Show the answer in a notebook: the classes as bars, or why there is no answer."""
        where = "" if self.path is None else f" · {self.path}"
        foot = f"{self.model}{where} · slice {self.slice} · research use only"
        small = f'<div style="font-size:small;opacity:.75">{escape(foot)}</div>'
        if not self.assessable:
            return f"<div><b>not assessable</b>: {escape(self.reason or '')}{small}</div>"
        others = ", ".join(class_name(name) for name in self.prediction_set[1:])
        maybe = f" (or {escape(others)})" if others else ""
        head = (
            f"<b>{escape(class_name(self.label))}</b> {escape(say_percent(self.confidence))}{maybe}"
        )
        rows = "".join(_bar(name, p) for name, p in self.probabilities.items())
        return f'<div>{head}<table role="presentation">{rows}</table>{small}</div>'


def say_percent(probability: float) -> str:
    """Write a probability with one decimal; what is less than 1 is never 100 %."""
    text = f"{probability:.1%}"
    return ">99.9%" if probability < 1 and text == "100.0%" else text


class Predictor(Protocol):
    """What answers for slices that are prepared: `tumorlens.Classifier`, or another's."""

    @property
    def card(self) -> Card:
        """What the model promises."""

    def predict_prepared(
        self, batch: Sequence[Slice], prepared: Sequence[Prepared]
    ) -> list[Prediction]:
        """Classify slices that are prepared already, all in one go."""


def _bar(name: str, probability: float) -> str:
    """Draw a class as a row; its length says what its figure says, and its colour nothing."""
    style = f"background:{_BAR};height:.8em;width:{round(_WIDTH * probability)}px"
    return (
        f'<tr><td style="text-align:left">{escape(class_name(name))}</td>'
        f'<td style="text-align:left;width:{_WIDTH}px"><div style="{style}"></div></td>'
        f'<td style="text-align:right">{escape(say_percent(probability))}</td></tr>'
    )

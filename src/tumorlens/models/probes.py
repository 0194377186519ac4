"""Probes: drawn pictures, and what a network answered to them when it was exported.

A hash says that a file is the one that was written. Probes say that it still gives
the same answers here: on this processor, with this version of ONNX Runtime. The
pictures are a formula and not pixels, so that nothing but numbers travels along.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tumorlens.models.card import Probes
from tumorlens.models.head import Head
from tumorlens.models.session import Session

__all__ = ["DRAWING", "Comparison", "compare_head", "compare_probes", "draw_probes", "take_probes"]

DRAWING: Final = "probe/1"
"""Name and version of the formula in `draw_probes`."""

_COUNT: Final = 4
# Of the largest logit. Float sums differ between processors in their last digits; int8 ones
# by far more, since processors without VNNI let pairs of products saturate.
_TOLERANCE: Final = {"float32": 1e-3, "int8": 0.1}


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a network answers now, against what it answered at export.

    Parameters
    ----------
    change
        How far the farthest logit lies from where it lay.
    allowed
        How far it may: the card's tolerance, and never more than is usual for its
        precision.
    """

    change: float
    allowed: float

    @property
    def passed(self) -> bool:
        """Whether the answers are the same."""
        return self.change <= self.allowed  # false for NaN too


def draw_probes(size: int) -> NDArray[np.float32]:
    """Draw heads with a bright spot, each elsewhere.

    All edges are soft: a last digit that differs between processors must not turn
    a pixel over.

    Parameters
    ----------
    size
        Side in pixels.

    Returns
    -------
    numpy.ndarray
        Prepared pictures, float32, ``(4, size, size)``, from 0 to 1.
    """
    y, x = np.mgrid[:size, :size] / (size - 1) * 2 - 1
    drawn = []
    for turn in range(_COUNT):
        radius = np.hypot(x / (0.7 + 0.04 * turn), y / (0.9 - 0.03 * turn))
        folds = 0.08 * np.sin(9 * x + turn + 4 * np.sin(5 * y)) * np.cos(11 * y - turn)
        head = 0.4 * _inside(radius, 0.86) + folds * _inside(radius, 0.8)
        head += 0.85 * (_inside(radius, 1.0) - _inside(radius, 0.93))
        spot = np.hypot(x - 0.4 * np.cos(1.7 * turn), y - 0.45 * np.sin(1.7 * turn))
        drawn.append(head + 0.5 * _inside(spot, 0.1 + 0.04 * turn))
    return np.asarray(np.clip(np.stack(drawn), 0.0, 1.0), dtype=np.float32)


def take_probes(session: Session) -> Probes:
    """Ask a network about the drawn pictures and write its answers down."""
    logits = session.logits(draw_probes(session.card.input.size))
    return Probes(
        drawing=DRAWING,
        logits=tuple(tuple(float(f"{value:.6g}") for value in row) for row in logits),
        tolerance=float(f"{_usual(session.card.precision, logits):.3g}"),
    )


def compare_probes(session: Session, probes: Probes) -> Comparison:
    """Ask a network about the drawn pictures again and compare the answers.

    A card may ask for closer answers than usual. It cannot allow what is not: whoever
    exchanges the network could write any tolerance beside it.
    """
    logits = session.logits(draw_probes(session.card.input.size))
    allowed = min(probes.tolerance, _usual(session.card.precision, logits))
    if np.shape(probes.logits) != logits.shape:
        return Comparison(float("inf"), allowed)
    return Comparison(float(np.abs(logits - np.array(probes.logits)).max()), allowed)


def compare_head(session: Session, head: Head) -> Comparison:
    """Compare the logits that the head makes of the features with those of the network.

    Last layers are explained by the head. One that is not the network's own would
    explain another network.
    """
    logits, features = session.logits_and_features(draw_probes(session.card.input.size))
    made = np.stack([head.logits(one) for one in features])
    return Comparison(float(np.abs(made - logits).max()), _usual(session.card.precision, logits))


def _usual(precision: str, logits: NDArray[np.float32]) -> float:
    """Say how far logits of a network may lie apart on two machines."""
    share = _TOLERANCE.get(precision, _TOLERANCE["float32"])
    return share * max(1.0, float(np.abs(logits).max()))


def _inside(radius: NDArray[np.float64], edge: float) -> NDArray[np.float64]:
    """Give 1 inside, 0 outside, and a slope of a twentieth between."""
    return np.asarray(np.clip((edge - radius) * 20, 0.0, 1.0))

"""Measuring explanations on pictures whose tumour is outlined.

Where the maps lie (pointing game, mass in mask, intersection over union), beside chance
and beside a prior that knows only where the head is; whether what they show matters to
the network (insertion, deletion); and whether the answer rests on the tumour at all (the
tumour painted over, and a patch of the same shape elsewhere painted over).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from tumorlens.data.outlines import MaskedPicture, read_mask
from tumorlens.errors import DataError, UnreadableImageError
from tumorlens.evaluate.faithful import curves as take_curves
from tumorlens.evaluate.hide import control_mask, hide, widen
from tumorlens.evaluate.map_measures import (
    centre_prior,
    iou_curve,
    mass_in_mask,
    points_at,
)
from tumorlens.explain.explainer import Question, explain_slices
from tumorlens.explain.explanation import Explanation
from tumorlens.explain.place import place_on_input
from tumorlens.extras import require
from tumorlens.images.head import find_head
from tumorlens.images.prepare import Prepared
from tumorlens.images.read import read_slices
from tumorlens.images.slice import Slice
from tumorlens.progress import Progress, silent
from tumorlens.trust.prediction_set import softmax

if TYPE_CHECKING:
    from tumorlens.classifier import Classifier

__all__ = [
    "CENTRE",
    "CHANCE",
    "Case",
    "Hidden",
    "Localisation",
    "Score",
    "explain_case",
    "localise",
]

CHANCE: Final = "chance"
"""Stands for a map that is the same wherever the network looked."""

CENTRE: Final = "centre of the head"
"""Stands for a map that knows only where the head is."""


@dataclass(frozen=True, slots=True)
class Score:
    """How one map did on one picture.

    Parameters
    ----------
    pointing
        1 when its peak lies in the mask.
    mass
        Share of its sum in the mask.
    iou
        Intersection over union with the mask at each of `THRESHOLDS`.
    flat
        Whether the map was flat; it then scores 0.
    deletion, insertion
        The probability of the class at each of `SHARES`; empty when not asked for.
    """

    pointing: float
    mass: float
    iou: tuple[float, ...]
    flat: bool = False
    deletion: tuple[float, ...] = ()
    insertion: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Hidden:
    """What the network answered once a part was painted over.

    Parameters
    ----------
    label
        Its answer.
    probability
        What it still gives the true class.
    away
        How far the peak of the evidence for its answer then lies from the tumour's outline,
        as a share of the picture's longer side; infinite when the map is flat: no place
        near the tumour speaks for the answer. ``None`` when it was not looked for.
    """

    label: str
    probability: float
    away: float | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One picture.

    Parameters
    ----------
    source
        The picture and its mask.
    size
        Share of the mask in what the network looked at.
    answer
        What the network says of the whole picture.
    probability
        What it gives the true class.
    scores
        By method, chance and the prior among them.
    tumour_hidden, control_hidden
        Its answers with the tumour, or a patch elsewhere, painted over; ``None`` when
        not asked for, or when there was no room for a patch.
    """

    source: MaskedPicture
    size: float
    answer: str
    probability: float
    scores: dict[str, Score]
    tumour_hidden: Hidden | None = None
    control_hidden: Hidden | None = None

    @property
    def label(self) -> str:
        """The class of the tumour."""
        return self.source.label

    @property
    def group(self) -> str:
        """The patient, or empty."""
        return self.source.group


@dataclass(frozen=True, slots=True)
class Localisation:
    """What was measured.

    Parameters
    ----------
    model, layer
        What was explained, and where.
    methods
        In the order asked for.
    cases
        One a picture.
    skipped
        What could not be measured, and why.
    """

    model: str
    layer: str
    methods: tuple[str, ...]
    cases: tuple[Case, ...]
    skipped: dict[str, str] = field(default_factory=dict)


def localise(
    classifier: Classifier,
    pictures: Sequence[MaskedPicture],
    methods: Sequence[str],
    *,
    layer: str | None = None,
    curves: bool = True,
    hiding: bool = True,
    progress: Progress = silent,
) -> Localisation:
    """Measure explanations of the true class.

    Parameters
    ----------
    classifier
        The model.
    pictures
        As `find_masked` gives them.
    methods
        Keys of `tumorlens.explain.cam.METHODS`.
    layer
        One of the classifier's layers; the last one when ``None``.
    curves
        Whether to take insertion and deletion curves, 14 forward passes a map.
    hiding
        Whether to paint tumours over.
    progress
        Told of pictures.

    Raises
    ------
    ValueError
        When there is no such method or layer, or no method at all.
    DataError
        When no picture could be measured.
    """
    if not methods:
        raise ValueError("`methods` is empty; name at least one")
    for method in methods:
        Question(method, layer).check(classifier)
    cases, skipped = [], {}
    for i, picture in enumerate(pictures):
        try:
            cases.append(
                _measure(classifier, picture, methods, layer, curves=curves, hiding=hiding)
            )
        except (UnreadableImageError, DataError) as error:
            skipped[picture.name] = str(error)
        progress("measured", i + 1, len(pictures))
    if not cases:
        raise DataError(
            f"no picture could be measured: {next(iter(skipped.values()), 'none given')}"
        )
    name = layer or classifier.layers[-1]
    return Localisation(classifier.card.id, name, tuple(methods), tuple(cases), skipped)


def explain_case(
    classifier: Classifier, case: Case, method: str, layer: str | None
) -> tuple[Explanation, NDArray[np.bool_]]:
    """Explain a measured picture again, with its mask, to be looked at."""
    picture = read_slices(case.source.path)[0]
    mask = read_mask(case.source, picture.height, picture.width)
    question = Question(method, layer, case.label)
    return next(explain_slices(classifier, [picture], question)), mask


def _measure(
    classifier: Classifier,
    source: MaskedPicture,
    methods: Sequence[str],
    layer: str | None,
    *,
    curves: bool,
    hiding: bool,
) -> Case:
    if source.label not in classifier.card.classes:
        raise DataError(f"{classifier.card.id} knows no class {source.label}")
    picture = read_slices(source.path)[0]
    mask = read_mask(source, picture.height, picture.width)
    prepared = classifier.card.input.prepare(picture)
    seen = _seen(prepared, picture)
    if not (mask & seen).any():
        raise DataError(f"{source.mask} lies outside of what the network looks at")
    score = _probability(classifier, source.label)
    scores, heats = {}, {}
    for method in methods:
        question = Question(method, layer, source.label)
        explanation = next(explain_slices(classifier, [picture], question))
        answer = explanation.prediction
        scores[method] = _score(explanation.map, mask, flat=explanation.flat)
        heats[method] = place_on_input(explanation.cells, explanation.grid, prepared.size)
    scores[CHANCE] = _score(seen.astype(np.float32), mask)
    scores[CENTRE] = _score(centre_prior(prepared.box, seen), mask)
    if curves:
        # As coarse as a map: single pixels taken at random would ruin any picture at once.
        cells = np.random.default_rng(0).random(explanation.cells.shape, np.float32)
        heats[CHANCE] = place_on_input(cells, explanation.grid, prepared.size)
        whole = np.ones(prepared.pixels.shape, bool)
        heats[CENTRE] = centre_prior((0, 0, prepared.size, prepared.size), whole)
        taken = take_curves(prepared.pixels, list(heats.values()), score)
        for name, (out, back) in zip(heats, taken, strict=True):
            ends = tuple(out.tolist()), tuple(back.tolist())
            scores[name] = replace(scores[name], deletion=ends[0], insertion=ends[1])
    tumour, control = (
        _hide_both(classifier, picture, mask, Question(methods[0], layer), source.label)
        if hiding
        else (None, None)
    )
    return Case(
        source=source,
        size=float(mask.sum() / seen.sum()),
        answer=answer.label,
        probability=answer.probabilities[source.label],
        scores=scores,
        tumour_hidden=tumour,
        control_hidden=control,
    )


def _seen(prepared: Prepared, picture: Slice) -> NDArray[np.bool_]:
    """Say which pixels of the slice the network looked at."""
    left, top, right, bottom = prepared.box
    y, x = np.arange(picture.height) + 0.5, np.arange(picture.width) + 0.5
    return np.outer((y > top) & (y < bottom), (x > left) & (x < right))


def _score(heat: NDArray[np.float32], mask: NDArray[np.bool_], *, flat: bool = False) -> Score:
    iou = tuple(iou_curve(heat, mask).tolist())
    return Score(points_at(heat, mask), mass_in_mask(heat, mask), iou, flat)


def _probability(
    classifier: Classifier, label: str
) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    card = classifier.card
    which = card.classes.index(label)

    def score(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        rows = softmax(classifier.logits(pixels), card.temperature)
        return rows[:, which].astype(np.float32)

    return score


def _hide_both(
    classifier: Classifier, picture: Slice, mask: NDArray[np.bool_], question: Question, label: str
) -> tuple[Hidden | None, Hidden | None]:
    """Ask again with the tumour painted over, and with a patch of its shape elsewhere."""
    wide = widen(mask)
    if wide.all():  # nothing is left to paint it over with
        return None, None
    why = next(explain_slices(classifier, [hide(picture, wide)], question))
    far = np.inf if why.flat else _away(why.map, mask)
    tumour = Hidden(why.prediction.label, why.prediction.probabilities[label], far)
    control = control_mask(wide, find_head(picture.pixels))
    if control is None:
        return tumour, None
    answer = next(iter(classifier.predict_batch([hide(picture, control)])))
    return tumour, Hidden(answer.label, answer.probabilities[label])


def _away(heat: NDArray[np.float32], mask: NDArray[np.bool_]) -> float:
    """Measure how far a map's peak lies from a mask, as a share of the longer side."""
    ndimage = require("scipy.ndimage", "measuring explanations", "evaluate")
    distance = ndimage.distance_transform_edt(~mask)
    return float(distance[heat == heat.max()].min() / max(mask.shape))

"""What a case report says in words: answers, sets, places, limits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

import numpy as np

from tumorlens.data.folder import class_name
from tumorlens.explain.cam import METHODS
from tumorlens.images.geometry import say_mm
from tumorlens.images.volume import in_space, space_of
from tumorlens.prediction import say_percent
from tumorlens.untrusted import printable
from tumorlens.volume_answer import SURE

if TYPE_CHECKING:
    from tumorlens.explain.explanation import Explanation
    from tumorlens.images.slice import Slice
    from tumorlens.images.volume import Volume
    from tumorlens.models.card import Card
    from tumorlens.prediction import Prediction
    from tumorlens.volume_answer import VolumeAnswer

__all__ = [
    "NOT_ASSESSABLE",
    "answer",
    "bar_in_words",
    "day",
    "headline",
    "how_to_read",
    "in_set",
    "limits",
    "map_caption",
    "millimetres",
    "name_of",
    "none_assessable",
    "picture_kind",
    "reason",
    "slice_title",
    "slices_to_show",
    "volume_facts",
    "where",
    "where_briefly",
    "why_empty",
]

NOT_ASSESSABLE: Final = "not assessable"
_HEALTHY: Final = "notumor"
_NO_LIMITS: Final = "Its card names none, which does not mean that it has none."
_STRONG: Final = 0.5  # of the most: what counts as the place of the evidence
_AXES: Final = {
    "LPS": ("left", "back", "head"),
    "RAS": ("right", "front", "head"),
}
_OPPOSITE: Final = {
    "left": "right", "right": "left", "back": "front", "front": "back", "head": "feet",
}  # fmt: skip
_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip


def day(made: datetime) -> str:
    """Write a date that no country reads otherwise, and the time with its zone."""
    zone = made.tzname() or ""
    return f"{made.day} {_MONTHS[made.month - 1]} {made.year}, {made:%H:%M} {zone}".rstrip()


def name_of(label: str) -> str:
    """Give a class its display name, as one line."""
    return printable(class_name(label))


# Answers


def answer(label: str, chosen: Sequence[str]) -> str:
    """Name the class, and the others that it may be."""
    others = [name_of(name) for name in chosen if name != label]
    return ", or ".join([name_of(label), *others])


def headline(found: VolumeAnswer) -> str:
    """Name what a volume is called, or what it may be where it is undecided."""
    if found.suspect is None:
        return answer(str(found.label), found.prediction_set)
    return f"undecided: {_listed([name_of(name) for name in found.prediction_set], 'or')}"


def in_set(chosen: Sequence[str], label: str) -> str:
    """Say what the prediction set means."""
    names = [name_of(name) for name in chosen]
    if tuple(chosen) == (label,):
        return f"{names[0]} alone: no other class is probable enough."
    text = f"{_listed(names, 'or')}: the model does not tell them apart here."
    if label not in chosen:
        text += f" Their answer is called {name_of(label)}, for no tumour is sure enough."
    return text


def _listed(names: Sequence[str], last: str) -> str:
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} {last} {names[-1]}"


def reason(text: str) -> str:
    """Write why something is not assessable as a sentence."""
    return f"{text[:1].upper()}{text[1:]}."


def none_assessable(rows: Sequence[Prediction]) -> str:
    """Say why a volume is not assessable."""
    reasons = Counter(str(row.reason) for row in rows if not row.assessable)
    if not reasons:
        return "None of its slices shows a brain."
    return f"None of its slices is. Of most is said: {reasons.most_common(1)[0][0]}."


def picture_kind(picture: Slice) -> str:
    """Say what a picture is."""
    size = f"{picture.width} × {picture.height} pixels"
    return f"slice {picture.index + 1} of its file, {size}" if picture.index else f"slice, {size}"


def slice_title(row: Prediction, count: int) -> str:
    """Say which slice of a volume it is, and what it is by itself."""
    said = f"{name_of(row.label)} {say_percent(row.confidence)} by itself"
    return f"Slice {row.slice + 1} of {count}: {said if row.assessable else NOT_ASSESSABLE}"


# Places


def where(explained: Explanation) -> str:
    """Say where in a slice the evidence is strongest, and how far it reaches."""
    heat, picture = explained.map, explained.picture
    row, column = (int(i) for i in np.unravel_index(heat.argmax(), heat.shape))
    strong = int((heat >= _STRONG).sum())
    text = (
        f"The evidence for {name_of(explained.target)} is strongest at column {column + 1}, row "
        f"{row + 1} of {picture.width} × {picture.height}, in the {_part(row, column, picture)} "
        "as the picture shows it"
    )
    if picture.geometry is None:
        return f"{text}. It is at least half as strong on {strong / heat.size:.1%} of the picture."
    down, right = picture.geometry.spacing
    space = space_of(picture.origin)
    place = in_space(picture.geometry.point(row, column), space)
    return (
        f"{text}; that is {_directions(place, space)}. It is at least half as strong on "
        f"{strong * down * right:,.0f} mm²."
    )


def where_briefly(explained: Explanation) -> str:
    """Say it in a few words, for one slice of many."""
    heat, picture = explained.map, explained.picture
    row, column = (int(i) for i in np.unravel_index(heat.argmax(), heat.shape))
    text = f"Strongest at column {column + 1}, row {row + 1}"
    if picture.geometry is None:
        return f"{text}."
    space = space_of(picture.origin)
    place = in_space(picture.geometry.point(row, column), space)
    return f"{text}, {', '.join(map(say_mm, place))} mm ({space})."


def _part(row: int, column: int, picture: Slice) -> str:
    """Say in which ninth of a picture a pixel lies."""
    high = ("upper", "middle", "lower")[min(2, 3 * row // picture.height)]
    wide = ("left", "centre", "right")[min(2, 3 * column // picture.width)]
    if (high, wide) == ("middle", "centre"):
        return "centre"
    return f"{high} {wide}" if wide != "centre" else f"{high} part"


def _directions(place: Sequence[float], space: str) -> str:
    """Write a place in the patient in words, with its numbers."""
    names = [
        f"{say_mm(abs(value))} mm to the {axis if value >= 0 else _OPPOSITE[axis]}"
        for value, axis in zip(place, _AXES[space], strict=True)
    ]
    numbers = ", ".join(map(say_mm, place))
    return f"{_listed(names, 'and')} of the scanner's zero ({space} {numbers})"


def millimetres(place: Sequence[float], picture: Slice) -> str:
    """Say where the first pixel of a slice lies."""
    return f"{_directions(place, space_of(picture.origin))}."


def why_empty(explained: Explanation) -> str:
    """Say why a map is empty, as one line."""
    return printable(explained.why_flat())


def map_caption(explained: Explanation) -> str:
    """Say below a slice what its map shows, or why there is none."""
    if not explained.prediction.assessable:
        return "No map is shown: it would lend weight to an answer that has none."
    if explained.flat:
        return f"No map is shown, for it is empty: {why_empty(explained)}."
    return f"{_what(explained)}: dark is little, bright yellow the most of this slice."


def _what(explained: Explanation) -> str:
    """Name method and class of a map."""
    method = METHODS[explained.method]
    if not method.of_class:
        return f"{method.title}, which looks at no class"
    rather = "" if explained.versus is None else f" rather than {name_of(explained.versus)}"
    return f"{method.title} for {name_of(explained.target)}{rather}"


def slices_to_show(found: VolumeAnswer) -> list[int]:
    """Choose the slices of a volume to see: that of the peak, and those to look at first."""
    peak = [] if found.peak is None else [found.peak.slice]
    return sorted({*peak, *found.look_first})


def volume_facts(found: VolumeAnswer, volume: Volume) -> Iterator[tuple[str, str]]:
    """Say what the answer for a volume rests on."""
    counted = f"{found.assessable} of {found.slices} slices count"
    if found.without_brain:
        counted += f"; {found.without_brain} show no brain, or next to none"
    yield "Prediction set", in_set(found.prediction_set, str(found.label))
    if found.suspect is not None:
        share = say_percent(found.probabilities[found.suspect])
        sure = found.probabilities[found.suspect] >= SURE
        why = "in too few neighbouring slices" if sure else "too little"
        text = f"Suspected is {name_of(found.suspect)} ({share}), {why} to name it."
        yield "Undecided", f"{text} Look at the slices below before you believe either."
    if found.peak is not None:
        peak = found.peak
        text = f"The evidence is strongest in slice {peak.slice + 1} of {found.slices}, at column "
        text += f"{peak.column + 1}, row {peak.row + 1}: {_directions(peak.mm, peak.space)}."
        yield "Where", text
    elif found.shown == _HEALTHY:
        yield "Where", "Nowhere: slices that lie together do not agree on a tumour."
    if found.run is not None:
        first, last = found.run
        high = (last - first + 1) * volume.geometry.spacing[0]
        text = f"Slices {first + 1} to {last + 1} agree, {say_mm(high)} mm" if last > first else ""
        yield "How far", f"{text or f'Slice {first + 1} alone says so by its neighbours'}."
    yield "Look first at", f"{_slices(found.look_first)}, in this order."
    yield "Counted", f"{counted}."


def bar_in_words(values: Sequence[float | None], first: Sequence[int]) -> str:
    """Say what the bar of a volume shows, for those who do not see it."""
    known = [(value, -i) for i, value in enumerate(values) if value is not None]
    if not known:
        return "None of the slices is assessable."
    most, at = max(known)
    likely = sum(value >= _STRONG for value, _ in known)
    text = f"A tumour is most probable in slice {1 - at} ({say_percent(most)}), and more "
    text += f"likely than not in {likely} of {len(values)} slices"
    lost = len(values) - len(known)
    text += f"; {lost} {'is' if lost == 1 else 'are'} not assessable." if lost else "."
    return text + (f" To look at first: {_slices(first)}." if first else "")


def _slices(numbers: Sequence[int]) -> str:
    """List slices as people count them."""
    noun = "slices" if len(numbers) > 1 else "slice"
    return f"{noun} {_listed([str(i + 1) for i in numbers], 'and')}"


# The model


def limits(card: Card) -> list[tuple[str, str]]:
    """Say what the model is for and what it cannot do, as its card does."""
    scored = _accuracy(card)
    found = [
        (
            "Limits",
            card.limitations or "Its card names none, which does not mean that it has none.",
        ),
        ("Use", card.intended_use),
        ("What it is", card.description),
        ("Measured", scored),
    ]
    return [(title, printable(text, 2000)) for title, text in found if text]


def _accuracy(card: Card) -> str:
    scores = card.metrics  # free form: a model from elsewhere may say other things
    right, n = scores.get("accuracy"), scores.get("n")
    if not isinstance(right, float) or not isinstance(n, int):
        return ""
    leaks = " The split leaks: the figure is too good." if scores.get("leaky") else ""
    return f"{right:.1%} of {n:,} pictures right ({printable(scores.get('data'), 200)}).{leaks}"


def how_to_read(card: Card, *, volumes: bool) -> list[str]:
    """Say what the words of a report mean."""
    level = f"{card.set_level:.0%}"
    promise = (
        f"is meant to hold the right class for {level} of slices like those that the model was "
        "calibrated on"
        if card.set_thresholds
        else f"gathers classes up to {level} of probability and promises nothing: the model is not "
        "calibrated"
    )
    lines = [
        "Not assessable means that the picture is unlike those the model knows. No class is named.",
        f"The prediction set {promise}. Several classes mean doubt.",
        "A probability is the model's own. On scans of other hospitals it may be too sure.",
        "A map shows what the answer rests on. It is no outline of a tumour.",
        "Left and right of a picture are those of the picture. Places in mm are the patient's.",
    ]
    if volumes:
        lines.append(
            "A volume is answered by agreement of neighbouring slices; what is promised of sets "
            "holds for single slices. Slices are counted from 1 here, from 0 by other commands."
        )
    return lines

"""What a case report shows of each picture and volume: answers asked for, pictures made small."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np
from PIL import Image

from tumorlens.errors import UnreadableImageError
from tumorlens.explain.explainer import Explainable, Question, explain_slices
from tumorlens.explain.explanation import Explanation
from tumorlens.explain.scan import answer_volume
from tumorlens.images.display import display_grey
from tumorlens.images.slice import Slice
from tumorlens.images.volume import Volume
from tumorlens.prediction import Prediction
from tumorlens.progress import Progress, silent
from tumorlens.report import case_words as words
from tumorlens.sources.failure import Failure, parts_or_fail
from tumorlens.sources.series import Unit
from tumorlens.sources.stream import Answered, answer_units
from tumorlens.volume_answer import VolumeAnswer

__all__ = ["Bar", "Entry", "Looked", "Share", "Source", "View", "look_at"]

Source: TypeAlias = Unit | Sequence[Slice]
"""A file by its path, a volume, slices in memory, or a file that cannot be read."""

_BATCH: Final = 16  # slices that go through the network together
_LARGE: Final = (384, 640)  # pixels: longer side of a picture, at least and at most
_SMALL: Final = (240, 320)  # the same of a volume's slices
_TINY: Final = 48  # pixels of the shorter side
_HEALTHY: Final = "notumor"


@dataclass(frozen=True, slots=True)
class Share:
    """A class by its display name, how probable it is, and whether it is in the set."""

    name: str
    value: float
    in_set: bool


@dataclass(frozen=True, slots=True)
class View:
    """A slice as it is shown.

    Parameters
    ----------
    title
        Which slice it is, and what the model says of it; empty where the entry says it all.
    plain, overlay
        The slice, and its map over it, as JPEG; no overlay where there is no map to see.
    size
        Width and height of both, in pixels.
    caption
        What the map shows, or why there is none.
    where
        Where in the slice the evidence lies.
    """

    title: str
    plain: bytes
    overlay: bytes | None
    size: tuple[int, int]
    caption: str
    where: str


@dataclass(frozen=True, slots=True)
class Bar:
    """How likely a tumour is, slice by slice.

    Parameters
    ----------
    values
        From 0 to 1; ``None`` for a slice that is not assessable or cannot be read.
    first
        Slices to look at first, from 0.
    alt
        The same in words.
    """

    values: tuple[float | None, ...]
    first: tuple[int, ...]
    alt: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A picture or a volume of the report.

    Parameters
    ----------
    name
        Of its file, as it was given.
    kind
        What it is, such as ``"volume of 24 axial slices"``.
    answer
        Display names: the class, and the others that it may be; or ``"not assessable"``.
    reason
        Why it is not assessable; ``None`` where it is.
    shares
        Each class; empty where there is no answer.
    facts
        Titles and sentences: the set in words, and where.
    views
        Its slices to see.
    bar
        Of a volume.
    """

    name: str
    kind: str
    answer: str
    reason: str | None
    shares: tuple[Share, ...]
    facts: tuple[tuple[str, str], ...]
    views: tuple[View, ...]
    bar: Bar | None = None

    @property
    def sure(self) -> bool:
        """Whether the answer is one class alone."""
        return [share.in_set for share in self.shares].count(True) == 1 and self.shares[0].in_set

    @property
    def confidence(self) -> float | None:
        """Probability of the class that is named first."""
        return None if self.reason or not self.shares else self.shares[0].value


@dataclass(frozen=True, slots=True)
class Looked:
    """All that a report shows.

    Parameters
    ----------
    entries
        Pictures and volumes, in order.
    failures
        Files that cannot be read.
    left_out
        Files, volumes and frames that were not looked at, for the report is full.
    """

    entries: list[Entry]
    failures: list[Failure]
    left_out: int


def look_at(
    sources: Iterable[Source],
    classifier: Explainable,
    question: Question,
    *,
    most: int,
    progress: Progress = silent,
) -> Looked:
    """Answer for sources, in order, with a few slices in memory at a time.

    Parameters
    ----------
    sources
        Files, volumes, slices.
    classifier
        The model.
    question
        What the maps explain.
    most
        Pictures and volumes to look at; what comes after them is only counted.
    progress
        Told of pictures, volumes and slices that are done (their total is 0, for it is not
        known), and of the passes through the network where a map needs many.
    """
    asking = _Asking(classifier, question, progress)
    left = most
    beyond = 0
    rest = iter(sources)
    for source in rest:
        for part in parts_or_fail(source) if isinstance(source, str) else [source]:
            if isinstance(part, Failure):
                asking.failures.append(part)
            elif isinstance(part, Volume) and len(part) > 1:
                if left > 0:
                    asking.add_volume(part)
                beyond += left <= 0
                left -= 1
            else:
                shown = max(0, min(left, len(part)))
                beyond += len(part) - shown
                for picture in _readable(part, shown, asking.failures):
                    asking.add(picture)
                    left -= 1
        if left <= 0:
            break
    for source in rest:  # what is open already is known; files are only counted
        if isinstance(source, Failure):
            asking.failures.append(source)
        else:
            whole = isinstance(source, str | Volume)
            beyond += 1 if whole else len(source)
    asking.finish()
    return Looked(asking.entries, asking.failures, beyond)


def _readable(found: Sequence[Slice], count: int, failures: list[Failure]) -> Iterator[Slice]:
    for i in range(count):
        try:
            yield found[i]
        except UnreadableImageError as error:
            failures.append(Failure(error.source, error))


class _Asking:
    """Asks the model, and makes entries of what it says."""

    def __init__(self, classifier: Explainable, question: Question, progress: Progress) -> None:
        self.entries: list[Entry] = []
        self.failures: list[Failure] = []
        self._classifier = classifier
        self._question = question
        self._progress = progress
        self._waiting: list[Slice] = []  # for others to go through the network with

    # Pictures

    def add(self, picture: Slice) -> None:
        self._waiting.append(picture)
        if len(self._waiting) >= _BATCH:
            self.finish()

    def finish(self) -> None:
        """Make entries of the pictures that wait."""
        classifier, waiting, tell = self._classifier, self._waiting, self._progress
        for explained in explain_slices(classifier, waiting, self._question, progress=tell):
            self.entries.append(self._picture(explained))
        waiting.clear()
        tell("looked at", len(self.entries), 0)

    def _picture(self, explained: Explanation) -> Entry:
        answer = explained.prediction
        shares = _shares(answer.probabilities, answer.prediction_set, answer.label)
        view = _view(explained, "", _LARGE)
        facts = [("Prediction set", words.in_set(answer.prediction_set, answer.label))]
        if answer.assessable:
            nowhere = f"Nowhere: {words.why_empty(explained)}."
            facts.append(("Where", view.where or nowhere))
        if answer.position_mm is not None:
            facts.append(("First pixel", words.millimetres(answer.position_mm, explained.picture)))
        return Entry(
            explained.picture.name,
            words.picture_kind(explained.picture),
            words.answer(answer.label, answer.prediction_set)
            if answer.assessable
            else words.NOT_ASSESSABLE,
            None if answer.assessable else words.reason(str(answer.reason)),
            shares if answer.assessable else (),
            tuple(facts) if answer.assessable else (),
            (replace(view, where=""),),
        )

    # Volumes

    def add_volume(self, volume: Volume) -> None:
        """Make the entry of a volume, if any of its slices can be read."""
        self.finish()
        rows: list[Answered] = []
        for item in answer_units(self._classifier, [volume]):
            if isinstance(item, Failure):
                self.failures.append(item)
            elif not isinstance(item, Volume):
                rows.append((item[0], replace(item[1], pixels=item[1].pixels[:1, :1])))
                self._progress("slices of a volume", len(rows), 0)
        if rows:
            answer = answer_volume(self._classifier, volume, rows)
            self.entries.append(self._entry(volume, answer, [row for row, _ in rows]))

    def _entry(self, volume: Volume, answer: VolumeAnswer, rows: list[Prediction]) -> Entry:
        kind = f"volume of {len(volume)} {answer.plane} slices"
        name = answer.path or "<memory>"
        bar = _bar(rows, answer, len(volume))
        if answer.label is None:
            reason = words.none_assessable(rows)
            middle = rows[len(rows) // 2].slice
            views = tuple(self._views(volume, [middle], None, rows))
            return Entry(name, kind, words.NOT_ASSESSABLE, reason, (), (), views, bar)
        target = None if answer.shown == _HEALTHY else answer.shown
        views = tuple(self._views(volume, words.slices_to_show(answer), target, rows))
        return Entry(
            name,
            kind,
            words.headline(answer),
            None,
            _shares(answer.probabilities, answer.prediction_set, answer.label),
            tuple(words.volume_facts(answer, volume)),
            views,
            bar,
        )

    def _views(
        self, volume: Volume, numbers: Sequence[int], target: str | None, rows: list[Prediction]
    ) -> Iterator[View]:
        """Show some slices, each with its map."""
        said = {row.slice: row for row in rows}
        question = (
            self._question
            if self._question.target
            else replace(self._question, target=None if target == self._question.versus else target)
        )
        for number in numbers:
            (explained,) = explain_slices(self._classifier, [volume[number]], question)
            title = words.slice_title(said[number], len(volume))
            yield _view(replace(explained, prediction=said[number]), title, _SMALL)


def _shares(
    probabilities: Mapping[str, float], chosen: Sequence[str], label: str
) -> tuple[Share, ...]:
    """List classes, the one that is the answer first, then the most probable."""
    ranked = sorted(probabilities.items(), key=lambda pair: (pair[0] != label, -pair[1]))
    return tuple(Share(words.name_of(name), value, name in chosen) for name, value in ranked)


def _bar(rows: Sequence[Prediction], answer: VolumeAnswer, count: int) -> Bar:
    values: list[float | None] = [None] * count
    for row in rows:
        if row.assessable:
            healthy = row.probabilities.get(_HEALTHY)
            values[row.slice] = row.confidence if healthy is None else 1 - healthy
    first = () if answer.label is None else answer.look_first
    return Bar(tuple(values), first, words.bar_in_words(values, first))


# Pictures


def _view(explained: Explanation, title: str, sides: tuple[int, int]) -> View:
    """Make a slice and its map small, as wide and high as they are in the patient."""
    picture = explained.picture
    size = _size(picture, sides)
    shown = explained.prediction.assessable and not explained.flat
    plain = Image.fromarray(display_grey(picture))
    return View(
        title,
        _jpeg(plain, size),
        _jpeg(explained.overlay(), size) if shown else None,
        size,
        words.map_caption(explained),
        (words.where_briefly if title else words.where)(explained) if shown else "",
    )


def _size(picture: Slice, sides: tuple[int, int]) -> tuple[int, int]:
    down, right = (1.0, 1.0) if picture.geometry is None else picture.geometry.spacing
    height, width = picture.height * (down or 1.0), picture.width * (right or 1.0)
    pixels = max(picture.height, picture.width)
    factor = float(np.clip(pixels, *sides)) / max(height, width)
    return max(_TINY, round(width * factor)), max(_TINY, round(height * factor))


def _jpeg(image: Image.Image, size: tuple[int, int]) -> bytes:
    file = io.BytesIO()
    image.resize(size, Image.Resampling.BICUBIC).save(file, "JPEG", quality=88, subsampling=0)
    return file.getvalue()

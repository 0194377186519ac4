"""What of a labelled set is one picture, and what is a volume: told by what its reader gives.

A volume is labelled as a whole, so it has one answer: that of `tumorlens.volume_answer`, as
``tumorlens predict`` gives it. Pages and frames without places in the patient have it too, with
the one before and the one after as neighbours.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from tumorlens.evaluate.cases import Case
from tumorlens.explain.scan import answer_volume, slim
from tumorlens.images.volume import Volume
from tumorlens.sources.failure import Failure
from tumorlens.sources.series import Unit
from tumorlens.sources.stream import Answered
from tumorlens.volume_answer import VolumeAnswer, agree

if TYPE_CHECKING:
    from tumorlens.classifier import Classifier

__all__ = ["Found", "Scan", "Source", "answer_whole", "by_source", "count_several"]

_Item: TypeAlias = Answered | Failure | Volume


@dataclass(frozen=True, slots=True)
class Scan:
    """One volume with its truth and its answer.

    Parameters
    ----------
    name
        Its file below the set's root, or the folder of its series; the first file where a
        folder holds several.
    label
        One of `tumorlens.data.folder.CLASSES`.
    answer
        Of the whole.
    first
        The first file of a series below the set's root, else empty.
    """

    name: str
    label: str
    answer: VolumeAnswer
    first: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """A file or series that is asked about, with its truth.

    Parameters
    ----------
    case
        What is true of it; of a series, by its first file.
    unit
        What is read.
    sha256
        Of its content, or an empty text.
    files
        How many cases of the set it stands for.
    """

    case: Case
    unit: Unit
    sha256: str
    files: int = 1


@dataclass(frozen=True, slots=True)
class Found:
    """All that was answered for one source.

    Parameters
    ----------
    rows
        The answers for its slices.
    failures
        What of it could not be read.
    volumes
        The volumes of two slices or more in it.
    """

    rows: tuple[Answered, ...]
    failures: tuple[Failure, ...]
    volumes: tuple[Volume, ...]

    @classmethod
    def of(cls, items: Iterable[_Item]) -> Found:
        """Sort results."""
        rows: list[Answered] = []
        failures: list[Failure] = []
        volumes: list[Volume] = []
        for item in items:
            if isinstance(item, Failure):
                failures.append(item)
            elif not isinstance(item, Volume):
                rows.append(item)
            elif len(item) > 1:
                volumes.append(item)
        return cls(tuple(rows), tuple(failures), tuple(volumes))

    @property
    def single(self) -> bool:
        """Whether it is one picture."""
        return len(self.rows) == 1 and not self.volumes


def by_source(results: Iterable[_Item], waiting: deque[Source]) -> Iterator[tuple[Source, Found]]:
    """Put the results for each source together.

    Parameters
    ----------
    results
        As `tumorlens.sources.stream.answer_units` gives them.
    waiting
        The sources, in the order of the results; those that are done are taken out.
    """
    items: list[_Item] = []
    for item in results:
        if items and not _is_of(waiting[0], item):
            yield waiting.popleft(), Found.of(items)
            items = []
        items.append(item if isinstance(item, (Failure, Volume)) else slim(item))
        if isinstance(item, Failure | Volume) and item is waiting[0].unit:
            yield waiting.popleft(), Found.of(items)
            items = []
    if items:
        yield waiting.popleft(), Found.of(items)


def _is_of(source: Source, item: _Item) -> bool:
    """Say whether a result is of this source; those of a series end with the series itself."""
    if not isinstance(source.unit, str):
        return True
    path = item.path if isinstance(item, (Failure, Volume)) else item[0].path
    return f"{path}/".startswith(f"{source.unit}/")


def answer_whole(classifier: Classifier, source: Source, found: Found) -> VolumeAnswer | None:
    """Answer for all slices of a source; ``None`` where they are not one volume.

    Parameters
    ----------
    classifier
        The model.
    source
        The source.
    found
        Its answers, at least one, of two pictures or more.
    """
    if len(found.volumes) == 1:
        volume = found.volumes[0]
        if len(found.rows) + len(found.failures) <= len(volume):
            return answer_volume(classifier, volume, found.rows)
    if found.volumes or {row[0].path for row in found.rows} != {source.unit}:
        return None  # an archive of several
    return _answer_pages(classifier, str(source.unit), found.rows)


def _answer_pages(classifier: Classifier, path: str, rows: Sequence[Answered]) -> VolumeAnswer:
    """Answer for pages, which say nothing of their spacing: their next ones are neighbours."""
    return agree(
        [prediction for prediction, _ in rows],
        [(p.box[2] - p.box[0]) * (p.box[3] - p.box[1]) for _, p in rows],
        classifier.card,
        slices=len(rows),
        spacing=math.inf,
        path=path,
        plane="pages",
    )


def count_several(found: Found) -> str:
    """Say what a source holds that is no single picture."""
    slices = len(found.rows) + len(found.failures)
    if len(found.volumes) > 1:
        return f"{len(found.volumes)} volumes with {slices:,} slices"
    return f"{slices:,} pictures" if not found.volumes else f"a volume with {slices:,} slices"

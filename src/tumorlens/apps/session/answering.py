"""Answering rows: pictures and files together, volumes slice by slice and then as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Final

from tumorlens.apps.session.results import (
    Answered,
    Done,
    SliceAnswered,
    SliceUnreadable,
    Summed,
    Turned,
    Unreadable,
)
from tumorlens.apps.session.rows import Row
from tumorlens.errors import UnreadableImageError

if TYPE_CHECKING:
    from tumorlens.apps.session.opening import Reader
    from tumorlens.apps.session.worker import Report
    from tumorlens.classifier import Classifier
    from tumorlens.images.geometry import Plane
    from tumorlens.sources.series import Unit

__all__ = ["answer", "turn"]

_TOGETHER: Final = 4  # slices through the network at once: few, so that answers arrive one by one


def answer(classifier: Classifier, rows: Sequence[Row], report: Report) -> None:
    """Classify the slices of the rows' files, in order."""
    for row in rows:
        if row.picture is not None:
            report(Answered(row.id, classifier.predict(row.picture)))
            report(Done(row.id))
    files = (row for row in rows if row.picture is None and row.path is not None)
    for is_volume, group in groupby(files, key=lambda row: row.stack is not None):
        if is_volume:
            for row in group:
                _answer_volume(classifier, row, report)
        else:
            _answer_files(classifier, list(group), report)


def _answer_files(classifier: Classifier, rows: Sequence[Row], report: Report) -> None:
    from tumorlens.sources.failure import Failure, loose_or_fail  # noqa: PLC0415
    from tumorlens.sources.stream import predict_files  # noqa: PLC0415

    numbers = iter([(row.id, str(row.path)) for row in rows])
    paths = (str(row.path) for row in rows)
    at_hand: tuple[int, str] | None = None
    index = 0
    told = predict_files(classifier, paths, batch_size=_TOGETHER, open_file=loose_or_fail)
    for result in told:
        # A member of an archive has the archive's path before its own.
        if at_hand is None or not f"{result.path}/".startswith(f"{at_hand[1]}/"):
            if at_hand is not None:
                report(Done(at_hand[0]))
            at_hand, index = next(numbers), 0
        else:
            index += 1
        if isinstance(result, Failure):
            report(Unreadable(at_hand[0], str(result.error), index))
        else:
            report(Answered(at_hand[0], replace(result, slice=index)))
    if at_hand is not None:
        report(Done(at_hand[0]))


def _answer_volume(classifier: Classifier, row: Row, report: Report) -> None:
    stack = row.stack
    if stack is None:
        return
    if _answer_slices(classifier, row, stack.source, stack.own, report):
        report(Done(row.id))


def turn(
    classifier: Classifier | None, reader: Reader, row: Row, plane: Plane, report: Report
) -> None:
    """Cut a volume another way, say so, and classify its slices in that plane."""
    try:
        volume = reader.volume(row, plane)
    except UnreadableImageError as error:
        report(SliceUnreadable(row.id, plane, -1, str(error)))
        return
    report(Turned(row.id, plane, volume.geometry))
    if classifier is not None:
        _answer_slices(classifier, row, volume, plane, report)


def _answer_slices(
    classifier: Classifier, row: Row, unit: Unit, plane: Plane, report: Report
) -> bool:
    """Classify slice by slice, then the whole; say whether the volume could be opened."""
    from tumorlens.explain.scan import predict_scans  # noqa: PLC0415
    from tumorlens.prediction import Prediction  # noqa: PLC0415
    from tumorlens.sources.failure import Failure  # noqa: PLC0415

    results = predict_scans(classifier, [unit], batch_size=_TOGETHER)
    for index, result in enumerate(results):
        if isinstance(result, Prediction):
            report(SliceAnswered(row.id, plane, result))
        elif not isinstance(result, Failure):
            report(Summed(row.id, plane, result))
        elif isinstance(unit, str) and not index:
            report(Unreadable(row.id, str(result.error)))
            return False
        else:
            report(SliceUnreadable(row.id, plane, index, str(result.error)))
    return True

"""Answers for files and volumes: a row a slice, and after a volume its summary.

`tumorlens.volume_answer` has the rule. Here the slices of each volume are gathered, and the
evidence of the deciding one is looked at for its peak.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from tumorlens.explain.explainer import Explainable, Question, explain_slices
from tumorlens.images.slice import Slice
from tumorlens.images.volume import Volume, in_space
from tumorlens.prediction import Prediction
from tumorlens.progress import Progress, silent
from tumorlens.sources.failure import Failure
from tumorlens.sources.series import Unit
from tumorlens.sources.stream import Answered, answer_units
from tumorlens.volume_answer import Peak, VolumeAnswer, agree

_KEPT = 16_384  # answers: no scan has more slices, and pictures are not kept for ever

__all__ = ["answer_scan", "answer_volume", "find_peak", "predict_scans", "read_answers", "slim"]


def predict_scans(
    classifier: Explainable, units: Iterable[Unit | Sequence[Slice]], *, batch_size: int = 16
) -> Iterator[Prediction | Failure | VolumeAnswer]:
    """Classify files and series, in order.

    Parameters
    ----------
    classifier
        The model.
    units
        Files and series, as `tumorlens.sources.series.find_units` gives them.
    batch_size
        Slices that go through the network together.

    Yields
    ------
    Prediction, Failure or VolumeAnswer
        One for each slice and for each unreadable file; after the slices of a volume of two
        slices or more its summary.
    """
    rows: deque[Answered] = deque(maxlen=_KEPT)
    for item in answer_units(classifier, units, batch_size=batch_size):
        if isinstance(item, Volume):
            if len(item) > 1:
                yield answer_volume(classifier, item, _of(item, rows))
            rows.clear()
        elif isinstance(item, Failure):
            yield item
        else:
            if item[0].slice == 0:  # of the next file
                rows.clear()
            rows.append(slim(item))
            yield item[0]


def slim(row: Answered) -> Answered:
    """Keep an answer without the pixels that the network saw: of many they take much room."""
    return row[0], replace(row[1], pixels=row[1].pixels[:1, :1].copy())


def _of(volume: Volume, rows: deque[Answered]) -> list[Answered]:
    """Keep the answers for a volume: pictures may have come before it."""
    paths = {*volume.paths, volume.path}
    return [row for row in list(rows)[-len(volume) :] if row[0].path in paths]


def answer_scan(classifier: Explainable, volume: Volume) -> VolumeAnswer:
    """Read and answer a volume whole.

    Raises
    ------
    UnreadableImageError
        When none of its slices can be read.
    """
    return answer_volume(classifier, volume, read_answers(classifier, volume))


def read_answers(
    classifier: Explainable,
    volume: Volume,
    failures: list[Failure] | None = None,
    *,
    progress: Progress = silent,
) -> list[Answered]:
    """Read and answer all slices of a volume, and keep the answers without what was seen.

    Parameters
    ----------
    classifier
        The model.
    volume
        The volume.
    failures
        Gets what could not be read. When ``None``, the first one is raised if no slice can be.
    progress
        Told of the slices that are answered.
    """
    rows, missed = list[Answered](), list[Failure]()
    for item in answer_units(classifier, [volume]):
        if isinstance(item, Failure):
            missed.append(item)
        elif not isinstance(item, Volume):
            rows.append(slim(item))
        progress("slices", min(len(rows) + len(missed), len(volume)), len(volume))
    if failures is not None:
        failures += missed
    elif not rows:
        raise missed[0].error
    return rows


def answer_volume(
    classifier: Explainable, volume: Volume, rows: Iterable[Answered]
) -> VolumeAnswer:
    """Answer for a volume by the answers for its slices.

    Parameters
    ----------
    classifier
        The model.
    volume
        The slice that decides is read once more, for its peak.
    rows
        Of its slices, those that could be read.
    """
    pairs = list(rows)
    answer = agree(
        [prediction for prediction, _ in pairs],
        [(p.box[2] - p.box[0]) * (p.box[3] - p.box[1]) for _, p in pairs],
        classifier.card,
        slices=len(volume),
        spacing=volume.geometry.spacing[0],
        path=volume.path,
        first=volume.paths[0] if volume.paths else None,
        plane=volume.geometry.plane,
    )
    target = answer.shown
    if target is None or answer.run is None:
        return answer
    first, last = answer.run
    run = [p for p, _ in pairs if first <= p.slice <= last]
    best = max(run, key=lambda p: p.probabilities[target]).slice
    return replace(answer, peak=find_peak(classifier, volume, best, target))


def find_peak(classifier: Explainable, volume: Volume, index: int, target: str) -> Peak | None:
    """Find where in a slice the evidence for a class is strongest, by its last layer.

    Returns
    -------
    Peak or None
        ``None`` when no place speaks for the class.
    """
    picture = volume[index]
    explained = next(explain_slices(classifier, [picture], Question(target=target)))
    if explained.flat:
        return None
    row, column = (int(i) for i in np.unravel_index(explained.map.argmax(), explained.map.shape))
    point = volume.geometry.point(index, row, column)
    voxel = None
    if volume.stored is not None:
        places = np.rint(volume.stored.voxel(point)).astype(int)
        x, y, z = np.clip(places, 0, np.array(volume.stored.shape) - 1).tolist()
        voxel = (x, y, z)
    where = point if picture.geometry is None else picture.geometry.point(row, column)
    return Peak(index, row, column, in_space(where, volume.space), volume.space, voxel)
